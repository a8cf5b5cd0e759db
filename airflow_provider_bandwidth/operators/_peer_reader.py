"""What a sync reads at Bandwidth before it plans: orders, the inventory of a SIP peer, and what was refused before."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidParameterError, InvalidResponseError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.number_sync.assignments import Unassigned, find_unassigned
from airflow_provider_bandwidth.number_sync.current import (
    SETTLED_AFTER,
    PeerNumbers,
    find_imported_before,
    find_moving,
)
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.layout import hold_back_refused
from airflow_provider_bandwidth.operators._other_order_apis import OtherOrderApis
from airflow_provider_bandwidth.order_apis import TN_OPTIONS
from airflow_provider_bandwidth.orders import (
    MAX_LISTED_ORDERS,
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    Action,
    ProcessingStatus,
    TnOrder,
    newest_first,
)

#: Looks at the inventory before it is not believed, and the seconds between them.
_INVENTORY_LOOKS: Final = 3
_INVENTORY_PAUSE: Final = 10.0
#: A number that was imported so long before a plan, and longer ago than refusals are remembered, keeps its campaign.
_IMPORTED_LATELY: Final = timedelta(days=7)
#: An order that was made within this time before a look is recognised by its id, an older one by its age.
_KNOWN_BY_ID: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Look:
    """What a plan saw at Bandwidth.

    :param now: the time of the look, by Bandwidth's clock
    :param open_orders: orders that are not known to have ended
    :param recent_orders: orders that were made or have changed lately, in any state
    :param numbers: the numbers at the SIP peer, effects of orders that ended lately included
    :param moving: the numbers of orders that are open or ended lately
    :param doubt: why the SIP peer may have other numbers that ``numbers`` lacks; empty if nothing says so
    """

    now: datetime
    open_orders: Sequence[TnOrder]
    recent_orders: Sequence[TnOrder]
    numbers: PeerNumbers
    moving: frozenset[str]
    doubt: str = ""

    @property
    def known_since(self) -> datetime:
        """A time before any order that is made after the look, by Bandwidth's clock."""
        made = [order.created_at for order in self.recent_orders if order.created_at is not None]
        return max(made, default=self.now) - _KNOWN_BY_ID

    @property
    def known_order_ids(self) -> list[str]:
        """The ids of the orders made since that time that the look showed."""
        since = self.known_since
        return [order.order_id for order in self.recent_orders if order.created_at and order.created_at >= since]

    def find_new(self, to_import: Iterable[str]) -> frozenset[str]:
        """The numbers that are in no order that is open or ended lately. The others' orders tell what became of them.

        :param to_import: numbers about to be imported
        """
        return frozenset(to_import).difference(self.moving)

    def check_new(self, new: Collection[str]) -> None:
        """Refuse to import what may be at the SIP peer already.

        :param new: what :meth:`find_new` found
        :raises InvalidResponseError: the inventory may leave out some of them
        """
        if self.doubt and new:
            raise InvalidResponseError(
                f"{self.doubt}. Orders that are open or ended lately may be the reason. But the inventory may also "
                f"lack live numbers; {len(new):,} new ones would be imported, and importing a live number resets it. "
                "Nothing was sent. Run again later. If it stays so and the numbers are new, set first_load=True for "
                "one run."
            )


