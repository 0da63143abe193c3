"""The stages of a run: train, decode, score. Each leaves its product and is skipped when it is there.

A product counts only if it was made from the same inputs (hashes, see ``bench.store``). Decoding reads
the stored parameters, never what training left in memory, so what is scored is what was kept.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from bench import provenance, subsets
from bench.coding import Coding, coding
from bench.data import load_items, load_rows
from bench.device import make_accelerator, pick_device, rank
from bench.files import canonical_json, sha256_text
from bench.place import Place
from bench.progress import say, track
from bench.request import Specified
from bench.spec import RunSpec
from bench.store import RunDir
from bench.task import Item, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.base import TunedBase
    from bench.train import Pair

T = TypeVar("T")


def decode_key(spec: RunSpec, folder: RunDir) -> str:
    """Hash of what the outputs are made from: the specification and the stored parameters."""
    return sha256_text(canonical_json([spec.key, folder.product_sha256("train")]))


def is_intact(spec: RunSpec, folder: RunDir) -> bool:
    """Whether the products of a finished run are there and are what the run left."""
    return folder.stage_done("train", spec.key) and folder.stage_done("decode", decode_key(spec, folder))


class Attempt:
    """One go at a run: the stages in order, and what they cost."""

    def __init__(
        self,
        specified: Specified,
        folder: RunDir,
        beat: Callable[[], None] = lambda: None,
        place: Place | None = None,
    ) -> None:
        self.specified = specified
        self.spec = specified.spec
        self.folder = folder
        self.beat = beat
        self.place = place
        self.started = provenance.now()
        self.clock = time.monotonic()
        self.training = False
        self.stop_asked = False
        self.durations: dict[str, float] = {}

    # -- the record -----------------------------------------------------------------------------

    def record(self, status: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that somebody who reads the number later needs to know."""
        return {
            **self.spec.to_json(),
            "status": status,
            "command": self.specified.command,
            "model_origin": self.specified.model.origin,
            "not_comparable": self.specified.not_comparable,
            "started": self.started,
            "ended": provenance.now(),
            "seconds": {**self.durations, "attempt": round(time.monotonic() - self.clock, 3)},
            "code": provenance.code_state() or {"source_sha256": provenance.source_sha256()},
            "packages": provenance.package_versions(),
            "hardware": provenance.hardware(),
            "peak_memory_bytes": provenance.peak_memory(),
            **({"job": dict(self.place.facts)} if self.place is not None else {}),
            **facts,
        }

    def described(self, error: BaseException) -> dict[str, Any]:
        """What went wrong, and what a job's log says about it."""
        from bench.runner import describe_error

        facts: dict[str, Any] = dict(describe_error(error))
        if self.place is not None:
            stopped_by = self.place.stopped_by
            facts["signal"] = None if stopped_by is None else stopped_by.name
            facts["log_tail"] = self.place.log_tail()
        return facts

    # -- stopping -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop after the current update, with a checkpoint; a second one at once.

        A scheduler sends several for one wish: in a job the later ones change nothing.
        """
        place = self.place

        def ask(number: int, frame: object) -> None:
            asked_before, self.stop_asked = self.stop_asked, True
            if place is not None:
                place.stopped_by = place.stopped_by or signal.Signals(number)
                if asked_before and number != signal.SIGINT:
                    return
            if asked_before or not self.training:
                raise KeyboardInterrupt
            say("stopping after this update" + ("" if place else "; once more to stop at once"))

        wanted = (signal.SIGINT, signal.SIGTERM, *(place.signals if place else ()))
        try:
            old = {number: signal.signal(number, ask) for number in wanted}
        except ValueError:  # not in the main thread, where signals cannot be caught
            yield
            return
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    # -- the stages -----------------------------------------------------------------------------

    def carry_out(self) -> dict[str, Any]:
        from bench.models import load_tokenizer

        tokenizer = load_tokenizer(self.specified.model.path)
        facts: dict[str, Any] = {}
        with self.timed("train"):
            facts["training"], facts["parameters"] = self.train(tokenizer)
        if self.stop_asked:  # at the last update: all that was trained is kept
            raise KeyboardInterrupt
        with self.timed("decode"):
            facts["decoding"] = self.decode(tokenizer)
        with self.timed("score"):
            facts["scores"] = self.score()
        return facts

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.durations[stage] = round(time.monotonic() - started, 3)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> TunedBase:
        """The backbone with the method's parts, as the protocol wants it, untrained."""
        from bench.models import check_vocabulary, load_backbone

        backbone = load_backbone(self.specified.model)
        check_vocabulary(backbone, tokenizer, self.specified.model.path)
        vocabulary = int(backbone.config.vocab_size)
        self.coding(tokenizer).prepare(backbone)
        tuned = self.specified.method.build(backbone, tokenizer, self.spec.option_values, self.spec.seed)
        tuned.decode_vocab = vocabulary
        tuned.backbone_dropout = self.spec["backbone_dropout"]
        return tuned

    def coding(self, tokenizer: PreTrainedTokenizerBase) -> Coding:
        """Between texts and tokens, as the run's kind of model has it."""
        return coding(self.specified.model.kind, self.spec, tokenizer)

    def take_part(self) -> None:
        """The share of a further process in a launch of many: its part of the training, nothing else."""
        from bench.models import load_tokenizer
        from bench.train import Interrupted

        if not self.folder.stage_done("train", self.spec.key):
            tokenizer = load_tokenizer(self.specified.model.path)
            try:
                with self.stoppable():
                    self.fit(tokenizer, self.build(tokenizer))
            except Interrupted as error:
                raise KeyboardInterrupt(str(error)) from error

    def train(self, tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Train, and leave ``parameters.safetensors``; (report, parameter counts)."""
        from bench import checkpoint

        key = self.spec.key
        if (facts := self.folder.stage_facts("train", key)) is not None:
            say("training: done already")
            return facts["training"], facts["parameters"]
        tuned = self.build(tokenizer)
        self.coding(tokenizer).check_room(self.prompts(tokenizer, self.items), tuned)
        training = self.fit(tokenizer, tuned)
        facts = {"training": training, "parameters": counts(tuned)}
        checkpoint.save_tensors(self.folder.parameters, tuned.stored_state(), {"run": self.spec.run_id})
        self.folder.finish_stage("train", key, facts)
        return training, facts["parameters"]

    def fit(self, tokenizer: PreTrainedTokenizerBase, tuned: TunedBase) -> dict[str, Any] | None:
        """Train ``tuned`` in place; the report, or None where there is nothing to train."""
        from bench.base import freeze_check
        from bench.train import TrainSettings, train

        if not tuned.trained_state():  # prompt, or a prefix of length 0
            return None
        pairs, truncated = self.pairs(tokenizer, tuned, self.train_rows())
        watching = self.spec["eval_every"] is not None
        dev, _ = self.pairs(tokenizer, tuned, self.dev_rows()) if watching else ([], 0)
        settings = TrainSettings(**{name: self.spec[name] for name in TrainSettings.__dataclass_fields__})
        frozen = freeze_check(tuned)
        with self.watch(len(pairs), settings) as on_update:
            self.training = True
            try:
                report = train(
                    tuned,
                    pairs,
                    dev,
                    settings,
                    seed=self.spec.seed,
                    key=self.spec.key,
                    folder=self.folder.path,
                    accelerator=make_accelerator(self.spec["device"], self.spec["precision"]),
                    on_update=on_update,
                    stop=lambda: self.stop_asked,
                )
            finally:
                self.training = False
        if freeze_check(tuned) != frozen:
            raise AssertionError("a frozen parameter changed in training: the method is not what it says")
        rate = round(report.target_tokens / max(report.seconds, 1e-9), 1)
        sizes = {"rows": len(pairs), "truncated_rows": truncated, "dev_rows": len(dev)}
        return {**asdict(report), **sizes, "target_tokens_per_second": rate}

    @contextlib.contextmanager
    def watch(self, rows: int, settings: Any) -> Iterator[Any]:
        """Progress of the training on the screen, in the log file and in the claim's heartbeat."""
        from bench.train import planned_updates

        total = planned_updates(rows, settings)
        every = max(1, total // 200)
        tracker: Any = None

        def on_update(step: int, facts: dict[str, Any]) -> None:
            nonlocal tracker
            if rank() > 0:
                return
            if tracker is None:
                tracker = track(total, "training", "updates", start=step - 1)
                # Lines of an attempt that got further than its last checkpoint come again.
                self.folder.trim_log(lambda line: line["step"] < step)
            tracker.note(f"loss {facts['loss']:.3f}")
            tracker.advance()
            self.beat()
            if step % every == 0 or step == total or "dev_loss" in facts:
                self.folder.append_log({"step": step, **facts})

        try:
            yield on_update
        finally:
            if tracker is not None:
                tracker.close(finished=tracker.done >= total)

    def train_rows(self) -> list[Row]:
        """The rows to train on: all of the split, or the part that is drawn."""
        spec = self.spec
        split, size = spec["train_split"], spec["train_subset"]
        rows = load_rows(self.specified.data, split, spec.protocol)
        if spec["train_share"] is not None:
            size = subsets.size_of_share(spec["train_share"], len(rows))
        return self.part(rows, size, split, "--train-subset")

    def dev_rows(self) -> list[Row]:
        """The rows whose loss is watched."""
        rows = load_rows(self.specified.data, "dev", self.spec.protocol)
        return self.part(rows, self.spec["dev_subset"], "dev", "--dev-subset")

    def part(self, rows: Sequence[T], size: int | None, split: str, flag: str) -> list[T]:
        """What of a split is used: a draw of ``size``, if any, and of that the first ``limit``."""
        drawn = subsets.draw(rows, size, self.spec["data_seed"] or 0, self.spec.task, split, flag)
        return drawn[: self.spec["limit"]]

    def pairs(
        self, tokenizer: PreTrainedTokenizerBase, tuned: TunedBase, rows: Sequence[Row]
    ) -> tuple[list[Pair], int]:
        """Token ids of rows, and how many had to be cut at the model's length."""
        task, method = self.specified.task, self.specified.method
        options = self.spec.option_values
        sources = [method.instruct(row.source, task, options) for row in rows]
        return self.coding(tokenizer).pairs(sources, [row.target for row in rows], tuned)

    def prompts(self, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> list[list[int]]:
        """Token ids to decode from, as the method words them."""
        task, method, options = self.specified.task, self.specified.method, self.spec.option_values
        return self.coding(tokenizer).prompts([method.instruct(item.source, task, options) for item in items])

    @cached_property
    def items(self) -> list[Item]:
        """What there is to decode and score; parsed once."""
        split = self.spec["test_split"]
        loaded = load_items(self.specified.data, split, self.spec.protocol)
        return self.part(loaded, self.spec["test_subset"], split, "--test-subset")

    def decode(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """Decode with what is stored, never with what training left in memory: generations.jsonl."""
        from bench import checkpoint
        from bench.decode import decode

        key = decode_key(self.spec, self.folder)
        if (facts := self.folder.stage_facts("decode", key)) is not None:
            say("decoding: done already")
            return facts
        tuned = self.build(tokenizer)
        tuned.load_stored(checkpoint.load_tensors(self.folder.parameters)[0])
        tuned.to(pick_device(self.spec["device"]))
        sources = self.prompts(tokenizer, self.items)
        between = self.coding(tokenizer)
        started = time.monotonic()
        with track(len(sources), "decoding", "sentences") as tracker:

            def on_done(done: int) -> None:
                tracker.advance(done - tracker.done)
                self.beat()

            outputs = decode(tuned, sources, between.rules(), self.spec["decode_batch"], on_done)
        seconds = time.monotonic() - started
        rows = [
            {
                "id": item.id,
                "output": between.text(source, tokens),
                "references": list(between.references(item)),
                "groups": list(item.groups),
                "category": item.category,
                "source": item.source,
                "facts": [list(fact) for fact in item.facts],
                "tokens": len(tokens),
            }
            for item, source, tokens in zip(self.items, sources, outputs, strict=True)
        ]
        self.folder.write_generations(rows)
        facts = {
            "items": len(self.items),
            "generated_tokens": sum(len(tokens) for tokens in outputs),
            "seconds": round(seconds, 3),
            "seconds_per_item": round(seconds / max(1, len(self.items)), 4),
        }
        self.folder.finish_stage("decode", key, facts)
        return facts

    def score(self) -> dict[str, Any]:
        """Score what is stored in generations.jsonl."""
        from bench import scoring

        items, outputs = scoring.of_rows(self.folder.read_generations())
        scores = scoring.score(self.specified.task, items, outputs)
        scoring.warn_of_gate(scores)
        self.folder.write_scores(scores)
        self.folder.finish_stage("score", str(self.folder.product_sha256("decode")))
        return scores


def counts(tuned: TunedBase) -> dict[str, int]:
    """Parameters trained, kept afterwards, and of the backbone."""
    return {
        "trained": sum(p.numel() for p in tuned.parameters() if p.requires_grad),
        "stored": sum(t.numel() for t in tuned.stored_state().values()),
        "backbone": sum(p.numel() for p in tuned.backbone.parameters()),
    }
