"""Answers as Bandwidth writes them: API reference, sections 2, 4, 5 and 6."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from airflow_provider_bandwidth.sandbox.inventory import HostedNumber
from airflow_provider_bandwidth.sandbox.orders import Order, OrderError, format_time
from airflow_provider_bandwidth.sandbox.settings import Settings

_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def write_document(root: str, content: bytes) -> bytes:
    """A whole document from its root's name and content."""
    return b"%b<%b>%b</%b>" % (_DECLARATION, root.encode(), content, root.encode())


def write_element(name: str, text: object) -> str:
    """One element with a text."""
    return f"<{name}>{escape(str(text))}</{name}>"


def write_refusal(root: str, code: str, description: str) -> bytes:
    """A refusal of shape ``a`` (reference, 2.5): ``ResponseStatus``; no ``ErrorCode`` when ``code`` is empty."""
    parts = (write_element("ErrorCode", code) if code else "") + write_element("Description", description)
    return write_document(root, f"<ResponseStatus>{parts}</ResponseStatus>".encode())


def write_checker_refusal(code: str, description: str) -> bytes:
    """A refusal of shape ``c`` (reference, 2.5): an error directly in ``Errors``."""
    parts = write_element("Code", code) + write_element("Description", description)
    return write_document("ImportTnCheckerResponse", f"<Errors>{parts}</Errors>".encode())


# --- orders ---


def write_created_order(order: Order, settings: Settings) -> bytes:
    """The 201 of a new order (reference, 2.2 and 2.3)."""
    content = _write_order_content(order, settings)
    if settings.dialect == "O":
        content = b"<ExternalTnsOrder>%b</ExternalTnsOrder>" % content
    return write_document("ExternalTnsOrderResponse", content)


def write_order(order: Order, settings: Settings) -> bytes:
    """The answer to GET for one order (reference, 2.2 and 2.3)."""
    content = _write_order_content(order, settings)
    if settings.get_root == "wrapped":
        return write_document("ExternalTnsOrderResponse", b"<ExternalTnsOrder>%b</ExternalTnsOrder>" % content)
    return write_document("ExternalTnsOrder", content)


def write_order_list(total: int, orders: Sequence[Order], settings: Settings, *, details: bool) -> bytes:
    """A list answer (reference, 4.2); ``details`` asks for full orders where the list form is summaries."""
    if settings.list_form == "summary-only" or (settings.list_form == "summary" and not details):
        entries = [_write_summary(order, settings) for order in orders]
    else:
        entries = []
        for order in orders:
            entries += (b"<ExternalTnsOrder>", _write_order_content(order, settings), b"</ExternalTnsOrder>")
    return write_document("ExternalTnsOrders", b"".join((write_element("TotalCount", total).encode(), *entries)))


def write_order_history(order: Order, settings: Settings) -> bytes:
    """The history of an order; statuses are in lower case there [javafix]."""
    steps = (
        "<OrderHistory>"
        + write_element("OrderDate", _format_time(moment, settings))
        + write_element("Author", order.asked.created_by)
        + write_element("Status", status.lower())
        + "</OrderHistory>"
        for moment, status in order.history
    )
    return write_document("OrderHistoryWrapper", "".join(steps).encode())


def _write_order_content(order: Order, settings: Settings) -> bytes:
    key = (
        settings.dialect,
        settings.partial_list,
        settings.echo_customer_order_id,
        settings.customer_order_id_case,
        settings.contradict,
        settings.clock_skew_seconds,
    )
    content = order.fragments.get(key)
    if content is None:
        write = _write_flat if settings.dialect == "O" else _write_enveloped
        content = order.fragments[key] = write(_contradict(order, settings.contradict), settings).encode()
    return content


def _contradict(order: Order, what: str) -> Order:
    """An order that says something else than was asked for (setting ``contradict``)."""
    asked = order.asked
    other: dict[str, Any] = {}
    if what == "account":
        other["account_id"] = f"{int(asked.account_id) + 1}"
    elif what == "action":
        other["action"] = "REMOVE" if asked.action == "IMPORT" else "IMPORT"
    elif what == "site":
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


def _format_time(moment: datetime, settings: Settings) -> str:
    return format_time(moment + timedelta(seconds=settings.clock_skew_seconds))


