"""Asset URIs of this provider, as Airflow takes them when a DAG file is parsed."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import Asset, conf


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
