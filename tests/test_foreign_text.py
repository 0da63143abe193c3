"""Whatever others wrote: nothing of it acts on a screen, and none of it floods one."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.foreign_text import (
    LOG_LINE_LENGTH,
    MESSAGE_LENGTH,
    MESSAGE_LINES,
    cut_text,
    escape_controls,
    escape_log,
    format_message,
    quote_foreign,
    show_foreign,
)
from bench.system.json_files import to_json

ROOT = Path(__file__).resolve().parents[1]
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of what acts on the text beside it, or is not there to be seen."""
PAYLOADS = {
    "escape sequence": "\x1b[31m",
    "bell": "\x07",
    "C1": "\x9b2J",
    "delete": "\x7f",
    "NUL": "\x00",
    "line break": "\r\n",
    "separator": "\u2028",
    "override": "\u202e",
    "isolate": "\u2066",
    "Arabic mark": "\u061c",
    "zero width": "\u200b",
    "joiner": "\u034f",
    "filler": "\u3164",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad",
    "tag": "\U000e0041",
    "selector": "\U000e0101",
    "half": "\udcff",
    "unassigned": "\U0003ffff",
}
ANY_TEXT = st.text(st.characters(), max_size=60) | st.text(st.sampled_from("".join(PAYLOADS.values()) + "a "))


def list_invisible(text: str, allowed: str = "") -> list[str]:
    return [c for c in text if unicodedata.category(c) in INVISIBLE and c not in allowed]


@given(ANY_TEXT)
def test_no_text_acts_on_a_screen(text: str) -> None:
    assert list_invisible(escape_controls(text)) == []
    assert list_invisible(show_foreign(text, 40)) == []
    assert list_invisible(format_message(text), "\n") == []
    assert list_invisible(escape_log(text), "\n\t") == []


@given(ANY_TEXT, st.integers(40, 200), st.integers(1, 300))
def test_every_text_is_bounded(text: str, limit: int, times: int) -> None:
    text *= times
    assert len(show_foreign(text, limit)) <= limit
    assert len(quote_foreign(text, limit)) <= limit + 2
    assert len(cut_text(text, limit)) <= limit
    message = format_message(text)
    assert len(message) <= MESSAGE_LENGTH and message.count("\n") < MESSAGE_LINES


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    letters = re.sub("[\u115f\u1160\u2800\u3164\uffa0]", "", text)  # which nobody sees
    assert escape_controls(letters) == show_foreign(letters) == escape_log(letters) == letters


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_cannot_be_seen_stands_as_an_escape(payload: str) -> None:
    shown = escape_controls(f"a{payload}b")
    assert re.fullmatch(r"a(\\[nrx\dU][\da-f]*|\\u[\da-f]{4}|\\r\\n)+(\[31m|2J)?b", shown), shown


def test_a_cut_text_has_the_count_of_all_its_characters() -> None:
    assert show_foreign("x" * 5_242_880) == "x" * 56 + "… (5,242,880 characters)"


def test_a_message_keeps_its_end() -> None:
    message = format_message("bench: " + "x" * 5_000_000 + "; type bench list tasks")
    assert message.startswith("bench: xxx") and message.endswith("; type bench list tasks")
    assert "(5,000,030 characters)" in message


def test_a_log_keeps_its_lines_and_shows_every_state_of_a_progress_bar() -> None:
    log = "begin\r\n 10%|#\r 20%|##\r\x1b[2K30%\tdone\n"
    assert escape_log(log) == "begin\n 10%|#\n 20%|##\n\\x1b[2K30%\tdone\n"
    long = escape_log("y" * 5_000_000 + "\nend")
    assert len(long) <= LOG_LINE_LENGTH + 4 and long.endswith("(5,000,000 characters)\nend")


@given(
    st.recursive(
        ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner), max_leaves=5
    )
)
def test_json_spells_what_cannot_be_seen_and_means_the_same(value: object) -> None:
    for indent in (None, 2):
        text = to_json(value, indent)
        assert list_invisible(text, "\n") == []
        assert json.loads(text) == json.loads(json.dumps(value))


# --- one place only

ESCAPING = re.compile(r"\bunicode_escape|unicodedata\.category|x7f-\\x9f|\\u202e")
"""In source text: how an escaper of its own would begin."""


def test_no_module_escapes_on_its_own() -> None:
    modules = [path for folder in ("bench", "reports") for path in (ROOT / folder).rglob("*.py")]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if not path.is_relative_to(ROOT / "bench" / "metrics") and ESCAPING.search(path.read_text())
    }
    assert found <= {"bench/foreign_text.py"}, found


PRINTS = {
    "bench/cli/__init__.py",
    "bench/cli/tables.py",
    "bench/system/progress.py",
    "bench/cluster/job.py",
}
"""The modules that print; every other one hands its text to them."""
TOOLS = {
    "bench/mini/pretrain.py",
    "bench/mini/pretrain_bart.py",
    "reports/judgement/operating_characteristics.py",
    "reports/document/mini_table.py",
}
"""Programs of developers, which print what they computed themselves."""


def prints(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return name in (
        "print",
        "click.echo",
        "click.secho",
        "tqdm.write",
        "sys.stdout.write",
        "sys.stderr.write",
    )


def test_text_is_printed_in_few_places() -> None:
    modules = [
        path
        for folder in ("bench", "reports", "baselines", "tasks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if any(map(prints, ast.walk(ast.parse(path.read_text()))))
    }
    assert found - TOOLS <= PRINTS, found - TOOLS - PRINTS
