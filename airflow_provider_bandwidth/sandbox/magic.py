"""Magic telephone numbers: exchange 555 with line 0001 to 0099, or 0901 on, in any area code, fails as documented."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """What a magic number does to its order."""

    NUMBER = "number"
    """this number fails, the others do not"""
    ORDER = "order"
    """the whole order ends FAILED, with the code on every number"""
    UNNAMED_FAILED = "unnamed-failed"
    """the whole order ends FAILED, with an error that names no number"""
    UNNAMED_PARTIAL = "unnamed-partial"
    """the order ends PARTIAL, with an error that names no number"""
    REFUSED = "refused"
    """the POST is answered 400 and no order is stored"""
    UNACCOUNTED = "unaccounted"
    """the number is done but missing from the order's list"""
    NEVER_ENDS = "never-ends"
    """the order stays PROCESSING"""
    EXCEPTION = "exception"
    """the order ends in the unknown status word EXCEPTION"""
    TRANSFER = "transfer"
    """the order stays PROCESSING until the losing carrier answers; after 47 hours it has denied"""


@dataclass(frozen=True, slots=True)
class MagicNumber:
    """One line number of exchange 555.

    :param line: the last four digits
    :param codes: error codes, in the order they are reported
    :param actions: the actions of orders it works on, OPTIONS being tnoptions; with another one the number behaves like
        any other
    :param checker_code: the code importTnChecker refuses it with; empty when the checker sees nothing wrong
    """

    line: str
    codes: tuple[str, ...]
    effect: Effect
    actions: tuple[str, ...]
    description: str
    checker_code: str = ""

    def text(self, telephone_number: str = "The number") -> str:
        """The error's description for a number."""
        return self.description.format(number=telephone_number)

    def to_dict(self) -> dict[str, object]:
        """The row as JSON-ready values."""
        return {**asdict(self), "description": self.text()}


_IMPORT: Final = ("IMPORT",)
_REMOVE: Final = ("REMOVE",)
_BOTH: Final = ("IMPORT", "REMOVE")
_OPTIONS: Final = ("OPTIONS",)
_ALL: Final = ("IMPORT", "REMOVE", "OPTIONS")

