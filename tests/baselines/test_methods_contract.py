"""What every method file must fulfil, whichever methods there are."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tiny import BACKBONES, Letters

import baselines
from bench import registry
from bench.config.settings import DEFINITIONS_BY_NAME
from bench.errors import UserError
from bench.method import DECODER_ONLY, ENCODER_DECODER, Method
from bench.models.adapted import AdaptedModel
from bench.models.catalogue import find_model_kind
from bench.models.parameter_count import count_parameters, list_variants
from bench.task import Task

FOLDER = Path(baselines.__file__).parent
MODULES = {
    f"baselines.{path.stem}"
    for path in [*FOLDER.glob("*.py"), *(init.parent for init in FOLDER.glob("*/__init__.py"))]
    if not path.name.startswith("_")
}
"""Every file and every folder of the methods."""
METHODS = registry.methods()


class SomeTask:
    """As much of a task as a method may look at."""

    name = "some-task"
    instruction = "Describe the facts:"


@pytest.fixture(params=sorted(METHODS))
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


def test_every_file_gives_a_method() -> None:
    # The paper's methods are written out here so that an empty folder cannot pass.
    paper = {"adapter", "embedding", "ft-full", "ft-top2", "infix", "prefix", "prompt"}
    assert paper <= set(METHODS)
    assert {f"baselines.{name.replace('-', '_')}" for name in paper} <= MODULES
    found = {type(method).__module__ for method in METHODS.values()}
    assert found >= MODULES, f"no method was discovered in {MODULES - found}"
    assert registry.broken("methods") == []


def test_the_example_of_the_contributing_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (FOLDER.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (tmp_path / "guide").mkdir()
    code = textwrap.dedent("   " + guide.split("```python\n   ")[1].split("```")[0])
    (tmp_path / "guide" / "bias.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = registry.discover_plugins("guide", Method, "no.such.group")
    assert not found.broken
    bias = found.usable["bias"]
    mini = bias.settings_for("mini", "webnlg", {})
    assert {name: value for name, (value, _) in mini.items()} == {
        "objective": "mean", "backbone_dropout": False, "lr": 1e-2
    }  # fmt: skip
    assert set(bias.settings_for("paper", "webnlg", {})) == {"objective", "backbone_dropout"}
    trained = bias.build(BACKBONES[DECODER_ONLY](), None, {}, 0).trained_state()
    assert trained and all(name.endswith(".bias") for name in trained)


def test_listing_needs_no_torch() -> None:
    """Not even where torch cannot be imported, and no other heavy package either."""
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'pandas'): sys.modules[name] = None\n"
        "from bench import registry\n"
        "assert not registry.broken('methods'), registry.broken('methods')\n"
        "print(*registry.methods())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parent, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(METHODS)


def test_declaration(method: Method) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", method.name)
    assert method.summary.strip() and "\n" not in method.summary and len(method.summary) < 120
    assert method.source.strip()
    assert method.kinds and set(method.kinds) <= {DECODER_ONLY, ENCODER_DECODER}
    names = [option.name for option in method.options]
    assert len(set(names)) == len(names)
    assert not set(names) & set(DEFINITIONS_BY_NAME), "an option hides a setting of the harness"
    for option in method.options:
        assert option.help.strip()
        assert option.default is None or option.parse(option.default, method.name) == option.default


def test_unknown_option_is_refused(method: Method) -> None:
    with pytest.raises(UserError, match=rf"unknown option of method {method.name} 'lenght'"):
        method.resolve_options({"lenght": 5})


def test_variants_survive_a_selector(method: Method) -> None:
    assert method.variants
    for variant in method.variants:
        typed = ";".join(f"{name}={value}" for name, value in variant.items())
        selector = f"{method.name}[{typed}]"
        [(name, options)] = registry.parse_selector(selector)
        assert name == method.name
        assert method.resolve_options(options) == method.resolve_options(variant)


MODELS = {"gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "bart-large": 406_291_456}


@pytest.mark.parametrize("model", ["", *MODELS])
@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_settings(method: Method, scale: str, model: str) -> None:
    """Every setting is known to the harness or an option, has a good value and an origin."""
    options = {option.name: option for option in method.options}
    kind = find_model_kind(model) if model else DECODER_ONLY
    if kind not in method.kinds:
        pytest.skip(f"{method.name} is not made for {kind} models: it has no settings for {model}")
    splits = ["xsum", "xsum-within-news", "xsum-news-to-sports"]
    tasks = ["e2e", "webnlg", "dart"] if kind == DECODER_ONLY else splits
    assert set(method.tables(kind).get(scale, {})) <= {"*", *tasks}
    for variant in method.variants_for(kind):
        resolved = method.resolve_options(variant)
        for task in [*tasks, "a-task-nobody-wrote"]:
            settings = method.settings_for(scale, task, resolved, model, kind)
            assert {"objective", "backbone_dropout"} <= set(settings)
            for name, (value, origin) in settings.items():
                assert origin.strip()
                if name in options:
                    assert options[name].parse(value, method.name) == value
                else:
                    assert DEFINITIONS_BY_NAME[name].parse(value) == value
                if model == "gpt2-large" and "Table 6" in origin:
                    assert "medium" in origin


@pytest.mark.parametrize("model", ["gpt2-medium", "bart-large"])
def test_counts_and_builds(method: Method, model: str) -> None:
    kind = find_model_kind(model)
    assert bool(list_variants(method, model)) == (kind in method.kinds)
    for options in list_variants(method, model):
        counted = count_parameters(method, model, options)
        assert counted["total"] == MODELS[model]
        assert (counted["trainable"] > 0) == (counted["stored"] > 0) == method.trains
        adapted = method.build(BACKBONES[kind](), Letters(), method.resolve_options(options), 0)
        assert isinstance(adapted, AdaptedModel)
        assert bool(adapted.trained_state()) == method.trains
        declared = method.settings_for("paper", "e2e", method.resolve_options(options), model, kind)
        assert adapted.backbone_dropout == declared["backbone_dropout"][0]


def test_source_text(method: Method) -> None:
    """By default a method reads the source as it is; whoever changes it keeps it at the end."""
    task: Task = SomeTask()
    text = method.instruct(" | a : b : c", task, method.resolve_options({}))
    assert text.endswith(" | a : b : c")


def test_literal_text() -> None:
    task: Task = SomeTask()
    prompt, full = METHODS["prompt"], METHODS["ft-full"]
    assert prompt.instruct("name : X", task, {}) == "Describe the facts: name : X"
    assert full.instruct("name : X", task, {"words": ""}) == "name : X"
    assert full.instruct("name : X", task, {"words": "table-to-text:"}) == "table-to-text: name : X"
    assert METHODS["prefix"].instruct("name : X", task, {"init": "summarize"}) == "name : X"


# task: (learning rate, epochs, batch size), as Table 6 prints them.
TABLE6 = {
    ("prefix", ""): {"e2e": (8e-5, 5, 10), "webnlg": (5e-5, 5, 5), "dart": (5e-5, 10, 5)},
    ("ft-full", ""): {"e2e": (5e-5, 5, 10), "webnlg": (1e-5, 10, 6), "dart": (1e-5, 10, 6)},
    ("ft-top2", ""): {"e2e": (5e-5, 5, 10), "webnlg": (5e-5, 10, 9), "dart": (5e-5, 5, 5)},
    ("adapter", "3%"): {"e2e": (5e-5, 5, 5), "webnlg": (5e-5, 5, 5), "dart": (5e-5, 5, 5)},
    ("adapter", "0.1%"): {"e2e": (8e-5, 10, 5), "webnlg": (5e-5, 10, 5), "dart": (8e-5, 5, 5)},
}
LENGTHS = {"e2e": 5, "webnlg": 5, "dart": 10}


@pytest.mark.parametrize(("name", "size"), TABLE6)
def test_table_6(name: str, size: str) -> None:
    method = METHODS[name]
    options = method.resolve_options({"size": size} if size else {})
    for task, row in TABLE6[name, size].items():
        settings = method.settings_for("paper", task, options, "gpt2-medium")
        assert tuple(settings[key][0] for key in ("lr", "epochs", "batch_size")) == row
        assert all("Table 6" in settings[key][1] for key in ("lr", "epochs", "batch_size"))
        if name == "prefix":
            assert settings["length"][0] == LENGTHS[task]
    objective = METHODS[name].settings_for("paper", "e2e", options)["objective"][0]
    assert objective == ("sum" if name == "prefix" else "mean")


# Of BART: (learning rate, epochs, batch size) on XSUM, within news, news to sports. Full XSUM was not run
# by full fine-tuning.
SEQ2SEQ_TABLE6 = {
    "prefix": {
        "xsum": (5e-5, 30, 14),
        "xsum-within-news": (5e-5, 30, 36),
        "xsum-news-to-sports": (5e-5, 15, 36),
    },
    "ft-full": {"xsum-within-news": (3e-5, 5, 18), "xsum-news-to-sports": (3e-5, 5, 18)},
}
SEQ2SEQ_LENGTHS = {"xsum": 100, "xsum-within-news": 80, "xsum-news-to-sports": 40}


@pytest.mark.parametrize("name", SEQ2SEQ_TABLE6)
def test_table_6_of_bart(name: str) -> None:
    method = METHODS[name]
    options = method.resolve_options({})
    for task, row in SEQ2SEQ_TABLE6[name].items():
        settings = method.settings_for("paper", task, options, "bart-large", ENCODER_DECODER)
        assert tuple(settings[key][0] for key in ("lr", "epochs", "batch_size")) == row
        assert all("Table 6" in settings[key][1] for key in ("lr", "epochs", "batch_size"))
        assert (settings["objective"][0], settings["backbone_dropout"][0]) == ("mean", True)
        if name == "prefix":
            assert (settings["length"][0], settings["hidden"][0]) == (SEQ2SEQ_LENGTHS[task], 800)
    unpublished = METHODS["ft-full"].settings_for(
        "paper", "xsum", {"words": ""}, "bart-large", ENCODER_DECODER
    )
    assert unpublished["lr"][1].startswith("our choice")
