"""The sandbox as an object: a Dashboard on a loopback port, in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_bandwidth.sandbox.control import control_routes
from airflow_provider_bandwidth.sandbox.controls import Controls
from airflow_provider_bandwidth.sandbox.http import CONNECTION
from airflow_provider_bandwidth.sandbox.pages import page_routes
from airflow_provider_bandwidth.sandbox.settings import (
    DEFAULT_ACCOUNT,
    DEFAULT_LOGIN,
    DEFAULT_PASSWORD,
    DEFAULT_SITES,
    LOOPBACK,
    Settings,
)

#: How long stopping waits, in seconds, for connections that do not end; twice at most.
_SHUTDOWN_SECONDS: Final = 5.0

#: Settings that are 0 for a test unless it gives them.
_AT_ONCE: Final = ("received_seconds", "processing_seconds", "message_sending_seconds", "message_delivery_seconds")


class Sandbox(Controls):
    """A Dashboard to test against, started by ``with`` or :meth:`start` and ready for requests then.

    Any number can run in one process. State outlives :meth:`stop`, so that it can be looked at afterwards.

    :param host: a loopback address
    :param port: 0 for a free one
    :param accounts: account ids; the first is the one in :attr:`connection`
    :param sites: SIP peer ids by site id; the first peer of a site is its default
    :param login: OAuth2 client id and Basic user
    :param password: OAuth2 client secret and Basic password
    :param imported: telephone numbers that the first peer of the first site has imported already
    :param owned: telephone numbers of Bandwidth's own there
    :param settings: any field of :class:`~airflow_provider_bandwidth.sandbox.settings.Settings`; unlike on the
        command line, the seconds that orders and messages take are 0 unless given, so that they have ended when they
        are first read
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        accounts: Sequence[str] = (DEFAULT_ACCOUNT,),
        sites: Mapping[str, Sequence[str]] = DEFAULT_SITES,
        login: str = DEFAULT_LOGIN,
        password: str = DEFAULT_PASSWORD,
        imported: Iterable[str] = (),
        owned: Iterable[str] = (),
        **settings: object,
    ) -> None:
        if host not in LOOPBACK:
            raise ValueError(f"host {host!r} is not a loopback address: {', '.join(LOOPBACK)}")
        super().__init__(
            host=host,
            port=port,
            accounts=accounts,
            sites=sites,
            login=login,
            password=password,
            imported=imported,
            owned=owned,
            settings=Settings().replace({**dict.fromkeys(_AT_ONCE, 0), **settings}),
        )
        self._app.pages = Starlette(routes=[*control_routes(self), *page_routes(self)])
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # --- running ---

    def start(self) -> None:
        """Listen and serve; returns when connections are accepted.

        :raises OSError: if the port is taken
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=2048)
        # Without this, an answer whose head and body leave apart waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        self._app.stopping = False
        config = uvicorn.Config(
            self._app,
            http=_protocol,  # type: ignore[arg-type]  # called like a class
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="bandwidth-sandbox", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the sandbox's server ended while it was starting")
            time.sleep(0.001)

    def stop(self) -> None:
        """Stop serving; requests that are held or slow are dropped."""
        if self._server is not None and self._thread is not None:
            self._app.stopping = True
            self._server.should_exit = True
            self._thread.join(_SHUTDOWN_SECONDS)
            # A client keeps its connection open: end without waiting for it.
            self._server.force_exit = True
            self._thread.join(_SHUTDOWN_SECONDS)
            self._server = self._thread = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _protocol(*, app_state: dict[str, Any], **parts: Any) -> Any:
    """The HTTP protocol of uvicorn, with itself in the state it gives to the app: faults need its transport."""
    state = dict(app_state)
    protocol = AutoHTTPProtocol(app_state=state, **parts)  # type: ignore[call-arg]  # uvicorn types it as its base
    state[CONNECTION] = protocol
    return protocol
