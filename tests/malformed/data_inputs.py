"""Data files of every task and outputs to be scored, damaged in every way that a file can be."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from inputs import MalformedInput

ENTRY = (
    '<entry category="Airport" eid="Id1" size="1"><modifiedtripleset><mtriple>A | b | C</mtriple>'
    '</modifiedtripleset><lex comment="good" lid="Id1">A bs C.</lex></entry>'
)
HEAD, END = "<benchmark><entries>", "</entries></benchmark>"
XML = HEAD + ENTRY + END
DART = json.dumps([{"tripleset": [["A", "b", "C"]], "annotations": [{"source": "s", "text": "A bs C."}]}])
CSV = 'mr,ref\n"name[A], food[B]","A serves B."\n'
ARTICLES = "".join(
    json.dumps({"id": str(n), "document": "A. B.", "summary": "A."}) + "\n" for n in (101, 102)
)
WEBNLG = "webnlg/webnlg_challenge_2017"
GOOD = {
    "e2e/trainset.csv": CSV,
    "e2e/testset_w_refs.csv": CSV,
    f"{WEBNLG}/train/1triples/1triples_Airport_train_challenge.xml": XML,
    f"{WEBNLG}/test/testdata_with_lex.xml": XML,
    "dart/dart-v1.1.1-full-train.json": DART,
    "dart/dart-v1.1.1-full-test.xml": XML,
    "xsum/train.jsonl": ARTICLES,
    "xsum/test.jsonl": ARTICLES,
}
E2E_TRAIN, E2E_TEST, WEBNLG_TRAIN, WEBNLG_TEST, DART_TRAIN, DART_TEST, XSUM_TRAIN, XSUM_TEST = GOOD
TASKS = {"e2e": (E2E_TRAIN, E2E_TEST), "webnlg": (WEBNLG_TRAIN, WEBNLG_TEST), "dart": (DART_TRAIN, DART_TEST),
         "xsum": (XSUM_TRAIN, XSUM_TEST)}  # fmt: skip
LONG = "x" * 3_000_000
BOMB = '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + HEAD + "&b;" + END
EXTERNAL = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + HEAD + "&a;" + END

ANY: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b" \n\n \r\n", "empty"),
    "byte-order-mark-alone": (b"\xef\xbb\xbf", "empty"),
    "byte-order-mark-and-blanks": (b"\xef\xbb\xbf\n \n", "empty"),
    "plain-nul": (b"a\0b,c\n", "NUL|JSON|XML|well-formed"),
    "only-nul": (b"\0" * 5_000, "NUL|JSON|XML|well-formed"),
    "no-utf-8": (b"caf\xe9,b\n", "line 1.*UTF-8"),
    "utf-16": ("mr,ref\na,b\n".encode("utf-16"), "UTF-8"),
    "executable": (bytes(range(256)) * 20, "NUL|UTF-8"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", r"column|JSON|document type|well-formed"),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "column|JSON|well-formed",
    ),
}
IN_CSV: dict[str, tuple[str, str]] = {
    "header-only": ("mr,ref\n", "no record below the header"),
    "header-and-blank-lines": ("mr,ref\n\n\n", "no record below the header"),
    "no-header": ('"name[A]","A."\n', "no column 'mr'"),
    "column-missing": ("mr,text\na,b\n", "no column 'ref'"),
    "column-twice": ("mr,ref,ref\nname[A],b,c\n", "2 columns named 'ref'"),
    "other-column-twice": ("mr,ref,x,x\nname[A],b,c,d\n", "2 columns named 'x'"),
    "column-twice-in-other-case": ("mr,ref,REF\nname[A],b,c\n", "2 columns named 'ref'"),
    "column-without-name": (",mr,ref\n0,name[A],b\n", "column 1 has no name"),
    "column-of-megabytes": (f"mr,ref,{LONG}\na,b,c\n", "line|column"),
    "field-too-many": ("mr,ref\nname[A],b,c\n", "line 2: 3 columns; expected 2"),
    "field-too-few": ("mr,ref\nname[A]\n", "line 2: 1 columns; expected 2"),
    "later-field-too-few": ("mr,ref\nname[A],b\nname[A]\n", "line 3: 1 columns"),
    "open-quote": ('mr,ref\nname[A],"b\n', "line 2: not CSV"),
    "quote-inside": ('mr,ref\nname[A],"b" c\n', "line 2: not CSV"),
    "field-of-megabytes": (f"mr,ref\nname[A],{LONG}\n", "line 2"),
    "semicolons": ("mr;ref\nname[A];b\n", "no column 'mr'"),
    "tabs": ("mr\tref\nname[A]\tb\n", "no column 'mr'"),
    "blank-text": ("mr,ref\nname[A],\n", "line 2: 'ref' is empty"),
    "blank-record": ("mr,ref\n,b\n", "line 2: 'mr' is empty"),
    "no-meaning": ("mr,ref\nname,b\n", "line 2.*meaning representation"),
    "open-bracket": ("mr,ref\nname[A,b\n", "line 2"),
    "escape-in-header": ("mr,\x1b[31mref\na,b\n", "no column 'ref'"),
    "line-break-in-header": ('mr,"re\nf"\na,b\n', "no column 'ref'"),
    "overrides-in-record": ("mr,ref\n\u202eemag,b\n", r"\\u202e"),
}
IN_XML: dict[str, tuple[str, str]] = {
    "no-entry": (HEAD + END, "no <entry>"),
    "another-root": ("<html><body/></html>", "no <entry> in <html>"),
    "cut": (XML[:-12], "not well-formed"),
    "cut-inside-a-tag": (XML[:40], "not well-formed"),
    "no-xml": ("hello", "not well-formed"),
    "bomb": (BOMB, "document type or entities"),
    "external-entity": (EXTERNAL, "document type or entities"),
    "document-type": ("<!DOCTYPE benchmark>" + XML, "document type or entities"),
    "latin-1-declared": (
        '<?xml version="1.0" encoding="latin-1"?>' + XML,
        "encoding 'latin-1'; expected UTF-8",
    ),
    "unknown-encoding": ('<?xml version="1.0" encoding="none-such"?>' + XML, "encoding 'none-such'"),
    "utf-16-declared": ('<?xml version="1.0" encoding="utf-16"?>' + XML, "encoding 'utf-16'"),
    "no-eid": (XML.replace(' eid="Id1"', ""), "entry 1: no eid"),
    "empty-eid": (XML.replace('"Id1" size', '"" size'), "entry 1: no eid"),
    "eid-of-megabytes": (XML.replace('eid="Id1"', f'eid="{LONG}"'), "eid has 3,000,000 characters"),
    "eid-twice": (HEAD + ENTRY + ENTRY + END, "a second entry with that eid"),
    "category-of-megabytes": (XML.replace('"Airport"', f'"{LONG}"'), "3,000,000 characters"),
    "no-triples": (XML.replace("<mtriple>A | b | C</mtriple>", ""), "no triples"),
    "empty-triple": (XML.replace("A | b | C", " "), "a triple is empty"),
    "triple-of-two": (XML.replace("A | b | C", "A | b"), "1 separators"),
    "triple-of-four": (XML.replace("A | b | C", "A | b | C | d"), "3 separators"),
    "triple-of-megabytes": (XML.replace("A | b | C", LONG), "characters"),
    "other-triples": (
        XML.replace("mtriple", "otriple").replace("modifiedtripleset", "originaltripleset"),
        "otriple.*3.0",
    ),
    "other-triples-in-place": (XML.replace("mtriple>", "otriple>"), "otriple.*3.0"),
    "another-element-among-triples": (XML.replace("<mtriple>A", "<x/><mtriple>A"), "a <x> among the triples"),
    "two-sets": (XML.replace("<lex", "<modifiedtripleset/><lex"), "2 <modifiedtripleset>"),
    "size-unlike-triples": (XML.replace('size="1"', 'size="2"'), "1 triples; expected as many as its size"),
    "element-in-triple": (XML.replace("A | b", "<b>A</b> | b"), "holds the element <b>"),
    "element-in-text": (XML.replace("A bs C.", "A <b>bs</b> C."), "a <lex> holds the element <b>"),
    "element-in-text-with-escape": (XML.replace("A bs C.", "A <b\u202e/> C."), "not well-formed|u202e"),
    "no-text": (XML.replace('<lex comment="good" lid="Id1">A bs C.</lex>', ""), "no text"),
    "empty-text": (XML.replace("A bs C.", ""), "no text|is empty"),
    "text-of-megabytes": (XML.replace("A bs C.", LONG), "3,000,000 characters"),
    "nul-entity": (XML.replace("A bs C.", "A &#0; C."), "not well-formed"),
    "half-a-character-entity": (XML.replace("A bs C.", "A &#xD800; C."), "not well-formed|surrogate"),
    "unknown-entity": (XML.replace("A bs C.", "A &nbsp; C."), "not well-formed|entities"),
    "attribute-twice": (XML.replace('eid="Id1"', 'eid="Id1" eid="Id2"'), "not well-formed"),
    "deep": ("<a>" * 20_000 + "</a>" * 20_000, "no <entry>|deep|well-formed"),
}
IN_JSON: dict[str, tuple[str, str]] = {
    "cut": (DART[:-9], "expected one JSON document"),
    "name-twice": (
        DART.replace('{"tripleset"', '{"tripleset": [], "tripleset"'),
        '"tripleset" is given twice',
    ),
    "inner-name-twice": (
        DART.replace('"source": "s"', '"source": "s", "source": "t"'),
        '"source" is given twice',
    ),
    "nan": ("[NaN]", "NaN"),
    "infinite": ("[1e999]", "1e999"),
    "half-a-character": (DART.replace("A bs", "\\ud800"), "surrogate"),
    "nul": (DART.replace("A bs", "\\u0000"), "NUL"),
    "deep": ("[" * 100_000, "deep"),
    "long-integer": ("[" + "9" * 5_000 + "]", "digits"),
    "number": ("5", "expected"),
    "empty-list": ("[]", "expected|empty"),
    "object": ("{}", "expected|empty"),
    "text-entry": ('["a"]', "entry 1: a str"),
    "no-triples": (DART.replace('"tripleset"', '"triples"'), "'tripleset' is missing"),
    "triples-text": ('[{"tripleset": "a", "annotations": []}]', "'tripleset' is of type str"),
    "triple-of-two": (DART.replace('["A", "b", "C"]', '["A", "b"]'), "triple"),
    "triple-number": (DART.replace('"C"', "5"), "triple|text"),
    "no-annotations": (DART.replace('"annotations"', '"texts"'), "'annotations' is missing"),
    "annotation-text": ('[{"tripleset": [["A", "b", "C"]], "annotations": ["x"]}]', "annotation"),
    "text-number": (DART.replace('"A bs C."', "5"), "text"),
    "text-of-megabytes": (DART.replace("A bs C.", LONG), "3,000,000 characters"),
}
ROW = ARTICLES.splitlines()[0]
IN_ROWS: dict[str, tuple[str, str]] = {
    "name-twice": (ROW.replace('{"id"', '{"id": "1", "id"'), '"id" is given twice'),
    "cut": (ROW[:-9], "line 1"),
    "second-line-cut": (f"{ROW}\n{ROW[:-9]}", "line 2"),
    "nan": ('{"id": NaN}', "NaN"),
    "half-a-character": (ROW.replace("A.", "\\ud800"), "surrogate"),
    "nul": (ROW.replace("A.", "\\u0000"), "NUL"),
    "list": ("[1]", "expected the columns"),
    "no-id": (ROW.replace('"id"', '"ID"'), "expected the columns document, summary, id"),
    "no-document": (ROW.replace('"document"', '"article"'), "expected the columns"),
    "id-twice": (f"{ROW}\n{ROW}", "a second article with id 101"),
    "id-long": (ROW.replace("101", "1" * 300), "'id' has 300 characters"),
    "id-empty": (ROW.replace("101", ""), "'id' is empty"),
    "id-list": (ROW.replace('"101"', "[]"), "'id' is of type list"),
    "document-number": (ROW.replace('"A. B."', "5"), "'document' is of type int"),
    "document-of-megabytes": (ROW.replace("A. B.", LONG), "3,000,000 characters"),
    "deep": ("[" * 100_000, "deep"),
    "one-array": (f"[{ROW}]", "expected the columns"),
}
PAIR = '{"hyp": "A.", "refs": ["A."]}'
IN_PAIRS: dict[str, tuple[str, str]] = {
    "cut": (PAIR[:-3], "line 1"),
    "name-twice": (PAIR.replace('{"hyp"', '{"hyp": "B", "hyp"'), '"hyp" is given twice'),
    "half-a-character": (PAIR.replace("A.", "\\ud800"), "surrogate"),
    "nul": (PAIR.replace("A.", "\\u0000"), "NUL"),
    "list": ("[]", "expected an object"),
    "text": ('"A"', "expected an object"),
    "no-output": ('{"refs": ["A."]}', '"hyp" must be a text'),
    "output-number": (PAIR.replace('"A.",', "5,"), '"hyp" must be a text'),
    "output-null": (PAIR.replace('"A.",', "null,"), '"hyp" must be a text'),
    "no-references": ('{"hyp": "A."}', '"refs" must be a list'),
    "references-text": ('{"hyp": "A.", "refs": "A."}', '"refs" must be a list'),
    "reference-number": ('{"hyp": "A.", "refs": [5]}', '"refs" must be a list'),
    "output-of-megabytes": (PAIR.replace("A.", LONG), "3,000,000 characters"),
    "seen-text": (PAIR.replace("}", ', "seen": "yes"}'), '"seen" must be true or false'),
    "category-number": (PAIR.replace("}", ', "category": 5}'), '"category" must be a text'),
    "category-unknown": (PAIR.replace("}", ', "category": "Nobody"}'), "Nobody"),
    "category-of-megabytes": (PAIR.replace("}", f', "category": "{LONG}"}}'), "categor"),
    "category-escape": (PAIR.replace("}", ', "category": "\\u001b[31m"}'), r"\\x1b"),
    "seen-unlike-category": (
        PAIR.replace("}", ', "seen": true, "category": "Artist"}'),
        "expected one of the two",
    ),
}


def write_good_files(folder: Path, task: str) -> None:
    for name in TASKS[task]:
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD[name], encoding="utf-8")


def make_words(task: str, name: str) -> list[str]:
    """A command that reads the file: a run its training split, scores their references."""
    if name == TASKS[task][0]:
        words = [
            "run",
            "--method",
            "prefix",
            "--task",
            task,
            "--any-row-count",
            "--dry-run",
            "--runs",
            "runs",
        ]
    else:
        words = ["-q", "score", "--task", task, "--predictions", "outputs.txt"]
    return [*words, "--data-dir", "data", "--offline"]


def prepare_content(task: str, name: str, content: bytes, folder: Path) -> list[str]:
    return prepare_damage(task, name, lambda path: path.write_bytes(content) and None, folder)


def prepare_damage(task: str, name: str, damage: Callable[[Path], object], folder: Path) -> list[str]:
    write_good_files(folder, task)
    (folder / "outputs.txt").write_text("A.\n")
    path = folder / "data" / name
    path.unlink()
    damage(path)
    return make_words(task, name)


def prepare_pairs(name: str, content: bytes, folder: Path) -> list[str]:
    (folder / name).write_bytes(content)
    return ["score", "--task", "webnlg", "--metric", "bleu", "--pairs", name]


def prepare_predictions(content: bytes, folder: Path) -> list[str]:
    (folder / "outputs.txt").write_bytes(content)
    return ["score", "--task", "e2e", "--scale", "mini", "--metric", "bleu", "--predictions", "outputs.txt"]


def make_link(path: Path, target: str) -> None:
    path.symlink_to(target)


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "directory"),
    "pipe": (os.mkfifo, "pipe"),
    "zeros": (partial(make_link, target="/dev/zero"), "device"),
    "nothing": (partial(make_link, target="/dev/null"), "device"),
    "dangling": (partial(make_link, target="nowhere"), "dangling"),
    "circle": (lambda path: path.symlink_to(path.name), "leads back to itself|levels of symbolic links"),
    "missing": (lambda path: None, "lacks|could not be had|no "),
}


def make_contents() -> Iterator[tuple[str, str, str, bytes, str]]:
    """Task, file, name of the damage, content, what the message must say."""
    for task, names in TASKS.items():
        for name in names:
            for label, (content, expects) in ANY.items():
                yield task, name, label, content, expects
    for task, name, table in (
        ("e2e", E2E_TRAIN, IN_CSV), ("e2e", E2E_TEST, IN_CSV), ("webnlg", WEBNLG_TRAIN, IN_XML),
        ("webnlg", WEBNLG_TEST, IN_XML), ("dart", DART_TEST, IN_XML), ("dart", DART_TRAIN, IN_JSON),
        ("xsum", XSUM_TRAIN, IN_ROWS), ("xsum", XSUM_TEST, IN_ROWS),
    ):  # fmt: skip
        for label, (text, expects) in table.items():
            yield task, name, label, text.encode(), expects


def prepare_xsum_layout(files: dict[str, bytes], folder: Path) -> list[str]:
    for name, content in files.items():
        path = folder / "data" / "xsum" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "outputs.txt").write_text("A.\n")
    return make_words("xsum", XSUM_TEST)


def list_ids(name: str) -> bytes:
    return json.dumps({split: [name] for split in ("train", "validation", "test")}).encode()


SPLIT_FILE = "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
WHOLE = gzip.compress(ARTICLES.encode(), mtime=0)
XSUM_LAYOUTS: dict[str, tuple[dict[str, bytes], str]] = {
    "source-and-target": (
        {"test.source": b"A\n", "test.target": b"A\n"},
        r"test\.source and test\.target.*no ids",
    ),
    "gzip-cut": ({"test.jsonl.gz": WHOLE[:-9]}, "not a whole gzip file"),
    "no-gzip": ({"test.jsonl.gz": ARTICLES.encode()}, "not a whole gzip file"),
    "gzip-of-nothing": ({"test.jsonl.gz": gzip.compress(b"")}, "empty"),
    "gzip-bomb": ({"test.jsonl.gz": gzip.compress(b"a" * 60_000_000)}, "bytes; expected|more than"),
    "csv-without-id": ({"test.csv": b"document,summary\na,b\n"}, "no column 'id'"),
    "csv-header-only": ({"test.csv": b"document,summary,id\n"}, "no record below the header"),
    "csv-open-quote": ({"test.csv": b'document,summary,id\n"a,b,1\n'}, "not CSV"),
    "parquet-of-text": ({"test.parquet": b"hello"}, "parquet"),
    "parquet-cut": ({"test.parquet": b"PAR1" + b"\0" * 50}, "parquet"),
    "arrow-of-text": ({"test/data-00000-of-00001.arrow": b"hello world"}, "arrow"),
    "part-missing": ({"test-00000-of-00002.parquet": b"PAR1"}, "of 2 parts|parquet"),
    "id-long": (
        {SPLIT_FILE: list_ids("1" * 300), "bbc-summary-data/1.summary": b""},
        "is no id of an article",
    ),
    "id-is-a-path": (
        {SPLIT_FILE: list_ids("../x"), "bbc-summary-data/1.summary": b""},
        "is no id of an article",
    ),
    "ids-nan": ({SPLIT_FILE: b'{"test": NaN}', "bbc-summary-data/1.summary": b""}, "NaN"),
    "sections-missing": (
        {SPLIT_FILE: list_ids("1"), "bbc-summary-data/1.summary": b"[SN]URL[SN]"},
        "of 4 sections",
    ),
}
PREDICTIONS: dict[str, tuple[bytes, str]] = {
    "none": (b"", "0|empty|no "),
    "too-many": (b"a\nb\n", "2"),
    "no-utf-8": (b"caf\xe9\n", "line 1.*UTF-8"),
    "nul": (b"a\0b\n", "line 1.*NUL"),
    "line-of-megabytes": (LONG.encode() + b"\n", "3,000,000 characters"),
}

INPUTS = [
    *(
        MalformedInput(
            f"{Path(name).name}-{label}", "data", partial(prepare_content, task, name, content), expects
        )
        for task, name, label, content, expects in make_contents()
    ),
    *(
        MalformedInput(
            f"{Path(name).name}-{label}", "data", partial(prepare_damage, task, name, damage), expects
        )
        for task, names in TASKS.items()
        for name in names
        for label, (damage, expects) in SPECIAL.items()
    ),
    *(
        MalformedInput(f"pairs-{label}", "data", partial(prepare_pairs, "p.jsonl", text.encode()), expects)
        for label, (text, expects) in IN_PAIRS.items()
    ),
    *(
        MalformedInput(
            f"zipped-pairs-{label}", "data", partial(prepare_pairs, "p.jsonl.gz", content), expects
        )
        for label, content, expects in (
            ("cut", gzip.compress(PAIR.encode())[:-6], "not a whole gzip file"),
            ("no-gzip", PAIR.encode(), "not a whole gzip file"),
            ("bomb", gzip.compress(b"a" * 60_000_000), "more than"),
            ("nothing", gzip.compress(b""), "empty"),
        )
    ),
    *(
        MalformedInput(f"predictions-{label}", "data", partial(prepare_predictions, content), expects)
        for label, (content, expects) in PREDICTIONS.items()
    ),
    *(
        MalformedInput(f"xsum-{label}", "data", partial(prepare_xsum_layout, files), expects)
        for label, (files, expects) in XSUM_LAYOUTS.items()
    ),
]
