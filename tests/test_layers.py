"""What may import what, and what no decision may rest on. Read from the source; nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "tasks", "baselines", "results", "reports")

LAYERS = (
    "errors",
    "system",
    "contracts",
    "results",
    "metrics",
    "tasks",
    "mini",
    "data",
    "models",
    "decoding",
    "training",
    "baselines",
    "scoring",
    "config",
    "store",
    "runs",
    "experiments",
    "cluster",
    "regression",
    "reports",
    "cli",
)
"""The folders from the lowest to the highest: a module imports from its own folder and from those before it."""
CONTRACTS = {"bench.task", "bench.method", "bench.metric", "bench.plugin_checks", "bench.registry"}
"""What the author of a plug-in imports, and what finds and checks plug-ins."""
FORMER_NAMES = {"bench.tuned", "bench.seq2seq", "bench.backbones"}
"""Names that plug-ins of older versions import; they only pass on what is elsewhere."""
UPWARD: set[tuple[str, str]] = set()
"""Imports against the order, (importing module, imported module). To be emptied, never added to."""

USERS_OF_CLICK: set[str] = set()
"""Modules outside the command line that import click. To be emptied, never added to."""

TEXTS = {"error", "reason", "reasons", "origin", "message", "gate", "detail", "sentence", "why"}
"""Names of what is written for people. What a program must know stands beside it, as an enum or a number."""
TAKES_APART = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "find", "index", "count"),
    *("partition", "rpartition", "split", "rsplit"),
}
FOR_PEOPLE = ("reports/render/", "bench/store/legacy.py")
"""Where texts are laid out for people, and where records of older versions get the values that they lack."""
TEXTS_OF_OTHERS = {
    ("bench.cluster.slurm_queries", "reason == 'None'"),
    ("bench.cluster.slurm_queries", "'held' in reason.lower()"),
    ("bench.cluster.slurm_queries", "reason in UNFIT"),
    ("bench.cluster.ranks", "'connection' in str(error.get('message', '')).lower()"),
    ("bench.method", "origin.startswith(source.value)"),
    ("bench.runs.failures", "'out of memory' in str(error).lower()"),
    ("bench.runs.failures", "f'(os error {code})' in str(error)"),
    ("bench.system.third_party", "'allocate memory' in str(error).lower()"),
}
"""Decisions on what Slurm, torch, the operating system and the authors of methods write: (module, expression)."""
DECISIONS_ON_TEXT: set[tuple[str, str]] = set()
"""Decisions on texts of ours that are left. To be emptied, never added to."""


@cache
def parse_modules() -> dict[str, ast.Module]:
    """Module name -> its syntax tree, without what only type checkers see."""
    trees = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            trees[name] = TypeCheckingRemoved().visit(tree)
    assert len(trees) > 150, "the folders have other names by now"
    return trees


class TypeCheckingRemoved(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return node.orelse
        return self.generic_visit(node)


def list_imports(name: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """The modules that ``nodes`` of module ``name`` import; of this project's the module itself."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports are not told apart here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in parse_modules() else str(node.module)


def walk_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: none inside functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from walk_module_level(child)


def find_layer(module: str) -> str:
    top, _, rest = module.partition(".")
    if top != "bench":
        return top
    if module in CONTRACTS:
        return "contracts"
    if module in ("bench", "bench.errors", "bench.foreign_text"):
        return "errors"
    return "cli" if module == "bench.__main__" else rest.partition(".")[0]


def test_every_module_has_a_layer() -> None:
    assert {find_layer(module) for module in parse_modules() if module not in FORMER_NAMES} <= {*LAYERS}
    assert set(parse_modules()) >= CONTRACTS


def test_imports_point_one_way() -> None:
    upward = {
        (name, imported)
        for name, tree in parse_modules().items()
        for imported in list_imports(name, ast.walk(tree))
        if imported in parse_modules()
        and name not in FORMER_NAMES
        and (imported in FORMER_NAMES or LAYERS.index(find_layer(name)) < LAYERS.index(find_layer(imported)))
    }
    assert upward == UPWARD


def test_there_is_no_circle_of_imports() -> None:
    graph = {
        name: {
            imported
            for imported in list_imports(name, walk_module_level(tree))
            if imported in parse_modules() and imported != name
        }
        for name, tree in parse_modules().items()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(order) == len(graph)


def test_only_the_command_line_knows_click() -> None:
    users = {
        name
        for name, tree in parse_modules().items()
        for imported in list_imports(name, ast.walk(tree))
        if imported.partition(".")[0] == "click"
    }
    assert "bench.cli" in users
    assert {name for name in users if find_layer(name) != "cli"} == USERS_OF_CLICK


def names_text(node: ast.AST) -> bool:
    """Whether an expression is, by its name or key, a text for people."""
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in ("get", "pop") and node.args:
            return isinstance(node.args[0], ast.Constant) and node.args[0].value in TEXTS
        if isinstance(called, ast.Name) and called.id in ("str", "repr") and node.args:
            return names_text(node.args[0])
        return (
            isinstance(called, ast.Attribute)
            and called.attr in ("lower", "strip")
            and names_text(called.value)
        )
    if isinstance(node, ast.BoolOp):
        return any(map(names_text, node.values))
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value in TEXTS
    return (isinstance(node, ast.Name) and node.id in TEXTS) or (
        isinstance(node, ast.Attribute) and node.attr in TEXTS
    )


def decides_on_text(node: ast.AST) -> bool:
    """Whether a text for people is taken apart, searched, or compared with a text."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        blanks_only = node.func.attr == "split" and not node.args  # lays a text out in one line
        return node.func.attr in TAKES_APART and not blanks_only and names_text(node.func.value)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops):
            return any(map(names_text, sides))
        literal = any(
            isinstance(side, ast.Constant) and isinstance(side.value, str) and side.value for side in sides
        )
        return literal and any(map(names_text, sides))
    return False


def test_no_decision_rests_on_the_text_of_an_error_a_reason_or_an_origin() -> None:
    decisions = set()
    for name, tree in parse_modules().items():
        file = name.replace(".", "/") + ".py"
        if not file.startswith(FOR_PEOPLE):
            decisions |= {(name, ast.unparse(node)) for node in ast.walk(tree) if decides_on_text(node)}
    assert decisions == TEXTS_OF_OTHERS | DECISIONS_ON_TEXT


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("record['error'].startswith('out of memory')", True),
        ("str(error).partition(':')", True),
        ("'disk' in failure.message", True),
        ("(score.get('reason') or '').startswith('failed')", True),
        ("setting.origin == 'command line'", True),
        ("reason in KNOWN", True),
        ("'error' in record", False),
        ("failure.kind == 'out-of-memory'", False),
        ("error.errno in (1, 2)", False),
        ("reason is not None", False),
        ("line.startswith('#')", False),
    ],
)
def test_decisions_on_texts_are_seen(code: str, expected: bool) -> None:
    assert any(decides_on_text(node) for node in ast.walk(ast.parse(code))) == expected
