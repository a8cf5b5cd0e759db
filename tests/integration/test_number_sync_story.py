"""Five nights of the nightly sync on real Airflow: after each, sandbox, report and XComs agree number by number."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from support import dag_files
from support.dag_files import DagFileRun, run_example

from airflow_provider_bandwidth.number_sync.report import escape_cell
from airflow_provider_bandwidth.sandbox import Sandbox

DAG = "bandwidth_number_sync_nightly"
GOOD = [f"919{number:07d}" for number in range(6660000, 6662493)]
MORE = [f"984{number:07d}" for number in range(6660000, 6660100)]
EVEN_MORE = [f"336{number:07d}" for number in range(6660000, 6661200)]
#: What Bandwidth refuses, with its code.
REFUSED = {"9195550001": "25060", "9845550001": "25060", "9195550002": "5124", "9845550002": "5124"}
#: What never reaches Bandwidth, with our code.
REJECTED = {"919-666-01": "length", "+1 (888) 666-0100": "toll_free", "call Jane": "letters"}


class Nights:
    """A CRM, the DAG on its extract, and a look at everything afterwards."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.reports = folder / "reports"
        self.extract = folder / "contacts.csv"

    @property
    def conf(self) -> dict[str, Any]:
        return {"extract_path": str(self.extract), "column": "Phone", "report_folder": str(self.reports)}

    def write_extract(self, values: Iterable[str]) -> None:
        """As CRMs write them: byte order mark, CRLF, another case, quoted, blanks, duplicates in other notations."""
        rows = list(values)
        with self.extract.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
            writer.writerow(["Name", "PHONE "])
            for index, value in enumerate(rows):
                shown = f"+1 ({value[:3]}) {value[3:6]}-{value[6:]}" if index % 3 == 0 and value.isdecimal() else value
                writer.writerow([f"Doe, {index}", f" {shown}"])
            writer.writerows([["nobody", ""], ["twice", rows[0] if rows else " "]])

    def run(self, values: Iterable[str]) -> DagFileRun:
        self.write_extract(values)
        return run_example(DAG, **self.conf)

    @property
    def hosted(self) -> set[str]:
        return set(self.sandbox.inventory[self.sandbox.default_location[1:]])

    def fates(self, run: DagFileRun) -> dict[str, str]:
        """The report's lines by number; each number has one."""
        (summary,) = run.pull("sync.report")
        with Path(summary["report_path"]).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        fates = {row["telephone_number"]: " ".join((row["fate"], row["code"])).strip() for row in rows}
        assert len(fates) == len(rows) == summary["desired"] + summary["to_remove"]
        return fates

    def orders_since(self, count: int) -> list[Any]:
        return self.sandbox.orders[count:]


def waited_for(run: DagFileRun, action: str) -> tuple[set[str], dict[str, str]]:
    """What the sensors say: numbers that completed, and codes of those that did not."""
    completed = [n for numbers in run.pull(f"sync.{action}", "completed_telephone_numbers") for n in numbers or ()]
    errors = [e for errors in run.pull(f"sync.{action}", "errors") for e in errors or ()]
    assert len(completed) == len(set(completed))
    return set(completed), {error["telephone_number"]: error["code"] for error in errors}


def wait_until(condition: Callable[[], bool], seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.05)


