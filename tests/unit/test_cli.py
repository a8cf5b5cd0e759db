"""The commands as a person types them, against the sandbox: what they print, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bandwidth.cli import get_cli_commands, main
from airflow_provider_bandwidth.delivery_codes import DELIVERY_CODES
from airflow_provider_bandwidth.error_codes import ERROR_CODES, explain_error_code
from airflow_provider_bandwidth.sandbox import Order, OrderError, Sandbox

OURS = ERROR_CODES["orders"]["25060"]
NUMBERS = ("9195550101", "9195550102")


@pytest.fixture
def order(sandbox: Sandbox, connect: Callable[..., None]) -> Order:
    connect(sandbox.connection)
    return sandbox.add_order(
        NUMBERS, customer_order_id="run-7", status="PARTIAL", errors=[OrderError("25060", "ours", (NUMBERS[1],))]
    )


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    capfd.readouterr()
    code: Any = 0
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    return code, out, err


def test_an_order_is_shown_with_its_errors_and_what_to_do(order: Order, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "order", order.order_id)
    assert code == 0
    words = (order.order_id, "PARTIAL", "run-7", NUMBERS[1], "25060", "ours", OURS.advice)
    assert [word for word in words if word not in out] == []


def test_json_holds_the_whole_order(order: Order, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "order", order.order_id, "--output", "json")
    shown = json.loads(out)
    assert (code, shown["order_id"], shown["telephone_numbers"]) == (0, order.order_id, list(NUMBERS))
    assert shown["errors"] == [{"telephone_number": NUMBERS[1], "code": "25060", "description": "ours"}]


@pytest.mark.parametrize(
    "filters",
    [
        ("--customer-order-id", "run-7"),
        ("--telephone-number", "+1 (919) 555-0101"),
        ("--status", "partial", "--status", "FAILED"),
    ],
)
def test_orders_are_found_by_each_filter(
    filters: tuple[str, ...], order: Order, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.add_order(["9195550199"], customer_order_id="run-8")
    code, out, _ = run(capfd, "orders", *filters, "-o", "json")
    assert (code, [found["order_id"] for found in json.loads(out)]) == (0, [order.order_id])
    table = run(capfd, "orders", *filters)[1]
    line = next(line for line in table.splitlines() if order.order_id in line)
    assert order.customer_order_id is not None
    assert order.customer_order_id in line
    assert json.loads(out)[0]["created_at"][:16] in line


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        pytest.param(("order", "nope"), 3, "has no order nope", id="unknown order"),
        pytest.param(("orders", "--customer-order-id", "run-9"), 3, "No order matches", id="no match"),
        pytest.param(("explain-error", "424242"), 3, "'424242'", id="unknown code"),
        pytest.param(("orders", "--status", "DONE"), 2, "status: expected RECEIVED or", id="wrong status"),
        pytest.param(("orders", "--telephone-number", "12"), 2, "'12'", id="wrong number"),
        pytest.param(("order", "nope", "--account-id", "77"), 1, "403", id="wrong account"),
        pytest.param(("order", "nope", "--conn-id", "nix"), 1, "nix", id="unknown connection"),
        pytest.param((), 2, "COMMAND", id="no command"),
    ],
)
def test_what_goes_wrong_is_said_on_standard_error_with_an_exit_code(
    arguments: tuple[str, ...], exit_code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capfd, *arguments)
    assert (code, said in err) == (exit_code, True), err
    assert "Traceback" not in err


def test_a_warning_of_the_hook_does_not_stand_in_the_answer(
    order: Order, sandbox: Sandbox, connect: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    connect(sandbox.connection, extra={"auth_type": "basic"})
    code, out, _ = run(capfd, "order", order.order_id, "-o", "json")
    assert (code, json.loads(out)["order_id"]) == (0, order.order_id)


def test_an_error_is_explained_in_the_sense_of_the_orders_api(
    sandbox: Sandbox, connect: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    connect(sandbox.connection)
    made = [
        sandbox.add_order(NUMBERS, status="FAILED", errors=[OrderError("5061", "site", NUMBERS)], order_api=order_api)
        for order_api in ("externalTns", "importTnOrders")
    ]
    said = [run(capfd, "order", order.order_id, "--order-api", order.order_api)[1] for order in made]
    senses = [explain_error_code("5061", order.order_api) for order in made]
    assert senses[0] != senses[1]
    for known, out in zip(senses, said, strict=True):
        assert known is not None
        assert known.advice.split()[-1] in out


def test_orders_are_those_of_the_api_that_is_named(
    sandbox: Sandbox, connect: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    connect(sandbox.connection)
    made = {each: sandbox.add_order(NUMBERS, order_api=each).order_id for each in ("externalTns", "importTnOrders")}
    for order_api, order_id in made.items():
        code, out, _ = run(capfd, "orders", "--order-api", order_api, "-o", "json")
        assert (code, [found["order_id"] for found in json.loads(out)]) == (0, [order_id])


def test_an_empty_list_is_json_too(order: Order, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "orders", "--customer-order-id", "run-9", "-o", "json")
    assert (code, json.loads(out)) == (3, [])


def test_a_code_is_explained_and_without_one_all_are(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "explain-error", "25060", "-o", "json")
    assert (code, json.loads(out)) == (0, [OURS.to_dict()])
    assert OURS.advice[:20] in run(capfd, "explain-error", "25060")[1]
    code, out, _ = run(capfd, "explain-error", "-o", "json")
    every = [code for tables in (ERROR_CODES, DELIVERY_CODES) for table in tables.values() for code in table]
    assert (code, [known["code"] for known in json.loads(out)]) == (0, every)


@pytest.mark.parametrize(
    ("arguments", "apis"),
    [
        pytest.param(("4476",), ["messaging"], id="one table knows it"),
        pytest.param(("5211",), ["orders", "messaging"], id="two know it, each in its own sense"),
        pytest.param(("5061",), ["orders", "importTnOrders"], id="order APIs have it in two senses"),
        pytest.param(("5061", "--api", "importTnOrders/messaging"), ["importTnOrders"], id="the sense of one API"),
        pytest.param(("5061", "--api", "externalTns"), ["orders"], id="the sense of all others"),
        pytest.param(("7115", "--api", "externalTns"), [], id="another API's code"),
        pytest.param(("12189",), ["tnoptions"], id="a code of campaigns"),
        pytest.param(("5211", "--api", "messaging"), ["messaging"], id="the API is given"),
        pytest.param(("4799", "--api", "messaging"), ["messaging"], id="its digits alone say something"),
        pytest.param(("4799",), [], id="digits alone say nothing of an order"),
        pytest.param(("113", "--api", "international_a2p"), ["international_a2p"], id="an answer of A2P"),
        pytest.param(("113", "--api", "international_a2p_dlr"), ["international_a2p_dlr"], id="a report of A2P"),
    ],
)
def test_a_code_is_explained_by_api(
    arguments: tuple[str, ...], apis: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capfd, "explain-error", *arguments, "-o", "json")
    assert code == (0 if apis else 3)
    assert [known["api"] for known in json.loads(out or "[]")] == apis


def test_the_sandbox_runs_on_the_port_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("airflow_provider_bandwidth.sandbox.cli.main", lambda arguments: asked.append(arguments) or 0)
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", "--port", "0"])
    assert (ended.value.code, asked) == (0, [["--port", "0"]])


def test_airflow_is_given_the_same_commands() -> None:
    (group,) = get_cli_commands()
    assert group.name == "bandwidth"
    assert [command.name for command in group.subcommands] == [
        "order",
        "orders",
        "numbers",
        "plan",
        "doctor",
        "explain-error",
        "sandbox",
    ]


def test_naming_the_commands_imports_nothing_heavy() -> None:
    """Airflow loads this module whenever its command line starts."""
    program = (
        "import sys; import airflow.cli.cli_config; before = set(sys.modules); "
        "from airflow_provider_bandwidth.cli import get_cli_commands; get_cli_commands(); "
        "print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    added = {
        name for name in loaded.stdout.splitlines()[-1].split() if name.split(".")[0] not in sys.stdlib_module_names
    }
    light = (
        *("", ".cli", ".delivery_codes", ".exceptions", ".order_apis", ".order_records", ".telephone_numbers"),
        ".values",
    )
    assert added <= {f"airflow_provider_bandwidth{module}" for module in light}
