"""What a nightly sync will send: desired minus current is a plan, which is judged and then cut into orders.

Pure: no Airflow, no network. What is desired comes from an organisation's systems, what is current from Bandwidth, and
only numbers that an external order brought there count as current, so that a number Bandwidth owns is never removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import filterfalse
from typing import Final

from airflow_provider_bandwidth.error_codes import Retry, Scope, explain_error_code
from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError, UnsafePlanError
from airflow_provider_bandwidth.number_sync.doubt import numbers_they_could_be
from airflow_provider_bandwidth.orders import Action, TnOrder, validate_customer_order_id
from airflow_provider_bandwidth.telephone_numbers import (
    RejectedTelephoneNumber,
    chunk,
    iter_values,
    read_telephone_numbers,
)
from airflow_provider_bandwidth.values import NotAListError, unwrap

#: More removals than this share of the current numbers stop a sync, unless the caller allows more.
DEFAULT_MAX_REMOVALS: Final = 0.1
#: Fewer desired numbers than this share of the current ones stop a sync, unless the caller allows it.
DEFAULT_MIN_DESIRED: Final = 0.5

# --- the plan ---


@dataclass(frozen=True, slots=True)
class NumberSyncPlan:
    """What a sync will do. No number is in two of the four tuples.

    ``unchanged``, ``to_import`` and ``rejected`` together hold every desired value once.

    :param to_import: desired and not current, ascending, so that the order of an extract's rows makes no other orders
    :param to_remove: current and not desired, if removal was asked for; ascending
    :param unchanged: desired and current, in the order first seen
    :param rejected: desired values that cannot be imported, each with its reason
    :param current_count: numbers at Bandwidth
    :param not_desired_count: current numbers that are not desired, whether or not they are removed
    :param duplicate_count: desired values that repeat an earlier one in some notation
    :param blank_count: desired values that are blank or None
    """

    to_import: tuple[str, ...]
    to_remove: tuple[str, ...]
    unchanged: tuple[str, ...]
    rejected: tuple[RejectedTelephoneNumber, ...]
    current_count: int
    not_desired_count: int
    duplicate_count: int
    blank_count: int

    @property
    def desired_count(self) -> int:
        """Desired values, rejected ones included, duplicates and blanks not."""
        return len(self.unchanged) + len(self.to_import) + len(self.rejected)

    def counts(self) -> dict[str, int]:
        """The figures of the plan by name."""
        return {
            "desired": self.desired_count,
            "current": self.current_count,
            "unchanged": len(self.unchanged),
            "to_import": len(self.to_import),
            "to_remove": len(self.to_remove),
            "rejected": len(self.rejected),
            "not_desired": self.not_desired_count,
            "duplicates": self.duplicate_count,
            "blanks": self.blank_count,
        }


_NOT_IMPORTED: Final = (
    "is at this SIP peer already, but without the attribute External or Imported: Bandwidth's own, which cannot be "
    "imported. Look it up in the Dashboard"
)


def plan_number_sync(
    desired: Iterable[object] | str,
    current: Iterable[str],
    *,
    owned: Collection[str] = (),
    excluded: Iterable[object] | str = (),
    remove_missing: bool = False,
) -> NumberSyncPlan:
    """Compare desired with current numbers. Decides nothing about safety: see :func:`check_plan`.

    A desired value that is current counts as valid whatever the numbering plan of this machine says: Bandwidth hosts
    it. A rejected value keeps every number from being removed that it could stand for: see :mod:`.doubt`. Blanks, None,
    NaN and pandas' NA say nothing.

    :param desired: values as CRMs write them, in anything that ``telephone_numbers.iter_values`` takes
    :param current: ten digits each
    :param owned: other numbers at the same place, ten digits each, which no external order is known to have brought
        there. A desired number among them is rejected: if it was imported all the same, importing it again would reset
        it. None of them is ever removed
    :param excluded: numbers to leave alone: neither imported nor removed. A number both desired and excluded is
        rejected
    :param remove_missing: whether current numbers that are not desired are to be removed
    :raises InvalidTelephoneNumbersError: an excluded value is no telephone number, so what to protect is not known
    :raises InvalidParameterError: what was given cannot be a list of telephone numbers
    """
    at_bandwidth = current if isinstance(current, set | frozenset) else set(current)
    left_alone = _normalize_excluded(excluded, at_bandwidth)
    reading = _Reading(at_bandwidth)
    reading.read(desired, "telephone_numbers")
    desired_owned = (reading.fresh.keys() & owned) - left_alone
    desired_excluded = left_alone & (reading.known.keys() | reading.fresh.keys()) if left_alone else left_alone
    rejected = [
        *reading.rejected,
        *(
            RejectedTelephoneNumber(number, "is both desired and excluded: left as it is at Bandwidth", "excluded")
            for number in sorted(desired_excluded)
        ),
        *(RejectedTelephoneNumber(number, _NOT_IMPORTED, "not_imported") for number in sorted(desired_owned)),
    ]
    missing = at_bandwidth.difference(reading.known)
    removable = missing - left_alone if remove_missing else set()
    if removable and reading.unreadable:
        removable -= numbers_they_could_be(reading.unreadable, removable)
    return NumberSyncPlan(
        to_import=tuple(sorted(reading.fresh.keys() - left_alone - desired_owned)),
        to_remove=tuple(sorted(removable)),
        unchanged=tuple(filterfalse(left_alone.__contains__, reading.known)),
        rejected=tuple(rejected),
        current_count=len(at_bandwidth),
        not_desired_count=len(missing),
        duplicate_count=reading.duplicate_count,
        blank_count=reading.blank_count,
    )


def _normalize_excluded(excluded: Iterable[object] | str, current: Collection[str]) -> frozenset[str]:
    reading = _Reading(current)
    reading.read(excluded, "excluded_telephone_numbers")
    if reading.rejected:
        raise InvalidTelephoneNumbersError(reading.rejected)
    return frozenset({**reading.known, **reading.fresh})


class _Reading:
    """Values sorted into numbers that are current, fresh ones, refused ones and blanks.

    ``unreadable`` holds the refused values as they were given.
    """

    def __init__(self, current: Collection[str]) -> None:
        self._current = current
        self.known: dict[str, None] = {}
        self.fresh: dict[str, None] = {}
        self.rejected: list[RejectedTelephoneNumber] = []
        self.unreadable: list[object] = []
        self.duplicate_count = 0
        self.blank_count = 0

    def read(self, values: Iterable[object] | str, name: str) -> None:
        try:
            each = iter_values(values)
        except NotAListError as error:
            raise InvalidParameterError(name, str(error)) from None
        others, total = self._take_known(each)
        rejected: dict[RejectedTelephoneNumber, None] = {}
        for value in others:
            outcome = read_telephone_numbers(value)
            if isinstance(outcome, tuple):
                total += len(outcome) - 1
                for number in outcome:
                    (self.known if number in self._current else self.fresh)[number] = None
            elif outcome.code == "empty":
                self.blank_count += 1
            else:
                # What is no text is shown in short, so that different rows look alike.
                if outcome not in rejected or not isinstance(value, str):
                    self.unreadable.append(value)
                rejected[outcome] = None
        self.rejected = list(rejected)
        distinct = len(self.known) + len(self.fresh) + len(self.rejected)
        self.duplicate_count = total - self.blank_count - distinct

    def _take_known(self, values: Iterable[object]) -> tuple[list[object], int]:
        """Take out what is current as it stands, which most values are, and blanks."""
        current, known = self._current, self.known
        others: list[object] = []
        total = blanks = 0
        for total, given in enumerate(values, 1):  # noqa: B007
            value = given
            if type(value) is not str:
                value = unwrap(given)
                if type(value) is int:
                    value = str(value)
                elif not isinstance(value, str):
                    others.append(value)
                    continue
            number = value if len(value) == 10 else _bare_digits(value)
            if number in current:
                known[number] = None
            elif not value or value.isspace():
                blanks += 1
            else:
                others.append(value)
        self.blank_count = blanks
        return others, total


#: Most values repeat a current number with punctuation; that is seen without the numbering plan.
_PUNCTUATION: Final = b" +-.()/"


def _bare_digits(value: str) -> str:
    bare = value.encode("ascii", "replace").translate(None, _PUNCTUATION)
    return (bare[1:] if len(bare) == 11 and bare[0] == b"1"[0] else bare).decode("ascii")


def check_plan(
    plan: NumberSyncPlan,
    *,
    max_removals: float = DEFAULT_MAX_REMOVALS,
    min_desired: float = DEFAULT_MIN_DESIRED,
) -> None:
    """Stop a plan that looks like a broken extract. Every limit is a count (``int``) or a share of the current numbers
    (``float`` from 0.0 to 1.0); note that ``1`` is one number and ``1.0`` is all of them.

    :param max_removals: the most numbers to remove
    :param min_desired: the fewest numbers, rejected ones not counted, that are believed to be a whole extract; ``0``
        believes any, even an empty one
    :raises UnsafePlanError: says what was found, what the limit is, and how to allow it
    :raises InvalidParameterError: a limit is neither
    """
    allowed = parse_limit("max_removals", max_removals, plan.current_count)
    needed = parse_limit("min_desired", min_desired, plan.current_count)
    valid = len(plan.unchanged) + len(plan.to_import)
    if not valid and min_desired > 0:
        raise UnsafePlanError(
            f"The extract is empty: it holds no telephone number ({len(plan.rejected)} rejected values, "
            f"{plan.blank_count} blanks), while {plan.current_count} are at Bandwidth. Nothing was sent. "
            "If that is right, set min_desired=0."
        )
    if valid < needed:
        raise UnsafePlanError(
            f"The extract holds {valid} telephone numbers, {plan.current_count} are at Bandwidth: fewer than "
            f"min_desired={min_desired} allows ({needed:g}). Nothing was sent. If the extract is whole, lower it."
        )
    if len(plan.to_remove) > allowed:
        raise UnsafePlanError(
            f"{len(plan.to_remove)} of {plan.current_count} telephone numbers at Bandwidth would be removed: more than "
            f"max_removals={max_removals} allows ({allowed:g}). Nothing was sent. If they should go, raise it."
        )


def parse_limit(name: str, value: float, total: int) -> float:
    """A limit as a number of telephone numbers.

    :param name: the parameter, for the error
    :param value: a count, or a share of ``total`` as a float from 0.0 to 1.0
    :raises InvalidParameterError: ``value`` is neither
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        return value * total
    raise InvalidParameterError(
        name, f"expected a count such as 500, or a share from 0.0 to 1.0 such as 0.1, got {value!r}"
    )


