"""A person decides on the plan of a sync, through the REST API and in headless Chromium, on real Airflow 3.1 and later.

Two runs ask about one SIP peer, and the triggerer dies meanwhile. One is approved through the REST API, the other is
rejected in the browser, cleared and approved there by its old question, which sends nothing. A new run is approved in
the browser. Values of the extracts are markup. Leaves screenshots in ``output/approvals``.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import airflow
import requests
from support.airflow_processes import Airflow, Processes, stop_on_termination, wait_for, work_folder
from support.browser import Browser, expect

from airflow_provider_bandwidth.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "output" / "approvals"
NUMBERS = [f"919666{last:04d}" for last in range(40)]
HOSTILE = "<img src=x onerror=alert(1)> **![x](https://evil.example/p.png)** | `now`"
#: A table cell of the page under the tab, in a frame within a frame.
TAB_FRAMES = ("//iframe", "//iframe")


class Tour:
    """Airflow, the sandbox, and a person who looks and answers."""

    def __init__(self, stack: Airflow, browser: Browser, sandbox: Sandbox, folder: Path) -> None:
        self.airflow, self.browser, self.sandbox, self._folder = stack, browser, sandbox, folder
        self._extracts = 0

    @property
    def hosted(self) -> set[str]:
        return set(self.sandbox.inventory[self.sandbox.default_location[1:]])

    def write_extract(self, path: Path, numbers: Sequence[str]) -> None:
        cells = "".join(f'"{each}"\n' for each in (*numbers, HOSTILE.replace('"', '""')))
        path.write_text("Phone\n" + cells)

    def start(self, name: str, numbers: Sequence[str]) -> tuple[str, str, Path]:
        """A run that will ask: its DAG, its id, its extract."""
        self._extracts += 1
        extract = self._folder / f"extract-{self._extracts}.csv"
        self.write_extract(extract, numbers)
        dag_id = f"approval_{name}"
        self.airflow.unpause(dag_id)
        body = {"logical_date": None, "conf": {"extract": str(extract)}}
        run_id = str(self.airflow.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])
        return dag_id, run_id, extract

    def wait_for_question(self, dag_id: str, run_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            asked = self.questions()
            found = [each for each in asked if each["task_instance"]["dag_run_id"] == run_id]
            return found[0] if found and self._is_parked(dag_id, run_id) else None

        question = wait_for(f"{dag_id} asks", look, timeout=240)
        time.sleep(3)  # an answer within a second of the question is more than Airflow takes
        return question

    def _is_parked(self, dag_id: str, run_id: str) -> bool:
        state = self.airflow.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/sync.plan")["state"]
        return state in ("deferred", "awaiting_input")

    def questions(self) -> list[dict[str, Any]]:
        asked = self.airflow.call("GET", "dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
        return list(asked["hitl_details"])

    def answer(self, dag_id: str, run_id: str, option: str, params: dict[str, Any]) -> None:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/sync.plan/-1/hitlDetails"
        self.airflow.call("PATCH", path, json={"chosen_options": [option], "params_input": params})

    def click(self, dag_id: str, run_id: str, option: str, name: str) -> None:
        """Answer as a person does; the question is on the picture."""
        self.browser.open(f"/dags/{dag_id}/runs/{run_id}/tasks/sync.plan/required_actions")
        self.browser.see("To remove", "Why you are asked", option)
        self.browser.shoot(f"{name}-question")
        self.browser.click(f"//button[normalize-space(.)='{option}']")
        wait_for("the answer is taken", lambda: not self._is_asked(run_id), timeout=60)

    def _is_asked(self, run_id: str) -> bool:
        return any(each["task_instance"]["dag_run_id"] == run_id for each in self.questions())

    def wait_for_end(self, dag_id: str, run_id: str, state: str) -> dict[str, Any]:
        """The report's figures, once the run has ended so."""
        wait_for(f"{dag_id} ends", lambda: self.airflow.is_finished(dag_id, run_id), timeout=300)
        found = self.airflow.state(dag_id, run_id)
        expect(found == state, f"{dag_id} {run_id} ended {state}: {found}")
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/sync.report/xcomEntries/return_value"
        value = self.airflow.call("GET", path, params={"deserialize": True})["value"]
        return dict(value)

    def see_tab(self, dag_id: str, run_id: str, *texts: str, name: str) -> None:
        """The tab of the run, and of its report task, says so; what is markup in the extract is text there."""
        for place, where in (("", "run"), ("/tasks/sync.report", "task")):
            route = "bandwidth-report" if where == "run" else "bandwidth-task-report"
            self.browser.open(f"/dags/{dag_id}/runs/{run_id}{place}")
            self.browser.see("Bandwidth numbers")
            self.browser.open(f"/dags/{dag_id}/runs/{run_id}{place}/plugin/{route}")
            text = wait_for(f"the tab of the {where}", lambda: self.browser.frame_text(*TAB_FRAMES), timeout=60)
            for each in texts:
                expect(each in text, f"the tab of the {where} says {each!r}: {text[:2000]}")
            self.browser.shoot(f"{name}-tab-of-{where}")


