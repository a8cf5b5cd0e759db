"""The sandbox as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox.cli import main
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION

COMMAND = [sys.executable, "-m", "airflow_provider_bandwidth.sandbox"]


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Any]:
    """A sandbox process on a free port, and its connection."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment or {**os.environ, "PYTHONUNBUFFERED": ""},
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=5)


def hiding(folder: Path, *modules: str) -> dict[str, str]:
    """An environment in which *modules* are not installed."""
    for module in modules:
        (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError('no', name='{module}')")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_line_is_a_connection_that_works_and_a_signal_stops_it_cleanly(number: Any) -> None:
    with running() as (process, connection):
        assert connection == {
            "conn_type": "bandwidth",
            "host": connection["host"],
            "login": "sandbox",
            "password": "sandbox",
            "extra": {
                "auth_type": "oauth2",
                "account_id": "9900000",
                "site_id": "743",
                "sip_peer_id": "303716",
                "order_url": f"{connection['host'].removesuffix('/api')}/accounts/{{account_id}}/orders/{{order_id}}",
                "application_id": DEFAULT_APPLICATION,
            },
        }
        assert connection["host"].startswith("http://127.0.0.1:")
        assert connection["host"].endswith("/api")
        with requests.Session() as session:
            session.auth = (connection["login"], connection["password"])
            url = f"{connection['host']}/accounts/9900000"
            assert session.get(url, timeout=5).status_code == 200
            session.headers["X-Sandbox-Fault"] = "slow;seconds=30"
            with pytest.raises(requests.exceptions.ReadTimeout):
                session.get(url, timeout=0.1)

            started = time.monotonic()
            process.send_signal(number)
            rest, messages = process.communicate(timeout=5)

        assert (process.returncode, rest) == (0, "")
        assert time.monotonic() - started < 2
        assert "Ctrl-C" in messages
        assert "Traceback" not in messages


def test_switches_set_places_credentials_numbers_and_settings(tmp_path: Path) -> None:
    imported, owned = tmp_path / "imported", tmp_path / "owned"
    imported.write_text("9195550101\n\n 9195550102 \n")
    owned.write_text("2125550101\n")
    arguments = "--login me --password secret --account 9900001 --site 744:303717,303718 --site 743:303720 --dialect O"
    files = ["--imported", str(imported), "--owned", str(owned), "--strict-remove", "true"]
    with running(*arguments.split(), *files) as (_, connection):
        auth = (connection["login"], connection["password"])
        assert auth == ("me", "secret")
        base = f"{connection['host']}/accounts"
        assert requests.get(f"{base}/9900001", auth=auth, timeout=5).status_code == 200
        for site, peer in (("744", "303717"), ("744", "303718"), ("743", "303716"), ("743", "303720")):
            assert requests.get(f"{base}/9900000/sites/{site}/sippeers/{peer}", auth=auth, timeout=5).status_code == 200
        state = requests.get(f"{connection['host'].removesuffix('/api')}/sandbox/state", timeout=5).json()
        assert (state["imported_count"], state["owned_count"]) == (2, 1)
        settings = state["settings"]
        assert (settings["dialect"], settings["strict_remove"], settings["processing_seconds"]) == ("O", True, 2.0)


def test_an_account_can_have_one_order_api_only() -> None:
    with running("--order-apis", "importTnOrders/messaging") as (_, connection):
        assert connection["extra"]["order_api"] == "importTnOrders/messaging"
        auth = (connection["login"], connection["password"])
        orders = f"{connection['host']}/accounts/9900000/externalTns"
        assert requests.get(orders, auth=auth, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--callback-url", "http://example.com/"], "loopback"),
        (["--order-apis", "importTnOrders,tns"], "'tns' is not one of externalTns"),
        (["--host", "0.0.0.0"], "127.0.0.1"),
        (["--dialect", "X"], "not one of S, O, H, P"),
        (["--site", "north"], "expected SITE:PEER"),
        (["--imported", "/no/such/file"], "/no/such/file"),
        (["--processing-seconds", "soon"], "processing_seconds"),
        (["--port", "x"], "--port"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[Any], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    output = capsys.readouterr()
    assert output.out == ""
    assert text in output.err


def test_a_file_of_numbers_must_hold_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "numbers"
    path.write_text("9195550101\n+19195550102\n")

    with pytest.raises(SystemExit, match="2"):
        main(["--imported", str(path)])

    assert "'+19195550102' is not a telephone number" in capsys.readouterr().err


def test_a_taken_port_is_named() -> None:
    with running() as (_, connection):
        port = connection["host"].removesuffix("/api").rpartition(":")[2]
        result = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=20, check=False)

    assert (result.returncode, result.stdout) == (1, "")
    assert f"cannot listen on port {port}" in result.stderr


def test_help_documents_every_switch_magic_number_fault_and_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out

    for line in (*range(1, 100), *range(901, 912)):
        assert f"555-{line:04d}: " in text
    for word in (
        "--dialect",
        "--partial-list",
        "--requests-per-minute",
        "X-Sandbox-Fault",
        "rate-limit;",
        "/sandbox/faults",
        "/sandbox/requests/release",
        "25060",
        "AIRFLOW_CONN_BANDWIDTH_DEFAULT",
    ):
        assert word in text


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(missing: str, tmp_path: Path) -> None:
    environment = hiding(tmp_path, missing)
    command = [sys.executable, "-c", "import airflow_provider_bandwidth.sandbox as s; s.Sandbox"]

    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, check=False)
    program = subprocess.run(COMMAND, capture_output=True, text=True, env=environment, timeout=20, check=False)

    for each in (result, program):
        assert each.returncode == 1
        assert f"needs {missing}: pip install 'airflow-provider-bandwidth[sandbox]'" in each.stderr
    assert "Traceback" not in program.stderr


def test_it_needs_none_of_uvicorns_optional_parts(tmp_path: Path) -> None:
    with running(environment=hiding(tmp_path, "httptools", "uvloop")) as (process, connection):
        url = f"{connection['host']}/accounts/9900000"
        auth = (connection["login"], connection["password"])
        with pytest.raises(requests.exceptions.ConnectionError, match="reset"):
            requests.get(url, auth=auth, headers={"X-Sandbox-Fault": "drop;when=after"}, timeout=5)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(url, auth=auth, headers={"X-Sandbox-Fault": "truncate"}, timeout=5)
        assert requests.get(url, auth=auth, timeout=5).status_code == 200
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=5)

    assert (process.returncode, messages.count("\n")) == (0, 1)
