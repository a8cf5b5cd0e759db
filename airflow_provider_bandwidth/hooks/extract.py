"""Open the file that an extract is, wherever Airflow's object storage reaches it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_bandwidth.exceptions import ExtractUnavailableError, InvalidExtractError
from airflow_provider_bandwidth.number_sync.extract import read_column


def read_telephone_number_column(path: str, column: str, *, encoding: str | None = None) -> Iterator[str]:
    """The values of one column of a CSV extract, one by one, without blanks around them.

    :param path: anything Airflow's ``ObjectStoragePath`` takes: a local path, ``s3://conn_id@bucket/key``, ...; one
        that ends in ``.gz`` is unpacked
    :param column: the column's name
    :param encoding: instead of a guess; see ``number_sync.extract.read_column``, which also says what is read
    :raises ExtractUnavailableError: the file cannot be opened or read now; it may be late
    :raises InvalidExtractError: what is in it is no extract with this column
    """
    with _naming_file(path), ObjectStoragePath(path).open("rb") as stream:
        plain = gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream
        yield from read_column(cast(IO[bytes], plain), column, path, encoding=encoding)


@contextmanager
def _naming_file(path: str) -> Iterator[None]:
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
