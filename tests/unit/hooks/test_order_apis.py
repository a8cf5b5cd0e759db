"""The hook on each of Bandwidth's order APIs: the same calls, the same orders, whatever an account has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import ManualClock
from support.imports import IMPORT_DEFAULTS, SUBSCRIBER
from support.task_log import TaskLog

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    InvalidFieldsError,
    InvalidParameterError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest, LoaType
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = ("9195550101", "2265550103")
SUCCESSORS = tuple(ORDER_APIS)[1:]

Connect = Callable[..., None]


@pytest.fixture(params=ORDER_APIS)
def order_api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hook(sandbox: Sandbox, connect: Connect, clock: ManualClock, order_api: str) -> Iterator[BandwidthHook]:
    """A hook on an account that has this order API alone; the connection has what imports need."""
    sandbox.configure(order_apis=order_api, received_seconds=1e9)
    connect(sandbox.connection, extra=IMPORT_DEFAULTS)
    made = BandwidthHook(sleep=clock.sleep, clock=clock)
    yield made
    made.close()


def submit(hook: BandwidthHook, action: str = "IMPORT", **fields: Any) -> Any:
    return hook.submit_tn_order(hook.build_order_request(action, NUMBERS, **fields))


# --- the same on all ---


def test_an_order_is_submitted_read_and_listed(hook: BandwidthHook, sandbox: Sandbox, order_api: str) -> None:
    for action in Action:
        created = submit(hook, action)
        assert (created.action, created.order_api, created.telephone_numbers) == (action, order_api, NUMBERS)
        sandbox.finish(created.order_id)
        ended = hook.get_tn_order(created.order_id)
        assert (ended.action, ended.completed_telephone_numbers) == (action, NUMBERS)
        assert hook.get_tn_order(created.order_id, action=action) == ended
        assert hook.list_tn_orders(customer_order_id=created.customer_order_id) == [ended]
        assert hook.list_tn_orders(telephone_number=NUMBERS[0], action=action) == [ended]
    assert [order.action for order in hook.list_tn_orders()] == ["REMOVE", "IMPORT"]
    assert {order.telephone_numbers for order in sandbox.orders} == {NUMBERS}


def test_submitting_the_same_request_again_finds_the_order(hook: BandwidthHook, sandbox: Sandbox) -> None:
    for action in Action:
        request = hook.build_order_request(action, NUMBERS)
        first = hook.submit_tn_order(request)
        assert hook.submit_tn_order(request).order_id == first.order_id
    assert len(sandbox.orders) == 2


def test_a_lost_id_is_told_with_what_can_be_done_on_this_api(
    hook: BandwidthHook, sandbox: Sandbox, order_api: str, task_log: TaskLog
) -> None:
    sandbox.configure(drop_customer_order_id="always")
    submit(hook)
    assert "came back without its CustomerOrderId" in task_log.text
    can_be_spelt_otherwise = "Set the connection's customer_order_id_element to CustomerOrderId" in task_log.text
    assert can_be_spelt_otherwise == (order_api not in SUCCESSORS)
    if order_api in SUCCESSORS:
        assert f"sent as CustomerOrderId, the only element that {order_api} has for it" in task_log.text


def test_the_numbers_at_a_peer_are_ten_digits(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.finish(submit(hook).order_id)
    assert set(hook.iter_external_telephone_numbers()) == set(NUMBERS)
    assert hook.count_sip_peer_telephone_numbers() == len(NUMBERS)
    refused = hook.check_importable(["9195550101", "9195550001"])
    assert [error.telephone_number for error in refused] == ["9195550001"]


@pytest.mark.parametrize("form", ["404", "200", "204"])
def test_a_list_without_orders_is_empty(form: str, hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.configure(empty_list=form)
    assert hook.list_tn_orders() == []
    assert list(hook.iter_tn_orders(statuses=())) == []


def test_a_list_that_wants_page_and_size_gets_both(hook: BandwidthHook, sandbox: Sandbox) -> None:
    created = submit(hook)
    sandbox.configure(list_paging_required=True)
    assert [entry.order.order_id for entry in hook.iter_tn_orders(statuses=())] == [created.order_id]
    before = len(sandbox.requests)
    assert [order.order_id for order in hook.list_tn_orders(action="IMPORT")] == [created.order_id]
    lists = [record for record in sandbox.requests[before:] if record.operation == "list"]
    assert len(lists) == 1


def test_a_list_that_goes_on_wanting_page_and_size_is_an_error(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.inject("refuse", operation="list", times=None, description="page and size are required")
    with pytest.raises(BandwidthApiError, match="page and size are required"):
        hook.list_tn_orders()
    assert sandbox.count(operation="list") == 2


def test_open_orders_are_listed_whatever_the_filter_knows(hook: BandwidthHook, sandbox: Sandbox) -> None:
    received, processing, ended = (submit(hook).order_id for _ in range(3))
    sandbox.set_status(processing, "PROCESSING")
    sandbox.finish(ended)
    assert {order.order_id for order in hook.list_tn_orders(status=["RECEIVED", "PROCESSING"])} == {
        received,
        processing,
    }


def test_an_order_that_is_not_there(hook: BandwidthHook, sandbox: Sandbox, order_api: str) -> None:
    with pytest.raises(OrderNotFoundError, match=f"which is {order_api}"):
        hook.get_tn_order("5f0d8c5e-7a31-4b62-9c11-2f4b6a7d9e01")
    if order_api in SUCCESSORS:
        sandbox.configure(unknown_order="400")
        for order_id in ("5f0d8c5e-7a31-4b62-9c11-2f4b6a7d9e01", "no-uuid"):
            with pytest.raises(OrderNotFoundError):
                hook.get_tn_order(order_id)


def test_an_orders_page_is_where_its_api_is(hook: BandwidthHook, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_url": None})
    for action in Action:
        created = submit(hook, action)
        url = BandwidthHook().order_url(created.order_id, action)
        resource = hook.order_api.resource_for(action)
        assert url.endswith(f"/accounts/9900000/{resource.path}/{created.order_id}")
        assert ("/api/v2/" in url) == (resource.api_version == "v2")


# --- where they differ ---


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_an_import_takes_from_the_connection_what_it_is_not_given(hook: BandwidthHook, sandbox: Sandbox) -> None:
    request: Any = hook.build_order_request("import", NUMBERS, loa_authorizing_person="Bea Baker", site_id="")
    assert (request.site_id, request.sip_peer_id, request.loa_type) == (743, 303716, LoaType.SUBSCRIBER)
    assert (request.subscriber.name, request.loa_authorizing_person) == ("Example Bakery LLC", "Bea Baker")


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_what_is_missing_is_named_at_once_and_nothing_is_sent(
    hook: BandwidthHook, sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.connection, extra={"site_id": None})
    with pytest.raises(InvalidFieldsError) as raised:
        BandwidthHook().build_order_request("IMPORT", ["919"])
    assert raised.value.problems.keys() == {"SiteId", "Subscriber", "LoaAuthorizingPerson", "TelephoneNumbers"}
    assert "give subscriber, or set extra.subscriber of connection 'bandwidth_default'" in str(raised.value)
    assert not sandbox.requests


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_a_request_of_another_api_is_not_sent(hook: BandwidthHook, sandbox: Sandbox, order_api: str) -> None:
    request = ExternalTnsOrderRequest(Action.IMPORT, NUMBERS, 743)
    for send in (hook.create_tn_order, hook.submit_tn_order):
        with pytest.raises(InvalidParameterError, match=f"for externalTns, but .* for {order_api}"):
            send(request)
    assert not sandbox.requests


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_an_empty_list_may_be_blank_on_the_successors(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.configure(empty_list="blank")
    assert hook.list_tn_orders() == []
    assert list(hook.iter_tn_orders(statuses=())) == []


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
@pytest.mark.parametrize("root", ["plural", "singular", "flat"])
def test_every_root_of_the_201_is_read(root: str, hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.configure(created_root=root)
    for action in Action:
        assert submit(hook, action).telephone_numbers == NUMBERS


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
@pytest.mark.parametrize("form", ["errors", "plural", "response-status"])
def test_every_form_of_a_refusal_is_read(form: str, hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.configure(refusal_form=form)
    with pytest.raises(BandwidthApiError) as raised:
        submit(hook, site_id=9)
    assert (raised.value.status, raised.value.code) == (400, "7309")


@pytest.mark.parametrize("order_api", ["importTnOrders/messaging"], indirect=True)
def test_v2_gets_e164_and_a_plus_that_is_no_blank(hook: BandwidthHook, sandbox: Sandbox) -> None:
    hook.list_tn_orders(telephone_number=NUMBERS[0])
    queries = [record.query for record in sandbox.requests if record.operation == "list"]
    assert queries[0].startswith("tn=%2B19195550101")


PREFIXES = ("", "/v1.0", "/api", "/api/v1", "/api/v2", "/API/V2")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_of_the_base_url_will_do(
    prefix: str, hook: BandwidthHook, sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.connection, host=f"{sandbox.url}{prefix}", extra=IMPORT_DEFAULTS)
    submit(BandwidthHook())
    assert len(sandbox.orders) == 1


def test_the_test_button_says_which_api_answers(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.configure(order_apis="importTnOrders,importTnOrders/messaging")
    connect(sandbox.connection, extra={"order_api": "externalTns"})
    is_good, says = BandwidthHook().test_connection()
    assert not is_good
    assert says.startswith(
        "Account 9900000 does not answer for order API externalTns, but does for importTnOrders and "
        "importTnOrders/messaging: set order_api."
    )
    assert BandwidthHook(order_api="importTnOrders").test_connection()[0]
    assert {record.method for record in sandbox.requests if record.operation != "token"} == {"GET"}


def test_the_hooks_own_api_stays_when_the_connection_changes(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection)
    hook = BandwidthHook()
    assert hook.settings.order_api == "externalTns"
    connect(sandbox.connection, extra={"order_api": "importTnOrders"})
    assert hook.reload()
    assert hook.order_api.name == "externalTns"


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"order_api": "importTns"}, "extra.order_api: expected externalTns, importTnOrders, importTnOrders/messaging"),
        ({"subscriber": "Example Bakery"}, "Subscriber: it is not JSON"),
        ({"subscriber": json.dumps({"name": "x"})}, "ServiceAddress: it is missing"),
        ({"loa_type": "NOBODY"}, "extra.loa_type: expected CARRIER or SUBSCRIBER, got 'NOBODY'"),
    ],
)
def test_a_wrong_field_of_the_connection_is_named(
    extra: dict[str, Any], says: str, sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.connection, extra=extra)
    is_good, said = BandwidthHook().test_connection()
    assert not is_good
    assert says in said


def test_the_connection_takes_a_subscriber_as_json_or_as_its_text(sandbox: Sandbox, connect: Connect) -> None:
    subscribers = []
    for form in (SUBSCRIBER, json.dumps(SUBSCRIBER)):
        connect(sandbox.connection, extra={"subscriber": form, "loa_type": "carrier"})
        subscribers.append(BandwidthHook().settings.subscriber)
    assert subscribers[0] == subscribers[1]
    assert subscribers[0] is not None
    assert BandwidthHook().settings.loa_type is LoaType.CARRIER
