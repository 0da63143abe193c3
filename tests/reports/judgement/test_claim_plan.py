"""The runs that are planned for a claim decide it: clear effects for it, and clear effects against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from made_up import record

from bench.experiments.expansion import Expansion, ExperimentRun, expand_experiments
from bench.system.json_files import to_canonical_json
from reports.document.table1 import make_exact as make_counted
from reports.judgement.claim_plan import (
    PlannedProfile,
    describe_planned,
    list_selectors,
    needs_outputs,
    select_claim_runs,
    select_planned,
)
from reports.judgement.claim_values import RecordValues
from reports.judgement.claims import ClaimEvaluation, ClaimOutcome, evaluate_claim, improvement_sign
from reports.paper import published
from reports.paper.limits import Limits
from reports.paper.published import Claim, Selector
from reports.records.fact_rates import CHECK_ERRORS, OutputFacts
from reports.records.index import RunIndex
from reports.records.values import COUNT_METRICS

CLAIMS = {claim.id: claim for claim in published.read_claims()}
CLEAR = {
    "bleu": 8.0, "nist": 2.0, "meteor": 0.1, "ter": 0.1, "rouge_l": 0.1, "cider": 0.5, "rouge1": 5.0, "rouge2": 5.0,
    "rougeL": 5.0, "training_loss": 0.3, "facts_missing": 0.45, "facts_false": 0.6,
}  # fmt: skip
"""An effect that nobody would overlook, in the claim's unit, where the sentence itself names no size."""
SCATTER = {
    "bleu": 0.15, "nist": 0.02, "meteor": 0.001, "ter": 0.004, "rouge_l": 0.001, "cider": 0.01, "rouge1": 0.001,
    "rouge2": 0.001, "rougeL": 0.001, "training_loss": 0.003, "facts_missing": 0.004, "facts_false": 0.004,
    "epoch_hours": 0.002, "decode_seconds": 0.002, "memory_share": 0.001,
}  # fmt: skip
"""Standard deviation between runs, somewhat below the usual one."""
BACKBONE = 354_823_168


@cache
def planned() -> Expansion:
    return expand_experiments("all", "paper")


@cache
def described() -> list[PlannedProfile]:
    return describe_planned(planned().runs)


def choose_target(limits: Limits, metric: str) -> float:
    """A number that is clearly as the sentence says."""
    if limits.low is not None and limits.high is not None:
        return (limits.low + limits.high) / 2
    if limits.low is not None:
        return limits.low + CLEAR.get(metric, 1.0)
    assert limits.high is not None
    return limits.high / 2


def choose_contrary(limits: Limits, metric: str) -> float:
    """A number that is clearly not: on the other side of an ordering, far beyond either end of a size."""
    low = limits.low if limits.low is not None else limits.high
    assert low is not None
    if limits.low is None:
        return 2 * low
    return low - CLEAR.get(metric, 1.0) if metric in CLEAR else low / 3


