"""How many segments a text takes."""

from __future__ import annotations

import math
from typing import Final

# GSM 03.38: the basic alphabet, and what takes two places.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("^{}\\[~]|€\f")


def is_gsm(text: str) -> bool:
    """Whether a text is of the GSM alphabet."""
    return set(text) <= _BASIC | _EXTENDED


def count_segments(text: str) -> int:
    """Segments of a text: of 160 places or 153 where several are joined, in UCS-2 of 70 or 67; at least one."""
    if is_gsm(text):
        places, alone, joined = len(text) + sum(each in _EXTENDED for each in text), 160, 153
    else:
        places, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if places <= alone else math.ceil(places / joined)
