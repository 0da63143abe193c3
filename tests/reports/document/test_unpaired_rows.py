"""What is not the paper's stands under its own name: methods of others, and everything at scale mini."""

from __future__ import annotations

import json
import re

import pytest
from made_site import webnlg
from made_up import failed, of_others, record, scores

from reports.document import builder
from reports.document.schema import Report, TableBlock, TableRow, UnpairedView
from reports.paper import published
from reports.render import output_files, plots

MINI = {"model": "mini-gpt2", "scale": "mini"}
COUNTS = {"parameters": {"trained": 15_360, "stored": 15_360, "backbone": 1_517_696}}
PAPER_NAMES = re.compile(r"GPT-2 (Medium|Large)|[(]0[.]1%[)]|PREFIX|FT-FULL|ADAPTER|FT-full")


def report_on(*records: object, names: tuple[str, ...] = ("table2",)) -> Report:
    return builder.build_report(records, names, plan=False)  # type: ignore[arg-type]


def rows_of(blocks: tuple[TableBlock, ...]) -> list[tuple[str, TableRow]]:
    return [(section.label or "", row) for b in blocks for section in b.sections for row in section.rows]


def others(report: Report, name: str = "table2") -> list[tuple[str, TableRow]]:
    """The rows among the paper's that are not the paper's."""
    return [(label, row) for label, row in rows_of(report.find_table(name).blocks) if row.system is not None]


# --- scale mini


def mini_report() -> Report:
    runs = [
        webnlg(seed, method, 60.0 + seed, **MINI, **COUNTS)
        for seed in (1, 2)
        for method in ("prefix", "ft-full")
    ]
    low = {"train_subset": 50, "dev_subset": 15, "test_split": "dev", "data_seed": 0}
    few = record("prefix", "e2e", 1, 46.0, preset=low, options={"init": "table-to-text:"}, **MINI)
    return report_on(*runs, few, names=("table2", "figure3", "efficiency"))


def test_mini_runs_are_a_table_of_their_own_with_their_own_systems() -> None:
    table = mini_report().find_table("table2")
    assert all(row.system is None for _, row in rows_of(table.blocks))
    rows = rows_of(table.mini)
    assert [(section, row.label) for section, row in rows] == [
        ("mini-gpt2", "prefix[length=10] (1.01% stored)"), ("mini-gpt2", "ft-full (1.01% stored)"),
    ]  # fmt: skip
    assert rows[0][1].system is not None and rows[0][1].system.stored_shares == (15_360 / 1_517_696,)
    assert all(isinstance(c, UnpairedView) and c.scale == "mini" for _, row in rows for c in row.cells)


@pytest.mark.parametrize("name", ["table2", "figure3", "efficiency"])
def test_no_name_of_the_paper_stands_at_a_mini_number(name: str) -> None:
    rows = rows_of(mini_report().find_table(name).mini)
    assert rows
    for section, row in rows:
        assert not PAPER_NAMES.search(f"{section} {row.label}")
        assert "mini-gpt2" in section


def test_mini_curves_have_their_own_names() -> None:
    (figure,) = mini_report().figures
    curves = [curve for panel in figure.panels for curve in panel.mini]
    assert curves and all(not PAPER_NAMES.search(curve.label) for curve in curves)
    assert all(curve.label.startswith("mini-gpt2, prefix[init=table-to-text:") for curve in curves)
    files = output_files.draw_figures(mini_report())
    mini = files.svgs["figure3-mini"].decode()
    assert "scale mini, e2e" in mini and "E2E:" not in mini and "Prefix" not in mini
    assert "mini-gpt2" not in files.svgs["figure3"].decode()


