"""What a finished run left, verified when it is asked for again: what is not as it was left is made anew.

A product is what the note on its stage says, the specification is the run's, a record has its checksum
(``bench.store.run_dir``). What is damaged is put aside (``bench.system.damage``). Parameters and outputs are made
anew by their stages; the rest is written from what is whole.
"""

from __future__ import annotations

from bench.config.request import SpecifiedRun
from bench.config.specification import RunSpec, is_part_of_identity, is_silent
from bench.errors import DataError
from bench.foreign_text import show_foreign
from bench.runs.shared_training import compute_training_key
from bench.runs.stages import compute_decoding_key
from bench.store.damaged import REPLACEABLE
from bench.store.record import Record, Specification
from bench.store.run_dir import RunDir


def are_products_intact(specified: SpecifiedRun, folder: RunDir) -> bool:
    """Whether the products of a finished run are there and are what the run left."""
    if not folder.stage_done("train", compute_training_key(specified)):
        return False
    return folder.stage_done("decode", compute_decoding_key(specified.spec, folder))


def restore_finished_run(specified: SpecifiedRun, folder: RunDir, done: Record) -> None:
    """Make whole what is cheap to make: scores and specification are written again, damaged records put aside.

    Takes the run's lease only where something is to be done.
    """
    problem = find_specification_problem(specified.spec, folder)
    key = str(folder.product_sha256("decode"))
    scored = folder.stage_done("score", key)
    damaged = any(entry.kind in REPLACEABLE for entry in folder.list_damaged_records())
    if problem is None and scored and not damaged:
        return
    with folder.claim():
        if problem is not None:
            folder.put_specification_aside(problem)
            folder.write_spec(specified.spec.to_json())
        if not scored:
            folder.put_damaged_aside("score", key)
            folder.write_scores(done["scores"])
            folder.finish_stage("score", key)
        folder.put_damaged_records_aside()


def prepare_folder(specified: SpecifiedRun, folder: RunDir) -> None:
    """Before a run is carried out, under its lease: what is damaged is put aside, the specification written."""
    folder.put_damaged_records_aside()
    if (folder.spec.exists() or folder.spec.is_symlink()) and (
        problem := find_specification_problem(specified.spec, folder)
    ):
        folder.put_specification_aside(problem)
    folder.write_spec(specified.spec.to_json())


def find_specification_problem(spec: RunSpec, folder: RunDir) -> str | None:
    """Why ``spec.json`` is not to be believed, in words; None where it is the run's."""
    try:
        stored = folder.read_specification()
    except DataError as error:
        return error.problem or str(error)
    for name, value in list_identity(spec).items():
        if (found := read_value(stored, name)) != value:
            return f"its {name} is {show_foreign(found, 60)}, the run's is {show_foreign(value, 60)}"
    return None


def list_identity(spec: RunSpec) -> dict[str, object]:
    """What makes the run this one: dotted place in the specification -> value."""
    identity: dict[str, object] = {
        name: getattr(spec, name)
        for name in ("task", "method", "model_fingerprint", "scale", "protocol", "seed", "data_fingerprint")
    }
    identity |= {f"options.{name}": setting.value for name, setting in spec.options.items()}
    identity |= {
        f"settings.{name}": setting.value
        for name, setting in spec.settings.items()
        if is_part_of_identity(name, spec.trains) and not is_silent(name, setting.value)
    }
    return identity


def read_value(stored: Specification, place: str) -> object:
    """The value at a place of ``list_identity``; what the file does not say is None."""
    table, _, name = place.rpartition(".")
    if not table:
        return stored.get(name)
    entry = (stored.options if table == "options" else stored.settings).get(name)
    return None if entry is None else entry.value
