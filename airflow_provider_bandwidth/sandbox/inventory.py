"""Which telephone number is at which SIP peer."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Location(NamedTuple):
    """A SIP peer, named in full."""

    account_id: str
    site_id: str
    sip_peer_id: str


class HostedNumber(NamedTuple):
    """A telephone number at a SIP peer.

    :param imported: whether it came by an order; the others belong to Bandwidth
    :param external: whether an externalTns order brought it: only those have the attribute External [err 5127]
    """

    telephone_number: str
    location: Location
    imported: bool
    external: bool = True


class NumberOptions(NamedTuple):
    """What a tnoptions order set at a number.

    :param since: when they were set, in the monotonic seconds of the store; by default when the number was imported
    """

    since: float = -math.inf
    sms: bool = True
    a2p_state: str = "system_default"
    campaign_id: str | None = None
    message_class: str | None = None


@dataclass(slots=True)
class _Peer:
    members: dict[str, HostedNumber] = field(default_factory=dict)
    ordered: list[str] | None = None

    def numbers(self) -> list[str]:
        if self.ordered is None:
            self.ordered = sorted(self.members)
        return self.ordered


class _Change(NamedTuple):
    """What was known of a number until an order changed it."""

    clock: float
    telephone_number: str
    before: HostedNumber | None


class Inventory:
    """The numbers of every peer of every account. Not safe by itself: its owner holds the lock."""

    def __init__(self) -> None:
        self._peers: dict[Location, _Peer] = {}
        self._changes: list[_Change] = []
        self._numbers: dict[str, HostedNumber] = {}
        #: How often a number was imported while it was there already: each such import resets its attributes.
        self.resets: Counter[str] = Counter()
        #: By number. Imports (also of a number that is there) and removals drop them: a guess, since nobody says.
        self.options: dict[str, NumberOptions] = {}

    def get(self, telephone_number: str) -> HostedNumber | None:
        """The number, if any account has it."""
        return self._numbers.get(telephone_number)

    def seed(self, location: Location, *, imported: Iterable[str], owned: Iterable[str]) -> None:
        """Put numbers at a peer without an order."""
        for numbers, by_order in ((imported, True), (owned, False)):
            for number in numbers:
                self._put(HostedNumber(number, location, by_order))

    def import_number(self, telephone_number: str, location: Location, clock: float, *, external: bool) -> None:
        """Take a number in, or reset it if it is here ("resets every attribute of the number" [oas1]).

        :param clock: when, in the monotonic seconds of the store
        """
        self._note_change(telephone_number, clock)
        if telephone_number in self._numbers:
            self.resets[telephone_number] += 1
        self._put(HostedNumber(telephone_number, location, True, external))
        self.options[telephone_number] = NumberOptions(since=clock)

    def remove_number(self, telephone_number: str, clock: float) -> None:
        """Forget a number; unknown ones are ignored.

        :param clock: when, in the monotonic seconds of the store
        """
        self._note_change(telephone_number, clock)
        self._forget(telephone_number)
        self.options.pop(telephone_number, None)

    def _note_change(self, telephone_number: str, clock: float) -> None:
        self._changes.append(_Change(clock, telephone_number, self._numbers.get(telephone_number)))

    def rewind(self, clock: float) -> Inventory:
        """A copy with the numbers as they were at a time."""
        since = [change for change in self._changes if change.clock > clock]
        past = Inventory()
        for hosted in self._numbers.values():
            past._put(hosted)
        for change in reversed(since):
            past._forget(change.telephone_number)
            if change.before is not None:
                past._put(change.before)
        return past

    def _forget(self, telephone_number: str) -> None:
        hosted = self._numbers.pop(telephone_number, None)
        if hosted is not None:
            peer = self._peers[hosted.location]
            del peer.members[telephone_number]
            peer.ordered = None

    def page(self, locations: Sequence[Location], start: str, size: int) -> tuple[list[HostedNumber], str | None]:
        """Up to ``size`` numbers of some peers from ``start`` on, ascending, and the next page's first number."""
        windows = []
        for peer in self._get_peers(locations):
            ordered = peer.numbers()
            first = bisect.bisect_left(ordered, start)
            windows.append([peer.members[number] for number in ordered[first : first + size + 1]])
        merged = list(itertools.islice(heapq.merge(*windows), size + 1))
        return merged[:size], merged[size].telephone_number if len(merged) > size else None

    def total(self, locations: Sequence[Location]) -> int:
        """How many numbers some peers have."""
        return sum(len(peer.members) for peer in self._get_peers(locations))

    def numbers(self, *, imported: bool) -> dict[Location, list[str]]:
        """The imported or the owned numbers of every peer that has any, ascending."""
        found = {
            location: [number for number in peer.numbers() if peer.members[number].imported is imported]
            for location, peer in self._peers.items()
        }
        return {location: numbers for location, numbers in found.items() if numbers}

    def _get_peers(self, locations: Sequence[Location]) -> list[_Peer]:
        return [self._peers[location] for location in locations if location in self._peers]

    def _put(self, hosted: HostedNumber) -> None:
        self._forget(hosted.telephone_number)
        self._numbers[hosted.telephone_number] = hosted
        peer = self._peers.setdefault(hosted.location, _Peer())
        peer.members[hosted.telephone_number] = hosted
        peer.ordered = None
