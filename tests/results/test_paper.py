"""The paper as data: complete, consistent with itself, with the registry and with its own claims."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from bench import registry
from bench.errors import UserError
from bench.experiments.files import list_experiments
from reports.paper import published
from reports.paper.published import Cell, Claim, find_cells, read_cells, read_claims, read_table

ROOT = Path(__file__).resolve().parents[2]
ROUGE = ("rouge1", "rouge2", "rougeL")
EXTRA_METRICS = ("training_loss", "facts_missing", "facts_false")
"""What claims ask for and no cell has."""
SUMMARIZATION = dict.fromkeys(("xsum", "xsum-news-to-sports", "xsum-within-news"), ROUGE)
COUNTS = {
    "table1": 12, "table2": 151, "table3": 9, "table4": 12, "table5": 35, "table6": 66, "table7": 6,
    "table8": 16, "table9": 98, "table10": 0, "figure3": 32, "figure4": 26, "figure5": 9, "figure6": 20,
    "figure7": 48, "figure8": 36, "efficiency": 22,
}  # fmt: skip
SECOND = {
    "table1": "971f895cf60fdbb5", "table2": "dcbf5d3d15f0525c", "table3": "8b0df7e7f5b7d494",
    "table4": "00f19735826ae57e", "table5": "c739cf529e35e5a0", "table6": "fafc3dba064ab36a",
    "table7": "48e47ec3c93f89f3", "table8": "16fe1ce9f53147a7", "table9": "b9cf00534c97f20b",
}  # fmt: skip
"""SHA-256 of each table's numbers in reading order, from a second transcription of another text of the paper."""
SCORES = ("table2", "table3", "table4", "table5", "table7", "table9", *published.FIGURES)
ALL = [cell for name in published.WITH_CELLS for cell in read_cells(name)]


def number(printed: str) -> float:
    """A printed number, apart from the code that made the values."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-\d+)?)([KM%x]?)", printed)
    assert found, printed
    return float(found[1]) * {"K": 1e3, "M": 1e6, "%": 0.01}.get(found[2], 1.0)


def pick(**selector: Any) -> Cell:
    (cell,) = find_cells(selector)
    return cell


def test_every_number_is_there() -> None:
    assert {name: len(read_cells(name)) for name in published.WITH_CELLS} == COUNTS
    assert {path.stem for path in published.FOLDER.glob("*.json")} == set(published.list_documents())


@pytest.mark.parametrize("name", published.WITH_CELLS)
def test_structure(name: str) -> None:
    one = read_table(name)
    assert one.id == name and one.title and one.caption and one.source.startswith("ACL 2021, ")
    doubles = [place for place, times in Counter(cell.place for cell in one.cells).items() if times > 1]
    assert not doubles
    same = Counter(
        json.dumps([c.task, c.group, c.metric, c.model, c.method, c.options, c.settings, c.split, c.section])
        for c in one.cells
        if c.kind in ("measured", "read off", "setting")
    )
    assert [key for key, times in same.items() if times > 1] == []
    for cell in one.cells:
        if cell.kind == "read off":
            assert cell.printed is None and cell.value is None
            assert cell.low is not None and cell.high is not None and cell.low < cell.high
        else:
            assert cell.printed is not None and cell.value is not None and isfinite(cell.value)
            assert cell.value == pytest.approx(number(cell.printed), rel=1e-12), cell
            assert cell.low is None and cell.high is None


@pytest.mark.parametrize("name", SCORES)
def test_scores_have_names_units_and_directions(name: str) -> None:
    tasks = registry.tasks()
    metrics = {**SUMMARIZATION, **{task: tasks[task].metrics for task in ("e2e", "webnlg", "dart")}}
    assert read_cells(name)
    for cell in read_cells(name):
        assert cell.task is not None and cell.metric in metrics[cell.task], cell
        assert cell.better == ("lower" if cell.metric == "ter" else "higher")
        assert cell.kind in ("measured", "cited", "read off")
        assert cell.split in ("test", "dev")
        assert cell.group in (tasks[cell.task].groups if cell.task in tasks else ("all",))
        # In the unit of our scores, every number must lie where our scorers' numbers lie.
        low, high = {"bleu": (10, 80), "nist": (1, 10), "cider": (0.5, 3), "bleurt": (0.1, 0.5)}.get(
            cell.metric, (0.05, 1)
        )
        for printed in (cell.value, cell.low, cell.high):
            assert printed is None or low <= printed / cell.factor <= high, cell


def test_methods_options_and_settings_are_the_registrys() -> None:
    checked = 0
    for cell in ALL:
        assert cell.model in (None, "gpt2-medium", "gpt2-large", "bart-large")
        assert set(cell.settings) <= {"train_size", "train_share"}
        if cell.method is None:
            assert not cell.options
            continue
        method = registry.get_method(cell.method)
        assert cell.options.items() <= method.resolve_options(cell.options).items(), cell
        checked += 1
    assert checked > 500


def test_table6_is_what_the_methods_run() -> None:
    """Two transcriptions of one table: here, and in the methods' own files."""
    compared = 0
    for cell in read_cells("table6"):
        assert cell.method is not None and cell.task is not None
        if cell.model != "gpt2-medium":
            continue
        method = registry.get_method(cell.method)
        options = method.resolve_options(cell.options)
        settings = method.settings_for("paper", cell.task, options, "gpt2-medium")
        value, origin = settings[cell.metric]
        assert (value, "Table 6" in origin) == (cell.value, True), cell
        compared += 1
    assert compared == 48


