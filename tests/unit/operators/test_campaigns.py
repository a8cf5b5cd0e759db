"""Numbers are assigned to a campaign by one order, whatever is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from support.airflow_task import FakeTime, StateStore
from support.fast_time import run_fast
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.exceptions import BandwidthApiError, OrderMismatchError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.messages import BandwidthCampaignAssignmentOperator
from airflow_provider_bandwidth.orders import CampaignAssignmentRequest
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrdersTrigger

NUMBERS = ["9195550101", "9195550102"]


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    connect(sandbox.connection)
    sandbox.seed(imported=NUMBERS)
    return sandbox


class Assigning:
    """One assigning task of one run, attempt by attempt."""

    def __init__(self, sandbox: Sandbox, store: StateStore | None = None, **parameters: Any) -> None:
        self.time = FakeTime(sandbox)
        self.store = store
        self.parameters = parameters
        self.try_number = 0

    def attempt(self) -> Any:
        self.try_number += 1
        self.ti = ti = FakeTaskInstance("assign", dag_id="texts", run_id="manual__1", try_number=self.try_number)
        now = datetime.fromtimestamp(self.time.clock(), UTC)
        run = SimpleNamespace(start_date=now, clear_number=0, run_after=now, logical_date=now)
        context = make_context(ti, dag_run=run)
        if self.store is not None:
            context["task_state_store"] = self.store
        operator = self.make(**self.parameters)
        operator.hook = BandwidthHook(order_api="tnoptions", sleep=self.time.sleep, clock=self.time.clock)
        try:
            return operator.execute(context)
        except TaskDeferred as deferred:
            event = json.loads(json.dumps(run_fast(self._run_trigger(deferred.trigger))))
            return operator.execute_complete(context, event=event, **deferred.kwargs)

    @staticmethod
    def make(**parameters: Any) -> Any:
        given = {"telephone_numbers": NUMBERS, "campaign_id": "CABC123", **parameters}
        return BandwidthCampaignAssignmentOperator(task_id="assign", **given)

    @staticmethod
    async def _run_trigger(trigger: Any) -> Any:
        path, fields = trigger.serialize()
        assert (path.rpartition(".")[2], fields["order_api"]) == ("BandwidthTnOrdersTrigger", "tnoptions")
        async for event in BandwidthTnOrdersTrigger(**fields).run():
            return event.payload
        raise AssertionError


def test_the_order_assigns_the_campaign_and_can_be_waited_for(bandwidth: Sandbox) -> None:
    order_id = Assigning(bandwidth, message_class="M").attempt()
    (sent,) = bandwidth.orders
    (group,) = sent.asked.option_groups
    assert (sent.order_id, sent.order_api, group.campaign_id, group.a2p_action) == (
        order_id,
        "tnoptions",
        "CABC123",
        "asSpecified",
    )
    assert (group.sms, group.message_class, sorted(group.telephone_numbers)) == ("on", "M", NUMBERS)
    order = BandwidthHook(order_api="tnoptions").get_tn_order(order_id)
    assert (order.processing_status, sorted(order.completed_telephone_numbers)) == ("COMPLETE", NUMBERS)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("fault", "options"), [("drop", {}), ("status", {"status": 503})])
def test_it_is_one_order_whatever_is_lost(
    fault: str, options: dict[str, Any], when: str, store: bool, bandwidth: Sandbox
) -> None:
    bandwidth.inject(fault, operation="submit", times=1, when=when, **options)
    task = Assigning(bandwidth, StateStore() if store else None)
    first = task.attempt()
    assert task.attempt() == first
    assert [order.order_id for order in bandwidth.orders] == [first]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"campaign_id": "COTHER1"}, "its CampaignId is CABC123, not COTHER1"),
        ({"message_class": "T"}, "its MessageClass is M, not T"),
        ({"campaign_id": None, "message_class": None, "action": "off"}, "its A2pSettings Action is asSpecified, not"),
    ],
)
def test_an_own_id_stands_for_one_campaign(changed: dict[str, Any], said: str, bandwidth: Sandbox) -> None:
    asked = {"customer_order_id": "assign-1", "message_class": "M"}
    first = Assigning(bandwidth, **asked).attempt()
    assert Assigning(bandwidth, **asked, campaign_id="cabc123").attempt() == first
    with pytest.raises(OrderMismatchError, match=said):
        Assigning(bandwidth, **{**asked, **changed}).attempt()
    assert len(bandwidth.orders) == 1


@pytest.mark.parametrize(("campaign_id", "code"), [("CNOTFND", "12189"), ("CPENDNG", "12192"), ("CFOREGN", "12128")])
def test_a_campaign_that_cannot_be_used_is_told_by_its_code(campaign_id: str, code: str, bandwidth: Sandbox) -> None:
    hook = BandwidthHook(order_api="tnoptions")
    try:
        order = hook.get_tn_order(Assigning(bandwidth, campaign_id=campaign_id).attempt())
    except BandwidthApiError as refused:
        assert refused.code == code  # noqa: PT017
    else:
        assert {error.code for error in order.errors} == {code}


def test_numbers_that_cannot_be_assigned_have_their_own_errors(bandwidth: Sandbox) -> None:
    bandwidth.configure(options_on_hosted="refused")
    order = BandwidthHook(order_api="tnoptions").get_tn_order(Assigning(bandwidth).attempt())
    assert order.processing_status == "FAILED"
    assert {(error.telephone_number, error.code) for error in order.errors} == {(n, "5128") for n in NUMBERS}


@pytest.mark.parametrize("action", ["off", "DELETE", "systemDefault"])
def test_a_campaign_is_taken_off(action: str, bandwidth: Sandbox) -> None:
    Assigning(bandwidth, campaign_id=None, action=action).attempt()
    (group,) = bandwidth.orders[0].asked.option_groups
    assert (group.a2p_action, group.campaign_id, group.sms) == (
        {"DELETE": "delete"}.get(action, action),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"campaign_id": None}, "CampaignId: give it with the action asSpecified"),
        ({"action": "off"}, "CampaignId: give it with the action asSpecified"),
        ({"campaign_id": "C" * 65}, "CampaignId: expected 1 to 64"),
        ({"action": "maybe"}, "Action: expected asSpecified"),
        ({"telephone_numbers": ["12"]}, "1 invalid telephone number"),
        ({"customer_order_id": "x" * 41}, "CustomerOrderId"),
    ],
)
def test_a_wrong_parameter_fails_the_task_for_good(fields: dict[str, Any], said: str, bandwidth: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match=said):
        Assigning(bandwidth, **fields).attempt()
    assert not bandwidth.orders


def test_without_numbers_the_task_is_skipped(bandwidth: Sandbox) -> None:
    with pytest.raises(AirflowSkipException):
        Assigning(bandwidth, telephone_numbers=[]).attempt()


# --- any number of numbers, and the wait for them ---

MANY = [f"919666{line:04d}" for line in range(5)]


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("fault", [None, "drop", "status"])
def test_many_numbers_are_several_orders_each_sent_once(fault: str | None, store: bool, bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=MANY)
    if fault:
        options = {"status": 503} if fault == "status" else {}
        bandwidth.inject(fault, operation="submit", times=1, when="after", **options)
    task = Assigning(bandwidth, StateStore() if store else None, telephone_numbers=MANY[::-1], chunk_size=2)
    order_ids = task.attempt()
    assert task.attempt() == order_ids
    groups = [order.asked.option_groups for order in bandwidth.orders]
    assert [group.telephone_numbers for (group,) in groups] == [tuple(MANY[:2]), tuple(MANY[2:4]), tuple(MANY[4:])]
    assert {group.campaign_id for (group,) in groups} == {"CABC123"}
    assert [order.order_id for order in bandwidth.orders] == order_ids


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_task_waits_for_its_orders_itself(deferrable: bool, bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=MANY)
    strange = "9195550104"
    task = Assigning(
        bandwidth,
        telephone_numbers=[*MANY, strange],
        chunk_size=3,
        wait_for_completion=True,
        deferrable=deferrable,
    )
    summary = task.attempt()
    assert summary == {
        "order_id": None,
        "customer_order_id": None,
        "action": None,
        "processing_status": "PARTIAL",
        "completed_count": 5,
        "error_count": 1,
        "order_api": "tnoptions",
    }
    xcoms = task.ti.xcoms
    assert sorted(xcoms["completed_telephone_numbers"]) == MANY
    assert [(each["telephone_number"], each["code"]) for each in xcoms["errors"]] == [(strange, "5076")]
    assert sorted(each["telephone_number"] for each in xcoms["warnings"]) == MANY
    assert [(each["processing_status"], each["action"]) for each in xcoms["orders"]] == [
        ("PARTIAL", None),
        ("COMPLETE", None),
    ]
    assert {each["order_url"] for each in xcoms["orders"]} == {
        f"{bandwidth.url}/accounts/9900000/orders/{order.order_id}" for order in bandwidth.orders
    }


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_task_that_waits_fails_for_numbers_that_cannot_text_yet_where_it_is_told_to(
    deferrable: bool, bandwidth: Sandbox
) -> None:
    bandwidth.configure(options_on_hosted="refused")
    task = Assigning(bandwidth, wait_for_completion=True, deferrable=deferrable, allowed_statuses="COMPLETE")
    with pytest.raises(AirflowFailException, match="it ended FAILED"):
        task.attempt()
    assert {each["code"] for each in task.ti.xcoms["errors"]} == {"5128"}


def test_what_only_orders_of_numbers_have_is_refused() -> None:
    with pytest.raises(TypeError, match="An order that assigns a campaign has no order_api, site_id"):
        Assigning.make(site_id=1, order_api="externalTns")
    operator = Assigning.make(default_args={"site_id": 7, "order_api": "importTnOrders", "retries": 3})
    assert (operator.order_api, operator.retries) == ("tnoptions", 3)


def test_a_request_is_written_as_json() -> None:
    request = CampaignAssignmentRequest(
        telephone_numbers=("9195550101",), campaign_id="CABC123", customer_order_id="c-1"
    )

    assert request.to_dict() == {
        "telephone_numbers": ["9195550101"],
        "campaign_id": "CABC123",
        "message_class": None,
        "a2p_action": "asSpecified",
        "customer_order_id": "c-1",
    }
