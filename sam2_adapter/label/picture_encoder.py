"""`PictureEncoder`: pictures encoded by a thread of its own, those that are open before those that come next."""

from __future__ import annotations

import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter.errors import ImageError, PromptError, Sam2AdapterError
from sam2_adapter.files import reason_of
from sam2_adapter.input_files import open_regular
from sam2_adapter.interactive import EncodedSources
from sam2_adapter.label.memory import give_memory_back
from sam2_adapter.predict.predictor import ImageEmbedding

# Embeddings at hand beside the cache, which holds the same values: the open pictures of a few tabs, and the next ones.
_KEPT_READY = 12
_MOST_AHEAD = 2

Json = dict[str, Any]
Report = Callable[[Json], None]


@dataclass(frozen=True)
class PictureFile:
    """A picture, as the server names it to the model's process.

    Attributes:
        id: of the picture on the page.
        name: what to call it in messages.
        path: of its file.
    """

    id: str
    name: str
    path: Path

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> PictureFile:
        """From JSON."""
        return cls(value["id"], value["name"], Path(value["path"]))


class PictureEncoder:
    """Encodes the pictures that tabs look at, then those that come next."""

    def __init__(self, sources: EncodedSources, report: Report) -> None:
        """Encode with `sources`, and give news of each picture to `report`, from any thread."""
        self._sources, self._report = sources, report
        self._changed = threading.Condition()
        self._wanted: dict[str, list[PictureFile]] = {}
        self._failed: dict[str, str] = {}
        self._ready: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._is_closed = False
        threading.Thread(target=self._encode_all, daemon=True).start()

    def want(self, images: list[PictureFile], tab: str) -> None:
        """The picture that a tab looks at, and those that come next."""
        with self._changed:
            self._wanted[tab] = images
            for image in images:
                self._failed.pop(image.id, None)
            is_ready = images[0].id in self._ready
            self._changed.notify_all()
        if is_ready:
            self._report({"news": "encoded", "image": images[0].id, "seconds": 0.0})

    def encoded(self, image: PictureFile, is_stale: Callable[[], bool]) -> ImageEmbedding | None:
        """Wait for a picture; `None` where nobody waits for it any more."""
        with self._changed:
            while image.id not in self._ready and not self._is_closed:
                if is_stale():
                    return None
                if image.id in self._failed:
                    raise PromptError(self._failed[image.id])
                if not any(image in images for images in self._wanted.values()):
                    self._wanted["?"] = [image]
                    self._changed.notify_all()
                self._changed.wait(0.5)
            self._ready.move_to_end(image.id)
            return self._ready[image.id]

    def is_resting(self) -> bool:
        """Whether nothing is to be encoded."""
        with self._changed:
            wanted = [image for images in self._wanted.values() for image in images[: _MOST_AHEAD + 1]]
            return not any(self._is_missing(image) for image in wanted)

    def close(self) -> None:
        """End the thread when it is done with what it encodes now."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _encode_all(self) -> None:
        while (image := self._next()) is not None:
            self._report({"news": "encoding", "image": image.id})
            started = time.monotonic()
            try:
                embedding = self._encode(image)
            except Exception as error:  # this picture fails, the next one may not
                if not isinstance(error, Sam2AdapterError):
                    traceback.print_exc()
                with self._changed:
                    self._failed[image.id] = str(error)
                    self._changed.notify_all()
                self._report({"news": "broken", "image": image.id, "text": str(error)})
                continue
            with self._changed:
                self._ready[image.id] = embedding
                while len(self._ready) > _KEPT_READY:
                    self._ready.popitem(last=False)
                self._changed.notify_all()
            self._report({"news": "encoded", "image": image.id, "seconds": time.monotonic() - started})
            give_memory_back()

    def _encode(self, image: PictureFile) -> ImageEmbedding:
        try:
            facts = image.path.stat()
            stamp = facts.st_mtime_ns, facts.st_size
        except OSError:
            stamp = None
        return self._sources.encode(image.id, lambda: _content(image), name=image.name, stamp=stamp).embedding

    def _next(self) -> PictureFile | None:
        """The picture to encode next; waits for one. `None` at the end."""
        with self._changed:
            while not self._is_closed:
                for rank in range(_MOST_AHEAD + 1):
                    for images in self._wanted.values():
                        if rank < len(images) and self._is_missing(images[rank]):
                            return images[rank]
                self._changed.wait()
            return None

    def _is_missing(self, image: PictureFile) -> bool:
        return image.id not in self._ready and image.id not in self._failed


def _content(image: PictureFile) -> bytes:
    try:
        with open_regular(image.path) as file:
            return file.read()
    except OSError as error:
        raise ImageError(f"{image.name}: cannot read the file: {reason_of(error)}.") from error
