"""A campaign order is waited for as any order is: XComs, warnings, and many of them in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from support.fast_time import run_fast
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context
from support.waiting import wait, waits

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY
from airflow_provider_bandwidth.orders import CampaignAssignmentRequest
from airflow_provider_bandwidth.sandbox import Order, Sandbox
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.triggers.waiting import OrderEvent

GOOD, OTHER, STRANGE = "9195550101", "9195550102", "9195550104"
ALREADY_ON = "SMS is already on for the telephone number."
#: What Bandwidth says of a number that is not at this account.
NOT_HERE = {"telephone_number": STRANGE, "code": "5076"}


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Its connection names another order API, as every connection does."""
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    connect(sandbox.connection)
    sandbox.configure(received_seconds=1e9)
    sandbox.seed(imported=[GOOD, OTHER])
    return sandbox


def assign(*numbers: str, campaign_id: str = "CABC123") -> str:
    request = CampaignAssignmentRequest(numbers, campaign_id)
    return BandwidthHook(order_api="tnoptions").create_tn_order(request).order_id


def look(order_id: str, way: str, ti: FakeTaskInstance | None = None, **fields: Any) -> dict[str, Any]:
    """The XComs of a sensor that sees an ended order; a failing one leaves them in ``ti``."""
    ti = ti or FakeTaskInstance("wait")
    given: dict[str, Any] = {"order_id": order_id, "order_api": "tnoptions", **fields}
    if way == "deferred":
        event = run_fast(wait(order_id, order_api="tnoptions")).to_payload()
        sensor = BandwidthTnOrderSensor(task_id="wait", deferrable=True, **given)
        ti.xcom_push("return_value", sensor.execute_complete(make_context(ti), event))
    else:
        sensor = BandwidthTnOrderSensor(task_id="wait", deferrable=False, mode=way, **given)
        ti.xcom_push("return_value", sensor.execute(make_context(ti)))
    return ti.xcoms


WAYS = pytest.mark.parametrize("way", ["poke", "reschedule", "deferred"])


@WAYS
def test_complete_with_warnings(way: str, bandwidth: Sandbox, task_log: TaskLog) -> None:
    order_id = assign(GOOD, OTHER)
    bandwidth.finish(order_id)
    assert look(order_id, way, allowed_statuses="COMPLETE") == {
        "return_value": {
            "order_id": order_id,
            "customer_order_id": bandwidth.orders[0].asked.customer_order_id,
            "action": None,
            "processing_status": "COMPLETE",
            "completed_count": 2,
            "error_count": 0,
            "order_api": "tnoptions",
        },
        "errors": [],
        "warnings": [{"telephone_number": number, "description": ALREADY_ON} for number in (GOOD, OTHER)],
        "completed_telephone_numbers": [GOOD, OTHER],
        ORDER_URL_KEY: f"{bandwidth.url}/accounts/9900000/orders/{order_id}",
    }
    assert f"2 x warning: {ALREADY_ON}" in task_log.text


@WAYS
def test_some_numbers_are_assigned_and_others_cannot_text_yet(way: str, bandwidth: Sandbox) -> None:
    order_id = assign(GOOD, STRANGE)
    bandwidth.finish(order_id)
    xcoms = look(order_id, way)
    assert xcoms["return_value"]["processing_status"] == "PARTIAL"
    assert xcoms["completed_telephone_numbers"] == [GOOD]
    (error,) = xcoms["errors"]
    assert NOT_HERE.items() <= error.items()
    assert [each["telephone_number"] for each in xcoms["warnings"]] == [GOOD]
    with pytest.raises(AirflowFailException, match="5076"):
        look(order_id, way, allowed_statuses="COMPLETE")


@WAYS
def test_no_number_is_assigned(way: str, bandwidth: Sandbox, task_log: TaskLog) -> None:
    bandwidth.configure(options_on_hosted="refused")
    order_id = assign(GOOD, OTHER)
    bandwidth.finish(order_id)
    ti = FakeTaskInstance("wait")
    with pytest.raises(AirflowFailException, match=r"tnoptions order ended FAILED.*5128 x 2"):
        look(order_id, way, ti)
    assert [(each["telephone_number"], each["code"]) for each in ti.xcoms["errors"]] == [
        (GOOD, "5128"),
        (OTHER, "5128"),
    ]
    assert (ti.xcoms["completed_telephone_numbers"], ti.xcoms["warnings"]) == ([], [])
    # The same code says something else of other orders.
    assert "2 x 5128: only SMS may be changed on a hosted number. What to do: ask Bandwidth" in task_log.text


def test_the_wait_goes_on_in_the_triggerer_with_its_order_api(bandwidth: Sandbox) -> None:
    order_id = assign(GOOD)
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, order_api="tnoptions", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(make_context(FakeTaskInstance("wait")))
    _, fields = deferred.value.trigger.serialize()
    assert (fields["order_api"], fields["action"], fields["processing_status"]) == ("tnoptions", None, "RECEIVED")


@pytest.mark.parametrize("list_form", ["full", "summary-only"])
def test_many_share_lists_beside_orders_of_numbers(list_form: str, bandwidth: Sandbox) -> None:
    numbers = [f"919666{line:04d}" for line in range(30)]
    bandwidth.configure(list_form=list_form)
    bandwidth.seed(imported=numbers)
    order_ids = [assign(number) for number in numbers]
    other = bandwidth.add_order([GOOD], status="PROCESSING")

    async def scenario() -> tuple[list[OrderEvent], OrderEvent]:
        async with (
            waits(order_ids, order_api="tnoptions", poke_interval=5) as tasks,
            waits([other.order_id], poke_interval=5) as others,
        ):
            await asyncio.sleep(60)
            for order_id in (*order_ids, other.order_id):
                bandwidth.finish(order_id)
            return await asyncio.gather(*tasks), await others[0]

    events, event = run_fast(scenario())
    assert {each.processing_status for each in events} == {"COMPLETE"}
    assert {each.order_api for each in events} == {"tnoptions"}
    assert (event.order_id, event.order_api) == (other.order_id, "externalTns")
    looks = [each for each in bandwidth.requests if each.operation in ("list", "order") and "tnoptions" in each.path]
    # One by one they would be 360 at least.
    assert len(looks) < 100


def test_an_order_too_large_for_an_event_is_read_by_its_task(bandwidth: Sandbox) -> None:
    numbers = tuple(f"919666{line:04d}" for line in range(2000))
    bandwidth.seed(imported=numbers)
    order_id = assign(*numbers)
    bandwidth.finish(order_id)
    xcoms = look(order_id, "deferred")
    assert len(xcoms["warnings"]) == len(xcoms["completed_telephone_numbers"]) == 2000


def test_an_order_that_somebody_put_there_can_be_waited_for(bandwidth: Sandbox) -> None:
    order: Order = bandwidth.add_order([GOOD, OTHER], order_api="tnoptions")
    assert look(order.order_id, "poke")["completed_telephone_numbers"] == [GOOD, OTHER]
