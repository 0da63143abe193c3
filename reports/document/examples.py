"""Qualitative examples: our outputs side by side for the items that the paper shows.

Table 10 and the left part of Figure 3 name their items; ours come from the stored generations of the
runs behind the cells. Where only mini runs exist, items of the mini suite are shown, as mini.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.errors import DataError
from reports.document import fact_check
from reports.document.schema import Example, Examples, Output
from reports.paper import published
from reports.records.index import RunIndex, collect_evidence

Generations = Callable[[str], Sequence[Mapping[str, Any]]]
"""Run id -> that run's stored items (``bench.store.run_dir.RunDir.read_generations``); may raise ``DataError``."""
SHOWN = {"table10": ("table2", "unseen"), "figure3": ("figure3", "all")}
"""Where the paper has examples -> the cells whose runs they come from, and of which group mini shows some."""
AT_MINI = 6
SYSTEMS = (("Prefix-tuning", "prefix"), ("Fine-tuning", "ft-full"))


class Reader:
    """Stored items of runs, each file read once."""

    def __init__(self, generations: Generations | None) -> None:
        self.generations = generations
        self.read: dict[str, dict[str, Mapping[str, Any]] | str] = {}

    def items(self, run_id: str) -> dict[str, Mapping[str, Any]] | str:
        """Id -> item, or why there are none."""
        if run_id not in self.read:
            if self.generations is None:
                return "outputs were not asked for"
            try:
                rows = self.generations(run_id)
                self.read[run_id] = {str(row["id"]): row for row in rows}
            except (DataError, KeyError, TypeError) as error:
                self.read[run_id] = (
                    f"outputs cannot be read: {error}" if str(error) else "outputs are damaged"
                )
        return self.read[run_id]


def collect_all(
    index: RunIndex, names: Sequence[str], generations: Generations | None
) -> tuple[Examples, ...]:
    """The paper's examples, and beside them mini's where mini runs exist."""
    reader = Reader(generations)
    made: list[Examples] = []
    for name in names:
        if name in SHOWN:
            made.append(as_printed(index, name, reader))
            small = at_mini(index, name, reader)
            made += [small] if small is not None else []
    return tuple(made)


def as_printed(index: RunIndex, name: str, reader: Reader) -> Examples:
    """The items that the paper shows, with our outputs at the paper's scale or gaps."""
    source = published.read_table(name)
    made = []
    for raw in source.examples:
        row: Mapping[str, Any] | None = None
        outputs = []
        for one in raw["outputs"]:
            found, output = ours(index, name, raw, one, reader)
            row = row or found
            outputs.append(output)
        label = str(raw.get("label") or f"{raw['task']}, {raw['item']}")
        made.append(
            Example(label, str(raw["item"]), str(raw.get("group", "all")), facts(row), tuple(outputs))
        )
    notes = (*source.notes, fact_check.HOW) if name == "table10" else (fact_check.HOW,)
    return Examples(name, source.title, source.source, "paper", notes, tuple(made))


def ours(
    index: RunIndex, name: str, raw: Mapping[str, Any], one: Mapping[str, Any], reader: Reader
) -> tuple[Mapping[str, Any] | None, Output]:
    """The stored item and our output for one of the paper's printed outputs."""
    table = SHOWN[name][0]
    selector = {
        "table": table,
        "task": raw["task"],
        "method": one["method"],
        "group": "all",
        "metric": "bleu",
    }
    wanted = {**selector, "split": raw["split"], "settings": one.get("settings") or {}}
    cells = [cell for cell in published.find_cells(wanted) if cell.model == "gpt2-medium"]
    told = printed(raw, one)
    if not cells:
        return None, Output(str(one["row"]), None, None, "no cell of the paper has this system", paper=told)
    found = collect_evidence(index, cells[0])
    if not found.runs:
        return None, Output(str(one["row"]), None, None, "not run", paper=told)
    run = found.runs[0]
    items = reader.items(run.run_id)
    row = items.get(str(raw["item"])) if isinstance(items, dict) else None
    if row is None:
        gap = items if isinstance(items, str) else f"the run has no item {raw['item']}"
        return None, Output(str(one["row"]), run.run_id, None, gap, paper=told)
    return row, output(f"{one['row']}, seed {run.seed}", run.run_id, row, told)


def output(label: str, run_id: str, row: Mapping[str, Any], told: str = "") -> Output:
    missing, false = fact_check.check(row.get("facts") or (), row.get("references") or (), str(row["output"]))
    return Output(label, run_id, str(row["output"]), "", missing, false, told)


def facts(row: Mapping[str, Any] | None) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(str, fact)) for fact in (row or {}).get("facts") or ())


def printed(raw: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """What the paper's own output omits and gets wrong, in words."""
    left = [str(item + 1) if isinstance(item, int) else str(item) for item in one["omitted"]]
    kind = "fact " if one["omitted"] and isinstance(one["omitted"][0], int) else ""
    said = [f"leaves out {kind}{', '.join(left)}"] if left else []
    said += [f"says falsely: {', '.join(one['false'])}"] if one["false"] else []
    said += [str(one["note"])] if one.get("note") else []
    return "; ".join(said) or f"says all {raw['facts']} facts"


def at_mini(index: RunIndex, name: str, reader: Reader) -> Examples | None:
    """The first items of the mini suite, where both systems have mini runs; None without any."""
    table, group = SHOWN[name]
    task = "webnlg" if name == "table10" else "e2e"
    systems: list[tuple[str, str, dict[str, Mapping[str, Any]]]] = []
    for label, method in SYSTEMS:
        for what in mini_cells(table, task, method):
            found = collect_evidence(index, what, "mini")
            if found.runs:
                items = reader.items(found.runs[0].run_id)
                size = f" ({what.settings['train_size']})" if what.settings else ""
                if isinstance(items, dict):
                    systems.append((f"{label}{size}", found.runs[0].run_id, items))
    if not systems:
        return None
    common = [key for key in systems[0][2] if all(key in items for _, _, items in systems)]
    own = [key for key in common if group in (systems[0][2][key].get("groups") or ("all",))]
    count = AT_MINI if name == "table10" else 1
    made = [
        Example(
            str(systems[0][2][key].get("category") or key),
            key,
            group,
            facts(systems[0][2][key]),
            tuple(output(label, run_id, items[key]) for label, run_id, items in systems),
        )
        for key in own[:count]
    ]
    title = f"{published.read_table(name).title}: items of the mini suite"
    return Examples(f"{name}-mini", title, "runs at scale mini", "mini", (fact_check.HOW,), tuple(made))


def mini_cells(table: str, task: str, method: str) -> list[published.Cell]:
    """The cells whose mini runs give examples: one per method, or one per size."""
    found: dict[Any, published.Cell] = {}
    for cell in published.read_cells(table):
        same = (cell.task, cell.method, cell.metric, cell.group) == (task, method, "bleu", "all")
        if same and cell.model == "gpt2-medium":
            found.setdefault(cell.settings.get("train_size"), cell)
    return list(found.values())
