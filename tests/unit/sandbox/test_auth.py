"""Who may call: OAuth2, Basic with a challenge, accounts and the rate limit."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox


def token(sandbox: Sandbox, auth: tuple[str, str] = ("sandbox", "sandbox"), **form: str) -> requests.Response:
    data = form or {"grant_type": "client_credentials"}
    return requests.post(f"{sandbox.url}/api/v1/oauth2/token", data=data, auth=auth, timeout=5)


def get(sandbox: Sandbox, path: str = "", **keywords: Any) -> requests.Response:
    return requests.get(f"{sandbox.base_url}/accounts/9900000{path}", timeout=5, **keywords)


def bearer(sandbox: Sandbox, answer: requests.Response) -> int:
    return get(sandbox, headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).status_code


class TestOAuth2:
    def test_a_token_opens_the_api(self, sandbox: Sandbox) -> None:
        answer = token(sandbox)

        content = answer.json()
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert (content["token_type"], content["expires_in"]) == ("Bearer", 3600)
        assert bearer(sandbox, answer) == 200
        assert [record.auth for record in sandbox.requests] == ["client", "bearer"]

    def test_tokens_differ(self, sandbox: Sandbox) -> None:
        assert token(sandbox).json()["access_token"] != token(sandbox).json()["access_token"]

    def test_a_token_expires(self, sandbox: Sandbox) -> None:
        sandbox.configure(token_lifetime_seconds=0.1)
        answer = token(sandbox)

        assert answer.json()["expires_in"] == 0.1
        time.sleep(0.1)
        assert bearer(sandbox, answer) == 401

    def test_revoked_tokens_are_refused_and_new_ones_are_not(self, sandbox: Sandbox) -> None:
        answer = token(sandbox)
        sandbox.revoke_tokens()

        assert bearer(sandbox, answer) == 401
        assert bearer(sandbox, token(sandbox)) == 200

    @pytest.mark.parametrize("auth", [None, ("sandbox", "wrong"), ("nobody", "sandbox")])
    def test_a_wrong_client_is_401(self, sandbox: Sandbox, auth: tuple[Any, ...] | None) -> None:
        answer = token(sandbox, auth)

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_another_grant_is_400(self, sandbox: Sandbox) -> None:
        answer = token(sandbox, grant_type="password")

        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")

    def test_a_token_is_only_given_by_post(self, sandbox: Sandbox) -> None:
        assert requests.get(f"{sandbox.url}/api/v1/oauth2/token", timeout=5).status_code == 405


class TestBasic:
    @pytest.mark.parametrize("auth", [None, ("sandbox", "wrong"), ("", ""), ("sandbox", "")])
    def test_wrong_credentials_get_a_challenge(self, sandbox: Sandbox, auth: tuple[Any, ...] | None) -> None:
        answer = get(sandbox, "/externalTns", auth=auth)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
        assert answer.content == b""

    @pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic /////w==", "Bearer", "Bearer x", "Digest x"])
    def test_an_unreadable_header_gets_a_challenge(self, sandbox: Sandbox, value: str) -> None:
        assert get(sandbox, headers={"Authorization": value}).status_code == 401

    def test_an_order_is_not_stored_without_credentials(self, sandbox: Sandbox, api: Any) -> None:
        url = f"{api.base}/externalTns"

        assert requests.post(url, data=api.order_xml("9195550101"), timeout=5).status_code == 401
        assert sandbox.orders == []


class TestAccounts:
    def test_an_unknown_account_is_forbidden(self, sandbox: Sandbox, api: Any) -> None:
        answer = api.session.get(f"{sandbox.base_url}/accounts/1/externalTns", timeout=5)

        assert api.refusal(answer) == (403, "ErrorResponse", "1001")

    def test_every_account_has_its_own_numbers(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550101")
        other = f"{sandbox.base_url}/accounts/9900001/externalTns"

        order = api.session.post(other, data=api.order_xml("9195550101", "9195550102"), timeout=5)
        answer = api.session.get(order.headers["Location"], timeout=5)

        assert "<Code>5124</Code>" in answer.text
        assert sandbox.inventory == {("743", "303716"): ["9195550101"]}
        assert list(sandbox.numbers(imported=True))[-1].account_id == "9900001"


class TestRateLimit:
    def test_calls_over_the_limit_wait_for_the_epoch_second_given(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(requests_per_minute=2, rate_window_seconds=0.7)

        statuses = [api.get().status_code for _ in range(3)]
        limited = api.get()

        assert statuses == [200, 200, 429]
        assert limited.content == b""
        reset = int(limited.headers["X-RateLimit-Reset"])
        assert 0 < reset - time.time() <= 1.7
        time.sleep(0.7)
        assert api.get().status_code == 200

    def test_a_limited_order_is_not_stored(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(requests_per_minute=1)
        api.get()

        assert api.post(api.order_xml("9195550101")).status_code == 429
        assert sandbox.orders == []

    def test_tokens_do_not_count(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(requests_per_minute=1)

        assert [token(sandbox).status_code for _ in range(3)] == [200, 200, 200]
        assert api.get().status_code == 200
