"""What the reader and writer make of documents. Those on disk, a folder a dialect, say in JSON what they mean."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.wire import (
    EVERY_READER,
    READERS,
    SAMPLES,
    read_order,
    read_order_list,
    read_order_list_in_pieces,
    resource_of,
    run_python,
    samples,
)

from airflow_provider_bandwidth import exceptions
from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.orders import ExternalTnsOrderRequest, TelephoneNumberError, TnOrder
from airflow_provider_bandwidth.wire.documents import describe_errors, read_errors
from airflow_provider_bandwidth.wire.inventory import (
    ImportTnCheckerResult,
    SipPeerTelephoneNumberPage,
    read_import_tn_checker,
    read_sip_peer_telephone_numbers,
    write_import_tn_checker_request,
)
from airflow_provider_bandwidth.wire.orders import write_order_request

# --- documents on disk ---


def expected_order(fields: dict[str, Any]) -> dict[str, Any]:
    """The whole order: what a sample does not mention is absent from it."""
    absent = TnOrder(order_id="", processing_status="").to_dict()
    assert fields.keys() <= {*absent, "completed_telephone_numbers"}
    return absent | fields


def shown(result: Any) -> Any:
    """A reader's result as its JSON would say it."""
    if isinstance(result, TnOrder):
        return result.to_dict() | {"completed_telephone_numbers": list(result.completed_telephone_numbers)}
    if isinstance(result, SipPeerTelephoneNumberPage | ImportTnCheckerResult):
        return json.loads(json.dumps(asdict(result)))
    if isinstance(result, int):
        return result
    if all(isinstance(item, TelephoneNumberError) for item in result):
        return [[item.telephone_number, item.code, item.description] for item in result]
    return [shown(entry.order) | {"is_summary": entry.is_summary} for entry in result]


def expected_result(reader: str, expected: Any) -> Any:
    if reader == "read_order":
        return expected_order(expected)
    if reader.startswith("read_order_list"):
        return [
            expected_order({k: v for k, v in entry.items() if k != "is_summary"}) | {"is_summary": entry["is_summary"]}
            for entry in expected
        ]
    return expected


def read(reader: Callable[..., Any], path: Path) -> Any:
    """What a reader makes of a sample; readers of orders are told which resource answered so."""
    asked = (resource_of(path),) if reader.__name__.startswith("read_order") else ()
    return reader(path.read_bytes(), *asked)


def elements(body: bytes) -> Any:
    """A document's names and texts in their order, by another parser than the package's."""

    def walk(element: ET.Element) -> Any:
        return (element.tag, (element.text or "").strip(), [walk(child) for child in element])

    return walk(ET.fromstring(body))


DIALECTS = sorted({path.parent.name for path in SAMPLES.glob("*/*.json")})


@pytest.mark.parametrize("path", samples(*DIALECTS))
def test_a_sample_reads_as_its_json_says(path: Path) -> None:
    body = path.read_bytes()
    meaning = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if "read_order_list" in meaning:
        meaning["read_order_list_in_pieces"] = meaning["read_order_list"]
    for function, expected in meaning.items():
        if function == "write_order_request":
            element = {k: expected.pop(k) for k in ("customer_order_id_element",) if k in expected}
            assert elements(write_order_request(ExternalTnsOrderRequest(**expected), **element)) == elements(body)
        elif function == "write_import_tn_checker_request":
            assert elements(write_import_tn_checker_request(**expected)) == elements(body)
        elif isinstance(expected, dict) and "raises" in expected:
            with pytest.raises(getattr(exceptions, expected["raises"])) as raised:
                read(READERS[function], path)
            assert expected["says"] in str(raised.value)
            assert getattr(raised.value, "code", None) == expected.get("code")
        else:
            assert shown(read(READERS[function], path)) == expected_result(function, expected)


@EVERY_READER
@pytest.mark.parametrize("path", samples("foreign", "hostile"))
def test_what_is_not_xml_of_bandwidths_is_no_answer_for_any_reader(path: Path, reader: Callable[[bytes], Any]) -> None:
    with pytest.raises(InvalidResponseError):
        reader(path.read_bytes())


