"""What the hooks share: an Airflow connection, its session, and a call, which is repeated if a secret was rotated."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    BandwidthError,
    InvalidConnectionError,
)
from airflow_provider_bandwidth.hooks._connection import ConnectionSettings, parse_account_id
from airflow_provider_bandwidth.hooks._connection_lookup import look_up, look_up_async

if TYPE_CHECKING:
    import requests

    from airflow_provider_bandwidth.wire.answers import Answer


class ApiHook(BaseHook, ABC):
    """One connection to one of Bandwidth's APIs. A subclass says where its calls go, and reads its refusals.

    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's ``account_id`` by default
    :param max_attempts: how often a request is sent at most
    :param sleep: pauses for so many seconds; for tests
    :param clock: epoch seconds; for tests
    """

    conn_name_attr = "bandwidth_conn_id"
    default_conn_name = "bandwidth_default"
    conn_type = "bandwidth"
    hook_name = "Bandwidth"
    #: The media type of answers.
    _accept: ClassVar[str]

    def __init__(
        self,
        bandwidth_conn_id: str = default_conn_name,
        account_id: str | None = None,
        *,
        max_attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.bandwidth_conn_id = bandwidth_conn_id
        self._given_account_id = account_id
        self._max_attempts = max_attempts
        self._sleep = sleep
        self._clock = clock
        self._bandwidth_clock = clock
        self._session: requests.Session | None = None

    @abstractmethod
    def _url(self, path: str) -> str:
        """The URL of a call."""

    @abstractmethod
    def _to_error(self, answer: Answer) -> BandwidthApiError:
        """The error of a refusal."""

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read from Airflow once and checked.

        :raises MissingConnectionError: Airflow shows no such connection
        :raises InvalidConnectionError: a field is missing or wrong
        """
        return look_up(self.bandwidth_conn_id, self.get_connection)

    async def load_settings(self) -> ConnectionSettings:
        """Read the connection as an event loop must: the synchronous way can deadlock a triggerer."""
        if "settings" not in self.__dict__:
            self.__dict__["settings"] = await look_up_async(self.bandwidth_conn_id)
        return self.settings

    @cached_property
    def account_id(self) -> str:
        """The account that calls go to.

        :raises InvalidConnectionError: neither the caller nor the connection names one
        """
        if self._given_account_id:
            return parse_account_id(self._given_account_id)
        if self.settings.account_id is None:
            raise InvalidConnectionError(
                f"No Bandwidth account: give account_id, or set extra.account_id of connection "
                f"{self.bandwidth_conn_id!r}."
            )
        return self.settings.account_id

    def get_conn(self) -> requests.Session:
        """A requests session with authentication, time limits and retries mounted; made once per hook.

        It follows no redirects. It sends the credentials to any URL that it is given.
        """
        if self._session is None:
            from airflow_provider_bandwidth.hooks._transport import ApiSession

            settings = self.settings
            if settings.auth_type == "basic":
                self.log.warning(
                    "Connection %r uses basic authentication. Bandwidth refuses API-user passwords from 2026-12-02 on: "
                    "create OAuth2 client credentials and set the connection's auth_type to oauth2.",
                    settings.conn_id,
                )
            self._session = ApiSession(
                settings,
                accept=self._accept,
                max_attempts=self._max_attempts,
                sleep=self._sleep,
                clock=self._clock,
                mask=mask_secret,
            )
            self._bandwidth_clock = self._session.now
        return self._session

    def bandwidth_now(self) -> datetime:
        """The time by Bandwidth's clock, to compare with times that Bandwidth gives.

        It is our time, corrected by the ``Date`` of Bandwidth's last answer; before the first answer it is ours.
        """
        return datetime.fromtimestamp(self._bandwidth_clock(), UTC)

    def reload(self) -> bool:
        """Read the connection again; the next call uses it as it is now. Calls under way end as they began.

        A call does so by itself when the credentials are refused. The account stays the same, since the orders that
        were made belong to it.

        :return: whether anything changed
        :raises InvalidConnectionError: a field is missing or wrong; the hook goes on with the old connection
        """
        return self._replace_settings(look_up(self.bandwidth_conn_id, self.get_connection))

    async def reload_settings(self) -> bool:
        """The same as :meth:`reload`, for an event loop."""
        return self._replace_settings(await look_up_async(self.bandwidth_conn_id))

    def _replace_settings(self, settings: ConnectionSettings) -> bool:
        if settings == self.settings:
            return False
        self.account_id  # noqa: B018 - resolved with the old connection, and kept
        self.__dict__["settings"] = settings
        self.close()
        return True

    def close(self) -> None:
        """Close the session's connections. The hook can still be used: the next call opens new ones."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _call(self, method: str, path: str, **kwargs: Any) -> Answer:
        """A call and its whole answer. The parameters are those of :meth:`_open` and :meth:`_send`."""
        from airflow_provider_bandwidth.hooks._transport import to_answer

        return to_answer(self._open(method, path, **kwargs))

    @contextmanager
    def _stream(self, path: str, **kwargs: Any) -> Iterator[tuple[Answer, IO[bytes]]]:
        """A GET whose answer, if it is a 200, is read as it comes. The parameters are those of :meth:`_call`."""
        from airflow_provider_bandwidth.hooks._transport import ResponseStream, to_answer
        from airflow_provider_bandwidth.hooks._transport_errors import translating_transport_errors

        response = self._open("GET", path, stream=True, **kwargs)
        try:
            answer = to_answer(response, body=b"") if response.status_code == 200 else to_answer(response)
            with translating_transport_errors(answer.url):
                yield answer, cast("IO[bytes]", ResponseStream(response))
        finally:
            response.close()

    def _open(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send a request; once more with the connection as it is now, if the credentials were refused and it changed.

        :param path: below what :meth:`_url` puts before it
        """
        used = self.settings
        try:
            return self._send(method, path, **kwargs)
        except BandwidthAuthError as error:
            if (error.status == 403 and error.url != used.token_url) or not self._has_other_settings_than(used):
                raise
        return self._send(method, path, **kwargs)

    def _has_other_settings_than(self, used: ConnectionSettings) -> bool:
        try:
            self.reload()
        except Exception as error:  # noqa: BLE001 - the refusal says more than why Airflow has no connection just now
            self.log.warning("Could not read connection %r again: %s", self.bandwidth_conn_id, type(error).__name__)
        if self.settings == used:
            return False
        self.log.info("Connection %r has changed; going on with it as it is now.", self.bandwidth_conn_id)
        return True

    def _send(
        self,
        method: str,
        path: str,
        *,
        accept: Container[int] = (200,),
        doubt: Callable[[str], BandwidthError] | None = None,
        stream: bool = False,
        **kwargs: Any,
    ) -> requests.Response:
        """Send a request, whose answer has one of the accepted statuses.

        :param doubt: makes the error of a request that may have been acted upon, given what went wrong; ``None`` where
            that does no harm
        """
        from airflow_provider_bandwidth.hooks._transport import to_answer
        from airflow_provider_bandwidth.hooks._transport_errors import translating_transport_errors

        url = self._url(path)
        with translating_transport_errors(url, doubt=doubt):
            response = self.get_conn().request(method, url, allow_redirects=False, stream=stream, **kwargs)
        if response.status_code in accept:
            return response
        answer = to_answer(response)
        if doubt is not None and answer.leaves_doubt:
            raise doubt(f"Bandwidth answered HTTP {answer.status}")
        raise self._to_error(answer)
