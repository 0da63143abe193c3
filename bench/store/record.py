"""The record of one attempt at a run: one typed document, the same for those who write it and those who read it.

A record is written once and read for years, by other versions and after other programs and people touched it.
What readers rely on is declared here (``docs/record.schema.json`` is made from it); fields that nobody computes
with may be anything and stay in the document. An odd record is left out of a listing with its reason
(``bench.store.run_dir.DamagedRecord``) and never stops the reading of the others.

    record = parse_record(document, run_id)     # raises RecordError with the place and what was expected
    record.status is RunStatus.DONE
    record.scores["all"]["bleu"].value
    record["scores"]["all"]["bleu"]["value"]    # the same in the stored document

Records of older versions lack what was added since; ``bench.store.legacy`` fills it in when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bench.config.comparability import IncomparableKind
from bench.config.settings import SettingLayer
from bench.errors import FailureKind
from bench.method import OriginSource, find_origin_source
from bench.models.verification import VerificationMethod, VerificationStatus
from bench.scoring.score import GateStatus, ScoreStatus
from bench.store import legacy
from bench.store.damaged import DamageKind
from bench.store.fields import (
    Count,
    MaybeNumber,
    MaybeText,
    Name,
    Number,
    PlainValue,
    Text,
    Whole,
    abbreviate_json,
    describe_problem,
    is_whole,
)
from bench.system.files import sha256_text
from bench.system.json_files import JsonObject

FORMAT = 1  # of a record; raised when a field changes its meaning
CHECKSUM = "checksum"


class RunStatus(StrEnum):
    """How an attempt at a run ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATUSES = tuple(status.value for status in RunStatus)


class RecordError(ValueError):
    """A document that cannot be taken for the record of an attempt: says the place and what was expected."""

    def __init__(self, message: str, kind: DamageKind = DamageKind.NOT_A_RECORD) -> None:
        super().__init__(message)
        self.kind = kind


Names: TypeAlias = dict[Name, Any]
_SPECIAL_SETTINGS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "batch_size": ("a whole number from 1", lambda value: is_whole(value) and value > 0),
    "data_seed": ("a whole number", lambda value: value is None or is_whole(value)),
}
"""Settings that readers compute with: what they must be, in words and as a test."""


class _RecordPart(BaseModel):
    """A part of a record, immutable; it may have fields that are not declared, which only the document keeps."""

    # What is not declared stays in the document alone: here it would cost a dictionary per part.
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        protected_namespaces=(),
        json_schema_extra={"additionalProperties": True},
    )


# --- parts of a record


class SettingEntry(_RecordPart):
    """An option or setting with where its value comes from: ``origin`` in words, ``layer`` as a value."""

    value: PlainValue
    origin: Text
    layer: SettingLayer | None = None

    @property
    def typed(self) -> bool:
        """Whether it was typed on the command line."""
        return self.layer is SettingLayer.COMMAND_LINE

    @property
    def source(self) -> OriginSource:
        """Who decided the value."""
        return find_origin_source(self.origin)


class ScoreEntry(_RecordPart):
    """One score of one group of items; ``reason`` says in words why there is no value."""

    value: MaybeNumber
    signature: MaybeText = None
    reason: MaybeText = None
    gate: MaybeText = None
    status: ScoreStatus | None = None
    gate_status: GateStatus | None = None

    @property
    def failed_gate(self) -> bool:
        """Whether its scorer gave wrong values for the golden outputs: the value must not be believed."""
        return self.gate_status is GateStatus.FAILED


class IncomparableEntry(_RecordPart):
    """Why no number of the paper can stand beside a run's: a value to decide by, and the sentence to show."""

    kind: IncomparableKind
    text: Text


class ModelVerificationEntry(_RecordPart):
    """Whether the backbone's weights were known to be the published ones: ``how``, at which ``revision`` of the
    hub, with the ``sha256`` of every file that loading read; ``reason`` says in words why they were not."""

    status: VerificationStatus
    how: VerificationMethod | None = None
    revision: MaybeText = None
    sha256: dict[Name, Text] = {}
    reason: MaybeText = None


class Failure(_RecordPart):
    """What an attempt failed of."""

    kind: MaybeText = None
    message: MaybeText = None

    @property
    def failure_kind(self) -> FailureKind:
        """``kind`` as a value; kinds that this version does not know count as errors."""
        try:
            return FailureKind(self.kind or "")
        except ValueError:
            return FailureKind.ERROR


class TrainingReport(_RecordPart):
    """What training did: ``seconds`` of wall time, losses in nats.

    ``last_epoch_loss``: per target token, over the last whole epoch; ``kept_update``: whose parameters were kept;
    ``best_dev_rouge2``: from 0 to 1. Records of older versions lack them.
    """

    updates: Number
    rows: Number
    seconds: Number
    processes: Number = 1
    last_epoch_loss: MaybeNumber = None
    best_dev_loss: MaybeNumber = None
    best_dev_rouge2: MaybeNumber = None
    kept_update: MaybeNumber = None
    taken_from: MaybeText = None


