"""Errors of this package: one tree from plain :class:`Exception`, readable without Airflow.

Every error says what happened, to which order or field, and what to do. None carries credentials or an
``Authorization`` header, and all survive pickling (Celery and Airflow's supervisors pickle errors)::

    BandwidthError
    +-- InvalidConnectionError          the Airflow connection
    |   +-- MissingConnectionError          Airflow shows none
    +-- InvalidParameterError           a parameter (ValueError, too)
    |   +-- InvalidFieldsError              several of them
    +-- InvalidTelephoneNumbersError    telephone numbers (ValueError, too)
    +-- InvalidExtractError             an extract of telephone numbers (ValueError, too)
    |   +-- ExtractUnavailableError         its file or database, not to be read now
    +-- UnsafePlanError                 the nightly sync stops itself
    +-- InvalidResponseError            an answer that cannot be read
    +-- BandwidthApiError               a refusal, or no answer
    |   +-- BandwidthAuthError              credentials or role
    |   +-- OrderNotFoundError              no such order
    |   +-- MessageNotFoundError            no such text, or not yet
    +-- AmbiguousSubmissionError        was the order created?
    +-- OrderMismatchError              an order with this id asks for something else
    +-- DuplicateOrderError             two attempts created the same order
    +-- OrderFailedError                an order ended in a status that is not allowed
    +-- AmbiguousMessageError           was the text sent?
    +-- MessageFailedError              a text ended in an outcome that is not allowed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bandwidth.order_records import TnOrder
from airflow_provider_bandwidth.telephone_numbers import RejectedTelephoneNumber


def _restore(cls: type[BandwidthError], args: tuple[object, ...], state: dict[str, Any]) -> BandwidthError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class BandwidthError(Exception):
    """Base of every error this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ calls __init__ with the message alone, which fails where fields are required.
        return _restore, (type(self), self.args, self.__dict__.copy())


class InvalidConnectionError(BandwidthError):
    """The Airflow connection lacks a field or has a wrong value; nothing was sent."""


class MissingConnectionError(InvalidConnectionError):
    """Airflow shows no connection of this id; nothing was sent.

    Airflow says the same where its secrets backend or API server failed, so a later look may find the connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__(
            f"Connection {conn_id!r} isn't defined in Airflow, or Airflow could not look it up just now. Create a "
            "connection of type bandwidth with this id, or name another one with bandwidth_conn_id. If it exists, see "
            "whether Airflow's secrets backend answers, and try again."
        )


class InvalidParameterError(BandwidthError, ValueError):
    """A parameter, or a field of an order, is missing or wrong; nothing was sent.

    :param field: the field, in Bandwidth's spelling (``SiteId``, ``CustomerOrderId``, ...)
    :param problem: what is wrong with it; ``problems`` has this by field
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problems = {field: problem}


class InvalidFieldsError(InvalidParameterError):
    """Several fields of an order are missing or wrong; nothing was sent.

    :param problems: what is wrong with each field, by its name
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        each = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        super().__init__(f"{len(problems)} fields are missing or wrong", each)
        self.field = ", ".join(problems)
        self.problems = dict(problems)


class InvalidTelephoneNumbersError(BandwidthError, ValueError):
    """Some telephone numbers cannot be put into an order; nothing was sent.

    :param rejected: every refused value with its reason
    """

    def __init__(self, rejected: Sequence[RejectedTelephoneNumber]) -> None:
        self.rejected = tuple(rejected)
        listed = "; ".join(f"{item.value!r}: {item.reason}" for item in self.rejected)
        count = len(self.rejected)
        super().__init__(f"{count} invalid telephone number{'' if count == 1 else 's'}, nothing was sent: {listed}")


class InvalidResponseError(BandwidthError):
    """The answer is not what was asked for: HTML, JSON, empty, truncated, another root, or hostile XML."""


class PageNotFoundError(InvalidResponseError):
    """A 404 that is not Bandwidth's: of a proxy, or of an address that nothing answers at."""


