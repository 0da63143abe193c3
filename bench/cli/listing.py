"""`bench list`: what there is. Answers without torch, except for the parameter counts of `list methods --model`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bench.cli import print_document, print_json, print_lines
from bench.cli.options import json_option, runs_option
from bench.cli.parameters import add_argument, add_option
from bench.cli.path_options import PathName
from bench.cli.tables import print_table
from bench.errors import UnknownNameError, UserError
from bench.foreign_text import CELL_LENGTH, show_foreign

if TYPE_CHECKING:
    import pandas as pd

    from bench.store.run_dir import RunDir

KINDS = ("tasks", "methods", "models", "experiments", "metrics", "claims", "disputes", "runs")
TABLE_FORMATS = ("csv", "parquet", "md")
"""Of the table of runs (``bench.store.Store.frame``)."""
READ_COLUMNS = ("run_id", "status", "comparable", "parameters.stored", "seconds.all_attempts", "ended")
"""What people read of the table of runs; Markdown has these and the scores, the other formats have everything."""


@click.command(
    "list",
    epilog="""\b
Examples:
  bench list tasks
  bench list methods --model gpt2-medium      trained and stored parameters, the paper's share beside
  bench list disputes                         where accounts of the paper disagree, and what stands
  bench list runs --json
  bench list runs --format csv > runs.csv     a row per run: options, settings, every score, times
  bench list runs --out runs.parquet          the same for pandas.read_parquet""",
)
@add_argument("kind", metavar="|".join(KINDS))
@add_option("--model", default=None, help="With methods: count parameters for this backbone (needs torch).")
@add_option(
    "--format",
    "table_format",
    default=None,
    metavar="|".join(TABLE_FORMATS),
    help="With runs: every run as a row of a table. Markdown has the columns that people read, the others all.",
)
@add_option(
    "--out",
    type=PathName("file", dir_okay=False),
    help="With runs: the table's file; its ending says the format where --format does not.",
)
@runs_option
@json_option
def command(
    kind: str, model: str | None, table_format: str | None, out: Path | None, runs: Path, as_json: bool
) -> None:
    """List tasks, methods, models, experiments, metrics, claims, disputes or runs."""
    if kind not in KINDS:
        raise UnknownNameError("list", kind, KINDS)
    if table_format is not None or out is not None:
        table_format = choose_table_format(kind, table_format, out, as_json)
        write_run_table(runs, table_format, out)
        return
    rows = list_rows(kind, model, runs)
    if as_json:
        print_json(rows)
        return
    if not rows:
        print_lines(f"no {kind}" + (f" in {runs}" if kind == "runs" else ""))
        return
    header = list(dict.fromkeys(name for row in rows for name in row))
    print_table(header, [[format_value(row.get(name), name) for name in header] for row in rows])


def list_rows(kind: str, model: str | None, runs: Path) -> list[dict[str, Any]]:
    """What is listed: a mapping per task, method, ... ; ``model`` counts the methods' parameters."""
    if kind == "runs":
        return list_runs(runs)
    if kind == "methods" and model:
        return count_parameters(model)
    listings: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "tasks": list_tasks,
        "methods": list_methods,
        "models": list_models,
        "experiments": list_available_experiments,
        "metrics": list_metrics,
        "claims": lambda: list_claims(runs),
        "disputes": list_disputes,
    }
    return listings[kind]()


# --- the table of runs


def choose_table_format(kind: str, table_format: str | None, out: Path | None, as_json: bool) -> str:
    """The format from the option or from the file's ending; ``UserError`` for what cannot be written."""
    if kind != "runs":
        raise UserError(f"--format and --out are for runs, not for {kind}; try bench list runs, or --json")
    if as_json:
        raise UserError("--json is one document of its own; leave it out, or leave out --format and --out")
    if table_format is None:
        table_format = str(out).rpartition(".")[2] if out is not None else ""
        if table_format not in TABLE_FORMATS:
            endings = ", ".join(f".{name}" for name in TABLE_FORMATS)
            raise UserError(f"{out} does not say its format: expected an ending in {endings}, or --format")
    if table_format not in TABLE_FORMATS:
        raise UnknownNameError("format", table_format, TABLE_FORMATS)
    if table_format == "parquet" and out is None and sys.stdout.isatty():
        raise UserError("parquet is not for a terminal; add --out runs.parquet, or > runs.parquet")
    return table_format


