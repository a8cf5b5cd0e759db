"""Many submissions side by side: their look-ups share lists of the account's orders.

Pure: knows no HTTP. The words used here, beside those of :mod:`._submission`:

turn
    Every submission goes on until it wants to look again. Those whose pause is over take their turn one after the
    other, so that what one turn sends is looked for in the next.
list
    The account's orders made since a day, whole, in one answer. A submission may look into a list that was begun after
    its last POST and in this turn, which is after its last pause.

A list proves that there is no order only if it is complete: Bandwidth cuts lists off, and may show summaries without
ids. What a list does not answer is asked for by itself, as a single submission does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthError
from airflow_provider_bandwidth.hooks._journal import SubmissionJournal
from airflow_provider_bandwidth.hooks._submission import OrderCalls, Steps, Submission
from airflow_provider_bandwidth.orders import MAX_LISTED_ORDERS, TnOrder, TnOrderRequest

if TYPE_CHECKING:
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

#: Up to so many submissions are looked up one by one: a list may be long.
_FEW: Final = 3
#: Seconds after which a list is read again, also within a turn; more for one that takes long to read.
_MAX_AGE: Final = 10.0
#: Pauses that end within so many seconds end together.
_SAME_TURN: Final = 2.0


@dataclass(slots=True)
class _OrderList:
    """What one list showed, as far as the submissions may ask for it.

    :param began_at: monotonic time
    :param fresh_until: likewise
    :param entries: orders with a CustomerOrderId or a telephone number of ours, and those that may have one
    :param error: why it could not be read to its end
    """

    began_at: float
    fresh_until: float = float("inf")
    entries: list[OrderListEntry] = field(default_factory=list)
    count: int = 0
    shows_ids: bool = True
    error: BandwidthError | None = None

    @property
    def is_complete(self) -> bool:
        return self.error is None and self.shows_ids and self.count < MAX_LISTED_ORDERS


class SharedLooks:
    """The look-ups of many submissions.

    :param requests: what they submit
    :param calls: the calls to Bandwidth of a submission by itself
    :param since: no order of a request is older than this, by Bandwidth's clock
    :param may_be_older: CustomerOrderIds whose orders may be older all the same
    """

    def __init__(
        self,
        requests: Sequence[TnOrderRequest],
        calls: OrderCalls,
        *,
        since: datetime,
        may_be_older: Collection[str] = (),
    ) -> None:
        self._calls = calls
        self._since = (since - timedelta(days=1)).astimezone(UTC).date()
        self._numbers = {each.customer_order_id.lower(): frozenset(each.telephone_numbers) for each in requests}
        self._all_numbers = frozenset().union(*self._numbers.values())
        self._may_be_older = {each.lower() for each in may_be_older}
        self._posted_at: dict[str, float] = {}
        self._completed: dict[str, TnOrder] = {}
        self._turn_at = 0.0
        self._turn_size = len(requests)
        self._list: _OrderList | None = None

    def calls(self) -> OrderCalls:
        """The calls of a submission that shares its look-ups."""
        return replace(self._calls, create=self._create, get=self._get, list=self._search, alone=self._calls)

    def begin_turn(self, size: int) -> None:
        """Begin a turn. A list that was read before it is used no more.

        :param size: how many submissions take their turn
        """
        self._turn_at = time.monotonic()
        self._turn_size = size

    def iter_entries(self) -> Iterator[OrderListEntry]:
        """The orders made since that day that concern the numbers of any request, and those that may.

        :raises BandwidthError: they could not be listed
        """
        found = self._read_list()
        if found.error is not None:
            raise found.error
        return iter(found.entries)

    def complete(self, entry: OrderListEntry, read: Callable[[str], TnOrder]) -> TnOrder:
        """The whole order of an entry; read by itself, once, where the list shows no more than a summary.

        :param read: reads an order of any action: a list may hold others than those that are submitted
        """
        if not _is_blank(entry):
            return entry.order
        order_id = entry.order.order_id
        if order_id not in self._completed:
            self._completed[order_id] = read(order_id)
        return self._completed[order_id]

    def _create(self, request: TnOrderRequest) -> TnOrder:
        try:
            return self._calls.create(request)
        finally:
            self._posted_at[request.customer_order_id.lower()] = time.monotonic()

    def _get(self, order_id: str) -> TnOrder:
        found = self._read_list_for_many()
        for entry in found.entries if found is not None else ():
            if entry.order.order_id.lower() == order_id.lower() and not _is_blank(entry):
                return entry.order
        return self._calls.get(order_id)

    def _search(self, **filters: Any) -> Sequence[OrderListEntry]:
        customer_order_id = filters.get("customer_order_id")
        if customer_order_id is not None:
            shown = self._find_same_id(customer_order_id.lower())
        else:
            shown = self._find_number(filters["telephone_number"], filters["created_from"])
        return self._calls.list(**filters) if shown is None else shown

    def _find_same_id(self, customer_order_id: str) -> list[OrderListEntry] | None:
        """The entries that a search for the id would show; ``None`` if no list answers that."""
        posted_at = self._posted_at.get(customer_order_id)
        found = self._read_list_for_many()
        if found is None or (posted_at is not None and posted_at >= found.began_at):
            return None
        numbers = self._numbers[customer_order_id]
        shown = [entry for entry in found.entries if _may_carry(entry, customer_order_id, numbers)]
        is_covered = posted_at is not None or customer_order_id not in self._may_be_older
        return shown if found.is_complete and (is_covered or shown) else None

    def _find_number(self, telephone_number: str, created_from: date) -> list[OrderListEntry] | None:
        """The entries that a search for the number would show; ``None`` if no list answers that."""
        found = self._read_list_for_many()
        if found is None or not found.is_complete or created_from < self._since or any(map(_is_blank, found.entries)):
            return None
        return [entry for entry in found.entries if telephone_number in entry.order.mentioned_telephone_numbers]

    # --- the list ---

    def _is_fresh(self, found: _OrderList | None) -> bool:
        return found is not None and found.began_at >= self._turn_at and time.monotonic() <= found.fresh_until

    def _read_list_for_many(self) -> _OrderList | None:
        """The list; ``None`` if so few ask that it is not worth one.

        :raises BandwidthApiError: Bandwidth gave no answer; it would give none to single calls either
        """
        if self._turn_size <= _FEW and not self._is_fresh(self._list):
            return None
        found = self._read_list()
        if isinstance(found.error, BandwidthApiError) and found.error.retryable:
            raise found.error
        return found

    def _read_list(self) -> _OrderList:
        if self._list is None or not self._is_fresh(self._list):
            self._list = found = _OrderList(time.monotonic())
            try:
                for entry in self._calls.list_since(self._since):
                    self._take(entry, found)
            except BandwidthError as error:
                found.error = error
            now = time.monotonic()
            found.fresh_until = now + max(_MAX_AGE, 2 * (now - found.began_at))
        return self._list

    def _take(self, entry: OrderListEntry, found: _OrderList) -> None:
        found.count += 1
        order = entry.order
        is_ours = str(order.customer_order_id).lower() in self._numbers
        if is_ours or _is_blank(entry) or not self._all_numbers.isdisjoint(order.mentioned_telephone_numbers):
            found.entries.append(entry)
        if entry.is_summary and order.customer_order_id is None:
            found.shows_ids = False


def _is_blank(entry: OrderListEntry) -> bool:
    """Whether the numbers of an order are to be read by themselves."""
    return entry.is_summary or not entry.order.telephone_numbers


def _may_carry(entry: OrderListEntry, customer_order_id: str, numbers: frozenset[str]) -> bool:
    shown_id = entry.order.customer_order_id
    if shown_id is not None:
        return shown_id.lower() == customer_order_id
    return not numbers.isdisjoint(entry.order.mentioned_telephone_numbers)


def submit_side_by_side(
    requests: Sequence[TnOrderRequest],
    looks: SharedLooks,
    journals: Sequence[SubmissionJournal],
    *,
    reuse_existing_order: bool = True,
    ended_since: Sequence[datetime | None],
    log: Any,  # Airflow 2.11's and 3's loggers share no type
) -> list[TnOrder | Exception]:
    """Submit each of many requests as ``BandwidthHook.submit_tn_order`` does, exactly once each.

    :param looks: the look-ups of the same requests
    :param journals: one for each request
    :param reuse_existing_order: ``False`` sends each although it exists
    :param ended_since: for each request an aware time, or ``None``; an order that ended before it is not taken over
    :return: for each request its order, or the error of its submission
    """
    calls = looks.calls()
    steps = []
    for request, journal, since in zip(requests, journals, ended_since, strict=True):
        submission = Submission(request, calls, journal, ended_since=since, log=log)
        steps.append(submission.find_or_create() if reuse_existing_order else submission.create_another())
    return run_side_by_side(steps, looks, calls.sleep)


def run_side_by_side(
    submissions: Sequence[Steps[TnOrder]], looks: SharedLooks, sleep: Callable[[float], None]
) -> list[TnOrder | Exception]:
    """Run many submissions to their end, in turns. One that fails does not stop the others.

    A pause may take longer than a submission asked for, never shorter: pauses that end close together share a turn.

    :param sleep: pauses for so many seconds
    :return: for each, in their order, its order or its error
    """
    outcomes: dict[int, TnOrder | Exception] = {}
    #: The seconds that each submission that still runs has to wait.
    waits = dict.fromkeys(range(len(submissions)), 0.0)
    while waits:
        soon = min(waits.values()) + _SAME_TURN
        pause = max(wait for wait in waits.values() if wait <= soon)
        if pause:
            sleep(pause)
        waits = {index: max(0.0, wait - pause) for index, wait in waits.items()}
        due = [index for index, wait in waits.items() if not wait]
        looks.begin_turn(len(due))
        for index in due:
            try:
                waits[index] = next(submissions[index])
            except StopIteration as end:
                outcomes[index] = end.value
                del waits[index]
            except Exception as error:  # noqa: BLE001 - each has its own outcome
                outcomes[index] = error
                del waits[index]
    return [outcomes[index] for index in range(len(submissions))]
