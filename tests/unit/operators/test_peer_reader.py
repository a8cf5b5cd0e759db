"""What a sync sees of an account that has, or had, more than one order API."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.imports import IMPORT_DEFAULTS

from airflow_provider_bandwidth.exceptions import BandwidthApiError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.number_sync.layout import OrderChunk, cut_into_orders
from airflow_provider_bandwidth.operators._peer_reader import PeerReader
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.sandbox import Sandbox

Connect = Callable[..., None]
A, B, C = "9196660101", "9196660102", "9196660103"
PLACE: dict[str, Any] = {"site_id": 743, "sip_peer_id": 303716}


@pytest.fixture
def read(sandbox: Sandbox, connect: Connect) -> Callable[..., PeerReader]:
    """A reader through an order API of an account that has some; orders end when they are told to."""

    def make(order_api: str, *, has: str = ",".join(ORDER_APIS)) -> PeerReader:
        sandbox.configure(order_apis=has, received_seconds=1e9)
        connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": order_api})
        return PeerReader(BandwidthHook(), *PLACE.values(), logging.getLogger(__name__))

    return make


def submit(sandbox: Sandbox, order_api: str, action: str, *numbers: str, ends: bool = True) -> str:
    hook = BandwidthHook(order_api=order_api)
    order_id = hook.submit_tn_order(hook.build_order_request(action, numbers)).order_id
    if ends:
        sandbox.finish(order_id)
    return order_id


@pytest.mark.parametrize("order_api", ORDER_APIS)
def test_what_its_own_orders_did_shows_before_the_inventory(
    order_api: str, read: Callable[..., PeerReader], sandbox: Sandbox
) -> None:
    reader = read(order_api, has=order_api)
    submit(sandbox, order_api, "IMPORT", A, B)
    sandbox.configure(inventory_lag_seconds=0.0)
    submit(sandbox, order_api, "REMOVE", B)
    assert reader.look().numbers.imported == {A}


@pytest.mark.parametrize("order_api", ORDER_APIS)
def test_numbers_of_every_api_are_settled_or_busy(
    order_api: str, read: Callable[..., PeerReader], sandbox: Sandbox
) -> None:
    reader = read(order_api)
    others = [name for name in ORDER_APIS if name != order_api]
    for other, number in zip(others, (A, B), strict=True):
        submit(sandbox, other, "IMPORT", number)
    open_id = submit(sandbox, others[0], "IMPORT", C, ends=False)
    look = reader.look()
    assert look.numbers.imported == {A, B}
    assert [order.order_id for order in look.open_orders] == [open_id]
    chunks, busy = cut_into_orders(
        (C,), 10, action=Action.IMPORT, order_api=order_api, open_orders=look.open_orders, **PLACE
    )
    if look.open_orders[0].order_api == order_api:  # both forms of importTnOrders show it
        assert chunks == (OrderChunk((C,), look.open_orders[0].customer_order_id),)
    else:
        assert not chunks
        assert [each.order_id for each in busy] == [open_id]


def test_an_account_that_moves_on_imports_nothing_twice(read: Callable[..., PeerReader], sandbox: Sandbox) -> None:
    read("externalTns")
    submit(sandbox, "externalTns", "IMPORT", A, B)
    for has in (",".join(ORDER_APIS), "importTnOrders,importTnOrders/messaging"):
        for order_api in ("importTnOrders", "importTnOrders/messaging"):
            assert read(order_api, has=has).look().numbers.imported == {A, B}


def test_apis_that_the_account_has_not_are_asked_once(read: Callable[..., PeerReader], sandbox: Sandbox) -> None:
    reader = read("importTnOrders", has="importTnOrders")
    reader.look()
    reader.look()
    refused = [record for record in sandbox.requests if record.operation == "list" and record.status == 403]
    assert len(refused) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410])
def test_an_api_that_is_gone_stops_no_sync(status: int, read: Callable[..., PeerReader], sandbox: Sandbox) -> None:
    reader = read("importTnOrders", has="importTnOrders")
    submit(sandbox, "importTnOrders", "IMPORT", A)
    sandbox.inject("status", path="externalTns", status=status, times=None)
    assert reader.look().numbers.imported == {A}


def test_an_api_that_gives_no_answer_stops_a_sync(read: Callable[..., PeerReader], sandbox: Sandbox) -> None:
    reader = read("importTnOrders", has="importTnOrders")
    sandbox.inject("status", path="externalTns", status=503, times=None)
    reader._others._hooks[0]._sleep = lambda _: None
    with pytest.raises(BandwidthApiError, match="HTTP 503"):
        reader.look()


def test_an_order_that_has_ended_is_read_once(read: Callable[..., PeerReader], sandbox: Sandbox) -> None:
    reader = read("importTnOrders", has="importTnOrders")
    for number in (A, B):
        submit(sandbox, "importTnOrders", "IMPORT", number)
    sandbox.add_order([C], order_api="importTnOrders", created_at=datetime.now(UTC) - timedelta(minutes=5))
    before = len(sandbox.requests)
    for _ in range(2):
        reader.look()
        assert reader.find_vanished() == {A, B, C}
    assert len([record for record in sandbox.requests[before:] if record.operation == "order"]) == 3