def assign_values(claim: Claim, numbers: Sequence[float]) -> dict[str, float]:
    """Selector -> value, so that the needs have these numbers; what two needs share stays the same."""
    values: dict[str, float] = {}
    start = {"bleu": 60.0, "rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5}
    for need, number in zip(claim.needs, numbers, strict=True):
        a, b = to_canonical_json(need["a"]), to_canonical_json(need["b"])
        metric = need["a"]["metric"]
        if claim.kind == "ratio":
            values.setdefault(
                b, {"bleu": 60.0, "stored_parameters": 245_760.0, "stored_share": 0.001}.get(metric, 0.5)
            )
            values[a] = values[b] * number / claim.scale
            continue
        gap = number / claim.scale * improvement_sign(need["a"])
        if a in values:
            values.setdefault(b, values[a] - gap)
        else:
            values.setdefault(b, start.get(metric, 0.7 if gap < 0 else 0.1) if metric != "nist" else 8.0)
            values[a] = values[b] + gap
    return values


def scattered(value: float, sd: float, number: int) -> float:
    """Values around ``value``, apart as runs are."""
    return value + sd * (1.2, -0.9, -0.3, 0.6, -0.6)[number % 5]


class World:
    """Records and outputs of the planned runs of a claim, with these values."""

    def __init__(
        self, claim: Claim, values: Mapping[str, float], sds: Mapping[str, float] | None = None
    ) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.rates: dict[str, dict[tuple[str, str], float]] = {}
        entries = described()
        self.names = {run.key: f"run-{number}" for number, run in enumerate(planned().runs)}
        for run in select_claim_runs(entries, claim, "paper"):
            self.made[run.key] = self.make_record(run)
        for selector in list_selectors(claim):
            key = to_canonical_json(selector)
            runs = select_planned(entries, selector, "paper")
            for number, run in enumerate(runs):
                metric = selector["metric"]
                sd = SCATTER.get(metric, 0.0) if sds is None else sds[key]
                self.set_value(run, selector, scattered(values[key], sd, number))

    def make_record(self, run: ExperimentRun) -> dict[str, Any]:
        request, resolved = run.request, run.resolved
        assert request is not None and resolved is not None
        made = record(request.method.name, request.task.name, request.seed, model=request.model, scores={})
        entries = {
            part: {
                name: {"value": setting.value, "origin": setting.origin} for name, setting in table.items()
            }
            for part, table in (("options", resolved.options), ("settings", resolved.settings))
        }
        training = made["training"] if request.method.trains else None
        scores: dict[str, Any] = {group: {} for group in ("all", "seen", "unseen")}
        made |= entries | {"run_id": self.names[run.key], "training": training, "scores": scores}
        scores["all"]["bleu"] = {"value": 50.0, "signature": "made-up"}
        return made

    def set_value(self, run: ExperimentRun, selector: Selector, value: float) -> None:
        made, metric = self.made[run.key], selector["metric"]
        group = selector.get("group", "all")
        if metric in ("facts_missing", "facts_false"):
            self.rates.setdefault(made["run_id"], {})[group, metric] = value
        elif metric == "training_loss":
            made["training"] = {**made["training"], "last_epoch_loss": value}
        elif metric == "epoch_hours":
            batch = made["settings"]["batch_size"]["value"]
            updates = -(-made["training"]["rows"] // batch)
            made["training"] = {**made["training"], "updates": updates, "seconds": value * 3600}
        elif metric == "decode_seconds":
            made["decoding"] = {**made["decoding"], "seconds_per_item": value}
        elif metric == "memory_share":
            made["peak_memory_bytes"] = {"process_bytes": 1, "accelerator_bytes": value * 2**35}
        elif metric == "stored_parameters":
            made["parameters"] = {"trained": 1, "stored": value, "backbone": BACKBONE}
        elif metric == "stored_share":
            made["parameters"] = {"trained": 1, "stored": value * BACKBONE, "backbone": BACKBONE}
        else:
            made["scores"][group][metric] = {"value": value, "signature": "made-up"}

    def read_outputs(self, run_id: str) -> list[dict[str, Any]]:
        """200 items of each group, of which the asked-for shares are marked by the check."""
        facts = [["name", "Blue"], ["area", "riverside"]]
        items = []
        for group in ("all", "seen", "unseen"):
            rates = self.rates[run_id]
            if not any(place == group for place, _ in rates):
                continue
            task = run_id and next(m["task"] for m in self.made.values() if m["run_id"] == run_id)
            shares = {
                metric: self.observe(task, metric, rates.get((group, metric), 0.2))
                for metric in ("facts_missing", "facts_false")
            }
            for number in range(200):
                # Half of the facts can be missing: the name is always there.
                missing = number < 400 * shares["facts_missing"]
                false = number >= 200 - 200 * shares["facts_false"]
                text = "Blue" + ("" if missing else ", riverside") + (", Chinese" if false else "")
                groups = [] if group == "all" else [group]
                items.append({"output": text, "facts": facts, "groups": groups})
        return items

    @staticmethod
    def observe(task: str, metric: str, truth: float) -> float:
        """What the check sees of a true rate."""
        errors = CHECK_ERRORS[task, metric]
        return errors.false_alarm_rate + truth * (errors.sensitivity - errors.false_alarm_rate)

    def evaluate(self, claim: Claim) -> ClaimEvaluation:
        source = RecordValues(
            RunIndex(list(self.made.values())), "paper", facts=OutputFacts(self.read_outputs)
        )
        return evaluate_claim(claim, source, "records")


def make_numbers(claim: Claim, choose: Any) -> list[float]:
    numbers = [choose(claim.find_limits(need), need["a"]["metric"]) for need in claim.needs]
    return [2 * numbers[0], *numbers[1:-1], numbers[-1]] if claim.combine == "fall" else numbers


def build_world(claim: Claim, supporting: bool) -> World:
    if claim.kind == "best":
        keys = [to_canonical_json(need["a"]) for need in claim.needs]
        scale = CLEAR[claim.needs[0]["a"]["metric"]] / claim.scale if claim.scale > 1 else 4.0
        best = [claim.limits.hold(need["x"]) for need in claim.needs]
        if not supporting:
            best = [not chosen and number == 0 for number, chosen in enumerate(best)]
        start = 0.3 if claim.scale > 1 else 40.0
        return World(claim, {key: start + scale * chosen for key, chosen in zip(keys, best, strict=True)})
    if claim.kind == "spread":
        wide = {True: ("a", "b"), False: ("b", "a")}[supporting]
        sds = {to_canonical_json(need[wide[0]]): 12.0 for need in claim.needs}
        sds |= {to_canonical_json(need[wide[1]]): 0.8 for need in claim.needs}
        return World(claim, dict.fromkeys(sds, 50.0), sds)
    return World(
        claim, assign_values(claim, make_numbers(claim, choose_target if supporting else choose_contrary))
    )


DECIDED_BY_RUNS = [claim for claim in CLAIMS.values() if claim.needs[0]["a"]["table"] != "table1"]


@pytest.mark.parametrize("claim", DECIDED_BY_RUNS, ids=lambda claim: claim.id)
def test_the_planned_runs_decide_the_claim(claim: Claim) -> None:
    supported = build_world(claim, True).evaluate(claim)
    assert supported.outcome == ClaimOutcome.SUPPORTED, supported
    contradicted = build_world(claim, False).evaluate(claim)
    assert contradicted.outcome == ClaimOutcome.CONTRADICTED, contradicted


@pytest.mark.parametrize("claim", DECIDED_BY_RUNS, ids=lambda claim: claim.id)
def test_a_size_is_contradicted_on_both_sides(claim: Claim) -> None:
    limits = [claim.limits] if claim.combine != "each" else [claim.find_limits(n) for n in claim.needs]
    if claim.kind == "best" or any(None in (limit.low, limit.high) for limit in limits):
        return
    for side in (-1, 1):
        numbers = []
        for need in claim.needs:
            limit = claim.find_limits(need)
            assert limit.low is not None and limit.high is not None
            width = max(limit.high - limit.low, 2 * CLEAR.get(need["a"]["metric"], 0.1))
            # "Slightly lower" is contradicted by 20 points, and by being higher.
            far = limit.high + 2 * width if side > 0 else limit.low - 2 * width
            numbers.append(far if claim.kind != "ratio" or far > 0 else limit.low / 4)
        found = World(claim, assign_values(claim, numbers)).evaluate(claim)
        assert found.outcome == ClaimOutcome.CONTRADICTED, found


def test_slightly_lower_is_not_twenty_points() -> None:
    claim = CLAIMS["xsum-below"]
    for number in (-20.0, -4.0, 1.5):
        found = World(claim, assign_values(claim, [number] * 3)).evaluate(claim)
        assert found.outcome == ClaimOutcome.CONTRADICTED
        assert "the sentence asks for between -1.94 and 0" in found.explanation
    assert World(claim, assign_values(claim, [-1.0] * 3)).evaluate(claim).outcome == ClaimOutcome.SUPPORTED


@pytest.mark.parametrize("claim", DECIDED_BY_RUNS, ids=lambda claim: claim.id)
def test_every_number_has_several_planned_runs(claim: Claim) -> None:
    entries = described()
    for selector in list_selectors(claim):
        runs = select_planned(entries, selector, "paper")
        least = 1 if selector["metric"] in COUNT_METRICS or selector["method"] == "prompt" else 3
        assert len(runs) >= least, (claim.id, selector)
    assert select_claim_runs(entries, claim, "paper")


@pytest.mark.parametrize("claim", DECIDED_BY_RUNS, ids=lambda claim: claim.id)
def test_equal_values_in_all_runs_never_decide_by_the_spread_alone(claim: Claim) -> None:
    """No spread at all: spreads are undecided, and an ordering by less than runs usually differ is, too."""
    if claim.kind == "spread":
        world = World(claim, dict.fromkeys(map(to_canonical_json, list_selectors(claim)), 50.0), ZERO)
        assert world.evaluate(claim).outcome == ClaimOutcome.UNDECIDED
    elif claim.kind == "difference" and claim.limits.low == 0 and claim.combine == "each":
        tiny = [1e-6 * improvement_sign(need["a"]) for need in claim.needs]
        values = assign_values(claim, tiny)
        found = World(claim, values, dict.fromkeys(values, 0.0)).evaluate(claim)
        assert found.outcome == ClaimOutcome.UNDECIDED, found


class _Zero(dict[str, float]):
    def __missing__(self, key: str) -> float:
        return 0.0


ZERO = _Zero()


def test_table_1_decides_without_runs() -> None:
    sizes = {"xsum": 226_677.0, "e2e": 51_426.0, "webnlg": 22_145.0, "dart": 82_191.0}
    lengths = {"xsum": 473.3, "e2e": 28.5, "webnlg": 49.6, "dart": 38.8}
    counted = {(task, "examples"): make_counted(size) for task, size in sizes.items()}
    counted |= {(task, "input_length"): make_counted(length) for task, length in lengths.items()}
    source = RecordValues(RunIndex([]), "paper", counted)
    outcomes = [evaluate_claim(CLAIMS[name], source, "records").outcome for name in ("xsum-4x", "xsum-17x")]
    assert outcomes == [ClaimOutcome.SUPPORTED, ClaimOutcome.CONTRADICTED]


def test_what_is_counted_in_outputs_says_how_the_check_errs() -> None:
    counted = [claim for claim in CLAIMS.values() if needs_outputs(claim)]
    assert {claim.id for claim in counted} == {
        *("low-data-faithful", "low-data-undergenerate", "unseen-undergenerate", "seen-coverage"),
    }
    for claim in counted:
        found = build_world(claim, True).evaluate(claim)
        assert "on outputs marked by hand the check finds" in found.explanation
        assert "with the errors of the check" in found.explanation
        blind = evaluate_claim(
            claim, RecordValues(RunIndex([*build_world(claim, True).made.values()]), "paper"), "r"
        )
        assert blind.outcome == ClaimOutcome.NOT_RUN and "outputs were not asked for" in blind.explanation
