"""Paths that cannot be: outputs that are inputs, links that lead nowhere, files for folders, names that are none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from inputs import MalformedInput

PROGRAM = Path(__file__).parents[2]
READING = {
    "status": ["status"],
    "watch": ["watch"],
    "list": ["list", "runs"],
    "table": ["list", "runs", "--format", "csv"],
    "claims": ["list", "claims"],
    "report": ["report", "table2", "--format", "md"],
    "search": ["report", "search"],
    "logs": ["logs", "a"],
    "retry": ["retry", "--all"],
    "cancel": ["cancel", "--all"],
    "launch": ["status", "--launch", "latest"],
    "score": ["score", "--run", "all"],
    "export": ["export", "a", "--out", "adapter"],
    "plan": ["plan", "table5"],
}
MAKING = {
    "run": ["run", "--method", "prefix", "--task", "webnlg"],
    "dry-run": ["run", "--method", "prefix", "--task", "webnlg", "--dry-run"],
    "submit": ["submit", "--method", "prefix", "--task", "webnlg", "--cluster", "local"],
}
NO_FOLDERS = {
    "dangling": ("dangling", "dangling is a dangling link: nowhere does not exist"),
    "below-dangling": ("dangling/runs", "dangling is a dangling link: nowhere does not exist"),
    "loop": ("loop", "loop is a link that leads back to itself"),
    "file": ("file", "file is a file, not a directory"),
    "below-file": ("file/runs", "file is a file, not a directory"),
    "pipe": ("pipe", "pipe is a pipe, not a directory"),
    "device": ("/dev/null", "/dev/null is a device, not a directory"),
    "long": ("x" * 300, "File name too long|longer than a path can be"),
    "deep": ("x/" * 3000, "File name too long|longer than a path can be"),
    "nul": ("a\0b", "NUL"),
    "empty": ("", "empty"),
}


def make_places(folder: Path) -> None:
    """What stands in the way, under one name each."""
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "file").write_text("x")
    os.mkfifo(folder / "pipe")


def prepare_places(words: Sequence[str], folder: Path) -> list[str]:
    make_places(folder)
    return list(words)


def prepare_data(words: Sequence[str], folder: Path) -> list[str]:
    (folder / "data" / "e2e").mkdir(parents=True)
    (folder / "also").symlink_to("data")
    return list(words)


def prepare_missing(words: Sequence[str], folder: Path) -> list[str]:
    return [*words, "--runs", str(folder / "missing")]


PAIR = json.dumps({"hyp": "a b c d", "refs": ["a b c d"]}) + "\n"
SPELLINGS: Mapping[str, tuple[str, str]] = {
    "itself": ("pairs.jsonl", "is pairs.jsonl, which this command reads"),
    "dotted": ("./folder/../pairs.jsonl", "is pairs.jsonl, which this command reads"),
    "link": ("soft", "is pairs.jsonl, which this command reads"),
    "link-to-link": ("softer", "is pairs.jsonl, which this command reads"),
    "hard-link": ("hard", "is pairs.jsonl, which this command reads"),
    "through-folder": ("linked/pairs.jsonl", "is pairs.jsonl, which this command reads"),
    "below-input": ("pairs.jsonl/x", "cannot be written: Not a directory"),
    "folder": ("folder", "is a directory; expected a file"),
    "linked-folder": ("linked", "is a directory; expected a file"),
    "dangling": ("dangling", "dangling is a dangling link"),
    "below-dangling": ("dangling/x", "dangling is a dangling link"),
    "loop": ("loop", "leads back to itself"),
    "pipe": ("pipe", "is a pipe"),
    "null": ("/dev/null", "is a device"),
    "full": ("/dev/full", "is a device"),
    "proc": ("/proc/x/y", "cannot be written"),
    "below-file": ("file/x", "cannot be written"),
    "long": ("y" * 300, "File name too long|longer than a path can be"),
    "deep": ("y/" * 3000 + "z", "File name too long|longer than a path can be"),
    "dash": ("-", "standard output has the scores"),
    "nul": ("a\0b", "NUL"),
    "empty": ("", "empty"),
    "program": (str(PROGRAM / "bench" / "cli" / "score.py"), "a part of this program"),
}


def prepare_pairs(segments: str, folder: Path) -> list[str]:
    make_places(folder)
    (folder / "pairs.jsonl").write_text(PAIR)
    (folder / "hard").hardlink_to(folder / "pairs.jsonl")
    (folder / "soft").symlink_to("pairs.jsonl")
    (folder / "softer").symlink_to(folder / "soft")
    (folder / "folder").mkdir()
    (folder / "linked").symlink_to(".")
    pairs = ["--task", "dart", "--pairs", "pairs.jsonl", "--metric", "bleu"]
    return ["score", *pairs, f"--segments={segments}"]


def prepare_predictions(segments: str, folder: Path) -> list[str]:
    data = folder / "data" / "dart"
    data.mkdir(parents=True)
    (data / "references.json").write_text("[]")
    (folder / "also").symlink_to("data")
    (folder / "outputs.txt").write_text("one\n")
    words = ["score", "--task", "dart", "--predictions", "outputs.txt", "--data-dir", "data"]
    return [*words, f"--segments={segments}"]


def make_run(folder: Path) -> None:
    run = folder / "runs" / "webnlg-prefix"
    (run / "records").mkdir(parents=True)
    (run / "scores.json").write_text("{}")
    (folder / "linked").symlink_to("runs")


def prepare_run(words: Sequence[str], folder: Path) -> list[str]:
    make_places(folder)
    make_run(folder)
    (folder / "taken").mkdir()
    return list(words)


OUTPUTS: Mapping[str, tuple[list[str], str]] = {
    "table-in-run": (
        ["list", "runs", "--out", "runs/webnlg-prefix/scores.csv"],
        "lies in runs, which this command reads",
    ),
    "table-over-run-file": (
        ["list", "runs", "--format", "csv", "--out", "linked/webnlg-prefix/scores.json"],
        "lies in runs, which",
    ),
    "table-dangling": (["list", "runs", "--format", "csv", "--out", "dangling"], "dangling link"),
    "table-device": (["list", "runs", "--format", "csv", "--out", "/dev/null"], "is a device"),
    "table-below-file": (["list", "runs", "--out", "file/x.csv"], "cannot be written"),
    "report-is-runs": (["report", "table2", "--out", "runs"], "is runs, which this command reads"),
    "report-in-runs": (["report", "table2", "--out", "runs/page"], "lies in runs, which"),
    "report-in-linked-runs": (["report", "table2", "--out", "linked/page"], "lies in runs, which"),
    "report-dangling": (["report", "table2", "--out", "dangling"], "dangling link"),
    "report-below-dangling": (["report", "table2", "--out", "dangling/x"], "dangling link"),
    "report-loop": (["report", "table2", "--out", "loop"], "leads back to itself"),
    "report-pipe": (["report", "table2", "--out", "pipe"], "is a pipe"),
    "report-empty": (["report", "table2", "--out", ""], "empty"),
    "report-program": (
        ["report", "table2", "--out", str(PROGRAM / "reports")],
        "a part of this program",
    ),
    "export-in-run": (["export", "webnlg", "--out", "runs/webnlg-prefix/adapter"], "lies in runs"),
    "export-in-runs": (["export", "webnlg", "--out", "runs/adapter"], "lies in runs"),
    "export-taken": (["export", "webnlg", "--out", "taken"], "exists already"),
    "export-dangling": (["export", "webnlg", "--out", "dangling"], "exists already"),
    "export-below-dangling": (["export", "webnlg", "--out", "dangling/x"], "dangling link"),
    "export-empty": (["export", "webnlg", "--out", ""], "empty"),
}


def prepare_check(words: Sequence[str], folder: Path) -> list[str]:
    make_places(folder)
    (folder / "data" / "dart").mkdir(parents=True)
    (folder / "packages" / "torch").mkdir(parents=True)
    return ["check", *words]


CHECKS: Mapping[str, tuple[list[str], str]] = {
    "junit-in-data": (["--data-dir", "data", "--junit", "data/check.xml"], "lies in data, which"),
    "junit-dangling": (["--junit", "dangling"], "dangling link"),
    "junit-device": (["--junit", "/dev/null"], "is a device"),
    "junit-loop": (["--junit", "loop"], "leads back to itself"),
    "junit-empty": (["--junit", ""], "empty"),
    "junit-program": (
        ["--junit", str(PROGRAM / "bench" / "errors.py")],
        "a part of this program",
    ),
    "reference-dangling": (["--update", "--reference", "dangling"], "dangling link"),
    "reference-in-data": (
        ["--update", "--data-dir", "data", "--reference", "data/bench_check.json"],
        "lies in data, which",
    ),
}
EXPORTS: Mapping[str, tuple[str, str]] = {
    "dangling": ("dangling", "dangling link"),
    "below-dangling": ("dangling/x", "dangling link"),
    "loop": ("loop", "leads back to itself"),
    "file": ("file", "is a file"),
    "pipe": ("pipe", "is a pipe"),
    "empty": ("", "empty"),
    "program": (str(PROGRAM / "results" / "new"), "a part of this program"),
}

TRAINED = ["--method", "prefix", "--task", "e2e"]
READ = {
    "run-data": ["run", *TRAINED, "--data-dir"],
    "plan-data": ["plan", "table5", "--data-dir"],
    "submit-data": ["submit", *TRAINED, "--cluster", "local", "--data-dir"],
    "stats-data": ["data", "stats", "--task", "e2e", "--data-dir"],
    "verify-data": ["data", "verify", "--task", "e2e", "--data-dir"],
    "prepare-data": ["data", "prepare", "--offline", "--task", "e2e", "--data-dir"],
    "export-data": ["data", "export", "--task", "e2e", "--to", "new", "--data-dir"],
    "report-data": ["report", "table1", "--data-dir"],
    "report-tokenizer": ["report", "table1", "--tokenizer"],
    "check-data": ["check", "--data-dir"],
    "check-packages": ["check", "--update", "--with-packages"],
    "submit-site": ["submit", *TRAINED, "--cluster", "local", "--site"],
    "run-model": ["run", *TRAINED, "--model"],
    "verify-model": ["models", "verify"],
    "count-model": ["list", "methods", "--model"],
    "score-pairs": ["score", "--task", "dart", "--pairs"],
    "score-predictions": ["score", "--task", "dart", "--scale", "mini", "--predictions"],
}


def make_read_inputs() -> list[MalformedInput]:
    """Links that lead nowhere, in the place of what is read."""
    places = {"dangling": "dangling.*dangling link", "dangling/x": "dangling.*(dangling link|missing)"}
    places |= {"loop": "leads back to itself|Too many levels"}
    return [
        MalformedInput(f"{name}-{place}", "path", partial(prepare_places, [*words, f"./{place}"]), expects)
        for name, words in READ.items()
        for place, expects in places.items()
    ]


def make_runs_inputs() -> list[MalformedInput]:
    """Folders of runs that are none, for every verb that has them; a missing one where runs are only read."""
    inputs = [
        MalformedInput(
            f"{verb}-runs-{place}", "path", partial(prepare_places, [*words, f"--runs={path}"]), expects
        )
        for verb, words in {**READING, **MAKING}.items()
        for place, (path, expects) in NO_FOLDERS.items()
    ]
    inputs += [
        MalformedInput(f"{verb}-runs-{name}", "path", partial(prepare_data, [*words, *place]), expects)
        for verb, words in MAKING.items()
        for name, place, expects in (
            ("program", ["--runs", str(PROGRAM / "bench" / "runs")], "a part of this program"),
            ("data", ["--data-dir", "data", "--runs", "data/e2e"], "is data/e2e, which this command reads"),
            ("in-data", ["--data-dir", "data", "--runs", "also/e2e/runs"], "lies in data/e2e, which"),
        )
    ]
    undecodable = "UTF-8"
    inputs += [
        MalformedInput(
            f"{verb}-runs-undecodable",
            "path",
            partial(prepare_places, [*words, "--runs", os.fsdecode(b"\xff\xfe")]),
            undecodable,
        )
        for verb, words in MAKING.items()
    ]
    missing = "missing: no such directory"
    return inputs + [
        MalformedInput(f"{verb}-runs-missing", "path", partial(prepare_missing, words), missing)
        for verb, words in READING.items()
        if verb not in ("report", "search", "plan")  # these have the paper's numbers without a run
    ]


def make_inputs() -> list[MalformedInput]:
    """Every place in every role."""

    def add(name: str, prepare: Callable[[Path], list[str]], expects: str) -> None:
        inputs.append(MalformedInput(name, "path", prepare, expects))

    inputs = make_runs_inputs() + make_read_inputs()
    for name, (segments, expects) in SPELLINGS.items():
        add(f"segments-{name}", partial(prepare_pairs, segments), expects)
    for name in ("data/dart/references.json", "data/dart/new.json", "data/new.json", "also/dart/new.json"):
        add(f"segments-{name}", partial(prepare_predictions, name), "lies in data, which this command reads")
    add("segments-outputs", partial(prepare_predictions, "outputs.txt"), "is outputs.txt, which this command")
    for name, (words, expects) in OUTPUTS.items():
        add(name, partial(prepare_run, [*words, "--runs", "runs"]), expects)
    for name, (words, expects) in CHECKS.items():
        add(name, partial(prepare_check, words), expects)
    for name, (target, expects) in EXPORTS.items():
        words = ["data", "export", "--task", "dart", f"--to={target}"]
        add(f"data-export-{name}", partial(prepare_places, words), expects)
    return inputs


INPUTS = make_inputs()
