"""Bytes to orders and API errors, and orders to bytes. No I/O, no Airflow.

Strict about safety, lenient about shape: a document with a DOCTYPE, HTML, JSON, an empty, truncated or padded-out body
is :class:`InvalidResponseError`; unknown elements are ignored. One reader serves every dialect Bandwidth has
documented: the seed's ``Order`` wrapper with ``CustomerOrderID`` [seed], the flat order of today [oas1], the hybrid
[iris20], wrapped in a response element or not, names in any case and any namespace, texts padded or not.

Where an answer leaves open what became of a telephone number, it is read to the number's disadvantage: whatever looks
like an error is one, and two different OrderIds or statuses in one order are no order at all.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import IO, Any, cast
from urllib.parse import unquote_plus

from lxml import etree
from lxml.etree import _Element

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidParameterError, InvalidResponseError
from airflow_provider_bandwidth.orders import (
    TEN_DIGITS,
    Action,
    ExternalTnsOrderRequest,
    LoaType,
    ProcessingStatus,
    TelephoneNumberError,
    TnOrder,
    parse_id,
    parse_known,
)

_ORDER = "externaltnsorder"
_ORDER_ROOTS = frozenset({_ORDER, "externaltnsorderresponse"})
_SUMMARY = "externaltnsordersummary"
#: The like-named resource tnoptions wraps its list once more in a ...ReportResponse [oas1] [iris20].
_LIST_ROOTS = frozenset({"externaltnsorders", "externaltnsorderreportresponse"})
#: In lists these are looked for by libxml2, which knows case; in any other spelling they count as not recognised.
_LIST_ENTRIES = ("{*}ExternalTnsOrder", "{*}ExternalTnsOrderSummary")
#: ``FailedNumbers`` lists numbers apart from the errors that may explain them [javafix].
_ERROR_CONTAINERS = frozenset({"errors", "errorlist", "error", "failednumbers"})
_REFUSALS = frozenset({"responsestatus", "status", "errors", "errorlist", "error"})
_ERRORS = frozenset({"error", "responsestatus"})
_CODES = ("code", "errorcode", "resultcode")
_DESCRIPTIONS = ("description", "resultmessage")
_NUMBERS = frozenset({"telephonenumbers", "telephonenumber", "tnlist", "tn", "fullnumber"})
#: TnAttributes of numbers that an external order brought to the account; owned numbers have neither [oas1] [err].
_EXTERNAL_ATTRIBUTES = frozenset({"external", "imported"})

_Children = dict[str, list[_Element]]


@dataclass(frozen=True, slots=True)
class OrderListEntry:
    """One order of a list answer. A summary has ids, status and dates, but neither numbers nor errors."""

    order: TnOrder
    is_summary: bool


@dataclass(frozen=True, slots=True)
class SipPeerTelephoneNumberPage:
    """One page of the telephone numbers of a SIP peer.

    :param external_telephone_numbers: the numbers an external order brought here, ten digits each: their TnAttributes
        hold External or Imported
    :param other_telephone_numbers: the rest, ten digits each: without these attributes a number may be Bandwidth's own.
        Numbers that are not of ten digits, which no external order can hold, are in neither
    :param next_page: the ``page`` parameter of the next page, a cursor that means nothing to us [oas1]; ``None`` on
        the last page
    """

    external_telephone_numbers: tuple[str, ...]
    other_telephone_numbers: tuple[str, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True)
class ImportTnCheckerResult:
    """What Bandwidth thinks of importing some numbers: a hint, not a promise [host].

    :param importable: ten digits each; none that an error names
    :param errors: why the others cannot be imported
    """

    importable: tuple[str, ...]
    errors: tuple[TelephoneNumberError, ...]


# --- written ---


def write_order_request(
    request: ExternalTnsOrderRequest, *, customer_order_id_element: str = "CustomerOrderID"
) -> bytes:
    """The body of ``POST /accounts/{accountId}/externalTns``, elements in the seed's order.

    :param customer_order_id_element: ``CustomerOrderID`` [seed], or ``CustomerOrderId``, its name since 2020 [oas1]
    """
    root = etree.Element("ExternalTnsOrder")
    _add(root, customer_order_id_element, request.customer_order_id)
    _add(root, "SiteId", request.site_id)
    _add(root, "SipPeerId", request.sip_peer_id)
    _add(root, "Action", request.action)
    _add(root, "LoaType", request.loa_type)
    _add_telephone_numbers(root, request.telephone_numbers)
    return _write(root)


def write_import_tn_checker_request(
    telephone_numbers: Iterable[str], site_id: int | None = None, sip_peer_id: int | None = None
) -> bytes:
    """The body of ``POST /accounts/{accountId}/importTnChecker``, for at most 5,000 different numbers [oas1].

    :param site_id: the account's default location if ``None`` [ram22]
    :param sip_peer_id: the site's default peer if ``None`` [oas1]
    """
    root = etree.Element("ImportTnCheckerPayload")
    _add_telephone_numbers(root, telephone_numbers)
    _add(root, "SiteId", site_id)
    _add(root, "SipPeerId", sip_peer_id)
    return _write(root)


def _add(parent: _Element, name: str, value: object) -> None:
    if value is not None:
        etree.SubElement(parent, name).text = str(value)


def _add_telephone_numbers(parent: _Element, telephone_numbers: Iterable[str]) -> None:
    container = etree.SubElement(parent, "TelephoneNumbers")
    for number in telephone_numbers:
        _add(container, "TelephoneNumber", number)


def _write(root: _Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", standalone=True)


# --- read ---


def read_order(body: bytes, *, fallback_order_id: str | None = None) -> TnOrder:
    """The order in a 200 or 201 answer.

    :param fallback_order_id: the id to use where the body has none (the last segment of a 201's ``Location``)
    :raises InvalidResponseError: the body is not an order
    :raises BandwidthApiError: the body is a refusal, which Bandwidth also sends with a 2xx status
    """
    root = _parse(body)
    answer = _children(root)
    orders = answer.get(_ORDER, [])
    if not (orders or {"orderid", "order"} & answer.keys()):
        _raise_refusal(answer)
    if _name(root.tag) not in _ORDER_ROOTS:
        raise InvalidResponseError(f"The answer's root element is <{_local_name(root.tag)}>, which is not an order.")
    if len(orders) > 1:
        raise InvalidResponseError(f"The answer holds {len(orders)} orders where one was asked for.")
    levels = [level for element in (*orders, root) for level in _levels(element)]
    return _read_order_element(root, levels, fallback_order_id)


def read_order_list(body: bytes) -> tuple[OrderListEntry, ...]:
    """All orders of a list answer; empty for an empty list. Raises what :func:`iter_order_list` raises."""
    return tuple(iter_order_list(io.BytesIO(body)))


def iter_order_list(stream: IO[bytes], *, in_full: bool = True) -> Iterator[OrderListEntry]:
    """The orders of a list answer, one by one as they are read, so that a large answer is never held whole.

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
    if head.startswith(_UTF_16_MARKS):
        head += b"".join(pieces)
    document = _open_document(head)
    if document.root_name.lower() not in _LIST_ROOTS:
        raise InvalidResponseError(f"The answer's root element is <{document.root_name}>, not a list of orders.")
    parser = etree.XMLPullParser(("end",), tag=_LIST_ENTRIES, encoding=document.encoding, **_SAFE_PARSER)
    is_empty = True
    try:
        for piece in chain((document.body,), pieces):
            parser.feed(piece)
            for _, element in parser.read_events():
                levels = _levels(element)
                if _SUMMARY not in levels[0]:  # else a summary in a summary [ram22], of which the inner one came before
                    is_empty = False
                    if in_full:
                        yield OrderListEntry(_read_order_element(element, levels, None), _name(element.tag) == _SUMMARY)
                    else:
                        yield OrderListEntry(_read_order_summary(levels), is_summary=True)
                _free_before(element)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error) from None
    _check_list_end(root, is_empty=is_empty)


