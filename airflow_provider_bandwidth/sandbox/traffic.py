"""The sandbox's view of its callers: a log of requests, tokens, and a rate limit."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, replace


@dataclass(slots=True)
class RequestRecord:
    """One API request.

    :param number: 1 for the first since start or reset
    :param operation: one of ``dashboard.OPERATIONS``, or ``unknown``
    :param received_at: seconds since the epoch
    :param auth: ``basic``, ``bearer``, ``client`` (token requests) or ``none``: what was accepted
    :param faults: the faults that hit it, as in the header form
    :param state: ``received``; ``committed`` once the work is done; ``held`` while a ``hold`` fault keeps it;
        ``answered`` or ``dropped`` at the end
    :param status: the HTTP status; ``None`` until answered, and for ever if dropped
    :param order_id: the order created or read, if one was
    """

    number: int
    method: str
    path: str
    query: str
    operation: str
    received_at: float
    auth: str = "none"
    faults: tuple[str, ...] = ()
    state: str = "received"
    status: int | None = None
    order_id: str | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "operation": self.operation,
            "received_at": self.received_at,
            "auth": self.auth,
            "faults": list(self.faults),
            "state": self.state,
            "status": self.status,
            "order_id": self.order_id,
        }


class RequestLog:
    """The latest requests and a count of all. Safe to use from any thread.

    :param size: how many requests are remembered
    """

    def __init__(self, size: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self._counts: Counter[str] = Counter()
        self._released = 0
        self.clear()

    def clear(self) -> None:
        """Forget every request and start counting at 1 again."""
        with self._lock:
            self._records.clear()
            self._counts.clear()
            self._last = 0

    def start(self, method: str, path: str, query: str, operation: str) -> RequestRecord:
        """Log a request that has arrived."""
        with self._lock:
            self._last += 1
            record = RequestRecord(self._last, method, path, query, operation, time.time())
            self._records.append(record)
            self._counts[operation] += 1
            return record

    def records(self, since: int = 0) -> list[RequestRecord]:
        """Copies of the remembered requests with numbers above ``since``, oldest first."""
        with self._lock:
            newer: list[RequestRecord] = []
            for record in reversed(self._records):
                if record.number <= since:
                    break
                newer.append(replace(record))
            return newer[::-1]

    def counts(self) -> dict[str, int]:
        """How many requests came in, by operation: all of them, also those no longer remembered."""
        with self._lock:
            return dict(self._counts)

    def releases(self) -> int:
        """A number that grows with every :meth:`release`."""
        return self._released

    def release(self) -> None:
        """Let every held request go on."""
        with self._lock:
            self._released += 1


class Tokens:
    """The OAuth2 tokens handed out. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiries: dict[str, float] = {}

    def issue(self, lifetime: float) -> str:
        """A new token that is good for ``lifetime`` seconds."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._expiries[token] = time.monotonic() + lifetime
        return token

    def accepts(self, token: str) -> bool:
        """Whether the token was issued here and has neither expired nor been revoked."""
        with self._lock:
            return self._expiries.get(token, 0.0) > time.monotonic()

    def revoke(self) -> None:
        """Accept none of the tokens issued so far."""
        with self._lock:
            self._expiries.clear()


class RateLimit:
    """Counts requests in windows that start with their first request. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start a new window with the next request."""
        with self._lock:
            self._reset_at = 0.0
            self._count = 0

    def exceeded(self, limit: int, window: float) -> float | None:
        """Count a request; if it is over ``limit`` (0: none), the epoch second at which the next window starts."""
        if not limit:
            return None
        now = time.time()
        with self._lock:
            if now >= self._reset_at:
                self._reset_at, self._count = now + window, 0
            self._count += 1
            return self._reset_at if self._count > limit else None
