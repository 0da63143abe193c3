"""`bench score` as it is typed: its JSON, its files, its mistakes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from replaced_scorers import replace_scorer

from bench import mini
from bench.cli import main
from bench.errors import UnavailableError
from bench.metric import MetricResult
from bench.scoring import evaluation, golden
from bench.system import hub
from bench.system.files import StorageError

ROW = {
    "hyp": "The old bridge was built in 1887 .",
    "refs": ["The old bridge was built in 1887.", "In 1887 the bridge was built."],
}
NAMES = {
    "e2e": ["bleu", "nist", "meteor", "rouge_l", "cider"],
    "webnlg": ["bleu", "meteor", "ter"],
    "dart": ["bleu", "meteor", "ter", "moverscore", "bertscore", "bleurt"],
    "xsum": ["rouge1", "rouge2", "rougeL"],
}


def pairs(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("task", NAMES)
def test_pairs_give_one_json_document(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**ROW, "seen": True}, {**ROW, "hyp": "", "seen": False}, {**ROW, "hyp": "A bridge, é."}]
    path = pairs(tmp_path / "p.jsonl", *rows)
    code, out, err = call(capsys, "score", "--task", task, "--pairs", path, "--json")
    document = json.loads(out)
    assert (code, document["task"], document["n"]) == (0, task, 3), err
    assert set(document["scores"]) == ({"all", "seen", "unseen"} if task == "webnlg" else {"all"})
    assert list(document["scores"]["all"])[: len(NAMES[task])] == NAMES[task]
    for one in document["scores"]["all"].values():
        if one["value"] is None:
            assert one["reason"]
        else:
            assert one["signature"]


def test_values_per_item_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = pairs(tmp_path / "p.jsonl", ROW, ROW), tmp_path / "segments.json"
    words = ("score", "--task", "webnlg", "--pairs", path, "--metric", "ter,meteor", "--segments", out)
    code, text, _ = call(capsys, *words)
    assert code == 0
    assert "metric  all" in text
    found = json.loads(out.read_text())["all"]
    assert set(found) == {"ter_edits", "ter_reflen", "meteor"}
    assert all(len(values) == 2 for values in found.values())


def test_predictions_against_the_tasks_read_task_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("one\ntwo\n")
    words = ("score", "--task", "webnlg", "--predictions", path, "--scale", "mini")
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "has 2 lines and webnlg test (mini) has 140 items" in err
    code, out, err = call(capsys, *words, "--limit", "2", "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("score", "what to score: nothing given; expected one of --pairs"),
        ("score --self-test --run x", "what to score: --run and --self-test given"),
        ("score --pairs nowhere.jsonl", "--pairs needs --task"),
        ("score --task e2e --pairs nowhere.jsonl", "nowhere.jsonl: no such file"),
        ("score --task e2f --pairs nowhere.jsonl", "unknown task 'e2f'; did you mean 'e2e'?"),
        ("score --self-test --task e2f", "unknown task with golden outputs 'e2f'"),
        ("score --self-test --metric no", "no golden outputs"),
    ],
)
def test_a_mistake_is_one_message(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, *words.split())
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_an_unknown_metric_names_the_valid_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pairs(tmp_path / "p.jsonl", ROW)
    code, _, err = call(capsys, "score", "--task", "e2e", "--pairs", path, "--metric", "blue")
    assert code == 2
    assert "unknown metric of e2e 'blue'; did you mean 'bleu'?" in err


def test_hard_texts_lose_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty outputs and references, odd line ends, combining letters, and nothing but punctuation."""
    rows = [
        {"hyp": "", "refs": ["", "x"]},
        {"hyp": "a\r\nb\u2028c\x85d ||| e", "refs": ["a\nb c", ""]},
        {"hyp": "e\u0301te\u0301 \ud83d\ude00 ...", "refs": ["été", "???"]},
        {"hyp": "   ", "refs": ["   ", "x"]},
        {"hyp": "-LRB- £5 `` ''", "refs": ["(£5)"]},
    ]
    for task in ("e2e", "webnlg", "xsum"):
        path = pairs(tmp_path / "p.jsonl", *rows)
        code, out, err = call(capsys, "score", "--task", task, "--pairs", path, "--json")
        assert code == 0, err
        assert all(one["value"] is not None for one in json.loads(out)["scores"]["all"].values()), out


