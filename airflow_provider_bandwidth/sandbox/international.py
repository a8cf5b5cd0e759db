"""International A2P, which Bandwidth calls legacy: JSON with the credentials in it (reference, section 9)."""

from __future__ import annotations

import json
import re
import uuid
from http import HTTPStatus
from typing import Any, Final

from airflow_provider_bandwidth.sandbox.callbacks import Target
from airflow_provider_bandwidth.sandbox.calls import Call, make_routes
from airflow_provider_bandwidth.sandbox.http import Answer
from airflow_provider_bandwidth.sandbox.segments import count_segments, is_gsm
from airflow_provider_bandwidth.sandbox.settings import check_loopback

#: The status of a refusal.
_REFUSED: Final = 420
_MOST_PARTS: Final = 10
_MANDATORY: Final = ("type", "auth", "sender", "receiver", "dcs", "text", "dlrMask", "dlrUrl")
_SENDER: Final = re.compile(r"[^$@\[\]{}\\^_`|~€]+")
_LONGEST_SENDER: Final = {False: 11, True: 16}
#: Bits of dlrMask.
_BITS: Final = {"DELIVERED": 1, "UNDELIVERED": 2, "BUFFERED": 4, "SENT_TO_SMSC": 8, "REJECTED": 16}
_LARGEST_MASK: Final = sum(_BITS.values())

_REFUSALS: Final = {
    "101": "An application error.",
    "102": "The encoding is not supported, or the text is not in it.",
    "103": "User or password is unknown.",
    "104": "The address of the sender is not allowed.",
    "105": "Too fast.",
    "106": "The sender is blacklisted.",
    "107": "The sender is invalid.",
    "108": "The message is too long.",
    "109": "The content has a bad format.",
    "110": "A mandatory parameter is missing.",
    "111": "The type of the message is unknown.",
    "112": "A parameter has a bad value.",
    "113": "There is no credit.",
    "114": "There is no route.",
    "115": "The message cannot be split.",
}
#: Codes of a receipt that the network or the phone gives, and those that the service gives.
_UNDELIVERED: Final = frozenset(
    (1, 9, 11, 13, 15, 19, 20, 21, 22, 29, 30, 36, 44, 60, 61, 63, 64, 70, 72, 75, *range(80, 91), 112, 113, 114, 500)
) | {988, 990, 992, 995, 996}
_REJECTED: Final = frozenset((989, 991, 993, 994, 997, 998, 999))
#: ``...555 0 CODE`` is refused with that code; ``...555 1 CODE`` gets a receipt with it.
_MAGIC: Final = re.compile(r"\d+555([01])(\d{3})")
_INTERNAL_ERROR: Final = "500"


class _RefusedSms(Exception):  # noqa: N818 - an answer, not a mistake of ours
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def send_sms(call: Call) -> Answer:
    """Take a text: 202 says that it was accepted, no more; its fate comes as a receipt."""
    try:
        sent = _read_body(call)
    except _RefusedSms as refused:
        return _refuse(refused.code)
    kind, code = _read_magic(sent["receiver"])
    if (kind, code) == ("0", _INTERNAL_ERROR):
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
    if kind == "0" and code in _REFUSALS:
        return _refuse(code)
    message_id = str(uuid.uuid4())
    parts = count_segments(sent["text"])
    _schedule_receipts(call, sent, message_id, parts, int(code) if kind == "1" else 0)
    return _make_answer(HTTPStatus.ACCEPTED, {"msgId": message_id, "numParts": parts}, message_id)


def _refuse(code: str) -> Answer:
    return _make_answer(_REFUSED, {"error": {"code": code, "message": _REFUSALS[code]}})


def _read_body(call: Call) -> dict[str, Any]:
    try:
        sent = json.loads(call.request.body)
    except ValueError:
        raise _RefusedSms("109") from None
    if not isinstance(sent, dict):
        raise _RefusedSms("109")
    if any(sent.get(name) in (None, "") for name in _MANDATORY):
        raise _RefusedSms("110")
    auth = sent["auth"] if isinstance(sent["auth"], dict) else {}
    if not call.accepts(str(auth.get("username")), str(auth.get("password"))):
        raise _RefusedSms("103")
    call.record.auth = "client"
    _check_values(sent)
    return sent


def _check_values(sent: dict[str, Any]) -> None:
    texts = [sent[name] for name in ("sender", "receiver", "text", "dlrUrl")]
    if not all(isinstance(text, str) for text in texts) or not re.fullmatch(r"\d{6,16}", sent["receiver"]):
        raise _RefusedSms("112")
    if sent["type"] != "text":
        raise _RefusedSms("111")
    sender = sent["sender"]
    if not _SENDER.fullmatch(sender) or len(sender) > _LONGEST_SENDER[sender.isdecimal()]:
        raise _RefusedSms("107")
    if sent["dcs"] not in ("GSM", "UCS") or (sent["dcs"] == "GSM" and not is_gsm(sent["text"])):
        raise _RefusedSms("102")
    mask = sent["dlrMask"]
    if isinstance(mask, bool) or not str(mask).isdecimal() or int(mask) > _LARGEST_MASK:
        raise _RefusedSms("112")
    try:
        # Receipts never leave this machine.
        check_loopback(sent["dlrUrl"])
    except ValueError:
        raise _RefusedSms("112") from None
    if count_segments(sent["text"]) > _MOST_PARTS:
        raise _RefusedSms("115")


def _read_magic(receiver: str) -> tuple[str, str]:
    """What a receiver plays: the kind and the code; nothing for most."""
    match = _MAGIC.fullmatch(receiver)
    return (match[1], match[2]) if match is not None else ("", "")


def _schedule_receipts(call: Call, sent: dict[str, Any], message_id: str, parts: int, code: int) -> None:
    """Send the receipts of each part that the mask asks for, once: a repetition is not documented."""
    settings, target = call.settings, Target(sent["dlrUrl"])
    sent_clock = call.store.clock() + settings.message_sending_seconds
    ended_clock = sent_clock + settings.message_delivery_seconds
    final = "REJECTED" if code in _REJECTED else "UNDELIVERED" if code in _UNDELIVERED else "DELIVERED"
    known = 0 if final == "DELIVERED" else code
    for part in range(1, parts + 1):
        for event, due in (("BUFFERED", sent_clock), ("SENT_TO_SMSC", sent_clock), (final, ended_clock)):
            if not int(sent["dlrMask"]) & _BITS[event]:
                continue
            body: dict[str, object] = {
                "msgId": message_id,
                "event": event,
                "errorCode": known if event == final else 0,
                "errorMessage": f"Error {known}" if event == final and known else "",
                "partNum": part,
                "numParts": parts,
                "accountName": sent["auth"]["username"],
            }
            if event == "BUFFERED":
                del body["errorCode"]
            call.store.callbacks.schedule(due, body, target)


def _make_answer(status: int, content: object, message_id: str | None = None) -> Answer:
    return Answer(status, json.dumps(content).encode(), content_type="application/json", order_id=message_id)


ROUTES: Final = (*make_routes("send-sms", "POST", "bulk/sendsms", send_sms, versions=(1,), family="international"),)
