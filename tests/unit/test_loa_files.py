"""Letters of authorization as a parameter names them."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.loa_files import LoaFile, LoaUpload, parse_loa_paths


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ("/loa/bakery.pdf", ("/loa/bakery.pdf",)),
        ("s3://loa/a.PDF, s3://loa/b.tiff", ("s3://loa/a.PDF", "s3://loa/b.tiff")),
        (["a.pdf", "b.docx", "a.pdf"], ("a.pdf", "b.docx")),
        (PurePosixPath("a.pdf"), ("a.pdf",)),
        ((each for each in ("a.pdf", PurePosixPath("b.txt"))), ("a.pdf", "b.txt")),
    ],
)
def test_paths_are_read_however_they_are_given(given: Any, paths: tuple[str, ...]) -> None:
    assert parse_loa_paths(given) == paths


@pytest.mark.parametrize("given", ["letter", "letter.exe", ["a.pdf", None], ["a.pdf", b"b.pdf"], 7, ".pdf", "pdf/"])
def test_what_bandwidth_would_not_take_is_refused_before_anything_is_sent(given: Any) -> None:
    with pytest.raises(InvalidParameterError, match="loa_files: expected paths that end in pdf, txt"):
        parse_loa_paths(given)


@pytest.mark.parametrize(
    ("path", "media_type", "name"),
    [
        ("s3://loa/2026/bakery.pdf", "application/pdf", "bakery.pdf"),
        ("C:\\letters\\Bakery.TIF", "image/tiff", "Bakery.TIF"),
        (f"{'x' * 60}.jpg", "image/jpeg", f"{'x' * 46}.jpg"),
    ],
)
def test_a_letter_has_a_type_and_a_name_that_bandwidth_takes(path: str, media_type: str, name: str) -> None:
    letter = LoaFile(path, b"...")
    assert (letter.media_type, letter.document_name) == (media_type, name)
    assert len(letter.document_name) <= 50
    assert "b'...'" not in repr(letter)


def test_what_became_of_a_letter_is_ready_for_json() -> None:
    upload = LoaUpload("a.pdf", "o-1", error="HTTP 403")
    assert json.loads(json.dumps(upload.to_dict())) == {
        "path": "a.pdf",
        "order_id": "o-1",
        "file_id": None,
        "error": "HTTP 403",
    }
