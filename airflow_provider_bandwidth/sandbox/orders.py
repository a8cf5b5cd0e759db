"""Orders as the sandbox keeps them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from airflow_provider_bandwidth.sandbox.settings import Settings

TERMINAL_STATUSES: Final = frozenset({"COMPLETE", "PARTIAL", "FAILED"})


@dataclass(frozen=True, slots=True)
class OrderError:
    """One error of an order; ``telephone_numbers`` is empty where the error names none."""

    code: str
    description: str
    telephone_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose numbers are imported: element names and texts, as sent.

    :param fields: those of the subscriber itself
    :param address: those of its ServiceAddress
    """

    fields: tuple[tuple[str, str], ...]
    address: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values by element name."""
        return {**dict(self.fields), "ServiceAddress": dict(self.address)}


@dataclass(frozen=True, slots=True)
class TnOptionGroup:
    """Numbers of a tnoptions order, and the options that they are to have.

    :param sms: on or off
    :param a2p_action: what happens to the campaign: asSpecified, systemDefault, off, delete or unchanged
    """

    sms: str | None
    a2p_action: str | None
    campaign_id: str | None
    message_class: str | None
    telephone_numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A valid order as it was asked for.

    :param site_id: empty, as the peer is, where the kind of order names none
    :param order_api: the API it came through: a word of the setting ``order_apis``
    :param customer_order_id: as it will be stored; ``None`` when none was sent, or when it was dropped
    :param sip_peer_id: the peer the numbers go to, also when the order left it to the site's default
    :param sip_peer_given: whether the order named the peer
    :param loa_type: as sent; ``None`` when it was not
    :param rules: the settings that it ends under
    """

    account_id: str
    site_id: str
    sip_peer_id: str
    action: str
    telephone_numbers: tuple[str, ...]
    customer_order_id: str | None = None
    sip_peer_given: bool = True
    loa_type: str | None = None
    created_by: str = "sandbox"
    order_api: str = "externalTns"
    subscriber: Subscriber | None = None
    loa_authorizing_person: str | None = None
    option_groups: tuple[TnOptionGroup, ...] = ()
    rules: Settings = field(default=Settings(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Order:
    """One order at one moment; a change makes a new object.

    :param asked: what was asked for
    :param errors: one entry per code and number, in the order of the telephone numbers
    :param missing: numbers that are done but left out of the order's list
    :param warned: numbers that had the option that they were to get
    :param history: every status with the time it was reached
    :param created_clock: monotonic seconds at which it was created
    :param fragments: renderings of this object, kept for its next answer
    """

    order_id: str
    asked: NewOrder
    created_at: datetime
    created_clock: float
    history: tuple[tuple[datetime, str], ...]
    errors: tuple[OrderError, ...] = ()
    missing: frozenset[str] = frozenset()
    warned: tuple[str, ...] = ()
    fragments: dict[object, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def status(self) -> str:
        """The status word shown now."""
        return self.history[-1][1]

    @property
    def last_modified_at(self) -> datetime:
        """When the status last changed [host21]."""
        return self.history[-1][0]

    @property
    def is_terminal(self) -> bool:
        """Whether the order has ended."""
        return self.status in TERMINAL_STATUSES

    @property
    def account_id(self) -> str:
        """The account that ordered."""
        return self.asked.account_id

    @property
    def order_api(self) -> str:
        """The API it came through."""
        return self.asked.order_api

    @property
    def customer_order_id(self) -> str | None:
        """The customer order id as stored."""
        return self.asked.customer_order_id

    @property
    def action(self) -> str:
        """IMPORT or REMOVE; OPTIONS for tnoptions."""
        return self.asked.action

    @property
    def telephone_numbers(self) -> tuple[str, ...]:
        """Every number that was sent."""
        return self.asked.telephone_numbers

    @property
    def failed_telephone_numbers(self) -> frozenset[str]:
        """Every number that an error names."""
        return frozenset(itertools.chain.from_iterable(error.telephone_numbers for error in self.errors))

    def listed_telephone_numbers(self, partial_list: str) -> tuple[str, ...]:
        """The numbers an answer shows, under either reading of PARTIAL (setting ``partial_list``)."""
        hidden = self.missing
        if self.status == "PARTIAL" and partial_list == "completed":
            hidden |= self.failed_telephone_numbers
        if not hidden:
            return self.telephone_numbers
        return tuple(number for number in self.telephone_numbers if number not in hidden)

    def to_dict(self, *, numbers: bool = True) -> dict[str, object]:
        """JSON-ready values; without ``numbers`` only their count."""
        values: dict[str, object] = {
            "order_id": self.order_id,
            "order_api": self.order_api,
            "customer_order_id": self.customer_order_id,
            "account_id": self.account_id,
            "site_id": self.asked.site_id,
            "sip_peer_id": self.asked.sip_peer_id,
            "action": self.action,
            "loa_type": self.asked.loa_type,
            "subscriber": self.asked.subscriber.to_dict() if self.asked.subscriber else None,
            "campaign_ids": [group.campaign_id for group in self.asked.option_groups],
            "loa_authorizing_person": self.asked.loa_authorizing_person,
            "status": self.status,
            "created_at": format_time(self.created_at),
            "last_modified_at": format_time(self.last_modified_at),
            "telephone_number_count": len(self.telephone_numbers),
            "error_count": len(self.errors),
        }
        if numbers:
            values["telephone_numbers"] = list(self.telephone_numbers)
            values["errors"] = [
                {"code": e.code, "description": e.description, "telephone_numbers": list(e.telephone_numbers)}
                for e in self.errors
            ]
        return values


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """The conditions of a list call; ``None`` or empty means any. Dates are inclusive UTC days, ``yyyy-MM-dd``.

    :param order_apis: the APIs whose orders are searched
    :param default_loa_type: the LoaType of an order that names none
    :param skew: how far the clock that dates orders is ahead
    """

    order_apis: frozenset[str]
    default_loa_type: str = "CARRIER"
    statuses: frozenset[str] = frozenset()
    telephone_number: str | None = None
    customer_order_id: str | None = None
    order_id_fragment: str | None = None
    action: str | None = None
    loa_type: str | None = None
    created_from: str | None = None
    created_to: str | None = None
    modified_from: str | None = None
    modified_to: str | None = None
    skew: timedelta = timedelta()

    def admits(self, order: Order, *, prefix: bool) -> bool:
        """Whether ``order`` meets every condition; with ``prefix`` a customer order id may be longer than asked."""
        return (
            order.order_api in self.order_apis
            and (not self.statuses or order.history[-1][1] in self.statuses)
            and (self.action is None or order.asked.action == self.action)
            and (self.loa_type is None or (order.asked.loa_type or self.default_loa_type) == self.loa_type)
            and (self.customer_order_id is None or _is_same(self.customer_order_id, order.customer_order_id, prefix))
            and (self.order_id_fragment is None or order.order_id.startswith(self.order_id_fragment))
            and _is_within(order.created_at + self.skew, self.created_from, self.created_to)
            and _is_within(order.last_modified_at + self.skew, self.modified_from, self.modified_to)
            and (self.telephone_number is None or self.telephone_number in order.telephone_numbers)
        )


def _is_same(wanted: str, stored: str | None, prefix: bool) -> bool:
    return stored is not None and (stored.startswith(wanted) if prefix else stored == wanted)


def _is_within(moment: datetime, first: str | None, last: str | None) -> bool:
    if first is None and last is None:
        return True
    day = moment.strftime("%Y-%m-%d")
    return (first is None or first <= day) and (last is None or day <= last)


def format_time(moment: datetime) -> str:
    """Bandwidth's date: ISO 8601 in UTC with milliseconds and Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
