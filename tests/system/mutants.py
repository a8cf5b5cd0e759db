"""How many random changes of the code do the unit tests notice? ``make mutants``.

Makes one small change at a time in hooks/, triggers/ or number_sync/ of a copy, and runs the unit tests that execute
the changed lines, quick ones first (one run of all unit tests under coverage says which do): another comparison, a
condition turned round, a number that is one more, a statement or an argument left out, a result that is None. A change
is noticed if a test fails or hangs. Statements that only log are left alone, and so are texts. Some changes make no
difference that anybody could see, so the share is never quite all. Prints the share, and each change that nobody
noticed.

    python tests/system/mutants.py [--count N] [--seed N] [--jobs N] [--only PART-OF-A-PATH]
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.airflow_processes import stop_on_termination

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_bandwidth"
#: What is changed.
PARTS = ("hooks", "triggers", "number_sync")
#: The random walks take a minute each; tests of many inputs are left out, too.
LEFT_OUT = ["tests/unit/hooks/test_random_walk.py", "tests/unit/operators/test_sync_walk.py"]
#: Tests hang that take so many times as long as they do without a change, and some seconds.
PATIENCE, GRACE = 3.0, 30.0
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One changed piece of one file: the text from *start* to *end*, which are offsets in bytes."""

    path: Path
    line: int
    last_line: int
    start: int
    end: int
    text: str

    @property
    def part(self) -> str:
        return self.path.relative_to(PACKAGE).parts[0]

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        old = " ".join(self.path.read_bytes()[self.start : self.end].decode().split())
        return f"{self.path.relative_to(ROOT)}:{self.line}: {old[:90]}  ->  {self.text[:90]}"


def changed_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    other = copy.deepcopy(node)
    yield from _changed_expressions(other)
    yield from _changed_statements(other)


def _changed_expressions(other: ast.AST) -> Iterator[ast.AST]:
    match other:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            other.ops = [_COMPARISONS[type(op)]()]
            yield other
        case ast.BoolOp():
            other.op = ast.Or() if isinstance(other.op, ast.And) else ast.And()
            yield other
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            other.op = _OPERATORS[type(op)]()
            yield other
        case ast.UnaryOp(op=ast.Not()):
            yield other.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not other.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(other.value + 1)
        case ast.Call(args=[_, *_]) if _is_told_apart(other):
            if other.keywords:
                other.keywords.pop()
            else:
                other.args[0], other.args[1] = other.args[1], other.args[0]
            yield other


def _changed_statements(other: ast.AST) -> Iterator[ast.AST]:
    match other:
        case ast.Return(value=ast.Constant(value=bool() as value)):
            yield ast.Return(ast.Constant(not value))  # nobody would see None for False
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()


