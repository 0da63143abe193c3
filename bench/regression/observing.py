"""The values of a run: losses of its updates, tokens of its inputs and outputs, its scores, what was trained."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.metric import Metric
from bench.regression.cases import Case
from bench.regression.values import (
    MeasuredValue,
    Measurement,
    OutputFingerprints,
    ValueKind,
    compute_fingerprint,
    fingerprint_outputs,
)
from bench.runs.observer import RunObserver
from bench.task import Item, Task

if TYPE_CHECKING:
    from bench.data.token_pairs import TokenPairs
    from bench.models.adapted import AdaptedModel
    from bench.runs.formats import TextFormat
    from bench.store.record import Record

FIRST_UPDATES = 10
"""Whose losses and gradient norms are compared one by one: later rounding has grown by training."""
LABELS = 30
"""Targets that are turned back into text."""

Values = dict[str, MeasuredValue]


class ValueObserver(RunObserver):
    """Takes fingerprints of what a run reads, trains and writes."""

    def __init__(self) -> None:
        self.values: Values = {}
        self.outputs = OutputFingerprints()
        self._untrained: dict[str, str] = {}

    def _take(self, name: str, document: Any) -> None:
        self.values[name] = MeasuredValue(ValueKind.FINGERPRINT, compute_fingerprint(document))

    def see_training_pairs(self, text_format: TextFormat, train: TokenPairs, dev: TokenPairs) -> None:
        self._take("training sources", [source for source, _ in train])
        self._take("training targets", [target for _, target in train])
        self._take("dev pairs", list(dev))
        labels = [text_format.decode_text(source, target) for source, target in train[:LABELS]]
        self._take("targets as text", labels)

    def see_untrained_model(self, model: AdaptedModel) -> None:
        self._untrained = hash_backbone(model)

    def see_trained_model(self, model: AdaptedModel) -> None:
        trained = hash_backbone(model)
        changed = sum(trained.get(name) != digest for name, digest in self._untrained.items())
        self.values["tensors of the backbone that changed"] = MeasuredValue(ValueKind.COUNT, changed)

    def see_outputs(
        self,
        text_format: TextFormat,
        items: Sequence[Item],
        prompts: Sequence[Sequence[int]],
        outputs: Sequence[Sequence[int]],
        texts: Sequence[str],
    ) -> None:
        self._take("prompts", [list(prompt) for prompt in prompts])
        self._take("references", [list(text_format.make_references(item)) for item in items])
        self._take("groups", [list(item.groups) for item in items])
        self._take("rules of decoding", asdict(text_format.make_rules()))
        self.outputs = fingerprint_outputs(outputs, texts)


OURS = ("bench", "tasks", "baselines")
"""The packages whose methods, tasks and metrics have reference values here."""


def get_package(plugin: object) -> str:
    """The top package that a task, method or metric comes from."""
    return type(plugin).__module__.partition(".")[0]


def list_compared_metrics(task: Task) -> dict[str, Metric]:
    """The metrics of a task whose values a reference has: ours and its package's, but for those with a checkpoint."""
    metrics = {name: registry.find_metric(task, name) for name in registry.list_metric_names(task)}
    packages = (*OURS, get_package(task))
    return {
        name: metric
        for name, metric in metrics.items()
        if metric is not None and metric.requirements.weights is None and get_package(metric) in packages
    }


def hash_backbone(model: AdaptedModel) -> dict[str, str]:
    """A hash of every tensor of the backbone, by name."""
    import hashlib

    import torch

    return {
        name: hashlib.sha256(
            tensor.detach().contiguous().view(torch.uint8).cpu().numpy().tobytes()
        ).hexdigest()
        for name, tensor in model.backbone.state_dict().items()
        if tensor.ndim
    }


def measure_run(case: Case, runs: Path) -> Measurement:
    """Run a case afresh in a folder of its own below ``runs`` and take its values."""
    from bench.config.request import Resolver
    from bench.runs.runner import run_specified
    from bench.store.store import Store
    from bench.system.progress import silence_progress

    # A folder for each: where two cases train the same, the second would take the first one's parameters.
    request = case.make_request(runs / case.name.replace(" ", "+"))
    observer = ValueObserver()
    with silence_progress(), hide_data_directory():
        specified = Resolver().specify(request)
        record = run_specified(specified, observer=observer)
    assert record is not None
    log = Store(request.common.runs).run(specified.spec.run_id).read_log()
    values = {**read_log_values(log), **observer.values, **read_record_values(record)}
    return Measurement(values, observer.outputs)


@contextlib.contextmanager
def hide_data_directory() -> Iterator[None]:
    """Whatever BENCH_DATA says: the reference is of the embedded suite, or of a directory that was given."""
    users_folder = os.environ.pop("BENCH_DATA", None)
    try:
        yield
    finally:
        if users_folder is not None:
            os.environ["BENCH_DATA"] = users_folder


def read_log_values(log: Sequence[Mapping[str, Any]]) -> Values:
    """Losses and gradient norms of the first updates, the mean losses of two later parts, the dev losses."""
    values: Values = {}
    for line in log[:FIRST_UPDATES]:
        values[f"loss {line['step']}"] = MeasuredValue(ValueKind.LOSS, line["loss"])
        if line.get("gradient_norm") is not None:
            values[f"gradient norm {line['step']}"] = MeasuredValue(
                ValueKind.GRADIENT_NORM, line["gradient_norm"]
            )
    middle = FIRST_UPDATES + (len(log) - FIRST_UPDATES) // 2
    for part in (log[FIRST_UPDATES:middle], log[middle:] if middle >= FIRST_UPDATES else []):
        if part:
            name = f"mean loss {part[0]['step']}-{part[-1]['step']}"
            mean = statistics.fmean(line["loss"] for line in part)
            values[name] = MeasuredValue(ValueKind.LOSS, mean)
    for line in log:
        if "dev_loss" in line:
            values[f"dev loss {line['step']}"] = MeasuredValue(ValueKind.DEV_LOSS, line["dev_loss"])
    return values


def read_record_values(record: Record) -> Values:
    """Scores of all groups, numbers of parameters, and what the training was made of."""
    values: Values = {}
    compared = list_compared_metrics(registry.get_task(record.task))
    for group, scores in record.scores.items():
        for metric, score in scores.items():
            if metric in compared and score.value is not None:
                name = metric if group == "all" else f"{metric} {group}"
                values[name] = MeasuredValue(ValueKind.SCORE, float(score.value))
    counts: dict[str, Any] = {}
    assert record.parameters is not None
    counts |= {f"{name} parameters": getattr(record.parameters, name) for name in ("trained", "stored")}
    training = record["training"]
    if training is not None:
        for name in ("updates", "planned_updates", "best_update", "target_tokens", "rows", "truncated_rows"):
            counts[name.replace("_", " ")] = training[name]
    for name, count in counts.items():
        if count is not None:
            values[name] = MeasuredValue(ValueKind.COUNT, float(count))
    return values
