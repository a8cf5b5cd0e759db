"""What imports and removals ask for, which row of the order APIs each is for, and what is refused before it is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import (
    InvalidFieldsError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
)
from airflow_provider_bandwidth.order_apis import ORDER_APIS, parse_order_api
from airflow_provider_bandwidth.orders import (
    Action,
    ExternalTnsOrderRequest,
    ImportTnOrderRequest,
    LoaType,
    RemoveImportedTnOrderRequest,
    ServiceAddress,
    Subscriber,
    TnOrder,
    build_order_request,
    derive_customer_order_id,
)

A, B = "9195550101", "9195550102"
ADDRESS = {"house_number": "12", "street_name": "Mill", "city": "Durham", "state_code": "NC", "zip": "27701"}
BAKERY = Subscriber("Example Bakery LLC", ServiceAddress(**ADDRESS))


def importing(**fields: Any) -> ImportTnOrderRequest:
    given = {
        "telephone_numbers": (A, B),
        "site_id": 4411,
        "subscriber": BAKERY,
        "loa_authorizing_person": "Ada Baker",
        "customer_order_id": "af-7c19d2",
    }
    return ImportTnOrderRequest(**(given | fields))


# --- rows ---


def test_an_order_api_is_found_by_its_name_in_any_case() -> None:
    assert [parse_order_api(name).name for name in ("externaltns", " ImportTnOrders ", "IMPORTTNORDERS/MESSAGING")] == [
        *ORDER_APIS
    ]


def test_another_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidParameterError, match="expected externalTns, importTnOrders, importTnOrders/messaging"):
        parse_order_api("importTnOrders/voice")


@pytest.mark.parametrize("api", ORDER_APIS.values(), ids=lambda api: api.name)
def test_the_request_for_each_resource_names_it(api: Any) -> None:
    for action in Action:
        request = build_order_request(
            api.resource_for(action),
            action=action,
            telephone_numbers=[A],
            site_id=4411,
            subscriber=BAKERY,
            loa_authorizing_person="Ada Baker",
        )
        assert request.resource == api.resource_for(action)
        assert request.action is action


# --- imports ---


def test_an_import_is_normalised() -> None:
    made = importing(
        telephone_numbers=["+1 (919) 555-0101", B, A],
        site_id="4411",
        sip_peer_id="550123",
        subscriber=json.dumps({"Name": " Example Bakery LLC", "ServiceAddress": {**ADDRESS, "house_number": 12}}),
        loa_type="carrier",
    )
    assert made == importing(sip_peer_id=550123, loa_type=LoaType.CARRIER)


def test_loa_type_is_subscriber_unless_said_otherwise() -> None:
    assert importing().loa_type is LoaType.SUBSCRIBER
    assert ("LoaType", "SUBSCRIBER") in importing().elements()


def test_every_bad_field_is_named_in_one_error() -> None:
    with pytest.raises(InvalidFieldsError) as raised:
        ImportTnOrderRequest(
            telephone_numbers=("12345",),
            site_id="north",  # type: ignore[arg-type]
            sip_peer_id=-1,
            subscriber={"name": "x" * 46, "service_address": {"house_number": "12", "zip": "2770"}},  # type: ignore[arg-type]
            loa_authorizing_person=" ",
            loa_type="NOBODY",  # type: ignore[arg-type]
            customer_order_id="a_b",
        )
    assert raised.value.problems.keys() == {
        "TelephoneNumbers", "SiteId", "SipPeerId", "Subscriber.Name", "StreetName", "City", "StateCode", "Zip",
        "LoaAuthorizingPerson", "LoaType", "CustomerOrderId",
    }  # fmt: skip
    for said in ("11 fields", "'12345'", "46 characters", "StateCode: it is missing", "five or nine digits"):
        assert said in str(raised.value)


def test_one_bad_field_is_named_alone() -> None:
    with pytest.raises(InvalidParameterError) as raised:
        importing(loa_authorizing_person=None)
    assert (raised.value.field, str(raised.value)) == ("LoaAuthorizingPerson", "LoaAuthorizingPerson: it is missing")
    with pytest.raises(InvalidTelephoneNumbersError):
        importing(telephone_numbers=["8005550100"])


@pytest.mark.parametrize(
    ("subscriber", "says"),
    [
        (None, "Subscriber: it is missing: expected a JSON object with name, service_address"),
        ("", "Subscriber: it is missing"),
        ("{", "Subscriber: it is not JSON"),
        ("[1]", "Subscriber: expected a JSON object with name, service_address, got a list"),
        ({"name": "x", "phone": "1"}, "Subscriber: unknown: phone; expected"),
        ({"name": "x", "service_address": {**ADDRESS, "street": "Mill"}}, "ServiceAddress: unknown: street; expected"),
        ({"name": "x", "service_address": {**ADDRESS, "zip": 2139}}, "Zip: expected five or nine digits as text"),
        ({"name": "x", "service_address": {**ADDRESS, "state_code": "N.C."}}, "StateCode: expected two letters"),
        ({"name": "x", "service_address": {**ADDRESS, "city": "Dur\nham"}}, "City: expected text in one line"),
        ({"name": "x", "service_address": {**ADDRESS, "city": ["Durham"]}}, "City: expected text, got ['Durham']"),
        ({"name": "x"}, "ServiceAddress: it is missing: expected a JSON object with house_number"),
    ],
)
def test_a_subscriber_that_bandwidth_would_not_take(subscriber: Any, says: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        importing(subscriber=subscriber)
    assert str(raised.value).startswith(says)


def test_a_canadian_address_and_a_name_of_45_characters_are_taken() -> None:
    address = ServiceAddress(**{**ADDRESS, "state_code": "on", "zip": "n2l 3g1", "county": "Waterloo"})
    assert (address.state_code, address.zip, address.county) == ("ON", "N2L 3G1", "Waterloo")
    assert Subscriber("x" * 45, address).name == "x" * 45


def test_a_request_for_a_row_that_takes_no_such_orders_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="externalTns takes ExternalTnsOrders, which this is not"):
        importing(order_api="externalTns")
    with pytest.raises(InvalidParameterError, match="order_api: expected"):
        RemoveImportedTnOrderRequest((A,), order_api="importTnOrders/voice")


def test_requests_are_ready_for_json() -> None:
    assert json.loads(json.dumps(importing().to_dict())) == {
        "telephone_numbers": [A, B],
        "site_id": 4411,
        "subscriber": {"name": "Example Bakery LLC", "service_address": {**ADDRESS, "county": None}},
        "loa_authorizing_person": "Ada Baker",
        "sip_peer_id": None,
        "loa_type": "SUBSCRIBER",
        "order_api": "importTnOrders",
        "customer_order_id": "af-7c19d2",
    }
    removal = RemoveImportedTnOrderRequest((A,), customer_order_id="rm-1")
    assert removal.to_dict() == {
        "telephone_numbers": [A],
        "order_api": "importTnOrders",
        "customer_order_id": "rm-1",
    }


# --- which orders ask for the same ---

SHOWN = TnOrder(
    "5f0d8c5e", "RECEIVED", action=Action.IMPORT, site_id=4411, sip_peer_id=550123, telephone_numbers=(B, A)
)


def test_what_the_echo_leaves_out_is_no_difference() -> None:
    request = importing(sip_peer_id=550123)
    assert request.difference(SHOWN) is None
    assert request.difference(replace(SHOWN, site_id=None, sip_peer_id=None)) is None
    assert importing().difference(SHOWN) is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"action": Action.REMOVE}, "its Action is REMOVE, not IMPORT"),
        ({"site_id": 71}, "its SiteId is 71, not 4411"),
        ({"sip_peer_id": 30071}, "its SipPeerId is 30071, not 550123"),
        ({"loa_type": LoaType.CARRIER}, "its LoaType is CARRIER, not SUBSCRIBER"),
        ({"telephone_numbers": (A,)}, "it lacks 1 telephone number of the request"),
        ({"telephone_numbers": (A, B, "9195550103")}, "it holds 1 telephone number that the request does not"),
    ],
)
def test_how_an_order_differs_from_an_import(fields: dict[str, Any], says: str) -> None:
    assert importing(sip_peer_id=550123).difference(replace(SHOWN, **fields)) == says


def test_a_removal_is_known_by_its_numbers_alone() -> None:
    shown = TnOrder("c0b4a3aa", "RECEIVED", action=Action.REMOVE, telephone_numbers=(A,))
    assert RemoveImportedTnOrderRequest((A,)).difference(shown) is None
    assert RemoveImportedTnOrderRequest((B,)).difference(shown) is not None


def derive(request: Any) -> str:
    return derive_customer_order_id(dag_id="d", task_id="t", run_id="r", account_id="5551212", request=request)


def test_the_derived_id_of_an_external_tns_order_is_the_one_of_the_first_release() -> None:
    request = ExternalTnsOrderRequest(Action.IMPORT, (B, A), 71, 30071, LoaType.CARRIER)
    assert derive(request) == "airflow-da1f4c2eb7cafa07d8993bcd3509ee0c"
    assert derive(ExternalTnsOrderRequest(Action.REMOVE, (A,), 71)) == "airflow-49bfd11a1ba1f631a54ecf90ae84f445"


def test_a_derived_id_hangs_on_what_the_order_is_recognised_by() -> None:
    ids = [
        derive(importing()),
        derive(importing(loa_type="CARRIER")),
        derive(importing(site_id=71)),
        derive(importing(sip_peer_id=550123)),
        derive(importing(telephone_numbers=(A,))),
        derive(RemoveImportedTnOrderRequest((A, B))),
        derive(ExternalTnsOrderRequest(Action.IMPORT, (A, B), 4411, None, LoaType.SUBSCRIBER)),
    ]
    assert len(set(ids)) == len(ids)
    # A retry finds the order after the signer was set right, or the connection moved on to v2.
    assert derive(importing(loa_authorizing_person="Bea Baker", order_api="importTnOrders/messaging")) == ids[0]
