"""Messaging API v2: what is taken, what becomes of it, and how it is found again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.deliveries import DELIVERIES
from airflow_provider_bandwidth.sandbox.segments import count_segments
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION

SENDER, RECIPIENT = "+19195550101", "+12125550150"


class Messaging:
    """Plain HTTP against the Messaging API."""

    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.base = f"{sandbox.messaging_url}/users/9900000"
        self.session = session

    def post(self, **fields: Any) -> requests.Response:
        body = {"applicationId": DEFAULT_APPLICATION, "to": [RECIPIENT], "from": SENDER, "text": "hi", **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return self.session.post(f"{self.base}/messages", json=body, timeout=5)

    def send(self, **fields: Any) -> Any:
        response = self.post(**fields)
        assert response.status_code == 202, response.text
        return response.json()

    def get(self, **parameters: Any) -> requests.Response:
        return self.session.get(f"{self.base}/messages", params=parameters, timeout=5)

    def search(self, **parameters: Any) -> Any:
        response = self.get(**parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def fate(self, **fields: Any) -> tuple[str, int]:
        (row,) = self.search(messageId=self.send(**fields)["id"])["messages"]
        return row["messageStatus"], row["errorCode"]


@pytest.fixture
def messaging(sandbox: Sandbox, api: Any) -> Any:
    sandbox.seed(imported=[SENDER.removeprefix("+1")], campaign_id="CABC123")
    return Messaging(sandbox, api.session)


class TestSend:
    def test_a_message_is_taken_and_shown_as_it_was_sent(self, sandbox: Sandbox, messaging: Any) -> None:
        sent = messaging.send(tag="af-1", priority="high")

        assert re.fullmatch(r"\d{13}[a-z0-9]{16}", sent["id"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent.pop("time"))
        assert sent == {
            "id": sent["id"],
            "owner": SENDER,
            "applicationId": DEFAULT_APPLICATION,
            "segmentCount": 1,
            "direction": "out",
            "to": [RECIPIENT],
            "from": SENDER,
            "text": "hi",
            "tag": "af-1",
            "priority": "high",
        }
        (message,) = sandbox.messages
        assert message["recipients"] == [{"to": RECIPIENT, "status": "DELIVERED", "error_code": 0}]

    def test_one_recipient_may_be_a_text_and_ten_are_a_group(self, messaging: Any) -> None:
        assert messaging.send(to=RECIPIENT)["to"] == [RECIPIENT]
        group = [f"+1212555{line:04d}" for line in range(10)]
        rows = messaging.search(messageId=messaging.send(to=group)["id"])["messages"]
        assert sorted(row["destinationTn"] for row in rows) == group

    def test_nothing_is_idempotent(self, sandbox: Sandbox, messaging: Any) -> None:
        assert messaging.send()["id"] != messaging.send()["id"]
        assert len(sandbox.messages) == 2

    @pytest.mark.parametrize(
        ("fields", "names"),
        [
            ({"applicationId": ...}, ["applicationId"]),
            ({"to": []}, ["to"]),
            ({"to": [RECIPIENT, RECIPIENT]}, ["to"]),
            ({"to": ["2125550150"]}, ["to"]),
            ({"to": [f"+1212555{line:04d}" for line in range(11)]}, ["to"]),
            ({"from": "9195550101"}, ["from"]),
            ({"from": "a-name-that-is-too-long"}, ["from"]),
            ({"text": ...}, ["text"]),
            ({"text": "x" * 2049}, ["text"]),
            ({"media": None}, ["media"]),
            ({"media": ["https://example.test/" + "x" * 4096]}, ["media"]),
            ({"tag": "x" * 1025}, ["tag"]),
            ({"priority": "low"}, ["priority"]),
            ({"expiration": "tomorrow"}, ["expiration"]),
            ({"to": ..., "from": ..., "applicationId": ...}, ["applicationId", "to", "from"]),
        ],
    )
    def test_wrong_fields_are_named_all_at_once(
        self, sandbox: Sandbox, messaging: Any, fields: Any, names: list[Any]
    ) -> None:
        response = messaging.post(**fields)

        assert (response.status_code, response.json()["type"]) == (400, "request-validation")
        assert [each["fieldName"] for each in response.json()["fieldErrors"]] == names
        assert sandbox.messages == []

    def test_a_body_that_is_not_json_is_refused(self, messaging: Any) -> None:
        session, url = messaging.session, f"{messaging.base}/messages"

        xml = session.post(url, data="<x/>", headers={"Content-Type": "application/xml"}, timeout=5)
        broken = session.post(url, data="{", headers={"Content-Type": "application/json"}, timeout=5)

        assert (xml.status_code, xml.json()["type"]) == (415, "unsupported-content-type")
        assert (broken.status_code, broken.json()["type"]) == (400, "request-validation")

    def test_who_may_not_send_is_told_in_json(self, sandbox: Sandbox, messaging: Any) -> None:
        nobody = requests.post(f"{messaging.base}/messages", json={}, timeout=5)
        assert (nobody.status_code, nobody.json()["type"]) == (401, "unauthorized")
        assert "WWW-Authenticate" in nobody.headers
        foreign = messaging.session.get(f"{sandbox.messaging_url}/users/1/messages", timeout=5)
        assert (foreign.status_code, foreign.json()["type"]) == (403, "forbidden")
        sandbox.configure(roles="ordering")
        assert (messaging.post().status_code, messaging.post().json()["type"]) == (403, "forbidden")
        sandbox.configure(basic_auth=False)
        assert messaging.post().status_code == 401

    def test_a_wrong_path_is_404_in_springs_form(self, sandbox: Sandbox, messaging: Any) -> None:
        response = messaging.session.get(f"{sandbox.messaging_url}/users/9900000/message", timeout=5)

        assert (response.status_code, response.json()["error"]) == (404, "Not Found")
        assert response.json()["path"] == "/api/v2/users/9900000/message"

    def test_the_queue_holds_so_many_segments_and_empties_by_the_clock(self, sandbox: Sandbox, messaging: Any) -> None:
        sandbox.configure(message_queue_size=3, messages_per_second=1)
        messaging.send(text="x" * 400)

        full = messaging.post()

        assert (full.status_code, full.json()["type"]) == (429, "max-message-queue-size-exceeded")
        assert "Retry-After" not in full.headers
        sandbox.skip(1)
        messaging.send()


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("😀" * 36, 2),
        ("x" * 307, 3),
    ],
)
def test_segments_are_counted_by_alphabet(text: Any, segments: int) -> None:
    assert count_segments(text) == segments


class TestFate:
    @pytest.mark.parametrize("code", [4405, 4476, 4720, 4773, 5600, 5100, 9999])
    def test_the_recipients_line_is_the_code_it_fails_with(self, messaging: Any, code: int) -> None:
        assert messaging.fate(to=[f"+1212555{code}"]) == ("FAILED", code)

    def test_other_recipients_get_it(self, messaging: Any) -> None:
        assert messaging.fate(to=["+12125554999"]) == ("DELIVERED", 0)
        assert messaging.fate(to=["+442079460000"]) == ("DELIVERED", 0)

    def test_every_group_of_codes_can_be_played(self) -> None:
        assert {code // 100 for code in DELIVERIES} >= {40, 43, 44, 47, 51, 52, 55, 56, 59, 99}
        assert DELIVERIES[4476].leaves is DELIVERIES[5100].leaves is False
        assert DELIVERIES[4773].leaves is DELIVERIES[5600].leaves is DELIVERIES[9902].leaves is True

    def test_it_moves_by_the_clock(self, sandbox: Sandbox, messaging: Any) -> None:
        sandbox.configure(message_sending_seconds=10, message_delivery_seconds=20)
        message_id = messaging.send(to=["+12125554750"])["id"]
        refused = messaging.send(to=["+12125554470"])["id"]

        def read(message_id: str) -> Any:
            (row,) = messaging.search(messageId=message_id)["messages"]
            return row["messageStatus"], row["errorCode"]

        assert (read(message_id), read(refused)) == (("QUEUED", 0), ("QUEUED", 0))
        sandbox.skip(11)
        assert (read(message_id), read(refused)) == (("SENT", 0), ("FAILED", 4470))
        sandbox.skip(20)
        assert read(message_id) == ("FAILED", 4750)

    def test_without_a_receipt_it_is_9902_after_two_hours(self, sandbox: Sandbox, messaging: Any) -> None:
        message_id = messaging.send(to=["+12125559902"])["id"]

        assert messaging.search(messageId=message_id)["messages"][0]["messageStatus"] == "SENT"
        sandbox.skip(2 * 3600)
        assert messaging.search(messageId=message_id)["messages"][0]["errorCode"] == 9902

    def test_the_sender_must_be_ours_and_ready(self, sandbox: Sandbox, messaging: Any) -> None:
        other = sandbox.default_location._replace(account_id="9900001")
        sandbox.seed(imported=["9195550103"], location=other)
        sandbox.seed(imported=["9195550104"])
        sandbox.seed(imported=["9195550105"], campaign_id="CFAILED")
        sandbox.seed(imported=["9195550106"], campaign_id="CDORMNT")

        codes = [messaging.fate(**{"from": f"+191955501{line:02d}"})[1] for line in (1, 2, 3, 4, 5, 6)]

        assert codes == [0, 4405, 4407, 4476, 4476, 4773]
        sandbox.configure(campaign_required=False)
        assert messaging.fate(**{"from": "+19195550104"}) == ("DELIVERED", 0)
        sandbox.configure(sms_enabled=False)
        assert messaging.fate() == ("FAILED", 4403)
        assert messaging.fate(**{"from": "Bakery"}) == ("DELIVERED", 0)

    def test_what_was_imported_and_assigned_lately_is_not_ready(
        self, sandbox: Sandbox, api: Any, messaging: Any
    ) -> None:
        sandbox.configure(ready_lag_seconds=60, campaign_lag_seconds=60)
        api.make(api.import_xml("9195550107"), "/importTnOrders")
        assert messaging.fate(**{"from": "+19195550107"}) == ("FAILED", 4405)
        sandbox.skip(60)
        assert messaging.fate(**{"from": "+19195550107"}) == ("FAILED", 4476)
        settings = "<A2pSettings><CampaignId>CABC123</CampaignId><Action>asSpecified</Action></A2pSettings>"
        number = "<TelephoneNumbers><TelephoneNumber>9195550107</TelephoneNumber></TelephoneNumbers>"
        group = f"<TnOptionGroups><TnOptionGroup>{settings}{number}</TnOptionGroup></TnOptionGroups>"
        api.make(f"<TnOptionOrder>{group}</TnOptionOrder>", "/tnoptions")
        assert messaging.fate(**{"from": "+19195550107"}) == ("FAILED", 4476)
        sandbox.skip(60)
        assert messaging.fate(**{"from": "+19195550107"}) == ("DELIVERED", 0)

    def test_an_unknown_application_fails_and_a_missing_one_says_nothing(
        self, sandbox: Sandbox, messaging: Any
    ) -> None:
        assert messaging.fate(applicationId="another") == ("FAILED", 4452)

        sandbox.configure(messaging_application="")
        message_id = messaging.send()["id"]
        sandbox.skip(86_400)
        assert messaging.search(messageId=message_id)["messages"][0]["messageStatus"] == "QUEUED"

    def test_what_is_expired_is_not_sent(self, messaging: Any) -> None:
        past, future = (datetime.now(UTC) + timedelta(minutes=by) for by in (-1, 1))

        assert messaging.fate(expiration=past.isoformat()) == ("FAILED", 4360)
        assert messaging.fate(expiration=future.isoformat()) == ("DELIVERED", 0)


class TestSearch:
    @pytest.fixture(autouse=True)
    def _messages(self, sandbox: Sandbox, messaging: Any) -> None:
        self.first = messaging.send(text="x" * 200, tag="af-1")
        sandbox.skip(60)
        self.second = messaging.send(to=["+12125554720"])
        sandbox.skip(60)
        self.third = messaging.send(media=["https://example.test/a.png"], text=...)
        self.ids = [self.first["id"], self.second["id"], self.third["id"]]

    def found(self, messaging: Any, **parameters: Any) -> list[int]:
        ids = [row["messageId"] for row in messaging.search(**parameters)["messages"]]
        return [self.ids.index(each) + 1 for each in ids]

    def test_a_row_has_neither_text_nor_tag(self, messaging: Any) -> None:
        (row,) = messaging.search(messageId=self.first["id"])["messages"]

        assert row == {
            "messageId": self.first["id"],
            "accountId": "9900000",
            "sourceTn": SENDER,
            "destinationTn": RECIPIENT,
            "messageStatus": "DELIVERED",
            "messageDirection": "OUTBOUND",
            "messageType": "sms",
            "segmentCount": 2,
            "errorCode": 0,
            "receiveTime": self.first["time"],
            "messageSize": 200,
            "messageLength": 200,
            "attachmentCount": 0,
            "recipientCount": 1,
            "product": "LOCAL_A2P",
            "callingNumberCountryA3": "USA",
            "calledNumberCountryA3": "USA",
            "campaignId": "CABC123",
        }

    @pytest.mark.parametrize(
        ("parameters", "found"),
        [
            ({"sourceTn": SENDER}, [3, 2, 1]),
            ({"sourceTn": "95550101"}, [3, 2, 1]),
            ({"destinationTn": f"{RECIPIENT},+12125554720"}, [3, 2, 1]),
            ({"destinationTn": "55547"}, [2]),
            ({"messageStatus": "failed"}, [2]),
            ({"errorCode": "4720"}, [2]),
            ({"messageType": "mms"}, [3]),
            ({"messageDirection": "INBOUND"}, []),
            ({"fromSegmentCount": "2"}, [1]),
            ({"toMessageSize": "10"}, [3, 2]),
            ({"campaignId": "CABC123", "sort": "receiveTime:asc"}, [1, 2, 3]),
            ({"product": "TOLL_FREE"}, []),
        ],
    )
    def test_parameters_narrow_it(self, messaging: Any, parameters: Any, found: list[Any]) -> None:
        assert self.found(messaging, **parameters) == found

    def test_times_are_of_receipt_with_milliseconds(self, messaging: Any) -> None:
        assert self.found(messaging, fromDateTime=self.second["time"]) == [3, 2]
        assert self.found(messaging, sourceTn=SENDER, toDateTime=self.second["time"]) == [2, 1]

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"sourceTn": ""},
            {"sourceTn": "919"},
            {"destinationTn": ",".join(["+12125550150"] * 11)},
            {"messageStatus": "GONE"},
            {"errorCode": "x"},
            {"fromDateTime": "2026-11-26T10:00:00Z"},
            {"fromDateTime": "2020-01-01T00:00:00.000Z"},
            {"messageType": "fax"},
            {"sourceTn": SENDER, "sort": "text:asc"},
            {"sourceTn": SENDER, "limit": "0"},
            {"sourceTn": SENDER, "limit": "10001"},
            {"sourceTn": SENDER, "pageToken": "x"},
        ],
    )
    def test_a_wrong_query_is_refused(self, messaging: Any, parameters: Any) -> None:
        response = messaging.get(**parameters)

        assert (response.status_code, response.json()["type"]) == (400, "request-validation")

    def test_pages_follow_a_token(self, messaging: Any) -> None:
        first = messaging.search(sourceTn=SENDER, limit=2)
        second = messaging.search(sourceTn=SENDER, limit=2, pageToken=first["pageInfo"]["nextPageToken"])

        assert [len(page["messages"]) for page in (first, second)] == [2, 1]
        assert first["totalCount"] == second["totalCount"] == 3
        assert "nextPageToken" not in second["pageInfo"]
        back = messaging.search(sourceTn=SENDER, limit=2, pageToken=second["pageInfo"]["prevPageToken"])
        assert back["messages"] == first["messages"]

    def test_it_lags_if_told_to(self, sandbox: Sandbox, messaging: Any) -> None:
        sandbox.configure(message_search_lag_seconds=90)

        assert self.found(messaging, sourceTn=SENDER) == [1]

    def test_too_many_searches_say_when_to_come_back(self, sandbox: Sandbox, messaging: Any) -> None:
        sandbox.configure(message_searches_per_window=1, rate_window_seconds=60)
        messaging.search(sourceTn=SENDER)

        limited = messaging.get(sourceTn=SENDER)

        assert (limited.status_code, limited.json()["type"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(limited.headers["Retry-After"]) <= 60
        messaging.send()


class TestFaults:
    def test_an_answer_is_lost_before_or_after_the_message_is_taken(self, sandbox: Sandbox, messaging: Any) -> None:
        for when, taken in (("before", 0), ("after", 1)):
            sandbox.inject("drop", operation="send-message", when=when)
            with pytest.raises(requests.exceptions.ConnectionError):
                messaging.post()
            assert len(sandbox.messages) == taken

    def test_refusals_have_the_form_of_this_api(self, sandbox: Sandbox, messaging: Any) -> None:
        sandbox.inject("rate-limit", operation="send-message")
        sandbox.inject("rate-limit", operation="search-messages", seconds=7)
        sandbox.inject("unauthorized", operation="send-message", after=1)
        sandbox.inject("refuse", operation="send-message", after=2, code="forbidden", status=403)

        full, limited = messaging.post(), messaging.get(sourceTn=SENDER)
        unauthorized, forbidden = messaging.post(), messaging.post()

        assert (full.status_code, full.json()["type"]) == (429, "max-message-queue-size-exceeded")
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
        assert (unauthorized.status_code, unauthorized.json()["type"]) == (401, "unauthorized")
        assert (forbidden.status_code, forbidden.json()["type"]) == (403, "forbidden")

    def test_a_request_is_logged_with_its_message(self, sandbox: Sandbox, messaging: Any) -> None:
        message_id = messaging.send()["id"]

        assert [record.order_id for record in sandbox.requests] == [message_id]
        state = requests.get(f"{sandbox.url}/sandbox/messages", timeout=5).json()
        assert [message["id"] for message in state["messages"]] == [message_id]
        sandbox.reset()
        assert sandbox.messages == []


def test_the_overview_shows_messages_for_people(sandbox: Sandbox, messaging: Any) -> None:
    message_id = messaging.send(to=["+12125554720"], tag="<af>")["id"]

    page = requests.get(f"{sandbox.url}/", timeout=5).text

    for text in ("Messages (1)", message_id, "+12125554720", "FAILED", "4720", "&lt;af&gt;"):
        assert text in page


def test_media_are_kept_listed_and_deleted(messaging: Any) -> None:
    session, url = messaging.session, f"{messaging.base}/media"

    assert session.put(f"{url}/a.png", data=b"png", headers={"Content-Type": "image/png"}, timeout=5).status_code == 204
    assert session.get(url, timeout=5).json() == [{"mediaName": "a.png", "contentLength": 3, "content": f"{url}/a.png"}]
    back = session.get(f"{url}/a.png", timeout=5)
    assert (back.content, back.headers["Content-Type"]) == (b"png", "image/png")
    assert session.delete(f"{url}/a.png", timeout=5).status_code == 204
    assert session.get(f"{url}/a.png", timeout=5).status_code == 404
