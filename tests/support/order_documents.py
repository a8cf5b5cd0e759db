"""Orders written in every dialect of Bandwidth, by other means than the package's own, and what their errors name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from airflow_provider_bandwidth.orders import TelephoneNumberError, TnOrder

Notation = Callable[[str], str]

#: How Bandwidth and its customers write the number 9195550101.
NOTATIONS: tuple[Notation, ...] = (
    lambda number: number,
    lambda number: f"+1{number}",
    lambda number: f"1{number}",
    lambda number: f"({number[:3]}) {number[3:6]}-{number[6:]}",
    lambda number: f"+1 {number[:3]} {number[3:6]} {number[6:]}",
    lambda number: f"\n    {number}\n  ",
)


@dataclass(frozen=True)
class Dialect:
    """One way to write an order.

    :param order_wrapper: the request's fields and the numbers stand in an ``Order`` element (the seed's way)
    :param response_wrapper: the whole stands in ``ExternalTnsOrderResponse`` (the flat dialect's 201)
    :param errors_beside: with ``response_wrapper``: the errors stand beside the order, not inside
    :param error_shape: a letter of the API reference's list
    """

    order_wrapper: bool = True
    response_wrapper: bool = False
    errors_beside: bool = False
    root: str = "ExternalTnsOrder"
    customer_order_id_element: str = "CustomerOrderID"
    error_shape: str = "d"
    notation: Notation = NOTATIONS[0]
    error_notation: Notation = NOTATIONS[0]
    padding: str = ""
    noise: str = ""
    namespace: str | None = None
    prefix: str = ""
    cdata: bool = False
    upper_case: bool = False
    encoding: str | None = None
    byte_order_mark: bytes = b""


class _Writer:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def leaf(self, name: str, value: object, default: str = "") -> str:
        if value is None:
            return default
        text = str(value)
        text = f"<![CDATA[{text}]]>" if self.dialect.cdata and "]]>" not in text else escape(text)
        return self.element(name, self.dialect.padding + text + self.dialect.padding)

    def element(self, name: str, content: str) -> str:
        shown = name.upper() if self.dialect.upper_case and not name.startswith("ExternalTns") else name
        return f"<{self.dialect.prefix}{shown}>{content}</{self.dialect.prefix}{shown}>"

    def numbers(self, numbers: Iterable[str], notation: Notation, name: str = "TelephoneNumber") -> str:
        return self.dialect.padding.join(self.leaf(name, notation(number)) for number in numbers)

    def error(self, code: str, description: str, numbers: Sequence[str], container: str) -> str:
        shape = self.dialect.error_shape
        content = self.leaf("ErrorCode" if shape == "tn" else "Code", code) + self.leaf("Description", description)
        if numbers:
            name = {"g": "Tn", "tn": "Tn", "full": "FullNumber"}.get(shape, "TelephoneNumber")
            listed = self.numbers(numbers, self.dialect.error_notation, name)
            holder = {"e": None, "tn": "TnList"}.get(shape, "TelephoneNumbers")
            content += listed if holder is None else self.element(holder, listed)
        return self.element(container, content)

    def errors(self, errors: Sequence[TelephoneNumberError]) -> str:
        repeated = self.dialect.error_shape in {"b", "g"}
        written = []
        for (code, description, named), group in groupby(
            errors, lambda e: (e.code, e.description, e.telephone_number is not None)
        ):
            numbers = [error.telephone_number for error in group if error.telephone_number is not None]
            written.append(self.error(code, description, numbers if named else (), "Errors" if repeated else "Error"))
        if repeated:
            return "".join(written)
        outer = "ErrorList" if self.dialect.error_shape in {"e", "f"} else "Errors"
        return self.element(outer, self.dialect.noise + "".join(written))


def write_order(order: TnOrder, dialect: Dialect) -> bytes:
    """The order in that dialect. Characters an encoding lacks become references."""
    writer = _Writer(dialect)
    leaf, element = writer.leaf, writer.element
    listed = writer.numbers(order.telephone_numbers, dialect.notation)
    requested = (
        leaf(dialect.customer_order_id_element, order.customer_order_id)
        + leaf("SiteId", order.site_id)
        + leaf("SipPeerId", order.sip_peer_id)
        + leaf("Action", order.action)
        + leaf("LoaType", order.loa_type)
        + element("TelephoneNumbers", dialect.padding + listed + dialect.padding)
    )
    errors = writer.errors(order.errors) if order.errors else ""
    content = (
        leaf("OrderCreateDate", order.created_at and order.created_at.isoformat())
        + leaf("AccountId", order.account_id)
        + dialect.noise
        + leaf("OrderId", order.order_id)
        + leaf("ProcessingStatus", order.processing_status)
        + leaf("LastModifiedDate", order.last_modified_at and order.last_modified_at.isoformat())
        + (element("Order", requested) if dialect.order_wrapper else requested)
        + ("" if dialect.errors_beside else errors)
    )
    root = dialect.root
    if dialect.response_wrapper:
        content = element("ExternalTnsOrder", content) + (errors if dialect.errors_beside else "")
        root = "ExternalTnsOrderResponse"
    document = element(root, content)
    if dialect.namespace is not None:
        attribute = f"xmlns:{dialect.prefix[:-1]}" if dialect.prefix else "xmlns"
        document = document.replace(root, f'{root} {attribute}="{dialect.namespace}"', 1)
    if dialect.encoding is None:
        return dialect.byte_order_mark + document.encode()
    declaration = f'<?xml version="1.0" encoding="{dialect.encoding}" standalone="yes"?>{dialect.padding}'
    codec = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(dialect.byte_order_mark, dialect.encoding)
    if "<![CDATA[" in document:
        document.encode(codec)  # no references in there
    return dialect.byte_order_mark + (declaration + document).encode(codec, "xmlcharrefreplace")


def numbers_in_errors(body: bytes) -> set[str]:
    """Every ten-digit number that stands anywhere below an element for errors, as plainly as it can be found."""

    def name(element: ET.Element) -> str:
        return element.tag.rpartition("}")[2].lower()

    found = set()
    for container in ET.fromstring(body.strip()).iter():
        if name(container) in {"errors", "errorlist", "error", "failednumbers"}:
            for holder in container.iter():
                if name(holder) in {"telephonenumber", "telephonenumbers", "tn", "tnlist", "fullnumber"}:
                    for text in (holder.text, *(child.tail for child in holder)):
                        digits = re.sub(r"[^0-9]", "", text or "")
                        found.add(digits[1:] if len(digits) == 11 and digits[0] == "1" else digits)
    return found
