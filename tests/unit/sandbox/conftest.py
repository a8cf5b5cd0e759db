"""A sandbox per module, reset for every test, and a client that knows nothing of the package's own."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import pytest
import requests

from airflow_provider_bandwidth.sandbox import Sandbox

ACCOUNT = "9900000"


SUBSCRIBER = (
    "<Name>Example Bakery LLC</Name><ServiceAddress><HouseNumber>12</HouseNumber><StreetName>Mill</StreetName>"
    "<City>Durham</City><StateCode>NC</StateCode><Zip>27701</Zip></ServiceAddress>"
)


def _list(numbers: tuple[str, ...]) -> str:
    return "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)


class Api:
    """Plain HTTP against a sandbox, with Basic credentials, and readers of its answers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.base = f"{sandbox.base_url}/accounts/{ACCOUNT}"
        self.session = requests.Session()
        self.session.auth = ("sandbox", "sandbox")

    def get(self, path: str = "", **keywords: Any) -> requests.Response:
        return self.session.get(f"{self.base}{path}", timeout=10, allow_redirects=False, **keywords)

    def post(self, body: str | bytes, path: str = "/externalTns", **keywords: Any) -> requests.Response:
        return self.session.post(f"{self.base}{path}", data=body, timeout=10, allow_redirects=False, **keywords)

    def submit(self, *numbers: str, **fields: str | None) -> str:
        """Submit an order that must be taken; its id."""
        response = self.post(self.order_xml(*numbers, **fields))
        assert response.status_code == 201, response.text
        return self.texts(ET.fromstring(response.content), "OrderId")[0]

    def read(self, order_id: str) -> ET.Element:
        response = self.get(f"/externalTns/{order_id}")
        assert response.status_code == 200, response.text
        return ET.fromstring(response.content)

    def search(self, **parameters: object) -> ET.Element | None:
        """A list; ``None`` where it says that nothing was found."""
        response = self.get("/externalTns", params=parameters)
        if response.status_code == 404:
            return None
        assert response.status_code == 200, response.text
        return ET.fromstring(response.content)

    def found(self, **parameters: object) -> list[str]:
        """The order ids of a list, in its order."""
        root = self.search(**parameters)
        return [] if root is None else self.texts(root, "OrderId")

    @staticmethod
    def import_xml(*numbers: str, **fields: str | None) -> str:
        """An import with all that it needs; a field given as None is left out, Subscriber is XML."""
        values: dict[str, str | None] = {
            "CustomerOrderId": "run-7",
            "SiteId": "743",
            "SipPeerId": "303716",
            "Subscriber": SUBSCRIBER,
            "LoaAuthorizingPerson": "Ada Baker",
            **fields,
        }
        parts = "".join(f"<{name}>{text}</{name}>" for name, text in values.items() if text is not None)
        return f"<ImportTnOrder>{parts}<TelephoneNumbers>{_list(numbers)}</TelephoneNumbers></ImportTnOrder>"

    @staticmethod
    def removal_xml(*numbers: str, customer_order_id: str = "run-8") -> str:
        """A removal."""
        return (
            f"<RemoveImportedTnOrder><CustomerOrderId>{customer_order_id}</CustomerOrderId>"
            f"<TelephoneNumbers>{_list(numbers)}</TelephoneNumbers></RemoveImportedTnOrder>"
        )

    def make(self, body: str, path: str) -> str:
        """Submit a body that must be taken; the order's id."""
        response = self.post(body, path)
        assert response.status_code == 201, response.text
        return self.texts(ET.fromstring(response.content), "OrderId")[0]

    def show(self, path: str) -> ET.Element:
        """What GET answers, which must be 200."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return ET.fromstring(response.content)

    def v2(self) -> Api:
        """The same client for version 2."""
        other = Api(self.sandbox)
        other.base = f"{self.sandbox.base_url}/v2/accounts/{ACCOUNT}"
        other.session.close()
        other.session = self.session
        return other

    @staticmethod
    def order_xml(*numbers: str, **fields: str | None) -> str:
        """An order as the seed writes it; a field given as None is left out."""
        values: dict[str, str | None] = {
            "CustomerOrderID": "run-7",
            "SiteId": "743",
            "SipPeerId": "303716",
            "Action": "IMPORT",
            **fields,
        }
        parts = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in values.items() if text is not None)
        listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
        return f"<ExternalTnsOrder>{parts}<TelephoneNumbers>{listed}</TelephoneNumbers></ExternalTnsOrder>"

    @staticmethod
    def paths(root: ET.Element) -> list[str]:
        """The path of every leaf below the root, in document order."""

        def walk(element: ET.Element, above: str) -> Iterator[str]:
            for child in element:
                path = f"{above}{child.tag}"
                if len(child):
                    yield from walk(child, f"{path}/")
                else:
                    yield path

        return list(walk(root, ""))

    @staticmethod
    def texts(root: ET.Element, name: str) -> list[str]:
        """The text of every element of that name."""
        return [(element.text or "").strip() for element in root.iter(name)]

    @classmethod
    def status(cls, root: ET.Element) -> str:
        """The status of the first order in the answer."""
        return cls.texts(root, "ProcessingStatus")[0]

    @classmethod
    def errors(cls, root: ET.Element) -> list[tuple[str, list[str]]]:
        """Code and numbers of every error."""
        return [
            (error.findtext("Code", "").strip(), cls.texts(error, "TelephoneNumber")) for error in root.iter("Error")
        ]

    @staticmethod
    def refusal(response: requests.Response) -> tuple[int, str, str]:
        """Status, root and code of a refusal."""
        root = ET.fromstring(response.content)
        assert root.findtext("ResponseStatus/Description")
        return response.status_code, root.tag, root.findtext("ResponseStatus/ErrorCode", "")


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    sites = {"743": ("303716", "303720"), "744": ("303717",)}
    with Sandbox(accounts=(ACCOUNT, "9900001"), sites=sites) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    client = Api(sandbox)
    yield client
    client.session.close()
