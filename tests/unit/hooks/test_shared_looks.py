"""Many orders submitted side by side: each exactly once, with few calls, and none failing another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from support.airflow_task import CONN_VARIABLE, FakeTime, live

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    DuplicateOrderError,
)
from airflow_provider_bandwidth.hooks import _shared_looks
from airflow_provider_bandwidth.hooks._shared_looks import SharedLooks, submit_side_by_side
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest, TnOrder
from airflow_provider_bandwidth.sandbox import Sandbox

COUNT = 50
#: The lag that an earlier attempt, or a doubtful answer, is given.
MINUTE = 60


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(received_seconds=1e9) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    running_sandbox.reset()
    monkeypatch.setenv(CONN_VARIABLE, running_sandbox.connection_json)
    return running_sandbox


@pytest.fixture
def fake_time(sandbox: Sandbox) -> FakeTime:
    return FakeTime(sandbox)


@pytest.fixture
def hook(fake_time: FakeTime) -> Iterator[BandwidthHook]:
    made = BandwidthHook(sleep=fake_time.sleep, clock=fake_time.clock)
    yield made
    made.close()


def make_requests(sandbox: Sandbox, count: int = COUNT) -> list[ExternalTnsOrderRequest]:
    site, peer = sandbox.default_location.site_id, sandbox.default_location.sip_peer_id
    return [
        ExternalTnsOrderRequest(
            action="IMPORT",
            telephone_numbers=(f"919666{index:04d}",),
            site_id=site,
            sip_peer_id=peer,
            customer_order_id=f"airflow-{index:032x}",
        )
        for index in range(count)
    ]


class Journal(SubmissionJournal):
    """Remembers an earlier attempt, and the id of its order if that was answered."""

    def __init__(self, since: datetime | None = None, order_id: str | None = None) -> None:
        self.attempt = None if since is None else EarlierAttempt(since, order_id)
        self.order_ids: list[str] = []

    def earlier_attempt(self) -> EarlierAttempt | None:
        return self.attempt

    def record_order(self, order_id: str) -> None:
        self.order_ids.append(order_id)


def submit(
    hook: BandwidthHook,
    requests: Sequence[ExternalTnsOrderRequest],
    journals: Sequence[SubmissionJournal] | None = None,
    since: timedelta = timedelta(0),
    **options: Any,
) -> list[TnOrder | Exception]:
    looks = SharedLooks(requests, hook._order_calls(Action.IMPORT), since=datetime.now(UTC) - since, **options)
    given = journals or [SubmissionJournal() for _ in requests]
    return submit_side_by_side(requests, looks, given, ended_since=[None] * len(requests), log=hook.log)


def assert_each_once(sandbox: Sandbox, requests: Sequence[ExternalTnsOrderRequest]) -> None:
    asked = {request.telephone_numbers for request in requests}
    sent = Counter(order.telephone_numbers for order in live(sandbox.orders) if order.telephone_numbers in asked)
    assert sent == Counter(request.telephone_numbers for request in requests)


def ids(outcomes: Sequence[TnOrder | Exception]) -> list[str]:
    return [outcome.order_id for outcome in outcomes if isinstance(outcome, TnOrder)]


def test_fifty_orders_take_fifty_posts_and_two_lists(hook: BandwidthHook, sandbox: Sandbox) -> None:
    requests = make_requests(sandbox)
    outcomes = submit(hook, requests)
    assert len(ids(outcomes)) == COUNT
    assert_each_once(sandbox, requests)
    assert sandbox.request_counts == {"submit": COUNT, "list": 2, "token": 1}
    assert [order.telephone_numbers for order in outcomes if isinstance(order, TnOrder)] == [
        request.telephone_numbers for request in requests
    ]


@pytest.mark.parametrize("form", ["full", "summary"])
@pytest.mark.parametrize("knows_ids", [True, False])
def test_a_second_attempt_finds_all_and_sends_nothing(
    knows_ids: bool, form: str, hook: BandwidthHook, sandbox: Sandbox
) -> None:
    requests = make_requests(sandbox, 20)
    sent = ids(submit(hook, requests))
    sandbox.configure(list_form=form)
    journals = [Journal(datetime.now(UTC), order_id if knows_ids else None) for order_id in sent]
    before = len(sandbox.requests)
    assert ids(submit(hook, requests, journals)) == sent
    assert_each_once(sandbox, requests)
    if form == "full":
        assert len(sandbox.requests) == before + 1


@pytest.mark.parametrize("lag", [0, 55])
def test_what_an_earlier_attempt_may_have_sent_is_waited_for_once(
    lag: int, hook: BandwidthHook, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    requests = make_requests(sandbox)
    sandbox.configure(search_lag_seconds=lag)
    submit(hook, requests[::2])
    slept = fake_time.slept
    submit(hook, requests, [Journal(datetime.now(UTC)) for _ in requests])
    assert_each_once(sandbox, requests)
    assert MINUTE <= fake_time.slept - slept <= MINUTE + 15
    assert sandbox.count(operation="submit") == COUNT
    # What no list shows in a minute is asked for by its id, and what is to be sent by its numbers, too.
    asked_by_id, asked_by_numbers = (COUNT if lag else COUNT // 2), COUNT // 2
    assert sandbox.count(operation="list") < 20 + asked_by_id + asked_by_numbers


def test_orders_that_lost_their_ids_are_found_in_the_list(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.configure(drop_customer_order_id="always")
    requests = make_requests(sandbox, 20)
    submit(hook, requests)
    before = len(sandbox.requests)
    submit(hook, requests, [Journal(datetime.now(UTC) - timedelta(seconds=5)) for _ in requests])
    assert_each_once(sandbox, requests)
    assert len(sandbox.requests) <= before + 2 * len(requests) + 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_doubtful_answers_are_looked_into_together(
    when: str, hook: BandwidthHook, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.inject("status", operation="submit", status=503, when=when, times=10, after=5)
    requests = make_requests(sandbox)
    assert len(ids(submit(hook, requests))) == COUNT
    assert_each_once(sandbox, requests)
    assert fake_time.slept <= 2 * MINUTE + 30


@pytest.mark.parametrize("what", ["account", "action", "customer-order-id", "numbers", "site"])
def test_a_list_that_is_wrong_once_sends_nothing_again(
    what: str, hook: BandwidthHook, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    """The orders without their ids come into sight with the last look only, and that list is another's."""
    sandbox.configure(drop_customer_order_id="always", search_lag_seconds=50)
    sandbox.inject("status", operation="submit", when="after", status=500, times=4)
    fake_time.after(45, lambda: sandbox.inject("setting", operation="list", contradict=what))
    requests = make_requests(sandbox, 8)

    assert len(ids(submit(hook, requests))) == len(requests)
    assert_each_once(sandbox, requests)


