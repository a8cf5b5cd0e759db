"""What Bandwidth's error codes mean for orders of hosted telephone numbers, and what to do about each. Pure.

Meanings follow Bandwidth's published lists ([err], [oas1]) in our words; scope, retry and advice are our judgement
where those lists are silent. Codes are not unique over the API: 5061 is a missing order in one place, and a wrong site
in another. So a code is looked up together with the order API that gave it; a row of all order APIs counts where that
one has none. Texts carry filled-in values, so the description that came with an error always counts for more.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

#: In place of an order API: all of them.
ALL_ORDERS: Final = "orders"


class Scope(StrEnum):
    """What an error is about."""

    ORDER = "order"
    """the whole order, even where Bandwidth attaches it to every number"""
    NUMBER = "number"
    """one telephone number"""


class Retry(StrEnum):
    """Whether the same request may succeed another time."""

    NO = "no"
    """something has to be changed first"""
    LATER = "later"
    """yes, after a while"""
    SUPPORT = "support"
    """after Bandwidth's people have changed something"""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code of Bandwidth's.

    :param api: the order API that gives it; ``orders`` for all of them
    :param code: the code, as text: codes need not be numeric
    :param meaning: what it says
    :param scope: what it is about
    :param retry: whether the same request may succeed another time
    :param advice: what to do, for whoever runs the DAG
    """

    api: str
    code: str
    meaning: str
    scope: Scope
    retry: Retry
    advice: str

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON scalars."""
        return asdict(self)


_O, _N = Scope.ORDER, Scope.NUMBER
_NO, _LATER, _SUPPORT = Retry.NO, Retry.LATER, Retry.SUPPORT

_Rows = tuple[tuple[str, str, Scope, Retry, str], ...]

