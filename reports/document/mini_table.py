"""The mini table: every method on the three mini tasks, from the records of finished runs.

    python -m reports.document.mini_table RUNS results/mini/records.json > results/mini/table.md

Pure functions from records to text; what the orderings say is computed here too, so that a sentence in
the results cannot outlive the numbers it was written for.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.records.values import Record

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
COMMITTED_FIELDS += ("data_origin", "data_fingerprint", "parameters", "scores", "status")


def format_label(record: Record) -> str:
    """The method with the options that tell its variants apart: ``adapter[size=3%]``."""
    options = {name: entry["value"] for name, entry in record["options"].items()}
    telling = [f"{name}={options[name]}" for name in ("size", "length") if name in options]
    return str(record["method"]) + (f"[{','.join(telling)}]" if telling else "")


def group_cells(records: Sequence[Record]) -> dict[str, dict[tuple[str, str], list[float]]]:
    """label -> (task, group) -> BLEU per seed, in the order of the seeds. Only finished mini runs count."""
    table: dict[str, dict[tuple[str, str], list[float]]] = {}
    seen: dict[tuple[Any, ...], Any] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        if record["status"] != "done" or record["data_origin"] != "mini" or record["scale"] != "mini":
            continue
        same = (format_label(record), record["task"])
        alike = {name: record[name] for name in ("options", "settings", "protocol", "model_fingerprint")}
        if seen.setdefault(same, alike) != alike:
            raise ValueError(f"{same}: runs with other settings or options cannot share a cell")
        if seen.setdefault((*same, record["seed"]), record) is not record:
            raise ValueError(f"{same}: two runs with seed {record['seed']}")
        row = table.setdefault(format_label(record), {})
        for group, scores in record["scores"].items():
            if scores["bleu"]["value"] is not None:
                row.setdefault((record["task"], group), []).append(scores["bleu"]["value"])
    return table


def format_cell(values: Sequence[float]) -> str:
    """Mean and half the range over seeds; one value stands alone; a gap is a gap."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {(max(values) - min(values)) / 2:.1f}"


def format_table(records: Sequence[Record]) -> str:
    """Markdown: one row per method, BLEU as mean ± half range over the seeds."""
    rows = group_cells(records)
    stored = {
        format_label(record): record["parameters"]["stored"] for record in records if "parameters" in record
    }
    lines = ["| method | stored parameters | " + " | ".join(name for _, _, name in COLUMNS) + " |"]
    lines.append("|---|---:|" + "---:|" * len(COLUMNS))
    order = sorted(rows, key=lambda name: -statistics.mean(rows[name].get(("webnlg", "all"), [0.0])))
    for name in order:
        cells = [format_cell(rows[name].get((task, group), [])) for task, group, _ in COLUMNS]
        lines.append(f"| {name} | {stored[name]:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare_methods(records: Sequence[Record], better: str, worse: str, task: str, group: str) -> str:
    """Whether every seed, or only the mean, of one method lies above another's: a sentence."""
    rows = group_cells(records)
    high, low = rows.get(better, {}).get((task, group), []), rows.get(worse, {}).get((task, group), [])
    if not high or not low:
        return "not run"
    gap = statistics.mean(high) - statistics.mean(low)
    if min(high) > max(low):
        return f"yes, in every seed ({gap:+.1f} BLEU)"
    if max(high) < min(low):
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


def format_orderings(records: Sequence[Record]) -> str:
    """The paper's orderings, each looked up in the mini numbers."""
    lines = ["| the paper's ordering | " + " | ".join(name for _, _, name in COLUMNS) + " |"]
    lines.append("|---|" + "---|" * len(COLUMNS))
    for sentence, better, worse in ORDERINGS:
        answers = [compare_methods(records, better, worse, task, group) for task, group, _ in COLUMNS]
        lines.append(f"| {sentence} | " + " | ".join(answers) + " |")
    return "\n".join(lines)


def compact_record(record: Record) -> dict[str, Any]:
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
