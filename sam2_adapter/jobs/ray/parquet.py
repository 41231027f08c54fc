"""The Parquet files of a run: one row per image, its objects as a list with masks in COCO's compressed run-length encoding."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.errors import DataError
from sam2_adapter.files import encodable
from sam2_adapter.jobs.answers import ImageAnswer, ImageResult
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.segment import Segmentation

_OBJECT_OF_A_PROMPT = [
    ("label", pa.string()),
    ("iou_score", pa.float64()),
    ("rle_counts", pa.string()),
    ("box_xyxy", pa.list_(pa.int32())),
    ("area", pa.int64()),
    ("prompt_index", pa.int32()),
    ("object_id", pa.string()),
    ("parent_id", pa.string()),
    ("attributes", pa.string()),
]
_FOUND = [("stability_score", pa.float64()), ("point_xy", pa.list_(pa.float64()))]
_REFUSED = pa.struct([("prompt_index", pa.int32()), ("error", pa.string())])
_IMAGE = [
    ("name", pa.string()),
    ("source", pa.string()),
    ("status", pa.string()),
    ("error", pa.string()),
    ("height", pa.int32()),
    ("width", pa.int32()),
    ("seconds", pa.float64()),
    ("empty_prompts", pa.list_(pa.int32())),
    ("refused_prompts", pa.list_(_REFUSED)),
]
_TOLD = [
    ("warnings", pa.list_(pa.struct([("prompt_index", pa.int32()), ("warning", pa.string())]))),
    ("notes", pa.list_(pa.string())),
]
_OBJECTS = ("objects", pa.list_(pa.struct([*_OBJECT_OF_A_PROMPT, *_FOUND])))
SCHEMA = pa.schema([*_IMAGE, *_TOLD, _OBJECTS])
# Of earlier versions, whose runs can still be gone on with: without what is told, without objects that were found without a prompt, and
# without refused prompts.
_WITH_PROMPTS = pa.schema([*_IMAGE, ("objects", pa.list_(pa.struct(_OBJECT_OF_A_PROMPT)))])
_OLD_SCHEMAS = (
    pa.schema([*_IMAGE, _OBJECTS]),
    _WITH_PROMPTS,
    pa.schema([field for field in _WITH_PROMPTS if field.name != "refused_prompts"]),
)

# Keys of the schema's metadata: which model made a part, and what each of its images was when it was read.
_MADE_BY = b"made_by"
_VERSIONS = b"versions"


def part_name(index: int) -> str:
    """File of a chunk of images."""
    return f"part-{index:06}.parquet"


def row_of(
    task: ImageTask, answer: ImageAnswer, original_hw: tuple[int, int], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """The row of an image whose prompts were answered; attributes are JSON text.

    Args:
        task: the image.
        answer: its objects.
        original_hw: (height, width) in pixels.
        notes: what of the file is not in the picture, one sentence each.
    """
    height, width = original_hw
    found = answer.segmentation
    return {
        **_row(task, "ok"),
        "height": height,
        "width": width,
        "empty_prompts": list(found.empty_prompts),
        "refused_prompts": _by_position(answer.refused_prompts, "error"),
        "warnings": _by_position(answer.warnings, "warning"),
        "notes": [encodable(note) for note in (*notes, *found.notes, *found.windows.notes())],
        "objects": [_object(entry) for entry in found.annotations],
    }


def failed_row(task: ImageTask, reason: str) -> dict[str, Any]:
    """The row of an image that failed; its error names it."""
    return {**_row(task, "failed"), "error": encodable(task.named(reason))}


def to_parquet(rows: Sequence[Mapping[str, Any]], made_by: Mapping[str, Any]) -> bytes:
    """The content of a part.

    Args:
        rows: as `row_of` and `failed_row` make them; under `version` what the image was when it was read, see `source_version`.
        made_by: which model made them, plain JSON types.
    """
    versions = [row.get("version") for row in rows]
    schema = SCHEMA.with_metadata(
        {_MADE_BY: json.dumps(dict(made_by)).encode(), _VERSIONS: json.dumps(versions).encode()}
    )
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), content, compression="zstd")
    return content.getvalue()


def read_rows(content: bytes, tasks: Sequence[ImageTask], where: str) -> list[dict[str, Any]]:
    """The rows of a part, as `to_parquet` takes them.

    Args:
        content: the file.
        tasks: the images of its chunk, in order.
        where: the file's place, for messages.

    Raises:
        DataError: the file is damaged or holds other images.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: not a Parquet file: {error}. Remove it to have it made again.") from error
    names = [encodable(task.name) for task in tasks]
    if table.schema not in (SCHEMA, *_OLD_SCHEMAS) or table["name"].to_pylist() != names:
        raise DataError(f"{where}: holds other columns or images than expected. Remove it to have it made again.")
    versions = _versions(table.schema.metadata or {}, len(names))
    return [
        {"refused_prompts": [], "warnings": [], "notes": [], **row, "version": version}
        for row, version in zip(table.to_pylist(), versions, strict=True)
    ]


