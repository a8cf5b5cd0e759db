"""One call per method: what is sent, what comes back, and what is said when it does not work."""

from __future__ import annotations

import asyncio
import itertools
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.clock import ManualClock
from support.raw_server import SILENCE, RawServer, closed_port, http_answer
from support.task_log import TaskLog

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthAuthError,
    InvalidConnectionError,
    InvalidParameterError,
    InvalidResponseError,
    InvalidTelephoneNumbersError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest, LoaType, ProcessingStatus
from airflow_provider_bandwidth.sandbox import Location, OrderError, Sandbox

Connect = Callable[..., None]
NUMBERS = ("9195550101", "9195550102")


def make_request(**changes: Any) -> ExternalTnsOrderRequest:
    fields = {"action": Action.IMPORT, "telephone_numbers": NUMBERS, "site_id": 743, "customer_order_id": "run 7"}
    return ExternalTnsOrderRequest(**{**fields, **changes})


def query_of(sandbox: Sandbox) -> dict[str, list[str]]:
    return parse_qs(sandbox.requests[-1].query, keep_blank_values=True)


# --- create and get ---


@pytest.mark.parametrize("dialect", ["S", "O", "H", "P"])
def test_an_order_is_created_and_read_in_every_dialect(dialect: str, sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.configure(dialect=dialect)
    created = hook.create_tn_order(make_request(sip_peer_id=303716, loa_type=LoaType.SUBSCRIBER))
    (stored,) = sandbox.orders
    assert created.order_id == stored.order_id
    assert created.customer_order_id == "run 7"
    asked = stored.asked
    assert (asked.action, asked.site_id, asked.sip_peer_id) == ("IMPORT", "743", "303716")
    assert (asked.telephone_numbers, asked.loa_type) == (NUMBERS, "SUBSCRIBER")
    read = hook.get_tn_order(created.order_id)
    assert (read.processing_status, read.telephone_numbers) == (ProcessingStatus.COMPLETE, NUMBERS)


def test_the_request_is_xml_with_the_seeds_headers(connect: Connect, clock: ManualClock) -> None:
    answer = b"<ExternalTnsOrder><OrderId>o-1</OrderId><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrder>"
    with RawServer(http_answer(answer, "201 Created")) as server:
        connect(
            {"host": f"{server.url}/api", "login": "u", "password": "p"},
            extra={"auth_type": "basic", "account_id": "55"},
        )
        BandwidthHook(clock=clock).create_tn_order(make_request())
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/accounts/55/externalTns HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/xml; charset=utf-8" in head
    assert b"\r\nAccept: application/xml" in head
    assert b"<CustomerOrderID>run 7</CustomerOrderID>" in body


def test_the_spelling_of_the_customer_order_id_is_the_connections(
    sandbox: Sandbox, connect: Connect, clock: ManualClock
) -> None:
    sandbox.configure(drop_customer_order_id="CustomerOrderID")
    connect(sandbox.connection, extra={"customer_order_id_element": "CustomerOrderId"})
    assert BandwidthHook(clock=clock).create_tn_order(make_request()).customer_order_id == "run 7"


def test_the_order_id_may_come_in_location_only(connect: Connect, clock: ManualClock) -> None:
    answer = b"<ExternalTnsOrder><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrder>"
    location = "Location: https://internal.example.net/iris/accounts/1/externalTns/o-77/"
    with RawServer(http_answer(answer, "201 Created", location), http_answer(answer, "201 Created")) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        hook = BandwidthHook(clock=clock)
        assert hook.create_tn_order(make_request()).order_id == "o-77"
        with pytest.raises(AmbiguousSubmissionError, match="run 7"):
            hook.create_tn_order(make_request())


def test_a_refusal_names_code_text_and_url(sandbox: Sandbox, hook: BandwidthHook) -> None:
    with pytest.raises(BandwidthApiError) as caught:
        hook.create_tn_order(make_request(site_id=999))
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (400, "5016", False)
    assert f"HTTP 400 (error 5016) for {sandbox.base_url}/accounts/9900000/externalTns: " in str(caught.value)
    assert sandbox.orders == []


def test_a_refusal_in_a_200_or_201_is_a_refusal(connect: Connect, clock: ManualClock) -> None:
    refusal = (
        b"<ExternalTnsOrderResponse><ResponseStatus><ErrorCode>25010</ErrorCode><Description>no feature</Description>"
        b"</ResponseStatus></ExternalTnsOrderResponse>"
    )
    with RawServer(http_answer(refusal, "201 Created"), http_answer(refusal)) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        hook = BandwidthHook(clock=clock)
        with pytest.raises(BandwidthApiError, match="no feature") as caught:
            hook.create_tn_order(make_request())
        assert (caught.value.status, caught.value.code) == (201, "25010")
        with pytest.raises(BandwidthApiError, match="no feature") as caught:
            hook.get_tn_order("o-1")
        assert (caught.value.status, caught.value.code) == (200, "25010")


def test_an_unknown_order_is_named_with_its_account(sandbox: Sandbox, hook: BandwidthHook) -> None:
    with pytest.raises(OrderNotFoundError, match="account 9900000 has no order no-such-order") as caught:
        hook.get_tn_order("no-such-order")
    assert (caught.value.status, caught.value.retryable) == (404, False)


def test_another_order_than_the_one_asked_for_is_no_answer(connect: Connect, clock: ManualClock) -> None:
    answer = b"<ExternalTnsOrder><OrderId>o-2</OrderId><ProcessingStatus>COMPLETE</ProcessingStatus></ExternalTnsOrder>"
    with RawServer(http_answer(answer)) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        hook = BandwidthHook(clock=clock)
        with pytest.raises(InvalidResponseError, match=r"Asked for order o-1, .* answered order o-2"):
            hook.get_tn_order("o-1")
        assert hook.get_tn_order("O-2").order_id == "o-2"


def test_white_space_around_an_order_id_of_a_template_is_dropped(sandbox: Sandbox, hook: BandwidthHook) -> None:
    order = sandbox.add_order(NUMBERS)
    assert hook.get_tn_order(f"\n  {order.order_id} ").order_id == order.order_id


@pytest.mark.parametrize("order_id", ["", "  ", "None", "null", None, 7])
def test_an_order_id_that_is_none_asks_whether_the_upstream_was_skipped(
    order_id: Any, sandbox: Sandbox, hook: BandwidthHook
) -> None:
    with pytest.raises(InvalidParameterError, match=r"OrderId: .*skipped"):
        hook.get_tn_order(order_id)
    assert sandbox.requests == []


def test_an_order_id_stays_one_segment_of_the_path(connect: Connect, clock: ManualClock) -> None:
    with RawServer(http_answer(b"", "404 Not Found")) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        with pytest.raises(OrderNotFoundError):
            BandwidthHook(clock=clock).get_tn_order("../sites?x=1#y")
        assert server.requests[0].startswith(b"GET /accounts/1/externalTns/..%2Fsites%3Fx%3D1%23y HTTP/1.1")


@pytest.mark.parametrize("body", ["html", "json"])
def test_a_404_of_somebody_else_does_not_say_that_there_is_no_order(
    body: str, sandbox: Sandbox, hook: BandwidthHook
) -> None:
    """A proxy's or load balancer's page tells nothing of the order: to believe it could have it sent twice."""
    order = sandbox.add_order(["9195550101"])
    sandbox.inject("status", operation="order", status=404, body=body)
    with pytest.raises(InvalidResponseError, match=f"HTTP 404 from .*/externalTns/{order.order_id}"):
        hook.get_tn_order(order.order_id)
    assert hook.get_tn_order(order.order_id).order_id == order.order_id


@pytest.mark.parametrize("kind", ["html", "json", "empty", "other-root", "doctype"])
def test_what_is_not_an_order_is_refused_with_its_url(kind: str, sandbox: Sandbox, hook: BandwidthHook) -> None:
    order = sandbox.add_order(NUMBERS)
    sandbox.inject("body", operation="order", kind=kind)
    with pytest.raises(InvalidResponseError, match=rf"HTTP 200 from {sandbox.base_url}/accounts/.*{order.order_id}: "):
        hook.get_tn_order(order.order_id)


def test_403_points_to_account_and_roles(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"account_id": "123"})
    with pytest.raises(BandwidthAuthError, match="account 123: check the account id and the user's roles") as caught:
        BandwidthHook().get_tn_order("o-1")
    assert caught.value.code == "1001"


