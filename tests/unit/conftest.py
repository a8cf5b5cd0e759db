"""A sandbox, a connection to it, and a hook whose pauses take no time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support.clock import ManualClock
from support.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
    from airflow_provider_bandwidth.sandbox import Sandbox

# pytest-xdist's process that hands out the tests loads this file, too, and before all others: it does without Airflow.


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    from airflow_provider_bandwidth.sandbox import Sandbox

    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    """A Dashboard that is as new; one server for all tests, since starting and stopping takes a moment."""
    _running_sandbox.reset()
    return _running_sandbox


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define ``bandwidth_default`` in the environment; a field that is ``None`` is left out."""

    def define(connection: dict[str, Any], **changes: Any) -> None:
        extra = {**connection.get("extra", {}), **changes.pop("extra", {})}
        fields = {"conn_type": "bandwidth", **connection, **changes, "extra": extra}
        given = {name: value for name, value in fields.items() if value is not None}
        monkeypatch.setenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", json.dumps(given))

    return define


@pytest.fixture
def hook(sandbox: Sandbox, connect: Callable[..., None], clock: ManualClock) -> Iterator[BandwidthHook]:
    """A hook on ``bandwidth_default``, which is the sandbox."""
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook

    connect(sandbox.connection)
    made = BandwidthHook(sleep=clock.sleep, clock=clock)
    yield made
    made.close()


@pytest.fixture
def task_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> TaskLog:
    """Everything that hook, operator, sensor and the libraries below log, down to DEBUG.

    Airflow 2.11 keeps the log of tasks from the root logger, where pytest listens; 3.x prints it.
    """
    monkeypatch.setattr(logging.getLogger("airflow.task"), "propagate", True)
    for name in ("", "urllib3", "requests", "airflow", "airflow.task"):
        caplog.set_level(logging.DEBUG, logger=name)
    return TaskLog(caplog, capfd)
