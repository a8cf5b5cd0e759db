"""The connection form of Airflow 2.11, from the hook's own methods: fields, labels, Test button, saved values.

Starts a real webserver and a sandbox on loopback ports, drives headless Chromium through the form, and leaves
screenshots in ``output/browser-2``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import requests
from support.airflow_processes import Processes, free_port, stop_on_termination, wait_for, work_folder
from support.browser import Browser, expect

from airflow_provider_bandwidth.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_bandwidth.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "output" / "browser-2"
PREFIX = "extra__bandwidth__"
ADMIN = "--username admin --password admin --role Admin --firstname A --lastname B --email a@example.com"


def show_form(browser: Browser, connection: dict[str, Any]) -> None:
    """Choose our type: its labels, its fields with help, and no Schema. This form has no choices: help names them."""
    browser.open("/connection/add")
    choose(browser, "conn_type", "bandwidth")
    browser.see(*UI_FIELD_BEHAVIOUR["relabeling"].values())
    browser.see(*(spec["label"] for spec in CONN_FIELDS.values()))
    browser.see(*(spec["description"] for spec in CONN_FIELDS.values()))
    expect(browser.find("//input[@id='password']").get_attribute("type") == "password", "the password is masked")
    expect(not browser.find("//input[@id='schema']").is_displayed(), "Schema, which is not used, is not offered")
    for name, spec in CONN_FIELDS.items():
        if "enum" in spec["schema"]:
            expect(browser.value(PREFIX + name) == spec["schema"]["default"], f"{name} has its default")
    browser.shoot("connection-form")
    browser.fill("conn_id", "bandwidth_default")
    fill(browser, connection)
    browser.shoot("connection-form-filled")


def fill(browser: Browser, connection: dict[str, Any]) -> None:
    for field in ("host", "login", "password"):
        browser.fill(field, connection[field])
    for field in ("account_id", "site_id", "sip_peer_id"):
        browser.fill(PREFIX + field, connection["extra"][field])


def show_test_button(browser: Browser, connection: dict[str, Any]) -> None:
    """A sound connection, a wrong account, a wrong password, nobody there; nothing is saved by it."""
    for wrong, says in (
        ({}, "Connected to account"),
        ({PREFIX + "account_id": "77"}, "account 77 was not"),
        ({"password": "wrong"}, "Wrong credentials"),
        ({"host": "http://127.0.0.1:1"}, "could not be reached"),
    ):
        fill(browser, connection)
        for field, text in wrong.items():
            browser.fill(field, text)
        browser.click("//button[@id='test-connection']")
        browser.see(says)
        browser.run("window.scrollTo(0, 0)")
        browser.shoot("test-" + says.replace(" ", "-").lower())
    fill(browser, connection)


def show_saved_values(browser: Browser, connection: dict[str, Any]) -> None:
    """Save, and open the form again: everything typed is there, except the password."""
    browser.click("//form[@id='model_form']//button[@type='submit']")
    browser.see("Added Row")
    browser.open("/connection/list/")
    browser.click("//tr[contains(., 'bandwidth_default')]//a[contains(@href, '/connection/edit/')]")
    browser.see("Base URL")
    came_back = {name: browser.value(PREFIX + name) for name in ("account_id", "site_id", "sip_peer_id")}
    expect(came_back == {name: connection["extra"][name] for name in came_back}, f"extra fields come back: {came_back}")
    expect((browser.value("host"), browser.value("login")) == (connection["host"], connection["login"]), "so do others")
    expect(connection["password"] != browser.value("password"), "the password does not come back")
    browser.shoot("saved-values")


def choose(browser: Browser, field: str, value: str) -> None:
    """Choose in the list that a script has hidden behind a nicer one."""
    browser.run("$(arguments[0]).val(arguments[1]).trigger('change')", browser.find(f"//select[@id='{field}']"), value)


def main() -> None:
    stop_on_termination()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    started = time.monotonic()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with work_folder() as folder, Sandbox() as sandbox, Processes(folder) as processes:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.session",
        }
        command = [sys.executable, "-m", "airflow"]
        for arguments in (["db", "migrate"], ["users", "create", *ADMIN.split()]):
            subprocess.run([*command, *arguments], env=environment, check=True, capture_output=True, timeout=300)
        processes.start("webserver", [*command, "webserver", "--port", str(port), "--workers", "1"], environment)
        wait_for("the webserver is there", lambda: is_there(url), timeout=180)
        print(f"Airflow is healthy after {time.monotonic() - started:.0f} s", flush=True)
        browser = Browser(url, OUTPUT, scope="//form[@id='model_form']")
        try:
            browser.log_in("//a[contains(., 'DAGs')]")
            show_form(browser, sandbox.connection)
            show_test_button(browser, sandbox.connection)
            show_saved_values(browser, sandbox.connection)
        finally:
            browser.quit()
    print(f"All seen after {time.monotonic() - started:.0f} s; screenshots are in {OUTPUT.relative_to(ROOT)}/")


def is_there(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=10).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
