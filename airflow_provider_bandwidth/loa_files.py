"""Letters of authorization (LOA): the files that prove that a subscriber wants a number moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from airflow_provider_bandwidth.exceptions import InvalidParameterError

#: Media types that Bandwidth takes, by the ending of a file's name [oas1].
_MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "csv": "text/csv",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
#: Bandwidth refuses a longer DocumentName with error 7800 [err].
_LONGEST_NAME: Final = 50


@dataclass(frozen=True, slots=True)
class LoaFile:
    """A letter of authorization.

    :param path: where it is, for people
    :param content: its bytes
    """

    path: str
    content: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """What Bandwidth is told that it is."""
        return _MEDIA_TYPES[_ending(self.path)]

    @property
    def document_name(self) -> str:
        """Its name at Bandwidth, which keeps the end of a long one."""
        return _name(self.path)[-_LONGEST_NAME:]


@dataclass(frozen=True, slots=True)
class LoaUpload:
    """What became of a letter.

    :param path: where it is, for people
    :param order_id: the order it belongs to
    :param file_id: Bandwidth's name of it; ``None`` if it is not known to be there
    :param error: why it is not there; ``None`` if it is
    """

    path: str
    order_id: str
    file_id: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars."""
        return asdict(self)


def parse_loa_paths(value: Iterable[object] | str | None) -> tuple[str, ...]:
    """Paths of letters as a parameter gives them, each once: one, several, or text with commas between.

    :raises InvalidParameterError: it is no path, or the file's type is one that Bandwidth does not take
    """
    if value in (None, ""):
        return ()
    given = value.split(",") if isinstance(value, str) else [value] if not isinstance(value, Iterable) else value
    paths: dict[str, None] = {}
    for each in given:
        path = str(each).strip() if each is not None and not isinstance(each, bytes) else ""
        if _ending(path) not in _MEDIA_TYPES:
            endings = ", ".join(_MEDIA_TYPES)
            raise InvalidParameterError("loa_files", f"expected paths that end in {endings}, got {each!r}")
        paths[path] = None
    return tuple(paths)


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _ending(path: str) -> str:
    stem, _, ending = _name(path).rpartition(".")
    return ending.lower() if stem else ""
