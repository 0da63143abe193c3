"""A search's report: who wins on dev, whether it is the usual setting, and what is not said before all is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import UserError
from bench.experiments.expansion import expand_experiments
from bench.store.record import make_excerpt
from reports.document.search import SearchedRun, SearchResult, build_search, rank_runs
from reports.records.grouping import DecidingFact
from reports.render.search_text import render_search


def make_records(losses: dict[tuple[int, float, int], float], scale: str = "mini", **more: Any) -> list[Any]:
    """Records of the search's runs: (length, lr, epochs) -> dev loss; BLEU falls where the loss rises."""
    records = []
    for run in expand_experiments("search", scale).runs:
        assert run.request is not None and run.resolved is not None
        settings = {name: entry.to_json() for name, entry in run.resolved.settings.items()}
        options = {name: entry.to_json() for name, entry in run.resolved.options.items()}
        length = options.get("length", {"value": 0})["value"]
        values = (length, settings["lr"]["value"], settings["epochs"]["value"])
        if run.prescribed.method != "prefix" or run.prescribed.task != "webnlg" or values not in losses:
            continue
        loss = losses[values]
        document = {
            "format": 1, "attempt": 1, "recorded": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:00:00+00:00",
            "run_id": f"run-{length}-{values[1]}-{values[2]}", "status": "done", "task": "webnlg", "method": "prefix",
            "model": run.prescribed.model, "scale": scale, "protocol": "original", "seed": run.prescribed.seed,
            "options": options, "settings": settings, "experiment": "search",
            "model_fingerprint": "m", "data_fingerprint": "d", "code": {"commit": "c"},
            "training": {"updates": 1, "rows": 1, "seconds": 1, "best_dev_loss": loss},
            "parameters": {"trained": 1, "stored": 1, "backbone": 1},
            "scores": {"all": {"bleu": {"value": 50 - loss, "status": "computed", "signature": "s"}}},
            **more,
        }  # fmt: skip
        records.append(make_excerpt(document))
    return records


ALL = {
    (length, lr, epochs): 1.0 + length / 100 + abs(lr - 2e-3) + 1 / epochs
    for length in (5, 10)
    for lr in (5e-4, 2e-3)
    for epochs in (2, 4)
}


def get_mini(results: list[SearchResult]) -> SearchResult:
    [result] = [result for result in results if result.scale == "mini"]
    return result


def test_the_lowest_dev_loss_wins_and_the_usual_setting_has_its_place() -> None:
    result = get_mini(build_search("search", make_records(ALL)))
    assert (result.planned, result.done, result.complete, result.alike) == (8, 8, True, True)
    assert result.usual == {"length": 10, "lr": 2e-3, "epochs": 4}
    loss, score = result.standings
    assert loss.winner.values == score.winner.values == {"length": 5, "lr": 2e-3, "epochs": 4}
    assert loss.usual_rank == 3
    assert loss.usual_value == ALL[(10, 2e-3, 4)]
    text = render_search([result])
    assert (
        "- dev loss: length 5, lr 0.002, epochs 4 wins (1.3000); not that of mini's defaults "
        "(length 10, lr 0.002, epochs 4), which is number 3 (1.3500)."
    ) in text
    assert "says nothing of the paper" in text


def test_the_usual_setting_can_win() -> None:
    better = {**ALL, (10, 2e-3, 4): 0.5}
    result = get_mini(build_search("search", make_records(better)))
    assert result.standings[0].usual_rank == 1
    assert (
        "dev loss: length 10, lr 0.002, epochs 4 wins (0.5000); this is the setting of mini's defaults."
        in (render_search([result]))
    )


def test_no_winner_is_called_before_every_run_is_done() -> None:
    part = {values: loss for values, loss in ALL.items() if values[1] == 5e-4}
    result = get_mini(build_search("search", make_records(part)))
    assert (result.done, result.complete) == (4, False)
    assert result.standings[0].usual_rank is None
    text = render_search([result])
    assert "4 of 8 runs are done" in text and "no winner yet" in text and "whose run is not done" in text
    assert " wins " not in text


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"model_fingerprint": "another"}, DecidingFact.WEIGHTS),
        ({"code": {"commit": "b" * 40}}, DecidingFact.CODE),
        ({"packages": {"torch": "2.12.0"}}, DecidingFact.PACKAGES),
    ],
)
def test_runs_that_differ_in_more_than_settings_are_said_to(
    changes: dict[str, Any], fact: DecidingFact
) -> None:
    first, others = make_records(ALL)[:4], make_records(ALL, **changes)[4:]
    result = get_mini(build_search("search", [*first, *others]))
    assert result.differing == (fact,) and not result.alike
    assert f"differ in {fact}: their order may be due to that" in render_search([result])


def test_nothing_counts_at_scale_paper_that_is_not_comparable() -> None:
    values = {(5, 5e-5, 5): 1.0}
    records = make_records(values, "paper", incomparable=[{"kind": "backbone", "text": "other weights"}])
    [result] = [
        one for one in build_search("search", records) if (one.task, one.method) == ("webnlg", "prefix")
    ]
    assert (result.done, result.left_out, result.standings) == (0, 1, ())
    assert result.usual == {"length": 5, "lr": 5e-5, "epochs": 5}


def test_every_row_of_table_6_is_on_the_papers_grid() -> None:
    results = build_search("search", [])
    assert {result.scale for result in results} == {"paper"}
    assert sum(result.planned for result in results) == 234
    assert all(result.usual_on_grid for result in results)
    code = {(one.task, one.method): one.usual_on_grid for one in build_search("search-code", [])}
    assert code == {(task, "prefix"): True for task in ("e2e", "webnlg", "dart")}


def test_of_equal_runs_the_usual_one_is_named_and_places_are_shared() -> None:
    def make(lr: float) -> SearchedRun:
        return SearchedRun({"lr": lr}, f"run-{lr}", 1, None, None, {})

    runs = [(make(1.0), 2.0), (make(2.0), 2.0), (make(3.0), 3.0), (make(4.0), None)]
    standing = rank_runs("dev loss", runs, {"lr": 2.0}, lowest=True)
    assert standing is not None
    assert (standing.winner.values, standing.usual_rank) == ({"lr": 2.0}, 1)
    highest = rank_runs("bleu", runs, {"lr": 2.0}, lowest=False)
    assert highest is not None and (highest.winner.values, highest.usual_rank) == ({"lr": 3.0}, 2)
    assert rank_runs("bleu", [(make(1.0), None)], {}, lowest=False) is None


def test_what_searches_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"table3: its runs do not differ in any of length, lr, epochs"):
        build_search("table3", [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "table2"], "in commands of their own"),
        (["search", "--format", "tex"], "on standard output"),
        (["search", "--out", "place"], "on standard output"),
    ],
)
def test_a_search_is_a_report_of_its_own(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words, "--runs", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "search", "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    # 3 tasks with 5 methods, and XSUM.
    assert "Of 16 searches at scale paper nothing was run yet, 234 runs in all" in text
    assert "bench plan search --scale paper" in text
    assert main(["report", "search-code", "--runs", str(tmp_path), "--json"]) == 0
    assert '"planned": 33' in capsys.readouterr().out
