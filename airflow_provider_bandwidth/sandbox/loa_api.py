"""Letters of authorization of an import: files and their metadata (reference, section 14.10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import ACCOUNT, Call, OrderKind, Route, make_routes
from airflow_provider_bandwidth.sandbox.http import Answer
from airflow_provider_bandwidth.sandbox.loa_files import DOCUMENT_TYPES, EXTENSIONS, LoaFile
from airflow_provider_bandwidth.sandbox.request_xml import UnreadableBodyError, read_texts
from airflow_provider_bandwidth.sandbox.tn_orders import find_order
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import write_document, write_element, write_optional

_LONGEST_NAME: Final = 50


def upload(call: Call) -> Answer:
    """Keep a file: its raw bytes are the body."""
    order = find_order(call)
    content_type, content = _read_file(call)
    file = call.store.loa_files.add(order.order_id, content_type, content, _read_document_type(call))
    location = f"http://{call.request.headers.get('host', '')}{call.request.path.rstrip('/')}/{file.name}"
    answer = Answer(HTTPStatus.CREATED, _write_uploaded(file), headers={"location": location})
    answer.order_id = order.order_id
    return answer


def replace(call: Call) -> Answer:
    """Put other bytes in place of a file's."""
    file = _find_file(call)
    content_type, content = _read_file(call)
    call.store.loa_files.put(dataclasses.replace(file, content_type=content_type, content=content))
    return Answer(HTTPStatus.OK, _write_uploaded(file))


def list_files(call: Call) -> Answer:
    """Answer with the names of an order's files, or with their metadata."""
    files = call.store.loa_files.of_order(find_order(call).order_id)
    with_metadata = (call.request.parameter("metadata") or "").lower() == "true"
    write = _write_data if with_metadata else _write_names
    found = "" if files else "No files were found."
    content = (
        write_element("fileCount", len(files))
        + write(files)
        + write_element("resultCode", 0)
        + write_element("resultMessage", found or "The list of files was found.")
    )
    return Answer(HTTPStatus.OK, write_document("fileListResponse", content.encode()))


def show(call: Call) -> Answer:
    """Answer with a file's bytes."""
    file = _find_file(call)
    disposition = {"content-disposition": f'attachment; filename="{file.name}"'}
    return Answer(HTTPStatus.OK, file.content, content_type="application/octet-stream", headers=disposition)


def delete(call: Call) -> Answer:
    """Forget a file."""
    call.store.loa_files.remove(_find_file(call).name)
    return Answer(HTTPStatus.OK)


def show_metadata(call: Call) -> Answer:
    """Answer with what is known of a file."""
    file = _find_file(call)
    if file.document_type is None:
        raise Refused("", f"The file {file.name} has no metadata.", HTTPStatus.NOT_FOUND)
    return Answer(HTTPStatus.OK, write_document("FileMetaData", _write_metadata(file).encode()))


def change_metadata(call: Call) -> Answer:
    """Say what a file is."""
    file = _find_file(call)
    try:
        texts = read_texts(call.request.body, "FileMetaData")
    except UnreadableBodyError as error:
        raise Refused("1019", str(error)) from None
    document_type = _check_document_type(texts.get("DocumentType") or None)
    name = texts.get("DocumentName") or None
    if name is not None and len(name) > _LONGEST_NAME:
        raise Refused("7800", f"DocumentName has more than {_LONGEST_NAME} characters.")
    call.store.loa_files.put(dataclasses.replace(file, document_type=document_type, document_name=name))
    return Answer(HTTPStatus.OK)


def delete_metadata(call: Call) -> Answer:
    """Forget what a file is."""
    file = _find_file(call)
    call.store.loa_files.put(dataclasses.replace(file, document_type=None, document_name=None))
    return Answer(HTTPStatus.OK)


def _find_file(call: Call) -> LoaFile:
    file = call.store.loa_files.find(find_order(call).order_id, call.names["file"])
    if file is None:
        raise Refused("", f"The file {call.names['file']} was not found.", HTTPStatus.NOT_FOUND)
    return file


def _read_file(call: Call) -> tuple[str, bytes]:
    content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Which code either has is unknown; anything but 0 is no success.
    if content_type not in EXTENSIONS:
        raise Refused("1", f"Files of the type {content_type or 'unknown'} are not taken.")
    if not call.request.body:
        raise Refused("1", "The file is empty.")
    return content_type, call.request.body


def _read_document_type(call: Call) -> str | None:
    in_query = call.request.parameter("documentType")
    in_header = call.request.headers.get("documenttype")
    if in_query and in_header and in_query.upper() != in_header.upper():
        raise Refused("7641", "The document types of query and header differ.")
    given = in_query or in_header
    return _check_document_type(given) if given else None


def _check_document_type(given: str | None) -> str:
    if given is None:
        raise Refused("7640", "The document type is missing.")
    if given.upper() not in DOCUMENT_TYPES:
        raise Refused("7639", f"The document type is one of {', '.join(DOCUMENT_TYPES)}.")
    return given.upper()


def write_refused_upload(refused: Refused) -> bytes:
    """A refusal of a file."""
    code, description = refused.errors[0]
    return write_document(
        "fileUploadResponse",
        f"{write_element('resultCode', code or '1')}{write_element('resultMessage', description)}".encode(),
    )


def _write_uploaded(file: LoaFile) -> bytes:
    content = (
        write_element("filename", file.name)
        + write_element("resultCode", 0)
        + write_element("resultMessage", "The file was uploaded.")
    )
    return write_document("fileUploadResponse", content.encode())


def _write_names(files: Iterable[LoaFile]) -> str:
    return "".join(write_element("fileNames", file.name) for file in files)


def _write_data(files: Iterable[LoaFile]) -> str:
    return "".join(
        "<fileData>"
        + write_element("FileName", file.name)
        + f"<FileMetaData>{_write_metadata(file)}</FileMetaData></fileData>"
        for file in files
    )


def _write_metadata(file: LoaFile) -> str:
    return write_optional("DocumentName", file.document_name) + write_optional("DocumentType", file.document_type)


def make_loa_routes(path: str, version: int, kind: OrderKind) -> Iterable[Route]:
    """The routes of an import's files."""
    files = f"{ACCOUNT}/{path}/(?P<order>[^/]+)/loas"
    file = f"{files}/(?P<file>[^/]+)"
    for operation, method, where, handler in (
        ("loa-upload", "POST", files, upload),
        ("loa-list", "GET", files, list_files),
        ("loa-file", "GET", file, show),
        ("loa-replace", "PUT", file, replace),
        ("loa-delete", "DELETE", file, delete),
        ("loa-metadata", "GET", f"{file}/metadata", show_metadata),
        ("loa-describe", "PUT", f"{file}/metadata", change_metadata),
        ("loa-forget", "DELETE", f"{file}/metadata", delete_metadata),
    ):
        role = "" if method == "GET" else "ordering"
        yield from make_routes(operation, method, where, handler, versions=(version,), kind=kind, role=role)
