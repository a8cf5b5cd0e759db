"""An order as Bandwidth shows it, and the verdict on how it ended.

Pure: no Airflow, no XML, no I/O, and nothing here raises an error of this package. Everything is frozen and JSON-ready
through ``to_dict()``; telephone numbers are ten-digit strings. A key in brackets, such as ``[seed]``, names the source
of a fact about Bandwidth: ``docs/development/bandwidth-api.md`` has them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Self, TypeVar


class CaselessEnum(StrEnum):
    """An enum whose members are found in any case: history shows statuses in lower case [iris20]."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        return cls.__members__.get(value.strip().upper())


class Action(CaselessEnum):
    """What an order does with its telephone numbers [seed]."""

    IMPORT = "IMPORT"
    REMOVE = "REMOVE"


class LoaType(CaselessEnum):
    """Who signed the letter of authorization; Bandwidth takes CARRIER when an IMPORT names none [oas1]."""

    CARRIER = "CARRIER"
    SUBSCRIBER = "SUBSCRIBER"


class ProcessingStatus(CaselessEnum):
    """How far an order is [seed]. Bandwidth never moves an order out of a terminal status."""

    RECEIVED = "RECEIVED"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"

    @classmethod
    def parse(cls, text: str) -> ProcessingStatus | str:
        """The member of that name in any case; an unknown status stays the text it is."""
        try:
            return cls(text)
        except ValueError:
            return text.strip()


#: An order has ended in one of these; in any other, known or not, it is still on its way.
TERMINAL_STATUSES: Final = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL, ProcessingStatus.FAILED)
#: The known statuses of an order that is still on its way.
OPEN_STATUSES: Final = (ProcessingStatus.RECEIVED, ProcessingStatus.PROCESSING)

#: A NANP number as Bandwidth's API writes it [host]; no area code begins with 0 or 1.
TEN_DIGITS: Final = re.compile(r"[2-9][0-9]{9}")

#: The order API of an order, an event or a connection that names none.
DEFAULT_ORDER_API: Final = "externalTns"

#: Bandwidth cuts a list of orders at this many, without saying so [oas1].
MAX_LISTED_ORDERS: Final = 1000

_Choice = TypeVar("_Choice", bound=CaselessEnum)


@dataclass(frozen=True, slots=True)
class TelephoneNumberError:
    """Why one telephone number, or a whole order, did not go through.

    :param telephone_number: ten digits; ``None`` where the error names no number, or none that can be read: its text is
        then in ``description``
    :param code: Bandwidth's code as text, since codes need not be numeric; empty where it gave none
    :param description: Bandwidth's text, which carries details the code does not
    """

    telephone_number: str | None
    code: str
    description: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars."""
        return record_to_dict(self)


@dataclass(frozen=True, slots=True)
class TelephoneNumberWarning:
    """What Bandwidth remarks on a telephone number, or an order, that may have gone through all the same [oas2].

    :param telephone_number: ten digits; ``None`` where the warning names no number, or none that can be read
    :param description: Bandwidth's text
    """

    telephone_number: str | None
    description: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars."""
        return record_to_dict(self)


