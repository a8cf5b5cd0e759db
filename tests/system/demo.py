"""The main job, end to end, for somebody who has never seen it: ``make demo``.

Starts the sandbox Dashboard, runs the example DAGs through real Airflow (SQLite, ``dag.test()``), and prints what
became of every order and number; then the same import on accounts of each order API, and two nights of the nightly
sync. Everything it starts it stops, and everything it
writes it removes, also on Ctrl-C. Airflow's own logs go to a file, which is kept, and named, only if something went
wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "example_dags"
SITE, PEER = "743", "303716"
SEED_NUMBERS = ["9199918388", "4158714245", "4352154439", "4352154466"]
#: At the SIP peer before anything runs, as if imported on earlier days.
EARLIER = [f"919666{line:04d}" for line in range(40)]

WORDS = """
What the words mean:
  sandbox    a Bandwidth Dashboard on this machine; nothing leaves it, and no account is needed
  order      telephone numbers that Bandwidth is asked to host (IMPORT) or to let go (REMOVE), and what came of it
  SIP peer   the place in a Bandwidth account to which numbers belong
  status     COMPLETE: every number went through; PARTIAL: some did; FAILED: none did
  code       Bandwidth's reason why a number did not go through
  XCom       what an Airflow task hands on to the tasks after it: here the fate of every number"""
#: What the report of a sync counts, in this page's words.
COUNTS = {"unchanged": "were there already", "imported": "imported", "removed": "removed", "unaccounted": "unknown"}
NEXT = """
What next:
  make sandbox                    this Dashboard again, until Ctrl-C: a page on http://127.0.0.1:8085/, and the
                                  connection that a DAG of yours needs for it
  example_dags/                   what ran here, to copy: bandwidth_import.py, bandwidth_number_sync_nightly.py, ...
  README.md, "A DAG to copy"      the same with your account: a connection of type Bandwidth, and one DAG
  docs/number-sync.md             all that a nightly sync can be told"""


@dataclass(frozen=True)
class Scene:
    title: str
    dag_id: str
    telephone_numbers: list[str]
    expected_status: str
    #: Whether the DAG run is meant to fail.
    fails: bool = False


SCENES = [
    Scene("The order of Bandwidth's own guide: every number is imported", "bandwidth_import", SEED_NUMBERS, "COMPLETE"),
    Scene(
        "A CRM extract with three numbers that Bandwidth refuses, each for its own reason",
        "bandwidth_import",
        ["+1 (919) 555-0101", "919.555.0102", "1-919-555-0103", "9195550001", "9195550002", "9195550003"],
        "PARTIAL",
    ),
    Scene("Two of the numbers are removed again", "bandwidth_remove", SEED_NUMBERS[:2], "COMPLETE"),
    Scene(
        "Nothing goes through: the task fails, and says why (this failure is the point)",
        "bandwidth_import",
        ["9195550001", "9805550001"],
        "FAILED",
        fails=True,
    ),
]


@dataclass(frozen=True)
class Night:
    """A run of the nightly sync on an extract: what the CRM holds, as it exports it."""

    title: str
    telephone_numbers: list[str]
    #: Whether a guard is meant to stop it.
    stops: bool = False


NIGHTS = [
    Night(
        "The nightly sync: the CRM has three new numbers, and one that was there has left it",
        [*EARLIER[:-1], *SEED_NUMBERS[2:], *(f"919555010{n}" for n in (1, 2, 3)), "(336) 666-0001", "336.666.0002",
         "+1 336 666 0003"],
    ),
    Night(
        "The next night the CRM's export broke off after ten rows: nothing is removed (this failure is the point, too)",
        EARLIER[:10],
        stops=True,
    ),
]  # fmt: skip


#: Numbers that each account is asked to import: two are fine, two are Bandwidth's own or hosted elsewhere.
SAME_NUMBERS = ["+1 (919) 555-0101", "226.555.0103", "9195550001", "9195550002"]
#: What imports through importTnOrders need beside their numbers, as the connection has it.
SUBSCRIBER: dict[str, Any] = {
    "loa_authorizing_person": "Ada Baker",
    "subscriber": {
        "name": "Example Bakery LLC",
        "service_address": {
            "house_number": "12",
            "street_name": "Mill",
            "city": "Durham",
            "state_code": "NC",
            "zip": "27701",
        },
    },
}
#: What a connection says beside account and site, by the order API of its account.
ORDER_APIS: dict[str, dict[str, Any]] = {
    "externalTns": {},
    "importTnOrders": SUBSCRIBER,
    "importTnOrders/messaging": SUBSCRIBER,
}


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """The sandbox as a process of its own, as a user would start it; gives the connection it prints."""
    command = [sys.executable, "-m", "airflow_provider_bandwidth.sandbox", "--port", "0", *options]
    process = subprocess.Popen(
        [*command, "--received-seconds", "0.5", "--processing-seconds", "0.5"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        connection = process.stdout.readline().strip()
        if not connection:
            raise SystemExit("The sandbox did not start; see above.")
        yield connection
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Send everything that this process and its libraries print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, source in enumerate(kept, start=1):
            os.dup2(source, target)
            os.close(source)


def run(scene: Scene, log: Path) -> tuple[str, dict[str, Any], str]:
    """Run a scene's DAG; its state, the sensor's XComs, and the message with which a task failed."""
    start = log.stat().st_size if log.exists() else 0
    with quiet(log):
        module = __import__(scene.dag_id)
        dag_run = getattr(module, scene.dag_id)().test(
            run_conf={"telephone_numbers": scene.telephone_numbers, "site_id": SITE, "sip_peer_id": PEER}
        )
        task = next(ti for ti in dag_run.get_task_instances() if ti.task_id == "wait")
        xcoms = {
            key: task.xcom_pull(task_ids="wait", key=key)
            for key in ("return_value", "errors", "completed_telephone_numbers")
        }
    messages = re.findall(r"AirflowFailException: (.+)", log.read_text()[start:])
    return str(dag_run.state), xcoms, messages[-1] if messages else ""


def sync(night: Night, folder: Path, log: Path) -> tuple[str, dict[str, Any], str]:
    """Run the nightly sync on an extract; its state, the report's XCom, and the message with which the plan failed."""
    extract = folder / "contacts.csv"
    extract.write_text("\n".join(["Phone", *night.telephone_numbers]) + "\n")
    start = log.stat().st_size
    with quiet(log):
        module = __import__("bandwidth_number_sync_nightly")
        dag_run = module.bandwidth_number_sync_nightly().test(
            run_conf={"extract_path": str(extract), "report_folder": str(folder)}
        )
        task = next(ti for ti in dag_run.get_task_instances() if ti.task_id == "sync.report")
        report = task.xcom_pull(task_ids="sync.report") or {}
    messages = re.findall(
        r"(?:AirflowFailException|UnsafePlanError|RemovalLimitExceededError): (.+)", log.read_text()[start:]
    )
    return str(dag_run.state), report, messages[0] if messages else ""


