"""A backend is one file: found by being there, and used by every verb without being named anywhere."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from bench.cluster import backends
from bench.cluster.backends import DEFAULT_BACKEND, get_backend, list_backends
from bench.cluster.launches import LaunchState, find_latest_jobs, make_launch, read_launches
from bench.config import request as requests
from bench.errors import UnknownNameError
from bench.models import catalogue
from tests.cluster.conftest import Bench

ROOT = Path(__file__).resolve().parents[2]
TOY = '''
"""Jobs that are only written down."""

from bench.cluster.backends.base import Answer, Backend, JobPhase, JobState


class Toy(Backend):
    name = "toy"
    summary = "a file of wishes"

    def check(self, resources):
        pass

    def hand_over(self, launch, source):
        launch.folder.joinpath("wishes.txt").write_text("\\n".join(entry.run_id for entry in launch.jobs))

    def query(self, jobs):
        numbers = {run_id: job.entry.job for run_id, job in jobs.items()}
        state = JobState("DREAMING", node="n7", phase=JobPhase.WAITING)
        return Answer(dict.fromkeys(numbers.values(), state), jobs=numbers)

    def cancel(self, jobs, numbers):
        return [True] * len(numbers)
'''


def test_every_file_is_a_backend_and_an_unknown_one_lists_all() -> None:
    files = {path.stem for path in Path(backends.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert set(list_backends()) == files
    assert DEFAULT_BACKEND in files
    with pytest.raises(UnknownNameError, match="did you mean 'slurm'"):
        get_backend("slrum")


def test_a_new_backend_is_one_file(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(folder)])
    launched = bench.submit("--cluster", "toy", seed="1,2")
    assert [job["job"] for job in launched["jobs"]] == [f"toy-{launched['id']}-{n}" for n in (0, 1)]
    [launch] = read_launches(bench.runs)
    assert launch.document.status is LaunchState.SUBMITTED
    assert len((launch.folder / "wishes.txt").read_text().split()) == 2
    assert {(row.state, row.node) for row in bench.rows().values()} == {("queued", "n7")}
    assert len(bench.submit("--cluster", "toy", seed="1,2")["jobs"]) == 0  # it has them already
    assert len(bench("cancel", "--all")["cancelled"]) == 2


def test_nobody_asks_which_backend_it_is() -> None:
    """No name of a backend is compared with anything outside its own file."""
    names = "|".join(list_backends())
    compared = re.compile(
        rf"""[!=]=\s*["']({names})["']|["']({names})["']\s*[!=]=|\bin \(["']({names})["']"""
    )
    places = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "bench").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if compared.search(line)
    ]
    assert places == []


def test_a_submission_and_a_job_hash_the_backbone_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = requests.locate_model

    def count(model: str, **options: bool) -> catalogue.LocatedModel:
        hashed.append(model)
        return original(model, **options)

    monkeypatch.setattr(requests, "locate_model", count)
    bench.submit("--cluster", "debug", seed="1,2,3")
    assert len(hashed) == 1 + 3  # the submission of three runs, and each of three jobs


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "samples" / "launches").glob("*.json")), ids=lambda path: path.stem
)
def test_a_launch_of_an_earlier_version_is_read(path: Path, tmp_path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    launch = make_launch(tmp_path, content)
    assert launch.document.to_json() | {"status": None} == content | {"status": None}
    assert launch.document.status is LaunchState(content["state"].split(":")[0].replace(" ", "-"))
    launch.write()
    [job] = find_latest_jobs(tmp_path).values()
    assert (job.entry.run_id, job.entry.seed) == (content["jobs"][0]["run_id"], content["jobs"][0]["seed"])
    assert job.array.resources == content["arrays"][0]["resources"]


def test_supervisors_start_from_their_new_place() -> None:
    """What `bench submit --cluster local` starts is a module that can be run."""
    import sys

    words = [sys.executable, "-m", "bench.cluster.backends.local"]
    assert "IndexError" in subprocess.run(words, capture_output=True, text=True, cwd=ROOT).stderr
