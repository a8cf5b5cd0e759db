"""What the plan task of a sync takes at a million numbers: ``python tests/benchmarks/plan_task.py [NUMBERS]``.

As many numbers in the extract as at the SIP peer, all the same: the night on which nothing is to be done. The plan task
runs in a process of its own, against a sandbox in another one; what is counted is that process's CPU time, since the
sandbox takes its time, too. What it takes to import, once in a process, stands by itself. Beside it stands the least
that any program would do with the same bytes: ``csv.reader`` over the extract, lxml's parse of each page of the
inventory, and set arithmetic on ten-digit text. Exits 1 if the task takes more than three times that, or more than
500 MiB.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.sandbox_process import SandboxProcess

BAR_TIMES, BAR_MIB = 3.0, 500
_PAGE = 5000
_AREAS = (919, 984, 336, 704, 828, 910, 980, 252)
_EXCHANGES = [exchange for exchange in range(200, 1000) if exchange != 555 and exchange % 100 != 11]
NOTATIONS = {"ten digits": "{}{}{}", "+1 (919) 555-0101": "+1 ({}) {}-{}"}


def parts(count: int) -> Iterator[tuple[str, str, str]]:
    """Valid numbers in three parts, in the order of no sorting."""
    size = len(_AREAS) * len(_EXCHANGES)
    for number in range(count):
        line, rest = divmod(number, size)
        exchange, area = divmod(rest, len(_AREAS))
        yield str(_AREAS[area]), str(_EXCHANGES[exchange]), f"{(line * 7919) % 10_000:04d}"


def make_extract(path: Path, count: int, notation: str) -> None:
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("id", "name", "telephone", "city"))
        form = NOTATIONS[notation].format
        writer.writerows((row, f"Doe, Jane {row}", form(*each), "Durham") for row, each in enumerate(parts(count)))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class TaskInstance:
    """As much of a task instance as the plan uses."""

    dag_id, run_id, task_id, map_index, try_number, max_tries = "nightly", "run", "sync.plan", -1, 1, 0

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.dumps(value)


class Variables:
    """Airflow's Variables in memory."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str, default: str | None) -> str | None:
        return self._values.get(key, default)

    def set(self, key: str, value: str) -> None:
        self._values[key] = value


def run_plan(extract: str, conn_id: str) -> tuple[TaskInstance, float]:
    """The plan task as Airflow's worker runs it, and the seconds of CPU that it takes."""
    from airflow_provider_bandwidth.operators.number_sync import BandwidthNumberSyncPlanOperator

    ti = TaskInstance()
    plan = BandwidthNumberSyncPlanOperator(
        task_id="plan",
        extract_path=extract,
        column="telephone",
        remove_missing=True,
        list_unchanged=False,
        bandwidth_conn_id=conn_id,
    )
    start = time.process_time()
    plan.execute({"ti": ti, "dag_run": SimpleNamespace(conf={})})  # type: ignore[typeddict-item]
    return ti, time.process_time() - start


def measure_task(extract: str, count: int, small: str) -> dict[str, float]:
    """The plan task once for a single number, which imports all that it needs, and then for all."""
    from airflow_provider_bandwidth import airflow_variables

    airflow_variables.Variable = Variables()  # type: ignore[attr-defined]
    _, once = run_plan(small, "bandwidth_small")
    before, started = peak_mib(), time.perf_counter()
    ti, seconds = run_plan(extract, "bandwidth_default")
    wall = time.perf_counter() - started
    figures = json.loads(ti.xcoms["return_value"])
    assert figures["unchanged"] == count, figures
    largest = max(map(len, ti.xcoms.values()))
    return {"once": once, "seconds": seconds, "wall": wall, "before": before, "peak": peak_mib(), "largest": largest}


def measure_floor(extract: str, pages: str) -> dict[str, float]:
    """The least that any program does with the same bytes."""
    from lxml import etree

    start = time.process_time()
    with Path(extract).open(newline="") as text:
        desired = [row[2] for row in csv.reader(text)][1:]
    csv_seconds = time.process_time() - start

    xml_seconds = 0.0
    for page in sorted(Path(pages).iterdir()):
        content = page.read_bytes()
        start = time.process_time()
        etree.fromstring(content)
        xml_seconds += time.process_time() - start

    digits = ["".join(filter(str.isdigit, each))[-10:] for each in desired]
    current = [str(each) for each in reversed(digits)]
    start = time.process_time()
    there, wanted = set(current), set(digits)
    assert not (sorted(wanted - there), sorted(there - wanted))[0]
    assert len(there & wanted) == len(digits)
    return {"csv": csv_seconds, "lxml": xml_seconds, "sets": time.process_time() - start}


def save_pages(sandbox: SandboxProcess, folder: Path) -> None:
    account = sandbox.connection["extra"]
    path = f"/api/accounts/{account['account_id']}/sites/{account['site_id']}/sippeers/{account['sip_peer_id']}/tns"
    name: str | None = "1"
    while name is not None:
        content = sandbox.read(f"{path}?page={name}&size={_PAGE}")
        (folder / f"{len(list(folder.iterdir())):05d}.xml").write_bytes(content)
        following = re.search(rb"[?&]page=([0-9]+)[^<]*rel=.next", content)
        name = following[1].decode() if following else None


def run_part(part: str, *arguments: str, **environment: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().numbers
    is_good = True
    print(
        f"{count:,} unchanged numbers | imports, once | CPU time | wall | csv.reader | lxml | sets | times their sum "
        "| peak memory | largest XCom\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as name, SandboxProcess() as sandbox, SandboxProcess() as small_sandbox:
        folder, pages = Path(name), Path(name, "pages")
        pages.mkdir()
        sandbox.control("POST", "numbers", {"imported": ["".join(each) for each in parts(count)]})
        save_pages(sandbox, pages)
        small_sandbox.control("POST", "numbers", {"imported": ["".join(each) for each in parts(1)]})
        connections = {
            "AIRFLOW_CONN_BANDWIDTH_DEFAULT": json.dumps(sandbox.connection),
            "AIRFLOW_CONN_BANDWIDTH_SMALL": json.dumps(small_sandbox.connection),
        }
        small = str(folder / "small.csv")
        make_extract(Path(small), 1, "ten digits")
        for notation in NOTATIONS:
            extract = str(folder / "extract.csv")
            make_extract(Path(extract), count, notation)
            task = run_part("task", extract, str(count), small, **connections)
            floor = run_part("floor", extract, str(pages))
            times = task["seconds"] / sum(floor.values())
            is_good = is_good and times <= BAR_TIMES and task["peak"] <= BAR_MIB
            print(
                f"| {notation} | {task['once']:.1f} s | {task['seconds']:.1f} s | {task['wall']:.1f} s "
                f"| {floor['csv']:.2f} s | {floor['lxml']:.2f} s | {floor['sets']:.2f} s | {times:.1f} "
                f"| {task['peak']:.0f} MiB ({task['before']:.0f} before) | {task['largest'] / 1000:.0f} kB |",
                flush=True,
            )
    print(f"{'within' if is_good else 'BEYOND'} the bars of {BAR_TIMES:.0f} times and {BAR_MIB} MiB")
    return 0 if is_good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        part, *arguments = sys.argv[2:]
        if part == "task":
            print(json.dumps(measure_task(arguments[0], int(arguments[1]), arguments[2])))
        else:
            print(json.dumps(measure_floor(*arguments)))
    else:
        sys.exit(main())
