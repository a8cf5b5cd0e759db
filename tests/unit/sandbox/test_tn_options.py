"""Campaign assignment through tnoptions, and what shows it afterwards."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from airflow_provider_bandwidth.sandbox import Sandbox

GOOD, OTHER = "9195550101", "9195550102"
PATH = "/tnoptions"
ORDER = [
    *("CustomerOrderId", "OrderCreateDate", "AccountId", "CreatedByUser", "OrderId", "LastModifiedDate"),
    *("ProcessingStatus", "TnOptionGroups", "ErrorList"),
]


def assign(
    *numbers: str, campaign: str | None = "CABC123", action: str | None = "asSpecified", sms: str | None = None
) -> str:
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    campaign_id = f"<CampaignId>{campaign}</CampaignId>" if campaign else ""
    settings = f"<A2pSettings>{campaign_id}<Action>{action}</Action></A2pSettings>" if action else ""
    return (
        "<TnOptionOrder><CustomerOrderId>cmp-1</CustomerOrderId><TnOptionGroups><TnOptionGroup>"
        f"{f'<Sms>{sms}</Sms>' if sms else ''}{settings}<TelephoneNumbers>{listed}</TelephoneNumbers>"
        "</TnOptionGroup></TnOptionGroups></TnOptionOrder>"
    )


def errors(order: ET.Element) -> list[tuple[str | None, str | None]]:
    """Code and number of every error, which stands bare in it here."""
    return [(each.findtext("Code"), each.findtext("TelephoneNumber")) for each in order.findall("ErrorList/Error")]


@pytest.fixture(autouse=True)
def _numbers(sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD, OTHER])


def test_an_order_is_received_and_then_complete(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(received_seconds=60)

    response = api.post(assign(GOOD, OTHER), PATH)

    root = ET.fromstring(response.content)
    assert (response.status_code, root.tag, root[0].tag) == (201, "TnOptionOrderResponse", "TnOptionOrder")
    assert [child.tag for child in root[0]] == ORDER
    assert api.status(root) == "RECEIVED"
    sandbox.skip(60)
    order = api.show(f"{PATH}/{api.texts(root, 'OrderId')[0]}")
    assert (order.tag, api.status(order)) == ("TnOptionOrder", "COMPLETE")
    assert api.texts(order, "CampaignId") == ["CABC123"]
    assert (sandbox.orders[0].order_api, sandbox.orders[0].action) == ("tnoptions", "OPTIONS")


def test_sms_that_is_on_already_is_a_warning_and_no_error(api: Any) -> None:
    order = api.show(f"{PATH}/{api.make(assign(GOOD, sms='on'), PATH)}")

    assert (api.status(order), errors(order)) == ("COMPLETE", [])
    assert [each.findtext("TelephoneNumber") for each in order.findall("Warnings/Warning")] == [GOOD]


@pytest.mark.parametrize("form", ["flat", "hosted"])
def test_the_details_of_a_number_show_the_campaign(sandbox: Sandbox, api: Any, form: str) -> None:
    sandbox.configure(tndetails_form=form)
    url = f"{sandbox.base_url}/tns/{GOOD}/tndetails"

    before = ET.fromstring(api.session.get(url, timeout=5).content)
    api.make(assign(GOOD), PATH)
    after = ET.fromstring(api.session.get(url, timeout=5).content)
    api.make(assign(GOOD, campaign=None, action="delete"), PATH)
    deleted = ET.fromstring(api.session.get(url, timeout=5).content)

    assert (api.texts(before, "A2pState"), api.texts(before, "CampaignId")) == (["system_default"], [])
    assert (api.texts(after, "A2pState"), api.texts(after, "CampaignId")) == (["overridden"], ["CABC123"])
    assert (api.texts(deleted, "A2pState"), api.texts(deleted, "CampaignId")) == (["system_default"], [])
    attributes = ["External", "Imported"] if form == "flat" else ["Hosted"]
    assert api.texts(after, "TnAttribute") == attributes
    assert api.texts(after, "ServiceType") == ["Messaging" if form == "flat" else "Hosted Messaging"]


def test_importing_again_forgets_the_campaign(sandbox: Sandbox, api: Any) -> None:
    api.make(assign(GOOD), PATH)
    api.make(api.import_xml(GOOD), "/importTnOrders")

    details = ET.fromstring(api.session.get(f"{sandbox.base_url}/tns/{GOOD}/tndetails", timeout=5).content)
    assert api.texts(details, "CampaignId") == []


@pytest.mark.parametrize(
    ("campaign", "code"),
    [("CNOTFND", "12189"), ("CPENDNG", "12192"), ("CFOREGN", "12128"), ("CREFUSE", "12220"), ("CFAILED", None)],
)
def test_magic_campaigns_fail(api: Any, campaign: str, code: str | None) -> None:
    order = api.show(f"{PATH}/{api.make(assign(GOOD, campaign=campaign), PATH)}")

    assert (api.status(order), errors(order)) == (("FAILED", [(code, GOOD)]) if code else ("COMPLETE", []))


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"options_on_hosted": "refused"}, "5128"), ({"a2p_enabled": False}, "5133"), ({"sms_enabled": False}, "5132")],
)
def test_what_stands_in_the_way_is_a_setting(sandbox: Sandbox, api: Any, settings: dict[str, Any], code: str) -> None:
    sandbox.configure(**settings)

    assert errors(api.show(f"{PATH}/{api.make(assign(GOOD), PATH)}")) == [(code, GOOD)]


def test_numbers_fail_one_by_one(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=["9195550909"])

    order = api.show(f"{PATH}/{api.make(assign(GOOD, '9195550909', '9195550104'), PATH)}")

    assert (api.status(order), errors(order)) == ("PARTIAL", [("5163", "9195550909"), ("5076", "9195550104")])


def test_a_number_can_fail_the_whole_order(sandbox: Sandbox, api: Any) -> None:
    sandbox.seed(imported=["9195550911"])

    order = api.show(f"{PATH}/{api.make(assign(GOOD, '9195550911'), PATH)}")

    assert (api.status(order), errors(order)) == ("FAILED", [("5133", GOOD), ("5133", "9195550911")])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (assign(), "5073"),
        (assign(GOOD, GOOD), "5072"),
        (assign("123"), "7201"),
        (assign(GOOD, campaign=None), "1003"),
        (assign(GOOD, campaign="C" * 65), "1011"),
        (assign(GOOD, action="systemDefault"), "5134"),
        (assign(GOOD, action="drop"), "5138"),
        (assign(GOOD, sms="off"), "5132"),
        (assign("9195550092"), "25010"),
        ("<TnOptionOrder>", "1019"),
    ],
)
def test_what_is_wrong_is_refused(sandbox: Sandbox, api: Any, body: Any, code: str) -> None:
    assert api.refusal(api.post(body, PATH)) == (400, "TnOptionOrderResponse", code)
    assert sandbox.orders == []


def test_version_2_wants_e164(api: Any) -> None:
    v2 = api.v2()

    assert api.refusal(v2.post(assign(GOOD), PATH)) == (400, "TnOptionOrderResponse", "1022")
    order = v2.show(f"{PATH}/{v2.make(assign('+19195550101', '+19195550104'), PATH)}")
    assert errors(order) == [("5076", "+19195550104")]


def test_lists_are_wrapped_once_more(api: Any) -> None:
    order_id = api.make(assign(GOOD), PATH)

    summaries = api.show(f"{PATH}?customerOrderId=cmp-1")
    full = api.show(f"{PATH}?orderDetails=true")

    assert summaries.tag == "TnOptionOrderReportResponse"
    assert api.paths(summaries.find("TnOptionOrders/TnOptionOrderSummary"))[-1] == "OrderId"
    assert api.texts(summaries, "OrderType") == ["tn_option"]
    assert api.texts(full.find("TnOptionOrders/TnOptionOrder"), "OrderId") == [order_id]
    assert api.texts(api.show(f"{PATH}/{order_id}/history"), "Status") == ["received", "processing", "complete"]


@pytest.mark.parametrize("path", [f"/{uuid.UUID(int=1)}", "?status=DONE", "?createdDateFrom=x", "?tn=9195550199"])
def test_what_is_not_found_or_wrong_in_a_query_is_404(api: Any, path: str) -> None:
    assert api.refusal(api.get(f"{PATH}{path}"))[:2] == (404, "TnOptionOrderReportResponse")


class TestRegistry:
    """The numbers of campaigns, in JSON."""

    @staticmethod
    def read(api: Any, path: str) -> Any:
        return api.v2().get(f"/tendlc{path}").json()["data"]

    def test_a_number_is_listed_with_its_campaign(self, api: Any) -> None:
        api.make(assign(GOOD), PATH)
        api.make(assign(OTHER, campaign="CFAILED"), PATH)

        numbers = self.read(api, "/phoneNumbers")
        assert [(row["phoneNumber"], row["campaignId"], row["status"]) for row in numbers] == [
            ("+19195550101", "CABC123", "SUCCESS"),
            ("+19195550102", "CFAILED", "FAILURE"),
        ]
        assert self.read(api, "/campaigns/CABC123/phoneNumbers") == numbers[:1]
        assert self.read(api, "/phoneNumbers?limit=1&offset=1") == numbers[1:]
        assert self.read(api, "/phoneNumbers/%2B19195550101") == numbers[0]
        assert self.read(api, "/campaigns/CPENDNG")["status"] == "PENDING"

    def test_it_lags(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(campaign_lag_seconds=60)
        api.make(assign(GOOD), PATH)

        assert self.read(api, "/phoneNumbers/9195550101")["status"] == "PROCESSING"
        sandbox.skip(60)
        assert self.read(api, "/phoneNumbers/9195550101")["status"] == "SUCCESS"

    def test_unknown_ones_are_404(self, api: Any) -> None:
        assert api.v2().get("/tendlc/phoneNumbers/9195550101").status_code == 404
        assert api.v2().get("/tendlc/campaigns/CNOTFND").status_code == 404