# Codes that share a meaning share a row.
_ROWS: Final[_Rows] = (
    ("25000", "the action is missing or neither IMPORT nor REMOVE", _O, _NO, "a bug of this provider: report it"),
    ("25010", "the account may not use external numbers", _O, _SUPPORT, "ask Bandwidth to enable external TNs"),
    ("25020", "an element may not go with REMOVE", _O, _NO, "leave SipPeerId and LoaType out of removals"),
    ("25030", "a number is not in this account", _N, _NO, "take the number off the list, or check the account"),
    ("25040", "the number could not be removed", _N, _LATER, "remove it again; if it fails again, ask Bandwidth"),
    ("25050", "the account's configuration lacks an SPID", _O, _SUPPORT, "ask Bandwidth to complete the account"),
    ("25060", "the number is Bandwidth's own", _N, _NO, "use it as a normal number, or tell its owner; not importable"),
    ("25070", "the carrier cannot be determined", _N, _LATER, "check the number; if just ported, try in some days"),
    ("25080", "the number could not be provisioned", _N, _SUPPORT, "import it once more later, then ask Bandwidth"),
    ("25090", "the number could not be imported", _N, _LATER, "import it once more, then ask Bandwidth"),
    ("25100", "LoaType SUBSCRIBER is not allowed", _O, _NO, "send CARRIER, or ask Bandwidth for IMPORT_TNS"),
    ("25110", "LoaType is missing or unknown", _O, _NO, "send CARRIER or SUBSCRIBER"),
    ("25120", "the number is not external", _N, _NO, "Bandwidth owns it: disconnect it instead of removing it"),
    ("25130", "the number has no messaging settings", _N, _SUPPORT, "have messaging set up on the location"),
    ("25131", "the subscriber's name is too long", _O, _NO, "45 characters at most"),
    ("5124 13552", "the number exists already", _N, _NO, "hosted elsewhere; ignore the code if you know it is yours"),
    ("5081", "action absent, or a number's format", _O, _NO, "read the text: the lists disagree about this code"),
    ("5052 7318", "the customer order id is not acceptable", _O, _NO, "40 letters, digits, dashes and spaces at most"),
    ("5016", "the site is invalid; may show up late, on every number", _O, _NO, "correct site_id"),
    ("5022 12522", "the site is missing", _O, _NO, "set site_id on the task or the connection"),
    ("7309 12016 12527", "the site does not exist or is not valid", _O, _NO, "correct site_id, or the account"),
    ("5020 7310", "the site has no default SIP peer", _O, _NO, "set sip_peer_id"),
    ("5023 7311 7312 13563", "the SIP peer is unknown or of another site", _O, _NO, "correct sip_peer_id"),
    ("5094 12054", "the site is locked", _O, _SUPPORT, "ask Bandwidth; contract papers may be missing"),
    ("5012", "the account is locked", _O, _SUPPORT, "ask Bandwidth"),
    ("5000 5210 12020", "the account is unknown", _O, _NO, "correct account_id"),
    ("5051 1001", "this user may not do that", _O, _NO, "give the API user the role"),
    ("12017 12019 12035 12036 12055 12733 12952", "the account lacks a product", _O, _SUPPORT, "ask Bandwidth for it"),
    ("5070 5213 12512 13512 9003", "the number is not valid", _N, _NO, "correct the number at its source"),
    ("7201", "not a North American number; it refuses the whole order", _N, _NO, "correct or drop the number"),
    ("5072 5093 7360 13511", "a number occurs twice", _O, _NO, "drop duplicates"),
    ("5073 5212 7316 12686 15611", "the order has no numbers", _O, _NO, "do not send empty orders"),
    ("5077 5008 5214", "no number of the order is valid", _O, _NO, "correct the numbers at their source"),
    ("5095 5211 7314 15607", "too many numbers in one order", _O, _NO, "lower chunk_size"),
    ("5126", "toll-free numbers cannot be used", _N, _NO, "leave toll-free numbers out"),
    ("5165", "North American and other numbers are mixed", _O, _NO, "send North American numbers only"),
    ("5071 5074 13517 13518 15506", "not on the system or not in service", _N, _NO, "for a removal: done already"),
    ("5076 15610 13536", "not in this account, site or peer", _N, _NO, "check the account, the site and the peer"),
    ("5158", "the number was never imported", _N, _NO, "for a removal: done already"),
    ("5160 5161 5163", "another account has messaging on it", _N, _NO, "lost by a port; take it off the list"),
    ("7205 5218", "another order is working on the number", _N, _LATER, "wait for that order, then run again"),
    ("7206", "the number is in service already", _N, _NO, "nothing to do"),
    ("7518", "the number is not active", _N, _LATER, "its carrier has to activate it"),
    ("7504 7600 17037 5125", "external numbers cannot be used there", _O, _NO, "an error of another kind of order"),
    ("5127 5128 5130 5224", "external numbers cannot be changed that way", _N, _NO, "only an external order can"),
    ("5114 5145 5166 9010 9011", "messaging is not enabled", _O, _SUPPORT, "enable SMS on the location"),
    ("5156 5157 5216 5226 9012", "the messaging route is missing", _O, _SUPPORT, "ask Bandwidth for the route"),
    ("5149 5150 5151 5152", "importing, or its LOA, is not allowed", _O, _SUPPORT, "ask Bandwidth"),
    ("19001", "the number is not in service", _N, _NO, "check the number with its carrier"),
    ("19002", "the number registry does not know the number", _N, _NO, "a wrong number: correct it at its source"),
    ("19003 19004 19012", "the account that has the number does not release it", _N, _SUPPORT, "ask Bandwidth"),
    ("19005 19009", "no messaging route for this kind of number", _N, _SUPPORT, "ask Bandwidth for the route"),
    ("19006", "Bandwidth's own numbers cannot be imported", _N, _NO, "use it as a normal number; not importable"),
    ("19007", "no contract for external numbers", _O, _SUPPORT, "ask Bandwidth to enable external TNs"),
    ("19008", "numbers of others cannot be imported here", _N, _NO, "take the number off the list"),
    ("19014", "the number cannot be imported by this account now", _N, _SUPPORT, "ask Bandwidth why"),
    ("19010", "the number could not be provisioned", _N, _SUPPORT, "import it once more later, then ask Bandwidth"),
    ("7102 7472", "a port-in's code in an import's answer", _N, _NO, "read the text"),
    ("5002 1019", "the request is not valid", _O, _NO, "read the text"),
    ("5003", "provisioning failed", _O, _LATER, "read the text; run again"),
    ("5086 7000", "the request timed out at Bandwidth", _O, _LATER, "run again: the order is looked up first"),
    ("5035 5061 7200 1008", "no such order, or no order id", _O, _NO, "check the order id and the account"),
    ("1000 1010", "an internal error at Bandwidth", _O, _LATER, "run again; keep the id in the text for support"),
    ("1003 1011 1012 1013 1014", "a field is missing or wrong", _O, _NO, "read the text"),
)

