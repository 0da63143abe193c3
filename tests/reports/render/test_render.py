"""Every format: all of the document is there, and no text from outside is more than text."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import html.parser
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from made_site import NASTY, report
from markdown_it import MarkdownIt

import reports
from reports.document import builder
from reports.paper import published
from reports.render import csv_table, html_page, latex, markdown, output_files
from reports.render.templates import make_html_environment, make_latex_environment

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Reader(html.parser.HTMLParser):
    """Elements with attributes and all text; fails where an element is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open[-5:])

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)


@pytest.fixture(scope="module")
def page() -> Reader:
    reader = Reader()
    reader.feed(html_page.render_html(report()))
    assert reader.open == []
    return reader


def test_html_is_one_page_with_one_script_and_no_address(page: Reader) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1 and "img" not in tags and "iframe" not in tags
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,", "figures/")), attributes
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", NASTY[:6])
def test_html_shows_bad_texts_as_they_are(page: Reader, text: str) -> None:
    assert any(text in visible for visible in page.texts)


def test_html_has_every_part(page: Reader) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    parts = {*report().names, "overview", "claims", "examples", "deviations", "runs"}
    assert parts <= ids
    for anchor in (attributes["href"] for tag, attributes in page.elements if tag == "a"):
        assert anchor is not None and anchor[1:] in ids, anchor


def test_html_leads_from_a_disputed_cell_to_the_dispute(page: Reader) -> None:
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    ids = {attributes.get("id") for _, attributes in page.elements}
    for dispute in report().disputes:
        assert f"dispute-{dispute.id}" in ids
        if dispute.tables or dispute.claims:
            assert f"#dispute-{dispute.id}" in links, dispute.id


@pytest.mark.parametrize("form", output_files.FORMATS)
@pytest.mark.parametrize("paper_only", [True, False])
def test_the_examples_of_table10_and_the_disputes_are_in_every_format(form: str, paper_only: bool) -> None:
    text = output_files.render_text(
        builder.build_report([], ["table10", "table4"], paper_only, plan=False), form
    )
    plain = text.replace("{-}", "-").replace("&#39;", "'").replace(chr(92), "")
    for example in published.read_table("table10").examples:
        assert example["item"] in plain
    assert "leaves out fact 2, 4; says falsely: plays for the town of the ground" in plain
    assert "1.2 in the earlier branch" in plain and "length normalisation" in plain


@pytest.mark.parametrize("form", ["html", "md", "tex"])
def test_the_latest_scores_come_before_everything_else(form: str) -> None:
    text = output_files.render_text(report(), form)
    body = text[text.rindex("</style>") :] if form == "html" else text
    assert 0 < body.index("Latest scores") < body.index("Rows of the paper") < body.index("Table 1: ")
    latest = report().overview.latest
    assert len(latest) == 8 and [run.ended for run in latest] == sorted(
        (r.ended for r in latest), reverse=True
    )
    value = f"{latest[0].scores['bleu']:.4g}"
    assert value in body[body.index("Latest scores") : body.index("Rows of the paper")]


def test_html_names_what_the_rows_are() -> None:
    text = html_page.render_html(builder.build_report([], ["table1", "table2"], plan=False))
    first_table, second_table = (text[text.index(f'<section id="{name}"') :] for name in ("table1", "table2"))
    first = re.compile(r'data-column="0"><button type="button" class="sort">([^<]*)')
    assert [first.findall(part)[0] for part in (first_table, second_table)] == ["Data set", "System"]


def test_html_escapes_quotes_and_forbidden_characters() -> None:
    template = make_html_environment().from_string("{{ text }}")
    assert template.render(text="\"'<>&\x00\x1b") == r"&#34;&#39;&lt;&gt;&amp;\x00\x1b"


def test_templates_escape_each_text_once_and_refuse_unknown_names() -> None:
    """Through macros too, which is how the page and the document are made."""
    html = make_html_environment().from_string(
        "{% macro twice(text) %}{{ text }}{{ text }}{% endmacro %}{{ twice(text) }}"
    )
    assert html.render(text="<&\x00") == r"&lt;&amp;\x00" * 2
    tex = make_latex_environment(latex.escape_latex).from_string(
        "<% macro twice(text) %><< text >><< text >><% endmacro %><< twice(text) >>"
    )
    assert tex.render(text=r"\input{x} <b>") == r"\textbackslash{}input\{x\} \textless{}b\textgreater{}" * 2
    for template in (html, tex):
        with pytest.raises(UndefinedError, match="text"):
            template.render()


def test_html_allows_its_one_script_by_hash_and_loads_nothing(page: Reader) -> None:
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(html_page.read_asset("report.js").encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_markup_stands_in_templates_alone() -> None:
    """What a page or document looks like is not to be searched for in Python."""
    markup = re.compile(
        r"</?(a|b|i|p|ul|li|td|th|tr|div|span|table|section|details|h[1-6])\b|\\(begin|end|section|multicolumn)\b"
    )
    for path in Path(reports.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not markup.search(node.value), f"{path.name}, line {node.lineno}: {node.value[:80]}"


# --- Markdown


def test_markdown_reads_as_tables_with_nothing_active() -> None:
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    parser.disable("linkify")
    tokens = parser.parse(markdown.render_markdown(report()))
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in [*tokens, *inline]}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}, kinds
    text = "".join(child.content for child in inline if child.type in ("text", "text_special"))
    assert NASTY[0] in text and "=cmd|' /C calc'!A0" in text
    # Every table has as many cells in each row as in its head.
    widths: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            widths.append(0)
        if token.type in ("th_open", "td_open"):
            widths[-1] += 1
        if token.type == "table_close":
            assert len(set(widths)) == 1, widths
            widths = []


