"""The hook's HTTP session: authentication, time limits and retries mounted once, for every call through it.

Apart from the hook so that a DAG file that names the hook does not import requests.
"""

from __future__ import annotations

import random
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthAuthError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.wire.answers import RETRYABLE_STATUSES, read_clock_offset, read_pause

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks._connection import ConnectionSettings

#: The longest single pause, in seconds, whatever a rate limit's reset time says.
MAX_PAUSE: Final = 60.0
_FIRST_PAUSE: Final = 1.0
#: A token is renewed this many seconds before it expires.
_EXPIRY_MARGIN: Final = 60.0
_DEFAULT_TOKEN_LIFETIME: Final = 3600.0


def was_never_sent(error: requests.RequestException) -> bool:
    """Whether the connection was never established, so that nothing can have happened at the other end."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def may_pass(error: requests.RequestException) -> bool:
    """Whether the same request may get through a moment later; not if a certificate or the URL itself was refused."""
    if isinstance(error, requests.exceptions.SSLError):
        # TLS reports a connection that breaks off as an end of file.
        return _was_cut_off(error)
    return isinstance(
        error,
        requests.ConnectionError
        | requests.Timeout
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    )


def _was_cut_off(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        error = error.__cause__ or error.__context__
    return error is not None


def describe_transport_error(error: requests.RequestException) -> str:
    """What went wrong on the way, without addresses of proxies or anything else that might hold a credential."""
    if isinstance(error, requests.exceptions.SSLError) and not _was_cut_off(error):
        return "the TLS connection failed; if the certificate is from your own authority, set the connection's verify"
    if isinstance(error, requests.exceptions.InvalidURL):
        return "the URL cannot be used; check the connection's Host"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy could not be used"
    if was_never_sent(error):
        return "no connection could be made: host unknown, unreachable, or not listening"
    if isinstance(error, requests.Timeout):
        return "no answer within the connection's timeout"
    return f"the connection broke before the answer was complete ({type(error).__name__})"


@contextmanager
def naming_transport_errors(url: str, *, creates: str | None = None) -> Iterator[None]:
    """Turn errors of the layers below into one of ours, which names the cause and shows no credential.

    :param creates: the CustomerOrderId of the order that the request creates, if it creates one
    :raises AmbiguousSubmissionError: the order may have been created
    """
    try:
        yield
    except requests.RequestException as error:
        problem = describe_transport_error(error)
        never_sent = was_never_sent(error)
        if creates is not None and not never_sent:
            raise AmbiguousSubmissionError(creates, problem) from None
        if creates is not None:
            problem = f"{problem}. Nothing was created"
        raise BandwidthApiError(problem, url=url, retryable=may_pass(error)) from None


def next_pause(
    attempt: int,
    *,
    may_resend: bool,
    response: requests.Response | None,
    error: requests.RequestException | None,
    now: float,
) -> float | None:
    """Seconds to pause before the same request is sent again, or ``None`` to give up. The table is the hook's.

    :param attempt: how often it was sent, from 1
    :param may_resend: whether sending it twice does no harm: a GET, or a request for a token
    :param now: epoch seconds by the server's clock
    """
    if error is not None:
        again = may_pass(error) and (may_resend or was_never_sent(error))
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
    """Sends a request until it is answered for good, by the table of :class:`BandwidthHook`."""

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

    def now(self) -> float:
        """Epoch seconds by the server's clock, as its last answer showed it; by ours before the first answer."""
        return self._clock() + self._clock_offset

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and send again where that is safe. The last answer is returned, the last error raised."""
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        may_resend = request.method == "GET" or self._resend_post
        attempt = 1
        renewed = False
        while True:
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
            if not kwargs.get("stream"):
                # Read here, so that an answer that breaks off counts as a failed attempt.
                response.content  # noqa: B018
        except requests.RequestException as error:
            return None, error
        return response, None


class ResponseStream:
    """The decoded body of a streamed answer as a file, read in whatever pieces come."""

    def __init__(self, response: requests.Response) -> None:
        self._pieces = response.iter_content(65536)

    def read(self, size: int = -1) -> bytes:
        """The next piece, however large; empty at the end.

        :raises requests.RequestException: the answer broke off
        """
        return next(self._pieces, b"")


class Session(requests.Session):
    """A session that follows no redirect: they would resend a POST, and could lead to another host."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No answer is a redirect to be followed."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """The environment's proxies apply, but not to plain http, which is for this very machine only; and its CA
        bundle only where the connection does not name its own.
        """
        if not str(url).lower().startswith("https:"):
            # Reading the environment takes longer than the rest of a call.
            return {"proxies": {}, "stream": stream or self.stream, "verify": self.verify, "cert": self.cert}
        if verify is None and self.verify is not True:
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def basic_auth(settings: ConnectionSettings) -> HTTPBasicAuth:
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
        self._session = Session()
        self._session.verify = settings.verify
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._get_token()}"
        return request

    def renew(self, request: requests.PreparedRequest) -> None:
        """Put a new token on a request whose token was refused; one renewal serves all that were refused with it."""
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
                self._token, lifetime = self._fetch()
                self._renew_at = self._clock() + lifetime - _EXPIRY_MARGIN
            return self._token

    def _fetch(self) -> tuple[str, float]:
        url = self._settings.token_url
        with naming_transport_errors(url):
            response = self._session.post(
                url,
                data={"grant_type": "client_credentials"},
                auth=basic_auth(self._settings),
            )
        if response.status_code in (400, 401, 403):
            raise BandwidthAuthError(
                f"the client id or client secret of connection {self._settings.conn_id!r} was refused. "
                "Check its Login and Password, and its Auth type (oauth2 is the default).",
                status=response.status_code,
                url=url,
            )
        if response.status_code != 200:
            raise BandwidthApiError(
                "no token was given; check the connection's token_url",
                status=response.status_code,
                url=url,
                retryable=response.status_code in RETRYABLE_STATUSES,
            )
        token, lifetime = _read_token(response)
        if not token:
            raise InvalidResponseError(f"{url} answered 200 without an access token; check the connection's token_url.")
        self._mask(token)
        return token, lifetime


def _read_token(response: requests.Response) -> tuple[str, float]:
    """Token and lifetime in seconds; an empty token if there is none that a header can carry."""
    try:
        answer = response.json()
        token = str(answer["access_token"] or "")
        lifetime = float(answer.get("expires_in") or _DEFAULT_TOKEN_LIFETIME)
        return token if re.fullmatch("[!-~]+", token) else "", lifetime
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", 0.0