def write_run_table(runs: Path, table_format: str, out: Path | None) -> None:
    """Every run as a row (``bench.store.Store.frame``), to ``out`` or to standard output."""
    from bench.store.damaged import warn_of_damage
    from bench.store.store import Store
    from bench.system.files import write_atomic
    from bench.system.outputs import check_output_file, list_run_inputs

    target = None
    if out is not None:
        target = check_output_file("--out", out, list_run_inputs(runs), "for the table")
    store = Store(runs)
    table = store.frame()
    warn_of_damage(store.damaged)
    if table_format == "parquet":
        content: bytes = table.to_parquet(None, index=False)
    else:
        text = format_markdown(table) if table_format == "md" else format_csv(table)
        content = text.encode("utf-8", "replace")
    if target is None:
        print_document(content)
    else:
        write_atomic(target, content)
        print_lines(f"{out}: {len(table):,} runs", err=True)


def format_csv(table: pd.DataFrame) -> str:
    """Comma-separated; texts that a spreadsheet would take for a formula get a quotation mark in front."""
    from reports.render.csv_table import guard_value

    texts = [name for name in table.columns if str(table[name].dtype) == "string"]
    safe = table.assign(**{name: table[name].map(guard_value, na_action="ignore") for name in texts})
    safe.columns = safe.columns.map(guard_value)
    return str(safe.to_csv(index=False, lineterminator="\r\n"))


def format_markdown(table: pd.DataFrame) -> str:
    """A table of ``READ_COLUMNS`` and the scores."""
    scores = [name for name in table.columns if name.startswith("score.")]
    names = [*READ_COLUMNS[:3], *scores, *READ_COLUMNS[3:]]
    texts = table[names].astype("object").map(format_markdown_value, na_action="ignore")
    texts.columns = texts.columns.map(format_markdown_value)
    return str(texts.fillna("").to_markdown(index=False, disable_numparse=True)) + "\n"


def format_markdown_value(value: object) -> str:
    """Numbers with four digits behind the point at most; nothing that would end the cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return show_foreign(text, CELL_LENGTH).replace("|", "\\|")


# --- everything that can be listed


def format_value(value: object, name: str = "") -> object:
    """A cell: numbers with separators, shares in percent, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and name.startswith("share"):
        return f"{100 * value:.3g}%"
    if name == "accounts" and isinstance(value, list):
        return "; ".join(f"{account['source']}: {account['says']}" for account in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value


def list_broken_files(kind: Literal["methods", "tasks"]) -> list[dict[str, Any]]:
    """Files that could not be used, each with its cause, so that they are seen and not missed."""
    from bench import registry

    return [{"name": path, "broken": cause} for path, cause in registry.broken(kind)]


def list_tasks() -> list[dict[str, Any]]:
    """Every task with its published number of rows, its metrics and the licence of its data."""
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
    ] + list_broken_files("tasks")


def list_methods() -> list[dict[str, Any]]:
    """Every method with its options and their defaults."""
    from bench import registry

    return [
        {
            "name": method.name,
            "summary": method.summary,
            "options": [f"{option.name}={option.default}" for option in method.options],
        }
        for method in registry.methods().values()
    ] + list_broken_files("methods")


def count_parameters(model: str) -> list[dict[str, Any]]:
    """Every method and reported variant, counted on the meta device without weights."""
    from bench import registry
    from bench.models import parameter_count
    from bench.models.catalogue import MODELS, is_model_path

    if model not in MODELS and not is_model_path(model):
        raise UnknownNameError("model", model, MODELS, "or a directory with a GPT-2 or BART checkpoint")
    rows: list[dict[str, Any]] = []
    for method in registry.methods().values():
        for variant in parameter_count.list_variants(method, model):
            rows.append(dict(parameter_count.count_parameters(method, model, variant)))
    return [*rows, *list_broken_files("methods")]


def list_models() -> list[dict[str, Any]]:
    """Every backbone and where its weights come from."""
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


def list_available_experiments() -> list[dict[str, Any]]:
    """Each with its number of runs per scale; those not available here included, then the broken ones."""
    from bench.experiments.files import (
        list_broken_experiments,
        list_experiments,
        list_prescribed_runs,
        load_experiment,
    )

    broken = list_broken_experiments()
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "runs (paper)": len(list_prescribed_runs(name, "paper")),
            "runs (mini)": len(list_prescribed_runs(name, "mini")),
            "source": load_experiment(name).source,
            "title": load_experiment(name).title,
        }
        for name in list_experiments()
        if name not in broken
    ]
    return [*rows, *({"name": name, "broken": cause} for name, cause in broken.items())]


