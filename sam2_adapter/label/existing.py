"""Annotations that lie beside the pictures, in any format that data sets are read from: a new session begins with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sam2_adapter.errors import DataError
from sam2_adapter.files import encodable
from sam2_adapter.formats.left_out import Reason
from sam2_adapter.formats.load import ALL_SPLITS, find_format, load_dataset
from sam2_adapter.label.objects import object_of
from sam2_adapter.label.pictures import Picture
from sam2_adapter.label.work import Work
from sam2_adapter.text import plural

# Pictures that nobody has labelled yet are what the page is for.
_EXPECTED = (Reason.NO_ANNOTATION,)


def take_over(work: Work, pictures: Sequence[Picture], inputs: Sequence[str | Path]) -> list[str]:
    """Put the labels and objects of the data sets among `inputs` into the work.

    Args:
        work: a new one.
        pictures: of the session.
        inputs: folders and files; folders that are no data sets are passed over.

    Returns:
        Sentences on what was taken over and what was not.

    Raises:
        ExportError: the objects cannot be written to the journal.
    """
    by_path = {os.path.realpath(picture.path): picture for picture in pictures}
    notes: list[str] = []
    for folder in (Path(given) for given in inputs if Path(given).is_dir()):
        try:
            data_format = find_format(folder)
        except DataError as error:
            if "looks like" in str(error):  # several formats at once: whose objects to take is not ours to guess
                notes.append(f"Annotations were found and not loaded: {error}")
            continue
        notes += _take_over_folder(work, by_path, folder, data_format)
    return notes


def _take_over_folder(work: Work, by_path: dict[str, Picture], folder: Path, data_format: str) -> list[str]:
    try:
        dataset = load_dataset(
            folder,
            data_format,
            min_area_px=1,
            validation_share=0,
            include_model_annotations=True,
            include_crowds=True,
        )
    except DataError as error:
        return [f"Annotations were found and not loaded: {error}"]
    work.begin_with(map(encodable, dataset.labels), set(map(encodable, dataset.label_counts)))
    num_objects = num_images = 0
    for sample in dataset.samples(ALL_SPLITS):
        picture = by_path.get(os.path.realpath(sample.image_path))
        if picture is not None:
            work.take_over(picture.name, sample.original_hw, [object_of(annotation) for annotation in sample.objects])
            num_images += 1
            num_objects += len(sample.objects)
    taken = f"{plural(num_objects, 'object')} in {plural(num_images, 'picture')} loaded ({data_format})."
    return [taken, *dataset.left_out.sentences(_EXPECTED)]
