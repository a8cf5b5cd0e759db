"""What the plan leaves is what the tasks after it find, whatever their number, in XComs that any database takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.handover import Handover, digest_changes, push_numbers
from airflow_provider_bandwidth.number_sync.layout import Layout, OrderChunk
from airflow_provider_bandwidth.orders import Action

NOW = datetime(2031, 3, 4, 2, 0, tzinfo=UTC)
NUMBERS = tuple(f"{9196660000 + index}" for index in range(12_001))


class XComs:
    """As much of a task instance as the hand-over needs; what is pushed must be JSON."""

    dag_id, run_id = "nightly", "scheduled__2031-03-04"

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        text = json.dumps(value)
        assert len(text) < 64_000
        self.values[key] = json.loads(text)

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == ("sync.plan", -1)
        return self.values.get(key)


def layout(**changes: Any) -> Layout:
    given: dict[str, Any] = {
        "orders": {
            Action.IMPORT: (OrderChunk(NUMBERS[:2], "theirs"), OrderChunk(NUMBERS[2:1002])),
            Action.REMOVE: (OrderChunk(NUMBERS[1002:1003]),),
        },
        "unchanged": NUMBERS[1003:],
        "fates": tuple(
            NumberFate(f"value {index}", Action.IMPORT, Fate.REJECTED, "letters", "x" * 200) for index in range(900)
        ),
    }
    return Layout(**{**given, **changes})


def handover(ti: XComs, of: Layout, *, list_unchanged: bool = True, **changes: Any) -> Handover:
    given: dict[str, Any] = {
        "account_id": "9900000",
        "site_id": 743,
        "sip_peer_id": 303716,
        "order_api": "externalTns",
        "loa_type": "SUBSCRIBER",
        "counts": {"current": 5, "desired": 7},
        "orders": of.taken_over(),
        "planned_at": NOW,
        "known_order_ids": ["o-1"],
        "orders_made_since": NOW - timedelta(minutes=5),
        "reuse_orders_ended_since": NOW - timedelta(hours=1),
        "nonce": "n",
        "digest": digest_changes(of),
        **push_numbers(ti, of, list_unchanged=list_unchanged),
    }
    return Handover(**{**given, **changes})


def test_what_is_left_is_found_again() -> None:
    ti, plan = XComs(), layout()
    left = handover(ti, plan)
    left.push(ti)
    found = Handover.pull(ti, "sync.plan")
    assert found == left
    assert found.pull_order(ti, "sync.plan", Action.IMPORT, 1) == list(NUMBERS[2:1002])
    assert found.pull_order(ti, "sync.plan", Action.REMOVE, 0) == [NUMBERS[1002]]
    fates = list(found.iter_fates(ti, "sync.plan"))
    assert [fate.telephone_number for fate in fates if fate.fate is Fate.UNCHANGED] == list(NUMBERS[1003:])
    assert tuple(fate for fate in fates if fate.fate is Fate.REJECTED) == plan.fates
    assert (found.place, found.order_count) == ("account 9900000, site 743, SIP peer 303716", 3)


def test_unchanged_numbers_are_left_only_for_a_report_that_lists_them() -> None:
    ti = XComs()
    left = handover(ti, layout(), list_unchanged=False)
    assert left.unchanged_xcoms == 0
    assert {fate.fate for fate in left.iter_fates(ti, "sync.plan")} == {Fate.REJECTED}


def test_nothing_left_is_nothing_found() -> None:
    assert Handover.pull(XComs(), "sync.plan") is None
    ti = XComs()
    empty = handover(ti, layout(orders={Action.IMPORT: (), Action.REMOVE: ()}, unchanged=(), fates=()))
    assert list(empty.iter_fates(ti, "sync.plan")) == []
    assert ti.values == {}


@pytest.mark.parametrize(
    ("changes", "is_sent"), [({}, True), ({"dry_run": True}, False), ({"unsafe": "half of it is gone"}, False)]
)
def test_only_a_safe_plan_that_is_no_dry_run_is_sent(changes: dict[str, Any], is_sent: bool) -> None:
    assert handover(XComs(), layout(), **changes).is_sent is is_sent


def test_a_new_orders_id_hangs_on_run_place_and_numbers_and_not_on_their_order() -> None:
    ti, plan = XComs(), layout()
    left = handover(ti, plan)
    numbers = list(NUMBERS[2:1002])
    own = left.new_order_id(ti, "sync.plan", Action.IMPORT, numbers)
    assert left.new_order_id(ti, "sync.plan", Action.IMPORT, reversed(numbers)) == own
    assert len(own) == 40
    others = {
        left.new_order_id(ti, "sync.plan", Action.REMOVE, numbers),
        left.new_order_id(ti, "sync.plan", Action.IMPORT, numbers[1:]),
        left.new_order_id(ti, "other.plan", Action.IMPORT, numbers),
        left.new_order_id(SimpleNamespace(dag_id="nightly", run_id="manual__1"), "sync.plan", Action.IMPORT, numbers),
        handover(ti, plan, sip_peer_id=1).new_order_id(ti, "sync.plan", Action.IMPORT, numbers),
        handover(ti, plan, loa_type=None).new_order_id(ti, "sync.plan", Action.IMPORT, numbers),
    }
    assert len(others) == 6
    assert own not in others


def test_orders_that_are_taken_over_get_no_new_id() -> None:
    ti, plan = XComs(), layout()
    left = handover(ti, plan)
    assert left.new_order_ids(ti, "sync.plan", plan) == [
        left.new_order_id(ti, "sync.plan", Action.IMPORT, NUMBERS[2:1002]),
        left.new_order_id(ti, "sync.plan", Action.REMOVE, NUMBERS[1002:1003]),
    ]


def test_plans_that_change_the_same_have_the_same_digest() -> None:
    cut = {
        Action.IMPORT: (OrderChunk(NUMBERS[500:1002]), OrderChunk(NUMBERS[:500])),
        Action.REMOVE: (OrderChunk(NUMBERS[1002:1003]),),
    }
    assert digest_changes(layout(orders=cut, unchanged=())) == digest_changes(layout())
    swapped = {Action.IMPORT: cut[Action.REMOVE], Action.REMOVE: cut[Action.IMPORT]}
    assert digest_changes(layout(orders=swapped)) != digest_changes(layout())
