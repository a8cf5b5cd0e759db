"""Callbacks of messages and receipts of International A2P, delivered to a loopback URL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION

SENDER, RECIPIENT = "+19195550101", "+12125550150"


class Receiver:
    """An endpoint of the user's: what it gets, and what it answers (200 when nothing else is set)."""

    def __init__(self) -> None:
        self.got = []
        self.answers = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), json.loads(body)))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events?x=1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def wait(self, count: int, seconds: float = 5.0) -> list[Any]:
        deadline = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.got) >= count, self.got
        return [body for _, body in self.got]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def running_receiver() -> Iterator[Any]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def receiver(running_receiver: Any) -> Any:
    running_receiver.got.clear()
    running_receiver.answers.clear()
    return running_receiver


class TestMessages:
    @pytest.fixture
    def send(self, sandbox: Sandbox, api: Any, receiver: Any) -> Any:
        sandbox.configure(callback_url=receiver.url)
        sandbox.seed(imported=["9195550101"], campaign_id="CABC123")

        def call(**fields: Any) -> Any:
            body = {"applicationId": DEFAULT_APPLICATION, "to": [RECIPIENT], "from": SENDER, "text": "hi", **fields}
            return api.session.post(f"{sandbox.messaging_url}/users/9900000/messages", json=body, timeout=5).json()

        return call

    def test_each_is_an_array_of_one_without_the_text(self, receiver: Any, send: Any) -> None:
        sent = send(tag="af-1")

        ((first,), (second,)) = receiver.wait(2)

        assert [first["type"], second["type"]] == ["message-sent", "message-delivered"]
        assert second["to"] == RECIPIENT
        assert second["message"] == {**sent, "text": ""}
        assert "errorCode" not in second
        headers, _ = receiver.got[0]
        assert (headers["User-Agent"], headers["Content-Type"]) == (
            "BandwidthAPI/v2",
            "application/json; charset=utf-8",
        )
        assert "Authorization" not in headers

    @pytest.mark.parametrize(
        ("code", "types"), [(4476, ["message-failed"]), (4773, ["message-sent", "message-failed"])]
    )
    def test_a_failure_has_its_code(self, receiver: Any, send: Any, code: int, types: list[Any]) -> None:
        send(to=[f"+1212555{code}"])

        events = [event for (event,) in receiver.wait(len(types))]

        assert [event["type"] for event in events] == types
        assert events[-1]["errorCode"] == code

    def test_a_group_gets_one_each(self, receiver: Any, send: Any) -> None:
        send(to=[RECIPIENT, "+12125554720"], media=["https://example.test/a.png"])

        events = [event for (event,) in receiver.wait(4)]

        assert sorted((event["type"], event["to"]) for event in events) == [
            ("message-delivered", RECIPIENT),
            ("message-failed", "+12125554720"),
            ("message-sending", RECIPIENT),
            ("message-sending", "+12125554720"),
        ]

    def test_it_waits_for_the_clock(self, sandbox: Sandbox, receiver: Any, send: Any) -> None:
        sandbox.configure(message_delivery_seconds=3600)
        send()
        receiver.wait(1)
        time.sleep(0.05)
        assert len(receiver.got) == 1

        sandbox.skip(3600)
        assert receiver.wait(2)[1][0]["type"] == "message-delivered"

    def test_it_is_sent_again_until_it_is_taken(self, sandbox: Sandbox, receiver: Any, send: Any) -> None:
        receiver.answers[:] = [500]

        send(to=["+12125554476"])

        bodies = receiver.wait(2)
        assert bodies[0] == bodies[1]
        assert [(each.attempt, each.status) for each in sandbox.wait_for_callbacks(2)] == [(1, 500), (2, 200)]

    def test_a_reset_forgets_what_is_due(self, sandbox: Sandbox, receiver: Any, send: Any) -> None:
        sandbox.configure(message_delivery_seconds=3600)
        send()
        receiver.wait(1)

        sandbox.reset()
        sandbox.skip(3600)

        time.sleep(0.05)
        assert (len(receiver.got), sandbox.callbacks) == (1, [])
        with pytest.raises(TimeoutError, match="0 callbacks were tried"):
            sandbox.wait_for_callbacks(1, timeout=0.01)

    def test_it_can_give_up_come_twice_and_bring_credentials(self, sandbox: Sandbox, receiver: Any, send: Any) -> None:
        sandbox.configure(callback_retry_seconds=0, callback_duplicates=True, callback_credentials="u:p")
        receiver.answers[:] = [500, 500]

        send(to=["+12125554476"])

        receiver.wait(2)
        time.sleep(0.3)
        assert len(receiver.got) == 2
        assert receiver.got[0][0]["Authorization"] == "Basic dTpw"

    def test_none_come_without_an_application(self, sandbox: Sandbox, receiver: Any, send: Any) -> None:
        sandbox.configure(messaging_application="")
        send()

        time.sleep(0.1)
        assert receiver.got == []

    def test_nobody_there_is_no_harm_and_stopping_does_not_wait(self, receiver: Any) -> None:
        with Sandbox(callback_url="http://127.0.0.1:9/", campaign_required=False, imported=["9195550101"]) as sandbox:
            body = {"applicationId": DEFAULT_APPLICATION, "to": [RECIPIENT], "from": SENDER, "text": "hi"}
            url = f"{sandbox.messaging_url}/users/9900000/messages"
            assert requests.post(url, json=body, auth=("sandbox", "sandbox"), timeout=5).status_code == 202
            assert sandbox.wait_for_callbacks(1)[0].status is None
            started = time.monotonic()
        assert time.monotonic() - started < 2


