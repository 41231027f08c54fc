"""`train` and `evaluate` as users call them: from a folder of masks to a tuned model, its figures, and predictions."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sam2_adapter.formats.load import load_dataset
from sam2_adapter.models.load import load_model
from sam2_adapter.training.run_state import checkpoint_paths
from tests.command_line import Run, run
from tests.disc_data import make_disc_data
from tests.processes import Command, start
from tests.training.small_run import click_curve

# Nearly every test fine-tunes a model, or looks at one that was fine-tuned in a process of its own.
pytestmark = pytest.mark.slow

FAST = (
    "--model",
    "sam2_nano",
    "--precision",
    "fp32",
    "--device",
    "cpu",
    "--set",
    "correction_rounds=1",
    "--set",
    "general_set=none",
)
QUICK = (*FAST, "--set", "num_epochs=2", "--set", "batch_size=3", "--set", "learning_rate=1e-4")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    """Tiny batches gain nothing from threads, and lose much on a busy machine."""
    before = os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before[1])
    os.environ.pop("OMP_NUM_THREADS")
    if before[0] is not None:
        os.environ["OMP_NUM_THREADS"] = before[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disc_data(tmp_path_factory.mktemp("discs") / "data")


@pytest.fixture(scope="module", autouse=True)
def _short_click_curve() -> Iterator[None]:
    """Twenty clicks take half of the time of these runs."""
    with click_curve():
        yield


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A finished run of two epochs in a process of its own."""
    output = tmp_path_factory.mktemp("runs") / "run"
    return output, start("train", data, "--output", output, *QUICK, "--json", short_click_curve=True).end()


def test_the_result_is_one_document(done: tuple[Path, Run]) -> None:
    output, finished = done
    assert finished.status == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert document["data"]["splits"] == {
        "train": {"images": 3, "objects": 6},
        "validation": {"images": 2, "objects": 4},
        "test": {"images": 2, "objects": 4},
    }
    assert document["left_out"] == [
        {"kind": "object", "reason": "mask is too small", "count": 1, "examples": ["a.png: object 3 (4 px)"]}
    ]
    assert (document["epochs"], document["stopped"]) == (2, "all epochs done")
    assert document["gained"] is (document["best_epoch"] > 0)
    assert document["best"]["score"] - document["before"]["score"] == pytest.approx(document["gain"])
    assert document["before"]["miou_box"] > 0.9
    assert document["files"] == {
        "model": str(output / "best_sam2_model.torch"),
        "report": str(output / "report.html"),
        "metrics": str(output / "metrics.json"),
    }
    assert document["predict"] == f"sam2-adapter predict IMAGES --model {output / 'best_sam2_model.torch'}"
    assert load_model(document["files"]["model"]).weights_sha256 == document["weights_sha256"]


def test_what_goes_on_is_told_in_dated_lines(done: tuple[Path, Run]) -> None:
    _, finished = done
    lines = finished.stderr.splitlines()
    assert lines[0][:2] == "20"
    assert lines[0][19:] == " train: 3 images, 6 objects"
    assert "      1  object  mask is too small  a.png: object 3 (4 px)" in lines
    epochs = [line for line in lines if " epoch " in line[:27]]
    assert [line[20:27] for line in epochs] == ["epoch 0", "epoch 1", "epoch 2"]
    assert "left" in epochs[1]
    assert "left" not in epochs[2]


def test_the_metrics_hold_the_settings_and_all_epochs(done: tuple[Path, Run]) -> None:
    output, finished = done
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["configuration"]["learning_rate"] == 1e-4
    assert metrics["configuration"]["correction_rounds"] == 1
    assert [record["epoch"] for record in metrics["epochs"]] == [0, 1, 2]
    assert metrics["epochs"][0] == json.loads(finished.stdout)["before"]


def test_the_tuned_file_predicts(done: tuple[Path, Run], data: Path, tmp_path: Path) -> None:
    output, finished = done
    (sample,) = [sample for sample in load_dataset(data).samples("test") if sample.name == "f.png"]
    truth = sample.objects[0]
    box = ",".join(str(side) for side in truth.box_xyxy)
    arguments = ("--model", output / "best_sam2_model.torch", "--precision", "fp32", "--box", box, "--format", "masks")
    predicted = run("predict", sample.image_path, *arguments, "--no-overlay", "--output", tmp_path, "--json")
    document = json.loads(predicted.stdout)
    assert document["model"]["weights_sha256"] == json.loads(finished.stdout)["weights_sha256"]
    (found,) = document["images"][0]["objects"]
    assert found["area"] == pytest.approx(truth.area, rel=0.1)


def test_evaluate_measures_and_compares(done: tuple[Path, Run], data: Path, tmp_path: Path) -> None:
    output, finished = done
    arguments = ("--model", output / "best_sam2_model.torch", "--compare-with", "sam2_nano", "--precision", "fp32")
    prompts = ("--prompt", "box", "--prompt", "point", "--prompt", "zero-shot")
    measured = run("evaluate", data, "--split", "validation", *arguments, *prompts, "--output", tmp_path, "--json")
    assert measured.status == 0
    report = json.loads(measured.stdout)
    assert report == json.loads((tmp_path / "evaluation.json").read_text())
    assert set(report["evaluations"]) == {"box", "point", "zero_shot"}
    summary, before = (report[key]["box"]["summary"] for key in ("evaluations", "compared_with"))
    assert summary["num_objects"] == before["num_objects"] == 4
    # The same images, boxes and clipping as the run's own measurement, from embeddings that were not rounded to fp16.
    document = json.loads(finished.stdout)
    assert summary["miou"] == pytest.approx(document["best"]["miou_box"], abs=0.003)
    assert before["miou"] == pytest.approx(document["before"]["miou_box"], abs=0.003)
    difference = report["comparisons"]["box"]["differences"]["miou"]
    assert difference["difference"] == pytest.approx(summary["miou"] - before["miou"])


