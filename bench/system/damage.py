"""Files that are not what was left in them: put aside under another name, never deleted, and noted.

A disk flips a bit, a copy is cut short, somebody edits a file. What cannot be trusted is not used, and what was
put aside can still be looked at: ``checkpoint.safetensors`` becomes ``checkpoint.safetensors.damaged-1``, and
``damaged.jsonl`` beside it has a line that the record of the run repeats.
"""

from __future__ import annotations

from pathlib import Path

from bench.errors import DataError
from bench.system import files, json_files
from bench.system.json_files import JsonObject
from bench.system.progress import print_message
from bench.system.provenance import format_current_time

NOTES = "damaged.jsonl"


class DamagedFileError(DataError):
    """A file is not what was left in it. ``problem``: in which way."""

    def __init__(self, path: Path, problem: str, advice: str) -> None:
        super().__init__(f"{path}: {problem}; {advice}", problem)
        self.path = path


def put_aside(path: Path, problem: str, consequence: str) -> Path:
    """Rename a damaged file, note it beside, and print one line; its new name.

    ``consequence``: what happens now, as ``the training starts over``.
    """
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(kept)
    except OSError as error:
        raise files.explain_storage_error(path, error) or error from error
    note = {"file": path.name, "kept_as": kept.name, "problem": problem, "noticed": format_current_time()}
    files.append_line(path.with_name(NOTES), json_files.to_json(note) + "\n")
    print_message(f"{path} is damaged ({problem}): put aside as {kept.name}; {consequence}", important=True)
    return kept


def read_damage_notes(folder: Path) -> list[JsonObject]:
    """What was put aside in ``folder``: {"file", "kept_as", "problem", "noticed"}, oldest first."""
    path = folder / NOTES
    if not path.is_file():
        return []
    notes = json_files.read_jsonl(path, forgive_torn=True)
    return [
        note for note in notes if isinstance(note, dict) and {"file", "kept_as", "problem"} <= note.keys()
    ]