def test_prefix_lengths_are_those_of_table6() -> None:
    lengths = {cell.task: cell.value for cell in read_cells("table6") if cell.metric == "length"}
    assert len(lengths) == 6
    for name in ("table2", "table4", "table9"):
        for cell in read_cells(name):
            if cell.method == "prefix":
                assert cell.options == {"length": lengths[cell.task]}, cell


def test_table1_is_what_the_tasks_declare() -> None:
    for task in ("e2e", "webnlg", "dart"):
        found = [cell.value for cell in read_cells("table1") if cell.task == task]
        assert tuple(found[1:]) == registry.get_task(task).paper_lengths


@pytest.mark.parametrize(
    ("selector", "printed"),
    [
        ({"table": "table2", "row": "FT-FULL", "section": "GPT-2 Medium", "column": "E2E BLEU"}, "68.8"),
        ({"table": "table2", "row": "PREFIX(0.1%)", "column": "WebNLG TER ↓ U"}, "0.51"),
        ({"table": "table2", "row": "FT-TOP2", "column": "DART BLEURT"}, "0.21"),
        ({"table": "table2", "row": "SOTA", "column": "WebNLG BLEU U"}, "52.8"),
        ({"table": "table2", "row": "Prefix", "column": "DART TER ↓"}, "0.45"),
        ({"table": "table3", "row": "PREFIX(0.1%)", "column": "R-2 ↑"}, "20.03"),
        ({"table": "table4", "row": "FT-FULL", "column": "within-news R-L ↑"}, "31.15"),
        ({"table": "table5", "row": "EMB-20", "column": "E2E NIST"}, "7.11"),
        ({"table": "table6", "section": "FT-top2:", "row": "WebNLG", "column": "batch size"}, "9"),
        ({"table": "table7", "row": "PREFIX(2%)", "column": "R-1 ↑"}, "43.30"),
        ({"table": "table8", "row": "Finetune (epoch)", "settings": {"train_size": 200}}, "3"),
        ({"table": "table9", "row": "ADAPTER(0.1%)", "column": "DART BLEU"}, "44.72"),
        ({"table": "table1", "row": "XSUM", "column": "input length"}, "473.3"),
        ({"table": "efficiency", "metric": "memory_share", "method": "prefix"}, "18%"),
    ],
)
def test_spot_values(selector: dict[str, Any], printed: str) -> None:
    assert pick(**selector).printed == printed


@pytest.mark.parametrize("name", SECOND)
def test_every_number_is_that_of_the_second_transcription(name: str) -> None:
    text = " ".join(str(cell.printed) for cell in read_cells(name))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == SECOND[name]


