"""Slurm: arrays through submitit; what it says about jobs is asked by ``bench.cluster.slurm_queries``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster import site, slurm_queries
from bench.cluster.backends.base import Answer, Backend
from bench.cluster.plain_folder import open_plain_folder
from bench.cluster.site import Resources
from bench.errors import UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.store import lease
from bench.system.cpus import CpuShare, CpuSource
from bench.system.files import StorageError

if TYPE_CHECKING:
    from bench.cluster.launches import ArrayEntry, Launch, SubmittedJob


class Slurm(Backend):
    """Arrays of a Slurm cluster, one per set of resources."""

    name = "slurm"
    summary = "jobs of a Slurm cluster"
    takes_arrays = True

    def check(self, resources: Sequence[Resources]) -> None:
        del resources  # Slurm says itself what it does not have
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError(
                "--cluster slurm: no sbatch and srun here; submit from a login node of the cluster, or "
                "--cluster local runs the same jobs as processes of this machine"
            )

    def check_runs(self, runs: Path) -> None:
        check_log_folder(runs)

    def find_process_cpus(self, launch: Launch, resources: Resources) -> CpuShare | None:
        """As many as are asked for; otherwise one each, unless the site has another default."""
        del launch
        return CpuShare(resources["cpus"], CpuSource.SLURM_TASK) if resources["cpus"] else None

    def hand_over(self, launch: Launch, source: Path) -> None:
        with open_plain_folder(launch.folder) as folder:
            for number, array in enumerate(launch.document.arrays):
                self._submit_array(launch, number, array, source, folder)
                launch.write()  # what was handed over is known even if the next array is refused

    def _submit_array(
        self, launch: Launch, number: int, array: ArrayEntry, source: Path, folder: Path
    ) -> None:
        """``folder``: the launch's, by a path that submitit can read."""
        from submitit import AutoExecutor

        from bench.cluster.job import make_job

        entries = [entry for entry in launch.jobs if entry.array == number]
        options: dict[str, Any] = {"slurm_max_num_timeout": array.resources["max_requeues"]}
        options["slurm_python"] = make_python_command(array.resources, source, launch.folder)
        executor = AutoExecutor(folder, cluster="slurm", **options)
        parameters = make_executor_parameters(array.resources, array.name, source)
        parameters["slurm_additional_parameters"] |= {
            "output": make_log_pattern(launch.folder, len(entries), "0")
        }
        parameters["slurm_srun_args"] += ["--output", make_log_pattern(launch.folder, len(entries), "%t")]
        if array.after is not None:
            additional = parameters["slurm_additional_parameters"]
            before = f"afterany:{launch.document.arrays[array.after].job}"
            additional["dependency"] = ",".join(filter(None, [additional.get("dependency"), before]))
        executor.update_parameters(**parameters)
        if array.resources["max_parallel"]:
            executor.update_parameters(slurm_array_parallelism=array.resources["max_parallel"])
        try:
            # submitit prints what sbatch says besides raising it.
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                jobs = [executor.submit(make_job(entry, launch)) for entry in entries]
        except Exception as error:
            raise StorageError(
                f"Slurm did not take {array.name}: {describe_refusal(str(error))}\n{describe_submitted(launch)}. "
                "Submit again with what is corrected: what was taken is not submitted twice;\n"
                f"bench cancel --launch {launch.id} takes back what was not taken"
            ) from error
        for entry, job in zip(entries, jobs, strict=True):
            entry.job = job.job_id
        array.job = jobs[0].job_id.split("_")[0]

    def note_interruption(self, launch: Launch, error: BaseException) -> None:
        """Slurm may have taken what was not seen to be taken: it is found by the arrays' names."""
        if isinstance(error, Exception):
            return
        numbers = {name: job for job, name in slurm_queries.query_jobs(()).names.items()}
        for number, array in enumerate(launch.document.arrays):
            if array.job is None and array.name in numbers:
                array.job = numbers[array.name]
                for entry in launch.jobs:
                    if entry.array == number:
                        index = "" if array.count == 1 else f"_{entry.index}"
                        entry.job = f"{array.job}{index}"

    def describe_submitted(self, launch: Launch) -> str:
        return describe_submitted(launch)

    def query(self, jobs: Mapping[str, SubmittedJob]) -> Answer:
        numbers = {run_id: job.entry.job for run_id, job in jobs.items() if job.entry.job is not None}
        answer = slurm_queries.query_jobs(numbers.values())
        if not answer.reached:
            answer.silent = {job.launch.id for job in jobs.values()}
        for run_id, job in jobs.items():
            # What Slurm refused can be in its list all the same, under that name and as failed.
            if run_id not in numbers and job.launch.being_submitted:
                number = _find_by_name(job, answer)
                if number is not None:
                    numbers[run_id] = number
        answer.jobs = numbers
        return answer

    def cancel(self, jobs: Sequence[SubmittedJob], numbers: Sequence[str]) -> list[bool]:
        """SIGTERM, time to checkpoint (KillWait), SIGKILL."""
        del jobs
        return [slurm_queries.cancel_jobs(list(numbers))] * len(numbers)

    def limit_queries(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        return slurm_queries.limit_queries(seconds)

    def prepare_job(self, number: str) -> None:
        os.environ[lease.JOB_VARIABLE] = f"slurm {number}"

    def is_wanted(self, number: str) -> bool:
        return slurm_queries.is_wanted(number)


def describe_refusal(text: str) -> str:
    """What sbatch said, in one line, without its name before every part."""
    parts = [re.sub(r"^sbatch: (error: )?", "", line.strip()) for line in text.splitlines()]
    return show_foreign("; ".join(filter(None, parts)), 240)


def describe_submitted(launch: Launch) -> str:
    """Which arrays of a launch the scheduler has, and which not."""
    arrays = launch.document.arrays
    taken = [f"{array.count} job(s) as {array.job}" for array in arrays if array.job]
    rest = [f"{array.count} job(s) of {array.name}" for array in arrays if not array.job]
    return f"Submitted: {', '.join(taken) or 'nothing'}. Not submitted: {', '.join(rest) or 'nothing'}"


def _find_by_name(job: SubmittedJob, answer: Answer) -> str | None:
    """The job of a launch that was killed before it wrote the numbers down."""
    array = job.array
    for number, name in answer.names.items():
        if name == array.name:
            return number if array.count == 1 else f"{number}_{job.entry.index}"
    return None


def make_executor_parameters(resources: Resources, name: str, source: Path) -> dict[str, Any]:
    """What ``submitit.AutoExecutor.update_parameters`` is told for an array."""
    limit = resources["time"] or site.DEFAULT_MINUTES
    parameters = site.make_executor_parameters(resources, name, limit)
    for key in ("partition", "account", "qos", "constraint", "exclude", "nodelist"):
        if resources[key]:
            parameters[f"slurm_{key}"] = resources[key]
    # Slurm looks at the clock every half minute and may send a signal so much earlier. A job of a minute that got it
    # half a minute before its end got it at its beginning.
    parameters["slurm_signal_delay_s"] = min(resources["signal_before"], max(10, limit * 60 - 50))
    parameters["slurm_setup"] = site.list_setup_lines(resources, source)
    parameters["slurm_additional_parameters"] = {"requeue": True, **(resources["slurm"] or {})}
    # One process that fails ends the others, which would wait for it for ever.
    parameters["slurm_srun_args"] = ["--kill-on-bad-exit=1", "--quiet"]
    if resources["cpus"]:  # what sbatch is asked for srun no longer takes over by itself
        parameters["slurm_srun_args"].append(f"--cpus-per-task={resources['cpus']}")
    return parameters


def make_python_command(resources: Resources, source: Path, folder: Path) -> str:
    """The shell words that begin a job: container, Python and what makes it run ``source``."""
    options = ["--job", *(["--folder", str(folder)] if "%" in str(folder) else [])]
    words = site.make_bootstrap_command(resources["python"] or sys.executable, source, *options)
    return f"{resources['container'] or ''} {shlex.join(words)}".strip()


def make_log_pattern(folder: Path, jobs: int, task: str) -> str:
    """The name of a job's logs in Slurm's patterns: a ``%`` of the folder is itself."""
    number = "%A_%a" if jobs > 1 else "%j"
    return f"{str(folder).replace('%', '%%')}/{number}_{task}_log.out"


def check_log_folder(runs: Path) -> None:
    """Refuse a path that Slurm cannot write logs to: with a backslash it fills in no number, and a line ends it."""
    path = str(runs.resolve())
    if any(character == "\\" or not character.isprintable() for character in path):
        raise UserError(
            f"--runs {quote_foreign(path)}: Slurm writes no logs below a path with a backslash, a line break or "
            "another control character; choose another directory (--runs DIR or BENCH_RUNS), or --cluster local"
        )
