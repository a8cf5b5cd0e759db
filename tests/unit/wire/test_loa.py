"""Letters of authorization on the wire, by hand from the API reference, section 14.10."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.wire.loa import read_file_ids, read_uploaded, write_metadata

METADATA = "<FileMetaData><DocumentType>LOA</DocumentType></FileMetaData>"
FOUND = "<resultCode>0</resultCode><resultMessage>The list of files was found.</resultMessage>"


def test_metadata_are_written_in_the_documented_order() -> None:
    root = ET.fromstring(write_metadata("letter & more.pdf"))
    assert root.tag == "FileMetaData"
    assert [(child.tag, child.text) for child in root] == [
        ("DocumentName", "letter & more.pdf"),
        ("DocumentType", "LOA"),
    ]


@pytest.mark.parametrize(
    ("body", "file_id"),
    [
        (b"<fileUploadResponse><filename>o-1.pdf</filename><resultCode>0</resultCode></fileUploadResponse>", "o-1.pdf"),
        (b"<FileUploadResponse><fileName>o-1.pdf</fileName></FileUploadResponse>", "o-1.pdf"),
        (b"<fileUploadResponse><resultCode>0</resultCode></fileUploadResponse>", None),
    ],
)
def test_the_servers_name_of_a_file(body: bytes, file_id: str | None) -> None:
    assert read_uploaded(body) == file_id


@pytest.mark.parametrize(
    ("content", "file_ids"),
    [
        (f"<fileCount>2</fileCount><fileNames>a</fileNames><fileNames>b</fileNames>{FOUND}", ("a", "b")),
        (f"<fileCount>1</fileCount><fileData><FileName>a.pdf</FileName>{METADATA}</fileData>{FOUND}", ("a.pdf",)),
        (f"<fileCount>0</fileCount>{FOUND}", ()),
        (FOUND, ()),
    ],
)
def test_a_list_names_its_files_in_either_form(content: str, file_ids: tuple[str, ...]) -> None:
    assert read_file_ids(f"<fileListResponse>{content}</fileListResponse>".encode()) == file_ids


def test_a_list_that_names_fewer_files_than_it_counts_is_none() -> None:
    body = b"<fileListResponse><fileCount>2</fileCount><fileNames>a.pdf</fileNames></fileListResponse>"
    with pytest.raises(InvalidResponseError, match="counts 2 files, and names 1"):
        read_file_ids(body)


@pytest.mark.parametrize("read", [read_uploaded, read_file_ids])
def test_refusals_and_other_answers_are_told_apart(read) -> None:  # type: ignore[no-untyped-def]
    for root in ("fileUploadResponse", "fileListResponse"):
        with pytest.raises(BandwidthApiError, match="no permission") as refused:
            read(f"<{root}><resultCode>5151</resultCode><resultMessage>no permission</resultMessage></{root}>".encode())
        assert refused.value.code == "5151"
    for body in (b"", b"<html/>", b"{}", b"<Order/>"):
        with pytest.raises(InvalidResponseError):
            read(body)
