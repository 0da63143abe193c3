"""The mini table: every method on the three mini tasks, from the records of finished runs.

    python -m reports.document.mini_table RUNS results/mini/records.json > results/mini/table.md

Pure functions from records to text; what the orderings say is computed here too, so that a sentence in
the results cannot outlive the numbers it was written for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.json_files import to_canonical_json
from reports.records.grouping import DecidingFact, describe_facts
from reports.records.reading import read_records

if TYPE_CHECKING:
    import pandas as pd

Document = Mapping[str, Any]
"""A record as it is stored, or what is committed of one."""
COLUMNS = (
    ("e2e", "all", "E2E"),
    ("webnlg", "seen", "WebNLG S"),
    ("webnlg", "unseen", "WebNLG U"),
    ("webnlg", "all", "WebNLG A"),
    ("dart", "all", "DART"),
)
COMMITTED_FIELDS: tuple[str, ...] = (
    "run_id",
    "task",
    "method",
    "model",
    "model_fingerprint",
    "scale",
    "protocol",
    "seed",
    "command",
)
COMMITTED_FIELDS += ("execution", "data_origin", "data_fingerprint", "parameters", "scores", "status")


def format_label(record: Document) -> str:
    """The method with the options that tell its variants apart: ``adapter[size=3%]``."""
    options = {name: entry["value"] for name, entry in record["options"].items()}
    telling = [f"{name}={options[name]}" for name in ("size", "length") if name in options]
    return str(record["method"]) + (f"[{','.join(telling)}]" if telling else "")


def collect_scores(records: Sequence[Document]) -> pd.DataFrame:
    """A row per finished mini run and group of items, by seed: ``label``, ``task``, ``group``, ``seed``, ``bleu``.

    ``ValueError`` for runs that would share a cell and are not alike, or have the same seed.
    """
    import pandas as pd

    counted = [
        record
        for record in sorted(records, key=lambda record: record["seed"])
        if record["status"] == "done" and record["data_origin"] == "mini" and record["scale"] == "mini"
    ]
    runs = pd.DataFrame(
        [
            {
                "label": format_label(record),
                "task": record["task"],
                "seed": record["seed"],
                **spell_facts(record),
                "bleu": {group: scores["bleu"]["value"] for group, scores in record["scores"].items()},
            }
            for record in counted
        ],
        columns=["label", "task", "seed", *DecidingFact, "bleu"],
    )
    kinds = runs.groupby(["label", "task"], sort=False)[list(DecidingFact)].nunique()
    for cell, counts in kinds[kinds.gt(1).any(axis=1)].iterrows():
        facts = ", ".join(fact for fact in DecidingFact if counts[fact] > 1)
        raise ValueError(f"{cell}: runs that differ in {facts} cannot share a cell")
    for label, task, seed in runs.loc[
        runs.duplicated(["label", "task", "seed"]), ["label", "task", "seed"]
    ].values:
        raise ValueError(f"{(label, task)}: two runs with seed {seed}")
    runs["group"] = [list(scores) for scores in runs["bleu"]]
    runs["bleu"] = [list(scores.values()) for scores in runs["bleu"]]
    scores = runs.explode(["group", "bleu"], ignore_index=True).dropna(subset="bleu")
    return scores.astype({"bleu": float})[["label", "task", "group", "seed", "bleu"]]


def spell_facts(record: Document) -> dict[str, str]:
    """What runs that share a cell must have in common, as reports have it."""
    settings = to_canonical_json({name: record[name] for name in ("options", "settings", "protocol")})
    signatures = {group: scores["bleu"].get("signature") for group, scores in record["scores"].items()}
    facts = {
        **describe_facts(read_records([record])[0], settings),
        DecidingFact.SCORER: to_canonical_json(signatures),
    }
    return {fact.value: text for fact, text in facts.items()}


def summarise_cells(records: Sequence[Document]) -> pd.DataFrame:
    """``mean``, ``min``, ``max`` and ``count`` of BLEU over the seeds, by label, task and group."""
    cells = collect_scores(records).groupby(["label", "task", "group"], sort=False)["bleu"]
    return cells.agg(["mean", "min", "max", "count"])


def format_cell(cells: pd.DataFrame, label: str, task: str, group: str) -> str:
    """Mean and half the range over seeds; a single value stands alone; a gap is a gap."""
    if (label, task, group) not in cells.index:
        return "–"
    cell = cells.loc[(label, task, group)]
    return f"{cell['mean']:.1f}" + (f" ± {(cell['max'] - cell['min']) / 2:.1f}" if cell["count"] > 1 else "")


def format_table(records: Sequence[Document]) -> str:
    """Markdown: a row per method, BLEU as mean ± half range over the seeds; the best of WebNLG first."""
    cells = summarise_cells(records)
    stored = {
        format_label(record): record["parameters"]["stored"] for record in records if "parameters" in record
    }
    lines = ["| method | stored parameters | " + " | ".join(name for _, _, name in COLUMNS) + " |"]
    lines.append("|---|---:|" + "---:|" * len(COLUMNS))
    labels = cells.index.unique("label")
    means = cells["mean"].unstack(["task", "group"]).reindex(labels).get(("webnlg", "all"))
    if means is not None:
        labels = means.fillna(0.0).sort_values(ascending=False, kind="stable").index
    for label in labels:
        row = " | ".join(format_cell(cells, label, task, group) for task, group, _ in COLUMNS)
        lines.append(f"| {label} | {stored[label]:,} | {row} |")
    return "\n".join(lines)


def compare_methods(cells: pd.DataFrame, better: str, worse: str, task: str, group: str) -> str:
    """Whether every seed, or only the mean, of a method lies above another's: a sentence."""
    if not {(better, task, group), (worse, task, group)} <= set(cells.index):
        return "not run"
    high, low = cells.loc[(better, task, group)], cells.loc[(worse, task, group)]
    gap = high["mean"] - low["mean"]
    if high["min"] > low["max"]:
        return f"yes, in every seed ({gap:+.1f} BLEU)"
    if high["max"] < low["min"]:
        return f"**no**, the other way round in every seed ({gap:+.1f} BLEU)"
    return f"not decided: the seeds overlap ({gap:+.1f} BLEU)"