@pytest.mark.parametrize("path", samples("hostile"))
def test_a_doctype_is_refused_for_being_one_unless_the_encoding_hides_it(path: Path) -> None:
    hidden = {
        "entity_external_file_ebcdic": "does not begin with an element",
        "entity_external_file_ucs_4": "does not begin with an element",
        "entity_external_file_utf_7": "in utf-7",
    }
    for reader in (read_order, read_order_list):
        with pytest.raises(InvalidResponseError, match=hidden.get(path.stem, "has a DOCTYPE")):
            reader(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("html", "HTML"),
        ("html_without_doctype", "HTML"),
        ("html_in_capitals", "HTML"),
        ("xhtml", "HTML"),
        ("xhtml_without_doctype", "HTML"),
        ("json", "JSON"),
        ("json_list", "JSON"),
        ("empty", "empty"),
        ("white_space", "empty"),
        ("declaration_only", "empty"),
        ("text", "not XML"),
        ("gzip", "not XML"),
        ("utf_16_with_half_a_character", "UTF-16"),
    ],
)
def test_a_foreign_answer_is_called_what_it_is(name: str, says: str) -> None:
    body = (SAMPLES / "foreign" / f"{name}.xml").read_bytes()
    for reader in (read_order, read_order_list):
        with pytest.raises(InvalidResponseError, match=says):
            reader(body)


def test_a_message_never_quotes_the_body() -> None:
    secret = "token-5551212"
    for body in (
        f"<html><body>{secret}</body></html>",
        f'{{"token": "{secret}"}}',
        f"<ExternalTnsOrder><OrderId>{secret}</Order>",
        f"<Envelope>{secret}</Envelope>",
    ):
        for reader in (read_order, read_order_list):
            with pytest.raises(InvalidResponseError) as raised:
                reader(body.encode())
            assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("reader", "path"),
    [
        (read_order, "seed/partial"),
        (read_order, "flat/created_wrapped"),
        (read_order, "encodings/utf_16_little_endian_bom"),
        (read_order_list, "lists/full"),
        (read_order_list, "lists/summaries"),
        (read_order_list, "lists/report_response"),
        (read_order_list, "encodings/utf_16_list"),
        (read_order_list_in_pieces, "lists/mixed"),
        (read_errors, "errors/d_per_number"),
        (read_sip_peer_telephone_numbers, "sip_peer_telephone_numbers/page"),
        (read_import_tn_checker, "import_tn_checker/some_refused"),
    ],
)
def test_a_document_cut_short_at_any_byte_is_no_answer(reader: Callable[[bytes], Any], path: str) -> None:
    whole = (SAMPLES / f"{path}.xml").read_bytes()
    reader(whole)
    end = max(whole.rfind(bracket) for bracket in (b">", b">\0")) + 1
    for length in range(end):
        with pytest.raises(InvalidResponseError):
            reader(whole[:length])


