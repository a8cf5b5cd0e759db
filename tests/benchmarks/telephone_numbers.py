"""Rates of ``normalize_telephone_numbers``: ``python tests/benchmarks/telephone_numbers.py``.

Times 100,000 rows as CRMs write them, cold (with every import) and warm, next to the phonenumbers library alone on the
same rows; then each notation by itself, and the memory that a million numbers take. The rows come from a fixed seed.
"""

from __future__ import annotations

import platform
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_bandwidth.telephone_numbers import NormalizedTelephoneNumbers

ROWS = 100_000
LIBRARY_ROWS = 20_000  # enough for its rate: it is some twenty times slower
LONG_LIST = 1_000_000

# In service in the United States, Canada and the Caribbean, so that rows hit every kind of metadata.
AREA_CODES = re.findall(
    r"\d{3}",
    """201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248
    251 252 253 254 256 260 262 267 269 270 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320
    321 323 325 330 334 336 337 347 352 360 361 385 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423
    424 425 435 440 443 469 470 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540
    541 551 559 561 562 563 567 570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618
    619 620 623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 717
    718 719 720 724 727 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 803 804 805 806 808 810
    812 813 814 815 816 817 818 828 830 831 832 843 845 847 848 850 856 857 858 859 860 863 864 865 870 901 903 904 906
    907 908 909 910 912 913 914 915 916 917 918 919 920 925 928 931 936 937 940 941 949 951 952 954 956 970 971 972 973
    978 979 980 985 989 204 250 306 403 416 418 506 514 519 604 613 647 705 709 778 807 867 902 905 787 939 809 829 849
    876""",
)

NOTATIONS: dict[str, Callable[[str], object]] = {
    "9195550101": lambda n: n,
    "+19195550101": lambda n: f"+1{n}",
    "+1 (919) 555-0101": lambda n: f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}",
    "(919) 555-0101": lambda n: f"({n[:3]}) {n[3:6]}-{n[6:]}",
    "1-919-555-0101": lambda n: f"1-{n[:3]}-{n[3:6]}-{n[6:]}",
    "919.555.0101": lambda n: f"{n[:3]}.{n[3:6]}.{n[6:]}",
    "blanks around": lambda n: f"  {n[:3]} {n[3:6]} {n[6:]} \t",
    "quotes, BOM": lambda n: f'\ufeff"{n[:3]}-{n[3:6]}-{n[6:]}"',
    "no-break space": lambda n: f"+1\u00a0{n[:3]}\u00a0{n[3:6]}\u2011{n[6:]}",
    "9195550101 (int)": int,
    "9195550101.0 (float)": float,
    "x 12": lambda n: f"{n[:3]}-{n[3:6]}-{n[6:]} x 12",
    "nine digits": lambda n: n[:9],
    "exchange 011": lambda n: f"{n[:3]}011{n[6:]}",
    "area code 2X9": lambda n: f"2{n[1]}9{n[3:]}",
    "toll-free": lambda n: f"1-888-{n[3:6]}-{n[6:]}",
    "foreign": lambda n: f"+44 20 {n[2:6]} {n[6:]}",
    "blank": lambda n: "",
}
#: Rows in a hundred, in the order above.
WEIGHTS = (34, 18, 8, 12, 6, 5, 3, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2)


def numbers(random_: random.Random) -> Iterator[str]:
    while True:
        exchange = random_.randint(200, 999)
        if exchange % 100 != 11:
            yield f"{random_.choice(AREA_CODES)}{exchange}{random_.randint(0, 9999):04}"


def crm_rows(count: int) -> list[object]:
    """Mixed rows over many prefixes, one in twenty a repetition in perhaps another notation."""
    random_ = random.Random(743)
    fresh = numbers(random_)
    seen: list[str] = []
    rows = []
    for notation in random_.choices(list(NOTATIONS.values()), WEIGHTS, k=count):
        number = random_.choice(seen) if seen and random_.random() < 0.05 else next(fresh)
        seen.append(number)
        rows.append(notation(number))
    return rows


