"""When every planned run is done, every number and every claim of the paper has an answer."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import record

from bench.experiments.expansion import expand_experiments
from reports.document import builder
from reports.document.schema import CellView
from reports.judgement import claims
from reports.records.fact_rates import OutputFacts
from reports.records.index import RunIndex

GROUPS = ("all", "seen", "unseen")
SCORED = {
    "bleu": 50.0,
    "nist": 8.0,
    "meteor": 0.4,
    "rouge_l": 0.7,
    "cider": 2.4,
    "ter": 0.4,
    "moverscore": 0.5,
    "bertscore": 0.9,
    "bleurt": 0.4,
    "rouge1": 0.4,
    "rouge2": 0.2,
    "rougeL": 0.35,
}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """A finished record of each run that the experiments plan at the paper's scale."""
    made = []
    for candidate in expand_experiments("all", "paper").runs:
        request, resolved = candidate.request, candidate.resolved
        assert request is not None and resolved is not None

        def origins(table: Any) -> dict[str, Any]:
            return {
                name: {"value": setting.value, "origin": setting.origin} for name, setting in table.items()
            }

        scores = {name: {"value": value, "signature": "made-up"} for name, value in SCORED.items()}
        made.append(
            record(
                request.method.name,
                request.task.name,
                request.seed,
                model=request.model,
                scores=dict.fromkeys(GROUPS, scores),
            )
            | {"options": origins(resolved.options), "settings": origins(resolved.settings)}
        )
        made[-1]["training"]["last_epoch_loss"] = 1.5
    return made


def test_no_claim_is_left_without_its_runs(records: list[dict[str, Any]]) -> None:
    item = {"output": "Blue", "facts": [["name", "Blue"]], "groups": ["seen", "unseen"]}
    facts = OutputFacts(lambda _: [item])
    left = [
        checked.claim.id
        for checked in claims.check_claims(RunIndex(records), facts=facts)
        if checked.records.outcome == "not run"
    ]
    assert left == ["xsum-4x", "xsum-17x"], "those two ask for the published files, not for runs"


def test_no_cell_is_left_without_its_runs(records: list[dict[str, Any]]) -> None:
    tables = builder.build_report(records, ["all"], plan=False).tables
    left = {
        (table.id, cell.label)
        for table in tables
        for block in table.blocks
        for section in block.sections
        for row in section.rows
        for cell in row.cells
        if isinstance(cell, CellView) and cell.verdict == "not run"
    }
    assert left == {("table1", "not run (the published files were not counted)")}
