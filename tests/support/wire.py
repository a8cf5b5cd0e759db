"""Every reader of answers, the samples on disk, and bodies that arrive in pieces."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bandwidth.order_apis import ORDER_APIS, TN_OPTIONS, OrderResource
from airflow_provider_bandwidth.orders import TnOrder
from airflow_provider_bandwidth.wire import orders as wire
from airflow_provider_bandwidth.wire.documents import read_errors
from airflow_provider_bandwidth.wire.inventory import (
    read_import_tn_checker,
    read_sip_peer_count,
    read_sip_peer_telephone_numbers,
)
from airflow_provider_bandwidth.wire.orders import OrderListEntry

SAMPLES = Path(__file__).parents[1] / "unit" / "wire" / "samples"
ONE_BYTE_AT_A_TIME = 1


class Trickle(io.RawIOBase):
    """A body that arrives in pieces of a given size, and then may break."""

    def __init__(self, body: bytes, size: int, *, breaks: bool = False) -> None:
        self._pieces = iter([body[start : start + size] for start in range(0, len(body), size)])
        self._breaks = breaks

    def read(self, size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        if not piece and self._breaks:
            raise ConnectionResetError("peer went away")
        return piece


EXTERNAL_TNS = ORDER_APIS["externalTns"].imports
#: The resources whose samples have a folder each; the other folders are of externalTns.
_BY_FOLDER = {
    resource.path.replace("/", "_"): resource
    for api in (ORDER_APIS["importTnOrders"], ORDER_APIS["importTnOrders/messaging"], TN_OPTIONS)
    for resource in api.resources
}


def resource_of(sample: Path) -> OrderResource:
    return _BY_FOLDER.get(sample.parent.name, EXTERNAL_TNS)


def read_order(body: bytes, resource: OrderResource = EXTERNAL_TNS, **fallback: str | None) -> TnOrder:
    return wire.read_order(body, resource, **fallback)


def iter_order_list(stream: Any, resource: OrderResource = EXTERNAL_TNS, **form: bool) -> Iterator[OrderListEntry]:
    return wire.iter_order_list(stream, resource, **form)


def read_order_list(body: bytes, resource: OrderResource = EXTERNAL_TNS) -> tuple[OrderListEntry, ...]:
    return wire.read_order_list(body, resource)


def read_order_list_in_pieces(body: bytes, resource: OrderResource = EXTERNAL_TNS) -> tuple[OrderListEntry, ...]:
    return tuple(iter_order_list(Trickle(body, ONE_BYTE_AT_A_TIME), resource))


READERS: dict[str, Callable[[bytes], Any]] = {
    reader.__name__: reader
    for reader in (
        read_order,
        read_order_list,
        read_order_list_in_pieces,
        read_errors,
        read_sip_peer_telephone_numbers,
        read_sip_peer_count,
        read_import_tn_checker,
    )
}
EVERY_READER = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


def samples(*folders: str) -> list[Any]:
    paths = sorted(path for folder in folders for path in (SAMPLES / folder).glob("*.xml"))
    assert paths
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in paths]


def big_list(orders: int, numbers: int) -> Iterator[bytes]:
    yield b"<ExternalTnsOrders>"
    listed = "".join(f"<TelephoneNumber>919{n:07d}</TelephoneNumber>" for n in range(2000000, 2000000 + numbers))
    for index in range(orders):
        yield (
            f"<ExternalTnsOrder><OrderId>order-{index}</OrderId><ProcessingStatus>COMPLETE</ProcessingStatus>"
            f"<TelephoneNumbers>{listed}</TelephoneNumbers><Errors/></ExternalTnsOrder>\n"
        ).encode()
    yield b"</ExternalTnsOrders>"


def run_python(program: str, argument: Path, *, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    tests = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", program, str(argument)],
        cwd=tests,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])},
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
