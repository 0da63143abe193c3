"""What a submission costs: from runs of the same size only, else the guess of `bench plan`, named as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from bench.config.request import CommonOptions, Resolver, expand_requests
from bench.data import sources
from bench.errors import UnavailableError
from tests.cluster.conftest import Bench

HERE = ["--cluster", "debug"]


def test_a_short_run_says_nothing_of_a_long_one(bench: Bench) -> None:
    bench.submit(*HERE, "--max-steps", "2")
    [alike] = bench.submit(*HERE, "--max-steps", "2", "--dry-run", seed="2")["runs"]
    assert alike["basis"] == "past records"
    words = ["--method", "prefix[length=3,hidden=8]", "--task", "webnlg", "--model", str(bench.model)]
    for more in (
        ["--limit", "100"],
        ["--limit", "6", "--epochs", "200"],
        ["--limit", "6", "--max-steps", "900"],
    ):
        document = bench("submit", *words, *more, "--dry-run")
        [other] = document["runs"]
        assert other["basis"] != "past records"
        assert other["hours"] > alike["hours"]
        assert document["estimate"]["known"] == 0
        assert document["estimate"]["bases"] == {other["basis"]: 1}


def test_it_is_what_plan_says(bench: Bench) -> None:
    submitted = bench("submit", "table5", "--method", "prefix", "--dry-run")
    planned = bench("plan", "table5", "--method", "prefix")
    [one], [other] = submitted["runs"], planned["runs"]
    assert one["basis"] == other["estimate"]["basis"] == "rough"
    assert one["hours"] * 3600 == pytest.approx(other["estimate"]["seconds"], abs=0.1)


def test_what_cannot_be_had_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def none(model: str, allow_download: bool) -> None:
        asked.append((model, allow_download))
        raise UnavailableError(f"no {model}")

    monkeypatch.setattr("bench.config.request.locate_model", none)
    requests = expand_requests(
        "prefix,ft-full", "webnlg,e2e", "1,2", CommonOptions(scale="paper", runs=tmp_path)
    )
    resolver = Resolver()
    for request in requests:
        with pytest.raises(UnavailableError, match="no gpt2-medium"):
            resolver.specify(request)
    assert asked == [("gpt2-medium", True)]


def test_a_dry_run_fetches_nothing_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def none(model: str, allow_download: bool) -> None:
        asked.append(allow_download)
        raise UnavailableError(f"no {model}")

    monkeypatch.setattr("bench.config.request.locate_model", none)
    monkeypatch.setattr(sources, "_from_publisher", lambda *_: pytest.fail("fetched"))
    words = [
        "submit",
        "--method",
        "prefix",
        "--task",
        "webnlg",
        "--scale",
        "paper",
        "--seed",
        "1,2",
        "--dry-run",
    ]
    assert main([*words, "--runs", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out
    assert asked == [False]
    assert "missing 2 runs: no gpt2-medium" in shown
    assert "2 rough" in shown
    assert not (tmp_path / "runs").exists()
