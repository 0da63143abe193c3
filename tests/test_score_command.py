"""`bench score` as it is typed: its JSON, its files, its mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main

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


def test_predictions_against_the_tasks_own_references(
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
        {"hyp": "", "refs": [""]},
        {"hyp": "a\r\nb\x00\u2028c\x85d ||| e", "refs": ["a\nb c", ""]},
        {"hyp": "e\u0301te\u0301 \ud83d\ude00 ...", "refs": ["été", "???"]},
        {"hyp": "   ", "refs": ["   ", "x"]},
        {"hyp": "-LRB- £5 `` ''", "refs": ["(£5)"]},
    ]
    for task in ("e2e", "webnlg", "xsum"):
        path = pairs(tmp_path / "p.jsonl", *rows)
        code, out, err = call(capsys, "score", "--task", task, "--pairs", path, "--json")
        assert code == 0, err
        assert all(one["value"] is not None for one in json.loads(out)["scores"]["all"].values()), out


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
