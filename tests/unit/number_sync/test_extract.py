"""One column of a CSV file as CRMs write it."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path

import pytest

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

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


def test_headings_between_rows_are_no_rows() -> None:
    assert column(f"Name,Phone\nNorth\nWest\nDoe,{A}\nSouth\nRoe,{B}\n") == [A, B]


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


# --- samples ---

SAMPLES = Path(__file__).parents[1] / "samples" / "extracts"


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda sample: sample.stem)
def test_sample_is_read_as_a_careful_person_would(sample: Path) -> None:
    """Each CSV has a JSON beside it: the column, what is at Bandwidth, and what should be read or refused.

    Every current number stands in the file in some form, so that none may be removed.
    """
    told = json.loads(sample.read_text(encoding="utf-8"))
    with sample.with_suffix(".csv").open("rb") as stream:
        values = read_column(stream, told["column"], sample.stem)
        if "error" in told:
            with pytest.raises(InvalidExtractError) as refused:
                list(values)
            for words in (sample.stem, *told["error"]):
                assert words in str(refused.value)
            return
        plan = plan_number_sync(values, told["current"], remove_missing=True)
    assert sorted((*plan.to_import, *plan.unchanged)) == told["expected"]
    assert (plan.to_remove, len(plan.rejected)) == ((), told.get("rejected", 0)), told["why"]


def test_what_was_assumed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        InvalidExtractError, match=r"no column 'Phone'\. Its columns: 'Straße', 'Büro-Telefon', 'Größe'"
    ):
        column((SAMPLES / "windows_1252.csv").read_bytes())
    assert "Windows-1252" in caplog.text
    with pytest.raises(InvalidExtractError, match=r"\(Read as utf-16, '\\t' between columns\.\)"):
        column((SAMPLES / "utf_16_chinese.csv").read_bytes())


def test_encoding_can_be_given() -> None:
    stream = io.BytesIO(f"Имя;Телефон\n1;{A}\n".encode("cp1251"))
    assert list(read_column(stream, "Телефон", encoding="cp1251")) == [A]
    with pytest.raises(InvalidExtractError, match="no encoding 'klingon'"):
        list(read_column(io.BytesIO(b"Phone\n"), "Phone", encoding="klingon"))
    for no_text in ("hex", "rot13", "undefined"):
        with pytest.raises(InvalidExtractError, match=f"no encoding '{no_text}'"):
            list(read_column(io.BytesIO(b"Phone\n"), "Phone", encoding=no_text))
    with pytest.raises(InvalidExtractError, match="is not ascii"):
        list(read_column(io.BytesIO("Téléphone\n".encode()), "Phone", encoding="ascii"))


def test_pythons_limit_of_fields_is_as_before() -> None:
    before = csv.field_size_limit()
    column(f"Phone\n{A}\n")
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    "content",
    [
        f"{A},Doe\nPhone,Name\n{B},Roe\n",
        f"{A}\nPhone\n{B}\n",
        f"{A}\nPhone,Name\n{B},Roe\n",
        f"{A}\nName,Phone\nRoe,{B}\n",
        f"{A},Doe,x\nPhone,Name\n{B},Roe\n",
    ],
    ids=["row", "alone", "alone above a table", "alone above a table whose first column is another", "wider row"],
)
def test_a_number_above_the_column_names_is_not_skipped_as_a_title(content: str) -> None:
    """So a file looks that was sorted, or joined the wrong way round."""
    with pytest.raises(InvalidExtractError, match="line 1: a telephone number stands above the row of column names"):
        column(content)


@pytest.mark.parametrize(
    "above",
    ["Phone,,\n", "Contact,Contact,Phone\n", "Phone list,,\n\n", "Sort by,Phone,asc\n\n"],
    ids=["title", "group", "list", "filter"],
)
def test_a_heading_that_is_named_like_the_column_is_not_the_row_of_names(above: str) -> None:
    assert column(f"{above}Name,Phone,Notes\nDoe,{A},ok\nRoe,{B},ok\n") == [A, B]


def test_a_row_number_without_a_name_is_not_a_delimiter_at_the_end() -> None:
    """A blank last column hides that every value stands under its neighbour's name."""
    rows = "".join(f"{number},9845550{number:03d},{A},\n" for number in range(1, 9))
    with pytest.raises(
        InvalidExtractError, match="line 2: 4 values under 3 column names, and the first counts the rows"
    ):
        column(f"Mobile,Phone,Fax\n{rows}")
    assert column(f"Id,Phone\n1,{A},\n3,{B},\n") == [A, B]
    assert column(f'Id,Phone\n1,{A},\n"3\n4",{B},\n') == [A, B]


def test_a_delimiter_at_the_end_of_all_rows_has_nothing_behind_it() -> None:
    with pytest.raises(InvalidExtractError, match="line 64: 4 values under 3 column names"):
        column(f"Name,Mobile,Phone\nDoe,,{A},\nRoe,,{B},\n" + "\n" * 60 + f"Poe, Jr,9845550101,{B}\n")


def test_a_nul_character_is_found_by_its_line_and_column() -> None:
    with pytest.raises(InvalidExtractError, match="line 50002 holds a NUL character in column 2"):
        column("Name,Phone,City\n" + f"Doe,{A},Durham\n" * 50_000 + f",{B}\0,Cary\n")


def test_a_mark_of_byte_order_may_have_been_misread() -> None:
    misread = codecs.BOM_UTF8.decode("cp1252")
    assert column(f"{misread}Phone,Name\n{A},Doe\n{misread}Phone,Name\n{B},Roe\n") == [A, B]


def test_joined_files_with_the_same_columns_in_another_order_are_refused() -> None:
    with pytest.raises(InvalidExtractError, match="another row of column names, in another order"):
        column(f"Phone,Name\n{A},Doe\nName,Phone\nRoe,{B}\n")


def test_joined_files_may_have_a_column_name_of_two_lines() -> None:
    part = 'Phone,"First\nname"\n'
    assert column(f"{part}{A},Doe\n{part}{B},Roe\n") == [A, B]


def test_a_file_without_line_ends_is_no_extract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_bandwidth.number_sync.text_lines.LONGEST_FIELD", 100)
    with pytest.raises(InvalidExtractError, match="it has more than 100 characters"):
        column("Phone" * 50)


def test_a_value_that_reads_like_another_column_name_is_a_value() -> None:
    assert column(f"Phone,Name,City\nName,Doe,Durham\n{A},Roe,Durham\n") == ["Name", A]