def test_a_refused_order_fails_no_other(hook: BandwidthHook, sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="submit", status=400, after=3)
    requests = make_requests(sandbox, 10)
    outcomes = submit(hook, requests)
    assert len(ids(outcomes)) == 9
    assert isinstance(outcomes[3], BandwidthApiError)
    assert len(sandbox.orders) == 9


def test_nothing_is_sent_while_no_list_is_answered(hook: BandwidthHook, sandbox: Sandbox, fake_time: FakeTime) -> None:
    sandbox.inject("status", operation="list", status=503, times=1000)
    outcomes = submit(hook, make_requests(sandbox))
    assert all(isinstance(outcome, BandwidthApiError) for outcome in outcomes)
    assert sandbox.orders == []
    assert len(sandbox.requests) < 15


@pytest.mark.parametrize("why", ["cut", "summaries", "broken"])
def test_what_a_list_cannot_prove_is_asked_for_one_by_one(
    why: str, hook: BandwidthHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = make_requests(sandbox, 6)
    submit(hook, requests[:3])
    for line in range(5):
        sandbox.add_order([f"919777000{line}"])
    if why == "cut":
        monkeypatch.setattr("airflow_provider_bandwidth.sandbox.tn_orders.LIST_LIMIT", 5)
        monkeypatch.setattr(_shared_looks, "MAX_LISTED_ORDERS", 5)
    elif why == "summaries":
        sandbox.configure(list_form="summary")
    else:
        sandbox.inject("truncate", operation="list", how="xml", times=1)
    submit(hook, requests, [Journal(datetime.now(UTC)) for _ in requests])
    assert_each_once(sandbox, requests)


def test_an_order_that_may_be_older_than_the_list_is_searched_by_itself(hook: BandwidthHook, sandbox: Sandbox) -> None:
    requests = make_requests(sandbox, 6)
    old = sandbox.add_order(
        requests[2].telephone_numbers,
        customer_order_id=requests[2].customer_order_id,
        created_at=datetime.now(UTC) - timedelta(days=5),
        location=sandbox.default_location,
    )
    outcomes = submit(hook, requests, may_be_older=[requests[2].customer_order_id])
    assert ids(outcomes)[2] == old.order_id
    assert sandbox.count(operation="submit") == 5


def test_a_twin_is_told_of_its_order_alone(hook: BandwidthHook, sandbox: Sandbox) -> None:
    requests = make_requests(sandbox, 6)

    class Rival(Journal):
        def record_sending(self, at: datetime) -> None:
            sandbox.add_order(
                requests[4].telephone_numbers,
                customer_order_id=requests[4].customer_order_id,
                location=sandbox.default_location,
            )

    journals = [SubmissionJournal() if index != 4 else Rival() for index in range(6)]
    outcomes = submit(hook, requests, journals)
    assert isinstance(outcomes[4], DuplicateOrderError)
    assert len(ids(outcomes)) == 5


def test_a_list_is_read_again_when_it_is_old(
    hook: BandwidthHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(_shared_looks.time, "monotonic", lambda: float(next(now)))
    requests = make_requests(sandbox, 20)
    submit(hook, requests)
    assert 4 <= sandbox.count(operation="list") <= 20


@pytest.mark.parametrize("journal_fails", [AmbiguousSubmissionError("x", "y"), RuntimeError("the store is down")])
def test_an_error_of_the_journal_sends_nothing_for_its_order(
    journal_fails: Exception, hook: BandwidthHook, sandbox: Sandbox
) -> None:
    class Broken(SubmissionJournal):
        def record_sending(self, at: datetime) -> None:
            raise journal_fails

    requests = make_requests(sandbox, 5)
    outcomes = submit(hook, requests, [Broken(), *(SubmissionJournal() for _ in range(4))])
    assert outcomes[0] is journal_fails
    assert len(sandbox.orders) == 4


def test_few_orders_take_no_list(hook: BandwidthHook, sandbox: Sandbox) -> None:
    def fail(_: object) -> NoReturn:
        raise AssertionError("listed")

    requests = make_requests(sandbox, 2)
    looks = SharedLooks(requests, replace(hook._order_calls(Action.IMPORT), list_since=fail), since=datetime.now(UTC))
    assert (
        len(ids(submit_side_by_side(requests, looks, [SubmissionJournal()] * 2, ended_since=[None] * 2, log=hook.log)))
        == 2
    )
    assert_each_once(sandbox, requests)
