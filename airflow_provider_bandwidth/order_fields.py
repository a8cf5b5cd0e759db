"""The fields of an order, each normalised or refused with a reason: ids, numbers, choices, the subscriber.

Pure: no Airflow, no XML, no I/O. A key in brackets, such as ``[oas1]``, names the source of a fact about Bandwidth:
``docs/development/bandwidth-api.md`` has them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, TypeVar

from airflow_provider_bandwidth.exceptions import (
    InvalidFieldsError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
)
from airflow_provider_bandwidth.order_records import CaselessEnum, record_to_dict
from airflow_provider_bandwidth.telephone_numbers import (
    RejectedTelephoneNumber,
    normalize_telephone_numbers,
    read_telephone_numbers,
)

_Choice = TypeVar("_Choice", bound=CaselessEnum)

#: Letters, digits, dash and space, at most 40 characters: Bandwidth refuses others with error 5052 [seed] [err].
_CUSTOMER_ORDER_ID: Final = re.compile(r"[A-Za-z0-9-](?:[A-Za-z0-9 -]{0,38}[A-Za-z0-9-])?", re.ASCII)
_INT32_MAX: Final = 2**31 - 1
#: From here on a float cannot tell whole numbers apart.
_FLOAT_MAX: Final = 2**53


def parse_whole_number(value: object) -> int | None:
    """The number, if ``value`` is one without a fraction and, as a float, without lost digits; else ``None``."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _FLOAT_MAX else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def validate_customer_order_id(value: str | float) -> str:
    """The id itself, if Bandwidth takes it. An id of digits may come as a number, as native templates render it.

    :raises InvalidParameterError: illegal characters, blanks at an end, empty, or over 40 characters
    """
    number = parse_whole_number(value)
    if number is not None:
        value = str(number)
    if not isinstance(value, str) or not value:
        raise InvalidParameterError("CustomerOrderId", f"expected text of 1 to 40 characters, got {value!r}")
    if len(value) > 40:
        raise InvalidParameterError(
            "CustomerOrderId", f"{value!r} has {len(value)} characters, Bandwidth accepts at most 40"
        )
    if not _CUSTOMER_ORDER_ID.fullmatch(value):
        raise InvalidParameterError(
            "CustomerOrderId",
            f"{value!r} has characters that Bandwidth refuses: only letters, digits, dashes, and spaces between them",
        )
    return value


def parse_id(name: str, value: object) -> int:
    """A SiteId or SipPeerId as a positive 32-bit number; digits in text are accepted.

    :param name: the field, for the error
    :raises InvalidParameterError: anything else
    """
    number = parse_whole_number(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,10}(\.0)?\s*", value, re.ASCII):
        number = int(float(value))
    if number is None or not 0 < number <= _INT32_MAX:
        raise InvalidParameterError(name, f"expected a positive number, got {value!r}")
    return number


def parse_order_id(value: object) -> str:
    """The OrderId itself, without white space around it.

    :raises InvalidParameterError: it is none, such as the ``None`` of a template whose XCom is empty
    """
    if not isinstance(value, str) or not value.strip() or value.strip() in ("None", "null"):
        raise InvalidParameterError(
            "OrderId",
            f"expected an order id, got {value!r}. Was the task that submits the order skipped? Has it "
            "do_xcom_push=False, so that no XCom holds its id? If it is mapped, expand the waiting task, too.",
        )
    return value.strip()


def normalize_telephone_number(value: str) -> str:
    """Return the ten digits of one telephone number.

    :raises InvalidTelephoneNumbersError: naming the value and what is wrong with it
    """
    outcome = read_telephone_numbers(value)
    if isinstance(outcome, tuple) and len(outcome) > 1:
        outcome = RejectedTelephoneNumber(value, f"holds {len(outcome)} numbers: give one", "several_numbers")
    if isinstance(outcome, RejectedTelephoneNumber):
        raise InvalidTelephoneNumbersError((outcome,))
    return outcome[0]


