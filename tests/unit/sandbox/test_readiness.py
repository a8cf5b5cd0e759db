"""What a number needs to text beside its import: location, application, details, and the user's roles."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION

PEER = "/sites/743/sippeers/303716"
SMS = f"{PEER}/products/messaging/features/sms"
APPLICATION = f"{PEER}/products/messaging/applicationSettings"


def test_a_location_has_sms_and_an_application_unless_it_has_not(sandbox: Sandbox, api: Any) -> None:
    assert api.show(SMS).tag == "SipPeerSmsFeatureResponse"
    assert api.texts(api.show(SMS), "A2pLongCode") == ["DefaultOn"]
    assert api.texts(api.show(APPLICATION), "HttpMessagingV2AppId") == [DEFAULT_APPLICATION]

    sandbox.configure(sms_enabled=False, messaging_application="")

    assert api.get(SMS).status_code == 404
    assert api.texts(api.show(APPLICATION), "HttpMessagingV2AppId") == []
    assert api.texts(api.show("/applications"), "ApplicationId") == []


def test_the_application_knows_its_callbacks_and_locations(sandbox: Sandbox, api: Any) -> None:
    sandbox.configure(callback_url="http://127.0.0.1:9/events")

    assert api.texts(api.show("/applications"), "ApplicationId") == [DEFAULT_APPLICATION]
    application = api.show(f"/applications/{DEFAULT_APPLICATION}")
    assert application.findtext("Application/MsgCallbackUrl") == "http://127.0.0.1:9/events"
    assert application.findtext("Application/ServiceType") == "Messaging-V2"
    peers = api.show(f"/applications/{DEFAULT_APPLICATION}/associatedsippeers")
    assert api.texts(peers, "PeerId") == ["303716", "303720", "303717"]
    assert api.get("/applications/none").status_code == 404


def test_locations_that_do_not_exist_are_404(api: Any) -> None:
    assert api.get(SMS.replace("303716", "1")).status_code == 404
    assert api.get(APPLICATION.replace("743", "1")).status_code == 404


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "http://example.com/", "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/"],
)
def test_callbacks_never_leave_the_machine(url: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(callback_url=url)


class TestNumberDetails:
    @staticmethod
    def get(sandbox: Sandbox, api: Any, number: str, version: str = "") -> requests.Response:
        return api.session.get(f"{sandbox.base_url}{version}/tns/{number}/tndetails", timeout=5)

    def test_they_show_where_a_number_is(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"], owned=["9195550102"])

        root = ET.fromstring(self.get(sandbox, api, "9195550101").content)

        details = root.find("TelephoneNumberDetails")
        assert root.tag == "TelephoneNumberResponse"
        names = ("FullNumber", "Status", "AccountId", "Site/Id", "SipPeer/PeerId", "MessagingSettings/SmsEnabled")
        assert [details.findtext(name) for name in names] == [
            *("9195550101", "Inservice", "9900000", "743", "303716", "true"),
        ]
        owned = ET.fromstring(self.get(sandbox, api, "9195550102").content)
        assert api.texts(owned, "ServiceType") == ["Voice"]
        v2 = ET.fromstring(self.get(sandbox, api, "%2B19195550101", "/v2").content)
        assert api.texts(v2, "FullNumber") == ["+19195550101"]

    def test_unknown_and_wrong_numbers_are_told_apart(self, sandbox: Sandbox, api: Any) -> None:
        assert api.refusal(self.get(sandbox, api, "9195550101"))[::2] == (404, "13517")
        assert api.refusal(self.get(sandbox, api, "919"))[::2] == (400, "12512")

    def test_sms_may_be_off(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"])
        sandbox.configure(sms_enabled=False)

        assert api.texts(ET.fromstring(self.get(sandbox, api, "9195550101").content), "SmsEnabled") == ["false"]


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "path"),
        [
            ("configuration", SMS),
            ("configuration", APPLICATION),
            ("configuration", "/applications"),
            ("reporting", "/inserviceNumbers/totals"),
        ],
    )
    def test_what_needs_a_role_is_403_without_it(self, sandbox: Sandbox, api: Any, role: str, path: Any) -> None:
        assert api.get(path).status_code == 200

        sandbox.configure(roles=[each for each in sandbox.settings.roles.split(",") if each != role])

        refused = api.get(path)
        assert refused.status_code == 403
        assert bool(refused.content) is (role != "reporting")

    def test_a_user_without_any_may_read_orders_and_places_only(self, sandbox: Sandbox, api: Any) -> None:
        order_id = api.submit("9195550101")

        sandbox.configure(roles="")

        assert api.post(api.order_xml("9195550102")).status_code == 403
        assert api.v2().get("/tendlc/phoneNumbers").status_code == 403
        for path in ("", "/sites", PEER, f"/externalTns/{order_id}", "/externalTns"):
            assert api.get(path).status_code == 200, path
