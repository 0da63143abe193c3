"""The experiments' files, what they expand to, and which of their runs a selector picks."""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from published_models import publish

import results
from bench import registry
from bench.cli.run import command as run_command
from bench.config import run_key
from bench.config.request import CommonOptions, RunRequest, SpecifiedRun, build_specified_run, specify_run
from bench.config.specification import resolve_run_settings
from bench.errors import DataError, UserError
from bench.experiments import files
from bench.experiments.expansion import Expansion, ExperimentSelection, expand_experiments
from bench.models.catalogue import FROM_BENCH_MODELS, LocatedModel, find_model_kind
from bench.task import Prepared

NAMES = (
    [f"table{n}" for n in range(1, 11)]
    + [f"figure{n}" for n in range(3, 9)]
    + ["claims", "efficiency", "seeds"]
)
SCALES = ("paper", "mini")
NO_RUNS = ("table1", "table6", "table8")


def counted(name: str, scale: str, **fields: Any) -> int:
    """Runs of the file whose fields are these; settings by their names."""
    found = 0
    for one in files.list_prescribed_runs(name, scale):
        values = {"task": one.task, "method": one.method, "model": one.model, "seed": one.seed}
        values |= {key: value for key, (value, _) in {**one.options, **one.settings}.items()}
        found += all(values.get(key) == value for key, value in fields.items())
    return found


def test_every_table_and_figure_has_its_file() -> None:
    assert set(NAMES) <= set(files.list_experiments())  # a file that was added is one more
    assert files.list_experiments()[:2] == ("table1", "table2")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_where_it_comes_from_and_expands_at_both_scales(name: str) -> None:
    content = files.load_experiment(name)
    assert "paper" in content.source
    for scale in SCALES:
        runs = files.list_prescribed_runs(name, scale)
        assert bool(runs) != (name in NO_RUNS or (name, scale) == ("seeds", "mini"))
        if not runs:
            assert "bench" in (content.note or "")  # what to type instead
        for run in runs:
            assert run.model.startswith("mini-") == (scale == "mini")
            for _, origin in {**run.options, **run.settings}.values():
                assert origin.startswith(f"experiment {run.experiment}: ")


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        # tasks x (5 methods on medium + 2 on large) x seeds
        ("table2", {}, 3 * (5 + 2) * 3),
        ("table2", {"model": "gpt2-large"}, 3 * 2 * 3),
        ("table2", {"method": "adapter", "size": "0.1%"}, 3 * 3),
        ("table3", {}, 3 * 3),
        ("table4", {}, 2 * 2 * 3),
        ("table5", {}, 7 * 3),
        ("table7", {"test_split": "dev"}, 2 * 3),
        ("table9", {"test_split": "dev"}, 63),
        ("table10", {"task": "webnlg"}, 2 * 3),
        # 2 tasks x 2 methods x 4 sizes x 5 subsets x 2 seeds
        ("figure3", {}, 2 * 2 * 4 * 5 * 2),
        ("figure3", {"task": "e2e", "method": "prefix", "train_subset": 50}, 5 * 2),
        ("figure3", {"task": "xsum", "method": "ft-full", "train_subset": 500, "dev_subset": 150}, 5 * 2),
        ("figure4", {"task": "dart"}, 5 * 3),
        ("figure4", {"task": "xsum"}, 8 * 3),
        ("figure5", {}, 9 * 5 * 2),
        ("figure5", {"init": "elephant", "train_subset": 100}, 5 * 2),
        ("figure6", {}, 2 * 5 * 5),
        ("figure6", {"train_share": 0.1}, 2 * 5),
        ("figure7", {}, 160),
        ("figure8", {}, 90),
        ("efficiency", {"batch_size": 1}, 6),
    ],
)
def test_how_many_runs_stand_behind_it(name: str, fields: dict[str, Any], expected: int) -> None:
    assert counted(name, "paper", **fields) == expected


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        # 3 tasks x 3 rates x 2 lengths of training x (5 prefix lengths, 2 kinds of fine-tuning, 2 adapters)
        ("search", {"model": "gpt2-medium"}, 3 * 3 * 2 * (5 + 2 + 2)),
        ("search", {"model": "bart-large"}, 3 * 3 * 8),
        ("search", {"test_split": "dev", "seed": 101}, 162 + 72),
        ("search", {"lr": 3e-5}, 0),
        ("search-code", {"lr": 3e-5}, 3 * (5 * 2 + 1)),
        ("search-code", {"epochs": 15}, 3 * 3),
        ("early-stop", {"keep": "best", "eval_every": 5000}, 3 * 3),
    ],
)
def test_how_many_runs_an_experiment_apart_has(name: str, fields: dict[str, Any], expected: int) -> None:
    assert counted(name, "paper", **fields) == expected


