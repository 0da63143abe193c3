"""Qualitative examples: our outputs side by side for the items that the paper shows.

Table 10 and the left part of Figure 3 name their items; ours come from the stored generations of the
runs behind the cells. Where only mini runs exist, items of the mini suite are shown, as mini.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.errors import DataError
from reports.document.schema import Example, ExampleGroup, ExampleOutput
from reports.document.systems import Measure, System, list_systems, make_measure, spell_system
from reports.paper import published
from reports.records import fact_check
from reports.records.index import RunIndex, collect_evidence
from reports.records.runs import Run

Item = Mapping[str, Any]
"""A stored generation with the facts, references and groups of its item."""
Generations = Callable[[str], Sequence[Item]]
"""Run id -> that run's stored items (``bench.store.run_dir.RunDir.read_generations``); may raise ``DataError``."""


class ExampleSource(NamedTuple):
    """Where a place of the paper that has examples takes ours from."""

    table: str
    """The cells whose runs they come from."""
    mini_task: str
    mini_group: str
    mini_count: int
    """How many items of the mini suite are listed, of which group."""


SOURCES = {
    "table10": ExampleSource("table2", "webnlg", "unseen", 6),
    "figure3": ExampleSource("figure3", "e2e", "all", 1),
}
SYSTEMS = (("Prefix-tuning", "prefix"), ("Fine-tuning", "ft-full"))


class StoredItems(NamedTuple):
    """A run's items by id; without any, ``problem`` says why."""

    by_id: Mapping[str, Item]
    problem: str = ""


class MiniSystem(NamedTuple):
    """A system with its items at scale mini."""

    label: str
    run_id: str
    items: Mapping[str, Item]


class ItemReader:
    """Stored items of runs, each file read once."""

    def __init__(self, generations: Generations | None) -> None:
        self._generations = generations
        self._cache: dict[str, StoredItems] = {}

    def read(self, run_id: str) -> StoredItems:
        """The run's items, or why there are none; never raises for a damaged file."""
        if self._generations is None:
            return StoredItems({}, "outputs were not asked for")
        if run_id not in self._cache:
            try:
                items = {str(item["id"]): item for item in self._generations(run_id)}
                self._cache[run_id] = StoredItems(items)
            except (DataError, KeyError, TypeError) as error:
                problem = f"outputs cannot be read: {error}" if str(error) else "outputs are damaged"
                self._cache[run_id] = StoredItems({}, problem)
        return self._cache[run_id]


def build_examples(
    index: RunIndex, names: Sequence[str], generations: Generations | None, paper_only: bool = False
) -> tuple[ExampleGroup, ...]:
    """The paper's examples, and beside them mini's where mini runs exist."""
    reader = ItemReader(generations)
    groups: list[ExampleGroup] = []
    for name in names:
        if name in SOURCES:
            groups.append(build_paper_examples(index, name, reader, paper_only))
            mini = build_mini_examples(index, name, reader)
            groups += [mini] if mini is not None else []
    return tuple(groups)


def build_paper_examples(index: RunIndex, name: str, reader: ItemReader, paper_only: bool) -> ExampleGroup:
    """The items that the paper shows, with our outputs at the paper's scale or gaps."""
    source = published.read_table(name)
    examples = []
    for raw in source.examples:
        if paper_only:
            ours = [show_printed(raw, printed) for printed in raw["outputs"]]
        else:
            ours = [find_our_output(index, name, raw, printed, reader) for printed in raw["outputs"]]
            ours += list_outputs_of_others(index, name, raw, reader)
        item = next((output.item for output in ours if output.item), None)
        label = str(raw.get("label") or f"{raw['task']}, {raw['item']}")
        outputs = tuple(output.output for output in ours)
        examples.append(
            Example(
                label,
                str(raw["item"]),
                str(raw.get("group", "all")),
                list_facts(item),
                outputs,
                int(raw["facts"]),
            )
        )
    notes = (*source.notes, fact_check.NOTE) if name == "table10" else (fact_check.NOTE,)
    return ExampleGroup(name, source.title, source.source, "paper", notes, tuple(examples))


class OurOutput(NamedTuple):
    """Our output for an item, and the item where a run has left it."""

    output: ExampleOutput
    item: Item | None = None


def show_printed(raw: Mapping[str, Any], printed: Mapping[str, Any]) -> OurOutput:
    """The paper's output alone, where nothing of ours was asked for."""
    gap = "nothing of ours was asked for"
    return OurOutput(
        ExampleOutput(str(printed["row"]), None, None, gap, paper=describe_printed(raw, printed))
    )


def list_outputs_of_others(
    index: RunIndex, name: str, raw: Mapping[str, Any], reader: ItemReader
) -> list[OurOutput]:
    """What methods that the paper does not have made of the item."""
    outputs = []
    task, split = str(raw["task"]), raw["split"]
    cells = [cell for cell in select_cells_by_size(SOURCES[name].table, task) if cell.split == split]
    for system in list_systems(index, "paper", {task}, ()):
        for cell in cells:
            measure = make_measure(cell)
            run = find_first_run(index, system, measure, "paper")
            item = reader.read(run.run_id).by_id.get(str(raw["item"])) if run is not None else None
            if run is not None and item is not None:
                named = spell_system(system.name_with_share(index, "paper", [measure]), with_model=True)
                label = f"Not the paper's: {named}{spell_size(cell.settings)}, seed {run.seed}"
                outputs.append(OurOutput(make_output(label, run.run_id, item), item))
    return outputs


