"""How many seeds or subsets decide a claim, for people and as JSON: what `bench plan CLAIM --power` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.cli import print_lines
from bench.cli.tables import print_table

if TYPE_CHECKING:
    from bench.store.store import Store
    from reports.judgement.claim_power import ClaimPower, NumberPower, ObservedReplicates


def observe_store(store: Store) -> ObservedReplicates:
    """The values of the runs in the store, by selector; nothing is loaded where there are none."""
    from reports.judgement.claim_power import observe_nothing

    if not any(True for _ in store.runs()):
        return observe_nothing
    from reports.records.index import RunIndex, collect_evidence

    index = RunIndex(store.read(latest=False))
    return lambda selector: collect_evidence(index, selector, "paper").replicates


def describe_needed(power: ClaimPower) -> str:
    """``4 seeds``, or why there is no number."""
    if power.needed is not None:
        return f"{power.needed} {power.over}"
    return f"none: {power.why}" if power.why is not None else "-"


def describe_planned(power: ClaimPower) -> str:
    """``3 seeds``, or ``3 to 6 seeds`` where numbers have more or fewer; ``-`` where nothing varies."""
    if not power.numbers:
        return "-"
    most = f" to {power.planned_most}" if power.planned_most > power.planned else ""
    return f"{power.planned}{most} {power.over}"


def format_chance(chance: float | None) -> str:
    """In percent; ``-`` where it is not known."""
    return "-" if chance is None else f"{chance:.0%}"


def print_claim_power(power: ClaimPower) -> None:
    """One claim: every number with its effect, spread and power, then what it takes."""
    from reports.judgement.claim_power import WANTED_POWER
    from reports.judgement.claims import LEVEL

    rows = [format_number(number) for number in power.numbers]
    if rows:
        columns = ["number", f"effect ({power.claim.unit})", "allowed", "spread", "power", "detectable"]
        print_table(columns, rows)
        for source in dict.fromkeys(number.source for number in power.numbers if number.source is not None):
            print_lines(f"  effect: {source}")
        for text in power.spreads:
            print_lines(f"  {text}")
    if power.numbers:
        print_lines(
            f"  planned: {describe_planned(power)}; chance of 'supported' {format_chance(power.power)} "
            f"({LEVEL:.0%} intervals, each end wrong at most {(1 - LEVEL) / 2:.0%} of the time)"
        )
    print_lines(f"  for {WANTED_POWER:.0%}: {describe_needed(power)}")


def format_number(number: NumberPower) -> list[str]:
    """A row of the table."""
    return [
        number.label,
        "-" if number.effect is None else f"{number.effect:.4g}",
        number.limits.describe(),
        f"{number.spread:.3g}",
        format_chance(number.power),
        "-" if number.detectable is None else f"{number.detectable:.3g}",
    ]


def print_claim_powers(powers: Sequence[ClaimPower]) -> None:
    """A line for each of several claims."""
    rows = [
        [
            power.claim.id,
            describe_planned(power),
            str(power.runs),
            format_chance(power.power),
            describe_needed(power),
        ]
        for power in powers
    ]
    print_table(["claim", "planned", "runs", "power", "for 80 %"], rows)


def to_json(power: ClaimPower) -> dict[str, Any]:
    """As one JSON object; numbers in the claim's unit."""
    from reports.judgement.claim_power import WANTED_POWER
    from reports.judgement.claims import LEVEL

    return {
        "claim": power.claim.id,
        "unit": power.claim.unit,
        "level": LEVEL,
        "wanted_power": WANTED_POWER,
        "planned": power.planned if power.numbers else None,
        "planned_most": power.planned_most if power.numbers else None,
        "over": power.over,
        "runs": power.runs,
        "power": power.power,
        "needed": power.needed,
        "why_none": power.why,
        "spreads": list(power.spreads),
        "numbers": [
            {
                "label": number.label,
                "effect": number.effect,
                "effect_source": number.source,
                "low": number.limits.low,
                "high": number.limits.high,
                "spread": number.spread,
                "power": number.power,
                "detectable": number.detectable,
            }
            for number in power.numbers
        ],
    }
