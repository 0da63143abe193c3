"""How often the verdicts are right and wrong: simulated, and printed in ``docs/verdicts.md``.

    python -m reports.judgement.operating_characteristics

Runs are drawn from normal distributions by a named generator and judged by the same function as a report's
cells. Spreads are in multiples of the usual spread that the rule knows, which the simulated runs need not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.judgement.comparison import (
    SCORES,
    Verdict,
    Yardstick,
    find_rule,
    judge_mean,
    make_yardstick,
    plan_seeds,
)
from reports.paper import published
from reports.stats.intervals import make_generator

SPREADS = (0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Of the simulated runs, in usual spreads."""
SEEDS = (2, 3, 4, 5, 7, 10)
DRAWS = 10_000
"""Simulated cells per entry: a share of 5 % is then known to ± 0.4 points (95 of 100 times)."""
EXAMPLE = {"table": "table2", "model": "gpt2-medium", "method": "prefix", "task": "e2e", "metric": "bleu"}
OFF = (Verdict.ABOVE, Verdict.BELOW)


@dataclass(frozen=True)
class Setting:
    """What is simulated. ``gap``: our true mean less the paper's, in the yardstick's unit.

    ``spread``: of single runs, in usual spreads. ``single_run``: the paper's number is a run of the same
    spread itself; otherwise it is what the gap is measured from.
    """

    gap: float
    spread: float
    seeds: int
    single_run: bool


def simulate_verdicts(yardstick: Yardstick, setting: Setting, draws: int = DRAWS) -> Mapping[Verdict, float]:
    """Share of simulated cells with each verdict."""
    rng = make_generator(0, f"operating characteristics {setting}")
    sd = setting.spread * yardstick.usual.sd
    runs = rng.normal(setting.gap, sd, (draws, setting.seeds))
    paper = rng.normal(0.0, sd, draws) if setting.single_run else [0.0] * draws
    means = runs.mean(axis=1) - paper + yardstick.low
    spreads = runs.std(axis=1, ddof=1) if setting.seeds > 1 else [0.0] * draws
    counts = dict.fromkeys(Verdict, 0)
    for mean, spread in zip(means, spreads, strict=True):
        counts[judge_mean(float(mean), float(spread), setting.seeds, yardstick).verdict] += 1
    return {verdict: count / draws for verdict, count in counts.items()}


def share_off(shares: Mapping[Verdict, float]) -> float:
    """Of above and below together."""
    return sum(shares[verdict] for verdict in OFF)


class GridRow(NamedTuple):
    """Shares by number of seeds (``SEEDS``) at one spread."""

    spread: float
    shares: tuple[float, ...]


def simulate_false_reproductions(
    yardstick: Yardstick, draws: int = DRAWS, spreads: Sequence[float] = SPREADS
) -> list[GridRow]:
    """How often a true gap of twice the tolerance is called reproduced."""
    gap = 2 * yardstick.tolerance
    return [
        GridRow(
            spread,
            tuple(
                simulate_verdicts(yardstick, Setting(gap, spread, n, False), draws)[Verdict.REPRODUCED]
                for n in SEEDS
            ),
        )
        for spread in spreads
    ]


def simulate_false_alarms(
    yardstick: Yardstick, draws: int = DRAWS, spreads: Sequence[float] = SPREADS
) -> list[GridRow]:
    """How often no gap is called above or below, where the paper's number is a run like ours."""
    return [
        GridRow(
            spread,
            tuple(
                share_off(simulate_verdicts(yardstick, Setting(0.0, spread, n, True), draws)) for n in SEEDS
            ),
        )
        for spread in spreads
    ]


class PowerRow(NamedTuple):
    """What the usual spread leads to with a number of seeds; shares.

    The first four where there is no gap, then where it is the difference that matters, and where it is the
    detectable difference of runs whose spread comes out as the usual one.
    """

    seeds: int
    reproduced: float
    consistent: float
    inconclusive: float
    off: float
    matters_found: float
    detectable_found: float


