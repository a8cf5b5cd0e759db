"""Calls to a sandbox without sockets: for tests of what calls lead to, not of how they travel.

A call costs a third of one over HTTP. Everything of the client above requests' own adapter is as it is, and so is the
sandbox below its server; a connection that breaks raises what requests raises for it. While a fault that takes time is
up, calls go over HTTP all the same.
"""

from __future__ import annotations

import http
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.http import CONNECTION

_Send = Callable[..., requests.Response]
_FAULTS_THAT_TAKE_TIME = frozenset({"hold", "slow", "interim", "drip"})


class _Transport:
    """What the sandbox asks of its server's connection to a client, and how it ended."""

    def __init__(self) -> None:
        self.is_reset = False
        self.is_closed = False

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, _: str) -> Any:
        return SimpleNamespace(setsockopt=lambda *_: None)

    def abort(self) -> None:
        self.is_reset = self.is_closed = True

    def close(self) -> None:
        self.is_closed = True


class _Exchange:
    """One request and what the sandbox sends for it."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        url = urlsplit(str(request.url))
        body = request.body or b""
        self.transport = _Transport()
        self._body = body.encode() if isinstance(body, str) else body
        self._start: Any = None
        self._pieces: list[bytes] = []
        self._scope = {
            "type": "http",
            "method": request.method,
            "path": unquote(url.path),
            "query_string": url.query.encode(),
            "headers": [(_to_bytes(name).lower(), _to_bytes(value)) for name, value in request.headers.items()],
            "state": {CONNECTION: SimpleNamespace(transport=self.transport)},
        }

    async def _receive(self) -> Any:
        if self.transport.is_closed:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._body}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._pieces.append(message["body"])

    def run(self, sandbox: Sandbox) -> HTTPResponse:
        answering = sandbox._app(self._scope, self._receive, self._send)  # type: ignore[arg-type]
        try:
            while True:
                # It waits for nothing but its turn.
                answering.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            pass
        if self.transport.is_reset:
            raise ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
        status = self._start["status"]
        return HTTPResponse(
            io.BytesIO(b"".join(self._pieces)),
            [(name.decode(), value.decode("latin-1")) for name, value in self._start["headers"]],
            status,
            reason=http.HTTPStatus(status).phrase if status in list(http.HTTPStatus) else "",
            preload_content=False,
            decode_content=False,
            request_method=self._scope["method"],
        )


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


@contextmanager
def in_process(sandbox: Sandbox) -> Iterator[None]:
    """Let calls to this sandbox take the short way. It need not be started, if no such fault is put up."""
    send_over_http: _Send = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        is_other = not str(request.url).startswith(f"{sandbox.url}/")
        if is_other or any(fault["fault"] in _FAULTS_THAT_TAKE_TIME for fault in sandbox.faults()):
            return send_over_http(adapter, request, **more)
        try:
            answer = _Exchange(request).run(sandbox)
        except ProtocolError as error:
            raise requests.ConnectionError(error, request=request) from error
        return adapter.build_response(request, answer)

    with patch.object(HTTPAdapter, "send", send):
        yield