def test_all_is_what_stands_behind_the_paper_and_no_search() -> None:
    assert set(files.list_experiments()) - set(files.list_paper_experiments()) == {
        "search",
        "search-code",
        "early-stop",
    }
    assert set(expand_experiments("all", "paper").names) == set(NAMES)


def test_a_search_holds_the_settings_of_table_6() -> None:
    """What won is on the grid: with every method and task, the paper's own settings are among the runs."""
    found = set()
    for run in expand_experiments("search", "paper").runs:
        assert run.request is not None and run.resolved is not None
        usual = resolve_run_settings(
            run.request.task, run.request.method, {}, {}, run.prescribed.model, "paper", "original",
            find_model_kind(run.prescribed.model),
        )  # fmt: skip
        size = run.resolved.options.get("size")
        if size is not None:
            usual = resolve_run_settings(
                run.request.task,
                run.request.method,
                {"size": size.value},
                {},
                "gpt2-medium",
                "paper",
                "original",
            )
        same = all(
            run.resolved.settings[name].value == usual.settings[name].value for name in ("lr", "epochs")
        )
        length = run.resolved.options.get("length")
        if same and (length is None or length.value == usual.options["length"].value):
            found.add((run.prescribed.task, run.prescribed.method, size.value if size else None))
    # FT on WebNLG and DART: batch 6, rate 1e-5, on the grid as well.
    assert len(found) == 3 * 5 + 1


def test_xsum_with_little_data_is_as_the_paper_says_and_else_as_the_code() -> None:
    runs = [one for one in files.list_prescribed_runs("figure3", "paper") if one.task == "xsum"]
    assert {one.settings["warmup_steps"][0] for one in runs} == {100}
    assert {one.settings["keep"][0] for one in runs} == {"best-dev-rouge2"}
    origins = {one.method: one.settings["warmup_steps"][1] for one in runs}
    assert "authors' code: 0 for fine-tuning" in origins["ft-full"]


def test_low_data_is_every_combination_once() -> None:
    runs = [
        one
        for one in files.list_prescribed_runs("figure3", "paper")
        if one.task == "e2e" and one.method == "prefix"
    ]
    found = Counter((one.settings["train_subset"][0], one.settings["data_seed"][0], one.seed) for one in runs)
    assert set(found) == set(itertools.product((50, 100, 200, 500), range(5), (200, 9)))
    assert set(found.values()) == {1}
    for one in files.list_prescribed_runs("figure3", "paper"):
        assert one.settings["dev_subset"][0] == round(0.3 * int(str(one.settings["train_subset"][0])))


def test_the_length_of_low_data_training_is_table_8() -> None:
    """Compared with the paper's table as transcribed for the reports."""
    place = Path(results.__file__ or "").parent / "paper" / "table8.json"
    cells = json.loads(place.read_text(encoding="utf-8"))["cells"]
    assert len(cells) == 16
    for cell in cells:
        size = cell["settings"]["train_size"]
        where = {"task": cell["task"], "method": cell["method"], "train_subset": size}
        assert counted("figure3", "paper", **where, **{cell["metric"]: cell["value"]}) == 10, cell


def test_only_what_is_not_installed_is_not_available() -> None:
    for scale in SCALES:
        for one in expand_experiments("all", scale).unavailable:
            assert one.prescribed.task.startswith("xsum"), one.reason
            assert "is not part of this installation" in one.reason


def test_a_task_that_is_not_here_is_listed_and_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: task for name, task in registry.tasks().items() if name != "dart"}
    monkeypatch.setattr(registry, "_tasks", lambda: registry.Discovery(without))
    expansion = expand_experiments("table2", "mini")
    assert (len(expansion.runs), len(expansion.requests)) == (15, 10)
    assert {one.reason for one in expansion.unavailable} == {"task dart is not part of this installation"}


@pytest.mark.parametrize("scale", SCALES)
def test_what_experiments_prescribe_is_what_the_runs_have(scale: str) -> None:
    for one in expand_experiments("all", scale).runs:
        if one.resolved is None:
            continue
        for name, (value, origin) in one.prescribed.settings.items():
            assert one.resolved.settings[name].value == value
            assert one.resolved.settings[name].origin == origin
        for name, (_, origin) in one.prescribed.options.items():
            assert one.resolved.options[name].origin == origin


