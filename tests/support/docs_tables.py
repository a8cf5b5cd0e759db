"""Tables of the documents that are made from code: connection fields, error codes, parameters.

As a program (``make docs``) it writes them into the pages, between ``<!-- made from code: name -->`` and
``<!-- end -->``. A test compares.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow_provider_bandwidth.delivery_codes import DELIVERY_CODES, MessageApi

DOCS = Path(__file__).parents[2] / "docs"
_PACKAGE = "airflow_provider_bandwidth"
#: Where a docstring has the source of a fact; a user's page has no room for it.
_SOURCE_KEY = re.compile(r" \[(?:[a-z]+[0-9]{1,2}|seed|err|host|rate)\]")
_BLOCK = re.compile(r"(<!-- made from code: ([^>]*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

#: What a DAG's author calls: name, as a page has it, by module.
PARAMETER_TABLES: dict[str, str] = {
    "BandwidthTnOrderOperator": "operators.bandwidth",
    "BandwidthTnOrderSensor": "sensors.bandwidth",
    "BandwidthTnOrderTrigger": "triggers.bandwidth",
    "BandwidthCampaignAssignmentOperator": "operators.messages",
    "BandwidthTnOrdersTrigger": "triggers.bandwidth",
    "BandwidthHook": "hooks.bandwidth",
    "BandwidthMessageSensor": "sensors.messages",
    "BandwidthMessageTrigger": "triggers.messages",
    "BandwidthMessagingHook": "hooks.messaging",
    "BandwidthSendMessageOperator": "operators.messages",
    "BandwidthSmsNotifier": "notifications.bandwidth",
    "bandwidth_number_sync": "task_groups.bandwidth",
    "BandwidthNumberSyncPlanOperator": "operators.number_sync",
    "BandwidthNumberSyncOrdersOperator": "operators.number_sync",
    "BandwidthNumberSyncAssignOperator": "operators.number_sync",
    "BandwidthNumberSyncReportOperator": "operators.number_sync",
}


def fill_in(page: str) -> str:
    """A page with every table between its marks made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}{make_table(found[2])}{found[4]}", page)


def make_table(name: str) -> str:
    """The table that a mark asks for, with its last line's end."""
    if name in PARAMETER_TABLES:
        return _parameters(getattr(import_module(f"{_PACKAGE}.{PARAMETER_TABLES[name]}"), name))
    tables: dict[str, Callable[[], str]] = {
        "connection fields": _connection_fields,
        "delivery codes": _delivery_codes,
        "error codes": _error_codes,
        "hook methods": partial(_hook_methods, "BandwidthHook"),
        "messaging hook methods": partial(_hook_methods, "BandwidthMessagingHook"),
        "international a2p codes": _a2p_codes,
        "magic numbers": _magic_numbers,
    }
    return tables[name]()


def _connection_fields() -> str:
    from airflow_provider_bandwidth.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR

    labels, placeholders = UI_FIELD_BEHAVIOUR["relabeling"], UI_FIELD_BEHAVIOUR["placeholders"]
    rows = [(f"`{name}`", labels.get(name, name.capitalize()), shown, "") for name, shown in placeholders.items()]
    for name, spec in CONN_FIELDS.items():
        default = spec["schema"].get("default", "")
        rows.append((f"`extra.{name}`", spec["label"], spec["description"], f"`{default}`" if default != "" else ""))
    return _table(("field", "in the form", "meaning", "default"), rows)


def _error_codes() -> str:
    from airflow_provider_bandwidth.error_codes import ALL_ORDERS, list_error_codes

    codes: dict[tuple[str, ...], list[str]] = {}
    for known in list_error_codes(ALL_ORDERS):
        api = "" if known.api == ALL_ORDERS else known.api
        codes.setdefault((api, known.meaning, known.advice, known.scope, known.retry), []).append(known.code)
    rows = [(", ".join(shared), *told) for told, shared in codes.items()]
    return _table(("code", "only of", "meaning", "what to do", "is about", "retry"), rows)


def _delivery_codes() -> str:
    return _codes_of_messages(MessageApi.MESSAGING)


