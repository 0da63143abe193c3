"""Options that several verbs have: one definition each, so that a flag is the same flag everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.parameters import add_argument, add_option
from bench.cli.path_options import PathName, check_kept_runs, check_typed_runs, check_typed_runs_place
from bench.config.settings import DEFINITIONS, format_value

if TYPE_CHECKING:
    from bench.config.request import CommonOptions

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def make_runs_option(check: Callable[[click.Context, click.Parameter, Path], Path] | None) -> Decorator:
    """``--runs``, judged by ``check`` before the verb begins."""
    return add_option(
        "--runs",
        type=PathName("directory", readable=False),
        envvar="BENCH_RUNS",
        show_envvar=True,
        default=Path("runs"),
        show_default=True,
        callback=check,
        help="Where runs are kept.",
    )


runs_option = make_runs_option(check_typed_runs)
"""Of verbs that read runs."""
unchecked_runs_option = make_runs_option(None)
"""Of verbs that read runs in one of their modes alone."""
report_runs_option = make_runs_option(check_typed_runs_place)
"""Of a report, which says what there is without a run, too."""
kept_runs_option = make_runs_option(check_kept_runs)
"""Of verbs that make runs, and plan them."""
json_option = add_option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
data_dir_option = add_option(
    "--data-dir",
    type=PathName("directory", is_read=True),
    envvar="BENCH_DATA",
    show_envvar=True,
    help="Directory with e2e/, webnlg/, dart/, xsum/ in the publishers' layout.",
)
tokenizer_option = add_option(
    "--tokenizer",
    type=PathName("directory", is_read=True),
    help="Folder of GPT-2's tokenizer, to count lengths with.",
)
offline_option = add_option("--offline", is_flag=True, help="Never use the network.")
any_row_count_option = add_option(
    "--any-row-count", is_flag=True, help="Warn, and do not refuse, when a split has another size."
)


def all_of(*options: Decorator) -> Decorator:
    """Several options as one decorator; `--help` lists them in this order."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return wrap


experiment_options = all_of(
    add_option("--method", "methods", default=None, help="Method, with options in brackets; lists allowed."),
    add_option("--task", "tasks", default=None, help="Task, or several separated by commas."),
    add_option("--model", default=None, help="Backbone: a name of `bench list models` or a directory."),
    add_option("--scale", default="mini", show_default=True, help="mini or paper."),
    add_option("--protocol", default="original", show_default=True, help="original or plain."),
    add_option(
        "--seed",
        "seeds",
        default=None,
        help="Seed, or several; otherwise 101, the authors', or the experiment's.",
    ),
    data_dir_option,
    kept_runs_option,
)
"""Which runs, at which scale, from which data, kept where: what `run`, `plan` and `submit` share."""


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """One flag for every row of the table of settings."""
    flags = []
    for definition in DEFINITIONS:
        choices = f" ({', '.join(definition.choices)})" if definition.choices else ""
        sentence = f"{definition.help[0].upper()}{definition.help[1:]}{choices}"
        flags.append(
            add_option(
                "--" + definition.name.replace("_", "-"),
                definition.name,
                default=None,
                metavar="yes|no" if definition.kind is bool else definition.kind.__name__.upper(),
                help=f"{sentence}; otherwise as the method or task has it, or {format_value(definition.default)}.",
            )
        )
    return all_of(*flags)(function)


def common_of(values: Mapping[str, Any], experiments: bool) -> CommonOptions:
    """What all requests of a command share, from the values of its options by name.

    They are those of ``experiment_options`` and ``with_settings``, and of ``offline_option`` and
    ``any_row_count_option`` where the verb has them. ``experiments``: they name the models, and the flag
    selects among these.
    """
    from bench.config.request import CommonOptions

    check_runs_apart(values["runs"], values["data_dir"])
    return CommonOptions(
        model=None if experiments else values["model"],
        scale=values["scale"],
        protocol=values["protocol"],
        data_dir=values["data_dir"],
        runs=values["runs"],
        offline=values.get("offline", False),
        strict=not values.get("any_row_count", False),
        given={
            definition.name: values[definition.name]
            for definition in DEFINITIONS
            if values[definition.name] is not None
        },
    )


def check_runs_apart(runs: Path, data_dir: Path | None) -> None:
    """Refuse to keep runs in the folder of a task's published data, or inside this program."""
    from bench import registry
    from bench.system.outputs import CommandInput, check_output_place

    tasks = registry.tasks() if data_dir is not None else ()
    inputs = [CommandInput("--data-dir", Path(str(data_dir), task)) for task in tasks]
    check_output_place("--runs", runs, inputs)


def add_run_selector(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that every verb has that acts on several submitted runs (``bench.cluster.select``)."""
    from bench.cluster.select import FIELDS

    for name in reversed(FIELDS):
        function = add_option(
            f"--{name}", f"select_{name}", default=None, help=f"Only this {name} (or several)."
        )(function)
    function = add_option(
        "--launch", "select_launch", default=None, help="Only this launch; `latest` is the last."
    )(function)
    return add_argument("names", nargs=-1, metavar="[RUN]...")(function)
