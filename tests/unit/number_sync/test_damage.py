"""A valid extract with one damage: it is refused, or no live number is removed and no other number is imported.

Two kinds of damage leave no trace and are left out: whole rows that are missing (also behind a cut inside the last cell
of a row), and a digit that became another, which makes a valid row of another number. There the guards stand.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections import Counter
from collections.abc import Callable

import pytest

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

DAMAGES_OF_A_KIND = 250
#: Far apart, so that no number is another with a slip.
PHONES = [f"9195{digit}{digit}0{digit}{other}7" for digit in range(5, 9) for other in range(0, 9, 2)]
MOBILES = [f"9845{digit}{digit}1{digit}{other}3" for digit in range(5, 9) for other in range(0, 9, 2)]
NOTATIONS = (
    "{0}{1}{2}",
    "{0}-{1}-{2}",
    "({0}) {1}-{2}",
    "+1 {0} {1} {2}",
    "+1{0}{1}{2}",
    "1-{0}-{1}-{2}",
    "{0}.{1}.{2}",
)
NOTES = ("", "ok", "tall, kind", "5'10\" tall", "two\nlines", "called twice", "a; b | c")


def written(number: str, notation: str) -> str:
    return notation.format(number[:3], number[3:6], number[6:])


def make_extract(random_: random.Random) -> str:
    """As CRMs write it, with the columns in any order."""
    notation = random_.choice(NOTATIONS)
    rows = [
        {
            "Name": f"Doe {row}",
            "Mobile": random_.choice(("", written(mobile, notation))),
            "Phone": written(phone, notation),
            "Notes": random_.choice(NOTES),
        }
        for row, (phone, mobile) in enumerate(zip(PHONES, MOBILES, strict=True))
    ]
    columns = random_.sample(["Name", "Mobile", "Notes"], random_.randint(1, 3))
    columns.insert(random_.randint(0, len(columns)), "Phone")
    text = io.StringIO()
    writer = csv.DictWriter(
        text,
        columns,
        delimiter=random_.choice(",;\t|"),
        quoting=random_.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        lineterminator=random_.choice(("\n", "\r\n")),
        extrasaction="ignore",
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue() if random_.random() < 0.7 else text.getvalue().rstrip("\r\n")


def delimiter_of(extract: str) -> str:
    return next(each for each in ",;\t|" if each in extract.splitlines()[0])


def places_of(pattern: str, extract: str) -> list[re.Match[str]]:
    return list(re.finditer(pattern, extract))


def insert(extract: str, at: int, piece: str) -> str:
    return extract[:at] + piece + extract[at:]


def quote(extract: str, random_: random.Random) -> str:
    return insert(extract, random_.randrange(len(extract)), '"')


def quote_at_a_cell(extract: str, random_: random.Random) -> str:
    delimiter = re.escape(delimiter_of(extract))
    return insert(
        extract, random_.choice(places_of(rf"(?<=[{delimiter}\n])|(?=[{delimiter}\r\n])", extract)).start(), '"'
    )


def quote_less(extract: str, random_: random.Random) -> str:
    quotes = places_of('"', extract)
    if not quotes:
        return quote(extract, random_)
    at = random_.choice(quotes).start()
    return extract[:at] + extract[at + 1 :]


def delimiter_more(extract: str, random_: random.Random) -> str:
    return insert(extract, random_.randrange(len(extract)), delimiter_of(extract))


def delimiter_less(extract: str, random_: random.Random) -> str:
    at = random_.choice(places_of(re.escape(delimiter_of(extract)), extract)).start()
    return extract[:at] + extract[at + 1 :]


def other_delimiter(extract: str, random_: random.Random) -> str:
    at = random_.choice(places_of(re.escape(delimiter_of(extract)), extract)).start()
    return extract[:at] + random_.choice(",;\t|".replace(delimiter_of(extract), "")) + extract[at + 1 :]


def line_break(extract: str, random_: random.Random) -> str:
    return insert(extract, random_.randrange(len(extract)), random_.choice(("\n", "\r\n")))


def line_break_less(extract: str, random_: random.Random) -> str:
    found = random_.choice(places_of(r"\r?\n", extract))
    return extract[: found.start()] + extract[found.end() :]


def cut(extract: str, random_: random.Random) -> str:
    """Anywhere within a row; at its end, rows are missing whole."""
    while True:
        at = random_.randrange(len(extract.splitlines()[0]) + 2, len(extract))
        if extract[at - 1] != "\n" and extract[at] not in "\r\n":
            return extract[:at]


def digit_group(extract: str, random_: random.Random) -> str:
    """A digit lost, doubled or made a letter, or punctuation elsewhere in the number."""
    found = random_.choice(places_of(r"\+?[\d(][-\d ().]{8,}\d", extract))
    number = found[0]
    at = random_.choice(places_of(r"\d", number)).start()
    changed = random_.choice(
        (
            number[:at] + number[at + 1 :],
            number[:at] + number[at] + number[at:],
            number[:at] + random_.choice("OlxEe#*") + number[at + 1 :],
            number[:at] + random_.choice(" -./") + number[at:],
            number[:at] + random_.choice((" ", "-")) + re.sub(r"[-. ()]", "", number[at:]),
        )
    )
    return extract[: found.start()] + changed + extract[found.end() :]


KINDS: tuple[Callable[[str, random.Random], str], ...] = (
    quote,
    quote_at_a_cell,
    quote_less,
    delimiter_more,
    delimiter_less,
    other_delimiter,
    line_break,
    line_break_less,
    cut,
    digit_group,
)


def outcome(extract: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What would be removed and imported; None if the extract is refused."""
    try:
        values = read_column(io.BytesIO(extract.encode()), "Phone")
        plan = plan_number_sync(values, PHONES, remove_missing=True)
    except InvalidExtractError:
        return None
    return plan.to_remove, plan.to_import


def behind(extract: str, damaged: str) -> set[str]:
    """The numbers of rows that a cut left nothing of."""
    digits = re.sub(r"\D", "", extract[len(damaged) :].partition("\n")[2])
    return {phone for phone in PHONES if phone in digits}


@pytest.mark.many_inputs
@pytest.mark.parametrize("damage", KINDS, ids=lambda damage: damage.__name__)
def test_damage_removes_no_live_number_and_imports_no_other(damage: Callable[[str, random.Random], str]) -> None:
    random_ = random.Random(damage.__name__)
    seen: Counter[str] = Counter()
    for _ in range(DAMAGES_OF_A_KIND):
        extract = make_extract(random_)
        damaged = damage(extract, random_)
        found = outcome(damaged)
        seen["refused" if found is None else "read"] += 1
        if damage is cut and found is not None:
            found = tuple(sorted({*found[0]} - behind(extract, damaged))), found[1]
        assert found in (None, ((), ())), damaged
    assert seen.total() == DAMAGES_OF_A_KIND


@pytest.mark.many_inputs
def test_extracts_without_damage_are_read() -> None:
    random_ = random.Random(743)
    for _ in range(DAMAGES_OF_A_KIND):
        extract = make_extract(random_)
        assert outcome(extract) == ((), ()), extract
        assert len(list(read_column(io.BytesIO(extract.encode()), "Phone"))) == len(PHONES)
