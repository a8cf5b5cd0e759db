"""How a plan becomes orders, without Airflow or network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.layout import (
    BusyNumbers,
    OrderChunk,
    cut_into_orders,
    hold_back_refused,
    lay_out,
    split_off_leaving,
)
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError, TnOrder

A, B, C, D, E, F = (f"919666010{last}" for last in range(6))


def open_order(
    numbers: tuple[str, ...],
    *,
    action: Action = Action.IMPORT,
    customer_order_id: str | None = "airflow-1",
    site_id: int | None = 743,
    sip_peer_id: int | None = 303716,
    order_api: str = "externalTns",
) -> TnOrder:
    return TnOrder(
        order_id="o-1",
        processing_status=ProcessingStatus.PROCESSING,
        customer_order_id=customer_order_id,
        action=action,
        site_id=site_id,
        sip_peer_id=sip_peer_id,
        telephone_numbers=numbers,
        order_api=order_api,
    )


def cut(
    numbers: tuple[str, ...], *orders: TnOrder, action: Action = Action.IMPORT
) -> tuple[tuple[OrderChunk, ...], tuple[BusyNumbers, ...]]:
    return cut_into_orders(
        numbers,
        2,
        action=action,
        site_id=743,
        sip_peer_id=303716,
        order_api="externalTns",
        open_orders=orders,
    )


def test_numbers_are_cut_into_orders() -> None:
    assert cut((A, B, C)) == ((OrderChunk((A, B)), OrderChunk((C,))), ())


def test_open_order_is_taken_over_as_it_is() -> None:
    chunks, busy = cut((A, B, C, D), open_order((C, B)))
    assert chunks == (OrderChunk((C, B), "airflow-1"), OrderChunk((A, D)))
    assert busy == ()


def test_open_order_that_holds_more_than_is_asked_for_is_not_taken_over() -> None:
    chunks, busy = cut((A, B, C, D), open_order((C, B, F)))
    assert chunks == (OrderChunk((A, D)),)
    assert busy == (BusyNumbers(frozenset({B, C}), "o-1", "IMPORT"),)


def test_open_order_for_other_numbers_does_not_matter() -> None:
    assert cut((A,), open_order((B,))) == ((OrderChunk((A,)),), ())


@pytest.mark.parametrize(
    "order",
    [
        open_order((A,), customer_order_id=None),
        open_order((A,), customer_order_id="under_score"),
        open_order((A,), site_id=1),
        open_order((A,), sip_peer_id=1),
        open_order((A,), action=Action.REMOVE),
        open_order((A,), order_api="importTnOrders"),
    ],
    ids=["no customer order id", "one that cannot be sent", "other site", "other peer", "other action", "other API"],
)
def test_numbers_of_an_open_order_that_does_not_fit_are_left_out(order: TnOrder) -> None:
    chunks, busy = cut((A, B), order)
    assert chunks == (OrderChunk((B,)),)
    assert busy == (BusyNumbers(frozenset({A}), "o-1", str(order.action)),)


def test_open_removal_shows_no_peer_and_is_taken_over() -> None:
    for site_id in (743, None):
        order = open_order((A,), action=Action.REMOVE, site_id=site_id, sip_peer_id=None)
        assert cut((A,), order, action=Action.REMOVE)[0] == (OrderChunk((A,), "airflow-1"),)


def test_number_that_is_being_removed_is_not_unchanged() -> None:
    orders = [open_order((A, C), action=Action.REMOVE), open_order((B,))]
    assert split_off_leaving((A, B), orders) == ((B,), (BusyNumbers(frozenset({A}), "o-1", "REMOVE"),))


def ended(
    order_id: str, day: int, numbers: tuple[str, ...], *errors: tuple[str | None, str], **changes: Any
) -> TnOrder:
    return TnOrder(
        order_id=order_id,
        processing_status=ProcessingStatus.PARTIAL,
        action=changes.get("action", Action.IMPORT),
        site_id=changes.get("site_id", 743),
        sip_peer_id=changes.get("sip_peer_id", 303716),
        telephone_numbers=numbers,
        errors=tuple(TelephoneNumberError(number, code, "why") for number, code in errors),
        created_at=datetime(2026, 11, day, tzinfo=UTC),
    )


NOW = datetime(2026, 11, 3, tzinfo=UTC)


def held_back(*orders: TnOrder, ignore: tuple[str, ...] = (), now: datetime = NOW) -> dict[str, str]:
    found = hold_back_refused(
        (A, B),
        orders,
        site_id=743,
        sip_peer_id=303716,
        now=now,
        resend_after=timedelta(days=7),
        ignore_error_codes=ignore,
    )
    assert {fate.fate for fate in found} <= {Fate.ERRORED}
    orders_by_number = {fate.telephone_number: fate.order_id for fate in found}
    assert len(orders_by_number) == len(found), "a number with two errors has one fate"
    return orders_by_number


def test_number_that_would_fail_again_is_held_back() -> None:
    assert held_back(ended("o", 1, (A, B, C), (A, "25060"), (C, "25060"))) == {A: "o"}
    assert held_back(ended("o", 1, (A, B), (A, "25060"), (A, "25080"))) == {A: "o"}


@pytest.mark.parametrize(("code", "days"), [("25060", 7), ("25070", 3), ("25080", 3), ("25090", 3)])
def test_error_that_may_pass_holds_back_for_a_while_only(code: str, days: int) -> None:
    refused = ended("o", 1, (A,), (A, code))
    until = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=days)
    assert held_back(refused, now=until - timedelta(seconds=1)) == {A: "o"}
    assert held_back(refused, now=until) == {}


def test_held_back_number_says_why_and_until_when() -> None:
    (fate,) = hold_back_refused(
        (A,),
        [ended("o", 1, (A,), (A, "25070"))],
        site_id=743,
        sip_peer_id=303716,
        now=NOW,
        resend_after=timedelta(days=7),
    )
    assert fate == NumberFate(
        A, "IMPORT", Fate.ERRORED, "25070", "why (refused on 2026-11-01; sent again from 2026-11-04 on)", "o"
    )


@pytest.mark.parametrize(
    "order",
    [
        ended("o", 1, (A,), (A, "7205")),
        ended("o", 1, (A,), (A, "5016")),
        ended("o", 1, (A,), (A, "999999")),
        ended("o", 1, (A,), (None, "25060")),
        ended("o", 1, (A,), (A, "25060"), action=Action.REMOVE),
        ended("o", 1, (A,), (A, "25060"), site_id=1),
        ended("o", 1, (A,), (A, "25060"), sip_peer_id=1),
    ],
    ids=[
        "passes with another order",
        "whole order",
        "unknown code",
        "no number",
        "removal",
        "other site",
        "other peer",
    ],
)
def test_other_errors_hold_nothing_back(order: TnOrder) -> None:
    assert held_back(order) == {}


def test_the_newest_order_with_a_number_decides() -> None:
    refused, done = ended("old", 1, (A, B), (A, "25060"), (B, "25060")), ended("new", 2, (A,))
    assert held_back(refused, done) == held_back(done, refused) == {B: "old"}
    assert held_back(refused, ended("new", 2, (), (A, "25060"))) == {A: "new", B: "old"}


def test_ignored_codes_hold_nothing_back() -> None:
    assert held_back(ended("o", 1, (A,), (A, "5124")), ignore=("5124",)) == {}


def test_open_order_holds_nothing_back_by_its_errors() -> None:
    refused = ended("o", 1, (A,), (A, "25060"))
    assert held_back(replace(refused, processing_status=ProcessingStatus.PROCESSING)) == {}


def test_every_number_of_a_plan_has_its_place() -> None:
    plan = plan_number_sync([A, B, C, "12", D], [D, E, F], remove_missing=True)
    refused = NumberFate(B, "IMPORT", Fate.ERRORED, "25060", "said before", "o-0")
    layout = lay_out(
        plan,
        chunk_size=2,
        site_id=743,
        sip_peer_id=303716,
        loa_type=None,
        order_api="externalTns",
        open_orders=[open_order((E, A), action=Action.REMOVE), open_order((D,), action=Action.REMOVE)],
        held_back=[refused],
    )
    assert layout.orders == {Action.IMPORT: (OrderChunk((C,)),), Action.REMOVE: (OrderChunk((F,)),)}
    assert layout.unchanged == ()
    assert layout.fates[1] == refused
    told = [(fate.telephone_number, fate.action, fate.fate, fate.code) for fate in layout.fates]
    assert told == [
        ("12", "IMPORT", "rejected", "length"),
        (B, "IMPORT", "errored", "25060"),
        (D, "IMPORT", "rejected", "open_order"),
        (A, "IMPORT", "rejected", "open_order"),
        (E, "REMOVE", "rejected", "open_order"),
    ]
    assert layout.counts() == {"unchanged": 0, "rejected": 3, "refused_before": 1, "to_assign": 0}
    assert layout.taken_over() == {"IMPORT": [None], "REMOVE": [None]}


def test_long_value_is_shortened() -> None:
    plan = plan_number_sync(["x" * 201, "y" * 200], [])
    layout = lay_out(
        plan, chunk_size=2, site_id=743, sip_peer_id=303716, loa_type=None, order_api="externalTns", open_orders=[]
    )
    assert [fate.telephone_number for fate in layout.fates] == ["x" * 200 + "...", "y" * 200]