ORDERINGS = (
    ("prefix above embedding-only of the same length", "prefix[length=10]", "embedding[length=10]"),
    ("prefix above infix of the same length", "prefix[length=10]", "infix[length=10]"),
    ("prefix above the adapter of 0.1 %", "prefix[length=10]", "adapter[size=0.1%]"),
    ("prefix above ft-top2", "prefix[length=10]", "ft-top2"),
    ("prefix at least full fine-tuning", "prefix[length=10]", "ft-full"),
    ("full fine-tuning above the adapter of 3 %", "ft-full", "adapter[size=3%]"),
)


def format_orderings(records: Sequence[Document]) -> str:
    """The paper's orderings, looked up in the mini numbers."""
    cells = summarise_cells(records)
    lines = ["| the paper's ordering | " + " | ".join(name for _, _, name in COLUMNS) + " |"]
    lines.append("|---|" + "---|" * len(COLUMNS))
    for sentence, better, worse in ORDERINGS:
        answers = [compare_methods(cells, better, worse, task, group) for task, group, _ in COLUMNS]
        lines.append(f"| {sentence} | " + " | ".join(answers) + " |")
    return "\n".join(lines)


def compact_record(record: Document) -> dict[str, Any]:
    """What of a record is committed: identity, options, settings, scores with signatures."""
    compact = {name: record[name] for name in COMMITTED_FIELDS if name in record}
    compact["options"] = record["options"]
    compact["settings"] = {name: entry["value"] for name, entry in record["settings"].items()}
    compact["code"] = record["code"]
    compact["packages"] = record["packages"]
    return compact


def main(arguments: Sequence[str]) -> int:
    """Read records from a store or a committed file, print the tables, and keep the records if asked to."""
    from bench.store.store import Store

    source = Path(arguments[0])
    records: list[Any] = json.loads(source.read_text()) if source.is_file() else Store(source).records()
    if len(arguments) > 1:
        compact = sorted(map(compact_record, records), key=lambda record: str(record["run_id"]))
        Path(arguments[1]).write_text(json.dumps(compact, indent=1, ensure_ascii=False) + "\n")
    print(format_table(records) + "\n\n" + format_orderings(records))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
