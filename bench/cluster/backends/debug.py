"""Jobs one after the other inside the command that submits: ``bench submit --cluster debug``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cluster.backends.base import Answer, Backend, refuse_several_nodes, set_variable
from bench.cluster.site import Resources
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.cluster.launches import Launch, SubmittedJob


class Debug(Backend):
    """This process, through submitit's debug executor: a failure leaves its traceback here."""

    name = "debug"
    summary = "inside the command itself, one job after the other"
    in_process = True
    runs_here = True

    def check(self, resources: Sequence[Resources]) -> None:
        for keys in resources:
            if (keys["processes"] or 1) > 1:
                raise UserError(
                    f"--processes {keys['processes']}: --cluster debug is one process, this one; give "
                    "--processes 1 or --cluster local"
                )
        refuse_several_nodes(self.name, resources)

    def hand_over(self, launch: Launch, source: Path) -> None:
        """Nothing is handed over: ``run_jobs`` runs them."""

    def run_jobs(self, launch: Launch) -> None:
        from submitit import AutoExecutor

        from bench.cluster.job import make_job

        for entry in launch.jobs:
            os.environ.update(launch.get_resources(entry)["environment"] or {})
            executor = AutoExecutor(launch.folder, cluster="debug")
            job = executor.submit(make_job(entry, launch))
            with set_variable("SUBMITIT_DEBUG_JOB_ID", job.job_id):  # by which the job knows where it is
                # Not result(): submitit's debug executor opens a debugger there.
                error = job.exception()
            if error is not None:
                raise error

    def query(self, jobs: Mapping[str, SubmittedJob]) -> Answer:
        """The records say all that there is to know."""
        return Answer(jobs={run_id: str(job.entry.job) for run_id, job in jobs.items()})

    def cancel(self, jobs: Sequence[SubmittedJob], numbers: Sequence[str]) -> list[bool]:
        """Only whoever runs the command can stop it."""
        del jobs
        return [False] * len(numbers)

    def was_handed_over(self, job: SubmittedJob) -> bool:
        del job
        return True