def list_metrics() -> list[dict[str, Any]]:
    """Every metric of every task: whether it is implemented, and whether golden values check it."""
    """Every score of every task: whether there is a scorer, what it needs, whether golden outputs test it."""
    from bench import registry
    from bench.scoring import evaluation, golden

    rows: list[dict[str, Any]] = []
    for task in registry.tasks().values():
        for name in evaluation.choose_metrics(task):
            try:
                metric = registry.find_metric(task, name)
            except UserError:  # its file is broken, which is said below
                metric = None
            rows.append(
                {
                    "task": task.name,
                    "metric": name,
                    "implemented": metric is not None,
                    "golden values": metric is not None and golden.find_golden_task(task, name) is not None,
                    "weights": None if metric is None else metric.requirements.weights,
                }
            )
    return [*rows, *({"metric": place, "broken": cause} for place, cause in registry.broken("metrics"))]


def list_claims(runs: Path) -> list[dict[str, Any]]:
    """The paper's sentences that reports check, with what the runs say of each and what each allows."""
    from reports.paper import published

    status = read_claim_status(runs)
    return [
        {
            "name": claim.id,
            "status": status.get(claim.id, "not run"),
            "source": claim.source,
            "asks for": f"{claim.limits.describe()} {claim.unit}",
            "sentence": claim.sentence,
        }
        for claim in published.read_claims()
    ]


def read_claim_status(runs: Path) -> dict[str, str]:
    """Claim -> its outcome on the runs in the store; empty, and nothing is loaded, where there are none."""
    from bench.store.damaged import warn_of_damage
    from bench.store.store import Store

    store = Store(runs)
    if not any(True for _ in store.runs()):
        return {}
    from reports.judgement.claims import check_claims
    from reports.records.fact_rates import OutputFacts
    from reports.records.index import RunIndex

    index = RunIndex(store.read(latest=False))
    warn_of_damage(store.damaged)
    facts = OutputFacts(lambda run_id: store.run(run_id).read_generations())
    return {checked.claim.id: checked.records.outcome.value for checked in check_claims(index, facts=facts)}


def list_disputes() -> list[dict[str, Any]]:
    """Where accounts of the paper disagree, and what stands."""
    from reports.paper import published

    return [
        {
            "name": dispute.id,
            "kind": dispute.kind,
            "topic": dispute.topic,
            "paper": dispute.paper,
            "source": dispute.source,
            "accounts": [
                {"source": account.source, "says": account.printed or account.says}
                for account in dispute.accounts
            ],
            "standing": dispute.standing,
            "tables": list(dispute.tables),
            "claims": list(dispute.claims),
        }
        for dispute in published.read_disputes()
    ]


def list_runs(runs: Path) -> list[dict[str, Any]]:
    """Every run's latest attempt; ``rescore`` names the scores whose scorer is another one today."""
    from bench.scoring import golden
    from bench.store.damaged import DamageKind, warn_of_damage
    from bench.store.store import Store

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
                "rescore": golden.list_changed_scorers(record["task"], groups) or None,
                "error": str((record.get("error") or {}).get("message") or "").splitlines()[:1],
            }
        )
    damaged = [*store.damaged, *store.survey()]
    read = {row["run"] for row in rows}
    foreign = {entry.path.name for entry in damaged if entry.kind is DamageKind.FOREIGN}
    for folder in store.runs():
        if folder.run_id not in read and folder.run_id not in foreign:
            rows.append(describe_unrecorded(folder))
    warn_of_damage(damaged)
    return rows


def describe_unrecorded(folder: RunDir) -> dict[str, Any]:
    """The row of a run without a readable record: it runs, its records are unreadable, or it was interrupted."""
    unreadable = folder.list_damaged_records()
    if folder.worker():
        return {"run": folder.run_id, "status": "running"}
    if unreadable:
        problems = [show_foreign(unreadable[0].reason, 200)]
        return {"run": folder.run_id, "status": "unreadable", "error": problems}
    return {"run": folder.run_id, "status": "interrupted"}