def _a2p_codes() -> str:
    return _codes_of_messages(MessageApi.INTERNATIONAL_A2P, MessageApi.INTERNATIONAL_A2P_DLR)


def _codes_of_messages(*apis: MessageApi) -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for known in (known for api in apis for known in DELIVERY_CODES[api].values()):
        billed = {True: "yes", False: "no", None: ""}[known.billed]
        told = (known.meaning, known.advice, known.group, known.resend, billed)
        rows.setdefault(told if len(apis) == 1 else (known.api, *told), []).append(known.code)
    heads = ("code", *(("of",) if len(apis) > 1 else ()), "meaning", "what to do", "who", "send again", "billed")
    return _table(heads, ((", ".join(codes), *told) for told, codes in rows.items()))


def _magic_numbers() -> str:
    from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS

    rows = [
        (f"555-{row.line}", " ".join(row.codes), row.text(), str(row.effect), ", ".join(row.actions), row.checker_code)
        for row in MAGIC_NUMBERS.values()
    ]
    return _table(("line", "code", "text", "what fails", "on", "importTnChecker says"), rows)


def _hook_methods(name: str) -> str:
    """What a task may call; what only Airflow or the poller call is left out."""
    from airflow_provider_bandwidth.hooks._api import ApiHook

    hook = getattr(import_module(f"{_PACKAGE}.{PARAMETER_TABLES[name]}"), name)
    called_by_others = {"get_connection_form_widgets", "get_ui_field_behaviour", "load_settings", "reload_settings"}
    rows = []
    for name, method in (vars(ApiHook) | vars(hook)).items():
        if name.startswith("_") or name in called_by_others or not inspect.isfunction(method):
            continue
        parameters = ", ".join(each for each in inspect.signature(method).parameters if each != "self")
        summary = " ".join((inspect.getdoc(method) or "").partition("\n\n")[0].split())
        rows.append((f"`{name}({parameters})`", re.sub(r":\w+:`(\w+)`", r"`\1`", summary).replace("``", "`")))
    return _table(("method", "what it does"), rows)


def _parameters(called: Any) -> str:
    """Parameters of a class or function, with the meaning that its docstring gives."""
    function = called.__init__ if isinstance(called, type) else called
    # A class tells of its own parameters, and leaves those that it inherits to the class that has them.
    tellers = called.__mro__[::-1] if isinstance(called, type) else (called,)
    meanings = {
        name: " ".join(text.split())
        for each in tellers
        if each.__module__.startswith(_PACKAGE)
        for name, text in re.findall(
            r"^:param (\w+):(.*?)(?=^:|\Z)", inspect.cleandoc(each.__doc__ or ""), re.MULTILINE | re.DOTALL
        )
    }
    computed = _computed_defaults(function)
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in meanings:
            default = "" if name in computed else _default(parameter)
            rows.append((f"`{name}`", default, meanings[name].replace("``", "`")))
    if any(default for _, default, _ in rows):
        return _table(("parameter", "default", "meaning"), rows)
    return _table(("parameter", "meaning"), ((name, meaning) for name, _, meaning in rows))


def _computed_defaults(function: Callable[..., Any]) -> set[str]:
    """Parameters whose default depends on Airflow's configuration."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    (node,) = (part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef))
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return {argument.arg for argument, default in keywords if isinstance(default, ast.Call)}


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is parameter.empty or value is None or value == () or callable(value):
        return ""
    if isinstance(value, timedelta):
        return f"{value / timedelta(hours=1):g} hours"
    if isinstance(value, tuple):
        value = tuple(str(item) for item in value)
    return f"`{value!r}`" if not hasattr(value, "value") else f"`{value.value!r}`"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), ["---"] * len(list(heads))]
    lines += [[_SOURCE_KEY.sub("", cell).replace("|", "\\|") for cell in row] for row in rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def main() -> None:
    """Write the tables into the pages."""
    for path in sorted(DOCS.rglob("*.md")):
        old = path.read_text(encoding="utf-8")
        new = fill_in(old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}: tables made anew\n")


if __name__ == "__main__":
    main()
