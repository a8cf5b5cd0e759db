"""Whether a plan may be sent without a person, without Airflow or network."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError, UnsafePlanError
from airflow_provider_bandwidth.number_sync.guards import check_plan, count_vanished_allowed, parse_limit
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan, plan_number_sync


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
        (
            plan_of(current=100, kept=49),
            {},
            ["50 % of 100 = 50 desired telephone numbers needed", "holds 49", "min_desired=0.5"],
        ),
        (
            plan_of(current=100, kept=89),
            {},
            ["10 % of 100 = 10 removals allowed; 11 planned: 9196660089, 9196660090", "98, ...", "max_removals=0.1"],
        ),
        (
            plan_of(current=100, kept=97),
            {"max_removals": 2},
            ["2 removals allowed; 3 planned: 9196660097, 9196660098, 9196660099 (max_removals=2)"],
        ),
        (
            plan_of(current=100, kept=99),
            {"max_removals": 0},
            ["0 removals allowed; 1 planned: 9196660099 (max_removals=0)"],
        ),
        (
            plan_of(current=2, kept=0, fresh=2),
            {},
            ["10 % of 2 = 0 removals allowed; 2 planned: 9196660000, 9196660001"],
        ),
        (plan_of(current=300, kept=300, fresh=151), {}, ["50 % of 300 = 150 imports allowed; 151 planned: 9846660000"]),
        (plan_of(current=10, kept=10, fresh=101), {}, ["100 imports allowed; 101 planned", "never fewer than 100"]),
        (plan_of(current=10, kept=10, fresh=3), {"max_imports": 2}, ["2 imports allowed; 3 planned", "max_imports=2"]),
        (plan_of(current=10, kept=10, fresh=3), {"max_imports": 0.2}, ["20 % of 10 = 2 imports allowed; 3 planned"]),
        (plan_of(current=0, kept=0, fresh=3), {"max_imports": 2}, ["2 imports allowed", "first_load=True"]),
        (
            plan_of(current=100, kept=60),
            {"max_removals": 1.0, "min_desired": 61},
            ["61 desired telephone numbers needed; the extract holds 60 (min_desired=61)"],
        ),
    ],
)
def test_guard_stops_with_the_figures(plan: NumberSyncPlan, limits: dict[str, Any], says: list[str]) -> None:
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
        (plan_of(current=0, kept=0, fresh=500), {}),
        (plan_of(current=0, kept=0, fresh=500), {"max_imports": 0.1}),
        (plan_of(current=10, kept=10, fresh=100), {}),
        (plan_of(current=300, kept=300, fresh=150), {}),
        (plan_of(current=300, kept=300, fresh=500), {"first_load": True}),
        (plan_of(current=0, kept=0, fresh=3), {"first_load": True, "max_imports": 2}),
        (plan_of(current=100, kept=98), {"max_removals": 2}),
        (plan_of(current=100, kept=0), {"max_removals": 100, "min_desired": 0}),
    ],
)
def test_guard_lets_pass_what_is_within_the_limits(plan: NumberSyncPlan, limits: dict[str, Any]) -> None:
    check_plan(plan, **limits)


@pytest.mark.parametrize("limit", [-1, 1.5, -0.1, True, "0.1", None, float("nan")])
@pytest.mark.parametrize("name", ["max_removals", "min_desired", "max_unreadable", "max_imports"])
def test_limit_that_is_neither_count_nor_share_is_named(name: str, limit: float) -> None:
    if (name, limit) == ("max_imports", None):
        return  # the default
    with pytest.raises(InvalidParameterError, match=name):
        check_plan(plan_of(current=2, kept=2), **{name: limit})


def with_unreadable(count: int, *, removed: int = 1, others: tuple[str, ...] = ()) -> NumberSyncPlan:
    there = [f"919{number:07d}" for number in range(6660000, 6660100)]
    desired = [*there[removed:], *(f"no number {index}" for index in range(count)), *others]
    return plan_number_sync(desired, there, remove_missing=True)


def test_unreadable_values_forbid_removals() -> None:
    check_plan(with_unreadable(1))
    with pytest.raises(UnsafePlanError, match=r"1 % of 101 = 1 unreadable values allowed beside removals; 2 found"):
        check_plan(with_unreadable(2))
    check_plan(with_unreadable(2), max_unreadable=2)
    check_plan(with_unreadable(9, removed=0))


def test_value_that_is_read_without_doubt_is_not_unreadable() -> None:
    check_plan(with_unreadable(1, others=("8886660100", "8886660101", "8006660101")))


def test_empty_inventory_that_orders_contradict_is_unsafe_whatever_is_allowed() -> None:
    plan = plan_of(current=0, kept=0, fresh=3)
    with pytest.raises(
        UnsafePlanError, match=r"orders of this account imported 2 there.*9846660000, 9846660009.*first_load"
    ):
        check_plan(plan, max_imports=1000, vanished={"9846660009", "9846660000"})
    check_plan(plan, first_load=True, vanished={"9846660000"})


def test_numbers_that_orders_brought_and_that_the_inventory_does_not_show_are_no_new_ones() -> None:
    """The peer's own count is no witness where it is as old, or as wrong, as the inventory."""
    plan = plan_of(current=80, kept=80, fresh=70)
    brought = sorted(plan.to_import)
    check_plan(plan)
    check_plan(plan, vanished=brought[:8])
    with pytest.raises(
        UnsafePlanError, match=r"shows only 80 imported numbers, although .* imported 9 more there.*first_load=True"
    ):
        check_plan(plan, vanished=brought[:9])
    check_plan(plan, vanished=brought, first_load=True)


