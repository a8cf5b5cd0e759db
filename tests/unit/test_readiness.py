"""A line a number: what it lacks, and whom to ask."""

from __future__ import annotations

import json

from airflow_provider_bandwidth.readiness import ACCOUNT_ADMIN, SUPPORT, Finding, NumberReadiness, State

NUMBER = "9195550101"
NO_SMS = Finding("SMS", State.MISSING, "it is off", ACCOUNT_ADMIN)
NO_APPLICATION = Finding("application", State.MISSING, "none is tied", ACCOUNT_ADMIN)
UNSEEN = Finding("campaign", State.UNKNOWN, "it could not be looked up", SUPPORT)


def test_a_number_that_lacks_nothing_is_ready() -> None:
    assert NumberReadiness(NUMBER, ()).to_finding() == Finding(NUMBER, State.OK, "ready to text")
    on_one = NumberReadiness(NUMBER, (), "CABC123")
    assert on_one.is_ready
    assert on_one.to_finding().text == "ready to text, on campaign CABC123"


def test_what_a_number_lacks_is_one_line_that_names_everybody_once() -> None:
    readiness = NumberReadiness(NUMBER, (NO_SMS, NO_APPLICATION, UNSEEN))
    assert not readiness.is_ready
    finding = readiness.to_finding()
    assert (finding.subject, finding.state) == (NUMBER, State.MISSING)
    assert finding.text == (
        "cannot text yet: SMS: it is off; application: none is tied; campaign: it could not be looked up"
    )
    assert finding.ask == f"{ACCOUNT_ADMIN}, {SUPPORT}"


def test_what_could_not_be_seen_is_not_fine() -> None:
    readiness = NumberReadiness(NUMBER, (UNSEEN,))
    assert not readiness.is_ready
    assert readiness.to_finding().state is State.UNKNOWN
    assert readiness.to_finding().text.startswith("perhaps ready: campaign")


def test_notes_are_in_nobodys_way_and_all_is_ready_for_json() -> None:
    states = {state: Finding("x", state, "y").is_in_the_way for state in State}
    assert states == {State.OK: False, State.NOTE: False, State.MISSING: True, State.UNKNOWN: True}
    assert json.loads(json.dumps(NO_SMS.to_dict())) == {
        "subject": "SMS",
        "state": "missing",
        "text": "it is off",
        "ask": ACCOUNT_ADMIN,
    }
