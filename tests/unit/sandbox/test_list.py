"""The list of orders: filters, limits and its ways of saying too little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bandwidth.sandbox import Sandbox


def test_newest_orders_come_first_and_are_counted(api: Any) -> None:
    ids = [api.submit("9195550101") for _ in range(3)]

    root = api.search()

    assert root.tag == "ExternalTnsOrders"
    assert root.findtext("TotalCount") == "3"
    assert [child.tag for child in root][1:] == ["ExternalTnsOrder"] * 3
    assert api.texts(root, "OrderId") == ids[::-1]


def test_an_entry_is_the_order_as_it_is_read_alone(sandbox: Sandbox, api: Any) -> None:
    order_id = api.submit("9195550101", "9195550001")
    for dialect in "SOHP":
        sandbox.configure(dialect=dialect)
        entry = api.search().find("ExternalTnsOrder")
        assert api.paths(entry) == api.paths(api.read(order_id)), dialect


def test_nothing_found_is_404(api: Any) -> None:
    api.submit("9195550101")

    assert api.refusal(api.get("/externalTns", params={"tn": "9195550199"})) == (404, "ExternalTnsOrders", "")


def test_at_most_1000_orders_are_listed_and_all_are_counted(sandbox: Sandbox, api: Any) -> None:
    orders = [sandbox.add_order(["9195550101"]) for _ in range(1001)]

    root = api.search()

    assert root.findtext("TotalCount") == "1001"
    assert api.texts(root, "OrderId") == [order.order_id for order in reversed(orders[1:])]


class TestFilters:
    @pytest.fixture(autouse=True)
    def orders(self, sandbox: Sandbox, api: Any) -> None:
        today = datetime.now(UTC)
        self.old = sandbox.add_order(["9195550103"], created_at=today - timedelta(days=3), status="FAILED").order_id
        self.done = api.submit("9195550101", CustomerOrderID="run-1", LoaType="SUBSCRIBER")
        sandbox.hold()
        self.open = api.submit("9195550101", "9195550102", CustomerOrderID="run-12")
        self.removal = api.submit("9195550101", CustomerOrderID="RUN-1", Action="REMOVE")
        self.today = f"{today:%Y-%m-%d}"
        self.yesterday = f"{today - timedelta(days=1):%Y-%m-%d}"

    @pytest.mark.parametrize(
        ("parameters", "names"),
        [
            ({"status": "COMPLETE"}, ["done"]),
            ({"status": ["complete", "failed"]}, ["done", "old"]),
            ({"status": ["PROCESSING", "RECEIVED"]}, ["removal", "open"]),
            ({"tn": "9195550102"}, ["open"]),
            ({"tn": "9195550101"}, ["removal", "open", "done"]),
            ({"customerOrderId": "run-1"}, ["done"]),
            ({"customerOrderId": "run"}, []),
            ({"action": "remove"}, ["removal"]),
            ({"action": "ALL"}, ["removal", "open", "done", "old"]),
            ({"loaType": "SUBSCRIBER"}, ["done"]),
            ({"loaType": "CARRIER"}, ["removal", "open", "old"]),
            ({"status": "COMPLETE", "action": "REMOVE"}, []),
            ({"unknownFilter": "x"}, ["removal", "open", "done", "old"]),
        ],
    )
    def test_each_filter_narrows_the_list(self, api: Any, parameters: dict[str, Any], names: list[Any]) -> None:
        assert api.found(**parameters) == [getattr(self, name) for name in names]

    def test_dates_are_days_that_belong_to_the_range(self, api: Any) -> None:
        recent, every = [self.removal, self.open, self.done], [self.removal, self.open, self.done, self.old]

        assert api.found(createdDateFrom=self.yesterday) == recent
        assert api.found(createdDateFrom=self.today, createdDateTo=self.today) == recent
        assert api.found(createdDateTo=self.yesterday) == [self.old]
        assert api.found(modifiedDateFrom=self.today) == recent
        assert api.found(modifiedDateTo=self.today) == every

    def test_a_fragment_is_the_start_of_the_order_id(self, api: Any) -> None:
        assert api.found(orderIdFragment=self.done[:13].upper()) == [self.done]
        assert api.found(orderIdFragment=self.done[5:]) == []

    @pytest.mark.parametrize(
        ("parameters", "code"),
        [
            ({"createdDateFrom": "22/11/2026"}, "51001"),
            ({"createdDateTo": "2026-02-30"}, "51001"),
            ({"modifiedDateFrom": "2026-11-22T00:00:00Z"}, "51001"),
            ({"status": "DONE"}, "15518"),
            ({"action": "CHANGE"}, "1019"),
        ],
    )
    def test_a_wrong_value_is_refused(self, api: Any, parameters: dict[str, Any], code: str) -> None:
        assert api.refusal(api.get("/externalTns", params=parameters)) == (400, "ExternalTnsOrders", code)

    def test_a_customer_order_id_can_match_as_a_prefix(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(customer_order_id_match="prefix")

        assert api.found(customerOrderId="run-1") == [self.open, self.done]


def test_summaries_say_little_unless_details_are_asked_for(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(list_form="summary")
    order_id = api.submit("9195550101", "9195550001")

    root = api.search()

    assert api.paths(root) == [
        "TotalCount",
        *(
            f"ExternalTnsOrderSummary/{name}"
            for name in (
                "accountId",
                "CompletedQuantity",
                "userId",
                "OrderDate",
                "OrderType",
                "OrderStatus",
                "OrderId",
            )
        ),
    ]
    summary = root.find("ExternalTnsOrderSummary")
    assert summary.findtext("CompletedQuantity") == "1"
    assert (summary.findtext("OrderStatus"), summary.findtext("OrderId")) == ("PARTIAL", order_id)
    assert api.texts(api.search(orderDetails="true"), "ProcessingStatus") == ["PARTIAL"]


def test_summaries_can_be_all_there_is(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(list_form="summary-only")
    api.submit("9195550101")

    assert api.search(orderDetails="true").find("ExternalTnsOrderSummary") is not None


def test_the_search_can_lag_behind_single_reads(sandbox: Sandbox, api: Any) -> None:
    older = sandbox.add_order(["9195550101"], created_at=datetime.now(UTC) - timedelta(minutes=2)).order_id
    sandbox.configure(search_lag_seconds=60)
    order_id = api.submit("9195550101")

    assert api.found() == [older]
    assert api.status(api.read(order_id)) == "COMPLETE"
    sandbox.configure(search_lag_seconds=0)
    assert api.found() == [order_id, older]


def test_single_reads_can_lag_behind_the_search(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(read_lag_seconds=60)
    order_id = api.submit("9195550101")

    assert api.get(f"/externalTns/{order_id}").status_code == 404
    assert api.found() == [order_id]


def test_an_order_of_somebody_else_shares_the_customer_order_id(sandbox: Sandbox, api: Any) -> None:
    mine = api.submit("9195550101")
    foreign = sandbox.add_order(["2125550101"], customer_order_id="run-7", status="FAILED").order_id

    assert api.found(customerOrderId="run-7") == [foreign, mine]
    assert sandbox.inventory == {("743", "303716"): ["9195550101"]}


def test_accounts_do_not_see_each_others_orders(sandbox: Sandbox, api: Any) -> None:
    api.submit("9195550101")

    other = api.session.get(f"{sandbox.base_url}/accounts/9900001/externalTns", timeout=5)

    assert other.status_code == 404
