"""`bench score`: score outputs as the paper's were scored, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli import print_json, print_table
from bench.cli.options import data_dir_option, json_option, offline_option, runs_option
from bench.errors import UserError, unknown


@click.command(
    "score",
    epilog="""\b
Examples:
  bench score --task webnlg --pairs outputs.jsonl --json
  bench score --task e2e --predictions system.txt --data-dir DIR
  bench score --run 'webnlg-prefix-*'                again, from stored outputs, without the model
  bench score --self-test                            do the scorers give the known values here?
\b
A line of a --pairs file: {"hyp": "a text", "refs": ["a reference", "another"], "seen": true}
(raw text; "seen" or "category" for WebNLG only). BLEU is 0 to 100; METEOR, TER, ROUGE 0 to 1.
BENCH_JAVA=1 takes METEOR and the PTB tokens from the official jars instead of our restatement.""",
)
@click.option("--task", default=None, help="As which task's outputs to score.")
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    help="JSON lines (may be .gz): hyp, refs and, for WebNLG, category or seen.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="One output a line, in the official order, against the task's own references.",
)
@click.option("--split", default="test", show_default=True, help="With --predictions: which references.")
@click.option(
    "--protocol",
    default="plain",
    show_default=True,
    help="With --predictions: references as published (plain), or as the paper's authors had them (original).",
)
@click.option("--limit", type=click.IntRange(1), help="With --predictions: the first items only.")
@data_dir_option
@click.option("--scale", default="paper", show_default=True, help="With --predictions: mini or paper.")
@offline_option
@click.option("--run", "run", default=None, help="Score stored runs again: a run's name, or a pattern.")
@runs_option
@click.option("--metric", "only", default="", help="Only these metrics, separated by commas.")
@click.option("--segments", type=click.Path(path_type=Path), help="Write the values per item to this file.")
@click.option("--self-test", is_flag=True, help="Score the golden outputs; exit 1 if a value is wrong.")
@json_option
def command(
    task: str | None,
    pairs: Path | None,
    predictions: Path | None,
    run: str | None,
    runs: Path,
    only: str,
    segments: Path | None,
    self_test: bool,
    as_json: bool,
    **which: Any,  # of the task's own references, see own_references
) -> int:
    """Score outputs as the paper's were scored."""
    given = {"--pairs": pairs, "--predictions": predictions, "--run": run, "--self-test": self_test or None}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise UserError(
            f"what to score: {' and '.join(chosen) or 'nothing'} given; expected one of {', '.join(given)}"
        )
    names = [name.strip() for name in only.split(",") if name.strip()]
    if self_test:
        return show_self_test(task, names, as_json)
    if run is not None:
        return score_again(run, runs, as_json)
    if task is None:
        raise UserError(f"{chosen[0]} needs --task: as which task's outputs to score (`bench list tasks`)")
    from bench.registry import get_task

    scored = get_task(task)
    items: Sequence[Any]
    if pairs is not None:
        from bench.pairs import read_pairs

        items, outputs = read_pairs(pairs, task, tuple(scored.groups))
    else:
        assert predictions is not None
        items, outputs = own_references(task, predictions, **which)
    return show_scores(scored, items, outputs, names, segments, as_json)


def own_references(
    task: str,
    predictions: Path,
    split: str,
    protocol: str,
    limit: int | None,
    data_dir: Path | None,
    scale: str,
    offline: bool,
) -> tuple[Sequence[Any], list[str]]:
    """The items of the task's own split, and the outputs for them."""
    from typing import cast

    from bench import registry
    from bench.data import load_items, prepare
    from bench.pairs import read_predictions
    from bench.spec import PROTOCOLS, SCALES
    from bench.task import Protocol

    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    found = prepare(registry.get_task(task), data_dir, not offline, scale, splits=(split,))
    items = load_items(found, split, cast(Protocol, protocol))[:limit]
    return items, read_predictions(predictions, len(items), f"{task} {split} ({found.origin})")


def show_scores(
    task: Any,
    items: Sequence[Any],
    outputs: Sequence[str],
    only: Sequence[str],
    segments: Path | None,
    as_json: bool,
) -> int:
    from bench import scoring
    from bench.json_files import write_json_atomic

    scores = scoring.score_all(task, items, outputs, only)
    document = scoring.to_json(scores)
    failed = scoring.warn_of_gate(document)
    if segments is not None:
        write_json_atomic(
            segments,
            {
                group: {name: list(values) for one in found.values() for name, values in one.segments.items()}
                for group, found in scores.items()
            },
        )
    broken = [
        name
        for name, one in scores["all"].items()
        if one.value is None and str(one.reason).startswith(scoring.FAILED)
    ]
    if as_json:
        print_json({"task": task.name, "n": len(outputs), "scores": document})
    else:
        click.echo(f"{task.name}: {len(outputs):,} outputs")
        show_table(document)
    return 1 if failed or broken else 0


def show_table(scores: dict[str, dict[str, Any]]) -> None:
    """One row per metric, one column per group; then the signatures and what is missing."""
    groups = list(scores)
    rows = []
    for name in scores["all"]:
        values = [scores[group][name]["value"] for group in groups]
        rows.append([name, *("-" if value is None else f"{value:.4f}" for value in values)])
    print_table(["metric", *groups], rows)
    click.echo()
    for name, one in scores["all"].items():
        click.echo(f"{name}: {one['signature'] or 'not computed: ' + one['reason']}")


def score_again(pattern: str, runs: Path, as_json: bool) -> int:
    """Stored runs, scored from their stored outputs."""
    from bench import rescore
    from bench.store import Store

    outcomes, failed = [], 0
    for folder in rescore.chosen(Store(runs), pattern):
        outcome = rescore.again(folder)
        failed += "error" in outcome
        outcomes.append(outcome)
        if as_json:
            continue
        if "error" in outcome:
            click.echo(f"{outcome['run']}: {outcome['error']}")
        else:
            click.echo(f"{outcome['run']}: {', '.join(outcome['changed']) or 'nothing'} changed")
            for name, (old, new) in outcome["values"].items():
                click.echo(f"  {name}: {shown(old)} -> {shown(new)}")
    if as_json:
        print_json(outcomes)
    return 1 if failed else 0


def shown(value: float | None) -> str:
    return "not computed" if value is None else f"{value:.4f}"


def show_self_test(task: str | None, only: Sequence[str], as_json: bool) -> int:
    """Every scorer against its golden outputs."""
    from bench import gate

    if task is not None and task not in gate.tasks():
        raise unknown("task with golden outputs", task, gate.tasks())
    outcomes = [
        (name, gate.outcome(name, metric))
        for name in ([task] if task else gate.tasks())
        for metric in gate.golden(name)["expected"]
        if not only or metric in only
    ]
    if not outcomes:
        raise UserError(f"--metric {','.join(only)}: no golden outputs; `bench score --self-test` shows all")
    failed = [one for _, one in outcomes if one.status == gate.FAILED]
    if as_json:
        print_json(
            {"passed": not failed, "outcomes": [{"task": name, **vars(one)} for name, one in outcomes]}
        )
    else:
        rows = [[name, one.metric, one.checked, one.status, one.source] for name, one in outcomes]
        print_table(["task", "metric", "values", "outcome", "known from"], rows)
        for name, one in outcomes:
            if one.problem:
                click.echo(f"{name} {one.metric}: {one.problem}")
    return 1 if failed else 0
