"""A request taken in and an answer sent out over ASGI, with the ways an answer can break."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

#: Key of the ASGI state under which the server puts the protocol object of the client's connection.
CONNECTION: Final = "airflow_provider_bandwidth.sandbox.connection"

_CHUNK: Final = 1 << 20


@dataclass
class Request:
    """One HTTP request, body included."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters; names are case-sensitive, values trimmed."""
        return {
            name: [value.strip() for value in values]
            for name, values in parse_qs(self.query, keep_blank_values=True).items()
        }

    def parameter(self, name: str) -> str | None:
        """The last value of a parameter; ``None`` when absent or empty."""
        values = self.parameters.get(name)
        return values[-1] or None if values else None


@dataclass(slots=True)
class Answer:
    """One HTTP answer.

    :param order_id: the order it is about, for the log
    :param dropped: reset the connection instead of answering
    :param cut: promise the whole length, send half, then close the connection
    :param interim: how many answers with status 103 come first
    :param pause: seconds before each of them, and before each chunk of the body
    :param chunk: bytes of the body that are sent at once
    """

    status: int
    body: bytes = b""
    content_type: str = "application/xml; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None
    dropped: bool = False
    cut: bool = False
    interim: int = 0
    pause: float = 0.0
    chunk: int = _CHUNK


async def receive_request(scope: Scope, receive: Receive) -> Request:
    """Read the whole request."""
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        scope["method"], scope["path"], scope.get("query_string", b"").decode("latin-1"), headers, b"".join(chunks)
    )


async def send_answer(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer, or what its faults leave of it."""
    if answer.dropped:
        await _reset(scope, receive)
        return
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode()))
    if answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await _send_interim(answer, scope)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.cut:
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        await _reset(scope, receive, gently=True)
        return
    start = 0
    while len(answer.body) - start > answer.chunk and not _is_closing(scope):
        await send({"type": "http.response.body", "body": answer.body[start : start + answer.chunk], "more_body": True})
        start += answer.chunk
        await asyncio.sleep(answer.pause)
    await send({"type": "http.response.body", "body": answer.body[start:], "more_body": False})


def _is_closing(scope: Scope) -> bool:
    transport: Any = scope["state"][CONNECTION].transport
    return bool(transport.is_closing())


async def _send_interim(answer: Answer, scope: Scope) -> None:
    """Send the interim answers, for which ASGI has no message."""
    transport: Any = scope["state"][CONNECTION].transport
    for _ in range(answer.interim):
        if _is_closing(scope):
            break
        transport.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\n")
        await asyncio.sleep(answer.pause)


async def _reset(scope: Scope, receive: Receive, *, gently: bool = False) -> None:
    """End the connection: by RST, or ``gently`` by FIN after what was written, so that the client reads it."""
    transport: Any = scope["state"][CONNECTION].transport
    if gently:
        transport.close()
    elif not transport.is_closing():
        # A linger time of zero makes close() send RST at once.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    # Returning before the server has noticed would make it answer 500 in our place.
    message: Mapping[str, object] = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
        await asyncio.sleep(0)
