"""The paper as data: its tables, figures, claims, and what other accounts of it say.

    from reports.paper import read_cells
    [cell.value for cell in read_cells("table2") if cell.matches({"method": "prefix", "task": "e2e"})]

Reads ``results/paper/*.json``; how those were transcribed is in ``results/paper/README.md``. Nothing
here knows of records: what is ours is compared elsewhere, by the same selectors.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import results
from bench.errors import UnknownNameError
from bench.system.json_files import JsonObject
from reports.paper.limits import Limits

FOLDER = Path(results.__file__ or "").parent / "paper"
TABLES = tuple(f"table{number}" for number in range(1, 11))
FIGURES = tuple(f"figure{number}" for number in range(3, 9))
WITH_CELLS = (*TABLES, *FIGURES, "efficiency")
DOCUMENTS = (*WITH_CELLS, "v1", "disputed", "claims")

CellPlace = tuple[str, str | None, str, str]
"""(table, section, row, column): names a cell."""
Selector = Mapping[str, Any]
"""What picks cells, and records: ``{"table", "method", "options", "task", "group", "metric", ...}``.

A field that is not named does not matter, and a list means any of these. ``options`` names the
method's options that matter; the others have the method's defaults. ``settings`` is compared whole:
without it, all training data. ``statistic`` (``mean`` without it, or ``sd``) says what is made of the
values over seeds, ``table`` which of the paper's cells is meant; both say nothing about a record.
"""
NumberKind = Literal["measured", "cited", "statistic", "setting", "statement", "read off"]


@dataclass(frozen=True, kw_only=True)
class PaperNumber:
    """A number as the paper has it: where it stands, what it is a number of, and what is printed."""

    table: str
    section: str | None
    """The block of rows it stands in (``GPT-2 Medium``; a figure's panel), or None."""
    row: str
    """Label as printed, without line breaks."""
    column: str
    """Label as printed with its group: ``WebNLG BLEU S``."""
    task: str | None
    group: str
    metric: str
    """A score's name in this project; a setting's name (Table 6); or what is counted (Table 1, efficiency)."""
    model: str | None
    method: str | None
    """None for a system that this project does not have."""
    kind: NumberKind
    better: Literal["higher", "lower"] | None
    printed: str | None
    """Exactly as printed; None if read off a figure."""
    value: float | None
    """``printed`` as a number (percentages as fractions, K and M multiplied out); None if a range."""
    low: float | None = None
    high: float | None = None
    """Bounds in the printed unit, for what is read off a figure."""


@dataclass(frozen=True, kw_only=True)
class Cell(PaperNumber):
    """One number of the paper, or one range where the paper has only a drawing, and whose runs it asks for."""

    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    """What differs from training on everything: ``train_size`` (examples) or ``train_share`` (0 to 1)."""
    split: str | None
    factor: float
    """Our score times this is in the printed unit. Ours: BLEU 0-100; METEOR, ROUGE, TER, MoverScore
    and BERTScore 0-1; NIST, CIDEr and BLEURT raw."""
    note: str | None = None
    source: str | None = None
    """Where it differs from the table's."""

    @property
    def place(self) -> CellPlace:
        """What names this cell."""
        return self.table, self.section, self.row, self.column

    @property
    def ours(self) -> float | None:
        """The value in the unit of our scores."""
        return None if self.value is None else self.value / self.factor

    def matches(self, selector: Selector) -> bool:
        """Whether the selector picks this cell. Unknown fields are an error of the selector's author."""
        for name, expected in selector.items():
            if name == "statistic":
                continue
            if name not in FIELDS:
                raise ValueError(
                    f"a selector has no field {name!r}; it has {', '.join((*FIELDS, 'statistic'))}"
                )
            actual = getattr(self, name)
            if name == "options":
                if any(option not in actual or actual[option] != value for option, value in expected.items()):
                    return False
            elif actual not in expected if isinstance(expected, list) else actual != expected:
                return False
        return "settings" in selector or not self.settings


FIELDS: tuple[str, ...] = ("table", "row", "section", "column", "task", "group", "metric", "model", "method")
FIELDS += ("options", "settings", "split")
"""What a selector may name."""


@dataclass(frozen=True)
class PaperTable:
    """A table, figure or list of statements, in the paper's order."""

    id: str
    title: str
    source: str
    """Where in the paper: ``ACL 2021, Table 2``."""
    caption: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    panels: tuple[Mapping[str, Any], ...] = ()
    """Figures: one per vertical axis, with task, metric, ticks, x values and series."""
    facts: tuple[Mapping[str, Any], ...] = ()
    """Settings that only the text has: id, sentence, source, values."""
    examples: tuple[Mapping[str, Any], ...] = ()
    """Table 10 and Figure 3, left: items by their Id, with what each printed output omits or gets wrong."""


@dataclass(frozen=True)
class OtherAccount:
    """What another source says of a cell; ``value`` in the cell's printed unit."""

    source: str
    printed: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class DisputeAccount:
    """What another source says of the matter: in words, or as a number of a cell."""

    source: str
    says: str
    printed: str | None = None
    value: float | None = None


@dataclass(frozen=True)
class Dispute:
    """A matter on which accounts of the paper's work disagree, and what stands."""

    id: str
    kind: Literal["secondary", "internal", "code"]
    """``secondary``: a summary contradicts the paper; ``internal``: the paper contradicts itself or its data;
    ``code``: the authors' code differs from the text."""
    topic: str
    paper: str
    source: str
    """Where in the paper."""
    cell: Selector | None
    """The number that is disputed, where it is a single one."""
    accounts: tuple[DisputeAccount, ...]
    concerns: tuple[Selector, ...]
    """What else of the paper it touches; ``settings`` do not matter here."""
    claims: tuple[str, ...]
    standing: str

    def touches(self, cell: Cell) -> bool:
        """Whether the cell is disputed by it."""
        selectors = self.concerns if self.cell is None else (self.cell, *self.concerns)
        return any(cell.matches({**selector, "settings": cell.settings}) for selector in selectors)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables and figures that it touches, in the paper's order."""
        selectors = self.concerns if self.cell is None else (self.cell, *self.concerns)
        named = {
            name for s in selectors for name in ([s["table"]] if isinstance(s["table"], str) else s["table"])
        }
        return tuple(name for name in WITH_CELLS if name in named)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as a check.

    Every need has a selector ``a`` and mostly ``b``; each stands for the mean (or, where ``statistic``
    is ``sd``, the standard deviation) of what it picks, in our unit (``Cell.ours``). A need's number is

    - ``difference``: a - b, or b - a where lower is better;
    - ``ratio``: a / b;
    - ``spread``: the standard deviation between the runs of a over that of b (``statistic`` is ``sd``);
    - ``best``: no number of its own; the need with the best ``a`` gives its ``x``, one for all needs;

    multiplied by ``scale``, which gives the sentence's ``unit``. ``combine`` makes of these numbers:
    ``each`` every one, ``mean`` their mean, ``fall`` the first less the last, ``best`` the one x. What
    comes out must lie inside ``limits``: on both sides where the sentence has a size (``slightly``, ``comparable``,
    a number), on one side where it is only an ordering (``outperforms``). ``why`` says where the limits come from.
    A selector that picks nothing leaves the claim undecided (paper) or not run (records).
    """

    id: str
    sentence: str
    """A short quotation (in quotation marks) or a close paraphrase."""
    source: str
    kind: Literal["difference", "ratio", "spread", "best"]
    combine: Literal["each", "mean", "fall", "best"]
    limits: Limits
    why: str
    """Of the limits, in a sentence."""
    ordering: Literal[">", "<"] | None
    """What of the sentence is an ordering, which runs of any model can speak of; None: it is a size alone."""
    unit: str
    scale: float
    needs: tuple[Mapping[str, Any], ...]
    """``{"label", "a": selector[, "b": selector][, "x": number][, "limits": its own]}``."""
    on_paper: Mapping[str, Any]
    """What the paper's own cells give: ``value`` (number, or one per need, or None), ``outcome``, ``note``."""
    note: str = ""

    def find_limits(self, need: Mapping[str, Any]) -> Limits:
        """The limits of a need's number: its own, or the claim's."""
        own = need.get("limits")
        return self.limits if own is None else Limits(own["low"], own["high"], self.limits.strict)

    def keep_ordering(self) -> Claim | None:
        """The sentence as an ordering alone, without its sizes; None where it has none."""
        if self.ordering is None:
            return None
        neutral = 0.0 if self.kind == "difference" else 1.0
        above = self.ordering == ">"
        limits = Limits(neutral if above else None, None if above else neutral, strict=True)
        needs = tuple({key: value for key, value in need.items() if key != "limits"} for need in self.needs)
        return replace(self, limits=limits, needs=needs)


def list_documents() -> tuple[str, ...]:
    """All documents, tables first."""
    return DOCUMENTS


def read_document(name: str) -> JsonObject:
    """A whole document for printing, as stored; cells that others report differently have ``elsewhere``.

    Raises ``UserError`` for a name that is not in ``list_documents()``.
    """
    printed = copy.deepcopy(_read(name))
    if name in WITH_CELLS:
        for raw, cell in zip(printed["cells"], read_cells(name), strict=True):
            others = list_accounts(cell)
            if others:
                raw["elsewhere"] = [dict(vars(account)) for account in others]
    return printed


@cache
def read_table(name: str) -> PaperTable:
    """A table, a figure or ``efficiency`` by name; ``UserError`` for any other name."""
    if name not in WITH_CELLS:
        raise UnknownNameError("table or figure of the paper", name, WITH_CELLS)
    raw = _read(name)
    return PaperTable(
        id=raw["id"],
        title=raw["title"],
        source=raw["source"],
        caption=raw["caption"],
        notes=tuple(raw["notes"]),
        cells=tuple(Cell(table=name, **cell) for cell in raw["cells"]),
        panels=tuple(raw.get("panels", ())),
        facts=tuple(raw.get("facts", ())),
        examples=tuple(raw.get("examples", ())),
    )


def read_cells(name: str) -> tuple[Cell, ...]:
    """The cells of a table, a figure or ``efficiency``, in the paper's order."""
    return read_table(name).cells


def find_cells(selector: Selector) -> tuple[Cell, ...]:
    """The cells that a selector picks, over all tables unless it names one."""
    names: Iterable[str] = (selector["table"],) if "table" in selector else WITH_CELLS
    return tuple(cell for name in names for cell in read_cells(name) if cell.matches(selector))


@cache
def read_claims() -> tuple[Claim, ...]:
    """All claims."""
    claims = _read("claims")["claims"]
    return tuple(
        Claim(**{**raw, "needs": tuple(raw["needs"]), "limits": Limits(**raw["limits"])}) for raw in claims
    )


@cache
def read_disputes() -> tuple[Dispute, ...]:
    """All matters on which accounts disagree."""
    return tuple(
        Dispute(
            **{
                **raw,
                "accounts": tuple(DisputeAccount(**account) for account in raw["accounts"]),
                "concerns": tuple(raw["concerns"]),
                "claims": tuple(raw["claims"]),
            }
        )
        for raw in _read("disputed")["entries"]
    )


@cache
def _disputes_by_cell() -> dict[CellPlace, tuple[str, ...]]:
    disputes = read_disputes()
    return {
        cell.place: tuple(dispute.id for dispute in disputes if dispute.touches(cell))
        for name in WITH_CELLS
        for cell in read_cells(name)
    }


def list_disputes(cell: Cell) -> tuple[str, ...]:
    """The names of the disputes that touch the cell."""
    return _disputes_by_cell()[cell.place]


def list_accounts(cell: Cell) -> tuple[OtherAccount, ...]:
    """What arXiv v1 and the secondary summaries have for this cell, where it is another number."""
    return tuple(_accounts().get(cell.place, ()))


@cache
def _accounts() -> dict[CellPlace, list[OtherAccount]]:
    accounts: dict[CellPlace, list[OtherAccount]] = {}
    first = _read("v1")
    for raw in first["cells"]:
        account = OtherAccount(first["source"], raw["printed"], raw["value"], raw.get("note", ""))
        accounts.setdefault(_place(raw), []).append(account)
    for entry in _read("disputed")["entries"]:
        for report in entry["accounts"] if entry["cell"] else ():
            account = OtherAccount(report["source"], report["printed"], report["value"], entry["standing"])
            accounts.setdefault(_place(entry["cell"]), []).append(account)
    return accounts


def _place(raw: Mapping[str, Any]) -> CellPlace:
    return raw["table"], raw["section"], raw["row"], raw["column"]


@cache
def _read(name: str) -> JsonObject:
    if name not in DOCUMENTS:
        raise UnknownNameError("document of the paper", name, DOCUMENTS)
    parsed: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return parsed
