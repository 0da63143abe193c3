"""What one run leaves in its directory: records, products, notes on the stages, and who works on it.

The files and their names are listed in ``bench.store``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.errors import DataError, UserError
from bench.store.lease import BEAT_EVERY, STALE_AFTER, Lease, find_holder, get_numbered_path, list_numbers
from bench.store.record import (
    FORMAT,
    STATUSES,
    Record,
    RecordError,
    RunStatus,
    Specification,
    make_record,
    make_specification,
    parse_record,
)
from bench.system import damage, files, json_files, provenance
from bench.system.json_files import JsonObject

Document = JsonObject
"""A JSON object as it is stored."""
Stage = Literal["train", "decode", "score"]

PRODUCTS: dict[Stage, str] = {
    "train": "parameters.safetensors",
    "decode": "generations.jsonl",
    "score": "scores.json",
}

NOT_AS_LEFT = "is not the file that the stage left"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,199}")


@dataclass(frozen=True)
class DamagedRecord:
    """A record that could not be read, and why: ``str`` names both."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"not readable: {self.path}: {self.reason}"


class RunProgress(NamedTuple):
    """How far a stage of a run is: updates of a training, sentences decoded."""

    stage: str
    done: int
    total: int

    def to_text(self) -> str:
        return f"{self.stage} {self.done}/{self.total}"


