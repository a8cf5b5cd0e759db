"""The house: imports point down only, what is pure stays pure, and no file grows beyond what a reader takes in."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bandwidth.order_apis import ORDER_APIS

PACKAGE = "airflow_provider_bandwidth"
ROOT = Path(__file__).parents[2] / PACKAGE

#: From the roof to the ground. A module may import what stands on a line below its own, not beside or above it.
FLOORS = """
__main__
task_groups.bandwidth plugins.bandwidth cli
doctor
operators.number_sync
operators._sync_report operators._sync_assign operators._dry_run
operators._sync_order operators._sync_results
operators._planning operators._peer_turn operators._approval
operators._peer_reader
operators._peer_record
operators.messages notifications.bandwidth
notifications._limit
operators.bandwidth sensors.bandwidth sensors.messages
sensors._waiting operators._order_wait operators._task_journal
operators._order_content operators._loa operators._other_order_apis
order_outcomes lineage
triggers.messages
triggers.bandwidth triggers._message_poller
triggers._poller
triggers._order_lists
triggers.waiting
hooks.bandwidth hooks.messaging hooks.extract hooks._shared_looks
hooks._api
hooks._submission hooks._orders hooks._sending hooks._transport hooks._inventory hooks._readiness hooks._loa
hooks._transport_errors hooks._connection_lookup
hooks._connection hooks._exchange hooks._journal
number_sync
wire.readiness
wire.messages
wire.answers wire.orders wire.inventory wire.loa
wire.documents
messaging
orders
order_fields order_apis loa_files
exceptions
order_records
telephone_numbers error_codes delivery_codes readiness links.bandwidth get_provider_info
assets values airflow_variables xcom_lists
"""
FLOOR = {name: number for number, line in enumerate(FLOORS.splitlines()) for name in line.split()}
#: These import neither Airflow nor requests; ``wire`` needs lxml.
PURE = ("number_sync", "messaging", "xcom_lists", "order_outcomes", "delivery_codes",
        "wire", "order_apis", "order_fields", "orders", "values", "exceptions", "order_records", "telephone_numbers",
        "error_codes", "assets", "get_provider_info", "hooks._connection", "hooks._inventory", "hooks._orders",
        "hooks._submission", "hooks._sending", "hooks._readiness", "hooks._loa", "hooks._shared_looks",
        "hooks._journal", "loa_files", "readiness")  # fmt: skip
IMPURE = ("airflow", "requests", "urllib3")
MOST_LINES = 500
MOST_LINES_OF_THE_HOOK = 649
#: How the docstring of a file with more lines begins its reason.
REASON = "The file is longer than others because"


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    _module(path): path
    for path in sorted(ROOT.rglob("*.py"))
    if "sandbox" not in path.relative_to(ROOT).parts and path.read_text(encoding="utf-8").strip()
}
MODULES.pop("__init__", None)


def _imports(path: Path) -> Iterator[str]:
    """Every module imported, at any place, by its full name: also for the type checker."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name.removeprefix(f"{PACKAGE}.") in MODULES else str(node.module) for name in names)


def _own_imports(path: Path) -> set[str]:
    return {name.removeprefix(f"{PACKAGE}.") for name in _imports(path) if name.startswith(f"{PACKAGE}.")}


def _floor_of(module: str) -> str:
    """The name on the floors: a module's own, or its package's."""
    return module if module in FLOOR else module.rpartition(".")[0] or module


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert _floor_of(module) in FLOOR, f"{module} has no floor: give it one in FLOORS"
    upwards = {
        other
        for other in _own_imports(MODULES[module])
        if _floor_of(other) != _floor_of(module)
        and not other.startswith("sandbox")
        and FLOOR[_floor_of(other)] <= FLOOR[_floor_of(module)]
    }
    assert not upwards, f"{module} imports upwards: {sorted(upwards)}"


@pytest.mark.parametrize("module", MODULES)
def test_constants_are_final(module: str) -> None:
    body = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
    assigned = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
    assigned += [
        node.target for node in body if isinstance(node, ast.AnnAssign) and "Final" not in ast.unparse(node.annotation)
    ]
    left = [target.id for target in assigned if isinstance(target, ast.Name) and target.id.strip("_").isupper()]
    assert not left, f"{module} has constants that are not Final: {left}"


def test_there_is_no_circle_of_imports() -> None:
    left = {module: _own_imports(path) & MODULES.keys() - {module} for module, path in MODULES.items()}
    while free := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"these import each other: {sorted(left)}"


@pytest.mark.parametrize("module", [m for m in MODULES if _floor_of(m) in PURE or m in PURE or m.split(".")[0] in PURE])
def test_what_is_pure_imports_neither_airflow_nor_requests(module: str) -> None:
    roots = {name.split(".")[0] for name in _imports(MODULES[module])}
    assert not roots & set(IMPURE)
    if not module.startswith("wire"):
        assert "lxml" not in roots


def test_sandbox_and_client_share_nothing() -> None:
    for path in (ROOT / "sandbox").rglob("*.py"):
        others = {name for name in _own_imports(path) if not name.startswith("sandbox")}
        assert not others, f"{path.name} imports {sorted(others)}"
    users = {m for m, path in MODULES.items() if any(n.startswith("sandbox") for n in _own_imports(path))}
    assert users <= {"cli"}


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_longer_than_a_reader_takes_in(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if module == "hooks.bandwidth":
        assert lines <= MOST_LINES_OF_THE_HOOK
    gives_reason = REASON in " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    assert gives_reason == (lines > MOST_LINES), f"{module}: {lines} lines, and its docstring should say why, or not"


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("sandbox")])
def test_what_differs_by_order_api_is_asked_of_its_row(module: str) -> None:
    compared = [
        operand.value
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for operand in ast.walk(side)
        if isinstance(operand, ast.Constant)
    ]
    assert not {*ORDER_APIS, "tnoptions"} & {value for value in compared if isinstance(value, str)}


def test_every_floor_is_a_module_or_a_package() -> None:
    packages = {module.rpartition(".")[0] for module in MODULES}
    missing = FLOOR.keys() - MODULES.keys() - packages
    assert not missing
    assert len(FLOOR) == len(list(itertools.chain.from_iterable(map(str.split, FLOORS.splitlines()))))
