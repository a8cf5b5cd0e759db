"""What Airflow discovers about this provider. Read by every Airflow process at start: imports nothing heavy."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_bandwidth import __version__

_PACKAGE: Final = "airflow_provider_bandwidth"
_INTEGRATION: Final = "Bandwidth"
_ASSET_URIS: Final = {"schemes": ["bandwidth"], "handler": f"{_PACKAGE}.assets.normalize_uri"}


def get_provider_info() -> dict[str, Any]:
    """Provider info for the entry point group ``apache_airflow_provider``; one dict serves Airflow 2.11 and 3.x."""
    return {
        "package-name": "airflow-provider-bandwidth",
        "name": "Bandwidth",
        "description": "Keeps hosted-messaging telephone numbers at Bandwidth in step with your systems.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://dev.bandwidth.com/docs/numbers/guides/hostingNumbers",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.hooks.bandwidth", f"{_PACKAGE}.hooks.messaging"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.operators.bandwidth",
                    f"{_PACKAGE}.operators.messages",
                    f"{_PACKAGE}.operators.number_sync",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.sensors.bandwidth", f"{_PACKAGE}.sensors.messages"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.triggers.bandwidth", f"{_PACKAGE}.triggers.messages"],
            }
        ],
        "notifications": [f"{_PACKAGE}.notifications.bandwidth.BandwidthSmsNotifier"],
        "connection-types": [
            {
                "connection-type": "bandwidth",
                "hook-class-name": f"{_PACKAGE}.hooks.bandwidth.BandwidthHook",
                "hook-name": "Bandwidth",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
        "extra-links": [
            f"{_PACKAGE}.links.bandwidth.BandwidthOrderLink",
            f"{_PACKAGE}.links.bandwidth.BandwidthReportLink",
        ],
        "asset-uris": [_ASSET_URIS],
        "dataset-uris": [_ASSET_URIS],  # the same on Airflow 2.11
        "cli": [f"{_PACKAGE}.cli.get_cli_commands"],  # Airflow 3.2 and later
    }


#: The hook hands this to Airflow 2.11's connection form. The port stays visible: the form of Airflow 3.3 posts port 0
#: for a connection without one, and its Test button then needs the field.
UI_FIELD_BEHAVIOUR: Final[dict[str, Any]] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "Base URL", "login": "Client ID or API user", "password": "Client secret or API password"},
    "placeholders": {
        "host": "https://dashboard.bandwidth.com/api",
        "port": "0 (none; Airflow 3.3's Test button needs a value)",
        "login": "client id (oauth2) or API user (basic)",
        "password": "client secret (oauth2) or API password (basic)",
    },
}

# Every type allows null: without it the form of Airflow 3.x makes the field required.
_TEXT: Final = ["string", "null"]

#: Extra fields of the connection form. Airflow 2.11's widgets are built from the same table.
CONN_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "auth_type": {
        "label": "Auth type",
        "schema": {"type": _TEXT, "enum": ["oauth2", "basic"], "default": "oauth2"},
        "description": "oauth2: client credentials. basic: API user; Bandwidth turns its password off on 2026-12-02.",
    },
    "account_id": {
        "label": "Account ID",
        "schema": {"type": _TEXT},
        "description": "Bandwidth account, digits. Needed here or on the task.",
    },
    "site_id": {
        "label": "Site ID",
        "schema": {"type": _TEXT},
        "description": "SiteId (location group) of orders whose task names none.",
    },
    "sip_peer_id": {
        "label": "SIP peer ID",
        "schema": {"type": _TEXT},
        "description": "SipPeerId (location) of IMPORT orders whose task names none; the site's default peer if empty.",
    },
    "order_api": {
        "label": "Order API",
        "schema": {
            "type": _TEXT,
            "enum": ["externalTns", "importTnOrders", "importTnOrders/messaging"],
            "default": "externalTns",
        },
        "description": "What the account's orders go through; the last one is importTnOrders in v2 of the API.",
    },
    "subscriber": {
        "label": "Subscriber",
        "schema": {"type": _TEXT},
        "description": "importTnOrders: who uses the numbers of imports whose task names nobody. JSON with name and "
        "service_address (house_number, street_name, city, state_code, zip).",
    },
    "loa_authorizing_person": {
        "label": "LOA authorizing person",
        "schema": {"type": _TEXT},
        "description": "importTnOrders: who signed the letter of authorization of imports whose task names nobody.",
    },
    "loa_type": {
        "label": "LOA type",
        "schema": {"type": _TEXT},
        "description": "CARRIER or SUBSCRIBER, of imports whose task names none.",
    },
    "token_url": {
        "label": "Token URL",
        "schema": {"type": _TEXT},
        "description": "OAuth2 token endpoint; derived from the base URL if empty.",
    },
    "timeout": {
        "label": "Timeout",
        "schema": {"type": ["number", "null"], "default": 30, "exclusiveMinimum": 0, "maximum": 3600},
        "description": "Seconds to wait for a connection, and for each piece of an answer; a whole answer gets five "
        "times as many.",
    },
    "verify": {
        "label": "Verify TLS",
        "schema": {"type": _TEXT, "default": "true"},
        "description": "true, false, or the path of a CA bundle.",
    },
    "max_requests_per_minute": {
        "label": "Max requests per minute",
        "schema": {"type": ["integer", "null"], "default": 60, "minimum": 1},
        "description": "Calls a minute that one triggerer may spend on waiting for orders of one account.",
    },
    "customer_order_id_element": {
        "label": "CustomerOrderID element",
        "schema": {"type": _TEXT, "enum": ["CustomerOrderID", "CustomerOrderId"], "default": "CustomerOrderID"},
        "description": "CustomerOrderID or CustomerOrderId in requests. Change it if the log says that orders lose it.",
    },
    "application_id": {
        "label": "Messaging application ID",
        "schema": {"type": _TEXT},
        "description": "Messaging application of texts whose task names none: the one tied to the sender's location.",
    },
    "messaging_url": {
        "label": "Messaging URL",
        "schema": {"type": _TEXT},
        "description": "Base URL of the message API; Bandwidth's own if empty.",
    },
    "max_segments_per_minute": {
        "label": "Max segments per minute",
        "schema": {"type": ["integer", "null"], "default": 60, "minimum": 1},
        "description": "Segments of texts a minute that one process may send. Bandwidth's default is one a second.",
    },
    "order_url": {
        "label": "Order page URL",
        "schema": {"type": _TEXT},
        "description": "Web page of an order, with {base_url}, {account_id}, {order_id}; the API's address if empty.",
    },
}


def build_form_widgets() -> dict[str, Any]:
    """The extra fields of the connection form as Airflow 2.11 wants them.

    They are text throughout: Airflow 2.11 refuses a hook with a field that offers a choice.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import StringField

    return {
        name: StringField(
            lazy_gettext(spec["label"]),
            widget=BS3TextFieldWidget(),
            description=spec["description"],
            default=str(spec["schema"].get("default", "")),
        )
        for name, spec in CONN_FIELDS.items()
    }
