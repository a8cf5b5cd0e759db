"""importTnOrders and removeImportedTnOrders, in version 1 and in version 2 of the API."""

from __future__ import annotations

import json
import uuid
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

GOOD = "9195550101"
PEER = ("743", "303716")
IMPORTS, REMOVALS = "/importTnOrders", "/removeImportedTnOrders"
V2_IMPORTS, V2_REMOVALS = "/importTnOrders/messaging", "/removeImportedTnOrders/messaging"
FIELDS = [
    *("CustomerOrderId", "OrderCreateDate", "AccountId", "CreatedByUser", "OrderId", "LastModifiedDate", "SiteId"),
    *("Subscriber", "LoaAuthorizingPerson", "TelephoneNumbers", "ProcessingStatus", "Errors", "SipPeerId"),
]


def codes(response: requests.Response) -> list[str]:
    """Every code of a refusal with repeated Errors."""
    root = ET.fromstring(response.content)
    assert (response.status_code, root.findtext("ProcessingStatus")) == (400, "FAILED"), response.text
    return [error.findtext("Code") for error in root.findall("Errors")]


class TestImport:
    def test_the_answer_has_the_root_and_the_order_of_elements_that_were_captured(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        sandbox.configure(received_seconds=60)

        response = api.post(api.import_xml(GOOD), IMPORTS)

        root = ET.fromstring(response.content)
        (order,) = root
        assert (response.status_code, root.tag, order.tag) == (201, "ImportTnOrdersResponse", "ImportTnOrder")
        assert [child.tag for child in order] == FIELDS
        assert order.findtext("ProcessingStatus") == "RECEIVED"
        order_id = order.findtext("OrderId")
        assert response.headers["Location"].endswith(f"/api/accounts/9900000/importTnOrders/{order_id}")
        address = order.find("Subscriber/ServiceAddress")
        assert [each.text for each in address][-2:] == ["United States", "Service"]
        assert order.findtext("LastModifiedDate") > order.findtext("OrderCreateDate")

    def test_what_was_not_sent_is_not_shown(self, api: Any) -> None:
        order_id = api.make(api.import_xml(GOOD, SipPeerId=None, CustomerOrderId=None), IMPORTS)

        order = api.show(f"{IMPORTS}/{order_id}")

        assert order.tag == "ImportTnOrder"
        assert [child.tag for child in order] == FIELDS[1:-1]

    def test_loa_type_is_shown_where_it_was_sent(self, api: Any) -> None:
        order_id = api.make(api.import_xml(GOOD, LoaType="CARRIER"), IMPORTS)

        assert [child.tag for child in api.show(f"{IMPORTS}/{order_id}")][-2:] == ["LoaType", "SipPeerId"]

    @pytest.mark.parametrize(
        ("form", "paths"),
        [
            ("plural", ["ImportTnOrdersResponse", "ImportTnOrder"]),
            ("singular", ["ImportTnOrderResponse", "ImportTnOrder"]),
            ("flat", ["ImportTnOrderResponse", "CustomerOrderId"]),
        ],
    )
    def test_the_root_of_the_201_is_a_setting(self, sandbox: Sandbox, api: Any, form: str, paths: list[Any]) -> None:
        sandbox.configure(created_root=form)

        root = ET.fromstring(api.post(api.import_xml(GOOD), IMPORTS).content)

        assert [root.tag, root[0].tag] == paths

    def test_it_puts_the_numbers_into_the_one_inventory(self, sandbox: Sandbox, api: Any) -> None:
        api.make(api.import_xml(GOOD), IMPORTS)

        order = sandbox.orders[0]
        assert (order.order_api, order.action, order.asked.loa_type) == ("importTnOrders", "IMPORT", None)
        assert order.to_dict()["subscriber"]["ServiceAddress"]["City"] == "Durham"
        assert sandbox.inventory == {PEER: [GOOD]}
        page = api.show("/sites/743/sippeers/303716/tns")
        assert api.texts(page, "TnAttribute") == ["Imported"]
        assert api.errors(api.read(api.submit(GOOD, Action="REMOVE"))) == []
        assert sandbox.inventory == {}

    def test_every_problem_is_in_one_answer(self, api: Any) -> None:
        body = api.import_xml(
            *(GOOD, GOOD, "1195550101", "8005550101"),
            CustomerOrderId="x" * 41,
            SiteId="1",
            SipPeerId="1",
            Subscriber=f"<Name>{'n' * 46}</Name><ServiceAddress><Zip>2770</Zip></ServiceAddress>",
            LoaAuthorizingPerson=None,
            LoaType="NONE",
        )

        assert codes(api.post(body, IMPORTS)) == [
            *("7318", "7309", "7312", "25131", "7108", "7109", "7110", "7111", "7214", "7115", "25110"),
            *("7360", "7201", "7386"),
        ]

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"Subscriber": None}, "7104"),
            ({"Subscriber": "<Name/>"}, "7105"),
            ({"Subscriber": "<Name>Ada</Name>"}, "7107"),
            ({"SiteId": None}, "7309"),
            ({"SipPeerId": "x"}, "7311"),
            ({"SipPeerId": "303717"}, "7312"),
            ({"LoaAuthorizingPerson": ""}, "7115"),
        ],
    )
    def test_what_is_required_is_refused_when_missing(
        self, sandbox: Sandbox, api: Any, fields: dict[str, Any], code: str
    ) -> None:
        assert code in codes(api.post(api.import_xml(GOOD, **fields), IMPORTS))
        assert sandbox.orders == []

    def test_an_order_needs_numbers_and_not_too_many(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(max_numbers_per_order=1)

        assert codes(api.post(api.import_xml(), IMPORTS)) == ["7316"]
        assert codes(api.post(api.import_xml(GOOD, "9195550102"), IMPORTS)) == ["7314"]

    @pytest.mark.parametrize(
        ("form", "root", "path"),
        [
            ("errors", "ImportTnOrderResponse", "Errors/Code"),
            ("plural", "ImportTnOrdersResponse", "Errors/Code"),
            ("response-status", "ImportTnOrderResponse", "ResponseStatus/ErrorCode"),
        ],
    )
    def test_the_form_of_a_refusal_is_a_setting(
        self, sandbox: Sandbox, api: Any, form: str, root: str, path: str
    ) -> None:
        sandbox.configure(refusal_form=form)

        answer = ET.fromstring(api.post(api.import_xml(GOOD, SiteId="1", SipPeerId=None), IMPORTS).content)

        assert (answer.tag, answer.findtext(path)) == (root, "7309")

    def test_a_broken_body_is_refused_in_the_same_form(self, api: Any) -> None:
        assert codes(api.post("<ImportTnOrder>", IMPORTS)) == ["1019"]
        assert codes(api.post(api.order_xml(GOOD), IMPORTS)) == ["1019"]

    def test_numbers_that_cannot_be_imported_fail_with_codes_of_this_api(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(owned=["9195550102"])
        other = sandbox.default_location._replace(account_id="9900001")
        sandbox.seed(imported=["9195550103"], location=other)

        order = api.show(f"{IMPORTS}/{api.make(api.import_xml(GOOD, '9195550102', '9195550103'), IMPORTS)}")

        assert api.status(order) == "PARTIAL"
        assert api.errors(order) == [("19006", ["9195550102"]), ("19008", ["9195550103"])]

    @pytest.mark.parametrize(("reimport", "errors"), [("reset", []), ("refused", [("7206", [GOOD])])])
    def test_what_importing_again_does_is_a_setting(
        self, sandbox: Sandbox, api: Any, reimport: str, errors: Any
    ) -> None:
        sandbox.configure(reimport=reimport)
        sandbox.seed(imported=[GOOD])

        assert api.errors(api.show(f"{IMPORTS}/{api.make(api.import_xml(GOOD), IMPORTS)}")) == errors
        assert sandbox.resets == ({} if errors else {GOOD: 1})

    def test_magic_numbers_work_as_for_external_tns(self, api: Any) -> None:
        def read(line: str) -> Any:
            return api.show(f"{IMPORTS}/{api.make(api.import_xml(GOOD, f'919555{line}'), IMPORTS)}")

        assert api.errors(read("0901")) == [("19014", ["9195550901"])]
        assert api.errors(read("0903")) == [("19005", [GOOD, "9195550903"])]
        assert api.status(read("0096")) == "EXCEPTION"
        assert codes(api.post(api.import_xml(GOOD, "9195550905"), IMPORTS)) == ["5149"]


class TestTransfer:
    """An import waits for the carrier that would lose the number."""

    @pytest.fixture
    def order_id(self, api: Any) -> str:
        return api.make(api.import_xml(GOOD, "9195550908"), IMPORTS)

    def test_it_waits_for_the_answer(self, sandbox: Sandbox, order_id: str) -> None:
        sandbox.skip(46 * 3600)
        assert sandbox.order(order_id).status == "PROCESSING"

        order = sandbox.answer_transfer(order_id, approve=True)

        assert (order.status, order.errors) == ("COMPLETE", ())

    def test_after_47_hours_it_is_denied(self, sandbox: Sandbox, api: Any, order_id: str) -> None:
        sandbox.skip(47 * 3600)

        order = api.show(f"{IMPORTS}/{order_id}")
        assert (api.status(order), api.errors(order)) == ("PARTIAL", [("5160", ["9195550908"])])

    def test_it_is_answered_over_http(self, sandbox: Sandbox, order_id: str) -> None:
        url = f"{sandbox.url}/sandbox/orders/{order_id}/transfer"

        assert requests.post(url, data="{}", timeout=5).status_code == 400
        assert requests.post(url, data='{"approve": false}', timeout=5).json()["status"] == "PARTIAL"
        assert requests.post(url, data='{"approve": true}', timeout=5).status_code == 400

    def test_an_answer_may_come_before_the_question(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(processing_seconds=10)
        order_id = api.make(api.import_xml("9195550908"), IMPORTS)

        assert sandbox.answer_transfer(order_id, approve=True).status == "PROCESSING"
        sandbox.skip(10)
        assert sandbox.order(order_id).status == "COMPLETE"


class TestRemoval:
    def test_it_names_no_place_and_removes_what_any_order_imported(self, sandbox: Sandbox, api: Any) -> None:
        api.submit(GOOD)

        response = api.post(api.removal_xml(GOOD), REMOVALS)

        root = ET.fromstring(response.content)
        assert (response.status_code, root.tag) == (201, "RemoveImportedTnOrdersResponse")
        left_out = ("SiteId", "Subscriber", "LoaAuthorizingPerson", "SipPeerId")
        assert [child.tag for child in root[0]] == [name for name in FIELDS if name not in left_out]
        order = api.show(f"{REMOVALS}/{api.texts(root, 'OrderId')[0]}")
        assert (order.tag, api.status(order)) == ("RemoveImportedTnOrder", "COMPLETE")
        assert sandbox.inventory == {}

    def test_a_number_that_was_not_imported_fails(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(owned=["9195550102"])

        order = api.show(f"{REMOVALS}/{api.make(api.removal_xml(GOOD, '9195550102'), REMOVALS)}")

        assert (api.status(order), api.errors(order)) == ("FAILED", [("5158", [GOOD, "9195550102"])])
        assert sandbox.owned == {PEER: ["9195550102"]}

    def test_problems_are_refused(self, api: Any) -> None:
        response = api.post(api.removal_xml(GOOD, GOOD, customer_order_id="a_b"), REMOVALS)

        assert codes(response) == ["7318", "7360"]
        assert ET.fromstring(response.content).tag == "RemoveImportedTnOrderResponse"

    def test_the_history_shows_processing_twice_in_lower_case(self, api: Any) -> None:
        order_id = api.make(api.removal_xml(GOOD), REMOVALS)
        api.make(api.import_xml(GOOD), IMPORTS)
        removal = api.make(api.removal_xml(GOOD), REMOVALS)

        assert api.texts(api.show(f"{REMOVALS}/{order_id}/history"), "Status") == ["received", "failed"]
        assert api.texts(api.show(f"{REMOVALS}/{removal}/history"), "Status") == [
            *("received", "processing", "processing", "complete"),
        ]


class TestLists:
    @pytest.fixture(autouse=True)
    def _orders(self, sandbox: Sandbox, api: Any) -> None:
        self.external = api.submit(GOOD, CustomerOrderID="run-7")
        self.first = api.make(api.import_xml(GOOD, "9195550102"), IMPORTS)
        self.second = api.make(api.import_xml("9195550103", CustomerOrderId=None, LoaType="CARRIER"), IMPORTS)
        self.removal = api.make(api.removal_xml(GOOD, customer_order_id="run-7"), REMOVALS)

    def test_a_list_has_flat_summaries_newest_first(self, api: Any) -> None:
        root = api.show(IMPORTS)

        assert root.tag == "ImportTnOrders"
        assert api.paths(root) == [
            "TotalCount",
            *self.summary("ImportTnOrder", customer_order_id=False),
            *self.summary("ImportTnOrder"),
        ]
        assert api.texts(root, "OrderId") == [self.second, self.first]
        assert api.texts(root, "OrderType") == ["import_tn_orders"] * 2
        assert api.texts(root, "CountOfTNs") == ["1", "2"]

    @staticmethod
    def summary(order: str, *, customer_order_id: bool = True) -> list[str]:
        names = [
            *("accountId", "CountOfTNs", "CustomerOrderId", "userId", "lastModifiedDate", "OrderDate"),
            *("OrderType", "OrderStatus", "OrderId"),
        ]
        return [f"{order}Summary/{name}" for name in names if customer_order_id or name != "CustomerOrderId"]

    def test_removals_are_listed_apart(self, api: Any) -> None:
        root = api.show(REMOVALS)

        assert api.paths(root) == ["TotalCount", *self.summary("RemoveImportedTnOrder")]
        assert api.texts(root, "OrderId") == [self.removal]
        assert api.texts(root, "OrderType") == ["remove_imported_tn_orders"]
        assert api.found(customerOrderId="run-7") == [self.external]

    @pytest.mark.parametrize(
        ("parameters", "names"),
        [
            ({"customerOrderId": "run-7"}, ["first"]),
            ({"tn": "9195550102"}, ["first"]),
            ({"loaType": "CARRIER"}, ["second"]),
            ({"loaType": "SUBSCRIBER"}, ["first"]),
            ({"status": "COMPLETE"}, ["second", "first"]),
            ({"page": "2", "size": "1"}, ["first"]),
            ({"orderDetails": "true"}, ["second", "first"]),
        ],
    )
    def test_filters_narrow_it(self, api: Any, parameters: dict[str, Any], names: list[Any]) -> None:
        root = ET.fromstring(api.get(IMPORTS, params=parameters).content)

        assert api.texts(root, "OrderId") == [getattr(self, name) for name in names]

    @pytest.mark.parametrize(
        ("form", "status", "body"), [("404", 404, True), ("200", 200, True), ("204", 204, False), ("blank", 200, False)]
    )
    def test_how_a_list_without_orders_looks_is_a_setting(
        self, sandbox: Sandbox, api: Any, form: str, status: int, body: bool
    ) -> None:
        sandbox.configure(empty_list=form)
        for path, root in ((IMPORTS, "ImportTnOrders"), (REMOVALS, "RemoveImportedTnOrders")):
            response = api.get(path, params={"tn": "9195550199"})

            assert (response.status_code, bool(response.content)) == (status, body)
            if body:
                assert ET.fromstring(response.content).tag == root
            if form == "200":
                assert api.texts(ET.fromstring(response.content), "TotalCount") == ["0"]

    def test_page_and_size_can_be_compulsory(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(list_paging_required=True)

        refused = api.get(IMPORTS, params={"customerOrderId": "run-7"})
        answered = api.get(IMPORTS, params={"customerOrderId": "run-7", "page": "1", "size": "1000"})

        assert (refused.status_code, answered.status_code) == (404, 200)
        assert "required" in refused.text

    def test_young_orders_are_missing_while_the_search_lags(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(search_lag_seconds=60)
        assert api.get(IMPORTS).status_code == 404

        sandbox.skip(60)
        assert len(api.texts(api.show(IMPORTS), "OrderId")) == 2


class TestUnknownOrders:
    @pytest.mark.parametrize("path", [IMPORTS, REMOVALS])
    def test_an_id_that_is_no_uuid_is_1008(self, api: Any, path: Any) -> None:
        root = "ImportTnOrdersReportResponse" if path == IMPORTS else "RemoveImportedTnOrdersReportResponse"

        assert api.refusal(api.get(f"{path}/no-uuid")) == (400, root, "1008")
        assert api.refusal(api.get(f"{path}/no-uuid/history")) == (400, root, "1008")

    @pytest.mark.parametrize("status", [404, 400])
    def test_the_status_for_an_unknown_one_is_a_setting(self, sandbox: Sandbox, api: Any, status: int) -> None:
        sandbox.configure(unknown_order=status)

        for path in (IMPORTS, REMOVALS):
            assert api.refusal(api.get(f"{path}/{uuid.uuid4()}"))[::2] == (status, "")

    def test_an_order_is_only_found_where_it_belongs(self, api: Any) -> None:
        external = api.submit(GOOD)
        imported = api.make(api.import_xml(GOOD), IMPORTS)

        assert api.get(f"{IMPORTS}/{external}").status_code == 404
        assert api.get(f"{REMOVALS}/{imported}").status_code == 404
        assert api.get(f"/externalTns/{imported}").status_code == 404

    def test_voice_is_another_product(self, api: Any) -> None:
        assert api.get(f"{IMPORTS}/voice").status_code == 404
        assert api.get(f"{IMPORTS}/voice/{uuid.uuid4()}").content == b""


class TestVersion2:
    def test_numbers_are_e164_and_the_orders_are_those_of_version_1(self, sandbox: Sandbox, api: Any) -> None:
        v2 = api.v2()

        order_id = v2.make(api.import_xml(f"+1{GOOD}", "+19195550901"), V2_IMPORTS)

        order = v2.show(f"{V2_IMPORTS}/{order_id}")
        assert api.texts(order, "TelephoneNumber") == [f"+1{GOOD}", "+19195550901", "+19195550901"]
        assert api.errors(order) == [("19014", ["+19195550901"])]
        assert api.errors(api.show(f"{IMPORTS}/{order_id}")) == [("19014", ["9195550901"])]
        assert sandbox.order(order_id).order_api == "importTnOrders/messaging"
        assert sandbox.inventory == {PEER: [GOOD]}
        v2.make(api.removal_xml(f"+1{GOOD}"), V2_REMOVALS)
        assert sandbox.inventory == {}

    def test_ten_digits_are_refused_unless_tolerated(self, sandbox: Sandbox, api: Any) -> None:
        v2 = api.v2()
        assert codes(v2.post(api.import_xml(GOOD), V2_IMPORTS)) == ["1022"]
        assert codes(v2.post(api.removal_xml(GOOD), V2_REMOVALS)) == ["1022"]
        assert codes(v2.post(api.import_xml("+442079460000"), V2_IMPORTS)) == ["7201"]

        sandbox.configure(ten_digits_on_v2=True)
        v2.make(api.import_xml(GOOD), V2_IMPORTS)

    def test_version_1_does_not_take_e164(self, api: Any) -> None:
        assert codes(api.post(api.import_xml(f"+1{GOOD}"), IMPORTS)) == ["7201"]

    def test_the_tn_filter_wants_the_plus_sign_encoded(self, sandbox: Sandbox, api: Any) -> None:
        v2 = api.v2()
        v2.make(api.import_xml(f"+1{GOOD}"), V2_IMPORTS)

        assert v2.get(f"{V2_IMPORTS}?tn=%2B1{GOOD}").status_code == 200
        assert v2.get(f"{V2_IMPORTS}?tn=+1{GOOD}").status_code == 404
        assert v2.get(f"{V2_IMPORTS}?tn={GOOD}").status_code == 404
        sandbox.configure(ten_digits_on_v2=True)
        assert v2.get(f"{V2_IMPORTS}?tn={GOOD}").status_code == 200

    def test_the_inventory_and_the_checker_write_e164(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=[GOOD, "9195550102"])
        v2 = api.v2()

        page = v2.show("/sites/743/sippeers/303716/tns?size=1")
        assert api.texts(page, "FullNumber") == [f"+1{GOOD}"]
        assert "page=%2B19195550102" in api.texts(page, "next")[0]
        following = v2.show("/sites/743/sippeers/303716/tns?size=1&page=%2B19195550102")
        assert api.texts(following, "FullNumber") == ["+19195550102"]
        assert api.texts(v2.show("/inserviceNumbers"), "TelephoneNumber") == [f"+1{GOOD}", "+19195550102"]
        assert v2.get(f"/inserviceNumbers/%2B1{GOOD}").status_code == 200
        body = "<ImportTnCheckerPayload><TelephoneNumbers>{}</TelephoneNumbers></ImportTnCheckerPayload>"
        number = "<TelephoneNumber>{}</TelephoneNumber>"
        answer = v2.post(body.format(number.format("+19195550104") + number.format("+19195550036")), "/importTnChecker")
        root = ET.fromstring(answer.content)
        assert api.texts(root, "TelephoneNumber") == ["+19195550104", "+19195550036"]
        assert api.texts(root, "Code") == ["19003"]
        refused = v2.post(body.format(number.format(GOOD)), "/importTnChecker")
        assert (refused.status_code, api.texts(ET.fromstring(refused.content), "Code")) == (400, ["1022"])

    @pytest.mark.parametrize("path", ["/externalTns", IMPORTS, REMOVALS])
    def test_it_has_no_other_order_paths(self, api: Any, path: Any) -> None:
        assert api.v2().get(path).status_code == 404


class TestAccountsWithout:
    """Setting ``order_apis``."""

    def test_an_api_that_is_off_refuses_everything(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(order_apis=["importTnOrders/messaging"])

        assert codes(api.post(api.import_xml(GOOD), IMPORTS)) == ["5149"]
        assert codes(api.post(api.removal_xml(GOOD), REMOVALS)) == ["5149"]
        assert api.refusal(api.post(api.order_xml(GOOD)))[::2] == (400, "25010")
        assert api.refusal(api.get(IMPORTS))[::2] == (403, "5149")
        assert api.refusal(api.get("/externalTns"))[::2] == (403, "25010")
        api.v2().make(api.import_xml(f"+1{GOOD}"), V2_IMPORTS)

    def test_the_connection_names_the_first_that_is_on(self) -> None:
        sandbox = Sandbox(order_apis="importTnOrders,externalTns")

        assert sandbox.connection["extra"]["order_api"] == "importTnOrders"

    def test_an_unknown_api_is_named(self, sandbox: Sandbox) -> None:
        with pytest.raises(ValueError, match="order_apis: 'tns' is not one of externalTns, "):
            sandbox.configure(order_apis="externalTns,tns")
        with pytest.raises(ValueError, match="unknown order API 'tns'"):
            sandbox.add_order([GOOD], order_api="tns")


def test_faults_are_aimed_by_operation_at_every_api_and_by_path_at_one(sandbox: Sandbox, api: Any) -> None:
    sandbox.inject("status", operation="submit", path="removeImported", when="after", times=None)

    api.make(api.import_xml(GOOD), IMPORTS)
    assert api.post(api.removal_xml(GOOD), REMOVALS).status_code == 503

    assert sandbox.count(operation="submit") == 2
    assert [order.action for order in sandbox.orders] == ["IMPORT", "REMOVE"]
    sandbox.clear_faults()
    sandbox.inject("refuse", operation="submit", code="5150")
    assert codes(api.post(api.import_xml(GOOD), IMPORTS)) == ["5150"]


def test_an_answer_can_contradict_what_was_sent(sandbox: Sandbox, api: Any) -> None:
    order_id = api.make(api.import_xml(GOOD), IMPORTS)
    for what, field, value in (
        ("account", "AccountId", "9900001"),
        ("site", "SiteId", "744"),
        ("customer-order-id", "CustomerOrderId", "somebody-else"),
        ("numbers", "TelephoneNumbers/TelephoneNumber", "2015550101"),
    ):
        sandbox.configure(contradict=what)
        assert api.show(f"{IMPORTS}/{order_id}").findtext(field) == value, what


def test_json_comes_where_it_is_asked_for_first(api: Any) -> None:
    order_id = api.make(api.import_xml(GOOD), IMPORTS)

    careless = api.get(f"{IMPORTS}/{order_id}", headers={"Accept": "application/json, */*"})
    careful = api.get(f"{IMPORTS}/{order_id}", headers={"Accept": "application/xml, application/json"})

    assert careless.headers["Content-Type"] == "application/json"
    json.loads(careless.content)
    assert careful.headers["Content-Type"].startswith("application/xml")


def test_an_order_of_somebody_else_is_shown_under_its_api(sandbox: Sandbox, api: Any) -> None:
    order = sandbox.add_order([GOOD], order_api="importTnOrders", action="REMOVE", status="FAILED")

    assert api.status(api.show(f"{REMOVALS}/{order.order_id}")) == "FAILED"
