"""One training for all runs that differ only in what they decode and how: Table 2's test items and Table 9's dev
items come out of the same parameters, as in the paper.

The first run of these trains. A later one takes its parameters and its report of the training, and the
record says from which run (``training.taken_from``): times and memory of that training were another job's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from bench.config.request import SpecifiedRun
from bench.config.specification import RunSpec, select_training_settings
from bench.data import dataset
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system.files import replace_file, sha256_file, sha256_text
from bench.system.json_files import to_canonical_json, write_jsonl_atomic
from bench.system.progress import print_message


def compute_training_key(specified: SpecifiedRun) -> str:
    """Hash of all that the trained parameters depend on: the run's identity without what only decoding reads."""
    identity = specified.spec.identity()
    settings = select_training_settings(identity["settings"])
    files = dataset.compute_splits_fingerprint(specified.data, list_training_splits(specified))
    return sha256_text(to_canonical_json({**identity, "settings": settings, "data": files}))


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
        facts = candidate.stage_facts("train", key)
        if facts is None:
            if candidate.is_product_damaged("train", key):
                print_message(
                    f"{candidate.run_id} trained the same, but its parameters are damaged: not taken"
                )
            continue
        if facts["training"] is None:  # nothing was trained: building it is as quick
            continue
        with replace_file(folder.parameters) as temporary:
            link_or_copy(candidate.parameters, temporary)
        if sha256_file(folder.parameters) != candidate.product_sha256("train"):  # damaged on the way
            folder.parameters.unlink()
            continue
        write_jsonl_atomic(folder.log, candidate.read_log())
        training = {**facts["training"], "taken_from": facts["training"]["taken_from"] or candidate.run_id}
        return {**facts, "training": training}
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
