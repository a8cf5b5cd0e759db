"""Real Airflow on SQLite, and a sandbox, for tests that run DAGs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import airflow_3_0

if TYPE_CHECKING:
    from airflow_provider_bandwidth.sandbox import Sandbox


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that run Airflow in one of pytest-xdist's processes, since each would migrate a database."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.parent == folder:
            item.add_marker(pytest.mark.xdist_group("airflow"))


@pytest.fixture(scope="session")
def airflow_db() -> Iterator[None]:
    """Airflow's metadata database, migrated once."""
    from airflow.utils.db import initdb

    initdb()
    with pytest.MonkeyPatch.context() as patch:
        _parse_dags_once(patch)
        if airflow_3_0.is_running():
            airflow_3_0.record_dags()
            airflow_3_0.parse_reschedule_dates(patch)
            airflow_3_0.keep_deferral_arguments(patch)
        yield


@pytest.fixture(scope="module", autouse=True)
def _short_pauses() -> Iterator[None]:
    """Pauses that give others time pass quickly: here one run goes on at a time, and its orders have ended.

    A module's only: unit tests run in the same process before and after, and they measure the pauses.
    """
    sleep = time.sleep

    def sleep_less(seconds: float) -> None:
        """``dag.test()`` pauses for a second whenever no task can run: before a retry, and after a task that failed."""
        caller = sys._getframe(1).f_globals["__name__"]
        sleep(0.05 if caller in ("airflow.sdk.definitions.dag", "airflow.models.dag") else seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_bandwidth.operators._peer_record._SETTLED_AFTER_SECONDS", 0.05)
        patch.setattr("airflow_provider_bandwidth.notifications._limit._SETTLED_AFTER", 0.05)
        patch.setattr("airflow_provider_bandwidth.triggers.waiting.FIRST_POLL_DELAY", 0.1)
        patch.setattr("airflow_provider_bandwidth.triggers.messages.FIRST_POLL_DELAY", 0.1)
        patch.setattr(time, "sleep", sleep_less)
        yield


def _parse_dags_once(patch: pytest.MonkeyPatch) -> None:
    """Let ``dag.test()`` read all DAG files and write all DAGs once: from 3.2 on it does at each call, for a second."""
    try:
        from airflow.dag_processing import dagbag
    except ImportError:
        return
    for name in ("BundleDagBag", "sync_bag_to_db"):
        if hasattr(dagbag, name):
            patch.setattr(dagbag, name, cache(getattr(dagbag, name)))


@pytest.fixture
def fresh_records(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sync of another test has planned for the sandbox's SIP peer, and no pauses for the search's lag."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    monkeypatch.setattr("airflow_provider_bandwidth.operators._peer_record.SEARCH_SHOWS_AFTER", timedelta(0))
    # Before Airflow 3.2 no mapped task is known to be the first, and each would wait a minute.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.1, 0.1))
    with create_session() as session:
        for record in session.query(Variable).filter(Variable.key.like("bandwidth_number_sync%")):
            session.delete(record)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A Dashboard of its own for each test, reachable by ``bandwidth_default``."""
    from airflow_provider_bandwidth.sandbox import Sandbox

    with Sandbox(received_seconds=0, processing_seconds=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", running.connection_json)
        yield running