class RunDir:
    """What one run has left so far. Naming a run creates nothing; writing does."""

    def __init__(self, root: Path, run_id: str) -> None:
        if not RUN_ID.fullmatch(run_id):
            raise UserError(
                f"{run_id!r} cannot name a run; expected letters, digits and . _ + = - "
                "(as in webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f)"
            )
        self.run_id = run_id
        self.path = root / run_id
        self.spec = self.path / "spec.json"
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.parameters = self.path / PRODUCTS["train"]
        self.generations = self.path / PRODUCTS["decode"]
        self.scores = self.path / PRODUCTS["score"]
        self.log = self.path / "log.jsonl"
        self.progress = self.path / "progress.json"

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    # --- records

    def write_record(self, record: Mapping[str, Any]) -> Path:
        """Add the record of one attempt, whole and for good; returns its file.

        ``format``, ``run_id``, ``attempt`` and ``recorded`` are filled in. Attempts count up without
        gaps, so a number can only be taken after the one before it: order of numbers is order of time.
        Raises ``ValueError`` for a document that readers would refuse: nothing is written then.
        """
        status = record.get("status")
        if status not in STATUSES:
            raise ValueError(f"status {status!r} is none of {', '.join(STATUSES)}")
        if status == RunStatus.FAILED and not record.get("error"):
            raise ValueError("a failed record must hold the error")
        content = provenance.hide_names(dict(record))
        directory = self.path / "records"
        taken = 0
        while True:
            number = max([taken, *list_numbers(directory)]) + 1
            # The time is taken after the number before was seen, and anew for each try.
            header: Document = {"format": FORMAT, "run_id": self.run_id, "attempt": number}
            header["recorded"] = provenance.format_current_time()
            document = header | content | header
            text = json_files.to_json(document, indent=2)
            make_record(json.loads(text), RunStatus(document["status"]))
            path = get_numbered_path(directory, number)
            try:
                files.create_new(path, text + "\n")
            except files.NameTakenError:
                taken = number
            else:
                return path

    def read_attempts(
        self, damaged: list[DamagedRecord], newest: int | None = None, status: str | None = None
    ) -> list[Record]:
        """Attempts in order of time, or the ``newest`` few.

        What is unreadable goes to ``damaged``, and so does a record that lacks what readers rely on.
        """
        records: list[Record] = []
        directory = self.path / "records"
        for number in reversed(list_numbers(directory)):
            if newest is not None and len(records) == newest:
                break
            path = get_numbered_path(directory, number)
            try:
                record = parse_record(json_files.read_json(path), self.run_id)
            except RecordError as error:
                damaged.append(DamagedRecord(path, str(error)))
            except DataError as error:
                damaged.append(DamagedRecord(path, error.problem or str(error)))
            else:
                if status is None or record.status == status:
                    records.append(record)
        return records[::-1]

    def read_records(
        self, damaged: list[DamagedRecord], newest: int | None = None, status: str | None = None
    ) -> list[Document]:
        """``read_attempts`` as they are stored."""
        return [record.document for record in self.read_attempts(damaged, newest, status)]

    def records(self) -> list[Document]:
        """Every readable attempt as it is stored, in order of time."""
        return self.read_records([])

    def latest_record(self) -> Record | None:
        """The latest readable attempt, whatever its status."""
        return next(iter(self.read_attempts([], 1)), None)

    def done_record(self) -> Record | None:
        """The latest attempt that is done, even if a later one failed or was cancelled."""
        return next(iter(self.read_attempts([], 1, RunStatus.DONE)), None)

    # --- products

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        """Keep the specification beside what it leads to."""
        json_files.write_json_atomic(self.spec, dict(spec))

    def read_spec(self) -> Document:
        """The specification as written."""
        return _mapping(self.spec)

    def read_specification(self) -> Specification:
        """The specification, typed; ``DataError`` where the file is missing or damaged."""
        try:
            return make_specification(_mapping(self.spec))
        except RecordError as error:
            raise DataError(f"{self.spec}: {error}", str(error)) from error

    def write_generations(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep decoded items, all or nothing; returns how many."""
        return json_files.write_jsonl_atomic(self.generations, rows)

    def read_generations(self) -> list[Document]:
        """Decoded items in their order."""
        return json_files.read_jsonl(self.generations)

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Keep the scores."""
        json_files.write_json_atomic(self.scores, dict(scores))

    def read_scores(self) -> Document:
        """The scores as written."""
        return _mapping(self.scores)

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Add one line to the training log. A kill can tear the last line; readers leave it out."""
        text = json_files.to_json(dict(line)) + "\n"
        files.append_line(self.log, text)

    def read_log(self) -> list[Document]:
        """The training log's whole lines; empty before the first."""
        return json_files.read_jsonl(self.log, forgive_torn=True) if self.log.exists() else []

    def trim_log(self, keep: Callable[[Document], bool]) -> None:
        """Drop lines written after the checkpoint that training resumes from: they will come again."""
        lines = self.read_log()
        remaining = [line for line in lines if keep(line)]
        if len(remaining) != len(lines):
            json_files.write_jsonl_atomic(self.log, remaining)

    # --- how far it is

    def note_progress(self, stage: str, done: int, total: int) -> None:
        """Note how far the stage under way is, for whoever asks; work never fails for it."""
        with contextlib.suppress(OSError, files.StorageError):
            json_files.write_json_atomic(self.progress, {"stage": stage, "done": done, "total": total})

    def read_progress(self) -> RunProgress | None:
        """The latest ``note_progress``; None before the first and where it cannot be read."""
        with contextlib.suppress(DataError, KeyError, TypeError, ValueError):
            note = _mapping(self.progress)
            stage, done, total = note["stage"], note["done"], note["total"]
            if isinstance(stage, str) and type(done) is int and type(total) is int:
                return RunProgress(stage, done, total)
        return None

    # --- stages

    def finish_stage(self, stage: Stage, key: str, facts: Mapping[str, Any] | None = None) -> str:
        """Note that the stage's product, already written, was made from inputs with hash ``key``.

        ``facts`` (durations, counts) are kept with the note for the record of a later attempt.

        Written after the product: a kill between the two means doing the stage again, never trusting
        a product of unknown origin. Returns the product's fingerprint, an input of the next stage.
        """
        product = self.path / PRODUCTS[stage]
        fingerprint = files.sha256_file(product)
        note: Document = {"stage": stage, "key": key, "product": product.name, "sha256": fingerprint}
        note |= {"bytes": product.stat().st_size, "recorded": provenance.format_current_time()}
        note["facts"] = dict(facts or {})
        note["checksum"] = files.sha256_text(json_files.to_canonical_json(note))
        json_files.write_json_atomic(self._note(stage), note)
        return fingerprint

    def why_not_done(self, stage: Stage, key: str) -> str | None:
        """Why the stage must be (re)done for these inputs, in words; None if its product is good."""
        product = self.path / PRODUCTS[stage]
        if not self._note(stage).exists():
            return "not finished yet"
        try:
            note = self._read_note(stage)
        except DataError as error:
            return str(error)
        if note.get("key") != key:
            return "its inputs have changed since"
        if not product.is_file():
            return f"{product.name} is missing"
        return None if self._is_as_noted(product, note) else f"{product.name} {NOT_AS_LEFT}"

    @staticmethod
    def _is_as_noted(product: Path, note: Document) -> bool:
        # The size first: it saves reading a large file that is known to differ.
        return product.stat().st_size == note.get("bytes") and files.sha256_file(product) == note.get(
            "sha256"
        )

    def is_product_damaged(self, stage: Stage, key: str) -> bool:
        """Whether the stage was finished for these inputs and its product is there, and not what it left."""
        product = self.path / PRODUCTS[stage]
        try:
            note = self._read_note(stage)
        except DataError:
            return False
        return note.get("key") == key and product.is_file() and not self._is_as_noted(product, note)

    def put_damaged_aside(self, stage: Stage, key: str) -> None:
        """Put the stage's product aside where it is not what the stage left: it is not to be used."""
        if self.is_product_damaged(stage, key):
            damage.put_aside(self.path / PRODUCTS[stage], NOT_AS_LEFT, "it is made anew")

    def check_product(self, stage: Stage) -> None:
        """``DataError`` where the stage's product is not what it left, or was never finished."""
        product = self.path / PRODUCTS[stage]
        note = self._read_note(stage)
        if not product.is_file() or not self._is_as_noted(product, note):
            advice = "issue the run's command again to make it anew"
            raise damage.DamagedFileError(product, NOT_AS_LEFT, advice)

    def stage_done(self, stage: Stage, key: str) -> bool:
        """Whether the stage's product is there, unchanged, and made from inputs with hash ``key``."""
        return self.why_not_done(stage, key) is None

    def stage_facts(self, stage: Stage, key: str) -> JsonObject | None:
        """What ``finish_stage`` was given, if the stage is done for these inputs; else None."""
        if not self.stage_done(stage, key):
            return None
        return dict(self._read_note(stage)["facts"])

    def noted_facts(self, stage: Stage) -> JsonObject | None:
        """What ``finish_stage`` was given, whatever the stage's inputs and product; None before that."""
        try:
            return dict(_mapping(self._note(stage))["facts"])
        except (DataError, KeyError):
            return None

    def product_sha256(self, stage: Stage) -> str | None:
        """Fingerprint of the stage's product as the stage left it; None before that."""
        try:
            return str(self._read_note(stage)["sha256"])
        except (DataError, KeyError):
            return None

    def _read_note(self, stage: Stage) -> Document:
        """The note of a finished stage; ``DataError`` where it is missing or damaged. Older ones have no checksum."""
        path = self._note(stage)
        note = _mapping(path)
        checksum = note.pop("checksum", None)
        if checksum is not None and checksum != files.sha256_text(json_files.to_canonical_json(note)):
            raise DataError(f"{path} is damaged: its content does not have its checksum")
        return note

    def _note(self, stage: Stage) -> Path:
        return self.path / "stages" / f"{stage}.json"

    # --- one worker at a time

    def worker(self, stale_after: float = STALE_AFTER) -> dict[str, Any] | None:
        """Who works on this run now: host, pid, since, silent_s, file; None if nobody does."""
        highest = max(list_numbers(self.path / "claims"), default=0)
        return find_holder(self.path / "claims", highest, stale_after) if highest else None

    @contextlib.contextmanager
    def claim(
        self, stale_after: float = STALE_AFTER, beat_every: float | None = BEAT_EVERY
    ) -> Iterator[Lease]:
        """Work on this run alone: UserError while another process does.

        A claim whose process was killed is taken over at once on the same machine, and after
        ``stale_after`` seconds without a sign of life elsewhere. A thread gives these signs, unless
        ``beat_every`` is None; a long loop should call ``beat`` now and then to learn of a lost claim.
        """
        claim = Lease.take(self.path / "claims", f"run {self.run_id}", stale_after)
        try:
            self._remove_leftovers()
            if beat_every is not None:
                claim.start_beating(beat_every)
            yield claim
        finally:
            claim.release()

    def tidy(self) -> None:
        """Remove what killed writers left, unless somebody works on the run, who does it."""
        if self.worker() is None:
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        for directory in (self.path, self.path / "records", self.path / "stages"):
            files.remove_leftovers(directory)
        files.remove_library_leftovers(self.path)


def _mapping(path: Path) -> Document:
    value = json_files.read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path} is damaged; expected one JSON object")
    return value
