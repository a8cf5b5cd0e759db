"""What a number needs to text beside its import: location, application and campaign (reference, section 20)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import ACCOUNT, PEER, Call, make_routes
from airflow_provider_bandwidth.sandbox.campaigns import find_campaign
from airflow_provider_bandwidth.sandbox.http import Answer
from airflow_provider_bandwidth.sandbox.inventory import HostedNumber, NumberOptions
from airflow_provider_bandwidth.sandbox.inventory_xml import write_attributes, write_named_peer, write_site_fields
from airflow_provider_bandwidth.sandbox.numbers_api import get_location
from airflow_provider_bandwidth.sandbox.validation import Refused, is_nanp
from airflow_provider_bandwidth.sandbox.xml import write_document, write_element, write_optional


def show_sms_feature(call: Call) -> Answer:
    """Answer how SMS is set up at a location; 404 where it is off."""
    get_location(call)
    if not call.settings.sms_enabled:
        raise Refused("", "The SMS feature is not enabled on the SIP peer.", HTTPStatus.NOT_FOUND)
    zones = "".join(write_element(f"Zone{zone}", "true" if zone == 1 else "false") for zone in range(1, 6))
    content = (
        "<SipPeerSmsFeature><SipPeerSmsFeatureSettings>"
        + write_element("TollFree", "true")
        + write_element("ShortCode", "false")
        + write_element("A2pLongCode", "DefaultOn" if call.settings.a2p_enabled else "DefaultOff")
        + write_element("Protocol", "HTTP")
        + f"{zones}</SipPeerSmsFeatureSettings><HttpSettings/></SipPeerSmsFeature>"
    )
    return Answer(HTTPStatus.OK, write_document("SipPeerSmsFeatureResponse", content.encode()))


def show_application_settings(call: Call) -> Answer:
    """Answer which messaging application is tied to a location."""
    get_location(call)
    tied = write_optional("HttpMessagingV2AppId", call.settings.messaging_application or None)
    content = f"<ApplicationsSettings>{tied}</ApplicationsSettings>"
    return Answer(HTTPStatus.OK, write_document("ApplicationsSettingsResponse", content.encode()))


def list_applications(call: Call) -> Answer:
    """Answer with the account's applications: one, or none."""
    listed = _write_application(call) if call.settings.messaging_application else ""
    content = f"<ApplicationList>{listed}</ApplicationList>"
    return Answer(HTTPStatus.OK, write_document("ApplicationProvisioningResponse", content.encode()))


def show_application(call: Call) -> Answer:
    """Answer with one application."""
    _check_application(call)
    return Answer(HTTPStatus.OK, write_document("ApplicationProvisioningResponse", _write_application(call).encode()))


def list_associated_peers(call: Call) -> Answer:
    """Answer which locations an application serves: all of them."""
    _check_application(call)
    peers = "".join(
        "<AssociatedSipPeer>"
        + write_element("SiteId", location.site_id)
        + write_element("SiteName", f"Sandbox site {location.site_id}")
        + write_element("PeerId", location.sip_peer_id)
        + write_element("PeerName", f"Sandbox peer {location.sip_peer_id}")
        + "</AssociatedSipPeer>"
        for location in call.store.locations(call.account_id)
    )
    content = f"<AssociatedSipPeers>{peers}</AssociatedSipPeers>"
    return Answer(HTTPStatus.OK, write_document("AssociatedSipPeersResponse", content.encode()))


def _check_application(call: Call) -> None:
    if call.names["application"] != call.settings.messaging_application:
        raise Refused("12049", "The application does not exist.", HTTPStatus.NOT_FOUND)


def _write_application(call: Call) -> str:
    return (
        "<Application>"
        + write_element("ApplicationId", call.settings.messaging_application)
        + write_element("ServiceType", "Messaging-V2")
        + write_element("AppName", "Sandbox")
        + write_optional("MsgCallbackUrl", call.settings.callback_url or None)
        + "</Application>"
    )


def show_number_details(call: Call) -> Answer:
    """Answer what is known of one number, its campaign included."""
    number = call.names["number"].removeprefix("+1")
    if not is_nanp(number):
        raise Refused("12512", f"The telephone number {number} is invalid.")
    hosted = call.store.hosted(number)
    if hosted is None:
        raise Refused("13517", f"The telephone number {number} was not found on the system.", HTTPStatus.NOT_FOUND)
    content = _write_details(hosted, call.store.options(number), call)
    return Answer(HTTPStatus.OK, write_document("TelephoneNumberResponse", content.encode()))


