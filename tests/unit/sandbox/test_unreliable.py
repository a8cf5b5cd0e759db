"""A Dashboard as a client fears it: late, contradicting, slow, with another clock and another secret."""

from __future__ import annotations

import base64
import email.utils
import gzip
import re
import socket
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

PEER = "/sites/743/sippeers/303716"
NUMBERS = [f"91955502{line:02d}" for line in range(9)]


def list_numbers(api: Any, *, page: str = "1", size: int = 100) -> list[str]:
    answer = api.get(f"{PEER}/tns", params={"page": page, "size": size})
    return [] if answer.status_code == 204 else api.texts(ET.fromstring(answer.content), "FullNumber")


def next_page(api: Any, *, page: str = "1", size: int = 3) -> str | None:
    root = ET.fromstring(api.get(f"{PEER}/tns", params={"page": page, "size": size}).content)
    found = re.search(r"[?&]page=(\d+)", root.findtext("Links/next", ""))
    return found and found[1]


def count_numbers(api: Any) -> int:
    root = ET.fromstring(api.get(f"{PEER}/totaltns").content)
    return int(root.findtext("SipPeerTelephoneNumbersCount", ""))


def receive(sandbox: Sandbox, path: str, *, seconds: float = 5.0) -> bytes:
    """All that comes back for one GET, headers and interim answers included."""
    credentials = base64.b64encode(b"sandbox:sandbox").decode()
    head = f"GET /api/accounts/9900000{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=seconds) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        while chunk := connection.recv(65536):
            received += chunk
    return received


# --- inventory ---


def test_an_inventory_that_lags_shows_an_import_later(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=NUMBERS[:2])
    sandbox.configure(inventory_lag_seconds=300)
    api.submit(NUMBERS[2])
    assert sandbox.inventory == {("743", "303716"): NUMBERS[:3]}

    assert (list_numbers(api), count_numbers(api)) == (NUMBERS[:2], 2)
    sandbox.skip(299)
    assert (list_numbers(api), count_numbers(api)) == (NUMBERS[:2], 2)
    sandbox.skip(2)
    assert (list_numbers(api), count_numbers(api)) == (NUMBERS[:3], 3)


def test_an_inventory_that_lags_shows_a_removal_later(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=NUMBERS[:2])
    sandbox.configure(inventory_lag_seconds=300)
    api.submit(NUMBERS[1], Action="REMOVE")
    api.submit(NUMBERS[0], Action="REMOVE")
    sandbox.skip(100)
    api.submit(NUMBERS[0])

    assert list_numbers(api) == NUMBERS[:2]
    sandbox.skip(201)
    assert list_numbers(api) == []
    sandbox.skip(100)
    assert list_numbers(api) == NUMBERS[:1]


def test_seeded_numbers_do_not_lag(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(inventory_lag_seconds=300)
    sandbox.seed(imported=NUMBERS[:2])

    assert list_numbers(api) == NUMBERS[:2]


@pytest.mark.parametrize(
    ("pages", "shown", "following"),
    [("whole", 3, NUMBERS[3]), ("cut", 1, None), ("repeat", 3, NUMBERS[0]), ("skip", 3, NUMBERS[6])],
)
def test_pages_break_as_told_and_the_count_does_not(
    sandbox: Sandbox, api: Any, pages: str, shown: int, following: str | None
) -> None:
    sandbox.seed(imported=NUMBERS)
    sandbox.configure(inventory_pages=pages)

    assert list_numbers(api, size=3) == NUMBERS[:shown]
    assert next_page(api, size=3) == following
    assert count_numbers(api) == 9


def test_one_page_can_be_empty_by_chance(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=NUMBERS)
    sandbox.inject("setting", operation="peer-numbers", inventory_pages="empty")

    assert [list_numbers(api), list_numbers(api)] == [[], NUMBERS]


# --- orders ---


@pytest.mark.parametrize(("case", "shown"), [("kept", "Run-7"), ("upper", "RUN-7"), ("lower", "run-7")])
@pytest.mark.parametrize("dialect", ["S", "O"])
def test_the_customer_order_id_is_shown_in_another_case(
    sandbox: Sandbox, api: Any, case: str, shown: str, dialect: str
) -> None:
    sandbox.configure(customer_order_id_case=case, dialect=dialect)
    order = api.read(api.submit(NUMBERS[0], CustomerOrderID="Run-7"))

    assert [element.text for element in order.iter() if element.tag.lower() == "customerorderid"] == [shown]
    assert len(api.found(customerOrderId="Run-7")) == 1


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("account", {"AccountId"}),
        ("action", {"Action"}),
        ("customer-order-id", {"CustomerOrderID"}),
        ("site", {"SiteId"}),
        ("numbers", {"TelephoneNumber"}),
        ("nothing", set()),
    ],
)
def test_an_answer_contradicts_the_order_and_the_order_stands(
    sandbox: Sandbox, api: Any, what: str, changed: set[str]
) -> None:
    order_id = api.submit(*NUMBERS[:3])
    told = api.read(order_id)
    sandbox.configure(contradict=what)
    contradicting = api.read(order_id)

    names = {element.tag for element in told.iter()}
    assert {name for name in names if api.texts(told, name) != api.texts(contradicting, name)} == changed
    assert len(api.texts(contradicting, "TelephoneNumber")) == 3
    assert sandbox.order(order_id).telephone_numbers == tuple(NUMBERS[:3])


