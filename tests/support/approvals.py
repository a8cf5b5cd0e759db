"""A person who looks at the plans of two number syncs on a real Airflow, and decides.

The syncs are those of ``tests/system/dags/approvals.py``. Values of their extracts are markup.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.airflow_processes import Airflow, wait_for
from support.browser import Browser, expect

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(40)]
HOSTILE = "<img src=x onerror=alert(1)> **![x](https://evil.example/p.png)** | `now`"
#: A table cell of the page under the tab, in a frame within a frame.
_TAB_FRAMES = ("//iframe", "//iframe")


def make_sandbox() -> Sandbox:
    """A sandbox of the syncs' own: theirs is the whole SIP peer, so no other sync may be there."""
    return Sandbox(received_seconds=0, processing_seconds=1)


def make_environment(sandbox: Sandbox, reports: Path) -> Mapping[str, str]:
    """What Airflow needs to be told of the syncs.

    :param reports: a folder for their pages
    """
    return {"AIRFLOW_CONN_BANDWIDTH_APPROVALS": sandbox.connection_json, "APPROVALS": str(reports)}


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
            self._see_page(*texts, name=f"{name}-tab-of-{where}")

    def follow_link(self, dag_id: str, run_id: str, *texts: str, name: str) -> None:
        """The report task's button, clicked, shows its page, which says so."""
        self.browser.open(f"/dags/{dag_id}/runs/{run_id}/tasks/sync.report/details")
        button = "//a[starts-with(@href, 'http') and contains(., 'Bandwidth numbers')]"
        self.browser.find(button)
        self.browser.shoot(f"{name}-button")
        self.browser.click_through(button, "bandwidth-task-report")
        self._see_page(*texts, name=f"{name}-behind-the-button")

    def see_on_phone(self, dag_id: str, name: str) -> None:
        """The page that the DAG's report has written, as a telephone shows it."""
        (page,) = (self._folder / "reports").glob(f"{dag_id}-*.html")
        self.browser.shoot_on_phone(page, name)

    def _see_page(self, *texts: str, name: str) -> None:
        text = wait_for(f"the page of {name}", lambda: self.browser.frame_text(*_TAB_FRAMES), timeout=60)
        for each in texts:
            expect(each in text, f"{name} says {each!r}: {text[:2000]}")
        self.browser.shoot(name)


def approve_and_reject(tour: Tour) -> None:
    """Two pending questions, answered in the browser: one is approved, and sent; one is rejected, and nothing is."""
    crm = tour.start("crm", NUMBERS[:20])
    shop = tour.start("shop", [*NUMBERS[:30], "9845550101"])
    for run in (crm, shop):
        tour.wait_for_question(*run[:2])
    tour.browser.open("/required_actions")
    tour.browser.see("remove 20 numbers?", "remove 10 numbers?")
    tour.browser.shoot("two-pending")
    expect(tour.sandbox.orders == [], "nothing is sent while nobody has answered")

    tour.click(*crm[:2], "Approve", "approve")
    figures = tour.wait_for_end(*crm[:2], "success")
    expect((figures["removed"], figures["decision"]["answer"]) == (20, "approved"), f"20 are removed: {figures}")
    said = ("approved by admin", "Done: 0 imported, 20 removed", HOSTILE)
    tour.see_tab(*crm[:2], *said, name="approved")
    tour.follow_link(*crm[:2], *said, name="approved")

    tour.click(*shop[:2], "Reject", "reject")
    figures = tour.wait_for_end(*shop[:2], "failed")
    expect((figures["not_approved"], figures["removal_not_approved"]) == (1, 10), f"none is approved: {figures}")
    tour.see_tab(*shop[:2], "rejected by admin", "not approved", name="rejected")
    expect(tour.hosted == set(NUMBERS[:20]), "what was approved is gone, and no more")
    # This page, the later one, also shows the night before.
    tour.see_on_phone(shop[0], "rejected")
    tour.see_on_phone(crm[0], "approved")
