"""Parts of the harness on fixed inputs, where nothing is trained and nothing is left to chance.

A run shows a fault of a scorer only where its outputs happen to touch it. Here every scorer meets its golden
outputs and the fixed texts of ``fixed_texts.json`` (casing, marks, accents, ties, shifted words), every task reads
all of its files under both protocols, and the search meets continuations of which many are equally good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench import registry
from bench.errors import UnavailableError
from bench.regression.cases import list_real_splits
from bench.regression.observing import (
    OURS,
    Values,
    get_package,
    hide_data_directory,
    list_compared_metrics,
)
from bench.regression.values import MeasuredValue, Measurement, ValueKind, compute_fingerprint
from bench.scoring.score import GateStatus
from bench.task import SPLITS, ProtocolName, Task

FIXED_TEXTS = Path(__file__).with_name("fixed_texts.json")
PROTOCOL_NAMES: Final[tuple[ProtocolName, ...]] = ("original", "plain")
SEARCH = "search"
"""The part that belongs to no task."""


@dataclass(frozen=True)
class Probe:
    """A part on fixed inputs: ``part`` is scorers, data or settings of a task, or the search."""

    part: str
    task: str = ""
    data_dir: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.task} {self.part}" if self.task else self.part


def list_probes(tasks: Sequence[str], data_dir: Path | None = None) -> list[Probe]:
    """Those that runs on these tasks rest on."""
    parts = ("scorers", "data", "settings") if data_dir is None else ("data",)
    probes = [Probe(part, task, data_dir) for task in dict.fromkeys(tasks) for part in parts]
    return probes if data_dir is not None else [*probes, Probe(SEARCH)]


def measure_probe(probe: Probe) -> Measurement:
    """The values of a part."""
    if probe.part == SEARCH:
        return Measurement(measure_search())
    task = registry.get_task(probe.task)
    if probe.part == "data":
        with hide_data_directory():
            return Measurement(measure_data(task, probe.data_dir))
    measure: Mapping[str, Callable[[Task], Values]] = {
        "scorers": measure_scorers,
        "settings": measure_settings,
    }
    return Measurement(measure[probe.part](task))


# --- scorers


@cache
def read_fixed_texts() -> tuple[list[str], list[list[str]]]:
    """Outputs, and the references of each."""
    rows = json.loads(FIXED_TEXTS.read_text(encoding="utf-8"))
    return [row["output"] for row in rows], [row["references"] for row in rows]


def measure_scorers(task: Task) -> Values:
    """Every scorer of a task that needs no checkpoint: its golden outputs, and its score of the fixed texts."""
    from bench.scoring import golden

    values: Values = {}
    outputs, references = read_fixed_texts()
    for name, metric in list_compared_metrics(task).items():
        verdict = golden.judge_scorer(task, name)
        if verdict.status in (GateStatus.PASSED, GateStatus.FAILED):
            text = "passed" if verdict.status is GateStatus.PASSED else f"failed: {verdict.problem}"
            values[f"{name} golden"] = MeasuredValue(ValueKind.GOLDEN, text)
        try:
            result = metric.score(outputs, references)
        except UnavailableError:
            continue
        values[name] = MeasuredValue(ValueKind.SCORER, result.value)
        for segment_name, segments in result.segments.items():
            # Weighted by their numbers, so that values of two items that are exchanged show.
            weighted = sum(number * value for number, value in enumerate(segments, 1)) / len(segments)
            values[f"{name} {segment_name} by item"] = MeasuredValue(ValueKind.SCORER, float(weighted))
    return values


# --- data


def measure_data(task: Task, data_dir: Path | None) -> Values:
    """Fingerprints of all rows and items of a task, as both protocols read them."""
    from bench.data.dataset import iterate_rows, load_items, prepare

    splits = SPLITS if data_dir is None else list_real_splits(task.name)
    prepared = prepare(task, data_dir, allow_download=False, scale="mini", splits=splits)
    values: Values = {}
    for split in splits:
        for protocol in PROTOCOL_NAMES:
            rows = [[row.source, row.target] for row in iterate_rows(prepared, split, protocol)]
            items = [list(asdict(item).items()) for item in load_items(prepared, split, protocol)]
            for name, entries in (("rows", rows), ("items", items)):
                values[f"{split} {name} {protocol}"] = MeasuredValue(
                    ValueKind.FINGERPRINT, compute_fingerprint(entries)
                )
    return values


# --- settings


def measure_settings(task: Task) -> Values:
    """Fingerprints of what every method resolves to on a task at either scale: the tables of the settings."""
    from bench.config.request import CommonOptions, expand_requests
    from bench.errors import UserError

    values: Values = {}
    for method, plugin in registry.methods().items():
        if get_package(plugin) not in (*OURS, get_package(task)):
            continue
        for scale in ("mini", "paper"):
            common = CommonOptions(scale=scale, offline=True)
            try:
                [request] = expand_requests(method, task.name, "1", common)
                resolved = request.resolve(request.model)
            except UserError:  # not for this kind of model
                continue
            table: dict[str, Any] = {name: entry.value for name, entry in resolved.settings.items()}
            table["options"] = {name: entry.value for name, entry in resolved.options.items()}
            values[f"{method} {scale}"] = MeasuredValue(ValueKind.FINGERPRINT, compute_fingerprint(table))
    return values


# --- the search


def measure_search() -> Values:
    """What the search makes of continuations whose scores are multiples of 1/8: sums are exact, ties are many."""
    from bench.decoding.beam_search import BeamRules

    values: Values = {}
    variations: dict[str, dict[str, Any]] = {
        "plain": {"protocol": "plain"},
        "original": {"protocol": "original"},
        "length penalty": {"protocol": "original", "length_penalty": 2.0},
        "no normalisation": {"protocol": "plain", "length_penalty": 0.0},
        "early stopping": {"protocol": "plain", "early_stopping": True},
        "shortest": {"protocol": "original", "min_length": 6, "min_new_tokens": 3},
        "n-grams": {"protocol": "original", "no_repeat_ngram": 2},
        "greedy": {"protocol": "plain", "beams": 1},
        "forced": {"protocol": "plain", "forced_first": 5, "forced_eos": True},
        "banned": {"protocol": "original", "banned": (4, 5)},
    }
    for name, changes in variations.items():
        rules = BeamRules(**{"eos": EOS, "beams": 3, "max_new_tokens": 7, **changes})
        outputs = [search_scripted(rules, seed) for seed in range(SEARCHES)]
        values[name] = MeasuredValue(ValueKind.FINGERPRINT, compute_fingerprint(outputs))
    values["best entries"] = MeasuredValue(ValueKind.FINGERPRINT, compute_fingerprint(select_among_ties()))
    return values


EOS, VOCABULARY, SEARCHES = 3, 12, 24
LEVELS = (-0.25, -0.5, -0.5, -1.0, -1.0, -2.0)


def draw_level(*key: int) -> float:
    """One of few log-probabilities, by a hash of where it stands."""
    import hashlib

    return LEVELS[hashlib.sha256(repr(key).encode()).digest()[0] % len(LEVELS)]


def search_scripted(rules: Any, seed: int) -> list[int]:
    """The output for continuations that a hash decides: a model in place of none, without a float to round."""
    from bench.decoding.beam_search import Candidate, SourceSearch

    search = SourceSearch(rules, [7, 8, 7, 9][: 1 + seed % 4])
    while not search.done:
        forced = rules.get_forced_token(search.generated)
        candidates = []
        for parent, hypothesis in enumerate(search.open):
            barred = {*search.list_barred_tokens(hypothesis), *rules.banned}
            tokens = range(VOCABULARY) if forced is None else [forced]
            for token in tokens:
                if forced is not None or token not in barred:
                    cost = 0.0 if forced is not None else draw_level(seed, search.generated, parent, token)
                    candidates.append(Candidate(hypothesis.score + cost, parent, token))
        candidates.sort(key=lambda candidate: (-candidate.score, candidate.parent, candidate.token))
        search.advance(candidates[: 2 * rules.beams])
    return search.select_best()


def select_among_ties() -> list[list[list[float]]]:
    """The best entries of rows with many equal values."""
    import torch

    from bench.decoding.beam_search import select_best_entries

    rows = [[draw_level(row, index) for index in range(40)] for row in range(8)]
    return [[[value, index] for value, index in row] for row in select_best_entries(torch.tensor(rows), 6)]
