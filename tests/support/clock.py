"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import time


class ManualClock:
    """Called, it tells the time in epoch seconds; it starts at the real one, which servers compare with."""

    def __init__(self) -> None:
        self.now = time.time()
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