def _write_enveloped(order: Order, settings: Settings) -> str:
    """Dialects S, H and P: service fields under the root, the request's fields inside ``Order``."""
    asked = order.asked
    text = _write_padded if settings.dialect == "P" else write_element
    hybrid = settings.dialect == "H"
    customer_order_id = _get_shown_customer_order_id(order, settings)
    fields = [
        text("OrderCreateDate", _format_time(order.created_at, settings)),
        text("AccountId", asked.account_id),
        text("CreatedByUser", asked.created_by),
        text("OrderId", order.order_id),
        text("ProcessingStatus", order.status),
        "<Order>",
    ]
    if customer_order_id is not None:
        fields.append(text("CustomerOrderId" if hybrid else "CustomerOrderID", customer_order_id))
    fields.append(text("SiteId", asked.site_id))
    if asked.sip_peer_given:
        fields.append(text("SipPeerId", asked.sip_peer_id))
    fields.append(text("Action", asked.action))
    if hybrid:
        fields.append(_write_loa_type(order))
    numbers = order.listed_telephone_numbers(settings.partial_list)
    fields.append(_write_number_list(numbers, padded=settings.dialect == "P"))
    fields.append("</Order>")
    if order.errors:
        fields.append(_write_errors(order.errors, padded=settings.dialect == "P"))
    return "".join(fields)


def _write_flat(order: Order, settings: Settings) -> str:
    """Dialect O: everything under the order, ``Errors`` present even when empty."""
    asked = order.asked
    customer_order_id = _get_shown_customer_order_id(order, settings)
    fields = [
        write_element("OrderCreateDate", _format_time(order.created_at, settings)),
        write_element("AccountId", asked.account_id),
        write_element("CreatedByUser", asked.created_by),
        write_element("OrderId", order.order_id),
        write_element("LastModifiedDate", _format_time(order.last_modified_at, settings)),
        write_element("SiteId", asked.site_id),
        write_element("SipPeerId", asked.sip_peer_id),
        _write_number_list(order.listed_telephone_numbers(settings.partial_list)),
        write_element("Action", asked.action),
        _write_loa_type(order),
        write_element("ProcessingStatus", order.status),
        _write_errors(order.errors),
    ]
    if customer_order_id is not None:
        fields.insert(0, write_element("CustomerOrderId", customer_order_id))
    return "".join(fields)


def _get_shown_customer_order_id(order: Order, settings: Settings) -> str | None:
    stored = order.customer_order_id
    if stored is None or not settings.echo_customer_order_id:
        return None
    return {"upper": stored.upper(), "lower": stored.lower()}.get(settings.customer_order_id_case, stored)


def _write_loa_type(order: Order) -> str:
    # CARRIER is the default of an import [oas1]; a removal has none unless it was sent.
    loa_type = order.asked.loa_type or ("CARRIER" if order.action == "IMPORT" else None)
    return "" if loa_type is None else write_element("LoaType", loa_type)


def _write_summary(order: Order, settings: Settings) -> bytes:
    """An entry of the older list form [ramint18] [iris20]; it has no customer order id."""
    completed = 0
    if order.status in ("COMPLETE", "PARTIAL"):
        completed = len(order.telephone_numbers) - len(order.failed_telephone_numbers)
    return (
        "<ExternalTnsOrderSummary>"
        + write_element("accountId", order.account_id)
        + write_element("CompletedQuantity", completed)
        + write_element("userId", order.asked.created_by)
        + write_element("OrderDate", _format_time(order.created_at, settings))
        + write_element("OrderType", "ExternalTnsOrder")
        + write_element("OrderStatus", order.status)
        + write_element("OrderId", order.order_id)
        + "</ExternalTnsOrderSummary>"
    ).encode()


def _write_padded(name: str, text: object) -> str:
    return f"<{name}>\n            {escape(str(text))}\n        </{name}>\n        "


def _write_number_list(numbers: Iterable[str], *, padded: bool = False) -> str:
    write = _write_padded if padded else write_element
    return "".join(("<TelephoneNumbers>", *(write("TelephoneNumber", each) for each in numbers), "</TelephoneNumbers>"))


def _write_errors(errors: Iterable[OrderError], *, padded: bool = False) -> str:
    """Errors of one code and text share an ``Error`` (shape ``d``, reference 2.5)."""
    write = _write_padded if padded else write_element
    grouped: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        grouped.setdefault((error.code, error.description), []).extend(error.telephone_numbers)
    if not grouped:
        return "<Errors/>"
    parts = []
    for (code, description), numbers in grouped.items():
        listed = _write_number_list(numbers, padded=padded) if numbers else ""
        coded = write("Code", code) if code else ""
        parts.append(f"<Error>{coded}{write('Description', description)}{listed}</Error>")
    return f"<Errors>{''.join(parts)}</Errors>"


# --- inventory, sites and the checker ---


