"""The command line. Each verb lives in its own file and is imported only when it is used.

Exit codes: 0 done, 1 the work failed (was interrupted, or nobody took its output), 2 the request was wrong.
Results go to standard output, everything else to standard error. A reader that leaves stops nothing: the runs and
files that were asked for are made, and one message says that the rest of the output was lost. A user's mistake
prints one message; a bug keeps its traceback.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from bench import __version__
from bench.cli.streams import find_lost_output, guard_streams
from bench.errors import StoppedError, UnknownNameError, UserError
from bench.foreign_text import LINE_LENGTH, format_message, show_foreign
from bench.system.cpus import keep_to_allotted_processors
from bench.system.devices import make_waiting_passive

VERBS = {
    "run": ("bench.cli.run", "Train, decode and score: one run, several or an experiment's, here and now."),
    "plan": (
        "bench.cli.plan",
        "What an experiment or claim would run, what of it is done, what it will cost.",
    ),
    "score": ("bench.cli.score", "Score any outputs, or stored runs again, as the paper's were scored."),
    "report": ("bench.cli.report", "The paper's tables, figures and claims, ours beside, a verdict each."),
    "check": (
        "bench.cli.check",
        "Regression check: small runs against committed values with measured bands.",
    ),
    "submit": ("bench.cli.submit", "Runs as jobs: on Slurm, on this machine, or in this process."),
    "status": ("bench.cli.status", "What is queued, running, done, failed, and why."),
    "watch": ("bench.cli.watch", "The status again and again, until all has ended."),
    "logs": ("bench.cli.logs", "What the job of a run said."),
    "cancel": ("bench.cli.cancel", "Stop jobs; they keep a checkpoint."),
    "retry": ("bench.cli.retry", "Submit again what failed."),
    "list": ("bench.cli.listing", "Tasks, methods, models, experiments, metrics, claims or runs."),
    "models": ("bench.cli.models", "The backbones, and whether their weights are the published ones."),
    "data": ("bench.cli.data", "Find, check and describe the data of a task."),
    "export": ("bench.cli.export", "Hand a run's trained parameters to another library."),
    "doctor": ("bench.cli.doctor", "What this machine can run, what is missing, how to get it."),
}


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is called, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if name not in VERBS:
            return None
        module = importlib.import_module(VERBS[name][0])
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise UnknownNameError("verb", args[0], VERBS, "bench --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  bench run --method prefix --task webnlg          a first result, on any laptop
  bench plan table2 --scale paper                  the runs behind a table of the paper
  bench report table2 --format md                  the paper's numbers, ours beside, a verdict each
  bench list methods --model gpt2-medium           what each method trains and stores
  bench report table1 --data-dir DIR --format md   Table 1 from your files
Shell completion: eval "$(_BENCH_COMPLETE=bash_source bench)" (or zsh_source, fish_source).""",
)
@click.version_option(__version__, prog_name="bench")
@click.option("-q", "--quiet", is_flag=True, help="No progress; results, warnings and errors only.")
@click.pass_context
def cli(context: click.Context, quiet: bool) -> None:
    """Reproduce the tables of Prefix-Tuning (Li & Liang, ACL 2021), and know whether a number is true."""
    if quiet:
        from bench.system.progress import silence_progress

        context.with_resource(silence_progress())


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `bench` program; returns the exit code."""
    from bench.system.progress import escape_interpreter_output

    escape_interpreter_output()
    make_waiting_passive()
    keep_to_allotted_processors()
    with guard_streams():
        code = call_verb(arguments)
        if (error := find_lost_output()) is not None:
            reason = error.strerror if isinstance(error, OSError) else error
            print_error(f"the output was lost ({reason}); files that were asked for are written all the same")
        return code or int(error is not None)


def call_verb(arguments: Sequence[str] | None) -> int:
    """Carry out a command; the exit code, after the message where it failed."""
    try:
        result = cli.main(args=arguments, prog_name="bench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.Abort as error:
        # click's way of passing on Ctrl-C; the cause says how to go on.
        print_error(f"interrupted. {error.__cause__ or ''}".rstrip())
        return error.__cause__.exit_code if isinstance(error.__cause__, StoppedError) else 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        print_error(describe_usage_error(error))
        return 2
    except UserError as error:
        print_error(str(error))
        return error.exit_code


def describe_usage_error(error: click.ClickException) -> str:
    """What click found wrong with the words of a command, and where its options are explained."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return error.format_message() + (f" See `{context.command_path} --help`." if context is not None else "")


def print_error(message: str) -> None:
    """The one message of a command that failed, on standard error."""
    print(format_message(f"bench: {message}"), file=sys.stderr)


def print_json(document: object) -> None:
    """The one JSON document of a `--json` call, on standard output; safe on a terminal, whatever texts it has."""
    import json

    from bench.system.json_files import to_json

    text = to_json(document, indent=2)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # a terminal of ASCII alone
        text = json.dumps(document, indent=2, allow_nan=False)
    click.echo(text)


def print_lines(*lines: str, err: bool = False) -> None:
    """Print each of ``lines`` as one line, whatever text of others is in it: controls as escapes, cut where long."""
    for line in lines:
        click.echo(show_foreign(line, LINE_LENGTH), err=err)


def print_document(content: str | bytes) -> None:
    """Print a document as it is: a table as a file, a report, both escaped where they were made."""
    click.echo(content, nl=False)