# --- orders ---


@dataclass(frozen=True, slots=True)
class OrderChunk:
    """The telephone numbers of one order.

    :param customer_order_id: of the order that holds exactly these numbers and is open already; ``None`` for a new one
    """

    telephone_numbers: tuple[str, ...]
    customer_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class BusyNumbers:
    """Telephone numbers that an order still works on which a sync cannot take over."""

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
    loa_type: str | None = None,
    open_orders: Iterable[TnOrder] = (),
) -> tuple[tuple[OrderChunk, ...], tuple[BusyNumbers, ...]]:
    """Cut the numbers of a plan into orders, so that what an open order is doing already is not asked for again.

    A run that is cleared, or that follows one that was killed, finds orders of the earlier attempt still open: their
    numbers are not at Bandwidth yet (or still there), so they are in the plan. Such an order becomes a chunk as it is,
    under its own CustomerOrderId: submitting that chunk finds the order. Should the order FAIL in the meantime, the
    chunk is sent anew; so only an order is taken over whose every number the plan asks for, guards and all. Any other
    (it holds more, or is somebody else's, of another action, peer or LoaType) leaves its numbers out.

    :param telephone_numbers: what the plan has for ``action``
    :param chunk_size: the most numbers of a new order
    :param loa_type: LoaType that imports are sent with; ``None`` if it is left to Bandwidth
    :param open_orders: read *before* the current numbers, else an order that ends in between is in neither
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
        if asks_for_no_more and same_loa and _can_take_over(order, action, site_id, sip_peer_id):
            chunks.append(OrderChunk(order.telephone_numbers, order.customer_order_id))
        else:
            busy.append(BusyNumbers(frozenset(theirs), order.order_id, str(order.action or "another")))
        for number in theirs:
            del wanted[number]
    chunks.extend(OrderChunk(part) for part in chunk(tuple(wanted), chunk_size))
    return tuple(chunks), tuple(busy)


def _can_take_over(order: TnOrder, action: Action, site_id: int, sip_peer_id: int) -> bool:
    same_place = order.site_id == site_id and (action is Action.REMOVE or order.sip_peer_id == sip_peer_id)
    if order.action != action or not same_place or order.customer_order_id is None:
        return False
    try:
        validate_customer_order_id(order.customer_order_id)
    except InvalidParameterError:
        return False
    return True


def hold_back_leaving(
    unchanged: Iterable[str], open_orders: Iterable[TnOrder]
) -> tuple[tuple[str, ...], tuple[BusyNumbers, ...]]:
    """Take out of the unchanged numbers those that an open REMOVE order is about to take away.

    :return: the numbers that stay, and those that leave
    """
    staying = dict.fromkeys(unchanged)
    busy: list[BusyNumbers] = []
    for order in open_orders:
        leaving = staying.keys() & set(order.telephone_numbers) if order.action == Action.REMOVE else ()
        if leaving:
            busy.append(BusyNumbers(frozenset(leaving), order.order_id, Action.REMOVE))
            for number in leaving:
                del staying[number]
    return tuple(staying), tuple(busy)


@dataclass(frozen=True, slots=True)
class LastingError:
    """What Bandwidth said of a number before and would say again.

    :param order_id: the order it said so about
    """

    telephone_number: str
    code: str
    description: str
    order_id: str


def find_lasting_errors(
    telephone_numbers: Iterable[str],
    orders: Iterable[TnOrder],
    *,
    site_id: int,
    sip_peer_id: int,
    ignore_error_codes: Collection[str | int] = (),
) -> tuple[LastingError, ...]:
    """Which numbers the newest order that held them refused for a reason that only a change of the number removes.

    Sent again night by night, they would make an order that fails every time. Errors that may pass, that concern the
    whole order, or that nothing is known of, hold nothing back.

    :param telephone_numbers: numbers about to be imported
    :param orders: terminal orders of late; those of other places and actions are passed over
    :param ignore_error_codes: codes that count as done, and so hold nothing back
    """
    open_questions = set(telephone_numbers)
    ignored = {str(code) for code in ignore_error_codes}
    found: list[LastingError] = []
    newest_first = sorted(
        orders, key=lambda order: order.created_at.timestamp() if order.created_at else 0.0, reverse=True
    )
    for order in newest_first:
        if order.action != Action.IMPORT or order.site_id != site_id or order.sip_peer_id not in (None, sip_peer_id):
            continue
        held = open_questions & order.errored_telephone_numbers.union(order.telephone_numbers)
        open_questions -= held
        for error in order.errors:
            if error.telephone_number in held and error.code not in ignored and _is_lasting(error.code):
                found.append(LastingError(error.telephone_number, error.code, error.description, order.order_id))
                held.discard(error.telephone_number)
    return tuple(found)


def _is_lasting(code: str) -> bool:
    known = explain_error_code(code)
    return known is not None and known.scope is Scope.NUMBER and known.retry is Retry.NO