# Codes and their meaning: API reference, section 8 [err] [oas1]; the wording is ours.
_NUMBER_FAILURES: Final[tuple[tuple[str, str, tuple[str, ...], str, str], ...]] = (
    ("0001", "25060", _IMPORT, "19006", "The telephone number is Bandwidth's own and cannot be imported."),
    ("0002", "5124", _IMPORT, "", "The telephone number already exists in the system."),
    ("0003", "25070", _IMPORT, "19002", "The carrier of the telephone number could not be determined."),
    ("0004", "25080", _IMPORT, "19010", "The telephone number could not be provisioned."),
    ("0005", "25090", _IMPORT, "", "The telephone number could not be imported into the dashboard."),
    ("0006", "25030", _REMOVE, "", "The telephone number is not on this account."),
    ("0007", "25040", _REMOVE, "", "The telephone number could not be removed from the dashboard."),
    ("0008", "25120", _REMOVE, "", "The telephone number is not external."),
    ("0009", "25130", _BOTH, "", "The telephone number has no messaging settings."),
    ("0010", "5158", _REMOVE, "", "The telephone number was never imported."),
    ("0011", "5163", _REMOVE, "", "This account does not own messaging on the telephone number."),
    ("0012", "5160", _REMOVE, "", "Messaging on the telephone number is owned by another account."),
    ("0013", "5071", _REMOVE, "", "The telephone number is not on the system."),
    ("0014", "5074", _REMOVE, "", "The telephone number is not in service."),
    ("0015", "13517", _REMOVE, "", "The telephone number was not found on the system."),
    ("0016", "13518", _REMOVE, "", "The telephone number is not in service on the system."),
    ("0017", "15506", _REMOVE, "", "The telephone number is not in service on this account."),
    ("0018", "5076", _REMOVE, "", "The telephone number does not belong to this account."),
    ("0019", "15610", _REMOVE, "", "The telephone number was not found on this account."),
    ("0020", "13536", _REMOVE, "", "The telephone number is not on this site or SIP peer."),
    ("0021", "13552", _IMPORT, "", "The telephone number exists already."),
    ("0022", "7205", _ALL, "", "The telephone number is on another order that is being processed."),
    ("0023", "5218", _ALL, "", "The telephone number is being changed by another order."),
    ("0024", "7206", _IMPORT, "", "The telephone number is already in service."),
    ("0025", "7518", _ALL, "", "The telephone number is not active."),
    ("0026", "5070", _BOTH, "", "The telephone number is not valid."),
    ("0027", "5213", _BOTH, "", "The telephone number has an invalid format."),
    ("0028", "12512", _BOTH, "", "The telephone number given is invalid."),
    ("0029", "13512", _BOTH, "", "The telephone number is malformed."),
    ("0030", "9003", _BOTH, "", "Invalid telephone number."),
    ("0031", "7201", _BOTH, "", "{number} is not a valid NANP telephone number."),
    ("0032", "5126", _IMPORT, "", "Toll-free telephone numbers cannot be used here."),
    ("0033", "5165", _IMPORT, "", "NANP and international telephone numbers cannot be mixed."),
    ("0034", "19001", _IMPORT, "19001", "The telephone number is not in service."),
    ("0035", "19002", _IMPORT, "19002", "The telephone number is unknown to the inventory and to the number registry."),
    ("0036", "19003", _IMPORT, "19003", "The losing account does not release telephone numbers."),
    ("0037", "19004", _IMPORT, "19004", "The losing account has not been migrated."),
    ("0038", "19005", _IMPORT, "19005", "There is no messaging route for this kind of telephone number."),
    ("0039", "19006", _IMPORT, "19006", "Telephone numbers of Bandwidth cannot be imported by this account."),
    ("0040", "19008", _IMPORT, "19008", "Telephone numbers of others cannot be imported by this account."),
    ("0041", "19009", _IMPORT, "19009", "No messaging route is set up for this kind of telephone number."),
    ("0042", "19010", _IMPORT, "19010", "Provisioning of the telephone number failed."),
    ("0043", "19012", _IMPORT, "19012", "The account of the telephone number cannot be migrated."),
    ("0044", "7102", _IMPORT, "", "No telephone number was recognised."),
    ("0045", "7472", _IMPORT, "", "The telephone number is on a pending port-in order."),
    ("0046", "25070 25080", _IMPORT, "", "Failed twice over: carrier unknown, and not provisioned."),
    ("0047", "[int]", _BOTH, "", "A code that is not a number, as documentation placeholders have it."),
    ("0048", "", _BOTH, "", "An error that has a text and no code."),
    ("0049", "5128", _ALL, "", "Only messaging can be changed on the telephone number."),
    ("0901", "19014", _IMPORT, "", "The telephone number cannot be imported by this account now."),
    ("0902", "5226", _IMPORT, "", "The messaging route is missing."),
    ("0909", "5163", _OPTIONS, "", "This account does not own messaging on the telephone number."),
    ("0910", "12220", _OPTIONS, "", "The campaign was refused by the second aggregator."),
)

_ORDER_FAILURES: Final[tuple[tuple[str, str, tuple[str, ...], str], ...]] = (
    ("0050", "5016", _BOTH, "The site of the order is invalid."),
    ("0051", "25010", _BOTH, "The account may not use external telephone numbers."),
    ("0052", "25050", _IMPORT, "The account's configuration lacks an SPID."),
    ("0053", "25020", _REMOVE, "SipPeerId cannot be given with the action REMOVE."),
    ("0054", "25100", _IMPORT, "The LoaType SUBSCRIBER is not allowed on this account."),
    ("0055", "25110", _IMPORT, "The LoaType is missing or invalid."),
    ("0056", "25131", _IMPORT, "The name of the subscriber is too long."),
    ("0057", "5052", _BOTH, "The customer order id is invalid."),
    ("0058", "5022", _BOTH, "The site is missing."),
    ("0059", "7309", _BOTH, "The site is missing or invalid."),
    ("0060", "12016", _BOTH, "The site does not exist."),
    ("0061", "5020", _BOTH, "The site has no default SIP peer."),
    ("0062", "5023", _BOTH, "The SIP peer is invalid."),
    ("0063", "7312", _BOTH, "The SIP peer does not belong to the site."),
    ("0064", "5094", _BOTH, "The site is locked."),
    ("0065", "12054", _BOTH, "The site is locked until its contract papers are complete."),
    ("0066", "5012", _BOTH, "The account is locked."),
    ("0067", "5000", _BOTH, "The account is invalid."),
    ("0068", "5051", _BOTH, "The user may not do this."),
    ("0069", "12017", _BOTH, "The product is not on the account."),
    ("0070", "5072", _BOTH, "There are duplicate telephone numbers."),
    ("0071", "5073", _BOTH, "The order has no telephone numbers."),
    ("0072", "5077", _BOTH, "None of the telephone numbers is valid."),
    ("0073", "5095", _BOTH, "The order has too many telephone numbers."),
    ("0074", "5114", _IMPORT, "Messaging is not enabled on the account."),
    ("0075", "5145", _IMPORT, "Messaging is not enabled on the location."),
    ("0076", "5157", _IMPORT, "The messaging route is missing."),
    ("0077", "5149", _IMPORT, "Importing telephone numbers is not enabled on the account."),
    ("0078", "19007", _IMPORT, "The account has no contract for external telephone numbers."),
    ("0079", "5002", _ALL, "The order could not be validated."),
    ("0080", "5003", _ALL, "The order could not be provisioned."),
    ("0081", "1019", _BOTH, "Bad request."),
    ("0082", "5086", _BOTH, "The request timed out."),
    ("0083", "7000", _BOTH, "A service behind this one timed out."),
    ("0084", "1000", _BOTH, "Internal error."),
    ("0085", "1010", _BOTH, "Internal error; give the id 5f0d-17 to support."),
    ("0086", "1003", _BOTH, "A field is missing."),
    ("0087", "7311", _BOTH, "The SIP peer is missing or invalid."),
    ("0088", "5214", _BOTH, "No valid telephone number is left."),
    ("0089", "5211", _BOTH, "The order exceeds the number of telephone numbers allowed."),
    ("0903", "19005", _IMPORT, "There is no messaging route for External Third Party TNs."),
    ("0904", "5061", _BOTH, "The site of the order is invalid."),
    ("0911", "5133", _OPTIONS, "The location is not set up for A2P."),
)

