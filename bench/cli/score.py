"""`bench score`: score outputs as the paper's were scored, whoever made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli import print_json, print_lines
from bench.cli.options import data_dir_option, json_option, offline_option, unchecked_runs_option
from bench.cli.parameters import WholeNumber, add_option
from bench.cli.path_options import PathName, require_typed_runs
from bench.cli.tables import print_table
from bench.errors import UnknownNameError, UserError
from bench.system.numbers import MANY

if TYPE_CHECKING:
    from bench.scoring.score import Score

MODES = ("--pairs", "--predictions", "--run", "--self-test")
BELONGS = {
    "task": ("--pairs", "--predictions", "--self-test"),
    "segments": ("--pairs", "--predictions"),
    **dict.fromkeys(("split", "protocol", "limit", "data_dir", "scale"), ("--predictions",)),
    "runs": ("--run",),
}
"""Parameter -> the modes in which it means something; one that is not here does so in all."""


@click.command(
    "score",
    epilog="""\b
Examples:
  bench score --task webnlg --pairs outputs.jsonl --json
  bench score --task e2e --predictions system.txt --data-dir DIR
  zcat system.gz | bench score --task e2e --predictions - --metric bleu --metric nist
  bench score --run 'webnlg-prefix-*'                again, from stored outputs, without the model
  bench score --self-test                            do the scorers give the known values here?
\b
A line of a --pairs file: {"hyp": "a text", "refs": ["a reference", "another"], "seen": true}
(raw text; "seen" or "category" for WebNLG only). BLEU is 0 to 100; METEOR, TER, ROUGE 0 to 1.
BENCH_JAVA=1 takes METEOR and the PTB tokens from the official jars instead of our restatement.
\b
Exit code 0: every score that --metric names is there; without --metric, some may be missing for want
of weights, and all where some lines lack references: the reason is with the score. 1: a named score,
or every score, could not be computed, a scorer broke, or it gave wrong values for its golden outputs.
2: the request was wrong.""",
)
@add_option("--task", default=None, help="As which task's outputs to score.")
@add_option(
    "--pairs",
    type=PathName("file", is_read=True),
    help="JSON lines (may be .gz; - is standard input): hyp, refs and, for WebNLG, category or seen.",
)
@add_option(
    "--predictions",
    type=PathName("file", is_read=True),
    help="One output a line (- is standard input), in the official order, against the task's own references.",
)
@add_option("--split", default="test", show_default=True, help="With --predictions: which references.")
@add_option(
    "--protocol",
    default="plain",
    show_default=True,
    help="With --predictions: references as published (plain), or as the paper's authors had them (original).",
)
@add_option("--limit", type=WholeNumber(1, MANY), help="With --predictions: the first items only.")
@data_dir_option
@add_option("--scale", default="paper", show_default=True, help="With --predictions: mini or paper.")
@offline_option
@add_option("--run", "run", default=None, help="Score stored runs again: a run's name, or a pattern.")
@unchecked_runs_option
@add_option("--metric", "only", multiple=True, help="Only this metric; repeated, or separated by commas.")
@add_option(
    "--segments",
    type=PathName("file"),
    help="With --pairs or --predictions: write the values per item to this file.",
)
@add_option("--self-test", is_flag=True, help="Score the golden outputs; exit 1 if a value is wrong.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    task: str | None,
    pairs: Path | None,
    predictions: Path | None,
    run: str | None,
    runs: Path,
    only: tuple[str, ...],
    segments: Path | None,
    self_test: bool,
    as_json: bool,
    offline: bool,
    **which: Any,  # of the task's own references, see bench.scoring.external_outputs.read_task_outputs
) -> int:
    """Score outputs as the paper's were scored."""
    values = (pairs, predictions, run, self_test or None)
    chosen = [name for name, value in zip(MODES, values, strict=True) if value is not None]
    if len(chosen) != 1:
        raise UserError(
            f"what to score: {' and '.join(chosen) or 'nothing'} given; expected one of {', '.join(MODES)}"
        )
    refuse_idle_options(context, chosen[0])
    from bench.system import hub

    with hub.allow_downloads(not offline):
        if self_test:
            return run_self_test(task, only, as_json)
        if run is not None:
            require_typed_runs(context, runs)
            return rescore_stored_runs(run, runs, only, as_json)
        if task is None:
            raise UserError(
                f"{chosen[0]} needs --task: as which task's outputs to score (`bench list tasks`)"
            )
        from bench.registry import get_task, tasks
        from bench.scoring import evaluation
        from bench.scoring.external_outputs import read_pairs, read_task_outputs

        scored = get_task(task)
        valid_names = evaluation.choose_metrics(scored)
        names = evaluation.choose_metrics(scored, split_names(only, valid_names)) if only else []
        if segments is not None:
            segments = check_segments_file(segments, pairs, predictions, which["data_dir"], tasks())
        items: Sequence[Any]
        if pairs is not None:
            items, outputs = read_pairs(pairs, task, tuple(scored.groups))
        else:
            assert predictions is not None
            items, outputs = read_task_outputs(scored, predictions, offline=offline, **which)
        return score_and_print(scored, items, outputs, names, segments, as_json)


