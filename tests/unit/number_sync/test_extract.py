"""One column of a CSV file as CRMs write it."""

from __future__ import annotations

import io

import pytest

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.extract import read_column

A, B = "9196660100", "9196660101"


def column(content: bytes | str, name: str = "Phone") -> list[str]:
    stream = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return list(read_column(stream, name, "contacts.csv"))


@pytest.mark.parametrize(
    "content",
    [
        f"Name,Phone\nDoe,{A}\nRoe,{B}\n".encode(),
        f"Name,Phone\r\nDoe,{A}\r\nRoe,{B}".encode(),
        f"\ufeffPhone,Name\r\n{A},Doe\r\n{B},Roe\r\n".encode(),
        f"Phone,Name\r\n{A},Doe\r\n{B},Roe\r\n".encode("utf-16"),
        f'"Name", "Phone"\n"Doe, Jane", "{A}"\n"Roe\nRichard","{B}"\n'.encode(),
        f"Name;Phone\nDoe;{A}\nRoe;{B}\n".encode(),
        f"Name\tPhone\nDoe\t{A}\nRoe\t{B}\n".encode(),
        f"Name|Phone\nDoe|{A}\nRoe|{B}\n".encode(),
        f"name, PHONE \nDoe,{A}\nRoe,{B}\n".encode(),
        f"\n\nName,Phone\n\nDoe,{A}\n\nRoe,{B}\n\n".encode(),
        f"Phone\n{A}\n{B}".encode(),
        b"Name,Phone\nJos\xe9," + A.encode() + b"\nRoe," + B.encode(),
    ],
    ids=[
        "plain",
        "CRLF",
        "BOM",
        "UTF-16",
        "quoted",
        "semicolon",
        "tab",
        "bar",
        "case",
        "blank lines",
        "alone",
        "latin 1",
    ],
)
def test_column_is_read_as_crms_write_it(content: bytes) -> None:
    assert column(content) == [A, B]


def test_value_that_is_cut_by_its_own_delimiter_is_named() -> None:
    with pytest.raises(InvalidExtractError, match="line 3: 3 values under 2 column names"):
        column(f"Name,Phone\nDoe,{B}\nRoe, Jane,{A}\n")
    with pytest.raises(InvalidExtractError, match="line 2: 4 values under 2 column names"):
        column(f"Name,Phone\nDoe,{B},,\n")


def test_row_that_is_too_short_is_no_blank() -> None:
    with pytest.raises(InvalidExtractError, match="line 2: 2 values under 3 column names"):
        column(f"Id,Name,Phone\n1,Doe\n2,Roe,{A}\n")
    with pytest.raises(InvalidExtractError, match=f"line 2: 1 value under 2 column names, 'Doe;{B}'"):
        column(f"Name,Phone\nDoe;{B}\nRoe,{A}\n")


def test_exact_name_wins_over_another_case() -> None:
    assert column(f"PHONE,Phone\n1,{A}\n") == [A]


def test_extract_without_rows_has_no_values() -> None:
    assert column("Name,Phone\n") == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Name,Mobile;no\nDoe,1", ["'Phone'", "'Name'", "'Mobile;no'"]),
        (b"phone,PHONE\n1,2", ["2 columns"]),
        (b"", ["empty"]),
        (b" \n\n", ["empty"]),
        (b"PK\x03\x04\x14\x00\x06\x00Phone\n1", ["not text", "line 1"]),
        (b"Phone\n1\n\0\n", ["not text", "line 3"]),
        (b'Name,Phone\nDoe,"9196660100\nRoe,9196660101\n', ["quot"]),
        (b'Name,Phone\nDoe,"' + b"9" * 10_000_001, ["line 2", "10,000,000 characters"]),
    ],
)
def test_what_is_no_extract_is_named(content: bytes, says: list[str]) -> None:
    with pytest.raises(InvalidExtractError) as refused:
        column(content)
    for words in ("contacts.csv", *says):
        assert words in str(refused.value)
