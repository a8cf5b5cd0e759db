"""What Bandwidth shows of a location, a number and its campaign, written by hand from the API reference, section 20."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.wire.readiness import (
    CampaignMembership,
    NumberDetails,
    SipPeer,
    read_application,
    read_campaign_membership,
    read_number_details,
    read_sip_peers,
    read_sites,
    read_sms_feature,
)

OURS = "5551212"
READERS = (
    read_sites,
    read_sip_peers,
    read_sms_feature,
    read_application,
    lambda body: read_number_details(body, OURS),
    read_campaign_membership,
)


def test_sites_and_their_peers() -> None:
    sites = (
        b"<SitesResponse><Sites><Site><Id>743</Id><Name>A</Name></Site><Site><Id>71</Id></Site></Sites></SitesResponse>"
    )
    assert read_sites(sites) == ("743", "71")
    assert read_sites(b"<SitesResponse><Sites/></SitesResponse>") == ()
    peers = b"""<TNSipPeersResponse><SipPeers>
      <SipPeer><PeerId>303716</PeerId><PeerName>A</PeerName><IsDefaultPeer>TRUE</IsDefaultPeer></SipPeer>
      <SipPeer><PeerId>303720</PeerId><IsDefaultPeer>false</IsDefaultPeer></SipPeer>
      <SipPeer><PeerName>no id</PeerName></SipPeer></SipPeers></TNSipPeersResponse>"""
    assert read_sip_peers(peers) == (SipPeer("303716", True), SipPeer("303720", False))


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ("<SipPeerSmsFeatureSettings><A2pLongCode>DefaultOff</A2pLongCode></SipPeerSmsFeatureSettings>", "DefaultOff"),
        ("<SipPeerSmsFeatureSettings><TollFree>true</TollFree></SipPeerSmsFeatureSettings>", ""),
        ("", ""),
    ],
)
def test_sms_is_on_wherever_it_is_shown(settings: str, shown: str) -> None:
    body = f"<SipPeerSmsFeatureResponse><SipPeerSmsFeature>{settings}</SipPeerSmsFeature></SipPeerSmsFeatureResponse>"
    assert read_sms_feature(body.encode()) == shown


def test_an_application_is_tied_or_not() -> None:
    body = (
        "<ApplicationsSettingsResponse><ApplicationsSettings>{}</ApplicationsSettings></ApplicationsSettingsResponse>"
    )
    tied = body.format("<HttpMessagingV2AppId>6f1f</HttpMessagingV2AppId>")
    assert read_application(tied.encode()) == "6f1f"
    for untied in ("", "<HttpMessagingV2AppId/>"):
        assert read_application(body.format(untied).encode()) is None


PLACE = "<Site><Id>{site}</Id></Site><SipPeer><PeerId>{peer}</PeerId></SipPeer>"
MESSAGES = "<MessagingSettings><SmsEnabled>{sms}</SmsEnabled>{campaign}</MessagingSettings>"


def details(content: str) -> NumberDetails:
    answer = (
        f"<TelephoneNumberResponse><TelephoneNumberDetails>{content}</TelephoneNumberDetails></TelephoneNumberResponse>"
    )
    return read_number_details(answer.encode(), OURS)


def test_a_number_shows_its_place_and_its_campaign() -> None:
    flat = (
        f"<FullNumber>9195550101</FullNumber><Status>Inservice</Status><AccountId>{OURS}</AccountId>"
        + PLACE.format(site=743, peer=303716)
        + MESSAGES.format(sms="true", campaign="<CampaignId>CABC123</CampaignId>")
    )
    assert details(flat) == NumberDetails(OURS, "743", "303716", sms_enabled=True, campaign_id="CABC123")


def test_a_number_whose_voice_is_elsewhere_shows_its_place_for_messages() -> None:
    def hosted(account: str, peer: int, campaign: str) -> str:
        content = (
            f"<AccountId>{account}</AccountId>"
            + PLACE.format(site=743, peer=peer)
            + MESSAGES.format(sms="false", campaign=f"<CampaignId>{campaign}</CampaignId>")
        )
        return f"<HostedTelephoneNumberDetail>{content}</HostedTelephoneNumberDetail>"

    others = f"<AccountId>77</AccountId>{PLACE.format(site=1, peer=2)}"
    both = hosted("88", 3, "CTHEIRS") + hosted(OURS, 303716, "COURS")
    shown = details(f"{others}<HostedTelephoneNumberDetails>{both}</HostedTelephoneNumberDetails>")
    assert shown == NumberDetails(OURS, "743", "303716", sms_enabled=False, campaign_id="COURS")
    foreign = f"<HostedTelephoneNumberDetails>{hosted('88', 3, 'CTHEIRS')}</HostedTelephoneNumberDetails>"
    assert details(others + foreign).account_id == "88"


def test_what_is_not_shown_is_none() -> None:
    assert details("<FullNumber>9195550101</FullNumber>") == NumberDetails(None, None, None, None, None)


@pytest.mark.parametrize(
    ("answer", "membership"),
    [
        ({"data": {"campaignId": "C1", "status": "success"}}, CampaignMembership("C1", "SUCCESS")),
        ({"data": [{"campaignId": "C1", "status": "FAILURE"}]}, CampaignMembership("C1", "FAILURE")),
        ({"data": {"campaignId": "C1"}}, CampaignMembership("C1", "")),
        ({"data": {"campaignId": None, "status": "SUCCESS"}}, None),
        ({"data": []}, None),
        ({}, None),
    ],
)
def test_the_registry_of_campaigns(answer: object, membership: CampaignMembership | None) -> None:
    assert read_campaign_membership(json.dumps(answer).encode()) == membership


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("body", [b"", b"<html/>", b"<Other><Sites/></Other>", b"[1]", b"<SitesResp"])
def test_another_answer_is_none_of_these(reader, body: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidResponseError):
        reader(body)


@pytest.mark.parametrize("reader", READERS[:-1])
def test_a_refusal_in_a_200_is_a_refusal(reader) -> None:  # type: ignore[no-untyped-def]
    body = b"<X><ResponseStatus><ErrorCode>1001</ErrorCode><Description>No</Description></ResponseStatus></X>"
    with pytest.raises(BandwidthApiError, match="1001"):
        reader(body)
