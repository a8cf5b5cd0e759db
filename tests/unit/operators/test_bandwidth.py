"""The submit operator: what it takes, what it sends, and what it refuses before anything is sent."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, AirflowSkipException, BaseOperator
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.exceptions import (
    BandwidthError,
    InvalidConnectionError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
    MissingConnectionError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sandbox import Sandbox

Connect = Callable[..., None]
NUMBERS = ["9195550101", "9195550102"]


@pytest.fixture(autouse=True)
def _connected(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"order_url": "https://ui.example.net/{account_id}/{order_id}"})


def make_operator(**changes: Any) -> BandwidthTnOrderOperator:
    given = {"task_id": "submit", "action": "IMPORT", "telephone_numbers": NUMBERS, **changes}
    return BandwidthTnOrderOperator(**given)


def run(operator: BandwidthTnOrderOperator, ti: FakeTaskInstance | None = None) -> str:
    return operator.execute(make_context(ti or FakeTaskInstance("submit")))


def rendered_in_a_dag(ti: FakeTaskInstance, *, native: bool = False, **fields: Any) -> BandwidthTnOrderOperator:
    """The operator as a worker sees it: copied out of its DAG, its templates filled in."""
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), render_template_as_native_obj=native):
        BaseOperator(task_id="fetch")
        operator = make_operator(**fields)
    operator = copy.copy(operator)
    operator.render_template_fields(make_context(ti, params={"numbers": NUMBERS, "action": "REMOVE", "site": 743}))
    return operator


# --- numbers ---


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(["9195550101", "9195550102"], id="list"),
        pytest.param(("+1 (919) 555-0101", "919.555.0102", "1-919-555-0101"), id="tuple with duplicates"),
        pytest.param({"9195550101", "9195550102"}, id="set"),
        pytest.param(dict.fromkeys(NUMBERS).keys(), id="keys"),
        pytest.param((number for number in NUMBERS), id="generator"),
        pytest.param(iter(NUMBERS), id="iterator"),
        pytest.param("9195550101,9195550102", id="commas"),
        pytest.param("+1 919 555 0101\n  +1 919 555 0102\n", id="lines"),
        pytest.param("['9195550101', '9195550102']", id="rendered list"),
        pytest.param('["9195550101", "+19195550102"]', id="JSON"),
    ],
)
def test_numbers_come_in_any_form(numbers: Any, sandbox: Sandbox) -> None:
    order_id = run(make_operator(telephone_numbers=numbers))
    (order,) = sandbox.orders
    assert order.order_id == order_id
    assert sorted(order.asked.telephone_numbers) == NUMBERS


def test_a_generator_is_still_full_at_the_second_attempt(sandbox: Sandbox) -> None:
    """``dag.test()`` runs the same object again; an exhausted generator would skip the task."""
    operator = make_operator(telephone_numbers=(number for number in NUMBERS))
    assert run(operator) == run(operator)


@pytest.mark.parametrize("numbers", [[], (), "", "  ", "[]", " , ", set(), None])
def test_without_numbers_the_task_is_skipped(numbers: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowSkipException, match="No telephone numbers"):
        run(make_operator(telephone_numbers=numbers))
    assert sandbox.requests == []


# --- templates ---


def test_every_parameter_of_the_order_is_templated() -> None:
    own = {name for name in vars(make_operator()) if name in BandwidthTnOrderOperator.__init__.__annotations__}
    of_the_task = {"chunk_size", "wait_for_completion", "deferrable", "poke_interval", "timeout", "allowed_statuses"}
    of_the_task |= {"ignore_error_codes", "log_telephone_numbers"}
    assert set(BandwidthTnOrderOperator.template_fields) == own - of_the_task
    assert len(own - of_the_task) == 14


@pytest.mark.parametrize("native", [False, True])
def test_a_dag_renders_every_field(native: bool, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", os.environ["AIRFLOW_CONN_BANDWIDTH_DEFAULT"])
    ti = FakeTaskInstance("submit", upstream={"fetch": "CARRIER"})
    operator = rendered_in_a_dag(
        ti,
        native=native,
        action="{{ params.action }}",
        telephone_numbers="{{ params.numbers }}",
        site_id="{{ params.site }}",
        sip_peer_id="{{ 303716 }}",
        loa_type="{{ ti.xcom_pull(task_ids='fetch') }}",
        customer_order_id="id-{{ run_id }}",
        reuse_existing_order="{{ 1 == 1 }}",
        reuse_orders_ended_since="{{ '2026-05-04T00:00:00+00:00' }}",
        account_id="{{ 9900000 }}",
        bandwidth_conn_id="{{ 'oth' ~ 'er' }}",
    )
    assert all("{{" not in str(getattr(operator, name)) for name in operator.template_fields)
    run(operator, ti)
    (order,) = sandbox.orders
    assert (order.asked.action, list(order.asked.telephone_numbers)) == ("REMOVE", NUMBERS)
    assert (order.asked.site_id, order.asked.sip_peer_id, order.asked.loa_type) == ("743", "303716", "CARRIER")
    assert order.asked.customer_order_id == "id-run"


@pytest.mark.parametrize("pulled", [NUMBERS, tuple(NUMBERS), ",".join(NUMBERS)])
def test_numbers_come_from_another_task(pulled: Any, sandbox: Sandbox) -> None:
    ti = FakeTaskInstance("submit", upstream={"fetch": pulled})
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        operator = make_operator(telephone_numbers=BaseOperator(task_id="fetch").output)
    assert operator.upstream_task_ids == {"fetch"}
    operator.render_template_fields(make_context(ti))
    run(operator, ti)
    assert list(sandbox.orders[0].asked.telephone_numbers) == NUMBERS


def test_a_task_that_returned_nothing_means_no_numbers(sandbox: Sandbox) -> None:
    ti = FakeTaskInstance("submit", upstream={"fetch": None})
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        operator = make_operator(telephone_numbers=BaseOperator(task_id="fetch").output)
    operator.render_template_fields(make_context(ti))
    with pytest.raises(AirflowSkipException):
        run(operator, ti)


@pytest.mark.parametrize("kind", [int, float, str])
def test_an_id_of_digits_is_the_same_id_however_a_template_renders_it(kind: type, sandbox: Sandbox) -> None:
    run(make_operator(site_id=kind(743), sip_peer_id=kind(303716), account_id=kind(9900000)))
    run(make_operator(customer_order_id=kind(20260504)) if kind is not float else make_operator(customer_order_id=2e7))
    first, second = (order.asked for order in sandbox.orders)
    assert (first.site_id, first.sip_peer_id, first.account_id) == ("743", "303716", "9900000")
    assert second.customer_order_id == ("20000000" if kind is float else "20260504")


def test_an_id_of_zeros_is_an_id(sandbox: Sandbox) -> None:
    run(make_operator(customer_order_id=0))
    assert sandbox.orders[0].asked.customer_order_id == "0"


# --- what is sent ---


def test_an_import_takes_site_and_peer_from_the_connection(sandbox: Sandbox) -> None:
    run(make_operator())
    assert (sandbox.orders[0].asked.site_id, sandbox.orders[0].asked.sip_peer_id) == ("743", "303716")


def test_a_remove_leaves_out_peer_and_loa_type(sandbox: Sandbox) -> None:
    sandbox.seed(imported=NUMBERS)
    sandbox.configure(strict_remove=True)
    run(make_operator(action="REMOVE"))
    assert sandbox.inventory == {}


def test_a_remove_sends_them_when_given(sandbox: Sandbox) -> None:
    sandbox.configure(strict_remove=True)
    for given in ({"sip_peer_id": 303716}, {"loa_type": "CARRIER"}):
        with pytest.raises(BandwidthError, match="25020"):
            run(make_operator(action="REMOVE", **given))
    assert sandbox.orders == []


def test_a_remove_of_another_peer_is_a_different_order(sandbox: Sandbox) -> None:
    assert run(make_operator(action="REMOVE")) != run(make_operator(action="REMOVE", sip_peer_id=303716))


@pytest.mark.parametrize("action", ["import", " Import ", "IMPORT"])
def test_case_does_not_matter(action: str, sandbox: Sandbox) -> None:
    run(make_operator(action=action, loa_type="subscriber"))
    assert (sandbox.orders[0].asked.action, sandbox.orders[0].asked.loa_type) == ("IMPORT", "SUBSCRIBER")


def test_the_customer_order_id_is_the_same_for_every_attempt_of_a_run(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is changed by whatever changes the order, but not by try number, map index or the order of the numbers."""
    # Whether a mapped task is the first, Airflow before 3.2 does not tell; that is for other tests.
    monkeypatch.setattr("airflow_provider_bandwidth.operators._task_journal.AIRFLOW_V_3_2_PLUS", True)

    def sent(ti: FakeTaskInstance, **changes: Any) -> str:
        sandbox.reset()
        run(make_operator(**changes), ti)
        return str(sandbox.orders[0].asked.customer_order_id)

    first = sent(FakeTaskInstance("submit"))
    assert re.fullmatch("airflow-[0-9a-f]{32}", first)
    assert sent(FakeTaskInstance("submit", map_index=3)) == first
    assert sent(FakeTaskInstance("submit"), telephone_numbers=NUMBERS[::-1]) == first
    assert sent(FakeTaskInstance("submit"), site_id="743", account_id="9900000") == first
    others = [
        sent(FakeTaskInstance("submit", run_id="run 2")),
        sent(FakeTaskInstance("submit", dag_id="dag 2")),
        sent(FakeTaskInstance("submit 2")),
        sent(FakeTaskInstance("submit"), telephone_numbers=NUMBERS[:1]),
        sent(FakeTaskInstance("submit"), action="REMOVE"),
        sent(FakeTaskInstance("submit"), loa_type="CARRIER"),
    ]
    assert len({first, *others}) == 7


