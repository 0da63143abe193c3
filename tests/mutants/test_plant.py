"""The faults of `make mutants` can be planted, and the committed table is of these faults."""

import json
import re

import pytest

from tests.mutants.plant import RESULTS, ROOT, Fault, FaultResult, Outcome, format_table, read_faults

FAULTS = read_faults()


def test_there_are_enough_faults_of_different_names() -> None:
    assert len(FAULTS) >= 30
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fits_the_source(fault: Fault) -> None:
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.find) == 1
    changed = text.replace(fault.find, fault.replace)
    assert changed != text
    compile(changed, fault.file, "exec")


def test_a_fault_that_fits_nowhere_is_refused(tmp_path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(ValueError, match="expected 1"):
        Fault("twice", "", "a.py", "x = 1", "x = 2", "").plant(tmp_path)
    assert (tmp_path / "a.py").read_text() == "x = 1\nx = 1\n"


def test_the_table_counts_what_was_caught() -> None:
    caught = FaultResult("a", "one | two", Outcome.CAUGHT, "e2e prefix", ("e2e prefix: bleu",) * 5, 1.0)
    missed = FaultResult("b", "", Outcome.MISSED, "all", (), 1.0)
    table = format_table([caught, missed])
    assert "1 of 2 planted faults" in table
    assert "one \\| two" in table
    assert "2 more" in table


def test_the_committed_table_is_of_these_faults() -> None:
    document = json.loads((RESULTS / "mutants.json").read_text())
    assert [entry["name"] for entry in document["faults"]] == [fault.name for fault in FAULTS]
    outcomes = [entry["outcome"] for entry in document["faults"]]
    assert outcomes.count("caught") == document["caught"] >= 0.93 * len(FAULTS)
    text = (RESULTS / "mutants.md").read_text()
    assert re.search(rf"{document['caught']} of {len(FAULTS)} planted faults", text)
