"""XML as Bandwidth writes it: documents, elements, refusals, and what every kind of order shows alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from xml.sax.saxutils import escape

from airflow_provider_bandwidth.sandbox.orders import Order, OrderError, format_time
from airflow_provider_bandwidth.sandbox.settings import Settings

_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


@dataclass(frozen=True, slots=True)
class View:
    """How an answer shows things.

    :param settings: the settings it is written under
    :param e164: whether telephone numbers are in E.164, as in version 2 of the API
    :param details: whether the query asks for full orders where a list has summaries
    """

    settings: Settings
    e164: bool = False
    details: bool = False

    def number(self, telephone_number: str) -> str:
        """A ten-digit telephone number in the version's notation."""
        return f"+1{telephone_number}" if self.e164 else telephone_number

    def time(self, moment: datetime) -> str:
        """A time as the Dashboard's clock has it."""
        return format_time(moment + timedelta(seconds=self.settings.clock_skew_seconds))

    def customer_order_id(self, order: Order) -> str | None:
        """The customer order id as shown; ``None`` where none is."""
        stored = order.customer_order_id
        if stored is None or not self.settings.echo_customer_order_id:
            return None
        return {"upper": stored.upper(), "lower": stored.lower()}.get(self.settings.customer_order_id_case, stored)


def write_document(root: str, content: bytes) -> bytes:
    """A whole document from its root's name and content."""
    return b"%b<%b>%b</%b>" % (_DECLARATION, root.encode(), content, root.encode())


def write_element(name: str, text: object) -> str:
    """One element with a text."""
    return f"<{name}>{escape(str(text))}</{name}>"


def write_optional(name: str, text: object | None) -> str:
    """One element with a text; nothing for ``None``."""
    return "" if text is None else write_element(name, text)


def write_padded(name: str, text: object) -> str:
    """One element whose text stands on a line of its own."""
    return f"<{name}>\n            {escape(str(text))}\n        </{name}>\n        "


def write_refusal(root: str, code: str, description: str) -> bytes:
    """A refusal of shape ``a`` (reference, 2.5): ``ResponseStatus``; no ``ErrorCode`` when ``code`` is empty."""
    parts = (write_element("ErrorCode", code) if code else "") + write_element("Description", description)
    return write_document(root, f"<ResponseStatus>{parts}</ResponseStatus>".encode())


def write_repeated_errors(root: str, errors: Iterable[tuple[str, str]], *, failed: bool) -> bytes:
    """A refusal of shape ``b`` (with a status) or ``c`` (reference, 2.5): each ``Errors`` is an error itself."""
    status = write_element("ProcessingStatus", "FAILED") if failed else ""
    listed = "".join(
        f"<Errors>{write_element('Code', code)}{write_element('Description', description)}</Errors>"
        for code, description in errors
    )
    return write_document(root, f"{status}{listed}".encode())


def write_number_list(numbers: Iterable[str], view: View, *, padded: bool = False) -> str:
    """``TelephoneNumbers`` with every number."""
    write = write_padded if padded else write_element
    listed = (write("TelephoneNumber", view.number(each)) for each in numbers)
    return "".join(("<TelephoneNumbers>", *listed, "</TelephoneNumbers>"))


def write_errors(errors: Iterable[OrderError], view: View, *, padded: bool = False) -> str:
    """Errors of one code and text share an ``Error`` (shape ``d``, reference 2.5)."""
    write = write_padded if padded else write_element
    grouped: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        grouped.setdefault((error.code, error.description), []).extend(error.telephone_numbers)
    if not grouped:
        return "<Errors/>"
    parts = []
    for (code, description), numbers in grouped.items():
        listed = write_number_list(numbers, view, padded=padded) if numbers else ""
        coded = write("Code", code) if code else ""
        parts.append(f"<Error>{coded}{write('Description', description)}{listed}</Error>")
    return f"<Errors>{''.join(parts)}</Errors>"


def write_history(steps: Iterable[tuple[datetime, str, str]], author: str, view: View) -> bytes:
    """A history of times, statuses (in lower case there [javafix]) and notes."""
    written = (
        "<OrderHistory>"
        + write_element("OrderDate", view.time(moment))
        + (write_element("Note", note) if note else "")
        + write_element("Author", author)
        + write_element("Status", status.lower())
        + "</OrderHistory>"
        for moment, status, note in steps
    )
    return write_document("OrderHistoryWrapper", "".join(written).encode())


def contradict(order: Order, what: str) -> Order:
    """An order that says something else than was asked for (setting ``contradict``)."""
    asked = order.asked
    other: dict[str, Any] = {}
    if what == "account":
        other["account_id"] = f"{int(asked.account_id) + 1}"
    elif what == "action":
        other["action"] = "REMOVE" if asked.action == "IMPORT" else "IMPORT"
    elif what == "site" and asked.site_id:
        other["site_id"] = f"{int(asked.site_id) + 1}"
    elif what == "customer-order-id":
        other["customer_order_id"] = "somebody-else"
    elif what == "numbers":
        first, *rest = asked.telephone_numbers
        changed = [_change_area_code(first), *rest]
        changed[-1] = changed[-1] if len(changed) == 1 else _change_area_code(changed[-1])
        other["telephone_numbers"] = tuple(changed)
    return dataclasses.replace(order, asked=dataclasses.replace(asked, **other)) if other else order


def _change_area_code(number: str) -> str:
    return ("201" if number[:3] != "201" else "202") + number[3:]
