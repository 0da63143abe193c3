"""Plug-ins are guests: whatever one prints, raises, changes or leaves out, only it is broken, with its cause."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.cluster import backends
from bench.errors import UserError
from bench.method import Method
from bench.metric import Metric
from bench.task import Task

ROOT = Path(__file__).resolve().parents[1]
METHOD = """
    from bench.method import Method, Option

    class Guest(Method):
        name = "guest"
        summary = "a method"
        source = "nowhere"
        BODY

        def build(self, backbone, tokenizer, options, seed):
            raise NotImplementedError
"""
TASK = """
    from bench.task import Task, RowCount, PublishedFile

    class Guest(Task):
        name = "guest"
        title = "Guest"
        kind = "table-to-text"
        folder = "guest"
        licence = "CC0"
        published = ()
        files = {"train": ("train.tsv",)}
        expected = {"train": RowCount(rows=2, items=2)}
        metrics = ("bleu",)
        instruction = "Say it:"
        BODY

        def rows(self, split, root, protocol): return []
        def items(self, split, root, protocol): return []
"""
METRIC = """
    from bench.metric import Metric, Requirements

    class Guest(Metric):
        name = "guest"
        summary = "a metric"
        BODY

        def score(self, hypotheses, references): return None
"""
CONTRACTS: dict[str, tuple[type, str]] = {
    "method": (Method, METHOD),
    "task": (Task, TASK),
    "metric": (Metric, METRIC),
}
_counter = iter(range(10_000))


def discover(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: str = "method"
) -> registry.Discovery[Any]:
    """What is found where a file with this text stands between two sound ones."""
    contract, sound = CONTRACTS[kind]
    package = f"guests_{next(_counter)}"
    (folder / package).mkdir()
    for name, content in (
        ("__init__", ""),
        ("aa", sound.replace('"guest"', '"aa"').replace("BODY", "")),
        ("bad", text),
        ("zz", sound.replace('"guest"', '"zz"').replace("BODY", "")),
    ):
        (folder / package / f"{name}.py").write_text(textwrap.dedent(content), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return registry.discover_plugins(package, contract, "no.such.group")


RAISING = {
    "SystemExit": "raise SystemExit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "raise StopIteration",
    "own BaseException": "class Odd(BaseException): pass\nraise Odd('odd')",
    "RecursionError": "def f(): f()\nf()",
    "MemoryError": "raise MemoryError",
    "LookupError": "raise LookupError('lost')",
    "AssertionError": "assert False",
    "ExceptionGroup": "raise ExceptionGroup('several', [ValueError(1)])",
    "str raises": "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
    "str exits": "class Odd(Exception):\n    def __str__(self): raise SystemExit\nraise Odd",
    "str is no text": "class Odd(Exception):\n    def __str__(self): return 5\nraise Odd",
    "long message": "raise ValueError('x' * 5_000_000)",
    "escapes": "raise ValueError('\\x1b[31mred\\x07\\u202e\\x9b')",
    "many lines": "raise ValueError('a\\n' * 1000)",
    "surrogate": "raise ValueError('\\ud800')",
    "NUL": "x = 1\0",
    "syntax": "def f(:",
    "no such name": "nosuchname",
    "module replaced": "import sys\nsys.modules[__name__] = 5",
    "module removed": "import sys\ndel sys.modules[__name__]\nraise ValueError",
    "reads input": "input()",
    "type raises": (
        "class Type(type):\n    def __getattribute__(cls, name): raise KeyboardInterrupt\n"
        "class Odd(Exception, metaclass=Type): pass\nraise Odd"
    ),
    "long type": "raise type('X' * 5_000, (Exception,), {})",
    "closes the streams": "import sys\nsys.stdout.close(); sys.stderr.close(); raise ValueError",
    "closes the descriptors": "import os\nos.close(1); os.close(2); raise ValueError",
}


@pytest.mark.parametrize("name", RAISING)
def test_whatever_is_raised_breaks_only_its_plugin(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = discover(tmp_path, monkeypatch, RAISING[name])
    assert list(found.usable) == ["aa", "zz"]
    [(location, cause)] = found.broken
    assert location.endswith("/bad.py")
    assert cause.isprintable()
    assert 0 < len(cause) <= 300


def test_causes_are_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    causes = {name: discover(tmp_path, monkeypatch, text).broken[0][1] for name, text in RAISING.items()}
    assert causes["KeyboardInterrupt"] == "KeyboardInterrupt: no message"
    assert causes["SystemExit"] == "SystemExit: 3"
    assert causes["own BaseException"] == "Odd: odd"
    assert causes["str raises"] == "Odd, whose message cannot be read"
    assert causes["LookupError"] == "LookupError: lost"
    assert causes["escapes"] == r"ValueError: \x1b[31mred\x07\u202e\x9b"
    assert causes["reads input"].startswith("EOFError")
    assert "(5,000,000 characters)" in causes["long message"]


METHOD_VALUES = {
    "name": [
        'None', '5', "''", "'a b'", "'a/b'", "'a,b'", "'a[b]'", "'-a'", "'.a'", "'a\\n'", "'\\x1b[31m'",
        "'\\u202ea'", "'a\\0'", "'a' * 65", "'a=b'", "'a:b'", "b'a'", "property(lambda self: 'a')",
    ],
    "summary": ["None", "5", "''", "'a\\nb'", "['a']", "property(lambda self: 1 / 0)", "'\\ud800'"],
    "source": ["None", "5", "'\\0'"],
    "kinds": ["None", "()", "'decoder-only'", "('gpt',)", "5", "{'decoder-only'}"],
    "options": [
        'None', '5', "'ab'", "('length',)", '(None,)', '{}', '(Option,)', "Option('a', int, 1, 'h')",
        "(Option('a', int, 1, 'h'), Option('a', int, 2, 'h'))", "(Option('', int, 1, 'h'),)",
        "(Option('a=b', int, 1, 'h'),)", "(Option(5, int, 1, 'h'),)", "(Option('a', None, 1, 'h'),)",
        "(Option('a', 'int', 1, 'h'),)", "(Option('a', int, 'x', 'h'),)", "(Option('a', int, 1.5, 'h'),)",
        "(Option('a', int, 1, None),)", "(Option('a', int, 1, 'h', choices=()),)",
        "(Option('a', int, 1, 'h', choices=5),)", "(Option('a', int, 1, 'h', choices=(2,)),)",
        "(Option('a', int, 1, 'h', minimum=2),)", "(Option('a', int, 1, 'h', minimum='0'),)",
        "(Option('a', int, 1, 'h', maximum='9'),)", "(Option('a', int, None, 'h', maximum='9'),)",
    ],
    "variants": ["None", "{}", "5", "('a',)", "({'length': 5},)"],
    "trains": ["None", "1", "'yes'"],
    "rules": ["None", "5", "{'lr': 5}", "{'lr': (5,)}", "{'lr': (5, None)}", "{5: (5, 'x')}", "('lr',)"],
    "settings": ["None", "{'mini': None}", "{'mini': {'*': None}}", "{'mini': {'*': {'lr': 5}}}", "[]"],
    "mini_lr": ["'x'", "True", "0", "-1", "float('nan')", "float('inf')"],
    "seq2seq_rules": ["None", "5"],
    "seq2seq_settings": ["None", "5"],
    "seq2seq_variants": ["5", "('a',)", "({'nosuch': 1},)"],
    "build": [
        'None', '5', "'build'", 'lambda self: None', 'lambda self, a, b: None',
        'lambda self, a, b, c, d, e: None', 'staticmethod(lambda: None)',
    ],
    "settle": ["None", "lambda self: None"],
    "settings_by_option": ["5", "lambda self, scale: {}"],
    "instruct": ["lambda self: ''"],
    "resolve_options": ["lambda self: {}"],
    "paper_share": ["lambda: None"],
    "count_positions": ["None", "lambda self: 0"],
}  # fmt: skip
TASK_VALUES = {
    "name": ["None", "'a/b'", "'\\x1b'"],
    "title": ["None", "5", "''", "'a\\nb'"],
    "kind": ["None", "'table'", "5", "[]"],
    "folder": ["None", "''", "'/etc'", "'../x'", "'a\\0'", "5"],
    "licence": ["None", "5"],
    "published": [
        'None', "('x',)", "(PublishedFile('../x', 'u', None),)", "(PublishedFile('x', 5, None),)",
        "(PublishedFile('x', 'u', 5),)",
    ],
    "expected": [
        'None', "{'train': 5}", "{'train': RowCount('2', 2)}", "{'train': RowCount(-1, 2)}",
        "{'train': RowCount(True, 2)}", '{5: RowCount(1, 1)}', '[]',
    ],
    "files": [
        'None', "{'train': 'x'}", "{'train': (5,)}", "{'train': ('../x',)}", "{'train': ('/x',)}", '()',
    ],
    "metrics": ["None", "'bleu'", "(5,)", "('a b',)", "('\\x1b',)", "('',)", "('a\\u202e',)"],
    "scorers": ["None", "{'x': 5}", "{'x': int}", "{5: None}", "[]"],
    "groups": ["None", "()", "(5,)", "'all'"],
    "paper_lengths": ["5", "(1,)", "(1, 'x')", "(1, 2, 3)"],
    "instruction": ["None", "5"],
    "settings": ["None", "{'mini': {'lr': 5}}", "5"],
    "rows": ["5", "lambda self: []", "lambda self, split: []"],
    "items": ["None", "lambda self, split, root: []"],
    "count": ["lambda self: 5"],
    "groups_of": ["lambda self: ()"],
    "missing": ["5"],
}  # fmt: skip
METRIC_VALUES = {
    "name": ["None", "5", "''", "'a b'", "'a|b'", "'\\x1b[31m'", "'a\\u202e'"],
    "summary": ["None", "''", "'a\\nb'"],
    "requirements": [
        'None', '5', "Requirements(packages='torch')", 'Requirements(packages=(5,))',
        'Requirements(weights=5)', 'Requirements(references=None)',
    ],
    "reported_for": ["None", "'e2e'", "(5,)", "('a b',)"],
    "score": ["5", "lambda self: 1", "lambda self, a: 1"],
    "for_task": ["5", "lambda self: None"],
}  # fmt: skip
WRONG = [
    (kind, attribute, value)
    for kind, table in (("method", METHOD_VALUES), ("task", TASK_VALUES), ("metric", METRIC_VALUES))
    for attribute, values in table.items()
    for value in values
]


@pytest.mark.parametrize(("kind", "attribute", "value"), WRONG)
def test_a_wrong_attribute_is_named_in_a_sentence(
    kind: str, attribute: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = textwrap.dedent(CONTRACTS[kind][1]).replace("BODY", "") + f"\nGuest.{attribute} = {value}\n"
    found = discover(tmp_path, monkeypatch, text, kind)
    assert list(found.usable) == ["aa", "zz"]
    [(_, cause)] = found.broken
    assert cause.isprintable()
    assert len(cause) <= 300
    assert attribute.removesuffix("s") in cause or "ZeroDivisionError" in cause or "abstract" in cause
    words = ("expected", "ZeroDivisionError", "called", "`name`", "Valid: ")
    assert any(word in cause for word in words)


PIPELINES = {
    "sound": ("pipelines = {'e2e': len}; usual = 'e2e'", ""),
    "none": ("", "`pipelines` is None, expected names of tasks with functions"),
    "no functions": ("pipelines = {'e2e': 5}", "`pipelines` is {'e2e': 5}, expected"),
    "no names": ("pipelines = {5: len}", "`pipelines` is {5: "),
    "unknown usual": (
        "pipelines = {'e2e': len}; usual = 'dart'",
        "`usual` is 'dart', expected None or a name",
    ),
    "usual of another type": (
        "pipelines = {'e2e': len}; usual = []",
        "`usual` is [], expected None or a name",
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_ways_of_computing_are_checked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body, expected = PIPELINES[name]
    text = (
        "from bench.metric import PipelineMetric\n"
        f"class Guest(PipelineMetric):\n    name = 'guest'; summary = 'a metric'\n    {body}\n"
    )
    found = discover(tmp_path, monkeypatch, text, "metric")
    assert ("guest" in found.usable) == (not expected)
    assert expected in "".join(cause for _, cause in found.broken)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_sound_plugin_is_taken(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover(tmp_path, monkeypatch, CONTRACTS[kind][1].replace("BODY", ""), kind)
    assert list(found.usable) == ["aa", "guest", "zz"]
    assert found.broken == []


def test_a_file_keeps_the_name_that_it_is_called_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = discover(tmp_path, monkeypatch, METHOD.replace('"guest"', '"zz"').replace("BODY", ""))
    assert found.origin["zz"].endswith("/zz.py")
    [(location, cause)] = found.broken
    assert location.endswith("/bad.py")
    assert cause.startswith("the name 'zz' is taken by guests_")


CHANGES = """
import logging, os, random, signal, sys, warnings
random.seed(5)
os.chdir("/")
sys.argv[:] = ["x"]
sys.argv = ["y"]
sys.path.clear()
sys.setrecursionlimit(123)
sys.excepthook = sys.stdout = sys.stderr = None
logging.basicConfig(level=0)
logging.disable(50)
warnings.simplefilter("error")
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "torch" in sys.modules:
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.manual_seed(5)
"""


def read_state() -> list[object]:
    import logging

    import torch

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    root = logging.getLogger()
    return [
        *(random.getstate(), Path.cwd(), list(sys.argv), set(sys.path), sys.getrecursionlimit()),
        *(sys.stdin, sys.stdout, sys.stderr, sys.excepthook, handlers, list(warnings.filters)),
        *(list(root.handlers), root.level, root.manager.disable),
        *(torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().tolist()),
    ]


@pytest.mark.parametrize("end", ["", "raise KeyboardInterrupt"])
def test_what_it_changes_is_put_back(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = read_state()
    found = discover(tmp_path, monkeypatch, CHANGES + end)
    assert read_state() == before
    assert len(found.broken) == 1


@pytest.mark.parametrize("text", ["pass", "try:\n    RAISE\nexcept BaseException:\n    pass"])
def test_a_signal_of_the_user_still_stops(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_signal = "import signal; signal.raise_signal(signal.SIGINT)"
    body = text.replace("RAISE", raise_signal) if "RAISE" in text else raise_signal
    with pytest.raises(KeyboardInterrupt):
        discover(tmp_path, monkeypatch, body)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


PRINTING = """
import ctypes, logging, os, subprocess, sys, warnings
print("print")
sys.stdout.write("write")
sys.__stdout__.write("underlying")
sys.stdout.buffer.write(b"bytes")
os.write(1, b"descriptor")
logging.basicConfig(stream=sys.stdout, level=0)
logging.warning("log")
warnings.warn("warning")
subprocess.run(["echo", "child"])
ctypes.CDLL(None).printf(b"library")
END
"""


def run_bench(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`bench` in ``folder``, from which plug-ins are imported as well."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "bench", *words.split()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("end", ["", "raise KeyboardInterrupt"])
@pytest.mark.parametrize(
    "words",
    [
        *(f"list {kind} --json" for kind in ("methods", "tasks", "metrics", "experiments", "models")),
        *("doctor --json", "plan table5 --json", "report table5 --format md", "list methods"),
    ],
)  # fmt: skip
def test_verbs_with_a_plugin_that_prints_and_breaks(words: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(PRINTING.replace("END", end) + "x = 1\n")
    package = tmp_path / "loud-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    groups = "".join(f"[bench.{kind}]\nloud = loud\n\n" for kind in ("methods", "tasks", "metrics"))
    (package / "entry_points.txt").write_text(groups)
    done = run_bench(words, tmp_path)
    assert done.returncode in ((0, 1) if "doctor" in words else (0,)), done.stderr
    assert "Traceback" not in done.stderr
    for printed in ("print", "write", "underlying", "descriptor", "child", "library"):
        assert f"{printed}\n" not in done.stdout.replace("fingerprint", "")
    if "--json" in words:
        document = json.loads(done.stdout)
        if "methods" in words:
            assert {"name": "loud = loud"} in [{"name": row["name"]} for row in document]
    if words == "list methods":
        assert "loud = loud" in done.stdout


def test_damaged_lists_of_entry_points_stop_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("one", b"[bench.methods]\nnonsense\n"), ("two", b"[bench.methods]\na = \xff\n")):
        package = tmp_path / f"{name}-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (package / "entry_points.txt").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    found = registry.discover_plugins("baselines", Method, "bench.methods")
    assert "prefix" in found.usable
    assert found.broken
    assert all("-1.0.dist-info" in location or "nonsense" in location for location, _ in found.broken)


def test_what_it_raises_in_a_run_is_a_failed_run(tmp_path: Path) -> None:
    """Also a ``SystemExit`` without a code, which would end the program as if all were well."""
    text = textwrap.dedent(METHOD).replace("BODY", "").replace("NotImplementedError", "SystemExit(0)")
    (tmp_path / "leaving.py").write_text(text)
    package = tmp_path / "leaving-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: leaving\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[bench.methods]\nguest = leaving\nabsent = nobody_wrote_it\n")
    done = run_bench("run --method guest --task webnlg --max-steps 1 --limit 1 --offline", tmp_path)
    assert done.returncode == 1
    assert "RuntimeError: a plug-in raised SystemExit: 0" in done.stderr
    [path] = tmp_path.glob("runs/*/records/*.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["error"]["type"]) == ("failed", "SystemExit")
    done = run_bench("run --method absent --task webnlg --offline", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "bench: method 'absent' cannot be used: absent = nobody_wrote_it is broken: needs the package "
        "'nobody_wrote_it', which is not installed\n"
    )


def test_entry_points_of_every_wrong_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = textwrap.dedent(METHOD).replace("BODY", "")
    (tmp_path / "several.py").write_text(
        text + "instance = Guest()\nnumber = 5\nclass Half(Method): name = 'half'\nSame = Guest\n"
        "class Prefix(Guest): name = 'prefix'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    targets = ("Guest", "Half", "Missing", "Prefix", "Same", "a b", "instance", "number", "x.y.z")
    points = [EntryPoint(f"p{n}", f"several:{target}", "g") for n, target in enumerate(targets)]
    points.append(EntryPoint("p9\x1b[31m\n", "no:Thing", "g"))
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    found = registry.discover_plugins("baselines", Method, "g")
    assert "guest" in found.usable and found.origin["prefix"] == "baselines/prefix"
    causes = dict(found.broken)
    for number, cause in (
        (1, "abstract"),
        (2, "AttributeError: module 'several'"),
        (3, "the name 'prefix' is taken by baselines/prefix"),
        (4, "the name 'guest' is taken by p0 = several:Guest"),
        (5, ""),
        (6, "is not a Method"),
        (7, "is not a Method"),
        (8, "AttributeError"),
    ):
        assert cause in causes[f"p{number} = several:{targets[number]}"]
    assert "needs the package 'no'" in causes[r"p9\x1b[31m\n = no:Thing"]


def test_a_broken_cluster_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cloud.py").write_text("print('loud')\nraise KeyboardInterrupt\n")
    (tmp_path / "mist.py").write_text(
        "from bench.cluster.backends.debug import Debug\nclass Mist(Debug):\n    name = None\n"
    )
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    assert backends.list_backends() == ["debug", "local", "slurm"]
    with pytest.raises(
        UserError, match=r"cluster 'cloud' cannot be used: .*cloud\.py is broken: KeyboardInterrupt"
    ):
        backends.get_backend("cloud")
    with pytest.raises(UserError, match=r"cluster 'mist' cannot be used: .*class Mist has no text as `name`"):
        backends.get_backend("mist")