def refuse_idle_options(context: click.Context, mode: str) -> None:
    """Refuse the options that were typed and mean nothing in this mode."""
    idle = [
        f"{option.opts[0]} means nothing with {mode}; it belongs to {' and '.join(modes)}"
        for option in context.command.params
        if mode not in (modes := BELONGS.get(str(option.name), MODES))
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if idle:
        raise UserError(". ".join(idle))


def split_names(only: Iterable[str], valid_names: Iterable[str]) -> list[str]:
    """The names that ``--metric`` gives, an option or several, each with commas or without."""
    names = [name.strip() for text in only for name in text.split(",")]
    if "" in names:
        raise UserError(f"--metric {','.join(only)!r}: an empty name. Valid: {', '.join(valid_names)}")
    return names


def score_and_print(
    task: Any,
    items: Sequence[Any],
    outputs: Sequence[str],
    only: Sequence[str],
    segments: Path | None,
    as_json: bool,
) -> int:
    from bench.scoring import evaluation
    from bench.system.files import StorageError

    scores = evaluation.score_outputs(task, items, outputs, only)
    document = evaluation.make_score_documents(scores)
    evaluation.warn_of_failed_gates(document)
    failure = None
    if segments is not None:  # before anything is printed: a file is kept, an output may be lost
        try:
            write_segments(segments, scores)
        except StorageError as error:
            failure = error
    if as_json:
        print_json({"task": task.name, "n": len(outputs), "scores": document})
    else:
        print_lines(f"{task.name}: {len(outputs):,} outputs")
        print_scores(document)
    if failure is not None:
        raise failure
    without = sum(not item.references for item in items)
    return find_exit_code(task.name, document, only, some_lack_references=0 < without < len(items))


def write_segments(path: Path, scores: Mapping[str, Mapping[str, Score]]) -> None:
    """The values per item of every group and metric, as JSON."""
    from bench.system.json_files import write_json_atomic

    values = {
        group: {name: list(values) for score in scored.values() for name, values in score.segments.items()}
        for group, scored in scores.items()
    }
    write_json_atomic(path, values)


def check_segments_file(
    path: Path, pairs: Path | None, predictions: Path | None, data_dir: Path | None, tasks: Iterable[str]
) -> Path:
    """Refuse, before the work, a file for the values per item that is an input or could not be written after it."""
    from bench.system.outputs import CommandInput, check_output_file, list_data_inputs

    options = {"--pairs": pairs, "--predictions": predictions}
    inputs = [CommandInput(option, source) for option, source in options.items() if source is not None]
    inputs += list_data_inputs(data_dir if predictions is not None else None, tasks)
    return check_output_file("--segments", path, inputs, "for the values per item", "the scores")


def find_exit_code(
    of: str, scores: dict[str, dict[str, Any]], only: Sequence[str], some_lack_references: bool = False
) -> int:
    """1 where a script must not go on: see the end of the command's help."""
    from bench.scoring import evaluation
    from bench.system.progress import print_message

    lacking = evaluation.list_missing_scores(scores["all"], only, some_lack_references)
    if lacking:
        print_message(
            f"{of}: not computed: {', '.join(lacking)}; the reasons are with the scores", important=True
        )
    distrusted = [name for name in evaluation.list_distrusted_scores(scores) if not only or name in only]
    return 1 if lacking or distrusted else 0


def print_scores(scores: dict[str, dict[str, Any]]) -> None:
    """One row per metric, one column per group; then the signatures and what is missing."""
    groups = list(scores)
    rows = []
    for name in scores["all"]:
        values = [scores[group][name]["value"] for group in groups]
        rows.append([name, *("-" if value is None else f"{value:.4f}" for value in values)])
    print_table(["metric", *groups], rows)
    print_lines("")
    for name, score in scores["all"].items():
        print_lines(f"{name}: {score['signature'] or 'not computed: ' + score['reason']}")


def rescore_stored_runs(pattern: str, runs: Path, only: Sequence[str], as_json: bool) -> int:
    """Stored runs, scored from their stored outputs; the tasks of a pattern's runs may differ."""
    from bench import registry
    from bench.runs import rescoring
    from bench.scoring import evaluation
    from bench.store.store import Store

    valid_names = (
        sorted({name for task in registry.tasks().values() for name in evaluation.choose_metrics(task)})
        if only
        else []
    )
    names = split_names(only, valid_names)
    for name in names:
        if name not in valid_names:
            raise UnknownNameError("metric", name, valid_names, "bench list metrics")
    outcomes: list[dict[str, Any]] = []
    failed = 0
    for folder in rescoring.select_runs(Store(runs), pattern):
        try:
            rescored = rescoring.rescore_run(folder, only=names)
        except UserError as error:
            outcomes.append({"run": folder.run_id, "error": str(error)})
            lines = [f"{folder.run_id}: {error}"]
            failed += 1
        else:
            outcomes.append(rescored.to_json())
            lines = [f"{folder.run_id}: {', '.join(rescored.changed) or 'nothing'} changed"]
            for name, (old, new) in rescored.values.items():
                lines.append(f"  {name}: {format_score(old)} -> {format_score(new)}")
            record = folder.done_record()
            if record is not None:
                # Of the typed record: what older versions wrote lacks the statuses.
                scores = {
                    group: {name: score.model_dump() for name, score in of_group.items()}
                    for group, of_group in record.scores.items()
                }
                failed += bool(find_exit_code(folder.run_id, scores, names))
        if not as_json:
            print_lines(*lines)
    if as_json:
        print_json(outcomes)
    return 1 if failed else 0


def format_score(value: float | None) -> str:
    return "not computed" if value is None else f"{value:.4f}"


def run_self_test(task: str | None, only: Sequence[str], as_json: bool) -> int:
    """Every scorer against its golden outputs."""
    from bench.scoring import golden
    from bench.scoring.score import GateStatus

    if task is not None and task not in golden.list_golden_tasks():
        raise UnknownNameError("task with golden outputs", task, golden.list_golden_tasks())
    tested = [
        (name, metric)
        for name in ([task] if task is not None else golden.list_golden_tasks())
        for metric in golden.read_golden_outputs(name)["expected"]
    ]
    valid_names = sorted({metric for _, metric in tested})
    names = split_names(only, valid_names)
    if lacking := [name for name in names if name not in valid_names]:
        raise UserError(f"--metric {','.join(lacking)}: no golden outputs. Valid: {', '.join(valid_names)}")
    outcomes = [
        (name, golden.check_scorer(name, metric)) for name, metric in tested if not names or metric in names
    ]
    failed = [outcome for _, outcome in outcomes if outcome.verdict.status is GateStatus.FAILED]
    unchecked = [outcome for _, outcome in outcomes if outcome.verdict.status is not GateStatus.PASSED]
    if as_json:
        documents = [{"task": name, **outcome.to_json()} for name, outcome in outcomes]
        print_json({"passed": not failed, "outcomes": documents})
    else:
        rows = [
            [name, outcome.metric, outcome.checked, outcome.status_words, outcome.source]
            for name, outcome in outcomes
        ]
        print_table(["task", "metric", "values", "outcome", "known from"], rows)
        for name, outcome in outcomes:
            if outcome.verdict.problem:
                print_lines(f"{name} {outcome.metric}: {outcome.verdict.problem}")
    return 1 if failed or (unchecked and (names or len(unchecked) == len(outcomes))) else 0