def parse_choice(name: str, kind: type[_Choice], value: str) -> _Choice:
    """The member of ``kind`` that ``value`` names, in any case.

    :param name: the field, for the error
    :raises InvalidParameterError: there is none
    """
    try:
        return kind(value)
    except ValueError:
        raise InvalidParameterError(name, f"expected {' or '.join(kind)}, got {value!r}") from None


def check_fields(record: Any, checks: Mapping[str, tuple[str, Callable[[Any], Any]]]) -> None:
    """Normalise each field of a frozen record, or say what is wrong with all of them at once.

    :param checks: by attribute, Bandwidth's name of it and the function that normalises its value, or raises
    :raises InvalidParameterError: names each field that is missing or wrong
    :raises InvalidTelephoneNumbersError: nothing but telephone numbers is wrong
    """
    errors: dict[str, Exception] = {}
    for attribute, (name, check) in checks.items():
        try:
            object.__setattr__(record, attribute, check(getattr(record, attribute)))
        except (InvalidParameterError, InvalidTelephoneNumbersError) as error:
            errors[name] = error
    if len(errors) == 1:
        raise next(iter(errors.values()))
    problems: dict[str, str] = {}
    for name, wrong in errors.items():
        problems |= wrong.problems if isinstance(wrong, InvalidParameterError) else {name: str(wrong)}
    if problems:
        raise InvalidFieldsError(problems)


def parse_telephone_numbers(values: Iterable[object]) -> tuple[str, ...]:
    """The numbers of an order, ten digits each.

    :raises InvalidTelephoneNumbersError: names every value that is none
    :raises InvalidParameterError: there are none
    """
    numbers = normalize_telephone_numbers(values)
    if numbers.rejected:
        raise InvalidTelephoneNumbersError(numbers.rejected)
    if not numbers.telephone_numbers:
        raise InvalidParameterError("TelephoneNumbers", "an order needs at least one telephone number")
    return numbers.telephone_numbers


