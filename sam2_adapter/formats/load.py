"""`load_dataset`: a folder of any known layout to samples, with an account of everything that was left out."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from sam2_adapter.arguments import named_text, path_of, truth_value, whole_number
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.formats.dataset_reader import USUAL_SPLITS, WHOLE, ReadingOptions, Samples, child
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.other_layouts import advice_on
from sam2_adapter.formats.registry import data_formats, load_format
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.splits import apply_split_file, check_disjoint, split_by_folders, split_off_validation
from sam2_adapter.images.find import passed_over_below
from sam2_adapter.ownership import results_in
from sam2_adapter.text import plural, unknown_name

__all__ = ["DataFormat", "Dataset", "LeftOut", "Reason", "Sample", "find_format", "load_dataset"]

logger = logging.getLogger(__name__)

# One of the names of `data_formats`.
DataFormat = str

ALL_SPLITS = "all"

_NO_SPLIT = "not called like a split (train, validation, test), read as one data set"

# Names of a folder's content in a message.
_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Dataset:
    """The samples of a data set by split.

    Attributes:
        splits: `train`, `validation`, `test` or other names to samples, sorted by name; no split is empty.
        left_out: what was not used, and why.
        data_format: the layout that was read.
        notes: sentences to show the user, such as how a validation split was made.
        labels: those that the data set lists, in the order of their numbers, whether objects have them or not; none where it lists none.
    """

    splits: dict[str, tuple[Sample, ...]]
    left_out: LeftOut
    data_format: DataFormat
    notes: tuple[str, ...] = field(default=())
    labels: tuple[str, ...] = field(default=())

    def samples(self, split: str) -> tuple[Sample, ...]:
        """The samples of one split; `all` for those of all splits.

        Raises:
            DataError: there is no such split, or nothing is left of it.
        """
        if split == ALL_SPLITS and ALL_SPLITS not in self.splits:
            return tuple(sample for samples in self.splits.values() for sample in samples)
        if split not in self.splits:
            raise DataError(
                f"The data set has no usable images in the split {split!r}; it has {', '.join(self.splits)} (or all). "
                f"{self.left_out.account}"
            )
        return self.splits[split]

    @property
    def label_counts(self) -> dict[str, int]:
        """Number of objects of each label in all splits, most frequent first."""
        labels = Counter(annotation.label for sample in self.samples(ALL_SPLITS) for annotation in sample.objects)
        return dict(labels.most_common())


def load_dataset(
    path: str | Path,
    data_format: DataFormat | None = None,
    *,
    min_area_px: int = 16,
    validation_share: float = 0.2,
    seed: int = 0,
    include_model_annotations: bool = False,
    include_crowds: bool = False,
    ignore_label: int | None = None,
    split_parts: bool = False,
    default_label: str = "object",
) -> Dataset:
    """Read a data set; images are only looked at, their pixels are read when they are needed.

    Args:
        path: the folder, or a file of COCO, CVAT, labelme or YOLO (its YAML file).
        data_format: its layout; found automatically when left out.
        min_area_px: objects with fewer pixels of the original image are left out.
        validation_share: share of the training images that become the validation split where none was given; 0 makes none.
        seed: of that choice.
        include_model_annotations: also take objects that a model made (Dataloop exports).
        include_crowds: also take objects marked as crowds (COCO), as some tools mark every brush mask.
        ignore_label: number in label maps of pixels that do not count, such as 255 for a void border.
        split_parts: turn every separate part of a mask into an object.
        default_label: label of objects that have none.

    Raises:
        DataError: no such folder or layout, a malformed file, an image in two splits, or nothing usable.
        ConfigError: an option is out of range.
    """
    started = time.perf_counter()
    root = path_of(path, "A data set", "a folder, or of a file that describes it", DataError)
    if not isinstance(validation_share, int | float) or not 0 <= validation_share < 1:
        raise ConfigError(f"validation_share is at least 0 and below 1, but got {validation_share!r}.")
    whole_number(min_area_px, "min_area_px", 0)
    whole_number(seed, "seed", 0)
    if ignore_label is not None:
        whole_number(ignore_label, "ignore_label", 0)
    truth_value(include_model_annotations, "include_model_annotations")
    truth_value(include_crowds, "include_crowds")
    truth_value(split_parts, "split_parts")
    named_text(default_label, "default_label")
    found_format = _checked_format(_existing(root), data_format) if data_format is not None else find_format(root)
    left_out = LeftOut()
    labels: list[str] = []
    options = ReadingOptions(
        min_area_px,
        include_model_annotations,
        include_crowds,
        ignore_label,
        split_parts,
        default_label,
        tell_labels=labels.extend,
    )
    read = _without_other_splits(_read(found_format, root, options, left_out), left_out)
    if set(read) == {WHOLE}:
        read = _distributed(read[WHOLE], root, left_out)
    splits = _named_splits(read)
    remarks = (*left_out.remarks, *_unread_images(root, left_out))
    if not splits:
        lines = "".join(f"\n  {remark}" for remark in remarks)
        raise DataError(f"{path}: nothing in this data set can be used. {left_out.account}{lines}")
    check_disjoint(splits)
    notes = (*remarks, *_ensure_validation(splits, validation_share, seed))
    parts = (f"{split} {plural(len(samples), 'image')}" for split, samples in splits.items())
    logger.info("%s: read as %s in %.1f s: %s", path, found_format, time.perf_counter() - started, ", ".join(parts))
    for note in notes:
        logger.info("%s: %s", path, note)
    found = {split: tuple(samples) for split, samples in splits.items()}
    return Dataset(found, left_out, found_format, notes, tuple(dict.fromkeys(labels)))


def load_configured_dataset(path: str | Path, config: Config, data_format: DataFormat | None = None) -> Dataset:
    """Read a data set with the settings that training and evaluation share, so that both make the same splits.

    Args:
        path: as in `load_dataset`.
        config: all settings.
        data_format: as in `load_dataset`.

    Raises:
        DataError: as in `load_dataset`.
    """
    return load_dataset(
        path,
        data_format,
        min_area_px=config.min_area_px,
        validation_share=config.validation_share,
        seed=config.seed,
        include_model_annotations=config.include_model_annotations,
        include_crowds=config.include_crowds,
        ignore_label=config.ignore_label,
        split_parts=config.split_parts,
        default_label=config.default_label,
    )


def find_format(root: Path) -> DataFormat:
    """Find the layout of a data set from what lies there.

    Raises:
        DataError: none or several fit; the text says what is expected.
    """
    found = [name for name in data_formats() if _recognises(name, _existing(root))]
    if len(found) > 1:  # what `predict` has written there gives way
        own_results = results_in(root)
        found = [name for name in found if data_formats()[name].results not in own_results]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{root}: looks like {' and like '.join(found)}; name the one that is meant with the data format."
        )
    advice = advice_on(root, lambda folder: any(_recognises(name, folder) for name in data_formats()))
    raise DataError(
        f"{root}: not a known data set. {advice}{' ' if advice else ''}Expected {' or '.join(entry.layout for entry in data_formats().values())}; found {_content(root)}. "
        "Where a COCO file has another name or place, give the path of the file."
    )


def _unread_images(root: Path, left_out: LeftOut) -> tuple[str, ...]:
    """Where annotated images are not here: the pictures of other kinds that are, one sentence per kind."""
    if not root.is_dir() or not left_out.count(Reason.NO_IMAGE):
        return ()
    return tuple(f"Passed over: {entry}." for entry in passed_over_below(root))


def _without_other_splits(read: Samples, left_out: LeftOut) -> Samples:
    """One data set of all images where no folder is called like a split: training would find nothing to train on."""
    if not read or WHOLE in read or read.keys() & USUAL_SPLITS:
        return read
    names = Counter(sample.name for samples in read.values() for sample in samples)
    merged: list[Sample] = []
    for folder, samples in read.items():
        left_out.remark("folder", _NO_SPLIT, folder)
        merged += [
            sample if names[sample.name] == 1 else replace(sample, name=f"{folder}/{sample.name}") for sample in samples
        ]
    return {WHOLE: merged}


def _distributed(samples: list[Sample], root: Path, left_out: LeftOut) -> Samples:
    """The splits that `split.json` names, or else those that the folders of the images are called after."""
    split_file = child(root if root.is_dir() else root.parent, "split.json")
    if split_file is not None and split_file.is_file():
        return apply_split_file(samples, split_file, left_out)
    return split_by_folders(samples) or {WHOLE: samples}


def _existing(root: Path) -> Path:
    if not os.path.exists(root):  # also where the name is too long for one
        raise DataError(f"{root}: there is no such folder. Check the path.")
    return root


def _checked_format(root: Path, data_format: DataFormat) -> DataFormat:
    """The named layout, where the data set has it."""
    known, name = data_formats(), str(data_format)  # the command line gives a member of its own list of choices
    if name not in known:
        raise ConfigError(unknown_name("data format", name, known))
    if not _recognises(name, root):
        raise DataError(
            f"{root}: not of the data format {name!r}. Expected {known[name].layout}; found {_content(root)}. "
            "Name another data format, or none to have it found."
        )
    return name


def _recognises(name: str, root: Path) -> bool:
    recognise = load_format(data_formats()[name]).recognise
    return recognise is not None and recognise(root)


def _read(name: str, root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    read_dataset = load_format(data_formats()[name]).read_dataset
    assert read_dataset is not None  # the table says that it is read
    return read_dataset(root, options, left_out)


def _content(root: Path) -> str:
    """The first names in a folder, for messages."""
    if not root.is_dir():
        return "a file"
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in root.iterdir())
    return f"{', '.join(names[:_NAMES_SHOWN])}{', ...' if len(names) > _NAMES_SHOWN else ''}" if names else "nothing"


def _named_splits(read: Samples) -> dict[str, list[Sample]]:
    """Splits with something in them, sorted by name; a data set without splits is for training."""
    named: dict[str, list[Sample]] = {}
    for split, samples in read.items():
        named.setdefault(split or "train", []).extend(samples)
    return {split: sorted(samples, key=lambda sample: sample.name) for split, samples in named.items() if samples}


def _ensure_validation(splits: dict[str, list[Sample]], fraction: float, seed: int) -> tuple[str, ...]:
    if "validation" in splits or "train" not in splits or not fraction:
        return ()
    splits["train"], splits["validation"], note = split_off_validation(splits["train"], fraction, seed)
    return (note,)
