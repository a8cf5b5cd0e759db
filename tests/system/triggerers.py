"""Deferred sensors on the real triggerer of this environment's Airflow: ``make test-triggerers``.

Twenty sensors wait for twenty orders and four for four texts, with OAuth2 tokens that live a few seconds, so that
tokens are fetched while triggers run. Half of the orders and texts end; the triggerer is killed by SIGKILL and another
one started; the other half ends. Two sensors of Airflow's own wait beside ours, one for each triggerer, and must go on.
A task sends a batch of orders and waits for them: it is killed by SIGKILL with an order sent and not answered, and its
orders end under the second triggerer. Exits 1 unless all succeed at their first try, the batch at its second with each
order sent once, no triggerer ends by itself, and no log of a triggerer tells of an error.

    python tests/system/triggerers.py [--table FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.airflow_processes import stop_on_termination, wait_for
from support.chaos import held
from support.real_waits import AIRFLOW_VERSION, RealWaits, TriggererDiedError, running_waits
from support.waiting import add_orders, add_texts

from airflow_provider_bandwidth.sandbox import Order, Sandbox

COUNT, TEXTS = 20, 4
#: The batch's telephone numbers, in orders of two, and how many of its POSTs pass before the one that is not answered.
BATCH, PASSED = [f"919666{line:04d}" for line in range(10)], 2
#: Seconds by the sandbox's clock after which the first half of the texts is delivered; the second takes twice as long.
DELIVERY = 3 * 3600.0
#: Seconds that an OAuth2 token lives, and for which all sensors only wait.
TOKEN_LIFETIME, QUIET = 3, 12.0
HEADER = (
    "| Airflow | deferred sensors | succeeded at the first try | of texts | a batch's orders / POSTs "
    "| another provider's | ended by themselves | errors in the triggerers' logs | tokens | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


LOOKS = (("list", "order"), ("search-messages",))


def count_looks(sandbox: Sandbox, operations: tuple[str, ...]) -> int:
    """How many calls for orders, or for texts, were answered."""
    return sum(sandbox.count(operation=operation) for operation in operations)


def orders_of_batch(sandbox: Sandbox) -> list[Order]:
    return [order for order in sandbox.orders if order.telephone_numbers[0] in BATCH]


def live(waits: RealWaits, sandbox: Sandbox, order_ids: list[str]) -> None:
    """The life of the run, to its end or to the death of a triggerer."""
    half = COUNT // 2
    wait_for("an order of the batch is sent", lambda: held(sandbox), timeout=400)
    waits.kill_task("batch")
    sandbox.release_requests()
    print(f"The batch was killed with {PASSED + 1} orders sent.", flush=True)
    if AIRFLOW_VERSION.startswith("3.0."):
        # Airflow 3.0 fails a task whose process was killed, whatever its retries.
        waits.until("the batch has failed", "batch", "failed", 1, timeout=200)
        waits.clear_failed("batch")
    waits.until("the batch waits for its orders", "batch", "deferred", 1, timeout=200)
    waits.until("all sensors wait", "wait", "deferred", COUNT, timeout=400)
    waits.until("all sensors of texts wait", "text", "deferred", TEXTS, timeout=100)
    waits.until("both neighbours wait", "neighbour", "deferred", 2, timeout=60)
    print(f"{COUNT} sensors, {TEXTS} of texts and 2 neighbours are deferred.", flush=True)
    time.sleep(QUIET)
    for order_id in order_ids[:half]:
        sandbox.finish(order_id)
    sandbox.skip(DELIVERY)
    (waits.folder / "first").touch()
    waits.until("the first half has ended", "wait", "success", half, timeout=200)
    waits.until("the first texts are delivered", "text", "success", TEXTS // 2, timeout=60)
    waits.until("the first neighbour has ended", "neighbour", "success", 1, timeout=60)

    waits.replace_triggerer()
    before = [count_looks(sandbox, operations) for operations in LOOKS]
    wait_for(
        "the second triggerer looks at orders and texts",
        lambda: all(count_looks(sandbox, ops) > seen for ops, seen in zip(LOOKS, before, strict=True)),
        timeout=120,
    )
    print("The triggerer was killed; a second one has taken over.", flush=True)
    time.sleep(QUIET)
    for order_id in order_ids[half:]:
        sandbox.finish(order_id)
    for order in orders_of_batch(sandbox):
        sandbox.finish(order.order_id)
    sandbox.skip(DELIVERY)
    (waits.folder / "second").touch()
    waits.until("all sensors have ended", "wait", "success", COUNT, timeout=200)
    waits.until("the batch has ended", "batch", "success", 1, timeout=100)
    waits.until("all texts are delivered", "text", "success", TEXTS, timeout=60)
    waits.until("the second neighbour has ended", "neighbour", "success", 2, timeout=60)


def judge(waits: RealWaits, sandbox: Sandbox, died: int, seconds: float) -> tuple[str, bool]:
    """A row of the table, and whether it is as it should be."""
    errors = waits.triggerer_errors()
    for line in errors[:10]:
        print(f"  {line}", file=sys.stderr)
    ours = waits.states.count("wait")["success"] - waits.states.count_retried("wait")
    texts = waits.states.count("text")["success"] - waits.states.count_retried("text")
    others = waits.states.count("neighbour")["success"] - waits.states.count_retried("neighbour")
    sent = [number for order in orders_of_batch(sandbox) for number in order.telephone_numbers]
    orders, posts = len(orders_of_batch(sandbox)), sandbox.count(operation="submit")
    is_batch_good = waits.states.count("batch")["success"] == waits.states.count_retried("batch") == 1
    is_once = sorted(sent) == BATCH and orders == posts
    tokens = sandbox.count(operation="token")
    row = (
        f"| {AIRFLOW_VERSION} | {COUNT + TEXTS} | {ours} of {COUNT} | {texts} of {TEXTS} | {orders} / {posts} "
        f"| {others} of 2 | {died} "
        f"| {len(errors)} | {tokens} | {seconds:.0f} |"
    )
    return row, (ours, texts, others) == (COUNT, TEXTS, 2) and is_batch_good and is_once and died == 0 and not errors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="a file that gets the row as well, for a table of several lines")
    table = parser.parse_args().table
    stop_on_termination()
    started, died = time.monotonic(), 0
    with Sandbox(token_lifetime_seconds=TOKEN_LIFETIME) as sandbox:
        sandbox.hold()
        sandbox.inject("hold", operation="submit", when="after", after=PASSED)
        order_ids = add_orders(sandbox, COUNT)
        message_ids = [
            message_id
            for delivered_after in (DELIVERY, 2 * DELIVERY)
            for message_id in add_texts(sandbox, TEXTS // 2, delivered_after=delivered_after)
        ]
        with running_waits(
            sandbox,
            order_ids,
            message_ids=message_ids,
            batch=BATCH,
            chunk_size=2,
            files=("first", "second"),
            poke_interval=5,
            parallelism=4,
        ) as waits:
            try:
                live(waits, sandbox, order_ids)
            except TriggererDiedError as error:
                print(error, file=sys.stderr)
                died = 1
            except TimeoutError as error:
                print(error, *waits.logs_of("batch"), waits.processes.tail(), sep="\n", file=sys.stderr)
            row, is_good = judge(waits, sandbox, died, time.monotonic() - started)
    print(f"\n{HEADER}\n{row}\n")
    if table is not None:
        with table.open("a") as file:
            file.write(f"{row}\n" if file.tell() else f"{HEADER}\n{row}\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