# --- list ---


def test_filters_are_sent_in_bandwidths_words(sandbox: Sandbox, hook: BandwidthHook) -> None:
    hook.list_tn_orders(
        customer_order_id="run 7",
        telephone_number="+1 (919) 555-0101",
        status=["received", ProcessingStatus.PROCESSING],
        action="import",
        created_from=date(2026, 1, 2),
        created_to="2026-01-03",
        modified_from=datetime(2026, 1, 4, 23, 59, tzinfo=timezone(timedelta(hours=-5))),
        modified_to=datetime(2026, 1, 6, 1, 0, tzinfo=UTC),
    )
    assert query_of(sandbox) == {
        "customerOrderId": ["run 7"],
        "tn": ["9195550101"],
        "status": ["RECEIVED", "PROCESSING"],
        "action": ["IMPORT"],
        "createdDateFrom": ["2026-01-02"],
        "createdDateTo": ["2026-01-03"],
        "modifiedDateFrom": ["2026-01-05"],
        "modifiedDateTo": ["2026-01-06"],
    }


def test_filters_that_are_not_given_are_not_sent(sandbox: Sandbox, hook: BandwidthHook) -> None:
    hook.list_tn_orders(status="COMPLETE")
    assert query_of(sandbox) == {"status": ["COMPLETE"]}


