"""Which numbers want the sync's campaign: told by the orders that imported them, and those that assigned one since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bandwidth.number_sync.assignments import Unassigned, find_unassigned
from airflow_provider_bandwidth.number_sync.fates import (
    CAMPAIGN_ASSIGNED,
    Fate,
    NumberFate,
    OrderResult,
    account_for_assignment,
)
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError, TnOrder

A, B, C = "9195550101", "9195550102", "9195550103"
NOW = datetime(2031, 3, 4, 2, tzinfo=UTC)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def imported(*numbers: str, days: float = 1, **fields: Any) -> TnOrder:
    given = {"action": Action.IMPORT, "site_id": 743, "sip_peer_id": 303716, "created_at": days_ago(days), **fields}
    return TnOrder(f"import-{days}", ProcessingStatus.COMPLETE, telephone_numbers=numbers, **given)


def assigned(
    *numbers: str,
    status: str = "COMPLETE",
    days: float = 1,
    errors: tuple[tuple[str | None, str], ...] = (),
    **fields: Any,
) -> TnOrder:
    given = {"campaign_id": "CABC123", "a2p_action": "asSpecified", "created_at": days_ago(days), **fields}
    return TnOrder(
        f"assign-{days}",
        ProcessingStatus(status),
        telephone_numbers=numbers,
        errors=tuple(TelephoneNumberError(number, code, "no") for number, code in errors),
        order_api="tnoptions",
        **given,
    )


def find(*orders: TnOrder, numbers: tuple[str, ...] = (A, B, C), **fields: Any) -> Unassigned:
    given: dict[str, Any] = {
        "campaign_id": "CABC123",
        "site_id": 743,
        "sip_peer_id": 303716,
        "now": NOW,
        "resend_after": timedelta(days=7),
        "assignments_since": days_ago(14),
        **fields,
    }
    imports = [order for order in orders if order.order_api == "externalTns"]
    return find_unassigned(numbers, imports, [order for order in orders if order not in imports], **given)


def test_what_was_imported_lately_and_never_assigned_is_assigned() -> None:
    assert find(imported(B, A, "9195559999")) == Unassigned((A, B))


def test_what_no_order_tells_of_is_left_alone() -> None:
    assert find() == Unassigned()


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(imported(A, site_id=1), id="at another place"),
        pytest.param(imported(A, action=Action.REMOVE), id="removed"),
        pytest.param(imported(A, created_at=None), id="nobody knows when"),
        pytest.param(imported(A, days=15), id="before the list of assignments begins"),
    ],
)
def test_an_import_that_says_nothing_of_the_number_or_its_campaign(order: TnOrder) -> None:
    assert find(order) == Unassigned()


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(assigned(A), id="done"),
        pytest.param(assigned(A, campaign_id="cabc123"), id="done, in another spelling"),
        pytest.param(assigned(A, status="PROCESSING"), id="being done"),
        pytest.param(assigned(A, B, status="PARTIAL", errors=((B, "5076"),)), id="done for this one"),
        pytest.param(assigned(A, campaign_id="COTHER1"), id="somebody chose another campaign"),
        pytest.param(assigned(A, campaign_id=None, a2p_action="off"), id="somebody took it off"),
    ],
)
def test_what_an_order_has_decided_since_the_import_stays(order: TnOrder) -> None:
    assert find(imported(A, days=2), order, numbers=(A,)) == Unassigned()


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(assigned(A, days=3), id="before the import, which forgets it"),
        pytest.param(assigned(A, campaign_id=None, a2p_action=None), id="another option"),
        pytest.param(assigned(A, status="FAILED", errors=((A, "12192"),)), id="what passes"),
        pytest.param(assigned(A, status="FAILED", errors=((None, "12192"),)), id="what passes, of all"),
        pytest.param(assigned(A, status="FAILED"), id="without a reason"),
        pytest.param(assigned(A, status="FAILED", errors=((A, ""),)), id="without a code"),
        pytest.param(assigned(A, status="FAILED", errors=((A, "5128"),), created_at=None), id="nobody knows when"),
        pytest.param(assigned(A, B, status="PARTIAL", errors=((None, "1010"),), days=8), id="no telling, long ago"),
    ],
)
def test_what_is_tried_again(order: TnOrder) -> None:
    assert find(imported(A, days=2), order, numbers=(A,)) == Unassigned((A,))


def test_a_refusal_for_good_is_not_tried_again_for_a_week() -> None:
    refusal = assigned(A, B, C, status="PARTIAL", errors=((A, "5128"), (B, "12192"), (None, "424242")), days=3)
    found = find(imported(A, B, C, days=4), refusal)
    assert found.to_assign == (B,)
    assert [(each.telephone_number, each.fate, each.code, each.order_id) for each in found.refused] == [
        (A, Fate.CANNOT_TEXT, "5128", "assign-3"),
        (C, Fate.CANNOT_TEXT, "424242", "assign-3"),
    ]
    assert found.refused[0].reason == ("cannot text yet: no (refused on 2031-03-01; tried again from 2031-03-08 on)")
    assert find(imported(A, days=4), refusal, numbers=(A,), resend_after=timedelta(0)) == Unassigned((A,))
    week_old = assigned(A, status="FAILED", errors=((A, "5128"),), days=7)
    # The import is no longer known; the refusal tells enough.
    assert find(week_old, numbers=(A,)) == Unassigned((A,))


def test_the_newest_order_decides() -> None:
    failed, later = assigned(A, status="FAILED", errors=((A, "5128"),), days=3), assigned(A, days=2)
    assert find(imported(A, days=4), failed, later) == find(imported(A, days=4), later, failed) == Unassigned()
    assert find(imported(A, days=4), assigned(A, days=3), imported(A, days=2)) == Unassigned((A,))


# --- what became of the campaign, as part of a number's fate ---


def account(result: OrderResult, **fields: Any) -> list[tuple[Fate, str, str, str]]:
    fates = [
        NumberFate(A, Action.IMPORT, Fate.IMPORTED, order_id="i"),
        NumberFate(B, Action.IMPORT, Fate.UNCHANGED),
    ]
    return [(e.fate, e.code, e.reason, e.order_id) for e in account_for_assignment(fates, result, **fields)]


def test_assigned_and_refused() -> None:
    errors = (TelephoneNumberError(B, "5163", "not yours"),)
    assert account(OrderResult("o", "PARTIAL", (A,), errors)) == [
        (Fate.IMPORTED, "", CAMPAIGN_ASSIGNED, "i"),
        (Fate.CANNOT_TEXT, "5163", "unchanged, cannot text yet: not yours", "o"),
    ]


@pytest.mark.parametrize(
    ("result", "code", "why"),
    [
        (OrderResult("o", "FAILED", (), (TelephoneNumberError(None, "12189", "none"),)), "12189", "FAILED: none"),
        (OrderResult("o", None), "", "how its order ended is not known"),
        (OrderResult("o", "PARTIAL", (), (TelephoneNumberError(None, "1010", "x"),)), "", "ended PARTIAL: x"),
        (OrderResult(), "", "see the log of the task that assigns campaigns"),
    ],
)
def test_what_is_not_known_to_be_assigned_cannot_text(result: OrderResult, code: str, why: str) -> None:
    first, second = account(result)
    assert (first[0], second[0], first[1]) == (Fate.CANNOT_TEXT, Fate.CANNOT_TEXT, code)
    assert first[2].startswith("imported, cannot text yet: ")
    assert why in first[2]


def test_what_was_left_to_another_sync_is_no_error() -> None:
    assert account(OrderResult(), left_to="left to it") == [
        (Fate.IMPORTED, "", "left to it", "i"),
        (Fate.UNCHANGED, "", "left to it", ""),
    ]
    # What was sent all the same counts.
    assert account(OrderResult("o", "COMPLETE", (A, B)), left_to="left to it")[0][2] == CAMPAIGN_ASSIGNED
