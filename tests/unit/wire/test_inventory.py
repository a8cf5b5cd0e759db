"""The plain entries of an inventory's page are read at one go, and come to what they come to entry by entry."""

from __future__ import annotations

import random
import re
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.wire import inventory
from airflow_provider_bandwidth.wire.inventory import read_sip_peer_telephone_numbers

#: What may stand where the number of an entry stands.
FULL_NUMBERS = (
    "<FullNumber>{}</FullNumber>",
    "<FullNumber> {} </FullNumber>",
    "<FullNumber>+1{}</FullNumber>",
    "<fullNumber>{}</fullNumber>",
    "<p:FullNumber xmlns:p='u'>{}</p:FullNumber>",
    "<FullNumber><![CDATA[{}]]></FullNumber>",
    "<FullNumber>{}<Old>FullNumber</Old></FullNumber>",
    "<FullNumber><x/>{}</FullNumber>",
    "<FullNumber><x>{}</x></FullNumber>",
    "<FullNumber>91955</FullNumber>",
    "<FullNumber>0195550101</FullNumber>",
    "<FullNumber>9195550101<x/>9195550102</FullNumber>",
    "<FullNumber>{}</FullNumber><FullNumber>9195550199</FullNumber>",
    "<FullNumber>{}</FullNumber><FULLNUMBER>9195550199</FULLNUMBER>",
    "<FullNumber>{}</FullNumber><FullNumber/>",
    "<FullNumber/>",
    "",
)
EXTERNAL = "<TnAttribute>External</TnAttribute>"
ATTRIBUTES = (
    EXTERNAL,
    "<TnAttribute>Imported</TnAttribute>",
    "<TnAttribute>external</TnAttribute>",
    "<TnAttribute> Imported </TnAttribute>",
    "<Attribute>External</Attribute>",
    "<TnAttribute>Hosted</TnAttribute>",
    "<TnAttribute><x>External</x></TnAttribute>",
    "<TnAttribute><x/>External</TnAttribute>",
    "<TnAttribute/>",
)
SMS = "<MessagingSettings><SmsEnabled>true</SmsEnabled></MessagingSettings>"
NEXT = '<Links><next>Link=&lt;https://d.example/tns?page=9&amp;size=5&gt;;rel="next";</next></Links>'


def make_entry(number: object, *, full_number: str = FULL_NUMBERS[0], attributes: str = EXTERNAL) -> str:
    listed = f"{full_number.format(number)}<TnAttributes>{attributes}</TnAttributes>{SMS}"
    return f"<SipPeerTelephoneNumber>{listed}</SipPeerTelephoneNumber>"


def make_page(*entries: str) -> bytes:
    return (
        "<SipPeerTelephoneNumbersResponse><Links/>"
        f"<SipPeerTelephoneNumbers>{''.join(entries)}</SipPeerTelephoneNumbers></SipPeerTelephoneNumbersResponse>"
    ).encode()


def read(body: bytes) -> Any:
    """The numbers in no order with the next page's name, or the error."""
    try:
        page = read_sip_peer_telephone_numbers(body)
    except (InvalidResponseError, BandwidthApiError) as error:
        return repr(error)
    return sorted(page.external_telephone_numbers), sorted(page.other_telephone_numbers), page.next_page


def read_one_by_one(body: bytes) -> Any:
    with patch.object(inventory, "_take_plain_numbers", lambda document: None):
        return read(body)


def count_read_one_by_one(body: bytes) -> int:
    with patch.object(inventory, "_read_entry", wraps=inventory._read_entry) as each:
        read(body)
    return each.call_count


@st.composite
def entries(draw: st.DrawFn) -> str:
    full_number = draw(st.sampled_from((*FULL_NUMBERS[:1] * 12, *FULL_NUMBERS)))
    number = draw(st.sampled_from([f"91955501{last:02d}" for last in range(12)]))
    attributes = draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=2))
    return make_entry(number, full_number=full_number, attributes="".join(attributes))


@given(st.lists(entries(), min_size=1, max_size=6))
def test_a_page_comes_to_what_its_entries_come_to(listed: list[str]) -> None:
    body = make_page(*listed)
    assert read(body) == read_one_by_one(body)


# --- damaged pages ---

