"""A small message API on 127.0.0.1: takes texts, shows them in its search, and fails where a test says so.

It has what tests of the client need and no more; ``faults`` names what happens to the next texts.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

#: What may happen to a text: taken or not, and how the caller learns of it.
TAKEN = "taken"
LOST_BEFORE = "the connection breaks before the text is taken"
LOST_AFTER = "the text is taken and the answer lost"
ERROR_BEFORE = "500, and the text is not taken"
ERROR_AFTER = "502, and the text is taken"
NO_ID = "202 without an id, and the text is taken"
BUSY = "429: the queue is full"
REFUSED = "400: a field is wrong"
FORBIDDEN = "403: no role"
GONE = "404 in Spring's form"


_ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    ERROR_BEFORE: (500, {"type": "internal", "description": "an error"}),
    ERROR_AFTER: (502, {}),
    NO_ID: (202, {}),
    BUSY: (429, {"type": "max-message-queue-size-exceeded", "description": "60 a minute, queue of 900"}),
    REFUSED: (
        400,
        {
            "type": "request-validation",
            "description": "not accepted",
            "fieldErrors": [{"fieldName": "from", "description": "must be yours"}],
        },
    ),
    FORBIDDEN: (403, {"type": "forbidden", "description": "no role"}),
    GONE: (404, {"timestamp": 1, "status": 404, "error": "Not Found", "path": "/x"}),
}


@dataclass
class FakeMessage:
    """A text that was taken."""

    message_id: str
    body: dict[str, Any]
    taken_at: float
    status: str = "SENT"
    error_code: int | None = None
    #: By receiver, where they differ.
    statuses: dict[str, str] = field(default_factory=dict)


class FakeMessaging:
    """The API, while its ``with`` block lasts.

    :param clock: epoch seconds; the API's times and its search go by it
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.faults: list[str] = []
        self.messages: list[FakeMessage] = []
        self.posts: list[dict[str, Any]] = []
        self.searches: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        #: Seconds until the search shows a text.
        self.lag = 0.0
        #: The statuses that the next searches answer with, instead of 200.
        self.search_statuses: list[int] = []
        self.retry_after: str | None = None
        self.page_size = 100
        self.shows_tag = False
        self.a2p_answers: list[tuple[int, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection as JSON."""
        return {
            "conn_type": "bandwidth",
            "host": f"http://127.0.0.1:{self._server.server_port}/api",
            "login": "client",
            "password": "secret-of-the-client",
            "extra": {"account_id": "9900001", "application_id": "app-1"},
        }

    def add(self, status: str = "SENT", code: int | None = None, *, to: str | list[str] = "+19195550150") -> str:
        """A text that was sent some time ago; its id."""
        message = self.take({"from": "+19195550101", "to": [to] if isinstance(to, str) else to, "text": "hi"})
        message.status, message.error_code = status, code
        return message.message_id

    # --- what the handler calls ---

    def take(self, body: dict[str, Any]) -> FakeMessage:
        with self._lock:
            message = FakeMessage(f"m{len(self.messages) + 1}", body, self.clock())
            self.messages.append(message)
        return message

    def next_fault(self) -> str:
        with self._lock:
            return self.faults.pop(0) if self.faults else TAKEN

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            rows = [row for message in self.messages for row in self._rows(message) if self._matches(row, query)]
        start = int(query.get("pageToken") or 0)
        end = start + self.page_size
        info = {"nextPageToken": str(end)} if end < len(rows) else {}
        return {"totalCount": len(rows), "pageInfo": info, "messages": rows[start:end]}

    def _rows(self, message: FakeMessage) -> list[dict[str, Any]]:
        if message.taken_at + self.lag > self.clock():
            return []
        return [
            {
                "messageId": message.message_id,
                "accountId": "9900001",
                "sourceTn": message.body["from"],
                "destinationTn": to,
                "messageStatus": message.statuses.get(to, message.status),
                "messageDirection": "OUTBOUND",
                "messageType": "sms",
                "receiveTime": _time(message.taken_at),
                "messageLength": len(message.body.get("text") or ""),
                "errorCode": message.error_code or 0,
                **({"tag": message.body.get("tag")} if self.shows_tag else {}),
            }
            for to in message.body["to"]
        ]

    @staticmethod
    def _matches(row: dict[str, Any], query: dict[str, str]) -> bool:
        return (
            query.get("messageId", row["messageId"]) == row["messageId"]
            and row["sourceTn"] in query.get("sourceTn", row["sourceTn"]).split(",")
            and row["destinationTn"] in query.get("destinationTn", row["destinationTn"]).split(",")
            and query.get("fromDateTime", "") <= row["receiveTime"] <= query.get("toDateTime", "9")
        )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_range(query: dict[str, str]) -> int:
    """The status of a search: of 14 days at most."""
    if "fromDateTime" not in query:
        return 200
    last = datetime.fromisoformat(query["toDateTime"]) if "toDateTime" in query else datetime.now(UTC)
    return 400 if last - datetime.fromisoformat(query["fromDateTime"]) > timedelta(days=14) else 200


class _Handler(BaseHTTPRequestHandler):
    api: FakeMessaging
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.api.searches.append(query)
        status = self.api.search_statuses.pop(0) if self.api.search_statuses else _check_range(query)
        answer = (
            self.api.search(query) if status == 200 else {"type": "rate_limit_exceeded", "description": "slow down"}
        )
        self._answer(status, answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/oauth2/token"):
            self._answer(200, {"access_token": "token-of-the-test", "expires_in": 3600})
            return
        self.api.authorizations.append(self.headers["Authorization"])
        self.api.posts.append(json.loads(body))
        if self.path == "/bulk/sendsms":
            self._answer(
                *(self.api.a2p_answers.pop(0) if self.api.a2p_answers else (202, {"msgId": "a1", "numParts": 1}))
            )
            return
        assert self.path == "/api/v2/users/9900001/messages", self.path
        self._play(self.api.next_fault(), json.loads(body))

    def _play(self, fault: str, body: dict[str, Any]) -> None:
        message = self.api.take(body) if fault in (TAKEN, LOST_AFTER, ERROR_AFTER, NO_ID) else None
        if fault in (LOST_BEFORE, LOST_AFTER):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault in _ANSWERS:
            self._answer(*_ANSWERS[fault])
        else:
            assert message is not None
            taken = {"id": message.message_id, "time": _time(message.taken_at), "segmentCount": 1}
            self._answer(202, {**body, **taken})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 429 and self.api.retry_after is not None:
            self.send_header("Retry-After", self.api.retry_after)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.api.clock() if timestamp is None else timestamp)

    def log_message(self, *_: Any) -> None:
        """The test's output stays clean."""