def read_sip_peer_telephone_numbers(body: bytes) -> SipPeerTelephoneNumberPage:
    """One page of ``GET /accounts/{accountId}/sites/{siteId}/sippeers/{sipPeerId}/tns`` [oas1].

    :raises InvalidResponseError: the body is no such page, or leaves open what a number is or whether another page
        follows: half an inventory would have live numbers imported again
    :raises BandwidthApiError: the body is a refusal
    """
    answer, content = _read_answer(body, "sippeertelephonenumbersresponse", "sippeertelephonenumbers")
    entries = [entry for level in content for entry in level.pop("sippeertelephonenumber", ())]
    external: list[str] = []
    others: list[str] = []
    for entry in entries:
        children = _children(entry)
        numbers = [_ten_digits(text) for text in _texts([children], ["fullnumber"])]
        if len(numbers) != 1:
            raise InvalidResponseError(f"The answer lists a telephone number with {len(numbers)} FullNumbers.")
        attributes = {_text(e).lower() for holder in children.get("tnattributes", ()) for e in holder}
        if TEN_DIGITS.fullmatch(numbers[0]):
            (external if attributes & _EXTERNAL_ATTRIBUTES else others).append(numbers[0])
    next_page = _read_next_page([links for level in (answer, *content) for links in level.pop("links", ())])
    if not entries and any(len(element) for level in content for found in level.values() for element in found):
        raise InvalidResponseError("The answer has content, but no telephone number could be recognised in it.")
    return SipPeerTelephoneNumberPage(tuple(external), tuple(others), next_page)