NAMES = (
    "FullNumber",
    "fullnumber",
    "TnAttributes",
    "TnAttribute",
    "SipPeerTelephoneNumber",
    "Links",
    "x",
    "{u}FullNumber",
)
TEXTS = (
    "External",
    "Imported",
    "9195550142",
    "91955",
    "50142",
    " ",
    "&<>",
    "FullNumber",
    "<FullNumber>",
    "\xa0",
    "\uff19",
)
PIECES = (
    *(
        "<!-- -->",
        "<?x?>",
        "<![CDATA[9195550143]]>",
        "&#57;",
        "&amp;",
        "<",
        ">",
        "\n",
        "\0",
        "<!DOCTYPE x>",
        "é",
        "<x/>",
    ),
    *("<FullNumber>", "</FullNumber>", "<Links>", "</Links>", "<ErrorList/>", EXTERNAL, NEXT, make_entry(9195550144)),
    *("<SipPeerTelephoneNumber>", "<SipPeerTelephoneNumber xmlns='u'>", "</SipPeerTelephoneNumber>"),
    *("<SipPeerTelephoneNumbers>", "</SipPeerTelephoneNumbers>"),
    *("<!--", "-->", "<?x ", "?>", "<![CDATA[", "]]>", "<x y='", "'/>", "<ErrorList>", "</ErrorList>", "\x0c"),
    *("<PlainEntriesTaken/>", "<plainentriestaken/>", "<x:PlainEntriesTaken xmlns:x='u'/>"),
)


def damage_tree(root: etree._Element, chance: random.Random) -> None:
    """Change one place of the tree."""
    elements = list(root.iter())
    one, other = chance.choice(elements), chance.choice(elements)
    above = one.getparent()
    if above is None:
        return
    match chance.randrange(9):
        case 0:
            above.remove(one)
        case 1:
            above.insert(chance.randrange(len(above) + 1), deepcopy(one))
        case 2:
            other.append(deepcopy(one))
        case 3:
            other.insert(0, deepcopy(one))
        case 4:
            one.tag = chance.choice(NAMES)
        case 5:
            one.text = chance.choice(TEXTS)
        case 6:
            one.tail = chance.choice(TEXTS)
        case 7:
            one.insert(0, etree.Element(chance.choice(NAMES)))
        case _:
            one.set("x", make_entry(9195550145))


