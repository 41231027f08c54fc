"""Results as other tools read them: how much of each mask is left.

    .venv/bin/python tools/read_elsewhere.py write DIR LABEL_MAP.png...
    .venv/bin/python tools/read_elsewhere.py read-back DIR
    OTHER/bin/python tools/read_elsewhere.py read DIR        # an environment with any of labelme, supervision, datumaro and ultralytics

The first command writes the objects of label maps in the formats of these tools, as masks and as polygons; the second reads them with this
package; the third, which needs nothing of it, with the own readers and painters of the tools that are installed. Small objects lose most: labelme,
supervision and ultralytics paint the outline itself too, half a pixel around the object.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Mask = npt.NDArray[np.bool_]

_LEAST_AREA_PX = 400
_TRUTH = "truth.npz"


def write(folder: Path, label_maps: list[Path]) -> None:
    """Write every format, and the masks themselves."""
    from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
    from sam2_adapter.formats.base import WritingTarget
    from sam2_adapter.formats.registry import load_format, output_formats

    truth: dict[str, Mask] = {}
    images = []
    for path in label_maps:
        label_map = np.asarray(Image.open(path))
        masks = [mask for number in np.unique(label_map)[1:] if (mask := label_map == number).sum() >= _LEAST_AREA_PX]
        if masks:
            truth |= {f"{path.stem}.jpg|{index}": mask for index, mask in enumerate(masks)}
            objects = tuple(Annotation.from_mask(mask, f"label{index % 3}") for index, mask in enumerate(masks))
            images.append(AnnotatedImage(f"{path.stem}.jpg", (label_map.shape[0], label_map.shape[1]), objects))
    for output_type in ("mask", "polygon"):
        for name, pictures in (("labelme", "labelme"), ("yolo", "yolo/images"), ("cvat", "images")):
            root = folder / output_type
            entry = output_formats()[name]
            target = WritingTarget(root / entry.results, lambda _: None, "truth", {}, output_type)
            open_writer = load_format(entry).open_writer
            assert open_writer is not None
            writer = open_writer(target)
            for image in images:
                writer.add(image, Path(image.file_name).stem)
                (root / pictures).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", image.original_hw[::-1]).save(root / pictures / image.file_name)
            writer.close()
    np.savez_compressed(folder / _TRUTH, **truth)  # type: ignore[arg-type]


def read(folder: Path) -> None:
    """Print how well the masks agree that each tool reads."""
    truth: dict[str, Mask] = dict(np.load(folder / _TRUTH))
    for output_type in ("mask", "polygon"):
        root = folder / output_type
        for tool, what, masks in (
            ("labelme", "labelme", _by_labelme(root / "labelme", truth)),
            ("supervision", "YOLO", _by_supervision(root / "yolo")),
            ("ultralytics", "YOLO", _by_ultralytics(root / "yolo")),
            ("datumaro", "CVAT", _by_datumaro(root, truth)),
        ):
            if importlib.util.find_spec(tool):
                _print_agreement(f"{output_type:8} {f'{tool}, {what}':18}", dict(masks), truth)
            else:
                print(f"{output_type:8} {tool} is not installed")


def read_back(folder: Path) -> None:
    """Print how well the masks agree that this package reads."""
    truth: dict[str, Mask] = dict(np.load(folder / _TRUTH))
    for output_type in ("mask", "polygon"):
        for name, place in (("labelme", "labelme"), ("yolo", "yolo"), ("cvat", "annotations.xml")):
            masks = _by_this_package(folder / output_type / place)
            _print_agreement(f"{output_type:8} {name:18}", dict(masks), truth)


def _print_agreement(title: str, found: dict[str, Mask], truth: dict[str, Mask]) -> None:
    assert set(found) == set(truth), title
    ious = [float((found[key] & mask).sum() / (found[key] | mask).sum()) for key, mask in truth.items()]
    print(f"{title} {len(ious)} objects, IoU from {min(ious):.3f}, median {np.median(ious):.4f}")


def _by_this_package(path: Path) -> Iterator[tuple[str, Mask]]:
    from sam2_adapter.formats.load import ALL_SPLITS, load_dataset

    for sample in load_dataset(path, validation_share=0).samples(ALL_SPLITS):
        yield from ((f"{Path(sample.name).name}|{index}", entry.mask) for index, entry in enumerate(sample.objects))


def _by_labelme(folder: Path, truth: dict[str, Mask]) -> Iterator[tuple[str, Mask]]:
    from labelme import utils
    from labelme._label_file import read_label_file

    for path in sorted(folder.glob("*.json")):
        hw = truth[f"{path.stem}.jpg|0"].shape
        groups: dict[object, Mask] = {}
        for index, shape in enumerate(read_label_file(str(path)).shapes):
            if shape["shape_type"] == "mask":
                (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
                mask = np.zeros(hw, np.bool_)
                mask[y0 : y1 + 1, x0 : x1 + 1] = shape["mask"]
            else:
                mask = utils.shape_to_mask(hw, shape["points"], shape["shape_type"])
            key = f"alone {index}" if shape["group_id"] is None else shape["group_id"]
            groups[key] = groups.get(key, np.zeros(hw, np.bool_)) | mask
        yield from ((f"{path.stem}.jpg|{index}", mask) for index, mask in enumerate(groups.values()))


def _by_supervision(folder: Path) -> Iterator[tuple[str, Mask]]:
    import supervision

    data = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(folder / "labels"),
        data_yaml_path=str(folder / "data.yaml"),
        force_masks=True,
    )
    for path, _, found in data:
        yield from ((f"{Path(path).name}|{index}", mask) for index, mask in enumerate(found.mask))


def _by_ultralytics(folder: Path) -> Iterator[tuple[str, Mask]]:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset, polygon2mask

    data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    for found in YOLODataset(img_path=data["train"], data=data, task="segment", augment=False).labels:
        height, width = found["shape"]
        name = Path(found["im_file"]).name
        for index, outline in enumerate(found["segments"]):
            pixels = (outline * (width, height)).reshape(-1)
            yield f"{name}|{index}", polygon2mask((height, width), [pixels], color=1).astype(np.bool_)


def _by_datumaro(folder: Path, truth: dict[str, Mask]) -> Iterator[tuple[str, Mask]]:
    import datumaro
    import pycocotools.mask as coco_mask

    for item in datumaro.Dataset.import_from(str(folder), "cvat"):
        height, width = truth[f"{item.id}.jpg|0"].shape
        groups: dict[object, Mask] = {}
        for index, found in enumerate(item.annotations):
            if found.type == datumaro.AnnotationType.mask:
                mask = np.asarray(found.image, np.bool_)
            else:
                mask = coco_mask.decode(coco_mask.frPyObjects([list(found.points)], height, width)[0]).astype(np.bool_)
            key = found.group or f"alone {index}"
            groups[key] = groups.get(key, np.zeros((height, width), np.bool_)) | mask
        yield from ((f"{item.id}.jpg|{index}", mask) for index, mask in enumerate(groups.values()))


def main() -> None:
    """Write, or read in one of the two ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("write", "read-back", "read"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("label_maps", type=Path, nargs="*")
    given = parser.parse_args()
    if given.command == "write":
        write(given.folder, given.label_maps)
    elif given.command == "read-back":
        read_back(given.folder)
    else:
        read(given.folder)


if __name__ == "__main__":
    sys.exit(main())
