"""What is at a SIP peer now: what its inventory shows, and what orders have done that it may not show yet.

Pure: no Airflow, no network. An inventory may lag behind orders that have ended, and may be cut: it is believed only
where the peer's own count agrees with it, and the effects of orders that ended lately are laid over it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_bandwidth.orders import Action, TnOrder

#: Longest time from an order's end until the inventory shows its effect, differences between clocks included.
SETTLED_AFTER: Final = timedelta(hours=1)
#: Assumed longest time from creation to end of an order that does not show when it was last modified.
_LONGEST_WORK: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PeerNumbers:
    """The telephone numbers at a SIP peer, ten digits each.

    :param imported: those that an order brought there
    :param others: those that no order is known to have brought there, such as Bandwidth's own
    """

    imported: frozenset[str]
    others: frozenset[str]

    def lay_over(self, orders: Iterable[TnOrder], *, site_id: int, sip_peer_id: int, since: datetime) -> PeerNumbers:
        """The numbers with the effects of orders that ended lately: what was imported is there, what was removed gone.

        :param orders: in any state and of any place; those that ended before ``since`` are passed over
        """
        imported = set(self.imported)
        _replay(orders, imported, site_id=site_id, sip_peer_id=sip_peer_id, since=since)
        return PeerNumbers(frozenset(imported), self.others - imported)

    def is_confirmed_by(self, counts: Collection[int], moving: Collection[str]) -> bool:
        """Whether the peer counts what its inventory shows, so that no number is left out.

        Two counts differ where an order is being worked on meanwhile: then the inventory shows one of them, or a number
        in between.

        :param counts: how many numbers the peer says that it has, before and after its inventory was read
        :param moving: numbers of orders that are open or ended lately: the counts may hold them or not
        """
        return self.orders_may_explain(counts, moving) and min(counts) <= self._count() <= max(counts)

    def orders_may_explain(self, counts: Iterable[int], moving: Collection[str]) -> bool:
        """Whether orders may be why the peer's count differs from what its inventory shows.

        They may be if the count and the inventory lag differently behind them. It is no proof: an inventory that leaves
        out as many other numbers looks the same.
        """
        count, different = self._count(), set(moving)
        moved = sum(number in self.imported or number in self.others for number in different)
        fewest, most = count - moved, count - moved + len(different)
        return all(fewest <= each <= most for each in counts)

    def _count(self) -> int:
        return len(self.imported) + len(self.others - self.imported)


def find_moving(orders: Iterable[TnOrder], *, site_id: int, sip_peer_id: int, since: datetime) -> frozenset[str]:
    """The numbers of orders that are open, or that ended at that time or later."""
    moving: set[str] = set()
    for order in orders:
        if is_at(order, site_id, sip_peer_id) and (not order.is_terminal or _ended_at(order) >= since):
            moving.update(order.mentioned_telephone_numbers)
    return frozenset(moving)


def find_imported_before(orders: Iterable[TnOrder], *, site_id: int, sip_peer_id: int) -> frozenset[str]:
    """The numbers that orders brought to a SIP peer and that no later order took away, also to another one."""
    there: set[str] = set()
    _replay(orders, there, site_id=site_id, sip_peer_id=sip_peer_id, since=datetime.min.replace(tzinfo=UTC))
    return frozenset(there)


def is_at(order: TnOrder, site_id: int, sip_peer_id: int) -> bool:
    """Whether an order is for this SIP peer; one that shows no peer may be.

    A removal that shows no site takes its numbers from wherever they are in the account [oas1].
    """
    is_everywhere = order.action == Action.REMOVE and order.site_id is None
    return (is_everywhere or order.site_id == site_id) and order.sip_peer_id in (None, sip_peer_id)


def _replay(orders: Iterable[TnOrder], there: set[str], *, site_id: int, sip_peer_id: int, since: datetime) -> None:
    """Do to the numbers at a SIP peer what orders did that ended at that time or later.

    An import at another SIP peer takes its numbers away from here: a number is at one of them.
    """
    ended = [order for order in orders if order.is_terminal and _ended_at(order) >= since]
    for order in sorted(ended, key=_ended_at):
        is_here = is_at(order, site_id, sip_peer_id)
        if order.action == Action.IMPORT and is_here:
            there.update(order.completed_telephone_numbers)
        elif order.action == Action.IMPORT or is_here:
            there.difference_update(order.completed_telephone_numbers)


def _ended_at(order: TnOrder) -> datetime:
    """When an order ended; the latest possible time where it does not show."""
    if order.last_modified_at is not None:
        return order.last_modified_at
    return datetime.max.replace(tzinfo=UTC) if order.created_at is None else order.created_at + _LONGEST_WORK
