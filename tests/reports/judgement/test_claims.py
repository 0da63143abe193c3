"""Claims on the paper's own numbers (the check of the check), and on made-up records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import failed, record, scores, seeds

from reports.document.table1 import make_exact
from reports.judgement.claim_values import RecordValues
from reports.judgement.claims import (
    ClaimEvaluation,
    ClaimOutcome,
    check_claims,
    count_outcomes,
    evaluate_claim,
    evaluate_on_paper,
)
from reports.judgement.repeated_runs import find_usual_spread
from reports.paper import published
from reports.paper.limits import Limits
from reports.paper.published import Claim
from reports.records.index import RunIndex
from reports.stats.intervals import ONE_SEED

CLAIMS = {claim.id: claim for claim in published.read_claims()}
MINI = Path(__file__).resolve().parents[3] / "results" / "mini" / "records.json"


def on(records: list[dict[str, Any]], claim: str | Claim, counted: Any = None) -> ClaimEvaluation:
    one = CLAIMS[claim] if isinstance(claim, str) else claim
    return evaluate_claim(one, RecordValues(RunIndex(records), "paper", counted or {}), "records")


def three_tasks(method: str, values: dict[str, list[float]], **given: Any) -> list[dict[str, Any]]:
    return [one for task, bleu in values.items() for one in seeds(bleu, method=method, task=task, **given)]


PREFIX = {"e2e": [70.2, 70.4, 70.3], "webnlg": [55.0, 55.1, 54.9], "dart": [46.4, 46.5, 46.3]}
SMALL = {"e2e": [66.2, 66.4, 66.3], "webnlg": [50.2, 50.3, 50.1], "dart": [42.4, 42.5, 42.3]}


# --- the check of the check


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.id)
def test_the_papers_own_numbers(claim: Claim) -> None:
    got = evaluate_on_paper(claim)
    assert got.outcome == claim.on_paper["outcome"], got
    assert got.explanation.endswith(".") and "Traceback" not in got.explanation
    wanted = claim.on_paper["value"]
    if wanted is None:
        assert (
            got.outcome == ClaimOutcome.UNDECIDED and got.missing and "Cannot be decided" in got.explanation
        )
    else:
        shown = [number.value for number in got.numbers]
        shown = shown[len(claim.needs) :] or shown
        expected = wanted if isinstance(wanted, list) else [wanted]
        assert shown == pytest.approx(expected, rel=6e-3, abs=6e-4)


def test_there_are_many_and_most_can_be_evaluated_there() -> None:
    outcomes = count_outcomes(evaluate_on_paper(claim).outcome for claim in CLAIMS.values())
    assert (
        len(CLAIMS) >= 15 and outcomes[ClaimOutcome.SUPPORTED] >= 15 and outcomes[ClaimOutcome.NOT_RUN] == 0
    )


def test_4_1_is_not_what_table_2_gives() -> None:
    got = evaluate_on_paper(CLAIMS["adapter-4.1-bleu"])
    assert got.numbers[-1].label == "mean" and got.numbers[-1].value == pytest.approx(4.2667, abs=1e-3)
    assert "4.267" in got.explanation and "Table 2 gives 4.27, not 4.1" in got.explanation


# --- on records


def test_nothing_run() -> None:
    found = check_claims(RunIndex([]))
    assert [one.claim.id for one in found] == list(CLAIMS)
    assert {one.records.outcome for one in found} == {ClaimOutcome.NOT_RUN}
    assert "no run of this is done" in found[0].records.explanation


def test_supported_with_the_numbers_used() -> None:
    runs = three_tasks("prefix", PREFIX) + three_tasks("adapter", SMALL, options={"size": "0.1%"})
    got = on(runs, "adapter-equal-size")
    assert got.outcome == ClaimOutcome.SUPPORTED and len(got.numbers) == 3
    first = got.numbers[0]
    assert first.value == pytest.approx(4.0) and len(first.runs) == 6 and first.interval is not None
    # Seeds 0.1 apart do not count as closer than seeds usually are.
    reach = 2.92 * find_usual_spread("bleu", "e2e", "all").sd * (2 / 3) ** 0.5
    assert first.interval.half_width == pytest.approx(reach, abs=1e-3) and "between seeds" in got.explanation
    mean = on(runs, "adapter-4.1-bleu")
    assert mean.outcome == ClaimOutcome.SUPPORTED and mean.numbers[-1].value == pytest.approx(
        4.2667, abs=1e-3
    )


def test_contradicted_both_ways() -> None:
    runs = three_tasks("prefix", SMALL) + three_tasks("adapter", PREFIX, options={"size": "0.1%"})
    got = on(runs, "adapter-equal-size")
    assert got.outcome == ClaimOutcome.CONTRADICTED and "3 of 3 numbers" in got.explanation
    assert on(runs, "adapter-4.1-bleu").outcome == ClaimOutcome.CONTRADICTED
    # Far more than the sentence says is as wrong as far less.
    better = {task: [value + 10 for value in values] for task, values in PREFIX.items()}
    runs = three_tasks("prefix", better) + three_tasks("adapter", SMALL, options={"size": "0.1%"})
    assert on(runs, "adapter-4.1-bleu").outcome == ClaimOutcome.CONTRADICTED
    assert on(runs, "adapter-equal-size").outcome == ClaimOutcome.SUPPORTED


def test_one_dissenter_is_enough_to_contradict_and_to_undecide() -> None:
    small = three_tasks("adapter", SMALL, options={"size": "0.1%"})
    worse = {**PREFIX, "dart": [30.0, 30.1, 29.9]}
    got = on(three_tasks("prefix", worse) + small, "adapter-equal-size")
    assert got.outcome == ClaimOutcome.CONTRADICTED and "1 of 3 numbers, e.g. DART" in got.explanation
    unsure = {**PREFIX, "dart": [40.0, 50.0, 39.0]}
    assert on(three_tasks("prefix", unsure) + small, "adapter-equal-size").outcome == ClaimOutcome.UNDECIDED


def test_many_numbers_need_more_to_contradict() -> None:
    # -1 with s = 0.6, 5 seeds each: 95 % of one number excludes 0, of twenty numbers it would by chance.
    low, high = [49.2, 50.8, 49.5, 50.5, 50.0], [50.2, 51.8, 50.5, 51.5, 51.0]
    runs = seeds(low) + seeds(high, method="ft-full")
    claim = CLAIMS["ft-table-to-text"]
    need = next(need for need in claim.needs if need["label"] == "WebNLG")
    need = {key: value for key, value in need.items() if key != "limits"}
    one = replace(claim, limits=Limits(0, None, strict=True), needs=(need,))
    assert on(runs, one).outcome == ClaimOutcome.CONTRADICTED
    assert on(runs, replace(one, needs=(need,) * 20)).outcome == ClaimOutcome.UNDECIDED


def test_one_seed_decides_nothing() -> None:
    runs = [record(bleu=55.0), record(method="ft-full", bleu=20.0)]
    claim = CLAIMS["ft-table-to-text"]
    one = replace(claim, needs=tuple(need for need in claim.needs if need["label"] == "WebNLG"))
    got = on(runs, one)
    assert (
        got.outcome == ClaimOutcome.UNDECIDED
        and ONE_SEED in got.explanation
        and got.numbers[0].interval is None
    )


def test_why_it_was_not_run() -> None:
    claim = CLAIMS["ft-table-to-text"]
    one = replace(claim, needs=tuple(need for need in claim.needs if need["label"] == "WebNLG"))
    prefix = seeds([55.0, 55.1])
    assert "1 failed: out-of-memory" in on([*prefix, failed(method="ft-full")], one).explanation
    plain = record(method="ft-full", protocol="plain", not_comparable=["protocol plain"])
    assert "not comparable: protocol plain" in on([*prefix, plain], one).explanation
    missing = record(method="ft-full", scores=scores({"bleu": None}, reason="no scorer"))
    assert "not computed: no scorer" in on([*prefix, missing], one).explanation
    gated = record(method="ft-full", scores=scores({"bleu": 1.0}, gate="failed: by 3"))
    got = on([*prefix, gated], one)
    assert got.outcome == ClaimOutcome.NOT_RUN and "failed its gate" in got.explanation


def test_lower_is_better_turns_the_sign() -> None:
    def both(prefix: float, full: float) -> list[dict[str, Any]]:
        return [
            record(method=method, seed=seed, scores=scores({"ter": value + seed / 1000}, "unseen"))
            for method, value in (("prefix", prefix), ("ft-full", full))
            for seed in (1, 2, 3)
        ]

    claim = CLAIMS["unseen"]
    one = replace(claim, needs=tuple(need for need in claim.needs if need["label"] == "gpt2-medium ter"))
    assert on(both(0.5, 0.7), one).outcome == ClaimOutcome.SUPPORTED
    assert on(both(0.7, 0.5), one).outcome == ClaimOutcome.CONTRADICTED


def low_data(method: str, gap: float, spread: float = 3.0) -> list[dict[str, Any]]:
    """Five subsets x two seeds, sizes 50 to 500; subsets differ much, alike for both methods."""
    options = {"init": "table-to-text:"} if method == "prefix" else {}
    made = []
    for size in (50, 100, 200, 500):
        for subset in range(5):
            for seed in (1, 2):
                preset = {"train_subset": size, "test_split": "dev", "data_seed": subset}
                bleu = 50 + spread * subset + 0.1 * seed
                if method == "prefix":
                    bleu += gap * 50 / size + 0.02 * ((3 * subset + size // 50) % 5 - 2)
                made.append(record(method, "e2e", seed, bleu, options=options, preset=preset))
    return made


def test_low_data_is_compared_subset_by_subset() -> None:
    runs = low_data("prefix", 5.0) + low_data("ft-full", 5.0)
    got = on(runs, "low-data-each")
    assert got.outcome == ClaimOutcome.SUPPORTED and "paired t over 5 subsets" in got.explanation
    assert got.numbers[0].value == pytest.approx(5.0) and "between subsets" in got.explanation
    narrowing = on(runs, "low-data-gap")
    assert narrowing.outcome == ClaimOutcome.SUPPORTED and narrowing.numbers[-1].value == pytest.approx(4.5)
    mean = on(runs, "low-data")
    assert mean.numbers[-1].value == pytest.approx(5 * (1 + 0.5 + 0.25 + 0.1) / 4)


def test_subsets_and_seeds_do_not_mix() -> None:
    one_subset = [run for run in low_data("ft-full", 5.0) if run["settings"]["data_seed"]["value"] == 0]
    got = on(low_data("prefix", 5.0) + one_subset, "low-data-each")
    assert got.outcome == ClaimOutcome.UNDECIDED and "different questions" in got.explanation


@pytest.mark.parametrize(
    ("best", "noise", "outcome"),
    [
        (10, 0.05, ClaimOutcome.SUPPORTED),
        (20, 0.05, ClaimOutcome.CONTRADICTED),
        (10, 9.0, ClaimOutcome.UNDECIDED),
    ],
)
def test_the_best_length(best: int, noise: float, outcome: str) -> None:
    runs = [
        record("prefix", "dart", seed, 46.0 - abs(length - best) + noise * (seed - 2),
               options={"length": length}, preset={}, experiment="figure4")
        for length in (1, 5, 10, 20, 40)
        for seed in (1, 2, 3)
    ]  # fmt: skip
    got = on(runs, "length-table-to-text")
    assert got.outcome == outcome and f"best at prefix length {best}" in got.explanation, got


def test_parameters_are_exact_and_need_one_run() -> None:
    full = {"trained": 354_823_168, "stored": 354_823_168, "backbone": 354_823_168}
    longer = {"trained": 25_750_016, "stored": 491_520, "backbone": 354_823_168}
    adapter = {"trained": 11_089_152, "stored": 11_089_152, "backbone": 354_823_168}
    runs = [
        record(task="e2e"),
        record(task="webnlg"),
        record(task="dart", parameters=longer),
        record(method="ft-full", parameters=full),
        record(method="adapter", parameters=adapter),
    ]
    assert on(runs, "share-0.1").outcome == ClaimOutcome.SUPPORTED
    thousand = on(runs, "1000x")
    assert thousand.outcome == ClaimOutcome.SUPPORTED and thousand.numbers[-1].value == pytest.approx(
        1203, abs=1
    )
    thirty = on(runs, "30x")
    # Mean of 245,760, 245,760 and 491,520.
    assert thirty.outcome == ClaimOutcome.SUPPORTED and thirty.numbers[0].value == pytest.approx(
        33.84, abs=0.01
    )


def test_speed_needs_one_machine() -> None:
    def timed(method: str, machine: str, seconds: list[float]) -> list[dict[str, Any]]:
        made = []
        for seed, value in enumerate(seconds, 1):
            one = record(method=method, seed=seed)
            hardware = {**one["hardware"], "accelerators": [{"name": machine, "memory_bytes": 2**35}]}
            updates = 18_025 // one["settings"]["batch_size"]["value"]
            training = {**one["training"], "seconds": value, "updates": updates}
            made.append({**one, "hardware": hardware, "training": training})
        return made

    prefix = timed("prefix", "A", [70.0, 70.5, 69.5])
    assert on(prefix + timed("ft-full", "A", [100.0, 100.4, 99.6]), "speed").outcome == ClaimOutcome.SUPPORTED
    assert (
        on(prefix + timed("ft-full", "A", [50.0, 50.4, 49.6]), "speed").outcome == ClaimOutcome.CONTRADICTED
    )
    got = on(prefix + timed("ft-full", "B", [100.0, 100.4]), "speed")
    assert got.outcome == ClaimOutcome.NOT_RUN and "same machine" in got.explanation


def test_what_is_not_trained_needs_no_seeds() -> None:
    embedding = seeds([60.0, 60.2, 60.1], method="embedding", task="e2e", options={"length": 10})
    prompt = record("prompt", "e2e", bleu=30.0, training=None)
    prefix = seeds([70.0, 70.2, 70.1], task="e2e")
    assert on([*prefix, *embedding, prompt], "expressive-power").outcome == ClaimOutcome.SUPPORTED


def test_table_1_from_what_was_counted() -> None:
    sizes = {"xsum": 226_677.0, "e2e": 51_426.0, "webnlg": 22_145.0, "dart": 82_191.0}
    counted = {(task, "examples"): make_exact(size) for task, size in sizes.items()}
    assert on([], "xsum-4x", counted).outcome == ClaimOutcome.SUPPORTED
    assert "not counted" in on([], "xsum-4x").explanation


def test_the_outcome_does_not_depend_on_the_order_of_records() -> None:
    runs = three_tasks("prefix", PREFIX) + three_tasks("adapter", SMALL, options={"size": "0.1%"})
    assert on(runs, "adapter-4.1-bleu") == on(runs[::-1], "adapter-4.1-bleu")


# --- mini


def test_mini_is_apart_and_speaks_of_orderings_only() -> None:
    found = {one.claim.id: one for one in check_claims(RunIndex(json.loads(MINI.read_text())))}
    assert {one.records.outcome for one in found.values()} == {ClaimOutcome.NOT_RUN}
    top2 = found["top2"].mini
    assert top2.source == "mini" and top2.label == "holds at scale mini" and top2.numbers
    assert top2.explanation.startswith("Holds at scale mini: ")
    assert found["adapter-4.1-bleu"].mini.outcome == ClaimOutcome.NOT_RUN
    for one in found.values():
        assert one.mini.outcome in list(ClaimOutcome) and "mini" in one.mini.label
        assert not one.mini.explanation.lower().startswith(("supported", "contradicted"))
