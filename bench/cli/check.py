"""`bench check`: small runs of everything, same seed against same seed, within measured bands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import print_error, print_json, print_lines
from bench.cli.options import json_option
from bench.cli.parameters import WholeNumber, add_option
from bench.cli.path_options import PathName
from bench.cli.tables import print_table
from bench.errors import UserError
from bench.system.launch_variables import check_launch_variables

if TYPE_CHECKING:
    from bench.regression.comparison import CheckOutcome, ComparedValue

SHOWN_PER_CASE = 6
"""Values outside their bands that the table has of a case; `--json` has all."""


@click.command(
    "check",
    epilog="""\b
Examples:
  bench check                          everything small; exit 1 if a value left its band,
                                       or if a run has no reference values
  bench check --only webnlg,prefix     the runs of one task and of one method
  bench check --data-dir DIR           small parts of E2E, WebNLG, DART and XSUM
  bench check --junit check.xml        the outcome for CI as well
  bench check --update --with-packages DIR   new reference values; shows what changed
How bands come about and how to read a failure: docs/check.md""",
)
@add_option(
    "--only",
    default=None,
    help="Tasks, methods or both ('webnlg prefix'), separated by commas; all otherwise.",
)
@add_option(
    "--data-dir",
    type=PathName("directory", is_read=True),
    default=None,
    help="Check on small parts of published data: a directory with e2e/, webnlg/, dart/, xsum/.",
)
@add_option(
    "--processes", type=WholeNumber(1, 1_024), default=None, help="Runs at a time; the cores here otherwise."
)
@add_option(
    "--threads", type=WholeNumber(1, 1_024), default=1, show_default=True, help="Threads of each run."
)
@add_option(
    "--junit",
    type=PathName("file", dir_okay=False),
    default=None,
    help="Write the outcome as JUnit's XML.",
)
@add_option("--update", "renew", is_flag=True, help="Measure and write new reference values.")
@add_option(
    "--with-packages",
    "packages",
    type=PathName("directory", is_read=True),
    multiple=True,
    help="With --update: measure with the packages in this folder (pip install --target) too; repeatable.",
)
@add_option(
    "--reference",
    type=PathName("file", dir_okay=False),
    default=None,
    help="With --update: the file to write, as a plug-in's bench_check.json; the committed one otherwise.",
)
@json_option
def command(
    only: str | None,
    data_dir: Path | None,
    processes: int | None,
    threads: int,
    junit: Path | None,
    renew: bool,
    packages: tuple[Path, ...],
    reference: Path | None,
    as_json: bool,
) -> int:
    """Regression check on small subsets."""
    # Runs go side by side, and their models are too small to share cores: threads would only fight for them.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    check_launch_variables(several=False)
    check_flags(renew, packages, reference, junit, data_dir)
    junit = check_place("--junit", junit, data_dir, packages)
    reference = check_place("--reference", reference, data_dir, packages)
    from bench.system.provenance import count_usable_cores

    processes = processes or max(1, count_usable_cores() // threads)
    selectors = parse_selectors(only)
    if renew:
        return renew_reference(selectors, processes, packages, data_dir, reference, as_json)
    return compare(selectors, processes, threads, data_dir, junit, as_json)


def parse_selectors(only: str | None) -> list[str]:
    """The names in ``--only``; none where it was not given. An empty name is refused: it is no selection."""
    if only is None:
        return []
    names = [name.strip() for name in only.split(",")]
    if not all(names):
        raise UserError(
            f"--only {only!r}: a name is empty; expected tasks or methods, as 'webnlg,e2e prefix'"
        )
    return names


def check_flags(
    renew: bool,
    packages: Sequence[Path],
    reference: Path | None,
    junit: Path | None,
    data_dir: Path | None,
) -> None:
    """Refuse flags that nothing would look at, and folders that are not there, before anything runs."""
    for flag, given in (("--with-packages", bool(packages)), ("--reference", reference is not None)):
        if given and not renew:
            raise UserError(f"{flag} goes with --update, which measures new reference values")
    if junit is not None and renew:
        raise UserError("--junit is of a comparison; expected it without --update")
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(
            f"--data-dir {data_dir}: no such directory; expected one with e2e/, webnlg/, dart/ or xsum/"
        )
    for flag, file in (("--junit", junit), ("--reference", reference)):
        if file is not None and not file.absolute().parent.is_dir():
            raise UserError(f"{flag} {file}: no such folder; expected a file in a folder that exists")


def check_place(
    option: str, file: Path | None, data_dir: Path | None, packages: Sequence[Path]
) -> Path | None:
    """Where the file is to be written, judged before anything runs: it is none that the check reads."""
    if file is None:
        return None
    from bench import registry
    from bench.regression.reference import find_plugin_files
    from bench.system.outputs import CommandInput, check_output_file, list_data_inputs

    inputs = list_data_inputs(data_dir, registry.tasks())
    inputs += [CommandInput("--with-packages", folder) for folder in packages]
    if option == "--junit":
        inputs += [CommandInput("reference values", path) for path in find_plugin_files().values()]
    return check_output_file(option, file, inputs, in_program=option == "--reference")


def compare(
    selectors: Sequence[str],
    processes: int,
    threads: int,
    data_dir: Path | None,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Run the cases, and hand the outcome to whoever reads it; the exit code."""
    from bench.regression import publishing
    from bench.regression.comparison import check_cases
    from bench.regression.measuring import Circumstances

    outcome = check_cases(selectors, processes, data_dir, Circumstances(threads=threads))
    if junit is not None:
        publishing.write_junit(outcome, junit)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in publishing.make_annotations(outcome):
            print_lines(line, err=True)  # GitHub reads both streams
    if as_json:
        print_json(outcome.to_json())
    else:
        print_outcome(outcome)
    return 0 if outcome.passed else 1