@pytest.mark.parametrize(("task", "refused"), [("e2e", ["meteor"]), ("dart", ["meteor", "ter"])])
def test_an_item_with_blank_references_alone_has_no_meteor_and_no_ter(
    task: str, refused: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pairs(tmp_path / "p.jsonl", ROW, {"hyp": "x", "refs": ["  "]})
    _, out, _ = call(capsys, "score", "--task", task, "--pairs", path, "--json")
    scores = json.loads(out)["scores"]["all"]
    for name in refused:
        assert scores[name]["status"] == "no-references"
        assert scores[name]["reason"] == "no reference for 1 of 2 items (first: 2)"
    assert scores["bleu"]["status"] == "computed"


def test_items_without_references_are_reported_for_every_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pairs(tmp_path / "p.jsonl", ROW, {"hyp": "x", "refs": []})
    code, out, _ = call(capsys, "score", "--task", "e2e", "--pairs", path, "--json")
    assert code == 0
    for one in json.loads(out)["scores"]["all"].values():
        assert one["reason"] == "no reference for 1 of 2 items (first: 2)"


def test_self_test_passes_and_says_from_where_the_values_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = call(capsys, "score", "--self-test")
    assert code == 0, out
    assert "meteor-1.5.jar" in out
    assert "tercom" in out
    assert "failed" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--pairs x --task e2e --limit 1", "--limit means nothing with --pairs; it belongs to --predictions"),
        ("--pairs x --task e2e --split nosuch", "--split means nothing with --pairs"),
        ("--pairs x --task e2e --split test", "--split means nothing with --pairs"),  # the default, typed
        ("--pairs x --task e2e --protocol nosuch", "--protocol means nothing with --pairs"),
        ("--pairs x --task e2e --scale nosuch", "--scale means nothing with --pairs"),
        ("--pairs x --task e2e --data-dir d", "--data-dir means nothing with --pairs"),
        ("--pairs x --task e2e --runs d", "--runs means nothing with --pairs; it belongs to --run"),
        ("--predictions x --task e2e --runs d", "--runs means nothing with --predictions"),
        (
            "--run x --task e2e",
            "--task means nothing with --run; it belongs to --pairs and --predictions and",
        ),
        ("--run x --segments f", "--segments means nothing with --run; it belongs to --pairs and"),
        ("--self-test --segments f", "--segments means nothing with --self-test"),
        ("--self-test --limit 1 --scale mini", "--limit means nothing with --self-test"),
    ],
)
def test_an_option_without_meaning_is_refused(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "score", *words.split())
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_what_the_environment_says_is_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    words = ("score", "--task", "e2e", "--pairs", pairs(tmp_path / "p.jsonl", ROW), "--metric", "bleu")
    assert call(capsys, *words)[0] == 0


def test_metrics_are_named_by_commas_and_by_repetition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("score", "--task", "e2e", "--pairs", pairs(tmp_path / "p.jsonl", ROW), "--json")
    _, commas, _ = call(capsys, *words, "--metric", "bleu, nist,cider")
    code, repeated, _ = call(capsys, *words, "--metric", "bleu", "--metric", "nist,cider")
    assert code == 0
    assert list(json.loads(repeated)["scores"]["all"]) == ["bleu", "nist", "cider"]
    assert repeated == commas


@pytest.mark.parametrize("name", [",", "bleu,,nist", "bleu,"])
@pytest.mark.parametrize("mode", ["--pairs", "--run", "--self-test"])
def test_an_empty_metric_is_refused_with_the_valid_ones(
    mode: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen: dict[str, list[object]] = {
        "--pairs": ["--task", "e2e", "--pairs", pairs(tmp_path / "p.jsonl", ROW)],
        "--run": ["--run", "all"],
        "--self-test": ["--self-test"],
    }
    code, out, err = call(capsys, "score", *chosen[mode], "--metric", name)
    assert (code, out) == (2, "")
    assert f"--metric {name!r}: an empty name. Valid: " in err
    assert "cider" in err


def test_an_unknown_metric_beside_a_known_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "score", "--self-test", "--metric", "bleu,nosuch")
    assert (code, out) == (2, "")
    assert "--metric nosuch: no golden outputs. Valid: bleu, " in err
    code, _, err = call(capsys, "score", "--run", "all", "--metric", "blue")
    assert code == 2
    assert "unknown metric 'blue'; did you mean 'bleu'" in err


def test_a_named_score_that_is_not_computed_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("score", "--task", "dart", "--pairs", pairs(tmp_path / "p.jsonl", ROW), "--json")
    code, out, err = call(capsys, *words, "--metric", "bleu,bertscore,bleurt", "--offline")
    assert code == 1
    assert json.loads(out)["scores"]["all"]["bleu"]["value"] is not None
    assert "dart: not computed: bertscore, bleurt; the reasons are with the scores" in err
    code, _, err = call(capsys, *words)
    assert (code, err) == (0, "")  # nobody named them


