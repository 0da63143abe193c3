"""From a request to a record: what was asked for, what it needs, and carrying it out.

The same request continues a killed run, and a finished one is found. A failure is recorded as what
it was; a request that can be seen to be wrong before any work leaves nothing behind. The stages
themselves are in ``bench.runs.stages``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import registry
from bench.config.request import Resolver, RunRequest, SpecifiedRun
from bench.errors import StoppedError, UserError
from bench.runs import rescoring, restoring
from bench.runs.attempt import Attempt
from bench.runs.failures import is_interrupt
from bench.runs.job_context import JobContext
from bench.runs.observer import RunObserver
from bench.scoring import evaluation, golden
from bench.scoring.score import ScoreStatus
from bench.store.record import Record, RunStatus
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import hub
from bench.system.devices import get_process_rank, pick_device
from bench.system.execution import choose_threads, use_threads
from bench.system.files import StorageError
from bench.system.launch_variables import check_launch_variables
from bench.system.progress import print_message
from bench.task import Task


def run(
    request: RunRequest, job: JobContext | None = None, resolver: Resolver | None = None
) -> Record | None:
    """Carry a request out, or find it done; the record. Raises what went wrong, after recording it.

    ``resolver``: of the command that this is a part of, so that data and backbones are hashed once.
    """
    return run_specified((resolver or Resolver()).specify(request), job)


def run_specified(
    specified: SpecifiedRun, job: JobContext | None = None, observer: RunObserver | None = None
) -> Record | None:
    """Carry a specified run out, or find it done; the record. Raises what went wrong, after recording it.

    In a launch of many processes the first one keeps the run's folder; the others only take part in
    the training and return None. ``job`` is the scheduler's job that this runs in, if any. ``observer`` sees
    what is trained and decoded.
    """
    folder = Store(specified.common.runs).run(specified.spec.run_id)
    done = folder.done_record()
    if done is not None and restoring.are_products_intact(specified, folder):
        return score_again_where_needed(specified, folder, done)
    if done is not None:
        print_message(f"{specified.spec.run_id} is done, but a product is gone or damaged")
    check_launch_variables()
    pick_device(specified.spec["device"], specified.spec["precision"])
    threads = specified.spec.settings["threads"]
    with use_threads(choose_threads(threads.value, threads.typed)):
        if get_process_rank() > 0:
            Attempt(specified, folder, job=job).take_part()
            return None
        carry_out(specified, folder, job, observer)
    return folder.done_record()


def carry_out(
    specified: SpecifiedRun, folder: RunDir, job: JobContext | None, observer: RunObserver | None
) -> None:
    """Do what is left of a run under its lease, and leave its record, whatever happens.

    A run that is new and no job of a scheduler is first loaded: a mistake that shows then leaves nothing behind.
    """
    attempt = Attempt(specified, folder, job=job, observer=observer)
    failure = attempt.prepare() if job is None and not folder.path.exists() else None
    with folder.claim() as claim:
        attempt.stages.beat = claim.beat
        stopping = attempt.stopping
        with stopping.listening():
            try:
                restoring.prepare_folder(specified, folder)
                if failure is not None:
                    raise failure
                may_fetch = specified.spec.scale == "paper" and not specified.common.offline
                with hub.allow_downloads(may_fetch):
                    record = attempt.build_record(RunStatus.DONE, attempt.carry_out())
            except BaseException as error:
                with stopping.postponed():
                    record_failure(attempt, folder, error)
                if isinstance(
                    error, SystemExit | GeneratorExit
                ):  # it is not for a plug-in to end the program
                    raise RuntimeError(f"a plug-in raised {type(error).__name__}: {error}") from error
                raise
            with stopping.postponed():
                folder.write_record(record)
                discard_checkpoints(folder)
            if stopping.asked and job is None:  # meanwhile: what else the command was to do is left
                raise StoppedError(f"stopped; {specified.spec.run_id} is done", stopping.signal)


def score_again_where_needed(specified: SpecifiedRun, folder: RunDir, done: Record) -> Record | None:
    """The record of a finished run, after scoring it for what can be scored by now."""
    run_id = specified.spec.run_id
    if get_process_rank() == 0:
        folder.tidy()
        restoring.restore_finished_run(specified, folder, done)
    names = list_stale_scores(specified.task, done)
    if not names:
        print_message(f"{run_id} is done already ({folder.path}); nothing to do")
        return done
    if get_process_rank() == 0:
        print_message(f"{run_id} is done, scoring it again for {', '.join(names)}")
        try:
            rescoring.rescore_run(folder, specified.task)
        except UserError as error:
            raise UserError(f"{run_id}: {error}") from error
    return folder.done_record()


def record_failure(attempt: Attempt, folder: RunDir, error: BaseException) -> None:
    """Keep the record of an attempt that did not finish; raises ``KeyboardInterrupt`` if it was stopped."""
    interrupted = is_interrupt(error)
    status = RunStatus.CANCELLED if interrupted else RunStatus.FAILED
    write_failure_record(folder, attempt.build_record(status, {"error": attempt.describe_failure(error)}))
    if interrupted:
        raise StoppedError(
            f"{str(error) or 'stopped'}; the same command continues from there: {attempt.specified.command}",
            attempt.stopping.signal,
        ) from error


def list_stale_scores(task: Task, record: Record) -> list[str]:
    """The scores of a finished run that are missing and can be computed by now, or whose scorer changed."""
    scores = record.scores["all"]
    again = (ScoreStatus.NOT_IMPLEMENTED, ScoreStatus.FAILED)
    missing = [
        name
        for name in evaluation.choose_metrics(task)
        if registry.find_metric(task, name) is not None
        and (name not in scores or scores[name].status in again)
    ]
    return missing + [
        name for name in golden.list_changed_scorers(task.name, record["scores"]) if name not in missing
    ]


def list_failed_scores(record: Record) -> list[str]:
    """The scores that should have been computed and were not, or by a scorer that fails its golden values.

    The run is kept and the command fails.
    """
    return [
        name
        for name, score in record.scores["all"].items()
        if score.status is ScoreStatus.FAILED or score.failed_gate
    ]


def write_failure_record(folder: RunDir, record: Mapping[str, Any]) -> None:
    """Write the record of a failure; where even that fails (a full disk), say so and let the cause be seen."""
    try:
        folder.write_record(record)
    except StorageError as error:
        print_message(f"the failure could not be recorded: {error}", important=True)


def discard_checkpoints(folder: RunDir) -> None:
    """The training state is of no use any more once the run is done; it can be large. Nor is how far it was."""
    from bench.training.loop import BEST_FILE, NEXT_BEST_FILE, STATE_FILE

    for name in (STATE_FILE, BEST_FILE, NEXT_BEST_FILE, folder.progress.name):
        (folder.path / name).unlink(missing_ok=True)
