"""Orders over HTTP: shapes, life cycle, refusals."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from airflow_provider_bandwidth.sandbox import OrderError, Sandbox

SEED_NUMBERS = ("9199918388", "4158714245", "4352154439", "4352154466")


def wait_for(api: Any, order_id: str, status: str, seconds: float = 3.0) -> Any:
    deadline = time.monotonic() + seconds
    while api.status(api.read(order_id)) != status:
        assert time.monotonic() < deadline, f"never {status}"
        time.sleep(0.01)


SERVICE = ["OrderCreateDate", "AccountId", "CreatedByUser", "OrderId", "ProcessingStatus"]
ASKED = ["Order/CustomerOrderID", "Order/SiteId", "Order/SipPeerId", "Order/Action"]
NUMBERS = ["Order/TelephoneNumbers/TelephoneNumber"] * 2
ERROR = ["Errors/Error/Code", "Errors/Error/Description", "Errors/Error/TelephoneNumbers/TelephoneNumber"]
HYBRID = ["Order/CustomerOrderId", *ASKED[1:], "Order/LoaType"]
FLAT = [
    "CustomerOrderId",
    "OrderCreateDate",
    "AccountId",
    "CreatedByUser",
    "OrderId",
    "LastModifiedDate",
    "SiteId",
    "SipPeerId",
    "TelephoneNumbers/TelephoneNumber",
    "TelephoneNumbers/TelephoneNumber",
    "Action",
    "LoaType",
    "ProcessingStatus",
]


class TestShapes:
    @pytest.mark.parametrize(
        ("dialect", "created", "read"),
        [
            ("S", [*SERVICE, *ASKED, *NUMBERS], [*SERVICE, *ASKED, *NUMBERS, *ERROR]),
            ("P", [*SERVICE, *ASKED, *NUMBERS], [*SERVICE, *ASKED, *NUMBERS, *ERROR]),
            ("O", [f"ExternalTnsOrder/{path}" for path in (*FLAT, "Errors")], [*FLAT, *ERROR]),
            ("H", [*SERVICE, *HYBRID, *NUMBERS], [*SERVICE, *HYBRID, *NUMBERS, *ERROR]),
        ],
    )
    def test_each_dialect_has_its_own_elements_and_roots(
        self, sandbox: Sandbox, api: Any, dialect: str, created: Any, read: Any
    ) -> None:
        sandbox.configure(dialect=dialect)

        response = api.post(api.order_xml("9195550101", "9195550001"))

        answer = ET.fromstring(response.content)
        assert (response.status_code, answer.tag) == (201, "ExternalTnsOrderResponse")
        assert api.paths(answer) == created
        assert api.status(answer) == "RECEIVED"
        order = api.read(api.texts(answer, "OrderId")[0])
        assert order.tag == "ExternalTnsOrder"
        assert api.paths(order) == read
        assert api.status(order) == "PARTIAL"
        assert api.errors(order) == [("25060", ["9195550001"])]

    def test_padded_texts_stand_on_lines_of_their_own(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit("9195550101")
        sandbox.configure(dialect="P")

        text = api.get(f"/externalTns/{order_id}").text

        assert re.search(rf"<OrderId>\n\s+{order_id}\n\s+</OrderId>", text)

    def test_one_order_can_come_wrapped(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(dialect="O", get_root="wrapped")

        order = api.read(api.submit("9195550101"))

        assert order.tag == "ExternalTnsOrderResponse"
        assert api.paths(order)[-1] == "ExternalTnsOrder/Errors"

    def test_the_seeds_order_comes_back_as_it_was_sent(self, api: Any) -> None:
        order = api.read(api.submit(*SEED_NUMBERS, CustomerOrderID="ICPA123ABC"))

        assert api.texts(order, "TelephoneNumber") == list(SEED_NUMBERS)
        assert [api.texts(order, name) for name in ("CustomerOrderID", "SiteId", "SipPeerId", "Action")] == [
            ["ICPA123ABC"],
            ["743"],
            ["303716"],
            ["IMPORT"],
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", order.findtext("OrderCreateDate", ""))

    def test_both_spellings_of_the_customer_order_id_are_read(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550101", CustomerOrderID=None, CustomerOrderId="run-8")

        assert sandbox.orders[0].customer_order_id == "run-8"

    def test_namespaces_and_unknown_elements_are_ignored(self, sandbox: Sandbox, api: Any) -> None:
        body = api.order_xml("9195550101").replace(
            "<ExternalTnsOrder>", '<ExternalTnsOrder xmlns="urn:x"><Note>n</Note>'
        )

        assert api.post(body).status_code == 201
        assert sandbox.orders[0].telephone_numbers == ("9195550101",)

    def test_a_missing_peer_is_the_sites_default_and_not_echoed_by_the_seeds_dialect(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        order_id = api.submit("9195550101", SipPeerId=None)

        assert api.texts(api.read(order_id), "SipPeerId") == []
        sandbox.configure(dialect="O")
        assert api.texts(api.read(order_id), "SipPeerId") == ["303716"]

    def test_location_leads_to_the_order(self, api: Any) -> None:
        location = api.post(api.order_xml("9195550101")).headers["Location"]

        assert api.session.get(location, timeout=5).status_code == 200


class TestPaths:
    @pytest.mark.parametrize("prefix", ["", "/api", "/api/v1", "/v1.0", "/API/V1"])
    def test_every_prefix_and_any_case_leads_to_orders(self, sandbox: Sandbox, api: Any, prefix: str) -> None:
        url = f"{sandbox.url}{prefix}/Accounts/9900000/externaltns"

        created = api.session.post(url, data=api.order_xml("9195550101"), timeout=5)

        assert created.status_code == 201
        assert created.headers["Location"].startswith(url)
        assert api.session.get(f"{url}/", timeout=5).status_code == 200

    def test_there_are_no_external_tns_under_v2(self, sandbox: Sandbox, api: Any) -> None:
        url = f"{sandbox.url}/api/v2/accounts/9900000/externalTns"

        assert api.session.post(url, data=api.order_xml("9195550101"), timeout=5).status_code == 404
        assert api.session.get(url, timeout=5).status_code == 404
        assert sandbox.orders == []

    def test_other_paths_and_methods_are_refused(self, api: Any) -> None:
        assert api.get("/nothing").status_code == 404
        assert api.session.delete(f"{api.base}/externalTns/1", timeout=5).status_code == 405


class TestLifeCycle:
    def test_an_order_is_received_then_processed_then_complete(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(received_seconds=60)
        received = api.submit("9195550101")
        sandbox.configure(received_seconds=0, processing_seconds=60)
        processing = api.submit("9195550102")
        sandbox.configure(received_seconds=0.1, processing_seconds=0.2)
        complete = api.submit("9195550103")

        wait_for(api, complete, "COMPLETE")
        assert api.status(api.read(received)) == "RECEIVED"
        assert api.status(api.read(processing)) == "PROCESSING"
        assert sandbox.inventory == {("743", "303716"): ["9195550103"]}
        history = sandbox.order(complete).history
        assert [status for _, status in history] == ["RECEIVED", "PROCESSING", "COMPLETE"]
        seconds = [(moment - history[0][0]).total_seconds() for moment, _ in history]
        assert seconds == pytest.approx([0, 0.1, 0.3], abs=0.001)

    def test_time_can_be_skipped(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(received_seconds=600, processing_seconds=600, search_lag_seconds=600, read_lag_seconds=600)
        order_id = api.submit("9195550101")
        assert (api.found(), sandbox.order(order_id).status) == ([], "RECEIVED")

        sandbox.skip(700)
        assert (api.found(), api.status(api.read(order_id))) == ([order_id], "PROCESSING")
        sandbox.skip(700)
        assert api.status(api.read(order_id)) == "COMPLETE"
        later = sandbox.order(api.submit("9195550102"))
        assert (later.created_at - sandbox.order(order_id).created_at).total_seconds() >= 1400

    def test_history_is_in_lower_case(self, api: Any) -> None:
        order_id = api.submit("9195550101")

        history = ET.fromstring(api.get(f"/externalTns/{order_id}/history").content)

        assert history.tag == "OrderHistoryWrapper"
        assert api.texts(history, "Status") == ["received", "processing", "complete"]
        assert set(api.paths(history)) == {"OrderHistory/OrderDate", "OrderHistory/Author", "OrderHistory/Status"}

    def test_some_failed_is_partial_and_all_failed_is_failed(self, api: Any) -> None:
        some = api.read(api.submit("9195550101", "9195550002", "9195550003"))
        every = api.read(api.submit("9195550002", "9195550003"))

        assert (api.status(some), api.status(every)) == ("PARTIAL", "FAILED")
        assert api.errors(some) == api.errors(every) == [("5124", ["9195550002"]), ("25070", ["9195550003"])]

    def test_numbers_with_one_error_share_it(self, api: Any) -> None:
        order = api.read(api.submit("9195550101", "9195550002", "2125550002"))

        assert api.errors(order) == [("5124", ["9195550002", "2125550002"])]

    @pytest.mark.parametrize(
        ("reading", "listed"), [("all", ["9195550101", "9195550001"]), ("completed", ["9195550101"])]
    )
    def test_partial_lists_all_or_only_completed_numbers(
        self, sandbox: Sandbox, api: Any, reading: str, listed: list[Any]
    ) -> None:
        sandbox.configure(partial_list=reading)

        order = api.read(api.submit("9195550101", "9195550001"))

        assert api.texts(order.find("Order"), "TelephoneNumber") == listed

    def test_a_held_order_ends_when_it_is_released(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.hold()
        first, second = api.submit("9195550101"), api.submit("9195550102")

        assert api.status(api.read(first)) == "PROCESSING"
        sandbox.release()
        assert {sandbox.order(first).status, sandbox.order(second).status} == {"COMPLETE"}

    def test_one_order_can_be_held_alone(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(processing_seconds=0.5)
        held, also_held, free = (api.submit("9195550101") for _ in range(3))
        sandbox.hold(held)
        sandbox.hold(also_held)

        wait_for(api, free, "COMPLETE")
        assert sandbox.order(held).status == "PROCESSING"
        sandbox.release(held)
        assert (sandbox.order(held).status, sandbox.order(also_held).status) == ("COMPLETE", "PROCESSING")

    def test_finish_ends_an_order_with_the_status_and_errors_given(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.hold()
        order_id = api.submit("9195550101", "9195550102")

        sandbox.finish(order_id, "PARTIAL", [OrderError("5005", "why", ("9195550102",))])

        order = api.read(order_id)
        assert (api.status(order), api.errors(order)) == ("PARTIAL", [("5005", ["9195550102"])])
        assert sandbox.inventory == {("743", "303716"): ["9195550101"]}
        with pytest.raises(ValueError, match="has ended PARTIAL"):
            sandbox.finish(order_id)
        sandbox.release()
        assert sandbox.order(order_id).status == "PARTIAL"

    def test_finish_can_fail_an_order_without_naming_a_number(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.hold()
        order_id = api.submit("9195550101")

        sandbox.finish(order_id, "failed", [OrderError("5003", "why")])

        order = api.read(order_id)
        assert (api.status(order), api.errors(order)) == ("FAILED", [("5003", [])])
        assert sandbox.inventory == {}

    def test_an_order_that_never_ends_is_finished_by_a_status(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit("9195550095")

        with pytest.raises(ValueError, match="PROCESSING does not end an order"):
            sandbox.finish(order_id)
        assert sandbox.finish(order_id, "COMPLETE").status == "COMPLETE"

    def test_an_unknown_status_stays_until_the_order_is_finished(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.hold()
        order_id = api.submit("9195550101")
        sandbox.set_status(order_id, "EXCEPTION")
        sandbox.release()

        assert api.status(api.read(order_id)) == "EXCEPTION"
        with pytest.raises(ValueError, match="use finish"):
            sandbox.set_status(order_id, "complete")
        sandbox.finish(order_id)
        assert api.status(api.read(order_id)) == "COMPLETE"

    def test_an_unknown_order_is_404_without_a_code(self, api: Any) -> None:
        expected = (404, "ExternalTnsOrderResponse", "")

        assert api.refusal(api.get("/externalTns/0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01")) == expected
        history = api.get("/externalTns/0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01/history")
        assert api.refusal(history) == (404, "ExternalTnsOrderReportResponse", "")

    def test_another_accounts_order_is_not_found(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit("9195550101")

        other = api.session.get(f"{sandbox.base_url}/accounts/9900001/externalTns/{order_id}", timeout=5)

        assert api.refusal(other) == (404, "ExternalTnsOrderResponse", "")


class TestRefusals:
    GOOD = "9195550101"

    @pytest.mark.parametrize(
        ("numbers", "fields", "code"),
        [
            ([GOOD], {"Action": None}, "25000"),
            ([GOOD], {"Action": "[ IMPORT | REMOVE ]"}, "25000"),
            ([GOOD], {"LoaType": "LANDLORD"}, "25110"),
            ([GOOD], {"CustomerOrderID": "run_7"}, "5052"),
            ([GOOD], {"CustomerOrderID": "x" * 41}, "5052"),
            ([GOOD], {"SiteId": None}, "5022"),
            ([GOOD], {"SiteId": "seven"}, "5016"),
            ([GOOD], {"SiteId": "999"}, "5016"),
            ([GOOD], {"SipPeerId": "1"}, "5023"),
            ([GOOD], {"SipPeerId": "303717"}, "5023"),
            ([], {}, "5073"),
            ([GOOD, GOOD], {}, "5093"),
            (["919555010"], {}, "7201"),
            (["+19195550101"], {}, "7201"),
            (["19195550101"], {}, "7201"),
            (["1195550101"], {}, "7201"),
            (["9112550101"], {}, "7201"),
            (["9194110101"], {}, "7201"),
            (["919555O101"], {}, "7201"),
            (["8885550101"], {}, "5126"),
        ],
    )
    def test_a_wrong_order_is_refused_as_a_whole(
        self, sandbox: Sandbox, api: Any, numbers: Any, fields: Any, code: str
    ) -> None:
        response = api.post(api.order_xml(*numbers, **fields))

        assert api.refusal(response) == (400, "ExternalTnsOrderResponse", code)
        assert sandbox.orders == []

    def test_the_text_of_7201_names_the_number(self, api: Any) -> None:
        assert "1195550101" in api.post(api.order_xml("1195550101")).text

    def test_more_than_5000_numbers_are_refused(self, api: Any) -> None:
        numbers = [str(9192000000 + offset) for offset in range(5001)]

        assert api.submit(*numbers[:5000])
        assert api.refusal(api.post(api.order_xml(*numbers)))[2] == "5095"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"<ExternalTnsOrder>",
            b"<ImportTnOrder/>",
            b"<ExternalTnsOrder/><ExternalTnsOrder/>",
            b"<!DOCTYPE ExternalTnsOrder><ExternalTnsOrder/>",
            b'<!DOCTYPE a [<!ENTITY e "x">]><ExternalTnsOrder><Action>&e;</Action></ExternalTnsOrder>',
        ],
    )
    def test_what_is_not_an_order_document_is_a_bad_request(self, sandbox: Sandbox, api: Any, body: bytes) -> None:
        assert api.refusal(api.post(body)) == (400, "ExternalTnsOrderResponse", "1019")
        assert sandbox.orders == []

    def test_a_doctype_is_refused_in_any_encoding(self, api: Any) -> None:
        body = f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE ExternalTnsOrder>{api.order_xml(self.GOOD)}'

        assert "document type" in api.post(body.encode("utf-16")).text

    def test_a_bare_number_list_is_an_internal_error(self, api: Any) -> None:
        body = api.order_xml(self.GOOD).replace("TelephoneNumbers>", "TelephoneNumberList>")

        assert api.refusal(api.post(body)) == (500, "ExternalTnsOrderResponse", "1000")

    @pytest.mark.parametrize("field", ["SipPeerId", "LoaType"])
    def test_strict_removal_takes_neither_peer_nor_loa_type(self, sandbox: Sandbox, api: Any, field: str) -> None:
        fields = {"Action": "REMOVE", "SipPeerId": None, field: {"SipPeerId": "303716", "LoaType": "CARRIER"}[field]}
        assert api.submit(self.GOOD, **fields)
        sandbox.configure(strict_remove=True)

        assert api.refusal(api.post(api.order_xml(self.GOOD, **fields)))[2] == "25020"
        assert api.submit(self.GOOD, Action="REMOVE", SipPeerId=None)

    def test_strict_content_type_takes_xml_only(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(strict_content_type=True)
        body = api.order_xml(self.GOOD)

        assert api.post(body, headers={"Content-Type": "text/plain"}).status_code == 415
        assert api.post(body, headers={"Content-Type": "application/xml; charset=utf-8"}).status_code == 201


class TestCustomerOrderId:
    @pytest.mark.parametrize(
        ("mode", "element", "stored"),
        [
            ("never", "CustomerOrderID", "run-9"),
            ("CustomerOrderID", "CustomerOrderID", None),
            ("CustomerOrderID", "CustomerOrderId", "run-9"),
            ("always", "CustomerOrderId", None),
        ],
    )
    def test_it_can_get_lost(self, sandbox: Sandbox, api: Any, mode: str, element: str, stored: str | None) -> None:
        sandbox.configure(drop_customer_order_id=mode)

        order_id = api.submit("9195550101", **{"CustomerOrderID": None, element: "run-9"})

        assert sandbox.order(order_id).customer_order_id == stored
        assert api.found(customerOrderId="run-9") == ([order_id] if stored else [])
        assert bool(api.texts(api.read(order_id), "CustomerOrderID")) is (stored is not None)

    def test_it_can_be_stored_and_not_echoed(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(echo_customer_order_id=False)

        order_id = api.submit("9195550101")

        assert api.texts(api.read(order_id), "CustomerOrderID") == []
        assert api.found(customerOrderId="run-7") == [order_id]

    def test_an_echo_that_is_switched_off_is_missing_from_the_same_order(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit("9195550101")

        assert api.texts(api.read(order_id), "CustomerOrderID") == ["run-7"]
        sandbox.configure(echo_customer_order_id=False)
        assert api.texts(api.read(order_id), "CustomerOrderID") == []

    def test_it_need_not_be_unique(self, api: Any) -> None:
        assert api.submit("9195550101") != api.submit("9195550101")
