"""Find or create: one request on its way to being exactly one order. Knows no HTTP: it is given the calls.

Bandwidth does not refuse a duplicate, and importing a live number again resets its attributes [oas1]. So Bandwidth is
searched before every POST, and again after a POST whose answer leaves doubt. The words used here:

attempt
    An earlier try of the same task that may have sent the request.
ours
    An order that carries the request's CustomerOrderId, in whatever case, and asks for what the request asks for.
live
    An order beside which sending the request again would do damage: it did not fail, and nothing has undone it since.
recorded
    The order whose id Bandwidth gave for an attempt. Until it is seen not to be live, nothing more is sent.
doubt
    The answer to a POST that does not tell whether an order was created, or that contradicts the request.
lag
    The time until Bandwidth's search shows a new order. Nobody documents it; it is given a minute.
stray
    An order that came to Bandwidth without its CustomerOrderId. It is recognised by its numbers and its time.
twin
    A second live order of ours.
steps
    What a submission does, as a generator of the pauses before its looks. The caller that runs the steps pauses, and
    may run those of other submissions meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthError,
    DuplicateOrderError,
    InvalidResponseError,
    OrderMismatchError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks._journal import EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.orders import (
    MAX_LISTED_ORDERS,
    ProcessingStatus,
    TnOrder,
    TnOrderRequest,
    can_be_one_order,
    newest_first,
)

if TYPE_CHECKING:
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

#: Pauses in seconds between the look-ups for an order that may have been sent: a minute, half of it before the last.
_PAUSES: Final = (1.0, 3.0, 8.0, 18.0, 30.0)
#: How far apart the clocks of Bandwidth's own machines may be, where an order is recognised by its creation time.
_CLOCK_SKEW: Final = timedelta(minutes=5)
#: Assumed longest time from creation to end of an order that shows no LastModifiedDate (the seed's dialect).
_LONGEST_WORK: Final = timedelta(days=1)
#: How often an order is read again before it counts as foreign, not as ours: a proxy may have mixed answers up.
_READS_BEFORE_FOREIGN: Final = 3
#: The most POSTs that one submission sends. Before the next, look-ups must have shown that none created an order.
_MAX_POSTS: Final = 3

_Result = TypeVar("_Result")
#: Yields the seconds to pause before the next look, and returns the result.
Steps: TypeAlias = Generator[float, None, _Result]


@dataclass(frozen=True, slots=True)
class OrderCalls:
    """The calls to Bandwidth that a submission makes; :class:`BandwidthHook` says what each may raise.

    :param create: sends a request
    :param get: reads the order of an id
    :param list: searches; takes ``customer_order_id``, ``telephone_number``, ``action`` and ``created_from``
    :param list_since: lists the account's orders made on a day or later, whole
    :param now: the time by Bandwidth's clock
    :param local_now: the time by this machine's clock
    :param sleep: pauses for so many seconds
    :param account_id: the account that all of them go to
    :param alone: the same calls without lists shared with other submissions; ``None`` if these share none
    """

    create: Callable[[TnOrderRequest], TnOrder]
    get: Callable[[str], TnOrder]
    list: Callable[..., Sequence[OrderListEntry]]
    list_since: Callable[[date], Iterable[OrderListEntry]]
    now: Callable[[], datetime]
    local_now: Callable[[], datetime]
    sleep: Callable[[float], None]
    account_id: str
    alone: OrderCalls | None = None


class Submission:
    """One request on its way to being exactly one order. The module's glossary has the words used here.

    :param ended_since: aware time; an order that ended before it is not live: its work has been undone since
    """

    def __init__(
        self,
        request: TnOrderRequest,
        calls: OrderCalls,
        journal: SubmissionJournal,
        *,
        ended_since: datetime | None = None,
        log: Any,  # Airflow 2.11's and 3's loggers share no type
    ) -> None:
        self._request = request
        self._id = request.customer_order_id
        self._calls = self._shared = calls
        self._journal = journal
        self._ended_since = ended_since
        self._log = log
        self._doubted_since: datetime | None = None  # when the first POST was sent that had to be sent again
        self._unproven = ""  # what is wrong with the recorded order
        self._foreign: set[str] = set()  # ids of orders that were made meanwhile and proved not to be ours

    def find_or_create(self) -> Steps[TnOrder]:
        """The request's one order: found, or created now."""
        earlier = yield from self._find_earlier(self._journal.earlier_attempt())
        live = next(filter(self._is_live, earlier), None)
        if live is not None:
            return self._take_over(live)
        order = yield from self._create(earlier)
        self._check_echo(order)
        yield from self._raise_if_twin(order)
        return order

    def create_another(self) -> Steps[TnOrder]:
        """A new order, although there may be one already."""
        existing = self._list_same_id()
        self._log.warning(
            "reuse_existing_order=False: sending order %s again on purpose; %d with this CustomerOrderId exist. "
            "Importing a number again resets its attributes.",
            self._id,
            len(existing),
        )
        order = yield from self._create(existing)
        self._check_echo(order)
        return order

    # --- look, send, look again ---

    def _find_earlier(self, attempt: EarlierAttempt | None) -> Steps[list[TnOrder]]:
        """Before a POST: the orders that are ours, those that are live first.

        An error of a call ends the submission: nothing is sent while it is not known whether an order exists. After an
        earlier attempt, an empty answer is believed only when the lag is over; where that attempt recorded an order,
        it is never believed.
        """
        lagging: OrderNotFoundError | None = None
        for pause in self._pauses(attempt is not None, "an earlier attempt may have created it"):
            yield pause
            self._choose_calls(pause)
            try:
                orders = self._look(attempt)
            except OrderNotFoundError as error:
                # The search shows an order whose own page is not there yet.
                lagging = error
                continue
            lagging = None
            if any(self._is_live(order) or _is_recorded(order, attempt) for order in orders):
                return orders
        if lagging is not None:
            raise lagging
        if attempt is not None and attempt.order_id is not None:
            raise AmbiguousSubmissionError(
                self._id,
                f"Bandwidth gave an earlier attempt order id {attempt.order_id}, and {self._unproven}. Nothing was "
                "sent now. Retry later; if it stays so, ask Bandwidth about that order, or set "
                "reuse_existing_order=False to send a new one on purpose",
                attempt.order_id,
            )
        return orders

    def _find_created(
        self, doubt: AmbiguousSubmissionError, attempt: EarlierAttempt, known: Collection[str]
    ) -> Steps[TnOrder | None]:
        """After a POST with a doubtful answer: the order it created, FAILED or not.

        :return: ``None`` if the search must have shown it by now
        :raises AmbiguousSubmissionError: the last look failed, or the doubtful answer names an order that is not found
        """
        failure: BandwidthError | None = None
        # Bandwidth gives times in milliseconds, or less precisely.
        sent_since = attempt.sent_since.replace(microsecond=0)
        for pause in self._pauses(True, "the answer to its POST leaves doubt"):
            yield pause
            self._choose_calls(pause)
            try:
                orders = self._look(attempt, known)
            except (BandwidthApiError, InvalidResponseError) as error:
                failure = error
                continue
            failure = None
            for order in orders:
                # A FAILED order of before the POST may come into sight only now; sending beside it does no harm.
                is_new = order.created_at is not None and order.created_at >= sent_since
                if self._is_live(order) or is_new or _is_recorded(order, attempt):
                    return order
        if failure is not None:
            raise AmbiguousSubmissionError(
                self._id, f"{doubt.reason}; and the last look-up failed: {failure}", doubt.order_id
            ) from failure
        if doubt.order_id is not None:
            raise AmbiguousSubmissionError(
                self._id,
                f"{doubt.reason}; the answer names order {doubt.order_id}, and {self._unproven}",
                doubt.order_id,
            )
        return None

    def _create(self, existing: Collection[TnOrder]) -> Steps[TnOrder]:
        """Send the request. It is sent again only when the lag has shown that nothing was created."""
        known = {order.order_id.lower() for order in existing}
        for remaining in reversed(range(_MAX_POSTS)):
            sent_at = self._calls.now()
            self._journal.record_sending(sent_at)
            try:
                order = self._post()
            except AmbiguousSubmissionError as doubt:
                self._log.warning("%s", doubt)
                if doubt.order_id is not None:
                    self._journal.record_order(doubt.order_id)
                found = yield from self._find_created(doubt, EarlierAttempt(sent_at, doubt.order_id), known)
                if found is not None:
                    return self._take_over(found)
                if not remaining:
                    raise
                self._doubted_since = self._doubted_since or sent_at
                self._log.warning("Order %s was not created; sending it again.", self._id)
            else:
                self._journal.record_order(order.order_id)
                self._log.info(
                    "Created order %s: %s of %d telephone numbers, CustomerOrderId %s.",
                    order.order_id,
                    self._request.action or self._request.resource.order,
                    len(self._request.telephone_numbers),
                    self._id,
                )
                return order
        raise AssertionError  # pragma: no cover

    def _post(self) -> TnOrder:
        """Send the request. An answer about another order leaves doubt, since a proxy may have mixed answers up."""
        order = self._calls.create(self._request)
        shown_id = order.customer_order_id
        # What the answer does not show is no contradiction.
        shown = replace(
            order,
            action=order.action or self._request.action,
            telephone_numbers=order.telephone_numbers or self._request.telephone_numbers,
        )
        difference = self._find_difference(shown)
        if shown_id is not None and not _is_same(shown_id, self._id):
            difference = f"its CustomerOrderId is {shown_id!r}"
        if difference is not None:
            raise AmbiguousSubmissionError(
                self._id, f"Bandwidth answered with order {order.order_id}, but {difference}", order.order_id
            )
        return order

    def _take_over(self, order: TnOrder) -> TnOrder:
        self._journal.record_order(order.order_id)
        self._log.info(
            "Order %s with CustomerOrderId %s exists (%s): taking it over, nothing more is sent.",
            order.order_id,
            self._id,
            order.processing_status,
        )
        missing = set(self._request.telephone_numbers) - order.mentioned_telephone_numbers
        if missing:
            self._log.warning(
                "Order %s (%s) neither lists nor reports an error for %d of the %d requested telephone numbers.",
                order.order_id,
                order.processing_status,
                len(missing),
                len(self._request.telephone_numbers),
            )
        return order

    def _check_echo(self, order: TnOrder) -> None:
        if order.customer_order_id is None:
            self._log.warning(
                "Order %s came back without its CustomerOrderId %s: a search may not find it. %s",
                order.order_id,
                self._id,
                self._request.resource.advice_on_lost_ids,
            )

    def _raise_if_twin(self, order: TnOrder) -> Steps[None]:
        """A twin shows that two attempts ran at the same time, or that Bandwidth acted late on a doubtful POST."""
        doubted_since = self._doubted_since
        for pause in self._pauses(doubted_since is not None, "an earlier POST of it may still create a second one"):
            yield pause
            self._choose_calls(pause)
            try:
                others = self._list_same_id()
                if doubted_since is not None:
                    others += self._list_strays(doubted_since, {order.order_id.lower()})
            except (BandwidthApiError, InvalidResponseError) as error:
                # The order exists and its id is known: failing now would only hide it.
                self._log.warning("Could not check whether order %s has a twin: %s", order.order_id, error)
                continue
            twins = [
                other.order_id
                for other in others
                if not _is_same(other.order_id, order.order_id)
                and self._is_live(other)
                and self._find_difference(other) is None
            ]
            if twins:
                raise DuplicateOrderError(self._id, [order.order_id, *twins])

    # --- one look ---

    def _pauses(self, is_patient: bool, reason: str) -> tuple[float, ...]:
        """The seconds before each look-up until the lag is over; there is none before the first.

        :param is_patient: ``False`` for one look only
        :param reason: why to wait, for the log
        """
        if not is_patient:
            return (0.0,)
        self._log.info(
            "Waiting up to %d seconds for Bandwidth's search to show order %s, because %s.",
            sum(_PAUSES),
            self._id,
            reason,
        )
        return (0.0, *_PAUSES)

    def _choose_calls(self, pause: float) -> None:
        """Choose the calls of the next look. The last one before a second POST uses no list that may be wrong."""
        self._calls = (pause == _PAUSES[-1] and self._shared.alone) or self._shared

    def _look(self, attempt: EarlierAttempt | None, known: Collection[str] = ()) -> list[TnOrder]:
        """Our orders as one look at Bandwidth shows them, those in ``known`` left out; the live ones come first."""
        recorded = self._read_recorded(attempt)
        if recorded is not None and self._is_live(recorded):
            return [recorded]
        same_id = [order for order in self._list_same_id() if order.order_id.lower() not in known]
        ours = [order for order in same_id if self._find_difference(order) is None]
        live = list(filter(self._is_live, same_id))
        if live and not any(map(self._is_live, ours)):
            self._refuse(live[0])
        if len(live) > 1:
            text = "%d orders carry CustomerOrderId %s: %s. The newest of them that asks for the same is taken over."
            self._log.warning(text, len(live), self._id, ", ".join(order.order_id for order in live))
        if attempt is not None and recorded is None and not live:
            sent_since = attempt.sent_since_by(self._calls.now(), self._calls.local_now())
            ours += self._list_strays(sent_since, known)
        if recorded is not None and not any(_is_same(order.order_id, recorded.order_id) for order in ours):
            ours.append(recorded)
        return sorted(newest_first(ours), key=self._is_live, reverse=True)

    def _read_recorded(self, attempt: EarlierAttempt | None) -> TnOrder | None:
        """The recorded order, if Bandwidth shows it and it asks for the same; else ``_unproven`` says what is wrong."""
        if attempt is None or attempt.order_id is None:
            return None
        try:
            order = self._calls.get(attempt.order_id)
        except OrderNotFoundError as error:
            self._log.warning("Order %s should exist, but is not there (yet): %s", attempt.order_id, error)
            self._unproven = "there is no such order (yet)"
            return None
        difference = self._find_difference(order)
        if difference is not None:
            self._unproven = f"the order of that id is another one: {difference}"
            self._log.warning("Order %s should be this one, but %s.", order.order_id, difference)
            return None
        return order

    def _refuse(self, order: TnOrder) -> NoReturn:
        if not order.mentioned_telephone_numbers:
            raise InvalidResponseError(
                f"Order {order.order_id} with CustomerOrderId {self._id!r} shows no telephone numbers (yet): whether "
                "it is the requested order cannot be told."
            )
        raise OrderMismatchError(self._id, order.order_id, str(self._find_difference(order)))

    def _list_same_id(self) -> list[TnOrder]:
        """All orders with this CustomerOrderId in any case, newest first; the search itself may match by prefix."""
        entries = self._calls.list(customer_order_id=self._id)
        found = []
        for entry in entries:
            order = entry.order
            if order.customer_order_id is None or _is_same(order.customer_order_id, self._id):
                order = self._complete(entry, with_id=True)
            shown_id = order.customer_order_id
            if shown_id is not None and not shown_id.lower().startswith(self._id.lower()):
                raise InvalidResponseError(
                    f"The search for CustomerOrderId {self._id!r} gave order {order.order_id} with CustomerOrderId "
                    f"{shown_id!r}: whether it is this one cannot be told."
                )
            if shown_id is not None and _is_same(shown_id, self._id):
                found.append(order)
        if len(entries) >= MAX_LISTED_ORDERS and not any(map(self._is_live, found)):
            raise InvalidResponseError(
                f"The search for CustomerOrderId {self._id!r} gave {len(entries)} orders, none of them this one, and "
                "is cut off there: whether the order exists cannot be told. Give it an id that begins no other."
            )
        return newest_first(found)

    def _list_strays(self, sent_since: datetime, known: Collection[str]) -> list[TnOrder]:
        """Live orders that ask for the same, were made since then, and show no CustomerOrderId.

        Bandwidth's server class knows ``CustomerOrderId`` only, and may drop the seed's ``CustomerOrderID`` [iris20].
        """
        entries = self._calls.list(
            telephone_number=self._request.telephone_numbers[0],
            action=self._request.action,
            created_from=(sent_since - timedelta(days=1)).astimezone(UTC).date(),
        )
        found = [
            stray
            for order in map(self._complete, entries)
            if order.order_id.lower() not in known
            and self._is_live(order)
            and order.created_at is not None
            and order.created_at >= sent_since - _CLOCK_SKEW
            and (stray := self._find_stray(order)) is not None
        ]
        if found:
            self._log.warning(
                "Bandwidth did not keep the CustomerOrderId of order %s; its numbers showed that it is ours. %s",
                found[0].order_id,
                self._request.resource.advice_on_lost_ids,
            )
        return found

    def _find_stray(self, order: TnOrder) -> TnOrder | None:
        """The order if it is a stray; ``None`` only if several answers in a row say that it is none, and agree."""
        answers = [order]
        while not self._is_stray(answers[-1]):
            if len(answers) > _READS_BEFORE_FOREIGN and not can_be_one_order(answers):
                raise InvalidResponseError(f"The answers for order {order.order_id} contradict one another.")
            if len(answers) > _READS_BEFORE_FOREIGN or order.order_id in self._foreign:
                self._foreign.add(order.order_id)
                return None
            answers.append((self._calls.alone or self._calls).get(order.order_id))
        return answers[-1]

    def _is_stray(self, order: TnOrder) -> bool:
        shown_id = order.customer_order_id
        return (shown_id is None or _is_same(shown_id, self._id)) and self._find_difference(order) is None

    def _complete(self, entry: OrderListEntry, *, with_id: bool = False) -> TnOrder:
        """The order of a list entry; read on its own where the list left out its numbers, or an id that is needed."""
        in_full = not entry.is_summary and entry.order.telephone_numbers
        if in_full and (entry.order.customer_order_id is not None or not with_id):
            return entry.order
        return self._calls.get(entry.order.order_id)

    def _find_difference(self, order: TnOrder) -> str | None:
        """How an order differs from the request, in words; ``None`` if it is the same one for the same account."""
        if order.account_id not in (None, self._calls.account_id):
            return f"its AccountId is {order.account_id}, not {self._calls.account_id}"
        return self._request.difference(order)

    def _is_live(self, order: TnOrder) -> bool:
        if order.processing_status == ProcessingStatus.FAILED:
            return False
        if self._ended_since is None or not order.is_terminal:
            return True
        ended = order.last_modified_at or (order.created_at and order.created_at + _LONGEST_WORK)
        return ended is None or ended >= self._ended_since


def run_steps(steps: Steps[TnOrder], sleep: Callable[[float], None]) -> TnOrder:
    """Run one submission to its end.

    :param sleep: pauses for so many seconds
    """
    try:
        while True:
            pause = next(steps)
            if pause:
                sleep(pause)
    except StopIteration as end:
        order: TnOrder = end.value
        return order


def _is_recorded(order: TnOrder, attempt: EarlierAttempt | None) -> bool:
    return attempt is not None and attempt.order_id is not None and _is_same(order.order_id, attempt.order_id)


def _is_same(one: str, other: str) -> bool:
    """Whether two ids are the same, in whatever case: Bandwidth may show an id in another case than it was sent."""
    return one.lower() == other.lower()
