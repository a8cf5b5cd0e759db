"""Asset URIs ``bandwidth://``: the telephone numbers of a connection, a site or a SIP peer. Pure.

``bandwidth://{connection or account}[/sites/{SiteId}][/sippeers/{SipPeerId}]/telephone-numbers``
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, quote

_PATH: Final = re.compile(r"(/sites/[1-9][0-9]{0,9})?(/sippeers/[1-9][0-9]{0,9})?/telephone-numbers", re.ASCII)


def telephone_numbers_uri(owner: str, site_id: object = None, sip_peer_id: object = None) -> str:
    """The Asset URI of telephone numbers.

    :param owner: a connection id, any that Airflow allows, or an account; what a URI cannot hold is percent-encoded
    :param site_id: SiteId; anything but digits, such as a template, is left out
    :param sip_peer_id: SipPeerId, likewise
    """
    parts = [f"bandwidth://{quote(owner, safe='!()')}"]
    for name, value in (("sites", site_id), ("sippeers", sip_peer_id)):
        if value is not None and str(value).isdecimal():
            parts.append(f"{name}/{value}")
    return "/".join([*parts, "telephone-numbers"])


def normalize_uri(uri: SplitResult) -> SplitResult:
    """Check an asset URI; Airflow calls this for every Asset of this scheme when a DAG file is parsed.

    :param uri: split, and normalised as far as every scheme is
    :return: the same URI; the words of its path in lower case
    :raises ValueError: says which form is expected
    """
    path = uri.path.lower()
    if not uri.netloc or "@" in uri.netloc or uri.query or not _PATH.fullmatch(path):
        raise ValueError(
            f"{uri.geturl()!r} is not an asset of Bandwidth's. Expected "
            "bandwidth://CONNECTION/sites/SITE_ID/sippeers/SIP_PEER_ID/telephone-numbers, with or without the site "
            "and the SIP peer."
        )
    return uri._replace(path=path)
