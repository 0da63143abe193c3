"""What every metric that is discovered must do, and that one file or one task is enough to add another."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from lines_task import Lines
from replaced_scorers import FunctionMetric

from bench import registry
from bench.errors import UnavailableError, UserError
from bench.metric import Metric, MetricResult, PipelineMetric, Requirements, format_signature
from bench.scoring.evaluation import choose_metrics, score_outputs
from bench.scoring.score import GateStatus, ScoreStatus
from bench.task import Item

ROOT = Path(__file__).resolve().parents[2]
METRICS = registry.metrics()
TASKS = ("e2e", "webnlg", "dart", "xsum", "another")
HYPOTHESES = ["The cat sat on the mat .", "", "A dog, running!"]
REFERENCES = [["the cat sat on a mat", "a cat sat"], ["A bird sings ."], ["", "the dog runs"]]


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]


def test_every_file_gives_a_metric() -> None:
    # Written out, so that an empty folder cannot pass: the columns of the paper's tables.
    paper = {"bleu", "nist", "meteor", "rouge_l", "cider", "ter", "moverscore", "bertscore", "bleurt"}
    assert paper | {"rouge1", "rouge2", "rougeL"} <= set(METRICS)
    folder = ROOT / "bench" / "metrics"
    files = {path.stem for path in folder.glob("[!_]*.py")} | {
        path.parent.name for path in folder.glob("[!_]*/__init__.py")
    }
    assert files == {type(found).__module__.removeprefix("bench.metrics.") for found in METRICS.values()}
    assert registry.broken("metrics") == []


def test_every_score_of_every_task_has_a_metric() -> None:
    for task in registry.tasks().values():
        for name in choose_metrics(task):
            assert registry.find_metric(task, name) is not None, (task.name, name)


def test_declaration(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][A-Za-z0-9_]*", metric.name)
    assert metric.summary.strip() and "\n" not in metric.summary and len(metric.summary) < 120
    assert set(metric.reported_for) <= set(registry.tasks())
    assert isinstance(metric.requirements, Requirements)
    if isinstance(metric, PipelineMetric):
        assert metric.usual is None or metric.usual in metric.pipelines
        assert {task for task in metric.pipelines if task != metric.usual} <= set(registry.tasks())


def test_the_same_way_is_the_same_metric_and_another_is_not(metric: Metric) -> None:
    for task in TASKS:
        assert metric.for_task(task) == metric.for_task(task)
    ways = {metric.for_task(task) for task in TASKS} - {None}
    assert len(ways) <= (len(metric.pipelines) if isinstance(metric, PipelineMetric) else 1)


@pytest.mark.parametrize("task", TASKS)
def test_a_value_a_signature_and_a_value_per_item(metric: Metric, task: str) -> None:
    scorer = metric.for_task(task)
    if scorer is None:
        return
    if metric.requirements.weights is not None:
        with pytest.raises(UnavailableError, match="BENCH_MODELS is not set"):
            scorer.score(HYPOTHESES, REFERENCES)
        return
    first, again = (scorer.score(HYPOTHESES, REFERENCES) for _ in range(2))
    assert first == again
    assert math.isfinite(first.value) and first.value >= 0
    assert all(len(values) == len(HYPOTHESES) for values in first.segments.values())
    assert re.fullmatch(r"[^\n|]+(\|[^\n|]+)+", format_signature(first.signature))


def test_listing_needs_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'numpy', 'scipy', 'pandas', 'bert_score'): sys.modules[name] = None\n"
        "from bench import registry\n"
        "assert not registry.broken('metrics'), registry.broken('metrics')\n"
        "print(*registry.metrics())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == sorted(METRICS)


# --- one more -----------------------------------------------------------------------------------------


def read_example() -> str:
    guide = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    return guide.split("```python\n")[1].split("```")[0]


def run_bench_with(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line as if the files of ``folder`` were in ``bench/metrics``."""
    code = (
        "import sys, bench.metrics\n"
        f"bench.metrics.__path__.append({str(folder)!r})\n"
        "from bench.cli import main\n"
        f"sys.exit(main({list(words)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def test_the_example_of_the_guide_is_a_metric_by_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "word_recall.py").write_text(read_example(), encoding="utf-8")
    (folder / "odd_one.py").write_text("import nobody_wrote_this", encoding="utf-8")
    pairs = tmp_path / "pairs.jsonl"
    lines = [{"hyp": "a cat sat", "refs": ["A cat sat", "x"]}, {"hyp": "a dog", "refs": ["a bird"]}]
    pairs.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ran = run_bench_with(
        folder, "score", "--task", "e2e", "--pairs", str(pairs), "--metric", "word_recall", "--json"
    )
    assert ran.returncode == 0, ran.stderr
    score = json.loads(ran.stdout)["scores"]["all"]["word_recall"]
    assert score == {
        "value": 0.75,
        "signature": "impl:word-recall|version:1|case:lower|refs:best",
        "status": "computed",
        "gate": "no golden outputs",
        "gate_status": "absent",
    }
    ran = run_bench_with(folder, "list", "metrics", "--json")
    rows = json.loads(ran.stdout)
    assert {row["task"] for row in rows if row.get("metric") == "word_recall"} == {"e2e", "webnlg"}
    [broken] = [row for row in rows if "broken" in row]
    assert broken["metric"] == "bench/metrics/odd_one.py"
    assert broken["broken"] == "needs the package 'nobody_wrote_this', which is not installed"


def test_another_packages_metric_comes_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys_scores.py").write_text(read_example(), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("word_recall", "somebodys_scores:WordRecall", "bench.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    discovery = registry.discover_plugins("bench.metrics", Metric, "bench.metrics")
    assert discovery.origin["word_recall"] == "word_recall = somebodys_scores:WordRecall"
    assert not discovery.broken


TASK = """
    from bench.metric import Metric, MetricResult
    from lines_task import Lines

    class CountedWords(Metric):
        name = "words"
        summary = "words per output"

        def score(self, hypotheses, references):
            counts = [float(len(text.split())) for text in hypotheses]
            return MetricResult(sum(counts) / len(counts), {"words": None, "refs": "none"}, {"words": counts})

    class Worded(Lines):
        name = "worded"
        metrics = ("words", "bleu")
        scorers = {"words": CountedWords}
"""


def test_a_task_brings_its_own_scorer_in_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.task import Task

    folder = tmp_path / "tasks_with_scorers"
    folder.mkdir()
    (folder / "worded.py").write_text(textwrap.dedent(TASK), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    discovery = registry.discover_plugins("tasks_with_scorers", Task, "no.such.group")
    assert not discovery.broken
    task = discovery.usable["worded"]
    items = [Item("1", "s", ("a b",)), Item("2", "s", ("c d e f",))]
    scores = score_outputs(task, items, ["a b", "c d e f"])["all"]
    assert (scores["words"].value, scores["words"].signature) == (3.0, "words|refs:none")
    assert scores["words"].segments == {"words": [2.0, 4.0]}
    assert scores["bleu"].value == pytest.approx(100)
    assert scores["bleu"].gate is not None and scores["bleu"].gate.status is GateStatus.PASSED  # E2E's scorer


def test_a_tasks_own_scorer_comes_before_the_general_one() -> None:
    class Own(Lines):
        name = "own"
        metrics = ("bleu",)
        # The contract declares it a ClassVar.
        scorers = {"bleu": FunctionMetric(lambda hypotheses, references: MetricResult(1.5, {"own": None}))}  # noqa: RUF012

    scores = score_outputs(Own(), [Item("1", "s", ("a",))], ["a"])["all"]
    assert (scores["bleu"].value, scores["bleu"].signature) == (1.5, "own")
    assert scores["bleu"].gate is not None and scores["bleu"].gate.status is GateStatus.ABSENT


def test_a_metric_may_do_without_references() -> None:
    class Length(Metric):
        name = "length"
        summary = "letters"
        requirements = Requirements(references=False)

        def score(self, hypotheses: object, references: object) -> MetricResult:
            return MetricResult(7.0, {"letters": None})

    class Lengths(Lines):
        name = "lengths"
        metrics = ("length", "bleu")
        scorers = {"length": Length}  # noqa: RUF012 - declared a ClassVar by the contract

    scores = score_outputs(Lengths(), [Item("1", "s", ())], ["a"])["all"]
    assert scores["length"].value == 7.0
    assert scores["bleu"].status is ScoreStatus.NO_REFERENCES


def test_asking_for_a_metric_whose_file_is_broken_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    discovery: registry.Discovery[Metric] = registry.Discovery(broken=[("bench/metrics/ter.py", "no luck")])
    monkeypatch.setattr(registry, "_metrics", lambda: discovery)
    with pytest.raises(
        UserError, match=r"metric 'ter' cannot be used: bench/metrics/ter.py is broken: no luck"
    ):
        registry.find_metric("webnlg", "ter")
    assert registry.find_metric("webnlg", "bleu") is None


def test_signatures_are_formatted_by_one_rule() -> None:
    signature = {"METEOR": None, "case": ("lower", "lc"), "idf": False, "norm": True, "layer": 17}
    assert format_signature(signature) == "METEOR|case:lower|case:lc|idf:no|norm:yes|layer:17"