# --- clock ---


def test_every_answer_tells_the_time_of_the_sandbox(sandbox: Sandbox, api: Any) -> None:
    sandbox.skip(7200)
    sandbox.configure(clock_skew_seconds=-600)
    sandbox.inject("status", operation="list")

    expected = datetime.now(UTC) + timedelta(seconds=6600)
    for answer in (api.get("/externalTns"), api.get("/externalTns"), api.get("/nowhere"), api.get("/sites")):
        told = email.utils.parsedate_to_datetime(answer.headers["date"])
        assert abs(told - expected) < timedelta(seconds=3)
        assert answer.raw.headers.getlist("date") == [answer.headers["date"]]


@pytest.mark.parametrize("form", ["full", "summary"])
def test_a_clock_that_is_off_dates_orders_and_searches(sandbox: Sandbox, api: Any, form: str) -> None:
    sandbox.configure(clock_skew_seconds=86400, list_form=form, dialect="O")
    order_id = api.submit(NUMBERS[0])
    today, tomorrow = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (0, 1))

    root = api.read(order_id)
    assert [root.findtext(name, "")[:10] for name in ("OrderCreateDate", "LastModifiedDate")] == [tomorrow] * 2
    (dated,) = [element.text for element in api.search().iter() if element.tag in ("OrderCreateDate", "OrderDate")]
    assert dated[:10] == tomorrow
    assert api.found(createdDateFrom=tomorrow, modifiedDateFrom=tomorrow) == [order_id]
    assert api.found(createdDateTo=today) == []


# --- how an answer travels ---


def test_interim_answers_come_before_the_answer(sandbox: Sandbox) -> None:
    sandbox.inject("interim", operation="sites", count=2)

    received = receive(sandbox, "/sites")
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"103", b"103", b"200"]
    assert received.endswith(b"</SitesResponse>")


def test_an_answer_drips(sandbox: Sandbox, api: Any) -> None:
    sandbox.inject("drip", operation="sites", bytes=20, seconds=0.02)

    started = time.monotonic()
    answer = api.get("/sites")
    assert answer.content.endswith(b"</SitesResponse>")
    assert time.monotonic() - started > 0.02 * (len(answer.content) // 20 - 1)


def test_an_answer_can_be_compressed_and_unpack_to_any_size(sandbox: Sandbox, api: Any) -> None:
    sandbox.inject("gzip", operation="sites", padding=1_000_000)

    answer = api.get("/sites", stream=True)
    packed = answer.raw.read(decode_content=False)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < 10_000
    unpacked = gzip.decompress(packed)
    assert len(unpacked) > 1_000_000
    assert ET.fromstring(unpacked).tag == "SitesResponse"


# --- credentials ---


def test_a_rotated_secret_is_the_only_one(sandbox: Sandbox, api: Any) -> None:
    requests.put(f"{sandbox.url}/sandbox/secret", json={"password": "next"}, timeout=5).raise_for_status()

    assert sandbox.connection["password"] == "next"
    assert [api.get("/sites", auth=("sandbox", password)).status_code for password in ("sandbox", "next")] == [401, 200]
    sandbox.reset()
    assert api.get("/sites").status_code == 200
    assert requests.put(f"{sandbox.url}/sandbox/secret", json={"password": 1}, timeout=5).status_code == 400


def test_basic_can_be_gone(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(basic_auth=False)

    assert api.get("/sites").status_code == 401
    assert issue_token(sandbox).get("token_type") == "Bearer"


@pytest.mark.parametrize(("expires_in", "shown"), [("sent", 60), ("missing", None), ("zero", 0)])
def test_the_life_of_a_token_is_told_or_not(sandbox: Sandbox, expires_in: str, shown: int | None) -> None:
    sandbox.configure(expires_in=expires_in, token_lifetime_seconds=60)

    assert issue_token(sandbox).get("expires_in") == shown


def issue_token(sandbox: Sandbox) -> dict[str, Any]:
    answer = requests.post(
        f"{sandbox.url}/api/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("sandbox", "sandbox"),
        timeout=5,
    )
    return answer.json()