def test_what_a_claim_is_decided_by_at_scale_mini_has_its_own_names() -> None:
    runs = [
        webnlg(seed, method, bleu + seed / 10, options=options, **MINI)
        for method, bleu, options in (
            ("prefix", 60.0, {}), ("ft-full", 50.0, {}),
            ("adapter", 55.0, {"size": "3%"}), ("adapter", 30.0, {"size": "0.1%"}),
        )
        for seed in (1, 2, 3)
    ]  # fmt: skip
    claims = {claim.id: claim for claim in report_on(*runs, names=("claims",)).claims}
    numbers = [number.label for claim in claims.values() for number in claim.mini.numbers]
    assert numbers and not any("gpt2-medium" in label or PAPER_NAMES.search(label) for label in numbers)
    labels = [number.label for number in claims["frozen-unseen"].mini.numbers]
    assert "mini-gpt2, webnlg bleu: prefix[length=10], unseen against ft-full, unseen" in labels
    for claim in claims.values():
        assert "gpt2-medium" not in claim.mini.explanation


def test_mini_runs_of_one_method_by_other_options_are_two_systems() -> None:
    runs = [webnlg(1, "prefix", 50.0 + length, options={"length": length}, **MINI) for length in (1, 5)]
    labels = [row.label for _, row in rows_of(report_on(*runs).find_table("table2").mini)]
    assert [label.partition(" ")[0] for label in labels] == ["prefix[length=1]", "prefix[length=5]"]


def test_a_mini_run_with_typed_settings_is_a_system_of_its_own() -> None:
    """`bench run --epochs 2 --limit 6` says nothing of the method as it is, and is not left out either."""
    plain = [webnlg(seed, "prefix", 60.0 + seed, **MINI) for seed in (1, 2)]
    short = []
    for seed, limit in ((1, 6), (2, 6), (1, 8)):
        run = webnlg(seed, "prefix", 20.0 + limit, **MINI)
        run["settings"] = {**run["settings"], "limit": {"value": limit, "origin": "command line"}}
        short.append(run)
    rows = rows_of(report_on(*plain, *short).find_table("table2").mini)
    numbers = {row.label.partition(" ")[0]: row.cells[2].ours for _, row in rows if row.cells[2] is not None}
    assert {label: (ours.mean, ours.n) for label, ours in numbers.items() if ours is not None} == {
        "prefix[length=10]": (61.5, 2), "prefix[length=10,limit=6]": (26.0, 2),
        "prefix[length=10,limit=8]": (28.0, 1),
    }  # fmt: skip


# --- methods of others

TABLES = [
    name
    for name in published.WITH_CELLS
    if any(c.task == "webnlg" and c.kind in ("measured", "read off") for c in published.read_cells(name))
]


def test_a_method_of_somebody_else_has_a_row_below_those_of_its_model() -> None:
    both = {group: scores({"bleu": 56.0 + len(group)})["all"] for group in ("all", "seen", "unseen")}
    runs = [of_others(seed=seed, scores=both) for seed in (1, 2, 3)]
    report = report_on(*runs, of_others(model="gpt2-large", bleu=57.0))
    medium, large = others(report)
    assert (medium[0], large[0]) == ("Not the paper's (gpt2-medium)", "Not the paper's (gpt2-large)")
    assert medium[1].label.startswith("lora[rank=4] (0.0693% stored)")
    labels = [section.label for section in report.find_table("table2").blocks[0].sections]
    assert labels[:4] == ["GPT-2 Medium", medium[0], "GPT-2 Large", large[0]]
    columns = report.find_table("table2").blocks[0].columns
    numbers = {
        c: v.ours.text for c, v in zip(columns, medium[1].cells, strict=True) if v is not None and v.ours
    }
    assert numbers == {"WebNLG BLEU S": "60.0", "WebNLG BLEU U": "62.0", "WebNLG BLEU A": "59.0"}
    assert report.overview.headline.verdicts["not run"] == report.overview.headline.rows


