"""`bench export`: hand a run's trained parameters to another library."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bench.cli import print_json, print_lines
from bench.cli.options import json_option, runs_option
from bench.cli.parameters import add_argument, add_option
from bench.cli.path_options import PathName
from bench.errors import UnknownNameError, UserError

TARGETS = ("peft",)


@click.command("export", epilog="\b\nExample:\n  bench export webnlg-prefix-mini --to peft --out adapter/")
@add_argument("run")
@add_option("--to", "target", default="peft", show_default=True, help="peft.")
@add_option("--out", type=PathName("directory"), required=True, help="Directory to write; must not exist.")
@runs_option
@json_option
def command(run: str, target: str, out: Path, runs: Path, as_json: bool) -> None:
    """Write RUN (its name or the beginning of it) for use with `PeftModel.from_pretrained`."""
    from bench.runs.export import export_to_peft
    from bench.store.store import Store
    from bench.system.outputs import check_new_folder, list_run_inputs

    if target not in TARGETS:
        raise UnknownNameError("export target", target, TARGETS)
    if os.path.lexists(out):
        raise UserError(f"--out {out}: exists already; expected a directory that does not")
    check_new_folder("--out", out, list_run_inputs(runs))
    written = export_to_peft(Store(runs).find(run), out)
    if as_json:
        print_json({"run": run, "to": target, "files": [str(path) for path in written]})
    else:
        print_lines(f"wrote {', '.join(str(path) for path in written)}")
