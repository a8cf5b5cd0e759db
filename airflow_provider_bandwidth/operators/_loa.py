"""A task's letters of authorization: read wherever object storage reaches them, and brought to its orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.loa_files import LoaFile, LoaUpload
from airflow_provider_bandwidth.xcom_lists import push_list

#: XCom key: what became of each letter at each order.
LOA_FILES_KEY: Final = "loa_files"
#: The largest letter in bytes: no answer may be larger, and what is there is read back.
_LARGEST: Final = 48 * 2**20
#: How many missing letters the log names.
_SHOWN: Final = 10


def upload_letters(hook: BandwidthHook, order_ids: Iterable[str], paths: Sequence[str], ti: Any, log: Any) -> None:
    """Upload each letter to each order, and leave what became of them. No failure is raised: the orders go on.

    :param paths: anything that ``ObjectStoragePath`` takes
    :param log: of the task; Airflow 2.11's and 3's loggers share no type
    """
    files: list[LoaFile] = []
    unread: dict[str, str] = {}
    for path in paths:
        try:
            files.append(LoaFile(path, _read(path)))
        except Exception as error:  # noqa: BLE001 - storage raises whatever it likes
            unread[path] = f"it could not be read: {type(error).__name__}: {error}"
    results: list[LoaUpload] = []
    for order_id in order_ids:
        results += [LoaUpload(path, order_id, error=why) for path, why in unread.items()]
        if files:
            results += hook.upload_loa_files(order_id, files)
    push_list(ti, LOA_FILES_KEY, [result.to_dict() for result in results])
    missing = [result for result in results if result.error is not None]
    log.info("Letters of authorization: %d of %d are at their orders.", len(results) - len(missing), len(results))
    for result in missing[:_SHOWN]:
        log.warning(
            "Letter %s is missing at order %s, which goes on: %s. Upload it in Bandwidth's App, or clear this task.",
            result.path,
            result.order_id,
            str(result.error).rstrip("."),
        )
    if len(missing) > _SHOWN:
        log.warning("%d more letters are missing: see XCom %r.", len(missing) - _SHOWN, LOA_FILES_KEY)


def _read(path: str) -> bytes:
    with ObjectStoragePath(path).open("rb") as stream:
        content: bytes = stream.read(_LARGEST + 1)
    if not content:
        raise ValueError("the file is empty")
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST // 2**20} MiB")
    return content
