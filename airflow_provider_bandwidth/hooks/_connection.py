"""An Airflow connection of type ``bandwidth``, read and checked. No network, no Airflow import."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    InvalidConnectionError,
    InvalidFieldsError,
    InvalidParameterError,
)
from airflow_provider_bandwidth.order_apis import OrderResource, parse_order_api
from airflow_provider_bandwidth.order_fields import Subscriber, parse_choice, parse_id, parse_whole_number
from airflow_provider_bandwidth.order_records import DEFAULT_ORDER_API, Action, LoaType
from airflow_provider_bandwidth.orders import TnOrderRequest, build_order_request

DEFAULT_BASE_URL: Final = "https://dashboard.bandwidth.com/api"
_BANDWIDTH_TOKEN_URL: Final = "https://api.bandwidth.com/api/v1/oauth2/token"  # noqa: S105
_TOKEN_PATH: Final = "/api/v1/oauth2/token"  # noqa: S105
_DEFAULT_TIMEOUT: Final = 30.0
_MAX_TIMEOUT: Final = 3600.0
#: Bandwidth's support names 100 calls a minute, sustained; this leaves room for the account's other clients.
_DEFAULT_MAX_REQUESTS_PER_MINUTE: Final = 60
#: Bandwidth's default is a segment a second for each account and local number (API reference, section 21.6).
_DEFAULT_MAX_SEGMENTS_PER_MINUTE: Final = 60
_MESSAGING_URL: Final = "https://messaging.bandwidth.com/api/v2"
_INTERNATIONAL_A2P_URL: Final = "https://bulksms.ia2p.bandwidth.com:12021"
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
#: What an import may take from the connection, and Bandwidth's names of these fields.
_DEFAULTED: Final = {
    "site_id": "SiteId",
    "sip_peer_id": "SipPeerId",
    "loa_type": "LoaType",
    "subscriber": "Subscriber",
    "loa_authorizing_person": "LoaAuthorizingPerson",
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What a connection says. The password never shows in a repr.

    :param base_url: without a trailing slash; https, or http to this very machine
    :param timeout: seconds to wait for a connection, and for each piece of an answer
    :param verify: whether TLS certificates are checked, or the path of a CA bundle to check them with
    :param customer_order_id_element: ``CustomerOrderID`` [seed] or ``CustomerOrderId`` [oas1], as requests spell it
    :param max_requests_per_minute: how many calls a minute one triggerer may spend on waiting for orders
    :param order_url: where a person can look at an order: a pattern with {base_url}, {account_id} and {order_id};
        ``None`` for the order's address in the API
    :param messaging_url: the message API, without a trailing slash; ``None`` to derive it from the base URL
    :param application_id: the messaging application of texts whose task names none
    :param max_segments_per_minute: how many segments of texts a minute one process may send
    :param order_api: the order API of the account
    :param subscriber: the Subscriber of imports that name none; likewise ``loa_authorizing_person`` and ``loa_type``
    """

    conn_id: str
    base_url: str
    login: str
    password: str = field(repr=False)
    auth_type: str
    token_url: str
    account_id: str | None
    site_id: int | None
    sip_peer_id: int | None
    timeout: float
    verify: bool | str
    customer_order_id_element: str
    max_requests_per_minute: int
    order_url: str | None
    messaging_url: str | None
    application_id: str | None
    max_segments_per_minute: int
    order_api: str
    subscriber: Subscriber | None
    loa_authorizing_person: str | None
    loa_type: LoaType | None

    @classmethod
    def from_connection(cls, connection: Any, extra: Mapping[str, Any]) -> ConnectionSettings:
        """Read and check a connection.

        :param connection: an Airflow connection
        :param extra: its extra, as a dict; JSON null and empty text count as absent
        :raises InvalidConnectionError: says which field of which connection is wrong, and what it should be
        """
        if not isinstance(extra, Mapping):  # Airflow's task SDK takes any JSON
            raise InvalidConnectionError(
                f"Connection {connection.conn_id!r}, field Extra: expected a JSON object, got a {type(extra).__name__}"
            )
        try:
            if not extra:
                _check_json(getattr(connection, "extra", None))
            given = {name: value for name, value in extra.items() if value is not None}
            if isinstance(subscriber := given.get("subscriber"), Mapping):
                given["subscriber"] = json.dumps(dict(subscriber))
            return cls._read(connection, {name: _to_text(name, value) for name, value in given.items()})
        except InvalidParameterError as error:
            raise InvalidConnectionError(f"Connection {connection.conn_id!r}, field {error}") from None

    @classmethod
    def _read(cls, connection: Any, extra: Mapping[str, str]) -> ConnectionSettings:
        login = _parse_credential("Login", connection.login)
        password = _parse_credential("Password", connection.password)
        if connection.schema:
            raise InvalidParameterError(
                "Schema", "it is not used; put the whole base URL into Host (in a connection URI, percent-encoded)."
            )
        base_url = _parse_url("Host", connection.host or DEFAULT_BASE_URL, connection.port)
        token_url = extra.get("token_url")
        account_id = extra.get("account_id")
        site_id = extra.get("site_id")
        sip_peer_id = extra.get("sip_peer_id")
        return cls(
            conn_id=str(connection.conn_id),
            base_url=base_url,
            login=login,
            password=password,
            auth_type=_parse_choice("auth_type", extra, ("oauth2", "basic")),
            token_url=_parse_url("extra.token_url", token_url) if token_url else _derive_token_url(base_url),
            account_id=parse_account_id(account_id, "extra.account_id") if account_id else None,
            site_id=parse_id("extra.site_id", site_id) if site_id else None,
            sip_peer_id=parse_id("extra.sip_peer_id", sip_peer_id) if sip_peer_id else None,
            timeout=_parse_timeout(extra.get("timeout")),
            verify=_parse_verify(extra.get("verify")),
            customer_order_id_element=_parse_choice(
                "customer_order_id_element", extra, ("CustomerOrderID", "CustomerOrderId")
            ),
            max_requests_per_minute=_parse_per_minute(
                "max_requests_per_minute", extra, _DEFAULT_MAX_REQUESTS_PER_MINUTE
            ),
            order_url=_parse_order_url(extra.get("order_url")),
            messaging_url=_parse_url("extra.messaging_url", extra["messaging_url"])
            if extra.get("messaging_url")
            else None,
            application_id=extra.get("application_id") or None,
            max_segments_per_minute=_parse_per_minute(
                "max_segments_per_minute", extra, _DEFAULT_MAX_SEGMENTS_PER_MINUTE
            ),
            order_api=parse_order_api(extra.get("order_api") or DEFAULT_ORDER_API, "extra.order_api").name,
            subscriber=Subscriber.parse(subscriber) if (subscriber := extra.get("subscriber")) else None,
            loa_authorizing_person=extra.get("loa_authorizing_person") or None,
            loa_type=parse_choice("extra.loa_type", LoaType, loa_type) if (loa_type := extra.get("loa_type")) else None,
        )

    def build_order_request(
        self, resource: OrderResource, action: Action, *, telephone_numbers: Iterable[object] | str, **given: Any
    ) -> TnOrderRequest:
        """An order whose missing fields are this connection's; :meth:`BandwidthHook.build_order_request` says more.

        :param given: the other fields; ``None`` and empty text are missing
        """
        values = {name: None if value == "" else value for name, value in given.items()}
        for name in _DEFAULTED if action is Action.IMPORT else ("site_id",):
            if values[name] is None:
                values[name] = getattr(self, name)
        try:
            return build_order_request(resource, action=action, telephone_numbers=telephone_numbers, **values)
        except InvalidParameterError as error:
            problems = dict(error.problems)
            for name, field_name in _DEFAULTED.items():
                if values[name] is None and field_name in problems:
                    problems[field_name] = f"give {name}, or set extra.{name} of connection {self.conn_id!r}"
            if len(problems) > 1:
                raise InvalidFieldsError(problems) from None
            raise InvalidParameterError(*next(iter(problems.items()))) from None

    def derive_messaging_url(self, *, international_a2p: bool = False) -> str:
        """The base URL of a message API: the connection's ``messaging_url``, or else Bandwidth's.

        Where the base URL is of another host, such as a sandbox's, the message API is taken to be on that host.
        """
        if self.messaging_url is not None:
            return self.messaging_url
        if _is_bandwidth(self.base_url):
            return _INTERNATIONAL_A2P_URL if international_a2p else _MESSAGING_URL
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc, "" if international_a2p else "/api/v2", "", ""))

    def api_url(self, version: str) -> str:
        """The base URL of a version of the API, whichever prefix Host ends in.

        :param version: ``v1`` or ``v2``
        """
        root, prefix = _split_prefix(self.base_url)
        if version == "v2":
            return f"{root}/api/v2"
        return f"{root}/api/v1" if prefix.lower() == "/api/v2" else self.base_url

    @property
    def credentials_hint(self) -> str:
        """What to do about refused credentials."""
        hint = "Check its Login and Password, and its Auth type (oauth2 is the default)."
        if self.auth_type == "basic":
            hint = (
                "Check its Login and Password. Bandwidth takes no API-user passwords from 2026-12-02 on: create OAuth2 "
                "client credentials and set auth_type to oauth2."
            )
        if self.login != self.login.strip() or self.password != self.password.strip():
            hint += " There is white space around one of the two."
        return hint

    def explain_failure(self, error: BandwidthApiError, account_id: str) -> str:
        """What is wrong with the connection, as a call that should have worked shows it."""
        if error.status is None:
            return f"Bandwidth could not be reached. {error}"
        if error.status == 401 or (isinstance(error, BandwidthAuthError) and error.url == self.token_url):
            return f"Wrong credentials. {error}"
        if error.status in (403, 404) and error.url != self.token_url:
            return (
                f"The credentials were accepted, but account {account_id} was not: the account id is wrong, or this "
                f"user has no role in it. {error}"
            )
        return str(error)


