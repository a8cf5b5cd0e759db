"""Numbers at SIP peers: how they get there, and how they are read page by page."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

TNS = "/sites/743/sippeers/303716/tns"
HOME = ("743", "303716")


def names(count: int, start: int = 9192000000) -> list[str]:
    return [str(start + offset) for offset in range(count)]


def pages(api: Any, path: str, size: int) -> list[Any]:
    """Follow the next links as a careful client does: the cursor alone, on our own host."""
    found, page = [], "1"
    while page:
        answer = api.get(path, params={"page": page, "size": size})
        assert answer.status_code == 200
        root = ET.fromstring(answer.content)
        found.append(
            api.texts(root, "FullNumber") + api.texts(root.find("TelephoneNumbers") or root, "TelephoneNumber")
        )
        following = root.findtext("Links/next", "")
        page = "".join(re.findall(r"[?&]page=([^&>]*)", following))
    return found


class TestOrders:
    def test_an_import_puts_numbers_at_its_peer(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550102", "9195550101")
        api.submit("9195550103", SipPeerId="303720")

        assert sandbox.inventory == {HOME: ["9195550101", "9195550102"], ("743", "303720"): ["9195550103"]}

    def test_a_removal_takes_them_out(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550101", "9195550102")
        assert sandbox.inventory == {HOME: ["9195550101", "9195550102"]}
        order = api.read(api.submit("9195550101", Action="REMOVE"))

        assert api.status(order) == "COMPLETE"
        assert sandbox.inventory == {HOME: ["9195550102"]}

    def test_importing_again_is_silent_damage(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550101", "9195550102")
        assert sandbox.resets == {}

        again = api.read(api.submit("9195550102", "9195550103"))

        assert api.status(again) == "COMPLETE"
        assert sandbox.resets == {"9195550102": 1}

    def test_removing_and_importing_is_no_reset(self, sandbox: Sandbox, api: Any) -> None:
        for action in ("IMPORT", "REMOVE", "IMPORT"):
            api.submit("9195550101", Action=action)

        assert sandbox.orders[-1].status == "COMPLETE"
        assert sandbox.resets == {}

    def test_importing_at_another_peer_moves_the_number(self, sandbox: Sandbox, api: Any) -> None:
        api.submit("9195550101")
        api.submit("9195550101", SiteId="744", SipPeerId=None)

        assert sandbox.inventory == {("744", "303717"): ["9195550101"]}

    @pytest.mark.parametrize(("action", "code"), [("IMPORT", "25060"), ("REMOVE", "25120")])
    def test_numbers_of_bandwidths_own_are_left_alone(self, sandbox: Sandbox, api: Any, action: str, code: str) -> None:
        sandbox.seed(owned=["9195550101"], imported=["9195550102"])

        order = api.read(api.submit("9195550101", "9195550102", Action=action))

        assert (api.status(order), api.errors(order)) == ("PARTIAL", [(code, ["9195550101"])])
        assert sandbox.owned == {HOME: ["9195550101"]}

    def test_removing_what_was_never_imported_fails(self, api: Any) -> None:
        order = api.read(api.submit("9195550101", Action="REMOVE"))

        assert (api.status(order), api.errors(order)) == ("FAILED", [("5158", ["9195550101"])])

    def test_removing_another_accounts_number_fails(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"], location=sandbox.default_location._replace(account_id="9900001"))

        order = api.read(api.submit("9195550101", Action="REMOVE"))

        assert (api.status(order), api.errors(order)) == ("FAILED", [("5076", ["9195550101"])])

    def test_orders_take_effect_in_the_order_they_end(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.configure(processing_seconds=0.3)
        late_import = api.submit("9195550101")
        sandbox.configure(processing_seconds=0)
        early_removal = api.submit("9195550101", Action="REMOVE")
        time.sleep(0.3)

        assert [sandbox.order(each).status for each in (late_import, early_removal)] == ["COMPLETE", "FAILED"]
        assert sandbox.inventory == {HOME: ["9195550101"]}

    def test_orders_that_fell_due_together_take_effect_as_they_were_sent(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.hold()
        ids = [api.submit("9195550101", Action=action) for action in ("IMPORT", "REMOVE")]
        sandbox.release()

        assert [sandbox.order(each).status for each in ids] == ["COMPLETE", "COMPLETE"]
        assert sandbox.inventory == {}


class TestPeerNumbers:
    def test_imported_numbers_carry_their_attributes_and_owned_ones_do_not(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"], owned=["9195550102"])

        root = ET.fromstring(api.get(TNS).content)

        assert root.tag == "SipPeerTelephoneNumbersResponse"
        listed = root.findall("SipPeerTelephoneNumbers/SipPeerTelephoneNumber")
        attributes = {each.findtext("FullNumber"): api.texts(each, "TnAttribute") for each in listed}
        assert attributes == {"9195550101": ["External", "Imported"], "9195550102": ["Protected"]}
        assert api.texts(root, "SmsEnabled") == ["true", "true"]

    def test_attributes_can_be_left_out(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"])

        root = ET.fromstring(api.get(TNS, params={"includeAttributes": "false"}).content)

        assert api.paths(root.find("SipPeerTelephoneNumbers")) == ["SipPeerTelephoneNumber/FullNumber"]

    def test_pages_follow_a_cursor(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(5), owned=names(2, 2122000000))

        assert pages(api, TNS, 3) == [
            [*names(2, 2122000000), *names(1)],
            names(3, 9192000001),
            names(1, 9192000004),
        ]

    def test_a_full_last_page_has_no_next(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(4))

        assert pages(api, TNS, 2) == [names(2), names(2, 9192000002)]

    def test_the_cursor_survives_the_loss_of_its_number(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(4))
        api.submit("9192000002", Action="REMOVE")

        page = ET.fromstring(api.get(TNS, params={"page": "9192000002"}).content)

        assert api.texts(page, "FullNumber") == ["9192000003"]

    def test_links_have_bandwidths_grammar_and_another_host(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(2))

        root = ET.fromstring(api.get(TNS, params={"size": 1}).content)

        url = "https://dashboard.bandwidth.invalid:443/v1.0/accounts/9900000/sites/743/sippeers/303716/tns"
        assert root.findtext("Links/first") == f'Link=<{url}?page=1&size=1>;rel="first";'
        assert root.findtext("Links/next") == f'Link=<{url}?page=9192000001&size=1>;rel="next";'

    def test_a_page_holds_5000_by_default(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(5001))

        assert len(api.texts(ET.fromstring(api.get(TNS).content), "FullNumber")) == 5000

    def test_an_empty_peer_is_204(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=["9195550101"])

        for path in (TNS.replace("303716", "303720"), f"{TNS}?page=9999999999"):
            answer = api.get(path)
            assert (answer.status_code, answer.content) == (204, b"")

    @pytest.mark.parametrize("parameters", [{"page": "2"}, {"page": "x"}, {"size": "0"}, {"size": "-1"}, {"size": "x"}])
    def test_wrong_pages_and_sizes_are_refused(self, api: Any, parameters: dict[str, Any]) -> None:
        status, root, code = api.refusal(api.get(TNS, params=parameters))

        assert (status, root) == (400, "SipPeerTelephoneNumbersResponse")
        assert code == ("15516" if "page" in parameters else "1006")

    def test_the_total_is_nested_in_itself(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(imported=names(3), owned=names(1, 2122000000))

        root = ET.fromstring(api.get("/sites/743/sippeers/303716/totaltns").content)

        assert root.tag == "SipPeerTelephoneNumbersCount"
        assert root.findtext("SipPeerTelephoneNumbersCount") == "4"


class TestInServiceNumbers:
    @pytest.fixture(autouse=True)
    def numbers(self, sandbox: Sandbox) -> None:
        sandbox.seed(imported=["9195550101", "9195550103"], owned=["9195550102"])
        peer = sandbox.default_location._replace(site_id="744", sip_peer_id="303717")
        sandbox.seed(imported=["2125550101"], location=peer)

    def test_they_are_listed_over_all_peers_without_attributes(self, api: Any) -> None:
        root = ET.fromstring(api.get("/inserviceNumbers", params={"size": 3}).content)

        assert (root.tag, root.findtext("TotalCount"), root.findtext("TelephoneNumbers/Count")) == ("TNs", "4", "3")
        assert api.texts(root.find("TelephoneNumbers"), "TelephoneNumber") == ["2125550101", "9195550101", "9195550102"]
        assert "page=9195550103&size=3" in root.findtext("Links/next")
        assert api.texts(root, "TnAttribute") == []

    def test_a_site_has_its_own(self, api: Any) -> None:
        root = ET.fromstring(api.get("/sites/744/inserviceNumbers").content)

        assert api.texts(root.find("TelephoneNumbers"), "TelephoneNumber") == ["2125550101"]

    def test_totals_and_single_numbers(self, api: Any) -> None:
        assert ET.fromstring(api.get("/inserviceNumbers/totals").content).findtext("Count") == "4"
        assert ET.fromstring(api.get("/sites/744/inserviceNumbers/totals").content).findtext("Count") == "1"
        found = api.get("/inserviceNumbers/9195550102")
        assert (found.status_code, found.content) == (200, b"")
        assert api.get("/sites/744/inserviceNumbers/9195550102").status_code == 404
        assert api.get("/inserviceNumbers/9195550199").status_code == 404

    def test_none_is_204(self, sandbox: Sandbox, api: Any) -> None:
        answer = api.session.get(f"{sandbox.base_url}/accounts/9900001/inserviceNumbers", timeout=5)

        assert answer.status_code == 204


class TestResources:
    @pytest.mark.parametrize(
        ("path", "root", "element", "values"),
        [
            ("", "AccountResponse", "AccountId", ["9900000"]),
            ("/sites", "SitesResponse", "Id", ["743", "744"]),
            ("/sites/743", "SiteResponse", "Id", ["743"]),
            ("/sites/743/sippeers", "TNSipPeersResponse", "PeerId", ["303716", "303720"]),
            ("/sites/743/sippeers", "TNSipPeersResponse", "IsDefaultPeer", ["true", "false"]),
            ("/sites/743/sippeers/303720", "SipPeerResponse", "PeerId", ["303720"]),
        ],
    )
    def test_account_sites_and_peers_can_be_read(
        self, api: Any, path: str, root: str, element: str, values: list[Any]
    ) -> None:
        answer = ET.fromstring(api.get(path).content)

        assert (answer.tag, api.texts(answer, element)) == (root, values)

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/sites/9", "12016"),
            ("/sites/9/sippeers", "12016"),
            ("/sites/9/inserviceNumbers", "12016"),
            ("/sites/743/sippeers/303717", "13563"),
            ("/sites/743/sippeers/303717/tns", "13563"),
        ],
    )
    def test_unknown_sites_and_peers_are_404(self, api: Any, path: str, code: str) -> None:
        status, _, found = api.refusal(api.get(path))

        assert (status, found) == (404, code)


class TestChecker:
    def check(self, api: Any, *numbers: str, fields: str = "") -> requests.Response:
        listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
        body = f"<ImportTnCheckerPayload>{fields}<TelephoneNumbers>{listed}</TelephoneNumbers></ImportTnCheckerPayload>"
        return api.post(body, "/importTnChecker")

    def test_it_tells_importable_numbers_from_refused_ones(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.seed(owned=["9195550103"], imported=["9195550101"])
        sandbox.seed(imported=["9195550104"], location=sandbox.default_location._replace(account_id="9900001"))

        answer = self.check(api, "9195550101", "9195550102", "9195550103", "9195550104")

        root = ET.fromstring(answer.content)
        payload = root.find("ImportTnCheckerPayload")
        assert (answer.status_code, root.tag) == (200, "ImportTnCheckerResponse")
        assert api.texts(payload.find("TelephoneNumbers"), "TelephoneNumber") == ["9195550101", "9195550102"]
        refused = payload.findall("ImportTnErrors/ImportTnError")
        assert [(each.findtext("Code"), api.texts(each, "TelephoneNumber")) for each in refused] == [
            ("19006", ["9195550103"]),
            ("19008", ["9195550104"]),
        ]
        assert all(each.findtext("Description") for each in refused)
        assert sandbox.orders == []

    @pytest.mark.parametrize(
        ("numbers", "fields", "code"),
        [
            (["61255501234"], "", "7201"),
            ([], "", "7316"),
            (["9195550101", "9195550101"], "", "7360"),
            (names(5001), "", "7314"),
            (["9195550101"], "<SiteId>9</SiteId>", "5016"),
            (["9195550101"], "<SiteId>743</SiteId><SipPeerId>9</SipPeerId>", "5023"),
        ],
    )
    def test_a_wrong_list_is_refused_as_a_whole(self, api: Any, numbers: Any, fields: str, code: str) -> None:
        answer = self.check(api, *numbers, fields=fields)

        root = ET.fromstring(answer.content)
        assert (answer.status_code, root.tag, root.findtext("Errors/Code")) == (400, "ImportTnCheckerResponse", code)

    def test_what_is_not_a_checker_document_is_a_bad_request(self, api: Any) -> None:
        answer = api.post("<Other/>", "/importTnChecker")

        assert (answer.status_code, ET.fromstring(answer.content).findtext("Errors/Code")) == (400, "1019")
