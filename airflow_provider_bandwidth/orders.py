"""What an external-TNs order is: the request, the order as Bandwidth shows it, and the verdict on how it ended.

Pure: no Airflow, no XML, no I/O. Everything is frozen and JSON-ready through ``to_dict()``; telephone numbers are
ten-digit strings. API facts carry the source keys of Bandwidth's documents: ``[seed]`` is the hosted-messaging guide,
``[oas1]`` the numbers API specification, ``[err]`` its list of error codes.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Self, TypeVar

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers


class _CaselessEnum(StrEnum):
    """Members are found whatever the case of the text: history shows statuses in lower case [iris20]."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        return cls.__members__.get(value.strip().upper())


class Action(_CaselessEnum):
    """What an order does with its telephone numbers [seed]."""

    IMPORT = "IMPORT"
    REMOVE = "REMOVE"


class LoaType(_CaselessEnum):
    """Who signed the letter of authorization; Bandwidth takes CARRIER when an IMPORT names none [oas1]."""

    CARRIER = "CARRIER"
    SUBSCRIBER = "SUBSCRIBER"


class ProcessingStatus(_CaselessEnum):
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


#: The sensor stops waiting at one of these; anything else, known or not, is still on its way.
TERMINAL_STATUSES = frozenset({ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL, ProcessingStatus.FAILED})

#: A NANP number as Bandwidth's API writes it [host]; no area code begins with 0 or 1.
TEN_DIGITS = re.compile(r"[2-9][0-9]{9}")

#: Letters, digits, dash and space, at most 40 characters: Bandwidth refuses others with error 5052 [seed] [err].
_CUSTOMER_ORDER_ID = re.compile(r"[A-Za-z0-9-](?:[A-Za-z0-9 -]{0,38}[A-Za-z0-9-])?", re.ASCII)
_INT32_MAX = 2**31 - 1
#: Prefix plus 32 hex digits: exactly the 40 characters Bandwidth allows.
_CUSTOMER_ORDER_ID_PREFIX = "airflow-"


def _new_customer_order_id() -> str:
    return f"{_CUSTOMER_ORDER_ID_PREFIX}{uuid.uuid4().hex}"


def derive_customer_order_id(
    *,
    dag_id: str,
    task_id: str,
    run_id: str,
    account_id: str,
    request: ExternalTnsOrderRequest,
) -> str:
    """The CustomerOrderId of this request in this task of this DAG run: the same for every attempt.

    It hangs on the order's content (account, site, peer, action, LOA type, the set of numbers), so that two payloads
    never share an id, and not on the try number or map index, so that a retry finds what an earlier attempt sent.

    :return: 40 characters that Bandwidth accepts: ``airflow-`` and 32 hex digits of a SHA-256
    """
    identity = [
        dag_id,
        task_id,
        run_id,
        account_id,
        request.site_id,
        request.sip_peer_id,
        request.action,
        request.loa_type,
        sorted(request.telephone_numbers),
    ]
    digest = hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()
    return f"{_CUSTOMER_ORDER_ID_PREFIX}{digest[:32]}"


def validate_customer_order_id(value: str) -> str:
    """The id itself, if Bandwidth takes it.

    :raises InvalidParameterError: illegal characters, blanks at an end, empty, or over 40 characters
    """
    if not isinstance(value, str) or not value:
        raise InvalidParameterError("CustomerOrderId", f"expected text of 1 to 40 characters, got {value!r}")
    if len(value) > 40:
        raise InvalidParameterError(
            "CustomerOrderId", f"{value!r} has {len(value)} characters, Bandwidth accepts at most 40"
        )
    if not _CUSTOMER_ORDER_ID.fullmatch(value):
        raise InvalidParameterError(
            "CustomerOrderId",
            f"{value!r} has characters that Bandwidth refuses: only letters, digits, dashes, and spaces between them",
        )
    return value


def parse_id(name: str, value: object) -> int:
    """A SiteId or SipPeerId as a positive 32-bit number; digits in text are accepted.

    :param name: the field, for the error
    :raises InvalidParameterError: anything else
    """
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,10}\s*", value, re.ASCII):
        number = int(value)
    if number is None or not 0 < number <= _INT32_MAX:
        raise InvalidParameterError(name, f"expected a positive number, got {value!r}")
    return number


_Choice = TypeVar("_Choice", bound=_CaselessEnum)


def parse_choice(name: str, kind: type[_Choice], value: str) -> _Choice:
    """The member of ``kind`` that ``value`` names, in any case.

    :param name: the field, for the error
    :raises InvalidParameterError: there is none
    """
    try:
        return kind(value)
    except ValueError:
        raise InvalidParameterError(name, f"expected {' or '.join(kind)}, got {value!r}") from None


