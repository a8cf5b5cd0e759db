"""One field of a file of JSON lines."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.json_lines import read_json_lines
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

A, B, C = "9196660100", "9196660101", "9196660102"


def field(content: bytes | str, name: str = "phone", **options: Any) -> list[object]:
    stream = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return list(read_json_lines(stream, name, "contacts.jsonl", **options))


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "content",
    [
        lines({"name": "Doe", "phone": A}, {"name": "Roe", "phone": B}),
        lines({"phone": A, "name": "Doe"}, {"name": "Roe", "phone": B}),
        f'{{"phone":" {A} "}}\r\n\r\n{{"phone":"{B}"}}',
        f'\ufeff{{"Phone ": "{A}"}}\n{{"PHONE": "{B}"}}\n',
        f'{{"phone": "{A}", "name": "Ω"}}\r\n{{"phone": "{B}"}}\r\n'.encode("utf-16"),
        b'{"name": "Jos\xe9", "phone": "%s"}\n{"phone": "%s"}\n' % (A.encode(), B.encode()),
        lines({"phone": [A, B]}),
        lines({"phone": A, "other": {"phone": C}}, {"phone": B, "other": [{"phone": C}]}),
    ],
    ids=["plain", "other order", "CRLF", "BOM and case", "UTF-16", "latin 1", "list", "nested"],
)
def test_field_is_read_as_writers_write_it(content: bytes | str) -> None:
    assert field(content) == [A, B]


def test_numbers_stay_whole() -> None:
    content = f'{{"phone": {A}}}\n{{"phone": {B}.0}}\n{{"phone": 9.19666E9}}\n{{"phone": true}}\n'
    values = field(content)
    assert values == [int(A), f"{B}.0", "9.19666E9", True]
    plan = plan_number_sync(values, [A, B, C], remove_missing=True)
    assert (plan.unchanged, plan.to_import) == ((A, B), ())
    assert [each.code for each in plan.rejected] == ["scientific_notation", "not_text"]
    assert plan.to_remove == (), "9.19666E9 may be any number that begins so"


def test_field_without_a_value_is_a_blank() -> None:
    assert field(lines({"phone": A}, {"phone": None}, {"name": "Roe"}, {"phone": []}, {"phone": ""})) == [A, *[""] * 4]
    assert field('{"phone": NaN}\n') == [""]
    assert field("") == []


def test_encoding_can_be_given() -> None:
    assert field(f'{{"телефон": "{A}"}}\n'.encode("cp1251"), "телефон", encoding="cp1251") == [A]
    with pytest.raises(InvalidExtractError, match="is not ascii"):
        field('{"téléphone": 1}\n'.encode(), encoding="ascii")


def test_characters_that_no_database_takes_are_replaced() -> None:
    assert field(r'{"phone": "919666\u0000\ud800"}' + "\n") == ["919666\ufffd\ufffd"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lines({"name": "Doe", "mobile": A}, {"fax": B}), ["no column 'phone'", "'name', 'mobile', 'fax'", "utf-8"]),
        (f'{{"phone": "{A}", "phone": "{B}"}}\n', ["line 1 has 2 columns named 'phone'"]),
        (lines({"phone": A}) + f'{{"Phone": "{A}", "PHONE": "{B}"}}\n', ["line 2 has 2 columns named 'phone'"]),
        (lines({"phone": A}) + f'{{"phone": "{B}', ["line 2", "ends inside an object", "cut short"]),
        (lines({"phone": A}) + f'{{"phone": "{B}\n', ["line 2", "no JSON object of one line"]),
        (f'{{"phone": "{A}"}}{{"phone": "{B}"}}\n', ["line 1", "Extra data"]),
        (lines([{"phone": A}]), ["line 1", "no JSON object", "no array around them"]),
        ("[\n" + lines({"phone": A}), ["line 1", "no array around them"]),
        (f'{{\n"phone": "{A}"\n}}\n', ["line 1", "one object a line"]),
        (f"phone\n{A}\n", ["line 1", "'phone'", "one object a line"]),
        (lines(A), ["line 1", "no JSON object"]),
        (lines({"phone": {"number": A}}), ["line 1: 'phone'", "an object with fields of its own"]),
        (lines({"phone": [{"number": A}]}), ["line 1: 'phone'", "an object with fields of its own"]),
        ('{"phone": ' + "9" * 5000 + "}\n", ["line 1", "ValueError"]),
        ('{"phone": ' + "[" * 100_000 + "}\n", ["line 1", "RecursionError"]),
        (b"PK\x03\x04\x14\x00\n", ["not text", "file of JSON lines"]),
        (b'{"phone": "1\0"}\n', ["NUL", "file of JSON lines"]),
        # The field was renamed within the file.
        (lines({"phone": A, "name": "Doe"}, {"name": "Roe", "telephone": B}), ["line 2", "'telephone'"]),
        (lines({"name": "Roe", "telephone": int(B)}, {"phone": A, "name": "Doe"}), ["line 1", "'telephone'"]),
    ],
)
def test_what_is_no_extract_is_named(content: bytes | str, says: list[str]) -> None:
    with pytest.raises(InvalidExtractError) as refused:
        field(content)
    for words in ("contacts.jsonl", *says):
        assert words in str(refused.value)


def test_line_without_the_field_may_have_a_number_in_another_that_is_known() -> None:
    content = lines({"fax": B, "name": "Roe"}, {"phone": A, "fax": C}, {"fax": B, "year": 2026})
    assert field(content) == ["", A, ""]


def test_lines_of_many_kinds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_bandwidth.number_sync.json_lines._MOST_ROWS_OF_NAMES", 2)
    assert field(lines(*({"phone": A, f"x{row}": row} for row in range(5)))) == [A] * 5


# --- damage ---

#: Far apart, so that no number is another with a slip.
PHONES = [f"9195{digit}{digit}0{digit}{other}7" for digit in range(5, 9) for other in range(0, 9, 2)]


def make_extract(random_: random.Random) -> str:
    rows = [
        {"name": f'Doe "{n}"', "phone": f"+1 {n[:3]}-{n[3:6]}-{n[6:]}", "mobile": random_.choice((None, f"984{n[3:]}"))}
        for n in PHONES
    ]
    names = random_.sample(["name", "mobile", "phone"], 3)
    text = lines(*({name: row[name] for name in names} for row in rows))
    return text if random_.random() < 0.7 else text.rstrip("\n")


def insert(text: str, random_: random.Random) -> str:
    at = random_.randrange(len(text))
    return text[:at] + random_.choice('",:{}[]\\\n 7') + text[at:]


def delete(text: str, random_: random.Random) -> str:
    at = random_.randrange(len(text))
    return text[:at] + text[at + 1 :]


def cut(text: str, random_: random.Random) -> str:
    """Anywhere within a line; at its end, lines are missing whole."""
    while True:
        at = random_.randrange(1, len(text))
        if "\n" not in (text[at - 1], text[at]):
            return text[:at]


def join_two(text: str, random_: random.Random) -> str:
    at = random_.choice([found.start() for found in re.finditer("\n", text)])
    return text[:at] + text[at + 1 :]


@pytest.mark.many_inputs
@pytest.mark.parametrize("damage", [insert, delete, cut, join_two], ids=lambda damage: damage.__name__)
def test_damage_removes_no_live_number_and_imports_no_other(damage: Callable[[str, random.Random], str]) -> None:
    random_ = random.Random(damage.__name__)
    refused = 0
    for _ in range(400):
        damaged = damage(make_extract(random_), random_)
        try:
            plan = plan_number_sync(field(damaged), PHONES, remove_missing=True)
        except InvalidExtractError:
            refused += 1
            continue
        assert (plan.to_remove, plan.to_import) == ((), ()), damaged
    assert refused > 100