def unless_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the same check for a field that may be left out."""
    return lambda value: None if value is None else check(value)


# --- who uses the numbers ---

#: A ZIP code with or without its last four digits, or a Canadian postal code.
_ZIP: Final = re.compile(r"[0-9]{5}(-?[0-9]{4})?|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]", re.ASCII)
_STATE_CODE: Final = re.compile(r"[A-Z]{2}", re.ASCII)
#: Bandwidth refuses a longer name with error 25131 [err].
_LONGEST_NAME: Final = 45


def parse_text(name: str, longest: int | None = None) -> Callable[[object], str]:
    """Make a check for a text in one line that is not empty; a whole number counts as text.

    :param name: the field, for the error
    :param longest: how many characters it may have
    """

    def check(value: object) -> str:
        number = parse_whole_number(value)
        text = str(value if number is None else number).strip() if isinstance(value, str | int | float) else ""
        if not text:
            raise InvalidParameterError(
                name, "it is missing" if value in (None, "") else f"expected text, got {value!r}"
            )
        if not text.isprintable():
            raise InvalidParameterError(name, f"expected text in one line, got {value!r}")
        if longest is not None and len(text) > longest:
            raise InvalidParameterError(
                name, f"{text!r} has {len(text)} characters, Bandwidth accepts at most {longest}"
            )
        return text

    return check


def _parse_pattern(name: str, pattern: re.Pattern[str], expected: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = parse_text(name)(value).upper()
        if not pattern.fullmatch(text):
            raise InvalidParameterError(name, f"expected {expected}, got {value!r}")
        return text

    return check


_Record = TypeVar("_Record")


def _parse_record(kind: type[_Record], name: str, value: object) -> _Record:
    """A record from itself, a mapping, or JSON text; keys in our spelling or Bandwidth's."""
    if isinstance(value, kind):
        return value
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidParameterError(name, "it is not JSON") from None
    names = {f.name.replace("_", ""): f.name for f in fields(kind)}  # type: ignore[arg-type]
    expected = f"expected a JSON object with {', '.join(names.values())}"
    if value in (None, "", {}):
        raise InvalidParameterError(name, f"it is missing: {expected}")
    if not isinstance(value, Mapping):
        raise InvalidParameterError(name, f"{expected}, got a {type(value).__name__}")
    keys = {key: names.get(str(key).replace("_", "").lower()) for key in value}
    if unknown := [key for key, known in keys.items() if known is None]:
        raise InvalidParameterError(name, f"unknown: {', '.join(map(str, unknown))}; {expected}")
    given = {str(known): value[key] for key, known in keys.items()}
    return kind(**{**dict.fromkeys(names.values()), **given})


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a subscriber is, checked when it is made [oas1].

    :param house_number: such as ``12`` or ``12B``
    :param street_name: without the house number
    :param city: city
    :param state_code: two letters, of a state or a Canadian province
    :param zip: ZIP code of five or nine digits, or a Canadian postal code; as text, since it may begin with a zero
    :param county: county, if Bandwidth wants it
    :raises InvalidParameterError: names each field that is missing or wrong
    """

    house_number: str
    street_name: str
    city: str
    state_code: str
    zip: str
    county: str | None = None

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "house_number": ("HouseNumber", parse_text("HouseNumber")),
                "street_name": ("StreetName", parse_text("StreetName")),
                "city": ("City", parse_text("City")),
                "state_code": ("StateCode", _parse_pattern("StateCode", _STATE_CODE, "two letters")),
                "zip": ("Zip", _parse_pattern("Zip", _ZIP, "five or nine digits as text, or a Canadian postal code")),
                "county": ("County", unless_none(parse_text("County"))),
            },
        )

    @classmethod
    def parse(cls, value: object) -> ServiceAddress:
        """An address from itself, a mapping, or JSON text; keys in our spelling or Bandwidth's.

        :raises InvalidParameterError: names each field that is missing, wrong or unknown
        """
        return _parse_record(cls, "ServiceAddress", value)

    def elements(self) -> tuple[tuple[str, object], ...]:
        """Names and values in the documented order [oas1]."""
        return (
            ("HouseNumber", self.house_number),
            ("StreetName", self.street_name),
            ("City", self.city),
            ("StateCode", self.state_code),
            ("Zip", self.zip),
            ("County", self.county),
        )


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who uses the numbers that an import brings, checked when it is made.

    :param name: of a person or a business, at most 45 characters [err 25131]
    :param service_address: a :class:`ServiceAddress`, or a mapping or JSON text of one
    :raises InvalidParameterError: names each field that is missing or wrong
    """

    name: str
    service_address: ServiceAddress

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "name": ("Subscriber.Name", parse_text("Subscriber.Name", _LONGEST_NAME)),
                "service_address": ("ServiceAddress", ServiceAddress.parse),
            },
        )

    @classmethod
    def parse(cls, value: object) -> Subscriber:
        """A subscriber from itself, a mapping, or JSON text; keys in our spelling or Bandwidth's.

        :raises InvalidParameterError: names each field that is missing, wrong or unknown
        """
        return _parse_record(cls, "Subscriber", value)

    def elements(self) -> tuple[tuple[str, object], ...]:
        """Names and values in the documented order [oas1]."""
        return (("Name", self.name), ("ServiceAddress", self.service_address.elements()))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {"name": self.name, "service_address": record_to_dict(self.service_address)}


def parse_time(name: str, value: datetime | str | None) -> datetime | None:
    """A time with a zone, or the ISO 8601 text of one; ``None`` where a template rendered none.

    :param name: the parameter, for the error
    :raises InvalidParameterError: anything else
    """
    if value in (None, "", "None"):
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidParameterError(name, f"expected an ISO 8601 time with a zone, got {value!r}")
    return time


def parse_flag(name: str, value: bool | str) -> bool:
    """A flag, or the text that a template rendered it to.

    :param name: the parameter, for the error
    :raises InvalidParameterError: neither true nor false
    """
    flags = {"true": True, "false": False}
    try:
        return flags[str(value).strip().lower()]
    except KeyError:
        raise InvalidParameterError(name, f"expected true or false, got {value!r}") from None
