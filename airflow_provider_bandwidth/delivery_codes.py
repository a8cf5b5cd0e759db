"""What an error code of a text message means: why it was not delivered, or not taken. Pure.

Three tables, since the same code may stand in more than one: Messaging API v2 [msgdocs], the answers of the legacy
International A2P API, and that API's delivery reports [intl]. Codes for orders are in :mod:`.error_codes`.

Meanings follow Bandwidth's lists in our words; the advice is our judgement. The digits of a Messaging API code say
something by themselves: the first is 4 for the client, 5 for the service and 9 for "unknown", the second 6 or 7 for
the carrier, else Bandwidth's. So a code that is not in the table still has its group.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class MessageApi(StrEnum):
    """Whose code it is."""

    MESSAGING = "messaging"
    """Messaging API v2: in a delivery callback, and in the search for messages"""
    INTERNATIONAL_A2P = "international_a2p"
    """the answer to a message sent through the legacy International A2P API"""
    INTERNATIONAL_A2P_DLR = "international_a2p_dlr"
    """the delivery report (DLR) of that API"""


class DeliveryGroup(StrEnum):
    """Who found fault, and with what."""

    BANDWIDTH_CLIENT = "Bandwidth refused the message"
    CARRIER_CLIENT = "the carrier refused the message"
    BANDWIDTH_SERVICE = "Bandwidth could not send it"
    CARRIER_SERVICE = "the carrier could not deliver it"
    AMBIGUOUS = "unknown: it may have arrived"
    HANDSET = "the receiver's phone or subscription"


class Resend(StrEnum):
    """Whether to send the same message again."""

    NO = "not as it is"
    """something has to be changed first"""
    LATER = "with pauses"
    """yes, after a while"""
    ONCE = "once"
    """one more time"""
    NEXT_DAY = "the next day"
    """a daily limit was reached"""
    NEVER = "do not: it may have arrived"
    """sending it again may deliver it twice"""


@dataclass(frozen=True, slots=True)
class DeliveryCode:
    """One code.

    :param api: whose code it is
    :param code: the code, as text
    :param group: who found fault, and with what
    :param meaning: what it says
    :param resend: whether to send the same message again
    :param billed: whether the message is billed all the same; ``None`` where Bandwidth does not say
    :param advice: what to do, for whoever runs the DAG
    """

    api: MessageApi
    code: str
    group: DeliveryGroup
    meaning: str
    resend: Resend
    billed: bool | None
    advice: str

    def to_dict(self) -> dict[str, str | bool | None]:
        """The fields as JSON scalars."""
        return asdict(self)


#: Bandwidth gave up waiting for the carrier's receipt, about two hours after sending [msgdocs].
NO_RECEIPT: Final = "9902"

_BC, _CC = DeliveryGroup.BANDWIDTH_CLIENT, DeliveryGroup.CARRIER_CLIENT
_BS, _CS = DeliveryGroup.BANDWIDTH_SERVICE, DeliveryGroup.CARRIER_SERVICE
_PHONE: Final = DeliveryGroup.HANDSET
_SUPPORT: Final = "ask Bandwidth, with the message id"
_CAMPAIGN: Final = "assign the number to a registered campaign, then wait until it is provisioned"
_NEW_NUMBER: Final = "right after an import wait some minutes; else check that the number is in this account"

#: What a group says of its codes: whether to send again, whether the message is billed.
_GROUPS: Final[dict[DeliveryGroup, tuple[Resend, bool]]] = {
    _BC: (Resend.NO, False),
    _CC: (Resend.NO, True),
    _BS: (Resend.LATER, False),
    _CS: (Resend.ONCE, True),
    DeliveryGroup.AMBIGUOUS: (Resend.NEVER, True),
}

# Codes that share a meaning share a row.
_MESSAGING: Final[tuple[tuple[str, str, str], ...]] = (
    ("4001", "the service is not allowed", "ask Bandwidth to enable messaging for the account"),
    ("4301", "the text's encoding is wrong", "send plain text"),
    ("4302", "the sender's number is malformed", "give E.164, like +19195550101"),
    ("4303", "the receiver's number is malformed", "give E.164, like +19195550150"),
    ("4350", "the message is malformed for its destination", _SUPPORT),
    ("4360", "its expiration had passed", "give a later expiration, or none"),
    ("4401", "a loop, or no route", _SUPPORT),
    ("4403", "this sender may not send", _NEW_NUMBER),
    ("4404", "this receiver is not allowed", "take the number off the list"),
    ("4405", "the sender's number is not allocated", _NEW_NUMBER),
    ("4406", "the receiver's number is not allocated", "take the number off the list"),
    ("4407", "no account is defined for the sender", _NEW_NUMBER),
    ("4408", "no account is defined for the receiver", "take the number off the list"),
    ("4409", "the sender's profile is not valid", _SUPPORT),
    ("4410", "the media could not be downloaded", "check that its URL answers without a login"),
    ("4411", "the media is too large", "send at most about 3.75 MB in all"),
    ("4412", "the media's content is not valid", "send a type that MMS takes"),
    ("4420 4421", "no route to the destination", "take the number off the list; or " + _SUPPORT),
    ("4431", "short codes are not allowed", _SUPPORT),
    ("4432", "the country is not allowed", "ask Bandwidth to enable the country"),
    ("4433 4434", "toll-free is not allowed here", "send from a local number"),
    ("4435", "too many receivers", "at most 10 in one group message"),
    ("4451", "the user is wrong", "check the account and its credentials"),
    ("4452", "the application is wrong", "give the application that is tied to the sender's location"),
    ("4470", "Bandwidth takes it for spam; this one is billed", "change the text; avoid shortened links"),
    ("4476", "the sender's number is on no campaign", _CAMPAIGN),
    ("4481", "the sender is on a block list", _SUPPORT),
    ("4482", "the receiver is on a block list", "take the number off the list"),
    ("4492", "emergency numbers take no texts", "take the number off the list"),
    ("4493", "not authorized", _SUPPORT),
    ("4700 4701 4702", "the destination cannot take it", "take the number off the list if it happens again"),
    ("4711 4712", "the carrier does not take this media", "send a smaller or another file"),
    ("4720", "the destination is not valid", "correct the number at its source"),
    ("4721", "the destination's number is deactivated", "take the number off the list"),
    ("4730", "no route to the destination's carrier", "take the number off the list; or " + _SUPPORT),
    ("4740", "the source is not valid", "check the sender's number"),
    ("4750 4751 4752 4753", "the destination rejected it", "check size and form of the message"),
    ("4770", "the carrier takes it for spam", "change the text"),
    ("4771", "the text has a shortened link", "write the full link"),
    ("4772", "the carrier blocks the sender's number", _SUPPORT),
    ("4773", "the campaign is not active", "see in the registry why the campaign is not active"),
    ("4774", "the industry's routing database does not have the number", _SUPPORT),
    ("4775", "the receiver has opted out", "take the number off the list: the law asks for it"),
    (
        "4780 4781 4785",
        "more messages than the carrier allows",
        "send the rest tomorrow, or raise its class",
    ),
    ("4790 4791 4792 4793", "the short code or campaign is not allowed or expired", _SUPPORT),
    ("4795", "the toll-free number is not verified", "have the toll-free number verified"),
    ("5100 5101 5106 5111", "a temporary fault at Bandwidth", "send it again after a pause"),
    ("5201 5211 5220 5231", "a temporary fault at Bandwidth", "send it again after a pause"),
    ("5229", "number and campaign are still being provisioned", _CAMPAIGN),
    ("5500 5501 5999", "the message could not be sent", "send it again after a pause"),
    ("5600", "the carrier's queue is full", "send it again after a pause"),
    ("5610 5630 5650", "the carrier could not take it", "send it once more"),
    ("5620", "the carrier's fault; at T-Mobile the number may not be registered", _CAMPAIGN),
    (NO_RECEIPT, "no receipt came from the carrier in time", "ask the receiver; some carriers send no receipts"),
    ("9999", "unknown", _SUPPORT),
)

#: Where a code differs from its group.
_RESEND: Final = {"4780": Resend.NEXT_DAY, "4781": Resend.NEXT_DAY, "4785": Resend.NEXT_DAY}
_BILLED: Final = {"4470": True}

_A2P: Final[tuple[tuple[str, str, Resend, str], ...]] = (
    ("101", "an internal error", Resend.LATER, "send it again after a pause"),
    ("102", "the encoding is unknown, or the text is not in it", Resend.NO, "correct the text"),
    ("103", "user or password unknown", Resend.NO, "check login and password of the connection"),
    ("104", "this address may not send", Resend.NO, "tell Bandwidth the addresses of your workers"),
    ("105", "too fast", Resend.LATER, "lower max_segments_per_minute"),
    ("106", "the sender's words are not allowed", Resend.NO, "give another sender"),
    ("107", "the sender has characters that are not allowed", Resend.NO, "give another sender"),
    ("108", "a part is too long", Resend.NO, "shorten the text"),
    ("109", "the content is malformed", Resend.NO, "a bug of this provider: report it"),
    ("110", "a mandatory field is missing", Resend.NO, "a bug of this provider: report it"),
    ("111", "an unknown kind of message", Resend.NO, "a bug of this provider: report it"),
    ("112", "a field has a wrong value", Resend.NO, "read the text"),
    ("113", "no credit", Resend.NO, "top up the account"),
    ("114", "no route", Resend.NO, "ask Bandwidth for the destination"),
    ("115", "the text cannot be split, or has too many parts", Resend.NO, "shorten the text"),
)

_DLR: Final[tuple[tuple[str, str, Resend, str], ...]] = (
    ("0", "no error", Resend.NO, "nothing to do"),
    ("1 9", "the subscriber is unknown or illegal", Resend.NO, "take the number off the list"),
    ("11", "texts are not provisioned", Resend.NO, "take the number off the list"),
    ("13 15", "barred, or in a closed user group", Resend.NO, "take the number off the list"),
    ("19 20 21", "the phone takes no texts, or failed", Resend.ONCE, "send it once more"),
    ("22", "the phone's memory is full", Resend.LATER, "send it again after a pause"),
    ("29 30", "the receiver is absent or busy", Resend.LATER, "send it again after a pause"),
    ("36", "a network fault", Resend.LATER, "send it again after a pause"),
    ("44", "illegal equipment", Resend.NO, "take the number off the list"),
    ("60 80 85", "the phone did not answer", Resend.LATER, "send it again after a pause"),
    ("61 72", "congestion", Resend.LATER, "send it again after a pause"),
    ("63 64 70", "the network did not answer", Resend.LATER, "send it again after a pause"),
    ("75 86 87 88", "the phone left the data network", Resend.LATER, "send it again after a pause"),
    ("81 82 83 84", "the phone left the network, or may not roam", Resend.LATER, "send it again after a pause"),
    ("89 90", "the subscriber is not identified", Resend.LATER, "send it again after a pause"),
    ("112", "the sender has no credit", Resend.NO, "top up the account"),
    ("113", "the receiver has no credit", Resend.LATER, "send it again after a pause"),
    ("114", "a fault of the prepaid system", Resend.LATER, "send it again after a pause"),
    ("500", "another error", Resend.ONCE, "send it once more"),
    ("988 990", "the number could not be looked up", Resend.LATER, "send it again after a pause"),
    ("989", "the supplier rejected it", Resend.NO, _SUPPORT),
    ("991", "a text filter rejected it", Resend.NO, "change the text"),
    ("992", "ported numbers are not supported", Resend.NO, "take the number off the list"),
    ("993", "the sender is on a block list", Resend.NO, _SUPPORT),
    ("994", "no credit", Resend.NO, "top up the account"),
    ("995 996", "undeliverable, or expired", Resend.ONCE, "send it once more"),
    ("997", "the receiver is on a block list", Resend.NO, "take the number off the list"),
    ("998", "no route", Resend.NO, "ask Bandwidth for the destination"),
    ("999", "repeated: it looks like a loop", Resend.NO, "stop sending the same text to this number"),
)

_PHONE_CODES: Final = frozenset({"1", "9", "11", "13", "15", "19", "20", "21", "22", "29", "30", "44", "113"})


def _group_of(code: str) -> DeliveryGroup | None:
    """What the digits of a Messaging API code say."""
    if not re.fullmatch(r"[459]\d{3}", code, re.ASCII):
        return None
    if code[0] == "9":
        return DeliveryGroup.AMBIGUOUS
    is_carrier = code[1] in "67"
    if code[0] == "4":
        return _CC if is_carrier else _BC
    return _CS if is_carrier else _BS


def _of_messaging(code: str, group: DeliveryGroup, meaning: str, advice: str) -> DeliveryCode:
    resend, billed = _GROUPS[group]
    return DeliveryCode(
        MessageApi.MESSAGING,
        code,
        group,
        meaning,
        _RESEND.get(code, resend),
        _BILLED.get(code, billed),
        advice,
    )


def _of_a2p_dlr(code: str, meaning: str, resend: Resend, advice: str) -> DeliveryCode:
    group = _PHONE if code in _PHONE_CODES else _CS if resend is not Resend.NO else _CC
    return DeliveryCode(MessageApi.INTERNATIONAL_A2P_DLR, code, group, meaning, resend, None, advice)


def _make_tables() -> dict[MessageApi, dict[str, DeliveryCode]]:
    messaging = {}
    for codes, meaning, advice in _MESSAGING:
        for code in codes.split():
            group = _group_of(code)
            assert group is not None
            messaging[code] = _of_messaging(code, group, meaning, advice)
    a2p = {
        code: DeliveryCode(
            MessageApi.INTERNATIONAL_A2P,
            code,
            _BS if resend is Resend.LATER else _BC,
            meaning,
            resend,
            False,
            advice,
        )
        for code, meaning, resend, advice in _A2P
    }
    dlr = {
        code: _of_a2p_dlr(code, meaning, resend, advice)
        for codes, meaning, resend, advice in _DLR
        for code in codes.split()
    }
    return {
        MessageApi.MESSAGING: messaging,
        MessageApi.INTERNATIONAL_A2P: a2p,
        MessageApi.INTERNATIONAL_A2P_DLR: dlr,
    }


DELIVERY_CODES: Final[dict[MessageApi, dict[str, DeliveryCode]]] = _make_tables()


def explain_delivery_code(code: str | int, api: MessageApi = MessageApi.MESSAGING) -> DeliveryCode | None:
    """What is known of a code; of an unknown code of the Messaging API, what its digits say.

    :param api: whose code it is
    :return: ``None`` for a code of which nothing is known
    """
    text = str(code).strip()
    known = DELIVERY_CODES[api].get(text)
    if known is not None or api is not MessageApi.MESSAGING:
        return known
    group = _group_of(text)
    return None if group is None else _of_messaging(text, group, "not in Bandwidth's list", _SUPPORT)