# The codes that fit importTnOrders and removeImportedTnOrders [err] [iris20]. Which of them they use is not documented.
_IMPORT_ROWS: Final[_Rows] = (
    ("7102 7122 7316", "the order has no numbers", _O, _NO, "do not send empty orders"),
    ("7386 5181", "numbers of several kinds are mixed, such as toll-free ones", _O, _NO, "leave toll-free numbers out"),
    ("7334 1003", "SiteId or TelephoneNumbers is missing", _O, _NO, "set site_id on the task or the connection"),
    ("5061", "the site is invalid; may show up late, on every number", _O, _NO, "correct site_id"),
    ("7104 7105 7106", "the subscriber, its name or type is missing", _O, _NO, "give subscriber with a name"),
    ("7107 7108 7109 7110 7111 7112", "the address is incomplete", _O, _NO, "complete the service_address"),
    ("7214", "the ZIP code is not valid", _O, _NO, "correct zip in the subscriber's service_address"),
    ("7329 7330", "the street's direction is not valid", _O, _NO, "correct street_name in the service_address"),
    ("7395", "the state code is not valid", _O, _NO, "correct state_code in the subscriber's service_address"),
    ("7115", "who signed is missing", _O, _NO, "give loa_authorizing_person"),
    ("7357 7388", "the name of who signed is too long", _O, _NO, "shorten loa_authorizing_person to 15 characters"),
    ("5149", "importing is not enabled for the account", _O, _SUPPORT, "ask Bandwidth for IMPORT_TNS"),
    ("5150", "this user may not import", _O, _NO, "give the API user the role"),
    ("5151 5152 5155", "this user may not handle LOA files", _O, _NO, "give the API user the role; the order goes on"),
    ("7638", "the LOA file's type is not taken", _O, _NO, "send a PDF, or a TIFF"),
    ("7639 7640 7641", "the LOA file's documentType is wrong", _O, _NO, "a bug of this provider: report it"),
    ("7800", "the LOA file's name is too long", _O, _NO, "50 characters at most"),
    ("19005 19009", "no messaging route for this kind of number", _N, _SUPPORT, "ask Bandwidth for loa_type's route"),
)
_E164_ROWS: Final[_Rows] = (("1022", "a number is not in E.164", _O, _NO, "a bug of this provider: report it"),)
_TN_OPTION_ROWS: Final[_Rows] = (
    *_E164_ROWS,
    ("5128", "only SMS may be changed on a hosted number", _N, _SUPPORT, "ask Bandwidth to assign its campaign"),
    ("5160 5161 5163", "this account does not own messaging on it", _N, _NO, "import it, or it was lost by a port"),
    ("5133 5136 5139", "location or account is not set up for campaigns", _O, _SUPPORT, "ask Bandwidth to turn A2P on"),
    ("12220", "the second aggregator refused the campaign", _O, _SUPPORT, "ask Bandwidth"),
    ("5132", "SMS has to be on for a campaign", _N, _NO, "turn SMS on for the number, or for the location"),
    ("5134 5138", "the action of the A2P settings is wrong", _O, _NO, "give campaign_id with asSpecified only"),
    ("5225", "it cannot be switched off while the location has it", _N, _NO, "switch it off at the location"),
    ("12128", "this account may not use the campaign", _O, _NO, "check campaign_id, and whom it was shared with"),
    ("12189", "the campaign is not found", _O, _NO, "correct campaign_id"),
    ("12192", "the campaign is not active", _O, _LATER, "wait until the registry says that it is registered"),
)


def _read_rows(api: str, rows: _Rows) -> Mapping[str, ErrorCode]:
    return MappingProxyType(
        {
            code: ErrorCode(api, code, meaning, scope, retry, advice)
            for codes, meaning, scope, retry, advice in rows
            for code in codes.split()
        }
    )


ERROR_CODES: Final[Mapping[str, Mapping[str, ErrorCode]]] = MappingProxyType(
    {
        ALL_ORDERS: _read_rows(ALL_ORDERS, _ROWS),
        "importTnOrders": _read_rows("importTnOrders", _IMPORT_ROWS),
        "importTnOrders/messaging": _read_rows("importTnOrders/messaging", _E164_ROWS),
        "tnoptions": _read_rows("tnoptions", _TN_OPTION_ROWS),
    }
)
"""Every code this package has advice for, by order API. What an API shares with all others is not in its own table, and
``importTnOrders/messaging`` shares the table of ``importTnOrders``."""


def _find_tables(order_api: str) -> Iterator[Mapping[str, ErrorCode]]:
    """The tables of an order API: its own, that of the API it is a form of, and that of all orders."""
    for name in dict.fromkeys((order_api, order_api.partition("/")[0], ALL_ORDERS)):
        if name in ERROR_CODES:
            yield ERROR_CODES[name]


def explain_error_code(code: str | int, order_api: str | None = None) -> ErrorCode | None:
    """What is known of a code; ``None`` for a code without advice.

    :param order_api: whose code it is; if that is not known, what holds for all, or else for any
    """
    tables = ERROR_CODES.values() if order_api is None else _find_tables(order_api)
    text = str(code).strip()
    return next((table[text] for table in tables if text in table), None)


def list_error_codes(order_api: str) -> list[ErrorCode]:
    """Every code that an order API may give; for ``orders`` those of all, each API's own behind those they share."""
    if order_api == ALL_ORDERS:
        return [known for table in ERROR_CODES.values() for known in table.values()]
    found: dict[str, ErrorCode] = {}
    for table in _find_tables(order_api):
        found = {**table, **found}
    return list(found.values())


def parse_error_codes(
    codes: Iterable[str | int] | str | int | None, name: str = "ignore_error_codes"
) -> tuple[str, ...]:
    """Error codes as a user may give them, each once: one code, text with several, or any iterable; ``None`` is none.

    :param name: the parameter, for the error
    :raises ValueError: something that is no error code, with what to give instead
    """
    if codes is None:
        return ()
    try:
        values: list[object] = [codes] if isinstance(codes, str | bytes | int) else list(codes)
    except TypeError:
        values = [codes]
    parsed: dict[str, None] = {}
    for value in values:
        is_code = isinstance(value, str | int) and not isinstance(value, bool)
        for code in re.split(r"[\s,;]+", str(value).strip()):
            if not is_code or not re.fullmatch(r"\w[\w.-]*", code, re.ASCII):
                raise ValueError(
                    f"{name}: expected error codes like 5124, got {reprlib.repr(value)}. Give the codes themselves: "
                    "this parameter takes neither templates nor the output of a task."
                )
            parsed[code] = None
    return tuple(parsed)
