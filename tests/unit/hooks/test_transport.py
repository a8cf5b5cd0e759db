"""Retries, tokens, time limits, TLS, redirects and proxies, over real sockets; and that no secret gets out."""

from __future__ import annotations

import contextlib
import pickle
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certificates import make_certificate
from support.clock import ManualClock
from support.raw_server import HANG_UP, RESET, SILENCE, RawServer, closed_port, http_answer
from support.task_log import TaskLog

from airflow_provider_bandwidth import __version__
from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthAuthError,
    BandwidthError,
    InvalidResponseError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest
from airflow_provider_bandwidth.sandbox import Sandbox

Connect = Callable[..., None]

ORDER_ID = "0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01"
ORDER = (
    f"<ExternalTnsOrder><OrderId>{ORDER_ID}</OrderId><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrder>"
)
TOKEN = b'{"access_token": "raw-token", "expires_in": 3600}'


def make_request() -> ExternalTnsOrderRequest:
    return ExternalTnsOrderRequest(action=Action.IMPORT, telephone_numbers=("9195550101",), site_id=743)


def raw_hook(connect: Connect, clock: ManualClock, url: str, *, max_attempts: int = 5, **extra: Any) -> BandwidthHook:
    extra = {"auth_type": "basic", "account_id": "1", "timeout": 5, **extra}
    connect({"host": url, "login": "user", "password": "password"}, extra=extra)
    return BandwidthHook(max_attempts=max_attempts, sleep=clock.sleep, clock=clock)


# --- the retry table ---

