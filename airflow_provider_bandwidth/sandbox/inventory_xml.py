"""Inventory, sites and peers as Bandwidth writes them: API reference, section 5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from airflow_provider_bandwidth.sandbox.inventory import HostedNumber
from airflow_provider_bandwidth.sandbox.xml import View, write_document, write_element


def write_peer_numbers(numbers: Iterable[HostedNumber], links: str, view: View, *, attributes: bool) -> bytes:
    """A page of a SIP peer's numbers; their attributes take time, and can be left out [oas1]."""
    parts = [links, "<SipPeerTelephoneNumbers>"]
    for hosted in numbers:
        details = write_attributes(hosted) + _SMS
        parts.append(
            f"<SipPeerTelephoneNumber><FullNumber>{view.number(hosted.telephone_number)}</FullNumber>"
            f"{details if attributes else ''}</SipPeerTelephoneNumber>"
        )
    parts.append("</SipPeerTelephoneNumbers>")
    return write_document("SipPeerTelephoneNumbersResponse", "".join(parts).encode())


_SMS: Final = "<MessagingSettings><SmsEnabled>true</SmsEnabled></MessagingSettings>"


def write_attributes(hosted: HostedNumber) -> str:
    """``TnAttributes``: what tells imported numbers from Bandwidth's own [oas1] [err]."""
    names = ["External", "Imported"] if hosted.external else ["Imported"]
    attributes = names if hosted.imported else ["Protected"]
    return f"<TnAttributes>{''.join(write_element('TnAttribute', name) for name in attributes)}</TnAttributes>"


def write_in_service_numbers(total: int, numbers: Sequence[HostedNumber], links: str, view: View) -> bytes:
    """A page of in-service numbers, which does not tell imported from owned ones [oas1]."""
    listed = "".join(write_element("TelephoneNumber", view.number(hosted.telephone_number)) for hosted in numbers)
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


def write_site_fields(site_id: str) -> str:
    """A ``Site``."""
    return f"<Site>{write_element('Id', site_id)}{write_element('Name', f'Sandbox site {site_id}')}</Site>"


def write_site_list(site_ids: Iterable[str]) -> bytes:
    """Every site of an account."""
    return write_document("SitesResponse", f"<Sites>{''.join(map(write_site_fields, site_ids))}</Sites>".encode())


def write_site(site_id: str) -> bytes:
    """One site."""
    return write_document("SiteResponse", write_site_fields(site_id).encode())


def write_named_peer(peer_id: str, default_peer_id: str) -> str:
    """A ``SipPeer``."""
    return (
        "<SipPeer>"
        + write_element("PeerId", peer_id)
        + write_element("PeerName", f"Sandbox peer {peer_id}")
        + write_element("IsDefaultPeer", "true" if peer_id == default_peer_id else "false")
        + "</SipPeer>"
    )


def write_peer_list(peer_ids: Sequence[str]) -> bytes:
    """Every SIP peer of a site; the first is its default."""
    content = "".join(write_named_peer(peer_id, peer_ids[0]) for peer_id in peer_ids)
    return write_document("TNSipPeersResponse", f"<SipPeers>{content}</SipPeers>".encode())


def write_peer(peer_id: str, default_peer_id: str) -> bytes:
    """One SIP peer."""
    return write_document("SipPeerResponse", write_named_peer(peer_id, default_peer_id).encode())


def write_peer_total(count: int) -> bytes:
    """How many numbers a SIP peer has: the element is nested in itself [oas1]."""
    return write_document("SipPeerTelephoneNumbersCount", write_element("SipPeerTelephoneNumbersCount", count).encode())


def write_in_service_total(count: int) -> bytes:
    """How many numbers are in service."""
    return write_document("Quantity", write_element("Count", count).encode())
