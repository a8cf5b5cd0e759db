"""Docstrings name the parameters there are; those of what goes into a DAG file name every one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "airflow_provider_bandwidth"
#: What a DAG's author calls.
IN_DAG_FILES = (
    "hooks/bandwidth.py",
    "notifications/bandwidth.py",
    "operators",
    "sensors",
    "triggers/bandwidth.py",
    "task_groups",
)

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def parameters(node: Documented) -> set[str]:
    """Names a caller can pass; for a class those of its ``__init__``, or its fields."""
    if isinstance(node, ast.ClassDef):
        (init,) = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"] or [
            None
        ]
        if init is not None:
            return parameters(init)
        fields = [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
        return {field.id for field in fields if isinstance(field, ast.Name)}
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return {argument.arg for argument in every if argument is not None and argument.arg not in ("self", "cls")}


def documented(node: Documented) -> set[str]:
    return set(re.findall(r"^\s*:param (?:\w+ )?(\w+):", ast.get_docstring(node) or "", re.MULTILINE))


def definitions(path: Path) -> Iterator[Documented]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Documented):
            yield node


MODULES = [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]


@pytest.mark.parametrize("module", MODULES)
def test_no_docstring_names_a_parameter_that_is_not_there(module: str) -> None:
    wrong = {node.name: documented(node) - parameters(node) for node in definitions(PACKAGE / module)}
    assert {name: names for name, names in wrong.items() if names} == {}


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(IN_DAG_FILES)])
def test_what_goes_into_a_dag_file_documents_every_parameter(module: str) -> None:
    missing = {}
    for node in ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body:
        is_made_in_a_dag = isinstance(node, ast.ClassDef) and any(
            isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body
        )
        is_task_group = isinstance(node, ast.FunctionDef) and module.startswith("task_groups")
        if (is_made_in_a_dag or is_task_group) and not node.name.startswith("_"):
            passed_on = {name for name in parameters(node) if name.startswith("_")} | {"kwargs"}
            missing[node.name] = parameters(node) - documented(node) - passed_on
    assert {name: names for name, names in missing.items() if names} == {}
