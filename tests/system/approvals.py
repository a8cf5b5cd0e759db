"""A person decides on the plan of a sync, through the REST API and in headless Chromium, on real Airflow 3.1 and later.

Two runs ask about one SIP peer, and the triggerer dies meanwhile. One is approved through the REST API, the other is
rejected in the browser, cleared and approved there by its old question, which sends nothing. A new run is approved in
the browser. Values of the extracts are markup. Leaves screenshots in ``output/approvals``.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import airflow
import requests
from support.airflow_processes import Airflow, Processes, stop_on_termination, work_folder
from support.approvals import HOSTILE, NUMBERS, Tour, make_environment, make_sandbox
from support.browser import Browser, expect

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "output" / "approvals"


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
    tour.follow_link(*crm[:2], "approved by admin", name="approved-by-rest")

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
    with work_folder() as folder, make_sandbox() as sandbox:
        for name in ("home", "logs", "reports"):
            (folder / name).mkdir()
        sandbox.seed(imported=NUMBERS)
        with Processes(folder / "logs") as processes:
            environment = {
                "AIRFLOW__CORE__PARALLELISM": "4",
                **make_environment(sandbox, folder / "reports"),
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
