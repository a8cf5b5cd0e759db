"""The body of each request, written a second time by hand from the tables of the API reference, element by element."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.orders import (
    ExternalTnsOrderRequest,
    ImportTnOrderRequest,
    RemoveImportedTnOrderRequest,
    ServiceAddress,
    Subscriber,
    TnOrderRequest,
)
from airflow_provider_bandwidth.wire.inventory import write_import_tn_checker_request
from airflow_provider_bandwidth.wire.orders import iter_order_list, write_order_filters, write_order_request

A, B = "9195550101", "2265550103"
ADDRESS = ServiceAddress("12B", "Mill & Main", "Durham", "NC", "27701-1234")
SUBSCRIBER = Subscriber("Example Bakery LLC", ADDRESS)

# Sections 2.1 and 2.2, 14.2 and 14.3, 15.1 and 16.2 of the API reference.
BY_HAND: dict[str, tuple[TnOrderRequest, str]] = {
    "externalTns, import": (
        ExternalTnsOrderRequest("IMPORT", (A, B), 71, 30071, "SUBSCRIBER", "run-7"),  # type: ignore[arg-type]
        (
            "<ExternalTnsOrder><CustomerOrderID>run-7</CustomerOrderID><SiteId>71</SiteId><SipPeerId>30071</SipPeerId>"
            "<Action>IMPORT</Action><LoaType>SUBSCRIBER</LoaType><TelephoneNumbers>"
            "<TelephoneNumber>9195550101</TelephoneNumber><TelephoneNumber>2265550103</TelephoneNumber>"
            "</TelephoneNumbers></ExternalTnsOrder>"
        ),
    ),
    "externalTns, removal": (
        ExternalTnsOrderRequest("REMOVE", (A,), 71, customer_order_id="run-8"),  # type: ignore[arg-type]
        (
            "<ExternalTnsOrder><CustomerOrderID>run-8</CustomerOrderID><SiteId>71</SiteId><Action>REMOVE</Action>"
            "<TelephoneNumbers><TelephoneNumber>9195550101</TelephoneNumber></TelephoneNumbers></ExternalTnsOrder>"
        ),
    ),
    "importTnOrders, import": (
        ImportTnOrderRequest((A, B), 4411, SUBSCRIBER, "Ada Baker", 550123, customer_order_id="af-7c19d2"),
        (
            "<ImportTnOrder><CustomerOrderId>af-7c19d2</CustomerOrderId><SiteId>4411</SiteId>"
            "<SipPeerId>550123</SipPeerId><Subscriber><Name>Example Bakery LLC</Name><ServiceAddress>"
            "<HouseNumber>12B</HouseNumber><StreetName>Mill &amp; Main</StreetName><City>Durham</City>"
            "<StateCode>NC</StateCode><Zip>27701-1234</Zip></ServiceAddress></Subscriber>"
            "<LoaAuthorizingPerson>Ada Baker</LoaAuthorizingPerson><LoaType>SUBSCRIBER</LoaType><TelephoneNumbers>"
            "<TelephoneNumber>9195550101</TelephoneNumber><TelephoneNumber>2265550103</TelephoneNumber>"
            "</TelephoneNumbers></ImportTnOrder>"
        ),
    ),
    "importTnOrders, removal": (
        RemoveImportedTnOrderRequest((A,), customer_order_id="rm-1"),
        (
            "<RemoveImportedTnOrder><CustomerOrderId>rm-1</CustomerOrderId><TelephoneNumbers>"
            "<TelephoneNumber>9195550101</TelephoneNumber></TelephoneNumbers></RemoveImportedTnOrder>"
        ),
    ),
    "importTnOrders/messaging, import": (
        ImportTnOrderRequest(
            (A, B),
            4411,
            Subscriber("Example Bakery LLC", ServiceAddress("1", "King", "Guelph", "ON", "N1H 1A1", "Wellington")),
            "Ada Baker",
            loa_type="CARRIER",  # type: ignore[arg-type]
            order_api="importTnOrders/messaging",
            customer_order_id="af-7c19d2",
        ),
        (
            "<ImportTnOrder><CustomerOrderId>af-7c19d2</CustomerOrderId><SiteId>4411</SiteId>"
            "<Subscriber><Name>Example Bakery LLC</Name><ServiceAddress><HouseNumber>1</HouseNumber>"
            "<StreetName>King</StreetName><City>Guelph</City><StateCode>ON</StateCode><Zip>N1H 1A1</Zip>"
            "<County>Wellington</County></ServiceAddress></Subscriber>"
            "<LoaAuthorizingPerson>Ada Baker</LoaAuthorizingPerson><LoaType>CARRIER</LoaType><TelephoneNumbers>"
            "<TelephoneNumber>+19195550101</TelephoneNumber><TelephoneNumber>+12265550103</TelephoneNumber>"
            "</TelephoneNumbers></ImportTnOrder>"
        ),
    ),
    "importTnOrders/messaging, removal": (
        RemoveImportedTnOrderRequest((A,), order_api="importTnOrders/messaging", customer_order_id="rm-1"),
        (
            "<RemoveImportedTnOrder><CustomerOrderId>rm-1</CustomerOrderId><TelephoneNumbers>"
            "<TelephoneNumber>+19195550101</TelephoneNumber></TelephoneNumbers></RemoveImportedTnOrder>"
        ),
    ),
}


def elements(body: str | bytes) -> Any:
    """Names, attributes and texts in their order, by another parser than the package's."""

    def walk(element: ET.Element) -> Any:
        return (element.tag, element.attrib, element.text or "", [walk(child) for child in element])

    return walk(ET.fromstring(body))


