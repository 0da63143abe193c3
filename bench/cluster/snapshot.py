"""A copy of the source for queued jobs: what they run is what was submitted, whatever is edited meanwhile.

``RUNS/launches/snapshots/<hash>/`` holds the harness's packages as they were, SNAPSHOT.json (commit, what
differed from it, fingerprint) and, in a git checkout, ``changes.diff``. Jobs import it through PYTHONPATH.
The same source gives the same hash and is copied once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench.store.store import LAUNCHES
from bench.system import files, json_files, provenance

PACKAGES = ("bench", "tasks", "baselines", "results", "reports")
_LEFT_OUT = {"__pycache__"}


def take_snapshot(runs: Path, root: Path = provenance.ROOT) -> dict[str, Any]:
    """Copy the source at ``root`` unless that was done; {"path", "snapshot", "code"}.

    ``snapshot``: the first 16 digits of the SHA-256 over names and contents; ``code``: commit and diff
    (``bench.system.provenance.describe_code``), or the fingerprint of the sources outside git.
    """
    names = list_source_files(root)
    code = provenance.describe_code(root) or {"source_sha256": provenance.hash_source(root)}
    code["deciding_sha256"] = provenance.hash_deciding_source(root)
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\0" + files.sha256_file(root / name).encode() + b"\n")
    fingerprint = digest.hexdigest()[:16]
    place = runs.resolve() / LAUNCHES / "snapshots" / fingerprint
    facts = {"path": str(place), "snapshot": fingerprint, "code": code}
    files.remove_leftovers(place.parent)
    if (place / provenance.SNAPSHOT_FILE).is_file():
        return facts
    make_store_directory(place.parent)
    temporary = files.make_temporary_name(place)
    try:
        for name in names:
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
        if (difference := read_git_difference(root)) is not None:
            (temporary / "changes.diff").write_bytes(difference)
        content = {"snapshot": fingerprint, "code": code, "taken": provenance.format_current_time()}
        (temporary / provenance.SNAPSHOT_FILE).write_text(json_files.to_json(content, indent=2) + "\n")
        try:
            temporary.rename(place)
        except OSError:
            if not (place / provenance.SNAPSHOT_FILE).is_file():  # another submission was quicker
                raise
    except OSError as error:
        raise files.explain_storage_error(place, error) or error from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return facts


def make_store_directory(folder: Path) -> None:
    """Create a folder of the store; whatever prevents it is ``StorageError``: the store is the user's choice."""
    try:
        files.make_directory(folder)
    except OSError as error:
        raise files.explain_storage_error(folder, error) or files.StorageError(
            f"cannot create {folder}: {error.strerror or error}. Choose another place: --runs DIR or BENCH_RUNS"
        ) from error


def list_source_files(root: Path) -> list[str]:
    """Every file of the packages, sorted, relative to ``root``."""
    sources = []
    for package in PACKAGES:
        for folder, inside, names in os.walk(root / package):
            inside[:] = sorted(set(inside) - _LEFT_OUT)
            relative = Path(folder).relative_to(root)
            sources += [(relative / name).as_posix() for name in names if not name.endswith((".pyc", ".tmp"))]
    return sorted(sources)


def read_git_difference(root: Path) -> bytes | None:
    """What differs from the commit, as a patch; None outside git. Files unknown to git are in the copy."""
    try:
        return provenance.run_git(root, "diff", "--binary", "--no-ext-diff", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None
