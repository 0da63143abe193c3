"""`bench export`: hand a run's trained parameters to another library."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import print_json
from bench.cli.options import json_option, runs_option
from bench.errors import UnknownNameError, UserError

TARGETS = ("peft",)


@click.command("export", epilog="\b\nExample:\n  bench export webnlg-prefix-mini --to peft --out adapter/")
@click.argument("run")
@click.option("--to", "target", default="peft", show_default=True, help="peft.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Directory to write; must not exist."
)
@runs_option
@json_option
def command(run: str, target: str, out: Path, runs: Path, as_json: bool) -> None:
    """Write RUN (its name or the beginning of it) for use with `PeftModel.from_pretrained`."""
    from bench.runs.export import export_to_peft
    from bench.store.store import Store

    if target not in TARGETS:
        raise UnknownNameError("export target", target, TARGETS)
    if out.exists():
        raise UserError(f"--out {out}: exists already; expected a directory that does not")
    written = export_to_peft(Store(runs).find(run), out)
    if as_json:
        print_json({"run": run, "to": target, "files": [str(path) for path in written]})
    else:
        click.echo(f"wrote {', '.join(str(path) for path in written)}")
