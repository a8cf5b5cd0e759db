"""The provider as a person sees it: connection form, Test button, grid, log, XComs and the link to the order.

Starts a real Airflow and a sandbox on loopback ports, drives headless Chromium through Airflow's pages, and leaves a
screenshot of each in ``output/browser``. On Airflow 3.1 and later, a person also decides on the plans of two syncs.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import airflow as airflow_package
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.airflow_processes import Airflow, Processes, stop_on_termination, wait_for, work_folder
from support.approvals import NUMBERS, Tour, approve_and_reject, make_environment, make_sandbox
from support.browser import Browser, expect

from airflow_provider_bandwidth.error_codes import ERROR_CODES
from airflow_provider_bandwidth.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_bandwidth.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "output" / "browser"
DAG_ID = "bandwidth_import"
PARTIAL = ["9195550101", "9195550102", "9195550103", "9195550001", "9195550002", "9805550002"]
FAILED = ["9195550001", "9195550002"]
INVALID = ["9195550101", "12345", "8005551234"]
CAN_ASK = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 1)


def show_connection_form(browser: Browser, connection: dict[str, Any]) -> None:
    """Make the connection in the form: our type, our fields with labels and help, and a password that is masked."""
    browser.open("/connections")
    browser.click("//button[contains(., 'Add Connection')]")
    browser.fill("connection_id", "bandwidth_default")
    kind = browser.find("//*[@role='dialog']//input[@role='combobox']")
    kind.send_keys("Bandwidth")
    browser.find("//*[@role='option' and contains(., 'Bandwidth')]")
    kind.send_keys(Keys.ENTER)
    browser.see(*UI_FIELD_BEHAVIOUR["relabeling"].values())
    for field in ("host", "login", "password"):
        browser.fill(field, connection[field])
    browser.fill("port", "0")
    expect(browser.find("//input[@name='password']").get_attribute("type") == "password", "the password is masked")
    expect(not browser.source.count('name="schema"'), "Schema, which is not used, is not offered")
    browser.shoot("connection-form")
    browser.open_section("Extra Fields")
    browser.see(*(spec["label"] for spec in CONN_FIELDS.values()))
    browser.see(*(spec["description"] for spec in CONN_FIELDS.values()))
    choices = browser.find("//input[@name='element_auth_type']/ancestor::*[.//input[@role='combobox']][1]")
    choices.find_element(By.XPATH, ".//input[@role='combobox']").send_keys(Keys.ARROW_DOWN)
    for choice in CONN_FIELDS["auth_type"]["schema"]["enum"]:
        browser.find(f"//*[@role='option' and normalize-space(.)='{choice}']")
    browser.shoot("auth-type-is-a-choice")
    choices.find_element(By.XPATH, ".//input[@role='combobox']").send_keys(Keys.ENTER)
    for field in connection["extra"].keys() - {"auth_type"}:
        browser.fill(f"element_{field}", connection["extra"][field])
    browser.shoot("connection-form-extra-fields")
    save(browser)


def save(browser: Browser) -> None:
    browser.click("//*[@role='dialog']//button[normalize-space(.)='Save']")
    browser.find("//*[not(//*[@role='dialog'])]//td[contains(., 'bandwidth_default')]")


def show_saved_values(browser: Browser, connection: dict[str, Any]) -> None:
    """Open the form again: everything typed is there, except the password."""
    edit(browser)
    came_back = {field: browser.value(f"element_{field}") for field in connection["extra"]}
    expect(came_back == connection["extra"], f"the extra fields come back: {came_back}")
    expect((browser.value("host"), browser.value("login")) == (connection["host"], connection["login"]), "so do others")
    expect(connection["password"] != browser.value("password"), "the password does not come back")
    browser.shoot("saved-values")


def edit(browser: Browser) -> None:
    browser.open("/connections")
    browser.click("//button[@aria-label='Edit Connection']")
    browser.open_section("Extra Fields")


def show_test_button(browser: Browser, connection: dict[str, Any]) -> None:
    """The Test button: a sound connection, a wrong account, a wrong password, nobody there."""

    def press(*texts: str, name: str) -> None:
        browser.open("/connections")
        browser.click("//button[@aria-label='Test Connection']")
        browser.see(*texts)
        browser.shoot(name)

    browser.open("/connections")
    browser.click("//button[@aria-label='Test Connection']")
    time.sleep(3)  # success is a green icon and no more
    browser.shoot("test-ok")
    for wrong, texts in (
        ({"element_account_id": "77"}, ("account 77 was not",)),
        ({"element_account_id": connection["extra"]["account_id"], "password": "wrong"}, ("Wrong credentials",)),
        ({"password": connection["password"], "host": "http://127.0.0.1:1"}, ("could not be reached",)),
    ):
        edit(browser)
        change(browser, wrong)
        press(*texts, name="test-" + texts[0].replace(" ", "-").lower())


def change(browser: Browser, fields: dict[str, str]) -> None:
    for field, text in fields.items():
        browser.open_section("Extra Fields" if field.startswith("element_") else "Standard Fields")
        browser.fill(field, text)
    save(browser)


def show_run(browser: Browser, sandbox: Sandbox, run_id: str, numbers: list[str]) -> None:
    """Grid, log, XComs and the link of a run that has ended."""
    (order,) = [order for order in sandbox.orders if list(order.telephone_numbers) == numbers]
    codes = {error.code for error in order.errors}
    wait = f"/dags/{DAG_ID}/runs/{run_id}/tasks/wait"
    browser.open(f"/dags/{DAG_ID}/runs/{run_id}")
    browser.see("submit", "wait", "report_errors")
    browser.shoot(f"{order.status}-run")
    browser.open(wait)
    browser.see(f"{order.status}. Telephone numbers completed: {len(numbers) - count_errored(order)}")
    browser.see(*(ERROR_CODES["orders"][code].meaning for code in codes))
    named = {number for number in numbers if number in browser.text}
    expect(len(named) <= 10 and named <= errored_numbers(order), "the log names the failing numbers, and no other")
    browser.shoot(f"{order.status}-log")
    browser.open(f"{wait}/xcom")
    browser.see("completed_telephone_numbers", "errors", "return_value", order.order_id)
    browser.click("//button[@aria-label='Expand all']|//button[contains(@aria-label, 'xpand')]")
    time.sleep(3)
    browser.shoot(f"{order.status}-xcoms")
    browser.open(f"{wait}/details")
    link = browser.find("//a[contains(., 'Bandwidth order')]")
    browser.shoot(f"{order.status}-details")
    browser.open(str(link.get_attribute("href")))
    browser.see(f"Order {order.order_id}", order.status, *codes)
    browser.shoot(f"{order.status}-order-at-the-sandbox")


def show_invalid_numbers(browser: Browser, run_id: str) -> None:
    """A submit task that sends nothing: its log names the bad numbers and has no error that is not ours."""
    browser.open(f"/dags/{DAG_ID}/runs/{run_id}/tasks/submit?try_number=1")
    browser.see("2 invalid telephone numbers, nothing was sent")
    expect("XCom not found" not in browser.text, "no second error below the task's own")
    browser.shoot("invalid-numbers-log")


def show_run_by_asset(browser: Browser, airflow: Airflow, sandbox: Sandbox, folder: Path) -> None:
    """The scheduler starts the sync on the extract's Asset event, and what follows on the sync's."""
    numbers = ["+1 (919) 666-0000", "919.666.0001", " "]
    followers = ("bandwidth_number_sync_on_extract", "bandwidth_number_sync_followed")
    for dag_id in followers:
        airflow.unpause(dag_id)
    airflow.trigger("bandwidth_number_sync_crm_extract", folder=str(folder), telephone_numbers=numbers)
    for dag_id in followers:
        run = wait_for(f"a run of {dag_id} ends", lambda dag_id=dag_id: airflow.finished_runs(dag_id), timeout=240)[0]
        expect((run["run_type"], run["state"]) == ("asset_triggered", "success"), f"{dag_id} succeeded: {run}")
        browser.open(f"/dags/{dag_id}/runs/{run['dag_run_id']}")
        browser.see("Asset Triggered", "Success")
        browser.shoot(f"{dag_id.removeprefix('bandwidth_')}-by-asset".replace("_", "-"))
    there = sandbox.inventory[sandbox.default_location[1:]]
    expect({"9196660000", "9196660001"} <= set(there), f"the extract's numbers are there: {there}")


def show_sync_graph(browser: Browser) -> None:
    """The number sync's task group as Airflow draws it: the README's picture."""
    browser.open("/dags/bandwidth_number_sync_nightly")
    browser.click("//button[contains(@aria-label, 'raph')]")
    browser.click("//button[contains(@aria-label, 'xpand')]")
    browser.see("plan", "report")
    time.sleep(3)  # the graph glides into its place
    browser.shoot_element("//*[contains(@class, 'react-flow__renderer')]", "number-sync-graph")


def errored_numbers(order: Any) -> set[str]:
    return {number for error in order.errors for number in error.telephone_numbers}


def count_errored(order: Any) -> int:
    return len(errored_numbers(order))


def main() -> None:
    stop_on_termination()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    started = time.monotonic()
    with work_folder() as folder, Sandbox() as sandbox, make_sandbox() as asking:
        for name in ("home", "logs", "reports"):
            (folder / name).mkdir()
        asking.seed(imported=NUMBERS)
        shutil.copytree(ROOT / "example_dags", folder / "dags")
        environment = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AIRFLOW__CORE__PARALLELISM": "4"}
        if CAN_ASK:
            shutil.copy(ROOT / "tests" / "system" / "dags" / "approvals.py", folder / "dags")
            environment.update(make_environment(asking, folder / "reports"))
        with Processes(folder / "logs") as processes:
            airflow = Airflow(processes, folder / "home", folder / "dags", environment)
            airflow.run("db", "migrate")
            airflow.start_components()
            print(f"Airflow is healthy after {time.monotonic() - started:.0f} s", flush=True)
            browser = Browser(airflow.url, OUTPUT)
            try:
                tour(browser, airflow, sandbox, folder)
                if CAN_ASK:
                    browser.forget_layout()
                    approve_and_reject(Tour(airflow, browser, asking, folder))
                    for page in (folder / "reports").iterdir():
                        shutil.copy(page, OUTPUT)
            finally:
                browser.quit()
    print(f"All seen after {time.monotonic() - started:.0f} s; screenshots are in {OUTPUT.relative_to(ROOT)}/")


def tour(browser: Browser, airflow: Airflow, sandbox: Sandbox, folder: Path) -> None:
    browser.log_in("//a[@href='/dags' or contains(., 'Dags')]")
    show_connection_form(browser, sandbox.connection)
    show_saved_values(browser, sandbox.connection)
    runs = [airflow.trigger(DAG_ID, telephone_numbers=numbers) for numbers in (PARTIAL, FAILED, INVALID)]
    for run_id, numbers in zip(runs[:2], (PARTIAL, FAILED), strict=True):
        wait_for(f"run {run_id} ends", lambda run_id=run_id: airflow.is_finished(DAG_ID, run_id), timeout=180)
        show_run(browser, sandbox, run_id, numbers)
    show_invalid_numbers(browser, runs[2])
    show_run_by_asset(browser, airflow, sandbox, folder)
    show_test_button(browser, sandbox.connection)
    show_sync_graph(browser)


if __name__ == "__main__":
    main()
