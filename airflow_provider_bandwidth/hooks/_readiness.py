"""What stands between an account and its orders, and between a number and its first text. Pure: it is given the calls.

GETs only. What the user may not see is reported as unknown, never as fine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthError
from airflow_provider_bandwidth.order_apis import OrderResource
from airflow_provider_bandwidth.readiness import ACCOUNT_ADMIN, SUPPORT, Finding, NumberReadiness, State
from airflow_provider_bandwidth.wire.answers import Answer, errors_naming_call
from airflow_provider_bandwidth.wire.documents import write_telephone_number
from airflow_provider_bandwidth.wire.readiness import (
    CampaignMembership,
    NumberDetails,
    read_application,
    read_campaign_membership,
    read_number_details,
    read_sip_peers,
    read_sites,
    read_sms_feature,
)

_Shown = TypeVar("_Shown")
_Absent = TypeVar("_Absent")

_JSON: Final = {"Accept": "application/json"}
_MOST_LISTED: Final = 10
#: What A2pLongCode says where no campaign can be assigned.
_NO_A2P: Final = ("off", "defaultoff")


class Readiness:
    """Looks at an account.

    :param account_id: the account
    :param resource: a resource of its order API, for the version and the notation of questions
    :param call: sends a request, below the account or, with a leading slash, from the version of the API on; gives the
        answer if its status is among those accepted, and raises otherwise
    """

    def __init__(self, account_id: str, resource: OrderResource, call: Callable[..., Answer]) -> None:
        self._account_id = account_id
        self._resource = resource
        self._call = call
        self._messaging_of: dict[tuple[str, str], tuple[Finding, ...]] = {}

    # --- the account ---

    def shows_account(self) -> bool:
        """Whether Bandwidth shows the account to this user: a list of its sites needs no role [cred]."""
        return self._look_up("account", "sites", lambda _: True, absent=False) is True

    def check_roles(self) -> Iterator[Finding]:
        """What this user may see beside orders and SIP peers, which need no role [cred]."""
        questions: tuple[tuple[str, str, dict[str, Any], str], ...] = (
            ("numbers", "inserviceNumbers/totals", {}, "see single numbers"),
            ("campaigns", f"{self._campaigns}?limit=1", {"headers": _JSON}, "see the campaigns of numbers"),
        )
        for subject, path, options, purpose in questions:
            seen = self._look_up(f"role for {subject}", path, lambda _: True, absent=True, **options)
            if isinstance(seen, Finding):
                text = f"this user cannot {purpose}: {seen.text}. Orders do not need it"
                yield Finding(seen.subject, State.NOTE, text, seen.ask)
            else:
                yield Finding(f"role for {subject}", State.OK, f"this user can {purpose}")

    def check_location(self, site_id: int, sip_peer_id: int | None) -> Iterator[Finding]:
        """The site, the SIP peer, and whether messages work there.

        :param sip_peer_id: the site's default peer if ``None``
        """
        exists = self._look_up("site", f"sites/{site_id}", lambda _: True, absent=False)
        if isinstance(exists, Finding) or not exists:
            yield exists or self._report_missing_site(site_id)
            return
        yield Finding("site", State.OK, f"site {site_id} exists")
        peers = self._look_up("SIP peer", f"sites/{site_id}/sippeers", read_sip_peers, absent=())
        if isinstance(peers, Finding):
            yield peers
            return
        if sip_peer_id is None:
            chosen = next((peer.sip_peer_id for peer in peers if peer.is_default), None)
            found = f"none is set, so imports go to the default one of site {site_id}, {chosen}"
            missing = f"none is set, and site {site_id} has no default one"
        else:
            chosen = next((peer.sip_peer_id for peer in peers if peer.sip_peer_id == str(sip_peer_id)), None)
            found = f"{sip_peer_id} is one of site {site_id}"
            missing = f"{sip_peer_id} is none of site {site_id}"
        if chosen is None:
            listed = _list([peer.sip_peer_id for peer in peers])
            yield Finding("SIP peer", State.MISSING, f"{missing}: set sip_peer_id. It has {listed}", ACCOUNT_ADMIN)
            return
        yield Finding("SIP peer", State.OK, found)
        yield from self._check_messaging(str(site_id), chosen)

    def _report_missing_site(self, site_id: int) -> Finding:
        sites = self._look_up("site", "sites", read_sites, absent=())
        if isinstance(sites, Finding):
            return sites
        text = f"account {self._account_id} has no site {site_id}: correct site_id. It has {_list(sites)}"
        return Finding("site", State.MISSING, text, ACCOUNT_ADMIN)

    def _check_messaging(self, site_id: str, sip_peer_id: str) -> tuple[Finding, ...]:
        """SMS, A2P and application of a SIP peer that exists; asked once."""
        place = (site_id, sip_peer_id)
        if place not in self._messaging_of:
            messaging = f"sites/{site_id}/sippeers/{sip_peer_id}/products/messaging"
            feature = self._look_up("SMS", f"{messaging}/features/sms", read_sms_feature, absent=None)
            tied = self._look_up("application", f"{messaging}/applicationSettings", read_application, absent=None)
            self._messaging_of[place] = (*_judge_sms(feature, sip_peer_id), _judge_application(tied, sip_peer_id))
        return self._messaging_of[place]

    # --- a number ---

    def check_numbers(self, telephone_numbers: Sequence[str]) -> Iterator[NumberReadiness]:
        """What each number lacks in order to text.

        :param telephone_numbers: ten digits each
        """
        for number in telephone_numbers:
            written = write_telephone_number(number, is_e164=self._resource.is_e164).replace("+", "%2B")
            details = self._look_up(
                "number",
                f"/{self._resource.api_version}/tns/{written}/tndetails",
                lambda body: read_number_details(body, self._account_id),
                absent=None,
            )
            if not isinstance(details, NumberDetails) or details.account_id not in (None, self._account_id):
                yield NumberReadiness(number, (self._report_missing_number(details),))
                continue
            campaign_id, campaign = self._check_campaign(number, details.campaign_id)
            found = (*self._check_number_messaging(details), campaign)
            yield NumberReadiness(number, tuple(each for each in found if each.is_in_the_way), campaign_id)

    def _report_missing_number(self, details: NumberDetails | Finding | None) -> Finding:
        """Why a number is not in the account, or why that is not known."""
        if isinstance(details, Finding):
            return details
        if details is None:
            text = "Bandwidth does not have it: import it. Right after an import, wait some minutes"
            return Finding("number", State.MISSING, text)
        text = f"it is in account {details.account_id}, not in {self._account_id}"
        return Finding("number", State.MISSING, text, ACCOUNT_ADMIN)

    def _check_number_messaging(self, details: NumberDetails) -> Iterator[Finding]:
        if details.site_id is None or details.sip_peer_id is None:
            yield Finding("location", State.UNKNOWN, "Bandwidth does not show its site and SIP peer", SUPPORT)
            return
        sms, *others = self._check_messaging(details.site_id, details.sip_peer_id)
        if sms.state is State.OK and details.sms_enabled is False:
            text = "it is off for this number, although its SIP peer has it: have it turned on"
            sms = Finding("SMS", State.MISSING, text, ACCOUNT_ADMIN)
        yield sms
        yield from others

    def _check_campaign(self, number: str, shown_id: str | None) -> tuple[str | None, Finding]:
        """The campaign of a number, and whether carriers take texts from it.

        :param shown_id: the campaign that the number's details show
        """
        path = f"{self._campaigns}/%2B1{number}"
        membership = self._look_up("campaign", path, read_campaign_membership, absent=None, headers=_JSON)
        if isinstance(membership, CampaignMembership):
            return membership.campaign_id, _judge_membership(membership)
        if isinstance(membership, Finding):
            return shown_id, membership
        if shown_id is not None:
            text = f"the number's details show campaign {shown_id}, but the registry of campaigns does not"
            return shown_id, Finding("campaign", State.UNKNOWN, text, SUPPORT)
        if not _is_american(number):
            return None, Finding("campaign", State.OK, "on none, which only numbers of the United States need")
        text = "on none: assign one with BandwidthCampaignAssignmentOperator"
        return None, Finding("campaign", State.MISSING, text)

    # --- calls ---

    @property
    def _campaigns(self) -> str:
        return f"/v2/accounts/{self._account_id}/tendlc/phoneNumbers"

    def _look_up(
        self, subject: str, path: str, read: Callable[[bytes], _Shown], *, absent: _Absent, **options: Any
    ) -> _Shown | _Absent | Finding:
        """What a GET shows, or that it could not be found out.

        :param absent: what to return for an answer that says there is nothing
        :raises BandwidthApiError: what every other call would raise, too: credentials, or no answer at all
        """
        try:
            answer = self._call("GET", path, accept=(200, 204, 404), **options)
            if answer.status != 200:
                return absent
            with errors_naming_call(answer):
                return read(answer.body)
        except BandwidthError as error:
            status = error.status if isinstance(error, BandwidthApiError) else 200
            if status in (None, 401):
                raise
            if status == 403:
                text = "this user may not look it up (HTTP 403)"
                return Finding(subject, State.UNKNOWN, text, ACCOUNT_ADMIN)
            return Finding(subject, State.UNKNOWN, f"it could not be looked up: {str(error).rstrip('.')}", SUPPORT)


def _judge_sms(feature: str | Finding | None, sip_peer_id: str) -> Iterator[Finding]:
    """What the SMS feature of a SIP peer means for its texts.

    :param feature: how A2P is set up, empty if that is not shown; ``None`` if SMS is off
    """
    if isinstance(feature, Finding):
        yield feature
    elif feature is None:
        text = f"it is off at SIP peer {sip_peer_id}: have it turned on, for imports fail without it (5114, 5145, 5166)"
        yield Finding("SMS", State.MISSING, text, ACCOUNT_ADMIN)
    else:
        yield Finding("SMS", State.OK, f"it is on at SIP peer {sip_peer_id}")
        if feature.lower() in _NO_A2P:
            text = f"SIP peer {sip_peer_id} is not set up for campaigns, and refuses to assign one (5133)"
            yield Finding("A2P", State.NOTE, text, SUPPORT)


def _judge_application(application_id: str | Finding | None, sip_peer_id: str) -> Finding:
    if isinstance(application_id, Finding):
        return application_id
    if application_id is None:
        text = f"none is tied to SIP peer {sip_peer_id}: tie one to it, or texts are taken and nothing happens"
        return Finding("application", State.MISSING, text, ACCOUNT_ADMIN)
    return Finding("application", State.OK, f"{application_id} is tied to SIP peer {sip_peer_id}")


def _judge_membership(membership: CampaignMembership) -> Finding:
    on = f"campaign {membership.campaign_id}"
    if membership.status == "SUCCESS":
        return Finding("campaign", State.OK, f"on {on}")
    if membership.status == "PROCESSING":
        return Finding("campaign", State.MISSING, f"its place on {on} is still being registered: wait")
    if membership.status == "FAILURE":
        text = f"it could not be registered for {on}: assign it again, or ask why"
        return Finding("campaign", State.MISSING, text, SUPPORT)
    return Finding("campaign", State.UNKNOWN, f"its state on {on} is {membership.status or 'not shown'}", SUPPORT)


def _is_american(number: str) -> bool:
    import phonenumbers

    return phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{number}")) == "US"


def _list(ids: Sequence[str]) -> str:
    """Some ids for a message."""
    more = len(ids) - _MOST_LISTED
    return (", ".join(ids[:_MOST_LISTED]) or "none") + (f" and {more} more" if more > 0 else "")
