"""Telephone numbers as CRMs write them, turned into the ten digits Bandwidth takes. Pure: no I/O, no Airflow.

The file is longer than others because it is one verdict. The order of its rules is what makes the verdict right, so
each rule stands beside those that are tried before and after it.

Bandwidth wants ten digits without punctuation [host], of the North American Numbering Plan (NANP), which is country
code 1; one that is not can cost the whole order (error 7201 [err]). So every value is judged before it is sent.

**What is valid** is what the installed ``phonenumbers`` library calls valid in any region of country code 1 (United
States, Canada, the Caribbean, the Pacific territories), less the kinds that take no hosted messages: toll-free,
premium-rate, shared-cost, personal, pager and voicemail numbers. One rule is added: N11 is no exchange code (the
library lets ``919-911-0101`` pass). Exchange 555, which examples use, is an exchange like any other.

The library takes tens of microseconds a number, so its own metadata patterns are compiled, once, into one regular
expression that gives the same verdict. Nothing is remembered by prefix: some patterns look past the sixth digit
(Barbados 246-521, Jamaica 876-606), and others may in the next version of the metadata.
"""

from __future__ import annotations

import functools
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn, SupportsIndex

from airflow_provider_bandwidth.values import (
    NotAListError,
    count_columns,
    is_missing,
    iter_rows,
    list_rendered_by_template,
    unwrap,
)

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata


@dataclass(frozen=True, slots=True)
class RejectedTelephoneNumber:
    """A value that cannot be put into an order.

    :param value: the value as it was given; for anything but text a short ``repr``
    :param reason: what is wrong and what to do about it, for people
    :param code: what is wrong, for programs; stable:

        * ``empty``: nothing but blanks or punctuation, None, NaN, pandas' NA, or text such as ``null``
        * ``not_text``: neither text nor a whole number; a row of several columns, for example
        * ``not_a_list``: what was given instead of a list of telephone numbers
        * ``letters``: holds letters that are no plain label, a vanity number for example
        * ``characters``: holds a character that telephone numbers are not written with
        * ``scientific_notation``: a spreadsheet wrote it as ``9.19556E+09``, or a float shows that one did
        * ``extension``: has an extension
        * ``several_numbers``: holds several numbers, and not only them
        * ``length``: not ten digits (eleven with the leading 1)
        * ``grouping``: ten digits without +1 in groups that no North American number has, such as ``55 1234 5678``
        * ``not_nanp``: written with another country code than +1
        * ``area_code``: the area code is impossible or not in service
        * ``exchange_code``: the exchange code is impossible or not in service in its area code
        * ``toll_free``, ``premium_rate``, ``shared_cost``, ``personal_number``, ``pager``, ``voicemail``: valid, but of
          a kind that takes no hosted messages
    """

    value: str
    reason: str
    code: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class NormalizedTelephoneNumbers:
    """What became of a list of values; nothing is lost.

    The lengths of ``telephone_numbers`` and ``rejected`` and ``duplicate_count`` add up to the number of values, where
    a value that plainly holds several numbers counts as so many.

    :param telephone_numbers: ten digits each, in the order first seen
    :param rejected: the refused values, each once, in the order first seen
    :param duplicate_count: values that repeat an earlier one: the same number in any notation, or a refused value again
    """

    telephone_numbers: tuple[str, ...]
    rejected: tuple[RejectedTelephoneNumber, ...]
    duplicate_count: int