def import_everywhere(log: Path) -> bool:
    """Run one DAG on an account of each order API, and print a table; whether all came to the same."""
    print(f"\n{len(SCENES) + 1}. The same DAG on accounts that have one order API each: its connection alone changes")
    print(f"  {'order_api':<25} {'order':<9} {'status':<9} {'completed':<23} errors", flush=True)
    started = time.monotonic()
    seen = []
    for order_api, fields in ORDER_APIS.items():
        with quiet(log), sandbox("--order-apis", order_api) as connection:
            parts = json.loads(connection)
            parts["extra"] = {**parts["extra"], "order_api": order_api, **fields}
            os.environ["AIRFLOW_CONN_BANDWIDTH_NEW_ACCOUNT"] = json.dumps(parts)
            module = __import__("bandwidth_import_on_any_account")
            dag_run = module.bandwidth_import_on_any_account().test(
                run_conf={"bandwidth_conn_id": "bandwidth_new_account", "telephone_numbers": SAME_NUMBERS}
            )
            (task,) = dag_run.get_task_instances()
            summary, completed, errors = (
                task.xcom_pull(task_ids="import", key=key)
                for key in ("return_value", "completed_telephone_numbers", "errors")
            )
        if interrupted:
            raise KeyboardInterrupt
        if not summary:
            print(f"  {order_api:<25} no order was read; DAG run {dag_run.state}", flush=True)
            return False
        refused = ", ".join(f"{error['telephone_number']} {error['code']}" for error in errors)
        order_id, status = str(summary["order_id"])[:8], summary["processing_status"]
        print(
            f"  {summary['order_api']:<25} {order_id:<9} {status:<9} {', '.join(completed):<23} {refused}", flush=True
        )
        seen.append((order_api == summary["order_api"], status, completed, refused))
    print(f"  took       {time.monotonic() - started:.1f} s", flush=True)
    if seen == [(True, "PARTIAL", ["9195550101", "2265550103"], "9195550001 25060, 9195550002 5124")] * len(seen):
        return True
    print("  NOT AS MEANT")
    return False


def show_night(night: Night, state: str, report: dict[str, Any], message: str) -> None:
    print(f"  extract    {len(night.telephone_numbers)} numbers in a CSV file of the CRM")
    if not night.stops:
        counts = ", ".join(f"{report.get(name)} {words}" for name, words in COUNTS.items())
        print(f"  report     {counts}")
    print(f"  DAG run    {state}")
    if message:
        print(f"  the guard said:\n    {message}")


