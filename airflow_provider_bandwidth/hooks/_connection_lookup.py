"""Ask Airflow for a connection. A missing one raises an error of ours; other failures pass unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_bandwidth.exceptions import MissingConnectionError
from airflow_provider_bandwidth.hooks._connection import ConnectionSettings


def look_up(conn_id: str, get_connection: Callable[[str], Any]) -> ConnectionSettings:
    """The connection, checked.

    :param get_connection: how the hook asks Airflow
    :raises MissingConnectionError: Airflow shows no such connection
    :raises InvalidConnectionError: a field is missing or wrong
    """
    with _errors_naming_connection(conn_id):
        connection = get_connection(conn_id)
    return ConnectionSettings.from_connection(connection, connection.extra_dejson)


async def look_up_async(conn_id: str) -> ConnectionSettings:
    """The same as :func:`look_up`, for an event loop: the synchronous way can deadlock a triggerer."""
    with _errors_naming_connection(conn_id):
        connection = await get_async_connection(conn_id)
    return ConnectionSettings.from_connection(connection, await get_async_extra_dejson(connection))


@contextmanager
def _errors_naming_connection(conn_id: str) -> Iterator[None]:
    try:
        yield
    except AirflowNotFoundException:
        raise MissingConnectionError(conn_id) from None
