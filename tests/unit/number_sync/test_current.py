"""What is at a SIP peer: inventory, count and orders that ended lately, without Airflow or network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_bandwidth.number_sync.current import PeerNumbers, find_imported_before, find_moving
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError, TnOrder

A, B, C, D = (f"919666010{last}" for last in range(4))
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
PLACE = {"site_id": 743, "sip_peer_id": 303716}
SINCE = NOW - timedelta(hours=1)


def order(
    *numbers: str,
    action: Action = Action.IMPORT,
    ended: timedelta | None = timedelta(minutes=5),
    status: ProcessingStatus = ProcessingStatus.COMPLETE,
    failed: tuple[str, ...] = (),
    made: timedelta = timedelta(hours=2),
    place: tuple[int | None, int | None] = (743, 303716),
) -> TnOrder:
    return TnOrder(
        "o",
        status,
        action=action,
        site_id=place[0],
        sip_peer_id=place[1],
        telephone_numbers=numbers,
        errors=tuple(TelephoneNumberError(number, "5003", "x") for number in failed),
        created_at=NOW - made,
        last_modified_at=None if ended is None else NOW - ended,
    )


def laid_over(imported: set[str], *orders: TnOrder, others: set[str] | None = None) -> tuple[set[str], set[str]]:
    numbers = PeerNumbers(frozenset(imported), frozenset(others or ())).lay_over(orders, **PLACE, since=SINCE)
    return set(numbers.imported), set(numbers.others)


def removal(*numbers: str, ended: timedelta = timedelta(minutes=5)) -> TnOrder:
    return order(*numbers, action=Action.REMOVE, ended=ended)


def test_what_an_order_did_lately_is_laid_over_the_inventory() -> None:
    assert laid_over({A}, order(B)) == ({A, B}, set())
    assert laid_over({A, B}, removal(B)) == ({A}, set())
    assert laid_over({A}, order(B), others={B, C}) == ({A, B}, {C})


def test_a_removal_without_a_site_takes_its_numbers_from_anywhere() -> None:
    nowhere = (None, None)
    assert laid_over({A, B}, order(B, action=Action.REMOVE, place=nowhere)) == ({A}, set())
    assert laid_over({A}, order(B, place=nowhere)) == ({A}, set())


def test_an_import_at_another_peer_takes_its_numbers_away_from_here() -> None:
    assert laid_over({A, B}, order(B, place=(744, 303720))) == ({A}, set())
    assert laid_over({A, B}, order(B, place=(743, 303717))) == ({A}, set())
    assert laid_over({A, B}, order(B, place=(743, None))) == ({A, B}, set())


def test_the_later_end_decides() -> None:
    first, second = timedelta(minutes=9), timedelta(minutes=3)
    assert laid_over({A}, removal(B, ended=second), order(B, ended=first))[0] == {A}
    assert laid_over({A}, removal(B, ended=first), order(B, ended=second))[0] == {A, B}


@pytest.mark.parametrize(
    "passed_over",
    [
        order(B, ended=timedelta(minutes=61)),
        order(B, status=ProcessingStatus.PROCESSING),
        order(B, status=ProcessingStatus.FAILED),
        order(A, B, status=ProcessingStatus.PARTIAL, failed=(B,)),
        order(B, place=(744, 303716)),
        order(B, place=(743, 303717)),
        order(A, action=Action.REMOVE, place=(744, None)),
        order(B, ended=None, made=timedelta(hours=26)),
    ],
    ids=[
        "long ago",
        "open",
        "failed",
        "its number failed",
        "other site",
        "other peer",
        "removal elsewhere",
        "made long ago",
    ],
)
def test_other_orders_change_nothing(passed_over: TnOrder) -> None:
    assert laid_over({A}, passed_over) == ({A}, set())


def test_order_that_does_not_show_its_end_may_have_ended_lately() -> None:
    assert laid_over({A}, order(B, ended=None, made=timedelta(hours=24)))[0] == {A, B}
    assert laid_over({A}, order(B, place=(743, None)))[0] == {A, B}


def test_inventory_is_believed_if_the_peer_counts_as_many() -> None:
    numbers = PeerNumbers(frozenset({A, B}), frozenset({C}))
    assert numbers.is_confirmed_by((3, 3), ())
    assert not numbers.is_confirmed_by((4, 4), ())
    assert not numbers.is_confirmed_by((2, 2), ())


def test_counts_that_differ_fit_if_orders_move_as_many_numbers() -> None:
    numbers = PeerNumbers(frozenset({A, B}), frozenset())
    assert numbers.is_confirmed_by((2, 3), {C})
    assert numbers.is_confirmed_by((1, 2), {B})
    assert numbers.is_confirmed_by((1, 3), {B, C})
    assert not numbers.is_confirmed_by((2, 3), ())
    assert not numbers.is_confirmed_by((1, 3), {B})
    assert not numbers.is_confirmed_by((1, 3), {C})


def test_counts_that_agree_with_each_other_leave_nothing_to_what_orders_move() -> None:
    numbers = PeerNumbers(frozenset({A, B}), frozenset())
    assert not numbers.is_confirmed_by((3, 3), {C})
    assert not numbers.is_confirmed_by((1, 1), {B})
    assert numbers.orders_may_explain((3, 3), {C})
    assert numbers.orders_may_explain((1, 1), {B})
    assert not numbers.orders_may_explain((4,), {C})
    assert not numbers.orders_may_explain((0,), {B})


def test_open_orders_and_those_that_ended_lately_move_numbers() -> None:
    orders = [
        order(A, status=ProcessingStatus.PROCESSING),
        order(B),
        order(C, ended=timedelta(hours=2)),
        order(D, place=(1, 1)),
    ]
    assert find_moving(orders, **PLACE, since=SINCE) == {A, B}


def test_what_orders_brought_and_did_not_take_away_should_be_there() -> None:
    years = timedelta(days=900)
    orders = [order(A, B, C, ended=years), removal(B, ended=years / 2), order(D, ended=years, place=(1, 1))]
    assert find_imported_before(orders, **PLACE) == {A, C}
    moved = order(C, ended=years / 3, place=(744, 303720))
    assert find_imported_before([*orders, moved], **PLACE) == {A}
    assert find_imported_before([*orders, moved, order(C, ended=years / 4)], **PLACE) == {A, C}