def requests_of(expansion: Expansion, **fields: Any) -> list[RunRequest]:
    return [
        run.request
        for run in expansion.runs
        if run.request is not None
        and run.resolved is not None
        and all(run.resolved.settings[name].value == value for name, value in fields.items())
    ]


def test_low_data_settings_win_over_table_6_and_lose_to_the_user() -> None:
    chosen = ExperimentSelection(
        tasks="e2e", methods="prefix", seeds="9", settings={"train_subset": 500, "data_seed": 4}
    )
    [run] = expand_experiments("figure3", "paper", chosen).runs
    assert run.resolved is not None
    values = {name: one.value for name, one in run.resolved.settings.items()}
    assert (values["lr"], values["max_steps"], values["warmup_steps"]) == (5e-5, 400, 100)
    assert (values["objective"], values["test_split"], values["keep"]) == ("mean", "dev", "best")
    assert run.resolved.settings["lr"].origin == "experiment figure3: paper §A.2"
    assert run.resolved.options["init"].value == "table-to-text:"
    [typed] = expand_experiments("figure3", "paper", chosen, CommonOptions(given={"lr": "1e-3"})).runs
    assert typed.resolved is not None
    assert (typed.resolved.settings["lr"].value, typed.resolved.settings["lr"].origin) == (
        1e-3,
        "command line",
    )
    assert typed.key != run.key


def test_a_run_that_several_experiments_need_is_one() -> None:
    both = expand_experiments(["table2", "table5"], "paper")
    assert len(both.runs) == 63 + 21 - 3
    assert both.duplicates == 3
    shared = [run for run in both.runs if len(run.experiments) == 2]
    assert {run.prescribed.selector for run in shared} == {"prefix"}
    # Another wording of the same run: length 10 is DART's in Table 6.
    lengths = expand_experiments(
        ["table2", "figure4"],
        "paper",
        ExperimentSelection(tasks="dart", models="gpt2-medium", methods="prefix"),
    )
    assert len(lengths.runs) == 5 * 3
    words = expand_experiments(
        ["figure3", "figure5"], "paper", ExperimentSelection(tasks="e2e", methods="prefix")
    )
    assert len(words.runs) == 40 + 90 - 10
    assert expand_experiments(["figure5", "figure8"], "paper").duplicates == 90