def test_cells_that_state_one_thing_twice_agree() -> None:
    again = [cell.printed for cell in read_cells("table5") if cell.row == "PREFIX"]
    first = [
        cell.printed for cell in read_cells("table2") if cell.row == "PREFIX(0.1%)" and cell.task == "e2e"
    ]
    assert again == first and len(again) == 5
    # Over all categories lies between seen and unseen, in every row and metric.
    between = 0
    for cell in read_cells("table2"):
        if cell.task == "webnlg" and cell.group == "all":
            ends = [
                other.value
                for other in read_cells("table2")
                if other.group != "all"
                and (other.section, other.row, other.metric) == (cell.section, cell.row, cell.metric)
            ]
            assert len(ends) == 2 and min(ends) <= cell.value <= max(ends), cell
            between += 1
    assert between == 7 * 3 + 2  # the cited row has no TER


def test_figure_ranges_come_from_their_axes() -> None:
    for name in published.FIGURES:
        panels = {panel["id"]: panel for panel in read_table(name).panels}
        assert {cell.section for cell in read_cells(name)} == set(panels)
        for cell in read_cells(name):
            ticks = panels[cell.section]["y_ticks"]
            steps = {round(after - before, 9) for before, after in pairwise(ticks)}
            assert len(steps) == 1, (name, cell.section)
            (step,) = steps
            assert (cell.low, cell.high) == (pytest.approx(ticks[0] - step), pytest.approx(ticks[-1] + step))
        assert "range" in read_table(name).notes[0]


def test_examples_are_references_not_texts() -> None:
    examples = [*read_table("table10").examples, *read_table("figure3").examples]
    assert [len(one["outputs"]) for one in examples] == [2] * 8 + [8]
    assert Counter(one.get("group") for one in examples) == {"unseen": 6, "seen": 2, None: 1}
    for one in examples:
        assert one["item"] and one["task"] in registry.tasks()
        assert all(len(str(value)) < 60 for output in one["outputs"] for value in output.values())


def test_first_version_differs_where_it_is_listed() -> None:
    listed = published.read_document("v1")["cells"]
    found = 0
    for raw in listed:
        where = {key: raw[key] for key in ("table", "section", "row", "column")}
        (cell,) = find_cells(where)
        assert raw["value"] == number(raw["printed"]) != cell.value, raw
        ((account,)) = [one for one in published.list_accounts(cell) if one.source == "arXiv:2101.00190v1"]
        assert account.value == raw["value"]
        found += 1
    assert found == 30
    assert Counter(raw["row"] for raw in listed) == {
        "FT-FULL": 11, "ADAPTER(3%)": 4, "PREFIX(0.1%)": 10, "PREFIX": 5,
    }  # fmt: skip


def test_summaries_disagree_where_they_are_listed() -> None:
    entries = published.read_document("disputed")["entries"]
    assert len({entry["id"] for entry in entries}) == len(entries)
    assert Counter(entry["kind"] for entry in entries).keys() == {"secondary", "internal", "code"}
    pointing = [entry for entry in entries if entry["cell"]]
    assert len(pointing) == 6
    for entry in pointing:
        (cell,) = find_cells(entry["cell"])
        assert cell.printed == entry["paper"]
        assert all(one["value"] == number(one["printed"]) != cell.value for one in entry["accounts"])
        assert any(one.source == "secondary summary A" for one in published.list_accounts(cell))


def test_what_a_dispute_touches_exists() -> None:
    disputes = published.read_disputes()
    assert len(disputes) == 41
    claims = {claim.id for claim in read_claims()}
    untouched = {d.id for d in disputes if not any(map(d.touches, ALL)) and not d.claims}
    assert untouched == {"b-loss", "b-theory", "b-optimiser"}, "three are about the method as a whole"
    for dispute in disputes:
        assert set(dispute.claims) <= claims
        for selector in dispute.concerns:
            assert any(cell.matches({**selector, "settings": cell.settings}) for cell in ALL), dispute.id
    assert "a-prefix-e2e-bleu" in published.list_disputes(
        pick(table="table2", section="GPT-2 Medium", row="PREFIX(0.1%)", column="E2E BLEU")
    )