def test_the_xcom_is_the_order_id_and_the_link_leads_to_the_order(sandbox: Sandbox) -> None:
    ti = FakeTaskInstance("submit")
    order_id = run(make_operator(), ti)
    assert order_id == sandbox.orders[0].order_id
    assert ti.xcoms == {ORDER_URL_KEY: f"https://ui.example.net/9900000/{order_id}"}


def test_a_second_run_of_the_task_sends_nothing_unless_told(sandbox: Sandbox) -> None:
    first = run(make_operator())
    assert run(make_operator()) == first
    again = run(make_operator(reuse_existing_order="False"))
    assert [order.order_id for order in sandbox.orders] == [first, again]


def test_connection_and_account_are_logged_first(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthTnOrderOperator, "log", log)
    run(make_operator())
    first = log.info.mock_calls[0].args
    assert "Connection 'bandwidth_default', account 9900000: IMPORT of 2 telephone numbers" in first[0] % first[1:]
    assert not any(number in str(log.mock_calls) for number in NUMBERS)


def test_a_test_may_bring_its_own_hook(sandbox: Sandbox) -> None:
    operator = make_operator()
    operator.hook = BandwidthHook(max_attempts=1)
    assert run(operator) == sandbox.orders[0].order_id


# --- bad input ---

BAD_INPUT: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"action": "DELETE"}, InvalidParameterError, r"Action: expected IMPORT or REMOVE, got 'DELETE'"),
    ({"action": ""}, InvalidParameterError, r"Action: expected IMPORT or REMOVE"),
    ({"action": None}, InvalidParameterError, r"Action: expected IMPORT or REMOVE"),
    ({"site_id": "main"}, InvalidParameterError, r"SiteId: expected a positive number, got 'main'"),
    ({"site_id": "None"}, InvalidParameterError, r"SiteId: expected a positive number, got 'None'"),
    ({"site_id": -1}, InvalidParameterError, r"SiteId: "),
    ({"site_id": 0}, InvalidParameterError, r"SiteId: "),
    ({"site_id": 2**31}, InvalidParameterError, r"SiteId: "),
    ({"sip_peer_id": "x"}, InvalidParameterError, r"SipPeerId: expected a positive number, got 'x'"),
    ({"action": "REMOVE", "sip_peer_id": "x"}, InvalidParameterError, r"SipPeerId: "),
    ({"loa_type": "FRIEND"}, InvalidParameterError, r"LoaType: expected CARRIER or SUBSCRIBER, got 'FRIEND'"),
    ({"customer_order_id": "a_b"}, InvalidParameterError, r"CustomerOrderId: 'a_b' has characters"),
    ({"customer_order_id": " "}, InvalidParameterError, r"CustomerOrderId: "),
    ({"customer_order_id": "x" * 41}, InvalidParameterError, r"CustomerOrderId: .*41 characters.*at most 40"),
    ({"customer_order_id": 7.5}, InvalidParameterError, r"CustomerOrderId: .*7\.5"),
    ({"customer_order_id": 12345678901234567890.0}, InvalidParameterError, r"CustomerOrderId: .*1\.234567890123"),
    ({"account_id": 1e22}, InvalidParameterError, r"account_id: .*1e\+22"),
    ({"site_id": 743.5}, InvalidParameterError, r"SiteId: .*743\.5"),
    ({"reuse_orders_ended_since": "yesterday"}, InvalidParameterError, r"reuse_orders_ended_since: .*'yesterday'"),
    ({"reuse_orders_ended_since": "2026-05-04T00:00:00"}, InvalidParameterError, r"with a zone"),
    ({"reuse_existing_order": "maybe"}, InvalidParameterError, r"reuse_existing_order: .*'maybe'"),
    ({"account_id": "my account"}, InvalidParameterError, r"account_id: .*'my account'"),
    (
        {"telephone_numbers": ["9195550101", "555", "+44 20 7946 0958", "8005550199"]},
        InvalidTelephoneNumbersError,
        r"3 invalid telephone numbers, nothing was sent: '555': .*'\+44 20 7946 0958': .*'8005550199': ",
    ),
    ({"telephone_numbers": "{{ nothing }}"}, InvalidTelephoneNumbersError, r"\{\{ nothing \}\}"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_INPUT, ids=[str(row[0]) for row in BAD_INPUT])
