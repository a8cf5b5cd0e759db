"""Letters of authorization at an import."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

PDF = {"Content-Type": "application/pdf"}
METADATA = "<FileMetaData><DocumentName>letter</DocumentName><DocumentType>LOA</DocumentType></FileMetaData>"


@pytest.fixture(params=[1, 2])
def loas(request: pytest.FixtureRequest, api: Any) -> str:
    """The address of an import's files, in either version."""
    api = api if request.param == 1 else api.v2()
    plus, path = ("", "/importTnOrders") if request.param == 1 else ("+1", "/importTnOrders/messaging")
    order_id = api.make(api.import_xml(f"{plus}9195550101"), path)
    return f"{api.base}{path}/{order_id}/loas"


@pytest.fixture
def send(api: Any) -> Any:
    def call(method: str, url: str, **keywords: Any) -> Any:
        response = api.session.request(method, url, timeout=10, **keywords)
        is_xml = response.headers.get("Content-Type", "").startswith("application/xml")
        return response, ET.fromstring(response.content) if is_xml else None

    return call


def upload(send: Any, loas: str, content: bytes = b"%PDF-1.7", **keywords: Any) -> str | None:
    response, root = send("POST", loas, data=content, headers=PDF, **keywords)
    assert (response.status_code, root.tag, root.findtext("resultCode")) == (201, "fileUploadResponse", "0")
    return root.findtext("filename")


def test_the_server_chooses_the_name_and_an_upload_repeated_is_two_files(
    sandbox: Sandbox, send: Any, loas: Any
) -> None:
    order_id = loas.split("/")[-2]

    first, second = upload(send, loas), upload(send, loas)

    assert first != second
    assert re.fullmatch(rf"{order_id}-\d{{13}}\.pdf", first)
    assert [(file.name, file.content) for file in sandbox.loa_files(order_id)] == [
        (name, b"%PDF-1.7") for name in (first, second)
    ]
    listed = requests.get(f"{sandbox.url}/sandbox/orders/{order_id}/loas", timeout=5).json()["files"]
    assert [(file["name"], file["size"]) for file in listed] == [(first, 8), (second, 8)]


def test_the_answer_links_to_the_file(send: Any, loas: Any) -> None:
    response, root = send("POST", loas, data=b"%PDF", headers=PDF)

    assert response.headers["Location"] == f"{loas}/{root.findtext('filename')}"
    back, _ = send("GET", response.headers["Location"])
    assert (back.content, back.headers["Content-Type"]) == (b"%PDF", "application/octet-stream")
    assert back.headers["Content-Disposition"].startswith("attachment")


def test_the_list_has_names_or_metadata_and_may_be_empty(send: Any, loas: Any) -> None:
    response, root = send("GET", loas)
    assert (response.status_code, root.tag) == (200, "fileListResponse")
    assert (root.findtext("fileCount"), root.findtext("resultCode")) == ("0", "0")

    names = [upload(send, loas), upload(send, loas, params={"documentType": "invoice"})]

    _, plain = send("GET", loas)
    assert [each.text for each in plain.findall("fileNames")] == names
    _, detailed = send("GET", loas, params={"metadata": "true"})
    assert [each.findtext("FileName") for each in detailed.findall("fileData")] == names
    assert [each.findtext("FileMetaData/DocumentType") for each in detailed.findall("fileData")] == [None, "INVOICE"]


def test_metadata_comes_after_the_file(sandbox: Sandbox, send: Any, loas: Any) -> None:
    file = f"{loas}/{upload(send, loas)}"
    assert send("GET", f"{file}/metadata")[0].status_code == 404

    assert send("PUT", f"{file}/metadata", data=METADATA)[0].status_code == 200

    _, root = send("GET", f"{file}/metadata")
    assert [(each.tag, each.text) for each in root] == [("DocumentName", "letter"), ("DocumentType", "LOA")]
    assert [(file.document_type, file.document_name) for file in sandbox.loa_files(loas.split("/")[-2])] == [
        ("LOA", "letter")
    ]
    assert send("DELETE", f"{file}/metadata")[0].status_code == 200
    assert send("GET", f"{file}/metadata")[0].status_code == 404


def test_a_file_is_replaced_and_deleted(sandbox: Sandbox, send: Any, loas: Any) -> None:
    file = f"{loas}/{upload(send, loas)}"

    response, _ = send("PUT", file, data=b"%PDF-2", headers=PDF)

    assert response.status_code == 200
    assert send("GET", file)[0].content == b"%PDF-2"
    assert send("DELETE", file)[0].status_code == 200
    assert send("GET", file)[0].status_code == 404
    assert sandbox.loa_files(loas.split("/")[-2]) == []


@pytest.mark.parametrize(
    ("content", "headers", "parameters", "code"),
    [
        (b"x", {"Content-Type": "application/zip"}, {}, "1"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, {}, "1"),
        (b"", PDF, {}, "1"),
        (b"x", PDF, {"documentType": "LETTER"}, "7639"),
        (b"x", {**PDF, "documentType": "LOA"}, {"documentType": "CSR"}, "7641"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_code(
    sandbox: Sandbox, send: Any, loas: Any, content: bytes, headers: Any, parameters: dict[str, Any], code: str
) -> None:
    response, root = send("POST", loas, data=content, headers=headers, params=parameters)

    assert (response.status_code, root.tag, root.findtext("resultCode")) == (400, "fileUploadResponse", code)
    assert sandbox.loa_files(loas.split("/")[-2]) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (METADATA.replace("LOA", "LETTER"), "7639"),
        ("<FileMetaData><DocumentName>letter</DocumentName></FileMetaData>", "7640"),
        (METADATA.replace("letter", "x" * 51), "7800"),
        ("<FileMetaData>", "1019"),
    ],
)
def test_what_is_wrong_with_metadata_is_a_code(api: Any, send: Any, loas: Any, body: Any, code: str) -> None:
    response, _ = send("PUT", f"{loas}/{upload(send, loas)}/metadata", data=body)

    assert api.refusal(response)[::2] == (400, code)


def test_unknown_files_and_orders_are_404(api: Any, send: Any, loas: Any) -> None:
    assert send("GET", f"{loas}/none.pdf")[0].status_code == 404
    assert send("DELETE", f"{loas}/none.pdf")[0].status_code == 404
    unknown = f"{api.base}/importTnOrders/{uuid.uuid4()}/loas"
    assert send("POST", unknown, data=b"x", headers=PDF)[0].status_code == 404
    removal = api.make(api.removal_xml("9195550101"), "/removeImportedTnOrders")
    assert (
        send("POST", f"{api.base}/removeImportedTnOrders/{removal}/loas", data=b"x", headers=PDF)[0].status_code == 404
    )


def test_a_fault_can_lose_the_answer_of_an_upload(sandbox: Sandbox, send: Any, loas: Any) -> None:
    sandbox.inject("status", operation="loa-upload", when="after")

    response, _ = send("POST", loas, data=b"x", headers=PDF)

    assert response.status_code == 503
    assert len(sandbox.loa_files(loas.split("/")[-2])) == 1
