"""The ledger of deviations is read from the document that people read."""

from __future__ import annotations

from made_up import record

from reports.paper import deviations
from reports.records.reading import read_records


def test_the_projects_own_ledger_is_read_whole() -> None:
    lines = deviations.FILE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    found = deviations.read_deviations()
    assert len(found) == len(rows) >= 9
    assert all(entry.what and entry.here and entry.why and entry.applies for entry in found)
    assert any("<|endoftext|>" in entry.original for entry in found)


def test_entries_touch_the_runs_they_name() -> None:
    text = "| what | here | why | touches |\n|---|---|---|---|\n"
    text += "| a | b | c | all |\n| d | e | f | task e2e; method prefix, infix |\n"
    text += "| g | h | i | option init=random |\n"
    entries = deviations.parse_deviations(text + "\nwords\n")
    random, banana, other = read_records(
        [
            record("prefix", "e2e", options={"init": "random"}),
            record("prefix", "webnlg", options={"init": "banana"}),
            record("ft-full", "e2e"),
        ]
    )
    assert deviations.list_touching(entries, random) == (1, 2, 3)
    assert deviations.list_touching(entries, banana) == (1,)
    assert deviations.list_touching(entries, other) == (1,)


def test_other_tables_are_left_alone() -> None:
    assert deviations.parse_deviations("| a | b |\n|---|---|\n| c | d |\n") == ()
