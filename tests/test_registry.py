"""Finding methods and tasks, whatever state their files are in, and reading selectors."""

from __future__ import annotations

import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench import registry
from bench.errors import UserError
from bench.method import Method

GOOD = """
    from bench.method import Method

    class Good(Method):
        name = "NAME"
        summary = "a method"
        source = "nowhere"

        def build(self, backbone, tokenizer, options, seed):
            raise NotImplementedError
"""


def package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, str]
) -> registry.Discovery[Method]:
    """What is discovered in a new package with these files."""
    where = folder / name
    where.mkdir()
    (where / "__init__.py").touch()
    for file, text in files.items():
        (where / file).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(folder)
    return registry.discover_plugins(name, Method, "no.such.group")


def test_one_new_file_is_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that imports torch at its top, and helpers with ``_`` are left alone."""
    files = {
        "one.py": GOOD.replace("NAME", "one"),
        "two.py": "import torch\nfrom torch import nn\n" + textwrap.dedent(GOOD).replace("NAME", "two"),
        "_helper.py": "raise RuntimeError('not to be imported')",
    }
    found = package(tmp_path, monkeypatch, "plugins_one_file", files)
    assert list(found.usable) == ["one", "two"]
    assert found.broken == []
    assert found.origin["two"] == "plugins_one_file/two.py"


BROKEN = {
    "syntax.py": ("def f(:\n", "SyntaxError: "),
    "raises.py": ("raise ValueError('first line\\nsecond')", "ValueError: first line"),
    "leaves.py": ("raise SystemExit('gone')", "SystemExit: gone"),
    "missing.py": ("import nobody_wrote_this", "needs the package 'nobody_wrote_this'"),
    "nothing.py": ("x = 1", "defines no method"),
    "only_imports.py": ("from bench.method import Method", "defines no method"),
    "unfinished.py": (
        "from bench.method import Method\nclass Half(Method):\n    name = 'half'",
        "defines no method",
    ),
    "nameless.py": (GOOD.replace('name = "NAME"', ""), "class Good has no `name`"),
    "twin.py": (GOOD.replace("NAME", "good"), "the name 'good' is taken by PACKAGE/good.py"),
    "unmakeable.py": (
        GOOD.replace("NAME", "unmakeable") + "\n        def __init__(self): raise OSError('no disk')\n",
        "OSError: no disk",
    ),
}  # fmt: skip


@pytest.mark.parametrize("file", BROKEN)
def test_a_broken_file_does_not_stop_the_others(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"plugins_with_{Path(file).stem}"
    text, cause = BROKEN[file]
    files = {"good.py": GOOD.replace("NAME", "good"), file: text, "zebra.py": GOOD.replace("NAME", "zebra")}
    found = package(tmp_path, monkeypatch, name, files)
    assert list(found.usable) == ["good", "zebra"]
    [(where, told)] = found.broken
    assert where == f"{name}/{file}"
    assert cause.replace("PACKAGE", name) in told
    assert "\n" not in told


def test_asking_for_a_broken_one_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"good.py": GOOD.replace("NAME", "good"), "my_method.py": "import nobody_wrote_this"}
    found = package(tmp_path, monkeypatch, "plugins_asked", files)
    assert registry.get_plugin("method", "good", found).name == "good"
    with pytest.raises(UserError, match=r"'my-method' cannot be used: plugins_asked/my_method.py is broken"):
        registry.get_plugin("method", "my-method", found)


def test_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other packages add a class or a module; what cannot be loaded is broken like a file."""
    (tmp_path / "somebody.py").write_text(textwrap.dedent(GOOD).replace("NAME", "theirs"))
    (tmp_path / "somebody_else.py").write_text(textwrap.dedent(GOOD).replace("NAME", "others"))
    monkeypatch.syspath_prepend(tmp_path)
    group = "bench.methods"
    points = [
        EntryPoint("a", "somebody:Good", group),
        EntryPoint("b", "somebody_else", group),
        EntryPoint("c", "somebody:Missing", group),
        EntryPoint("d", "pathlib:Path", group),
        EntryPoint("e", "absent_package:Good", group),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    found = registry.discover_plugins("baselines", Method, group)
    assert {"theirs", "others", "prefix", "ft-full"} <= set(found.usable)
    causes = dict(found.broken)
    assert list(causes) == [
        "c = somebody:Missing",
        "d = pathlib:Path",
        "e = absent_package:Good",
    ]
    assert causes["d = pathlib:Path"] == "TypeError: pathlib:Path is not a Method"
    assert "needs the package 'absent_package'" in causes["e = absent_package:Good"]
    with pytest.raises(UserError, match="method 'e' cannot be used"):
        registry.get_plugin("method", "e", found)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown method 'prefx'; did you mean 'prefix'.*bench list methods"):
        registry.get_method("prefx")
    with pytest.raises(UserError, match=r"unknown task 'zzz'.*bench list tasks"):
        registry.get_task("zzz")


def test_found_tables_are_copies() -> None:
    registry.methods().clear()
    assert "prefix" in registry.methods()


SELECTORS = [
    ("prefix", [("prefix", {})]),
    (" prefix , ft-full ", [("prefix", {}), ("ft-full", {})]),
    ("prefix[]", [("prefix", {})]),
    ("prefix[length=5]", [("prefix", {"length": "5"})]),
    ("prefix[length=5,10]", [("prefix", {"length": "5"}), ("prefix", {"length": "10"})]),
    ("prefix[length=5,hidden=64]", [("prefix", {"length": "5", "hidden": "64"})]),
    (
        "prefix[length=5,10;init=summarize]",
        [("prefix", {"length": "5", "init": "summarize"}), ("prefix", {"length": "10", "init": "summarize"})],
    ),
    (
        "prefix[a=1,2,b=x,y]",
        [("prefix", {"a": a, "b": b}) for a in "12" for b in "xy"],
    ),
    (
        "adapter[size=3%,0.1%],prefix",
        [("adapter", {"size": "3%"}), ("adapter", {"size": "0.1%"}), ("prefix", {})],
    ),
    ("prefix[init=table-to-text:]", [("prefix", {"init": "table-to-text:"})]),
    ("prefix[init=two words ; length = 3]", [("prefix", {"init": "two words", "length": "3"})]),
    ("x[a=b=c]", [("x", {"a": "b=c"})]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SELECTORS)
def test_selectors(text: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert registry.parse_selector(text) == expected


BAD_SELECTORS = [
    ("", "a name is missing"),
    ("prefix,", "a name is missing"),
    (",prefix", "a name is missing"),
    ("[length=5]", "a name is missing"),
    ("prefix[length=5", r"a '\[' after 'prefix' is not closed"),
    ("prefix[length=[5]]", r"a '\[' after 'prefix' is not closed"),
    ("prefix]", r"a '\]' without '\['"),
    ("prefix[length=5]]", r"a '\]' without '\['"),
    ("prefix[length=5]ft-full", r"'ft-full' after '\]'"),
    ("prefix[5]", "'5' is not OPTION=VALUE"),
    ("prefix[length=]", "'length=' is not OPTION=VALUE"),
    ("prefix[=5]", "'=5' is not OPTION=VALUE"),
    ("prefix[length=5,,6]", "'' is not OPTION=VALUE"),
    ("prefix[length=5;6]", "'6' is not OPTION=VALUE"),
    ("prefix[" + ";".join(f"{name}=1,2,3,4,5,6,7,8,9" for name in "abcdefghij") + "]", "at most 10,000"),
    ("prefix[length=5;length=6]", "'length' is given twice; expected one list, as in length=5,6"),
]


@pytest.mark.parametrize(("text", "told"), BAD_SELECTORS)
def test_bad_selectors(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        registry.parse_selector(text)
    message = str(caught.value)
    assert (
        "for example 'prefix[length=5,10],ft-full'" in message or "as in" in message or "at most" in message
    )
