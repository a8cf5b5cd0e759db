"""What is asked for: a text message, checked before anything is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.messaging.segments import count_segments
from airflow_provider_bandwidth.values import NotAListError, list_rendered_by_template

#: Limits of one message [sdk26].
_MAX_TEXT: Final = 2048
_MAX_TAG: Final = 1024
_MAX_MEDIA_URL: Final = 4096
_MAX_RECEIVERS: Final = 10
_PRIORITIES: Final = ("default", "high")
#: Letters, digits, blank, hyphen, plus, underscore, ampersand; one letter at least [sdk26].
_ALPHANUMERIC_SENDER: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 \-+_&]{1,11}")
_SHORT_CODE: Final = re.compile(r"[0-9]{3,8}")
#: What a sender of International A2P may not have [intl].
_A2P_FORBIDDEN: Final = frozenset("$@[]{}\\^_`|~€")
#: DLR events: 1 delivered, 2 undelivered, 4 buffered, 8 sent, 16 rejected; 19 is all that are final [intl].
ALL_FINAL_REPORTS: Final = 19


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message for Messaging API v2.

    Numbers are given in E.164 or as North American numbers in any usual notation, and kept in E.164.

    :param to: the receiver's number; several make one group MMS, whose receivers see each other, at most 10
    :param from_: a number of this account, a short code, or an alphanumeric sender of at most 11 characters
    :param application_id: the messaging application that is tied to the sender's location
    :param text: at most 2,048 characters; a long text is cut into segments
    :param media: addresses of files, which make it an MMS
    :param tag: at most 1,024 characters; comes back in answers and callbacks
    :param priority: ``default`` or ``high``
    :param expiration: aware time after which it is not sent any more
    :raises InvalidParameterError: a field is missing or wrong
    """

    to: tuple[str, ...]
    from_: str
    application_id: str
    text: str | None = None
    media: tuple[str, ...] = ()
    tag: str | None = None
    priority: str | None = None
    expiration: datetime | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "to", _parse_receivers(self.to))
        set_field(self, "from_", parse_sender(self.from_))
        set_field(self, "text", _parse_text(self.text))
        set_field(self, "media", _parse_media(self.media))
        set_field(self, "priority", _parse_priority(self.priority))
        if not self.text and not self.media:
            raise InvalidParameterError("text", "give a text, media, or both")
        application_id = str(self.application_id or "").strip()
        if not application_id:
            raise InvalidParameterError(
                "application_id",
                "give it, or set the connection's extra.application_id: the messaging application "
                "that is tied to the sender's location",
            )
        set_field(self, "application_id", application_id)
        if self.tag is not None and len(self.tag) > _MAX_TAG:
            raise InvalidParameterError("tag", f"at most {_MAX_TAG} characters, got {len(self.tag)}")
        if self.expiration is not None and self.expiration.tzinfo is None:
            raise InvalidParameterError("expiration", "expected a time with a zone")

    @property
    def segment_count(self) -> int:
        """How many segments it takes of the rate: an MMS takes one for each receiver."""
        if self.media or len(self.to) > 1:
            return len(self.to)
        return count_segments(self.text or "").count

    @property
    def content(self) -> tuple[Any, ...]:
        """What makes two messages the same to their receivers."""
        return (self.to, self.from_, self.text, self.media)


