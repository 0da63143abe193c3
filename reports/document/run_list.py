"""Claims and the list of runs, as they stand in a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from reports.document.schema import ClaimView, Finding, RunView
from reports.judgement import claims as checks
from reports.records.index import CountedStatistics, RunIndex
from reports.records.runs import Profile, Run, find_failure_kind
from reports.records.values import describe_machine

NOT_ASKED = Finding("", "", "", ())
USUAL = ("method default", "our choice", "paper", "authors' code")
"""How the origins of options begin that nobody chose for this run."""
LONGEST = 300
"""Letters of an error's message that a list has room for; the record has all of it."""


def claims(index: RunIndex, counted: CountedStatistics, paper_only: bool) -> tuple[ClaimView, ...]:
    """Every claim on our records, at scale mini and on the paper's own numbers.

    ``counted``: for the claims on Table 1.
    """
    return tuple(
        ClaimView(
            id=one.claim.id,
            sentence=one.claim.sentence,
            source=one.claim.source,
            note=one.claim.note,
            records=NOT_ASKED if paper_only else finding(one.records),
            mini=NOT_ASKED if paper_only else finding(one.mini),
            on_paper=finding(one.on_paper),
        )
        for one in checks.check_claims(index, counted=counted)
    )


def finding(found: checks.ClaimEvaluation) -> Finding:
    numbers = [
        {
            "label": one.label,
            "value": one.value,
            "low": one.interval.low if one.interval else None,
            "high": one.interval.high if one.interval else None,
            "over": one.interval.over if one.interval else "",
            "method": one.method,
            "runs": list(one.runs),
        }
        for one in found.numbers
    ]
    return Finding(found.outcome, found.label, found.explanation, tuple(numbers))


def runs(index: RunIndex, only: Collection[str] | None) -> tuple[RunView, ...]:
    """Every run, or those named in ``only`` and those that failed; by task, method and seed."""
    views = [
        view(profile, run)
        for profiles in index.by_system.values()
        for profile in profiles
        for run in profile.runs
        if only is None or run.run_id in only or run.status != "done"
    ]
    order = {"failed": 0, "cancelled": 1, "done": 2}
    views.sort(
        key=lambda one: (one.scale != "paper", one.task, one.method, one.model, order[one.status], one.seed)
    )
    return tuple(views)


def view(profile: Profile, run: Run) -> RunView:
    record = run.record
    return RunView(
        run_id=run.run_id,
        task=profile.task,
        method=selector(profile),
        model=profile.model,
        scale=profile.scale,
        seed=run.seed,
        data_seed=run.data_seed,
        status=run.status,
        failure="" if run.status == "done" else explained(run),
        not_comparable=profile.reasons,
        score=score(record),
        seconds=run.seconds,
        attempts=run.attempts,
        ended=run.ended,
        command=str(record.get("command") or ""),
        code=code(record),
        machine=machine(record),
    )


def selector(profile: Profile) -> str:
    """``prefix[length=10]``: the method with the options that somebody chose."""
    chosen = [
        f"{name}={value}"
        for name, value in profile.options.items()
        if not profile.origins.get(name, "").startswith(USUAL)
    ]
    return profile.method + (f"[{','.join(chosen)}]" if chosen else "")


def explained(run: Run) -> str:
    message = str((run.record.get("error") or {}).get("message") or "").strip().partition("\n")[0]
    message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
    return find_failure_kind(run) + (f": {message}" if message else "")


def score(record: Mapping[str, Any]) -> str:
    """The first score that has a value: ``bleu 55.31``."""
    for name, one in ((record.get("scores") or {}).get("all") or {}).items():
        if one.get("value") is not None:
            return f"{name} {one['value']:.4g}"
    return ""


def code(record: Mapping[str, Any]) -> str:
    """``7c9b4fc6ad, with changes``."""
    known = record.get("code") or {}
    commit = str(known.get("commit") or "")[:10]
    return commit + (", with changes" if known.get("dirty") else "")


def machine(record: Mapping[str, Any]) -> str:
    """The accelerators, or the processor and its cores; never the machine's name."""
    try:
        return describe_machine(record).partition(" on ")[2]
    except (KeyError, TypeError):
        return ""