@pytest.mark.parametrize("text", [*NASTY, "1. a list", "- a list", "a\n\n# b", "www.example.org", "$$x$$"])
def test_markdown_texts_are_one_line_without_markup(text: str) -> None:
    escaped = markdown.escape_text(text)
    assert "\n" not in escaped
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped)  # without what a backslash makes plain
    assert not re.search(r"[\n|`<>*\[\]$]|://|www\.|^\s*([-+#]|\d+[.)])\s", bare)


@given(st.text(st.sampled_from("""ab1 .)#-+=|`*_[](){}<>&!~$@:/\\"'^\n"""), max_size=12))
def test_markdown_shows_every_text_as_it_is(text: str) -> None:
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False}).disable("linkify")
    flat = " ".join(text.split())
    escaped = markdown.escape_text(text)
    table = f"| x | {escaped} |\n| --- | --- |\n| {escaped} | y |"
    for page, times in ((f"{escaped} (end)", 1), (f"## {escaped}", 1), (f"- {escaped}", 1), (table, 2)):
        tokens = parser.parse(page)
        contents = [
            "".join(part.content for part in token.children or ())
            for token in tokens
            if token.type == "inline"
        ]
        kinds = {part.type for token in tokens for part in token.children or ()}
        assert kinds <= {"text", "text_special"}, page
        if flat:
            assert sum(content.removesuffix(" (end)") == flat for content in contents) == times, page


def test_markdown_escapes_only_what_could_act() -> None:
    assert markdown.escape_text("embedding[length=10]") == r"embedding\[length=10\]"
    assert markdown.escape_text('the authors\' #1: "x = 2^3" (50%!)') == 'the authors\' #1: "x = 2^3" (50%!)'
    assert markdown.escape_text("asks for >= 0") == r"asks for \>= 0"


def test_markdown_code_cannot_be_ended_from_inside() -> None:
    fenced = markdown.fence_code(["a ```` b", "c\n```"])
    assert fenced.splitlines()[0] == fenced.splitlines()[-1] == "`````" and len(fenced.splitlines()) == 4


# --- LaTeX


def test_tex_is_balanced_and_every_row_has_its_cells() -> None:
    text = latex.render_latex(report(), {"figure3": "figures/figure3.pdf"})
    body = text.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for character in body:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    stack = []
    for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if command == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == [] and text.count(r"\end{document}") == 1
    for table in re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        for row in table[1].split(r"\\")[1:-1]:
            if "multicolumn" not in row:
                plain = re.sub(r"\\(top|mid|bottom)rule|\\cmidrule\(lr\)\{[\d-]+\}", "", row)
                assert len(re.findall(r"(?<!\\)&", plain)) == len(table[0]) - 1, row
    assert r"\includegraphics" in text and "55.2 $\\pm$ 0.5" in text


@pytest.mark.parametrize("text", NASTY)
def test_tex_texts_hold_no_command_of_theirs(text: str) -> None:
    escaped = latex.escape_latex(text)
    assert not re.search(r"\\(input|end)(?![a-z])", escaped)
    assert not re.search(r"(?<!\\)[%#&_]", escaped)
    assert not escaped.startswith(("[", "*"))
    # All that pdfLaTeX cannot set is spelled by number.
    assert all(ord(c) < 128 or c in latex.ACCENTED for c in escaped)


# --- CSV


def test_csv_has_one_line_per_number_and_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(output_files.render_text(report(), "csv"))))
    assert rows[0] == list(csv_table.COLUMNS)
    for row in rows:
        for value in row:
            assert not value.startswith(("=", "+", "@", "\t", "\r")), value
            assert not value.startswith("-") or re.fullmatch(r"-[\d.]+(e-?\d+)?", value), value
    line = next(r for r in rows if r[2] == "PREFIX(0.1%)" and r[3] == "WebNLG BLEU A")
    named = dict(zip(rows[0], line, strict=True))
    assert (named["paper"], named["n"], named["verdict"]) == ("55", "3", "reproduced")
    assert float(named["ours"]) == pytest.approx(55.2)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", " =1", "\n=1"])
def test_csv_guards_what_a_spreadsheet_would_evaluate(text: str) -> None:
    assert csv_table.guard_value(text).startswith("'")


def test_csv_numbers_stay_numbers() -> None:
    assert (
        csv_table.guard_value(-1.5) == "-1.5"
        and csv_table.guard_value(None) == ""
        and csv_table.guard_value(3) == "3"
    )


# --- JSON, and all of them without runs


def test_json_is_the_document() -> None:
    read = json.loads(output_files.render_text(report(), "json"))
    assert read["names"] == list(report().names) and len(read["claims"]) == len(report().claims)


@pytest.mark.parametrize("form", output_files.FORMATS)
@pytest.mark.parametrize("paper_only", [True, False])
def test_every_format_works_with_nothing_run(form: str, paper_only: bool) -> None:
    empty = builder.build_report([], ["table2", "figure5", "claims"], paper_only, plan=False)
    text = output_files.render_text(empty, form)
    assert "55.0" in text
    assert ("reproduced" in text) or paper_only or form == "csv"