class PeerReader:
    """Reads what concerns one SIP peer.

    :param hook: calls Bandwidth
    :param site_id: SiteId
    :param sip_peer_id: SipPeerId
    :param log: the task's log
    """

    def __init__(self, hook: BandwidthHook, site_id: int, sip_peer_id: int, log: Any) -> None:
        self._hook = hook
        self.account_id = hook.account_id
        self.order_api = hook.order_api.name
        self._others = OtherOrderApis(hook)
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self._log = log

    @property
    def place(self) -> str:
        """The SIP peer, for people."""
        return f"account {self.account_id}, site {self.site_id}, SIP peer {self.sip_peer_id}"

    def look(self) -> Look:
        """Read orders and inventory, in this order: an order that ends in between is then in both, not in neither.

        :raises InvalidResponseError: what Bandwidth shows cannot be believed now
        :raises InvalidParameterError: there is no such SIP peer
        """
        open_orders = self._list_open_orders()
        now = self._hook.bandwidth_now()
        recent = self._list_orders(modified_from=now - timedelta(days=1))
        if len(recent) >= MAX_LISTED_ORDERS:
            self._log.warning(
                "Bandwidth lists the newest %d orders that changed since yesterday and no more: the effect of others "
                "may not show in the inventory yet.",
                len(recent),
            )
        known = {order.order_id for order in open_orders}
        # Orders in a status that Bandwidth has not documented cannot be asked for by it.
        open_orders += [order for order in recent if not order.is_terminal and order.order_id not in known]
        _refuse_blank(open_orders)
        since = now - SETTLED_AFTER
        at_work = [*open_orders, *recent]
        moving = find_moving(at_work, site_id=self.site_id, sip_peer_id=self.sip_peer_id, since=since)
        shown, doubt = self._read_inventory(moving)
        numbers = shown.lay_over(at_work, site_id=self.site_id, sip_peer_id=self.sip_peer_id, since=since)
        return Look(now, open_orders, recent, numbers, moving, doubt)

    def _list_orders(self, **filters: Any) -> list[TnOrder]:
        """Orders of every order API that the account has: whichever made an order, its numbers are what they are."""
        own = self._hook.list_tn_orders(**filters)
        others = self._others.search_each(lambda other: other.list_tn_orders(**filters))
        # The two forms of importTnOrders may show each other's orders: ours is the one to go on with.
        return newest_first({order.order_id.lower(): order for order in (*others, *own)}.values())

    def _list_open_orders(self) -> list[TnOrder]:
        orders = self._list_orders(status=OPEN_STATUSES)
        if len(orders) >= MAX_LISTED_ORDERS:
            raise InvalidResponseError(
                f"Account {self._hook.account_id} has {len(orders)} open orders or more, and Bandwidth lists no "
                "further: which numbers are being worked on cannot be told. Nothing was sent. Run again when fewer "
                "are open."
            )
        return orders

    def _read_inventory(self, moving: Collection[str]) -> tuple[PeerNumbers, str]:
        """The numbers that the peer's inventory shows, and why it may leave out others, if its own count says so."""
        for left in reversed(range(_INVENTORY_LOOKS)):
            before, shown, after = self._read_pages_and_counts()
            if shown.is_confirmed_by((before, after), moving):
                return shown, ""
            doubt = (
                f"SIP peer {self.sip_peer_id} counts {before:,} telephone numbers before and {after:,} after its "
                f"inventory showed {len(shown.imported) + len(shown.others):,}"
            )
            if left:
                self._log.warning("%s. Reading it again in %d seconds.", doubt, _INVENTORY_PAUSE)
                time.sleep(_INVENTORY_PAUSE)
        if shown.orders_may_explain((before, after), moving):
            return shown, doubt
        raise InvalidResponseError(
            f"{doubt}: the inventory cannot be believed, and numbers that it leaves out would be imported again. "
            "Nothing was sent. Run again later."
        )

    def _read_pages_and_counts(self) -> tuple[int, PeerNumbers, int]:
        imported: set[str] = set()
        others: set[str] = set()
        try:
            before = self._hook.count_sip_peer_telephone_numbers(self.site_id, self.sip_peer_id)
            # By pages: an inventory may hold a million numbers.
            for page in self._hook._iter_inventory_pages(self.site_id, self.sip_peer_id):  # noqa: SLF001
                imported.update(page.external_telephone_numbers)
                others.update(page.other_telephone_numbers)
            after = self._hook.count_sip_peer_telephone_numbers(self.site_id, self.sip_peer_id)
        except BandwidthApiError as error:
            if error.status != 404:
                raise
            raise InvalidParameterError(
                "SipPeerId",
                f"account {self._hook.account_id} has no site {self.site_id} with SIP peer {self.sip_peer_id}: {error}",
            ) from error
        return before, PeerNumbers(frozenset(imported), frozenset(others - imported)), after

    def find_vanished(self) -> frozenset[str]:
        """The numbers that orders brought to the peer and that no order took away: they should be in its inventory.

        Bandwidth lists the newest orders only: older ones are not known.
        """
        ended = self._list_orders(status=(ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL))
        return find_imported_before(ended, site_id=self.site_id, sip_peer_id=self.sip_peer_id)

    def hold_back_refused(
        self, to_import: Sequence[str], *, days: int, now: datetime, ignore_error_codes: Sequence[str]
    ) -> Sequence[NumberFate]:
        """The numbers that Bandwidth refused lately, and that would fail again.

        :param to_import: numbers about to be imported
        :param days: after which a number is sent again; ``0`` holds none back
        :param now: by Bandwidth's clock
        :param ignore_error_codes: codes that count as done
        """
        if not days or not to_import:
            return ()
        orders = self._list_orders(
            status=TERMINAL_STATUSES, action=Action.IMPORT, created_from=now - timedelta(days=days + 1)
        )
        if len(orders) >= MAX_LISTED_ORDERS:
            self._log.warning(
                "Bandwidth lists the newest %d imports of the last %d days and no more: numbers that an older one "
                "refused are sent again.",
                len(orders),
                days,
            )
        held_back = hold_back_refused(
            to_import,
            orders,
            site_id=self.site_id,
            sip_peer_id=self.sip_peer_id,
            now=now,
            resend_after=timedelta(days=days),
            ignore_error_codes=ignore_error_codes,
        )
        if held_back:
            self._log.info("Holding back %d telephone numbers that Bandwidth refused lately.", len(held_back))
        return held_back

    def find_unassigned(
        self, telephone_numbers: Sequence[str], *, campaign_id: str, days: int, now: datetime
    ) -> Unassigned:
        """The numbers at the peer that should be on the campaign and are not.

        A run may have died before it assigned them, or Bandwidth refused them for a reason that has passed.

        :param telephone_numbers: desired numbers that are at the peer
        :param days: after which a number is tried again that was refused for good; ``0`` tries it every time
        :param now: by Bandwidth's clock
        """
        if not telephone_numbers:
            return Unassigned()
        since = now - timedelta(days=days) - _IMPORTED_LATELY
        imports = self._list_orders(
            status=(ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL), action=Action.IMPORT, created_from=since
        )
        assignments = self._list_assignments(since)
        is_cut = len(assignments) >= MAX_LISTED_ORDERS
        if is_cut or len(imports) >= MAX_LISTED_ORDERS:
            self._log.warning(
                "Bandwidth lists the newest %d orders and no more: numbers that older ones imported, and that no order "
                "assigned, are not found. Assign them with BandwidthCampaignAssignmentOperator.",
                MAX_LISTED_ORDERS,
            )
        made = [order.created_at for order in assignments if order.created_at is not None]
        found = find_unassigned(
            telephone_numbers,
            imports,
            assignments,
            campaign_id=campaign_id,
            site_id=self.site_id,
            sip_peer_id=self.sip_peer_id,
            now=now,
            resend_after=timedelta(days=days),
            assignments_since=min(made, default=since) if is_cut else since,
        )
        self._log.info(
            "At the SIP peer, and to be assigned to campaign %s: %d telephone numbers. Refused lately: %d.",
            campaign_id,
            len(found.to_assign),
            len(found.refused),
        )
        return found

    def _list_assignments(self, since: datetime) -> list[TnOrder]:
        """The account's orders of options since then, whole."""
        hook = self._hook.make_hook_of(TN_OPTIONS.name)
        try:
            entries = hook.iter_tn_orders(statuses=(), created_from=since)
            return [hook.get_tn_order(e.order.order_id) if e.is_summary else e.order for e in entries]
        finally:
            hook.close()

    def preflight(self, to_import: Sequence[str]) -> Sequence[NumberFate]:
        """The numbers that importTnChecker refuses.

        :param to_import: numbers about to be imported
        """
        if not to_import:
            return ()
        asked = set(to_import)
        refused: dict[str, NumberFate] = {}
        for error in self._hook.check_importable(to_import, self.site_id, self.sip_peer_id):
            number = error.telephone_number
            if number in asked:
                reason = f"importTnChecker: {error.description}"
                refused[number] = NumberFate(number, Action.IMPORT, Fate.REJECTED, error.code, reason)
        self._log.info("importTnChecker refuses %d of %d telephone numbers.", len(refused), len(to_import))
        return tuple(refused.values())

    def lacks_orders(self, customer_order_ids: Sequence[str] | None) -> bool:
        """Whether one of these orders is not in Bandwidth's lists (yet).

        :param customer_order_ids: ``None`` if they are not known
        """
        if not customer_order_ids:
            return customer_order_ids is None
        entries = self._hook.iter_tn_orders(statuses=(), created_from=self._hook.bandwidth_now() - timedelta(days=1))
        shown = {str(entry.order.customer_order_id).lower() for entry in entries}
        return not shown.issuperset(each.lower() for each in customer_order_ids)


def _refuse_blank(open_orders: Sequence[TnOrder]) -> None:
    blank = [order.order_id for order in open_orders if not order.telephone_numbers]
    if blank:
        raise InvalidResponseError(
            f"{len(blank)} open orders show no telephone numbers (yet): {', '.join(blank[:5])}. Which numbers are "
            "being worked on cannot be told. Nothing was sent. Run again when they show them, or have ended."
        )