class DecodingReport(_RecordPart):
    """What decoding did: ``seconds`` of wall time."""

    items: Number
    seconds: Number
    seconds_per_item: MaybeNumber = None


class ParameterCounts(_RecordPart):
    """Numbers of parameters: trained, kept afterwards, and of the backbone."""

    trained: Number
    stored: Number
    backbone: Number


class Accelerator(_RecordPart):
    """One GPU: memory in bytes."""

    name: Any = None
    memory_bytes: MaybeNumber = None


class Hardware(_RecordPart):
    """The machine; all but the accelerators is for reading only."""

    cpu: Any = None
    cores: Any = None
    accelerators: list[Accelerator] = []


class ConditionsEntry(_RecordPart):
    """Under which conditions numbers were computed (``bench.system.execution``): equal ones give equal bytes."""

    threads: Count
    matmul_precision: Text
    processes: Count
    deterministic: bool
    device: Text
    cpu_capability: MaybeText = None
    accelerator: MaybeText = None
    variables: dict[Name, Text] = {}

    def to_text(self) -> str:
        """``2 threads, 1 process, cpu, AVX512, matmul highest``."""
        words = [
            f"{self.threads} thread{'' if self.threads == 1 else 's'}",
            f"{self.processes} process{'' if self.processes == 1 else 'es'}",
            *(text for text in (self.accelerator or self.device, self.cpu_capability) if text),
            f"matmul {self.matmul_precision}",
            *(["deterministic"] if self.deterministic else []),
            *(f"{name}={value}" for name, value in sorted(self.variables.items())),
        ]
        return ", ".join(words)


class EarlierConditions(ConditionsEntry):
    """Those of an earlier part of a run, with the code, the packages and the settings of that time."""

    deciding_sha256: MaybeText = None
    packages: dict[Name, Text] = {}
    settings: dict[Name, PlainValue] = {}
    """Of those that make no other run, those that may change the last digits."""


class ExecutionFacts(ConditionsEntry):
    """Under which conditions the last part of a run was computed, and those of earlier parts where they differ."""

    continued_under: list[EarlierConditions | None] = []
    """Of earlier parts (training before it was continued, a training of another run), oldest first; null where a
    part's conditions were not noted. Only a run where this is empty can be repeated byte for byte."""
    threads_from: MaybeText = None
    """What decided the number of threads: ``--threads``, ``OMP_NUM_THREADS``, the default of the scale, or what gave
    the process so many processors (``SLURM_CPUS_PER_TASK``, ``affinity``, …)."""

    def to_text(self) -> str:
        """As of any conditions, and whether earlier parts of the run had others."""
        continued = "continued under these after others" if self.continued_under else None
        return ", ".join(filter(None, (super().to_text(), continued)))


class DamagedFileEntry(_RecordPart):
    """A file of the run that was not as it was left: put aside as ``kept_as``, and made anew."""

    file: Text
    kept_as: Text
    problem: Text
    noticed: MaybeText = None


Options: TypeAlias = dict[Name, SettingEntry]
Scores: TypeAlias = dict[Name, dict[Name, ScoreEntry]]
"""Group of items (``all``, ``seen``, …) -> metric -> score."""


# --- the record


class Specification(_RecordPart, Mapping[str, Any]):
    """What a run is (``spec.json``), as far as readers rely on it. Indexed by name it is the stored document."""

    task: Name
    method: Name
    model: Name
    scale: Name
    protocol: Name
    seed: Whole
    options: Options
    settings: Options

    _document: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check_special_settings(self) -> Self:
        for name, (expected, fits) in _SPECIAL_SETTINGS.items():
            entry = self.settings.get(name)
            if entry is not None and not fits(entry.value):
                context = {"expected": expected, "loc": ("settings", name, "value"), "input": entry.value}
                raise PydanticCustomError("expected", "{expected}", context)
        return self

    @property
    def document(self) -> JsonObject:
        """The document as it is stored: plain JSON values."""
        return self._document

    def __getitem__(self, name: str) -> Any:
        return self._document[name]

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)


class Record(Specification):
    """What an attempt leaves for good: the specification, and what came of it."""

    attempt: Count
    recorded: Text
    ended: Name
    format: Whole
    run_id: Text
    status: RunStatus
    checksum: MaybeText = None
    """Over everything else in the record (``compute_checksum``); records of older versions have none."""
    started: MaybeText = None
    experiment: MaybeText = None
    not_comparable: list[Text] | None = None
    incomparable: list[IncomparableEntry] | None = None
    model_verification: ModelVerificationEntry | None = None
    hardware: Hardware | None = None
    peak_memory_bytes: dict[Name, MaybeNumber] = {}
    code: Names | None = None
    execution: ExecutionFacts | None = None
    damaged_files: list[DamagedFileEntry] = []
    job: Names | None = None
    error: Failure | None = None
    seconds: dict[Name, Number] = {}
    scores: Scores = {}
    training: TrainingReport | None = None
    decoding: DecodingReport | None = None
    parameters: ParameterCounts | None = None


