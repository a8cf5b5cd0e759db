"""One exchange with a server, within limits: the whole answer's time, and its size when unpacked.

urllib3 limits only how long each read may take, so that an answer of a byte a second lasts as long as its server likes,
and it unpacks whatever comes. ``http.client`` takes an interim answer (103 Early Hints) for the answer itself.
"""

from __future__ import annotations

import http.client
import io
import time
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, NamedTuple

import requests
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError
from urllib3.poolmanager import PoolManager

#: The only packing that answers are asked for: some others cannot be unpacked in small pieces.
ACCEPT_ENCODING: Final = "gzip"
_PIECE_SIZE: Final = 65536
_MAX_INTERIM_ANSWERS: Final = 10
_GZIP_MARK: Final = b"\x1f\x8b"


class AnswerTooSlowError(TimeoutError):
    """The answer was not complete when its time was over."""


class AnswerTooLargeError(OSError):
    """The answer has more bytes than any answer of Bandwidth."""


class _Limits(NamedTuple):
    """What an answer may take.

    :param ends_at: by ``time.monotonic()``
    """

    seconds: float
    ends_at: float
    max_bytes: int


#: Not a parameter, because urllib3 makes the object that reads an answer, and hands it nothing but a socket.
_LIMITS: Final[ContextVar[_Limits | None]] = ContextVar("limits of the answer", default=None)


@contextmanager
def limiting_answers(seconds: float, max_bytes: int) -> Iterator[None]:
    """Limit the answers to what is sent in this context, even if they are read after it.

    :param seconds: the longest that a whole answer may take
    :param max_bytes: the largest that it may be, as it comes over the network
    """
    token = _LIMITS.set(_Limits(seconds, time.monotonic() + seconds, max_bytes))
    try:
        yield
    finally:
        _LIMITS.reset(token)


class _LimitedSocketReader(io.RawIOBase):
    """What a socket receives, until a limit is reached."""

    def __init__(self, sock: Any, limits: _Limits) -> None:
        self._sock = sock
        self._limits = limits
        self._read_timeout: float | None = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._limits.ends_at - time.monotonic()
        is_last = self._read_timeout is None or remaining <= self._read_timeout
        try:
            # Zero would mean not to wait at all, which is no timeout; a thousandth of a second is over at once, too.
            self._sock.settimeout(max(remaining, 0.001) if is_last else self._read_timeout)
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError as error:
            if not is_last:
                raise
            raise AnswerTooSlowError(
                f"the answer was not complete after {self._limits.seconds:g} seconds, the most that the connection's "
                "timeout allows"
            ) from error
        self._size += count or 0
        _check_size(self._size, self._limits.max_bytes)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        limits = _LIMITS.get()
        if limits is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_LimitedSocketReader(sock, limits))

    def begin(self) -> None:
        """Read the status and headers of the answer, past interim answers."""
        super().begin()
        for _ in range(_MAX_INTERIM_ANSWERS):
            if not 100 < self.status < 200:
                return
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        raise http.client.HTTPException("too many interim answers")


@lru_cache
def _limited(pool: type[Any]) -> type[Any]:
    """A urllib3 pool of connections whose answers are limited."""
    connection = pool.ConnectionCls
    if issubclass(connection.response_class, _LimitedResponse):
        return pool
    limited = type(connection.__name__, (connection,), {"response_class": _LimitedResponse})
    return type(pool.__name__, (pool,), {"ConnectionCls": limited})


def limit_answers_of(manager: PoolManager) -> None:
    """Have a pool manager's connections read answers as this module does."""
    manager.pool_classes_by_scheme = {scheme: _limited(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


def iter_body(response: requests.Response, max_bytes: int) -> Iterator[bytes]:
    """The body of an answer, unpacked, in pieces of at most 64 KiB.

    :raises requests.RequestException: it broke off, took too long, is too large or packed in a way not asked for
    """
    size = 0
    try:
        packed = response.raw.stream(_PIECE_SIZE, decode_content=False)
        for piece in _unpack(packed, response.headers.get("Content-Encoding", "")):
            size += len(piece)
            _check_size(size, max_bytes)
            yield piece
    except SSLError as error:
        raise requests.exceptions.SSLError(error) from error
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    except (DecodeError, zlib.error) as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except AnswerTooLargeError as error:
        raise requests.exceptions.RequestException(error) from error
    finally:
        if size > max_bytes:
            response.close()


def read_body(response: requests.Response, max_bytes: int) -> None:
    """Read the whole body, so that ``response.content`` has it. Raises what :func:`iter_body` raises."""
    try:
        body = b"".join(iter_body(response, max_bytes))
    except requests.RequestException:
        response.close()
        raise
    # What requests itself does in Response.content, with neither limit.
    response.__dict__.update(_content=body, _content_consumed=True)


def _unpack(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
    elif encoding in ("gzip", "x-gzip"):
        yield from _gunzip(pieces)
    else:
        raise DecodeError("packed in a way that was not asked for")


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, which may consist of several parts; what follows without being one is padding."""
    unpacker = None
    rest = b""
    for piece in pieces:
        rest += piece
        while rest:
            if unpacker is not None and unpacker.eof:
                if len(rest) < len(_GZIP_MARK) or not rest.startswith(_GZIP_MARK):
                    rest = rest if rest == _GZIP_MARK[:1] else b""
                    break
                unpacker = None
            unpacker = unpacker or zlib.decompressobj(16 + zlib.MAX_WBITS)
            rest = yield from _inflate(unpacker, rest)
    if unpacker is not None and not unpacker.eof:
        raise zlib.error("cut short")


def _inflate(unpacker: Any, packed: bytes) -> Generator[bytes, None, bytes]:
    """Unpack in pieces; return what follows the end."""
    while True:
        piece = unpacker.decompress(packed, _PIECE_SIZE)
        packed = unpacker.unconsumed_tail
        if piece:
            yield piece
        if unpacker.eof or (not packed and len(piece) < _PIECE_SIZE):
            rest: bytes = unpacker.unused_data
            return rest


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise AnswerTooLargeError(f"the answer is larger than {max_bytes // 2**20} MiB, as no answer of Bandwidth is")
