"""Telephone numbers as Bandwidth's inventory of a SIP peer and its import check show them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_plus

from lxml import etree
from lxml.etree import _Element

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.orders import TEN_DIGITS, TelephoneNumberError
from airflow_provider_bandwidth.wire.documents import (
    Children,
    Document,
    add_element,
    add_telephone_numbers,
    children_of,
    first_text,
    local_name,
    name_of,
    only_text,
    open_answer,
    open_document,
    parse_document,
    parse_opened,
    raise_refusal,
    read_answer,
    read_error_elements,
    read_listed_numbers,
    text_of,
    texts_of,
    to_ten_digits,
    write_document,
)

#: TnAttributes of numbers that an external order brought to the account; owned numbers have neither [oas1] [err].
_EXTERNAL_ATTRIBUTES: Final = frozenset({"external", "imported"})
_COUNT: Final = "sippeertelephonenumberscount"
_PAGE_PARAMETER: Final = re.compile(r"""[?&]page=([^&#>;"\s]+)""")


@dataclass(frozen=True, slots=True)
class SipPeerTelephoneNumberPage:
    """One page of the telephone numbers of a SIP peer.

    :param external_telephone_numbers: the numbers an external order brought here, ten digits each: their TnAttributes
        hold External or Imported
    :param other_telephone_numbers: the rest: without these attributes a number may be Bandwidth's own. What is not of
        ten digits, which no external order can hold, is here too, as Bandwidth shows it
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


def write_import_tn_checker_request(
    telephone_numbers: Iterable[str],
    site_id: int | None = None,
    sip_peer_id: int | None = None,
    *,
    is_e164: bool = False,
) -> bytes:
    """The body of ``POST /accounts/{accountId}/importTnChecker``, for at most 5,000 different numbers [oas1].

    :param site_id: the account's default location if ``None`` [ram22]
    :param sip_peer_id: the site's default peer if ``None`` [oas1]
    :param is_e164: whether to write ``+19195550101``, as v2 does [oas2]
    """
    root = etree.Element("ImportTnCheckerPayload")
    add_telephone_numbers(root, telephone_numbers, is_e164=is_e164)
    add_element(root, "SiteId", site_id)
    add_element(root, "SipPeerId", sip_peer_id)
    return write_document(root)


def read_sip_peer_telephone_numbers(body: bytes) -> SipPeerTelephoneNumberPage:
    """One page of ``GET /accounts/{accountId}/sites/{siteId}/sippeers/{sipPeerId}/tns`` [oas1].

    :raises InvalidResponseError: the body is no such page, or leaves open what a number is or whether another page
        follows: half an inventory would have live numbers imported again
    :raises BandwidthApiError: the body is a refusal
    """
    document = open_document(body)
    plain, answer, containers = _take_plain_numbers(document) or ([], *_open(document))
    content = [children_of(container) for container in containers]
    entries = [entry for level in content for entry in level.pop("sippeertelephonenumber", ())]
    external, others = _sort(map(_read_entry, entries))
    next_page = _read_next_page([links for level in (answer, *content) for links in level.pop("links", ())])
    found_nothing = not plain and not entries
    if found_nothing and any(len(element) for level in content for found in level.values() for element in found):
        raise InvalidResponseError("The answer has content, but no telephone number could be recognised in it.")
    return SipPeerTelephoneNumberPage((*plain, *external), tuple(others), next_page)


def _open(document: Document) -> tuple[Children, list[_Element]]:
    return open_answer(parse_opened(document), "sippeertelephonenumbersresponse", "sippeertelephonenumbers")


_BLANK: Final = r"[ \t\r\n]*+"


def _plain(name: str, content: str) -> str:
    return f"<{name}>{_BLANK}{content}</{name}>{_BLANK}"


_ANY: Final = "<TnAttribute>[A-Za-z0-9 _-]{0,40}</TnAttribute>" + _BLANK
_EXTERNAL: Final = "<TnAttribute>(?:External|Imported)</TnAttribute>" + _BLANK
#: Entries of an external number as Bandwidth writes them, with nothing in them that is not here, so that each is
#: well-formed by itself. The counts are limits, so that no answer takes long.
_PLAIN_ENTRY: Final = re.compile(
    _plain(
        "SipPeerTelephoneNumber",
        f"<FullNumber>({TEN_DIGITS.pattern})</FullNumber>{_BLANK}"
        + _plain("TnAttributes", f"(?:{_ANY}){{0,9}}?{_EXTERNAL}(?:{_ANY}){{0,9}}")
        + "(?:"
        + _plain("MessagingSettings", "<SmsEnabled>[a-z]{4,5}</SmsEnabled>" + _BLANK)
        + ")?",
    ),
    re.ASCII,
)
#: What stands for plain entries that were taken out. No answer of Bandwidth has an element of this name.
_TAKEN: Final = "PlainEntriesTaken"


def _take_plain_numbers(document: Document) -> tuple[list[str], Children, list[_Element]] | None:
    """The numbers of the plain entries, and what :func:`_open` gives of the document without these entries.

    A page may hold 5,000 numbers, and an inventory a million: this takes a fraction of the time of parsing them. It is
    safe since an element stands for each row of entries that is taken out. An entry in a comment, CDATA, a value or
    another entry takes that element along or breaks the document, as the entry itself does. So where the parser finds
    all these elements, each in a list of numbers, the entries stood there, too.

    :return: ``None`` if that is not so, or if anything else is wrong: then the whole document is to be opened
    """
    text = document.body.decode("latin-1")  # a character for each byte
    first, *between = _PLAIN_ENTRY.split(text)
    if not between or _TAKEN in text:
        return None
    kept = [first, *filter(None, between[1:-1:2]), between[-1]]
    rest = f"<{_TAKEN}/>".join(kept).encode("latin-1")
    try:
        answer, containers = _open(replace(document, body=rest))
    except (InvalidResponseError, BandwidthApiError):
        return None
    found = [element for container in containers for element in container.iterchildren(f"{{*}}{_TAKEN}")]
    if len(found) != len(kept) - 1:
        return None
    return between[::2], answer, containers


def _sort(read: Iterable[tuple[str, bool]]) -> tuple[list[str], list[str]]:
    """The numbers that are external, and the others."""
    external: list[str] = []
    others: list[str] = []
    for number, is_external in read:
        (external if is_external else others).append(number)
    return external, others


def _read_entry(entry: _Element) -> tuple[str, bool]:
    """The number of an entry, and whether an external order brought it."""
    children = children_of(entry)
    numbers = [to_ten_digits(text) for text in texts_of([children], ["fullnumber"])]
    if len(numbers) != 1:
        raise InvalidResponseError(f"The answer lists a telephone number with {len(numbers)} FullNumbers.")
    attributes = {text_of(e).lower() for holder in children.get("tnattributes", ()) for e in holder}
    return numbers[0], bool(attributes & _EXTERNAL_ATTRIBUTES and TEN_DIGITS.fullmatch(numbers[0]))


def read_sip_peer_count(body: bytes) -> int:
    """How many numbers ``GET /accounts/{accountId}/sites/{siteId}/sippeers/{sipPeerId}/totaltns`` counts [oas1].

    The count stands in an element that is nested in one of the same name.

    :raises InvalidResponseError: the body is no count
    :raises BandwidthApiError: the body is a refusal
    """
    root = parse_document(body)
    answer = children_of(root)
    raise_refusal(answer)
    count = only_text([answer], _COUNT) or text_of(root)
    if name_of(root.tag) != _COUNT or not re.fullmatch("[0-9]{1,9}", count):
        raise InvalidResponseError(f"The answer is a <{local_name(root.tag)}>, which is not the count of a SIP peer.")
    return int(count)


def read_import_tn_checker(body: bytes) -> ImportTnCheckerResult:
    """The answer to ``POST /accounts/{accountId}/importTnChecker`` [oas1].

    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "importtncheckerresponse", "importtncheckerpayload")
    errors = tuple(e for level in content for c in level.get("importtnerrors", ()) for e in read_error_elements(c))
    refused = {error.telephone_number for error in errors}
    listed = (number for level in content for number in read_listed_numbers(level))
    return ImportTnCheckerResult(tuple(n for n in listed if n not in refused and TEN_DIGITS.fullmatch(n)), errors)


def _read_next_page(links: Sequence[_Element]) -> str | None:
    """The cursor in ``Links/next``: ``Link=<https://.../tns?page=9195550103&size=500>;rel="next";`` [oas1]."""
    link = first_text([children_of(element) for element in links], "next")
    if link is None:
        return None
    page = _PAGE_PARAMETER.search(link)
    if page is None:
        raise InvalidResponseError(f"The answer's link to the next page has no page parameter: {link!r}.")
    return unquote_plus(page[1])
