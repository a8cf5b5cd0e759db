"""Where the sandbox is and how it behaves: its defaults, and its switches as one immutable object."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

DEFAULT_ACCOUNT: Final = "9900000"
DEFAULT_SITES: Final[Mapping[str, Sequence[str]]] = {"743": ("303716",)}
DEFAULT_LOGIN: Final = "sandbox"
DEFAULT_PASSWORD: Final = "sandbox"  # noqa: S105 - it is printed on start, so it is no secret
#: The addresses that the sandbox may listen on: it has no secrets, so no other machine may reach it.
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


#: The roles that a user may have; reading orders, sites and SIP peers needs none [cred].
ROLES: Final = ("ordering", "reporting", "configuration", "campaign-management", "messaging")
DEFAULT_APPLICATION: Final = "6f1f5e0a-2c7b-4a39-8d54-0b9e3c1a7d20"


def _make_setting(
    default: Any, text: str, choices: tuple[str, ...] = (), *, signed: bool = False, several: bool = False
) -> Any:
    metadata = {"help": text, "choices": choices, "signed": signed, "several": several}
    return field(default=default, metadata=metadata)


def check_loopback(url: str) -> None:
    """Refuse a URL that leaves this machine.

    :raises ValueError: if it is not an http URL of a loopback address
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.username is not None:
        raise ValueError(f"{url!r} is not an http URL of a loopback address: {', '.join(LOOPBACK)}")


#: The APIs for orders of telephone numbers that an account may have.
ORDER_APIS: Final = ("externalTns", "importTnOrders", "importTnOrders/messaging")


