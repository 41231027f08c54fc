"""Reading JSON without silent surprises, writing files that are either complete or not there, and locking folders."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from sam2_adapter.errors import DataError, ExportError, FolderInUseError, OutputExistsError, Sam2AdapterError
from sam2_adapter.input_files import NUM_BYTES, open_regular, packed, what_stands_in

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_NAME = ".sam2-adapter.lock"
HOLDER_NAME = ".sam2-adapter.holder"

# What the JSON parser says, by its first words, in plain ones.
_JSON_PROBLEMS = {
    "Expecting value": "a value is missing",
    "Expecting property name": "a key in double quotes is missing",
    "Expecting ':'": "a colon is missing after a key",
    "Expecting ','": "a comma or a closing bracket is missing",
    "Illegal trailing comma": "a comma stands before a closing bracket",
    "Unterminated string": "a text begins that has no closing quote",
    "Invalid control character": "a line break or another control character stands inside a text",
    "Invalid \\": "a backslash stands alone in a text, where two are needed",
    "Extra data": "something follows after the end of the document",
}

# UTF-32 first: its mark begins like that of UTF-16.
_MARKS = tuple(
    (mark, encoding)
    for encoding, marks in (
        ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
        ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
    )
    for mark in marks
)

# As `atomic_file` calls its temporary files.
_PARTIAL_NAME = re.compile(r"\..*\.[0-9a-f]{32}\.part", re.DOTALL)


def read_json(path: str | Path, error: type[Sam2AdapterError] = DataError) -> Any:
    """Parse a JSON file; a key that stands twice in one object is refused.

    Args:
        path: the file, UTF-8.
        error: class of the errors raised.

    Raises:
        Sam2AdapterError: of class `error`; the file cannot be read or is not valid JSON.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as reason:
        raise error(f"{path}: cannot read the file: {reason_of(reason)}; expected a JSON file in UTF-8.") from reason
    try:
        return json.loads(decoded_text(content), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as reason:
        if found := _what_else(content):
            raise error(f"{path}: not a JSON file: {found}.") from reason
        if isinstance(reason, UnicodeDecodeError):
            raise error(
                f"{path}: cannot read the file: {reason_of(reason)}; expected a JSON file. Save it as UTF-8."
            ) from reason
        raise error(f"{path}: not a valid JSON file: {json_problem(reason)}") from reason


def read_text(path: str | Path) -> str:
    """The text of a file that a data set consists of.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as reason:
        raise DataError(f"{path}: cannot read the file: {reason_of(reason)}.") from reason
    try:
        return decoded_text(content)
    except UnicodeDecodeError as reason:
        if found := _what_else(content):
            raise DataError(f"{path}: no text: {found}.") from reason
        raise DataError(f"{path}: {reason_of(reason)}. Save the file as UTF-8.") from reason


def _what_else(content: bytes) -> str | None:
    """What a file is that should be text, as a sentence without its full stop; `None` where that is not known."""
    if found := what_stands_in(content[:NUM_BYTES]):
        return f"this is {found}"
    how = packed(content)
    return f"it is {how}; unpack it, and give what is in it" if how else None


def decoded_text(content: bytes) -> str:
    """The text of a file: UTF-8, or what the mark at its beginning says, as Windows writes UTF-16.

    Raises:
        UnicodeDecodeError: it is something else.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    if content[:4].count(0) > 1:  # no mark, but two or more bytes for each character
        return content.decode(json.detect_encoding(content))
    return content.decode("utf-8-sig")


def json_problem(error: ValueError | RecursionError) -> str:
    """What is wrong with a JSON text, and where, as a sentence for people."""
    if isinstance(error, RecursionError):
        return "lists or objects are nested too deeply."
    if isinstance(error, json.JSONDecodeError):
        if not error.doc.strip():
            return "it is empty."
        what = next((text for start, text in _JSON_PROBLEMS.items() if error.msg.startswith(start)), error.msg)
        before, after = error.doc[max(0, error.pos - 30) : error.pos], error.doc[error.pos : error.pos + 20]
        place = " ".join(f"{before}<here>{after}".split())
        if error.pos >= len(error.doc.rstrip()):
            return f"it ends in line {error.lineno}, before the document does, as a file does that was cut off: {place}"
        return f"in line {error.lineno}, at character {error.colno}, {what}: {place}"
    if "digits" in str(error):
        return "a number has more digits than can be read."
    return str(error)


def write_json(path: str | Path, document: Any) -> None:
    """Write a JSON file, complete or not at all; missing folders are made.

    Raises:
        ExportError: the document holds something that JSON cannot hold, or the file cannot be written.
    """
    try:
        content = encoded_json(document)
    except (TypeError, ValueError, RecursionError) as reason:
        raise ExportError(
            f"{path}: the annotations cannot be written as JSON: {reason}. Check the attributes of the prompts."
        ) from reason
    write_file(path, lambda file: file.write(content))


def write_file(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; missing folders are made.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        with atomic_file(Path(path)) as file:
            write(file)
    except (OSError, ValueError) as reason:
        raise ExportError(
            f"{path}: cannot write the file: {reason_of(reason)}. Choose a folder that can be written to and has space."
        ) from reason


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as a hex digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path, *, is_synced: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write that appears under its name when it is complete, or not at all; missing folders are made.

    Args:
        path: the file.
        is_synced: wait until the disk has it, for files that are worth the time: they survive a loss of power too.

    Raises:
        OSError: the file cannot be written.
    """
    # In the same folder: a rename is atomic only within one file system.
    partial = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("xb") as file:
            yield file
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_partial_name(name: str) -> bool:
    """Whether a file is called as the temporary files of `atomic_file` are."""
    return _PARTIAL_NAME.fullmatch(name) is not None


def append_whole(file: IO[bytes], content: bytes) -> None:
    """Append to a file all of a content, or nothing where the disk is full.

    Args:
        file: opened to write and unbuffered, so that nothing is left to be written later.
        content: a line of a journal, or another piece that makes no sense in parts.

    Raises:
        OSError: it cannot be written; the file is as it was before, as far as that is possible.
    """
    end = file.seek(0, os.SEEK_END)
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        cut_off(file, end)
        raise


def cut_off(file: IO[bytes], end: int) -> None:
    """Take away what a file has behind a place, as far as that is possible; writing goes on there."""
    with suppress(OSError):
        file.truncate(end)
    with suppress(OSError):
        file.seek(end)


def remove_partial_files(directory: Path) -> None:
    """Remove the temporary files that `atomic_file` left below a folder when its process was killed."""
    for path in directory.rglob(".*.part"):
        if is_partial_name(path.name):
            with suppress(OSError):
                path.unlink()


def lock_folder(directory: Path) -> BaseFileLock:
    """Lock an output folder, without waiting; released by `release()` of what is returned, or when the process ends.

    The lock is a file in the folder, which stays there, and holds between processes and machines as far as the file system knows locks.

    Raises:
        FolderInUseError: another command has locked it.
        ExportError: there is a link in the place of the lock.
        OSError: the folder cannot be written to.
    """
    from filelock import FileLock, Timeout  # slow to import, and most commands lock nothing

    path = directory / LOCK_NAME
    if path.is_symlink():
        raise ExportError(f"{path}: this is a link, which is not followed. Remove it, or choose another folder.")
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderInUseError(
            f"{directory}: another sam2-adapter command writes to this folder{_said_by_holder(directory)}. Wait until it has ended, or "
            "choose another folder."
        ) from error
    return lock


def _said_by_holder(directory: Path) -> str:
    """What the command that holds a lock tells those that are refused, such as the address of its page; see `OwnedFolder.tell_others`."""
    with suppress(OSError, UnicodeDecodeError), (directory / HOLDER_NAME).open("rb") as file:
        text = file.read(300).decode()
        return f": {text}" if text and text.isprintable() else ""
    return ""


def refuse_to_replace(path: str | Path) -> None:
    """Refuse a target file that is there already.

    Raises:
        OutputExistsError: it is.
    """
    if os.path.lexists(path):
        raise OutputExistsError(
            f"{path} exists already. Name another file, or replace this one (--overwrite, in Python overwrite=True)."
        )


def encodable(text: str) -> str:
    """Text with escapes for what UTF-8 cannot hold, such as the bytes of a file name in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode()


def reason_of(error: Exception) -> str:
    """The reason of an error without the path that operating system errors repeat, and in plain words where a file is no text."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no text in UTF-8"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def encoded_json(document: Any) -> bytes:
    """A document as JSON in UTF-8; what UTF-8 cannot hold, half a surrogate pair, is escaped.

    Raises:
        TypeError, ValueError, RecursionError: it holds something that JSON cannot hold.
    """
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can express
        return json.dumps(document, allow_nan=False).encode("ascii")


def parsed_line(text: bytes) -> dict[str, Any] | None:
    """The object in one line of a journal; `None` where the line is damaged, or was torn before its end."""
    try:
        line = json.loads(text) if text.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key[:80]!r} stands twice in one object")
        result[key] = value
    return result
