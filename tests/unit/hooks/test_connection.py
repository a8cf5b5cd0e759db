"""Every way to write a connection down, read through Airflow's own parsing; and what is said of one that is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from airflow import __version__ as airflow_version
from support.imports import SUBSCRIBER

from airflow_provider_bandwidth.exceptions import InvalidConnectionError, InvalidParameterError, MissingConnectionError
from airflow_provider_bandwidth.hooks._connection import ConnectionSettings
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.orders import Subscriber
from airflow_provider_bandwidth.sandbox import Sandbox

ENVIRONMENT = "AIRFLOW_CONN_BANDWIDTH_DEFAULT"
CREDENTIALS = {"login": "some-client", "password": "p/@: ?#%€"}


def read(connection: str, monkeypatch: pytest.MonkeyPatch) -> ConnectionSettings:
    monkeypatch.setenv(ENVIRONMENT, connection)
    return BandwidthHook().settings


def settings_of(connect: Callable[..., None], **fields: Any) -> ConnectionSettings:
    connect(CREDENTIALS, **fields)
    return BandwidthHook().settings


def test_a_connection_of_credentials_alone_goes_to_bandwidth_with_oauth2(connect: Callable[..., None]) -> None:
    settings = settings_of(connect)
    assert settings.base_url == "https://dashboard.bandwidth.com/api"
    assert settings.auth_type == "oauth2"
    assert settings.token_url == "https://api.bandwidth.com/api/v1/oauth2/token"
    assert (settings.account_id, settings.site_id, settings.sip_peer_id) == (None, None, None)
    assert (settings.timeout, settings.verify) == (30.0, True)
    assert settings.customer_order_id_element == "CustomerOrderID"
    assert settings.order_url is None


def test_every_field_is_read(connect: Callable[..., None], tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    settings = settings_of(
        connect,
        host="https://api.example.net/iris/",
        extra={
            "auth_type": "basic",
            "account_id": "9900000",
            "site_id": "743",
            "sip_peer_id": "303716",
            "token_url": "https://tokens.example.net/oauth",
            "timeout": "2.5",
            "verify": str(bundle),
            "customer_order_id_element": "CustomerOrderId",
            "order_url": "https://ui.example.net/{account_id}/{order_id}",
        },
    )
    assert settings.base_url == "https://api.example.net/iris"
    assert settings.auth_type == "basic"
    assert (settings.account_id, settings.site_id, settings.sip_peer_id) == ("9900000", 743, 303716)
    assert settings.token_url == "https://tokens.example.net/oauth"
    assert (settings.timeout, settings.verify) == (2.5, str(bundle))
    assert settings.customer_order_id_element == "CustomerOrderId"
    assert settings.order_url == "https://ui.example.net/{account_id}/{order_id}"


EXTRA = {
    "account_id": "9900000",
    "site_id": "743",
    "timeout": "5",
    "verify": "false",
    "order_api": "importTnOrders/messaging",
    "subscriber": json.dumps(SUBSCRIBER),
    "loa_authorizing_person": "Ada Baker",
    "loa_type": "CARRIER",
}
LOGIN = f"{quote('some-client')}:{quote(CREDENTIALS['password'], safe='')}"
OF_IMPORTS = ("order_api", "subscriber", "loa_authorizing_person", "loa_type")
QUERY = urlencode(EXTRA)
OBJECTS = {"account_id": 9900000, "site_id": 743, "timeout": 5, "verify": False, "subscriber": SUBSCRIBER}
EXTRA_JSON = quote(json.dumps({**EXTRA, **OBJECTS}))


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(json.dumps({**CREDENTIALS, "conn_type": "bandwidth", "extra": EXTRA}), id="JSON, extra as object"),
        pytest.param(
            json.dumps({**CREDENTIALS, "conn_type": "bandwidth", "extra": json.dumps(EXTRA)}), id="JSON, extra as text"
        ),
        pytest.param(f"bandwidth://{LOGIN}@/?{QUERY}", id="URI with a query"),
        pytest.param(f"bandwidth://{LOGIN}@/?__extra__={EXTRA_JSON}", id="URI with JSON in it"),
        pytest.param(f"bandwidth://{LOGIN}@{quote('https://dashboard.bandwidth.com/api', safe='')}/?{QUERY}", id="URI"),
        pytest.param(f"bandwidth://https://{LOGIN}@{quote('dashboard.bandwidth.com/api', safe='')}/?{QUERY}", id="2.x"),
    ],
)
def test_json_and_uri_say_the_same(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(written, monkeypatch)
    assert settings.base_url == "https://dashboard.bandwidth.com/api"
    assert (settings.login, settings.password) == (CREDENTIALS["login"], CREDENTIALS["password"])
    assert (settings.account_id, settings.site_id, settings.timeout, settings.verify) == ("9900000", 743, 5.0, False)
    assert (settings.order_api, settings.loa_type) == ("importTnOrders/messaging", "CARRIER")
    assert (settings.subscriber, settings.loa_authorizing_person) == (Subscriber.parse(SUBSCRIBER), "Ada Baker")


def test_a_connection_survives_airflows_own_uri_export(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.connection import Connection

    exported = Connection(
        conn_id="x", conn_type="bandwidth", host="https://api.example.net/iris", extra=json.dumps(EXTRA), **CREDENTIALS
    ).get_uri()
    settings = read(exported, monkeypatch)
    assert settings.base_url == "https://api.example.net/iris"
    assert (settings.password, settings.verify, settings.site_id) == (CREDENTIALS["password"], False, 743)
    assert settings.subscriber == Subscriber.parse(SUBSCRIBER)


def test_untouched_fields_of_the_form_are_absent(connect: Callable[..., None]) -> None:
    """The form stores them as JSON null, empty text, and port 0."""
    names = ("auth_type", "account_id", "site_id", "token_url", "timeout", "verify", "order_url", *OF_IMPORTS)
    plain = settings_of(connect)
    assert settings_of(connect, port=0, schema="", host="", extra=dict.fromkeys(names)) == plain
    assert settings_of(connect, extra=dict.fromkeys(names, "")) == plain
    assert settings_of(connect, extra=dict.fromkeys(names, "  ")) == plain


@pytest.mark.parametrize(
    "host", ["https://h.example.net/a/b", "https://h.example.net/a/b/", " https://h.example.net/a/b// "]
)
def test_a_path_prefix_has_a_slash_at_its_end_or_not(host: str, connect: Callable[..., None]) -> None:
    assert settings_of(connect, host=host).base_url == "https://h.example.net/a/b"


@pytest.mark.parametrize("prefix", ["", "/", "/api", "/api/", "/api/v1", "/v1.0/"])
def test_calls_go_below_the_prefix(prefix: str, sandbox: Sandbox, connect: Callable[..., None]) -> None:
    order = sandbox.add_order(["9195550101"])
    connect(sandbox.connection, host=sandbox.url + prefix)
    assert BandwidthHook().get_tn_order(order.order_id).order_id == order.order_id
    assert sandbox.requests[-1].path == f"{prefix.rstrip('/')}/accounts/9900000/externalTns/{order.order_id}"


def test_the_port_field_is_used_where_host_names_none(connect: Callable[..., None]) -> None:
    assert settings_of(connect, host="http://127.0.0.1/api", port=8085).base_url == "http://127.0.0.1:8085/api"
    assert settings_of(connect, host="http://[::1]/api", port=8085).base_url == "http://[::1]:8085/api"
    assert settings_of(connect, host="http://127.0.0.1:99", port=0).base_url == "http://127.0.0.1:99"


@pytest.mark.parametrize(
    ("host", "token_url"),
    [
        ("https://dashboard.bandwidth.com/api", "https://api.bandwidth.com/api/v1/oauth2/token"),
        ("https://API.Bandwidth.COM:443/api/v2", "https://api.bandwidth.com/api/v1/oauth2/token"),
        ("https://bandwidth.com", "https://api.bandwidth.com/api/v1/oauth2/token"),
        ("https://evilbandwidth.com/api", "https://evilbandwidth.com/api/v1/oauth2/token"),
        ("https://bandwidth.com.example.net/x", "https://bandwidth.com.example.net/api/v1/oauth2/token"),
        ("http://127.0.0.1:8085/any/prefix", "http://127.0.0.1:8085/api/v1/oauth2/token"),
    ],
)
def test_tokens_come_from_bandwidth_for_its_hosts_and_else_from_the_own_host(
    host: str, token_url: str, connect: Callable[..., None]
) -> None:
    assert settings_of(connect, host=host).token_url == token_url


@pytest.mark.parametrize("value", [True, "true", "True", "1", "yes", None, ""])
def test_tls_is_verified(value: Any, connect: Callable[..., None]) -> None:
    assert settings_of(connect, extra={"verify": value}).verify is True


@pytest.mark.parametrize("value", [False, "false", "FALSE", "0", "no"])
def test_tls_is_not_verified_only_when_told_so(value: Any, connect: Callable[..., None]) -> None:
    assert settings_of(connect, extra={"verify": value}).verify is False


@pytest.mark.parametrize("host", ["http://127.0.0.1", "http://127.5.5.5:80", "http://localhost", "http://[::1]:80/api"])
def test_plain_http_goes_to_this_machine(host: str, connect: Callable[..., None]) -> None:
    assert settings_of(connect, host=host).base_url == host


WRONG = [
    ({"host": "dashboard.bandwidth.com"}, "Host", "scheme"),
    ({"host": "ftp://dashboard.bandwidth.com"}, "Host", "scheme"),
    ({"host": "https:///api"}, "Host", "scheme"),
    ({"host": "https://[::1"}, "Host", "not a URL"),
    ({"host": "https://h.example.net:99999"}, "Host", "ort"),
    ({"host": "https://h.example.net:port"}, "Host", "ort"),
    ({"host": "http://dashboard.bandwidth.com/api"}, "Host", "plain http"),
    ({"host": "http://127.0.0.1.example.net/api"}, "Host", "plain http"),
    ({"host": "http://localhost.example.net/api"}, "Host", "plain http"),
    ({"host": "http://10.0.0.1/api"}, "Host", "plain http"),
    ({"host": "https://some-client:hunter2@h.example.net"}, "Host", "Login and Password"),
    ({"host": "https://h.example.net/api?x=1"}, "Host", "query"),
    ({"schema": "https"}, "Schema", "base URL into Host"),
    ({"login": None}, "Login", "empty"),
    ({"login": ""}, "Login", "empty"),
    ({"password": None}, "Password", "empty"),
    ({"extra": {"auth_type": "oauth"}}, "extra.auth_type", "oauth2 or basic"),
    ({"extra": {"account_id": "my account"}}, "extra.account_id", "digits"),
    ({"extra": {"account_id": "990/../1"}}, "extra.account_id", "digits"),
    ({"extra": {"site_id": "main"}}, "extra.site_id", "number"),
    ({"extra": {"sip_peer_id": "-1"}}, "extra.sip_peer_id", "number"),
    ({"extra": {"token_url": "tokens"}}, "extra.token_url", "scheme"),
    ({"extra": {"token_url": "http://tokens.example.net"}}, "extra.token_url", "plain http"),
    ({"extra": {"timeout": "soon"}}, "extra.timeout", "seconds"),
    ({"extra": {"timeout": 0}}, "extra.timeout", "seconds"),
    ({"extra": {"timeout": "nan"}}, "extra.timeout", "seconds"),
    ({"extra": {"timeout": "1e12"}}, "extra.timeout", "at most 3600"),
    ({"extra": {"account_id": ["9900000"]}}, "extra.account_id", "text or a number"),
    ({"extra": {"site_id": {"a": 1}}}, "extra.site_id", "text or a number"),
    ({"port": 99999}, "Port", "65535"),
    ({"password": "\n"}, "Password", "empty"),
    *(
        ({"extra": {"order_url": pattern}}, "extra.order_url", "http")
        for pattern in (
            "javascript:fetch('//evil.example/')//{order_id}",
            "java\tscript:alert(1)//{order_id}",
            "JavaScript:alert(1)",
            "data:text/html,{order_id}",
            "//ui.example.com/{order_id}",
            "/orders/{order_id}",
            "ui.example.com/{order_id}",
            "https:///{order_id}",
            "https://[::1/{order_id}",
            "https://ui.example.com/a b/{order_id}",
            "https://ui.example.com/\x85{order_id}",
            "ftp://ui.example.com/{order_id}",
        )
    ),
    ({"extra": {"order_url": "https://{order_id}.example.com/"}}, "extra.order_url", "host"),
    ({"extra": {"order_url": "https://me:secret@ui.example.com/{order_id}"}}, "extra.order_url", "host"),
    ({"extra": {"timeout": "inf"}}, "extra.timeout", "seconds"),
    ({"extra": {"verify": "flase"}}, "extra.verify", "path of a CA bundle"),
    ({"extra": {"customer_order_id_element": "OrderID"}}, "extra.customer_order_id_element", "CustomerOrderID"),
]


@pytest.mark.parametrize(("changes", "field", "hint"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_a_wrong_field_is_named_with_its_connection(
    changes: dict[str, Any], field: str, hint: str, connect: Callable[..., None]
) -> None:
    connect(CREDENTIALS, **changes)
    with pytest.raises(InvalidConnectionError) as caught:
        _ = BandwidthHook().settings
    message = str(caught.value)
    assert f"Connection 'bandwidth_default', field {field}: " in message
    assert hint in message.partition(field)[2]
    assert CREDENTIALS["password"] not in message
    assert "hunter2" not in message


def test_an_extra_that_is_no_object_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"conn_type": "bandwidth", **CREDENTIALS, "extra": ["account_id"]}))
    # Airflow 3.0 and 3.1 do not hand such a connection on.
    said = (
        "bandwidth_default.*isn't defined" if airflow_version.startswith(("3.0.", "3.1.")) else "field Extra: .*object"
    )
    with pytest.raises(InvalidConnectionError, match=said):
        _ = BandwidthHook().settings


def test_the_natural_uri_says_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's URI parsing puts the path into Schema; leaving it out in silence would ask another API."""
    with pytest.raises(InvalidConnectionError, match=r"field Schema: .*percent-encoded"):
        read(f"bandwidth://https://{LOGIN}@dashboard.bandwidth.com/api?{QUERY}", monkeypatch)


