"""The stages of a run: train, decode, score. Each leaves its product and is skipped when it is there.

A product counts only if it was made from the same inputs (hashes, see ``bench.store.run_dir``). Decoding reads
the stored parameters, never what training left in memory, so what is scored is what was kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from bench.config.request import SpecifiedRun
from bench.config.specification import RunSpec
from bench.errors import UserError
from bench.runs.inputs import Inputs
from bench.runs.observer import RunObserver
from bench.runs.shared_training import (
    OtherParameters,
    compute_other_training_keys,
    compute_training_key,
    reuse_training,
)
from bench.runs.stopping import Stopping
from bench.store.record import DecodingReport, ParameterCounts, TrainingReport
from bench.store.run_dir import RunDir, Stage
from bench.system.devices import count_processes, get_process_rank, make_accelerator, pick_device
from bench.system.execution import (
    ExecutionConditions,
    describe_change,
    explain_threads,
    list_distinct,
    measure_conditions,
)
from bench.system.files import sha256_file, sha256_text
from bench.system.json_files import JsonObject, to_canonical_json
from bench.system.progress import print_message, track_progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.models.adapted import AdaptedModel
    from bench.training.selection import KeepRule


PROGRESS_EVERY = 5.0
"""Seconds between two notes of how far a stage is."""


def compute_decoding_key(spec: RunSpec, folder: RunDir) -> str:
    """Hash of what the outputs are made from: the specification and the stored parameters."""
    return sha256_text(to_canonical_json([spec.key, folder.product_sha256("train")]))


class TrainingFacts(BaseModel):
    """What the note on the training says for the record."""

    training: TrainingReport | None
    parameters: ParameterCounts


class TrainingProduct(NamedTuple):
    """What the training stage knows when its parameters are stored."""

    training: dict[str, Any] | None
    """The report of the training; None where nothing was trained."""
    parameters: dict[str, int]
    """Numbers of parameters: trained, stored, and of the backbone."""


class Stages:
    """The stages of one run: each leaves its product in the run's directory, or finds it there.

    ``beat`` is called now and then and raises once the run's lease is lost; ``stopping`` says whether somebody
    asked to stop.
    """

    def __init__(
        self,
        specified: SpecifiedRun,
        folder: RunDir,
        stopping: Stopping,
        beat: Callable[[], None] = lambda: None,
        observer: RunObserver | None = None,
    ) -> None:
        self.specified = specified
        self.spec = specified.spec
        self.folder = folder
        self.stopping = stopping
        self.beat = beat
        self.observer = observer or RunObserver()
        self.inputs = Inputs(specified)
        self.training_key = compute_training_key(specified)
        self.prepared: AdaptedModel | None = None
        """Built, and not yet trained."""
        self.others: list[OtherParameters] = []
        """What this attempt stored beside the parameters that are kept."""
        self.progress_noted = -PROGRESS_EVERY
        self.conditions: list[JsonObject | None] = []
        """Under which the parts of this run were computed, oldest first; None where nobody noted them."""

    def build(self, tokenizer: PreTrainedTokenizerBase) -> AdaptedModel:
        """The backbone with the method's parts, as the protocol wants it, untrained."""
        from bench.models.loading import check_vocabulary, load_backbone

        backbone = load_backbone(self.specified.model)
        check_vocabulary(backbone.config, tokenizer, self.specified.model.path)
        vocabulary = int(backbone.config.vocab_size)
        self.inputs.make_format(tokenizer).prepare(backbone)
        model = self.specified.method.build(backbone, tokenizer, self.spec.option_values, self.spec.seed)
        model.decode_vocab = vocabulary
        model.backbone_dropout = self.spec["backbone_dropout"]
        return model

    def prepare(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Build what is trained, and refuse prompts that decoding would have no room for; once."""
        if self.prepared is None:
            model = self.build(tokenizer)
            self.inputs.make_format(tokenizer).check_room(self.inputs.encode_prompts(tokenizer), model)
            self.prepared = model

    def train(self, tokenizer: PreTrainedTokenizerBase) -> TrainingProduct:
        """Train, and leave ``parameters.safetensors``."""
        from bench.training import checkpoint

        key = self.training_key
        if (facts := self._find_facts("train", key, TrainingFacts)) is not None:
            print_message("training: done already")
            self._note_training_conditions(facts)
            return TrainingProduct(facts["training"], facts["parameters"])
        self.folder.put_damaged_aside("train", key)
        self.prepare(tokenizer)
        model, self.prepared = self.prepared, None
        assert model is not None  # just prepared
        # The processes of a launch of many must all do the same, and only the first one sees the folder.
        facts = reuse_training(self.folder, self.spec, key) if count_processes() == 1 else None
        if facts is not None:
            print_message(f"training: taken from {facts['training']['taken_from']}, which trained the same")
        else:
            self.others = []
            facts = {"training": self.fit(tokenizer, model), "parameters": describe_parameters(model)}
            facts["others"] = [other.to_json() for other in self.others]
            checkpoint.save_tensors(self.folder.parameters, model.stored_state(), {"run": self.spec.run_id})
        self.folder.finish_stage("train", key, facts)
        self._note_training_conditions(facts)
        return TrainingProduct(facts["training"], facts["parameters"])

    def fit(self, tokenizer: PreTrainedTokenizerBase, model: AdaptedModel) -> dict[str, Any] | None:
        """Train ``model`` in place; the report, or None where there is nothing to train."""
        from bench.models.adapted import hash_frozen_parameters
        from bench.training.loop import train_model
        from bench.training.update import TrainingSettings

        if not model.trained_state():  # prompt, or a prefix of length 0
            return None
        inputs, watching = self.inputs, self.spec["eval_every"] is not None
        pairs = inputs.encode_rows(tokenizer, model, inputs.iterate_train_rows(), self.folder.path)
        dev_rows = inputs.iterate_dev_rows() if watching else iter(())
        dev = inputs.encode_rows(tokenizer, model, dev_rows, self.folder.path)
        settings = TrainingSettings(
            **{name: self.spec[name] for name in TrainingSettings.__dataclass_fields__}
        )
        self.observer.see_training_pairs(inputs.make_format(tokenizer), pairs, dev)
        self.observer.see_untrained_model(model)
        frozen = hash_frozen_parameters(model)
        with self.watch(len(pairs), settings) as on_update, self.stopping.after_update():
            report = train_model(
                model,
                pairs,
                dev,
                settings,
                seed=self.spec.seed,
                key=self.spec.key,
                folder=self.folder.path,
                accelerator=make_accelerator(self.spec["device"], self.spec["precision"]),
                on_update=on_update,
                stop=lambda: self.stopping.asked,
                score_dev=self.make_dev_scorer(tokenizer),
                store_other=self.store_other,
            )
        self.observer.see_trained_model(model)
        if hash_frozen_parameters(model) != frozen:
            raise AssertionError("a frozen parameter changed in training: the method is not what it says")
        rate = round(report.target_tokens / max(report.seconds, 1e-9), 1)
        sizes = {"rows": len(pairs), "truncated_rows": pairs.truncated, "dev_rows": len(dev)}
        return {**asdict(report), **sizes, "target_tokens_per_second": rate, "taken_from": None}

    def make_dev_scorer(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[AdaptedModel], float]:
        """ROUGE-2 of outputs for the dev split, decoded and cut as those that are scored at the end."""

        def score_dev(model: AdaptedModel) -> float:
            from bench.decoding.generation import decode_sources
            from bench.metrics.rouge import LIBRARY, score_rouge

            items = self.inputs.dev_items
            prompts = self.inputs.encode_prompts(tokenizer, items)
            text_format = self.inputs.make_format(tokenizer)
            outputs = decode_sources(
                model, prompts, text_format.make_rules(), self.spec["decode_batch"], lambda _: self.beat()
            )
            texts = [text_format.decode_text(*pair) for pair in zip(prompts, outputs, strict=True)]
            references = [text_format.make_references(item) for item in items]
            return float(score_rouge(LIBRARY, "rouge2", texts, references).value)

        return score_dev

    def store_other(self, model: AdaptedModel, keep: KeepRule, update: int) -> None:
        """Store the parameters that are not kept, for a run that keeps them and is the same otherwise."""
        from bench.training import checkpoint

        if get_process_rank() > 0:
            return
        path = self.folder.path / f"parameters-{keep}.safetensors"
        checkpoint.save_tensors(path, model.stored_state(), {"run": self.spec.run_id})
        keys = compute_other_training_keys(self.specified, keep)
        self.others.append(OtherParameters(path.name, sha256_file(path), tuple(keys), update))

    @contextlib.contextmanager
    def watch(self, rows: int, settings: Any) -> Iterator[Any]:
        """Progress of the training on the screen, in the log file and in the claim's heartbeat."""
        from bench.training.update import count_planned_updates

        total = count_planned_updates(rows, settings)
        every = max(1, total // 200)
        tracker: Any = None

        def on_update(step: int, facts: JsonObject) -> None:
            nonlocal tracker
            if get_process_rank() > 0:
                return
            if tracker is None:
                tracker = track_progress(total, "training", "updates", start=step - 1)
                # Lines of an attempt that got further than its last checkpoint come again.
                self.folder.trim_log(lambda line: line["step"] < step)
            tracker.note(f"loss {facts['loss']:.3f}")
            tracker.advance()
            self.beat()
            self.note_progress("training", step, total)
            if step % every == 0 or step == total or "dev_loss" in facts:
                self.folder.append_log({"step": step, **facts})

        try:
            yield on_update
        finally:
            if tracker is not None:
                tracker.close(finished=tracker.done >= total)

    def note_progress(self, stage: str, done: int, total: int) -> None:
        """For `bench status`, now and then: on a shared file system a file costs more than an update."""
        if time.monotonic() - self.progress_noted >= PROGRESS_EVERY:
            self.progress_noted = time.monotonic()
            self.folder.note_progress(stage, done, total)

    def decode(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """Decode with what is stored, never with what training left in memory: generations.jsonl."""
        from bench.decoding.generation import decode_sources
        from bench.training import checkpoint

        key = compute_decoding_key(self.spec, self.folder)
        if (facts := self._find_facts("decode", key, DecodingReport)) is not None:
            print_message("decoding: done already")
            self.conditions.append(facts.get("conditions"))
            return facts
        self.folder.put_damaged_aside("decode", key)
        conditions = self._begin_decoding()
        model = self.build(tokenizer)
        model.load_stored(checkpoint.load_tensors(self.folder.parameters).tensors)
        model.to(pick_device(self.spec["device"]))
        items, sources = self.inputs.items, self.inputs.encode_prompts(tokenizer)
        text_format = self.inputs.make_format(tokenizer)
        started = time.monotonic()
        with track_progress(len(sources), "decoding", "sentences") as tracker:

            def on_done(done: int) -> None:
                tracker.advance(done - tracker.done)
                self.beat()
                self.note_progress("decoding", done, len(sources))

            outputs = decode_sources(
                model, sources, text_format.make_rules(), self.spec["decode_batch"], on_done
            )
        seconds = time.monotonic() - started
        texts = [
            text_format.decode_text(source, tokens) for source, tokens in zip(sources, outputs, strict=True)
        ]
        rows = [
            {
                "id": item.id,
                "output": text,
                "references": list(text_format.make_references(item)),
                "groups": list(item.groups),
                "category": item.category,
                "source": item.source,
                "facts": [list(fact) for fact in item.facts],
                "tokens": len(tokens),
            }
            for item, text, tokens in zip(items, texts, outputs, strict=True)
        ]
        self.observer.see_outputs(text_format, items, sources, outputs, texts)
        self.folder.write_generations(rows)
        facts = {
            "items": len(items),
            "generated_tokens": sum(len(tokens) for tokens in outputs),
            "seconds": round(seconds, 3),
            "seconds_per_item": round(seconds / max(1, len(items)), 4),
            "conditions": conditions,
        }
        self.folder.finish_stage("decode", key, facts)
        return facts

    def _find_facts(self, stage: Stage, key: str, layout: type[BaseModel]) -> JsonObject | None:
        """What the stage's note says, if the stage is done for these inputs and says what a record needs."""
        facts = self.folder.stage_facts(stage, key)
        if facts is not None:
            try:
                layout.model_validate(facts)
            except ValidationError:
                self.folder.put_stage_aside(stage, "it does not say what the stage did")
                return None
        return facts

    def _note_training_conditions(self, facts: JsonObject) -> None:
        """Keep under which conditions the parameters came about: here, in an earlier attempt or in another run."""
        if facts["training"] is not None:
            self.conditions += facts["training"].get("conditions", [None])

    def _begin_decoding(self) -> JsonObject | None:
        """The conditions of decoding; a line where the training's were others."""
        current = self._measure_conditions()
        conditions = None if current is None else current.to_json()
        if self.conditions and self.conditions[-1] != conditions:
            print_message(describe_change(self.conditions[-1], current, "decoding"), important=True)
        self.conditions.append(conditions)
        return conditions

    def describe_execution(self) -> JsonObject | None:
        """What the record says of the conditions: of the last part, and of earlier ones where they differ."""
        with contextlib.suppress(UserError):
            facts = combine_conditions(self.conditions, self._measure_conditions())
            threads = self.spec.settings["threads"]
            source = explain_threads(threads.value, threads.typed).source
            return None if facts is None else {**facts, "threads_from": source.value}
        return None

    def _measure_conditions(self) -> ExecutionConditions | None:
        device = pick_device(self.spec["device"]).type
        return measure_conditions(device, {"micro_split": self.spec["micro_split"]})

    def score(self) -> dict[str, Any]:
        """Score what is stored in generations.jsonl."""
        from bench.scoring import evaluation

        items, outputs = evaluation.read_generation_rows(self.folder.read_generations())
        scores = evaluation.make_score_documents(
            evaluation.score_outputs(self.specified.task, items, outputs)
        )
        evaluation.warn_of_failed_gates(scores)
        self.folder.write_scores(scores)
        self.folder.finish_stage("score", str(self.folder.product_sha256("decode")))
        return scores


def combine_conditions(
    parts: Sequence[JsonObject | None], current: ExecutionConditions | None
) -> JsonObject | None:
    """``execution`` of a record: the conditions of the last part, or of now where none was finished.

    ``continued_under``: those of the parts that differ from it, or whose code, packages or settings are not those
    of ``current``, which the record has. None where the last part's conditions were not noted.
    """
    if current is None:
        return None
    now = current.to_json()
    last = parts[-1] if parts else now
    if last is None:
        return None
    of_record = {name: now[name] for name in ("deciding_sha256", "packages", "settings")}
    earlier = list_distinct(part for part in parts if part != {**last, **of_record})
    return {**{name: last[name] for name in last if name not in of_record}, "continued_under": earlier}


def describe_parameters(model: AdaptedModel) -> dict[str, int]:
    """Parameters trained, kept afterwards, and of the backbone."""
    return {
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "stored": sum(t.numel() for t in model.stored_state().values()),
        "backbone": sum(p.numel() for p in model.backbone.parameters()),
    }
