"""The lines of an extract: bytes to text, whoever wrote it. Pure."""

from __future__ import annotations

import codecs
import io
import itertools
import logging
import re
from collections.abc import Iterable, Iterator
from typing import IO, Final

from airflow_provider_bandwidth.exceptions import InvalidExtractError

_log = logging.getLogger(__name__)

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: The byte order mark of a UTF-8 file that was read as Windows-1252 and written as UTF-8 again.
_MISREAD_BOM: Final = codecs.BOM_UTF8.decode("cp1252")
_BLOCK: Final = 2**18
_BINARY: Final = re.compile(r"[\x01-\x08\x0e-\x1f]")
_WINDOWS_1252: Final = "airflow_provider_bandwidth.windows_1252"
#: The longest cell, in characters. Salesforce's long texts have 131,072, the limit of Python's csv module.
LONGEST_FIELD: Final = 10_000_000


def _decode_as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    found = error.object[error.start : error.end]
    return found.decode("cp1252", "replace"), error.end


codecs.register_error(_WINDOWS_1252, _decode_as_windows_1252)


class TextLines:
    """The lines of a stream of bytes: UTF-8 or UTF-16, and what is no UTF-8 counts as Windows-1252.

    ``is_whole`` says, at the end, whether the last line had a line end; ``how`` says what was assumed, for errors.

    :param stream: at its start
    :param name: what to call the file in errors
    :param encoding: the file's encoding, any that Python knows; guessed if ``None``
    :param kind: what kind of file is read, for errors
    """

    def __init__(self, stream: IO[bytes], name: str, encoding: str | None, kind: str = "CSV file") -> None:
        self.name = name
        self._kind = kind
        self._stream = stream
        self._head = stream.read(_BLOCK)
        self.encoding = encoding or _guess_encoding(self._head)
        self.delimiter = ""
        self.is_whole = True
        try:
            # Some of Python's codecs are not for text, and "undefined" is for nothing.
            "".encode(self.encoding)
            self._decoder = codecs.getincrementaldecoder(self.encoding)()
        except (LookupError, UnicodeError):
            raise InvalidExtractError(f"{name}: Python knows no encoding {encoding!r} of text.") from None
        self._may_fall_back = encoding is None and self.encoding == "utf-8"

    @property
    def how(self) -> str:
        """What was assumed of the file, in brackets."""
        between = f", {self.delimiter!r} between columns" if self.delimiter else ""
        return f"(Read as {self.encoding}{between}.)"

    def error(self, line: int, problem: str) -> InvalidExtractError:
        """An error that names the file and the line."""
        return InvalidExtractError(f"{self.name}, line {line}: {problem} {self.how}")

    def lines(self) -> Iterator[str]:
        """The lines, each with its line end, whichever it is.

        :raises InvalidExtractError: it is no text, or not in this encoding
        """
        return itertools.chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[Iterable[str]]:
        """Pieces of text that end with a line end, each of which gives its lines at the speed of C."""
        rest = ""
        line = 1
        data = self._head
        while True:
            text = rest + self._decode(data, line)
            if line == 1 and _BINARY.search(text.partition("\n")[0]):
                raise InvalidExtractError(
                    f"{self.name} is not text: line 1 holds binary data. Give a {self._kind}, no workbook and no "
                    "archive."
                )
            if "\0" in text:
                raise self._nul(text, line)
            text = text.replace("\ufeff", "").replace(_MISREAD_BOM, "")
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1 if data else len(text)
            whole, rest = text[:end], text[end:]
            if len(rest) > 2 * LONGEST_FIELD:
                raise self.error(line, f"it has more than {LONGEST_FIELD:,} characters. Is this a {self._kind}?")
            if whole:
                self.is_whole = whole[-1] in "\r\n"
                line += whole.count("\n")
                yield io.StringIO(whole, newline="")
            if not data:
                return
            data = self._stream.read(_BLOCK)

    def _decode(self, data: bytes, line: int) -> str:
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeError as error:
            if not self._may_fall_back:
                where = "ends inside a character: it is cut short" if not data else f"is not {self.encoding}"
                why = getattr(error, "reason", error)
                raise InvalidExtractError(
                    f"{self.name} {where} (after line {line}, {why}). If it has another encoding, set encoding."
                ) from None
        _log.warning(
            "%s is not all UTF-8: the bytes that are not count as Windows-1252. If names look wrong, set encoding, or "
            "write the file as UTF-8.",
            self.name,
        )
        self.encoding = "Windows-1252"
        self._may_fall_back = False
        self._decoder.errors = _WINDOWS_1252
        return self._decoder.decode(data, final=not data)

    def _nul(self, text: str, line: int) -> InvalidExtractError:
        before = text[: text.index("\0")]
        start = max(before.rfind("\n"), before.rfind("\r")) + 1
        column = f" in column {before[start:].count(self.delimiter) + 1}" if self.delimiter else ""
        return InvalidExtractError(
            f"{self.name} is not text: line {line + before.count(chr(10))} holds a NUL character{column}. The file was "
            f"padded or cut short, or it is no {self._kind}. {self.how}"
        )


def _guess_encoding(head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    first, second = sample[::2].count(0), sample[1::2].count(0)
    if max(first, second) > len(sample) // 5 and min(first, second) <= max(first, second) // 10:
        return "utf-16-le" if second > first else "utf-16-be"
    return "utf-8"