def test_a_missing_connection_is_named() -> None:
    hook = BandwidthHook("no_such_connection")
    told = r"'no_such_connection' isn't defined in Airflow.* Create a connection of type bandwidth"
    with pytest.raises(MissingConnectionError, match=told):
        hook.get_tn_order("0f3c1a52")
    with pytest.raises(MissingConnectionError, match=told):
        asyncio.run(hook.load_settings())
    assert hook.test_connection()[1].startswith("this connection isn't defined")


@pytest.mark.parametrize("failure", [ConnectionError("secrets backend: 503"), PermissionError("access denied")])
def test_a_look_up_that_fails_is_told_as_it_is(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may work the next time, unlike what is wrong with a connection."""

    def fail(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(BandwidthHook, "get_connection", fail)
    with pytest.raises(type(failure), match=str(failure)):
        BandwidthHook().get_tn_order("0f3c1a52")


def test_the_account_comes_from_the_task_before_the_connection(connect: Callable[..., None]) -> None:
    connect(CREDENTIALS, extra={"account_id": "1"})
    assert BandwidthHook().account_id == "1"
    assert BandwidthHook(account_id=" 2 ").account_id == "2"
    with pytest.raises(InvalidParameterError, match=r"account_id: .*digits"):
        _ = BandwidthHook(account_id="None").account_id


def test_a_missing_account_is_an_error_before_any_request(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    connect(sandbox.connection, extra={"account_id": None})
    with pytest.raises(InvalidConnectionError, match=r"account_id.*bandwidth_default"):
        BandwidthHook().get_tn_order("0f3c1a52")
    assert sandbox.requests == []


def test_the_password_is_not_in_a_repr(connect: Callable[..., None]) -> None:
    connect(CREDENTIALS)
    hook = BandwidthHook()
    for shown in (repr(hook.settings), str(hook.settings), repr(hook), f"{hook.get_conn()!r} {hook.get_conn().auth!r}"):
        assert CREDENTIALS["password"] not in shown


def test_making_a_hook_or_an_operator_reads_no_connection() -> None:
    BandwidthHook("no_such_connection")
    BandwidthTnOrderOperator(task_id="t", action="IMPORT", telephone_numbers=[], bandwidth_conn_id="no_such_connection")


def test_the_order_url_pattern_is_filled_in(connect: Callable[..., None]) -> None:
    connect(CREDENTIALS, extra={"account_id": "7"})
    assert BandwidthHook().order_url("o-1") == "https://dashboard.bandwidth.com/api/accounts/7/externalTns/o-1"
    connect(CREDENTIALS, extra={"account_id": "7", "order_url": "https://ui.example.net/{account_id}?o={order_id}"})
    assert BandwidthHook(account_id="8").order_url("o-1") == "https://ui.example.net/8?o=o-1"


@pytest.mark.parametrize(
    ("order_id", "shown"),
    [
        ("../../x?y=#z", "..%2F..%2Fx%3Fy%3D%23z"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("{account_id}", "%7Baccount_id%7D"),
        ("a b\r\n", "a%20b%0D%0A"),
        ("käse", "k%C3%A4se"),
    ],
)
def test_an_order_id_is_one_part_of_the_address(order_id: str, shown: str, connect: Callable[..., None]) -> None:
    connect(CREDENTIALS, extra={"account_id": "7", "order_url": "https://ui.example.net/{account_id}?o={order_id}&{x}"})
    assert BandwidthHook().order_url(order_id) == f"https://ui.example.net/7?o={shown}&{{x}}"


@pytest.mark.parametrize("value", [9900000, 9900000.0, "9900000", " 9900000\n"])
def test_an_id_may_be_a_number(value: Any, connect: Callable[..., None]) -> None:
    settings = settings_of(connect, extra={"account_id": value, "site_id": value, "sip_peer_id": value})
    assert (settings.account_id, settings.site_id, settings.sip_peer_id) == ("9900000", 9900000, 9900000)


def test_the_line_break_at_the_end_of_a_secret_from_a_file_is_none_of_it(connect: Callable[..., None]) -> None:
    settings = settings_of(connect, login="id\n", password=" se\ncret \r\n")
    assert (settings.login, settings.password) == ("id", " se\ncret ")
    assert "white space" in settings.credentials_hint
    assert "white space" not in settings_of(connect).credentials_hint


def test_refused_basic_credentials_name_the_day_from_which_there_are_none(connect: Callable[..., None]) -> None:
    hint = settings_of(connect, extra={"auth_type": "basic"}).credentials_hint
    assert "2026-12-02" in hint
    assert "oauth2" in hint


@pytest.mark.parametrize("text", ["{", "account_id=7", '{"account_id": "7", "password": "hidden"'])
def test_an_extra_that_is_no_json_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidConnectionError, match="Connection 'c', field Extra: it is not JSON") as caught:
        ConnectionSettings.from_connection(SimpleNamespace(conn_id="c", extra=text), {})
    assert "hidden" not in str(caught.value)


def test_a_secret_with_half_a_character_is_named_and_not_shown() -> None:
    connection = SimpleNamespace(conn_id="c", extra=None, login="id", password="hidden\ud83d", schema=None)
    with pytest.raises(InvalidConnectionError, match="field Password: it holds half of a character") as caught:
        ConnectionSettings.from_connection(connection, {})
    assert "hidden" not in str(caught.value)