#: The prefixes of the API over the years; one without a version is v1 [host] [oas1] [oas2].
_PREFIX: Final = re.compile(r"(?:/api(?:/v[12])?|/v1\.0)?\Z", re.IGNORECASE)


def _split_prefix(base_url: str) -> tuple[str, str]:
    """A base URL without the prefix of the API, and that prefix."""
    found = _PREFIX.search(base_url)
    assert found is not None
    return base_url[: found.start()], found[0]


def fill_order_url(pattern: str, **values: str) -> str:
    """Fill in a pattern of order pages.

    :param values: what its names stand for; ``base_url`` as it is, the others as a part of a path or query
    """
    quoted = {name: value if name == "base_url" else quote(value, safe="") for name, value in values.items()}
    return _PLACEHOLDER.sub(lambda found: quoted.get(found[1], found[0]), pattern)


def parse_account_id(value: object, name: str = "account_id") -> str:
    """An account id as text: digits.

    :param name: the field, for the error
    :raises InvalidParameterError: anything else
    """
    number = parse_whole_number(value)  # native templates render an id to a number
    text = str(value if number is None else number).strip()
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
        raise InvalidParameterError(name, f"expected the digits of a Bandwidth account, got {value!r}")
    return text


def _check_json(text: object) -> None:
    """Refuse Extra that is no JSON: Airflow would treat it as empty. Its text may hold secrets and is not shown."""
    try:
        json.loads(text) if isinstance(text, str) and text.strip() else None
    except ValueError:
        raise InvalidParameterError("Extra", "it is not JSON") from None