def test_it_stands_in_every_table_of_a_task_that_it_ran_on() -> None:
    every = {"bleu": 56.0, "nist": 8.0, "meteor": 0.4, "rouge_l": 0.7, "cider": 2.0, "ter": 0.4}
    runs = [of_others(task=task, scores=scores(every)) for task in ("e2e", "webnlg", "dart")]
    dev = [{**run, "run_id": f"{run['run_id']}d"} for run in runs]
    for run in dev:
        run["settings"] = {
            **run["settings"],
            "test_split": {"value": "dev", "origin": "experiment table9: §5.1"},
        }
        run["experiment"] = "table9"
    report = report_on(*runs, *dev, names=("all",))
    assert "table2" in TABLES
    for name in ("table2", "table5", "table6", "table9", "efficiency"):
        rows = [row.label for _, row in others(report, name)]
        assert rows and len(rows) == len(set(rows)), name
    assert not others(report, "table3") and not others(report, "table4")
    hyperparameters = others(report, "table6")[0][1]
    texts = [view.ours.text if view is not None and view.ours else "" for view in hyperparameters.cells]
    assert hyperparameters.label == "lora[rank=4], e2e" and texts == ["8e-05", "5", "10", ""]


def test_it_is_in_a_figure_whose_conditions_it_ran_under() -> None:
    runs = []
    for size in (50, 100):
        preset = {"train_subset": size, "dev_subset": size * 3 // 10, "test_split": "dev", "data_seed": 0}
        runs.append(of_others(task="e2e", bleu=50.0 + size / 100, preset=preset))
    report = report_on(*runs, names=("figure3",))
    (figure,) = report.figures
    curves = [curve for panel in figure.panels for curve in panel.series if curve.system is not None]
    assert [curve.label for curve in curves] == ["gpt2-medium, lora[rank=4] (0.0693% stored)"]
    assert [point.x for point in curves[0].points] == [50, 100]
    assert "not the paper's: gpt2-medium, lora" in output_files.draw_figures(report).svgs["figure3"].decode()
    sections = [section for section, _ in others(report, "figure3")]
    assert sections == ["BLEU: Not the paper's (gpt2-medium)", "ROUGE: Not the paper's (gpt2-medium)"]
    missing = {view.label for view in others(report, "figure3")[1][1].cells if view is not None}
    assert missing == {"not run (not computed: no score rouge_l of group all in the record)"}


def test_its_failures_and_what_keeps_it_out_are_said() -> None:
    bad = failed("time-out", task="webnlg")
    bad |= {"method": "lora", "run_id": "webnlg-lora-failed"}
    plain = of_others(method="bitfit", options={}, protocol="plain", not_comparable=["protocol plain"])
    labels = {
        row.system.method: {view.label for view in row.cells if view is not None and view.ours is None}
        for _, row in others(report_on(bad, plain))
        if row.system is not None
    }
    assert labels["lora"] == {"not run (1 failed: time-out)"}
    assert labels["bitfit"] == {"not comparable (protocol plain)"}


def test_the_legend_has_room_for_any_name() -> None:
    low = {"train_subset": 50, "dev_subset": 15, "test_split": "dev", "data_seed": 0}
    runs = [
        of_others(f"method-{number}-{'x' * 200}", task="e2e", bleu=40.0 + number, preset=low, **MINI)
        for number in range(9)
    ]
    (figure,) = report_on(*runs, names=("figure3",)).figures
    canvas = plots.compose_figure(figure, "mini")
    canvas.draw_without_rendering()
    legend, width = canvas.legends[0].get_window_extent(), canvas.bbox.width
    assert legend.x0 >= 0 and legend.x1 <= width
    assert canvas.axes[0].get_window_extent().height > 100, "the legend does not press the axes together"


@pytest.mark.parametrize("form", ["html", "md", "tex", "csv", "json"])
def test_every_format_has_it(form: str) -> None:
    text = output_files.render_text(report_on(of_others(bleu=56.78), webnlg(1, "prefix", 61.2, **MINI)), form)
    plain = text.replace("{[}", "[").replace("{]}", "]").replace(chr(92), "").replace("&#39;", "'")
    assert "lora[rank=4]" in plain or json.loads(text)["tables"]
    assert "56.8" in plain or "56.78" in plain
    for line in plain.splitlines():
        if "61.2" in line and form in ("md", "csv"):
            assert not PAPER_NAMES.search(line), line