def normalize_telephone_numbers(values: Iterable[object] | str) -> NormalizedTelephoneNumbers:
    """Normalise many telephone numbers, drop duplicates, and report every value that is none.

    :param values: see :func:`iter_values`. A blank, None or NaN among them is rejected as ``empty``; what cannot be a
        list of telephone numbers is rejected as a whole, as ``not_a_list``
    """
    telephone_numbers: dict[str, None] = {}
    rejected: dict[RejectedTelephoneNumber, None] = {}
    count = 0
    try:
        each = iter_values(values)
    except NotAListError as error:
        rejection = RejectedTelephoneNumber(_shown(values)[:_LONGEST_SHOWN_LIST], str(error), "not_a_list")
        return NormalizedTelephoneNumbers((), (rejection,), 0)
    for value in each:
        outcome = read_telephone_numbers(value)
        if isinstance(outcome, tuple):
            count += len(outcome)
            telephone_numbers.update(dict.fromkeys(outcome))
        else:
            count += 1
            rejected[outcome] = None
    return NormalizedTelephoneNumbers(
        tuple(telephone_numbers), tuple(rejected), count - len(telephone_numbers) - len(rejected)
    )


def iter_values(values: Iterable[object] | str) -> Iterable[object]:
    """The values of whatever a caller has: a list or generator, rows of one column of any database driver, a pandas,
    polars, numpy or pyarrow object, a lone number, or text.

    Each value is one telephone number: text, or a whole number as SQL, CSV and pandas give them (``9195550101``,
    ``9195550101.0``); a row of one column stands for what it holds.

    One string is taken apart, since a template renders every list to text:

    * The text of a list as Python, JSON, pandas or numpy write it (``['9195550101', '9195550102']``) stands for its
      values.
    * Otherwise commas, semicolons, tabs and line breaks separate numbers; several in a row count as one.
    * White space belongs to the number (``+1 919 555 0101``), unless there are more than fifteen digits, the most that
      one number may have (E.164): then it separates numbers, too (``919 555 0101 9195550102``).

    :raises NotAListError: it cannot be a list of telephone numbers: a table of several columns, a mapping,
        bytes, the text of a Python object, a list cut for display, floats of 32 bits
    """
    if isinstance(values, str):
        listed = list_rendered_by_template(values)
        return _pieces(values) if listed is None else listed
    return iter_rows(values)