def test_a_few_numbers_may_be_imported_again_however_small_the_fleet() -> None:
    assert [count_vanished_allowed(current) for current in (0, 1, 29, 30, 1000)] == [0, 2, 2, 3, 100]
    small = plan_of(current=3, kept=3, fresh=3)
    check_plan(small, vanished=small.to_import[:2])
    with pytest.raises(UnsafePlanError, match="imported 3 more there"):
        check_plan(small, vanished=small.to_import)


def test_every_finding_is_told_with_the_commonest_reasons() -> None:
    there = [f"919{number:07d}" for number in range(6660000, 6660100)]
    desired = ["call Jane", "call Joe", "208777", "20877", "2087", "8886660100", "x" * 70, there[0]]
    plan = plan_number_sync(desired, there, remove_missing=True)
    with pytest.raises(UnsafePlanError) as stopped:
        check_plan(plan)
    assert [finding.split(";")[0] for finding in stopped.value.findings] == [
        "50 % of 100 = 50 desired telephone numbers needed",
        "10 % of 100 = 10 removals allowed",
        "1 % of 8 = 0 unreadable values allowed beside removals",
    ]
    told = str(stopped.value)
    assert told.startswith("Nothing was sent. 50 %")
    reasons = told[told.index("7 desired values were rejected:") :]
    assert reasons.index("3 x length (say '208777': ") < reasons.index("3 x letters (say 'call Jane': ")
    assert reasons.index("3 x letters") < reasons.index("1 x toll_free (say '8886660100': ")
    assert "x" * 61 not in told


def test_share_is_not_less_than_it_says() -> None:
    assert parse_limit("max_removals", 0.29, 100) == 29
    assert parse_limit("max_removals", 0.1, 29) == 2
    assert parse_limit("min_desired", 0.5, 5) == 3


def test_a_value_that_cannot_be_read_counts_as_often_as_it_stands_there() -> None:
    """A lookup that failed in many rows, or a joined file whose columns are others, hides as many numbers."""
    there = [f"919{number:07d}" for number in range(6660000, 6661000)]
    plan = plan_number_sync([*there[:910], *["#REF!"] * 90], there, remove_missing=True)
    assert len(plan.to_remove) == 90
    with pytest.raises(UnsafePlanError, match=r"1 % of 1,000 = 10 unreadable values allowed.*90 found") as caught:
        check_plan(plan)
    assert list(caught.value.limits) == ["max_unreadable"]
