"""Letters of authorization as Bandwidth's API has them: what is asked, and what it answers. Pure.

Roots begin with a small letter, whatever the schemas say: API reference, section 14.10.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from airflow_provider_bandwidth.exceptions import InvalidResponseError
from airflow_provider_bandwidth.wire.documents import (
    add_element,
    children_of,
    first_text,
    local_name,
    name_of,
    parse_document,
    raise_refusal,
    texts_of,
    write_document,
)

#: What our files are.
DOCUMENT_TYPE: Final = "LOA"


def write_metadata(document_name: str) -> bytes:
    """The body of ``PUT .../loas/{fileId}/metadata``."""
    root = etree.Element("FileMetaData")
    add_element(root, "DocumentName", document_name)
    add_element(root, "DocumentType", DOCUMENT_TYPE)
    return write_document(root)


def read_uploaded(body: bytes) -> str | None:
    """The name that the server has given a file: the answer to ``POST .../loas``.

    :return: ``None`` if it names none
    :raises InvalidResponseError: the body is no such answer
    :raises BandwidthApiError: the body is a refusal
    """
    return first_text([_read(body, "fileuploadresponse")], "filename")


def read_file_ids(body: bytes) -> tuple[str, ...]:
    """The server's names of an order's files: the answer to ``GET .../loas``, with or without their metadata.

    :raises InvalidResponseError: the body is no such list, or says that it has more files than it names
    :raises BandwidthApiError: the body is a refusal
    """
    answer = _read(body, "filelistresponse")
    data = [children_of(each) for each in answer.get("filedata", ())]
    names = tuple(dict.fromkeys((*texts_of([answer], ["filenames"]), *texts_of(data, ["filename"]))))
    count = first_text([answer], "filecount")
    if count is not None and count.isdecimal() and int(count) > len(names):
        raise InvalidResponseError(f"The answer counts {count} files, and names {len(names)}.")
    return names


def _read(body: bytes, root_name: str) -> dict[str, list[etree._Element]]:
    root = parse_document(body)
    answer = children_of(root)
    raise_refusal(answer)
    if name_of(root.tag) != root_name:
        raise InvalidResponseError(f"The answer is a <{local_name(root.tag)}>, which is not what was asked for.")
    return answer