@dataclass(frozen=True, slots=True)
class InternationalMessageRequest:
    """A message for the legacy International A2P API [intl].

    :param receiver: in E.164
    :param sender: at most 11 letters and digits, or at most 16 digits
    :param text: a long text is split, and each part billed
    :param dlr_url: where delivery reports go to
    :param dlr_mask: the sum of the events reported: 1 delivered, 2 undelivered, 4 buffered, 8 sent to the SMSC, 16
        rejected
    :raises InvalidParameterError: a field is missing or wrong
    """

    receiver: str
    sender: str
    text: str
    dlr_url: str
    dlr_mask: int = ALL_FINAL_REPORTS

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "receiver", parse_telephone_number("to", self.receiver))
        set_field(self, "sender", _parse_a2p_sender(self.sender))
        set_field(self, "text", _parse_text(self.text))
        if not self.text:
            raise InvalidParameterError("text", "give a text: the International A2P API takes no media")
        if not re.match(r"https?://[^\s/]+", str(self.dlr_url or "")):
            raise InvalidParameterError(
                "dlr_url",
                "give the http or https address that delivery reports go to: this API has no search, so that "
                "nothing else tells what became of a message",
            )
        if isinstance(self.dlr_mask, bool) or not isinstance(self.dlr_mask, int) or not 1 <= self.dlr_mask <= 31:
            raise InvalidParameterError("dlr_mask", f"expected 1 to 31, got {self.dlr_mask!r}")

    @property
    def dcs(self) -> str:
        """The text's coding: ``GSM`` or ``UCS``."""
        return "GSM" if count_segments(self.text).encoding == "GSM-7" else "UCS"

    @property
    def segment_count(self) -> int:
        """How many segments it has."""
        return count_segments(self.text).count

    @property
    def content(self) -> tuple[Any, ...]:
        """What makes two messages the same to their receivers."""
        return ((self.receiver,), self.sender, self.text, ())


def parse_telephone_number(name: str, value: object) -> str:
    """One telephone number in E.164.

    :param name: the field, for the error
    :raises InvalidParameterError: it is none, or has an extension
    """
    import phonenumbers

    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        number = None
    if (
        number is None
        or number.extension
        or not phonenumbers.is_possible_number(number)
        or re.search("[A-Za-z,;]", text)
    ):
        raise InvalidParameterError(
            name, f"expected one telephone number in E.164, like +19195550150, or a North American one, got {value!r}"
        )
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def parse_sender(value: object) -> str:
    """A sender: a telephone number in E.164, a short code, or alphanumeric.

    :raises InvalidParameterError: it is none of these
    """
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _SHORT_CODE.fullmatch(text):
        return text
    if re.search("[A-Za-z]", text):
        if _ALPHANUMERIC_SENDER.fullmatch(text):
            return text
        raise InvalidParameterError(
            "from_", f"an alphanumeric sender has at most 11 letters, digits, blanks, - + _ and &, got {value!r}"
        )
    return parse_telephone_number("from_", value)


def _parse_a2p_sender(value: object) -> str:
    text = str(value or "").strip()
    longest = 16 if text.lstrip("+").isdecimal() else 11
    if not 0 < len(text) <= longest or any(character in _A2P_FORBIDDEN for character in text):
        raise InvalidParameterError(
            "from_", f"expected at most 11 letters and digits, or at most 16 digits, got {value!r}"
        )
    return text


def _parse_receivers(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = _list_rendered("to", value) or (value,)
    numbers = tuple(dict.fromkeys(parse_telephone_number("to", each) for each in value))
    if not 0 < len(numbers) <= _MAX_RECEIVERS:
        raise InvalidParameterError(
            "to",
            f"expected 1 to {_MAX_RECEIVERS} receivers of one group message, got {len(numbers)}. To text many "
            "people one by one, expand the task over them",
        )
    return numbers


def _list_rendered(name: str, value: Any) -> Any:
    """The list that a template rendered to text; ``None`` for anything else."""
    try:
        return list_rendered_by_template(value) if isinstance(value, str) else None
    except NotAListError as error:
        raise InvalidParameterError(name, str(error)) from None


def _parse_text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidParameterError("text", f"expected text, got a {type(value).__name__}")
    if len(value) > _MAX_TEXT:
        raise InvalidParameterError("text", f"at most {_MAX_TEXT} characters, got {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidParameterError("text", "it holds half of a character, such as of an emoji") from None
    return value if value.strip() else None


def _parse_media(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _list_rendered("media", value) or ((value,) if value.strip() else ())
    urls = tuple(str(each).strip() for each in value or ())
    for url in urls:
        if not re.match(r"https?://[^\s/]+", url) or len(url) > _MAX_MEDIA_URL:
            raise InvalidParameterError(
                "media", f"expected http or https addresses of at most {_MAX_MEDIA_URL} characters, got {url[:80]!r}"
            )
    return urls


def _parse_priority(value: Any) -> str | None:
    if value in (None, "", "None"):
        return None
    if value not in _PRIORITIES:
        raise InvalidParameterError("priority", f"expected {' or '.join(_PRIORITIES)}, got {value!r}")
    return str(value)
