"""An item to what the model needs: the upright image, its prompts, and which earlier predictions it has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.dataloop.items import name_of, system_of
from sam2_adapter.dataloop.platform_requests import Document, UnansweredError, retried
from sam2_adapter.dataloop.prompts_from_annotations import NamedPrompt
from sam2_adapter.dataloop.storing import Owner, list_annotations
from sam2_adapter.errors import PlatformError
from sam2_adapter.images.read import read_image_with_notes
from sam2_adapter.interactive import EncodedSource, EncodedSources
from sam2_adapter.text import printable

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 2**30
"""Largest file of an item that is fetched into memory: more than any image of the accepted size takes."""


@dataclass(frozen=True, eq=False)
class ItemPrompts:
    """What is asked about an item.

    Attributes:
        prompts: one per object; `None` is the zero-shot mode, none at all asks for nothing.
        truth: the object that each prompt was made from, where they come from ground truth.
    """

    prompts: tuple[NamedPrompt, ...] | None
    truth: tuple[Annotation, ...] = ()


# Told an item's annotations and the (height, width) of its image.
AskPrompts = Callable[[Sequence[Document], tuple[int, int]], ItemPrompts]


@dataclass(frozen=True, eq=False)
class PreparedItem:
    """An item that is ready for the model.

    Attributes:
        item: `dl.Item`.
        image: uint8 RGB H x W x 3, upright.
        asked: its prompts.
        earlier_ids: ids of this model's predictions that it has already.
    """

    item: Any
    image: npt.NDArray[np.uint8]
    asked: ItemPrompts
    earlier_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BrokenItem:
    """An item that something went wrong with; the others go on.

    Attributes:
        item: `dl.Item`.
        error: what went wrong.
    """

    item: Any
    error: Exception

    def __str__(self) -> str:
        """Name, id and reason."""
        return f"{title_of(self.item)}: {str(self.error)[:500]}"


def title_of(item: Any) -> str:
    """Name and id of an item, for messages."""
    return f"{item.filename} (id {item.id})"


def prepare_item(item: Any, owner: Owner, ask: AskPrompts) -> PreparedItem:
    """Fetch the image and the annotations of an item: two requests.

    Raises:
        PlatformError: the platform did not deliver one of them.
        ImageError: the image cannot be read.
    """
    image, notes = read_image_with_notes(download_bytes(item), name=item.filename)
    for note in notes:
        logger.warning("%s: %s", printable(title_of(item)), printable(note))
    documents = list_annotations(item.id, item.dataset_id)
    asked = ask(documents, (image.shape[0], image.shape[1]))
    return PreparedItem(item, image, asked, tuple(d["id"] for d in documents if owner.made(d)))


def encode_item(sources: EncodedSources, item: Any) -> EncodedSource:
    """The encoded image of `item` (`dl.Item`, as fetched for this request).

    Raises:
        UnansweredError: the image could not be downloaded.
        ImageError: it cannot be read.
    """
    updated_at = getattr(item, "updated_at", None)  # changes with the item, also when an annotation is added
    stamp = (str(updated_at), str(system_of(item).get("size"))) if updated_at else None
    return sources.encode(("item", item.id), lambda: download_bytes(item), name=name_of(item), stamp=stamp)


def download_bytes(item: Any) -> bytes:
    """The content of an item.

    Raises:
        UnansweredError: it could not be downloaded after several tries.
        PlatformError: it is too large to be an image.
    """
    size = system_of(item).get("size")
    if isinstance(size, int | float) and size > MAX_FILE_BYTES:
        raise PlatformError(
            f"the file has {size:,} bytes, but at most {MAX_FILE_BYTES:,} are accepted for an image; store a smaller one."
        )

    def download() -> bytes:
        buffer = item.download(save_locally=False)
        if buffer is None:  # how the SDK tells failure
            raise UnansweredError("the file could not be downloaded; check that it is still in its storage.")
        return bytes(buffer.getvalue())

    return retried(download)