@dataclass(frozen=True)
class TnOrder:
    """An order as Bandwidth shows it.

    A field Bandwidth did not give is ``None`` or empty. A telephone number is ten digits, or the text Bandwidth gave
    where that is no NANP number. ``processing_status`` and ``action`` are enum members where the text is known, and the
    text itself where it is not. Times are as Bandwidth gave them, UTC. ``order_api`` names the API that the order was
    made and read through. The last three are of an order of ``tnoptions``; ``None``, too, where its groups differ.
    """

    order_id: str
    processing_status: ProcessingStatus | str
    customer_order_id: str | None = None
    account_id: str | None = None
    action: Action | str | None = None
    site_id: int | None = None
    sip_peer_id: int | None = None
    loa_type: LoaType | str | None = None
    telephone_numbers: tuple[str, ...] = ()
    errors: tuple[TelephoneNumberError, ...] = ()
    warnings: tuple[TelephoneNumberWarning, ...] = ()
    created_at: datetime | None = None
    last_modified_at: datetime | None = None
    order_api: str = DEFAULT_ORDER_API
    campaign_id: str | None = None
    message_class: str | None = None
    a2p_action: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether Bandwidth is done with the order. An unknown status is not terminal."""
        return self.processing_status in TERMINAL_STATUSES

    @cached_property
    def errored_telephone_numbers(self) -> frozenset[str]:
        """The numbers that any error names."""
        return frozenset(e.telephone_number for e in self.errors if e.telephone_number is not None)

    @cached_property
    def mentioned_telephone_numbers(self) -> frozenset[str]:
        """Every number the order lists, or names in an error: a PARTIAL order may leave failed ones out of its list."""
        return self.errored_telephone_numbers.union(self.telephone_numbers)

    @cached_property
    def completed_telephone_numbers(self) -> tuple[str, ...]:
        """The listed numbers without an error, ten digits each.

        Bandwidth lists failed numbers of a PARTIAL order in some answers and not in others ([seed], [oas1]); listed
        minus errored is right under every reading. Empty unless the order is COMPLETE or PARTIAL. Empty, too, where any
        number may have failed: when an error names no number, or when a PARTIAL order has no error.
        """
        if self.processing_status not in (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL):
            return ()
        if any(error.telephone_number is None for error in self.errors):
            return ()
        if self.processing_status == ProcessingStatus.PARTIAL and not self.errors:
            return ()
        errored = self.errored_telephone_numbers
        return tuple(n for n in self.telephone_numbers if n not in errored and TEN_DIGITS.fullmatch(n))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars, lists and dicts; :meth:`from_dict` reads them back."""
        return record_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` gave; keys this version does not know are ignored."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        known["processing_status"] = ProcessingStatus.parse(known["processing_status"])
        known["action"] = parse_known(Action, known.get("action"))
        known["loa_type"] = parse_known(LoaType, known.get("loa_type"))
        known["telephone_numbers"] = tuple(known.get("telephone_numbers", ()))
        known["errors"] = tuple(
            TelephoneNumberError(error["telephone_number"], error["code"], error["description"])
            for error in known.get("errors", ())
        )
        known["warnings"] = tuple(
            TelephoneNumberWarning(warning["telephone_number"], warning["description"])
            for warning in known.get("warnings", ())
        )
        for name in ("created_at", "last_modified_at"):
            if known.get(name) is not None:
                known[name] = datetime.fromisoformat(known[name])
        return cls(**known)


def can_be_one_order(answers: Sequence[TnOrder]) -> bool:
    """Whether these answers for one order can all be true: what an order is made with stays as it is.

    :param answers: the first may come from a list, which may show fewer numbers than the order's own page
    """
    said: list[set[object]] = [
        {getattr(answer, name) for answer in answers} - {None}
        for name in ("account_id", "customer_order_id", "action", "site_id", "sip_peer_id")
    ]
    numbers: dict[str | None, set[object]] = {}
    for answer in answers[1:]:
        numbers.setdefault(answer.processing_status, set()).add(frozenset(answer.telephone_numbers))
    return all(len(values) <= 1 for values in (*said, *numbers.values()))


def newest_first(orders: Iterable[TnOrder]) -> list[TnOrder]:
    """The orders by their time of creation, the newest first; those that show none come last."""
    beginning = datetime.min.replace(tzinfo=UTC)
    return sorted(orders, key=lambda order: order.created_at or beginning, reverse=True)


def unaccounted_telephone_numbers(
    requested: Iterable[str],
    *,
    processing_status: ProcessingStatus | str | None,
    completed: Iterable[str] = (),
    errors: Iterable[TelephoneNumberError] = (),
) -> tuple[str, ...]:
    """The requested numbers whose fate is unknown: neither completed nor errored.

    A number has errored when an error names it, or when its order FAILED: a FAILED order did nothing to any of its
    numbers [seed], whichever of them its errors name. An error without a number says nothing about the numbers of a
    PARTIAL order.

    :param requested: the ten-digit numbers that were submitted
    :param processing_status: how the order ended; ``None`` if that is not known
    :param completed: the numbers that are done
    :param errors: the order's errors
    """
    if processing_status == ProcessingStatus.FAILED:
        return ()
    accounted = {error.telephone_number for error in errors}.union(completed)
    return tuple(number for number in requested if number not in accounted)


def parse_known(kind: type[_Choice], text: str | None) -> _Choice | str | None:
    """The member of that name in any case, else the text: an answer may hold a documentation placeholder [oas1]."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        return text


def record_to_dict(record: Any) -> dict[str, Any]:
    """The fields of a dataclass of orders as JSON scalars, lists and dicts."""
    return {f.name: _to_json(getattr(record, f.name)) for f in fields(record)}


def _to_json(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, TelephoneNumberError | TelephoneNumberWarning):
        return value.to_dict()
    return value


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The verdict on a terminal order: what the sensor pushes, and whether it may succeed.

    :param processing_status: Bandwidth's status, or COMPLETE where only ignored errors stood in the way
    :param completed_telephone_numbers: done, numbers whose only errors are ignored included
    :param errors: the errors that count
    :param ignored_count: how many errors were ignored
    :param is_allowed: whether ``processing_status`` is one the caller accepts
    """

    order: TnOrder
    processing_status: ProcessingStatus | str
    completed_telephone_numbers: tuple[str, ...]
    errors: tuple[TelephoneNumberError, ...]
    ignored_count: int
    is_allowed: bool

    def summary(self) -> dict[str, Any]:
        """The sensor's return value: ids, status, counts, and the order API."""
        return {
            "order_id": self.order.order_id,
            "customer_order_id": self.order.customer_order_id,
            "action": None if self.order.action is None else str(self.order.action),
            "processing_status": str(self.processing_status),
            "completed_count": len(self.completed_telephone_numbers),
            "error_count": len(self.errors),
            "order_api": self.order.order_api,
        }


def judge_order(
    order: TnOrder,
    *,
    allowed_statuses: Collection[str] = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL),
    ignore_error_codes: Collection[str] = (),
) -> OrderOutcome:
    """Judge a terminal order. Every path of the sensor, and the nightly sync, ask this one function.

    A number whose error is ignored (5124 "already exists", say) counts as done, unless another error names it, too.
    When no other error is left and the fate of every listed number is known, the order counts as COMPLETE, even where
    Bandwidth says FAILED.

    An ignored error that names no number proves nothing: the status stays as it is, and the error completes no number.
    An error that is not ignored and names no number may be about any number: then no number counts as completed.
    """
    ignored_codes = {str(code) for code in ignore_error_codes}
    errors = tuple(error for error in order.errors if error.code not in ignored_codes)
    ignored = [error for error in order.errors if error.code in ignored_codes]
    status = order.processing_status
    completed = order.completed_telephone_numbers
    errored = {error.telephone_number for error in errors}
    if ignored and order.is_terminal and None not in errored:
        done = [error.telephone_number for error in ignored if error.telephone_number not in errored]
        is_each_named = None not in done
        listed = order.telephone_numbers if is_each_named and status != ProcessingStatus.FAILED else ()
        completed = tuple(
            dict.fromkeys(n for n in (*listed, *done) if n is not None and n not in errored and TEN_DIGITS.fullmatch(n))
        )
        if not errors and is_each_named and set(order.telephone_numbers) <= set(completed):
            status = ProcessingStatus.COMPLETE
    return OrderOutcome(
        order=order,
        processing_status=status,
        completed_telephone_numbers=completed,
        errors=errors,
        ignored_count=len(ignored),
        is_allowed=status in {ProcessingStatus.parse(allowed) for allowed in allowed_statuses},
    )
