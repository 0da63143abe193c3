"""`bench list disputes`: all of them, for people and for machines."""

from __future__ import annotations

import json

import pytest

from bench.cli import main
from reports.paper import published


def test_all_disputes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "disputes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == [dispute.id for dispute in published.read_disputes()]
    entry = next(entry for entry in listed if entry["name"] == "4.1-bleu")
    assert entry["accounts"][0]["source"] == "ACL 2021, Table 2" and entry["tables"] == ["table2"]
    assert main(["list", "disputes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(listed) and "secondary summary A: 68.2" in lines[1]
