"""Asset URIs of this provider, as Airflow takes them when a DAG file is parsed."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import Asset, conf

from airflow_provider_bandwidth.assets import telephone_numbers_uri


@pytest.mark.parametrize(
    ("uri", "normalised"),
    [
        ("bandwidth://uat/telephone-numbers", "bandwidth://uat/telephone-numbers"),
        ("bandwidth://uat/sites/743/telephone-numbers/", "bandwidth://uat/sites/743/telephone-numbers"),
        (
            "BANDWIDTH://9900000/Sites/743/SipPeers/303716/telephone-numbers",
            "bandwidth://9900000/sites/743/sippeers/303716/telephone-numbers",
        ),
    ],
)
def test_an_asset_is_the_numbers_of_a_connection_site_or_peer(uri: str, normalised: str) -> None:
    assert Asset(uri).uri == normalised


@pytest.mark.parametrize(
    "uri",
    [
        "bandwidth://uat",
        "bandwidth:///telephone-numbers",
        "bandwidth://uat/sites/telephone-numbers",
        "bandwidth://uat/sites/743",
        "bandwidth://uat/sites/main/telephone-numbers",
        "bandwidth://uat/sippeers/303716/sites/743/telephone-numbers",
        "bandwidth://uat/telephone-numbers?site=743",
    ],
)
def test_another_form_is_refused_with_the_form_expected(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow 2.11 warns unless it is told to be strict.
    monkeypatch.setenv("AIRFLOW__CORE__STRICT_DATASET_URI_VALIDATION", "True")
    assert conf.getboolean("core", "strict_dataset_uri_validation")
    with pytest.raises(ValueError, match=r"bandwidth://CONNECTION/sites/SITE_ID"):
        Asset(uri)


def test_any_connection_id_that_airflow_allows_has_a_uri_of_its_own() -> None:
    ids = [
        "uat",
        "prod/bandwidth",
        "prod#bandwidth",
        "prod#bandwidth-2",
        "a:b",
        "a:1",
        "a\\b",
        "(a)!",
        "a.b-c_d",
        "käufer",
    ]
    uris = [telephone_numbers_uri(conn_id, 743, "303716") for conn_id in ids]
    assert [Asset(uri).uri for uri in uris] == uris
    assert len(set(uris)) == len(ids)
    assert uris[0] == "bandwidth://uat/sites/743/sippeers/303716/telephone-numbers"
    assert uris[1].startswith("bandwidth://prod%2Fbandwidth/")
    assert uris[7].startswith("bandwidth://(a)!/")


def test_a_place_that_is_not_known_yet_is_left_out() -> None:
    assert telephone_numbers_uri("uat", "{{ var.value.site }}", None) == "bandwidth://uat/telephone-numbers"
