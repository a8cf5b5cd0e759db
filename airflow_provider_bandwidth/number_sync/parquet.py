"""The telephone numbers of an extract in Parquet: one column, row group by row group. Pure; pyarrow reads it.

A Parquet file says at its end what it holds, so one that is cut short cannot be opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.columns import find_index, iter_cell

_ROWS_AT_A_TIME: Final = 2**15


def read_parquet(stream: IO[bytes], column: str, name: str = "the extract") -> Iterator[object]:
    """The values of one column, texts without blanks around them; those of a list one by one.

    Text, whole numbers, decimals, floats of 64 bits, bytes that are UTF-8, and lists of these can be read.

    :param stream: a file that can be read at any place
    :param column: the column's name; case, blanks and forms of characters do not matter. Of several columns with one
        name, ``Phone[2]`` is the second
    :param name: what to call the file in errors
    :raises InvalidExtractError: pyarrow is not installed; the file is damaged, or not Parquet; there is no such
        column, or it is of a type that holds no telephone numbers
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InvalidExtractError(
            f"{name} is a Parquet file, and pyarrow is not installed: pip install 'airflow-provider-bandwidth[parquet]'"
        ) from None
    with _errors_naming_damage(name, pa):
        file = parquet.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True)
        names = file.schema_arrow.names
        index = find_index(names, column, name)
        _check_type(file.schema_arrow.field(index).type, f"{name}: column {names[index]!r}", pa)
        # Columns are chosen by name, and others may have the same.
        nth = names[:index].count(names[index])
        row_count = 0
        for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=[names[index]], use_threads=False):
            row_count += batch.num_rows
            at = [each for each, found in enumerate(batch.schema.names) if found == names[index]][nth]
            for value in batch.column(at).to_pylist():
                if type(value) is str and value.isprintable():
                    yield value.strip()
                else:
                    yield from iter_cell(value, f"{name}: column {names[index]!r}")
        if row_count != file.metadata.num_rows:
            raise pa.ArrowInvalid(f"{file.metadata.num_rows} rows are announced, and {row_count} are there")


@contextmanager
def _errors_naming_damage(name: str, pa: Any) -> Iterator[None]:
    try:
        yield
    except InvalidExtractError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow's own errors are without a number. Those of the storage have one: a retry may help.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        why = " ".join(str(error).split())
        raise InvalidExtractError(
            f"{name} is no whole Parquet file, it is cut short or damaged ({why}): write it anew."
        ) from None


def _check_type(kind: Any, where: str, pa: Any) -> None:
    types = pa.types
    if types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind):
        _check_type(kind.value_type, where, pa)
    elif types.is_float16(kind) or types.is_float32(kind):
        raise InvalidExtractError(
            f"{where} holds floats of 32 bits or less, which keep about seven digits: the last ones are lost. Write it "
            "as text."
        )
    elif not (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_integer(kind)
        or types.is_float64(kind)
        or types.is_decimal(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_null(kind)
    ):
        raise InvalidExtractError(f"{where} is of type {kind}, which holds no telephone numbers. Write it as text.")
