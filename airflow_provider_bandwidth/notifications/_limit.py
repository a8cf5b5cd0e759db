"""How many texts a receiver gets within a time, from whichever processes, on whatever machines.

The times of the texts are kept in an Airflow Variable for each receiver. Variables have no lock. So a process that
wants to text adds itself to the Variable, waits until all processes that read it at the same moment have written it,
and reads it again. Of those that wrote together, only the last one finds itself there, and texts. The others see one
text more than before, and try again until the limit is reached. So of 500 processes that fail together, as many text as
the limit allows; one or two more where a process takes longer than that wait from its reading to its writing.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bandwidth.airflow_variables import read_variable, write_variable

#: Seconds after which every process that read a Variable at the same moment has written it.
_SETTLED_AFTER: Final = 2.0
#: Texts that are kept in a Variable, newest first: no limit counts more.
_MOST_KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send one text.

    :param is_last: whether it is the last one for now
    :param free_at: epoch seconds from which on the receiver may get another one, if it is the last one
    """

    is_last: bool
    free_at: float


class TextLimit:
    """The texts that one receiver gets.

    :param conn_id: Airflow connection that they are sent with
    :param to: the receiver
    :param max_texts: how many the receiver gets within the time
    :param seconds: the length of that time
    """

    def __init__(
        self,
        conn_id: str,
        to: str,
        *,
        max_texts: int,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # The name of a Variable shows in Airflow's UI: a telephone number should not.
        receiver = hashlib.sha256(f"{conn_id} {to}".encode()).hexdigest()[:16]
        self._key = f"bandwidth_texts_{receiver}"
        self._max_texts = max_texts
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock

    def take(self) -> Permit | None:
        """Take the permission to send a text; ``None`` if the receiver has got enough."""
        mine = uuid.uuid4().hex
        while True:
            kept = self._read()
            if len(self._count(kept)) >= self._max_texts:
                return None
            kept[mine] = self._clock()
            newest = sorted(kept.items(), key=lambda text: text[1])[-_MOST_KEPT:]
            write_variable(self._key, json.dumps(dict(newest)))
            # The random part keeps the processes from reading at the same moment again.
            self._sleep(_SETTLED_AFTER + random.uniform(0.0, 0.5))  # noqa: S311
            kept = self._read()
            if mine in kept:
                counted = self._count(kept)
                # Later texts do not count here: if one of them reaches the limit, that one says that it is the last.
                up_to_mine = sum(at <= kept[mine] for at in counted)
                return Permit(up_to_mine >= self._max_texts, min(counted) + self._seconds)

    def _count(self, kept: dict[str, float]) -> list[float]:
        """The epoch seconds of the texts sent within the time."""
        now = self._clock()
        return [at for at in kept.values() if abs(now - at) < self._seconds]

    def _read(self) -> dict[str, float]:
        """The texts that the Variable holds, with their epoch seconds."""
        try:
            sent: Any = json.loads(read_variable(self._key) or "{}")
            return {str(nonce): float(at) for nonce, at in sent.items()}
        except (ValueError, TypeError, AttributeError):
            # Somebody has edited the Variable.
            return {}
