"""`bench report`: the paper's tables, figures and claims, ours beside, from the records that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_document, print_json, print_lines
from bench.cli.options import data_dir_option, json_option, report_runs_option, tokenizer_option
from bench.cli.parameters import add_argument, add_option
from bench.cli.path_options import PathName
from reports import FORMATS

if TYPE_CHECKING:
    from reports.document.schema import Report

SEARCHES = ("search", "search-code")
"""The experiments that search hyperparameters; they fill no table."""


MAX_PRINTED = 5
"""Of the latest scores, on the terminal; the report itself has more."""


@click.command(
    "report",
    epilog="""\b
Examples:
  bench report all                                     one page for a browser: report/index.html
  bench report table2 figure3 --format md
  bench report table5 --runs RUNS --format csv
  bench report table1 --data-dir DIR --format md       counts the published files
  bench report search                                  which hyperparameters win on dev
  bench report --paper-only table2 --format json       what the paper prints, as data
  bench report all --format tex --out paper/""",
)
@add_argument("names", nargs=-1, metavar="[TABLE|FIGURE|efficiency|claims|search|all]...")
@add_option("--format", "form", default="html", show_default=True, metavar="|".join(FORMATS))
@add_option(
    "--out",
    type=PathName("directory", file_okay=False),
    help="Directory to write to. Default: report for html; the others go to standard output.",
)
@add_option("--paper-only", is_flag=True, help="The paper's numbers alone; no runs are read.")
@report_runs_option
@data_dir_option
@tokenizer_option
@json_option
def command(
    names: tuple[str, ...],
    form: str,
    out: Path | None,
    paper_only: bool,
    runs: Path,
    data_dir: Path | None,
    tokenizer: Path | None,
    as_json: bool,
) -> None:
    """The paper's numbers with ours beside, a verdict each, and what stands behind it."""
    from bench.errors import UnknownNameError
    from reports.document.builder import select_names
    from reports.render import output_files

    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if searches := [name for name in SEARCHES if name in names]:
        check_search_options(searches, names, form, out)
        report_search(searches, runs, as_json or form == "json")
        return
    selected = select_names(names)
    if out is None and form == "json" and paper_only:
        print_paper(selected)
        return
    # In JSON the report itself is the one document of `--json`, in other formats the list of its files.
    printed = out is None and (form == "json" or (form != "html" and not as_json))
    folder = out or Path("report")
    if not printed:
        check_folder(folder, None if paper_only else runs, data_dir, tokenizer)
    report = read_and_build(selected, paper_only, runs, data_dir, tokenizer)
    if printed:
        print_document(output_files.render_text(report, form))
        return
    paths = output_files.write_files(folder, output_files.render_files(report, form))
    if as_json:
        print_json(summarise_report(report, paths))
    else:
        more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
        print_lines(f"{paths[-1]}{more}")
        if not paper_only:
            print_summary(report)


def check_folder(folder: Path, runs: Path | None, data_dir: Path | None, tokenizer: Path | None) -> None:
    """Refuse, before the work, a folder that is an input or could not be written to after it."""
    from bench.registry import tasks
    from bench.system.outputs import CommandInput, check_output_place, list_data_inputs, list_run_inputs
    from reports.render.output_files import probe_folder

    inputs = [
        *(list_run_inputs(runs) if runs is not None else []),
        *list_data_inputs(data_dir, tasks()),
        *([CommandInput("--tokenizer", tokenizer)] if tokenizer is not None else []),
    ]
    check_output_place("--out", folder, inputs)
    probe_folder(folder)


def summarise_report(report: Report, paths: Sequence[Path]) -> dict[str, Any]:
    """What `--json` prints of a report that is written to files."""
    overview = report.overview
    return {
        "files": [str(path) for path in paths],
        "latest": [asdict(run) for run in overview.latest],
        "rows": asdict(overview.headline),
        "verdicts": overview.verdicts,
        "claims": overview.claims,
        "damaged": list(overview.damaged),
    }


def print_summary(report: Report) -> None:
    """The latest scores and the headline, as the page begins with them."""
    from reports.document.headline import spell_headline

    for run in report.overview.latest[:MAX_PRINTED]:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in run.scores.items()) or "no score"
        system = f"{run.task}, {run.system}, {run.scale}, seed {run.seed}"
        print_lines(f"latest: {system}: {scores}")
    if report.overview.headline.rows:
        print_lines(spell_headline(report.overview.headline))


def check_search_options(searches: Sequence[str], names: Sequence[str], form: str, out: Path | None) -> None:
    """Refuse what a search's report cannot be: part of another one, a table in LaTeX, a folder of files."""
    from bench.errors import UserError

    command = f"bench report {' '.join(names)}"
    if others := [name for name in names if name not in SEARCHES]:
        raise UserError(
            f"{command}: a search is reported by itself; "
            f"expected {' '.join(searches)} and {' '.join(others)} in commands of their own"
        )
    if out is not None or form in ("csv", "tex"):
        flag = f"--out {out}" if out is not None else f"--format {form}"
        raise UserError(
            f"{command} {flag}: a search is reported on standard output, as text or with --json; "
            f"expected {command} > FILE"
        )


def report_search(searches: Sequence[str], runs: Path, as_json: bool) -> None:
    """Which settings of a search win on dev, on standard output: text for people, or one JSON document."""
    from bench.store.damaged import warn_of_damage
    from bench.store.store import Store
    from reports.document.search import build_search
    from reports.render.search_text import render_search

    store = Store(runs)
    records = store.read(latest=False)
    warn_of_damage(store.damaged)
    results = [result for name in searches for result in build_search(name, records)]
    if as_json:
        print_json([result.to_json() for result in results])
    else:
        print_lines(*render_search(results).splitlines())


def print_paper(names: Sequence[str]) -> None:
    """One document as it is stored, or several by name."""
    from reports.paper import published

    if len(names) == 1:
        print_json(published.read_document(names[0]))
    else:
        print_json({name: published.read_document(name) for name in names})


def read_and_build(
    names: Sequence[str], paper_only: bool, runs: Path, data_dir: Path | None, tokenizer: Path | None
) -> Report:
    """The report on the runs in the store, unreadable records named, and on the files of Table 1."""
    from bench.store.damaged import warn_of_damage
    from bench.store.store import Store
    from bench.system.garbage import exempt_existing_objects
    from reports.document.builder import build_report
    from reports.document.table1 import count_statistics

    if paper_only:
        return build_report([], names, paper_only=True)
    store = Store(runs)
    # All attempts: a run that is done once stays done, and failures before it are counted.
    records = store.read(latest=False)
    exempt_existing_objects()
    warn_of_damage(store.damaged)
    return build_report(
        records,
        names,
        counted=count_statistics(data_dir, tokenizer) if {"table1", "claims"} & set(names) else {},
        generations=lambda run_id: store.run(run_id).read_generations(),
        damaged=[damage.name for damage in store.damaged],
    )
