"""What the sandbox remembers, and the clock that moves orders on."""

from __future__ import annotations

import bisect
import dataclasses
import heapq
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_provider_bandwidth.sandbox.callbacks import Callbacks
from airflow_provider_bandwidth.sandbox.inventory import HostedNumber, Inventory, Location, NumberOptions
from airflow_provider_bandwidth.sandbox.loa_files import LoaFiles
from airflow_provider_bandwidth.sandbox.messages import Messages
from airflow_provider_bandwidth.sandbox.orders import TERMINAL_STATUSES, NewOrder, Order, OrderError, OrderFilter
from airflow_provider_bandwidth.sandbox.outcomes import Outcome, decide_outcome, waits_for_transfer
from airflow_provider_bandwidth.sandbox.settings import Settings

#: A losing carrier that has not answered by then has denied (reference, 18.4).
_TRANSFER_SECONDS: Final = 47 * 3600.0


class Store:
    """Orders and numbers of all accounts. Safe to use from any thread.

    Time passes when the store is read: each reading first applies what has fallen due, in the order of time.

    :param accounts: account ids
    :param sites: SIP peer ids by site id; the first of a site is its default
    """

    def __init__(self, accounts: Sequence[str], sites: Mapping[str, Sequence[str]]) -> None:
        self.accounts = tuple(accounts)
        self.sites = {site: tuple(peers) for site, peers in sites.items()}
        self._lock = threading.RLock()
        self.loa_files = LoaFiles()
        self.messages = Messages()
        self.callbacks = Callbacks(self.clock)
        self.reset()

    def reset(self) -> None:
        """Forget every order, number and hold."""
        with self._lock:
            self._skipped = 0.0
            self._orders: dict[str, Order] = {}
            self._by_creation: list[tuple[datetime, int, str]] = []
            self._due: list[tuple[float, int, str, str]] = []
            self._stopped: set[str] = set()
            self._held: set[str] = set()
            self._holding_all = False
            self._overdue: list[str] = []
            #: Whether the losing carrier approved, by order id.
            self._transfers: dict[str, bool] = {}
            #: The ids of orders that wait for a losing carrier.
            self._waiting_for_transfer: set[str] = set()
            self._inventory = Inventory()
            self.loa_files.clear()
            self.messages.clear()
            self.callbacks.clear()

    # --- orders ---

    def create(self, new: NewOrder, settings: Settings) -> Order:
        """Store an order as RECEIVED and start its clock."""
        with self._lock:
            self._advance()
            order = self._store_order(new, self.now(), self.clock())
            processing = order.created_clock + settings.received_seconds
            number = len(self._orders)
            heapq.heappush(self._due, (processing, number, "process", order.order_id))
            heapq.heappush(self._due, (processing + settings.processing_seconds, number, "terminate", order.order_id))
            if waits_for_transfer(new):
                heapq.heappush(self._due, (order.created_clock + _TRANSFER_SECONDS, number, "deny", order.order_id))
            return order

    def add(
        self, new: NewOrder, *, status: str, errors: Sequence[OrderError] = (), created_at: datetime | None = None
    ) -> Order:
        """Store an order as somebody else's work left it: no clock moves it, and no number is touched."""
        with self._lock:
            self._advance()
            now = self.now()
            moment = created_at or now
            order = self._store_order(new, moment, self.clock() - (now - moment).total_seconds())
            order = self._change(order, errors=tuple(errors))
            return order if status == order.status else self._move_to(order, status, moment)

    def order(self, order_id: str) -> Order:
        """The order as it stands now.

        :raises LookupError: if there is none
        """
        with self._lock:
            self._advance()
            return self._get_order(order_id)

    def orders(self) -> list[Order]:
        """Every order, first stored first."""
        with self._lock:
            self._advance()
            return list(self._orders.values())

    def search(
        self, account_id: str, condition: OrderFilter, settings: Settings, *, start: int, limit: int
    ) -> tuple[int, list[Order]]:
        """The number of orders that meet ``condition``, and ``limit`` of them from ``start`` on, newest first."""
        with self._lock:
            self._advance()
            youngest = self.clock() - settings.search_lag_seconds
            prefix = settings.customer_order_id_match == "prefix"
            newest_first = (self._orders[order_id] for _, _, order_id in reversed(self._by_creation))
            hits = [
                order
                for order in newest_first
                if order.asked.account_id == account_id
                and order.created_clock <= youngest
                and condition.admits(order, prefix=prefix)
            ]
            return len(hits), hits[start : start + limit]

    def hold(self, order_id: str | None = None) -> None:
        """Keep one order, or all orders that are open or still to come, from ending.

        :raises LookupError: if there is no such order
        """
        with self._lock:
            self._advance()
            if order_id is None:
                self._holding_all = True
            else:
                self._held.add(self._get_order(order_id).order_id)

    def release(self, order_id: str | None = None) -> None:
        """End a hold; orders whose time was up end at once, in the order they were due.

        :raises LookupError: if there is no such order
        """
        with self._lock:
            self._advance()
            if order_id is None:
                self._holding_all = False
                self._held.clear()
            else:
                self._held.discard(self._get_order(order_id).order_id)
            overdue, self._overdue = self._overdue, []
            now = self.now()
            for each in overdue:
                self._end(self._orders[each], now)

    def finish(self, order_id: str, status: str | None = None, errors: Sequence[OrderError] = ()) -> Order:
        """End an open order now: with ``status`` and ``errors``, or as its numbers decide.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or ``status`` does not end an order
        """
        with self._lock:
            self._advance()
            order = self._get_open_order(order_id)
            end = (
                decide_outcome(order.asked, self._inventory)
                if status is None
                else _make_outcome(order, status.upper(), errors)
            )
            if end.status not in TERMINAL_STATUSES:
                raise ValueError(f"{end.status} does not end an order")
            return self._conclude(order, end, self.now())

    def set_status(self, order_id: str, status: str) -> Order:
        """Show an open order with any word that does not end it and stop its clock: only ``finish`` ends it then.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or ``status`` would end it
        """
        with self._lock:
            self._advance()
            order = self._get_open_order(order_id)
            if status.upper() in TERMINAL_STATUSES:
                raise ValueError(f"{status} ends an order: use finish")
            self._stopped.add(order_id)
            return self._move_to(order, status, self.now())

    def _store_order(self, new: NewOrder, created_at: datetime, clock: float) -> Order:
        order = Order(str(uuid.uuid4()), new, created_at, clock, ((created_at, "RECEIVED"),))
        self._orders[order.order_id] = order
        bisect.insort(self._by_creation, (created_at, len(self._orders), order.order_id))
        return order

    def _get_order(self, order_id: str) -> Order:
        try:
            return self._orders[order_id]
        except KeyError:
            raise LookupError(f"no order {order_id!r}") from None

    def _get_open_order(self, order_id: str) -> Order:
        order = self._get_order(order_id)
        if order.is_terminal:
            raise ValueError(f"order {order_id} has ended {order.status}")
        return order

    def _change(self, order: Order, **changes: Any) -> Order:
        changed = dataclasses.replace(order, **changes)
        self._orders[order.order_id] = changed
        return changed

    def _move_to(self, order: Order, status: str, moment: datetime) -> Order:
        return self._change(order, history=(*order.history, (moment, status)))

    # --- the clock ---

    def clock(self) -> float:
        """Monotonic seconds of this store's time."""
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        with self._lock:
            self._skipped += seconds

    def now(self) -> datetime:
        """The time of day, skipped seconds included."""
        return datetime.now(UTC) + timedelta(seconds=self._skipped)

    def _advance(self) -> None:
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            due, _, step, order_id = heapq.heappop(self._due)
            order = self._orders[order_id]
            moment = order.created_at + timedelta(seconds=due - order.created_clock)
            if step == "deny":
                self._answer_transfer(order, moment, approve=False)
            elif step == "terminate":
                self._end(order, moment)
            elif not self._is_stopped(order):
                self._move_to(order, "PROCESSING", moment)

    def _is_stopped(self, order: Order) -> bool:
        return order.is_terminal or order.order_id in self._stopped

    def _end(self, order: Order, moment: datetime) -> None:
        if self._is_stopped(order):
            return
        if self._holding_all or order.order_id in self._held:
            self._overdue.append(order.order_id)
            return
        approved = self._transfers.get(order.order_id)
        if approved is None and waits_for_transfer(order.asked):
            self._waiting_for_transfer.add(order.order_id)
        self._conclude(order, decide_outcome(order.asked, self._inventory, approved=approved), moment)

    def answer_transfer(self, order_id: str, *, approve: bool) -> Order:
        """Let the losing carrier answer for the numbers of an order that waits for it, or will.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or asks no carrier
        """
        with self._lock:
            self._advance()
            order = self._get_open_order(order_id)
            if not waits_for_transfer(order.asked):
                raise ValueError(f"order {order_id} asks no losing carrier")
            self._answer_transfer(order, self.now(), approve=approve)
            return self._orders[order_id]

    def _answer_transfer(self, order: Order, moment: datetime, *, approve: bool) -> None:
        self._transfers.setdefault(order.order_id, approve)
        if order.order_id in self._waiting_for_transfer:
            self._waiting_for_transfer.remove(order.order_id)
            self._end(order, moment)

    def _conclude(self, order: Order, end: Outcome, moment: datetime) -> Order:
        location = Location(order.account_id, order.asked.site_id, order.asked.sip_peer_id)
        clock = order.created_clock + (moment - order.created_at).total_seconds()
        for number in end.done:
            if order.action == "IMPORT":
                self._inventory.import_number(number, location, clock, external=order.order_api == "externalTns")
            elif order.action == "REMOVE":
                self._inventory.remove_number(number, clock)
        if order.action == "OPTIONS":
            self._set_options(order, set(end.done), clock)
        order = self._change(order, errors=end.errors, missing=end.missing, warned=end.warned)
        return order if end.status == order.status else self._move_to(order, end.status, moment)

    def _set_options(self, order: Order, done: set[str], clock: float) -> None:
        options = self._inventory.options
        for group in order.asked.option_groups:
            for number in done.intersection(group.telephone_numbers):
                changed = options.get(number, NumberOptions())
                if group.sms is not None:
                    changed = changed._replace(sms=group.sms == "on")
                if group.a2p_action not in (None, "unchanged"):
                    state = {"asSpecified": "overridden", "off": "off"}.get(group.a2p_action or "", "system_default")
                    changed = changed._replace(
                        since=clock, a2p_state=state, campaign_id=group.campaign_id, message_class=group.message_class
                    )
                options[number] = changed

    # --- numbers ---

    def options(self, telephone_number: str) -> NumberOptions:
        """What orders set at a number."""
        with self._lock:
            self._advance()
            return self._inventory.options.get(telephone_number, NumberOptions())

    def numbers_with_campaigns(self) -> list[tuple[str, NumberOptions]]:
        """Every number that is on a campaign, ascending."""
        with self._lock:
            self._advance()
            return sorted((n, options) for n, options in self._inventory.options.items() if options.campaign_id)

    def seed(
        self,
        location: Location,
        *,
        imported: Sequence[str] = (),
        owned: Sequence[str] = (),
        campaign_id: str | None = None,
    ) -> None:
        """Put numbers at a peer without an order."""
        with self._lock:
            self._inventory.seed(location, imported=imported, owned=owned)
            if campaign_id is not None:
                options = NumberOptions(a2p_state="overridden", campaign_id=campaign_id)
                self._inventory.options.update(dict.fromkeys((*imported, *owned), options))

    def hosted(self, telephone_number: str) -> HostedNumber | None:
        """The number, if any account has it."""
        with self._lock:
            self._advance()
            return self._inventory.get(telephone_number)

    def page(self, locations: Sequence[Location], start: str, size: int) -> tuple[list[HostedNumber], str | None]:
        """Up to ``size`` numbers of some peers from ``start`` on, ascending, and the next page's first number."""
        with self._lock:
            self._advance()
            return self._inventory.page(locations, start, size)

    def total(self, locations: Sequence[Location]) -> int:
        """How many numbers some peers have."""
        with self._lock:
            self._advance()
            return self._inventory.total(locations)

    def rewind(self, seconds: float) -> Inventory:
        """The numbers as they were so many seconds ago."""
        with self._lock:
            self._advance()
            return self._inventory.rewind(self.clock() - seconds)

    def numbers(self, *, imported: bool) -> dict[Location, list[str]]:
        """The imported or the owned numbers of every peer that has any, ascending."""
        with self._lock:
            self._advance()
            return self._inventory.numbers(imported=imported)

    def resets(self) -> dict[str, int]:
        """How often each number was imported while it was there already; numbers never hit are left out."""
        with self._lock:
            self._advance()
            return dict(self._inventory.resets)

    def locations(self, account_id: str, site_id: str | None = None) -> list[Location]:
        """Every peer of an account, or of one of its sites."""
        return [
            Location(account_id, site, peer)
            for site, peers in self.sites.items()
            if site_id is None or site == site_id
            for peer in peers
        ]


def _make_outcome(order: Order, status: str, errors: Sequence[OrderError]) -> Outcome:
    failed = {number for error in errors for number in error.telephone_numbers}
    done = () if status == "FAILED" else tuple(n for n in order.telephone_numbers if n not in failed)
    return Outcome(status, tuple(errors), done)
