"""What Airflow discovers of this provider: on 3.x from the provider info alone, on 2.11 from the hook's form too."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_provider_bandwidth import __version__
from airflow_provider_bandwidth.get_provider_info import get_provider_info
from airflow_provider_bandwidth.hooks._connection import ConnectionSettings
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.order_records import DEFAULT_ORDER_API

ON_AIRFLOW_2 = airflow.__version__.startswith("2.")
#: Airflow 3.0 and 3.1 take the form from the hook by way of Flask-AppBuilder, and have no form fields without it.
HAS_NO_FORM = airflow.__version__.startswith(("3.0.", "3.1.")) and find_spec("flask_appbuilder") is None


def test_the_entry_point_gives_it() -> None:
    found = [
        point for point in entry_points(group="apache_airflow_provider") if "airflow_provider_bandwidth" in point.value
    ]
    assert [point.load() for point in found] == [get_provider_info]


def test_it_meets_airflows_schema() -> None:
    info = get_provider_info()
    known = {"cli", "asset-uris"}  # not on 2.11
    for name in ("provider_info.schema.json", "provider.yaml.schema.json"):
        schema = json.loads(files("airflow").joinpath(name).read_text())
        known |= set(schema["properties"])
        if name.startswith("provider_info"):
            jsonschema.validate(info, schema)
    # Unknown keys pass the schema: a misspelt one would only be missing in the UI.
    assert set(info) <= known
    assert (info["package-name"], info["versions"]) == ("airflow-provider-bandwidth", [__version__])


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from names_in(item)
    elif isinstance(value, str) and value.startswith("airflow_provider_bandwidth."):
        yield value


def test_everything_it_names_is_there() -> None:
    names = list(names_in(get_provider_info()))
    assert len(names) >= 6
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            assert callable(getattr(importlib.import_module(module), attribute))


def test_every_integration_it_names_is_one_of_its_own() -> None:
    info = get_provider_info()
    known = {integration["integration-name"] for integration in info["integrations"]}
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[kind]:
            assert entry["integration-name"] in known


def test_hook_and_provider_info_say_the_same() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    assert connection_type["connection-type"] == BandwidthHook.conn_type
    assert connection_type["hook-name"] == BandwidthHook.hook_name


def test_the_form_offers_every_extra_that_is_read() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    of_the_form = {"conn_id", "base_url", "login", "password"}
    read = set(ConnectionSettings.__dataclass_fields__) - of_the_form
    assert set(connection_type["conn-fields"]) == read


def test_the_form_offers_every_order_api() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    choice = connection_type["conn-fields"]["order_api"]["schema"]
    assert (choice["enum"], choice["default"]) == (list(ORDER_APIS), DEFAULT_ORDER_API)


def test_no_field_of_the_form_is_required() -> None:
    """Airflow 3.x makes a field required whose type lacks null, and keeps Save disabled without it."""
    (connection_type,) = get_provider_info()["connection-types"]
    for name, field in connection_type["conn-fields"].items():
        assert "null" in field["schema"]["type"], name
        default = field["schema"].get("default")
        jsonschema.validate(default, {name: value for name, value in field["schema"].items() if name != "enum"})
        assert field["label"]
        assert field["description"]


def test_the_default_of_every_field_is_what_an_empty_field_means(monkeypatch: pytest.MonkeyPatch) -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    defaults = {name: field["schema"].get("default") for name, field in connection_type["conn-fields"].items()}

    def read(extra: dict[str, Any]) -> ConnectionSettings:
        connection = {"conn_type": "bandwidth", "login": "user-name", "password": "password", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", json.dumps(connection))
        return BandwidthHook().settings

    assert read(defaults) == read({})


@pytest.fixture(scope="module")
def manager() -> Any:
    from airflow.providers_manager import ProvidersManager

    return ProvidersManager()


def test_airflow_shows_the_connection_type(manager: Any) -> None:
    hook = manager.hooks["bandwidth"]
    assert hook.hook_class_name == "airflow_provider_bandwidth.hooks.bandwidth.BandwidthHook"
    assert (hook.hook_name, hook.connection_id_attribute_name) == ("Bandwidth", "bandwidth_conn_id")
    assert hook.connection_testable


def test_airflow_shows_its_fields(manager: Any) -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    prefix = "extra__bandwidth__"
    shown = {
        name.removeprefix(prefix): widget.field
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith(prefix)
    }
    assert list(shown) == ([] if HAS_NO_FORM else list(connection_type["conn-fields"]))
    for name, spec in connection_type["conn-fields"].items() if shown else ():
        if ON_AIRFLOW_2:
            label, description = shown[name].args[0], shown[name].kwargs["description"]
        else:
            label, description = shown[name]["schema"]["title"], shown[name]["description"]
        assert (str(label), description) == (spec["label"], spec["description"])


def test_airflow_shows_its_labels_and_hides_schema_only(manager: Any) -> None:
    if HAS_NO_FORM:
        assert "bandwidth" not in manager.field_behaviours
        return
    behaviour = manager.field_behaviours["bandwidth"]
    assert behaviour["hidden_fields"] == ["schema"]
    assert behaviour["relabeling"]["host"] == "Base URL"
    assert behaviour["placeholders"]["host"] == "https://dashboard.bandwidth.com/api"


def test_airflow_knows_the_extra_link(manager: Any) -> None:
    assert "airflow_provider_bandwidth.links.bandwidth.BandwidthOrderLink" in manager.extra_links_class_names


def test_discovery_imports_nothing_else() -> None:
    """Airflow asks for it before its own configuration exists."""
    script = (
        "import sys; before = set(sys.modules);"
        "from airflow_provider_bandwidth.get_provider_info import get_provider_info; get_provider_info();"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('airflow_provider_bandwidth')))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    third_party = {"airflow", "lxml", "requests", "phonenumbers", "pydantic"}
    assert third_party.isdisjoint(json.loads(printed.replace("'", '"')))