_SPECIAL: Final[tuple[MagicNumber, ...]] = (
    MagicNumber("0090", ("5003",), Effect.UNNAMED_FAILED, _ALL, "The order could not be provisioned."),
    MagicNumber("0091", ("5003",), Effect.UNNAMED_PARTIAL, _ALL, "A part of the order could not be provisioned."),
    MagicNumber("0092", ("25010",), Effect.REFUSED, _ALL, "The account may not use external telephone numbers."),
    MagicNumber("0093", ("7201",), Effect.REFUSED, _BOTH, "{number} is not a valid NANP telephone number."),
    MagicNumber("0094", (), Effect.UNACCOUNTED, _BOTH, "Done, but missing from the order's telephone numbers."),
    MagicNumber("0095", (), Effect.NEVER_ENDS, _ALL, "The order never ends."),
    MagicNumber("0096", (), Effect.EXCEPTION, _ALL, "The order ends in a status word that is not documented."),
    MagicNumber("0097", ("5012",), Effect.REFUSED, _ALL, "The account is locked."),
    MagicNumber("0098", ("12017",), Effect.REFUSED, _BOTH, "The product is not on the account."),
    MagicNumber("0099", ("1010",), Effect.REFUSED, _ALL, "Internal error; give the id 5f0d-17 to support."),
    MagicNumber("0905", ("5149",), Effect.REFUSED, _IMPORT, "Importing telephone numbers is not enabled."),
    MagicNumber("0906", ("5150",), Effect.REFUSED, _IMPORT, "The user may not import telephone numbers."),
    MagicNumber("0907", ("5151",), Effect.REFUSED, _IMPORT, "The user may not handle letters of authorization."),
    # Which code a denial gives is unknown (reference, 18.4).
    MagicNumber("0908", ("5160",), Effect.TRANSFER, _IMPORT, "The losing carrier did not approve the transfer."),
)

#: Every magic number by its line number.
MAGIC_NUMBERS: Final[dict[str, MagicNumber]] = {
    row.line: row
    for row in sorted(
        (
            *(
                MagicNumber(line, tuple(codes.split(" ")), Effect.NUMBER, actions, description, checker_code)
                for line, codes, actions, checker_code, description in _NUMBER_FAILURES
            ),
            *(
                MagicNumber(line, (code,), Effect.ORDER, actions, description)
                for line, code, actions, description in _ORDER_FAILURES
            ),
            *_SPECIAL,
        ),
        key=lambda row: row.line,
    )
}


def find_magic_number(telephone_number: str, action: str | None = None) -> MagicNumber | None:
    """The row for a ten-digit number, if it is magic for ``action`` (any action when ``None``)."""
    if telephone_number[3:6] != "555":
        return None
    row = MAGIC_NUMBERS.get(telephone_number[6:])
    return row if row is not None and (action is None or action in row.actions) else None
