"""Records as pandas tables: which attempt of a run counts, and a row per run with all that one computes with.

pandas is imported inside: whoever only plans or submits runs never pays for it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.foreign_text import escape_controls
from bench.store.comparable import list_incomparable
from bench.store.record import Record, RunStatus

if TYPE_CHECKING:
    import pandas as pd

TEXT, INTEGER, FLOAT, BOOLEAN, TIME = "string", "Int64", "Float64", "boolean", "datetime64[us, UTC]"

LARGEST_INTEGER = 2**63 - 1

HEAD_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("run_id", "task", "method", "model", "model_fingerprint", "scale", "protocol"), TEXT),
    "seed": INTEGER,
    **dict.fromkeys(("data_origin", "data_fingerprint", "status"), TEXT),
    **dict.fromkeys(("attempt", "attempts"), INTEGER),
    **dict.fromkeys(("started", "ended"), TIME),
    "comparable": BOOLEAN,
    "not_comparable": TEXT,
    "failed_gates": TEXT,
    "failure": TEXT,
    "message": TEXT,
    "experiment": TEXT,
    "command": TEXT,
    "code.commit": TEXT,
    "code.dirty": BOOLEAN,
    "code.deciding_sha256": TEXT,
    **dict.fromkeys(("execution.threads", "execution.processes"), INTEGER),
    **dict.fromkeys(("execution.device", "execution.cpu_capability", "execution.matmul_precision"), TEXT),
    **dict.fromkeys(("execution.deterministic", "execution.continued"), BOOLEAN),
    **dict.fromkeys(("parameters.trained", "parameters.stored", "parameters.backbone"), INTEGER),
    **dict.fromkeys(("seconds.train", "seconds.decode", "seconds.score", "seconds.attempt"), FLOAT),
    "seconds.all_attempts": FLOAT,
    **dict.fromkeys(("memory.process_bytes", "memory.accelerator_bytes"), INTEGER),
}
"""Columns that every table has, with their types."""
PREFIXES = ("score", "option", "setting", "package")
"""Groups of columns behind those, sorted by name within a group: only what some run has."""


def choose_attempts(records: Sequence[Record]) -> pd.DataFrame:
    """The attempt of every run that counts: the latest that is done, else the latest.

    One row per run in the order in which the runs first appear. Columns: ``run_id``; ``position`` of the attempt in
    ``records``; ``attempts``, how many there are; ``seconds`` of all of them together (NaN where no record says),
    those that were only scored again left out: they repeat the time of the attempt that they score.
    """
    import pandas as pd

    attempts = pd.DataFrame(
        {
            "run_id": [escape_controls(record.run_id) for record in records],
            "position": range(len(records)),
            "done": [record.status is RunStatus.DONE for record in records],
            "ended": [escape_controls(find_end_time(record)) for record in records],
            "seconds": [
                None if record.get("scored") else record.seconds.get("attempt") for record in records
            ],
        }
    )
    attempts["seconds"] = attempts["seconds"].astype(float)
    by_run = attempts.groupby("run_id", sort=False)
    chosen = (
        attempts.sort_values(["done", "ended"], kind="stable")
        .groupby("run_id", sort=False)["position"]
        .last()
    )
    table = pd.DataFrame(
        {"attempts": by_run.size(), "seconds": by_run["seconds"].sum(min_count=1), "position": chosen}
    ).reindex(list(dict.fromkeys(attempts["run_id"])))
    table.index.name = "run_id"
    return table.reset_index()


def find_end_time(record: Record) -> str:
    """When the attempt ended, else when it started; ISO 8601, sorts as text."""
    return str(record.ended or record.started or "")


def build_frame(records: Sequence[Record]) -> pd.DataFrame:
    """A row per run, by task, method, model, scale, seed and name. ``records``: all attempts, or the latest ones.

    ``HEAD_COLUMNS`` come first, always and in their order; then ``score.GROUP.METRIC``, ``option.NAME``,
    ``setting.NAME`` and ``package.NAME``, as far as some run has them. All types are nullable: text, Int64,
    Float64, boolean, UTC times. An option or setting whose values are of several kinds is text.

    ``comparable``: done, and nothing in ``not_comparable`` (reasons, joined by ``; ``) forbids to set a number
    of the paper beside it. ``failed_gates``: the scores (``all.bleu``, joined by ``, ``) whose scorer gave wrong
    values for the golden outputs: they must not be believed. ``failure`` and ``message``: what ended a run that was
    never done. Memory in bytes, times in seconds.
    """
    import pandas as pd

    chosen = choose_attempts(records)
    values: dict[str, list[Any]] = {name: [] for name in HEAD_COLUMNS}
    further: dict[str, dict[str, dict[int, Any]]] = {prefix: defaultdict(dict) for prefix in PREFIXES}
    for row, attempt in enumerate(chosen.itertuples()):
        record = records[attempt.position]
        entries = _read_head(record) | {"attempts": attempt.attempts, "seconds.all_attempts": attempt.seconds}
        for name, column in values.items():
            column.append(entries[name])
        for prefix, items in _read_further(record).items():
            for name, value in items.items():
                further[prefix][name][row] = value
    columns = {name: _make_column(values[name], kind) for name, kind in HEAD_COLUMNS.items()}
    for prefix in PREFIXES:
        kind = {"score": FLOAT, "package": TEXT}.get(prefix)
        for name in sorted(further[prefix], key=_sort_key):
            cells = further[prefix][name]
            column = [cells.get(row) for row in range(len(chosen))]
            columns[escape_controls(f"{prefix}.{name}")] = _make_column(column, kind or _find_type(column))
    order = ["task", "method", "model", "scale", "seed", "run_id"]
    return pd.DataFrame(columns).sort_values(order, kind="stable", ignore_index=True)


def _read_head(record: Record) -> dict[str, Any]:
    """The values of ``HEAD_COLUMNS`` that a single record knows."""
    code, error, parameters = record.code or {}, record.error, record.parameters
    reasons = list_incomparable(record)
    gates = [
        f"{group}.{metric}"
        for group, scores in record.scores.items()
        for metric, score in scores.items()
        if score.failed_gate
    ]
    names = ("run_id", "task", "method", "model", "scale", "protocol", "seed", "attempt", "experiment")
    return {
        **{name: getattr(record, name) for name in names},
        **{
            name: record.get(name)
            for name in ("model_fingerprint", "data_origin", "data_fingerprint", "command")
        },
        "status": record.status.value,
        "started": record.started,
        "ended": record.ended,
        "comparable": record.status is RunStatus.DONE and not reasons,
        "not_comparable": "; ".join(reason.text for reason in reasons) or None,
        "failed_gates": ", ".join(gates) or None,
        "failure": error.failure_kind.value if error is not None else None,
        "message": error.message if error is not None else None,
        "code.commit": code.get("commit"),
        "code.dirty": code.get("dirty"),
        "code.deciding_sha256": code.get("deciding_sha256"),
        **_read_execution(record),
        **{
            f"parameters.{name}": getattr(parameters, name, None)
            for name in ("trained", "stored", "backbone")
        },
        **{f"seconds.{name}": record.seconds.get(name) for name in ("train", "decode", "score", "attempt")},
        **{
            f"memory.{name}": record.peak_memory_bytes.get(name)
            for name in ("process_bytes", "accelerator_bytes")
        },
    }


def _read_execution(record: Record) -> dict[str, Any]:
    """Under which conditions; ``continued``: parts of the run had others."""
    facts = record.execution
    names = ("threads", "processes", "device", "cpu_capability", "matmul_precision", "deterministic")
    conditions = {f"execution.{name}": getattr(facts, name, None) for name in names}
    return {**conditions, "execution.continued": None if facts is None else bool(facts.continued_under)}


def _read_further(record: Record) -> dict[str, dict[str, Any]]:
    """Prefix -> name behind it -> value, for the columns that not every run has."""
    packages = record.get("packages")
    return {
        "score": {
            f"{group}.{metric}": score.value
            for group, scores in record.scores.items()
            for metric, score in scores.items()
        },
        "option": {name: entry.value for name, entry in record.options.items()},
        "setting": {name: entry.value for name, entry in record.settings.items()},
        "package": dict(packages) if isinstance(packages, Mapping) else {},
    }


def _sort_key(name: str) -> tuple[bool, str]:
    """Scores of all items before those of a group."""
    return not name.startswith("all."), name


def _find_type(values: Iterable[Any]) -> str:
    """The narrowest type that holds every value."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    if kinds == {bool}:
        return BOOLEAN
    if kinds == {int} and all(abs(value) <= LARGEST_INTEGER for value in present):
        return INTEGER
    return FLOAT if kinds and kinds <= {int, float} else TEXT


def _make_column(values: Sequence[Any], kind: str) -> Any:
    """A pandas array of that type; what does not fit it (of a stranger's record) is missing."""
    import pandas as pd

    if kind == TIME:
        texts = pd.Series(values, dtype="object")
        return pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601").astype(TIME)
    convert = {TEXT: _to_text, BOOLEAN: _to_boolean, INTEGER: _to_integer, FLOAT: _to_float}[kind]
    return pd.array([convert(value) for value in values], dtype=kind)


def _to_text(value: Any) -> str | None:
    """As it is typed in a selector or printed: true and false in lower case."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else escape_controls(str(value))


def _to_boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _to_integer(value: Any) -> int | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
    return int(value) if fits else None


def _to_float(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if fits else None
