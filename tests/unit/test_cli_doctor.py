"""The doctor as an engineer on call types it, against the sandbox: what it prints, its exit code, and GETs only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.raw_server import RawServer, http_answer

from airflow_provider_bandwidth.cli import main
from airflow_provider_bandwidth.sandbox import Sandbox

Connect = Callable[..., None]
Doctor = Callable[..., tuple[int, list[dict[str, str]]]]

GOOD, LOST = "9195550101", "9195550177"


@pytest.fixture
def doctor(sandbox: Sandbox, connect: Connect, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Exit code and findings."""
    connect(sandbox.connection)

    def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
        capfd.readouterr()
        code: Any = 0
        try:
            main(("doctor", *arguments, "--output", "json"))
        except SystemExit as ended:
            code = ended.code
        out, _ = capfd.readouterr()
        assert {record.method for record in sandbox.requests if record.operation != "token"} <= {"GET"}
        return code, json.loads(out)

    return run


def in_the_way(findings: list[dict[str, str]]) -> list[str]:
    return [finding["subject"] for finding in findings if finding["state"] in ("missing", "unknown")]


def test_where_nothing_is_missing_it_says_so_line_by_line(
    doctor: Doctor, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.seed(imported=[GOOD], campaign_id="CABC123")
    code, findings = doctor("--number", GOOD)
    assert (code, {finding["state"] for finding in findings}) == (0, {"ok"})
    assert [finding["subject"] for finding in findings] == [
        *("connection", "credentials", "order API", "site", "SIP peer", "SMS", "application"),
        *("role for numbers", "role for campaigns", GOOD),
    ]
    main(("doctor",))
    out = capfd.readouterr().out
    assert "ok       SIP peer: 303716 is one of site 743\n" in out
    assert sandbox.connection["password"] not in out.replace("sandbox", "", out.count("/sandbox"))


def test_what_is_missing_comes_with_whom_to_ask(
    doctor: Doctor, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.configure(messaging_application="", sms_enabled=False)
    code, findings = doctor()
    assert (code, in_the_way(findings)) == (1, ["SMS", "application"])
    with pytest.raises(SystemExit):
        main(("doctor",))
    line = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("missing  SMS"))
    assert line.endswith(" -- ask whoever administers the account in Bandwidth's App")


def test_one_line_a_number(doctor: Doctor, sandbox: Sandbox) -> None:
    sandbox.seed(imported=[GOOD], campaign_id="CABC123")
    code, findings = doctor("--number", GOOD, "--number", LOST)
    assert code == 1
    assert [(each["subject"], each["state"]) for each in findings[-2:]] == [(GOOD, "ok"), (LOST, "missing")]


def test_the_order_api_of_the_account_is_named(doctor: Doctor, sandbox: Sandbox) -> None:
    sandbox.configure(order_apis="importTnOrders,importTnOrders/messaging")
    code, findings = doctor()
    (found,) = [finding for finding in findings if finding["subject"] == "order API"]
    assert (code, in_the_way(findings)) == (1, ["order API"])
    assert "Set the connection's order_api to one that does: importTnOrders, importTnOrders/messaging." in found["text"]
    assert "25010" in found["text"]
    code, findings = doctor("--order-api", "importTnOrders")
    assert (code, in_the_way(findings)) == (0, [])
    sandbox.configure(order_apis="")
    (found,) = [finding for finding in doctor()[1] if finding["subject"] == "order API"]
    assert (found["state"], found["ask"]) == ("missing", "Bandwidth's support")


@pytest.mark.parametrize("role", ["reporting", "campaign-management"])
def test_a_role_that_orders_do_not_need_is_a_note(role: str, doctor: Doctor, sandbox: Sandbox) -> None:
    sandbox.configure(roles=[each for each in sandbox.settings.roles.split(",") if each != role])
    code, findings = doctor()
    assert (code, [finding["state"] for finding in findings].count("note")) == (0, 1)


def test_what_the_user_may_not_see_is_not_fine(doctor: Doctor, sandbox: Sandbox) -> None:
    sandbox.configure(roles="ordering,reporting,campaign-management")
    code, findings = doctor()
    assert (code, in_the_way(findings)) == (1, ["SMS", "application"])


@pytest.mark.parametrize(
    ("changes", "arguments", "subject", "says"),
    [
        ({"password": "wrong"}, (), "credentials", "Wrong credentials."),
        ({}, ("--account-id", "12"), "account", "account 12 was not"),
        ({"extra": {"account_id": None}}, (), "connection", "No Bandwidth account"),
        ({"extra": {"order_api": "x"}}, (), "connection", "extra.order_api: expected"),
        ({}, ("--conn-id", "nix"), "connection", "'nix' isn't defined"),
        ({}, ("--site-id", "9"), "site", "has no site 9"),
        ({}, ("--sip-peer-id", "9"), "SIP peer", "9 is none of site 743"),
    ],
)
def test_it_ends_at_what_keeps_it_from_seeing_more(
    changes: dict[str, Any], arguments: tuple[str, ...], subject: str, says: str,
    doctor: Doctor, sandbox: Sandbox, connect: Connect,
) -> None:  # fmt: skip
    connect(sandbox.connection, **changes)
    code, findings = doctor(*arguments)
    assert (code, in_the_way(findings)) == (1, [subject])
    (found,) = [finding for finding in findings if finding["subject"] == subject]
    assert says in found["text"]
    assert found["ask"]


def test_a_connection_without_a_site_is_a_note(doctor: Doctor, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"site_id": None})
    code, findings = doctor()
    assert (code, [each["subject"] for each in findings if each["state"] == "note"]) == (0, ["site"])


def test_basic_authentication_is_a_note(doctor: Doctor, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"auth_type": "basic"})
    code, findings = doctor()
    assert (code, [each["subject"] for each in findings if each["state"] == "note"]) == (0, ["authentication"])


def test_silence_and_foreign_answers_are_told_apart(doctor: Doctor, sandbox: Sandbox, connect: Connect) -> None:
    sandbox.inject("status", operation="token", status=503, times=None)
    code, findings = doctor()
    assert (code, findings[-1]["subject"], findings[-1]["state"]) == (1, "Bandwidth", "unknown")
    with RawServer(http_answer(b"<html>Sign in</html>")) as server:
        connect(sandbox.connection, host=server.url, extra={"auth_type": "basic"})
        code, findings = doctor()
    assert (code, findings[-1]["subject"], findings[-1]["state"]) == (1, "Bandwidth", "missing")
    assert "HTML" in findings[-1]["text"]


def test_an_account_that_falls_silent_half_way_is_said_to_have(
    doctor: Doctor, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook

    find = BandwidthHook.find_order_apis

    def then_refuse(hook: BandwidthHook) -> Any:
        found = find(hook)
        sandbox.rotate_secret("another")
        sandbox.revoke_tokens()
        return found

    monkeypatch.setattr(BandwidthHook, "find_order_apis", then_refuse)
    code, findings = doctor()
    assert (code, findings[-1]["subject"], findings[-1]["state"]) == (1, "Bandwidth", "unknown")


@pytest.mark.parametrize(
    ("arguments", "says"), [(("--number", "12"), "'12'"), (("--site-id", "x"), "SiteId"), (("--order-api", "x"), "x")]
)
def test_wrong_arguments_are_refused(
    arguments: tuple[str, ...], says: str, sandbox: Sandbox, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    connect(sandbox.connection)
    with pytest.raises(SystemExit) as ended:
        main(("doctor", *arguments))
    assert ended.value.code == 2
    assert says in capfd.readouterr().err