def _to_text(name: str, value: object) -> str:
    if isinstance(value, list | dict):
        raise InvalidParameterError(f"extra.{name}", f"expected a text or a number, got a {type(value).__name__}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _parse_credential(name: str, value: object) -> str:
    # A secret that was read from a file often ends with the file's line break.
    text = "" if value is None else str(value).strip("\r\n")
    if not text:
        raise InvalidParameterError(
            name, "it is empty. Give client id and secret (oauth2), or API user and password (basic)."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidParameterError(name, "it holds half of a character, such as of an emoji") from None
    return text


def _parse_choice(name: str, extra: Mapping[str, str], options: tuple[str, ...]) -> str:
    value = extra.get(name) or options[0]
    if value not in options:
        raise InvalidParameterError(f"extra.{name}", f"expected {' or '.join(options)}, got {value!r}")
    return value


def _parse_url(name: str, url: str, port: int | None = None) -> str:
    if "@" in url:
        raise InvalidParameterError(name, "credentials belong in Login and Password, not in the URL")
    if port and not 0 < port <= 65535:
        raise InvalidParameterError("Port", f"expected 1 to 65535, or 0 for none, got {port!r}")
    try:
        parts = urlsplit(url.strip())
        own_port = parts.port
    except ValueError as error:
        raise InvalidParameterError(name, f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidParameterError(name, f"expected a URL with its scheme, like {DEFAULT_BASE_URL}, got {url!r}")
    if parts.query or parts.fragment:
        raise InvalidParameterError(name, "the URL may have neither a query nor a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise InvalidParameterError(
            name, f"plain http would show credentials and numbers to the network; use https://{parts.netloc}"
        )
    netloc = parts.netloc if own_port is not None or not port else f"{parts.netloc}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _is_bandwidth(url: str) -> bool:
    hostname = urlsplit(url).hostname or ""
    return hostname == "bandwidth.com" or hostname.endswith(".bandwidth.com")


def _derive_token_url(base_url: str) -> str:
    if _is_bandwidth(base_url):
        return _BANDWIDTH_TOKEN_URL
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc, _TOKEN_PATH, "", ""))


_PLACEHOLDER: Final = re.compile(r"\{(base_url|account_id|order_id)\}")


def _parse_order_url(pattern: str | None) -> str | None:
    """Check that the pattern can only become the address of a web page, since a button leads to it."""
    if not pattern:
        return None
    problem = "expected the http or https address of a page, like https://ui.example.com/{account_id}/{order_id}"
    filled = fill_order_url(pattern, base_url=DEFAULT_BASE_URL, account_id="1", order_id="order.id")
    try:
        parts = urlsplit(filled)
    except ValueError:
        raise InvalidParameterError("extra.order_url", problem) from None
    is_plain = filled.isascii() and filled.isprintable() and " " not in filled
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise InvalidParameterError("extra.order_url", problem)
    if "@" in parts.netloc or "order.id" in parts.netloc:
        raise InvalidParameterError("extra.order_url", "neither credentials nor {order_id} may stand in its host")
    return pattern


def _parse_timeout(text: str | None) -> float:
    if not text:
        return _DEFAULT_TIMEOUT
    try:
        timeout = float(text)
    except ValueError:
        timeout = 0.0
    if not 0 < timeout <= _MAX_TIMEOUT:
        raise InvalidParameterError(
            "extra.timeout", f"expected a positive number of seconds, at most {_MAX_TIMEOUT:g}, got {text!r}"
        )
    return timeout


def _parse_verify(text: str | None) -> bool | str:
    if not text:
        return True
    flag = _FLAGS.get(text.lower())
    if flag is None and not Path(text).exists():
        raise InvalidParameterError(
            "extra.verify", f"expected true, false, or the path of a CA bundle on this machine, got {text!r}"
        )
    return text if flag is None else flag


def _parse_per_minute(name: str, extra: Mapping[str, str], default: int) -> int:
    text = extra.get(name)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,6}(\.0)?", text, re.ASCII) or float(text) < 1:
        raise InvalidParameterError(f"extra.{name}", f"expected a whole number from 1 to 999999, got {text!r}")
    return int(float(text))