def test_all_is_every_experiment_and_names_are_taken_once() -> None:
    assert expand_experiments("all", "mini").names == files.list_paper_experiments()
    assert len(expand_experiments(["table5", "table5"], "mini").runs) == 7


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("table5", ExperimentSelection(methods="embedding"), 3),
        ("table5", ExperimentSelection(methods="embedding[length=1,20],infix[length=10]"), 3),
        ("table5", ExperimentSelection(methods="prefix[length=5]"), 1),  # by what it resolves to
        ("table2", ExperimentSelection(tasks="e2e,dart", methods="adapter[size=3%]"), 2),
        ("table2", ExperimentSelection(methods="prefix", tasks="webnlg"), 1),
        ("figure6", ExperimentSelection(settings={"train_share": "0.1"}), 2),
    ],
)
def test_selectors_narrow(name: str, chosen: ExperimentSelection, expected: int) -> None:
    scale = "paper" if chosen.methods == "prefix[length=5]" else "mini"
    seeds = "101" if scale == "paper" else None
    runs = expand_experiments(
        name, scale, ExperimentSelection(chosen.tasks, chosen.methods, chosen.models, seeds, chosen.settings)
    ).runs
    assert len(runs) == expected


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("tabel5", ExperimentSelection(), r"unknown experiment 'tabel5'; did you mean 'table5'"),
        ("table5", ExperimentSelection(tasks="dart"), r"unknown task of table5 'dart'.* Valid: e2e"),
        (
            "table5",
            ExperimentSelection(methods="prefx"),
            r"unknown method of table5 'prefx'; did you mean 'prefix'",
        ),
        (
            "table5",
            ExperimentSelection(methods="embedding[length=7]"),
            r"has embedding\[length=1\], embedding\[length=10\]",
        ),
        ("table5", ExperimentSelection(methods="embedding[lenth=1]"), r"did you mean 'length'"),
        (
            "table5",
            ExperimentSelection(models="gpt2-medium"),
            r"unknown model of table5 'gpt2-medium'.*mini-gpt2",
        ),
        ("table5", ExperimentSelection(seeds="x"), r"whole numbers"),
        (
            "figure3",
            ExperimentSelection(settings={"train_subset": 70}),
            r"--train-subset 70: figure3 has 50, 200",
        ),
        (
            "figure3",
            ExperimentSelection(tasks="e2e", settings={"train_subset": "many"}),
            r"--train-subset many: expected a whole number",
        ),
        (
            ["table4", "table5"],
            ExperimentSelection(tasks="xsum-within-news", methods="infix"),
            r"no run fits all",
        ),
    ],
)
def test_a_selector_that_fits_nothing_says_what_there_is(
    name: Any, chosen: ExperimentSelection, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        expand_experiments(name, "mini", chosen)


def test_seeds_that_are_typed_extend_an_experiment() -> None:
    own, more = (
        expand_experiments("table5", "mini"),
        expand_experiments("table5", "mini", ExperimentSelection(seeds="101,7,8")),
    )
    assert len(more.runs) == 3 * len(own.runs)
    assert {run.key for run in own.runs} <= {run.key for run in more.runs}
    # Subsets and seeds of low-data runs stay apart: each subset has every seed.
    few = expand_experiments(
        "figure3", "paper", ExperimentSelection(tasks="e2e", methods="ft-full", seeds="7")
    )
    asked = [
        (run.prescribed.settings["train_subset"][0], run.prescribed.settings["data_seed"][0])
        for run in few.runs
    ]
    assert len(asked) == len(set(asked)) == 4 * 5
    assert {run.prescribed.seed for run in few.runs} == {7}


def test_settings_that_vary_narrow_and_others_override() -> None:
    one = expand_experiments(
        "figure3",
        "mini",
        ExperimentSelection(tasks="e2e"),
        CommonOptions(given={"train_subset": "50", "max_steps": 3}),
    )
    assert len(one.runs) == 4
    for run in one.runs:
        assert run.resolved is not None
        assert run.resolved.settings["train_subset"].origin.startswith("experiment figure3")
        assert run.resolved.settings["max_steps"].origin == "command line"


# --- the command of a run


def pretend(request: RunRequest) -> SpecifiedRun:
    """The request with data and weights that need not be here."""
    model = LocatedModel(
        request.model, Path("nowhere"), FROM_BENCH_MODELS, "f" * 64, find_model_kind(request.model)
    )
    return build_specified_run(request, model, Prepared(request.task, Path("nowhere"), "directory", "d" * 64))


def asked_again(command: str) -> Expansion:
    """What `bench run` would do with a command line."""
    words = shlex.split(command)
    assert words[:2] == ["bench", "run"]
    typed = run_command.make_context("run", words[2:]).params
    flags = ("methods", "tasks", "model", "scale", "protocol", "seeds", "runs", "data_dir", "offline")
    known = (*flags, "experiments", "any_row_count", "dry_run", "as_json")
    given = {name: value for name, value in typed.items() if name not in known and value is not None}
    chosen = ExperimentSelection(typed["tasks"], typed["methods"], typed["model"], typed["seeds"])
    common = CommonOptions(protocol=typed["protocol"], given=given)
    return expand_experiments(typed["experiments"], typed["scale"], chosen, common)


def check_commands(runs: list[Any]) -> None:
    for run in runs:
        command = pretend(run.request).command
        [again] = asked_again(command).runs
        assert again.key == run.key, command


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_command_asks_for_exactly_that_run(name: str) -> None:
    for scale in SCALES:
        runs = [run for run in expand_experiments(name, scale).runs if run.request is not None]
        check_commands(runs[:: max(1, len(runs) // 3)])


@pytest.mark.slow
def test_the_recorded_command_of_every_run() -> None:
    for scale in SCALES:
        check_commands([run for run in expand_experiments("all", scale).runs if run.request is not None])


def test_the_command_keeps_what_was_typed() -> None:
    common = CommonOptions(protocol="plain", given={"epochs": 1, "decode_batch": 4})
    [run] = expand_experiments("table5", "mini", ExperimentSelection(methods="infix[length=1]"), common).runs
    assert run.request is not None
    command = pretend(run.request).command
    assert command.startswith("bench run table5 --method 'infix[length=1]' --task e2e --model mini-gpt2")
    assert "--epochs 1" in command
    assert "--protocol plain" in command
    assert "--decode-batch" not in command
    [again] = asked_again(command).runs
    assert again.key == run.key


# --- comparability


def test_a_run_of_an_experiment_is_comparable_and_an_overridden_one_is_not(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "gpt2-medium"
    shutil.copytree(tiny_model, folder)
    publish(monkeypatch, "gpt2-medium", folder)

    def found(task: Any, *args: object, **kinds: object) -> Prepared:
        return Prepared(task, tmp_path, "directory", "d" * 64)

    monkeypatch.setattr("bench.config.request.prepare", found)
    chosen = ExperimentSelection(
        tasks="e2e", methods="prefix", seeds="9", settings={"train_subset": 50, "data_seed": 0}
    )
    [request] = expand_experiments("figure3", "paper", chosen).requests
    ours = specify_run(request)
    assert ours.not_comparable == []
    assert ours.spec["train_subset"] == 50
    for given in ({"lr": 1e-3}, {"limit": 10}):
        [request] = expand_experiments("figure3", "paper", chosen, CommonOptions(given=given)).requests
        [reason] = specify_run(request).not_comparable
        assert reason == f"settings from the command line: {next(iter(given))}"
    [request] = expand_experiments(
        "figure3",
        "mini",
        ExperimentSelection(tasks="e2e", methods="prefix", settings={"train_subset": 50, "data_seed": 0}),
    ).requests
    assert "scale mini" in specify_run(request).not_comparable


# --- what a file may hold

GOOD = """
title = "A trial"
source = "our choice"
[[grid]]
tasks = ["e2e"]
methods = ["prefix"]
models = ["mini-gpt2"]
seeds = [1]
"""


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    name = f"trial{abs(hash((text, str(tmp_path))))}"  # files are read once per name
    (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "lengths = [1]", r"unknown key .* 'lengths'"),
        (GOOD.replace("seeds", "sedes"), r"did you mean 'seeds'"),
        (GOOD.replace("[1]", "[]"), r"has no seeds at scale"),
        (GOOD + "[grid.settings]\nlearning = {value = 1, origin = 'x'}", r"unknown setting"),
        (GOOD + "[grid.settings]\nlimit = {value = 1, origin = 'x'}", r"unknown setting .*'limit'"),
        (GOOD + "[grid.settings]\nlr = {value = 1}", r"settings\.lr\.origin is missing"),
        (GOOD + "[grid.settings]\nlr = {value = 1, values = [1], origin = 'x'}", r"either value or values"),
        (GOOD + "[grid.settings]\nlr = {value = 'fast', origin = 'x'}", r"--lr fast"),
        (
            GOOD + "[grid.settings]\nlr = {values = [1, 2], per = 'epochs', origin = 'x'}",
            r"one value for each",
        ),
        (GOOD + "[[reuse]]\nexperiment = 'table0'", r"the name of another experiment"),
        (GOOD.replace("title", "titel"), r"did you mean 'title'"),
        ("apart = 'yes'" + GOOD, r"apart is 'yes': expected true or false"),
        ("stands_for = 'table0'" + GOOD, r"stands_for: expected the name of an experiment"),
        ("title =", r"not TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, text)
    with pytest.raises((DataError, UserError), match=message):
        files.list_prescribed_runs(name, "mini")


def test_values_per_another_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        GOOD
        + """[grid.settings]
train_subset = {values = [5, 10], origin = "x"}
data_seed = {values = [0, 1, 2], origin = "x"}
epochs = {values = [8, 4], per = "train_subset", origin = "x"}
"""
    )
    runs = files.list_prescribed_runs(written(tmp_path, monkeypatch, text), "mini")
    found = [tuple(one.settings[n][0] for n in ("train_subset", "data_seed", "epochs")) for one in runs]
    assert found == [(5, 0, 8), (5, 1, 8), (5, 2, 8), (10, 0, 4), (10, 1, 4), (10, 2, 4)]
    assert runs[0].varied == ("train_subset", "data_seed")


def test_the_example_of_the_contributing_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    name = written(tmp_path, monkeypatch, guide.split("```toml\n")[1].split("```")[0])
    assert len(expand_experiments(name, "paper").requests) == (3 + 1) * 2 * 3
    assert len(expand_experiments(name, "mini").requests) == (3 + 1) * 2


def test_keys_of_requests_and_records_agree() -> None:
    for run in expand_experiments("all", "mini").runs:
        if run.request is None:
            continue
        record = pretend(run.request).spec.to_json()
        assert run_key.compute_record_key(record) == run.key
        # A record from before a setting existed had it at its default.
        if record["settings"]["data_seed"]["value"] is None:
            old = {n: one for n, one in record["settings"].items() if n not in ("train_share", "data_seed")}
            assert run_key.compute_record_key({**record, "settings": old}) == run.key