def sleep_over(log: Path, folder: Path) -> bool:
    """Run the nightly sync twice; whether both nights ended as they should."""
    good = True
    for number, night in enumerate(NIGHTS, start=len(SCENES) + 2):
        print(f"\n{number}. {night.title}", flush=True)
        started = time.monotonic()
        state, report, message = sync(night, folder, log)
        if interrupted:
            raise KeyboardInterrupt
        show_night(night, state, report, message)
        print(f"  took       {time.monotonic() - started:.1f} s", flush=True)
        as_meant = (state == "failed") == night.stops and bool(message) == night.stops
        if not night.stops:
            as_meant = as_meant and (report.get("imported"), report.get("removed")) == (3, 1)
        if not as_meant:
            print("  NOT AS MEANT")
        good = good and as_meant
    return good


def show(scene: Scene, state: str, xcoms: dict[str, Any], message: str) -> None:
    summary = xcoms["return_value"]
    print(f"  order      {summary['order_id']}  ({summary['action']}, {scene.dag_id})")
    print(f"  our id     {summary['customer_order_id']}")
    print(f"  status     {summary['processing_status']}")
    print(
        f"  numbers    {len(scene.telephone_numbers)} submitted, {summary['completed_count']} completed, "
        f"{summary['error_count']} errors"
    )
    if xcoms["completed_telephone_numbers"]:
        print(f"  completed  {', '.join(xcoms['completed_telephone_numbers'])}")
    if xcoms["errors"]:
        print("  number      code   reason")
        for error in xcoms["errors"]:
            print(f"  {error['telephone_number'] or 'all':<11} {error['code']:<6} {error['description']}")
    print(f"  DAG run    {state}")
    if message:
        print(f"  the task failed with:\n    {message}")


def play(log: Path) -> bool:
    """Run all scenes; whether all ended as they should."""
    good = True
    for number, scene in enumerate(SCENES, start=1):
        print(f"\n{number}. {scene.title}", flush=True)
        started = time.monotonic()
        state, xcoms, message = run(scene, log)
        if interrupted:
            raise KeyboardInterrupt
        if not xcoms["return_value"]:
            print(f"  no order was read; DAG run {state}")
            good = False
            continue
        show(scene, state, xcoms, message)
        print(f"  took       {time.monotonic() - started:.1f} s", flush=True)
        as_meant = (
            xcoms["return_value"]["processing_status"] == scene.expected_status
            and (state == "failed") == scene.fails
            and (bool(message) == scene.fails)
        )
        if not as_meant:
            print(f"  NOT AS MEANT: expected {scene.expected_status}, DAG run {'failed' if scene.fails else 'success'}")
        good = good and as_meant
    return good


interrupted = False


def interrupt(_signal: int, _frame: object) -> None:
    """Airflow turns an interrupt inside a task into a failed task, so it is remembered too."""
    global interrupted
    interrupted = True
    raise KeyboardInterrupt


def main() -> int:
    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, interrupt)
    started = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="bandwidth-demo-"))
    log = home / "demo.log"
    keep_log = True
    try:
        imported = home / "imported.txt"
        imported.write_text("\n".join(EARLIER))
        with sandbox("--imported", str(imported)) as connection:
            print(WORDS)
            print(
                f"\nThe sandbox runs until the end of this demo. Airflow reaches it by this connection:\n  {connection}"
            )
            os.environ.update(
                AIRFLOW_HOME=str(home),
                AIRFLOW__CORE__DAGS_FOLDER=str(EXAMPLES),
                AIRFLOW__CORE__LOAD_EXAMPLES="False",
                AIRFLOW__CORE__FERNET_KEY="",
                AIRFLOW_CONN_BANDWIDTH_DEFAULT=connection,
            )
            sys.path.insert(0, str(EXAMPLES))
            print("Airflow makes its database ...", flush=True)
            with quiet(log):
                from airflow.utils.db import initdb

                initdb()
            good = play(log)
            good = import_everywhere(log) and good
            good = sleep_over(log, home) and good
        print(f"\nDone in {time.monotonic() - started:.0f} s. ", end="")
        if good:
            print("Both failures above were the point: no number is lost without a word.")
            print(NEXT)
        else:
            print("Something is wrong.")
        keep_log = not good
    except KeyboardInterrupt:
        print("\nStopped; everything that was started is stopped too.")
        keep_log = False
        return 130
    else:
        return 0 if good else 1
    finally:
        if keep_log and log.exists():
            kept = Path(tempfile.gettempdir()) / "bandwidth-demo.log"
            shutil.copy(log, kept)
            print(f"Airflow's log of this run: {kept}")
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
