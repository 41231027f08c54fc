"""The formats, as a table: what they are called, what they look like, and which module knows them.

Adding a format is one module with a `FORMAT` and one entry here; choices, help texts and messages follow from the table. It imports no
format, so that `--help` stays fast: `load_format` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2_adapter.formats.base import Format


@dataclass(frozen=True)
class FormatEntry:
    """What is known about a format without importing it.

    Attributes:
        name: as `--data-format` and `load_dataset` call it.
        module: has the `Format` under the name `FORMAT`.
        title: as people write it.
        layout: what a data set of this format looks like, for messages; empty where none is read.
        output: as `--format` calls it; empty where it is not written.
        results: top-level name of its results in an output folder.
        is_one_file: whether the results of all images stand in one file, and no file belongs to an image alone.
        has_prompts: whether boxes and points of its files are prompts.
        has_output_types: whether `output_type` says how objects are written, as masks or as polygons; else the format does.
        drawn_masks: the output types with which masks are drawn in the size of the image, which takes memory for it.
    """

    name: str
    module: str
    title: str
    layout: str = ""
    output: str = ""
    results: str = ""
    is_one_file: bool = False
    has_prompts: bool = False
    has_output_types: bool = False
    drawn_masks: tuple[str, ...] = ()


FORMATS = (
    FormatEntry(
        "dataloop",
        "sam2_adapter.formats.dataloop.format",
        "Dataloop",
        layout="a Dataloop export (items/ and json/)",
        output="dataloop",
        results="json",
        has_output_types=True,
        drawn_masks=("mask",),
    ),
    FormatEntry(
        "coco",
        "sam2_adapter.formats.coco.format",
        "COCO",
        layout="COCO (a JSON file with 'images' and 'annotations', in the folder or in annotations/, and images)",
        output="coco",
        results="annotations.json",
        has_output_types=True,
        is_one_file=True,
    ),
    FormatEntry(
        "label_maps",
        "sam2_adapter.formats.label_maps.format",
        "Label maps",
        layout="label maps (images/ and masks/)",
        output="masks",
        results="masks",
        drawn_masks=("mask", "polygon"),
    ),
    FormatEntry(
        "yolo",
        "sam2_adapter.formats.yolo.format",
        "YOLO",
        layout="YOLO segmentation (data.yaml or classes.txt, images/ and labels/)",
        output="yolo",
        results="yolo",
        has_prompts=True,
    ),
    FormatEntry(
        "labelme",
        "sam2_adapter.formats.labelme.format",
        "LabelMe",
        layout="LabelMe (a JSON file for each picture)",
        output="labelme",
        results="labelme",
        has_output_types=True,
        has_prompts=True,
    ),
    FormatEntry(
        "cvat",
        "sam2_adapter.formats.cvat.format",
        "CVAT",
        layout="CVAT for images 1.1 (an XML file, in the folder or in annotations/, and pictures)",
        output="cvat",
        results="annotations.xml",
        has_output_types=True,
        is_one_file=True,
        has_prompts=True,
    ),
    FormatEntry(
        "voc",
        "sam2_adapter.formats.voc.format",
        "Pascal VOC",
        layout="Pascal VOC (JPEGImages/ and SegmentationObject/)",
        output="voc",
        results="voc",
    ),
    FormatEntry("polygons", "sam2_adapter.formats.polygon_json", "Polygons", output="polygons", results="polygons"),
)


def data_formats() -> dict[str, FormatEntry]:
    """The formats that data sets are read from, by name."""
    return {entry.name: entry for entry in FORMATS if entry.layout}


def output_formats() -> dict[str, FormatEntry]:
    """The formats that results are written in, by the name that `--format` gives them, sorted."""
    return {entry.output: entry for entry in sorted(FORMATS, key=lambda entry: entry.output) if entry.output}


def load_format(entry: FormatEntry) -> Format:
    """Import a format."""
    found: Format = import_module(entry.module).FORMAT
    return found