def write_checker_answer(importable: Iterable[str], errors: Iterable[OrderError]) -> bytes:
    """The 200 of importTnChecker (reference, 6.3)."""
    refused = "".join(
        "<ImportTnError>"
        + write_element("Code", error.code)
        + write_element("Description", error.description)
        + _write_number_list(error.telephone_numbers)
        + "</ImportTnError>"
        for error in errors
    )
    content = f"<ImportTnCheckerPayload>{_write_number_list(importable)}<ImportTnErrors>{refused}</ImportTnErrors>"
    return write_document("ImportTnCheckerResponse", f"{content}</ImportTnCheckerPayload>".encode())


def write_peer_numbers(numbers: Iterable[HostedNumber], links: str, *, attributes: bool) -> bytes:
    """A page of a SIP peer's numbers; imported ones carry the attributes External and Imported [oas1]."""
    parts = [links, "<SipPeerTelephoneNumbers>"]
    for hosted in numbers:
        details = _IMPORTED_DETAILS if hosted.imported else _OWNED_DETAILS
        parts.append(
            f"<SipPeerTelephoneNumber><FullNumber>{hosted.telephone_number}</FullNumber>"
            f"{details if attributes else ''}</SipPeerTelephoneNumber>"
        )
    parts.append("</SipPeerTelephoneNumbers>")
    return write_document("SipPeerTelephoneNumbersResponse", "".join(parts).encode())


_SMS: Final = "<MessagingSettings><SmsEnabled>true</SmsEnabled></MessagingSettings>"
_IMPORTED_DETAILS: Final = (
    f"<TnAttributes><TnAttribute>External</TnAttribute><TnAttribute>Imported</TnAttribute></TnAttributes>{_SMS}"
)
_OWNED_DETAILS: Final = f"<TnAttributes><TnAttribute>Protected</TnAttribute></TnAttributes>{_SMS}"


def write_in_service_numbers(total: int, numbers: Sequence[HostedNumber], links: str) -> bytes:
    """A page of in-service numbers, which does not tell imported from owned ones [oas1]."""
    listed = "".join(write_element("TelephoneNumber", hosted.telephone_number) for hosted in numbers)
    count = write_element("Count", len(numbers))
    content = f"{write_element('TotalCount', total)}{links}<TelephoneNumbers>{count}{listed}</TelephoneNumbers>"
    return write_document("TNs", content.encode())


def write_page_links(url: str, size: int, following: str | None) -> str:
    """``Links`` with first and, unless this is the last page, next (reference, section 5)."""
    parts = _write_link("first", url, "1", size)
    if following is not None:
        parts += _write_link("next", url, following, size)
    return f"<Links>{parts}</Links>"


def _write_link(relation: str, url: str, page: str, size: int) -> str:
    return write_element(relation, f'Link=<{url}?page={quote(page)}&size={size}>;rel="{relation}";')


def write_account(account_id: str) -> bytes:
    """The account resource, as far as a connection test needs it."""
    content = (
        write_element("AccountId", account_id)
        + write_element("CompanyName", "Sandbox")
        + write_element("AccountType", "Business")
    )
    return write_document("AccountResponse", f"<Account>{content}</Account>".encode())


def _write_site_fields(site_id: str) -> str:
    return f"<Site>{write_element('Id', site_id)}{write_element('Name', f'Sandbox site {site_id}')}</Site>"


def write_site_list(site_ids: Iterable[str]) -> bytes:
    """Every site of an account."""
    return write_document("SitesResponse", f"<Sites>{''.join(map(_write_site_fields, site_ids))}</Sites>".encode())


def write_site(site_id: str) -> bytes:
    """One site."""
    return write_document("SiteResponse", _write_site_fields(site_id).encode())


def _write_peer_fields(peer_id: str, default_peer_id: str) -> str:
    return (
        "<SipPeer>"
        + write_element("PeerId", peer_id)
        + write_element("PeerName", f"Sandbox peer {peer_id}")
        + write_element("IsDefaultPeer", "true" if peer_id == default_peer_id else "false")
        + "</SipPeer>"
    )


def write_peer_list(peer_ids: Sequence[str]) -> bytes:
    """Every SIP peer of a site; the first is its default."""
    content = "".join(_write_peer_fields(peer_id, peer_ids[0]) for peer_id in peer_ids)
    return write_document("TNSipPeersResponse", f"<SipPeers>{content}</SipPeers>".encode())


def write_peer(peer_id: str, default_peer_id: str) -> bytes:
    """One SIP peer."""
    return write_document("SipPeerResponse", _write_peer_fields(peer_id, default_peer_id).encode())


def write_peer_total(count: int) -> bytes:
    """How many numbers a SIP peer has: the element is nested in itself [oas1]."""
    return write_document("SipPeerTelephoneNumbersCount", write_element("SipPeerTelephoneNumbersCount", count).encode())


def write_in_service_total(count: int) -> bytes:
    """How many numbers are in service."""
    return write_document("Quantity", write_element("Count", count).encode())