@pytest.mark.parametrize("case", BY_HAND)
def test_a_request_is_what_the_reference_says(case: str) -> None:
    request, by_hand = BY_HAND[case]
    assert elements(write_order_request(request)) == elements(by_hand)


@pytest.mark.parametrize("spelling", ["CustomerOrderID", "CustomerOrderId"])
def test_only_external_tns_spells_the_id_as_the_connection_says(spelling: str) -> None:
    for request, by_hand in BY_HAND.values():
        written = elements(write_order_request(request, customer_order_id_element=spelling))
        expected = by_hand.replace("CustomerOrderID", spelling) if "<ExternalTnsOrder>" in by_hand else by_hand
        assert written == elements(expected)


def test_the_checker_is_asked_in_the_notation_of_the_version() -> None:
    by_hand = (
        "<ImportTnCheckerPayload><TelephoneNumbers><TelephoneNumber>+19195550101</TelephoneNumber></TelephoneNumbers>"
        "<SiteId>4411</SiteId><SipPeerId>550123</SipPeerId></ImportTnCheckerPayload>"
    )
    for is_e164, expected in ((True, by_hand), (False, by_hand.replace("+1", ""))):
        assert elements(write_import_tn_checker_request([A], 4411, 550123, is_e164=is_e164)) == elements(expected)


def test_a_list_is_asked_for_by_what_its_resource_knows() -> None:
    given: dict[str, Any] = {
        "customer_order_id": "af-1",
        "telephone_number": A,
        "status": ["RECEIVED", "PROCESSING"],
        "action": "IMPORT",
        "created_from": "2031-03-04",
        "in_full": True,
    }
    v1, v2 = ORDER_APIS["importTnOrders"], ORDER_APIS["importTnOrders/messaging"]
    common = {"customerOrderId": "af-1", "createdDateFrom": "2031-03-04"}
    assert write_order_filters(v1.imports, **given) == {**common, "tn": A, "status": ["RECEIVED", "PROCESSING"]}
    assert write_order_filters(v1.removals, **given) == {**common, "tn": A, "status": ["PROCESSING"]}
    assert write_order_filters(v2.imports, **given) == {**common, "tn": f"+1{A}", "status": ["PROCESSING"]}
    assert write_order_filters(v2.imports, status="RECEIVED") == {}


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
def test_a_blank_list_of_the_successors_holds_no_order(order_api: str) -> None:
    assert list(iter_order_list(io.BytesIO(b"  "), ORDER_APIS[order_api].imports)) == []
