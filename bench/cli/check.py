"""`bench check`: small runs of everything, against committed values with measured bands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from bench.cli import print_json
from bench.cli.options import json_option
from bench.cli.tables import print_table

if TYPE_CHECKING:
    from bench.regression.comparison import Moved, Outcome


@click.command(
    "check",
    epilog="""\b
Examples:
  bench check                          every method on every task; exit 1 if a value left its band,
                                       or if a run has no reference values
  bench check --only webnlg,prefix     the runs of one task and of one method
  bench check --update                 new reference values from ten seeds; shows what changed""",
)
@click.option(
    "--only", default="", help="Tasks, methods or both ('webnlg prefix'), separated by commas; all otherwise."
)
@click.option(
    "--processes", type=click.IntRange(1), default=None, help="Runs at a time; the cores here otherwise."
)
@click.option("--update", "renew", is_flag=True, help="Measure ten seeds and write new reference values.")
@json_option
def command(only: str, processes: int | None, renew: bool, as_json: bool) -> int:
    """Regression check on small subsets."""
    # Runs go side by side, and their models are too small to share cores: threads would only fight for them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from bench.regression import comparison, references
    from bench.system.provenance import usable_cores

    processes = processes or usable_cores()
    names = [name.strip() for name in only.split(",") if name.strip()]
    if renew:
        lines, incomplete = references.update(names, processes)
        for one in incomplete:
            click.echo(f"bench: not written: {one}", err=True)
        if as_json:
            print_json({"changed": lines, "incomplete": incomplete})
        else:
            click.echo("\n".join(lines) or "nothing changed")
            click.echo(
                f"written to results/check/{comparison.REFERENCE.name}; review the difference and commit it"
            )
        return 1 if incomplete else 0
    outcome = comparison.check(names, processes)
    if as_json:
        print_json(
            {
                "passed": outcome.passed,
                "seconds": round(outcome.seconds, 1),
                "compared": len(outcome.values),
                "outside": [vars(one) for one in outcome.outside],
                "without_reference": outcome.without_reference,
                "cannot_run": outcome.cannot_run,
            }
        )
    else:
        show(outcome)
    return 0 if outcome.passed else 1


def show(outcome: Outcome) -> None:
    """What left its band, and how much was compared."""
    values, outside = outcome.values, outcome.outside
    if outside:
        rows = [
            [one.case, one.metric, shown(one.value), by(one), shown(one.low), shown(one.high)]
            for one in outside
        ]
        print_table(["run", "value", "now", "outside by", "band from", "to"], rows)
    click.echo(
        f"{len(values) - len(outside)} of {len(values)} values of {len({one.case for one in values})} runs "
        f"are within their bands ({outcome.seconds:.0f} s)"
    )
    for names, what in (
        (outcome.without_reference, "without reference values"),
        (outcome.cannot_run, "that cannot run any more"),
    ):
        if names:
            click.echo(f"not compared, {what}: {', '.join(names)}")


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def by(one: Moved) -> str:
    """How far outside its band a value is."""
    if one.value is None:
        return "not computed"
    return f"{min(one.value - one.low, 0) or max(one.value - one.high, 0):+.4f}"
