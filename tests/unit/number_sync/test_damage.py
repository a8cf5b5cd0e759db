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
from unittest.mock import patch

import pytest

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync import extract as extract_module
from airflow_provider_bandwidth.number_sync import plan as plan_module
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


# --- rows and values that are looked at together ---


def read(content: bytes, rows_at_a_time: int) -> list[str] | str:
    """The values, or the error; row by row if ``rows_at_a_time`` is 0."""
    with patch.object(extract_module, "_ROWS_AT_A_TIME", rows_at_a_time):
        try:
            return list(read_column(io.BytesIO(content), "Phone"))
        except InvalidExtractError as error:
            return str(error)


def note_below(extract: str, random_: random.Random) -> str:
    return extract + random_.choice(("\n", "Rows: 20\n", "\n\nend of list, 2026-11-26", "9195550101", "x" * 9))


def header_again(extract: str, random_: random.Random) -> str:
    lines = extract.splitlines(keepends=True)
    lines.insert(random_.randrange(len(lines)), lines[0])
    return "".join(lines)


def delimiter_behind_all(extract: str, random_: random.Random) -> str:
    """Behind the column names, too, or not; there may be a value behind one of them."""
    names, *rows = (line + delimiter_of(extract) for line in extract.splitlines())
    if random_.randrange(2):
        rows[random_.randrange(len(rows))] += "x"
    return "\n".join((names[: len(names) - random_.randrange(2)], *rows))


def no_damage(extract: str, random_: random.Random) -> str:
    return extract


@pytest.mark.many_inputs
@pytest.mark.parametrize(
    "damage", [*KINDS, note_below, header_again, delimiter_behind_all, no_damage], ids=lambda damage: damage.__name__
)
def test_rows_that_are_read_together_are_what_they_are_one_by_one(damage: Callable[[str, random.Random], str]) -> None:
    random_ = random.Random(damage.__name__)
    for _ in range(DAMAGES_OF_A_KIND // 3):
        damaged = damage(make_extract(random_), random_)
        if random_.randrange(2):
            damaged = random_.choice((quote, quote_less, line_break))(damaged, random_)
        content = damaged.encode(random_.choice(("utf-8", "utf-16")))
        one_by_one = read(content, 0)
        for rows_at_a_time in (1, 3, 500):
            assert read(content, rows_at_a_time) == one_by_one, damaged


def spoil(value: str, random_: random.Random) -> object:
    """The value as it is, or one that is not read together with others."""
    return random_.choice(
        (
            *[value] * 6,
            int(value),
            float(value),
            f" {value}",
            f"{value}\n{PHONES[0]}",
            f"{value[:9]}\u0663",
            "",
            " \n",
            None,
            value[:9],
            f"{value[:9]}é",
            f"2{value}",
            f"({value[:3]}) {value[3:6]}",
            MOBILES[0],
        )
    )


def test_values_that_are_compared_together_come_to_what_they_come_to_one_by_one() -> None:
    random_ = random.Random(743)
    for _ in range(DAMAGES_OF_A_KIND):
        spoiled = random_.random() < 0.8
        numbers = [written(random_.choice(PHONES), random_.choice(NOTATIONS)) for _ in range(random_.randrange(30))]
        values = [spoil(re.sub(r"\D", "", each)[-10:], random_) if spoiled else each for each in numbers]
        current = random_.sample(PHONES, random_.choice((0, 10, len(PHONES))))
        with patch.object(plan_module, "_bare_digits_of_all", lambda _: None):
            one_by_one = plan_number_sync(values, current, remove_missing=True, excluded=current[:1])
        for values_at_a_time in (1, 3, 1000):
            with patch.object(plan_module, "_VALUES_AT_A_TIME", values_at_a_time):
                assert plan_number_sync(values, current, remove_missing=True, excluded=current[:1]) == one_by_one
