"""Faults, seen from a raw socket where the client library would hide them."""

from __future__ import annotations

import base64
import socket
import threading
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBER = "9195550101"
CREDENTIALS = base64.b64encode(b"sandbox:sandbox").decode()


def exchange(sandbox: Sandbox, body: str = "", *, fault: str | None = None) -> tuple[bytes, str]:
    """Send one order by hand; what came back, and how the connection ended."""
    head = [
        "POST /api/accounts/9900000/externalTns HTTP/1.1",
        "Host: sandbox",
        f"Authorization: Basic {CREDENTIALS}",
        f"Content-Length: {len(body)}",
    ]
    if fault is not None:
        head.append(f"X-Sandbox-Fault: {fault}")
    received = b""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall("\r\n".join([*head, "", body]).encode())
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "open"
    return received, "closed"


def raw(response: bytes) -> tuple[int, int, bytes]:
    """Status, declared length and body of raw HTTP."""
    head, _, body = response.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(head.split(b" ")[1]), int(lengths[0]), body


class TestConnections:
    @pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
    def test_a_drop_resets_the_connection_before_or_after_the_commit(
        self, sandbox: Sandbox, api: Any, when: str, stored: int
    ) -> None:
        assert exchange(sandbox, api.order_xml(NUMBER), fault=f"drop;when={when}") == (b"", "reset")
        assert len(sandbox.orders) == stored
        record = sandbox.requests[0]
        assert (record.state, record.status, record.faults) == ("dropped", None, (f"drop;when={when}",))
        assert record.order_id == ([order.order_id for order in sandbox.orders] or [None])[0]

    def test_a_truncated_answer_promises_more_than_it_sends(self, sandbox: Sandbox, api: Any) -> None:
        received, end = exchange(sandbox, api.order_xml(NUMBER), fault="truncate")

        status, length, body = raw(received)
        assert (status, end) == (201, "closed")
        assert len(body) == length // 2
        assert len(sandbox.orders) == 1

    def test_requests_sees_a_truncated_answer_as_a_broken_one(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("truncate")

        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            api.post(api.order_xml(NUMBER))

    def test_an_answer_can_be_cut_to_a_fitting_length(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("truncate", how="xml")

        answer = api.post(api.order_xml(NUMBER))

        assert (answer.status_code, int(answer.headers["Content-Length"])) == (201, len(answer.content))
        with pytest.raises(ET.ParseError):
            ET.fromstring(answer.content)
        assert len(sandbox.orders) == 1

    def test_the_server_goes_on_after_every_broken_connection(
        self, sandbox: Sandbox, api: Any, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for fault in ("drop", "drop;when=after", "truncate"):
            exchange(sandbox, api.order_xml(NUMBER), fault=fault)

        assert api.submit(NUMBER)
        assert len(sandbox.orders) == 3
        assert capfd.readouterr().err == ""

    def test_a_large_truncated_answer_arrives_up_to_the_cut(self, sandbox: Sandbox, api: Any) -> None:
        for _ in range(30):
            sandbox.add_order([str(9192000000 + offset) for offset in range(2000)])
        whole = len(api.get("/externalTns").content)
        sandbox.inject("truncate", operation="list")

        answer = api.get("/externalTns", stream=True)

        assert int(answer.headers["Content-Length"]) == whole > 2_000_000
        with pytest.raises(requests.exceptions.ChunkedEncodingError) as failure:
            _ = answer.content
        assert f"{whole // 2} bytes read" in str(failure.value)


class TestAnswers:
    @pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_5xx_with_html_before_or_after_the_commit(
        self, sandbox: Sandbox, api: Any, when: str, stored: int, status: int
    ) -> None:
        sandbox.inject("status", status=status, when=when)

        answer = api.post(api.order_xml(NUMBER))

        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
        assert answer.text.startswith("<html>")
        assert len(sandbox.orders) == stored

    @pytest.mark.parametrize(
        ("body", "start"), [("xml", b"<?xml"), ("json", b"{"), ("html", b"<html>"), ("empty", b"")]
    )
    def test_a_status_comes_with_the_body_asked_for(self, sandbox: Sandbox, api: Any, body: str, start: bytes) -> None:
        sandbox.inject("status", status=500, body=body)

        content = api.get().content

        assert content.startswith(start)
        assert bool(content) is bool(start)

    @pytest.mark.parametrize(
        ("kind", "start"),
        [
            ("html", b"<!doctype html>"),
            ("json", b"{"),
            ("empty", b""),
            ("other-root", b"<Weather>"),
            ("doctype", b"<!DOC"),
        ],
    )
    def test_a_body_can_be_replaced_under_the_same_status(
        self, sandbox: Sandbox, api: Any, kind: str, start: bytes
    ) -> None:
        sandbox.inject("body", kind=kind)

        answer = api.post(api.order_xml(NUMBER))

        assert answer.status_code == 201
        assert answer.content.startswith(start)
        assert bool(answer.content) is bool(start)
        assert len(sandbox.orders) == 1

    def test_a_refusal_has_the_code_and_text_given(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("refuse", code="5012", description="locked", operation="submit")

        answer = api.post(api.order_xml(NUMBER))

        assert api.refusal(answer) == (400, "ExternalTnsOrderResponse", "5012")
        assert "locked" in answer.text
        assert sandbox.orders == []

    def test_401_comes_with_a_challenge(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("unauthorized")

        answer = api.get()

        assert (answer.status_code, answer.content) == (401, b"")
        assert "Basic realm" in answer.headers["WWW-Authenticate"]

    @pytest.mark.parametrize(
        ("options", "header", "low", "high"),
        [
            ({}, "X-RateLimit-Reset", 4, 6),
            ({"unit": "ms"}, "X-RateLimit-Reset", 4, 6),
            ({"header": "Retry-After"}, "Retry-After", 5, 5),
        ],
    )
    def test_429_says_when_to_come_back(
        self, sandbox: Sandbox, api: Any, options: dict[str, Any], header: str, low: int, high: int
    ) -> None:
        sandbox.inject("rate-limit", seconds=5, **options)
        now = time.time()

        answer = api.get()

        value = float(answer.headers[header])
        delay = {"Retry-After": value}.get(header, value / (1000 if "unit" in options else 1) - now)
        assert (answer.status_code, answer.content) == (429, b"")
        assert low <= delay <= high

    def test_429_can_say_nothing(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("rate-limit", header="none")

        answer = api.get()

        assert answer.status_code == 429
        assert not {"X-RateLimit-Reset", "Retry-After", "none"} & set(answer.headers)

    def test_a_redirect_leads_elsewhere(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("redirect")

        answer = api.post(api.order_xml(NUMBER))

        assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.invalid/")
        assert sandbox.orders == []


class TestTime:
    def test_a_slow_order_is_stored_after_its_client_has_left(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("slow", seconds=0.4)

        with pytest.raises(requests.exceptions.ReadTimeout):
            api.session.post(f"{api.base}/externalTns", data=api.order_xml(NUMBER), timeout=0.1)

        assert api.found() == []
        sandbox.wait_for_request(operation="submit", state="answered")
        assert len(sandbox.orders) == 1

    def test_a_slow_answer_comes_after_the_commit(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("slow", seconds=30, when="after")

        with pytest.raises(requests.exceptions.ReadTimeout):
            api.session.post(f"{api.base}/externalTns", data=api.order_xml(NUMBER), timeout=0.3)

        assert len(sandbox.orders) == 1

    def test_other_requests_are_served_meanwhile(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("slow", seconds=30, path="oauth2")
        url = f"{sandbox.url}/api/v1/oauth2/token"
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(url, data={"grant_type": "client_credentials"}, auth=("sandbox", "sandbox"), timeout=0.1)

        assert api.get().status_code == 200

    @pytest.mark.parametrize(("when", "stored"), [("after", 1), ("before", 0)])
    def test_a_held_request_waits_until_it_is_released(
        self, sandbox: Sandbox, api: Any, when: str, stored: int
    ) -> None:
        sandbox.inject("hold", operation="submit", when=when)
        answers = []
        client = threading.Thread(target=lambda: answers.append(api.post(api.order_xml(NUMBER))))
        client.start()

        record = sandbox.wait_for_request(operation="submit", state="held")
        assert len(sandbox.orders) == stored
        assert (record.order_id is not None) is bool(stored)
        assert answers == []
        sandbox.release_requests()
        client.join(5)

        assert [answer.status_code for answer in answers] == [201]
        assert sandbox.requests[0].state == "answered"
        assert sandbox.requests[0].order_id == sandbox.orders[0].order_id

    def test_waiting_for_a_request_that_never_comes_ends(self, sandbox: Sandbox) -> None:
        with pytest.raises(TimeoutError, match="no submit request is held"):
            sandbox.wait_for_request(operation="submit", state="held", timeout=0.05)


class TestAim:
    def test_a_fault_hits_as_often_as_asked_after_skipping(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("status", times=2, after=1)

        assert [api.get().status_code for _ in range(4)] == [200, 503, 503, 200]
        assert sandbox.faults() == []

    def test_a_fault_can_last(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("status", times=None, operation="list")

        assert [api.get("/externalTns").status_code for _ in range(3)] == [503] * 3
        assert api.get().status_code == 200
        sandbox.clear_faults()
        assert api.get("/externalTns").status_code == 404

    @pytest.mark.parametrize(
        ("aim", "hit"),
        [
            ({"operation": "submit"}, {"submit"}),
            ({"operation": "list"}, {"list"}),
            ({"operation": "order"}, {"order"}),
            ({"method": "post"}, {"submit"}),
            ({"path": "EXTERNALTNS"}, {"submit", "list", "order"}),
            ({"path": "externalTns/", "method": "GET"}, {"order"}),
            ({"operation": "token"}, {"token"}),
            ({"path": "oauth2"}, {"token"}),
            ({}, {"submit", "list", "order", "account"}),
        ],
    )
    def test_a_fault_is_aimed(self, sandbox: Sandbox, api: Any, aim: dict[str, Any], hit: set[str]) -> None:
        order_id = api.submit("9195550102")
        sandbox.inject("status", status=599, times=None, **aim)
        token_url = f"{sandbox.url}/api/v1/oauth2/token"
        calls = {
            "submit": lambda: api.post(api.order_xml(NUMBER)),
            "list": lambda: api.get("/externalTns"),
            "order": lambda: api.get(f"/externalTns/{order_id}"),
            "account": api.get,
            "token": lambda: api.session.post(token_url, data={"grant_type": "client_credentials"}, timeout=5),
        }

        assert {name for name, call in calls.items() if call().status_code == 599} == hit

    def test_a_header_aims_at_its_own_request_and_can_carry_several(self, sandbox: Sandbox, api: Any) -> None:
        header = {"X-Sandbox-Fault": "setting;dialect=O;echo_customer_order_id=false, status;status=502;when=after"}

        assert api.post(api.order_xml(NUMBER), headers=header).status_code == 502
        assert len(sandbox.orders) == 1
        assert sandbox.requests[0].faults == (
            "setting;dialect=O;echo_customer_order_id=false",
            "status;when=after;status=502;body=html",
        )
        assert api.get().status_code == 200

    @pytest.mark.parametrize(
        "header",
        ["nonsense", "drop;seconds=1", "status;status=x", "status;status=99", "drop;when=later", "setting;x=1"],
    )
    def test_an_unknown_fault_is_said_to_be_unknown(self, sandbox: Sandbox, api: Any, header: str) -> None:
        answer = api.post(api.order_xml(NUMBER), headers={"X-Sandbox-Fault": header})

        assert answer.status_code == 400
        assert header.partition(";")[0].partition("=")[0] in answer.text or "setting" in answer.text
        assert sandbox.orders == []

    @pytest.mark.parametrize(
        ("fault", "options"),
        [("nonsense", {}), ("drop", {"operation": "nonsense"}), ("drop", {"seconds": 1}), ("slow", {"seconds": "x"})],
    )
    def test_what_cannot_be_injected_raises(self, sandbox: Sandbox, fault: str, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"nonsense|no option|is a number"):
            sandbox.inject(fault, **options)


class TestOtherSettingsForOneRequest:
    def test_the_search_lags(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit(NUMBER)
        sandbox.inject("setting", operation="list", search_lag_seconds=60)

        assert api.found(customerOrderId="run-7") == []
        assert api.found(customerOrderId="run-7") == [order_id]

    def test_the_search_answers_summaries(self, sandbox: Sandbox, api: Any) -> None:
        api.submit(NUMBER)
        sandbox.inject("setting", list_form="summary")

        assert api.search().find("ExternalTnsOrderSummary") is not None
        assert api.search().find("ExternalTnsOrderSummary") is None

    def test_the_search_matches_prefixes(self, sandbox: Sandbox, api: Any) -> None:
        api.submit(NUMBER)
        sandbox.inject("setting", customer_order_id_match="prefix")

        assert len(api.found(customerOrderId="run")) == 1
        assert api.found(customerOrderId="run") == []

    def test_an_order_is_not_there_yet(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit(NUMBER)
        sandbox.inject("setting", operation="order", read_lag_seconds=60)

        assert api.get(f"/externalTns/{order_id}").status_code == 404
        assert api.get(f"/externalTns/{order_id}").status_code == 200

    def test_the_customer_order_id_is_lost(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("setting", operation="submit", drop_customer_order_id="always")

        assert [sandbox.order(api.submit(NUMBER)).customer_order_id for _ in range(2)] == [None, "run-7"]

    def test_the_echo_is_missing_once(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.inject("setting", operation="submit", echo_customer_order_id=False)

        created = api.post(api.order_xml(NUMBER))

        assert "run-7" not in created.text
        assert api.found(customerOrderId="run-7") == [sandbox.orders[0].order_id]
        assert api.texts(api.search(), "CustomerOrderID") == ["run-7"]