@pytest.mark.parametrize(
    ("filters", "error", "named"),
    [
        ({"status": "COMPLETED"}, InvalidParameterError, "status: .*'COMPLETED'"),
        ({"status": ["COMPLETE", "DONE"]}, InvalidParameterError, "status: .*'DONE'"),
        ({"action": "DELETE"}, InvalidParameterError, "Action: .*'DELETE'"),
        ({"customer_order_id": ""}, InvalidParameterError, "CustomerOrderId: "),
        ({"customer_order_id": "a_b"}, InvalidParameterError, "CustomerOrderId: .*'a_b'"),
        ({"telephone_number": "555"}, InvalidTelephoneNumbersError, "'555'"),
        ({"created_from": "yesterday"}, InvalidParameterError, "created_from: .*yyyy-MM-dd.*'yesterday'"),
        ({"created_to": "2026-13-01"}, InvalidParameterError, "created_to"),
        ({"modified_from": "2026-01-01T00:00:00Z"}, InvalidParameterError, "modified_from"),
        ({"modified_to": ""}, InvalidParameterError, "modified_to"),
    ],
)
def test_a_filter_that_cannot_match_is_an_error_and_not_an_empty_list(
    filters: dict[str, Any], error: type[Exception], named: str, sandbox: Sandbox, hook: BandwidthHook
) -> None:
    """Bandwidth answers a bad filter with 404 in some versions, which is also its word for none."""
    with pytest.raises(error, match=named):
        hook.list_tn_orders(**filters)
    assert sandbox.requests == []


def test_404_with_a_refusal_without_a_body_and_204_mean_none(sandbox: Sandbox, hook: BandwidthHook) -> None:
    assert hook.list_tn_orders() == []
    sandbox.add_order(NUMBERS)
    sandbox.inject("status", operation="list", status=404, body="empty")
    assert hook.list_tn_orders() == []
    sandbox.inject("status", operation="list", status=204, body="empty")
    assert hook.list_tn_orders() == []
    assert len(hook.list_tn_orders()) == 1


