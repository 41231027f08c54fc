"""What `train` shows while it works: a table on a terminal, dated lines in a log."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sam2_adapter.cli.train_progress import TerminalProgress, TrainProgress, make_progress
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.training.events import DataRead, EncodingImages, EpochEnded
from sam2_adapter.training.records import EpochRecord
from tests.disc_data import make_disc_data

RECORD = EpochRecord(
    epoch=0, loss=None, loss_pixels=None, loss_dice=None, loss_iou_score=None, loss_object_score=None, miou_box=0.5,
    miou_click=0.25, miou_clicks=0.75, miou_20_clicks=0.625, boundary_f=0.5, score_error=0.1, score=0.5, is_best=True, learning_rate=None,
    gradient_norm=None, skipped_steps=0, micro_batch=8, training_seconds=0.0, evaluation_seconds=2.0, memory_mib=100.0,
    device_memory_mib=0.0, iou_by_click=(0.25, *(0.75,) * 18, 0.625),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disc_data(tmp_path_factory.mktemp("discs") / "data")


def test_on_a_terminal_a_table_grows(data: Path) -> None:
    screen = io.StringIO()
    with TerminalProgress(10, Console(file=screen, force_terminal=True, width=100)) as progress:
        progress.show_data(load_dataset(data))
        progress.advance("encoding images", 3, 5)
        progress.end_epoch(RECORD)
        progress.advance("epoch 1 of 10", 1, 2)
        progress.end_epoch(replace(RECORD, epoch=1, loss=0.125, training_seconds=60.0, is_best=False))
    text = screen.getvalue()
    assert "train: 3 images, 6 objects" in text
    assert "epoch 1 of 10" in text
    assert "1/2" in text
    assert "1/10" in text
    assert "  epoch     loss   boxes   1 click  5 clicks  20 clicks  mean IoU  seconds" in text
    assert "      0        -  0.5000    0.2500    0.7500     0.6250    0.5000      2.0  best" in text
    assert "      1   0.1250  0.5000    0.2500    0.7500     0.6250    0.5000     62.0\n" in text
    assert text.count("mean IoU") == 1


@pytest.mark.parametrize(("epoch", "left"), [(1, "at most 3 h 05 min left"), (9, "at most 20 min 37 s left")])
def test_the_time_left_is_told(capsys: pytest.CaptureFixture[str], epoch: int, left: str) -> None:
    TrainProgress(10).end_epoch(replace(RECORD, epoch=epoch, training_seconds=1235.0))
    assert capsys.readouterr().err.endswith(f"{left}\n")


def test_parts_of_an_epoch_are_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(np.arange(0.0, 1000.0, 10.0))
    monkeypatch.setattr("sam2_adapter.cli.train_progress.time.monotonic", lambda: next(clock))
    progress = TrainProgress(10)
    for done in range(1, 6):
        progress.advance("measuring", done, 5)
    assert [line[20:] for line in capsys.readouterr().err.splitlines()] == ["measuring: 3/5, 20 s left"]


def test_events_of_a_run_are_lines_of_a_log(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = make_progress(2)
    assert type(progress) is TrainProgress
    dataset = replace(load_dataset(data), notes=("a note.",))
    for event in (DataRead(dataset), EncodingImages(1, 2), EpochEnded(RECORD)):
        progress.show(event)
    assert progress.data is dataset
    lines = [line[20:] for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == "train: 3 images, 6 objects"
    assert "a note." in lines
    assert lines[-1] == (
        "epoch 0, loss -, boxes 0.5000, 1 click 0.2500, 5 clicks 0.7500, 20 clicks 0.6250, mean IoU 0.5000, seconds 2.0 (best)"
    )
