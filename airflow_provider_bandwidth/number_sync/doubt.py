"""Which numbers a value that could not be read may stand for: none of them is removed, since somebody wants it. Pure.

A *reading* is a row of digits that the value may have meant: its own digits in any script, also with letters that look
like digits (``O`` for 0) or with letters as on a keypad (``HELP`` for 4357). A reading may stand for

* any ten digits in a row;
* numbers that it becomes with a digit more or less, or with the area code moved from its end to its front
  (``555-0101 (919)``); and, if it has ten digits that can be no number, with one of the first six digits changed, or
  two of them swapped;
* numbers that end or begin with it, if it is shorter;
* for scientific notation and floats, numbers that begin with its digits.

Beside a whole number (``919-555-0101 ext 7``) only what is as long as a number itself is looked at, or what stands for
its last digits: of ``919-555-0100/02`` the second number, of ``919-555-0100 to 0109`` all ten.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Final
from urllib.parse import unquote

from airflow_provider_bandwidth.values import is_missing, is_narrow_float

_TOO_LARGE: Final = 10**20
_DIGITS: Final = "0123456789"
_KEYPAD: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_LOOK_ALIKES: Final = str.maketrans("OoQDlIiSsBZzG|!", "000011155822611")
#: The fewest digits that say enough. People shorten a number to its last four digits, never to its first four.
_SHORTEST_ENDING: Final = 4
_SHORTEST_BEGINNING: Final = 5
#: The fewest digits that a part of the value needs to count: fewer are an extension, or the number of a house.
_SHORTEST_PART: Final = 7
#: A word without so many digits beside it is no vanity number.
_FEWEST_DIGITS_OF_VANITY: Final = 3
_WHOLE_NUMBER: Final = re.compile(
    r"(?<![\d+])(?:\+?1[-./ ()]*)?([2-9]\d\d)[-./ ()]*([2-9]\d\d)[-./ ()]*(\d{4})(?!\d)", re.ASCII
)
#: ``9.19556E+09``, engineers' ``919.556E+07``, and the typographer's ``9.19556 x 10^9``.
_SCIENTIFIC_NOTATION: Final = re.compile(r"(\d+)[.,]?(\d*) ?(?:E ?\+?\d|[x*\u00d7\u22c5] ?10 ?\^? ?\d)", re.IGNORECASE)
_TEXT_OF_FLOAT: Final = re.compile(r"\+?(\d+)[.,]00?")
_MASK: Final = re.compile(r"[xX*?#_]")
#: Digits that are left out, however many: ``919...0101``.
_LEFT_OUT: Final = re.compile(r"\.{2,}|[xX*?#_]+")
_TRUNK: Final = re.compile(r"(?:00|011|0)?1?")
#: What stands between several numbers, one of which may be whole and another not.
_BETWEEN: Final = re.compile(r"[^0-9 ().+\-]+|\+")
_DIGITS_BEHIND: Final = re.compile(r"(\D*)(\d+)")
_EXTENSION_MARK: Final = re.compile(r"[x#]", re.IGNORECASE)
#: Between the first and the last of many numbers.
_TO: Final = re.compile(r"[-\u2010-\u2015~]|\.\.|\b(?:to|thru|through|until|till|bis|a|al)\b", re.IGNORECASE)
_LONGEST_LAST_DIGITS: Final = 6


def numbers_they_could_be(values: Iterable[object], numbers: Collection[str]) -> set[str]:
    """Those of ``numbers`` that any of the values may stand for.

    Takes some microseconds a value and, where a value is an ending or a beginning, one pass over the numbers for each
    length of these: a tenth of a second for a million.

    :param values: what could not be read, as it was given
    :param numbers: ten digits each
    """
    known = numbers if isinstance(numbers, set | frozenset | dict) else set(numbers)
    endings: set[str] = set()
    beginnings: set[str] = set()
    masks: set[str] = set()
    found: set[str] = set()
    ranges: set[tuple[str, str]] = set()
    for text in {_text(value) for value in values}:
        found.update(filter(known.__contains__, _rows_of_ten(_only_digits(text))))
        beginnings.update(_digits_before_exponent(text))
        if mask := _mask(text):
            masks.add(mask)
        ranges.update(_ranges(text))
        for reading in _readings(text):
            found.update(filter(known.__contains__, _rows_of_ten(reading)))
            for digits in {reading, reading.removeprefix("1"), _TRUNK.sub("", reading, count=1)}:
                found.update(filter(known.__contains__, _slips(digits)))
                if _SHORTEST_ENDING <= len(digits) < 10:
                    endings.add(digits)
                if _SHORTEST_BEGINNING <= len(digits) < 10:
                    beginnings.add(digits)
    return found | _matching(known, endings, beginnings, masks) | _within(known, ranges)


def _text(value: object) -> str:
    if is_narrow_float(value):
        return f"{float(str(value)):.5e}"
    if isinstance(value, float | Decimal) and not is_missing(value) and -_TOO_LARGE < value < _TOO_LARGE:
        return f"{value:.1f}"
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | bytearray | memoryview) else str(value)
    if "%" in text or "&" in text:
        text = html.unescape(unquote(text))
    return _in_ascii_digits(unicodedata.normalize("NFKC", text))


def _readings(text: str) -> set[str]:
    rest = _WHOLE_NUMBER.sub("|", text)
    writings = {rest}
    if rest.lower() != rest.upper() and len(_only_digits(rest)) >= _FEWEST_DIGITS_OF_VANITY:
        writings |= {rest.translate(_LOOK_ALIKES), rest.lower().translate(_KEYPAD)}
    parts = (_only_digits(part) for each in writings for part in _BETWEEN.split(each))
    readings = {part for part in parts if len(part) >= _SHORTEST_PART}
    return readings if rest != text else readings | {_only_digits(each) for each in writings}


def _in_ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text)


def _only_digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _rows_of_ten(digits: str) -> Iterator[str]:
    return (digits[start : start + 10] for start in range(len(digits) - 9))


def _slips(digits: str) -> Iterator[str]:
    """What a row of digits is after one slip of the hand is undone, if it has ten digits then."""
    if len(digits) == 11:
        yield from (digits[:at] + digits[at + 1 :] for at in range(11))
    elif len(digits) == 9:
        yield from (digits[:at] + more + digits[at:] for at in range(10) for more in _DIGITS)
    elif len(digits) == 10 and not _WHOLE_NUMBER.fullmatch(digits):
        yield from (digits[:at] + other + digits[at + 1 :] for at in range(6) for other in _DIGITS)
        yield from (digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :] for at in range(5))
    if len(digits) == 10:
        yield digits[7:] + digits[:7]


def _digits_before_exponent(text: str) -> tuple[str, ...]:
    """The first digits of a number that was shortened to scientific notation, or to a float that looks so.

    The last digit may have been rounded up.
    """
    if found := _SCIENTIFIC_NOTATION.search(text):
        digits = found[1] + found[2]
    elif (found := _TEXT_OF_FLOAT.fullmatch(text.strip())) and found[1].endswith("0000"):
        digits = found[1].rstrip("0")
    else:
        return ()
    if len(digits) > 1:
        digits = digits.removeprefix("1")
    digits = digits[:10]
    return digits, f"{int(digits or 0) - 1:0{len(digits)}d}"


def _mask(text: str) -> str:
    """A pattern, where some digits of ten are hidden behind ``X``, ``*`` or the like, or left out."""
    shown = re.sub(r"[^0-9xX*?#_]", "", text)
    shown = shown[1:] if len(shown) == 11 else shown
    if not _SHORTEST_ENDING <= len(digits := _only_digits(shown)) < 10:
        return ""
    if len(shown) == 10:
        return _MASK.sub("[0-9]", shown)
    if len(_LEFT_OUT.findall(text)) != 1:
        return ""
    before, after = (_only_digits(part) for part in _LEFT_OUT.split(text))
    before = before.removeprefix("1")
    return f"{before}[0-9]{{{10 - len(before) - len(after)}}}{after}" if len(digits) > _SHORTEST_ENDING else ""


def _ranges(text: str) -> Iterator[tuple[str, str]]:
    """The first and the last of the numbers that stand behind a whole one in short, or between two."""
    whole = list(_WHOLE_NUMBER.finditer(text))
    for index, each in enumerate(whole):
        number = "".join(each.groups())
        following = whole[index + 1] if index + 1 < len(whole) else None
        rest = text[each.end() : following.start() if following else len(text)]
        for found in _DIGITS_BEHIND.finditer(rest):
            between, last = found.groups()
            if len(last) > _LONGEST_LAST_DIGITS or _EXTENSION_MARK.search(between):
                break
            other = number[: -len(last)] + last
            yield (min(number, other), max(number, other)) if _TO.search(between) else (other, other)
        else:
            if following and _TO.search(rest):
                yield number, "".join(following.groups())


def _within(numbers: Iterable[str], ranges: Collection[tuple[str, str]]) -> set[str]:
    if not ranges:
        return set()
    ascending = sorted(numbers)
    return {
        number
        for first, last in ranges
        for number in ascending[bisect_left(ascending, first) : bisect_right(ascending, last)]
    }


def _matching(numbers: Iterable[str], endings: set[str], beginnings: set[str], masks: set[str]) -> set[str]:
    found: set[str] = set()
    for length in {len(each) for each in endings}:
        found.update(number for number in numbers if number[-length:] in endings)
    for length in {len(each) for each in beginnings}:
        found.update(number for number in numbers if number[:length] in beginnings)
    if masks:
        fits = re.compile("|".join(sorted(masks))).fullmatch
        found.update(number for number in numbers if fits(number))
    return found