def result_of(row: Mapping[str, Any], task: ImageTask, *, is_kept: bool) -> ImageResult:
    """What a row says became of its image.

    Args:
        row: as `read_rows` returns it.
        task: the image.
        is_kept: whether an earlier run made it.
    """
    if row["status"] != "ok":
        return ImageResult(task, None, (), row["seconds"], row["error"])
    original_hw = row["height"], row["width"]
    annotations = tuple(
        Annotation(
            entry["label"],
            Rle(entry["rle_counts"], original_hw),
            entry["iou_score"],
            None if entry["attributes"] is None else json.loads(entry["attributes"]),
            entry["object_id"],
            entry["parent_id"],
            entry["prompt_index"],
            entry.get("stability_score"),
            entry.get("point_xy"),
        )
        for entry in row["objects"]
    )
    segmentation = Segmentation.restored(annotations, task.prompts, original_hw, row["empty_prompts"])
    refused = {entry["prompt_index"]: entry["error"] for entry in row["refused_prompts"]}
    return ImageResult(
        task,
        segmentation,
        (),
        row["seconds"],
        is_kept=is_kept,
        refused_prompts=refused,
        warnings={entry["prompt_index"]: entry["warning"] for entry in row["warnings"]},
        notes=tuple(row["notes"]),
    )


def _versions(metadata: Mapping[bytes, bytes], count: int) -> list[str | None]:
    """What the images were when they were read; parts of version 0.1 do not say."""
    try:
        versions = json.loads(metadata[_VERSIONS])
    except (KeyError, ValueError):
        versions = None
    return versions if isinstance(versions, list) and len(versions) == count else [None] * count


def _row(task: ImageTask, status: str) -> dict[str, Any]:
    return {
        "name": encodable(task.name),
        "source": encodable(task.source),
        "status": status,
        "seconds": 0.0,
        "empty_prompts": [],
        "refused_prompts": [],
        "warnings": [],
        "notes": [],
        "objects": [],
    }


def _by_position(texts: Mapping[int, str], key: str) -> list[dict[str, Any]]:
    return [{"prompt_index": position, key: encodable(text)} for position, text in sorted(texts.items())]


def _object(entry: Annotation) -> dict[str, Any]:
    return {
        "label": encodable(entry.label),
        "iou_score": entry.iou_score,
        "rle_counts": entry.rle.counts,
        "box_xyxy": list(entry.box_xyxy),
        "area": entry.area,
        "prompt_index": entry.prompt_index,
        "object_id": entry.object_id and encodable(entry.object_id),
        "parent_id": entry.parent_id and encodable(entry.parent_id),
        "attributes": None if entry.attributes is None else json.dumps(dict(entry.attributes)),
        "stability_score": entry.stability_score,
        "point_xy": None if entry.point_xy is None else list(entry.point_xy),
    }
