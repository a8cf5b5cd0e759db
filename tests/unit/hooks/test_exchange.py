"""Answers that never end, unpack to anything, or come after interim ones."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import ManualClock
from support.raw_server import RawServer, drip, http_answer

from airflow_provider_bandwidth.exceptions import AmbiguousSubmissionError, BandwidthApiError
from airflow_provider_bandwidth.hooks import _transport
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import ExternalTnsOrderRequest

Connect = Callable[..., None]

ORDER = b"<ExternalTnsOrder><OrderId>o-1</OrderId><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrder>"
ORDERS = b"<ExternalTnsOrders>" + ORDER + b"</ExternalTnsOrders>"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
MIB = 2**20


def make_hook(connect: Connect, clock: ManualClock, url: str, **extra: Any) -> BandwidthHook:
    extra = {"auth_type": "basic", "account_id": "1", "timeout": 0.1, **extra}
    connect({"host": url, "login": "user", "password": "password"}, extra=extra)
    return BandwidthHook(sleep=clock.sleep, clock=clock)


DRIPS = {
    "body": drip(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body without a length": drip(OK + b"\r\n", b" "),
    "chunks": drip(CHUNKED, b"1\r\n \r\n"),
    "size of a chunk": drip(CHUNKED, b"0"),
    "trailers": drip(CHUNKED + b"0\r\n", b"X: y\r\n"),
    "status line": drip(b"HTTP/1.1 200 ", b"O"),
    "headers": drip(OK, b"X: y\r\n"),
    "one header": drip(OK + b"X: ", b"y"),
    "interim answers": drip(b"", HINTS),
    "packed body": drip(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"", mtime=0)[:10], b"\0\0\0\xff\xff"),
}
EVERY_DRIP = pytest.mark.parametrize("script", DRIPS.values(), ids=DRIPS)


@EVERY_DRIP
def test_an_answer_that_drips_ends_and_is_not_asked_for_again(
    script: Callable[[socket.socket], None], connect: Connect, clock: ManualClock
) -> None:
    with RawServer(script) as server:
        hook = make_hook(connect, clock, server.url, timeout=0.1)
        began = time.monotonic()
        if script is DRIPS["interim answers"]:  # counted, too
            hook = make_hook(connect, clock, server.url, timeout=0.04)
        with pytest.raises(BandwidthApiError) as caught:
            hook.get_tn_order("o-1")
        assert time.monotonic() - began < 4
        assert caught.value.retryable
        if script not in (DRIPS["headers"], DRIPS["interim answers"]):  # more than a hundred end it as well
            assert "not complete after 0.5 seconds" in str(caught.value)
            assert server.connections == 1


CALLS: dict[str, Callable[[BandwidthHook], Any]] = {
    "create": lambda hook: hook.create_tn_order(ExternalTnsOrderRequest("IMPORT", ["9195550101"], 743)),
    "list": lambda hook: list(hook.iter_tn_orders(statuses=["RECEIVED"])),
    "check": lambda hook: hook.check_importable(["9195550101"], 743),
    "token": lambda hook: hook.get_tn_order("o-1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_kind_of_call_has_an_end(call: str, connect: Connect, clock: ManualClock) -> None:
    with RawServer(DRIPS["body"]) as server:
        hook = make_hook(connect, clock, server.url, auth_type="oauth2" if call == "token" else "basic")
        error = AmbiguousSubmissionError if call == "create" else BandwidthApiError
        with pytest.raises(error, match="not complete after"):
            CALLS[call](hook)


def test_what_a_list_gave_before_it_began_to_drip_is_sound(connect: Connect, clock: ManualClock) -> None:
    head = OK + b"Content-Length: 1000000\r\n\r\n" + ORDERS[:-20] + b" " * 200_000
    with RawServer(drip(head, b" ")) as server:
        entries = make_hook(connect, clock, server.url).iter_tn_orders(statuses=["RECEIVED"])
        assert next(entries).order.order_id == "o-1"
        with pytest.raises(BandwidthApiError, match="not complete after"):
            list(entries)


# --- size ---


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "_MAX_BODY", MIB)
    monkeypatch.setattr(_transport, "_MAX_STREAM", MIB)


def _forever(connection: socket.socket) -> None:
    try:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b" " * 65536)
    except OSError:
        pass


def _packed(body: bytes, encoding: str) -> bytes:
    return http_answer(body, "200 OK", f"Content-Encoding: {encoding}")


#: Made where they are used: packing eighty megabytes takes a while.
TOO_LARGE: dict[str, Callable[[], Any]] = {
    "plain": lambda: http_answer(b"<ExternalTnsOrders>" + b" " * (3 * MIB)),
    "without an end": lambda: _forever,
    "gzip": lambda: _packed(
        gzip.compress(b"<ExternalTnsOrders>" + b" " * (80 * MIB) + b"</ExternalTnsOrders>", mtime=0), "gzip"
    ),
    "gzip in many parts": lambda: _packed(gzip.compress(b" " * 10_000, mtime=0) * 200, "gzip"),
}


@pytest.mark.usefixtures("_small_limits")
@pytest.mark.parametrize("make_script", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("is_list", [False, True])
def test_an_answer_counts_by_what_it_unpacks_to(
    make_script: Callable[[], Any], is_list: bool, connect: Connect, clock: ManualClock
) -> None:
    with RawServer(make_script()) as server:
        hook = make_hook(connect, clock, server.url, timeout=5)
        tracemalloc.start()
        try:
            with pytest.raises(BandwidthApiError, match="larger than 1 MiB") as caught:
                list(hook.iter_tn_orders(statuses=["RECEIVED"])) if is_list else hook.get_tn_order("o-1")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert not caught.value.retryable
        assert server.connections == 1
        assert peak < 8 * MIB


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(gzip.compress(ORDER, mtime=0), mtime=0), "gzip, gzip"),
        (zlib.compress(ORDER), "deflate"),
        (b"whatever", "br"),
        (b"whatever", "zstd"),
        (gzip.compress(ORDER, mtime=0)[:-9], "gzip"),
        (ORDER, "gzip"),
    ],
)
def test_what_cannot_be_unpacked_in_pieces_is_no_answer(
    body: bytes, encoding: str, connect: Connect, clock: ManualClock
) -> None:
    with RawServer(_packed(body, encoding)) as server, pytest.raises(BandwidthApiError, match="broke before"):
        make_hook(connect, clock, server.url).get_tn_order("o-1")


def _chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(ORDER, mtime=0),
        gzip.compress(ORDER[:20], mtime=0) + gzip.compress(ORDER[20:], mtime=0),
        gzip.compress(ORDER, mtime=0) + b"\0" * 100,
        gzip.compress(ORDER + b" " * 200_000, mtime=0),
    ],
    ids=["one part", "two parts", "padded", "large"],  # the bytes hold the time of day
)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_gzip_is_unpacked_however_it_comes(packed: bytes, size: int, connect: Connect, clock: ManualClock) -> None:
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: GZip\r\nConnection: close\r\n\r\n")
    with RawServer(head + _chunks(packed, size)) as server:
        assert make_hook(connect, clock, server.url, timeout=5).get_tn_order("o-1").order_id == "o-1"


# --- interim answers ---


@pytest.mark.parametrize(
    "interim",
    [HINTS, HINTS * 3, b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
)
def test_interim_answers_are_read_past(interim: bytes, connect: Connect, clock: ManualClock) -> None:
    def answers(number: int) -> Iterator[bytes]:
        while True:
            body = ORDER.replace(b"o-1", b"o-%d" % number)
            yield interim + OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
            number += 1

    def keep_alive(connection: socket.socket) -> None:
        for answer in answers(1):
            connection.sendall(answer)
            if not connection.recv(65536):
                return

    with RawServer(keep_alive) as server:
        hook = make_hook(connect, clock, server.url, timeout=5)
        assert [hook.get_tn_order(f"o-{number}").order_id for number in (1, 2, 3)] == ["o-1", "o-2", "o-3"]
        assert server.connections == 1
        hook.close()


def test_interim_answers_without_end_are_no_answer(connect: Connect, clock: ManualClock) -> None:
    with RawServer(HINTS * 50) as server, pytest.raises(BandwidthApiError) as caught:
        make_hook(connect, clock, server.url).get_tn_order("o-1")
    assert caught.value.retryable
