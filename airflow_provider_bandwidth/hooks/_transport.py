"""The hook's HTTP session: authentication, time limits and retries mounted once, for every call through it.

It is apart from the hook, so that a DAG file that imports the hook does not import requests.
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from airflow_provider_bandwidth import __version__
from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthAuthError, InvalidResponseError
from airflow_provider_bandwidth.hooks._exchange import (
    ACCEPT_ENCODING,
    AnswerTooSlowError,
    iter_body,
    limit_answers_of,
    limiting_answers,
    read_body,
)
from airflow_provider_bandwidth.hooks._transport_errors import (
    find_cause,
    may_pass,
    translating_transport_errors,
    was_never_sent,
)
from airflow_provider_bandwidth.wire.answers import RETRYABLE_STATUSES, Answer, read_clock_offset, read_pause
from airflow_provider_bandwidth.wire.documents import clean_text

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks._connection import ConnectionSettings

#: The longest single pause, in seconds, whatever a rate limit's reset time says.
MAX_PAUSE: Final = 60.0
_FIRST_PAUSE: Final = 1.0
#: A whole answer may take this many times the connection's timeout, which limits each of its pieces.
_ANSWER_TIMEOUTS: Final = 5
#: The largest answer that is held whole. An order of 5,000 numbers has about one MiB.
_MAX_BODY: Final = 64 * 2**20
#: The largest list that is read as it comes. One of 1,000 such orders has 200 to 600 MiB.
_MAX_STREAM: Final = 2**30
#: A token is renewed this many seconds before it expires, or after half its lifetime if that is later.
_EXPIRY_MARGIN: Final = 60.0
_DEFAULT_TOKEN_LIFETIME: Final = 3600.0


def next_pause(
    attempt: int,
    *,
    may_resend: bool,
    response: requests.Response | None,
    error: requests.RequestException | None,
    now: float,
) -> float | None:
    """Seconds to pause before the same request is sent again, or ``None`` to give up: the hook's table.

    :param attempt: how often it was sent, from 1
    :param may_resend: whether sending it twice does no harm: a GET, or a request for a token
    :param now: epoch seconds by the server's clock
    """
    if error is not None:
        # An answer that took too long would take as long again.
        again = may_pass(error) and not find_cause(error, AnswerTooSlowError) and (may_resend or was_never_sent(error))
    else:
        assert response is not None
        again = response.status_code == 429 or (may_resend and response.status_code in RETRYABLE_STATUSES)
    if not again:
        return None
    asked = read_pause(response.headers, now) if response is not None and response.status_code == 429 else None
    if asked is not None:
        # A moment after the reset, and not all clients in the same moment.
        return min(asked + random.uniform(0.1, 1.0), MAX_PAUSE)  # noqa: S311
    longest: float = min(_FIRST_PAUSE * 2 ** (attempt - 1), MAX_PAUSE)
    return random.uniform(longest / 2, longest)  # noqa: S311


class RetryingAdapter(HTTPAdapter):
    """Sends a request, and sends it again where the table of :class:`BandwidthHook` says so."""

    def __init__(
        self,
        *,
        timeout: float,
        max_attempts: int,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        resend_post: bool = False,
        auth: TokenAuth | None = None,
    ) -> None:
        super().__init__(pool_maxsize=16)
        self._resend_post = resend_post
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._sleep = sleep
        self._clock = clock
        self._auth = auth
        self._clock_offset = 0.0

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        limit_answers_of(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools of connections to a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        limit_answers_of(manager)
        return manager

    def now(self) -> float:
        """Epoch seconds by the server's clock, as its last answer showed it; by ours before the first answer."""
        return self._clock() + self._clock_offset

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and send again where that is safe. The last answer is returned, the last error raised."""
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        limits = (self._timeout * _ANSWER_TIMEOUTS, _MAX_STREAM if kwargs.get("stream") else _MAX_BODY + 2**20)
        may_resend = request.method == "GET" or self._resend_post
        attempt = 1
        renewed = False
        while True:
            with limiting_answers(*limits):
                response, error = self._send_once(request, *args, **kwargs)
            if response is not None and response.status_code == 401 and self._auth is not None and not renewed:
                renewed = True
                response.close()
                self._auth.renew(request)
                continue
            pause = None
            if attempt < self._max_attempts and (response is None or not response.ok):
                pause = next_pause(attempt, may_resend=may_resend, response=response, error=error, now=self.now())
            if pause is None:
                if error is not None:
                    raise error
                assert response is not None
                return response
            if response is not None:
                response.close()
            self._sleep(pause)
            attempt += 1

    def _send_once(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> tuple[requests.Response | None, requests.RequestException | None]:
        sent_at = self._clock()
        try:
            response = super().send(request, *args, **kwargs)
            offset = read_clock_offset(response.headers, sent_at, self._clock())
            self._clock_offset = self._clock_offset if offset is None else offset
            if not (kwargs.get("stream") and response.status_code == 200):
                # Read here, so that an answer that breaks off counts as a failed attempt.
                read_body(response, _MAX_BODY)
        except requests.RequestException as error:
            return None, error
        return response, None


class ResponseStream:
    """The decoded body of a streamed answer as a file, read in whatever pieces come."""

    def __init__(self, response: requests.Response) -> None:
        self._pieces = iter_body(response, _MAX_STREAM)

    def read(self, size: int = -1) -> bytes:
        """The next piece, however large; empty at the end.

        :raises requests.RequestException: the answer broke off
        """
        return next(self._pieces, b"")


class Session(requests.Session):
    """A session that follows no redirect: they would resend a POST, and could lead to another host.

    :param accept: the media type of its answers
    """

    def __init__(self, accept: str) -> None:
        super().__init__()
        self.headers.update(
            {
                "Accept": accept,
                "Accept-Encoding": ACCEPT_ENCODING,
                "User-Agent": f"airflow-provider-bandwidth/{__version__} {requests.utils.default_user_agent()}",
            }
        )

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No answer is a redirect to be followed."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Use the environment's proxies, and its CA bundle where the connection names none.

        Plain http goes to this very machine only, so neither applies to it.
        """
        if not str(url).lower().startswith("https:"):
            # Reading the environment takes longer than the rest of a call.
            return {"proxies": {}, "stream": stream or self.stream, "verify": self.verify, "cert": self.cert}
        if verify is None and self.verify is not True:
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


