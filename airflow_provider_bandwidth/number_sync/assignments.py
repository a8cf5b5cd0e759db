"""Which numbers at a SIP peer still want the sync's campaign, and which have been refused it.

Pure: no Airflow, no network. What was imported in a run is assigned in it. But a run may die in between, or Bandwidth
may refuse the assignment for a reason that passes: then a later run assigns what is left. What was done before is told
by the orders that Bandwidth lists: the imports of the last weeks, and the orders that assigned campaigns since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_bandwidth.error_codes import Retry, explain_error_code
from airflow_provider_bandwidth.number_sync.current import is_at
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.order_apis import TN_OPTIONS
from airflow_provider_bandwidth.order_records import TnOrder, newest_first
from airflow_provider_bandwidth.orders import Action

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Unassigned:
    """Numbers at the SIP peer that are not on the campaign, as far as lists of orders tell.

    :param to_assign: those to assign now, ascending
    :param refused: fates of those that Bandwidth refused, and that are not tried again yet
    """

    to_assign: tuple[str, ...] = ()
    refused: tuple[NumberFate, ...] = ()


def find_unassigned(
    telephone_numbers: Collection[str],
    imports: Iterable[TnOrder],
    assignments: Iterable[TnOrder],
    *,
    campaign_id: str,
    site_id: int,
    sip_peer_id: int,
    now: datetime,
    resend_after: timedelta,
    assignments_since: datetime,
) -> Unassigned:
    """Which numbers want the campaign.

    The newest order that set a number's campaign since its import decides: one that assigned this campaign, or is about
    to, has done what is wanted; one that set another is somebody's decision, which is left alone. A refusal that may
    pass is tried again at once, any other after ``resend_after``. A number that no such order has is assigned if it was
    imported lately; how it came to an older number's campaign is not known, so that it is left alone.

    :param telephone_numbers: the desired numbers that are at the SIP peer
    :param imports: orders that imported numbers; those of other places and states are passed over
    :param assignments: orders of ``tnoptions``
    :param now: by Bandwidth's clock
    :param assignments_since: the time from which on ``assignments`` lack none; Bandwidth may cut a list
    """
    wanted = set(telephone_numbers)
    imported_at: dict[str, datetime] = {}
    for order in imports:
        if order.action != Action.IMPORT or order.created_at is None or not is_at(order, site_id, sip_peer_id):
            continue
        for number in wanted.intersection(order.completed_telephone_numbers):
            imported_at[number] = max(order.created_at, imported_at.get(number, _BEGINNING))
    undecided = set(wanted)
    to_assign: set[str] = set()
    refused: list[NumberFate] = []
    for order in newest_first(assignments):
        if order.a2p_action is None:
            continue
        made_at = order.created_at or _BEGINNING
        theirs = {n for n in undecided & order.mentioned_telephone_numbers if imported_at.get(n, _BEGINNING) <= made_at}
        is_ours = _is_of(order, campaign_id)
        if order.is_terminal and not is_ours:
            # A refused assignment to another campaign has changed nothing: an older order decides.
            theirs.intersection_update(order.completed_telephone_numbers)
        undecided -= theirs
        if order.is_terminal and is_ours:
            for number in sorted(theirs.difference(order.completed_telephone_numbers)):
                fate = _judge(order, number, now, resend_after)
                if fate is None:
                    to_assign.add(number)
                else:
                    refused.append(fate)
    to_assign.update(number for number in undecided if imported_at.get(number, _BEGINNING) >= assignments_since)
    return Unassigned(tuple(sorted(to_assign)), tuple(refused))


def _is_of(order: TnOrder, campaign_id: str) -> bool:
    return (order.campaign_id or "").upper() == campaign_id.upper()


def _judge(order: TnOrder, number: str, now: datetime, resend_after: timedelta) -> NumberFate | None:
    """The fate of a number that an order did not assign; ``None`` if it is to be tried again now."""
    of_all = [error for error in order.errors if error.telephone_number is None]
    error = next((each for each in order.errors if each.telephone_number == number), next(iter(of_all), None))
    if error is None or not error.code or order.created_at is None:
        return None
    known = explain_error_code(error.code, TN_OPTIONS.name)
    until = order.created_at + resend_after
    if (known is not None and known.retry is Retry.LATER) or until <= now:
        return None
    reason = (
        f"cannot text yet: {error.description} (refused on {order.created_at:%Y-%m-%d}; tried again from "
        f"{until:%Y-%m-%d} on)"
    )
    return NumberFate(number, Action.IMPORT, Fate.CANNOT_TEXT, error.code, reason, order.order_id)