def test_documents_show_other_accounts_and_cannot_be_changed_by_readers() -> None:
    shown = published.read_document("table2")
    (cell,) = [one for one in shown["cells"] if one["row"] == "FT-FULL" and one["printed"] == "68.8"]
    assert [one["printed"] for one in cell["elsewhere"]] == ["68.2", "68.2"]
    cell["printed"] = "0"
    assert published.read_document("table2") != shown


def test_unknown_names_are_user_errors() -> None:
    with pytest.raises(UserError, match="did you mean 'table2'"):
        read_table("tabel2")
    with pytest.raises(UserError, match="efficiency"):
        published.read_document("table11")
    with pytest.raises(UserError, match="claims"):
        read_cells("claims")
    with pytest.raises(ValueError, match="no field 'methd'"):
        find_cells({"methd": "prefix"})


def test_selectors() -> None:
    assert pick(table="table2", method="prefix", task="e2e", metric="bleu", model="gpt2-large").value == 70.3
    assert {cell.task for cell in find_cells({"table": "table1", "task": ["e2e", "dart"]})} == {"e2e", "dart"}
    assert find_cells({"table": "table2", "options": {"mlp": "no"}}) == ()
    assert find_cells({"table": "figure3", "metric": "bleu"}) == ()  # none was trained on everything
    assert len(find_cells({"table": "figure3", "metric": "bleu", "settings": {"train_size": 50}})) == 2


# -- claims: each can be evaluated, and the paper's own cells give what is noted --------------------


def mean(selector: dict[str, Any]) -> float | None:
    """The mean over what a selector picks, in our unit; None where the paper prints no number."""
    picked = find_cells(selector)
    several = any(isinstance(value, list) for value in selector.values())
    assert len(picked) <= 1 or several, f"{selector} picks {len(picked)} cells"
    values = [cell.ours for cell in picked if cell.ours is not None]
    return fmean(values) if values and len(values) == len(picked) else None


def extra(selector: dict[str, Any]) -> bool:
    """Whether it asks for what the paper prints no number of: losses, facts, the method without training."""
    return selector["metric"] in EXTRA_METRICS or selector.get("method") == "prompt"


def numbers(claim: Claim) -> list[float] | None:
    found = []
    for need in claim.needs:
        a, b = mean(need["a"]), mean(need["b"]) if "b" in need else None
        if a is None or b is None or "statistic" in need["a"]:
            return None
        lower = [cell.better for cell in find_cells(need["a"])] == ["lower"]
        found.append(claim.scale * (a / b if claim.kind == "ratio" else b - a if lower else a - b))
    return found


@pytest.mark.parametrize("claim", read_claims(), ids=lambda claim: claim.id)
def test_a_claim_says_of_the_paper_what_its_cells_give(claim: Claim) -> None:
    found = numbers(claim)
    if found is None:
        assert claim.on_paper["outcome"] == "undecided" and claim.on_paper["value"] is None
        assert claim.on_paper["note"]
        return
    mean_only = claim.combine == "mean"
    combined = [fmean(found)] if mean_only else found
    limits = [claim.limits] if mean_only else [claim.find_limits(need) for need in claim.needs]
    given = claim.on_paper["value"]
    assert combined == pytest.approx(given if isinstance(given, list) else [given], abs=0.006)
    holds = all(limit.hold(one) for limit, one in zip(limits, combined, strict=True))
    outcome = "supported" if holds else "contradicted"
    assert outcome == claim.on_paper["outcome"]


