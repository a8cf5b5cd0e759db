"""The example DAG that writes mails, on real Airflow against a mail server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.dag_files import run_example
from support.mail_server import running_mail_server

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(10)]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Any:
    with running_mail_server() as (port, messages):
        extra = {"disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        yield messages


def write_extract(folder: Path, numbers: list[str]) -> dict[str, str]:
    extract = folder / "numbers.csv"
    extract.write_text("\n".join(("Phone", *numbers, "")))
    return {"extract_path": str(extract), "report_folder": str(folder / "reports"), "to": "ada@example.org"}


@pytest.mark.usefixtures("airflow_db", "fresh_records")
def test_mails_have_figures_reasons_and_the_page(sandbox: Sandbox, tmp_path: Path, mails: Any) -> None:
    sandbox.seed(imported=NUMBERS)
    run = run_example("bandwidth_number_sync_mail", **write_extract(tmp_path, NUMBERS[:7]))
    assert run.state == "failed"
    unsafe, report = mails
    assert unsafe["To"] == "ada@example.org"
    assert unsafe["Subject"] == "Number sync: 3 removals and 0 imports are not sent yet"
    assert "10 % of 10 = 1 removals allowed; 3 planned" in text_of(unsafe)
    (page,) = (tmp_path / "reports").iterdir()
    assert str(page) in text_of(report)
    assert "Nothing was sent: the plan is unsafe" in text_of(report)


@pytest.mark.usefixtures("airflow_db", "fresh_records")
def test_no_mail_on_a_good_night_and_one_where_a_number_errors(sandbox: Sandbox, tmp_path: Path, mails: Any) -> None:
    run = run_example("bandwidth_number_sync_mail", **write_extract(tmp_path, NUMBERS))
    assert run.state == "success"
    assert mails == []
    run = run_example("bandwidth_number_sync_mail", **write_extract(tmp_path, [*NUMBERS, "9195550001"]))
    assert run.state == "failed"
    (report,) = mails
    assert "Not good enough: 1 of 11 errored (25060 x 1)" in text_of(report)


@pytest.mark.usefixtures("airflow_db", "fresh_records")
def test_a_run_without_a_plan_says_so(sandbox: Sandbox, tmp_path: Path, mails: Any) -> None:
    conf = write_extract(tmp_path, [])
    Path(conf["extract_path"]).write_text(f"{HOSTILE}\n")
    assert run_example("bandwidth_number_sync_mail", **conf).state == "failed"
    (report,) = mails
    assert "There is no plan, so nothing was sent" in text_of(report)


def text_of(mail: Any) -> str:
    return str(mail.get_body(("html",)).get_content())
