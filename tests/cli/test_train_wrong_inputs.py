"""Wrong inputs of `train` and `evaluate`: each gives one clear message and an exit status, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_wrong_inputs import Wrong, check_message
from tests.command_line import run
from tests.disc_data import SPLITS, make_disc_data

TRAIN = ("train", "{dir}/data", "--output", "{dir}/run", "--model", "sam2_nano", "--precision", "fp32")
EVALUATE = ("evaluate", "{dir}/data", "--model", "sam2_nano", "--precision", "fp32")


def _train(*arguments: str) -> tuple[str, ...]:
    return (*TRAIN, *arguments)


def _evaluate(*arguments: str) -> tuple[str, ...]:
    return (*EVALUATE, *arguments)


def _write(name: str, text: str) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return prepare


def _without_masks(folder: Path) -> None:
    for path in (folder / "data" / "masks").iterdir():
        path.unlink()


def _coco_too(folder: Path) -> None:
    (folder / "data" / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')


def _one_image_twice(folder: Path) -> None:
    (folder / "data" / "split.json").write_text(json.dumps({**SPLITS, "test": ["a"]}))


def _broken_training_images(folder: Path) -> None:
    for name in SPLITS["train"]:
        path = folder / "data" / "images" / f"{name}.png"
        path.write_bytes(path.read_bytes()[:300])


WRONG = [
    # train: options and settings.
    Wrong("no data", ("train",), "Missing argument 'DATA'", 2),
    Wrong("no output", ("train", "{dir}/data"), "Missing option '--output'", 2),
    Wrong("unknown layout", _train("--data-format", "no-such"), "'no-such' is not one of", 2),
    Wrong("unknown preset", _train("--preset", "best"), "preset = 'best' is not allowed: expected 'mission' or", 2),
    Wrong("unknown setting", _train("--set", "epochs=3"), "unknown key 'epochs'. Did you mean 'num_epochs'?", 2),
    Wrong("no epochs", _train("--set", "num_epochs=0"), "num_epochs = 0 is not allowed", 2),
    Wrong("epochs of a fraction", _train("--set", "num_epochs=1.5"), "num_epochs = 1.5 is not allowed", 2),
    Wrong("unknown variant", _train("--set", "variants=original,up"), "variants = 'up' is not allowed", 2),
    Wrong("no kind of prompt", _train("--set", "prompt_box=0", "--set", "prompt_click=0"), "are all 0; at least one kind", 2),
    Wrong("directories in the name", _train("--set", "save_model_name=../a.torch"), "must be a plain file name", 2),
    Wrong("missing config of train", _train("--config", "{dir}/c.yaml"), "cannot read the configuration file", 2),
    Wrong("absent device of train", _train("--device", "cuda:7"), "device = 'cuda:7' is not available here", 2),
    Wrong("fp16 on a CPU in training", (*TRAIN[:-1], "fp16", "--device", "cpu"), "'fp16' needs a GPU", 2),
    # train: data.
    Wrong("missing data", ("train", "{dir}/none", *TRAIN[2:]), "none: there is no such folder"),
    Wrong("not a data set", ("train", "{dir}/data/images", *TRAIN[2:]), "images: not a known data set"),
    Wrong("two layouts", _train(), "name the one that is meant", 1, _coco_too),
    Wrong("another layout", _train("--data-format", "dataloop"), "not of the data format 'dataloop'"),
    Wrong("no masks", _train(), "nothing in this data set can be used. Left out:\n  count  what", 1, _without_masks),
    Wrong("all objects too small", _train("--set", "min_area_px=9000"), "mask is too small"),
    Wrong("an image in two splits", _train(), "the image 'a' is in 'train' and in 'test'", 1, _one_image_twice),
    Wrong("broken split file", _train(), "split.json", 1, _write("data/split.json", "{")),
    Wrong("only training images", _train("--set", "validation_share=0"), "no usable images in the split 'validation'", 1, _write("data/split.json", '{"train": ["a", "b"]}')),
    Wrong("only broken images", _train(), "no training image can be read", 1, _broken_training_images),
    # train: model and output.
    Wrong("unknown model to train", (*TRAIN[:5], "sam2_hiera_x"), "Unknown model configuration 'sam2_hiera_x'", 2),
    Wrong("missing model to train", (*TRAIN[:5], "{dir}/w.pt"), "w.pt"),
    Wrong("default weights missing for training", TRAIN[:4], "sam2_hiera_small.pt"),
    Wrong("output is a file", _train(), "run: this is a file", 2, _write("run", "")),
    Wrong("output is in use", _train(), "run: the folder is not empty, and what is in it (notes.txt) is not from an earlier run of `train`", 2, _write("run/notes.txt", "mine")),
    # evaluate.
    Wrong("no test split", _evaluate("--split", "test"), "(or all). Left out:\n  count  what", 1, lambda d: (d / "data/split.json").unlink(missing_ok=True)),
    Wrong("nothing to evaluate", ("evaluate",), "Missing argument 'DATA'", 2),
    Wrong("unknown prompt", _evaluate("--prompt", "scribble"), "'scribble' is not one of", 2),
    Wrong("missing data to evaluate", ("evaluate", "{dir}/none", *EVALUATE[2:]), "none: there is no such folder"),
    Wrong("unknown split", _evaluate("--split", "tset"), "'tset' is not one of 'train', 'validation', 'test', 'all'", 2),
    Wrong("unknown model to compare with", _evaluate("--compare-with", "sam2_hiera_x"), "Unknown model configuration", 2),
    Wrong("evaluation into a file", _evaluate("--prompt", "box", "--output", "{dir}/out"), "out", 2, _write("out", "")),
    Wrong("all objects too small to evaluate", _evaluate("--set", "min_area_px=9000"), "mask is too small"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_one_clear_message(wrong: Wrong, tmp_path: Path) -> None:
    make_disc_data(tmp_path / "data")
    if wrong.prepare is not None:
        wrong.prepare(tmp_path)
    done = run(*(argument.replace("{dir}", str(tmp_path)) for argument in wrong.arguments))
    check_message(done, wrong.status, wrong.text)


def test_names_are_different() -> None:
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)
