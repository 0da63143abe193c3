"""`bench check`: small runs of everything, against committed values with measured bands."""

from __future__ import annotations

import click

from bench.cli import json_option, print_json, print_table


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
    from bench.metrics.pool import cores

    names = [name.strip() for name in only.split(",") if name.strip()]
    if renew:
        lines = check.update(names, processes or cores())
        if as_json:
            print_json({"changed": lines})
        else:
            click.echo("\n".join(lines) or "nothing changed")
            click.echo(f"written to results/check/{check.REFERENCE.name}; review the difference and commit it")
        return 0
    values, seconds = check.check(names, processes or cores())
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
                [one.case, one.metric, "-" if one.value is None else f"{one.value:.4f}", by(one), f"{one.low:.4f}"]
                + [f"{one.high:.4f}"]
                for one in outside
            ]
            print_table(["run", "value", "now", "outside by", "band from", "to"], rows)
        runs = len({one.case for one in values})
        click.echo(
            f"{len(values) - len(outside)} of {len(values)} values of {runs} runs are within their bands "
            f"({seconds:.0f} s)"
        )
    return 1 if outside else 0


def by(one: object) -> str:
    """How far outside its band a value is."""
    value, low, high = (getattr(one, name) for name in ("value", "low", "high"))
    return "not computed" if value is None else f"{min(value - low, 0) or max(value - high, 0):+.4f}"
