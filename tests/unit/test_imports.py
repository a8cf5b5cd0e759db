"""A DAG file is parsed again and again: what it imports must be light, and must not talk to anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import importlib, json, pkgutil, sys
# What any DAG file of Airflow's own imports.
from airflow.providers.common.compat.sdk import (
    DAG, BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, TaskGroup, XCom, conf, mask_secret
)
from airflow.providers.common.compat.connection import get_async_connection
from airflow.triggers.base import BaseTrigger
HEAVY = ("aiohttp", "lxml", "phonenumbers", "requests", "starlette", "urllib3", "uvicorn")
baseline = [name for name in HEAVY if name in sys.modules]

events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("socket.") else None)
reads = []
BaseHook.get_connection = classmethod(lambda cls, conn_id: reads.append(conn_id))

import airflow_provider_bandwidth
# These are never imported by a DAG file: the first eight are loaded by the first call, the last where OpenLineage is.
APART = ("hooks._exchange", "hooks._inventory", "hooks._loa", "hooks._orders", "hooks._readiness",
         "hooks._transport", "hooks._transport_errors", "wire", "sandbox", "lineage")
modules = [
    found.name
    for found in pkgutil.walk_packages(airflow_provider_bandwidth.__path__, "airflow_provider_bandwidth.")
    if not any(f".{part}." in f"{found.name}." for part in APART)
]
for name in modules:
    importlib.import_module(name)

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
with DAG("light", schedule=None):
    submit = BandwidthTnOrderOperator(
        task_id="submit", action="IMPORT", telephone_numbers=["+1 919 555 0101"], site_id=743
    )
    BandwidthTnOrderSensor(task_id="wait", order_id=submit.output, deferrable=True)
    bandwidth_number_sync(group_id="sync", telephone_numbers=["9196660000"])
    BandwidthTnOrderTrigger(order_id="o-1")
    BandwidthHook()
print("RESULT", json.dumps({
    "modules": modules,
    "heavy": [name for name in HEAVY if name in sys.modules and name not in baseline],
    "sockets": events,
    "connections": reads,
}))
"""


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """What happened when a new interpreter parsed a DAG file with everything of ours in it."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def test_the_public_modules_are_among_those_imported(parsed: dict[str, Any]) -> None:
    folder = Path(__file__).parents[2] / "airflow_provider_bandwidth"
    for part in ("hooks", "operators", "sensors", "task_groups", "triggers", "links"):
        assert (folder / part / "bandwidth.py").exists()
        assert f"airflow_provider_bandwidth.{part}.bandwidth" in parsed["modules"]


def test_nothing_heavy_is_imported(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


def test_no_socket_is_opened(parsed: dict[str, Any]) -> None:
    assert parsed["sockets"] == []


def test_no_connection_is_read(parsed: dict[str, Any]) -> None:
    assert parsed["connections"] == []