@dataclass(frozen=True, slots=True)
class Settings:
    """The switches: each is a CLI option, a key of ``PUT /sandbox/settings`` and an argument of ``Sandbox``."""

    received_seconds: float = _make_setting(
        1.0, "seconds an order stays RECEIVED; orders already sent keep their times"
    )
    processing_seconds: float = _make_setting(2.0, "seconds an order then stays PROCESSING before it ends")
    order_apis: str = _make_setting(
        ",".join(ORDER_APIS),
        "the order APIs that the account has, with commas between; another one refuses orders with 400 and 25010 or "
        "5149, and questions with 403",
        ORDER_APIS,
        several=True,
    )
    dialect: str = _make_setting(
        "S",
        "form of externalTns orders: S the seed's Order wrapper, O flat, H wrapper with CustomerOrderId and LoaType, "
        "P as S with every text padded by white space",
        ("S", "O", "H", "P"),
    )
    get_root: str = _make_setting(
        "bare",
        "root of GET for one order: bare ExternalTnsOrder, ImportTnOrder or RemoveImportedTnOrder, or wrapped in "
        "the like-named Response",
        ("bare", "wrapped"),
    )
    list_form: str = _make_setting(
        "full",
        "list entries: full orders, summaries unless orderDetails=true is asked for, or summaries in any case",
        ("full", "summary", "summary-only"),
    )
    created_root: str = _make_setting(
        "plural",
        "root of the 201 of imports and removals: plural ImportTnOrdersResponse as captured, singular "
        "ImportTnOrderResponse as documented, or flat, the singular one with the order's fields in it",
        ("plural", "singular", "flat"),
    )
    refusal_form: str = _make_setting(
        "errors",
        "refusal of an import or removal: repeated Errors in the documented root, the same in the plural root, or "
        "response-status, the first error as ResponseStatus",
        ("errors", "plural", "response-status"),
    )
    unknown_order: str = _make_setting(
        "404", "status for an import or removal that does not exist; an id that is no UUID is 400", ("404", "400")
    )
    empty_list: str = _make_setting(
        "404",
        "a list of orders without any: 404, 200 with TotalCount 0, 204, or blank, 200 without a body",
        ("404", "200", "204", "blank"),
    )
    list_paging_required: bool = _make_setting(
        False, "lists of orders answer 404 and a text unless page and size are given"
    )
    ten_digits_on_v2: bool = _make_setting(
        False, "version 2 takes telephone numbers of ten digits, too; else it refuses them (1022)"
    )
    reimport: str = _make_setting(
        "reset",
        "importTnOrders for a number that the account has imported: reset it, as externalTns does, or refused (7206)",
        ("reset", "refused"),
    )
    roles: str = _make_setting(
        ",".join(ROLES),
        "the roles of the user, with commas between; what needs another one is 403",
        ROLES,
        several=True,
    )
    sms_enabled: bool = _make_setting(True, "SMS is on at the SIP peers")
    a2p_enabled: bool = _make_setting(True, "SIP peers are set up for A2P; else campaigns are refused (5133)")
    messaging_application: str = _make_setting(
        DEFAULT_APPLICATION, "id of the messaging application at every SIP peer; empty for none"
    )
    options_on_hosted: str = _make_setting(
        "allowed", "tnoptions orders that assign imported numbers to campaigns; refused is 5128", ("allowed", "refused")
    )
    campaign_lag_seconds: float = _make_setting(
        0.0, "how long a number is PROCESSING in the registry after its assignment, and cannot text (4476)"
    )
    tndetails_form: str = _make_setting(
        "flat", "where tndetails shows an imported number's settings: flat, or in hosted details", ("flat", "hosted")
    )
    callback_url: str = _make_setting("", "loopback http URL that gets the callbacks of messages; empty for none")
    callback_credentials: str = _make_setting("", "USER:PASSWORD that callbacks carry as Basic; empty for none")
    callback_retry_seconds: float = _make_setting(
        60.0, "how long a callback is sent again until it is answered 2xx; Bandwidth goes on for 24 hours"
    )
    callback_duplicates: bool = _make_setting(False, "every callback is sent twice")
    message_sending_seconds: float = _make_setting(0.5, "seconds a message is QUEUED before it is SENT, or refused")
    message_delivery_seconds: float = _make_setting(1.0, "seconds it then is SENT before its fate is known")
    message_search_lag_seconds: float = _make_setting(0.0, "messages younger than this are missing from the search")
    message_searches_per_window: int = _make_setting(
        0, "searches of messages allowed in one rate window; more get 429 with Retry-After; 0 is unlimited"
    )
    messages_per_second: float = _make_setting(1.0, "segments that leave the queue each second, if it has a size")
    message_queue_size: int = _make_setting(
        0,
        "segments that the queue holds; more get 429 without Retry-After; 0 is unlimited; Bandwidth: 15 minutes' worth",
    )
    campaign_required: bool = _make_setting(True, "texts from a number on no campaign fail (4476)")
    ready_lag_seconds: float = _make_setting(0.0, "texts from a number imported so lately fail (4405)")
    partial_list: str = _make_setting(
        "all", "telephone numbers a PARTIAL order lists: all, or only the completed ones", ("all", "completed")
    )
    customer_order_id_match: str = _make_setting(
        "exact", "how the customerOrderId filter of the list matches", ("exact", "prefix")
    )
    drop_customer_order_id: str = _make_setting(
        "never",
        "lose the customer order id of new orders: never, when spelt CustomerOrderID as in the seed, or always",
        ("never", "CustomerOrderID", "always"),
    )
    echo_customer_order_id: bool = _make_setting(True, "answers show the stored customer order id")
    customer_order_id_case: str = _make_setting(
        "kept", "letters of the customer order id in answers; the search is not changed", ("kept", "upper", "lower")
    )
    contradict: str = _make_setting(
        "nothing",
        "answers with orders show another account, action, customer order id or site than was sent, or other numbers "
        "in place of the first and the last",
        ("nothing", "account", "action", "customer-order-id", "numbers", "site"),
    )
    search_lag_seconds: float = _make_setting(0.0, "orders younger than this are missing from lists")
    read_lag_seconds: float = _make_setting(0.0, "orders younger than this are 404 when read one by one")
    inventory_lag_seconds: float = _make_setting(
        0.0, "inventories and their counts are this old: what orders did shows so much later"
    )
    inventory_pages: str = _make_setting(
        "whole",
        "pages of an inventory: whole; empty, 204 as if there were no number; cut, half a page and no next one; "
        "repeat, the next page is the same again; skip, the next page is the one after it",
        ("whole", "empty", "cut", "repeat", "skip"),
    )
    clock_skew_seconds: float = _make_setting(
        0.0, "how far the clock of the Dashboard is ahead: the Date header, and every time in an answer", signed=True
    )
    strict_remove: bool = _make_setting(False, "refuse REMOVE orders that carry SipPeerId or LoaType (25020)")
    strict_content_type: bool = _make_setting(False, "answer 415 to an order whose Content-Type is not XML")
    max_numbers_per_order: int = _make_setting(5000, "more telephone numbers in one order are refused (5095)")
    token_lifetime_seconds: float = _make_setting(3600.0, "life of an OAuth2 token, sent as expires_in")
    expires_in: str = _make_setting(
        "sent", "the life of a token in its answer: sent, left out, or 0", ("sent", "missing", "zero")
    )
    basic_auth: bool = _make_setting(True, "API calls with Basic credentials are answered; from 2026-12-02 not")
    requests_per_minute: int = _make_setting(
        0, "API calls allowed in one rate window, tokens aside; more get 429; 0 is unlimited"
    )
    rate_window_seconds: float = _make_setting(60.0, "length of the rate window; shorter ones are for tests")
    links_base: str = _make_setting(
        "https://dashboard.bandwidth.invalid:443/v1.0",
        "base URL of the Links of inventory pages; a client must keep its own host instead",
    )

    def replace(self, changes: Mapping[str, object]) -> Settings:
        """A copy with ``changes`` applied; texts are converted to the setting's type.

        :raises ValueError: for an unknown name or an impossible value, naming it
        """
        known = {item.name: item for item in dataclasses.fields(self)}
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name!r}; known: {', '.join(known)}")
            values[name] = _convert(known[name], value)
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, object]:
        """Every setting as a JSON-ready value."""
        return dataclasses.asdict(self)


def _convert(item: dataclasses.Field[Any], value: object) -> object:
    choices = item.metadata["choices"]
    if item.metadata["several"]:
        words = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        texts = filter(None, (str(word).strip() for word in words))
        return ",".join(dict.fromkeys(_choose(item.name, text, choices) for text in texts))
    if choices:
        return _choose(item.name, value, choices)
    if isinstance(item.default, bool):
        return _parse_flag(item.name, value)
    if item.name == "callback_url" and value:
        check_loopback(str(value))
    if isinstance(item.default, str):
        return str(value)
    return _parse_number(item.name, value, whole=isinstance(item.default, int), signed=item.metadata["signed"])


def _choose(name: str, value: object, choices: Sequence[str]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")


def _parse_flag(name: str, value: object) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(f"{name}: {value!r} is neither true nor false")
    return text == "true"


def _parse_number(name: str, value: object, *, whole: bool, signed: bool) -> float:
    try:
        number = int(str(value)) if whole else float(str(value))
    except ValueError:
        raise ValueError(f"{name}: {value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: {value!r} is not finite")
    if number < 0 and not signed:
        raise ValueError(f"{name}: {value!r} is negative")
    return number