def by_library_alone(rows: Iterable[object]) -> int:
    """What one writes without this package: parse, ask whether it is valid and of which kind, drop duplicates."""
    import phonenumbers
    from phonenumbers import PhoneNumberType

    ordinary = {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
        PhoneNumberType.UAN,
    }
    found = set()
    for row in rows:
        try:
            parsed = phonenumbers.parse(str(row), "US")
        except phonenumbers.NumberParseException:
            continue
        if (
            parsed.country_code == 1
            and not parsed.extension
            and phonenumbers.is_valid_number(parsed)
            and phonenumbers.number_type(parsed) in ordinary
        ):
            found.add(phonenumbers.national_significant_number(parsed))
    return len(found)


def seconds(run: Callable[[list[object]], object], rows: list[object], repeats: int = 3) -> float:
    """The best of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run(rows)
        best = min(best, time.perf_counter() - start)
    return best


def line(what: str, count: int, taken: float, by_library: float | None = None) -> None:
    """One line of the table; ``by_library`` is the library's time for one row."""
    ratio = f"{by_library / (taken / count):13.1f} x" if by_library else ""
    print(f"{what:<32}{count:>10,}{taken:>9.3f} s{count / taken:>12,.0f}/s{taken / count * 1e6:>8.2f} us{ratio}")


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    rows = crm_rows(ROWS)

    start = time.perf_counter()
    from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers as normalize

    imported = time.perf_counter()
    normalize(rows[:1])
    ready = time.perf_counter()
    result = normalize(rows)
    cold = time.perf_counter() - start

    import phonenumbers

    prefixes = len({number[:6] for number in result.telephone_numbers})
    print(f"Python {platform.python_version()}, phonenumbers {phonenumbers.__version__}, {platform.machine()}")
    print(
        f"{len(rows):,} rows: {len(result.telephone_numbers):,} telephone numbers of {prefixes:,} six-digit prefixes,"
    )
    print(f"{len(result.rejected):,} rejected, {result.duplicate_count:,} repeated")
    print(f"cold start: this module {(imported - start) * 1e3:.0f} ms, ", end="")
    print(f"phonenumbers and the pattern made of it {(ready - imported) * 1e3:.0f} ms")
    print()

    print(f"{'':<32}{'rows':>10}{'time':>11}{'rate':>14}{'a row':>11}{'library/this':>15}")
    sample = rows[:LIBRARY_ROWS]
    library = seconds(by_library_alone, sample, 1) / len(sample)
    line("mixed, cold start included", len(rows), cold, library)
    line("mixed, warm", len(rows), seconds(normalize, rows), library)
    line("mixed, library alone, warm", len(sample), library * len(sample))
    compare_notations(normalize)
    measure_long_list(normalize)


def compare_notations(normalize: Callable[[Iterable[object]], NormalizedTelephoneNumbers]) -> None:
    fresh = numbers(random.Random(303716))
    plain = [next(fresh) for _ in range(LIBRARY_ROWS)]
    for name, notation in NOTATIONS.items():
        rows = [notation(number) for number in plain]
        few = rows[: LIBRARY_ROWS // 10]
        line(f"  {name}", len(rows), seconds(normalize, rows), seconds(by_library_alone, few, 1) / len(few))


def measure_long_list(normalize: Callable[[Iterable[object]], NormalizedTelephoneNumbers]) -> None:
    lines = LONG_LIST // 125
    before = peak_mib()
    start = time.perf_counter()
    result = normalize(f"{area}{rest}" for area in AREA_CODES[:125] for rest in range(2_000_000, 2_000_000 + lines))
    line("distinct, from a generator", len(result.telephone_numbers), time.perf_counter() - start)
    print(f"{peak_mib() - before:.0f} MiB more at the peak for the last line, its result included")


if __name__ == "__main__":
    main()
