"""Which planned runs a claim rests on: those that would stand behind its numbers once they are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import UnknownNameError
from bench.experiments.expansion import ExperimentRun
from bench.experiments.files import list_experiments
from bench.store.record import SettingEntry
from reports.paper import published
from reports.paper.published import Claim, Selector
from reports.records.fact_rates import FACT_METRICS
from reports.records.matching import RunQuery, find_mismatch, make_query, translate_to_mini
from reports.records.runs import REPLICATE_SETTINGS, Profile


@dataclass(frozen=True)
class PlannedProfile:
    """A planned run as what a record of it would be matched by."""

    run: ExperimentRun
    profile: Profile


def find_claim(name: str) -> Claim:
    """The claim of that id; ``UserError`` with the nearest names, experiments among them."""
    claims = {claim.id: claim for claim in published.read_claims()}
    if name not in claims:
        names = [*list_experiments(), "all", *claims]
        raise UnknownNameError(
            "experiment or claim", name, names, "bench list experiments, bench list claims"
        )
    return claims[name]


def is_claim(name: str) -> bool:
    """Whether it is the id of a claim."""
    return any(claim.id == name for claim in published.read_claims())


def describe_planned(runs: Sequence[ExperimentRun]) -> list[PlannedProfile]:
    """The runs that can be asked for here, each as a profile of its own."""
    described: list[PlannedProfile] = []
    for run in runs:
        if run.request is None or run.resolved is None:
            continue
        request, resolved = run.request, run.resolved
        options = {name: setting.value for name, setting in resolved.options.items()}
        settings = {
            name: setting.value
            for name, setting in resolved.settings.items()
            if name not in REPLICATE_SETTINGS
        }
        entries = {
            name: SettingEntry(value=setting.value, origin=setting.origin, layer=setting.layer)
            for name, setting in {**resolved.settings, **resolved.options}.items()
        }
        described.append(
            PlannedProfile(
                run,
                Profile(
                    request.task.name,
                    request.method.name,
                    run.prescribed.model,
                    run.prescribed.scale,
                    request.common.protocol,
                    options,
                    settings,
                    entries,
                    request.experiment,
                    (),
                    len(described),
                ),
            )
        )
    return described


def make_selector_query(selector: Selector, scale: str) -> RunQuery | None:
    """What the selector asks of runs; None where no run answers it (Table 1, no such model at scale mini)."""
    if selector.get("table") == "table1" or selector.get("method") is None:
        return None
    query = make_query(selector)
    return query if scale == "paper" else translate_to_mini(query)


def select_planned(planned: Sequence[PlannedProfile], selector: Selector, scale: str) -> list[ExperimentRun]:
    """The planned runs behind a selector's number; of a count of parameters a single run for each task."""
    query = make_selector_query(selector, scale)
    if query is None:
        return []
    fitting = [
        entry.run
        for entry in planned
        if all(
            asked in (None, actual)
            for asked, actual in (
                (query.task, entry.profile.task),
                (query.method, entry.profile.method),
                (query.model, entry.profile.model),
            )
        )
        and find_mismatch(entry.profile, query) is None
    ]
    if query.counts:
        return list({run.prescribed.task: run for run in reversed(fitting)}.values())[::-1]
    return fitting


def select_claim_runs(planned: Sequence[PlannedProfile], claim: Claim, scale: str) -> list[ExperimentRun]:
    """All planned runs that a claim rests on, each once."""
    found: dict[str, ExperimentRun] = {}
    for selector in list_selectors(claim):
        found |= {run.key: run for run in select_planned(planned, selector, scale)}
    return list(found.values())


def list_selectors(claim: Claim) -> list[Selector]:
    """What all needs of a claim ask for."""
    return [need[side] for need in claim.needs for side in ("a", "b") if side in need]


def needs_outputs(claim: Claim) -> bool:
    """Whether it is counted in stored outputs rather than read from records."""
    return any(selector["metric"] in FACT_METRICS for selector in list_selectors(claim))
