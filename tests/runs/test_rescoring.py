"""Scoring stored runs again: without the model or the data, and with the old record kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from replaced_scorers import replace_scorer

from bench.cli import main
from bench.config.request import CommonOptions, expand_requests
from bench.errors import UnavailableError, UserError
from bench.metric import MetricResult
from bench.metrics import bleu
from bench.runs import rescoring, runner
from bench.scoring import golden
from bench.store.run_dir import RunDir
from bench.store.store import Store

QUICK: dict[str, object] = {"limit": 4, "epochs": 1, "batch_size": 2, "max_new_tokens": 6, "device": "cpu"}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    golden.check_scorer.cache_clear()
    yield
    golden.check_scorer.cache_clear()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    runs = tmp_path_factory.mktemp("finished") / "runs"
    common = CommonOptions(model=str(tiny_model), runs=runs, given=QUICK)
    for request in expand_requests(
        methods="prefix[length=2,hidden=4]", tasks="webnlg,e2e", seeds="1", common=common
    ):
        runner.run(request)
    return runs


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Store:
    shutil.copytree(finished, tmp_path / "runs")
    return Store(tmp_path / "runs")


def webnlg(store: Store) -> RunDir:
    [folder] = rescoring.select_runs(store, "webnlg")
    return folder


def renamed(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    found = bleu.score_webnlg(hypotheses, references)
    return replace(found, value=found.value + 1, signature={"another": None})


def test_nothing_is_added_where_nothing_changed(store: Store) -> None:
    folder = webnlg(store)
    assert rescoring.rescore_run(folder).changed == []
    assert len(folder.records()) == 1


def test_a_changed_scorer_gives_a_new_record_beside_the_old(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = webnlg(store)
    (folder.parameters).unlink()  # neither the model nor the parameters are looked at
    replace_scorer(monkeypatch, "webnlg", "bleu", renamed)
    golden.check_scorer.cache_clear()
    outcome = rescoring.rescore_run(folder)
    assert outcome.changed == ["bleu"]
    old, new = folder.records()
    assert new["scores"]["all"]["bleu"]["value"] == old["scores"]["all"]["bleu"]["value"] + 1
    assert outcome.values == {
        "bleu": (old["scores"]["all"]["bleu"]["value"], new["scores"]["all"]["bleu"]["value"])
    }
    assert new["scored"]["replaces_attempt"] == old["attempt"]
    assert new["scores"] == folder.read_scores()
    assert new["scores"]["all"]["bleu"]["gate"].startswith("failed")  # one point too high is seen
    assert "give wrong values for the golden outputs" in capsys.readouterr().err


def test_issuing_the_run_again_scores_again_where_a_scorer_changed(
    store: Store, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_scorer(monkeypatch, "webnlg", "bleu", renamed)
    golden.check_scorer.cache_clear()
    common = CommonOptions(model=str(tiny_model), runs=store.root, given=QUICK)
    [request] = expand_requests(methods="prefix[length=2,hidden=4]", tasks="webnlg", seeds="1", common=common)
    record: Any = runner.run(request)
    assert record["scores"]["all"]["bleu"]["signature"] == "another"
    assert "scoring it again for bleu" in capsys.readouterr().err
    runner.run(request)
    assert "is done already" in capsys.readouterr().err


def test_changed_generations_and_unfinished_runs_are_refused(store: Store) -> None:
    folder = webnlg(store)
    folder.generations.write_text(folder.generations.read_text().replace("}", "} ", 1))
    with pytest.raises(UserError, match=r"generations\.jsonl: is not the file that the stage left; issue"):
        rescoring.rescore_run(folder)
    with pytest.raises(UserError, match="not done"):
        rescoring.rescore_run(store.run("nothing-here"))


def test_runs_are_chosen_by_name_start_or_pattern(store: Store) -> None:
    names = [folder.run_id for folder in store.runs()]
    assert [folder.run_id for folder in rescoring.select_runs(store, "all")] == names
    assert [folder.run_id for folder in rescoring.select_runs(store, "*prefix*")] == names
    assert [folder.run_id for folder in rescoring.select_runs(store, "e2e")] == names[:1]
    with pytest.raises(UserError, match="unknown run 'xsum'"):
        rescoring.select_runs(store, "xsum")
    with pytest.raises(UserError, match="there is no run in"):
        rescoring.select_runs(Store(store.root / "none"), "all")
    with pytest.raises(UserError, match="--run '': an empty name"):
        rescoring.select_runs(store, "")


def test_only_the_named_scores_are_computed_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise AssertionError("was not asked for")

    folder = webnlg(store)
    replace_scorer(monkeypatch, "webnlg", "bleu", renamed)
    replace_scorer(monkeypatch, "webnlg", "meteor", broken)
    words = ["score", "--run", folder.run_id, "--runs", str(store.root), "--json"]
    assert main([*words, "--metric", "ter"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"run": folder.run_id, "changed": [], "values": {}}]
    assert len(folder.records()) == 1
    assert main([*words, "--metric", "ter", "--metric", "bleu"]) == 1  # the gate sees one point too much
    [outcome] = json.loads(capsys.readouterr().out)
    assert outcome["changed"] == ["bleu"]
    old, new = folder.records()
    assert new["scored"]["metrics"] == ["ter", "bleu"]
    for group, scores in old["scores"].items():
        assert list(new["scores"][group]) == list(scores)
        assert new["scores"][group]["meteor"] == scores["meteor"]
    assert new["scores"] == folder.read_scores()


def test_a_named_score_that_cannot_be_had_leaves_the_record(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError("no weights here")

    replace_scorer(monkeypatch, "webnlg", "ter", absent)
    assert main(["score", "--run", "all", "--runs", str(store.root), "--metric", "ter"]) == 1
    said = capsys.readouterr().out
    assert "unknown metric of e2e 'ter'" in said
    assert "ter not computed: no weights here; the record stays as it is" in said
    assert len(webnlg(store).records()) == 1


def test_a_run_without_any_score_fails_the_command(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError("no weights here")

    words = ["score", "--run", "webnlg", "--runs", str(store.root)]
    assert main(words) == 0
    for name in ("bleu", "bleu_no_blank", "meteor", "ter"):
        replace_scorer(monkeypatch, "webnlg", name, absent)
    assert main(words) == 1
    assert "no score: no weights here; the record stays as it is" in capsys.readouterr().out
    assert len(webnlg(store).records()) == 1


def test_a_score_that_cannot_be_had_here_stays_as_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError("no weights here")

    folder = webnlg(store)
    replace_scorer(monkeypatch, "webnlg", "meteor", absent)
    replace_scorer(monkeypatch, "webnlg", "bleu", renamed)
    golden.check_scorer.cache_clear()
    assert rescoring.rescore_run(folder).changed == ["bleu"]
    old, new = folder.records()
    for group, scores in new["scores"].items():
        assert scores["meteor"] == old["scores"][group]["meteor"]
    assert "not computed here, so left as recorded: meteor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ter", "code"),
    [
        ({"value": None, "signature": None, "reason": "no weights here"}, 0),
        ({"value": 0.5, "signature": "s", "gate": "failed: value is 1, expected 2"}, 1),
    ],
)
def test_scores_of_older_versions_have_their_statuses_by_their_words(
    ter: dict[str, object], code: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        raise UnavailableError("no weights here")

    [path] = webnlg(store).path.joinpath("records").glob("*.json")
    record = json.loads(path.read_text())
    for scores in record["scores"].values():
        if scores["ter"]["value"] is not None:  # else a group without items
            scores["ter"] = ter
        for score in scores.values():
            score.pop("status", None)
            score.pop("gate_status", None)
    del record["checksum"]
    (webnlg(store).path / "stages" / "score.json").unlink()  # else the scores are compared with those it left
    path.write_text(json.dumps(record))
    replace_scorer(monkeypatch, "webnlg", "ter", absent)
    assert main(["score", "--run", "webnlg", "--runs", str(store.root)]) == code
    assert len(webnlg(store).records()) == 1
