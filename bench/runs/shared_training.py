"""One training for all runs that differ only in what they decode and how: Table 2's test items and Table 9's dev
items come out of the same parameters, as in the paper.

The first run of these trains. A later one takes its parameters and its report of the training, and the
record says from which run (``training.taken_from``): times and memory of that training were another job's.
With ``store_both`` a training leaves the last and the best parameters, and runs that differ in which they keep
share it as well.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.request import SpecifiedRun
from bench.config.specification import RunSpec, list_settings_of_other_runs, select_training_settings
from bench.data import dataset
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system.files import replace_file, sha256_file, sha256_text
from bench.system.json_files import JsonObject, to_canonical_json, write_jsonl_atomic
from bench.system.progress import print_message
from bench.training.selection import KeepRule


def compute_training_key(specified: SpecifiedRun) -> str:
    """Hash of all that the trained parameters depend on: the run's identity without what only decoding reads."""
    identity = specified.spec.identity()
    settings = select_training_settings(identity["settings"])
    files = dataset.compute_splits_fingerprint(specified.data, list_training_splits(specified))
    return sha256_text(to_canonical_json({**identity, "settings": settings, "data": files}))


@dataclass(frozen=True)
class OtherParameters:
    """Parameters that a training stored beside those that it kept."""

    file: str
    """In the run's directory."""
    sha256: str
    keys: tuple[str, ...]
    """Training keys of the runs whose parameters these are (``compute_training_key``)."""
    update: int
    """After how many updates."""

    def to_json(self) -> JsonObject:
        """As the note on the training has it."""
        return {"file": self.file, "sha256": self.sha256, "keys": list(self.keys), "update": self.update}


def compute_other_training_keys(specified: SpecifiedRun, keep: KeepRule) -> list[str]:
    """Training keys of the runs that are trained as this one and keep other parameters, by the rule ``keep``."""
    return [
        compute_training_key(replace(specified, spec=replace(specified.spec, settings=settings)))
        for settings in list_settings_of_other_runs(specified.spec.settings, keep)
    ]


def list_training_splits(specified: SpecifiedRun) -> tuple[str, ...]:
    """The splits that training reads."""
    spec = specified.spec
    if not spec.trains:
        return ()
    return (spec["train_split"], *(["dev"] if spec["eval_every"] is not None else []))


def reuse_training(folder: RunDir, spec: RunSpec, key: str) -> dict[str, Any] | None:
    """Put the parameters of another run with this training into ``folder``; what is known of the training.

    None where there is no such run, or where its parameters are no longer what its training left.
    """
    for candidate in Store(folder.path.parent).runs():
        same_name = candidate.run_id.startswith(f"{spec.task}-{spec.method}-{spec.model}-s{spec.seed}-")
        if not same_name or candidate.run_id == folder.run_id:
            continue
        found = find_parameters(candidate, key)
        if found is None:
            if candidate.is_product_damaged("train", key):
                print_message(
                    f"{candidate.run_id} trained the same, but its parameters are damaged: not taken"
                )
            continue
        if found.facts["training"] is None:  # nothing was trained: building it is as quick
            continue
        with replace_file(folder.parameters) as temporary:
            link_or_copy(found.path, temporary)
        if sha256_file(folder.parameters) != found.sha256:  # damaged on the way
            folder.parameters.unlink()
            continue
        write_jsonl_atomic(folder.log, candidate.read_log())
        training = found.facts["training"]
        training = {**training, "taken_from": training["taken_from"] or candidate.run_id}
        return {**found.facts, "training": training}
    return None


class FoundParameters(NamedTuple):
    """Parameters in another run's directory, and what its note says of the training."""

    path: Path
    sha256: str | None
    """As the training left them."""
    facts: JsonObject


def find_parameters(candidate: RunDir, key: str) -> FoundParameters | None:
    """The parameters that ``candidate`` kept, or stored beside, of the training with this key; intact ones only."""
    facts = candidate.stage_facts("train", key)
    if facts is not None:
        return FoundParameters(
            candidate.parameters, candidate.product_sha256("train"), {**facts, "others": []}
        )
    facts = candidate.noted_facts("train")
    if facts is None or facts.get("training") is None:
        return None
    for other in facts.get("others", ()):
        path = candidate.path / other["file"]
        if key in other["keys"] and path.is_file() and sha256_file(path) == other["sha256"]:
            training = {**facts["training"], "kept_update": other["update"]}
            return FoundParameters(path, other["sha256"], {**facts, "training": training, "others": []})
    return None


def link_or_copy(existing: Path, new: Path) -> None:
    """The same file under a second name, so that a fine-tuned model is on the disk once; else a copy.

    Stored parameters are only ever replaced as a whole, never written into.
    """
    new.unlink(missing_ok=True)
    try:
        os.link(existing, new)
    except OSError:  # another file system, or one without links
        shutil.copyfile(existing, new)
