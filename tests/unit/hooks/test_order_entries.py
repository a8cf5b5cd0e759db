"""Lists read as a stream, and what the poller learns from a refusal."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support.raw_server import RawServer, http_answer
from support.waiting import add_orders

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    InvalidConnectionError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.sandbox import Sandbox

_OPEN = ("RECEIVED", "PROCESSING")


def test_entries_are_those_asked_for(sandbox: Sandbox, hook: BandwidthHook) -> None:
    open_ids = add_orders(sandbox, 3)
    (ended_id,) = add_orders(sandbox, 1, status="COMPLETE", numbers=4)

    open_entries = list(hook.iter_tn_orders(statuses=_OPEN, created_from=date(2020, 1, 1)))
    ended_entries = list(hook.iter_tn_orders(statuses=["COMPLETE"], order_id_fragment=ended_id[:6]))

    assert {entry.order.order_id for entry in open_entries} == set(open_ids)
    assert [len(entry.order.telephone_numbers) for entry in ended_entries] == [4]
    assert [record.query for record in sandbox.requests if record.operation == "list"] == [
        "status=RECEIVED&status=PROCESSING&createdDateFrom=2020-01-01&orderDetails=true",
        f"status=COMPLETE&orderIdFragment={ended_id[:6]}&orderDetails=true",
    ]


@pytest.mark.parametrize("dialect", ["S", "O", "H", "P"])
def test_summaries_are_enough_for_waiting(sandbox: Sandbox, hook: BandwidthHook, dialect: str) -> None:
    sandbox.configure(dialect=dialect)
    (order_id,) = add_orders(sandbox, 1, numbers=50)

    (entry,) = hook.iter_tn_orders(statuses=_OPEN, in_full=False)

    assert (entry.order.order_id, entry.order.processing_status) == (order_id, "PROCESSING")
    assert entry.order.created_at is not None
    assert entry.order.created_at.date() == sandbox.order(order_id).created_at.date()
    assert entry.is_summary
    assert not entry.order.telephone_numbers


def test_no_match_is_an_empty_list(hook: BandwidthHook) -> None:
    assert list(hook.iter_tn_orders(statuses=_OPEN)) == []


@pytest.mark.parametrize(
    ("fault", "options", "error"),
    [
        ("status", {"status": 503}, BandwidthApiError),
        ("unauthorized", {}, BandwidthAuthError),
        ("drop", {}, BandwidthApiError),
        ("truncate", {"how": "length"}, BandwidthApiError),
        ("truncate", {"how": "xml"}, InvalidResponseError),
        ("body", {"kind": "html"}, InvalidResponseError),
    ],
)
def test_list_that_cannot_be_read_raises_the_hooks_errors(
    sandbox: Sandbox, hook: BandwidthHook, fault: str, options: dict[str, Any], error: type[Exception]
) -> None:
    add_orders(sandbox, 200)
    sandbox.inject(fault, operation="list", times=None, **options)

    with pytest.raises(error):
        list(hook.iter_tn_orders(statuses=_OPEN))


def test_connection_is_used_again_after_a_list(connect: Callable[..., None], sandbox: Sandbox) -> None:
    connect(sandbox.connection, extra={"auth_type": "basic"})
    hook = BandwidthHook(max_attempts=1)
    add_orders(sandbox, 100)

    for _ in range(5):
        assert len(list(hook.iter_tn_orders(statuses=_OPEN))) == 100
    pools = [pool for adapter in set(hook.get_conn().adapters.values()) for pool in _pools(adapter)]
    hook.close()

    assert [pool.num_connections for pool in pools] == [1]


def _pools(adapter: Any) -> list[Any]:
    manager = adapter.poolmanager.pools
    return [manager[key] for key in manager.keys()]  # noqa: SIM118


def test_long_list_is_never_held_whole(connect: Callable[..., None], sandbox: Sandbox) -> None:
    number = b"<TelephoneNumber>9195550101</TelephoneNumber>"
    order = (
        b"<ExternalTnsOrder><OrderId>%d</OrderId><ProcessingStatus>PROCESSING</ProcessingStatus>"
        b"<TelephoneNumbers>" + number * 500 + b"</TelephoneNumbers></ExternalTnsOrder>"
    )
    body = b"<ExternalTnsOrders>" + b"".join(order % n for n in range(1000)) + b"</ExternalTnsOrders>"
    with RawServer(http_answer(body)) as server:
        connect(sandbox.connection, host=server.url, extra={"auth_type": "basic"})
        hook = BandwidthHook(max_attempts=1)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        count = sum(1 for _ in hook.iter_tn_orders(statuses=_OPEN, in_full=False))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        hook.close()

    assert count == 1000
    assert len(body) > 20_000_000
    assert peak - before < 5_000_000


@pytest.mark.parametrize(("header", "least", "most"), [("X-RateLimit-Reset", 5, 8), ("Retry-After", 6, 8)])
def test_refusal_says_how_long_to_wait(
    connect: Callable[..., None], sandbox: Sandbox, header: str, least: float, most: float
) -> None:
    connect(sandbox.connection)
    hook = BandwidthHook(max_attempts=1)
    sandbox.inject("rate-limit", seconds=7, header=header, times=None)

    with pytest.raises(BandwidthApiError) as caught:
        hook.get_tn_order("0f3c1a52")
    hook.close()

    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


def test_refusal_without_a_time_has_none(connect: Callable[..., None], sandbox: Sandbox) -> None:
    connect(sandbox.connection)
    hook = BandwidthHook(max_attempts=1)
    sandbox.inject("rate-limit", header="none", times=None)

    with pytest.raises(BandwidthApiError) as caught:
        hook.get_tn_order("0f3c1a52")
    hook.close()

    assert caught.value.retry_after is None


@pytest.mark.parametrize(("given", "budget"), [(None, 60), ("", 60), ("90", 90), (120, 120), (30.0, 30)])
def test_budget_of_calls(connect: Callable[..., None], sandbox: Sandbox, given: object, budget: int) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": given})

    assert BandwidthHook().settings.max_requests_per_minute == budget


@pytest.mark.parametrize("given", ["0", "-5", "many", "1.5"])
def test_wrong_budget_names_the_field(connect: Callable[..., None], sandbox: Sandbox, given: str) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": given})

    with pytest.raises(InvalidConnectionError, match="max_requests_per_minute"):
        _ = BandwidthHook().settings
