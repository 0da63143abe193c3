"""Site settings: the file, the command line over it, and what submitit is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cluster import site, site_values
from bench.cluster.backends import slurm
from bench.errors import DataError, UserError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "site.example.toml"
SMALL = {"model": "gpt2-medium", "method": "prefix", "task": "webnlg", "scale": "paper"}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90), (90, 90), ("4:00:00", 240), ("0:01:00", 1), ("0:00:30", 1), ("30:00", 30), ("0:30", 1),
        ("1-0", 1440), ("1-12", 2160), ("2-12:30", 3630), ("1-00:00:01", 1441),
    ],
)  # fmt: skip
def test_time_limits_as_slurm_writes_them(text: object, minutes: int) -> None:
    assert site_values.parse_minutes(text) == minutes


def test_the_example_is_valid_and_documents_every_key() -> None:
    found = site.load_site(EXAMPLE)
    text = EXAMPLE.read_text()
    for key in site_values.KEYS:
        assert key.name in text, key.name
    assert found.resources(SMALL)["time"] == 240
    large = found.resources({**SMALL, "model": "gpt2-large"})
    assert (large["time"], large["mem"], large["gpus"]) == (720, 64.0, 1)
    assert found.resources({**SMALL, "model": "gpt2-large", "method": "ft-full"})["gpus"] == 4


def test_the_command_line_comes_last() -> None:
    found = site.load_site(EXAMPLE, {"time": "1:00:00", "partition": None})
    assert found.resources({**SMALL, "model": "gpt2-large"})["time"] == 60
    assert found.origins["time"] == "command line"
    assert found.origins["partition"] == str(EXAMPLE)
    assert found.origins["processes"] == "default"


@pytest.mark.parametrize("text", ['partitoin = "x"', '[[shape]]\nmodel = "x"\npartitoin = "y"'])
def test_an_unknown_key_lists_every_valid_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(UserError, match="did you mean 'partition'") as caught:
        site.load_site(tmp_path / "site.toml")
    for key in site_values.KEYS:
        assert key.name in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('time = "soon"', "a time such as 4:00:00"),
        ("gpus = -1", "at least 0"),
        ('modules = "cuda"', "list of strings"),
        ("environment = 1", "table"),
        ("[[shape]]\ntime = 3", "which runs it is for"),
        ("shape = 3", r"\[\[shape\]\]"),
        ("modules = 3", r"modules 3: expected a list of strings"),
        ('partition = ["a"]', r"partition \['a'\]: expected text"),
        ("gpus = true", r"gpus True: expected a number \(int\)"),
        ("nodes = 1.7", r"nodes 1.7: expected a number \(int\)"),
        ("mem = nan", r"mem nan: expected a number"),
        ("mem = true", r"mem True: expected a number"),
        ("[environment]\nA = [1]", r"A = \[1\], expected text"),
        ('[slurm]\nexport = "NONE"', "which source to run"),
    ],
)
def test_wrong_values_are_explained(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        site.load_site(tmp_path / "site.toml")


def test_wrong_flags_are_explained() -> None:
    with pytest.raises(UserError, match="--mem nan: expected a number"):
        site.load_site(None, {"mem": "nan"})
    with pytest.raises(UserError, match=r"--nodes 1\.7"):
        site.load_site(None, {"nodes": "1.7"})


def test_exports_that_keep_everything_are_taken(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[slurm]\nexport = "ALL,A=1"\n')
    assert site.load_site(tmp_path / "site.toml").values["slurm"] == {"export": "ALL,A=1"}


def test_threads_follow_the_processors_of_a_process() -> None:
    lines = site.list_setup_lines({**site.load_site(EXAMPLE).values, "cpus": 3}, Path("/snap"))
    assert 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-3}"' in lines
    lines = site.list_setup_lines({**site.load_site(EXAMPLE).values, "cpus": None}, Path("/snap"))
    assert not any("OMP_NUM_THREADS" in line for line in lines)


def test_what_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("partition: x")
    with pytest.raises(DataError, match=r"site\.toml"):
        site.load_site(tmp_path / "site.toml")
    with pytest.raises(UserError, match="--site"):
        site.load_site(tmp_path / "none.toml")


def test_the_file_here_or_the_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BENCH_SITE", raising=False)
    assert site.find_site_file() is None
    (tmp_path / "site.toml").write_text('partition = "here"')
    assert site.load_site().values["partition"] == "here"
    (tmp_path / "other.toml").write_text('partition = "named"')
    monkeypatch.setenv("BENCH_SITE", str(tmp_path / "other.toml"))
    assert site.load_site().values["partition"] == "named"


def test_the_parameters_of_a_job() -> None:
    resources = site.load_site(EXAMPLE, {"gpus": 4, "nodes": 2, "signal_before": 60}).resources(SMALL)
    told = slurm.make_executor_parameters(resources, "name", Path("/snap"))
    assert (told["nodes"], told["tasks_per_node"], told["gpus_per_node"]) == (2, 4, 4)
    assert told["slurm_setup"][0] == "module load cuda/12.4"
    assert told["slurm_setup"][-2].startswith("export PYTHONPATH=/snap")
    assert told["slurm_signal_delay_s"] == 60
    assert told["timeout_min"] == 240
    local = site.make_executor_parameters(resources, "name", 60)
    assert not any(name.startswith("slurm") for name in local)
    short = slurm.make_executor_parameters({**resources, "time": 1}, "name", Path("/snap"))
    # Slurm may send it half a minute early, and then it must not come at the beginning.
    assert short["slurm_signal_delay_s"] == 10
    long = slurm.make_executor_parameters(
        {**resources, "time": 2, "signal_before": 120}, "name", Path("/snap")
    )
    assert long["slurm_signal_delay_s"] == 70


def test_a_site_that_is_there_and_no_file_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_SITE", raising=False)
    (tmp_path / "site.toml").symlink_to("nowhere")
    with pytest.raises(DataError, match="dangling link to 'nowhere'"):
        site.load_site()
    (tmp_path / "site.toml").unlink()
    (tmp_path / "site.toml").mkdir()
    with pytest.raises(DataError, match="a directory"):
        site.load_site()
