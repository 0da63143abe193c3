"""What a cluster is to `bench submit` and the verbs that follow it: the one interface that every backend fulfils.

A backend is one file of this folder with one class derived from ``Backend``; it is found by being there
(``bench.cluster.backends.get_backend``). Nothing outside a backend's own file asks which one it is: what differs
is a method or an attribute here.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.cluster.site import Resources
from bench.errors import FailureKind, UserError
from bench.system.cpus import CpuShare, find_cpu_share

if TYPE_CHECKING:
    from bench.cluster.launches import Launch, SubmittedJob

DEFAULT_BACKEND = "slurm"


class JobPhase(StrEnum):
    """How far a job is, for all that follows from it."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class JobState:
    """One job as its scheduler has it.

    ``state`` is the scheduler's word (Slurm's: ``RUNNING``, ``COMPLETED``); ``exit_code`` what the program
    returned, ``signal`` the number of what killed it.
    """

    state: str
    reason: str = ""
    node: str = ""
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0
    end: str | None = None
    """When it ended, as ``provenance.format_current_time`` writes times, where the scheduler says it."""
    phase: JobPhase = JobPhase.ENDED
    failure: FailureKind | None = None
    """What the scheduler ended it for; None where the program ended by itself."""
    unfit: bool = False
    """Whether it will not start with what it asks for."""
    held: bool = False
    """Whether it will wait until somebody releases it."""

    @property
    def running(self) -> bool:
        """Whether its program runs now."""
        return self.phase is JobPhase.RUNNING

    @property
    def ended(self) -> bool:
        """Whether it neither waits nor runs."""
        return self.phase is JobPhase.ENDED

    @property
    def completed(self) -> bool:
        """Whether its program ended by itself and returned 0."""
        return self.state == "COMPLETED"

    @property
    def cancelled(self) -> bool:
        """Whether somebody ended it."""
        return self.failure is FailureKind.CANCELLED


@dataclass
class Answer:
    """What a scheduler says. ``reached``: whether it answered at all; if not, nothing follows from a gap."""

    states: dict[str, JobState] = field(default_factory=dict)
    """By number of the job."""
    names: dict[str, str] = field(default_factory=dict)
    """Job names by number of the array or job: for launches that were killed before they wrote it down."""
    reached: bool = True
    accounting: bool | None = None
    """Whether the accounting answered; None where it was not asked."""
    broken: str | None = None
    """Why the accounting could not be asked where it is not switched off: how a job ended may be known later."""
    silent: set[str] = field(default_factory=set)
    """The launches about which nobody here can tell."""
    jobs: dict[str, str] = field(default_factory=dict)
    """The job's number of each run, as far as it is known."""


class Backend(ABC):
    """Where jobs run, and how they are handed over, asked after and stopped."""

    name: ClassVar[str]
    """As in ``--cluster NAME``; the same in launch records."""
    summary: ClassVar[str]
    in_process: ClassVar[bool] = False
    """Whether jobs run inside the command that submits, one after the other."""
    runs_here: ClassVar[bool] = False
    """Whether jobs run on the machine that submits, so that its devices are theirs."""
    takes_arrays: ClassVar[bool] = False
    """Whether a scheduler numbers the jobs, in arrays of bounded size."""

    # -- submitting

    @abstractmethod
    def check(self, resources: Sequence[Resources]) -> None:
        """Refuse what it cannot do (``UserError``), before anything is written."""

    def check_runs(self, runs: Path) -> None:
        """Refuse a directory of runs that its jobs could not use."""
        del runs

    @abstractmethod
    def hand_over(self, launch: Launch, source: Path) -> None:
        """Give the launch's jobs to whatever runs them; their numbers go into the launch's document."""

    def find_process_cpus(self, launch: Launch, resources: Resources) -> CpuShare | None:
        """The processors that each process of a job will have; None where only the scheduler knows."""
        del launch, resources
        return find_cpu_share()

    def run_jobs(self, launch: Launch) -> None:
        """Run the jobs now, where that is this process's own affair."""
        del launch

    def note_interruption(self, launch: Launch, error: BaseException) -> None:
        """Put down what was taken although handing over was interrupted by ``error``."""
        del launch, error

    def describe_submitted(self, launch: Launch) -> str:
        """Which of the launch's arrays were taken, for whoever interrupted it; empty where nothing can be told."""
        del launch
        return ""

    # -- asking and stopping

    @abstractmethod
    def query(self, jobs: Mapping[str, SubmittedJob]) -> Answer:
        """What is known of the latest jobs of some runs of this backend, by run id."""

    @abstractmethod
    def cancel(self, jobs: Sequence[SubmittedJob], numbers: Sequence[str]) -> list[bool]:
        """Stop jobs (``numbers``: each one's number); for each, whether that could be done from here."""

    def limit_queries(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        """Inside, a scheduler is not asked the same again within ``seconds``."""
        del seconds
        return contextlib.nullcontext()

    def get_log_name(self, job: SubmittedJob, number: str | None) -> str:
        """What the names of the job's logs begin with."""
        del job
        return str(number)

    def was_handed_over(self, job: SubmittedJob) -> bool:
        """Whether whatever runs the jobs ever had this one, as far as the launch's files tell."""
        return job.entry.job is not None

    # -- inside a job

    def prepare_job(self, number: str) -> None:
        """What must be set in a job's process before the run begins."""
        del number

    def is_wanted(self, number: str) -> bool:
        """Whether a job that got SIGTERM is still meant to run, so that it is to be continued."""
        del number
        return False


def refuse_several_nodes(name: str, resources: Iterable[Resources]) -> None:
    """For backends of one machine."""
    for keys in resources:
        if keys["nodes"] > 1:
            raise UserError(f"--nodes {keys['nodes']}: --cluster {name} has one node; give --nodes 1")


@contextlib.contextmanager
def set_variable(name: str, value: str) -> Iterator[None]:
    """An environment variable, as long as something runs."""
    import os

    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
