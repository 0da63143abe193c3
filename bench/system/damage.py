"""Files that are not what was left in them: put aside under another name, never deleted, and noted.

A disk flips a bit, a copy is cut short, somebody edits a file. What cannot be trusted is not used, and what was
put aside can still be looked at: ``checkpoint.safetensors`` becomes ``checkpoint.safetensors.damaged-1``, and
``damaged.jsonl`` beside it has a line that the record of the run repeats.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import DataError
from bench.foreign_text import show_foreign
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


def put_aside(path: Path, problem: str, consequence: str, folder: Path | None = None) -> Path:
    """Rename a damaged file, note it in ``folder`` (else beside it), and print one line; its new name.

    ``consequence``: what happens now, as ``the training starts over``.
    """
    folder = folder or path.parent
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    try:
        path.rename(kept)
    except OSError as error:
        raise files.explain_storage_error(path, error) or error from error
    names = {"file": path, "kept_as": kept}
    note = {name: str(file.relative_to(folder)) for name, file in names.items()}
    note |= {"problem": show_foreign(problem, 400), "noticed": format_current_time()}
    files.append_line(folder / NOTES, json_files.to_json(note) + "\n")
    print_message(
        f"{path} is damaged ({show_foreign(problem, 200)}): put aside as {kept.name}; {consequence}",
        important=True,
    )
    return kept


def read_damage_notes(folder: Path) -> list[JsonObject]:
    """What was put aside in ``folder``: {"file", "kept_as", "problem", "noticed"}, oldest first."""
    path = folder / NOTES
    if not path.is_file():
        return []
    try:
        notes = json_files.read_jsonl(path, forgive_torn=True)
    except DataError as error:  # a record without the notes is better than none
        return [{"file": NOTES, "kept_as": NOTES, "problem": error.problem or str(error)}]
    names = ("file", "kept_as", "problem", "noticed")
    return [
        {name: note[name] for name in names if name in note}
        for note in notes
        if isinstance(note, dict)
        and all(isinstance(note.get(name), str) for name in names[:3])
        and isinstance(note.get("noticed", ""), str)
    ]
