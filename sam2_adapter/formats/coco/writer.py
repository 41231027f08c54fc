"""COCO JSON written image by image: what is done lies on disk, so that memory does not grow with the number of images."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ExportError
from sam2_adapter.files import append_whole, cut_off, encoded_json, reason_of, write_file
from sam2_adapter.formats.coco.objects import Segmentation, add_categories, images_to_coco


class CocoStream:
    """A COCO file that images are added to one by one; it is put in place, complete, by `close`."""

    def __init__(
        self,
        path: str | Path,
        model_name: str,
        made_by: Mapping[str, Any],
        *,
        segmentation: Segmentation = "rle",
        labels: Sequence[str] = (),
    ) -> None:
        """Start a file at `path`.

        Args:
            path: the file; its folder is made.
            model_name: what made the masks.
            made_by: further facts about that, plain JSON types.
            segmentation: `rle`, or `polygon` for objects without holes.
            labels: categories in this order, whether objects have them or not; other labels follow as they are first used.

        Raises:
            ExportError: the folder cannot be written to.
        """
        self._path = Path(path)
        self._info = {"description": "Masks made with sam2-adapter", "model": model_name, "made_by": dict(made_by)}
        self._model_name = model_name
        self._segmentation: Segmentation = segmentation
        self._categories: list[dict[str, Any]] = []
        add_categories(self._categories, labels, str(path))
        self._num_images = 0
        self._num_annotations = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Beside the target: a system's temporary folder may be kept in memory.
            self._images = tempfile.TemporaryFile(buffering=0, dir=self._path.parent)  # noqa: SIM115 - closed by close()
            self._annotations = tempfile.TemporaryFile(buffering=0, dir=self._path.parent)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise ExportError(f"{path}: cannot write here: {reason_of(error)}. Choose another folder.") from error

    def add(self, image: AnnotatedImage) -> tuple[str, ...]:
        """Add one image.

        Returns:
            What the format could not hold, one sentence each.

        Raises:
            ExportError: the disk is full, or an attribute cannot be written as JSON.
        """
        existing = {"info": {}, "images": [], "annotations": [], "categories": self._categories}
        export = images_to_coco(
            [image], self._model_name, segmentation=self._segmentation, existing=existing, source=str(self._path)
        )
        entry = {**export.document["images"][0], "id": self._num_images + 1}
        rows = [
            {**row, "id": self._num_annotations + 1 + index, "image_id": entry["id"]}
            for index, row in enumerate(export.document["annotations"])
        ]
        # Encoded before anything is written, so that an image that fails leaves no trace.
        image_text = _listed([self._encoded(entry)], is_first=not self._num_images)
        self._append(image_text, _listed(map(self._encoded, rows), is_first=not self._num_annotations))
        self._categories = export.document["categories"]
        self._num_images += 1
        self._num_annotations += len(rows)
        return export.notes

    def close(self) -> Path:
        """Put the file in place.

        Raises:
            ExportError: it cannot be written.
        """
        with self._images, self._annotations:
            write_file(self._path, self._compose)
        return self._path

    def _compose(self, file: IO[bytes]) -> None:
        file.write(b'{"info": ' + self._encoded(self._info) + b',\n"images": [')
        for name, rows in ((b"", self._images), (b'],\n"annotations": [', self._annotations)):
            file.write(name)
            rows.seek(0)
            shutil.copyfileobj(rows, file)
        file.write(b'],\n"categories": ' + self._encoded(self._categories) + b"}\n")

    def _encoded(self, value: Any) -> bytes:
        try:
            return encoded_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ExportError(
                f"{self._path}: the annotations cannot be written as JSON: {error}. Check the attributes of the prompts."
            ) from error

    def _append(self, image: bytes, annotations: bytes) -> None:
        num_bytes = self._images.tell()
        try:
            append_whole(self._images, image)
            append_whole(self._annotations, annotations)
        except OSError as error:
            cut_off(self._images, num_bytes)
            raise ExportError(
                f"{self._path}: cannot write here: {reason_of(error)}. Make room on the disk, or choose another folder."
            ) from error


def _listed(rows: Iterable[bytes], *, is_first: bool) -> bytes:
    """Rows of a list, as they follow those that are there."""
    text = b"".join(b",\n" + row for row in rows)
    return text[1:] if is_first else text
