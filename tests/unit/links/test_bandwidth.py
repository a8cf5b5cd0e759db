"""The link to the order: from the task itself on Airflow 3.x, from its XCom on 2.11."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.links import bandwidth as links
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY, BandwidthOrderLink, BandwidthReportLink
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.plugins.bandwidth import BandwidthPlugin
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.triggers.waiting import OrderEvent

KEY: Any = SimpleNamespace(task_id="submit")


@pytest.fixture
def xcoms(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's XComs of the task."""
    stored: dict[str, str] = {}

    def get_value(*, key: str, ti_key: Any) -> str | None:
        assert ti_key is KEY
        return stored.get(key)

    monkeypatch.setattr(links, "XCom", SimpleNamespace(get_value=get_value))
    return stored


def submit(numbers: list[str]) -> tuple[BandwidthTnOrderOperator, FakeTaskInstance]:
    ti = FakeTaskInstance("submit")
    operator = BandwidthTnOrderOperator(task_id="submit", action="IMPORT", telephone_numbers=numbers)
    operator.execute(make_context(ti))
    return operator, ti


@pytest.mark.parametrize("waits", [False, True])
def test_the_task_knows_its_order(
    waits: bool, sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(links, "XCom")
    connect(sandbox.connection)
    operator, ti = submit(["9195550101"])
    if waits:
        operator = BandwidthTnOrderSensor(task_id="wait", order_id=sandbox.orders[0].order_id)
        ti = FakeTaskInstance("wait")
        operator.poke(make_context(ti))
    url = BandwidthOrderLink().get_link(operator, ti_key=KEY)
    assert url == f"{sandbox.url}/accounts/9900000/orders/{sandbox.orders[0].order_id}"
    assert ti.xcoms[ORDER_URL_KEY] == url


def test_a_task_without_an_order_has_no_link_and_reads_no_xcom(
    sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.x logs an error for an XCom that is not there, below the task's own error."""
    monkeypatch.delattr(links, "XCom")
    connect(sandbox.connection)
    operator = BandwidthTnOrderOperator(task_id="submit", action="IMPORT", telephone_numbers=["12"])
    with pytest.raises(AirflowFailException):
        operator.execute(make_context(FakeTaskInstance("submit")))
    assert BandwidthOrderLink().get_link(operator, ti_key=KEY) == ""


def test_a_sensor_that_timed_out_still_leads_to_its_order(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    connect(sandbox.connection)
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id="o-1")
    event = OrderEvent("o-1", timed_out=True).to_payload()
    with pytest.raises(Exception, match="was not terminal"):
        sensor.execute_complete(make_context(FakeTaskInstance("wait")), event)
    assert BandwidthOrderLink().get_link(sensor, ti_key=KEY).endswith("/accounts/9900000/orders/o-1")


def test_the_web_server_of_airflow_2_11_reads_the_xcom(xcoms: dict[str, str]) -> None:
    deserialised: Any = SimpleNamespace(task_id="submit")
    assert BandwidthOrderLink().get_link(deserialised, ti_key=KEY) == ""
    xcoms[ORDER_URL_KEY] = "https://ui.example.net/o-1"
    assert BandwidthOrderLink().get_link(deserialised, ti_key=KEY) == "https://ui.example.net/o-1"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", 7])
def test_a_link_is_a_web_address_or_none(url: Any, xcoms: dict[str, Any]) -> None:
    xcoms[ORDER_URL_KEY] = url
    assert BandwidthOrderLink().get_link(SimpleNamespace(order_url=url), ti_key=KEY) == ""  # type: ignore[arg-type]
    assert BandwidthOrderLink().get_link(SimpleNamespace(), ti_key=KEY) == ""  # type: ignore[arg-type]


def test_report_task_opens_the_tab_that_the_plugin_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/root/")
    key: Any = SimpleNamespace(dag_id="nightly", run_id="manual__2026-11-26T02:00:00+00:00", task_id="sync.report")
    url = BandwidthReportLink().get_link(SimpleNamespace(), ti_key=key)  # type: ignore[arg-type]
    base, _, route = url.rpartition("/plugin/")
    run = "manual__2026-11-26T02%3A00%3A00%2B00%3A00"
    assert base == f"https://airflow.example/root/dags/nightly/runs/{run}/tasks/sync.report"
    assert route in [view["url_route"] for view in BandwidthPlugin.external_views]
