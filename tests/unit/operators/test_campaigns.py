"""Numbers are assigned to a campaign by one order, whatever is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from support.airflow_task import FakeTime, StateStore
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.exceptions import BandwidthApiError, OrderMismatchError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.messages import BandwidthCampaignAssignmentOperator
from airflow_provider_bandwidth.orders import CampaignAssignmentRequest
from airflow_provider_bandwidth.sandbox import Sandbox

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
        self.parameters = {"telephone_numbers": NUMBERS, "campaign_id": "CABC123", **parameters}
        self.try_number = 0

    def attempt(self) -> str:
        self.try_number += 1
        ti = FakeTaskInstance("assign", dag_id="texts", run_id="manual__1", try_number=self.try_number)
        now = datetime.fromtimestamp(self.time.clock(), UTC)
        run = SimpleNamespace(start_date=now, clear_number=0, run_after=now, logical_date=now)
        context = make_context(ti, dag_run=run)
        if self.store is not None:
            context["task_state_store"] = self.store
        operator = BandwidthCampaignAssignmentOperator(task_id="assign", **self.parameters)
        operator.hook = BandwidthHook(order_api="tnoptions", sleep=self.time.sleep, clock=self.time.clock)
        return operator.execute(context)


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