def kill_half_way(nights: Nights) -> None:
    """Run the DAG in a process of its own, and kill it when its second order was stored and not yet answered."""
    sandbox = nights.sandbox
    before = len(sandbox.orders)
    sandbox.hold()
    sandbox.inject("hold", operation="submit", after=1)
    process = subprocess.Popen(
        [sys.executable, dag_files.__file__, DAG, json.dumps(nights.conf)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(sandbox.orders) == before + 2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    sandbox.release_requests()
    end_runs_without_a_process()
    assert len(sandbox.orders) == before + 2


def end_runs_without_a_process() -> None:
    """What the scheduler does with a run whose process is gone; ``dag.test()`` has none."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        for run in session.query(DagRun).filter(DagRun.dag_id == DAG, DagRun.state == "running"):
            run.state = "failed"


def release_when_planned(sandbox: Sandbox) -> threading.Thread:
    """Let the open orders end once the next plan has seen them open and read the numbers."""
    reads = sandbox.count(operation="peer-numbers")

    def release() -> None:
        wait_until(lambda: sandbox.count(operation="peer-numbers") > reads)
        sandbox.release()

    thread = threading.Thread(target=release)
    thread.start()
    return thread


@pytest.mark.usefixtures("airflow_db", "fresh_records")
def test_five_nights(sandbox: Sandbox, tmp_path: Path) -> None:
    nights = Nights(sandbox, tmp_path)
    wanted = [*GOOD, *REFUSED, *REJECTED]
    refused = {number: f"errored {code}" for number, code in REFUSED.items()}
    # A value that a spreadsheet would run has an apostrophe in front.
    rejected = {escape_cell(value): f"rejected {code}" for value, code in REJECTED.items()}

    # Night 1: 2,500 numbers, 7 of them bad.
    run = nights.run(wanted)
    assert run.state == "success"
    assert nights.hosted == set(GOOD)
    assert sorted(len(order.telephone_numbers) for order in sandbox.orders) == [497, 1000, 1000]
    assert waited_for(run, "import") == (set(GOOD), REFUSED)
    assert nights.fates(run) == {**dict.fromkeys(GOOD, "imported"), **refused, **rejected}
    (summary,) = run.pull("sync.report")
    assert (summary["desired"], summary["imported"], summary["errored"], summary["rejected"]) == (2500, 2493, 4, 3)
    assert summary["error_counts"] == {"25060": 2, "5124": 2}

    # Night 2: nothing changed, so no order at all.
    run = nights.run(wanted)
    assert run.state == "success"
    assert len(sandbox.orders) == 3
    assert run.states("sync.import") == run.states("sync.remove") == ["skipped"]
    assert nights.fates(run) == {**dict.fromkeys(GOOD, "unchanged"), **refused, **rejected}

    # Night 3: 100 more, 40 fewer.
    wanted = [*wanted[40:], *MORE]
    run = nights.run(wanted)
    assert run.state == "success"
    assert nights.hosted == {*GOOD[40:], *MORE}
    added, removed = sorted(nights.orders_since(3), key=lambda order: order.action)
    assert (added.action, set(added.telephone_numbers)) == ("IMPORT", set(MORE))
    assert (removed.action, set(removed.telephone_numbers)) == ("REMOVE", set(GOOD[:40]))
    assert waited_for(run, "import") == (set(MORE), {})
    assert waited_for(run, "remove") == (set(GOOD[:40]), {})
    unchanged = dict.fromkeys(GOOD[40:], "unchanged")
    assert nights.fates(run) == {
        **unchanged,
        **dict.fromkeys(MORE, "imported"),
        **dict.fromkeys(GOOD[:40], "removed"),
        **refused,
        **rejected,
    }

    # Night 4: the extract is empty.
    run = nights.run([])
    assert run.state == "failed"
    assert run.states("sync.plan") == run.states("sync.report") == ["failed"]
    assert len(sandbox.orders) == 5
    assert nights.hosted == {*GOOD[40:], *MORE}

    # Night 5: 1,200 more; the run is killed half way, and then run again.
    wanted += EVEN_MORE
    nights.write_extract(wanted)
    kill_half_way(nights)
    assert not nights.hosted & set(EVEN_MORE)
    releasing = release_when_planned(sandbox)
    run = nights.run(wanted)
    releasing.join()
    assert run.state == "success"
    assert nights.hosted == {*GOOD[40:], *MORE, *EVEN_MORE}
    assert sorted(len(order.telephone_numbers) for order in nights.orders_since(5)) == [200, 1000]
    sent = [number for order in nights.orders_since(5) for number in order.telephone_numbers]
    assert sorted(sent) == sorted(EVEN_MORE)
    assert waited_for(run, "import") == (set(EVEN_MORE), {})
    assert nights.fates(run) == {
        **unchanged,
        **dict.fromkeys(MORE, "unchanged"),
        **dict.fromkeys(EVEN_MORE, "imported"),
        **refused,
        **rejected,
    }
    assert sandbox.resets == {}