@dataclass(frozen=True, slots=True)
class ExternalTnsOrderRequest:
    """An order to submit, checked and normalised when it is made.

    :param action: IMPORT or REMOVE, in any case
    :param telephone_numbers: NANP numbers in any usual notation; kept as ten digits, first-seen order, no duplicates
    :param site_id: SiteId, a positive number
    :param sip_peer_id: SipPeerId; the site's default peer if ``None``
    :param loa_type: CARRIER or SUBSCRIBER; Bandwidth's default (CARRIER) if ``None``
    :param customer_order_id: your id for the order, 1 to 40 letters, digits, dashes and inner spaces. By default a
        new random one for each request object: submitting the *same object* again finds the first order, an equal
        request made anew is another order. The operator derives it from the task run instead.
    :raises InvalidParameterError: names the field that is wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """

    action: Action
    telephone_numbers: tuple[str, ...]
    site_id: int
    sip_peer_id: int | None = None
    loa_type: LoaType | None = None
    customer_order_id: str = field(default_factory=_new_customer_order_id)

    def __post_init__(self) -> None:
        numbers = normalize_telephone_numbers(self.telephone_numbers)
        if numbers.rejected:
            raise InvalidTelephoneNumbersError(numbers.rejected)
        if not numbers.telephone_numbers:
            raise InvalidParameterError("TelephoneNumbers", "an order needs at least one telephone number")
        assign = object.__setattr__
        assign(self, "action", parse_choice("Action", Action, self.action))
        assign(self, "telephone_numbers", numbers.telephone_numbers)
        assign(self, "site_id", parse_id("SiteId", self.site_id))
        if self.sip_peer_id is not None:
            assign(self, "sip_peer_id", parse_id("SipPeerId", self.sip_peer_id))
        if self.loa_type is not None:
            assign(self, "loa_type", parse_choice("LoaType", LoaType, self.loa_type))
        validate_customer_order_id(self.customer_order_id)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars and lists."""
        return _to_dict(self)


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
        return _to_dict(self)


@dataclass(frozen=True)
class TnOrder:
    """An order as Bandwidth shows it.

    A field Bandwidth did not give is ``None`` or empty. A telephone number is ten digits, or the text Bandwidth gave
    where that is no NANP number. ``processing_status`` and ``action`` are enum members where the text is known, and the
    text itself where it is not. Times are as Bandwidth gave them, UTC.
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
    created_at: datetime | None = None
    last_modified_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether Bandwidth is done with the order. An unknown status is not terminal."""
        return self.processing_status in TERMINAL_STATUSES

    @cached_property
    def errored_telephone_numbers(self) -> frozenset[str]:
        """The numbers that any error names."""
        return frozenset(e.telephone_number for e in self.errors if e.telephone_number is not None)

    @cached_property
    def completed_telephone_numbers(self) -> tuple[str, ...]:
        """The listed numbers without an error, ten digits each.

        Bandwidth lists failed numbers of a PARTIAL order in some answers and not in others ([seed], [oas1]); listed
        minus errored is right under every reading. Empty unless COMPLETE or PARTIAL, and where any number may have
        failed: when an error names no number, or a PARTIAL order has no error.
        """
        if self.processing_status not in (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL):
            return ()
        if any(error.telephone_number is None for error in self.errors):
            return ()
        if self.processing_status == ProcessingStatus.PARTIAL and not self.errors:
            return ()
        errored = self.errored_telephone_numbers
        return tuple(n for n in self.telephone_numbers if n not in errored and TEN_DIGITS.fullmatch(n))

    def unaccounted_telephone_numbers(self, requested: Iterable[str]) -> tuple[str, ...]:
        """The requested numbers that neither completed nor have an error of their own: nobody knows their fate.

        An error without a number accounts for all numbers of a FAILED order, and for none of a PARTIAL one.

        :param requested: the ten-digit numbers that were submitted
        """
        if self.processing_status == ProcessingStatus.FAILED and any(e.telephone_number is None for e in self.errors):
            return ()
        accounted = self.errored_telephone_numbers.union(self.completed_telephone_numbers)
        return tuple(number for number in requested if number not in accounted)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars, lists and dicts; :meth:`from_dict` reads them back."""
        return _to_dict(self)

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
        for name in ("created_at", "last_modified_at"):
            if known.get(name) is not None:
                known[name] = datetime.fromisoformat(known[name])
        return cls(**known)


def parse_known(kind: type[_Choice], text: str | None) -> _Choice | str | None:
    """The member of that name in any case, else the text: an answer may hold a documentation placeholder [oas1]."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        return text


def _to_dict(record: Any) -> dict[str, Any]:
    return {f.name: _to_json(getattr(record, f.name)) for f in fields(record)}


def _to_json(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, TelephoneNumberError):
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
        """The sensor's return value: ids, status and counts."""
        return {
            "order_id": self.order.order_id,
            "customer_order_id": self.order.customer_order_id,
            "action": None if self.order.action is None else str(self.order.action),
            "processing_status": str(self.processing_status),
            "completed_count": len(self.completed_telephone_numbers),
            "error_count": len(self.errors),
        }


def judge_order(
    order: TnOrder,
    *,
    allowed_statuses: Collection[str] = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL),
    ignore_error_codes: Collection[str] = (),
) -> OrderOutcome:
    """Judge a terminal order. Every path of the sensor, and the nightly sync, ask this one function.

    An error whose code is in ``ignore_error_codes`` (5124 "already exists", say) counts its number as done, unless
    another error names the number too. When no other error is left and the fate of every listed number is known, the
    order counts as COMPLETE, even where Bandwidth says FAILED. An ignored error that names no number proves nothing
    about any number: the status then stays, and no number counts as completed on its account. Another error that names
    no number may be about any: then no number counts as completed at all.
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