@pytest.mark.parametrize(("status", "body"), [(404, "html"), (404, "json"), (200, "html"), (200, "empty")])
def test_an_answer_that_is_no_list_never_means_none(
    status: int, body: str, sandbox: Sandbox, hook: BandwidthHook
) -> None:
    sandbox.inject("status", operation="list", status=status, body=body)
    with pytest.raises(InvalidResponseError, match=f"HTTP {status} from {sandbox.base_url}/accounts/9900000"):
        hook.list_tn_orders()


@pytest.mark.parametrize("dialect", ["S", "O", "H", "P"])
def test_a_list_of_full_orders_costs_one_call(dialect: str, sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.configure(dialect=dialect)
    error = OrderError("5124", "exists", ("9195550102",))
    order = sandbox.add_order(NUMBERS, status="PARTIAL", errors=[error], customer_order_id="run 7")
    (found,) = hook.list_tn_orders(customer_order_id="run 7")
    assert (found.order_id, found.completed_telephone_numbers) == (order.order_id, ("9195550101",))
    assert [record.operation for record in sandbox.requests if record.operation != "token"] == ["list"]


def test_summaries_are_read_in_full(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.configure(list_form="summary")
    made = [
        sandbox.add_order([number], created_at=datetime.now(UTC) - timedelta(minutes=i))
        for i, number in enumerate(NUMBERS)
    ]
    found = hook.list_tn_orders(status="COMPLETE")
    assert [order.order_id for order in found] == [order.order_id for order in made]
    assert [order.telephone_numbers for order in found] == [(number,) for number in NUMBERS]
    assert sandbox.count(operation="order") == 2


def test_a_number_finds_its_orders(sandbox: Sandbox, hook: BandwidthHook) -> None:
    order = sandbox.add_order(NUMBERS)
    sandbox.add_order(["9195550199"])
    assert [found.order_id for found in hook.list_tn_orders(telephone_number="919-555-0102")] == [order.order_id]


def test_the_numbers_searched_for_are_in_no_error(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.inject("refuse", operation="list")
    with pytest.raises(BandwidthApiError) as caught:
        hook.list_tn_orders(telephone_number="9195550101")
    assert "9195550101" not in str(caught.value)


# --- inventory ---


def test_only_imported_numbers_are_listed_over_all_pages(sandbox: Sandbox, hook: BandwidthHook) -> None:
    imported = [f"91966{line:05d}" for line in range(12_000)]
    sandbox.seed(imported=imported, owned=["9195550001"])
    assert list(hook.iter_external_telephone_numbers("743", "303716")) == imported
    assert sandbox.count(operation="peer-numbers") == 3


def test_an_inventory_streams_without_pages_being_held(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.seed(imported=[f"919{line:07d}" for line in range(2_000_000, 2_060_000)])
    numbers = hook.iter_external_telephone_numbers()
    read = sum(1 for _ in itertools.islice(numbers, 1))
    tracemalloc.start()
    try:
        read += sum(1 for _ in numbers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == 60_000
    # A page of 5,000 is over a MiB as XML, and the sandbox in this process holds it more than once. Twelve are 15 more.
    assert peak < 9 * 2**20, f"{peak / 2**20:.1f} MiB"


def test_a_peer_without_numbers_has_none(sandbox: Sandbox, hook: BandwidthHook) -> None:
    assert list(hook.iter_external_telephone_numbers()) == []


def test_an_inventory_page_without_an_end_is_an_error(connect: Connect, clock: ManualClock) -> None:
    page = (
        b"<SipPeerTelephoneNumbersResponse><Links><next>Link=&lt;https://h/x?page=9195550101&amp;size=1&gt;;"
        b'rel="next";</next></Links><SipPeerTelephoneNumbers/></SipPeerTelephoneNumbersResponse>'
    )
    with RawServer(http_answer(page)) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        with pytest.raises(InvalidResponseError, match="brings nothing new"):
            list(BandwidthHook(clock=clock).iter_external_telephone_numbers(1, 2))
        assert server.connections == 1


def test_an_inventory_that_ends_where_it_points_on_is_an_error(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.seed(imported=[f"91966{line:05d}" for line in range(6000)])
    sandbox.inject("status", operation="peer-numbers", status=204, body="empty", after=1)
    with pytest.raises(InvalidResponseError, match=r"Page 2, .* is not there"):
        list(hook.iter_external_telephone_numbers())


def _inventory_page(numbers: Sequence[str], following: object) -> bytes:
    listed = "".join(
        f"<SipPeerTelephoneNumber><FullNumber>{number}</FullNumber></SipPeerTelephoneNumber>" for number in numbers
    )
    body = (
        f'<SipPeerTelephoneNumbersResponse><Links><next>Link=&lt;https://h/x?page={following}&gt;;rel="next";</next>'
        f"</Links><SipPeerTelephoneNumbers>{listed}</SipPeerTelephoneNumbers></SipPeerTelephoneNumbersResponse>"
    )
    return http_answer(body.encode())


@pytest.mark.parametrize(
    ("pages", "calls"),
    [
        ([["9195550101"]], 2),
        ([["9195550101", "9195550102"], ["9195550102"]], 2),
        ([["9195550101"], ["9195550102"], ["9195550101"]], 3),
        ([["9195550101"], []], 2),
        ([["+44 20 7946 0000"], ["+44 20 7946 0000"]], 2),
    ],
)
def test_an_inventory_whose_pages_bring_nothing_new_is_an_error(
    pages: list[list[str]], calls: int, connect: Connect, clock: ManualClock
) -> None:
    answers = [_inventory_page(numbers, index + 2) for index, numbers in enumerate([*pages, pages[-1]])]
    with RawServer(*answers) as server:
        connect({"host": server.url, "login": "u", "password": "p"}, extra={"auth_type": "basic", "account_id": "1"})
        with pytest.raises(InvalidResponseError, match="brings nothing new"):
            list(BandwidthHook(clock=clock).iter_sip_peer_telephone_numbers(1, 2))
        assert server.connections == calls


def test_the_peers_own_count_counts_every_number_of_its_pages(sandbox: Sandbox, hook: BandwidthHook) -> None:
    assert hook.count_sip_peer_telephone_numbers() == 0
    sandbox.seed(imported=["9195550101", "9195550102"], owned=["9195550103"])
    assert hook.count_sip_peer_telephone_numbers() == 3
    assert len(list(hook.iter_sip_peer_telephone_numbers())) == 3
    assert [number for number, is_imported in hook.iter_sip_peer_telephone_numbers() if not is_imported] == [
        "9195550103"
    ]


def test_an_inventory_needs_a_site_and_a_peer(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"sip_peer_id": None})
    with pytest.raises(InvalidParameterError, match=r"SipPeerId: .*extra\.sip_peer_id"):
        list(BandwidthHook().iter_external_telephone_numbers())
    connect(sandbox.connection, extra={"site_id": None})
    with pytest.raises(InvalidParameterError, match=r"SiteId: .*extra\.site_id.*bandwidth_default"):
        list(BandwidthHook().iter_external_telephone_numbers())
    assert sandbox.requests == []


def test_a_count_that_is_answered_by_nothing_is_none(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.inject("status", operation="peer-total", status=204, body="empty")
    assert hook.count_sip_peer_telephone_numbers() == 0


# --- a connection that changes ---


@pytest.mark.parametrize("auth_type", ["oauth2", "basic"])
@pytest.mark.parametrize("call", ["get", "list", "create"])
def test_a_rotated_secret_is_picked_up_by_the_call_that_is_refused(
    auth_type: str, call: str, sandbox: Sandbox, connect: Connect, clock: ManualClock
) -> None:
    connect(sandbox.connection, extra={"auth_type": auth_type})
    hook = BandwidthHook(sleep=clock.sleep, clock=clock)
    order = sandbox.add_order(["9195550101"])
    hook.get_tn_order(order.order_id)
    sandbox.rotate_secret("the new one")
    sandbox.revoke_tokens()
    connect(sandbox.connection, extra={"auth_type": auth_type})
    if call == "get":
        assert hook.get_tn_order(order.order_id).order_id == order.order_id
    elif call == "list":
        assert len(hook.list_tn_orders(telephone_number="9195550101")) == 1
    else:
        hook.create_tn_order(ExternalTnsOrderRequest("IMPORT", ["9195550102"], 743))
        assert len(sandbox.orders) == 2
    hook.close()


def test_credentials_that_are_refused_and_have_not_changed_are_an_error(
    sandbox: Sandbox, hook: BandwidthHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.rotate_secret("the new one")
    with pytest.raises(BandwidthAuthError):
        hook.list_tn_orders()
    assert sandbox.count(operation="token") == 1
    # Nor does a hiccup of Airflow's hide what Bandwidth said.
    monkeypatch.delenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT")
    with pytest.raises(BandwidthAuthError):
        hook.list_tn_orders()


def test_a_missing_role_is_no_reason_to_read_the_connection_again(
    sandbox: Sandbox, hook: BandwidthHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.inject("status", operation="list", status=403, body="empty")
    monkeypatch.setattr(BandwidthHook, "reload", lambda self: pytest.fail("read again"))
    with pytest.raises(BandwidthAuthError):
        hook.list_tn_orders()


def test_reload_says_whether_the_connection_changed_and_keeps_the_account(
    sandbox: Sandbox, hook: BandwidthHook, connect: Connect
) -> None:
    account_id = hook.account_id
    session = hook.get_conn()
    assert not hook.reload()
    assert hook.get_conn() is session
    connect(sandbox.connection, extra={"max_requests_per_minute": 7, "account_id": "1"})
    assert asyncio.run(hook.reload_settings())
    assert hook.settings.max_requests_per_minute == 7
    assert hook.account_id == account_id
    assert hook.get_conn() is not session
    assert not hook.reload()


def test_a_connection_that_became_wrong_does_not_replace_one_that_works(
    sandbox: Sandbox, hook: BandwidthHook, connect: Connect
) -> None:
    order = sandbox.add_order(["9195550101"])
    hook.get_tn_order(order.order_id)
    connect(sandbox.connection, login=None)
    with pytest.raises(InvalidConnectionError):
        hook.reload()
    hook.get_tn_order(order.order_id)


# --- Bandwidth's clock ---


@pytest.mark.parametrize("ahead", [-7200, -90, 0, 90, 7200])
def test_the_clock_of_bandwidth_is_told_by_its_answers(
    ahead: float, sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    clock.now += ahead
    assert abs(hook.bandwidth_now().timestamp() - clock.now) < 0.001
    hook.list_tn_orders()
    assert abs(hook.bandwidth_now().timestamp() - time.time()) < 3
    hook.close()
    assert abs(hook.bandwidth_now().timestamp() - time.time()) < 3


def test_given_ids_win_over_the_connections(sandbox: Sandbox, hook: BandwidthHook) -> None:
    assert (hook.resolve_site_id(None), hook.resolve_site_id(""), hook.resolve_site_id("7")) == (743, 743, 7)
    assert (hook.resolve_sip_peer_id(None), hook.resolve_sip_peer_id(" 8 ")) == (303716, 8)


# --- test_connection ---


@pytest.mark.parametrize("auth_type", ["oauth2", "basic"])
def test_a_working_connection_is_told_by_gets(auth_type: str, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"auth_type": auth_type})
    for _ in range(2):
        assert BandwidthHook().test_connection() == (
            True,
            f"Connected to account 9900000 at {sandbox.base_url}; order API externalTns.",
        )
        sandbox.add_order(NUMBERS)
    assert {record.method for record in sandbox.requests if record.operation != "token"} == {"GET"}


def test_an_account_without_a_site_is_a_working_connection(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.inject("status", operation="sites", status=204)
    connect(sandbox.connection)
    assert BandwidthHook().test_connection()[0]


def verdict(connect: Connect, connection: dict[str, Any], **changes: Any) -> str:
    connect(connection, **changes)
    clock = ManualClock()
    ok, message = BandwidthHook(sleep=clock.sleep, clock=clock).test_connection()
    assert ok is False
    assert clock.pauses == [], "a person waits: nothing is tried again"
    return message


def test_each_reason_for_a_failed_test_is_told_apart(sandbox: Sandbox, connect: Connect) -> None:
    good = sandbox.connection
    messages = {
        "credentials": verdict(connect, good, password="wrong"),
        "basic": verdict(connect, good, password="wrong", extra={"auth_type": "basic"}),
        "account": verdict(connect, good, extra={"account_id": "123"}),
        "no account": verdict(connect, good, extra={"account_id": None}),
        "refused": verdict(connect, good, host=f"http://127.0.0.1:{closed_port()}/api"),
        "unknown host": verdict(connect, good, host="https://bandwidth.invalid/api"),
        "path": verdict(connect, good, host=f"{sandbox.url}/nowhere"),
        "token path": verdict(connect, good, extra={"token_url": f"{sandbox.url}/nowhere"}),
        "login page": "",
        "html": "",
        "silent": "",
        "overloaded": "",
    }
    with RawServer(http_answer(b"<html>Sign in</html>")) as server:
        messages["login page"] = verdict(connect, good, host=server.url)
        messages["html"] = verdict(connect, good, host=server.url, extra={"auth_type": "basic"})
    with RawServer(SILENCE) as server:
        messages["silent"] = verdict(connect, good, host=server.url, extra={"timeout": 0.1})
    sandbox.inject("status", operation="token", status=503)
    messages["overloaded"] = verdict(connect, good)

    assert messages["credentials"].startswith("Wrong credentials.")
    assert messages["basic"].startswith("Wrong credentials.")
    assert messages["account"].startswith("The credentials were accepted, but account 123 was not")
    assert "give account_id, or set extra.account_id" in messages["no account"]
    for name in ("refused", "unknown host", "silent"):
        assert messages[name].startswith("Bandwidth could not be reached."), name
    assert "Wrong credentials" not in messages["token path"] + messages["overloaded"] + messages["login page"]
    assert "check the connection's token_url" in messages["token path"]
    assert "HTTP 503" in messages["overloaded"]
    assert "token_url" in messages["login page"]
    assert "HTML" in messages["html"]
    assert len(set(messages.values())) == len(messages)


def test_an_unfinished_connection_is_told_without_any_call(sandbox: Sandbox, connect: Connect) -> None:
    assert "field Password: it is empty" in verdict(connect, sandbox.connection, password=None)
    assert sandbox.requests == []


# --- the hook itself ---


def test_one_session_serves_all_calls_until_it_is_closed(sandbox: Sandbox, hook: BandwidthHook) -> None:
    session = hook.get_conn()
    assert hook.get_conn() is session
    hook.list_tn_orders()
    hook.close()
    hook.close()
    hook.list_tn_orders()
    assert hook.get_conn() is not session
    assert sandbox.count(operation="list") == 2


def test_numbers_are_counted_in_the_log_and_not_listed(
    sandbox: Sandbox, hook: BandwidthHook, task_log: TaskLog
) -> None:
    hook.submit_tn_order(make_request())
    assert "2 telephone numbers" in task_log.text
    for number in NUMBERS:
        assert number not in task_log.text


def test_orders_of_another_account_are_not_seen(connect: Connect) -> None:
    with Sandbox(accounts=("1", "2")) as sandbox:
        order = sandbox.add_order(NUMBERS, location=Location("2", "743", "303716"))
        connect(sandbox.connection)
        with pytest.raises(OrderNotFoundError):
            BandwidthHook().get_tn_order(order.order_id)
        assert BandwidthHook(account_id="2").get_tn_order(order.order_id).account_id == "2"
