"""Open an extract: a file wherever Airflow's object storage reaches it, or a query of a database."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import IO, Any, Final, cast

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowNotFoundException,
    BaseHook,
    ObjectStoragePath,
)

from airflow_provider_bandwidth.exceptions import ExtractUnavailableError, InvalidExtractError
from airflow_provider_bandwidth.number_sync.columns import find_index, iter_cell
from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.json_lines import read_json_lines
from airflow_provider_bandwidth.number_sync.parquet import read_parquet

#: Rows that are fetched at a time: ten thousand numbers are a megabyte.
_ROWS_AT_A_TIME: Final = 10_000


def check_sources(
    telephone_numbers: Any, extract_path: str | None, column: str | None, sql: str | None, sql_conn_id: str | None
) -> None:
    """Check that the desired numbers come from exactly one place, whose parameters are complete.

    :raises ValueError: they come from none or several, or a parameter is missing or too much
    """
    if sum(each is not None for each in (telephone_numbers, extract_path, sql)) != 1:
        raise ValueError("give one of telephone_numbers, extract_path and sql")
    if (sql is None) != (sql_conn_id is None):
        raise ValueError("sql and sql_conn_id belong together")
    if extract_path is not None and column is None:
        raise ValueError("extract_path and column belong together")
    if telephone_numbers is not None and column is not None:
        raise ValueError("column belongs to extract_path or sql")


def read_desired(
    telephone_numbers: Any,
    extract_path: str | None,
    column: str | None,
    encoding: str | None,
    sql: str | None,
    sql_conn_id: str | None,
) -> Iterable[object] | str:
    """The desired numbers of a sync, from the one place that is given. A file or query is opened when it is read.

    The parameters are the plan operator's, checked by :func:`check_sources` and rendered.
    """
    name = str(column) if column else None
    if extract_path is not None:
        return read_telephone_number_column(str(extract_path), name or "", encoding=str(encoding) if encoding else None)
    if sql is not None:
        return read_sql_column(str(sql_conn_id), str(sql), name)
    return () if telephone_numbers is None else cast("Iterable[object] | str", telephone_numbers)


def read_telephone_number_column(path: str, column: str, *, encoding: str | None = None) -> Iterator[object]:
    """The values of one column of an extract, one by one, texts without blanks around them.

    The end of the path says what is read: ``.jsonl`` and ``.ndjson`` are JSON lines, ``.parquet`` is Parquet, anything
    else is CSV. JSON lines and CSV may have ``.gz`` behind it.

    :param path: anything Airflow's ``ObjectStoragePath`` takes: a local path, ``s3://conn_id@bucket/key``, ...
    :param column: the column's name
    :param encoding: of the text, instead of a guess; see ``number_sync.extract.read_column``
    :raises ExtractUnavailableError: the file cannot be opened or read now; it may be late
    :raises InvalidExtractError: its content is not an extract with this column
    """
    kind = path.lower()
    with _errors_naming_file(path), ObjectStoragePath(path).open("rb") as opened:
        stream = cast(IO[bytes], opened)
        if kind.endswith(".parquet"):
            yield from read_parquet(stream, column, path)
            return
        if kind.endswith(".gz"):
            stream = _unpack(stream)
        if kind.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            yield from read_json_lines(stream, column, path, encoding=encoding)
        else:
            yield from read_column(stream, column, path, encoding=encoding)


def _unpack(stream: IO[bytes]) -> IO[bytes]:
    if not stream.read(1):
        raise EOFError("it has no bytes at all")
    stream.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream))


@contextmanager
def _errors_naming_file(path: str) -> Iterator[None]:
    try:
        yield
    except InvalidExtractError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidExtractError(f"{path} is no whole gzip file, it is cut short or damaged: {error}.") from None
    except OSError as error:
        raise ExtractUnavailableError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, ImportError) as error:
        raise InvalidExtractError(
            f"{path} cannot be read: {error}. Install the Airflow provider that serves this kind of path with its file "
            "system, for s3:// apache-airflow-providers-amazon[s3fs]."
        ) from error


def read_sql_column(conn_id: str, sql: str, column: str | None = None) -> Iterator[object]:
    """The values of one column of a query, one by one, fetched in chunks through the connection's DB-API hook.

    On PostgreSQL the rows stay in the server until they are fetched; elsewhere that is up to the driver.

    :param conn_id: Airflow connection of any SQL database
    :param sql: one query; it is rolled back
    :param column: the column's name, see ``number_sync.extract.read_column``; not needed if there is only one
    :raises ExtractUnavailableError: the database does not answer (now)
    :raises InvalidExtractError: the connection is not of an SQL database, the database refuses the query, or there is
        no such column
    """
    source = f"The query of connection {conn_id!r}"
    with (
        _errors_naming_query(source),
        closing(_connect(conn_id)) as connection,
        closing(_open_cursor(connection)) as cursor,
    ):
        cursor.execute(sql)
        rows = cursor.fetchmany(_ROWS_AT_A_TIME)
        # PostgreSQL tells the columns with the first rows.
        names = [str(each[0]) for each in cursor.description or ()]
        index = _find_column(names, column, source)
        where = f"{source}: column {names[index]!r}"
        while rows:
            for row in rows:
                yield from iter_cell(row[names[index]] if isinstance(row, Mapping) else row[index], where)
            rows = cursor.fetchmany(_ROWS_AT_A_TIME)


def _connect(conn_id: str) -> Any:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        raise ExtractUnavailableError(
            f"Connection {conn_id!r}, which sql_conn_id names, isn't defined in Airflow, or Airflow could not look it "
            "up just now."
        ) from None
    except (AirflowException, ImportError) as error:
        raise InvalidExtractError(
            f"Connection {conn_id!r} cannot be used for sql: {error}. Install the Airflow provider of its database, "
            "for PostgreSQL apache-airflow-providers-postgres."
        ) from error
    if not isinstance(hook, DbApiHook):
        raise InvalidExtractError(
            f"Connection {conn_id!r}, which sql_conn_id names, is not of an SQL database ({type(hook).__name__})."
        )
    return hook.get_conn()


def _open_cursor(connection: Any) -> Any:
    """A cursor whose rows stay in the server. PostgreSQL's usual one takes all of them into memory at once."""
    if type(connection).__module__.partition(".")[0] in ("psycopg", "psycopg2"):
        return connection.cursor(name="airflow_provider_bandwidth")
    return connection.cursor()


def _find_column(names: list[str], column: str | None, source: str) -> int:
    if not names:
        raise InvalidExtractError(f"{source} gives no rows: sql must be one SELECT.")
    if column is not None:
        return find_index(names, column, source)
    if len(names) > 1:
        raise InvalidExtractError(
            f"{source} gives {len(names)} columns ({', '.join(names[:50])}): name one as column, or select only one."
        )
    return 0


@contextmanager
def _errors_naming_query(source: str) -> Iterator[None]:
    """Say of an error whether another try may help. Every driver has classes of its own, under the DB-API's names."""
    try:
        yield
    except InvalidExtractError:
        raise
    except Exception as error:
        names = {each.__name__ for each in type(error).__mro__}
        why = " ".join(str(error).split())
        if names & {"DataError", "NotSupportedError", "ProgrammingError"}:
            raise InvalidExtractError(f"{source} is refused by the database: {why}") from error
        if names & {"DatabaseError", "InterfaceError"}:
            raise ExtractUnavailableError(f"{source} cannot be read now: {why}") from error
        raise
