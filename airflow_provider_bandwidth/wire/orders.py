"""Orders for telephone numbers: bytes to orders, and requests to bytes. Pure.

One reader serves every order API and dialect that Bandwidth has documented: the seed's ``Order`` wrapper with
``CustomerOrderID`` [seed], the flat order of today [oas1], the hybrid [iris20], wrapped in a response element or not,
texts padded or not. What the elements of an API are called is asked of its row (:mod:`..order_apis`).

Where an answer leaves open what became of a telephone number, it is read to the number's disadvantage: whatever looks
like an error is one, and two different OrderIds or statuses in one order are no order at all.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import chain
from typing import IO, Final, cast

from lxml import etree
from lxml.etree import _Element

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidResponseError
from airflow_provider_bandwidth.order_apis import OrderResource
from airflow_provider_bandwidth.orders import (
    Action,
    LoaType,
    ProcessingStatus,
    TelephoneNumberError,
    TelephoneNumberWarning,
    TnOrder,
    TnOrderRequest,
    normalize_telephone_number,
    parse_choice,
    parse_id,
    parse_known,
    validate_customer_order_id,
)
from airflow_provider_bandwidth.wire.documents import (
    NUMBERS,
    REFUSALS,
    SAFE_PARSER,
    UTF_16_MARKS,
    Children,
    add_element,
    add_telephone_numbers,
    children_of,
    clean_text,
    first_text,
    local_name,
    name_of,
    not_well_formed,
    only_text,
    open_document,
    parse_document,
    raise_refusal,
    read_error_elements,
    read_listed_numbers,
    write_document,
    write_telephone_number,
)

#: ``FailedNumbers`` lists numbers apart from the errors that may explain them [javafix].
_ERROR_CONTAINERS: Final = frozenset({"errors", "errorlist", "error", "failednumbers"})


@dataclass(frozen=True, slots=True)
class OrderListEntry:
    """One order of a list answer. A summary has ids, status and dates, but neither numbers nor errors."""

    order: TnOrder
    is_summary: bool


def write_order_request(request: TnOrderRequest, *, customer_order_id_element: str = "CustomerOrderID") -> bytes:
    """The body of the POST that submits an order, elements in the documented order.

    :param customer_order_id_element: ``CustomerOrderID`` [seed], or ``CustomerOrderId``, its name since 2020 [oas1];
        where the order's API takes but one of them, that one is written
    """
    resource = request.resource
    spellings = resource.customer_order_id_elements
    root = etree.Element(resource.order)
    spelling = customer_order_id_element if customer_order_id_element in spellings else spellings[0]
    add_element(root, spelling, request.customer_order_id)
    content = root
    for name in resource.numbers_below:
        content = etree.SubElement(content, name)
    for name, value in request.elements():
        add_element(content, name, value)
    add_telephone_numbers(content, request.telephone_numbers, is_e164=resource.is_e164)
    return write_document(root)


def write_order_filters(
    resource: OrderResource,
    *,
    customer_order_id: str | None = None,
    telephone_number: str | None = None,
    status: ProcessingStatus | str | Sequence[ProcessingStatus | str] | None = None,
    action: Action | str | None = None,
    created_from: date | str | None = None,
    created_to: date | str | None = None,
    modified_from: date | str | None = None,
    modified_to: date | str | None = None,
    order_id_fragment: str | None = None,
    in_full: bool = False,
) -> dict[str, str | Sequence[str]]:
    """The query of a list of orders; what is ``None``, or unknown to the resource, is left out.

    Every value is checked, since Bandwidth may answer a bad one as it answers no match: 404 [iris20].

    :param resource: the resource that is asked
    :param status: the statuses to list; those that its lists cannot be asked for are left out. If none is left, all are
    :param order_id_fragment: the first characters of the OrderId [oas1]
    :param in_full: ask for whole orders (``orderDetails`` [iris20])
    :raises InvalidParameterError: a filter that Bandwidth would not understand
    :raises InvalidTelephoneNumbersError: the telephone number is none
    """
    statuses = [status] if isinstance(status, str) else status or ()
    number = None if telephone_number is None else normalize_telephone_number(telephone_number)
    parsed = [parse_choice("status", ProcessingStatus, each) for each in statuses]
    parsed_action = None if action is None else parse_choice("Action", Action, action)
    filters = {
        "customerOrderId": None if customer_order_id is None else validate_customer_order_id(customer_order_id),
        "tn": None if number is None else write_telephone_number(number, is_e164=resource.is_e164),
        "status": [each for each in parsed if each in resource.listed_statuses] or None,
        "action": parsed_action if resource.action is None else None,
        "createdDateFrom": _format_date("created_from", created_from),
        "createdDateTo": _format_date("created_to", created_to),
        "modifiedDateFrom": _format_date("modified_from", modified_from),
        "modifiedDateTo": _format_date("modified_to", modified_to),
        "orderIdFragment": order_id_fragment,
        "orderDetails": "true" if in_full and resource.lists_whole_orders else None,
    }
    return {name: value for name, value in filters.items() if value is not None}


def _format_date(name: str, value: date | str | None) -> str | None:
    if isinstance(value, datetime):
        value = value.astimezone(UTC).date()
    try:
        return None if value is None else date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise InvalidParameterError(name, f"expected a date as yyyy-MM-dd, got {value!r}") from None


def read_order(body: bytes, resource: OrderResource, *, fallback_order_id: str | None = None) -> TnOrder:
    """The order in a 200 or 201 answer.

    :param resource: the resource that was asked
    :param fallback_order_id: the id to use where the body has none (the last segment of a 201's ``Location``)
    :raises InvalidResponseError: the body is not an order
    :raises BandwidthApiError: the body is a refusal, which Bandwidth also sends with a 2xx status
    """
    root = parse_document(body)
    answer = children_of(root)
    name = resource.order.lower()
    orders = answer.get(name, [])
    if not (orders or {"orderid", "order"} & answer.keys()):
        raise_refusal(answer)
    # The answer to a POST has a plural root, and a singular one in the documents [nodefix] [oas1].
    if name_of(root.tag) not in {name, f"{name}response", f"{name}sresponse"}:
        raise InvalidResponseError(f"The answer's root element is <{local_name(root.tag)}>, which is not an order.")
    if len(orders) > 1:
        raise InvalidResponseError(f"The answer holds {len(orders)} orders where one was asked for.")
    levels = [level for element in (*orders, root) for level in _levels(element)]
    return _read_order_element(root, levels, resource, fallback_order_id)


def read_order_list(body: bytes, resource: OrderResource) -> tuple[OrderListEntry, ...]:
    """All orders of a list answer; empty for an empty list. Raises what :func:`iter_order_list` raises."""
    return tuple(iter_order_list(io.BytesIO(body), resource))


def iter_order_list(stream: IO[bytes], resource: OrderResource, *, in_full: bool = True) -> Iterator[OrderListEntry]:
    """The orders of a list answer, one by one as they are read, so that a large answer is never held whole.

    :param resource: the resource that was asked
    :param stream: the body; read in pieces
    :param in_full: ``False`` makes a summary of every order: OrderId, status and creation date, for half the cost
    :raises InvalidResponseError: the body is not a list of orders, or not all of it could be read. Entries that came
        before are sound, but the list is not complete.
    :raises BandwidthApiError: the body is a refusal
    """
    head = b""
    pieces = iter(lambda: stream.read(_PIECE_SIZE), b"")
    while len(head) < _HEAD_SIZE and (piece := next(pieces, b"")):
        head = (head + piece).lstrip()
    if not head and 200 in resource.empty_list_statuses:
        return
    if head.startswith(UTF_16_MARKS):
        head += b"".join(pieces)
    document = open_document(head)
    list_roots = _list_roots(resource)
    if document.root_name.lower() not in list_roots:
        raise InvalidResponseError(f"The answer's root element is <{document.root_name}>, not a list of orders.")
    # libxml2 looks for these as they are spelled: in another spelling, orders count as not recognised.
    entries = (f"{{*}}{resource.order}", f"{{*}}{resource.order}Summary")
    summary = f"{resource.order}Summary".lower()
    parser = etree.XMLPullParser(("end",), tag=entries, encoding=document.encoding, **SAFE_PARSER)
    is_empty = True
    try:
        for piece in chain((document.body,), pieces):
            parser.feed(piece)
            for _, element in parser.read_events():
                levels = _levels(element)
                if summary not in levels[0]:  # else a summary in a summary [ram22], of which the inner one came before
                    is_empty = False
                    if in_full:
                        yield OrderListEntry(
                            _read_order_element(element, levels, resource), name_of(element.tag) == summary
                        )
                    else:
                        yield OrderListEntry(_read_order_summary(levels, resource), is_summary=True)
                _check_and_drop_before(element)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise not_well_formed(error) from None
    _check_list_end(root, list_roots, is_empty=is_empty)


# --- lists ---

#: Bytes of a stream in which the root element must begin, and bytes read at once.
_HEAD_SIZE: Final = 4096
_PIECE_SIZE: Final = 65536


def _check_and_drop_before(entry: _Element) -> None:
    """Raise if an element before this list entry refuses the list, and give the memory of these elements back.

    The entry stays: libxml2 may still look at it.
    """
    for elder in list(entry.itersiblings(preceding=True)):
        if (name := name_of(elder.tag)) in REFUSALS:
            raise_refusal({name: [elder]})
        cast(_Element, entry.getparent()).remove(elder)


def _list_roots(resource: OrderResource) -> frozenset[str]:
    """The names that a list's root may have: tnoptions wraps its list in a ...ReportResponse [oas1] [iris20]."""
    order, orders = resource.order.lower(), resource.orders.lower()
    return frozenset({orders, f"{order}reportresponse", f"{orders}reportresponse"})


def _check_list_end(root: _Element, list_roots: frozenset[str], *, is_empty: bool) -> None:
    """Check that the list is no refusal, and that one without orders is really empty.

    If orders that were not recognised counted as none, they would be submitted again.
    """
    for level in (root, *(child for child in root if name_of(child.tag) in list_roots)):
        children = children_of(level)
        raise_refusal(children)
        unknown = [e for e in level if len(e) and name_of(e.tag) not in {*list_roots, "links"}]
        if is_empty and (unknown or first_text([children], "totalcount") not in (None, "0")):
            raise InvalidResponseError("The list of orders is not empty, but no order could be recognised in it.")


# --- orders ---


def _levels(element: _Element) -> list[Children]:
    """The children of an order, and those of its ``Order`` [seed]: each field stands in one or the other."""
    children = children_of(element)
    return [children, *(children_of(order) for order in children.get("order", ()))]


def _read_order_summary(
    levels: Sequence[Children], resource: OrderResource, fallback_order_id: str | None = None
) -> TnOrder:
    for level in levels:
        if "responsestatus" in level:
            raise_refusal({"responsestatus": level["responsestatus"]})
    order_id = only_text(levels, "orderid") or clean_text(fallback_order_id or "")
    status = only_text(levels, "processingstatus", "orderstatus")
    if not order_id or not status:
        missing = "ProcessingStatus" if order_id else "OrderId"
        raise InvalidResponseError(f"The answer has an order's root but no {missing}.")
    return TnOrder(
        order_id=order_id,
        processing_status=ProcessingStatus.parse(status),
        action=resource.action,
        created_at=_parse_time(first_text(levels, "ordercreatedate", "orderdate")),
        order_api=resource.order_api,
    )


def _read_order_element(
    element: _Element, levels: Sequence[Children], resource: OrderResource, fallback_order_id: str | None = None
) -> TnOrder:
    groups = _read_groups(levels, resource)
    settings = [children_of(element) for group in groups for element in group.get("a2psettings", ())]
    return replace(
        _read_order_summary(levels, resource, fallback_order_id),
        customer_order_id=first_text(levels, "customerorderid"),
        account_id=first_text(levels, "accountid"),
        action=parse_known(Action, first_text(levels, "action")) or resource.action,
        site_id=_parse_optional_id("SiteId", first_text(levels, "siteid")),
        sip_peer_id=_parse_optional_id("SipPeerId", first_text(levels, "sippeerid", "peerid")),
        loa_type=parse_known(LoaType, first_text(levels, "loatype")),
        telephone_numbers=_read_numbers(groups, resource),
        errors=_read_order_errors(element),
        warnings=_read_order_warnings(levels),
        last_modified_at=_parse_time(first_text(levels, "lastmodifieddate")),
        campaign_id=_shared_text(settings, "campaignid"),
        message_class=_shared_text(settings, "messageclass"),
        a2p_action=_shared_text(settings, "action"),
    )


def _read_groups(levels: Sequence[Children], resource: OrderResource) -> Sequence[Children]:
    """What holds the numbers of an order: its groups where it has groups, else itself."""
    for name in resource.numbers_below:
        levels = [children_of(element) for level in levels for element in level.get(name.lower(), ())]
    return levels


def _read_numbers(groups: Sequence[Children], resource: OrderResource) -> tuple[str, ...]:
    """The numbers of an order; of all groups where it has groups."""
    if not resource.numbers_below:
        return next(filter(None, map(read_listed_numbers, groups)), ())
    return tuple(dict.fromkeys(chain.from_iterable(map(read_listed_numbers, groups))))


def _shared_text(levels: Sequence[Children], name: str) -> str | None:
    """What all levels say; ``None`` where they differ."""
    texts = {first_text([level], name) for level in levels}
    return texts.pop() if len(texts) == 1 else None


def _parse_optional_id(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_id(name, text)
    except InvalidParameterError:
        return None


def _parse_time(text: str | None) -> datetime | None:
    try:
        time = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


# --- errors ---

_HAS_GRANDCHILDREN: Final = etree.XPath("boolean(*/*)")


def _read_order_errors(order: _Element) -> tuple[TelephoneNumberError, ...]:
    errors = dict.fromkeys(
        error for container in _find_error_containers(order) for error in read_error_elements(container)
    )
    explained = {error.telephone_number for error in errors if error.code or error.description}
    return tuple(e for e in errors if e.code or e.description or e.telephone_number not in explained)


def _read_order_warnings(levels: Sequence[Children]) -> tuple[TelephoneNumberWarning, ...]:
    """A warning is written as an error is, and fails nothing."""
    containers = (element for level in levels for element in level.get("warnings", ()))
    remarks = (remark for container in containers for remark in read_error_elements(container))
    return tuple(dict.fromkeys(TelephoneNumberWarning(each.telephone_number, each.description) for each in remarks))


def _find_error_containers(order: _Element) -> Iterator[_Element]:
    """What may hold errors, wherever it stands: an error that is overlooked makes a failed number look done."""
    elements = [order]
    for element in elements:
        for child in element:
            name = name_of(child.tag)
            if name in _ERROR_CONTAINERS:
                yield child
            elif len(child) and (name not in NUMBERS or _HAS_GRANDCHILDREN(child)):
                elements.append(child)
