"""The plan of a sync, its guards, and how it is cut into orders, without Airflow or network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bandwidth.exceptions import (
    InvalidParameterError,
    InvalidTelephoneNumbersError,
    UnsafePlanError,
)
from airflow_provider_bandwidth.number_sync.plan import (
    BusyNumbers,
    NumberSyncPlan,
    OrderChunk,
    check_plan,
    cut_into_orders,
    find_lasting_errors,
    hold_back_leaving,
    plan_number_sync,
)
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError, TnOrder

A, B, C, D, E, F = (f"919666010{last}" for last in range(6))
UNKNOWN_AREA = "2715550101"  # there is no area code 271

# --- the plan ---


def test_plan_is_desired_minus_current() -> None:
    plan = plan_number_sync([C, A, B], [A, D, E], remove_missing=True)
    assert plan.to_import == (B, C)
    assert plan.to_remove == (D, E)
    assert plan.unchanged == (A,)
    assert plan.rejected == ()


def test_plan_has_a_figure_for_every_value() -> None:
    plan = plan_number_sync([C, A, B, B, "", "12"], [A, D, E], remove_missing=True)
    assert plan.counts() == {
        "desired": 4,
        "current": 3,
        "unchanged": 1,
        "to_import": 2,
        "to_remove": 2,
        "rejected": 1,
        "not_desired": 2,
        "duplicates": 1,
        "blanks": 1,
    }


def test_nothing_is_removed_unless_asked() -> None:
    plan = plan_number_sync([A], [A, D])
    assert plan.to_remove == ()
    assert plan.not_desired_count == 1


def test_desired_values_are_read_as_crms_write_them() -> None:
    rows = [
        "+1 (919) 666-0100",
        "1-919-666-0101",
        " 919.666.0102 ",
        9196660103,
        9196660104.0,
        [F],
        (A,),
        None,
        "",
        "  ",
    ]
    plan = plan_number_sync(rows, [C])
    assert plan.to_import == (A, B, D, E, F)
    assert plan.unchanged == (C,)
    assert (plan.duplicate_count, plan.blank_count, plan.rejected) == (1, 3, ())


def test_text_is_taken_apart() -> None:
    assert plan_number_sync(f"{A}, {B}\n{A}", [A]).to_import == (B,)
    assert plan_number_sync(f"{A}, {B}\n{A}", [A]).duplicate_count == 1


def test_what_is_no_number_is_rejected_with_its_reason() -> None:
    plan = plan_number_sync([A, "12", "+1 800 555 1212", "call me"], [])
    assert {each.value: each.code for each in plan.rejected} == {
        "12": "length",
        "+1 800 555 1212": "toll_free",
        "call me": "letters",
    }
    assert plan.desired_count == 4


@pytest.mark.parametrize("value", [UNKNOWN_AREA, f"+1{UNKNOWN_AREA}", f"({UNKNOWN_AREA[:3]}) {UNKNOWN_AREA[3:]}"])
def test_what_bandwidth_hosts_is_valid_whatever_our_numbering_plan_says(value: str) -> None:
    assert plan_number_sync([value], []).rejected[0].code == "area_code", "else this test shows nothing"
    plan = plan_number_sync([value], [UNKNOWN_AREA], remove_missing=True)
    assert plan.unchanged == (UNKNOWN_AREA,)
    assert plan.rejected == plan.to_remove == ()


@pytest.mark.parametrize(
    "value",
    ["{} ext 2", "9195550199 / fax {}", "Mobile 2: {}", "ext 2, {}", "(011) 2 {}", "+1 {}-12"],
)
def test_number_in_a_rejected_value_is_not_removed(value: str) -> None:
    plan = plan_number_sync([value.format(A), B], [A, B, C], remove_missing=True)
    assert len(plan.rejected) == 1
    assert plan.to_remove == (C,)


def test_excluded_numbers_are_neither_imported_nor_removed() -> None:
    plan = plan_number_sync([A, B, C], [C, D], excluded=["+1 919 666 0101", C, D], remove_missing=True)
    assert plan.to_import == (A,)
    assert plan.to_remove == plan.unchanged == ()
    assert {each.value: each.code for each in plan.rejected} == {B: "excluded", C: "excluded"}


def test_excluded_value_that_is_no_number_stops_everything() -> None:
    with pytest.raises(InvalidTelephoneNumbersError, match="'91966601'"):
        plan_number_sync([A], [B], excluded=["91966601"])


def test_a_million_duplicates_are_one_number() -> None:
    plan = plan_number_sync((A for _ in range(1_000_000)), [])
    assert plan.to_import == (A,)
    assert plan.duplicate_count == 999_999


NUMBERS = [f"919666{last:04d}" for last in range(40)]
VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS).map(lambda n: f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}"),
    st.sampled_from(["", None, "12", "x", "911"]),
)


@given(st.lists(VALUES), st.sets(st.sampled_from(NUMBERS)), st.sets(st.sampled_from(NUMBERS)), st.booleans())
def test_every_value_has_one_place_in_the_plan(
    desired: list[str | None], current: set[str], excluded: set[str], remove: bool
) -> None:
    plan = plan_number_sync(desired, current, excluded=excluded, remove_missing=remove)
    imports, removals, unchanged = set(plan.to_import), set(plan.to_remove), set(plan.unchanged)
    wanted = {"".join(filter(str.isdigit, value))[-10:] for value in desired if value and len(value) >= 10}
    assert imports == wanted - current - excluded
    assert unchanged == (wanted & current) - excluded
    assert removals == (current - wanted - excluded if remove else set())
    in_plan = len(plan.to_import) + len(plan.unchanged) + len(plan.rejected)
    assert in_plan + plan.duplicate_count + plan.blank_count == len(desired)
    assert plan.to_import == tuple(sorted(imports))


# --- the guard ---


def plan_of(*, current: int, kept: int, fresh: int = 0, removed: int | None = None) -> NumberSyncPlan:
    there = [f"919{number:07d}" for number in range(6660000, 6660000 + current)]
    new = [f"984{number:07d}" for number in range(6660000, 6660000 + fresh)]
    plan = plan_number_sync([*there[:kept], *new], there, remove_missing=True)
    assert removed is None or len(plan.to_remove) == removed
    return plan


@pytest.mark.parametrize(
    ("plan", "limits", "says"),
    [
        (plan_of(current=100, kept=0), {}, ["empty", "100 are at Bandwidth", "min_desired=0"]),
        (plan_of(current=0, kept=0), {}, ["empty"]),
        (plan_of(current=100, kept=49), {}, ["49", "100", "min_desired=0.5", "50"]),
        (plan_of(current=100, kept=89), {}, ["11 of 100", "max_removals=0.1", "10"]),
        (plan_of(current=100, kept=97), {"max_removals": 2}, ["3 of 100", "max_removals=2"]),
        (plan_of(current=100, kept=99), {"max_removals": 0}, ["1 of 100", "max_removals=0"]),
        (plan_of(current=100, kept=60), {"max_removals": 1.0, "min_desired": 61}, ["60", "min_desired=61"]),
    ],
)
def test_guard_stops_with_the_figures(plan: NumberSyncPlan, limits: dict[str, float], says: list[str]) -> None:
    with pytest.raises(UnsafePlanError) as stopped:
        check_plan(plan, **limits)
    for words in (*says, "Nothing was sent"):
        assert words in str(stopped.value)


@pytest.mark.parametrize(
    ("plan", "limits"),
    [
        (plan_of(current=100, kept=90), {}),
        (plan_of(current=100, kept=50), {"max_removals": 0.5}),
        (plan_of(current=100, kept=0, fresh=50), {"max_removals": 1.0}),
        (plan_of(current=0, kept=0, fresh=1), {}),
        (plan_of(current=100, kept=98), {"max_removals": 2}),
        (plan_of(current=100, kept=0), {"max_removals": 100, "min_desired": 0}),
    ],
)
def test_guard_lets_pass_what_is_within_the_limits(plan: NumberSyncPlan, limits: dict[str, float]) -> None:
    check_plan(plan, **limits)


@pytest.mark.parametrize("limit", [-1, 1.5, -0.1, True, "0.1", None, float("nan")])
@pytest.mark.parametrize("name", ["max_removals", "min_desired"])
def test_limit_that_is_neither_count_nor_share_is_named(name: str, limit: float) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        check_plan(plan_of(current=2, kept=2), **{name: limit})


# --- orders ---


def open_order(
    numbers: tuple[str, ...],
    *,
    action: Action = Action.IMPORT,
    customer_order_id: str | None = "airflow-1",
    site_id: int = 743,
    sip_peer_id: int | None = 303716,
) -> TnOrder:
    return TnOrder(
        order_id="o-1",
        processing_status=ProcessingStatus.PROCESSING,
        customer_order_id=customer_order_id,
        action=action,
        site_id=site_id,
        sip_peer_id=sip_peer_id,
        telephone_numbers=numbers,
    )


def cut(
    numbers: tuple[str, ...], *orders: TnOrder, action: Action = Action.IMPORT
) -> tuple[tuple[OrderChunk, ...], tuple[BusyNumbers, ...]]:
    return cut_into_orders(numbers, 2, action=action, site_id=743, sip_peer_id=303716, open_orders=orders)


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
    ],
    ids=["no customer order id", "one that cannot be sent", "other site", "other peer", "other action"],
)
def test_numbers_of_an_open_order_that_does_not_fit_are_left_out(order: TnOrder) -> None:
    chunks, busy = cut((A, B), order)
    assert chunks == (OrderChunk((B,)),)
    assert busy == (BusyNumbers(frozenset({A}), "o-1", str(order.action)),)


def test_open_removal_shows_no_peer_and_is_taken_over() -> None:
    order = open_order((A,), action=Action.REMOVE, sip_peer_id=None)
    assert cut((A,), order, action=Action.REMOVE)[0] == (OrderChunk((A,), "airflow-1"),)


def test_number_that_is_being_removed_is_not_unchanged() -> None:
    orders = [open_order((A, C), action=Action.REMOVE), open_order((B,))]
    assert hold_back_leaving((A, B), orders) == ((B,), (BusyNumbers(frozenset({A}), "o-1", "REMOVE"),))


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


def lasting(*orders: TnOrder, ignore: tuple[str, ...] = ()) -> dict[str, str]:
    found = find_lasting_errors((A, B), orders, site_id=743, sip_peer_id=303716, ignore_error_codes=ignore)
    return {error.telephone_number: error.order_id for error in found}


def test_error_that_only_a_change_removes_lasts() -> None:
    assert lasting(ended("o", 1, (A, B, C), (A, "25060"), (C, "25060"))) == {A: "o"}
    assert lasting(ended("o", 1, (A, B), (A, "25060"), (A, "25080"))) == {A: "o"}


@pytest.mark.parametrize(
    "order",
    [
        ended("o", 1, (A,), (A, "25070")),
        ended("o", 1, (A,), (A, "5016")),
        ended("o", 1, (A,), (A, "999999")),
        ended("o", 1, (A,), (None, "25060")),
        ended("o", 1, (A,), (A, "25060"), action=Action.REMOVE),
        ended("o", 1, (A,), (A, "25060"), site_id=1),
        ended("o", 1, (A,), (A, "25060"), sip_peer_id=1),
    ],
    ids=["may pass", "whole order", "unknown code", "no number", "removal", "other site", "other peer"],
)
def test_other_errors_hold_nothing_back(order: TnOrder) -> None:
    assert lasting(order) == {}


def test_the_newest_order_with_a_number_decides() -> None:
    refused, done = ended("old", 1, (A, B), (A, "25060"), (B, "25060")), ended("new", 2, (A,))
    assert lasting(refused, done) == lasting(done, refused) == {B: "old"}
    assert lasting(refused, ended("new", 2, (), (A, "25060"))) == {A: "new", B: "old"}


def test_ignored_codes_hold_nothing_back() -> None:
    assert lasting(ended("o", 1, (A,), (A, "5124")), ignore=("5124",)) == {}
