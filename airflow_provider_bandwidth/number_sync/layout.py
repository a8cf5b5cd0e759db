"""How a plan becomes orders: what is held back, what an open order does already, and what goes into which new order.

Pure: no Airflow, no network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from airflow_provider_bandwidth.error_codes import Retry, Scope, explain_error_code
from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.number_sync.assignments import Unassigned
from airflow_provider_bandwidth.number_sync.current import is_at
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan
from airflow_provider_bandwidth.order_records import TnOrder, newest_first
from airflow_provider_bandwidth.orders import Action, validate_customer_order_id
from airflow_provider_bandwidth.telephone_numbers import chunk

#: How long a number is held back that Bandwidth refused for a reason that may pass. Such reasons, a recent port for
#: example, take days to pass, not a night.
RESEND_PASSING_ERRORS_AFTER: Final = timedelta(days=3)
#: Codes that pass as soon as another order has ended: they hold nothing back.
_PASSES_WITH_AN_ORDER: Final = frozenset({"5218", "7205"})
_LONGEST_SHOWN_VALUE: Final = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """A plan, ready to be sent.

    :param orders: the orders of each action, open ones first
    :param unchanged: numbers that are there, and that no open order takes away
    :param fates: the fates of numbers that are not sent: rejected, refused before, or in an open order
    :param to_assign: numbers that are there and want the sync's campaign, in parts of one order each
    """

    orders: Mapping[Action, tuple[OrderChunk, ...]]
    unchanged: tuple[str, ...]
    fates: tuple[NumberFate, ...]
    to_assign: tuple[tuple[str, ...], ...] = ()

    def counts(self) -> dict[str, int]:
        """Figures that are added to those of the plan, or replace them."""
        rejected = [fate for fate in self.fates if fate.fate is Fate.REJECTED and fate.action == Action.IMPORT]
        refused = [fate for fate in self.fates if fate.fate is Fate.ERRORED]
        return {
            "unchanged": len(self.unchanged),
            "rejected": len(rejected),
            "refused_before": len(refused),
            "to_assign": sum(map(len, self.to_assign)),
        }

    def assign(self, found: Unassigned, chunk_size: int) -> Layout:
        """The same, with what is to be done about the campaign of numbers that are there.

        :param chunk_size: the most numbers of an order
        """
        taken = {*found.to_assign, *(fate.telephone_number for fate in found.refused)}
        return replace(
            self,
            unchanged=tuple(number for number in self.unchanged if number not in taken),
            fates=(*self.fates, *found.refused),
            to_assign=tuple(chunk(found.to_assign, chunk_size)),
        )

    @property
    def order_count(self) -> int:
        """How many orders there are."""
        return sum(map(len, self.orders.values()))

    def telephone_numbers(self, action: Action) -> list[str]:
        """The numbers of all orders of an action."""
        return [number for each in self.orders[action] for number in each.telephone_numbers]

    def taken_over(self) -> dict[str, list[str | None]]:
        """For each order of an action the CustomerOrderId of the open order that is taken over, or ``None``."""
        return {str(action): [each.customer_order_id for each in chunks] for action, chunks in self.orders.items()}


def lay_out(
    plan: NumberSyncPlan,
    *,
    chunk_size: int,
    site_id: int,
    sip_peer_id: int,
    loa_type: str | None,
    order_api: str,
    open_orders: Sequence[TnOrder],
    held_back: Sequence[NumberFate] = (),
) -> Layout:
    """Which orders a plan takes, and what becomes of the numbers that none of them holds.

    :param chunk_size: the most numbers of a new order
    :param loa_type: LoaType that imports are sent with; ``None`` if it is left to Bandwidth
    :param order_api: the API that orders are sent through
    :param open_orders: read *before* the current numbers, or else an order that ends in between is in neither
    :param held_back: fates of numbers of the plan that are not to be imported now
    """
    held = {fate.telephone_number for fate in held_back}
    place: dict[str, Any] = {
        "site_id": site_id,
        "sip_peer_id": sip_peer_id,
        "order_api": order_api,
        "open_orders": open_orders,
    }
    to_import = [number for number in plan.to_import if number not in held]
    unchanged, leaving = split_off_leaving(plan.unchanged, open_orders)
    imports, busy = cut_into_orders(to_import, chunk_size, action=Action.IMPORT, loa_type=loa_type, **place)
    removals, not_removed = cut_into_orders(plan.to_remove, chunk_size, action=Action.REMOVE, **place)
    return Layout(
        orders={Action.IMPORT: imports, Action.REMOVE: removals},
        unchanged=unchanged,
        fates=(
            *(NumberFate(_shorten(r.value), Action.IMPORT, Fate.REJECTED, r.code, r.reason) for r in plan.rejected),
            *held_back,
            *_fates_of_busy((*leaving, *busy), Action.IMPORT),
            *_fates_of_busy(not_removed, Action.REMOVE),
        ),
    )


def _fates_of_busy(busy: Iterable[BusyNumbers], action: Action) -> Iterator[NumberFate]:
    for each in busy:
        reason = f"{each.action} order {each.order_id} still works on it: run again when that order has ended"
        for number in sorted(each.telephone_numbers):
            yield NumberFate(number, action, Fate.REJECTED, "open_order", reason)


def _shorten(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN_VALUE else f"{value[:_LONGEST_SHOWN_VALUE]}..."


@dataclass(frozen=True, slots=True)
class OrderChunk:
    """The telephone numbers of one order.

    :param customer_order_id: of the order that holds exactly these numbers and is open already; ``None`` for a new one
    """

    telephone_numbers: tuple[str, ...]
    customer_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class BusyNumbers:
    """Telephone numbers of an open order that a sync cannot take over."""

    telephone_numbers: frozenset[str]
    order_id: str
    action: str


def cut_into_orders(
    telephone_numbers: Iterable[str],
    chunk_size: int,
    *,
    action: Action,
    site_id: int,
    sip_peer_id: int,
    order_api: str,
    loa_type: str | None = None,
    open_orders: Iterable[TnOrder] = (),
) -> tuple[tuple[OrderChunk, ...], tuple[BusyNumbers, ...]]:
    """Cut the numbers of a plan into orders, so that what an open order is doing already is not asked for again.

    A run that is cleared, or that follows one that was killed, finds orders of the earlier attempt still open: their
    numbers are not at Bandwidth yet (or still there), so they are in the plan. Such an order becomes a chunk as it is,
    under its own CustomerOrderId: submitting that chunk finds the order. If that order FAILS later, its chunk is sent
    again. So an open order is taken over only if the plan asks for every number in it. The numbers of any other open
    order (one that holds more, or has another action, peer, LoaType or order API) are left out.

    :param telephone_numbers: what the plan has for ``action``
    :param chunk_size: the most numbers of a new order
    :param order_api: the API that orders are sent through, and found again
    :param loa_type: LoaType that imports are sent with; ``None`` if it is left to Bandwidth
    :param open_orders: read *before* the current numbers, or else an order that ends in between is in neither
    :return: the chunks, open orders first; and the numbers to leave out
    """
    wanted = dict.fromkeys(telephone_numbers)
    chunks: list[OrderChunk] = []
    busy: list[BusyNumbers] = []
    for order in open_orders:
        theirs = wanted.keys() & set(order.telephone_numbers)
        if not theirs:
            continue
        asks_for_no_more = len(theirs) == len(order.telephone_numbers)
        same_loa = None in (loa_type, order.loa_type) or action is Action.REMOVE or order.loa_type == loa_type
        is_found_again = order.order_api == order_api and _can_take_over(order, action, site_id, sip_peer_id)
        if asks_for_no_more and same_loa and is_found_again:
            chunks.append(OrderChunk(order.telephone_numbers, order.customer_order_id))
        else:
            busy.append(BusyNumbers(frozenset(theirs), order.order_id, str(order.action or "another")))
        for number in theirs:
            del wanted[number]
    chunks.extend(OrderChunk(part) for part in chunk(tuple(wanted), chunk_size))
    return tuple(chunks), tuple(busy)


def _can_take_over(order: TnOrder, action: Action, site_id: int, sip_peer_id: int) -> bool:
    if action is Action.REMOVE:
        same_place = order.site_id in (None, site_id)
    else:
        same_place = (order.site_id, order.sip_peer_id) == (site_id, sip_peer_id)
    if order.action != action or not same_place or order.customer_order_id is None:
        return False
    try:
        validate_customer_order_id(order.customer_order_id)
    except InvalidParameterError:
        return False
    return True


def split_off_leaving(
    unchanged: Iterable[str], open_orders: Iterable[TnOrder]
) -> tuple[tuple[str, ...], tuple[BusyNumbers, ...]]:
    """Part the unchanged numbers from those that an open REMOVE order is about to take away.

    :return: the numbers that stay, and those that leave
    """
    removals = [order for order in open_orders if order.action == Action.REMOVE]
    if not removals:
        return tuple(unchanged), ()
    staying = dict.fromkeys(unchanged)
    busy: list[BusyNumbers] = []
    for order in removals:
        if leaving := staying.keys() & set(order.telephone_numbers):
            busy.append(BusyNumbers(frozenset(leaving), order.order_id, Action.REMOVE))
            for number in leaving:
                del staying[number]
    return tuple(staying), tuple(busy)


def hold_back_refused(
    telephone_numbers: Iterable[str],
    orders: Iterable[TnOrder],
    *,
    site_id: int,
    sip_peer_id: int,
    now: datetime,
    resend_after: timedelta,
    ignore_error_codes: Collection[str] = (),
) -> tuple[NumberFate, ...]:
    """The numbers that Bandwidth refused lately and that are not sent again yet, each with the error it got.

    Sent again night by night, they would make an order that fails every time. An error that stays until the number
    itself changes holds its number back for ``resend_after``, one that may pass for three days at most. Errors that
    concern the whole order, or that nothing is known of, hold nothing back. The newest order with a number decides.

    :param telephone_numbers: numbers about to be imported
    :param orders: those of other places, actions and times, and those that are open, are passed over
    :param now: by Bandwidth's clock
    :param ignore_error_codes: codes that count as done, and so hold nothing back
    """
    undecided = set(telephone_numbers)
    held_back: list[NumberFate] = []
    for order in newest_first(orders):
        if order.action != Action.IMPORT or not order.is_terminal or not is_at(order, site_id, sip_peer_id):
            continue
        theirs = undecided & order.mentioned_telephone_numbers
        undecided -= theirs
        for error in order.errors:
            until = _resend_at(order, error.code, resend_after)
            number = error.telephone_number
            if number in theirs and error.code not in ignore_error_codes and until and until > now:
                theirs.discard(number)
                reason = (
                    f"{error.description} (refused on {order.created_at:%Y-%m-%d}; sent again from {until:%Y-%m-%d} on)"
                )
                held_back.append(NumberFate(number, Action.IMPORT, Fate.ERRORED, error.code, reason, order.order_id))
    return tuple(held_back)


def _resend_at(order: TnOrder, code: str, resend_after: timedelta) -> datetime | None:
    """When a number with this error may be sent again; ``None`` if at once."""
    known = explain_error_code(code, order.order_api)
    if known is None or known.scope is not Scope.NUMBER or order.created_at is None or code in _PASSES_WITH_AN_ORDER:
        return None
    lasts = known.retry is Retry.NO
    return order.created_at + (resend_after if lasts else min(resend_after, RESEND_PASSING_ERRORS_AFTER))