class TestInternational:
    @pytest.fixture
    def send(self, sandbox: Sandbox, api: Any, receiver: Any) -> Any:
        def call(**fields: Any) -> Any:
            body = {
                "type": "text",
                "auth": {"username": "sandbox", "password": "sandbox"},
                "sender": "Bakery",
                "receiver": "442079460000",
                "dcs": "GSM",
                "text": "hi",
                "dlrMask": 19,
                "dlrUrl": receiver.url,
                **fields,
            }
            body = {name: value for name, value in body.items() if value is not ...}
            return api.session.post(sandbox.international_url, json=body, auth=("", ""), timeout=5)

        return call

    def test_it_is_accepted_and_its_receipt_follows(self, receiver: Any, send: Any) -> None:
        response = send()

        assert (response.status_code, response.json()["numParts"]) == (202, 1)
        assert receiver.wait(1) == [
            {
                "msgId": response.json()["msgId"],
                "event": "DELIVERED",
                "errorCode": 0,
                "errorMessage": "",
                "partNum": 1,
                "numParts": 1,
                "accountName": "sandbox",
            }
        ]

    def test_the_mask_says_which_receipts_come_of_each_part(self, receiver: Any, send: Any) -> None:
        assert send(text="x" * 161, dlrMask=31).json()["numParts"] == 2

        receipts = receiver.wait(6)

        assert sorted((each["event"], each["partNum"]) for each in receipts) == [
            (event, part) for event in ("BUFFERED", "DELIVERED", "SENT_TO_SMSC") for part in (1, 2)
        ]
        assert all(("errorCode" in each) == (each["event"] != "BUFFERED") for each in receipts)
        receiver.got.clear()
        send(receiver="44207555" + "1029", dlrMask=1)
        time.sleep(0.1)
        assert receiver.got == []

    @pytest.mark.parametrize(("code", "event"), [(29, "UNDELIVERED"), (500, "UNDELIVERED"), (993, "REJECTED")])
    def test_a_receivers_end_is_the_code_of_its_receipt(self, receiver: Any, send: Any, code: int, event: str) -> None:
        send(receiver=f"442075551{code:03d}")

        (receipt,) = receiver.wait(1)
        assert (receipt["event"], receipt["errorCode"]) == (event, code)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"auth": {"username": "sandbox", "password": "wrong"}}, "103"),
            ({"auth": "x"}, "103"),
            ({"dlrUrl": ...}, "110"),
            ({"text": ""}, "110"),
            ({"type": "voice"}, "111"),
            ({"sender": "a_b"}, "107"),
            ({"sender": "x" * 12}, "107"),
            ({"sender": "1" * 17}, "107"),
            ({"dcs": "LATIN"}, "102"),
            ({"text": "ж"}, "102"),
            ({"dlrMask": 32}, "112"),
            ({"dlrUrl": "http://example.com/"}, "112"),
            ({"receiver": "+442079460000"}, "112"),
            ({"text": "x" * 1531}, "115"),
            ({"receiver": "442075550105"}, "105"),
            ({"receiver": "442075550113"}, "113"),
        ],
    )
    def test_refusals_are_420_with_a_code(self, receiver: Any, send: Any, fields: Any, code: str) -> None:
        response = send(**fields)

        assert (response.status_code, response.json()["error"]["code"]) == (420, code)
        assert receiver.got == []

    def test_it_can_fail(self, sandbox: Sandbox, api: Any, send: Any) -> None:
        assert send(receiver="442075550500").status_code == 500
        broken = api.session.post(sandbox.international_url, data="{", timeout=5)
        assert (broken.status_code, broken.json()["error"]["code"]) == (420, "109")
        sandbox.inject("status", operation="send-sms", status=502)
        assert send().status_code == 502
