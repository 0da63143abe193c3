"""`bench check`: small runs of everything, against committed values with measured bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.cli import print_json, print_table
from bench.cli.options import json_option

if TYPE_CHECKING:
    from bench.check import Moved


@click.command(
    "check",
    epilog="""\b
Examples:
  bench check                          every method on every task; exit 1 if a value left its band
  bench check --only webnlg,prefix     the runs of one task and of one method
  bench check --update                 new reference values from ten seeds; shows what changed""",
)
@click.option("--only", default="", help="Tasks or methods, separated by commas; all otherwise.")
@click.option(
    "--processes", type=click.IntRange(1), default=None, help="Runs at a time; the cores here otherwise."
)
@click.option("--update", "renew", is_flag=True, help="Measure ten seeds and write new reference values.")
@json_option
def command(only: str, processes: int | None, renew: bool, as_json: bool) -> int:
    """Regression check on small subsets."""
    from bench import check
    from bench.provenance import usable_cores

    names = [name.strip() for name in only.split(",") if name.strip()]
    if renew:
        lines = check.update(names, processes or usable_cores())
        if as_json:
            print_json({"changed": lines})
        else:
            click.echo("\n".join(lines) or "nothing changed")
            click.echo(
                f"written to results/check/{check.REFERENCE.name}; review the difference and commit it"
            )
        return 0
    values, seconds = check.check(names, processes or usable_cores())
    outside = [one for one in values if one.outside]
    if as_json:
        print_json(
            {
                "passed": not outside,
                "seconds": round(seconds, 1),
                "compared": len(values),
                "outside": [vars(one) for one in outside],
            }
        )
    else:
        if outside:
            rows = [
                [one.case, one.metric, shown(one.value), by(one), shown(one.low), shown(one.high)]
                for one in outside
            ]
            print_table(["run", "value", "now", "outside by", "band from", "to"], rows)
        runs = len({one.case for one in values})
        click.echo(
            f"{len(values) - len(outside)} of {len(values)} values of {runs} runs are within their bands "
            f"({seconds:.0f} s)"
        )
    return 1 if outside else 0


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def by(one: Moved) -> str:
    """How far outside its band a value is."""
    if one.value is None:
        return "not computed"
    return f"{min(one.value - one.low, 0) or max(one.value - one.high, 0):+.4f}"