def chunk(telephone_numbers: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Cut into tuples of ``size`` telephone numbers, the last one shorter; the order is kept.

    :raises ValueError: if ``size`` is below 1
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    return (tuple(telephone_numbers[start : start + size]) for start in range(0, len(telephone_numbers), size))


# --- one value ---

#: The notation of nearly every row. No two neighbouring parts repeat the same characters, so no text is slow to fail.
_COMMON_NOTATION: Final = r"(?:\+?1[-./ ()]*)?([2-9]\d\d)[-./ ()]*(\d{3})[-./ ()]*(\d{4})"
_COMMON_FORM: Final = re.compile(rf"[\s(]*{_COMMON_NOTATION}\s*", re.ASCII)
_EXTENSION: Final = re.compile(r"(?:ext(?:ensi[oó]n|n)?|x|#)[ .:=#]*+(\d*+) *+#?\Z", re.IGNORECASE)
_SCIENTIFIC_NOTATION: Final = re.compile(r"\+?\d(?:[.,]\d*)? ?E ?\+?\d+", re.IGNORECASE)
#: A number that went through a column of floats. A line number has four digits, so one or two zeros after a point are
#: no part of it.
_TEXT_OF_FLOAT: Final = re.compile(r"(\+?\d+)[.,]00?")
#: A float with so many zeros at its end was written with six digits once (``9.19556E+09``); an integer was not.
_LOST_DIGITS: Final = "0000"
_PUNCTUATION: Final = frozenset(" -./()[]")
#: What exports and copying leave around a number: quotes, Excel's ="...", brackets of a list that could not be read.
_WRAPPING: Final = " '\"`\u2018\u2019\u201c\u201d=<>[]{},;"
#: How Python, JSON, SQL and pandas write that there is no value.
_NO_VALUE: Final = frozenset({"", "none", "null", "nan", "nat", "na", "n/a", r"\n"})
#: No whole number from here on is a telephone number: compared before a conversion that could take for ever.
_TOO_LARGE: Final = 10**20
_LONGEST_SHOWN_LIST: Final = 100

# What may stand beside a number without changing what it is. "Fax", "old" or "do not use" are no such words.
_LABELS: Final = frozenset(
    re.findall(
        r"\w+",
        """phone phones telephone tel telefon telefono teléfono téléphone tél mobile mob móvil movil portable handy cell
        cellular cellphone celular home work office business main primary secondary direct personal private voice sms
        mms text texting call number nr num ph p t m c h w o d us usa""",
    )
)
_CONJUNCTIONS: Final = frozenset({"and", "or", "und", "oder", "et", "ou", "y", "o"})
_TOKEN: Final = re.compile(rf"\(*{_COMMON_NOTATION}(?!\d)|(?P<word>[^\W\d_]+)|(?P<mark>[ ,;|/&:()\[\]<>\"'=.#-]+)")
#: "Phone no." names a number; "no text" and "text: no" forbid one.
_NO_BEFORE_NUMBER: Final = re.compile(r"no[ .:#]*[(+]*\d", re.IGNORECASE)
#: ``919-555-0100 - 919-555-0109``
_RANGE: Final = re.compile(rf"(?<!\d){_COMMON_NOTATION} ?- ?(?=\(*{_COMMON_NOTATION}(?!\d))", re.ASCII)
#: ``"DOE A" <+19195550103``: a name, and the number behind an angle bracket; what closes it is wrapping.
_AFTER_NAME: Final = re.compile(r"[^<>\d]*<([^<>]*)")


class _RejectedError(Exception):
    """The value is no telephone number; :func:`read_telephone_numbers` turns this into a rejection."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class _CanonicalCharacters(dict[int, str]):
    """For ``str.translate``: digits, dashes and blanks of any script to ASCII, invisible characters to nothing."""

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        category = unicodedata.category(character)
        if category == "Nd":
            canonical = str(unicodedata.decimal(character))
        elif category == "Pd":
            canonical = "-"
        elif category == "Cf":
            canonical = ""
        elif character.isspace():
            canonical = " "
        elif "\uff01" <= character <= "\uff5e":  # full-width forms of ASCII
            canonical = chr(codepoint - 0xFEE0)
        else:
            raise KeyError(codepoint)
        self[codepoint] = canonical
        return canonical


_CANONICAL: Final = _CanonicalCharacters(
    {codepoint: chr(codepoint) for codepoint in range(0x21, 0x7F)}
    | {ord("\N{MINUS SIGN}"): "-", ord("\N{MIDDLE DOT}"): ".", ord("\N{BULLET}"): "."}
)


def read_telephone_numbers(value: object) -> tuple[str, ...] | RejectedTelephoneNumber:
    """The number that one value holds, ten digits; several where they are plain; or why it holds none."""
    try:
        common = _COMMON_FORM.fullmatch(value) if isinstance(value, str) else None
        if common:
            number = "".join(common.groups())
            _check_plan(number)
            return (number,)
        value = unwrap(value)
        numbers = _read_slowly(value)
        for number in numbers:
            _check_plan(number)
    except _RejectedError as error:
        return RejectedTelephoneNumber(_shown(value), error.reason, error.code)
    return numbers


def _shown(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"<{type(value).__name__}>"


def _read_slowly(value: object) -> tuple[str, ...]:
    text = (value if isinstance(value, str) else _text_of_number(value)).translate(_CANONICAL).strip(_WRAPPING)
    if common := _COMMON_FORM.fullmatch(text):
        return ("".join(common.groups()),)
    if text.lower() in _NO_VALUE:
        raise _RejectedError("empty", "holds no telephone number: fill it in or leave the row out")
    if after_name := _AFTER_NAME.fullmatch(text):
        text = after_name[1].strip()
    if through_float := _TEXT_OF_FLOAT.fullmatch(text):
        text = through_float[1]
        _refuse_lost_digits(text)
    if plain := _plain_numbers(text):
        return plain
    _reject_by_characters(text)
    return (_national_number(text),)


def _text_of_number(value: object) -> str:
    if is_missing(value):
        return ""
    if isinstance(value, float | Decimal):
        if 0 <= value < _TOO_LARGE and value == int(value):
            text = str(int(value))
            if isinstance(value, float) or _exponent(value) > 0:
                _refuse_lost_digits(text)
            return text
    elif isinstance(value, int | SupportsIndex) and not isinstance(value, bool) and 0 <= value.__index__() < _TOO_LARGE:
        return str(value.__index__())
    columns = count_columns(value)
    if columns is not None:
        raise _RejectedError("not_text", f"is a row of {columns} columns: select the one that holds the number")
    raise _RejectedError(
        "not_text", f"is neither text nor a whole number ({type(value).__name__}): pass the telephone number as text"
    )


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _refuse_lost_digits(digits: str) -> None:
    if digits.endswith(_LOST_DIGITS):
        raise _RejectedError(
            "scientific_notation",
            "is a floating-point number that ends in zeros, as one that a spreadsheet shortened (9.19556E+09): its "
            "last digits may be lost. Pass the telephone number as text",
        )


def _plain_numbers(text: str) -> tuple[str, ...]:
    """The numbers of a text that is nothing but numbers in their usual notation, labels and what separates them."""
    if found := _find_range(text):
        raise _RejectedError(
            "several_numbers",
            f"may be a range, from {found[0]} to {found[1]}: give each of its numbers its own value",
        )
    numbers: list[str] = []
    after_separator = True
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return ()
        word = token["word"]
        if word is not None:
            is_empty_extension = bool(numbers) and _EXTENSION.fullmatch(text[at:]) is not None
            is_label = word.lower() in _LABELS | _CONJUNCTIONS or _NO_BEFORE_NUMBER.match(text, at) is not None
            if not is_label and not is_empty_extension:
                return ()
        elif token["mark"] is None:
            if not after_separator:
                return ()
            numbers.append("".join(token.groups()[:3]))
        after_separator = token["mark"] is not None
        at = token.end()
    return tuple(numbers)


def _find_range(text: str) -> tuple[str, str] | None:
    """The first and the last of numbers of one exchange, with others in between."""
    for found in _RANGE.finditer(text):
        first, last = "".join(found.groups()[:3]), "".join(found.groups()[3:])
        if first[:6] == last[:6] and int(last) - int(first) > 1:
            return first, last
    return None


def _reject_by_characters(text: str) -> None:
    """Refuse what is not digits, punctuation and a leading plus; ``text`` is in canonical characters."""
    if _SCIENTIFIC_NOTATION.fullmatch(text):
        raise _RejectedError(
            "scientific_notation",
            "is in a spreadsheet's scientific notation, which loses digits: format the column as text and export again",
        )
    extension = _EXTENSION.search(text)
    if extension and extension[1] and sum(map(str.isdecimal, text[: extension.start()])) >= 10:
        raise _RejectedError(
            "extension", "has an extension, which takes no messages: give the number that is dialled, without it"
        )
    seen = ["".join(found.groups()) for found in _NUMBER_IN_TEXT.finditer(text)]
    if len(seen) > 1:
        raise _RejectedError(
            "several_numbers",
            f"holds {len(seen)} numbers ({', '.join(seen[:5])}) and something else: give each its own value",
        )
    beside = f" beside {seen[0]}" if seen else ""
    if letters := "".join(filter(str.isalpha, text)):
        raise _RejectedError("letters", f"holds letters ({letters[:20]!r}){beside}: write the telephone number alone")
    after_plus = text.lstrip(" ([").removeprefix("+")
    odd = sorted({character for character in after_plus if not character.isdecimal()} - _PUNCTUATION)
    if odd:
        raise _RejectedError(
            "characters",
            f"holds {''.join(odd[:20])!r}{beside}, which telephone numbers are not written with: one value is one "
            "number in digits, spaces and -./()[], with + only in front",
        )


#: A number in a text that is rejected, to be named in the reason.
_NUMBER_IN_TEXT: Final = re.compile(rf"(?<![\d+]){_COMMON_NOTATION}(?!\d)", re.ASCII)
#: From another country's trunk to country code 1.
_EXIT_CODE: Final = re.compile(r"(?:00|011)(?=1\d{10}\Z)")
#: After how many digits North American numbers may have punctuation, by their length.
_GROUPS: Final = {10: frozenset({3, 6}), 11: frozenset({1, 4, 7})}


def _national_number(text: str) -> str:
    """The ten digits of a text of digits and punctuation, with or without a plus in front."""
    written = "".join(filter(str.isdecimal, text))
    if not written:
        raise _RejectedError("empty", "holds no digits: fill it in or leave the row out")
    digits = _EXIT_CODE.sub("", written)
    international = "+" in text or digits != written
    if (international and digits[0] != "1") or (len(digits) > 11 and digits.startswith(("00", "011"))):
        raise _RejectedError(
            "not_nanp",
            "is no North American number, since its country code is not 1: leave it out (how Bandwidth hosts numbers "
            "of other countries is not documented: ask its support); if it is one, write +1 before its ten digits",
        )
    national = digits[1:] if international or (len(digits) == 11 and digits[0] == "1") else digits
    if len(national) == 10:
        if not international and not _breaks(text) <= _GROUPS[len(digits)]:
            raise _RejectedError(
                "grouping",
                "is grouped as no North American number is (3-3-4), so it may be of another country: if it is a North "
                "American one, write +1 in front; else leave it out",
            )
        return national
    if len(national) == 7:
        raise _RejectedError("length", "has seven digits: put the area code in front")
    if len(digits) > _MOST_DIGITS:
        raise _RejectedError("length", f"has {len(digits)} digits, more than any number: give each its own value")
    where = " after +1" if international else ""
    raise _RejectedError("length", f"has {len(national)} digits{where}, not ten: correct it, or leave it out")


def _breaks(text: str) -> set[int]:
    """After how many digits something else stands before the next digit."""
    groups = re.findall(r"\d+", text)
    return {sum(map(len, groups[:count])) for count in range(1, len(groups))}


# --- the numbering plan ---

#: Kinds of numbers in the order in which the library asks for them. The first that fits decides.
_KINDS: Final = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "fixed_line",
    "mobile",
)
#: Kinds that a person or a company has as an ordinary number.
_ORDINARY_KINDS: Final = frozenset({"voip", "uan", "fixed_line", "mobile"})


@functools.cache
def _numbering_plan() -> re.Pattern[str]:
    """Return what ten digits match in full if ``phonenumbers`` calls them valid with country code 1.

    The name of the last matched group is None for an ordinary number, else ``<kind>_<region>``.

    The library takes the first region whose leading digits the number has or, for regions without leading digits, in
    which it is valid, and there the first kind that fits. Alternatives of a regular expression are tried in order too.
    """
    import phonenumbers

    regions: list[str] = []
    not_before = ""
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        assert metadata is not None  # every region of a country code has some
        leading = metadata.leading_digits
        guard = f"(?={leading})" if leading else ""
        regions.append(not_before + guard + _pattern_of_region(region, metadata))
        if leading:
            not_before += f"(?!{leading})"
    return re.compile("|".join(regions), re.ASCII)


def _pattern_of_region(region: str, metadata: PhoneMetadata) -> str:
    patterns = {}
    for kind in ("general_desc", *_KINDS):
        description = getattr(metadata, kind)
        fits = description is not None and 10 in (description.possible_length or (10,))
        patterns[kind] = (fits and description.national_number_pattern) or ""  # which no ten digits match
    kinds = "|".join(
        patterns[kind] if kind in _ORDINARY_KINDS else f"(?P<{kind}_{region}>{patterns[kind]})" for kind in _KINDS
    )
    return rf"(?=(?:{patterns['general_desc']})\Z)(?:{kinds})"


def _check_plan(number: str) -> None:
    in_plan = _numbering_plan().fullmatch(number)
    is_n11_exchange = number[4:6] == "11"
    if in_plan is None or in_plan.lastgroup is not None or is_n11_exchange:
        _reject_by_plan(number, in_plan)


def _reject_by_plan(number: str, in_plan: re.Match[str] | None) -> NoReturn:
    """Say why ten digits are no ordinary number of the numbering plan."""
    area, exchange = number[:3], number[3:6]
    if in_plan is not None and in_plan.lastgroup is not None:
        kind = in_plan.lastgroup.rpartition("_")[0]
        name = kind.removesuffix("_number").replace("_", "-")
        other = " (how Bandwidth takes toll-free numbers is not documented: ask its support)" * (kind == "toll_free")
        raise _RejectedError(kind, f"is a {name} number: only ordinary local and mobile numbers can be hosted{other}")
    for code, name, digits in (("area_code", "area code", area), ("exchange_code", "exchange code", exchange)):
        if digits[0] in "01":
            raise _RejectedError(code, f"cannot exist: no {name} begins with {digits[0]}, as {digits} does; correct it")
        if digits[1:] == "11":
            raise _RejectedError(code, f"cannot exist: {digits} is a service code, never an {name}; correct it")

    import phonenumbers

    code, missing = "area_code", f"area code {area}"
    if _is_area_code_in_service(area):
        code, missing = "exchange_code", f"numbers {area}-{exchange}-{number[6]}..."
    raise _RejectedError(
        code,
        f"is not in service: phonenumbers {phonenumbers.__version__} knows no {missing}; correct it, or if it is new "
        "install a newer phonenumbers",
    )


@functools.cache
def _is_area_code_in_service(area: str) -> bool:
    plan = _numbering_plan()
    return any(plan.fullmatch(f"{area}{exchange}0000") for exchange in range(200, 1000))


# --- many values in one ---

#: The most digits of a telephone number anywhere, country code included (ITU-T E.164).
_MOST_DIGITS: Final = 15
#: What separates numbers, but not before an extension, which belongs to the number in front.
_BETWEEN_NUMBERS: Final = re.compile(r"[,;](?!\s*+(?:ext|x))|[\t\r\n\v\f]", re.IGNORECASE)
_NUMBER_IN_ROW: Final = re.compile(rf"\(*{_COMMON_NOTATION}(?!\S) ?+(?!ext|x|#)", re.ASCII | re.IGNORECASE)
_WORD: Final = re.compile(r"\S+")
_BETWEEN_WORDS: Final = frozenset({"-", "/", "|", "&", ":::"}) | _CONJUNCTIONS


def _pieces(text: str) -> Iterator[str]:
    for piece in _BETWEEN_NUMBERS.split(text):
        stripped = piece.strip()
        if sum(map(str.isdecimal, stripped)) > _MOST_DIGITS and not _find_range(stripped.translate(_CANONICAL)):
            yield from _split_at_white_space(stripped)
        elif stripped:
            yield stripped


def _split_at_white_space(text: str) -> Iterator[str]:
    """Take one number after the other. What is no number is one piece, up to where the next number surely begins."""
    row = " ".join(word for word in text.translate(_CANONICAL).split() if word.lower() not in _BETWEEN_WORDS)
    start = 0
    while start < len(row):
        found = _NUMBER_IN_ROW.match(row, start)
        end = found.end() if found else _next_sure_start(row, start)
        yield row[start:end].strip()
        start = end


def _next_sure_start(row: str, start: int) -> int:
    """Return where the number after the one at ``start`` begins: at a plus, or at a word of ten digits or more that are
    too many to belong to what stands before. Any laxer rule finds 207-946-0958 in ``+44 2079460958``.
    """
    digits_before = 0
    for word in _WORD.finditer(row, start):
        digits = sum(map(str.isdecimal, word[0]))
        too_many = digits >= 10 and digits_before + digits > _MOST_DIGITS
        if word.start() > start and (too_many or word[0].startswith("+")):
            return word.start()
        digits_before += digits
    return len(row)
