"""How many segments a text has: the unit in which Bandwidth counts, limits and bills texts. Pure.

A text whose every character is in the GSM alphabet (3GPP TS 23.038) has 160 characters in one segment, and 153 in each
of several, where a header takes room. Ten characters of its extension table count twice. One other character makes the
whole text UCS-2, with 70 and 67 UTF-16 code units. Nothing that counts twice is divided between two segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
#: Units in the only segment, and in each of several.
_SIZES: Final = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text is cut.

    :param count: segments; 0 for an empty text
    :param encoding: ``GSM-7`` or ``UCS-2``
    :param units: characters, those counted that count twice; of UCS-2, UTF-16 code units
    """

    count: int
    encoding: str
    units: int


def count_segments(text: str) -> Segments:
    """Count the segments of a text."""
    is_gsm = all(character in _BASIC or character in _EXTENDED for character in text)
    encoding = "GSM-7" if is_gsm else "UCS-2"
    widths = [_width(character, is_gsm) for character in text]
    units = sum(widths)
    single, part = _SIZES[encoding]
    if units <= single:
        return Segments(int(bool(units)), encoding, units)
    count, room = 0, 0
    for width in widths:
        if width > room:
            count, room = count + 1, part
        room -= width
    return Segments(count, encoding, units)


def _width(character: str, is_gsm: bool) -> int:
    if is_gsm:
        return 2 if character in _EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def cut_to_segments(text: str, most: int, ending: str = "...") -> str:
    """The text, or as much of its beginning as fits with an ending into so many segments.

    :param most: segments, at least 1
    """
    if count_segments(text).count <= most:
        return text
    least, enough = 0, len(text)
    while least < enough:
        middle = (least + enough + 1) // 2
        if count_segments(text[:middle] + ending).count <= most:
            least = middle
        else:
            enough = middle - 1
    return text[:least].rstrip() + ending
