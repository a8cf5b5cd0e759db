"""Control endpoints and pages, as another process or a person uses them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import OrderError, Sandbox

NUMBER = "9195550101"


class Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.url

    def __call__(self, method: str, path: str, expected: int = 200, /, **body: str) -> Any:
        answer = requests.request(method, f"{self.url}/sandbox/{path}", json=body or None, timeout=5)
        assert answer.status_code == expected, answer.text
        return answer.json()


@pytest.fixture
def control(sandbox: Sandbox) -> Any:
    return Control(sandbox)


def test_state_counts_what_happened(sandbox: Sandbox, api: Any, control: Any) -> None:
    sandbox.seed(owned=["9195550103"])
    order_id = api.submit(NUMBER, "9195550001")
    api.submit(NUMBER)

    state = control("GET", "state")

    assert state["connection"] == sandbox.connection
    assert state["settings"]["dialect"] == "S"
    assert (state["order_count"], state["imported_count"], state["owned_count"], state["reset_count"]) == (2, 1, 1, 1)
    assert state["request_counts"] == {"submit": 2}
    first = state["orders"][0]
    assert (first["order_id"], first["status"], first["customer_order_id"]) == (order_id, "PARTIAL", "run-7")
    assert (first["telephone_number_count"], first["error_count"]) == (2, 1)
    assert "telephone_numbers" not in first


def test_settings_are_read_and_changed(sandbox: Sandbox, control: Any) -> None:
    assert control("PUT", "settings", dialect="o", processing_seconds=7)["dialect"] == "O"
    assert (sandbox.settings.dialect, sandbox.settings.processing_seconds) == ("O", 7.0)
    assert control("GET", "settings") == sandbox.settings.to_dict()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"dialect": "X"}, "S, O, H, P"),
        ({"processing_seconds": "soon"}, "processing_seconds"),
        ({"processing_seconds": -1}, "negative"),
        ({"search_lag_seconds": "inf"}, "not finite"),
        ({"max_numbers_per_order": 1.5}, "max_numbers_per_order"),
        ({"strict_remove": "perhaps"}, "neither true nor false"),
    ],
)
def test_impossible_settings_are_refused_and_change_nothing(
    sandbox: Sandbox, control: Any, body: dict[str, Any], text: str
) -> None:
    before = sandbox.settings

    assert text in control("PUT", "settings", 400, received_seconds=1, **body)["error"]
    assert sandbox.settings == before


def test_faults_are_put_up_listed_and_taken_down(sandbox: Sandbox, api: Any, control: Any) -> None:
    put_up = control("POST", "faults", fault="status", status=502, when="after", operation="submit", times=1, after=1)

    assert (put_up["fault"], put_up["status"], put_up["after"]) == ("status", 502, 1)
    assert [api.post(api.order_xml(NUMBER)).status_code for _ in range(2)] == [201, 502]
    control("POST", "faults", fault="drop", times=None)
    listed = control("GET", "faults")
    assert [each["fault"] for each in listed["waiting"]] == ["drop"]
    assert listed["kinds"]["rate-limit"]["options"]["unit"] == "s"
    control("DELETE", "faults")
    assert api.get().status_code == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"fault": "x"}, {"fault": "drop", "x": 1}, {"fault": "drop", "times": "x"}, {"fault": "drop", "path": 1}],
)
def test_wrong_faults_are_refused(sandbox: Sandbox, control: Any, body: dict[str, Any]) -> None:
    assert control("POST", "faults", 400, **body)["error"]
    assert sandbox.faults() == []


def test_requests_are_followed_and_released(sandbox: Sandbox, api: Any, control: Any) -> None:
    api.get()
    control("POST", "faults", fault="hold", operation="submit")
    with pytest.raises(requests.exceptions.ReadTimeout):
        api.session.post(f"{api.base}/externalTns", data=api.order_xml(NUMBER), timeout=0.2)

    newer = control("GET", "requests?since=1")["requests"]

    assert [(each["number"], each["operation"], each["state"], each["status"]) for each in newer] == [
        (2, "submit", "held", None)
    ]
    assert newer[0]["order_id"] == sandbox.orders[0].order_id
    control("POST", "requests/release")
    sandbox.wait_for_request(operation="submit", state="answered")


def test_orders_are_added_read_held_and_ended(sandbox: Sandbox, api: Any, control: Any) -> None:
    added = control(
        "POST",
        "orders",
        telephone_numbers=[NUMBER],
        customer_order_id="theirs",
        status="PARTIAL",
        created_at="2031-03-04T05:06:07+00:00",
        errors=[{"code": 5005, "description": "why", "telephone_numbers": [NUMBER]}],
    )
    assert control("GET", f"orders/{added['order_id']}") == added
    assert (added["status"], added["created_at"]) == ("PARTIAL", "2031-03-04T05:06:07.000Z")
    assert sandbox.orders[0].errors == (OrderError("5005", "why", (NUMBER,)),)

    control("POST", "hold")
    order_id = api.submit(NUMBER, "9195550102")
    assert control("PUT", f"orders/{order_id}", status="EXCEPTION")["status"] == "EXCEPTION"
    ended = control(
        "PUT", f"orders/{order_id}", status="partial", errors=[{"code": "1", "telephone_numbers": [NUMBER]}]
    )
    assert (ended["status"], ended["error_count"]) == ("PARTIAL", 1)
    assert "has ended" in control("PUT", f"orders/{order_id}", 400)["error"]
    assert [each["order_id"] for each in control("GET", "orders")["orders"]] == [added["order_id"], order_id]

    other = api.submit("9195550103")
    assert control("GET", f"orders/{other}")["status"] == "PROCESSING"
    control("POST", "release")
    assert control("GET", f"orders/{other}")["status"] == "COMPLETE"


def test_unknown_orders_are_404(control: Any) -> None:
    for method, path in (("GET", "orders/x"), ("PUT", "orders/x")):
        assert control(method, path, 404)["error"] == "no order 'x'"
    assert control("POST", "hold", 404, order_id="x")["error"] == "no order 'x'"


@pytest.mark.parametrize(
    "body", [{"telephone_numbers": "9195550101"}, {"errors": [1]}, {"created_at": "yesterday"}, {"nonsense": 1}]
)
def test_wrong_orders_are_refused(sandbox: Sandbox, control: Any, body: dict[str, Any]) -> None:
    assert control("POST", "orders", 400, **body)["error"]
    assert sandbox.orders == []


def test_numbers_are_added_and_listed_with_their_damage(sandbox: Sandbox, api: Any, control: Any) -> None:
    control("POST", "numbers", imported=[NUMBER], site_id=744, sip_peer_id="303717")
    control("POST", "numbers", owned=["9195550102"])
    api.submit(NUMBER)
    sandbox.order(sandbox.orders[0].order_id)

    home = {"account_id": "9900000", "site_id": "743", "sip_peer_id": "303716"}
    assert control("GET", "numbers") == {
        "imported": [{**home, "telephone_numbers": [NUMBER]}],
        "owned": [{**home, "telephone_numbers": ["9195550102"]}],
        "resets": {NUMBER: 1},
    }


def test_tokens_are_revoked(sandbox: Sandbox, control: Any) -> None:
    url = f"{sandbox.url}/api/v1/oauth2/token"
    form = {"grant_type": "client_credentials"}
    token = requests.post(url, data=form, auth=("sandbox", "sandbox"), timeout=5).json()["access_token"]
    control("DELETE", "tokens")

    header = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{sandbox.base_url}/accounts/9900000", headers=header, timeout=5).status_code == 401


def test_reset_goes_back_to_the_start(sandbox: Sandbox, api: Any, control: Any) -> None:
    control("PUT", "settings", dialect="O")
    control("POST", "faults", fault="drop")
    sandbox.clear_faults()
    api.submit(NUMBER)
    control("POST", "faults", fault="drop")
    control("POST", "hold")

    control("POST", "reset")

    assert (sandbox.orders, sandbox.inventory, sandbox.requests, sandbox.faults()) == ([], {}, [], [])
    assert sandbox.settings.dialect == "S"
    api.submit(NUMBER)
    assert sandbox.orders[0].status == "COMPLETE"
    assert sandbox.requests[0].number == 1


def test_the_magic_numbers_are_served(control: Any) -> None:
    lines = {row["line"]: row for row in control("GET", "magic-numbers")["lines"]}

    assert lines["0001"]["codes"] == ["25060"]
    assert len(lines) == 110


def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox) -> None:
    for body in ("[]", "{"):
        assert requests.put(f"{sandbox.url}/sandbox/settings", data=body, timeout=5).status_code == 400


class TestPages:
    def page(self, sandbox: Sandbox, path: str, expected: int = 200) -> Any:
        answer = requests.get(f"{sandbox.url}{path}", timeout=5)
        assert answer.status_code == expected
        assert answer.headers["Content-Type"].startswith("text/html")
        return answer.text

    def test_the_overview_shows_orders_numbers_requests_and_magic_numbers(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(owned=["2125550199"])
        order_id = api.submit(NUMBER, "9195550001")

        page = self.page(sandbox, "/")

        for text in (order_id, "run-7", "PARTIAL", NUMBER, "2125550199", "/externalTns", "555-0001", "25060"):
            assert text in page
        assert f'href="/orders/{order_id}"' in page

    def test_many_orders_are_cut_to_the_newest(self, sandbox: Sandbox) -> None:
        orders = [sandbox.add_order([NUMBER]) for _ in range(201)]

        page = self.page(sandbox, "/")

        assert "Orders (201)" in page
        assert orders[-1].order_id in page
        assert orders[0].order_id not in page

    @pytest.mark.parametrize("path", ["/orders/{}", "/accounts/9900000/orders/{}"])
    def test_an_order_has_a_page_of_its_own(self, sandbox: Sandbox, api: Any, path: str) -> None:
        order_id = api.submit(NUMBER, "9195550001")

        page = self.page(sandbox, path.format(order_id))

        for text in (order_id, "PARTIAL", "run-7", NUMBER, "9195550001", "25060", "PROCESSING"):
            assert text in page

    @pytest.mark.parametrize("path", ["/orders/x", "/accounts/9900001/orders/{}"])
    def test_an_unknown_order_has_none(self, sandbox: Sandbox, api: Any, path: str) -> None:
        page = self.page(sandbox, path.format(api.submit(NUMBER)), 404)

        assert "There is no order" in page

    def test_everything_is_escaped(self, sandbox: Sandbox) -> None:
        evil = "<script>alert(1)</script>"
        order = sandbox.add_order([evil], customer_order_id=evil, errors=[OrderError(evil, evil, (evil,))])
        sandbox.seed(imported=[evil])
        requests.get(f"{sandbox.url}/accounts/{evil}?{evil}", timeout=5)

        for path, expected in (("/", 200), (f"/orders/{order.order_id}", 200), (f"/orders/{evil[:8]}", 404)):
            page = self.page(sandbox, path, expected)
            assert "<script" not in page
            assert "&lt;script" in page
