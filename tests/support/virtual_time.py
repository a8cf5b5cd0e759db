"""Time that passes only while everybody waits, and threads of which one runs at a time: a seed decides which.

Everything that reads the clock of a module of this package reads :class:`VirtualTime` while :meth:`VirtualTime.rule` is
in force, the sandbox in this process included. Threads take turns at every wait and every point, so that a run depends
on the seed alone.
"""

from __future__ import annotations

import datetime as dt
import functools
import heapq
import importlib
import itertools
import pkgutil
import random
import sys
import threading
import time as real_time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import airflow_provider_bandwidth
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook

#: Where virtual time begins: a Tuesday of 2031, 00:00 UTC.
START = datetime(2031, 3, 4, tzinfo=UTC).timestamp()
_HERE = threading.local()


class KilledError(BaseException):
    """The process died here: no handler of the code under test may see it as an error of its own."""


class Actor:
    """A thread that runs only when it is told to, up to its next wait."""

    def __init__(self, world: VirtualTime, work: Callable[[], None], delay: float) -> None:
        self.wakes_at = world.now + delay
        self.is_killed = False
        self.is_done = False
        self.points = 0
        #: Which of its points the actor dies at; never if ``None``.
        self.dies_at: int | None = None
        self._work = work
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self._thread.start()

    def _run(self) -> None:
        _HERE.actor = self
        self._go.acquire()
        try:
            if not self.is_killed:
                self._work()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by step
            self._error = error
        self.is_done = True
        self._back.release()

    def step(self) -> None:
        """Let it run up to its next wait. An error that it does not handle is raised here."""
        self._go.release()
        self._back.acquire()
        if self._error is not None:
            raise self._error

    def wait(self, until: float) -> None:
        self.wakes_at = until
        self._back.release()
        self._go.acquire()
        if self.is_killed:
            raise KilledError


class VirtualTime:
    """A clock, what happens at which time, and whose turn it is."""

    def __init__(self, rng: random.Random) -> None:
        self.now = START
        self.rng = rng
        self._actors: list[Actor] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    # --- what the code under test sees ---

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        actor = getattr(_HERE, "actor", None)
        if actor is not None:
            actor.wait(self.now + seconds)

    # --- who runs ---

    @property
    def actor(self) -> Actor | None:
        return getattr(_HERE, "actor", None)

    def point(self) -> None:
        """Let others go first, perhaps; the actor may die here."""
        actor = self.actor
        if actor is None:
            return
        actor.points += 1
        if actor.points == actor.dies_at:
            actor.is_killed = True
            raise KilledError
        actor.wait(self.now + self.rng.choice((0.0, 0.0, 0.1, 1.0)))

    def spawn(self, work: Callable[[], None], delay: float = 0.0) -> Actor:
        actor = Actor(self, work, delay)
        self._actors.append(actor)
        return actor

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action))

    def run(self, until: float | None = None) -> None:
        """Go on until nothing is left to do, or until a time.

        :raises TimeoutError: nothing ends
        """
        for _ in range(200_000):
            if self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
                continue
            self._actors = [actor for actor in self._actors if not actor.is_done]
            ready = [actor for actor in self._actors if actor.wakes_at <= self.now]
            if ready:
                self.rng.choice(ready).step()
                continue
            times = [actor.wakes_at for actor in self._actors] + [event[0] for event in self._events[:1]]
            if not times or (until is not None and min(times) > until):
                break
            self.now = min(times)
        else:
            raise TimeoutError("the walk does not end")
        if until is not None:
            self.now = max(self.now, until)

    def end(self) -> None:
        """Let no thread stay behind."""
        for actor in self._actors:
            if not actor.is_done:
                actor.is_killed = True
                actor.step()

    # --- whose clock this is ---

    @contextmanager
    def rule(self, *others: ModuleType) -> Iterator[None]:
        """Be the clock of every module of the package, of the sandbox's state, and of ``others``."""
        fake_time = _FakeTime(self)
        fake_datetime = _make_datetime(self)
        fake_uuid = SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: uuid.UUID(int=self.rng.getrandbits(128), version=4))
        with ExitStack() as stack:
            for module in (*_find_modules(), *others):
                if getattr(module, "time", None) is real_time:
                    stack.enter_context(patch.object(module, "time", fake_time))
                if getattr(module, "datetime", None) is datetime:
                    stack.enter_context(patch.object(module, "datetime", fake_datetime))
                if getattr(module, "uuid", None) is uuid:
                    stack.enter_context(patch.object(module, "uuid", fake_uuid))
            defaults = {"sleep": self.sleep, "clock": self.time}
            stack.enter_context(patch.dict(BandwidthHook.__init__.__kwdefaults__, defaults))
            yield


class _FakeTime:
    def __init__(self, world: VirtualTime) -> None:
        self.time = self.monotonic = world.time
        self.sleep = world.sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(real_time, name)


def _make_datetime(world: VirtualTime) -> type[datetime]:
    class Like(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class VirtualDatetime(dt.datetime, metaclass=Like):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(world.now, tz)

        @classmethod
        def fromisoformat(cls, text: str) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(text)

        @classmethod
        def fromtimestamp(cls, seconds: float, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(seconds, tz)

    return VirtualDatetime


@functools.cache
def _find_modules() -> list[ModuleType]:
    """The package's modules: all, so that none is first imported while time is virtual."""
    name = airflow_provider_bandwidth.__name__
    for found in pkgutil.walk_packages(airflow_provider_bandwidth.__path__, f"{name}."):
        if not found.name.endswith("__main__") and found.name.rpartition(".")[2] != "server":
            try:
                importlib.import_module(found.name)
            except ImportError:  # needs a newer Airflow
                continue
    return [module for key, module in list(sys.modules.items()) if key.startswith(f"{name}.") and "server" not in key]
