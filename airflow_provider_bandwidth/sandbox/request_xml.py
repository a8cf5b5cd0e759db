"""Request bodies, read as Bandwidth reads them: by element names alone, ignoring what it does not know."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


class UnreadableBodyError(Exception):
    """The body is not well-formed XML, has a DOCTYPE, or has another root than asked for."""


@dataclass(frozen=True, slots=True)
class SentOrder:
    """The fields of an order or of a checker call, as sent: trimmed texts, ``None`` where an element is missing.

    :param subscriber: texts of the subscriber's elements, by name
    :param service_address: texts of its address's elements, by name
    :param customer_order_id_element: how the id was spelt, ``CustomerOrderID`` or ``CustomerOrderId``
    :param bare_number_list: whether a ``TelephoneNumberList`` stood where ``TelephoneNumbers`` belongs
    """

    customer_order_id: str | None
    customer_order_id_element: str
    site_id: str | None
    sip_peer_id: str | None
    action: str | None
    loa_type: str | None
    telephone_numbers: tuple[str, ...]
    bare_number_list: bool
    subscriber: Mapping[str, str] | None
    service_address: Mapping[str, str] | None
    loa_authorizing_person: str | None


def read_order(body: bytes, root_name: str) -> SentOrder:
    """Read a body whose root is ``root_name``.

    :raises UnreadableBodyError: if it is not such a document
    """
    root = _read_root(body, root_name)
    children = {_get_name(child): child for child in root}
    texts = {name: (child.text or "").strip() for name, child in children.items()}
    # Both spellings are in use: CustomerOrderID [seed], CustomerOrderId [oas1].
    subscriber = children.get("Subscriber")
    spelling = "CustomerOrderID" if "CustomerOrderID" in texts else "CustomerOrderId"
    return SentOrder(
        customer_order_id=texts.get(spelling),
        customer_order_id_element=spelling,
        site_id=texts.get("SiteId"),
        sip_peer_id=texts.get("SipPeerId"),
        action=texts.get("Action"),
        loa_type=texts.get("LoaType"),
        telephone_numbers=tuple(_read_numbers(children.get("TelephoneNumbers"))),
        bare_number_list="TelephoneNumberList" in texts,
        subscriber=_read_texts(subscriber),
        service_address=_read_texts(_find_child(subscriber, "ServiceAddress")),
        loa_authorizing_person=texts.get("LoaAuthorizingPerson"),
    )


@dataclass(frozen=True, slots=True)
class SentOptionGroup:
    """A group of numbers of a tnoptions order, and the options they are to have, as sent."""

    sms: str | None
    a2p_action: str | None
    campaign_id: str | None
    message_class: str | None
    telephone_numbers: tuple[str, ...]


def read_option_order(body: bytes) -> tuple[str | None, list[SentOptionGroup]]:
    """The customer order id and the groups of a tnoptions order.

    :raises UnreadableBodyError: if it is not such a document
    """
    root = _read_root(body, "TnOptionOrder")
    texts = _read_texts(root) or {}
    groups = [group for group in root.iter() if _get_name(group) == "TnOptionGroup"]
    return texts.get("CustomerOrderId"), [_read_group(group) for group in groups]


def _read_group(group: ET.Element) -> SentOptionGroup:
    texts = _read_texts(group) or {}
    settings = _read_texts(_find_child(group, "A2pSettings")) or {}
    return SentOptionGroup(
        sms=texts.get("Sms"),
        a2p_action=settings.get("Action"),
        campaign_id=settings.get("CampaignId"),
        message_class=settings.get("MessageClass"),
        telephone_numbers=tuple(_read_numbers(_find_child(group, "TelephoneNumbers"))),
    )


def read_texts(body: bytes, root_name: str) -> dict[str, str]:
    """The texts of a body's elements by name, if its root is ``root_name``.

    :raises UnreadableBodyError: if it is not such a document
    """
    return _read_texts(_read_root(body, root_name)) or {}


def _read_root(body: bytes, root_name: str) -> ET.Element:
    root = _parse_document(body)
    if _get_name(root) != root_name:
        raise UnreadableBodyError(f"The root element is {_get_name(root)}, not {root_name}")
    return root


def _read_texts(element: ET.Element | None) -> dict[str, str] | None:
    if element is None:
        return None
    return {_get_name(child): (child.text or "").strip() for child in element if not len(child)}


def _find_child(element: ET.Element | None, name: str) -> ET.Element | None:
    return next((child for child in (() if element is None else element) if _get_name(child) == name), None)


def _read_numbers(container: ET.Element | None) -> Iterator[str]:
    # The text of TelephoneNumber counts, nothing deeper [java issue 25].
    if container is not None:
        for child in container:
            if _get_name(child) == "TelephoneNumber":
                yield (child.text or "").strip()


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise UnreadableBodyError(f"A document type declaration is not accepted ({name})")


def _parse_document(body: bytes) -> ET.Element:
    """The root of a document.

    :raises UnreadableBodyError: if it is not well-formed XML, or has a DOCTYPE
    """
    # S314 warns of entity expansion, which needs the DOCTYPE that the builder refuses.
    parser = ET.XMLParser(target=_Builder())  # noqa: S314
    try:
        parser.feed(body)
        root: ET.Element = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise UnreadableBodyError(f"The body is not well-formed XML: {error}") from None
    return root


def _get_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