def read_import_tn_checker(body: bytes) -> ImportTnCheckerResult:
    """The answer to ``POST /accounts/{accountId}/importTnChecker`` [oas1].

    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = _read_answer(body, "importtncheckerresponse", "importtncheckerpayload")
    errors = tuple(e for level in content for c in level.get("importtnerrors", ()) for e in _read_errors(c))
    refused = {error.telephone_number for error in errors}
    listed = (number for level in content for number in _read_listed_numbers(level))
    return ImportTnCheckerResult(tuple(n for n in listed if n not in refused and TEN_DIGITS.fullmatch(n)), errors)


def read_errors(body: bytes) -> tuple[TelephoneNumberError, ...]:
    """The errors in the body of a refusal (4xx or 5xx), in any shape Bandwidth uses; none if it names none.

    :raises InvalidResponseError: the body is not XML
    """
    return _read_refusal(_children(_parse(body)))


def describe_errors(errors: Sequence[TelephoneNumberError]) -> str:
    """The errors of a refusal, at least one, in one line: the first one's text, then each other's code and text."""
    first, *others = (error.description or "no description" for error in errors)
    return "; ".join([first, *(f"{error.code}: {text}" for error, text in zip(errors[1:], others, strict=True))])


# --- documents ---

#: No entity, no network, and lxml's defaults: no DTD, limits on depth and length. Only elements and texts with content.
_SAFE_PARSER: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "remove_comments": True,
    "remove_pis": True,
    "remove_blank_text": True,
}
#: In these, ASCII looks like itself, and every libxml2 knows them. UTF-16 is made one of them; no other is read.
_ENCODINGS = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECLARATION = re.compile(rb"""<\?xml(?=\s)[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BEFORE_ROOT = re.compile(rb"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_ROOT_NAME = re.compile(rb"<(?:[^\s:/>!?]+:)?([^\s:/>!?]{1,80})")
#: How what follows begins, and what an answer that begins so is or has. The first that fits is told.
_FOREIGN = (
    (re.compile(rb"\Z"), "is empty."),
    (re.compile(rb"<(!doctype\s+)?html\b", re.IGNORECASE), "is an HTML page: a proxy, a login page, a wrong base URL?"),
    (re.compile(rb"<!doctype", re.IGNORECASE), "has a DOCTYPE, which no answer of Bandwidth has."),
    (re.compile(rb"[{\[]"), "is JSON, not XML: a wrong base URL?"),
    (re.compile(rb"(?!<[^\s:/>!?])"), "is not XML: it does not begin with an element."),
)


@dataclass(frozen=True, slots=True)
class _Document:
    """A document from its root element on.

    What stands before is not for libxml2: a DOCTYPE makes it open files even with all safety options, and silently
    empty the texts that use entities.
    """

    body: bytes
    encoding: str
    root_name: str


def _open_document(body: bytes) -> _Document:
    """:param body: the document or its first kilobytes; in UTF-16 the whole"""
    body = body.lstrip()
    encoding = "utf-8"
    is_utf_16 = body.startswith(_UTF_16_MARKS)
    if is_utf_16:
        try:
            body = body.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise InvalidResponseError("The answer is not the UTF-16 it seems to be, perhaps cut short.") from None
    body = body.removeprefix(codecs.BOM_UTF8)
    declaration = _DECLARATION.match(body)
    if declaration is not None and not is_utf_16:
        encoding = declaration[1].decode().lower()
        if encoding not in _ENCODINGS:
            raise InvalidResponseError(f"The answer is in {encoding}, which Bandwidth does not use.")
    body = body[cast(re.Match[bytes], _BEFORE_ROOT.match(body)).end() :]
    problem = next((problem for pattern, problem in _FOREIGN if pattern.match(body)), None)
    if problem is not None:
        raise InvalidResponseError(f"The answer {problem}")
    root_name = cast(re.Match[bytes], _ROOT_NAME.match(body))[1]
    return _Document(body, encoding, root_name.decode(encoding, "replace"))


def _parse(body: bytes) -> _Element:
    document = _open_document(body)
    parser = etree.XMLParser(encoding=document.encoding, **_SAFE_PARSER)
    try:
        root: _Element = etree.fromstring(document.body, parser)
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error) from None
    return root


def _not_well_formed(error: etree.XMLSyntaxError) -> InvalidResponseError:
    reason = " ".join(str(error.msg).split())
    return InvalidResponseError(f"The answer is not well-formed XML, perhaps cut short: {reason}")


# --- lists ---

#: Bytes of a stream in which the root element must begin, and bytes read at once.
_HEAD_SIZE = 4096
_PIECE_SIZE = 65536


def _free_before(entry: _Element) -> None:
    """Give back the memory of what stands before a list entry. The entry stays: libxml2 may still look at it."""
    for elder in list(entry.itersiblings(preceding=True)):
        if (name := _name(elder.tag)) in _REFUSALS:
            _raise_refusal({name: [elder]})
        cast(_Element, entry.getparent()).remove(elder)


def _check_list_end(root: _Element, *, is_empty: bool) -> None:
    """That the list is no refusal, and that one without orders is really empty.

    To take orders that were not recognised for none would have them submitted again.
    """
    for level in (root, *(child for child in root if _name(child.tag) in _LIST_ROOTS)):
        children = _children(level)
        _raise_refusal(children)
        unknown = [e for e in level if len(e) and _name(e.tag) not in {*_LIST_ROOTS, "links"}]
        if is_empty and (unknown or _first_text([children], "totalcount") not in (None, "0")):
            raise InvalidResponseError("The list of orders is not empty, but no order could be recognised in it.")


# --- elements ---


def _local_name(tag: Any) -> str:
    """The name of an element without its namespace. Comments, whose tag is no text, are not in the tree."""
    return cast(str, tag).rpartition("}")[2]


#: The same in lower case: no answer is refused for the case of its names. Remembered, since it is asked for everywhere.
_name: Callable[[Any], str] = lru_cache(maxsize=256)(lambda tag: _local_name(tag).lower())


def _text(element: _Element) -> str:
    return (element.text or "").strip()


def _children(element: _Element) -> _Children:
    children: _Children = {}
    for child in element:
        children.setdefault(_name(child.tag), []).append(child)
    return children


def _texts(levels: Sequence[_Children], names: Sequence[str]) -> Iterator[str]:
    return (text for level in levels for name in names for e in level.get(name, ()) if (text := _text(e)))


def _first_text(levels: Sequence[_Children], *names: str) -> str | None:
    return next(_texts(levels, names), None)


def _only_text(levels: Sequence[_Children], *names: str) -> str | None:
    texts = list(_texts(levels, names))
    different = {text.upper() for text in texts}
    if len(different) > 1:
        raise InvalidResponseError(f"The answer gives one order {len(different)} different values of {names[0]}.")
    return texts[0] if texts else None


# --- orders ---


def _levels(element: _Element) -> list[_Children]:
    """The children of an order, and those of its ``Order`` [seed]: each field stands in one or the other."""
    children = _children(element)
    return [children, *(_children(order) for order in children.get("order", ()))]


def _read_order_summary(levels: Sequence[_Children], fallback_order_id: str | None = None) -> TnOrder:
    for level in levels:
        if "responsestatus" in level:
            _raise_refusal({"responsestatus": level["responsestatus"]})
    order_id = _only_text(levels, "orderid") or fallback_order_id
    status = _only_text(levels, "processingstatus", "orderstatus")
    if not order_id or not status:
        missing = "ProcessingStatus" if order_id else "OrderId"
        raise InvalidResponseError(f"The answer has an order's root but no {missing}.")
    return TnOrder(
        order_id=order_id,
        processing_status=ProcessingStatus.parse(status),
        created_at=_parse_time(_first_text(levels, "ordercreatedate", "orderdate")),
    )


def _read_order_element(element: _Element, levels: Sequence[_Children], fallback_order_id: str | None) -> TnOrder:
    return replace(
        _read_order_summary(levels, fallback_order_id),
        customer_order_id=_first_text(levels, "customerorderid"),
        account_id=_first_text(levels, "accountid"),
        action=parse_known(Action, _first_text(levels, "action")),
        site_id=_parse_optional_id("SiteId", _first_text(levels, "siteid")),
        sip_peer_id=_parse_optional_id("SipPeerId", _first_text(levels, "sippeerid", "peerid")),
        loa_type=parse_known(LoaType, _first_text(levels, "loatype")),
        telephone_numbers=next(filter(None, map(_read_listed_numbers, levels)), ()),
        errors=_read_order_errors(element),
        last_modified_at=_parse_time(_first_text(levels, "lastmodifieddate")),
    )


def _read_listed_numbers(level: _Children) -> tuple[str, ...]:
    containers = level.get("telephonenumbers", ())
    return tuple(dict.fromkeys(chain.from_iterable(map(_read_numbers, containers))))


#: The numbers of the usual list, read by libxml2 alone since an order may hold thousands; none of any other list. With
#: as many texts as other nodes, each text is the whole of a TelephoneNumber.
_PLAIN_LIST = etree.XPath(
    "self::*[count(.//node()) = 2 * count(TelephoneNumber/text())]/TelephoneNumber/text()", smart_strings=False
)


def _read_numbers(element: _Element) -> list[str]:
    """The numbers in an element and below; the texts of other elements between them (a Count, say) are none."""
    texts = cast(list[str], _PLAIN_LIST(element))
    if not texts:
        for holder in element.iter():
            if _name(holder.tag) in _NUMBERS:
                texts.extend(text for text in (holder.text, *(child.tail for child in holder)) if text)
    if set(map(len, texts)) == {10} and "".join(texts).isdecimal():
        return texts
    return [_ten_digits(stripped) for text in texts if (stripped := text.strip())]


_WITH_COUNTRY_CODE = re.compile(f"1?({TEN_DIGITS.pattern})")


def _ten_digits(text: str) -> str:
    """Ten digits where the text is a NANP number in some notation, else the text as Bandwidth gave it."""
    number = _WITH_COUNTRY_CODE.fullmatch(re.sub(r"\D", "", text))
    return number[1] if number else text


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


# --- other answers ---

_PAGE_PARAMETER = re.compile(r"""[?&]page=([^&#>;"\s]+)""")


def _read_answer(body: bytes, root_name: str, content_name: str) -> tuple[_Children, list[_Children]]:
    """The children of a 200 answer's root, and those of each of its content elements, one at least."""
    root = _parse(body)
    answer = _children(root)
    _raise_refusal(answer)
    if _name(root.tag) != root_name or content_name not in answer:
        raise InvalidResponseError(f"The answer is a <{_local_name(root.tag)}>, which is not what was asked for.")
    return answer, [_children(element) for element in answer[content_name]]


def _read_next_page(links: Sequence[_Element]) -> str | None:
    """The cursor in ``Links/next``: ``Link=<https://.../tns?page=9195550103&size=500>;rel="next";`` [oas1]."""
    link = _first_text([_children(element) for element in links], "next")
    if link is None:
        return None
    page = _PAGE_PARAMETER.search(link)
    if page is None:
        raise InvalidResponseError(f"The answer's link to the next page has no page parameter: {link!r}.")
    return unquote_plus(page[1])


# --- errors ---

_HAS_GRANDCHILDREN = etree.XPath("boolean(*/*)")


def _read_order_errors(order: _Element) -> tuple[TelephoneNumberError, ...]:
    errors = dict.fromkeys(error for container in _find_error_containers(order) for error in _read_errors(container))
    explained = {error.telephone_number for error in errors if error.code or error.description}
    return tuple(e for e in errors if e.code or e.description or e.telephone_number not in explained)


def _find_error_containers(order: _Element) -> Iterator[_Element]:
    """Wherever they stand: an error that is overlooked makes a failed number look done."""
    elements = [order]
    for element in elements:
        for child in element:
            name = _name(child.tag)
            if name in _ERROR_CONTAINERS:
                yield child
            elif len(child) and (name not in _NUMBERS or _HAS_GRANDCHILDREN(child)):
                elements.append(child)


def _read_errors(container: _Element) -> Iterator[TelephoneNumberError]:
    """The errors in an element, in any of the shapes of [oas1], [pm20] and [javafix].

    It is an error itself, or holds errors, or both: an error is what has a code, a description or telephone numbers of
    its own, and what is named so. A number that cannot be read as one could be any number of the order: it counts as
    not named.
    """
    elements = [container]
    for element in elements:
        code = description = ""
        numbers: list[str] = []
        for child in element:
            name = _name(child.tag)
            if name in _NUMBERS:
                numbers += _read_numbers(child)
            elif len(child) or name in _ERRORS:
                elements.append(child)
            elif name in _CODES:
                code = _text(child)
            elif name in _DESCRIPTIONS:
                description = _text(child)
        if not numbers and (code or description or _name(element.tag) in _ERRORS):
            yield TelephoneNumberError(None, code, description)
        for number in numbers:
            if TEN_DIGITS.fullmatch(number):
                yield TelephoneNumberError(number, code, description)
            else:
                yield TelephoneNumberError(None, code, f"{description} (telephone number {number!r})".lstrip())


def _read_refusal(answer: _Children) -> tuple[TelephoneNumberError, ...]:
    """Errors about the answer as a whole: ResponseStatus, Status, Errors, ErrorList, a lone Error, or the root."""
    holders = [element for name, found in answer.items() if name in _REFUSALS for element in found]
    errors = [error for holder in holders for error in _read_errors(holder)]
    if not errors:
        code, description = (_first_text([answer], *names) or "" for names in (_CODES, _DESCRIPTIONS))
        if code or description:
            errors.append(TelephoneNumberError(None, code, description))
    return tuple(error for error in errors if error.code != "0")


def _raise_refusal(answer: _Children) -> None:
    """Raise if the answer is a refusal as a whole, whatever its HTTP status."""
    if errors := _read_refusal(answer):
        raise BandwidthApiError(describe_errors(errors), code=errors[0].code or None)