@pytest.mark.parametrize(
    "record",
    [
        *read_order_list((SAMPLES / "lists" / "full.xml").read_bytes()),
        read_sip_peer_telephone_numbers((SAMPLES / "sip_peer_telephone_numbers" / "page.xml").read_bytes()),
        read_import_tn_checker((SAMPLES / "import_tn_checker" / "some_refused.xml").read_bytes()),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_was_read_is_frozen(record: Any) -> None:
    assert {record: 1}[record] == 1
    with pytest.raises(FrozenInstanceError):
        setattr(record, next(iter(record.__dataclass_fields__)), "other")


@pytest.mark.parametrize("junk", [b"x", b"<a/>", b"\0", b"{}", b"</ExternalTnsOrder>", b"&amp;", b"\xef\xbb\xbf"])
def test_anything_after_the_document_is_no_answer(junk: bytes) -> None:
    order = (SAMPLES / "flat" / "complete_bare.xml").read_bytes()
    listed = (SAMPLES / "lists" / "full.xml").read_bytes()
    for reader, body in ((read_order, order), (read_order_list, listed), (read_order_list_in_pieces, listed)):
        reader(body + b" \r\n\t")
        with pytest.raises(InvalidResponseError):
            reader(body + junk)


# --- hostile documents: nothing is opened, nothing takes long ---

GUARDED = """
import resource, sys, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from support.wire import READERS

documents = [(path.name, path.read_bytes()) for path in Path(sys.argv[1]).iterdir()]
touched = []
sys.addaudithook(lambda event, args: touched.append(event) if event.startswith(("open", "os.", "socket.")) else None)
slowest = 0.0
for name, body in documents:
    for reader in READERS.values():
        start = time.process_time()
        try:
            reader(body)
        except InvalidResponseError:
            slowest = max(slowest, time.process_time() - start)
        else:
            raise SystemExit(f"{name} was read")
print(len(documents), slowest, touched)
"""

UNGUARDED = """
import sys
from lxml import etree
parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)
print("".join(etree.fromstring(open(sys.argv[1], "rb").read(), parser).itertext()))
"""


@pytest.fixture
def traps(tmp_path: Path) -> Iterator[tuple[Path, Path, socket.socket]]:
    """The hostile samples, their addresses aimed at a pipe that blocks whoever opens it and at a port that listens."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    documents = tmp_path / "documents"
    documents.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for path in (SAMPLES / "hostile").glob("*.xml"):
            body = path.read_bytes()
            for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-be", "utf-7", "cp037"):
                canary, address = (text.encode(encoding) for text in ("/CANARY", "127.0.0.1:9"))
                body = body.replace(canary, str(pipe).encode(encoding))
                body = body.replace(address, f"127.0.0.1:{port}".encode(encoding))
            (documents / path.name).write_bytes(body)
        yield documents, pipe, listener


def test_hostile_documents_open_nothing_and_take_no_time(traps: tuple[Path, Path, socket.socket]) -> None:
    documents, _, listener = traps
    done = run_python(GUARDED, documents, timeout=60)  # an opened pipe would block it for ever
    assert done.returncode == 0, done.stdout + done.stderr
    count, slowest, touched = done.stdout.split(maxsplit=2)
    assert int(count) == len(list((SAMPLES / "hostile").glob("*.xml")))
    assert touched.strip() == "[]"
    assert float(slowest) < 1
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("name", ["entity_external_file", "entity_external_file_utf_16_le"])
def test_the_trap_works(traps: tuple[Path, Path, socket.socket], name: str) -> None:
    documents, pipe, _ = traps
    writer = threading.Thread(target=pipe.write_text, args=("caught in the pipe",), daemon=True)
    writer.start()
    done = run_python(UNGUARDED, documents / f"{name}.xml", timeout=60)
    writer.join(10)
    assert "caught in the pipe" in done.stdout, done.stderr


# --- errors ---


def test_the_errors_of_a_refusal_in_one_line() -> None:
    errors = (TelephoneNumberError(None, "7309", "site"), TelephoneNumberError("9195550101", "7312", ""))
    assert describe_errors(errors) == "site; 7312: no description"
    assert describe_errors(errors[1:]) == "no description"


BREAKS = [
    "\n",
    "&#10;",
    "&#13;",
    "&#13;&#10;",
    "\t",
    "\x85",
    "\u2028",
    "\u2029",
    "&#x85;",
    "\u202e",
    "\x9b",
    "\u200b",
]


@pytest.mark.parametrize("break_", BREAKS)
def test_no_text_of_bandwidth_breaks_a_line_or_steers_a_terminal(break_: str) -> None:
    def text(name: str) -> str:
        return f"<{name}>{break_} {name}{break_}of{break_} {break_}mine {break_}</{name}>"

    errors = f"<Errors><Error>{text('Code')}{text('Description')}{text('TelephoneNumber')}</Error></Errors>"
    fields = "".join(map(text, ("OrderId", "ProcessingStatus", "CustomerOrderId", "AccountId", "Action", "SiteId")))
    numbers = f"<TelephoneNumbers>{text('TelephoneNumber')}</TelephoneNumbers>"
    order = read_order(f"<ExternalTnsOrder>{fields}{numbers}{errors}</ExternalTnsOrder>".encode())
    shown = json.dumps(order.to_dict(), ensure_ascii=False)
    assert shown.isprintable()
    assert order.order_id == "OrderId of mine"
    assert order.customer_order_id == "CustomerOrderId of mine"
    assert str(exceptions.OrderFailedError(order)).isprintable()
    with pytest.raises(BandwidthApiError) as caught:
        read_order(f"<ExternalTnsOrderResponse>{errors}</ExternalTnsOrderResponse>".encode())
    assert str(caught.value).isprintable()
    assert (caught.value.code, caught.value.description.split(" (")[0]) == ("Code of mine", "Description of mine")


def test_an_id_in_a_header_breaks_no_line() -> None:
    order = read_order(
        b"<ExternalTnsOrder><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrder>",
        fallback_order_id="o-1\x85\x1b[2J",
    )
    assert order.order_id == "o-1 [2J"
