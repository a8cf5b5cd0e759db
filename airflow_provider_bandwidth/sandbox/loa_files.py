"""The letters of authorization that are kept at imports."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Final

DOCUMENT_TYPES: Final = ("LOA", "INVOICE", "CSR", "OTHER")
#: File name extensions by the media types that are taken [oas1].
EXTENSIONS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tiff",
    "text/csv": "csv",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
}


@dataclass(frozen=True, slots=True)
class LoaFile:
    """A file at an order.

    :param name: the name that the server gave it
    :param document_type: one of ``DOCUMENT_TYPES``; ``None``, like ``document_name``, until metadata is given
    """

    order_id: str
    name: str
    content_type: str
    content: bytes
    document_type: str | None = None
    document_name: str | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values, without the content."""
        return {**dataclasses.asdict(self), "content": None, "size": len(self.content)}


class LoaFiles:
    """The files of every order, first uploaded first. One change is one assignment: safe to read from any thread."""

    def __init__(self) -> None:
        self._files: dict[str, LoaFile] = {}

    def clear(self) -> None:
        """Forget every file."""
        self._files = {}

    def of_order(self, order_id: str) -> list[LoaFile]:
        """The files of an order."""
        return [file for file in list(self._files.values()) if file.order_id == order_id]

    def find(self, order_id: str, name: str) -> LoaFile | None:
        """A file of an order."""
        file = self._files.get(name)
        return file if file is not None and file.order_id == order_id else None

    def add(self, order_id: str, content_type: str, content: bytes, document_type: str | None) -> LoaFile:
        """Keep a new file under a name of our choice; the same content again is another file."""
        moment = time.time_ns() // 1_000_000
        while (name := f"{order_id}-{moment}.{EXTENSIONS[content_type]}") in self._files:
            moment += 1
        file = LoaFile(order_id, name, content_type, content, document_type)
        self.put(file)
        return file

    def put(self, file: LoaFile) -> None:
        """Keep a file in place of the one of its name."""
        self._files = {**self._files, file.name: file}

    def remove(self, name: str) -> None:
        """Forget a file."""
        self._files = {key: file for key, file in self._files.items() if key != name}