def simulate_power(yardstick: Yardstick, draws: int = DRAWS) -> list[PowerRow]:
    """At the usual spread, the paper's number being a run like ours."""
    rows = []
    for n in (1, *SEEDS):
        same = simulate_verdicts(yardstick, Setting(0.0, 1.0, n, True), draws)
        detectable = judge_mean(yardstick.low, yardstick.usual.sd, n, yardstick).detectable
        found = [
            share_off(simulate_verdicts(yardstick, Setting(gap, 1.0, n, True), draws))
            for gap in (yardstick.matters, detectable)
        ]
        rows.append(
            PowerRow(
                n,
                same[Verdict.REPRODUCED],
                same[Verdict.CONSISTENT],
                same[Verdict.INCONCLUSIVE],
                share_off(same),
                *found,
            )
        )
    return rows


def list_yardsticks() -> dict[str, Yardstick]:
    """A yardstick for every way in which the scores of Tables 2 to 4 are judged, by the place of a first cell."""
    yardsticks: dict[str, Yardstick] = {}
    seen = set()
    for name in ("table2", "table3", "table4"):
        for cell in published.read_cells(name):
            if cell.metric not in SCORES or cell.kind != "measured":
                continue
            yardstick = make_yardstick(cell)
            kind = (cell.metric, yardstick.tolerance, yardstick.usual)
            if kind not in seen:
                seen.add(kind)
                yardsticks[f"{cell.table}: {cell.column}"] = yardstick
    return yardsticks


# --- as text


def format_share(share: float) -> str:
    """In percent."""
    return f"{100 * share:.1f}"


def format_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def format_grid(rows: Sequence[GridRow]) -> str:
    """A line for each spread, in percent."""
    head = ["spread", *(f"{n} seeds" for n in SEEDS)]
    return format_lines(head, [[f"{row.spread:g}", *map(format_share, row.shares)] for row in rows])


def format_power(rows: Sequence[PowerRow]) -> str:
    """A line for each number of seeds, in percent."""
    head = ["seeds", "reproduced", "consistent", "inconclusive", "above or below", "D found", "Δ found"]
    return format_lines(head, [[str(row.seeds), *map(format_share, row[1:])] for row in rows])


def format_yardsticks() -> str:
    """What every kind of cell is judged by, with the seeds that find a difference that matters."""
    head = ("cells like", "usual spread", "tolerance", "matters", "seeds")
    rows = [
        (
            place.replace("table", "Table "),
            f"{yardstick.usual.sd:.2g}",
            f"{yardstick.tolerance:.3g}",
            f"{yardstick.matters:.3g}",
            str(plan_seeds(yardstick) or "none"),
        )
        for place, yardstick in list_yardsticks().items()
    ]
    return format_lines(head, rows)


def format_sources() -> str:
    """Where the usual spread and the tolerance of every score come from; in our units."""
    return format_lines(
        ("metric", "usual spread and tolerance"), [(metric, find_rule(metric).why) for metric in SCORES]
    )


def list_tables(draws: int = DRAWS) -> dict[str, str]:
    """The tables of ``docs/verdicts.md`` by their name there."""
    yardstick = make_yardstick(published.find_cells(EXAMPLE)[0])
    return {
        "sources": format_sources(),
        "yardsticks": format_yardsticks(),
        "false reproductions": format_grid(simulate_false_reproductions(yardstick, draws)),
        "false alarms": format_grid(simulate_false_alarms(yardstick, draws)),
        "power": format_power(simulate_power(yardstick, draws)),
    }


def main() -> None:
    """Print the tables of ``docs/verdicts.md``, each between the marks that stand around it there."""
    for name, table in list_tables().items():
        print(f"<!-- {name} -->\n{table}\n<!-- end -->\n")


if __name__ == "__main__":
    main()
