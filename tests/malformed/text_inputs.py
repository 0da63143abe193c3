"""Texts that attack a terminal or flood it, wherever a message repeats what it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from inputs import MalformedInput

TEXTS = {
    "escape-sequences": "\x1b]0;owned\x07\x1b[2J\x9b31mred",
    "overrides": "\u202egnp.exe\u2066\u200b\u061c\ufeff\u3164",
    "line-breaks": "a\r\nforged\u2028forged\nforged\x85\nforged",
    "half-a-character": "\udcff",
    "megabytes": "x" * 5_000_000,
}
ARGUMENTS: dict[str, list[str]] = {
    "verb": ["{}"],
    "option": ["status", "--{}"],
    "list": ["list", "{}"],
    "list-format": ["list", "runs", "--format", "{}"],
    "experiment": ["run", "{}"],
    "claim": ["plan", "{}"],
    "report": ["report", "{}"],
    "report-format": ["report", "--format", "{}"],
    "task": ["run", "--method", "prefix", "--task", "{}"],
    "method": ["run", "--task", "webnlg", "--method", "{}"],
    "method-option": ["run", "--task", "webnlg", "--method", "prefix[{}=1]"],
    "option-value": ["run", "--task", "webnlg", "--method", "prefix[length={}]"],
    "model": ["run", "--task", "webnlg", "--method", "prefix", "--model", "{}"],
    "model-path": ["run", "--task", "webnlg", "--method", "prefix", "--model", "./{}"],
    "scale": ["run", "--task", "webnlg", "--method", "prefix", "--scale", "{}"],
    "protocol": ["run", "--task", "webnlg", "--method", "prefix", "--protocol", "{}"],
    "seed": ["run", "--task", "webnlg", "--method", "prefix", "--seed", "{}"],
    "learning-rate": ["run", "--task", "webnlg", "--method", "prefix", "--lr", "{}"],
    "data-folder": ["run", "--task", "webnlg", "--method", "prefix", "--data-dir", "{}"],
    "pairs-file": ["score", "--task", "dart", "--pairs", "{}"],
    "predictions-file": ["score", "--task", "dart", "--offline", "--predictions", "{}"],
    "metric": ["score", "--task", "dart", "--self-test", "--metric", "{}"],
    "stored-run": ["score", "--run", "{}"],
    "log": ["logs", "{}"],
    "launch": ["status", "--launch", "{}"],
    "state": ["status", "--state", "{}"],
    "cluster": ["submit", "--task", "webnlg", "--method", "prefix", "--cluster", "{}"],
    "site": ["submit", "--task", "webnlg", "--method", "prefix", "--site", "{}"],
    "time": ["submit", "--task", "webnlg", "--method", "prefix", "--time", "{}"],
    "data-task": ["data", "stats", "--task", "{}"],
    "stats-folder": ["data", "stats", "--task", "webnlg", "--data-dir", "{}"],
    "verify-folder": ["data", "verify", "--task", "webnlg", "--data-dir", "{}"],
    "check-folder": ["check", "--data-dir", "{}"],
    "junit-file": ["check", "--junit", "none/{}"],
    "reference-file": ["check", "--update", "--reference", "none/{}"],
    "segments-file": ["score", "--task", "dart", "--pairs", "none", "--segments", "none/{}/"],
    "tokenizer": ["report", "table1", "--format", "md", "--tokenizer", "none/{}"],
    "scored-run": ["score", "--run", "x", "--runs", "{}"],
    "logged-run": ["logs", "x", "--runs", "{}"],
    "listed-runs": ["list", "runs", "--format", "md", "--out", "/proc/{}"],
    "shown-run": ["status", "--task", "{}"],
    "cancelled-run": ["cancel", "{}"],
    "retried-run": ["retry", "{}"],
    "verified-model": ["models", "verify", "{}"],
    "checked-case": ["check", "--only", "{}"],
    "exported-run": ["export", "{}", "--out", "out"],
    "export-target": ["export", "run", "--to", "{}", "--out", "out"],
}
ARGUMENT = "bench: .*"


def fill_words(words: list[str], text: str, folder: Path) -> list[str]:
    return [word.replace("{}", text) for word in words]


def write_pairs(line: Callable[[str], object], text: str, folder: Path) -> list[str]:
    (folder / "pairs.jsonl").write_text(json.dumps(line(text)) + "\n")
    return ["score", "--task", "webnlg", "--metric", "bleu", "--pairs", "pairs.jsonl"]


PAIRS: dict[str, Callable[[str], object]] = {
    "name": lambda text: {"hyp": "a", text: ["a"]},
    "category": lambda text: {"hyp": "a", "refs": ["a"], "category": text},
    "type": lambda text: {"hyp": ["a", text], "refs": ["a"]},
    "reference": lambda text: {"hyp": "a", "refs": [{text: text}]},
    "document": lambda text: text,
    "list": lambda text: [text],
}


def write_webnlg(entry: str, text: str, folder: Path) -> list[str]:
    place = folder / "data" / "webnlg" / "webnlg_challenge_2017" / "test"
    place.mkdir(parents=True)
    numbered = "".join(f"&#{ord(character)};" for character in text) if len(text) < 99 else text
    content = f"<benchmark><entries>{entry.replace('{}', numbered)}</entries></benchmark>"
    (place / "testdata_with_lex.xml").write_text(content)
    (folder / "outputs.txt").write_text("an output\n")
    return [
        "score",
        "--task",
        "webnlg",
        "--predictions",
        "outputs.txt",
        "--data-dir",
        "data",
        "--metric",
        "bleu",
    ]


TRIPLES = "<modifiedtripleset><mtriple>a | b | c</mtriple></modifiedtripleset><lex>a b c</lex>"
XML = {
    "category": '<entry category="{}" eid="Id1" size="1">' + TRIPLES + "</entry>",
    "identifier": '<entry category="Airport" eid="{}" size="1"></entry>',
    "triple": '<entry category="Airport" eid="Id1" size="1"><modifiedtripleset><mtriple>{}</mtriple>'
    "</modifiedtripleset><lex>a</lex></entry>",
    "attribute": '<entry category="{}" eid="{}" size="{}"></entry>',
}
IN_XML = {name: text for name, text in TEXTS.items() if name in ("overrides", "line-breaks", "megabytes")}
"""XML has no other control characters."""


def write_header(text: str, folder: Path) -> list[str]:
    (folder / "data" / "e2e").mkdir(parents=True)
    for name in ("trainset", "devset", "testset_w_refs", "testset"):
        header = f'"{text}","{text}2"\n'
        (folder / "data" / "e2e" / f"{name}.csv").write_text(header + "a,b\n", newline="")
    (folder / "outputs.txt").write_text("an output\n")
    return [
        "score",
        "--task",
        "e2e",
        "--predictions",
        "outputs.txt",
        "--data-dir",
        "data",
        "--metric",
        "bleu",
    ]


def write_site(content: str, text: str, folder: Path) -> list[str]:
    (folder / "site.toml").write_text(content.replace("{}", json.dumps(text)[1:-1].replace("\x7f", "")))
    return ["submit", "--task", "webnlg", "--method", "prefix", "--site", "site.toml", "--cluster", "local"]


SITES = {"key": '"{}" = 1\n', "value": 'time = "{}"\n'}
WRITABLE = {name: text for name, text in TEXTS.items() if name != "half-a-character"}

INPUTS = [
    *(
        MalformedInput(f"{name}-{kind}", "text", partial(fill_words, words, text), ARGUMENT)
        for name, words in ARGUMENTS.items()
        for kind, text in TEXTS.items()
    ),
    *(
        MalformedInput(f"pairs-{name}-{kind}", "text", partial(write_pairs, line, text), "pairs.jsonl")
        for name, line in PAIRS.items()
        for kind, text in TEXTS.items()
    ),
    *(
        MalformedInput(
            f"xml-{name}-{kind}", "text", partial(write_webnlg, entry, text), "testdata_with_lex.xml"
        )
        for name, entry in XML.items()
        for kind, text in IN_XML.items()
    ),
    *(
        MalformedInput(f"header-{kind}", "text", partial(write_header, text), r"testset\w*.csv")
        for kind, text in WRITABLE.items()
    ),
    *(
        MalformedInput(f"site-{name}-{kind}", "text", partial(write_site, content, text), "site.toml")
        for name, content in SITES.items()
        for kind, text in WRITABLE.items()
    ),
]
