"""One go at a run: its stages in order, what they cost, and the record that it leaves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.config.request import SpecifiedRun
from bench.errors import UserError
from bench.runs.failures import describe_error
from bench.runs.job_context import JobContext
from bench.runs.observer import RunObserver
from bench.runs.stages import Stages
from bench.runs.stopping import Stopping
from bench.store.record import RunStatus
from bench.store.run_dir import RunDir
from bench.system import damage, provenance
from bench.system.json_files import JsonObject

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Attempt:
    """Carries a specified run out in its directory. ``job``: the scheduler's job around it, if any."""

    def __init__(
        self,
        specified: SpecifiedRun,
        folder: RunDir,
        job: JobContext | None = None,
        observer: RunObserver | None = None,
    ) -> None:
        self.specified = specified
        self.job = job
        self.stopping = Stopping(job)
        self.stages = Stages(specified, folder, self.stopping, observer=observer)
        self.started = provenance.format_current_time()
        self.clock = time.monotonic()
        self.durations: dict[str, float] = {}
        self.tokenizer: PreTrainedTokenizerBase | None = None
        """Once it is loaded."""

    def prepare(self) -> BaseException | None:
        """Load the tokenizer and the model, and look whether what is to be decoded fits.

        Raises ``UserError``. Anything else that goes wrong, a bug or an interrupt, is returned: it belongs into the
        run's record.
        """
        try:
            self.stages.prepare(self._load_tokenizer())
        except UserError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by the caller, under the run's lease
            return error
        return None

    def _load_tokenizer(self) -> PreTrainedTokenizerBase:
        from bench.models.loading import load_tokenizer

        if self.tokenizer is None:
            self.tokenizer = load_tokenizer(self.specified.model.path)
        return self.tokenizer

    def carry_out(self) -> dict[str, Any]:
        """Train, decode and score; what the record says of them. Raises what went wrong."""
        tokenizer = self._load_tokenizer()
        with self._time_stage("train"):
            training, parameters = self.stages.train(tokenizer)
        if self.stopping.asked:  # at the last update: all that was trained is kept
            raise KeyboardInterrupt
        with self._time_stage("decode"):
            decoding = self.stages.decode(tokenizer)
        with self._time_stage("score"):
            scores = self.stages.score()
        return {"training": training, "parameters": parameters, "decoding": decoding, "scores": scores}

    def take_part(self) -> None:
        """The share of a further process in a launch of many: its part of the training, nothing else."""
        from bench.training.loop import Interrupted

        stages = self.stages
        if stages.folder.stage_done("train", stages.training_key):
            return
        tokenizer = self._load_tokenizer()
        try:
            with self.stopping.listening():
                stages.fit(tokenizer, stages.build(tokenizer))
        except Interrupted as error:
            raise KeyboardInterrupt(str(error)) from error

    def build_record(self, status: RunStatus, facts: Mapping[str, Any]) -> JsonObject:
        """Everything that somebody who reads the number later needs to know."""
        specified = self.specified
        return {
            **specified.spec.to_json(),
            "status": status.value,
            "command": specified.command,
            "experiment": specified.experiment,
            "model_origin": specified.model.origin.text,
            "model_verification": specified.model.verification.to_json(),
            "not_comparable": specified.not_comparable,
            "incomparable": [reason.to_json() for reason in specified.incomparable],
            "started": self.started,
            "ended": provenance.format_current_time(),
            "seconds": {**self.durations, "attempt": round(time.monotonic() - self.clock, 3)},
            "code": provenance.identify_code((specified.method, specified.task)),
            "execution": self.stages.describe_execution(),
            "damaged_files": damage.read_damage_notes(self.stages.folder.path),
            "packages": provenance.list_package_versions(),
            "hardware": provenance.describe_hardware(),
            "peak_memory_bytes": provenance.measure_peak_memory(),
            **({"job": dict(self.job.facts)} if self.job is not None else {}),
            **facts,
        }

    def describe_failure(self, error: BaseException) -> JsonObject:
        """What went wrong, and what a job's log says about it."""
        facts: JsonObject = dict(describe_error(error))
        if self.job is not None:
            facts |= self.job.cause(facts) or {}
            stopped_by = self.job.stopped_by
            facts["signal"] = None if stopped_by is None else stopped_by.name
            facts["log_tail"] = self.job.log_tail()
        return facts

    @contextlib.contextmanager
    def _time_stage(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.durations[stage] = round(time.monotonic() - started, 3)
