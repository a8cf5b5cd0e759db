"""What Bandwidth shows of a location, of one number and of its campaign: what a number needs in order to text. Pure.

XML but for campaigns, whose registry answers in JSON [cli].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airflow_provider_bandwidth.wire.documents import (
    Children,
    children_of,
    first_text,
    read_answer,
    texts_of,
)
from airflow_provider_bandwidth.wire.messages import read_json_object

_HOSTED: Final = "hostedtelephonenumberdetails"


@dataclass(frozen=True, slots=True)
class SipPeer:
    """A SIP peer of a site.

    :param sip_peer_id: PeerId, as Bandwidth writes it
    :param is_default: whether orders that name none go there
    """

    sip_peer_id: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class NumberDetails:
    """Where a number is, and its settings for messages; ``None`` is what Bandwidth does not show.

    :param account_id: the account that has it
    :param site_id: SiteId
    :param sip_peer_id: SipPeerId
    :param sms_enabled: whether SMS is on
    :param campaign_id: the campaign that it is on
    """

    account_id: str | None
    site_id: str | None
    sip_peer_id: str | None
    sms_enabled: bool | None
    campaign_id: str | None


@dataclass(frozen=True, slots=True)
class CampaignMembership:
    """What the registry of campaigns shows of a number.

    :param campaign_id: its campaign
    :param status: PROCESSING, SUCCESS or FAILURE
    """

    campaign_id: str
    status: str


def read_sites(body: bytes) -> tuple[str, ...]:
    """The ids of ``GET /accounts/{accountId}/sites`` [oas1].

    :raises InvalidResponseError: the body is no list of sites
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "sitesresponse", "sites")
    sites = [children_of(site) for level in content for site in level.get("site", ())]
    return tuple(texts_of(sites, ["id"]))


def read_sip_peers(body: bytes) -> tuple[SipPeer, ...]:
    """The SIP peers of ``GET /accounts/{accountId}/sites/{siteId}/sippeers`` [oas1].

    :raises InvalidResponseError: the body is no list of SIP peers
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "tnsippeersresponse", "sippeers")
    peers = [children_of(peer) for level in content for peer in level.get("sippeer", ())]
    return tuple(
        SipPeer(peer_id, (first_text([peer], "isdefaultpeer") or "").lower() == "true")
        for peer in peers
        if (peer_id := first_text([peer], "peerid"))
    )


def read_sms_feature(body: bytes) -> str:
    """``A2pLongCode`` of ``GET .../sippeers/{sipPeerId}/products/messaging/features/sms`` [oas1]; empty if not shown.

    An answer at all means that SMS is on.

    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "sippeersmsfeatureresponse", "sippeersmsfeature")
    settings = [children_of(e) for level in content for e in level.get("sippeersmsfeaturesettings", ())]
    return first_text(settings, "a2plongcode") or ""


def read_application(body: bytes) -> str | None:
    """The application of ``GET .../sippeers/{sipPeerId}/products/messaging/applicationSettings`` [oas1].

    :return: ``None`` if no application of the Messaging API is tied to the location
    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "applicationssettingsresponse", "applicationssettings")
    return first_text(content, "httpmessagingv2appid")


def read_number_details(body: bytes, account_id: str) -> NumberDetails:
    """Read ``GET /tns/{telephoneNumber}/tndetails``, in either form of [oas1].

    A number whose voice is elsewhere has its place for messages in hosted details.

    :param account_id: whose hosted details are meant, if there are several
    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    _, content = read_answer(body, "telephonenumberresponse", "telephonenumberdetails")
    hosted = [children_of(detail) for level in content for details in level.get(_HOSTED, ()) for detail in details]
    ours = [level for level in hosted if first_text([level], "accountid") == account_id]
    levels: list[Children] = (ours or hosted or content)[:1]
    sms = first_text(_below(levels, "messagingsettings"), "smsenabled")
    return NumberDetails(
        account_id=first_text(levels, "accountid"),
        site_id=first_text(_below(levels, "site"), "id"),
        sip_peer_id=first_text(_below(levels, "sippeer"), "peerid"),
        sms_enabled=None if sms is None else sms.lower() == "true",
        campaign_id=first_text(_below(levels, "messagingsettings"), "campaignid"),
    )


def _below(levels: list[Children], name: str) -> list[Children]:
    return [children_of(element) for level in levels for element in level.get(name, ())]


def read_campaign_membership(body: bytes) -> CampaignMembership | None:
    """Read ``GET /api/v2/accounts/{accountId}/tendlc/phoneNumbers/{number}``: one row, or a list of one [cli].

    :return: ``None`` if the row names no campaign
    :raises InvalidResponseError: the body is no such answer
    """
    data = read_json_object(body).get("data")
    row = data[0] if isinstance(data, list) and data else data
    if not isinstance(row, dict) or not row.get("campaignId"):
        return None
    return CampaignMembership(str(row["campaignId"]), str(row.get("status") or "").upper())