def _is_told_apart(call: ast.Call) -> bool:
    """Whether a call with an argument less, or with the first two changed about, may do something else."""
    match call:
        case ast.Call(keywords=[*_, ast.keyword(arg="strict")]):
            return False  # zip's, which only guards against our own mistakes
        case ast.Call(func=ast.Name(id="max" | "min"), keywords=[]):
            return False
    return len(call.args) > 1 or bool(call.keywords)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_log(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and any(name in ast.unparse(node.func) for name in ("log.", "_log", "warn"))


def changeable_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, imports for the type checker, decorators, texts and what is only logged."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.JoinedStr) or _is_log(node) or (isinstance(node, ast.Expr) and _is_log(node.value)):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from changeable_nodes(child)


def changes(path: Path) -> Iterator[Change]:
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in changeable_nodes(ast.parse(source)):
        for other in changed_nodes(node):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            text = ast.unparse(ast.fix_missing_locations(other))
            yield Change(
                path, node.lineno, node.end_lineno, start, end, f"({text})" if isinstance(node, ast.expr) else text
            )


def is_sound(change: Change) -> bool:
    try:
        compile(change.apply(change.path.read_bytes()), str(change.path), "exec")
    except SyntaxError:
        return False
    return True


@dataclass(frozen=True)
class Executed:
    """What the unit tests execute: per file and line the tests, by their ids.

    :param seconds: how many each test takes; tests that fail without any change are left out
    """

    by_line: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def tests_of(self, change: Change) -> list[str]:
        """The tests that execute a change, quick ones first; all tests, if modules execute it as they are imported."""
        by_line = self.by_line.get(str(change.path.relative_to(ROOT)), {})
        tests = {test for line in range(change.line, change.last_line + 1) for test in by_line.get(line, ())}
        return sorted(self.seconds if tests <= {""} else tests & self.seconds.keys(), key=self.seconds.__getitem__)


class Recorder:
    """A plugin of pytest that tells coverage which test runs, and measures it."""

    def __init__(self, folder: Path) -> None:
        from coverage import Coverage

        self._folder = folder
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage = Coverage(data_file=None, config_file=False, source_pkgs=["airflow_provider_bandwidth"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        started = time.monotonic()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.monotonic() - started

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    def write(self, path: Path) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        by_line = {
            str(Path(name).relative_to(self._folder)): data.contexts_by_lineno(name) for name in data.measured_files()
        }
        passed = {test: seconds for test, seconds in self._seconds.items() if test not in self._failed}
        path.write_bytes(pickle.dumps(Executed(by_line, passed)))


class Chosen:
    """A plugin of pytest that runs some tests, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )


class Copy:
    """A copy of the project whose tests run in forks of this process, which has imported Airflow already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # What tests look at, and no more.
        for name in ("airflow_provider_bandwidth", "tests", "example_dags", "docs", ".github", ".ci"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in ROOT.glob("*.*"):
            if path.is_file():
                shutil.copy(path, folder)
        shutil.copy(ROOT / "Makefile", folder)

    def outcome(self, change: Change, executed: Executed) -> str:
        """How the tests end with this change: ``passed``, ``failed`` or ``hung``."""
        tests = executed.tests_of(change)
        target = self.folder / change.path.relative_to(ROOT)
        whole = target.read_bytes()
        target.write_bytes(change.apply(whole))
        try:
            limit = GRACE + PATIENCE * sum(map(executed.seconds.__getitem__, tests))
            return self.run_tests(partial(self._run_some, tests), limit)
        finally:
            target.write_bytes(whole)

    def record(self, paths: Sequence[str]) -> Executed:
        """Run these unit tests once. A few may fail, since Airflow was imported long before them."""
        record = self.folder / "executed.pickle"
        self.run_tests(partial(self._run_all, paths, record), limit=3600)
        print((self.folder / "output.txt").read_text().rstrip().rpartition("\n")[2], flush=True)
        return pickle.loads(record.read_bytes())

    def run_tests(self, tests: Callable[[], int], limit: float) -> str:
        """How *tests* end in a process of their own within *limit* seconds."""
        with _fork_lock:
            child = os.fork()
        if child == 0:
            self._be(tests)
        _running.add(child)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                _running.discard(child)
                return "failed" if status else "passed"
            time.sleep(0.1)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _running.discard(child)
        return "hung"

    def _be(self, tests: Callable[[], int]) -> None:
        os.setsid()
        output = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(output, number)
        code = 1
        try:
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = str(self.folder)
            sys.path[:0] = [str(self.folder)]
            sys.dont_write_bytecode = True
            for name in [name for name in sys.modules if name.startswith("airflow_provider_bandwidth")]:
                del sys.modules[name]
            code = tests()
        except Exception:  # noqa: BLE001  # it is told, and the process ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _run_all(self, paths: Sequence[str], record: Path) -> int:
        recorder = Recorder(self.folder)
        code = pytest.main([*_QUIETLY, "-m", "not many_inputs", *paths], [recorder])
        recorder.write(record)
        return int(code)

    def _run_some(self, tests: list[str]) -> int:
        return int(pytest.main(["-x", *_QUIETLY, *sorted({test.split("::")[0] for test in tests})], [Chosen(tests)]))


_QUIETLY = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
_fork_lock = Lock()
#: Runs of tests that have not ended.
_running: set[int] = set()


def import_airflow() -> None:
    """Import once what every run of tests would import."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="bandwidth-mutants-")
    import airflow.providers.common.compat.sdk
    import hypothesis  # noqa: F401
    import lxml.etree  # noqa: F401
    import phonenumbers  # noqa: F401
    import requests  # noqa: F401
    import starlette.applications  # noqa: F401
    import uvicorn  # noqa: F401

    # Each name is loaded at its first use.
    for name in ("DAG", "BaseHook", "BaseOperator", "BaseSensorOperator", "conf"):
        getattr(airflow.providers.common.compat.sdk, name)


def record_all(folder: Path, jobs: int) -> Executed:
    """What all unit tests execute, each process running a share of their files."""
    paths = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/unit/**/test_*.py"))]
    kept = [path for path in paths if path not in LEFT_OUT]
    with ThreadPoolExecutor(jobs) as threads:
        shares = threads.map(lambda n: Copy(folder / f"share-{n}").record(kept[n::jobs]), range(jobs))
        first, *others = shares
    for share in others:
        first.seconds.update(share.seconds)
        for name, lines in share.by_line.items():
            of_file = first.by_line.setdefault(name, {})
            for line, tests in lines.items():
                of_file[line] = [*of_file.get(line, ()), *tests]
    return first


def work(folder: Path, queue: Queue[Change], executed: Executed, outcomes: dict[Change, str]) -> None:
    project = Copy(folder)
    while True:
        try:
            change = queue.get_nowait()
        except Empty:
            return
        outcome = outcomes[change] = project.outcome(change, executed)
        print({"failed": ".", "hung": "h"}.get(outcome, f"\n{change}\n"), end="", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="changes (default %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="side by side (default %(default)s)")
    parser.add_argument("--only", default="", help="change only files whose path holds this")
    arguments = parser.parse_args()
    stop_on_termination()
    started = time.monotonic()
    files = sorted(path for part in PARTS for path in PACKAGE.glob(f"{part}/**/*.py") if arguments.only in str(path))
    found = [change for path in files for change in changes(path) if is_sound(change)]
    chosen = random.Random(arguments.seed).sample(found, min(arguments.count, len(found)))
    print(f"{len(chosen)} of {len(found)} changes in {len(files)} files, seed {arguments.seed}", flush=True)
    import_airflow()
    folder = Path(tempfile.mkdtemp(prefix="bandwidth-mutants-"))
    try:
        executed = record_all(folder, arguments.jobs)
        print(f"{len(executed.seconds)} unit tests, {time.monotonic() - started:.0f} s", flush=True)
        queue: Queue[Change] = Queue()
        for change in chosen:
            queue.put(change)
        outcomes: dict[Change, str] = {}
        workers = [
            Thread(target=work, args=(folder / str(n), queue, executed, outcomes), daemon=True)
            for n in range(arguments.jobs)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        for child in list(_running):
            os.killpg(child, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)
    made, failed, hung = (
        Counter(change.part for change, outcome in outcomes.items() if outcome in kinds)
        for kinds in (("passed", "failed", "hung"), ("failed",), ("hung",))
    )
    print("\n\n| part | changes | noticed by a failure | by a test that hangs | |\n|---|---|---|---|---|")
    for part in [*sorted(made), "all"]:
        row = [counts.total() if part == "all" else counts[part] for counts in (made, failed, hung)]
        print(f"| {part} | {row[0]} | {row[1]} | {row[2]} | {(row[1] + row[2]) / row[0]:.0%} |")
    print("\nNot noticed:")
    for text in sorted(str(change) for change, outcome in outcomes.items() if outcome == "passed"):
        print(f"  {text}")
    print(f"\n{time.monotonic() - started:.0f} s in all, seed {arguments.seed}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
