"""Bytes to elements that are safe to read, and what any answer may hold: numbers, errors, a refusal. Pure.

Strict about safety, lenient about shape: a document with a DOCTYPE, HTML, JSON, an empty, truncated or padded-out body
is :class:`InvalidResponseError`; unknown elements are ignored, and names are read in any case and any namespace.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final, cast

from lxml import etree
from lxml.etree import _Element

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.orders import TEN_DIGITS, TelephoneNumberError

REFUSALS: Final = frozenset({"responsestatus", "status", "errors", "errorlist", "error"})
_ERRORS: Final = frozenset({"error", "responsestatus"})
_CODES: Final = ("code", "errorcode", "resultcode")
_DESCRIPTIONS: Final = ("description", "resultmessage")
NUMBERS: Final = frozenset({"telephonenumbers", "telephonenumber", "tnlist", "tn", "fullnumber"})

Children = dict[str, list[_Element]]


# --- documents ---

#: No entity, no network, and lxml's defaults: no DTD, limits on depth and length. Only elements and texts with content.
SAFE_PARSER: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "remove_comments": True,
    "remove_pis": True,
    "remove_blank_text": True,
}
#: All encodings that are read: ASCII looks like itself in them, and every libxml2 knows them. UTF-16 is made UTF-8.
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECLARATION: Final = re.compile(rb"""<\?xml(?=\s)[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BEFORE_ROOT: Final = re.compile(rb"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_ROOT_NAME: Final = re.compile(rb"<(?:[^\s:/>!?]+:)?([^\s:/>!?]{1,80})")
#: Bodies that are no answer of Bandwidth, by how they begin, and what to say about each. The first match counts.
_FOREIGN: Final = (
    (re.compile(rb"\Z"), "is empty."),
    (
        re.compile(rb"<(!doctype\s+)?html\b", re.IGNORECASE),
        "is an HTML page, perhaps of a proxy or a login: check the connection's Host.",
    ),
    (re.compile(rb"<!doctype", re.IGNORECASE), "has a DOCTYPE, which no answer of Bandwidth has."),
    (re.compile(rb"[{\[]"), "is JSON, not XML: check the connection's Host."),
    (re.compile(rb"(?!<[^\s:/>!?])"), "is not XML: it does not begin with an element."),
)


@dataclass(frozen=True, slots=True)
class Document:
    """A document from its root element on.

    What stands before the root is kept from libxml2: a DOCTYPE would make it open files even with all safety options,
    and silently empty the texts that use entities.
    """

    body: bytes
    encoding: str
    root_name: str


def open_document(body: bytes) -> Document:
    """Find where the root element begins, and refuse what is no document of Bandwidth's.

    :param body: the document or its first kilobytes; in UTF-16 the whole
    :raises InvalidResponseError: says what it is instead
    """
    body = body.lstrip()
    encoding = "utf-8"
    is_utf_16 = body.startswith(UTF_16_MARKS)
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
    return Document(body, encoding, clean_text(root_name.decode(encoding, "replace")))


def parse_document(body: bytes) -> _Element:
    """The root element of a document.

    :raises InvalidResponseError: the body is no document of Bandwidth's, or not all of one
    """
    return parse_opened(open_document(body))


def parse_opened(document: Document) -> _Element:
    """The root element of a document that :func:`open_document` has opened.

    :raises InvalidResponseError: it is not well-formed, or not all of one
    """
    parser = etree.XMLParser(encoding=document.encoding, **SAFE_PARSER)
    try:
        root: _Element = etree.fromstring(document.body, parser)
    except etree.XMLSyntaxError as error:
        raise not_well_formed(error) from None
    return root


def not_well_formed(error: etree.XMLSyntaxError) -> InvalidResponseError:
    """The parser's complaint as an error of ours; it quotes nothing of the body."""
    reason = clean_text(str(error.msg))
    return InvalidResponseError(f"The answer is not well-formed XML, perhaps cut short: {reason}")


# --- written ---


def add_element(parent: _Element, name: str, value: object) -> None:
    """Add an element with a text, or with elements for a tuple of names and values; add nothing for ``None``."""
    if value is None:
        return
    element = etree.SubElement(parent, name)
    if isinstance(value, tuple):
        for child_name, child_value in value:
            add_element(element, child_name, child_value)
    else:
        element.text = str(value)


def write_telephone_number(telephone_number: str, *, is_e164: bool) -> str:
    """Ten digits in the notation of an order API."""
    return f"+1{telephone_number}" if is_e164 else telephone_number


def add_telephone_numbers(parent: _Element, telephone_numbers: Iterable[str], *, is_e164: bool = False) -> None:
    """Add the ``TelephoneNumbers`` element."""
    container = etree.SubElement(parent, "TelephoneNumbers")
    for number in telephone_numbers:
        add_element(container, "TelephoneNumber", write_telephone_number(number, is_e164=is_e164))


def write_document(root: _Element) -> bytes:
    """The document in UTF-8, with its declaration."""
    return etree.tostring(root, encoding="UTF-8", standalone=True)


# --- elements ---


def local_name(tag: Any) -> str:
    """The name of an element without its namespace. Comments, whose tag is no text, are not in the tree."""
    return cast(str, tag).rpartition("}")[2]


#: The same in lower case: no answer is refused for the case of its names. Cached, since it is called everywhere.
name_of: Callable[[Any], str] = lru_cache(maxsize=256)(lambda tag: local_name(tag).lower())


def clean_text(text: str) -> str:
    """A text in one line: what breaks a line or steers a terminal is a space, so that it forges no line of a log."""
    if not text.isprintable():
        text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text.strip()


def text_of(element: _Element) -> str:
    """An element's own text in one line, without the white space around it."""
    return clean_text(element.text or "")


def children_of(element: _Element) -> Children:
    """The elements right below an element, by their names in lower case."""
    children: Children = {}
    for child in element:
        children.setdefault(name_of(child.tag), []).append(child)
    return children


def texts_of(levels: Sequence[Children], names: Sequence[str]) -> Iterator[str]:
    """The texts of all elements with one of these names; empty ones are left out."""
    return (text for level in levels for name in names for e in level.get(name, ()) if (text := text_of(e)))


def first_text(levels: Sequence[Children], *names: str) -> str | None:
    """The first text of an element with one of these names."""
    return next(texts_of(levels, names), None)


def only_text(levels: Sequence[Children], *names: str) -> str | None:
    """The one text that all elements with these names have.

    :raises InvalidResponseError: they differ, in more than case
    """
    texts = list(texts_of(levels, names))
    different = {text.upper() for text in texts}
    if len(different) > 1:
        raise InvalidResponseError(f"The answer gives one order {len(different)} different values of {names[0]}.")
    return texts[0] if texts else None


# --- answers other than an order ---


def read_answer(body: bytes, root_name: str, content_name: str) -> tuple[Children, list[Children]]:
    """As :func:`open_answer` of an answer's body, with the children of each content element."""
    answer, content = open_answer(parse_document(body), root_name, content_name)
    return answer, [children_of(element) for element in content]


def open_answer(root: _Element, root_name: str, content_name: str) -> tuple[Children, list[_Element]]:
    """The children of a 200 answer's root, and its content elements, one at least.

    :raises InvalidResponseError: the root is another, or has no such content
    :raises BandwidthApiError: the answer is a refusal
    """
    answer = children_of(root)
    raise_refusal(answer)
    if name_of(root.tag) != root_name or content_name not in answer:
        raise InvalidResponseError(f"The answer is a <{local_name(root.tag)}>, which is not what was asked for.")
    return answer, answer[content_name]


# --- telephone numbers ---


def read_listed_numbers(level: Children) -> tuple[str, ...]:
    """The numbers of an element's ``TelephoneNumbers``, each once."""
    containers = level.get("telephonenumbers", ())
    return tuple(dict.fromkeys(chain.from_iterable(map(read_numbers, containers))))


#: Finds the numbers of a list of the usual form without Python, since an order may hold thousands; in any other form it
#: finds none. The usual form has as many texts as elements, so that each text is all that its TelephoneNumber holds.
_PLAIN_LIST: Final = etree.XPath(
    "self::*[count(.//node()) = 2 * count(TelephoneNumber/text())]/TelephoneNumber/text()", smart_strings=False
)


def read_numbers(element: _Element) -> list[str]:
    """The numbers in an element and below, without the texts of other elements between them, such as a Count."""
    texts = cast(list[str], _PLAIN_LIST(element))
    if not texts:
        for holder in element.iter():
            if name_of(holder.tag) in NUMBERS:
                texts.extend(text for text in (holder.text, *(child.tail for child in holder)) if text)
    if set(map(len, texts)) == {10} and "".join(texts).isdecimal():
        return texts
    return [to_ten_digits(stripped) for text in texts if (stripped := text.strip())]


_WITH_COUNTRY_CODE: Final = re.compile(f"1?({TEN_DIGITS.pattern})")


def to_ten_digits(text: str) -> str:
    """Ten digits where the text is a NANP number in some notation, else the text as Bandwidth gave it."""
    number = _WITH_COUNTRY_CODE.fullmatch(re.sub(r"\D", "", text))
    return number[1] if number else clean_text(text)


# --- errors ---


def read_errors(body: bytes) -> tuple[TelephoneNumberError, ...]:
    """The errors in the body of a refusal (4xx or 5xx), in any shape Bandwidth uses; none if it names none.

    :raises InvalidResponseError: the body is not XML
    """
    return read_refusal(children_of(parse_document(body)))


def describe_errors(errors: Sequence[TelephoneNumberError]) -> str:
    """The errors of a refusal, at least one, in one line: the first one's text, then each other's code and text."""
    first, *others = (error.description or "no description" for error in errors)
    return "; ".join([first, *(f"{error.code}: {text}" for error, text in zip(errors[1:], others, strict=True))])


def read_error_elements(container: _Element) -> Iterator[TelephoneNumberError]:
    """The errors in an element, in any of the shapes of [oas1], [pm20] and [javafix].

    The element is an error itself, or holds errors, or both. An error is an element that has a code, a description or
    telephone numbers of its own, or is called one. A number that cannot be read could be any number of the order, so
    the error counts as one that names no number.
    """
    elements = [container]
    for element in elements:
        code = description = ""
        numbers: list[str] = []
        for child in element:
            name = name_of(child.tag)
            if name in NUMBERS:
                numbers += read_numbers(child)
            elif len(child) or name in _ERRORS:
                elements.append(child)
            elif name in _CODES:
                code = text_of(child)
            elif name in _DESCRIPTIONS:
                description = text_of(child)
        if not numbers and (code or description or name_of(element.tag) in _ERRORS):
            yield TelephoneNumberError(None, code, description)
        for number in numbers:
            if TEN_DIGITS.fullmatch(number):
                yield TelephoneNumberError(number, code, description)
            else:
                yield TelephoneNumberError(None, code, f"{description} (telephone number {number!r})".lstrip())


def read_refusal(answer: Children) -> tuple[TelephoneNumberError, ...]:
    """Errors about the answer as a whole: ResponseStatus, Status, Errors, ErrorList, a lone Error, or the root."""
    holders = [element for name, found in answer.items() if name in REFUSALS for element in found]
    errors = [error for holder in holders for error in read_error_elements(holder)]
    if not errors:
        code, description = (first_text([answer], *names) or "" for names in (_CODES, _DESCRIPTIONS))
        if code or description:
            errors.append(TelephoneNumberError(None, code, description))
    return tuple(error for error in errors if error.code != "0")


def raise_refusal(answer: Children) -> None:
    """Raise if the answer is a refusal as a whole, whatever its HTTP status."""
    if errors := read_refusal(answer):
        raise BandwidthApiError(describe_errors(errors), code=errors[0].code or None)