def renew_reference(
    selectors: Sequence[str],
    processes: int,
    packages: Sequence[Path],
    data_dir: Path | None,
    reference: Path | None,
    as_json: bool,
) -> int:
    """Measure and write reference values and print what changed; the exit code."""
    from bench.regression import references
    from bench.regression.cases import Suite
    from bench.regression.reference import REFERENCE_FILES

    update = references.update_reference(selectors, processes, packages, data_dir, reference)
    for sentence in update.incomplete:
        print_error(f"not written: {sentence}")
    if as_json:
        print_json({"changed": update.changes, "incomplete": update.incomplete})
    else:
        print_lines(*(update.changes or ["nothing changed"]))
        suite = Suite.EMBEDDED if data_dir is None else Suite.REAL
        written = reference or Path("results") / "check" / REFERENCE_FILES[suite].name
        print_lines(f"written to {written}; review the difference and commit it")
    return 1 if update.incomplete else 0


def print_outcome(outcome: CheckOutcome) -> None:
    """What left its band, and how much was compared."""
    from bench.regression.publishing import group_by_case

    values, outside = outcome.values, outcome.outside
    rows, hidden = [], 0
    for of_case in group_by_case(outcome).values():
        left = [value for value in of_case if value.outside]
        rows += [format_row(value) for value in left[:SHOWN_PER_CASE]]
        hidden += max(0, len(left) - SHOWN_PER_CASE)
    if rows:
        print_table(["run", "value", "now", "reference", "±"], rows)
    if hidden:
        print_lines(f"and {hidden} more values of these runs (--json has all)")
    cases = len({value.case for value in values})
    print_lines(
        f"{len(values) - len(outside)} of {len(values)} values of {cases} runs and parts are within their "
        f"bands ({outcome.seconds:.0f} s)"
    )
    for names, reason in (
        (outcome.without_reference, "without reference values"),
        (outcome.cannot_run, "that cannot run any more"),
    ):
        if names:
            print_lines(f"not compared, {reason}: {', '.join(names)}")


def format_row(value: ComparedValue) -> list[str]:
    """A value outside its band as the table has it."""
    from bench.regression.publishing import format_plain

    now = "not computed" if value.value is None else format_plain(value.value)
    known = "none" if value.reference is None else format_plain(value.reference)
    half = "" if value.low is None or value.high is None else f"{(value.high - value.low) / 2:.2g}"
    return [value.case, value.metric, now, known, half]
