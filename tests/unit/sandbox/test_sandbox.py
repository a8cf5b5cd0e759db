"""``Sandbox`` as an object in a test."""

from __future__ import annotations

import ast
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

import airflow_provider_bandwidth.sandbox as package
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION
from airflow_provider_bandwidth.sandbox.traffic import RequestLog

NUMBER = "9195550101"


def quickest(action: Callable[[], object]) -> float:
    """Seconds of the best of three runs: the others may have waited for a busy machine."""
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        action()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def test_it_starts_and_stops_quickly_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with Sandbox() as sandbox, requests.Session() as session:
        session.auth = ("sandbox", "sandbox")
        assert session.get(f"{sandbox.base_url}/accounts/9900000", timeout=5).status_code == 200
        url = sandbox.url

    assert threading.active_count() == before
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url, timeout=1)

    def start_and_stop() -> None:
        with Sandbox():
            pass

    assert quickest(start_and_stop) < 0.5


def test_it_can_be_started_again_at_the_same_address() -> None:
    sandbox = Sandbox()
    sandbox.start()
    url = sandbox.url
    sandbox.stop()
    with sandbox:
        assert sandbox.url == url
        slow = {"X-Sandbox-Fault": "slow;seconds=0.01"}
        answer = requests.get(f"{url}/accounts/9900000", auth=("sandbox", "sandbox"), headers=slow, timeout=5)
        assert answer.status_code == 200


def test_stopping_drops_held_and_slow_requests(capfd: pytest.CaptureFixture[str]) -> None:
    failures = []

    def call(sandbox: Sandbox, header: str) -> None:
        try:
            requests.get(f"{sandbox.url}/accounts/1", headers={"X-Sandbox-Fault": header}, timeout=10)
        except requests.exceptions.ConnectionError as error:
            failures.append(error)

    with Sandbox() as sandbox:
        clients = [threading.Thread(target=call, args=(sandbox, each)) for each in ("hold", "slow;seconds=30")]
        for client in clients:
            client.start()
        while len(sandbox.requests) < 2:
            time.sleep(0.005)
        sandbox.wait_for_request(operation="account", state="held")
        started = time.monotonic()

    assert time.monotonic() - started < 1
    for client in clients:
        client.join(2)
    assert len(failures) == 2
    assert capfd.readouterr().err == ""


def test_two_run_side_by_side() -> None:
    with Sandbox() as one, Sandbox() as two:
        one.add_order([NUMBER])

        assert one.url != two.url
        assert (len(one.orders), len(two.orders)) == (1, 0)


def test_the_connection_is_airflows_json(sandbox: Sandbox) -> None:
    connection = json.loads(sandbox.connection_json)

    assert connection == sandbox.connection
    assert connection["host"] == sandbox.base_url == f"{sandbox.url}/api"
    assert connection["extra"] == {
        "auth_type": "oauth2",
        "account_id": "9900000",
        "site_id": "743",
        "sip_peer_id": "303716",
        "order_url": f"{sandbox.url}/accounts/{{account_id}}/orders/{{order_id}}",
        "application_id": DEFAULT_APPLICATION,
    }


def test_it_can_be_made_for_other_places_and_seeded() -> None:
    sandbox = Sandbox(
        accounts=["1"], sites={"2": ["3"]}, login="me", imported=[NUMBER], owned=["9195550102"], dialect="O"
    )

    assert sandbox.connection["login"] == "me"
    extra = sandbox.connection["extra"]
    assert (extra["account_id"], extra["site_id"], extra["sip_peer_id"]) == ("1", "2", "3")
    assert (sandbox.inventory, sandbox.owned) == ({("2", "3"): [NUMBER]}, {("2", "3"): ["9195550102"]})
    sandbox.configure(dialect="S")
    sandbox.seed(imported=["9195550103"])
    sandbox.reset()
    assert sandbox.settings.dialect == "O"
    assert sandbox.inventory == {("2", "3"): [NUMBER]}


