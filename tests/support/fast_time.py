"""An event loop on which waiting takes no time: while nothing is under way, its clock jumps to the next timer.

While a call runs in a thread, the clock runs as the wall clock does. So a test that spans minutes takes as long as its
calls, and what it sees does not depend on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from airflow_provider_bandwidth.triggers import _message_poller, _poller, messages
from airflow_provider_bandwidth.triggers import bandwidth as triggers

_Result = TypeVar("_Result")


class _JumpingSelector(selectors.DefaultSelector):
    loop: JumpingLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.loop.calls_under_way:
            return super().select(timeout)
        events = super().select(0)
        if not events:
            self.loop.jumped += timeout
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is ahead of the wall clock by all the idle time it skipped."""

    def __init__(self) -> None:
        self.jumped = 0.0
        self.calls_under_way = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return super().time() + self.jumped

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:
        self.calls_under_way += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._end_call)
        return future

    def _end_call(self, _future: asyncio.Future[Any]) -> None:
        self.calls_under_way -= 1


@contextmanager
def jumping_wall_clock(loop: JumpingLoop) -> Iterator[None]:
    """Let the epoch time that trigger and poller read jump as the loop does."""
    real = time.time
    fake = SimpleNamespace(time=lambda: real() + loop.jumped)
    with ExitStack() as patches:
        for module in (_poller, _message_poller, triggers, messages):
            patches.enter_context(patch.object(module, "time", fake))
        yield


def wall_clock() -> float:
    """The epoch time that the code under test reads now."""
    return _poller.time.time()


def run_fast(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """``asyncio.run`` on a :class:`JumpingLoop`, with the wall clock of the code under test jumping along."""
    loop = JumpingLoop()
    with jumping_wall_clock(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(coroutine)
