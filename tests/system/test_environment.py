"""Every environment variable that the code reads is listed with whether it can change a number."""

from __future__ import annotations

import ast
from pathlib import Path

import bench.metrics._official as official
from bench.store.lease import JOB_VARIABLE
from bench.system.cpus import SHARE_OF_CORES

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"JAVA": official.JAVA, "JOB_VARIABLE": JOB_VARIABLE, "SHARE_OF_CORES": SHARE_OF_CORES}
"""Constants that hold names of variables."""


def is_environment(node: ast.AST) -> bool:
    return ast.unparse(node) == "os.environ"


def find_names(node: ast.AST) -> list[ast.expr]:
    """What stands where a variable's name does: of a call, a subscript or a comparison."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and is_environment(node.func.value)
    ):
        return node.args[:1]
    if isinstance(node, ast.Subscript) and is_environment(node.value):
        return [node.slice]
    if isinstance(node, ast.Compare) and any(is_environment(part) for part in node.comparators):
        return [node.left]
    return []


def list_variables() -> set[str]:
    variables = set()
    for package in ("bench", "tasks", "baselines", "reports"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for name in find_names(node):
                    if isinstance(name, ast.Constant):
                        variables.add(str(name.value))
                    else:
                        variables.add(NAMES.get(ast.unparse(name).rpartition(".")[2], ""))
    return variables - {""}


def test_every_variable_is_listed() -> None:
    variables = list_variables()
    assert {"BENCH_DATA", "RANK", "BENCH_JAVA", "OMP_WAIT_POLICY"} <= variables
    text = (ROOT / "docs" / "execution.md").read_text(encoding="utf-8")
    assert [name for name in sorted(variables) if f"`{name}`" not in text] == []