def test_it_only_listens_on_loopback() -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        Sandbox(host="0.0.0.0")


def test_ipv6_works() -> None:
    with Sandbox(host="::1") as sandbox:
        assert sandbox.url.startswith("http://[::1]:")
        assert requests.get(f"{sandbox.url}/sandbox/state", timeout=5).status_code == 200


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown setting 'colour'"):
        Sandbox(colour="red")


def test_orders_are_records_that_do_not_change(sandbox: Sandbox, api: Any) -> None:
    sandbox.hold()
    order_id = api.submit(NUMBER)
    before = sandbox.order(order_id)
    sandbox.release()

    assert before.status == "PROCESSING"
    assert sandbox.order(order_id).status == "COMPLETE"
    with pytest.raises(LookupError, match="no order 'x'"):
        sandbox.order("x")


def test_requests_are_logged_and_counted(sandbox: Sandbox, api: Any) -> None:
    order_id = api.submit(NUMBER)
    api.get(f"/externalTns/{order_id}", params={"a": "b"})
    api.get("/nothing")

    submit, order, unknown = sandbox.requests
    assert (submit.method, submit.path, submit.operation) == ("POST", "/api/accounts/9900000/externalTns", "submit")
    assert (submit.number, submit.status, submit.order_id, submit.auth) == (1, 201, order_id, "basic")
    assert (order.query, order.status, order.order_id, order.state) == ("a=b", 200, order_id, "answered")
    assert (unknown.operation, unknown.status) == ("unknown", 404)
    assert time.time() - 30 < submit.received_at <= order.received_at <= time.time()
    assert sandbox.request_counts == {"submit": 1, "order": 1, "unknown": 1}
    assert sandbox.count() == 3
    assert sandbox.count("post") == sandbox.count(operation="order") == 1
    assert sandbox.count("GET", "EXTERNALTNS") == sandbox.count(since=2) == 1


def test_only_the_latest_requests_are_kept_and_all_are_counted() -> None:
    log = RequestLog(size=2)
    for _ in range(3):
        log.start("GET", "/", "", "list")

    assert [record.number for record in log.records()] == [2, 3]
    assert log.counts() == {"list": 3}


def test_many_threads_lose_nothing(sandbox: Sandbox, api: Any) -> None:
    auth = ("sandbox", "sandbox")

    def submit(worker: int) -> Any:
        with requests.Session() as session:
            session.auth = auth
            for index in range(25):
                body = api.order_xml(f"919{200 + worker}{index:04d}")
                assert session.post(f"{api.base}/externalTns", data=body, timeout=10).status_code == 201
                assert sandbox.orders

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(submit, range(8)))

    assert len({order.order_id for order in sandbox.orders}) == 200
    assert sum(map(len, sandbox.inventory.values())) == 200
    assert sandbox.count("POST") == 200


def test_a_large_list_is_quick_when_it_is_asked_again(sandbox: Sandbox, api: Any) -> None:
    for _ in range(1000):
        sandbox.add_order([str(9192000000 + offset) for offset in range(100)], status="PROCESSING")

    assert quickest(lambda: api.get("/externalTns", params={"status": "PROCESSING"})) < 0.5
    answer = api.get("/externalTns")
    assert answer.content.count(b"<OrderId>") == 1000
    assert len(answer.content) > 4_000_000


def test_200_000_numbers_page_quickly(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=map(str, range(2122000000, 2122200000)))

    def page() -> Any:
        return api.get("/sites/743/sippeers/303716/tns", params={"page": "2122150000"})

    assert quickest(page) < 0.5
    answer = page()
    assert answer.text.count("<FullNumber>") == 5000
    assert "page=2122155000" in answer.text


def test_it_shares_no_code_with_the_client() -> None:
    imported = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                imported.add(node.module)

    ours = {name for name in imported if name.startswith(("airflow", "lxml", "requests", "phonenumbers"))}
    assert ours
    assert all(f"{name}.".startswith(f"{package.__name__}.") for name in ours)