def find_our_output(
    index: RunIndex, name: str, raw: Mapping[str, Any], printed: Mapping[str, Any], reader: ItemReader
) -> OurOutput:
    """Our output for one of the paper's printed outputs."""
    selector = {
        "table": SOURCES[name].table,
        "task": raw["task"],
        "method": printed["method"],
        "group": "all",
        "metric": "bleu",
        "split": raw["split"],
        "settings": printed.get("settings") or {},
    }
    label, paper = str(printed["row"]), describe_printed(raw, printed)

    def gap(reason: str, run_id: str | None = None) -> OurOutput:
        return OurOutput(ExampleOutput(label, run_id, None, reason, paper=paper))

    cells = [cell for cell in published.find_cells(selector) if cell.model == "gpt2-medium"]
    if not cells:
        return gap("no cell of the paper has this system")
    evidence = collect_evidence(index, cells[0])
    if not evidence.runs:
        return gap("not run")
    run = evidence.runs[0]
    stored = reader.read(run.run_id)
    item = stored.by_id.get(str(raw["item"]))
    if item is None:
        return gap(stored.problem or f"the run has no item {raw['item']}", run.run_id)
    return OurOutput(make_output(f"{label}, seed {run.seed}", run.run_id, item, paper), item)


def make_output(label: str, run_id: str, item: Item, paper: str = "") -> ExampleOutput:
    """A stored output with its marks."""
    text = str(item["output"])
    marks = fact_check.check_facts(item.get("facts") or (), item.get("references") or (), text)
    return ExampleOutput(label, run_id, text, "", marks.missing, marks.false, paper)


def list_facts(item: Item | None) -> tuple[tuple[str, ...], ...]:
    """The item's facts as text; empty without an item."""
    return tuple(tuple(map(str, fact)) for fact in (item or {}).get("facts") or ())


def describe_printed(raw: Mapping[str, Any], printed: Mapping[str, Any]) -> str:
    """What the paper's own output omits and gets wrong, in words."""
    omitted = [str(fact + 1) if isinstance(fact, int) else str(fact) for fact in printed["omitted"]]
    numbered = "fact " if omitted and isinstance(printed["omitted"][0], int) else ""
    parts = [f"leaves out {numbered}{', '.join(omitted)}"] if omitted else []
    parts += [f"says falsely: {', '.join(printed['false'])}"] if printed["false"] else []
    parts += [str(printed["note"])] if printed.get("note") else []
    return "; ".join(parts) or f"says all {raw['facts']} facts"


def build_mini_examples(index: RunIndex, name: str, reader: ItemReader) -> ExampleGroup | None:
    """The first items of the mini suite that all systems with mini runs have; None without any."""
    source = SOURCES[name]
    systems = list_mini_systems(index, source, reader)
    if not systems:
        return None
    first = systems[0].items
    common = [key for key in first if all(key in system.items for system in systems)]
    in_group = [key for key in common if source.mini_group in (first[key].get("groups") or ("all",))]
    examples = [
        Example(
            str(first[key].get("category") or key),
            key,
            source.mini_group,
            list_facts(first[key]),
            tuple(make_output(system.label, system.run_id, system.items[key]) for system in systems),
            len(list_facts(first[key])),
        )
        for key in in_group[: source.mini_count]
    ]
    title = f"{published.read_table(name).title}: items of the mini suite"
    return ExampleGroup(
        f"{name}-mini", title, "runs at scale mini", "mini", (fact_check.NOTE,), tuple(examples)
    )


def list_mini_systems(index: RunIndex, source: ExampleSource, reader: ItemReader) -> list[MiniSystem]:
    """The systems of which a mini run has left items, under their own names; by size of the training set too."""
    systems = []
    cells = select_cells_by_size(source.table, source.mini_task)
    methods = {method for _, method in SYSTEMS}
    for system in list_systems(index, "mini", {source.mini_task}, methods):
        for cell in cells:
            measure = make_measure(cell)
            run = find_first_run(index, system, measure, "mini")
            stored = reader.read(run.run_id) if run is not None else StoredItems({}, "not run")
            if run is not None and not stored.problem:
                name = spell_system(system.name_with_share(index, "mini", [measure]), with_model=True)
                systems.append(MiniSystem(f"{name}{spell_size(cell.settings)}", run.run_id, stored.by_id))
    return systems


def find_first_run(index: RunIndex, system: System, measure: Measure, scale: str) -> Run | None:
    """The run of the lowest seed that the system has there."""
    evidence = system.collect(index, scale, measure)
    return evidence.runs[0] if evidence is not None and evidence.runs else None


def select_cells_by_size(table: str, task: str) -> list[published.Cell]:
    """A cell for each size of the training set, which says what a run must be to give examples."""
    by_size: dict[Any, published.Cell] = {}
    for cell in published.read_cells(table):
        if (cell.task, cell.metric, cell.group, cell.model) == (task, "bleu", "all", "gpt2-medium"):
            by_size.setdefault(cell.settings.get("train_size"), cell)
    return list(by_size.values())


def spell_size(settings: Mapping[str, Any]) -> str:
    """`` (50)`` for a training set of 50 examples; empty for all of it."""
    return f" ({settings['train_size']})" if "train_size" in settings else ""