def test_outputs_without_any_reference_fail_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = {"hyp": "x", "refs": []}
    words = ("score", "--task", "webnlg", "--pairs", pairs(tmp_path / "p.jsonl", none, none), "--json")
    code, out, err = call(capsys, *words)
    assert code == 1
    assert json.loads(out)["scores"]["all"]["bleu"]["reason"].startswith("no reference for 2 of 2 items")
    assert "webnlg: not computed: bleu, meteor, ter" in err
    pairs(tmp_path / "p.jsonl", ROW, none)
    assert call(capsys, *words, "--metric", "bleu")[0] == 1


def test_a_self_test_that_could_not_test_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError("no weights")

    replace_scorer(monkeypatch, "dart", "ter", absent)
    golden.check_scorer.cache_clear()
    try:
        assert call(capsys, "score", "--self-test", "--task", "dart")[0] == 0
        assert call(capsys, "score", "--self-test", "--task", "dart", "--metric", "ter")[0] == 1
    finally:
        golden.check_scorer.cache_clear()


def test_offline_is_meant_for_scorers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError(f"may download: {hub.downloads_allowed.get()}")

    replace_scorer(monkeypatch, "dart", "bleurt", asked)
    words = ("score", "--task", "dart", "--pairs", pairs(tmp_path / "p.jsonl", ROW), "--metric", "bleurt")
    assert "may download: True" in call(capsys, *words)[1]
    assert "may download: False" in call(capsys, *words, "--offline")[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "folder is a directory; expected a file"),
        ("-", "--segments -: standard output has the scores; expected a file"),
        ("", "--segments was given empty"),
        ("/dev/null", "/dev/null is no plain file"),
        ("/proc/x/y.json", "/proc/x/y.json cannot be written: "),
        ("p.jsonl/deep/y.json", "p.jsonl/deep/y.json cannot be written: "),
        ("x" * 300, ": File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_scoring(
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def scored(*arguments: object) -> None:
        raise AssertionError("scored first")

    monkeypatch.setattr(evaluation, "score_outputs", scored)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    pairs(tmp_path / "p.jsonl", ROW)
    code, out, err = call(capsys, "score", "--task", "e2e", "--pairs", "p.jsonl", "--segments", name)
    assert (code, out) == (2, "")
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "p.jsonl"]


def test_scores_are_shown_before_values_per_item_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, value: object) -> None:
        raise StorageError(f"cannot write {path}: the disk is full")

    monkeypatch.setattr("bench.system.json_files.write_json_atomic", full)
    words = ("score", "--task", "e2e", "--pairs", pairs(tmp_path / "p.jsonl", ROW), "--metric", "bleu")
    code, out, err = call(capsys, *words, "--segments", tmp_path / "s.json", "--json")
    assert code == 1
    assert json.loads(out)["scores"]["all"]["bleu"]["value"] == pytest.approx(100)
    assert "the disk is full" in err


def test_mistakes_suggest_only_what_this_command_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("one\n" * 630)
    words = ("score", "--task", "e2e", "--predictions", path, "--scale", "mini")
    _, _, wrong_split = call(capsys, *words, "--split", "tets")
    assert "unknown split of e2e 'tets'; did you mean 'test'?" in wrong_split
    assert "(--split)" in wrong_split
    (tmp_path / "data").mkdir()
    _, _, no_data = call(capsys, *words, "--data-dir", tmp_path / "data")
    assert "could not be had" in no_data
    assert "BENCH_DATA=DIR" in no_data
    _, _, cut = call(capsys, *words, "--limit", "10")
    assert "has 630 lines and e2e test (mini), cut by --limit 10, has 10 items" in cut
    _, _, whole = call(capsys, *words, "--limit", "100000")
    assert "cut by" not in whole
    monkeypatch.setitem(mini.MINI_ROWS["e2e"], "test", (1, 1))
    _, _, wrong_size = call(capsys, *words)
    assert "expected 1 and 1. A published score is over all of them" in wrong_size
    for said in (wrong_split, no_data, cut, whole, wrong_size):
        assert not any(option in said for option in ("--train-split", "--test-split", "--any-row-count"))


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_dash_is_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pairs(tmp_path / "p.jsonl", ROW, ROW)
    words = ("score", "--task", "e2e", "--metric", "bleu", "--json", "--pairs")
    named = call(capsys, *words, path)
    piped(monkeypatch, path.read_bytes())
    assert call(capsys, *words, "-") == named
    piped(monkeypatch, b"one\ntwo\n")
    words = ("score", "--task", "webnlg", "--scale", "mini", "--limit", "2", "--predictions", "-", "--json")
    code, out, err = call(capsys, *words)
    assert code == 0, err
    assert json.loads(out)["n"] == 2


@pytest.mark.parametrize("option", ["--pairs", "--predictions"])
def test_an_empty_name_is_no_file(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "score", "--task", "e2e", option, "")
    assert (code, out) == (2, "")
    assert f"{option} was given empty ('')" in err