def decide_by_rest_and_in_the_browser(tour: Tour, restart_triggerer: Any) -> None:
    """Two pending questions: one is approved, one is rejected; and a cleared run's old question approves nothing."""
    crm = tour.start("crm", NUMBERS[:20])
    first = tour.wait_for_question(*crm[:2])
    shop = tour.start("shop", [*NUMBERS[:30], "9845550101"])
    tour.wait_for_question(*shop[:2])
    expect(len(tour.questions()) == 2, "two questions are pending")
    expect("remove 20 numbers?" in first["subject"], first["subject"])
    expect("| **To remove** | 20 | 50.0 % of current |" in first["body"], first["body"])
    tour.browser.open("/required_actions")
    tour.browser.see("remove 20 numbers?", "remove 10 numbers?")
    tour.browser.shoot("two-pending")
    restart_triggerer()
    expect(tour.sandbox.orders == [], "nothing is sent while nobody has answered")

    params = {
        name: each.get("value", each) if isinstance(each, dict) else each for name, each in first["params"].items()
    }
    tour.answer(*crm[:2], "Approve", params)
    figures = tour.wait_for_end(*crm[:2], "success")
    expect((figures["removed"], figures["decision"]["answer"]) == (20, "approved"), f"20 are removed: {figures}")
    expect(tour.hosted == set(NUMBERS[:20]), "what was approved is gone, and no more")
    tour.see_tab(*crm[:2], "approved by admin", "Done: 0 imported, 20 removed", HOSTILE, name="approved-by-rest")

    tour.click(*shop[:2], "Reject", "reject")
    figures = tour.wait_for_end(*shop[:2], "failed")
    expect((figures["not_approved"], figures["removal_not_approved"]) == (1, 10), f"none is approved: {figures}")
    tour.see_tab(*shop[:2], "rejected by admin", "not approved", name="rejected")

    # In the meantime, figures have changed: 20 numbers are left, and the extract has 15 of them.
    tour.write_extract(shop[2], NUMBERS[:15])
    body = {"dry_run": False, "dag_run_id": shop[1], "only_failed": False, "reset_dag_runs": True}
    tour.airflow.call("POST", f"dags/{shop[0]}/clearTaskInstances", json=body)
    again = tour.wait_for_question(*shop[:2])
    expect("remove 10 numbers?" in again["subject"], f"this Airflow shows the old question: {again['subject']}")
    tour.click(*shop[:2], "Approve", "stale")
    figures = tour.wait_for_end(*shop[:2], "failed")
    expect("older plan" in figures["decision"]["problem"], f"it approves nothing: {figures}")
    expect(tour.hosted == set(NUMBERS[:20]), "nothing is sent")
    tour.see_tab(*shop[:2], "figures of an older plan", name="stale")


def approve_in_the_browser(tour: Tour) -> None:
    """A new run asks with its own figures; what is approved is sent."""
    run = tour.start("shop", NUMBERS[:15])
    tour.wait_for_question(*run[:2])
    tour.click(*run[:2], "Approve", "approve")
    figures = tour.wait_for_end(*run[:2], "success")
    expect(figures["removed"] == 5, f"five are removed: {figures}")
    expect(tour.hosted == set(NUMBERS[:15]), "what was approved is gone")
    tour.see_tab(*run[:2], "approved by admin", "Done: 0 imported, 5 removed", name="approved")


def main() -> None:
    stop_on_termination()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    started = time.monotonic()
    with work_folder() as folder, Sandbox(received_seconds=0, processing_seconds=1) as sandbox:
        for name in ("home", "logs", "reports"):
            (folder / name).mkdir()
        sandbox.seed(imported=NUMBERS)
        with Processes(folder / "logs") as processes:
            environment = {
                "AIRFLOW__CORE__PARALLELISM": "4",
                "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
                "APPROVALS": str(folder / "reports"),
            }
            stack = Airflow(processes, folder / "home", ROOT / "tests" / "system" / "dags", environment)
            stack.run("db", "migrate")
            stack.start_components()

            def restart_triggerer() -> None:
                processes.kill("triggerer")
                stack.start("triggerer", "triggerer", "--skip-serve-logs")

            browser = Browser(stack.url, OUTPUT)
            try:
                browser.log_in("//a[contains(@href, '/dags')]")
                tour = Tour(stack, browser, sandbox, folder)
                decide_by_rest_and_in_the_browser(tour, restart_triggerer)
                approve_in_the_browser(tour)
            except (Exception, SystemExit) as error:
                browser.shoot("failed")
                detail = error.response.text if isinstance(error, requests.HTTPError) else ""
                print(f"{detail}\n{processes.tail()}", file=sys.stderr)
                raise
            finally:
                browser.quit()
            for page in (folder / "reports").iterdir():
                shutil.copy(page, OUTPUT)
    print(f"Airflow {airflow.__version__}: decided as said, in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