def test_claims_are_well_formed() -> None:
    listed = read_claims()
    assert len(listed) == 47 and len({claim.id for claim in listed}) == 47
    assert not {claim.id for claim in listed} & set(list_experiments()), "bench plan takes both"
    assert Counter(claim.on_paper["outcome"] for claim in listed) == {
        "supported": 22, "undecided": 24, "contradicted": 1,
    }  # fmt: skip
    known = {cell.metric for cell in ALL} | set(EXTRA_METRICS)
    for claim in listed:
        assert claim.needs and claim.sentence and claim.source.startswith("ACL 2021, ")
        assert claim.kind in ("difference", "ratio", "spread", "best") and claim.why.endswith(".")
        for limits in (claim.limits, *(claim.find_limits(need) for need in claim.needs)):
            assert limits.low is not None or limits.high is not None, claim.id
            assert None in (limits.low, limits.high) or limits.low <= limits.high
        assert (claim.kind == "best") == (claim.combine == "best") == all("x" in n for n in claim.needs)
        for need in claim.needs:
            assert need["label"] and ("b" in need) == (claim.kind != "best")
            for selector in (need["a"], need.get("b", need["a"])):
                assert selector["table"] in published.WITH_CELLS and selector["metric"] in known
                if "method" in selector:
                    registry.get_method(selector["method"]).resolve_options(selector.get("options", {}))
                # A drawing's point must exist even though it has no number.
                if selector["table"] in published.FIGURES and not extra(selector):
                    assert len(find_cells(selector)) == 1, selector


def test_the_average_over_adapters_is_not_the_one_in_the_sentence() -> None:
    """4.1 in the text; 4.27 from the ACL table; 4.10 from arXiv v1's."""

    def gap(first: bool) -> float:
        differences = []
        for task in ("e2e", "webnlg", "dart"):
            pair = []
            for method, options in (("prefix", {}), ("adapter", {"size": "0.1%"})):
                cell = pick(table="table2", model="gpt2-medium", task=task, group="all", metric="bleu",
                            method=method, options=options)  # fmt: skip
                old = [one.value for one in published.list_accounts(cell) if one.source.startswith("arXiv")]
                assert cell.value is not None
                pair.append(old[0] if first and old else cell.value)
            differences.append(pair[0] - pair[1])
        return fmean(differences)

    assert round(gap(first=False), 2) == 4.27
    assert round(gap(first=True), 2) == 4.10


def test_holds() -> None:
    (claim,) = [one for one in read_claims() if one.id == "adapter-4.1-bleu"]
    assert [claim.limits.hold(number) for number in (3.0, 3.1, 5.1, 5.2)] == [False, True, True, False]
    (strict,) = [one for one in read_claims() if one.id == "top2"]
    assert [strict.limits.hold(number) for number in (-1.0, 0.0, 0.1)] == [False, False, True]
    (slight,) = [one for one in read_claims() if one.id == "xsum-below"]
    assert [slight.limits.hold(number) for number in (-20.0, -1.3, 0.0, 1.0)] == [False, True, False, False]


SIZES = (
    "slightly",
    "comparable",
    "no impact",
    "negligible",
    "significant",
    "around",
    "x fewer",
    "x more",
    "%",
)


def test_a_sentence_with_a_size_has_limits_on_both_sides() -> None:
    """Those that have not: an ordering beside the word, or an end that the sentence leaves open."""
    one_sided = {
        claim.id: claim.sentence
        for claim in read_claims()
        if None in (claim.limits.low, claim.limits.high)
        and any(word in claim.sentence.lower() for word in SIZES)
    }
    assert set(one_sided) == {
        *(
            "adapter-equal-size",
            "embedding",
            "init-real-words",
        ),  # significantly: a least size, and no largest
        "adapter-3",  # comparable or better
        "data-efficiency",  # better, when using more than 20 % of the data
    }


def test_needs_no_heavy_package() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'pandas', 'matplotlib', 'numpy'): sys.modules[name] = None\n"
        "from reports import paper\n"
        "print(len(paper.read_cells('table2')), len(paper.read_claims()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert done.stdout.split() == ["151", "47"], done.stderr


def test_the_only_paths_in_the_data_are_files_of_this_project() -> None:
    for file in published.FOLDER.iterdir():
        text = re.sub(r"https?://\S+", "", file.read_text(encoding="utf-8"))
        for path in re.findall(r"[\w.~-]*(?:/[\w.~-]*)+", text):
            inside = not path.startswith("/") and (ROOT / path.rstrip(".")).is_file()
            assert inside or not re.search("[A-Za-z]", path), f"{file.name}: {path}"
