"""A TCP server that answers each connection with the next of some scripts, for faults that HTTP servers do not make."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

#: What a server may do with a connection: see :class:`RawServer`.
Script = bytes | str | Callable[[socket.socket], None]
#: A script: read one request, then close the connection with a reset.
RESET = "reset"
#: A script: read one request and say nothing until the server is stopped.
SILENCE = "silence"
#: A script: close the connection before anything is read.
HANG_UP = "hang up"


def http_answer(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """A whole HTTP answer that closes its connection; ``length`` is what Content-Length claims."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class RawServer:
    """Plays one script a connection, and the last one for ever; ``requests`` holds what was sent to it.

    :param scripts: bytes to answer with, one of the words above, or a function that is given the connection
    :param tls: speaks TLS with this context's certificate
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._scripts = list(scripts)
        self._tls = tls
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        # Wakes the accept() that waits.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopped.is_set():
                connection.close()
                return
            self.connections += 1
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            with connection:
                self._play(script, connection)

    def _play(self, script: Script, connection: socket.socket) -> None:
        if script == HANG_UP:
            return
        try:
            talker = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
        except OSError:  # the client does not like the certificate
            return
        with talker:
            self.requests.append(_read_request(talker))
            if script == RESET:
                talker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif script == SILENCE:
                self._stopped.wait()
            elif callable(script):
                script(talker)
            else:
                talker.sendall(script if isinstance(script, bytes) else script.encode())


def drip(head: bytes, piece: bytes, seconds: float = 0.03) -> Callable[[socket.socket], None]:
    """A script: send ``head``, then ``piece`` again and again, until nobody reads any more or ten seconds are over."""

    def play(connection: socket.socket) -> None:
        try:
            connection.sendall(head)
            for _ in range(int(10 / seconds)):
                connection.sendall(piece)
                time.sleep(seconds)
        except OSError:
            pass

    return play


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
