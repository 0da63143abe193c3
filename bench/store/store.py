"""The store of runs: one directory per run, safe for hundreds of jobs on one shared file system.

    <runs>/<run_id>/spec.json               the specification, each setting with its origin
                    checkpoint.safetensors  while training
                    parameters.safetensors  what was trained, and nothing else
                    generations.jsonl       one decoded item per line
                    scores.json             every metric with its signature
                    log.jsonl               the training log
                    stages/train.json ...   which inputs a product was made from, and its fingerprint
                    records/0001.json ...   one per attempt, never changed: done, failed or cancelled
                    claims/0001.json        who is working on the run right now
    <runs>/launches/                        what was submitted to a cluster (``bench.cluster``)

There is no database and no file that two runs share, so nothing has to be locked, migrated or repaired;
copying a run's directory copies the run. As a pandas table, a row per run with every score, in one line:

    bench.store.Store("runs").frame()

or without this package, a row per attempt:

    pandas.json_normalize([json.loads(p.read_text()) for p in Path("runs").glob("*/records/*.json")])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError, UnknownNameError, UserError
from bench.store.damaged import DamagedRecord, DamageKind
from bench.store.record import Record, RunStatus
from bench.store.run_dir import RUN_ID, Document, RunDir
from bench.system.garbage import pause_garbage_collection
from bench.system.paths import find_folder_problem

if TYPE_CHECKING:
    import pandas as pd

LAUNCHES = "launches"
"""The folder beside the runs where ``bench submit`` keeps what it submitted; no run has that name."""


def default_root() -> Path:
    """Where runs are kept unless ``--runs`` says otherwise: BENCH_RUNS, or ``runs`` here."""
    return Path(os.environ.get("BENCH_RUNS") or "runs")


def lookup(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, ``lookup(record, "spec.task")``; None where there is none."""
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def matches_run_name(run_id: str, name: str) -> bool:
    """Whether ``name`` is the run's name or the beginning or end of it: the end is its hash.

    Nothing is called by an empty name, which an unset variable of a shell leaves.
    """
    return name != "" and (run_id.startswith(name) or run_id.endswith(name))


class Store:
    """All runs below one directory."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()
        self.damaged: list[DamagedRecord] = []  # what the latest reading of records had to leave out

    def run(self, run_id: str) -> RunDir:
        """The run with that name, whether or not anything of it exists yet."""
        return RunDir(self.root, run_id)

    def runs(self) -> list[RunDir]:
        """Every run that has left anything, by name; none where the folder is missing, before the first run.

        Raises ``DataError`` where it cannot be read: for a link that leads nowhere, a file, a folder of others.
        """
        return [RunDir(self.root, path.name) for path in self._list_folders() if RUN_ID.fullmatch(path.name)]

    def _list_folders(self) -> list[Path]:
        try:
            names = sorted(e.name for e in os.scandir(self.root) if e.is_dir() and e.name != LAUNCHES)
        except (OSError, ValueError) as error:
            if (problem := find_folder_problem(self.root)) is not None:
                raise DataError(f"cannot read the runs in {self.root}: {problem}") from error
            if isinstance(error, FileNotFoundError):
                return []
            raise
        return [self.root / name for name in names]

    def survey(self) -> list[DamagedRecord]:
        """What else of the store cannot be used than records: specifications, and folders that are no runs."""
        damaged = []
        for folder in self._list_folders():
            if folder.name.startswith("."):  # of a version control or a file browser
                continue
            if not RUN_ID.fullmatch(folder.name):
                reason = "its name is not a run's"
                damaged.append(DamagedRecord(folder, reason, DamageKind.FOREIGN))
                continue
            run = RunDir(self.root, folder.name)
            if not run.has_begun():
                reason = "it holds nothing of a run"
                damaged.append(DamagedRecord(folder, reason, DamageKind.FOREIGN))
            elif run.lacks_specification():
                reason = "missing, though the run has products"
                damaged.append(DamagedRecord(run.spec, reason, DamageKind.SPECIFICATION))
            elif os.path.lexists(run.spec):
                try:
                    run.read_specification()
                except DataError as error:
                    reason = error.problem or str(error)
                    damaged.append(DamagedRecord(run.spec, reason, DamageKind.SPECIFICATION))
        return damaged

    def find(self, name: str) -> RunDir:
        """The existing run called ``name``, or the only one whose name starts or ends so.

        For verbs that act on one run; those that act on several choose with ``bench.runs.rescoring.select_runs``
        (from what is stored) or ``bench.cluster.select`` (from what was submitted, too).
        """
        by_name = {run.run_id: run for run in self.runs()}
        near = [name] if name in by_name else [n for n in by_name if matches_run_name(n, name)]
        if len(near) == 1:
            return by_name[near[0]]
        if near:
            raise UserError(f"{name!r} fits {len(near)} runs: {', '.join(near)}; type more of it")
        raise UnknownNameError("run", name, by_name, f"runs are read from {self.root}; see --runs")

    def read(self, latest: bool = True) -> list[Record]:
        """The records of all runs, typed: each run's latest attempt, or all attempts in their order.

        Unreadable ones are left out and listed in ``damaged``; the attempt before one takes its place.
        """
        return self._gather(lambda run, damaged: run.read_attempts(damaged, 1 if latest else None))

    def read_done(self) -> list[Record]:
        """Each run's latest attempt that is done, even if a later one failed or was cancelled; typed."""
        return self._gather(lambda run, damaged: run.read_attempts(damaged, 1, RunStatus.DONE))

    def records(self, latest: bool = True) -> list[Document]:
        """``read`` as plain JSON values, as they are stored: for pandas and other programs."""
        return [record.document for record in self.read(latest)]

    def done_records(self) -> list[Document]:
        """``read_done`` as plain JSON values."""
        return [record.document for record in self.read_done()]

    def select(
        self, condition: Mapping[str, Any] | Callable[[Document], bool], latest: bool = True
    ) -> list[Document]:
        """Records that fit: ``select({"spec.task": "webnlg", "status": ["done", "failed"]})``."""
        return [record for record in self.records(latest) if _fits(record, condition)]

    def frame(self) -> pd.DataFrame:
        """A row per run as a pandas table: what it was, every score, parameters, times, whether it may be compared.

        The attempt that counts is the latest that is done, else the latest; runs without a record have no row. The
        columns are those of ``bench.store.frame.build_frame``: always the same ones first, in the same order and
        with the same nullable types, then ``score.all.bleu``, ``option.length``, ``setting.lr``, ``package.torch``
        and so on. Unreadable records are left out and listed in ``damaged``.
        """
        from bench.store.frame import build_frame

        return build_frame(self.read(latest=False))

    def _gather(self, read: Callable[[RunDir, list[DamagedRecord]], list[Record]]) -> list[Record]:
        damaged: list[DamagedRecord] = []
        with pause_garbage_collection():
            records = [record for run in self.runs() for record in read(run, damaged)]
        self.damaged = damaged
        return records


def _fits(record: Document, condition: Mapping[str, Any] | Callable[[Document], bool]) -> bool:
    if not isinstance(condition, Mapping):
        return condition(record)
    for path, expected in condition.items():
        value = lookup(record, path)
        several = isinstance(expected, list | tuple | set | frozenset)
        if value not in expected if several else value != expected:
            return False
    return True
