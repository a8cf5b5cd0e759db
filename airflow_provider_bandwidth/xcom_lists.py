"""Lists of any length as XComs, none of which is larger than a database takes: 64 KB on MySQL.

Pure: needs no more of a task instance than ``xcom_push`` and ``xcom_pull``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

#: The most bytes of JSON in one XCom.
MAX_XCOM_BYTES: Final = 48_000


def pack(items: Iterable[Any]) -> Iterator[list[Any]]:
    """The items, in parts that fit into an XCom each."""
    packed: list[Any] = []
    size = 0
    for item in items:
        length = len(json.dumps(item)) + 2
        if packed and size + length > MAX_XCOM_BYTES:
            yield packed
            packed, size = [], 0
        packed.append(item)
        size += length
    if packed:
        yield packed


def push_list(ti: Any, key: str, items: Iterable[Any]) -> None:
    """Push a list under ``key``; one that does not fit there in parts, under ``key_00000`` and on.

    Then ``key`` itself is ``None``, so that a pull of it alone gives nothing rather than a part, and ``key_parts`` says
    how many parts there are.
    """
    parts = list(pack(items))
    if len(parts) <= 1:
        ti.xcom_push(key=key, value=parts[0] if parts else [])
        return
    ti.xcom_push(key=key, value=None)
    for index, part in enumerate(parts):
        ti.xcom_push(key=f"{key}_{index:05d}", value=part)
    ti.xcom_push(key=f"{key}_parts", value=len(parts))


def pull_list(ti: Any, task_id: str, key: str, map_index: int = -1) -> list[Any] | None:
    """A list that :func:`push_list` has pushed; ``None`` if there is none.

    :param ti: a task instance of the same DAG run
    :param map_index: of the task instance that pushed it, if that is mapped
    """

    def pull(name: str) -> Any:
        return ti.xcom_pull(task_ids=task_id, key=name, map_indexes=map_index)

    whole = pull(key)
    if whole is not None:
        return list(whole)
    count = pull(f"{key}_parts")
    if count is None:
        return None
    return [item for index in range(count) for item in pull(f"{key}_{index:05d}")]
