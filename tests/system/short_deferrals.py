"""Deferrals of a few seconds under load: ``make test-deferrals``.

Two hundred sensors on a LocalExecutor that runs more tasks at a time than there are cores. Each order ends a few
seconds after its sensor first looked at it, so that the trigger fires while the executor may still be busy with the
process that deferred. Airflow then takes a task for killed from outside, and retries it. Exits 1 unless every task
succeeded at its first try.

    python tests/system/short_deferrals.py [--count N] [--parallelism N] [--seconds S]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.airflow_processes import stop_on_termination
from support.real_waits import AIRFLOW_VERSION, RealWaits, running_waits
from support.waiting import add_orders

from airflow_provider_bandwidth.sandbox import Sandbox

#: What the scheduler says when it takes a task for killed.
MISTAKEN = "but the task instance's state attribute is"


def end_orders_soon_after_their_first_look(
    waits: RealWaits, sandbox: Sandbox, order_ids: list[str], seconds: float, patience: float
) -> None:
    """End each order so many seconds after it was first read, until all tasks have ended.

    :raises TimeoutError: after *patience* seconds
    """
    still_open, deadline = set(order_ids), time.monotonic() + patience
    while True:
        now = time.time()
        # Only a sensor's first look reads an order: the poller lists so many, and a resumed task has its event.
        for record in sandbox.requests:
            if record.order_id in still_open and record.operation == "order" and record.received_at < now - seconds:
                sandbox.finish(str(record.order_id))
                still_open.discard(record.order_id)
        states = waits.states.count("wait")
        if states["success"] + states["failed"] == len(order_ids):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all tasks ended in {patience:.0f} s: {dict(states)}")
        time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="sensors (default %(default)s)")
    parser.add_argument("--parallelism", type=int, default=6, help="task processes at a time (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="until an order ends (default %(default)s)")
    arguments = parser.parse_args()
    stop_on_termination()
    with Sandbox() as sandbox:
        order_ids = add_orders(sandbox, arguments.count)
        with running_waits(sandbox, order_ids, poke_interval=2, parallelism=arguments.parallelism) as waits:
            started = time.monotonic()
            patience = 300 + 6.0 * arguments.count
            end_orders_soon_after_their_first_look(waits, sandbox, order_ids, arguments.seconds, patience)
            seconds = time.monotonic() - started
            succeeded, retried = waits.states.count("wait")["success"], waits.states.count_retried("wait")
            mistaken = waits.scheduler_log().count(MISTAKEN)
            errors = waits.triggerer_errors()
    print(
        f"\n| Airflow {AIRFLOW_VERSION}, LocalExecutor, {arguments.parallelism} at a time | |\n| --- | --- |\n"
        f"| deferrals of a few seconds | {arguments.count} |\n"
        f"| succeeded / retried | {succeeded} / {retried} |\n"
        f"| taken for killed by the scheduler | {mistaken} |\n"
        f"| errors in the triggerer's logs | {len(errors)} |\n"
        f"| seconds | {seconds:.0f} |"
    )
    return 0 if succeeded == arguments.count and retried == 0 and not errors else 1


if __name__ == "__main__":
    sys.exit(main())
