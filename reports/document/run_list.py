"""Claims and the list of runs, as they stand in a report."""

from __future__ import annotations

from collections.abc import Collection

from bench.store.record import Record, RunStatus
from reports.document.schema import ClaimView, Finding, FindingNumber, RunView
from reports.judgement.claims import ClaimEvaluation, check_claims
from reports.paper import published
from reports.records.fact_rates import Generations, OutputFacts
from reports.records.index import CountedStatistics, RunIndex
from reports.records.runs import Profile, Run, find_failure_kind
from reports.records.values import describe_hardware

NOT_ASKED = Finding("", "", "", ())
MAX_MESSAGE_LETTERS = 300
"""Of an error's message: what a list has room for; the record has all of it."""
STATUS_ORDER = {RunStatus.FAILED: 0, RunStatus.CANCELLED: 1, RunStatus.DONE: 2}


def build_claims(
    index: RunIndex,
    counted: CountedStatistics,
    paper_only: bool,
    generations: Generations | None = None,
) -> tuple[ClaimView, ...]:
    """Every claim on our records, at scale mini and on the paper's own numbers.

    ``counted``: for the claims on Table 1. ``generations``: the stored outputs, for the claims on their facts.
    """
    return tuple(
        ClaimView(
            id=checked.claim.id,
            sentence=checked.claim.sentence,
            source=checked.claim.source,
            note=" ".join(filter(None, (checked.claim.why, checked.claim.note))),
            records=NOT_ASKED if paper_only else build_finding(checked.records),
            mini=NOT_ASKED if paper_only else build_finding(checked.mini),
            on_paper=build_finding(checked.on_paper),
            disputes=tuple(d.id for d in published.read_disputes() if checked.claim.id in d.claims),
        )
        for checked in check_claims(index, counted=counted, facts=OutputFacts(generations))
    )


def build_finding(evaluation: ClaimEvaluation) -> Finding:
    """What a claim comes to, with its numbers as they are listed."""
    numbers = tuple(
        FindingNumber(
            label=number.label,
            value=number.value,
            low=number.interval.low if number.interval else None,
            high=number.interval.high if number.interval else None,
            over=number.interval.over if number.interval else "",
            method=number.method,
            runs=number.runs,
        )
        for number in evaluation.numbers
    )
    return Finding(evaluation.outcome, evaluation.label, evaluation.explanation, numbers, evaluation.remarks)


def list_runs(index: RunIndex, only: Collection[str] | None) -> tuple[RunView, ...]:
    """Every run, or those named in ``only`` and those that failed; by task, method and seed."""
    views = [
        build_run(profile, run)
        for profiles in index.by_system.values()
        for profile in profiles
        for run in profile.runs
        if only is None or run.run_id in only or run.status != RunStatus.DONE
    ]

    def order(view: RunView) -> tuple[object, ...]:
        return (
            view.scale != "paper",
            view.task,
            view.method,
            view.model,
            STATUS_ORDER[view.status],
            view.seed,
        )

    return tuple(sorted(views, key=order))


def build_run(profile: Profile, run: Run) -> RunView:
    """A run as the list has it."""
    record, status = run.record, run.status
    return RunView(
        run_id=run.run_id,
        task=profile.task,
        method=format_method(profile),
        model=profile.model,
        scale=profile.scale,
        seed=run.seed,
        data_seed=run.data_seed,
        status=status,
        failure="" if status is RunStatus.DONE else describe_failure(run),
        not_comparable=profile.reason_texts,
        score=format_first_score(record),
        seconds=run.seconds,
        attempts=run.attempts,
        ended=run.ended,
        command=str(record.get("command") or ""),
        code=format_code(record),
        machine=describe_machine(record),
    )


def describe_machine(record: Record) -> str:
    """The hardware, and under which conditions it computed, where the record says so."""
    conditions = "" if record.execution is None else record.execution.to_text()
    return "; ".join(filter(None, (describe_hardware(record), conditions)))


def format_method(profile: Profile) -> str:
    """``prefix[length=10]``: the method with the options that somebody chose."""
    chosen = [f"{name}={value}" for name, value in profile.chosen_options.items() if value is not None]
    return profile.method + (f"[{','.join(chosen)}]" if chosen else "")


def describe_failure(run: Run) -> str:
    """The kind of failure and the first line of its message."""
    error = run.record.error
    message = ((error.message if error is not None else None) or "").strip().partition("\n")[0]
    if len(message) > MAX_MESSAGE_LETTERS:
        message = message[: MAX_MESSAGE_LETTERS - 1] + "…"
    return find_failure_kind(run) + (f": {message}" if message else "")


def format_first_score(record: Record) -> str:
    """The first score that has a value: ``bleu 55.31``."""
    for name, score in record.scores.get("all", {}).items():
        if score.value is not None:
            return f"{name} {score.value:.4g}"
    return ""


def format_code(record: Record) -> str:
    """``7c9b4fc6ad, with changes``."""
    code = record.code or {}
    commit = str(code.get("commit") or "")[:10]
    return commit + (", with changes" if code.get("dirty") else "")
