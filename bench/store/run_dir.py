"""What one run leaves in its directory: records, products, notes on the stages, and who works on it.

The files and their names are listed in ``bench.store``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.errors import DataError, UserError
from bench.foreign_text import show_foreign
from bench.store.damaged import REPLACEABLE, DamagedRecord, DamageKind
from bench.store.fields import is_whole
from bench.store.lease import BEAT_EVERY, STALE_AFTER, Lease, find_holder, get_numbered_path, list_numbers
from bench.store.record import (
    CHECKSUM,
    FORMAT,
    STATUSES,
    Record,
    RecordError,
    RunStatus,
    Specification,
    compute_checksum,
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
MADE_ANEW = "it is made anew"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,199}")


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

    def has_begun(self) -> bool:
        """Whether the folder holds anything that a run leaves; a folder of others does not."""
        return self._has("spec.json", "claims", "records", "stages", *PRODUCTS.values())

    def lacks_specification(self) -> bool:
        """Whether nothing says what the run is: it has products, and neither specification nor record."""
        return self._has("stages", *PRODUCTS.values()) and not self._has("spec.json", "records")

    def _has(self, *names: str) -> bool:
        return any(os.path.lexists(self.path / name) for name in names)

    # --- records

    def write_record(self, record: Mapping[str, Any]) -> Path:
        """Add the record of one attempt, whole and for good; returns its file.

        ``format``, ``run_id``, ``attempt``, ``recorded`` and ``checksum`` are filled in. Attempts count up without
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
            document: Document = json.loads(json_files.to_json(header | content | header))
            document[CHECKSUM] = compute_checksum(document)
            make_record(document, RunStatus(document["status"]))
            path = get_numbered_path(directory, number)
            try:
                files.create_new(path, json_files.to_json(document, indent=2) + "\n")
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
        directory, latest_done = self.path / "records", True
        try:
            numbers = list_numbers(directory)
        except DataError as error:
            damaged.append(DamagedRecord(directory, error.problem or str(error), DamageKind.INACCESSIBLE))
            return []
        for number in reversed(numbers):
            if newest is not None and len(records) == newest:
                break
            path = get_numbered_path(directory, number)
            record = self._read_record(path, damaged, latest_done)
            if record is not None:
                latest_done = latest_done and record.status is not RunStatus.DONE
                if status is None or record.status == status:
                    records.append(record)
        return records[::-1]

    def _read_record(self, path: Path, damaged: list[DamagedRecord], latest_done: bool) -> Record | None:
        """One record; None where it cannot be used, which ``damaged`` then says.

        ``latest_done``: no later attempt is done, so that ``scores.json`` is this one's if it is done.
        """
        try:
            content = files.read_bytes(path)
        except DataError as error:
            if os.path.lexists(path):  # else whoever carries the run out has just put it aside
                kind = DamageKind.INACCESSIBLE if path.is_file() else DamageKind.NOT_A_RECORD
                damaged.append(DamagedRecord(path, error.problem or str(error), kind))
            return None
        try:
            record = parse_record(json_files.parse_json(path, content, any_text=True), self.run_id)
            if latest_done and record.status is RunStatus.DONE and record.checksum is None:
                self._compare_scores(record)
        except RecordError as error:
            damaged.append(DamagedRecord(path, str(error), error.kind))
        except DataError as error:
            damaged.append(DamagedRecord(path, error.problem or str(error), DamageKind.DAMAGED))
        else:
            return record
        return None

    def _compare_scores(self, record: Record) -> None:
        """``RecordError`` where a record without a checksum has other scores than the scoring before it left."""
        try:
            note = self._read_note("score")
            if note.get("recorded", "") > record.recorded or not self._is_as_noted(self.scores, note):
                return
            left = self.read_scores()
        except (DataError, OSError, TypeError):
            return
        values = {
            group: {name: score.get("value") for name, score in scores.items() if isinstance(score, dict)}
            for group, scores in left.items()
            if isinstance(scores, dict)
        }
        recorded = {
            group: {name: score.value for name, score in scores.items()}
            for group, scores in record.scores.items()
        }
        if values != recorded:
            raise RecordError("its scores are not those that the run's scoring left", DamageKind.EDITED)

    def list_damaged_records(self) -> list[DamagedRecord]:
        """The records that cannot be used, the latest first."""
        damaged: list[DamagedRecord] = []
        self.read_attempts(damaged)
        return damaged

    def put_damaged_records_aside(self) -> None:
        """Put aside the records that are not as they were written; those of newer versions stay."""
        for entry in self.list_damaged_records():
            if entry.kind in REPLACEABLE:
                self._put_aside(entry.path, entry.reason, "the attempt is not counted")

    def read_records(
        self, damaged: list[DamagedRecord], newest: int | None = None, status: str | None = None
    ) -> list[Document]:
        """``read_attempts`` as they are stored."""
        return [record.document for record in self.read_attempts(damaged, newest, status)]

    def records(self) -> list[Document]:
        """Every readable attempt as it is stored, in order of time."""
        return self.read_records([])

    def latest_record(self, damaged: list[DamagedRecord] | None = None) -> Record | None:
        """The latest readable attempt, whatever its status; ``damaged`` gets the later ones that are not readable."""
        return next(iter(self.read_attempts([] if damaged is None else damaged, 1)), None)

    def done_record(self) -> Record | None:
        """The latest attempt that is done, even if a later one failed or was cancelled."""
        return next(iter(self.read_attempts([], 1, RunStatus.DONE)), None)

    # --- products

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        """Keep the specification, with a checksum, beside what it leads to."""
        json_files.write_json_atomic(self.spec, {**spec, CHECKSUM: compute_checksum(spec)})

    def read_spec(self) -> Document:
        """The specification as written; ``DataError`` where it is damaged. Older ones have no checksum."""
        return _read_checked(self.spec)

    def read_specification(self) -> Specification:
        """The specification, typed; ``DataError`` where the file is missing, damaged or another run's."""
        document = self.read_spec()
        if document.get("run_id", self.run_id) != self.run_id:
            problem = f"it is of the run {show_foreign(document['run_id'])}"
            raise DataError(f"{self.spec}: {problem}", problem)
        try:
            return make_specification(document)
        except RecordError as error:
            raise DataError(f"{self.spec}: {error}", str(error)) from error

    def put_specification_aside(self, problem: str) -> None:
        """Put aside a specification that is not the run's; nothing where there is none."""
        if self.spec.is_symlink() or self.spec.exists():
            self._put_aside(self.spec, problem, "it is written anew")

    def write_generations(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Keep decoded items, all or nothing; returns how many."""
        return json_files.write_jsonl_atomic(self.generations, rows)

    def read_generations(self) -> list[Document]:
        """Decoded items in their order; ``DataError`` where they are not what decoding left."""
        if self._note("decode").exists():
            self.check_product("decode")
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
        """The training log's whole lines; empty before the first. Lines without a step are none of ours."""
        lines = json_files.read_jsonl(self.log, forgive_torn=True) if self.log.exists() else []
        return [line for line in lines if isinstance(line, dict) and is_whole(line.get("step"))]

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
        note[CHECKSUM] = compute_checksum(note)
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
        """Put the stage's product aside where it is not what the stage left: it is not to be used.

        Where the note on the stage is damaged, nobody knows what the product is: both are put aside.
        """
        product, note = self.path / PRODUCTS[stage], self._note(stage)
        if self.is_product_damaged(stage, key):
            self._put_aside(product, NOT_AS_LEFT, MADE_ANEW)
        elif product.exists() and not product.is_file():
            self._put_aside(product, "it is no file", MADE_ANEW)
        if note.exists():
            try:
                self._read_note(stage)
            except DataError as error:
                self.put_stage_aside(stage, error.problem or str(error))

    def put_stage_aside(self, stage: Stage, problem: str) -> None:
        """Put a stage's note aside, and its product, of which nothing is known then."""
        self._put_aside(self._note(stage), problem, "the stage is done again")
        product = self.path / PRODUCTS[stage]
        if product.exists():
            self._put_aside(product, "the note on its stage is damaged", MADE_ANEW)

    def _put_aside(self, path: Path, problem: str, consequence: str) -> None:
        """Put a file of the run aside; noted beside the run's products, where its record finds it."""
        damage.put_aside(path, problem, consequence, self.path)

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
            return dict(self._read_note(stage)["facts"])
        except DataError:
            return None

    def product_sha256(self, stage: Stage) -> str | None:
        """Fingerprint of the stage's product as the stage left it; None before that."""
        try:
            return str(self._read_note(stage)["sha256"])
        except DataError:
            return None

    def _read_note(self, stage: Stage) -> Document:
        """The note of a finished stage; ``DataError`` where it is missing or damaged. Older ones have no checksum."""
        path = self._note(stage)
        note = _read_checked(path)
        texts = [note.get(name) for name in ("key", "product", "sha256")]
        if not (
            all(isinstance(text, str) for text in texts)
            and is_whole(note.get("bytes"))
            and isinstance(note.get("facts"), dict)
        ):
            problem = "damaged; expected the note on a finished stage"
            raise DataError(f"{path} is {problem}", problem)
        return note

    def _note(self, stage: Stage) -> Path:
        return self.path / "stages" / f"{stage}.json"

    # --- one worker at a time

    def worker(self, stale_after: float = STALE_AFTER) -> dict[str, Any] | None:
        """Who works on this run now: host, pid, since, silent_s, file; None if nobody does."""
        highest = 0
        with contextlib.suppress(DataError):  # not readable for us: that its records are not is seen beside
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
        problem = "damaged; expected one JSON object"
        raise DataError(f"{path} is {problem}", problem)
    return value


def _read_checked(path: Path) -> Document:
    """A JSON object without its checksum; ``DataError`` where the rest does not have it. Older ones have none."""
    document = _mapping(path)
    if CHECKSUM in document and document.pop(CHECKSUM) != compute_checksum(document):
        problem = "damaged: its content does not have its checksum"
        raise DataError(f"{path} is {problem}", problem)
    return document
