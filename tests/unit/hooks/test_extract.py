"""Extracts by the end of their path, and queries of a database."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook
from airflow.providers.common.sql.hooks.sql import DbApiHook
from pyarrow import parquet

from airflow_provider_bandwidth.exceptions import ExtractUnavailableError, InvalidExtractError
from airflow_provider_bandwidth.hooks.extract import read_sql_column, read_telephone_number_column

A, B = "9196660100", "9196660101"
JSON_LINES = json.dumps({"phone": A}) + "\n"


class TestFiles:
    @pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "X.JSONL"])
    def test_json_lines(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_text(JSON_LINES)
        assert list(read_telephone_number_column(str(path), "Phone")) == [A]
        path.write_text("no JSON\n")
        with pytest.raises(InvalidExtractError, match=f"{path}, line 1"):
            list(read_telephone_number_column(str(path), "Phone"))

    def test_parquet(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        parquet.write_table(pa.table({"Phone": [A, B]}), path)
        assert list(read_telephone_number_column(path.as_uri(), "phone")) == [A, B]
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InvalidExtractError, match=f"{path} is no whole Parquet file"):
            list(read_telephone_number_column(str(path), "phone"))

    @pytest.mark.parametrize(("name", "content"), [("x.csv.gz", f"Phone\n{A}\n"), ("x.jsonl.gz", JSON_LINES)])
    def test_gzip(self, tmp_path: Path, name: str, content: str) -> None:
        path = tmp_path / name
        whole = gzip.compress(content.encode())
        path.write_bytes(whole)
        assert list(read_telephone_number_column(str(path), "phone")) == [A]
        for damaged in (whole[:-1], b"", content.encode()):
            path.write_bytes(damaged)
            with pytest.raises(InvalidExtractError, match="no whole gzip file") as refused:
                list(read_telephone_number_column(str(path), "phone"))
            assert not isinstance(refused.value, ExtractUnavailableError)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """What the hook of connection ``crm`` connects to."""
    connection = sqlite3.connect(":memory:")

    class Hook(DbApiHook):
        conn_name_attr = "crm_conn_id"

        def get_conn(self) -> sqlite3.Connection:
            return connection

    def get_hook(conn_id: str, **_: Any) -> DbApiHook:
        assert conn_id == "crm"
        return Hook()

    monkeypatch.setattr(BaseHook, "get_hook", get_hook)
    return connection


class TestSql:
    def test_only_column_needs_no_name(self, database: sqlite3.Connection) -> None:
        sql = f"SELECT ' {A} ' AS phone UNION ALL SELECT {B} UNION ALL SELECT NULL UNION ALL SELECT CAST('1' AS BLOB)"
        assert list(read_sql_column("crm", sql)) == [A, int(B), "", "1"]

    def test_column_is_chosen_as_in_a_file(self, database: sqlite3.Connection) -> None:
        sql = f"SELECT 'Doe' AS name, '{A}' AS \"Phone\", '{B}' AS phone"
        assert list(read_sql_column("crm", sql, "phone ")) == [B]

    def test_rows_come_in_chunks_and_may_be_mappings(
        self, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_bandwidth.hooks.extract._ROWS_AT_A_TIME", 2)
        database.row_factory = lambda cursor, row: dict(zip([each[0] for each in cursor.description], row, strict=True))
        sql = " UNION ALL ".join(f"SELECT '{number}' AS phone" for number in range(5))
        assert list(read_sql_column("crm", sql)) == ["0", "1", "2", "3", "4"]

    def test_query_without_rows_has_no_values(self, database: sqlite3.Connection) -> None:
        assert list(read_sql_column("crm", "SELECT 1 AS phone WHERE 0")) == []

    @pytest.mark.parametrize(
        ("sql", "column", "says"),
        [
            ("SELECT 1 AS a, 2 AS b", None, r"gives 2 columns \(a, b\): name one as column"),
            ("SELECT 1 AS a, 2 AS b", "phone", r"no column 'phone'\. Its columns: 'a', 'b'"),
            ("SELECT 1 AS a, 2 AS a", "a", "2 columns named 'a'"),
            ("CREATE TABLE x (y)", None, "gives no rows: sql must be one SELECT"),
            ("SELECT 1; SELECT 2", None, "is refused by the database: You can only execute one statement at a time"),
        ],
    )
    def test_mistake_is_named(self, database: sqlite3.Connection, sql: str, column: str | None, says: str) -> None:
        with pytest.raises(InvalidExtractError, match=says) as refused:
            list(read_sql_column("crm", sql, column))
        assert "connection 'crm'" in str(refused.value)
        assert not isinstance(refused.value, ExtractUnavailableError)

    def test_database_that_does_not_answer_may_do_so_later(self, database: sqlite3.Connection) -> None:
        with pytest.raises(ExtractUnavailableError, match="cannot be read now: no such table: contacts"):
            list(read_sql_column("crm", "SELECT phone FROM contacts"))

    def test_other_errors_pass_as_they_are(self, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "airflow_provider_bandwidth.hooks.extract._open_cursor", lambda _: (_ for _ in ()).throw(KeyError("x"))
        )
        with pytest.raises(KeyError):
            list(read_sql_column("crm", "SELECT 1"))

    @pytest.mark.parametrize(
        ("found", "error", "says"),
        [
            (AirflowNotFoundException("x"), ExtractUnavailableError, "'crm', which sql_conn_id names, isn't defined"),
            (AirflowException('Unknown hook type "x"'), InvalidExtractError, "apache-airflow-providers-postgres"),
            (ModuleNotFoundError("No module named 'x'"), InvalidExtractError, "apache-airflow-providers-postgres"),
            (BaseHook(), InvalidExtractError, r"is not of an SQL database \(BaseHook\)"),
        ],
    )
    def test_connection_of_no_use_is_named(
        self, monkeypatch: pytest.MonkeyPatch, found: Any, error: type[Exception], says: str
    ) -> None:
        def get_hook(conn_id: str, **_: Any) -> Any:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(BaseHook, "get_hook", get_hook)
        with pytest.raises(error, match=says):
            list(read_sql_column("crm", "SELECT 1"))