class DoneRecord(Record):
    """A finished run: what `bench run`, `bench score`, `bench check` and reports take from it."""

    status: Literal[RunStatus.DONE]
    scores: Scores
    training: TrainingReport | None
    parameters: ParameterCounts
    decoding: DecodingReport
    seconds: dict[Name, Number]

    @model_validator(mode="after")
    def _check_groups(self) -> DoneRecord:
        if "all" not in self.scores:
            raise PydanticCustomError("lacks", "all", {"loc": ("scores",), "name": "all"})
        return self


class FailedRecord(Record):
    """An attempt that failed, with what it failed of."""

    status: Literal[RunStatus.FAILED]
    error: Failure


class CancelledRecord(Record):
    """An attempt that somebody stopped."""

    status: Literal[RunStatus.CANCELLED]


MODELS: Mapping[RunStatus, type[Record]] = {
    RunStatus.DONE: DoneRecord,
    RunStatus.FAILED: FailedRecord,
    RunStatus.CANCELLED: CancelledRecord,
}


def compute_checksum(document: Mapping[str, Any]) -> str:
    """SHA-256 over everything in a document but its checksum, however the file spells it."""
    content = {name: value for name, value in document.items() if name != CHECKSUM}
    return sha256_text(json.dumps(content, sort_keys=True, separators=(",", ":")))


def parse_record(document: object, run_id: str) -> Record:
    """The record in ``document``, of an attempt at the run ``run_id``; ``RecordError`` where it is none."""
    if not isinstance(document, dict):
        raise RecordError("not a record: expected one JSON object")
    written: Any = document.get("format")
    if is_whole(written) and written > FORMAT:
        raise RecordError(
            f"written by a newer version: format {abbreviate_json(written)}, this one reads up to {FORMAT}",
            DamageKind.NEWER,
        )
    if not is_whole(written) or written < 1:
        raise RecordError(
            f"not a record: its format is {abbreviate_json(written)}, expected a whole number from 1 to {FORMAT}"
        )
    if CHECKSUM in document and document[CHECKSUM] != compute_checksum(document):
        raise RecordError("its content does not have its checksum", DamageKind.EDITED)
    status = document.get("status")
    if status not in STATUSES:
        raise RecordError(
            f"not a record: its status is {abbreviate_json(status)}, expected one of {', '.join(STATUSES)}"
        )
    if document.get("run_id") != run_id:
        raise RecordError(
            f"its run_id is {abbreviate_json(document.get('run_id'))}, and its folder's name is {run_id}"
        )
    return make_record(document, RunStatus(status))


def make_record(document: Mapping[str, Any], status: RunStatus) -> Record:
    """The typed record of a document; ``RecordError`` says which field is not as declared."""
    return _validate(MODELS[status], document)


def make_specification(document: Mapping[str, Any]) -> Specification:
    """The typed specification of a document; ``RecordError`` says which field is not as declared."""
    return _validate(Specification, document)


D = TypeVar("D", bound=Specification)


def _validate(model: type[D], document: Mapping[str, Any]) -> D:
    content = dict(document)
    try:
        typed = model.model_validate(_prepare_document(content))
    except ValidationError as error:
        raise RecordError(describe_problem(error.errors(include_url=False)[0])) from None
    object.__setattr__(typed, "_document", content)
    return typed


def _prepare_document(document: JsonObject) -> JsonObject:
    """The document with what later versions write, and with settings that many records have made once."""
    prepared = legacy.upgrade_record(document)
    for table in ("options", "settings"):
        entries = prepared.get(table)
        if isinstance(entries, dict):
            prepared[table] = {name: _share_entry(entry) for name, entry in entries.items()}
    return prepared


def _share_entry(entry: Any) -> Any:
    """The setting as a value that equal ones share; what is not as declared is left for the record's own check."""
    if not isinstance(entry, dict):
        return entry
    value, origin, layer = (entry.get(name) for name in ("value", "origin", "layer"))
    plain = value is None or isinstance(value, str | int | float)
    if not (
        plain and isinstance(origin, str) and (layer is None or isinstance(layer, str)) and "value" in entry
    ):
        return entry
    try:
        return _make_entry(type(value).__name__, value, origin, layer)
    except ValidationError:
        return entry


@lru_cache(maxsize=4096)
def _make_entry(_value_type: str, value: Any, origin: str, layer: str | None) -> SettingEntry:
    """A checked setting; the type of its value tells 1 from true."""
    return SettingEntry.model_validate({"value": value, "origin": origin, "layer": layer})


def make_excerpt(document: Mapping[str, Any]) -> Record:
    """The typed record of what somebody kept of a record: what only its status requires may be missing."""
    return _validate(Record, document)


def build_schema() -> JsonObject:
    """The JSON schema of records (``docs/record.schema.json``)."""
    union: TypeAdapter[Any] = TypeAdapter(
        Annotated[DoneRecord | FailedRecord | CancelledRecord, Field(discriminator="status")]
    )
    schema = union.json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Record of one attempt at a run",
        "description": "RUNS/<run_id>/records/0001.json, one per attempt. Fields that are not listed may be there.",
        **schema,
    }
