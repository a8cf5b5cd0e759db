"""What is asked of Bandwidth: an order to submit, its CustomerOrderId, and the fields it is made of.

Pure: no Airflow, no XML, no I/O. What Bandwidth shows of an order is in
:mod:`~airflow_provider_bandwidth.order_records`; its names can be imported from here, too. A key in brackets, such as
``[seed]``, names the source of a fact about Bandwidth: ``docs/development/bandwidth-api.md`` has them all.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.order_records import (
    MAX_LISTED_ORDERS,
    OPEN_STATUSES,
    TEN_DIGITS,
    TERMINAL_STATUSES,
    Action,
    CaselessEnum,
    LoaType,
    OrderOutcome,
    ProcessingStatus,
    TelephoneNumberError,
    TnOrder,
    judge_order,
    newest_first,
    parse_known,
    record_to_dict,
    unaccounted_telephone_numbers,
)
from airflow_provider_bandwidth.telephone_numbers import (
    RejectedTelephoneNumber,
    normalize_telephone_numbers,
    read_telephone_numbers,
)

__all__ = [
    "MAX_LISTED_ORDERS",
    "OPEN_STATUSES",
    "TEN_DIGITS",
    "TERMINAL_STATUSES",
    "Action",
    "ExternalTnsOrderRequest",
    "LoaType",
    "OrderOutcome",
    "ProcessingStatus",
    "TelephoneNumberError",
    "TnOrder",
    "derive_customer_order_id",
    "judge_order",
    "newest_first",
    "normalize_telephone_number",
    "parse_choice",
    "parse_id",
    "parse_known",
    "parse_order_id",
    "unaccounted_telephone_numbers",
    "validate_customer_order_id",
]

_Choice = TypeVar("_Choice", bound=CaselessEnum)

#: Letters, digits, dash and space, at most 40 characters: Bandwidth refuses others with error 5052 [seed] [err].
_CUSTOMER_ORDER_ID = re.compile(r"[A-Za-z0-9-](?:[A-Za-z0-9 -]{0,38}[A-Za-z0-9-])?", re.ASCII)
_INT32_MAX = 2**31 - 1
#: From here on a float cannot tell whole numbers apart.
_FLOAT_MAX = 2**53
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

    It depends on the order's content (account, site, peer, action, LOA type, the set of numbers), so that two contents
    never share an id. It does not depend on try number or map index, so that a retry finds what an earlier try sent.

    :return: 40 characters that Bandwidth accepts: ``airflow-`` and 32 hex digits of a SHA-256
    """
    identity = [dag_id, task_id, run_id, account_id, *request.identity()]
    digest = hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()
    return f"{_CUSTOMER_ORDER_ID_PREFIX}{digest[:32]}"


def parse_whole_number(value: object) -> int | None:
    """The number, if ``value`` is one without a fraction and, as a float, without lost digits; else ``None``."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _FLOAT_MAX else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def validate_customer_order_id(value: str | float) -> str:
    """The id itself, if Bandwidth takes it. An id of digits may come as a number, as native templates render it.

    :raises InvalidParameterError: illegal characters, blanks at an end, empty, or over 40 characters
    """
    number = parse_whole_number(value)
    if number is not None:
        value = str(number)
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
    number = parse_whole_number(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,10}(\.0)?\s*", value, re.ASCII):
        number = int(float(value))
    if number is None or not 0 < number <= _INT32_MAX:
        raise InvalidParameterError(name, f"expected a positive number, got {value!r}")
    return number


def parse_order_id(value: object) -> str:
    """The OrderId itself, without white space around it.

    :raises InvalidParameterError: it is none, such as the ``None`` of a template whose XCom is empty
    """
    if not isinstance(value, str) or not value.strip() or value.strip() in ("None", "null"):
        raise InvalidParameterError(
            "OrderId",
            f"expected an order id, got {value!r}. Was the task that submits the order skipped? Has it "
            "do_xcom_push=False, so that no xcom holds its id? If it is mapped, expand the waiting task, too.",
        )
    return value.strip()


def normalize_telephone_number(value: str) -> str:
    """Return the ten digits of one telephone number.

    :raises InvalidTelephoneNumbersError: naming the value and what is wrong with it
    """
    outcome = read_telephone_numbers(value)
    if isinstance(outcome, tuple) and len(outcome) > 1:
        outcome = RejectedTelephoneNumber(value, f"holds {len(outcome)} numbers: give one", "several_numbers")
    if isinstance(outcome, RejectedTelephoneNumber):
        raise InvalidTelephoneNumbersError((outcome,))
    return outcome[0]


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
        new random one for each request object: submitting the *same object* again finds the first order, while an equal
        request that is made anew is another order. The operator derives the id from the task run instead.
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
        assign(self, "customer_order_id", validate_customer_order_id(self.customer_order_id))

    def identity(self) -> tuple[Any, ...]:
        """What makes it another order: everything but its CustomerOrderId, and the order of the numbers."""
        return (self.site_id, self.sip_peer_id, self.action, self.loa_type, sorted(self.telephone_numbers))

    def difference(self, order: TnOrder) -> str | None:
        """How an order differs from this request, in words; ``None`` if it asks for the same.

        What the order does not show, or the request leaves to Bandwidth, is no difference. A PARTIAL order may not list
        numbers that failed ([oas1] list samples), so fewer numbers are no difference there.
        """
        if order.action != self.action:
            return f"its Action is {order.action}, not {self.action}"
        for name, shown_value, requested_value in (
            ("SiteId", order.site_id, self.site_id),
            ("SipPeerId", order.sip_peer_id, self.sip_peer_id),
            ("LoaType", order.loa_type, self.loa_type),
        ):
            if None not in (shown_value, requested_value) and shown_value != requested_value:
                return f"its {name} is {shown_value}, not {requested_value}"
        shown = order.mentioned_telephone_numbers
        requested = set(self.telephone_numbers)
        if foreign := shown - requested:
            return f"it holds {len(foreign)} telephone number{'s' * (len(foreign) > 1)} that the request does not"
        missing = requested - shown
        if missing and order.processing_status != ProcessingStatus.PARTIAL:
            return f"it lacks {len(missing)} telephone number{'s' * (len(missing) > 1)} of the request"
        return None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars and lists."""
        return record_to_dict(self)
