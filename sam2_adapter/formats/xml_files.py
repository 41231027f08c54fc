"""XML that others wrote, read without trusting it, and elements of XML to write.

A document type, without which there are neither entities nor references to other files, is refused: no labelling tool writes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from sam2_adapter.errors import DataError
from sam2_adapter.files import reason_of
from sam2_adapter.input_files import open_regular
from sam2_adapter.text import printable

# What XML 1.0 cannot hold, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_xml(
    path: Path,
    tool: str,
    *,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    """Walk through an XML file.

    Args:
        path: the file.
        tool: what writes such files, for messages.
        start: called with the tag and the XML attributes of every element that begins.
        end: called with the tag of every element that ends.
        text: called with the text between tags, in pieces.

    Raises:
        DataError: the file cannot be read, is no XML, or has a document type.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = lambda *_: _refuse_document_type(path, tool)
    try:
        with open_regular(path) as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        problem = expat.ErrorString(error.code)
        raise DataError(f"{path}: not a valid XML file: in line {error.lineno}, {problem}.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot read the file: {reason_of(error)}.") from error
    except (ValueError, LookupError) as error:  # such as an encoding that nobody knows
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a valid XML file: {error}.") from error


def text_element(tag: str, text: Any) -> str:
    """An element with a text."""
    return f"<{tag}>{escape(as_xml(str(text)))}</{tag}>"


def as_xml(text: str) -> str:
    """The text with escapes for the characters that XML cannot hold."""
    return _NOT_XML.sub(lambda found: printable(found[0]) if printable(found[0]) != found[0] else "?", text)


def _refuse_document_type(path: Path, tool: str) -> None:
    raise DataError(
        f"{path}: begins with a document type (<!DOCTYPE ...>), which can make a small file huge or refer to other files. {tool} writes none: "
        "export the data again, or delete it."
    )
