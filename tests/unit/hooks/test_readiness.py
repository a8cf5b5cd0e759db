"""What a number lacks in order to text, and what a location lacks, as the sandbox plays it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthAuthError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.orders import CampaignAssignmentRequest
from airflow_provider_bandwidth.readiness import Finding, State
from airflow_provider_bandwidth.sandbox import Sandbox

Connect = Callable[..., None]

GOOD, OTHER, ABROAD = "9195550101", "9195550102", "6135550199"


def lacks(hook: BandwidthHook, number: str = GOOD) -> dict[str, State]:
    (readiness,) = hook.check_readiness([number])
    return {finding.subject: finding.state for finding in readiness.findings}


def states(found: tuple[Finding, ...]) -> dict[str, State]:
    return {finding.subject: finding.state for finding in found}


def location(hook: BandwidthHook, *ids: object) -> tuple[Finding, ...]:
    site, peer = (*ids, None, None)[:2]
    return tuple(hook.readiness.check_location(hook.resolve_site_id(site), hook.resolve_sip_peer_id(peer)))  # type: ignore[arg-type]


@pytest.mark.parametrize("order_api", ORDER_APIS)
@pytest.mark.parametrize("form", ["flat", "hosted"])
def test_a_number_with_all_it_needs_is_ready_on_every_order_api(
    order_api: str, form: str, sandbox: Sandbox, connect: Connect
) -> None:
    sandbox.seed(imported=[GOOD, OTHER], campaign_id="CABC123")
    sandbox.configure(tndetails_form=form)
    connect(sandbox.connection, extra={"order_api": order_api})
    before = len(sandbox.requests)
    found = BandwidthHook().check_readiness(["+1 (919) 555-0101", OTHER])
    assert [(each.telephone_number, each.findings, each.campaign_id) for each in found] == [
        (GOOD, (), "CABC123"),
        (OTHER, (), "CABC123"),
    ]
    sent = [record for record in sandbox.requests[before:] if record.operation != "token"]
    assert {record.method for record in sent} == {"GET"}
    assert len(sent) == 2 * 2 + 2, "the location is looked at once"


@pytest.mark.parametrize(
    ("settings", "lacking"),
    [
        ({"sms_enabled": False}, {"SMS": State.MISSING}),
        ({"messaging_application": ""}, {"application": State.MISSING}),
        ({"roles": "ordering,reporting"}, dict.fromkeys(("SMS", "application", "campaign"), State.UNKNOWN)),
        ({"roles": "configuration,campaign-management"}, {"number": State.UNKNOWN}),
    ],
)
def test_what_is_missing_is_named(
    settings: Mapping[str, Any], lacking: dict[str, State], hook: BandwidthHook, sandbox: Sandbox
) -> None:
    sandbox.seed(imported=[GOOD], campaign_id="CABC123")
    assert lacks(hook) == {}
    sandbox.configure(**settings)
    assert lacks(hook) == lacking


@pytest.mark.parametrize(("campaign", "lacking"), [(None, State.MISSING), ("CFAILED", State.MISSING)])
def test_the_state_on_the_campaign_counts(
    campaign: str | None, lacking: State, hook: BandwidthHook, sandbox: Sandbox
) -> None:
    sandbox.seed(imported=[GOOD, ABROAD], campaign_id=campaign)
    assert lacks(hook) == {"campaign": lacking}
    (text,) = [finding.text for finding in hook.check_readiness([GOOD])[0].findings]
    assert ("on none" if campaign is None else "could not be registered for campaign CFAILED") in text
    if campaign is None:
        assert lacks(hook, ABROAD) == {}, "a Canadian number needs no campaign"


def test_a_campaign_that_is_still_being_registered_is_waited_for(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD])
    sandbox.configure(campaign_lag_seconds=3600)
    options = BandwidthHook(order_api="tnoptions")
    options.create_tn_order(CampaignAssignmentRequest([GOOD], campaign_id="CABC123"))
    sandbox.skip(60)
    (finding,) = hook.check_readiness([GOOD])[0].findings
    assert (finding.state, finding.text) == (
        State.MISSING,
        "its place on campaign CABC123 is still being registered: wait",
    )
    sandbox.skip(3600)
    assert lacks(hook) == {}


def test_a_number_that_was_never_imported_is_said_to_be_missing(hook: BandwidthHook) -> None:
    (gone,) = hook.check_readiness([GOOD])
    assert gone.to_finding().text.startswith("cannot text yet: number: Bandwidth does not have it: import it.")


def test_a_number_in_another_account_is_said_to_be(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD])
    readiness = hook.readiness
    readiness._account_id = "77"
    (found,) = readiness.check_numbers([GOOD])
    assert found.to_finding().text == "cannot text yet: number: it is in account 9900000, not in 77"


def test_a_number_whose_own_sms_is_off(hook: BandwidthHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.seed(imported=[GOOD], campaign_id="CABC123")
    call = hook._call

    def off_for_this_one(method: str, path: str, **kwargs: Any) -> Any:
        answer = call(method, path, **kwargs)
        if path.endswith("/tndetails"):
            object.__setattr__(answer, "body", answer.body.replace(b"<SmsEnabled>true", b"<SmsEnabled>false"))
        return answer

    monkeypatch.setattr(hook, "_call", off_for_this_one)
    (finding,) = hook.check_readiness([GOOD])[0].findings
    assert "off for this number, although its SIP peer has it" in finding.text


def test_wrong_numbers_are_refused_before_anything_is_asked(hook: BandwidthHook, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidTelephoneNumbersError, match="919"):
        hook.check_readiness([GOOD, "919"])
    assert len(sandbox.requests) == 0


def test_an_error_at_bandwidth_leaves_the_one_thing_unknown(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD], campaign_id="CABC123")
    sandbox.inject("status", operation="application-settings", status=503, times=None)
    (finding,) = hook.check_readiness([GOOD])[0].findings
    assert (finding.subject, finding.state) == ("application", State.UNKNOWN)
    assert "HTTP 503" in finding.text


def test_refused_credentials_end_the_look(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD])
    sandbox.rotate_secret("another")
    with pytest.raises(BandwidthAuthError):
        hook.check_readiness([GOOD])
    with pytest.raises(BandwidthApiError):
        location(hook)


class TestLocation:
    def test_it_is_fine(self, hook: BandwidthHook) -> None:
        assert states(location(hook)) == dict.fromkeys(("site", "SIP peer", "SMS", "application"), State.OK)

    def test_without_a_peer_the_default_one_is_meant(self, sandbox: Sandbox, connect: Connect) -> None:
        connect(sandbox.connection, extra={"sip_peer_id": None})
        found = {finding.subject: finding for finding in location(BandwidthHook())}
        assert found["SIP peer"].text == "none is set, so imports go to the default one of site 743, 303716"
        assert found["SMS"].state is State.OK

    @pytest.mark.parametrize(
        ("ids", "subject", "says"),
        [
            (("9", None), "site", "account 9900000 has no site 9: correct site_id. It has 743"),
            ((None, "9"), "SIP peer", "9 is none of site 743: set sip_peer_id. It has 303716"),
        ],
    )
    def test_what_is_not_there_is_told_with_what_is(
        self, ids: tuple[object, ...], subject: str, says: str, hook: BandwidthHook
    ) -> None:
        *fine, last = location(hook, *ids)
        assert (last.subject, last.state, last.text.startswith(says)) == (subject, State.MISSING, True), last.text
        assert all(finding.state is State.OK for finding in fine)

    def test_a_peer_that_refuses_campaigns_is_noted(self, hook: BandwidthHook, sandbox: Sandbox) -> None:
        sandbox.configure(a2p_enabled=False)
        found = states(location(hook))
        assert found["A2P"] is State.NOTE
        assert found["SMS"] is State.OK


def test_what_a_user_may_not_see_is_noted(hook: BandwidthHook, sandbox: Sandbox) -> None:
    assert {finding.state for finding in hook.readiness.check_roles()} == {State.OK}
    sandbox.configure(roles="ordering")
    assert [finding.state for finding in hook.readiness.check_roles()] == [State.NOTE, State.NOTE]
    assert hook.readiness.shows_account()
