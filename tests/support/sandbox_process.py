"""The sandbox in a process of its own, so that what it costs is not counted as the client's."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class SandboxProcess:
    """Starts ``python -m airflow_provider_bandwidth.sandbox`` on a free port and speaks to it.

    :param settings: the sandbox's settings, by their names
    """

    def __init__(self, **settings: object) -> None:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        command = [sys.executable, "-m", "airflow_provider_bandwidth.sandbox", "--port", "0", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self.connection: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.base_url: str = self.connection["host"]
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port
        self.orders_path = f"{parts.path}/accounts/{self.connection['extra']['account_id']}/externalTns"
        self._http = http.client.HTTPConnection(self.host, self.port)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header."""
        pair = f"{self.connection['login']}:{self.connection['password']}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=10)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """One control endpoint's answer."""
        return json.loads(self._send(method, f"/sandbox/{path}", json.dumps(body or {}), {}))

    def read(self, path: str) -> bytes:
        """What a GET of the Dashboard's answers."""
        return self._send("GET", path, "", {"Authorization": self.basic})

    def submit(self, count: int, numbers: int) -> list[str]:
        """Orders of so many telephone numbers each; their ids."""
        headers = {"Authorization": self.basic, "Content-Type": "application/xml"}
        return [
            re.findall(rb"<OrderId>(.*?)</OrderId>", self._send("POST", self.orders_path, order, headers))[0].decode()
            for order in _orders(count, numbers)
        ]

    def _send(self, method: str, path: str, body: str, headers: dict[str, str]) -> bytes:
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: HTTP {answer.status} {content[:200]!r}")
        return content


#: All that NANP allows, without the sandbox's magic one.
_EXCHANGES = [str(number) for number in range(200, 1000) if number != 555 and number % 100 != 11]


def _orders(count: int, numbers: int) -> Iterable[str]:
    for order in range(count):
        first = order * numbers
        listed = "".join(
            f"<TelephoneNumber>919{_EXCHANGES[number // 10_000]}{number % 10_000:04d}</TelephoneNumber>"
            for number in range(first, first + numbers)
        )
        yield (
            f"<ExternalTnsOrder><CustomerOrderID>bench-{order}</CustomerOrderID><SiteId>743</SiteId>"
            f"<Action>IMPORT</Action><TelephoneNumbers>{listed}</TelephoneNumbers></ExternalTnsOrder>"
        )