#: What happens to every request, how often a GET is sent, its error, how often a POST is sent, its error.
RETRY_TABLE: list[tuple[str, dict[str, Any], int, type[Exception], int, type[Exception]]] = [
    ("drop", {}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("truncate", {}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("slow", {"seconds": 0.6}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("status", {"status": 408}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("status", {"status": 500}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("status", {"status": 502}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("status", {"status": 503, "body": "empty"}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("status", {"status": 504, "body": "xml"}, 5, BandwidthApiError, 1, AmbiguousSubmissionError),
    ("rate-limit", {}, 5, BandwidthApiError, 5, BandwidthApiError),
    ("unauthorized", {}, 2, BandwidthAuthError, 2, BandwidthAuthError),
    ("refuse", {"status": 400}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("status", {"status": 403, "body": "empty"}, 1, BandwidthAuthError, 1, BandwidthAuthError),
    ("refuse", {"status": 404}, 1, OrderNotFoundError, 1, BandwidthApiError),
    ("refuse", {"status": 409}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("status", {"status": 415}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("redirect", {"status": 301}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("redirect", {"status": 303}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("redirect", {"status": 307}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("redirect", {"status": 308}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("status", {"status": 304, "body": "empty"}, 1, BandwidthApiError, 1, BandwidthApiError),
    ("body", {"kind": "html"}, 1, InvalidResponseError, 1, AmbiguousSubmissionError),
    ("truncate", {"how": "xml"}, 1, InvalidResponseError, 1, AmbiguousSubmissionError),
]


@pytest.mark.parametrize(
    ("fault", "options", "gets", "get_error", "posts", "post_error"),
    RETRY_TABLE,
    ids=[" ".join(map(str, (row[0], *row[1].values()))) for row in RETRY_TABLE],
)
def test_retry_table(
    fault: str,
    options: dict[str, Any],
    gets: int,
    get_error: type[Exception],
    posts: int,
    post_error: type[Exception],
    sandbox: Sandbox,
    connect: Connect,
    clock: ManualClock,
) -> None:
    connect(sandbox.connection, extra={"timeout": 0.3 if fault == "slow" else 5})
    hook = BandwidthHook(sleep=clock.sleep, clock=clock)
    order = sandbox.add_order(["9195550101"])
    sandbox.inject(fault, operation="order", times=None, **options)
    sandbox.inject(fault, operation="submit", times=None, **options)

    with pytest.raises(get_error) as caught:
        hook.get_tn_order(order.order_id)
    assert type(caught.value) is get_error
    assert sandbox.count(operation="order") == gets

    with pytest.raises(post_error) as caught:
        hook.create_tn_order(make_request())
    assert type(caught.value) is post_error
    assert sandbox.count(operation="submit") == posts
    hook.close()


def test_a_connection_that_is_never_made_is_tried_again_by_get_and_post(connect: Connect, clock: ManualClock) -> None:
    hook = raw_hook(connect, clock, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(BandwidthApiError, match="no connection could be made: host unknown") as caught:
        hook.get_tn_order(ORDER_ID)
    assert caught.value.status is None
    assert caught.value.retryable
    assert len(clock.pauses) == 4
    with pytest.raises(BandwidthApiError, match="Nothing was created") as caught:
        hook.create_tn_order(make_request())
    assert caught.value.retryable
    assert len(clock.pauses) == 8


def test_a_reset_connection_is_tried_again_by_get_only(connect: Connect, clock: ManualClock) -> None:
    with RawServer(RESET) as server:
        hook = raw_hook(connect, clock, server.url)
        with pytest.raises(BandwidthApiError, match="broke before the answer"):
            hook.get_tn_order(ORDER_ID)
        assert server.connections == 5
        with pytest.raises(AmbiguousSubmissionError):
            hook.create_tn_order(make_request())
        assert server.connections == 6


def test_a_get_succeeds_after_every_kind_of_passing_trouble(
    sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    order = sandbox.add_order(["9195550101"])
    sandbox.inject("drop", operation="order")
    sandbox.inject("status", operation="order", status=503)
    sandbox.inject("truncate", operation="order", after=1)
    sandbox.inject("rate-limit", operation="order", after=1)
    assert hook.get_tn_order(order.order_id).order_id == order.order_id
    assert sandbox.count(operation="order") == 4 + (len(clock.pauses) - 3)


def test_a_post_is_sent_again_after_429_and_creates_one_order(
    sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    sandbox.inject("rate-limit", operation="submit", times=2)
    order = hook.create_tn_order(make_request())
    assert [stored.order_id for stored in sandbox.orders] == [order.order_id]
    assert len(clock.pauses) == 2


def test_pauses_double_from_one_second_with_jitter(sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock) -> None:
    sandbox.inject("status", operation="order", status=503, times=None)
    seen = set()
    for _ in range(3):
        clock.pauses.clear()
        with pytest.raises(BandwidthApiError):
            hook.get_tn_order(ORDER_ID)
        for pause, longest in zip(clock.pauses, (1, 2, 4, 8), strict=True):
            assert longest / 2 <= pause <= longest
        seen.update(clock.pauses)
    assert len(seen) == 12


def test_pauses_never_exceed_a_minute(sandbox: Sandbox, connect: Connect, clock: ManualClock) -> None:
    connect(sandbox.connection)
    sandbox.inject("status", operation="order", status=503, times=None)
    with pytest.raises(BandwidthApiError):
        BandwidthHook(max_attempts=12, sleep=clock.sleep, clock=clock).get_tn_order(ORDER_ID)
    assert 30 <= max(clock.pauses) <= 60


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"seconds": 20, "unit": "s"}, 20),
        ({"seconds": 20, "unit": "ms"}, 20),
        ({"seconds": 20, "header": "Retry-After"}, 20),
        ({"seconds": -30, "unit": "s"}, 0),
        ({"seconds": 3600, "unit": "s"}, 60),
    ],
)
def test_429_pauses_until_the_reset_time_but_a_minute_at_most(
    options: dict[str, Any], asked: float, sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    order = sandbox.add_order(["9195550101"])
    sandbox.inject("rate-limit", operation="order", **options)
    clock.now = time.time()
    hook.get_tn_order(order.order_id)
    (pause,) = clock.pauses
    # The header holds whole seconds.
    assert min(60, asked - 0.6) <= pause <= min(60, asked + 5)


def test_429_without_a_header_backs_off_like_503(sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock) -> None:
    order = sandbox.add_order(["9195550101"])
    sandbox.inject("rate-limit", operation="order", header="none")
    hook.get_tn_order(order.order_id)
    assert 0.5 <= clock.pauses[0] <= 1


# --- tokens ---


def test_a_token_is_kept_until_a_minute_before_it_expires(
    sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    order = sandbox.add_order(["9195550101"])

    def tokens_after(seconds: float) -> int:
        clock.now += seconds
        hook.get_tn_order(order.order_id)
        return sandbox.count(operation="token")

    assert tokens_after(0) == 1
    assert tokens_after(3530) == 1
    assert tokens_after(15) == 2
    assert tokens_after(0) == 2


@pytest.mark.parametrize("lifetime", [3600, 60, 45, 1, 0.5, "45", 0, -5, '"soon"', "null", "NaN", "1e999", "[]"])
def test_a_token_of_any_lifetime_serves_many_calls(lifetime: object, connect: Connect, clock: ManualClock) -> None:
    token = f'{{"access_token": "a", "expires_in": {lifetime}}}'.encode()
    with RawServer(http_answer(token)) as tokens, RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url, auth_type="oauth2", token_url=f"{tokens.url}/token")
        for _ in range(3):
            hook.get_tn_order(ORDER_ID)
        assert tokens.connections == 1
        clock.now += 3600
        hook.get_tn_order(ORDER_ID)
        assert tokens.connections == 2


def test_a_token_is_fetched_once_for_all_threads(connect: Connect, clock: ManualClock) -> None:
    def answer(connection: socket.socket) -> None:
        time.sleep(0.2)
        connection.sendall(http_answer(b'{"access_token": "a", "expires_in": 30}'))

    with RawServer(answer) as tokens, RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url, auth_type="oauth2", token_url=f"{tokens.url}/token")
        hook.get_conn()
        threads = [threading.Thread(target=hook.get_tn_order, args=(ORDER_ID,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (tokens.connections, api.connections) == (1, 4)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized"])
def test_a_token_endpoint_that_refuses_is_quoted_without_credentials(
    status: str, connect: Connect, clock: ManualClock
) -> None:
    body = b'{"error": "invalid_client", "error_description": "no user\\nwith password of that name"}'
    with RawServer(http_answer(body, status)) as server:
        hook = raw_hook(connect, clock, server.url, auth_type="oauth2")
        quoted = r"\(invalid_client: no \*\*\* with \*\*\* of that name\)"
        with pytest.raises(BandwidthAuthError, match=quoted) as caught:
            hook.get_tn_order(ORDER_ID)
        assert "Login and Password" in str(caught.value)


def test_calls_name_package_and_version_and_ask_for_what_can_be_read(connect: Connect, clock: ManualClock) -> None:
    with RawServer(http_answer(TOKEN)) as tokens, RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url, auth_type="oauth2", token_url=f"{tokens.url}/token")
        hook.get_tn_order(ORDER_ID)
        with contextlib.suppress(BandwidthError):
            hook.create_tn_order(make_request())
        for request in (*tokens.requests, *api.requests):
            assert f"\r\nUser-Agent: airflow-provider-bandwidth/{__version__} python-requests/".encode() in request
            assert b"\r\nAccept-Encoding: gzip\r\n" in request
        assert b"\r\nAccept: application/json\r\n" in tokens.requests[0]
        assert all(b"\r\nAccept: application/xml\r\n" in request for request in api.requests)


# --- what is wrong on this side ---


@pytest.mark.parametrize(
    ("host", "extra", "environment", "says"),
    [
        ("https://127.0.0.1:9/api", {}, {"REQUESTS_CA_BUNDLE": "/gone.pem"}, "CA bundle /gone.pem is not there"),
        ("https://127.0.0.1:9/api", {}, {"CURL_CA_BUNDLE": "/gone.pem"}, "CA bundle /gone.pem is not there"),
        ("https://LISTENER", {}, {"REQUESTS_CA_BUNDLE": __file__}, "CA bundle cannot be read"),
        ("https://a..example.invalid/api", {}, {}, "Host"),
        (f"https://{'a' * 70}.example.invalid/api", {}, {}, "Host"),
        ("https://exa mple.invalid/api", {}, {}, "Host"),
        ("https://.example.invalid/api", {}, {}, "Host"),
        ("https://*.example.invalid/api", {}, {}, "Host"),
        ("https://dash.example.invalid/api", {}, {"HTTPS_PROXY": "socks5://127.0.0.1:1"}, "proxy"),
        ("https://dash.example.invalid/api", {}, {"HTTPS_PROXY": "http://"}, "proxy"),
        ("https://dash.example.invalid/api", {}, {"HTTPS_PROXY": "ftp://proxy.invalid"}, "proxy"),
        ("https://dash.example.invalid/api", {}, {"HTTPS_PROXY": "http://me:hidden@a..b:1"}, "proxy"),
        ("https://dash.example.invalid/api", {}, {"ALL_PROXY": "http://me:hidden@127.0.0.1:1"}, "proxy"),
        ("https://LISTENER", {}, {"SSLKEYLOGFILE": "/gone/keys"}, "/gone/keys"),
        ("https://127.0.0.1:9/api", {"timeout": "1e12"}, {}, r"extra\.timeout"),
    ],
)
@pytest.mark.parametrize("auth_type", ["basic", "oauth2"])
def test_an_error_of_any_layer_is_one_of_ours_and_names_its_cause(
    host: str,
    extra: dict[str, Any],
    environment: dict[str, str],
    says: str,
    auth_type: str,
    connect: Connect,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    extra = {"account_id": "1", "auth_type": auth_type, **extra}
    with RawServer(HANG_UP) as server:
        host = host.replace("LISTENER", server.url.removeprefix("http://"))
        connect({"host": host, "login": "id", "password": "hidden"}, extra=extra)
        hook = BandwidthHook(max_attempts=1, sleep=clock.sleep, clock=clock)
        with pytest.raises(BandwidthError, match=says) as caught:
            hook.get_tn_order(ORDER_ID)
        assert "hidden" not in str(caught.value)
        assert hook.test_connection()[0] is False
        with pytest.raises(BandwidthError, match=says) as caught:
            hook.create_tn_order(make_request())
        # Behind a connection that was made, something may have been sent.
        assert isinstance(caught.value, AmbiguousSubmissionError) is (server.connections > 0 and auth_type == "basic")


def test_a_token_without_a_lifetime_lives_an_hour(connect: Connect, clock: ManualClock, sandbox: Sandbox) -> None:
    with RawServer(http_answer(b'{"access_token": "a"}')) as tokens, RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url, auth_type="oauth2", token_url=f"{tokens.url}/token")
        for passed, fetched in ((0, 1), (3530, 1), (15, 2)):
            clock.now += passed
            hook.get_tn_order(ORDER_ID)
            assert tokens.connections == fetched


def test_the_token_request_is_client_credentials(connect: Connect, clock: ManualClock) -> None:
    with RawServer(http_answer(TOKEN)) as tokens, RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url, auth_type="oauth2", token_url=f"{tokens.url}/token")
        hook.get_tn_order(ORDER_ID)
        head, _, body = tokens.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /token HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in head + b"\r\n"
        assert body == b"grant_type=client_credentials"
        assert b"\r\nAuthorization: Bearer raw-token\r\n" in api.requests[0]


def test_basic_sends_the_api_user_and_warns_of_its_end(connect: Connect, clock: ManualClock, task_log: TaskLog) -> None:
    with RawServer(http_answer(ORDER.encode())) as api:
        hook = raw_hook(connect, clock, api.url)
        hook.get_tn_order(ORDER_ID)
        assert b"\r\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in api.requests[0]
        assert "2026-12-02" in task_log.text
        assert "oauth2" in task_log.text


def test_a_password_beyond_latin_1_is_sent_as_utf_8(connect: Connect, clock: ManualClock) -> None:
    with Sandbox(login="käufer", password="pässwörd-€") as sandbox:
        order = sandbox.add_order(["9195550101"])
        for auth_type in ("basic", "oauth2"):
            connect(sandbox.connection, extra={"auth_type": auth_type})
            hook = BandwidthHook(sleep=clock.sleep, clock=clock)
            assert hook.get_tn_order(order.order_id).order_id == order.order_id


def test_a_refused_token_is_replaced_once(sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock) -> None:
    order = sandbox.add_order(["9195550101"])
    hook.get_tn_order(order.order_id)
    sandbox.revoke_tokens()
    hook.get_tn_order(order.order_id)
    assert sandbox.count(operation="token") == 2
    assert sandbox.count(operation="order") == 3
    assert clock.pauses == []


def test_a_refused_token_is_replaced_before_a_post_too(sandbox: Sandbox, hook: BandwidthHook) -> None:
    hook.list_tn_orders()
    sandbox.revoke_tokens()
    hook.create_tn_order(make_request())
    assert len(sandbox.orders) == 1
    assert sandbox.count(operation="submit") == 2


def test_a_token_that_is_refused_again_is_not_replaced_again(sandbox: Sandbox, hook: BandwidthHook) -> None:
    sandbox.inject("unauthorized", operation="order", times=None)
    with pytest.raises(BandwidthAuthError, match="Check its Login and Password"):
        hook.get_tn_order(ORDER_ID)
    assert sandbox.count(operation="token") == 2
    assert sandbox.count(operation="order") == 2


def test_basic_is_not_tried_again_after_401(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, password="wrong", extra={"auth_type": "basic"})
    with pytest.raises(BandwidthAuthError, match=r"2026-12-02"):
        BandwidthHook().get_tn_order(ORDER_ID)
    assert sandbox.count(operation="order") == 1


def test_wrong_client_credentials_end_before_any_call(sandbox: Sandbox, connect: Connect, clock: ManualClock) -> None:
    connect(sandbox.connection, password="wrong")
    with pytest.raises(BandwidthAuthError, match="client id or client secret of connection 'bandwidth_default'"):
        BandwidthHook(sleep=clock.sleep, clock=clock).get_tn_order(ORDER_ID)
    assert [record.operation for record in sandbox.requests] == ["token"]


def test_the_token_request_is_tried_again_though_it_is_a_post(
    sandbox: Sandbox, hook: BandwidthHook, clock: ManualClock
) -> None:
    order = sandbox.add_order(["9195550101"])
    sandbox.inject("status", operation="token", status=503)
    sandbox.inject("drop", operation="token", after=1)
    sandbox.inject("rate-limit", operation="token", after=1)
    hook.get_tn_order(order.order_id)
    assert sandbox.count(operation="token") == 1 + len(clock.pauses) >= 3


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (400, BandwidthAuthError, False),
        (403, BandwidthAuthError, False),
        (404, BandwidthApiError, False),  # not OrderNotFoundError
        (302, BandwidthApiError, False),
        (503, BandwidthApiError, True),
    ],
)
def test_a_failing_token_request_says_whether_it_may_pass(
    status: int, error: type[BandwidthApiError], retryable: bool, sandbox: Sandbox, hook: BandwidthHook
) -> None:
    sandbox.inject("status", operation="token", status=status, times=None)
    with pytest.raises(error) as caught:
        hook.get_tn_order(ORDER_ID)
    assert (type(caught.value), caught.value.status, caught.value.retryable) == (error, status, retryable)
    assert sandbox.count(operation="order") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b"[]",
        b"{}",
        b'"token"',
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        b'{"access_token": "a\\r\\nX: y"}',
        b'{"access_token": "\\u20ac"}',
    ],
)
def test_an_answer_without_a_usable_token_names_the_token_url(
    body: bytes, connect: Connect, clock: ManualClock
) -> None:
    with RawServer(http_answer(body)) as server:
        hook = raw_hook(connect, clock, server.url, auth_type="oauth2")
        with pytest.raises(InvalidResponseError, match=rf"{server.url}/api/v1/oauth2/token .*token_url"):
            hook.get_tn_order(ORDER_ID)
        assert server.connections == 1


def test_the_token_is_masked_before_it_is_used(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "airflow_provider_bandwidth.hooks._api.mask_secret",
        lambda secret: masked.append((secret, sandbox.count(operation="list"))),
    )
    connect(sandbox.connection)
    hook = BandwidthHook()
    sent: list[str] = []
    hook.get_conn().hooks["response"].append(lambda r, **_: sent.append(r.request.headers["Authorization"]))
    hook.list_tn_orders()
    ((token, calls_before),) = masked
    assert sent == [f"Bearer {token}"]
    assert calls_before == 0


# --- time limits ---


@pytest.mark.parametrize("waits_for", ["api", "token"])
def test_every_call_has_the_connections_time_limit(waits_for: str, connect: Connect, clock: ManualClock) -> None:
    scripts = (SILENCE,) if waits_for == "token" else (http_answer(TOKEN), SILENCE)
    with RawServer(*scripts) as server:
        hook = raw_hook(connect, clock, server.url, max_attempts=1, auth_type="oauth2", timeout=0.2)
        started = time.monotonic()
        with pytest.raises(BandwidthApiError, match="no answer within the connection's timeout"):
            hook.get_tn_order(ORDER_ID)
        assert 0.15 < time.monotonic() - started < 5


def test_calls_of_ones_own_on_the_session_have_it_too(connect: Connect, clock: ManualClock) -> None:
    import requests

    with RawServer(SILENCE) as server:
        session = raw_hook(connect, clock, server.url, max_attempts=1, timeout=0.2).get_conn()
        with pytest.raises(requests.Timeout):
            session.get(server.url)


def test_an_answer_that_stops_half_way_is_a_failure(connect: Connect, clock: ManualClock) -> None:
    with RawServer(http_answer(ORDER.encode()[:40], length=len(ORDER))) as server:
        hook = raw_hook(connect, clock, server.url, max_attempts=2)
        with pytest.raises(BandwidthApiError, match="broke before the answer was complete") as caught:
            hook.get_tn_order(ORDER_ID)
        assert caught.value.retryable
        assert server.connections == 2


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[RawServer]:
    with RawServer(http_answer(TOKEN), http_answer(ORDER.encode()), tls=certificate[1]) as server:
        yield server


@pytest.fixture(params=["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", None])
def environment_bundle(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may name a bundle of its own, which knows nothing of the server's certificate."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if request.param:
        other, _ = make_certificate(tmp_path)
        monkeypatch.setenv(request.param, str(other))


@pytest.mark.usefixtures("environment_bundle")
def test_an_unknown_certificate_is_refused_at_once(tls_server: RawServer, connect: Connect, clock: ManualClock) -> None:
    hook = raw_hook(connect, clock, tls_server.url, auth_type="oauth2")
    with pytest.raises(BandwidthApiError, match=r"TLS connection failed.*verify") as caught:
        hook.get_tn_order(ORDER_ID)
    assert not caught.value.retryable
    assert (tls_server.connections, tls_server.requests) == (1, [])


def test_an_unknown_certificate_ends_a_call_as_it_ends_a_token_request(
    certificate: tuple[Path, ssl.SSLContext], connect: Connect, clock: ManualClock
) -> None:
    with RawServer(http_answer(ORDER.encode()), tls=certificate[1]) as server:
        hook = raw_hook(connect, clock, server.url)
        with pytest.raises(BandwidthApiError) as caught:
            hook.get_tn_order(ORDER_ID)
        assert not caught.value.retryable
        with pytest.raises(AmbiguousSubmissionError, match="TLS"):
            hook.create_tn_order(make_request())
        assert (server.connections, server.requests) == (2, [])


@pytest.mark.usefixtures("environment_bundle")
@pytest.mark.parametrize("verify", ["own bundle", "false"])
def test_the_connections_verify_decides_whatever_the_environment_says(
    verify: str,
    tls_server: RawServer,
    certificate: tuple[Path, ssl.SSLContext],
    connect: Connect,
    clock: ManualClock,
    recwarn: pytest.WarningsRecorder,
) -> None:
    hook = raw_hook(
        connect,
        clock,
        tls_server.url,
        auth_type="oauth2",
        verify=str(certificate[0]) if verify == "own bundle" else verify,
    )
    assert hook.get_tn_order(ORDER_ID).order_id == ORDER_ID
    assert tls_server.connections == 2


def test_the_environments_bundle_counts_where_the_connection_names_none(
    tls_server: RawServer,
    certificate: tuple[Path, ssl.SSLContext],
    connect: Connect,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    hook = raw_hook(connect, clock, tls_server.url, auth_type="oauth2")
    assert hook.get_tn_order(ORDER_ID).order_id == ORDER_ID


def test_a_connection_cut_off_in_the_handshake_is_tried_again(connect: Connect, clock: ManualClock) -> None:
    with RawServer(HANG_UP) as server:
        hook = raw_hook(connect, clock, server.url.replace("http", "https"))
        with pytest.raises(BandwidthApiError) as caught:
            hook.get_tn_order(ORDER_ID)
        assert caught.value.retryable
        assert server.connections == 5


# --- redirects and proxies ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_by_nothing(status: int, sandbox: Sandbox, hook: BandwidthHook) -> None:
    with RawServer(http_answer(ORDER.encode())) as elsewhere:
        for operation in ("order", "submit", "list", "token"):
            sandbox.inject("redirect", operation=operation, times=None, status=status, location=elsewhere.url)
        with pytest.raises(BandwidthApiError):  # of the token request
            hook.get_tn_order(ORDER_ID)
        sandbox.clear_faults()
        hook.list_tn_orders()
        for operation in ("order", "submit", "list"):
            sandbox.inject("redirect", operation=operation, times=None, status=status, location=elsewhere.url)
        for call in (
            lambda: hook.get_tn_order(ORDER_ID),
            lambda: hook.create_tn_order(make_request()),
            hook.list_tn_orders,
        ):
            with pytest.raises(BandwidthApiError, match=r"redirect.*not followed.*Host"):
                call()
        assert hook.get_conn().get(f"{sandbox.base_url}/accounts/9900000/externalTns").status_code == status
        assert elsewhere.connections == 0


def test_plain_http_passes_by_the_environments_proxy(
    sandbox: Sandbox, hook: BandwidthHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is allowed for this machine only, since it shows credentials; a proxy is another machine."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with RawServer(http_answer(b"")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert hook.list_tn_orders() == []
        assert proxy.connections == 0


def test_https_goes_through_the_environments_proxy(
    connect: Connect, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with RawServer(http_answer(b"", "403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://proxyuser:proxysecret@"))
        monkeypatch.setenv("https_proxy", proxy.url.replace("http://", "http://proxyuser:proxysecret@"))
        hook = raw_hook(connect, clock, "https://dashboard.example.net/api", max_attempts=1)
        with pytest.raises(BandwidthApiError, match="the proxy could not be used") as caught:
            hook.get_tn_order(ORDER_ID)
        assert proxy.requests[0].startswith(b"CONNECT dashboard.example.net:443 ")
        assert "proxysecret" not in "".join(traceback.format_exception(caught.value))


# --- secrets ---

LOGIN = "grep-for-this-login"
PASSWORD = "grep-for-this-password"

TROUBLE: list[tuple[str, dict[str, Any]]] = [
    ("unauthorized", {}),
    ("status", {"status": 403}),
    ("status", {"status": 503}),
    ("refuse", {"status": 400}),
    ("rate-limit", {}),
    ("redirect", {}),
    ("drop", {}),
    ("truncate", {}),
    ("body", {"kind": "html"}),
    ("slow", {"seconds": 0.4}),
]


@pytest.mark.parametrize(
    ("auth_type", "troubled"),
    [("oauth2", ("order", "submit", "list")), ("oauth2", ("token",)), ("basic", ("order", "submit", "list"))],
)
def test_no_secret_gets_out(
    auth_type: str,
    troubled: tuple[str, ...],
    connect: Connect,
    clock: ManualClock,
    task_log: TaskLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens: list[str] = []
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", tokens.append)
    shown: list[str] = []
    with Sandbox(login=LOGIN, password=PASSWORD) as sandbox:
        connect(sandbox.connection, extra={"auth_type": auth_type})
        BandwidthHook().create_tn_order(make_request())
        connect(sandbox.connection, extra={"auth_type": auth_type, "timeout": 0.2})
        hook = BandwidthHook(sleep=clock.sleep, clock=clock, max_attempts=2)
        for fault, options in TROUBLE:
            sandbox.clear_faults()
            for operation in troubled:
                sandbox.inject(fault, operation=operation, times=None, **options)
            if troubled == ("token",):
                hook.close()
            shown += failures_of(hook)
        connect(sandbox.connection, password=f"{PASSWORD}x", extra={"auth_type": auth_type})
        shown += failures_of(BandwidthHook())
        shown += [repr(hook), repr(vars(hook)), repr(hook.get_conn()), repr(vars(hook.get_conn()))]
    logged = task_log.text

    assert "POST /api/accounts/9900000/externalTns" in logged, "urllib3's own log was not caught"
    assert len(shown) > 60
    basic = "Z3JlcC1mb3ItdGhpcy1sb2dpbjpncmVwLWZvci10aGlzLXBhc3N3b3Jk"  # what a Basic header holds
    assert bool(tokens) == (auth_type == "oauth2")
    for secret in (PASSWORD, basic, "Authorization: ", *tokens):
        assert secret not in logged
        for text in shown:
            assert secret not in text


def failures_of(hook: BandwidthHook) -> list[str]:
    """Everything that can be read of the error of each call, and of what lies behind it."""
    shown = []
    for call in (
        lambda: hook.get_tn_order(ORDER_ID),
        lambda: hook.create_tn_order(make_request()),
        hook.list_tn_orders,
    ):
        with pytest.raises(BandwidthError) as caught:
            call()
        error: BaseException | None = caught.value
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), vars(copy)) == (str(error), vars(error))
        shown += ["".join(traceback.format_exception(caught.value)), repr(pickle.dumps(error))]
        while error is not None:
            shown += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    return shown