def test_bad_input_is_named_before_any_request_and_not_tried_again(
    changes: dict[str, Any], error: type[Exception], message: str, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match=message) as failed:
        run(make_operator(**changes))
    assert isinstance(failed.value.__cause__, error)
    assert sandbox.requests == []


BAD_CONNECTION: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"extra": {"account_id": None}}, InvalidConnectionError, r"account_id.*bandwidth_default"),
    ({"extra": {"site_id": None}}, AirflowFailException, r"SiteId: .*site_id.*bandwidth_default"),
    ({"host": "dashboard.bandwidth.com"}, InvalidConnectionError, r"'bandwidth_default', field Host: .*scheme"),
    ({"extra": {"auth_type": "digest"}}, InvalidConnectionError, r"'bandwidth_default', field extra\.auth_type: "),
    ({"password": None}, InvalidConnectionError, r"'bandwidth_default', field Password: "),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_CONNECTION, ids=[str(row[0]) for row in BAD_CONNECTION])
@pytest.mark.parametrize("customer_order_id", [None, "my own id"])
def test_an_unfinished_connection_is_named_before_any_request(
    customer_order_id: str | None,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    sandbox: Sandbox,
    connect: Connect,
) -> None:
    connect(sandbox.connection, **changes)
    with pytest.raises(error, match=message):
        run(make_operator(customer_order_id=customer_order_id))
    assert sandbox.requests == []


def test_a_missing_connection_is_named() -> None:
    with pytest.raises(MissingConnectionError, match="no_such_connection"):
        run(make_operator(bandwidth_conn_id="no_such_connection"))


def test_no_secret_is_among_what_the_ui_shows(sandbox: Sandbox) -> None:
    operator = make_operator()
    run(operator)
    shown = [str(getattr(operator, name)) for name in operator.template_fields]
    assert "sandbox" not in " ".join(shown)
