"""Bandwidth's own client reads what the sandbox writes: it was made from Bandwidth's specification, not by us.

Its first import takes a second, so it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_bandwidth.messaging.requests import MessageRequest
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION

ACCOUNT, SENDER, RECIPIENT = "9900000", "+19195550101", "+12125550150"


@pytest.fixture
def messages(sandbox: Sandbox) -> Iterator[Any]:
    import bandwidth

    sandbox.seed(imported=[SENDER.removeprefix("+1")], campaign_id="CABC123")
    configuration = bandwidth.Configuration(
        client_id="sandbox",
        client_secret="sandbox",
        access_token_url=f"{sandbox.url}/api/v1/oauth2/token",
        host=sandbox.messaging_url,
        ignore_operation_servers=True,
    )
    with bandwidth.ApiClient(configuration) as client:
        yield bandwidth.MessagesApi(client)
    client.rest_client.pool_manager.clear()


def request(**fields: Any) -> MessageRequest:
    from bandwidth.models import MessageRequest

    values = {"application_id": DEFAULT_APPLICATION, "to": [RECIPIENT], "var_from": SENDER, "text": "hi", **fields}
    return MessageRequest(**values)


def test_it_sends_and_finds_the_message(sandbox: Sandbox, messages: Any) -> None:
    sent = messages.create_message(ACCOUNT, request(tag="af-1"))

    found = messages.list_messages(ACCOUNT, source_tn=SENDER, destination_tn=RECIPIENT)

    assert (sent.to, sent.var_from, sent.segment_count, sent.tag) == ([RECIPIENT], SENDER, 1, "af-1")
    (row,) = found.messages
    assert (row.message_id, row.message_status, row.error_code) == (sent.id, "DELIVERED", 0)
    assert (found.total_count, row.campaign_id, row.product) == (1, "CABC123", "LOCAL_A2P")
    assert [record.auth for record in sandbox.requests] == ["client", "bearer", "bearer"]


def test_it_reads_why_a_message_failed(messages: Any) -> None:
    sent = messages.create_message(ACCOUNT, request(to=["+12125554720"]))

    (row,) = messages.list_messages(ACCOUNT, message_id=sent.id).messages

    assert (row.message_status, row.error_code) == ("FAILED", 4720)


def test_it_follows_the_pages(messages: Any) -> None:
    ids = {messages.create_message(ACCOUNT, request()).id for _ in range(3)}

    first = messages.list_messages(ACCOUNT, source_tn=SENDER, limit=2)
    second = messages.list_messages(ACCOUNT, source_tn=SENDER, limit=2, page_token=first.page_info.next_page_token)

    assert {row.message_id for page in (first, second) for row in page.messages} == ids


def test_it_reads_refusals(sandbox: Sandbox, messages: Any) -> None:
    from bandwidth.exceptions import BadRequestException, ForbiddenException
    from bandwidth.models import CreateMessageRequestError, MessagingRequestError

    with pytest.raises(BadRequestException) as wrong:
        messages.create_message(ACCOUNT, request(to=["2125550150"]))
    refused = CreateMessageRequestError.from_json(wrong.value.body)
    assert (refused.type, [each.field_name for each in refused.field_errors]) == ("request-validation", ["to"])

    sandbox.configure(roles="ordering")
    with pytest.raises(ForbiddenException) as forbidden:
        messages.list_messages(ACCOUNT, source_tn=SENDER)
    assert MessagingRequestError.from_json(forbidden.value.body).type == "forbidden"


def test_it_reads_callbacks(sandbox: Sandbox, messages: Any) -> None:
    from bandwidth.models import StatusCallback

    sandbox.configure(callback_url="http://127.0.0.1:9/", callback_retry_seconds=0)
    sent = messages.create_message(ACCOUNT, request(to=["+12125554773"], tag="af-1"))
    records = sandbox.wait_for_callbacks(2)

    first, second = (StatusCallback.from_dict(record.body[0]) for record in records)

    assert (first.type, second.type, second.error_code) == ("message-sent", "message-failed", 4773)
    assert (second.message.id, second.message.tag, second.to) == (sent.id, "af-1", "+12125554773")
