"""What a nightly sync will do: desired minus current is a plan.

Pure: no Airflow, no network. What is desired comes from an organisation's systems, what is current from Bandwidth, and
only numbers that an external order brought there count as current, so that a number Bandwidth owns is never removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import filterfalse, islice
from typing import Final, cast

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.number_sync.doubt import numbers_they_could_be
from airflow_provider_bandwidth.telephone_numbers import RejectedTelephoneNumber, iter_values, read_telephone_numbers
from airflow_provider_bandwidth.values import NotAListError, unwrap


@dataclass(frozen=True, slots=True)
class NumberSyncPlan:
    """What a sync will do. No number is in two of the four tuples.

    ``unchanged``, ``to_import`` and ``rejected`` together hold every desired value once.

    :param to_import: desired and not current; ascending, so that rows in another order make the same orders
    :param to_remove: current and not desired, if removal was asked for; ascending
    :param unchanged: desired and current, in the order first seen
    :param rejected: desired values that cannot be imported, each with its reason
    :param current_count: numbers at Bandwidth
    :param not_desired_count: current numbers that are not desired, whether or not they are removed
    :param duplicate_count: desired values that repeat an earlier one in some notation
    :param blank_count: desired values that are blank or None
    :param unreadable_count: desired values that may stand for any number. A repeated one counts each time: it is
        another row whose number nobody knows
    """

    to_import: tuple[str, ...]
    to_remove: tuple[str, ...]
    unchanged: tuple[str, ...]
    rejected: tuple[RejectedTelephoneNumber, ...]
    current_count: int
    not_desired_count: int
    duplicate_count: int
    blank_count: int
    unreadable_count: int = 0

    @property
    def desired_count(self) -> int:
        """Desired values, rejected ones included, duplicates and blanks not."""
        return len(self.unchanged) + len(self.to_import) + len(self.rejected)

    def counts(self) -> dict[str, int]:
        """The figures of the plan by name."""
        return {
            "desired": self.desired_count,
            "current": self.current_count,
            "unchanged": len(self.unchanged),
            "to_import": len(self.to_import),
            "to_remove": len(self.to_remove),
            "rejected": len(self.rejected),
            "not_desired": self.not_desired_count,
            "duplicates": self.duplicate_count,
            "blanks": self.blank_count,
        }


#: A value rejected for one of these is read without doubt: it is a number that cannot or must not be imported.
_READABLE_CODES: Final = frozenset({"excluded", "not_imported", "not_nanp", "premium_rate", "toll_free"})
_NOT_IMPORTED: Final = (
    "is at this SIP peer already, but not marked External or Imported: probably Bandwidth's own. Importing it could "
    "reset it. Look it up in the Dashboard"
)


def plan_number_sync(
    desired: Iterable[object] | str,
    current: Iterable[str],
    *,
    owned: Collection[str] = (),
    excluded: Iterable[object] | str = (),
    remove_missing: bool = False,
) -> NumberSyncPlan:
    """Compare desired with current numbers. Decides nothing about safety: see ``guards``.

    A desired value that is current counts as valid whatever the numbering plan of this machine says: Bandwidth hosts
    it. No number that a rejected value could stand for is removed: see :mod:`.doubt`. None, NaN and pandas' NA count as
    blanks.

    :param desired: values as CRMs write them, in anything that ``telephone_numbers.iter_values`` takes
    :param current: ten digits each
    :param owned: other numbers at the same place, ten digits each, which no external order is known to have brought
        there. A desired number among them is rejected: if it was imported all the same, importing it again would reset
        it. None of them is ever removed
    :param excluded: numbers to leave alone: neither imported nor removed. A number both desired and excluded is
        rejected
    :param remove_missing: whether current numbers that are not desired are to be removed
    :raises InvalidTelephoneNumbersError: an excluded value is no telephone number, so what to protect is not known
    :raises InvalidParameterError: what was given cannot be a list of telephone numbers
    """
    at_bandwidth = current if isinstance(current, set | frozenset) else set(current)
    left_alone = _normalize_excluded(excluded, at_bandwidth)
    values = _SortedValues(at_bandwidth)
    values.read(desired, "telephone_numbers")
    desired_owned = (values.fresh.keys() & owned) - left_alone
    desired_excluded = left_alone & (values.known.keys() | values.fresh.keys()) if left_alone else left_alone
    rejected = [
        *values.rejected,
        *(
            RejectedTelephoneNumber(number, "is both desired and excluded: left as it is at Bandwidth", "excluded")
            for number in sorted(desired_excluded)
        ),
        *(RejectedTelephoneNumber(number, _NOT_IMPORTED, "not_imported") for number in sorted(desired_owned)),
    ]
    missing = at_bandwidth.difference(values.known)
    removable = missing - left_alone if remove_missing else set()
    if removable and values.unreadable:
        removable -= numbers_they_could_be(values.unreadable, removable)
    return NumberSyncPlan(
        to_import=tuple(sorted(values.fresh.keys() - left_alone - desired_owned)),
        to_remove=tuple(sorted(removable)),
        unchanged=tuple(filterfalse(left_alone.__contains__, values.known)),
        rejected=tuple(rejected),
        current_count=len(at_bandwidth),
        not_desired_count=len(missing),
        duplicate_count=values.duplicate_count,
        blank_count=values.blank_count,
        unreadable_count=values.unreadable_count,
    )


def _normalize_excluded(excluded: Iterable[object] | str, current: set[str] | frozenset[str]) -> frozenset[str]:
    values = _SortedValues(current)
    values.read(excluded, "excluded_telephone_numbers")
    if values.rejected:
        raise InvalidTelephoneNumbersError(values.rejected)
    return frozenset({**values.known, **values.fresh})


class _SortedValues:
    """Values sorted into numbers that are current, numbers that are new, refused values and blanks.

    ``unreadable`` holds the refused values as they were given.
    """

    def __init__(self, current: set[str] | frozenset[str]) -> None:
        self._current = current
        self.known: dict[str, None] = {}
        self.fresh: dict[str, None] = {}
        self.rejected: list[RejectedTelephoneNumber] = []
        self.unreadable: list[object] = []
        self.duplicate_count = 0
        self.blank_count = 0
        self.unreadable_count = 0

    def read(self, values: Iterable[object] | str, name: str) -> None:
        try:
            each = iter_values(values)
        except NotAListError as error:
            raise InvalidParameterError(name, str(error)) from None
        others, total = self._take_known(each)
        rejected: dict[RejectedTelephoneNumber, None] = {}
        for value in others:
            outcome = read_telephone_numbers(value)
            if isinstance(outcome, tuple):
                total += len(outcome) - 1
                for number in outcome:
                    (self.known if number in self._current else self.fresh)[number] = None
            elif outcome.code == "empty":
                self.blank_count += 1
            else:
                self.unreadable_count += outcome.code not in _READABLE_CODES
                # A rejection shows a value that is no text in short, so that different ones look alike.
                if outcome not in rejected or not isinstance(value, str):
                    self.unreadable.append(value)
                rejected[outcome] = None
        self.rejected = list(rejected)
        distinct = len(self.known) + len(self.fresh) + len(self.rejected)
        self.duplicate_count = total - self.blank_count - distinct

    def _take_known(self, values: Iterable[object]) -> tuple[list[object], int]:
        """Take out blanks, and the values that are current numbers as they stand, which most are.

        :return: the other values, and the count of all
        """
        others: list[object] = []
        total = 0
        each = iter(values)
        while some := list(islice(each, _VALUES_AT_A_TIME)):
            total += len(some)
            numbers = _bare_digits_of_all(some)
            if numbers is not None and self._current.issuperset(numbers):
                self.known.update(dict.fromkeys(numbers))
                continue
            if numbers is not None:
                self.known.update(dict.fromkeys(filter(self._current.__contains__, numbers)))
                some = [value for number, value in zip(numbers, some, strict=True) if number not in self._current]
            self._take_known_one_by_one(some, others)
        return others, total

    def _take_known_one_by_one(self, values: Iterable[object], others: list[object]) -> None:
        """As :meth:`_take_known`; the other values are added to a list."""
        current, known = self._current, self.known
        for given in values:
            value = given
            if type(value) is not str:
                value = unwrap(given)
                if type(value) is int:
                    value = str(value)
                elif not isinstance(value, str):
                    others.append(value)
                    continue
            number = value if len(value) == 10 else _bare_digits(value)
            if number in current:
                known[number] = None
            elif not value or value.isspace():
                self.blank_count += 1
            else:
                others.append(value)


#: Values that are looked at together: a list of them costs nothing, a call for each does.
_VALUES_AT_A_TIME: Final = 1000
#: Most values repeat a current number with punctuation; that is seen without the numbering plan.
_PUNCTUATION: Final = b" +-.()/"


def _bare_digits(value: str) -> str:
    bare = value.encode("ascii", "replace").translate(None, _PUNCTUATION)
    return (bare[1:] if len(bare) == 11 and bare[0] == b"1"[0] else bare).decode("ascii")


def _bare_digits_of_all(values: Sequence[object]) -> list[str] | None:
    """What :func:`_bare_digits` makes of each; ``None`` if one is no text, or holds a line break.

    A text of ten characters that is no number as it stands makes none: it has fewer digits.
    """
    if set(map(type, values)) != {str}:
        return None
    texts = cast(Sequence[str], values)
    if set(map(len, texts)) == {10}:
        return list(texts)
    bare = "\n".join(texts).encode("ascii", "replace").translate(None, _PUNCTUATION).decode("ascii").split("\n")
    if len(bare) != len(texts):
        return None
    return [each[1:] if len(each) == 11 and each[0] == "1" else each for each in bare]
