"""Types and checks of options that name files and folders: what is no path is refused when it is read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.errors import UserError
from bench.foreign_text import show_foreign
from bench.system.paths import PATH_LENGTH, find_broken_link, find_folder_problem, find_unfit_place
from bench.system.progress import print_message


class PathName(click.Path):
    """A path that there can be; ``bench.cli.parameters`` refuses an empty one and a NUL, for every option alike.

    ``~`` at the beginning is the home: a shell leaves it as it is behind an equals sign.
    """

    def __init__(self, kind: str = "file", is_read: bool = False, **settings: Any) -> None:
        super().__init__(path_type=Path, **settings)
        self.kind = kind
        """What is expected, for the message: a file or a directory."""
        self.is_read = is_read
        """A link that leads nowhere is refused: whoever reads it would call it missing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fspath(value)
        named = param.opts[0] if param else self.kind
        text = os.path.expanduser(text)  # noqa: PTH111 - click wants the text
        if is_too_long(text):
            problem = os.strerror(errno.ENAMETOOLONG)
            raise UserError(f"{named} {show_foreign(text, PATH_LENGTH)}: {problem}; expected a {self.kind}")
        if self.is_read and (broken := find_broken_link(Path(text))) is not None:
            raise UserError(f"{named} {show_foreign(text, PATH_LENGTH)}: {broken}; expected a {self.kind}")
        return super().convert(text, param, ctx)


def is_too_long(path: str) -> bool:
    """Whether the file system takes no path, or no name in a path, of that length."""
    try:
        os.lstat(path)
    except (OSError, ValueError) as error:
        return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    return False


def check_runs_place(context: click.Context, parameter: click.Parameter, runs: Path) -> Path:  # noqa: ARG001 - click's
    """The folder may be missing, it is made; anything else in its place is refused."""
    if (problem := find_folder_problem(runs)) is not None:
        raise make_runs_error(context, runs, problem)
    return runs


def check_kept_runs(context: click.Context, parameter: click.Parameter, runs: Path) -> Path:
    """As ``check_runs_place``, and stored parameters can be read there: safetensors takes UTF-8 paths alone."""
    check_runs_place(context, parameter, runs)
    if (problem := find_unfit_place(runs)) is not None:
        raise make_runs_error(context, runs, problem)
    try:
        str(runs.absolute()).encode()
    except UnicodeEncodeError:
        raise make_runs_error(context, runs.absolute(), "the path has bytes that are no UTF-8") from None
    return runs


def check_typed_runs_place(context: click.Context, parameter: click.Parameter, runs: Path) -> Path:
    """As ``check_runs_place`` where the folder was typed, and a word where it is missing.

    One from elsewhere is looked at when it is used.
    """
    if is_typed(context):
        check_runs_place(context, parameter, runs)
        if not runs.is_dir():
            print_message(
                f"--runs {show_foreign(runs, PATH_LENGTH)}: no such directory, hence no runs", important=True
            )
    return runs


def check_typed_runs(context: click.Context, parameter: click.Parameter, runs: Path) -> Path:  # noqa: ARG001 - click's
    """Of verbs that read runs: a folder that was typed is there. The default is missing before the first run."""
    require_typed_runs(context, runs)
    return runs


def require_typed_runs(context: click.Context, runs: Path) -> None:
    """``UserError`` where ``--runs`` was typed and is no directory."""
    if is_typed(context) and ((problem := find_folder_problem(runs)) is not None or not runs.is_dir()):
        raise make_runs_error(context, runs, problem or "no such directory")


def is_typed(context: click.Context) -> bool:
    """Whether the folder of runs is from the command line, and not from the environment or the default."""
    return context.get_parameter_source("runs") is ParameterSource.COMMANDLINE


def make_runs_error(context: click.Context, runs: Path, problem: str) -> UserError:
    """The error for a folder of runs that is none: where it was named, why it is none, what to type."""
    source = context.get_parameter_source("runs")
    option = "BENCH_RUNS=" if source is ParameterSource.ENVIRONMENT else "--runs "
    named = option + show_foreign(runs, PATH_LENGTH)
    return UserError(
        f"{named}: {problem}; expected the directory where runs are kept: --runs DIR or BENCH_RUNS"
    )