class BandwidthApiError(BandwidthError):
    """Bandwidth refused a call, or could not be reached.

    :param status: HTTP status; ``None`` when there was no answer
    :param code: Bandwidth's error code, as text; ``None`` when it gave none
    :param description: Bandwidth's description, or what went wrong on the way
    :param url: the URL asked, without credentials; ``None`` when unknown
    :param retryable: whether the same call may succeed later
    :param retry_after: seconds that Bandwidth asked to wait before the next call; ``None`` if it did not ask
    """

    def __init__(
        self,
        description: str,
        *,
        status: int | None = None,
        code: str | None = None,
        url: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        parts = ["Bandwidth"]
        parts.append("gave no answer" if status is None and code is None else "answered")
        if status is not None:
            parts.append(f"HTTP {status}")
        if code is not None:
            parts.append(f"error {code}" if status is None else f"(error {code})")
        message = " ".join(parts)
        if url is not None:
            message += f" for {url}"
        super().__init__(f"{message}: {description}")
        self.status = status
        self.code = code
        self.description = description
        self.url = url
        self.retryable = retryable
        self.retry_after = retry_after

    @property
    def is_about_a_missing_api(self) -> bool:
        """Whether the account may not have the API that was called, or nobody has it any more."""
        return not self.retryable and self.status in (400, 403, 404, 405, 410)


class BandwidthAuthError(BandwidthApiError):
    """The credentials were refused, or lack a role (401, 403)."""


class OrderNotFoundError(BandwidthApiError):
    """There is no such order in this account (404)."""


class MessageNotFoundError(BandwidthApiError):
    """The search does not show the text: there is none of this id in the account, or not yet."""


class AmbiguousSubmissionError(BandwidthError):
    """An order was sent and the answer does not tell whether it was created: look it up before sending again.

    :param customer_order_id: the id to look for
    :param order_id: the order the answer seems to name; unproven
    """

    def __init__(self, customer_order_id: str, reason: str, order_id: str | None = None) -> None:
        super().__init__(
            f"The order with CustomerOrderId {customer_order_id!r} may have been created: {reason}. "
            "Look it up by its CustomerOrderId before sending it again."
        )
        self.customer_order_id = customer_order_id
        self.reason = reason
        self.order_id = order_id


class OrderMismatchError(BandwidthError):
    """An order with the same CustomerOrderId exists but asks for something else; it is not taken over.

    :param customer_order_id: the id both orders carry
    :param order_id: the order that exists
    """

    def __init__(self, customer_order_id: str, order_id: str, difference: str) -> None:
        super().__init__(
            f"Order {order_id} already carries CustomerOrderId {customer_order_id!r}, but it differs from the "
            f"requested order: {difference}. It is not taken over. Use another customer_order_id, or let the provider "
            "derive it."
        )
        self.customer_order_id = customer_order_id
        self.order_id = order_id


class DuplicateOrderError(BandwidthError):
    """Two live orders carry the same CustomerOrderId and content: two attempts submitted at the same time.

    :param order_ids: the orders, newest first
    """

    def __init__(self, customer_order_id: str, order_ids: Sequence[str]) -> None:
        super().__init__(
            f"CustomerOrderId {customer_order_id!r} now stands on {len(order_ids)} orders with the same content: "
            f"{', '.join(order_ids)}. Another attempt submitted at the same time. Importing twice resets the numbers' "
            "attributes at Bandwidth: check them. A retry of this task takes one of these orders over."
        )
        self.customer_order_id = customer_order_id
        self.order_ids = tuple(order_ids)


class OrderFailedError(BandwidthError):
    """An order ended in a status the caller does not accept.

    :param order: the order as it was read
    """

    def __init__(self, order: TnOrder, hint: str = "") -> None:
        by_code = Counter(error.code for error in order.errors)
        codes = ", ".join(f"{code or 'no code'} x {count}" for code, count in by_code.most_common()) or "none given"
        action = str(order.action or order.order_api)
        # The verdict comes first: Airflow's log shows the beginning of a long line.
        message = (
            f"{action} order ended {order.processing_status}: {len(order.completed_telephone_numbers)} of "
            f"{len(order.telephone_numbers)} listed numbers completed; errors by code: {codes}. "
            f"OrderId {order.order_id}, CustomerOrderId {order.customer_order_id}."
        )
        first = next((error for error in order.errors if error.description), None)
        if first is not None:
            message += f" First: {first.code} {first.description}"
        super().__init__(f"{message} {hint}".rstrip())
        self.order = order


class AmbiguousMessageError(BandwidthError):
    """A text may have been sent, and nobody can tell: Bandwidth has no key by which it would refuse a second one.

    :param reason: what leaves the doubt
    :param message_ids: texts found that may be it
    """

    def __init__(self, reason: str, message_ids: Sequence[str] = ()) -> None:
        found = f" It may be one of these: {', '.join(message_ids)}." if message_ids else ""
        super().__init__(
            f"The text may have been sent, and whether it was is not known: {reason}.{found} Nothing more was sent. "
            "Ask the receiver, or look for it in Bandwidth's message log. If it did not arrive, clear the task: it "
            "looks again before it sends."
        )
        self.reason = reason
        self.message_ids = tuple(message_ids)


class MessageFailedError(BandwidthError):
    """A text ended in an outcome that the caller does not accept.

    :param summary: what the sensor's XCom holds
    """

    def __init__(self, message: str, summary: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.summary = dict(summary)


class UnsafePlanError(BandwidthError):
    """A sync would change more than it may, or what it read looks broken; nothing was sent.

    :param findings: why the plan is unsafe, one short text a reason; empty where the message says it all
    :param limits: the parameter that each finding is about
    """

    def __init__(self, message: str, findings: Sequence[str] = (), limits: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)
        self.limits = tuple(limits)


class InvalidExtractError(BandwidthError, ValueError):
    """An extract of telephone numbers cannot be read, or lacks the column it should have; nothing was sent."""


class ExtractUnavailableError(InvalidExtractError):
    """The file or database of an extract cannot be read now. It may be late, so a retry may succeed."""