def _write_details(hosted: HostedNumber, options: NumberOptions, call: Call) -> str:
    """``TelephoneNumberDetails``, in either form of [oas1] (setting ``tndetails_form``)."""
    location = hosted.location
    place = (
        write_element("AccountId", location.account_id)
        + write_site_fields(location.site_id)
        + write_named_peer(location.sip_peer_id, call.store.sites[location.site_id][0])
    )
    messaging = (
        "<MessagingSettings>"
        + write_element("SmsEnabled", "true" if options.sms and call.settings.sms_enabled else "false")
        + write_optional("CampaignId", options.campaign_id)
        + write_optional("MessageClass", options.message_class)
        + write_element("A2pState", options.a2p_state)
        + "</MessagingSettings>"
    )
    head = write_element("FullNumber", call.view.number(hosted.telephone_number)) + write_element("Status", "Inservice")
    if hosted.imported and call.settings.tndetails_form == "hosted":
        service = "<ServiceTypes><ServiceType>Hosted Messaging</ServiceType></ServiceTypes>"
        details = (
            f"{head}<TnAttributes><TnAttribute>Hosted</TnAttribute></TnAttributes><HostedTelephoneNumberDetails>"
            f"<HostedTelephoneNumberDetail>{place}{service}{messaging}</HostedTelephoneNumberDetail>"
            "</HostedTelephoneNumberDetails>"
        )
    else:
        kind = "Messaging" if hosted.imported else "Voice"
        service = f"<ServiceTypes>{write_element('ServiceType', kind)}</ServiceTypes>"
        details = f"{head}{place}{service}{messaging}{write_attributes(hosted)}"
    return f"<TelephoneNumberDetails>{details}</TelephoneNumberDetails>"


# --- the registry of campaigns, in JSON [cli] ---


def list_campaign_numbers(call: Call) -> Answer:
    """Answer with the numbers of a campaign, or of all."""
    wanted = call.names.get("campaign")
    rows = [
        row
        for row in (_describe(number, options, call) for number, options in call.store.numbers_with_campaigns())
        if wanted in (None, row["campaignId"])
    ]
    limit, offset = (int(call.request.parameter(name) or default) for name, default in (("limit", 250), ("offset", 0)))
    return _make_json_answer(HTTPStatus.OK, {"data": rows[offset : offset + min(limit, 250)]})


def show_campaign_number(call: Call) -> Answer:
    """Answer with the campaign of a number."""
    number = call.names["number"].removeprefix("+1")
    options = call.store.options(number)
    if options.campaign_id is None:
        return _make_json_answer(HTTPStatus.NOT_FOUND, {"errors": [{"description": "The number is on no campaign."}]})
    return _make_json_answer(HTTPStatus.OK, {"data": _describe(number, options, call)})


def show_campaign(call: Call) -> Answer:
    """Answer with a campaign."""
    campaign = find_campaign(call.names["campaign"])
    if campaign.code == "12189":
        return _make_json_answer(HTTPStatus.NOT_FOUND, {"errors": [{"description": campaign.description}]})
    return _make_json_answer(
        HTTPStatus.OK, {"data": {"campaignId": call.names["campaign"], "status": campaign.status, "brandId": "BSANDBX"}}
    )


def _describe(number: str, options: NumberOptions, call: Call) -> dict[str, object]:
    campaign_id = options.campaign_id or ""
    young = call.store.clock() - options.since < call.settings.campaign_lag_seconds
    return {
        "phoneNumber": f"+1{number}",
        "campaignId": campaign_id,
        "status": "PROCESSING" if young else find_campaign(campaign_id).number_status,
        "brandId": "BSANDBX",
    }


def _make_json_answer(status: int, content: object) -> Answer:
    return Answer(status, json.dumps(content).encode(), content_type="application/json")


_MESSAGING: Final = f"{PEER}/products/messaging"
_APPLICATION: Final = rf"{ACCOUNT}/applications/(?P<application>[^/]+)"
_TENDLC: Final = f"{ACCOUNT}/tendlc"
_NUMBER: Final = r"(?P<number>\+?\d+)"

ROUTES: Final = (
    *make_routes("sms-feature", "GET", f"{_MESSAGING}/features/sms", show_sms_feature, role="configuration"),
    *make_routes(
        "application-settings",
        "GET",
        f"{_MESSAGING}/applicationSettings",
        show_application_settings,
        role="configuration",
    ),
    *make_routes("applications", "GET", f"{ACCOUNT}/applications", list_applications, role="configuration"),
    *make_routes("application", "GET", _APPLICATION, show_application, role="configuration"),
    *make_routes(
        "application-peers", "GET", f"{_APPLICATION}/associatedsippeers", list_associated_peers, role="configuration"
    ),
    *make_routes("number-details", "GET", f"tns/{_NUMBER}/tndetails", show_number_details, role="reporting"),
    *make_routes(
        "campaign",
        "GET",
        rf"{_TENDLC}/campaigns/(?P<campaign>[^/]+)",
        show_campaign,
        versions=(2,),
        role="campaign-management",
    ),
    *make_routes(
        "campaign-numbers",
        "GET",
        rf"{_TENDLC}/(?:campaigns/(?P<campaign>[^/]+)/)?phoneNumbers",
        list_campaign_numbers,
        versions=(2,),
        role="campaign-management",
    ),
    *make_routes(
        "campaign-number",
        "GET",
        f"{_TENDLC}/phoneNumbers/{_NUMBER}",
        show_campaign_number,
        versions=(2,),
        role="campaign-management",
    ),
)
