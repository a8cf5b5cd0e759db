"""Letters of authorization, brought to an order once each. Pure: it is given the calls.

An upload is not idempotent: the server names the file, and takes the same one again. So the files that are there are
compared by their bytes before anything is sent, and after an upload whose answer leaves doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_bandwidth.error_codes import explain_error_code
from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthError
from airflow_provider_bandwidth.loa_files import LoaFile, LoaUpload
from airflow_provider_bandwidth.order_apis import OrderResource
from airflow_provider_bandwidth.wire.answers import Answer, errors_naming_call
from airflow_provider_bandwidth.wire.loa import DOCUMENT_TYPE, read_file_ids, read_uploaded, write_metadata

_XML: Final = {"Content-Type": "application/xml; charset=utf-8"}
_ANY: Final = {"Accept": "*/*"}


class _DoubtfulUploadError(BandwidthError):
    """Bandwidth may have taken the letter: the answer does not tell."""


class LoaFiles:
    """The letters of one order.

    :param order_id: the order
    :param resource: the resource that the order is in
    :param call: sends a request below the account; gives its whole answer
    :param log: of the task; Airflow 2.11's and 3's loggers share no type
    """

    def __init__(self, order_id: str, resource: OrderResource, call: Callable[..., Answer], log: Any) -> None:
        self._order_id = order_id
        self._resource = resource
        self._path = f"{resource.path}/{quote(order_id, safe='')}/loas"
        self._call = call
        self._log = log
        #: The server's names of the files that are there, by their bytes.
        self._there: dict[bytes, str] = {}
        self._seen: set[str] = set()

    def upload(self, files: Iterable[LoaFile]) -> Iterator[LoaUpload]:
        """Upload each letter that is not there yet. One that fails does not stop the others."""
        problem = self._find_problem()
        for file in files:
            if problem is not None:
                yield LoaUpload(file.path, self._order_id, error=problem)
                continue
            try:
                yield LoaUpload(file.path, self._order_id, self._upload_once(file))
            except BandwidthError as error:
                yield LoaUpload(file.path, self._order_id, error=_explain(error, self._resource))

    def _find_problem(self) -> str | None:
        """Why no letter can be sent, if none can."""
        if not self._resource.takes_loa_files:
            return f"{self._resource.order_api} takes no letters. Keep it: Bandwidth may ask for it"
        try:
            self._look()
        except BandwidthError as error:
            why = _explain(error, self._resource)
            return f"the letters that are there could not be read, so it was not sent: {why}"
        return None

    def _upload_once(self, file: LoaFile) -> str:
        """Upload a letter unless it is there, and return the server's name of it."""
        if file.content not in self._there:
            try:
                self._there[file.content] = self._send(file)
            except _DoubtfulUploadError as doubt:
                self._look_for_upload(doubt)
                if file.content not in self._there:
                    raise BandwidthError(
                        f"{doubt}, and the order does not show it (yet). A retry looks for it before it sends it again."
                    ) from None
                self._describe(self._there[file.content], file)
        return self._there[file.content]

    def _send(self, file: LoaFile) -> str:
        answer = self._call(
            "POST",
            self._path,
            accept=range(200, 300),
            doubt=_DoubtfulUploadError,
            params={"documentType": DOCUMENT_TYPE},
            data=file.content,
            headers={"Content-Type": file.media_type},
        )
        location = answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        with errors_naming_call(answer):
            try:
                file_id = read_uploaded(answer.body) or location
            except BandwidthApiError:
                raise
            except BandwidthError as error:
                if not location:
                    raise _DoubtfulUploadError(f"HTTP {answer.status}, but: {error}") from None
                file_id = location
        if not file_id:
            raise _DoubtfulUploadError(f"HTTP {answer.status}, but without the file's name")
        self._seen.add(file_id)
        self._describe(file_id, file)
        return file_id

    def _describe(self, file_id: str, file: LoaFile) -> None:
        """Tell Bandwidth the file's name. The letter counts without it, too."""
        path = f"{self._path}/{quote(file_id, safe='')}/metadata"
        try:
            self._call("PUT", path, accept=range(200, 300), data=write_metadata(file.document_name), headers=_XML)
        except BandwidthError as error:
            self._log.warning("Letter %s is at order %s, but without its name: %s", file.path, self._order_id, error)

    def _look_for_upload(self, doubt: BandwidthError) -> None:
        """Look whether an upload was taken whose answer left doubt."""
        try:
            self._look()
        except BandwidthError as error:
            raise BandwidthError(f"{doubt}, and whether it was taken could not be found out: {error}") from None

    def _look(self) -> None:
        """Read the files that are there and have not been read yet."""
        answer = self._call("GET", self._path, accept=(200, 204))
        if answer.status == 204:
            return
        with errors_naming_call(answer):
            file_ids = read_file_ids(answer.body)
        for file_id in file_ids:
            if file_id not in self._seen:
                content = self._call("GET", f"{self._path}/{quote(file_id, safe='')}", headers=_ANY).body
                self._there[content] = file_id
                self._seen.add(file_id)


def _explain(error: BandwidthError, resource: OrderResource) -> str:
    known = None
    if isinstance(error, BandwidthApiError) and error.code:
        known = explain_error_code(error.code, resource.order_api)
    return f"{error} It means: {known.meaning}. What to do: {known.advice}." if known else str(error)