class ApiSession(Session):
    """The session of a connection's calls.

    :param accept: the media type of its answers
    :param mask: has a new token masked in the logs
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        accept: str,
        max_attempts: int,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        mask: Callable[[str], None],
    ) -> None:
        super().__init__(accept)
        limits: dict[str, Any] = {
            "timeout": settings.timeout,
            "max_attempts": max_attempts,
            "sleep": sleep,
            "clock": clock,
        }
        self._token_auth: TokenAuth | None = None
        if settings.auth_type == "oauth2":
            self._token_auth = TokenAuth(settings, RetryingAdapter(**limits, resend_post=True), clock, mask)
        self._adapter = RetryingAdapter(**limits, auth=self._token_auth)
        self.verify = settings.verify
        self.auth = self._token_auth or _basic_auth(settings)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def now(self) -> float:
        """Epoch seconds by Bandwidth's clock, as its last answer showed it; by ours before the first answer."""
        return self._adapter.now()

    def close(self) -> None:
        """Close all connections, those to the token endpoint included."""
        super().close()
        if self._token_auth is not None:
            self._token_auth.close()


def to_answer(response: requests.Response, *, body: bytes | None = None) -> Answer:
    """What came back, for the readers. Its URL lacks the query, which may name telephone numbers.

    :param body: the body, where it is not to be read from the response
    """
    content = response.content if body is None else body
    return Answer(
        response.status_code, response.headers, content, response.url.partition("?")[0], response.reason or ""
    )


def _basic_auth(settings: ConnectionSettings) -> HTTPBasicAuth:
    """Login and password as a Basic header, in UTF-8: requests would refuse what Latin-1 lacks."""
    return HTTPBasicAuth(settings.login.encode(), settings.password.encode())


class TokenAuth(AuthBase):
    """OAuth2 client credentials: a bearer token, fetched when needed and kept until a minute before it expires."""

    def __init__(
        self,
        settings: ConnectionSettings,
        adapter: RetryingAdapter,
        clock: Callable[[], float],
        mask: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._mask = mask
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._session = Session("application/json")
        self._session.verify = settings.verify
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._get_token()}"
        return request

    def renew(self, request: requests.PreparedRequest) -> None:
        """Put a new token on a request whose token was refused; one renewal serves all requests that had it."""
        with self._lock:
            if request.headers.get("Authorization") == f"Bearer {self._token}":
                self._token = None
        self(request)

    def close(self) -> None:
        """Close the connections to the token endpoint."""
        self._session.close()

    def _get_token(self) -> str:
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                asked_at = self._clock()
                self._token, lifetime = self._fetch()
                self._renew_at = asked_at + max(lifetime / 2, lifetime - _EXPIRY_MARGIN)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        url = self._settings.token_url
        with translating_transport_errors(url):
            response = self._session.post(
                url,
                data={"grant_type": "client_credentials"},
                auth=_basic_auth(self._settings),
            )
        status = response.status_code
        answer = _read_json(response)
        problem = self._describe_refusal(answer)
        if status in (400, 401, 403) or (status == 200 and problem):
            raise BandwidthAuthError(
                f"the client id or client secret of connection {self._settings.conn_id!r} was refused{problem}. "
                f"{self._settings.credentials_hint}",
                status=status,
                url=url,
            )
        if status != 200:
            raise BandwidthApiError(
                "no token was given; check the connection's token_url",
                status=status,
                url=url,
                retryable=status in RETRYABLE_STATUSES,
            )
        token, lifetime = _read_token(answer)
        if not token:
            raise InvalidResponseError(f"{url} answered 200 without an access token; check the connection's token_url.")
        self._mask(token)
        return token, lifetime

    def _describe_refusal(self, answer: dict[str, Any]) -> str:
        """What an OAuth2 error says, in brackets, without the credentials that it may repeat; else empty."""
        said = (answer.get(name) for name in ("error", "error_description"))
        text = clean_text(": ".join(part for part in said if isinstance(part, str) and part))[:200]
        for secret in (self._settings.password, self._settings.login):
            text = text.replace(secret, "***")
        return f" ({text})" if text else ""


def _read_json(response: requests.Response) -> dict[str, Any]:
    """The JSON object in an answer; empty if there is none."""
    try:
        answer = response.json()
    except ValueError:  # also of requests
        return {}
    return answer if isinstance(answer, dict) else {}


def _read_token(answer: dict[str, Any]) -> tuple[str, float]:
    """Token and lifetime in seconds; an empty token if there is none that a header can carry."""
    token = str(answer.get("access_token") or "")
    try:
        lifetime = float(answer.get("expires_in") or 0)
    except (ValueError, TypeError, OverflowError):
        lifetime = 0.0
    # A token that names no usable lifetime is kept for the default one, or until it is refused.
    is_good = math.isfinite(lifetime) and lifetime > 0
    return token if re.fullmatch("[!-~]+", token) else "", lifetime if is_good else _DEFAULT_TOKEN_LIFETIME
