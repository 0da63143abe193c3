"""`bench check`: small runs of everything, against committed values with measured bands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bench.cli import print_json
from bench.cli.options import json_option
from bench.cli.tables import print_table

if TYPE_CHECKING:
    from bench.regression.comparison import CheckOutcome, ComparedValue


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
    from bench.regression import comparison
    from bench.system.provenance import count_usable_cores

    processes = processes or count_usable_cores()
    selectors = [name.strip() for name in only.split(",") if name.strip()]
    if renew:
        return renew_reference(selectors, processes, as_json)
    outcome = comparison.check_cases(selectors, processes)
    if as_json:
        print_json(
            {
                "passed": outcome.passed,
                "seconds": round(outcome.seconds, 1),
                "compared": len(outcome.values),
                "outside": [vars(value) for value in outcome.outside],
                "without_reference": outcome.without_reference,
                "cannot_run": outcome.cannot_run,
            }
        )
    else:
        print_outcome(outcome)
    return 0 if outcome.passed else 1


def renew_reference(selectors: Sequence[str], processes: int, as_json: bool) -> int:
    """Measure and write reference values and print what changed; the exit code."""
    from bench.regression import comparison, references

    update = references.update_reference(selectors, processes)
    for sentence in update.incomplete:
        click.echo(f"bench: not written: {sentence}", err=True)
    if as_json:
        print_json({"changed": update.changes, "incomplete": update.incomplete})
    else:
        click.echo("\n".join(update.changes) or "nothing changed")
        click.echo(
            f"written to results/check/{comparison.REFERENCE.name}; review the difference and commit it"
        )
    return 1 if update.incomplete else 0


def print_outcome(outcome: CheckOutcome) -> None:
    """What left its band, and how much was compared."""
    values, outside = outcome.values, outcome.outside
    if outside:
        rows = [
            [
                value.case,
                value.metric,
                format_number(value.value),
                format_excess(value),
                format_number(value.low),
                format_number(value.high),
            ]
            for value in outside
        ]
        print_table(["run", "value", "now", "outside by", "band from", "to"], rows)
    click.echo(
        f"{len(values) - len(outside)} of {len(values)} values of {len({value.case for value in values})} runs "
        f"are within their bands ({outcome.seconds:.0f} s)"
    )
    for names, reason in (
        (outcome.without_reference, "without reference values"),
        (outcome.cannot_run, "that cannot run any more"),
    ):
        if names:
            click.echo(f"not compared, {reason}: {', '.join(names)}")


def format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def format_excess(value: ComparedValue) -> str:
    """How far outside its band a value is."""
    if value.value is None:
        return "not computed"
    return f"{min(value.value - value.low, 0) or max(value.value - value.high, 0):+.4f}"
