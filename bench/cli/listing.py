"""`bench list`: what there is. Answers without torch, except for the parameter counts of `list methods --model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from bench.cli import print_json, print_table
from bench.cli.options import json_option, runs_option
from bench.errors import UnknownNameError

KINDS = ("tasks", "methods", "models", "experiments", "metrics", "claims", "runs")


@click.command(
    "list",
    epilog="""\b
Examples:
  bench list tasks
  bench list methods --model gpt2-medium      trained and stored parameters, the paper's share beside
  bench list runs --json""",
)
@click.argument("kind", metavar="|".join(KINDS))
@click.option("--model", default=None, help="With methods: count parameters for this backbone (needs torch).")
@runs_option
@json_option
def command(kind: str, model: str | None, runs: Path, as_json: bool) -> None:
    """List tasks, methods, models, experiments, metrics, claims or runs."""
    if kind not in KINDS:
        raise UnknownNameError("list", kind, KINDS)
    rows: list[dict[str, Any]]
    if kind == "tasks":
        rows = tasks()
    elif kind == "methods":
        rows = audited(model) if model else methods()
    elif kind == "models":
        rows = models()
    elif kind == "experiments":
        rows = experiments()
    elif kind == "metrics":
        rows = metrics()
    elif kind == "claims":
        rows = claims()
    else:
        rows = stored(runs)
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no {kind}" + (f" in {runs}" if kind == "runs" else ""))
        return
    header = list(dict.fromkeys(name for row in rows for name in row))
    print_table(header, [[shown(row.get(name), name) for name in header] for row in rows])


def shown(value: object, name: str = "") -> object:
    """A cell: numbers with separators, shares in percent, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and name.startswith("share"):
        return f"{100 * value:.3g}%"
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value


def broken(kind: Literal["methods", "tasks"]) -> list[dict[str, Any]]:
    """Files that could not be used, each with its cause, so that they are seen and not missed."""
    from bench import registry

    return [{"name": place, "broken": cause} for place, cause in registry.broken(kind)]


def tasks() -> list[dict[str, Any]]:
    from bench import registry

    return [
        {
            "name": task.name,
            "kind": task.kind,
            "rows": " / ".join(f"{count.rows:,}" for count in task.expected.values()),
            "metrics": list(task.metrics),
            "licence": task.licence,
        }
        for task in registry.tasks().values()
    ] + broken("tasks")


def methods() -> list[dict[str, Any]]:
    from bench import registry

    return [
        {
            "name": method.name,
            "summary": method.summary,
            "options": [f"{option.name}={option.default}" for option in method.options],
        }
        for method in registry.methods().values()
    ] + broken("methods")


def audited(model: str) -> list[dict[str, Any]]:
    """Every method and reported variant, counted on the meta device without weights."""
    from bench import registry
    from bench.models import parameter_count
    from bench.models.catalogue import MODELS, is_path

    if model not in MODELS and not is_path(model):
        raise UnknownNameError("model", model, MODELS, "or a directory with a GPT-2 or BART checkpoint")
    rows: list[dict[str, Any]] = []
    for method in registry.methods().values():
        for variant in parameter_count.variants(method, model):
            rows.append(dict(parameter_count.audit(method, model, variant)))
    return [*rows, *broken("methods")]


def models() -> list[dict[str, Any]]:
    from bench.models.catalogue import MODELS

    return [
        {
            "name": entry.name,
            "kind": entry.kind,
            "summary": entry.summary,
            "weights": f"{entry.hub}@{entry.revision}" if entry.hub else "shipped with the package",
        }
        for entry in MODELS.values()
    ]


def experiments() -> list[dict[str, Any]]:
    """Each with its number of runs per scale; those that are not available here included."""
    from bench.experiments.files import list_experiments, list_prescribed_runs, load_experiment

    return [
        {
            "name": name,
            "runs (paper)": len(list_prescribed_runs(name, "paper")),
            "runs (mini)": len(list_prescribed_runs(name, "mini")),
            "source": load_experiment(name)["source"],
            "title": load_experiment(name)["title"],
        }
        for name in list_experiments()
    ]


def metrics() -> list[dict[str, Any]]:
    from bench import metrics, registry
    from bench.scoring import evaluation, golden

    return [
        {
            "task": task.name,
            "metric": name,
            "implemented": metrics.find(task.name, name) is not None,
            "golden values": golden.golden_for(task.name, name) is not None,
        }
        for task in registry.tasks().values()
        for name in evaluation.names(task)
    ]


def claims() -> list[dict[str, Any]]:
    """The paper's sentences that reports check."""
    from reports.paper import published

    return [
        {"name": one.id, "source": one.source, "sentence": one.sentence} for one in published.read_claims()
    ]


def stored(runs: Path) -> list[dict[str, Any]]:
    """Every run's latest attempt; ``rescore`` names the scores whose scorer is another one today."""
    from bench.scoring import golden
    from bench.store.store import Store
    from bench.system.progress import say

    store = Store(runs)
    rows = []
    for record in store.records():
        groups = record.get("scores") or {}
        scores = groups.get("all", {})
        bleu = scores.get("bleu", {}).get("value")
        rows.append(
            {
                "run": record["run_id"],
                "status": record["status"],
                "scale": record["scale"],
                "bleu": None if bleu is None else round(bleu, 2),
                "ended": record["ended"],
                "rescore": golden.changed(record["task"], groups) or None,
                "error": str((record.get("error") or {}).get("message") or "").splitlines()[:1],
            }
        )
    for folder in store.runs():
        if folder.latest_record() is None:
            status = "running" if folder.worker() else "interrupted"
            rows.append({"run": folder.run_id, "status": status})
    for damage in store.damaged:
        say(str(damage), important=True)
    return rows
