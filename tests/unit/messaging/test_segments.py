"""Segments are what is limited and billed, so they are counted as carriers count them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bandwidth.messaging.segments import count_segments, cut_to_segments


@pytest.mark.parametrize(
    ("text", "count", "encoding", "units"),
    [
        ("", 0, "GSM-7", 0),
        ("a", 1, "GSM-7", 1),
        ("a" * 160, 1, "GSM-7", 160),
        ("a" * 161, 2, "GSM-7", 161),
        ("a" * 306, 2, "GSM-7", 306),
        ("a" * 307, 3, "GSM-7", 307),
        ("Grüße_@£\n", 1, "GSM-7", 9),
        ("[" * 80, 1, "GSM-7", 160),
        ("[" * 81, 2, "GSM-7", 162),
        # 153 is odd: the 77th bracket does not fit into the first part with both its halves.
        ("[" * 152, 2, "GSM-7", 304),
        ("[" * 153, 3, "GSM-7", 306),
        ("`", 1, "UCS-2", 1),
        ("я" * 70, 1, "UCS-2", 70),
        ("я" * 71, 2, "UCS-2", 71),
        ("😀" * 35, 1, "UCS-2", 70),
        ("😀" * 36, 2, "UCS-2", 72),
        ("😀" * 67, 3, "UCS-2", 134),
    ],
)
def test_segments(text: str, count: int, encoding: str, units: int) -> None:
    segments = count_segments(text)
    assert (segments.count, segments.encoding, segments.units) == (count, encoding, units)


@given(st.text("a[ ", min_size=150, max_size=600) | st.text("aя😀 ", min_size=60, max_size=300), st.integers(1, 3))
def test_a_cut_text_fits_and_loses_no_more_than_it_must(text: str, most: int) -> None:
    cut = cut_to_segments(text, most)
    assert count_segments(cut).count <= most
    if cut != text:
        kept = cut.removesuffix("...")
        assert text.startswith(kept)
        assert count_segments(text).count > most
        following = text[: len(kept) + 1 + len(text[len(kept) :]) - len(text[len(kept) :].lstrip())]
        assert count_segments(f"{following}...").count > most