def damage_bytes(body: bytes, chance: random.Random) -> bytes:
    """Cut, double, swap or add tags and texts, as bytes."""
    parts = re.findall(rb"<[^>]*>|[^<]+", body) or [b""]
    place = chance.randrange(len(parts))
    other = min(len(parts), place + chance.randrange(8))
    match chance.randrange(5):
        case 0:
            del parts[place:other]
        case 1:
            parts[place:place] = parts[place:other]
        case 2:
            parts.insert(place, chance.choice(PIECES).encode())
        case 3:
            parts[place] = parts[place].swapcase() if chance.randrange(2) else chance.choice(PIECES).encode()
        case _:
            return body[: chance.randrange(len(body) + 1)]
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(16))
def test_a_damaged_page_comes_to_what_its_entries_come_to(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        attributes = [EXTERNAL, EXTERNAL, "", ATTRIBUTES[1] + EXTERNAL, "<TnAttribute>Protected</TnAttribute>"]
        numbers = [9195550110 + chance.randrange(12) for _ in range(chance.randrange(1, 5))]
        root = etree.fromstring(
            make_page(*(make_entry(each, attributes=chance.choice(attributes)) for each in numbers))
        )
        for _ in range(chance.randrange(4)):
            damage_tree(root, chance)
        encoding = chance.choice(["utf-8", "utf-8", "us-ascii", "iso-8859-1", "utf-16"])
        body = etree.tostring(root, encoding=encoding, xml_declaration=True, pretty_print=chance.choice([True, False]))
        for _ in range(chance.randrange(4)):
            body = damage_bytes(body, chance)
        assert read(body) == read_one_by_one(body), body


# --- the usual page ---


def test_the_entries_of_the_usual_page_are_read_at_one_go() -> None:
    listed = [make_entry(9195550110), make_entry(9195550111, attributes=ATTRIBUTES[1] + EXTERNAL)]
    assert count_read_one_by_one(make_page(*listed)) == 0
    assert read(make_page(*listed)) == (["9195550110", "9195550111"], [], None)
    owned = make_entry(9195550112, attributes="")
    assert count_read_one_by_one(make_page(listed[0], owned, listed[1])) == 1
    assert read(make_page(listed[0], owned, listed[1])) == (["9195550110", "9195550111"], ["9195550112"], None)


@pytest.mark.parametrize("full_number", FULL_NUMBERS[1:])
@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_an_unusual_entry_is_read_as_before(full_number: str, attributes: str) -> None:
    usual = make_entry(9195550110)
    unusual = make_entry(9195550111, full_number=full_number, attributes=attributes)
    for body in (make_page(usual, unusual), make_page(unusual, usual), make_page(unusual, unusual)):
        assert read(body) == read_one_by_one(body)


def test_a_number_that_is_both_external_and_not_is_both() -> None:
    body = make_page(make_entry(9195550110), make_entry(9195550110, attributes=""))
    assert read(body) == (["9195550110"], ["9195550110"], None)


def test_an_entry_within_another_is_no_number_of_the_peers() -> None:
    holder = make_entry(9195550110, attributes=EXTERNAL + make_entry(9195550111))
    assert read(make_page(make_entry(9195550112), holder)) == (["9195550110", "9195550112"], [], None)


#: What may stand around an entry, and what the entry then is.
PLACES = {
    "comment": "<!--{}-->",
    "instruction": "<?x {}?>",
    "CDATA": "<![CDATA[{}]]>",
    "another element": "<x>{}</x>",
    "value": "<x y='{}'/>",
    "tag": "<x {}/>",
    "name": "<Plain{}EntriesTaken/>",
    "beside what stands for entries": "<x>{}</x><PlainEntriesTaken/>",
    "beside its like": "<x>{}</x><plainentriestaken/>",
    "beside its like of another namespace": "<x>{}</x><p:PlainEntriesTaken xmlns:p='u'/>",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another"])
def test_an_entry_that_stands_elsewhere_is_no_number_of_the_peers(place: str, is_alone: bool) -> None:
    hidden = place.format(make_entry(9195550111))
    body = make_page(hidden) if is_alone else make_page(make_entry(9195550110), hidden, make_entry(9195550112))
    assert read(body) == read_one_by_one(body)
    assert "9195550111" not in str(read(body))


@pytest.mark.parametrize("around", ["{entry}{page}", "{page}{entry}", "<!--{entry}-->{page}", "{page}<!--{entry}-->"])
def test_an_entry_before_or_behind_the_page_is_no_number_of_the_peers(around: str) -> None:
    page = make_page(make_entry(9195550110)).decode()
    body = around.format(entry=make_entry(9195550111), page=page).encode()
    assert read(body) == read_one_by_one(body)
    assert "9195550111" not in str(read(body))


def test_utf_16_whose_bytes_look_like_an_entry_is_read_by_its_characters() -> None:
    as_characters = make_entry(9195550111).encode()
    if len(as_characters) % 2:
        as_characters = make_entry(9195550111, attributes=f"{EXTERNAL}\n").encode()
    hidden = f"<x>{as_characters.decode('utf-16-le')}</x><PlainEntriesTaken/>"
    body = b"\xff\xfe" + make_page(make_entry(9195550110), hidden).decode().encode("utf-16-le")
    assert as_characters in body
    assert read(body) == (["9195550110"], [], None)


@pytest.mark.parametrize("blank", ["\n    ", "\r\n\t", "\x0c", "\x0b", "\xa0"])
def test_blanks_between_and_in_entries_change_nothing(blank: str) -> None:
    spread = make_entry(9195550110).replace("><", f">{blank}<")
    body = make_page(spread, blank, spread.replace("0110", "0111"), blank)
    assert read(body) == read_one_by_one(body)


def test_links_among_the_entries_lead_on() -> None:
    assert read(make_page(make_entry(9195550110), NEXT, make_entry(9195550111)))[2] == "9"


@pytest.mark.parametrize("further", [NEXT, make_entry(9195550112, full_number=""), "<x/>"])
def test_an_entry_of_two_numbers_is_refused_whatever_stands_beside_it(further: str) -> None:
    two = make_entry(9195550110, full_number="<FullNumber>{0}</FullNumber><FullNumber>{0}</FullNumber>")
    assert "2 FullNumbers" in read(make_page(make_entry(9195550111), two, further))


def test_two_lists_of_a_page_are_both_read() -> None:
    listed = f"</SipPeerTelephoneNumbers><SipPeerTelephoneNumbers>{make_entry(9195550111, attributes='')}"
    assert read(make_page(make_entry(9195550110), listed)) == (["9195550110"], ["9195550111"], None)


def test_an_entry_of_countless_attributes_takes_no_time() -> None:
    body = make_page(make_entry(9195550110, attributes=EXTERNAL * 20_000))
    assert read(body) == (["9195550110"], [], None)