def test_a_finished_run_is_resumed_to_the_same_result(done: tuple[Path, Run], data: Path) -> None:
    output, finished = done
    again = run("train", data, "--output", output, *QUICK, "--resume", "--json")
    assert again.status == 0
    first, second = json.loads(finished.stdout), json.loads(again.stdout)
    assert first["weights_sha256"] == second["weights_sha256"]
    assert first["best"] == second["best"]


def test_a_run_is_resumed_only_as_it_was(done: tuple[Path, Run], data: Path) -> None:
    output, _ = done
    refused = run("train", data, "--output", output, *QUICK, "--resume", "--set", "loss_dice=2")
    assert refused.status == 1
    assert "loss_dice = 2.0 instead of 1.0" in refused.stderr
    kept = run(
        "train", data, "--output", output, *QUICK, "--resume", "--set", "memory_mib=64", "--set", "micro_batch=2"
    )
    assert kept.status == 0


def test_no_gain_is_said_and_no_failure(data: Path, tmp_path: Path) -> None:
    done = run("train", data, "--output", tmp_path / "run", *QUICK, "--set", "learning_rate=1e-12")
    assert done.status == 0
    assert "Training gained nothing" in done.stdout
    assert f"model    {tmp_path / 'run' / 'best_sam2_model.torch'}\n" in done.stdout
    assert f"report   {tmp_path / 'run' / 'report.html'}\n" in done.stdout
    tuned = load_model(tmp_path / "run" / "best_sam2_model.torch")
    assert tuned.weights_sha256 == load_model("sam2_nano").weights_sha256


def test_a_split_that_was_made_is_announced(tmp_path: Path) -> None:
    data = make_disc_data(tmp_path / "data", with_splits=False)
    done = run("train", data, "--output", tmp_path / "run", *QUICK, "--set", "num_epochs=1", "--set", "seed=3")
    assert "No validation split was given: 1 of 7 images were chosen for it at random (seed 3)." in done.stderr


def test_a_tuned_model_keeps_its_resize(data: Path, tmp_path: Path) -> None:
    arguments = ("train", data, *FAST[2:], "--set", "num_epochs=1")
    run(*arguments, "--output", tmp_path / "a", "--model", "sam2_nano", "--set", "resize=pad")
    first = tmp_path / "a" / "best_sam2_model.torch"
    assert load_model(first).resize == "pad"
    run(*arguments, "--output", tmp_path / "b", "--model", first)
    assert load_model(tmp_path / "b" / "best_sam2_model.torch").resize == "pad"
    image = data / "images" / "a.png"
    predict = ("predict", image, "--model", first, "--no-overlay", "--output", tmp_path / "out", "--set")
    assert "resize = stretch has no effect here: this model was made for pad" in run(*predict, "resize=stretch").stderr
    assert "resize" not in run(*predict, "resize=pad").stderr


def _start(data: Path, output: Path, *arguments: str) -> tuple[Command, str]:
    """Start a run that lasts; returns it with the line about its first epoch after epoch 0."""
    settings = (*FAST, "--set", "num_epochs=100000", "--set", "patience=100000", *arguments)
    command = start("train", data, "--output", output, *settings, "--json", short_click_curve=True)
    for line in command.messages():
        if " epoch " in line[:27] and " epoch 0," not in line:
            return command, line
    raise AssertionError("the run ended by itself")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_in_good_order(data: Path, tmp_path: Path, number: int, status: int) -> None:
    command, _ = _start(data, tmp_path / "run")
    command.signal(number)
    done = command.end()
    assert done.status == status
    assert "give the same command with --resume to go on" in done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["stopped"] == "interrupted"
    assert load_model(document["files"]["model"]).weights_sha256 == document["weights_sha256"]
    (checkpoint,) = checkpoint_paths(tmp_path / "run" / "checkpoints")
    epoch = int(checkpoint.stem.removeprefix("epoch_"))
    assert document["epochs"] - epoch in (0, 1), "an epoch that was measured but not yet kept is trained again"
    command, line = _start(data, tmp_path / "run", "--resume")
    command.signal(signal.SIGKILL)
    command.end()
    assert f" epoch {epoch + 1}," in line


def test_an_interruption_before_the_first_epoch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("sam2_adapter.training.fine_tune.load_configured_dataset", interrupt)
    handler = signal.getsignal(signal.SIGTERM)
    done = run("train", data, "--output", tmp_path / "run", *QUICK, "--json")
    assert done.status == 143
    assert "with --resume" in done.stderr
    assert json.loads(done.stdout)["exit_status"] == 143
    assert signal.getsignal(signal.SIGTERM) is handler


def test_the_curves_go_to_tensorboard(data: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    arguments = ("train", data, "--output", tmp_path / "run", *QUICK, "--set", "tensorboard=true")
    assert run(*arguments).status == 0
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    epochs = json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"]
    for name, first in (("score", 0), ("loss", 1)):
        points = [(event.step, event.value) for event in events.Scalars(name)]
        assert points == [(record["epoch"], pytest.approx(record[name], rel=1e-5)) for record in epochs[first:]]


def test_tensorboard_that_is_not_installed_is_an_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sam2_adapter.training.records.find_spec", lambda name: None)
    refused = run("train", data, "--output", tmp_path / "run", *QUICK, "--set", "tensorboard=true")
    assert refused.status == 2
    assert "pip install 'sam2-adapter[tensorboard]'" in refused.stderr
