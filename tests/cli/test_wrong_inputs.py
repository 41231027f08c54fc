"""Wrong inputs: each gives one clear message and an exit status, and never a traceback."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.main import get_command

import sam2_adapter
from sam2_adapter import cli
from tests.command_line import Run, run, run_process
from tests.conftest import disk_photo

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"
MODEL = ("--model", "sam2_nano", "--precision", "fp32", "--no-overlay", "--output", "{dir}/out")


@dataclass(frozen=True)
class Wrong:
    """A command line, with `{dir}` for the folder of files, and what it must answer."""

    name: str
    arguments: tuple[str, ...]
    text: str
    status: int = 1
    prepare: Callable[[Path], object] | None = None


def _write(name: str, content: bytes | str) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _prompts(entries: object, name: str = "a.png") -> Callable[[Path], object]:
    return _write("p.json", json.dumps({"images": {name: entries}}))


def _predict(*arguments: str) -> tuple[str, ...]:
    return ("predict", "{dir}/a.png", *MODEL, *arguments)


def _with_prompts() -> tuple[str, ...]:
    return _predict("--prompts", "{dir}/p.json")


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def _nano_without(folder: Path) -> None:
    tensors = load_file(NANO)
    del tensors[max(tensors)]
    save_file(tensors, folder / "w.safetensors")


def _nano_with_an_extra(folder: Path) -> None:
    save_file({**load_file(NANO), "surprise": torch.zeros(1)}, folder / "w.safetensors")


def _nano_misshapen(folder: Path) -> None:
    tensors = load_file(NANO)
    name = next(name for name in tensors if name.endswith("iou_token.weight"))
    save_file({**tensors, name: torch.zeros(1, 7)}, folder / "w.safetensors")


def _nano_with_nan(folder: Path) -> None:
    tensors = load_file(NANO)
    name = next(name for name in tensors if name.endswith("iou_token.weight"))
    save_file({**tensors, name: torch.full_like(tensors[name], float("nan"))}, folder / "w.safetensors")


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def _read_only(folder: Path) -> None:
    (folder / "out").write_text("a file where the folder should be")


def _mask_of_another_size(folder: Path) -> None:
    Image.new("L", (10, 10), 255).save(folder / "m.png")
    _prompts([{"mask": "m.png"}])(folder)


def _empty_mask(folder: Path) -> None:
    Image.new("L", (160, 120), 0).save(folder / "m.png")
    _prompts([{"mask": "m.png"}])(folder)


def _logits_under_another_key(folder: Path) -> None:
    np.savez(folder / "m.npz", logits=np.zeros((64, 64), np.float32))
    _prompts([{"mask": "m.npz"}])(folder)


WRONG = [
    # Options.
    Wrong("no image", ("predict",), "Missing argument", 2),
    Wrong("unknown command", ("pretict",), "No such command 'pretict'", 2),
    Wrong("misspelt option", ("predict", "{dir}/a.png", "--pont", "1,2"), "No such option", 2),
    Wrong("point of one number", _predict("--point", "12"), "--point 12: expected X,Y, 2 numbers", 2),
    Wrong("point of words", _predict("--point", "left,top"), "--point left,top: expected X,Y", 2),
    Wrong("point at infinity", _predict("--point", "inf,3"), "--point inf,3: 'points' must be finite numbers", 2),
    Wrong("box of three numbers", _predict("--box", "1,2,3"), "--box 1,2,3: expected X0,Y0,X1,Y1, 4 numbers", 2),
    Wrong("box inside out", _predict("--box", "50,50,10,10"), "Box (50, 50, 10, 10) is empty", 2),
    Wrong("points and a prompts file", (*_with_prompts(), "--point", "1,2"), "leave out --point and --box", 2),
    Wrong("unknown format", _predict("--format", "no-such"), "Unknown format 'no-such'. The choices are coco, ", 2),
    Wrong("misspelt format", _predict("--format", "coko"), "Unknown format 'coko'. Did you mean 'coco'? The choices are coco, ", 2),
    Wrong("misspelt device", _predict("--device", "cud"), "'mps'. Did you mean 'cuda'?", 2),
    Wrong("max-pixels of zero", _predict("--max-pixels", "0"), "'--max-pixels': expected at least 1, but got '0'.", 2),
    Wrong("max-pixels of words", _predict("--max-pixels", "a"), "'--max-pixels': expected a whole number, but got 'a'.", 2),
    Wrong("unknown engine", _predict("--engine", "foo"), "'--engine': 'foo' is not one of 'local', 'ray'.", 2),
    Wrong("engine in capitals", _predict("--engine", "RAY"), "'local', 'ray'. Did you mean 'ray'?", 2),
    Wrong("unknown layout of data", ("train", "{dir}", "--data-format", "foo"), "'--data-format': 'foo' is not one of 'dataloop',", 2),
    Wrong("misspelt layout of data", ("evaluate", "{dir}", "--data-format", "coc"), "Did you mean 'coco'?", 2),
    Wrong("unknown prompt", ("evaluate", "{dir}", "--prompt", "foo"), "'--prompt': 'foo' is not one of 'box', 'point',", 2),
    Wrong("unknown device", _predict("--device", "tpu"), "device = 'tpu' is not allowed", 2),
    Wrong("absent device", _predict("--device", "cuda:7"), "device = 'cuda:7' is not available here", 2),
    Wrong("unknown runtime", _predict("--runtime", "onnx"), "runtime = 'onnx' is not allowed", 2),
    Wrong("unknown precision", _predict("--precision", "int4"), "precision = 'int4' is not allowed", 2),
    Wrong("fp16 on a CPU", _predict("--device", "cpu", "--precision", "fp16"), "'fp16' needs a GPU", 2),
    Wrong("empty label", _predict("--label", ""), "The value of --label is empty", 2),
    # Settings.
    Wrong("--set without a value", _predict("--set", "patience"), "--set patience: expected KEY=VALUE", 2),
    Wrong("--set of an unknown key", _predict("--set", "pateince=3"), "Did you mean 'patience'?", 2),
    Wrong("--set out of range", _predict("--set", "learning_rate=-1"), "learning_rate = -1", 2),
    Wrong("--set of the wrong type", _predict("--set", "clip_to_box=maybe"), "clip_to_box = 'maybe' is not allowed", 2),
    Wrong("missing config", _predict("--config", "{dir}/c.yaml"), "cannot read the configuration file", 2),
    Wrong("config that is a list", _predict("--config", "{dir}/c.yaml"), "expected 'key: value'", 2, _write("c.yaml", "- a\n")),
    Wrong("config of broken YAML", _predict("--config", "{dir}/c.yaml"), "not a valid config", 2, _write("c.yaml", "a: [")),
    Wrong("config of broken JSON", _predict("--config", "{dir}/c.json"), "c.json: not a valid JSON file: it ends in line 1", 2, _write("c.json", "{")),
    Wrong(
        "unknown key in the config",
        _predict("--config", "{dir}/c.yaml"),
        "c.yaml: unknown key 'epochs'",
        2,
        _write("c.yaml", "epochs: 3\n"),
    ),
    # Images.
    Wrong("missing image", ("predict", "{dir}/none.png", *MODEL), "none.png: there is no such file or folder"),
    Wrong(
        "folder without images",
        ("predict", "{dir}/folder", *MODEL),
        "or name a picture, such as photos/street.jpg, or another folder.",
        1,
        lambda folder: (folder / "folder").mkdir(),
    ),
    Wrong("text called png", ("predict", "{dir}/t.png", *MODEL), "t.png: not an image", 1, _write("t.png", "hello")),
    Wrong("empty image", ("predict", "{dir}/e.jpg", *MODEL), "e.jpg: the file is empty", 1, _write("e.jpg", "")),
    Wrong(
        "cut off image",
        ("predict", "{dir}/cut.png", *MODEL),
        "cut.png: the image is broken",
        1,
        lambda folder: (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:900]),
    ),
    Wrong(
        "decompression bomb",
        ("predict", "{dir}/bomb.png", *MODEL),
        "bomb.png: the image has 60000x60000 = 3,600,000,000 pixels, but the limit is 100,000,000",
        1,
        _write("bomb.png", _png_header(60000, 60000)),
    ),
    Wrong("image over the limit", _predict("--max-pixels", "1000"), "19,200 pixels, but the limit is 1,000"),
    # Prompts.
    Wrong("point outside", _predict("--point", "500,10"), "Point (500, 10) lies outside the image"),
    Wrong("box outside", _predict("--box", "500,500,600,600"), "lies outside the image, which is 160x120 pixels"),
    Wrong("missing prompts file", _with_prompts(), "p.json: cannot read the file"),
    Wrong("prompts file of broken JSON", _with_prompts(), "p.json: not a valid JSON file", 1, _write("p.json", "{")),
    Wrong("prompts file that is a list", _with_prompts(), "p.json: expected", 1, _write("p.json", "[]")),
    Wrong("no listed image given", _with_prompts(), "none of the images", 1, _prompts([], "b.png")),
    Wrong("prompts of an image no list", _with_prompts(), "The prompts of an image are a list", 1, _prompts({"box": [1, 2, 3, 4]})),
    Wrong("unknown key in a prompt", _with_prompts(), "Unknown key of a prompt 'bbox'", 1, _prompts([{"bbox": [1, 2, 3, 4]}])),
    Wrong("empty prompt", _with_prompts(), "needs at least one of 'box', 'points' and 'mask'", 1, _prompts([{}])),
    Wrong("box of text", _with_prompts(), "'box' holds numbers only", 1, _prompts([{"box": ["a", 1, 2, 3]}])),
    Wrong(
        "labels without points", _with_prompts(), "this prompt has no 'points'", 1, _prompts([{"box": [1, 2, 9, 9], "labels": [1]}])
    ),
    Wrong(
        "label too many",
        _with_prompts(),
        "'labels' needs one value for each of the 1 points",
        1,
        _prompts([{"points": [[5, 5]], "labels": [1, 0]}]),
    ),
    Wrong("label of 2", _with_prompts(), "(foreground) or 0 (background)", 1, _prompts([{"points": [[5, 5]], "labels": [2]}])),
    Wrong("background only", _with_prompts(), "All points of this prompt are background", 1, _prompts([{"points": [[5, 5]], "labels": [0]}])),
    Wrong("angle without box", _with_prompts(), "turns a box", 1, _prompts([{"points": [[5, 5]], "angle": 30}])),
    Wrong("label that is a number", _with_prompts(), "'label' is a text", 1, _prompts([{"points": [[5, 5]], "label": 3}])),
    Wrong("missing mask", _with_prompts(), "m.png", 1, _prompts([{"mask": "m.png"}])),
    Wrong("mask from elsewhere", _with_prompts(), "lies outside the folder", 1, _prompts([{"mask": "../m.png"}])),
    Wrong("mask of another size", _with_prompts(), "mask 'm.png': the size is 10x10 pixels", 1, _mask_of_another_size),
    Wrong("empty mask", _with_prompts(), "The mask of the prompt is empty", 1, _empty_mask),
    Wrong("logits under another key", _with_prompts(), "needs an array 'low_res_logits'", 1, _logits_under_another_key),
    # Output.
    Wrong("output is a file", _predict(), "out", 2, _read_only),
    # Models and checkpoints.
    Wrong("unknown model", ("predict", "{dir}/a.png", "--model", "sam2_hiera_x"), "Unknown model configuration 'sam2_hiera_x'", 2),
    Wrong("missing weights file", ("predict", "{dir}/a.png", "--model", "{dir}/w.pt"), "w.pt"),
    Wrong("default weights missing", ("predict", "{dir}/a.png"), "sam2_hiera_small.pt"),
    Wrong("text as weights", ("predict", "{dir}/a.png", "--model", "{dir}/w.pt"), "w.pt", 1, _write("w.pt", "hello")),
    Wrong("text as safetensors", ("predict", "{dir}/a.png", "--model", "{dir}/w.safetensors"), "w.safetensors", 1, _write("w.safetensors", "hello")),
    Wrong("pickle that runs code", ("predict", "{dir}/a.png", "--model", "{dir}/w.pt"), "w.pt", 1, lambda d: torch.save({"model": _Evil()}, d / "w.pt")),
    Wrong("bare pickle", ("predict", "{dir}/a.png", "--model", "{dir}/w.pt"), "w.pt", 1, _write("w.pt", pickle.dumps(_Evil(), protocol=2))),
    Wrong("weights of something else", ("predict", "{dir}/a.png", "--model", "{dir}/w.pt"), "holds no SAM2 model", 1, lambda d: torch.save({"fc.weight": torch.zeros(2, 2)}, d / "w.pt")),
    Wrong("missing tensor", ("predict", "{dir}/a.png", "--model", "{dir}/w.safetensors"), "missing", 1, _nano_without),
    Wrong("unexpected tensor", ("predict", "{dir}/a.png", "--model", "{dir}/w.safetensors"), "surprise", 1, _nano_with_an_extra),
    Wrong("misshapen tensor", ("predict", "{dir}/a.png", "--model", "{dir}/w.safetensors"), "iou_token.weight", 1, _nano_misshapen),
    Wrong("weights that are not finite", ("predict", "{dir}/a.png", "--model", "{dir}/w.safetensors"), "iou_token.weight", 1, _nano_with_nan),
    Wrong("directory without a model", ("predict", "{dir}/a.png", "--model", "{dir}"), "{dir}"),
    Wrong("convert from nowhere", ("convert", "{dir}/w.pt", "{dir}/x.pt"), "w.pt"),
    Wrong("convert to an unknown layout", ("convert", str(NANO), "{dir}/x.pt", "--to", "onnx"), "'onnx' is not one of", 2),
    Wrong("nano for ultralytics", ("convert", str(NANO), "{dir}/x.pt", "--for", "ultralytics"), "ultralytics knows no model sam2_nano"),
    Wrong(
        "transformers for ultralytics",
        ("convert", str(NANO), "{dir}/x", "--to", "transformers", "--for", "ultralytics"),
        "ultralytics reads Meta's layout only",
    ),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    disk_photo().save(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_one_clear_message(wrong: Wrong, folder: Path) -> None:
    if wrong.prepare is not None:
        wrong.prepare(folder)
    done = run(*(argument.replace("{dir}", str(folder)) for argument in wrong.arguments))
    check_message(done, wrong.status, wrong.text.replace("{dir}", str(folder)))


def test_there_are_enough_of_them() -> None:
    assert len({wrong.name for wrong in WRONG}) == len(WRONG) >= 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("predict", "none.png"), 1, "none.png: there is no such file or folder"),
        (("predict", "none.png", "--point", "1"), 2, "expected X,Y"),
        (("convert", "none.pt", "x.pt"), 1, "none.pt"),
    ],
)
def test_in_a_process_of_its_own(arguments: tuple[str, ...], status: int, text: str, tmp_path: Path) -> None:
    check_message(run_process(*arguments, cwd=tmp_path), status, text)


def _options() -> Iterator[tuple[str, str]]:
    for name, command in get_command(cli.make_app()).commands.items():
        for option in command.params:
            if option.opts[0].startswith("--") and not option.is_flag:
                yield name, option.opts[0]


@pytest.mark.parametrize(("command", "option"), list(_options()))
def test_no_words_of_a_library_about_any_option(
    command: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("foo", "-1", "1.5", ""):
        done = run(command, option, value, "none", "none too", "and no more")
        assert done.status != 0
        assert not any(
            words in done.stderr for words in ("Value error", "Input should", "validation error", "pydantic")
        )


def test_with_json_the_error_is_a_document(folder: Path) -> None:
    done = run("predict", folder / "none.png", "--json")
    document = json.loads(done.stdout)
    assert document["exit_status"] == 1
    assert "none.png: there is no such file or folder" in document["error"]


def test_a_failure_half_way_leaves_one_json_document(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sam2_adapter.ExportError("the disk is full")

    monkeypatch.setattr("sam2_adapter.formats.coco.writer.write_file", fail)
    arguments = (argument.replace("{dir}", str(folder)) for argument in _predict("--json"))
    done = run(*arguments)
    assert done.status == 1
    assert json.loads(done.stdout)["error"] == "the disk is full"
    assert "error: the disk is full" in done.stderr


def test_debug_lets_the_traceback_through(folder: Path) -> None:
    with pytest.raises(sam2_adapter.ImageError):
        run("predict", folder / "none.png", "--debug")


def check_message(done: Run, status: int, text: str) -> None:
    """Exactly one error, with `text`, on stderr; nothing on stdout."""
    assert text in done.stderr
    assert done.status == status
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr.partition("error: ")[2].split(" ")[0]
    assert "executed" not in done.stdout
    messages = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(messages) == 1, done.stderr
    assert done.stdout == ""
