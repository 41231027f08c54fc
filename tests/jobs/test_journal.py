"""`predict --resume`: what is done is kept, whatever ended the run, and the files are those of a run without interruption."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import tracemalloc
from pathlib import Path

import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.config import Config
from sam2_adapter.errors import OutputExistsError
from sam2_adapter.jobs.local import predict_files
from sam2_adapter.jobs.predict_images import predict_images
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.ownership import JOURNAL_NAME
from tests.command_line import Run, run
from tests.conftest import disk_photo, save_photos
from tests.jobs.writing import OPTIONS, journaled_folder
from tests.processes import Command, start
from tests.small_model import small_predictor

# Every test predicts a folder at least twice.
pytestmark = pytest.mark.slow

FORMATS = ("--format", "coco,dataloop,masks,polygons,yolo")
SETTINGS = ("--model", "sam2_nano", "--precision", "fp32", "--runtime", "torch", "--box", "20,20,110,110", *FORMATS)
BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")
NUM_PHOTOS = 24
_NAMES = ("coco", "dataloop", "masks", "polygons", "yolo")
_CONFIG = Config(precision="fp32", runtime="torch", window="auto")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "photos"
    save_photos(folder, NUM_PHOTOS, shift=3)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "out"
    assert _predict(folder, output).status == 0
    return _results(output)


def _predict(folder: Path, output: Path, *more: str) -> Run:
    return run("predict", folder, *SETTINGS, "--output", output, *more)


def _results(output: Path) -> dict[str, bytes]:
    """Every file but the journal, whose lines come in the order of the work."""
    files = (path for path in output.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in files}


def _start(folder: Path, output: Path, *more: str) -> Command:
    return start("predict", folder, *SETTINGS, "--output", output, *more)


def _num_done(output: Path) -> int:
    journal = output / JOURNAL_NAME
    return max(journal.read_bytes().count(b"\n") - 1, 0) if journal.exists() else 0


def _wait_for(output: Path, count: int, command: Command) -> None:
    while _num_done(output) < count:
        assert command.is_running(), "the run ended by itself"
        time.sleep(0.002)


def _check_kill(folder: Path, output: Path, expected: dict[str, bytes], rng: random.Random) -> None:
    command = _start(folder, output)
    _wait_for(output, rng.randrange(0, NUM_PHOTOS - 6), command)
    time.sleep(rng.uniform(0, 0.05))
    command.signal(signal.SIGKILL)
    assert command.end().status == -signal.SIGKILL
    num_done = _num_done(output)
    resumed = _predict(folder, output, "--resume", "--json")
    assert resumed.status == 0, resumed.stderr
    statuses = [entry["status"] for entry in json.loads(resumed.stdout)["images"]]
    assert statuses == ["kept"] * num_done + ["ok"] * (NUM_PHOTOS - num_done)
    assert _results(output) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_goes_on(folder: Path, expected: dict[str, bytes], tmp_path: Path, seed: int) -> None:
    _check_kill(folder, tmp_path / "out", expected, random.Random(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3, 23))
def test_a_run_killed_at_many_moments_goes_on(
    folder: Path, expected: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    _check_kill(folder, tmp_path / "out", expected, random.Random(seed))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_in_good_order(
    folder: Path, expected: dict[str, bytes], tmp_path: Path, number: int, status: int
) -> None:
    output = tmp_path / "out"
    command = _start(folder, output, "--json")
    _wait_for(output, 2, command)
    command.signal(number)
    done = command.end()
    assert done.status == status
    assert "with --resume to go on" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"] == "interrupted"
    assert len(json.loads((output / "annotations.json").read_text())["images"]) == _num_done(output)
    assert _predict(folder, output, "--resume").status == 0
    assert _results(output) == expected


def test_ctrl_c_ends_a_search_for_everything(tmp_path: Path) -> None:
    photos, output, prompts = tmp_path / "photos", tmp_path / "out", tmp_path / "prompts.json"
    save_photos(photos, 2, shift=3)
    # The first picture takes one answer, the second one a search of seconds.
    prompts.write_text(json.dumps({"images": {"00.png": [{"box": [20, 20, 110, 110]}]}}))
    arguments = (
        "predict", photos, "--model", "sam2_nano", "--precision", "fp32", "--runtime", "torch", "--prompts", prompts,
        "--everything", "--format", "masks", "--set", "everything_mode=exact", "--set", "points_per_side=36", "--output", output, "--json",
    )  # fmt: skip
    command = start(*arguments)
    _wait_for(output, 1, command)
    time.sleep(0.3)
    mask = output / "masks" / "00.png"
    before = mask.read_bytes()
    command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 130
    assert "with --resume to go on" in done.stderr
    assert "Traceback" not in done.stderr
    assert _num_done(output) == 1
    assert [path.name for path in (output / "masks").glob("*.png")] == ["00.png"]
    resumed = run(*arguments, "--resume")
    assert resumed.status == 0, resumed.stderr
    first, second = json.loads(resumed.stdout)["images"]
    assert (first["status"], second["status"]) == ("kept", "ok")
    assert len(first["objects"]) == 1
    assert second["objects"]
    assert mask.read_bytes() == before


@pytest.fixture
def finished(folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of four photographs of its own, and its results."""
    own = tmp_path / "photos"
    own.mkdir()
    for index in range(4):
        shutil.copy2(folder / f"{index:02}.png", own)
    assert _predict(own, tmp_path / "out").status == 0
    return own, tmp_path / "out"


def _kept(done: Run) -> list[bool]:
    assert done.status == 0, done.stderr
    return [line.endswith(", kept from an earlier run") for line in done.stdout.splitlines()]


def test_what_is_done_is_not_written_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    before = {
        path: path.stat().st_mtime_ns
        for path in output.rglob("[!.]*.*")
        if path.name not in ("annotations.json", "data.yaml")
    }
    results = _results(output)
    assert _kept(_predict(own, output, "--resume")) == [True] * 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert _results(output) == results


def test_without_resume_the_results_are_left_alone(finished: tuple[Path, Path]) -> None:
    results = _results(finished[1])
    done = _predict(*finished)
    assert done.status == 2
    assert "--resume" in done.stderr
    assert "--overwrite" in done.stderr
    assert _results(finished[1]) == results
    assert _kept(_predict(*finished, "--overwrite")) == [False] * 4
    assert _results(finished[1]) == results


def test_a_torn_line_and_all_after_it_are_done_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    journal = output / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-20])
    done = _predict(own, output, "--resume")
    assert _kept(done) == [True, True, True, False]
    assert "line 5 is damaged" in done.stderr
    assert _results(output) == results
    assert _kept(_predict(own, output, "--resume")) == [True] * 4


def test_a_changed_image_is_done_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    shutil.copy(own / "02.png", own / "01.png")
    os.utime(own / "01.png", ns=(1, 1))
    assert _kept(_predict(own, output, "--resume")) == [True, False, True, True]
    fresh = output.with_name("fresh")
    _predict(own, fresh)
    assert _results(output) == _results(fresh)


def test_what_was_edited_by_hand_is_kept_whatever_is_done_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    edited = {
        "annotations": ".json",
        "masks/01": ".png",
        "masks/02": ".png",
        "json/01": ".json",
        "yolo/labels/02": ".txt",
    }
    for name, suffix in edited.items():
        (output / f"{name}{suffix}").write_bytes(b"by hand")
    os.utime(own / "01.png", ns=(1, 1))  # done again; the others are not
    done = _predict(own, output, "--resume")
    assert _kept(done) == [True, False, True, True]
    assert done.stderr.count("was edited after it had been written") == 4
    kept = {f"{name}.edited{suffix}": b"by hand" for name, suffix in edited.items() if name != "masks/02"}
    assert _results(output) == {**results, **kept, "masks/02.png": b"by hand"}


def test_a_file_that_is_edited_while_a_run_works_is_kept(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    with predict_images(own, model="sam2_nano", output=output, resume=True, config=_CONFIG, formats=_NAMES) as run_:
        (output / "annotations.json").write_text("by hand")
        assert [result.is_kept for result in run_] == [False] * 4  # without prompts
    assert (output / "annotations.edited.json").read_text() == "by hand"
    assert (
        json.loads((output / "annotations.json").read_text())["images"]
        == json.loads(results["annotations.json"])["images"]
    )


def test_changed_prompts_are_done_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    assert _kept(_predict(own, output, "--resume", "--box", "30,30,90,90")) == [False] * 4


def test_a_missing_result_is_made_again(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    (output / "overlays" / "01.jpg").unlink()
    assert _kept(_predict(own, output, "--resume")) == [True, False, True, True]
    assert _results(output) == results


def test_what_a_killed_run_left_half_written_is_removed(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    (output / "masks" / "01" / f".01_001.png.{'0af3' * 8}.part").write_bytes(b"half a mask")
    own_file = output / "masks" / ".mine.part"
    own_file.write_bytes(b"the user's")
    assert _kept(_predict(own, output, "--resume")) == [True] * 4
    assert own_file.read_bytes() == b"the user's"
    own_file.unlink()
    assert _results(output) == results


def test_a_folder_that_has_grown(finished: tuple[Path, Path], folder: Path) -> None:
    own, output = finished
    shutil.copy2(folder / "05.png", own / "00a.png")
    assert _kept(_predict(own, output, "--resume")) == [True, False, True, True, True]
    fresh = output.with_name("fresh")
    _predict(own, fresh)
    assert _results(output) == _results(fresh)


def test_a_failed_image_is_tried_again(finished: tuple[Path, Path], folder: Path) -> None:
    own, output = finished
    (own / "03.png").write_bytes(b"no image")
    assert _predict(own, output, "--resume").status == 1
    shutil.copy2(folder / "03.png", own / "03.png")
    assert _kept(_predict(own, output, "--resume"))[:3] == [True] * 3
    assert len(json.loads((output / "annotations.json").read_text())["images"]) == 4


def test_other_settings_are_refused_by_name(finished: tuple[Path, Path]) -> None:
    own, output = finished
    results = _results(output)
    done = _predict(own, output, "--resume", "--label", "cell", "--no-overlay")
    assert done.status == 2
    assert "default_label was 'object' and is now 'cell'" in done.stderr
    assert "overlay was True and is now False" in done.stderr
    assert "--overwrite instead of --resume" in done.stderr
    assert _results(output) == results


def test_memory_does_not_grow_with_the_images_that_are_done(tmp_path: Path) -> None:
    predictor = small_predictor()
    disk_photo().save(tmp_path / "a.png")
    prompts = (Prompt(box_xyxy=(40, 20, 120, 100), label="disk"),)
    peaks = {}
    for count in (12, 60):
        tasks = [ImageTask(tmp_path / "a.png", f"{index:04}.png", prompts) for index in range(count)]
        for resume in (False, True):
            tracemalloc.start()
            with journaled_folder(tmp_path / str(count), ["coco", "masks"], predictor.info, resume=resume) as (
                output,
                journal,
            ):
                kept = [r.is_kept for r in predict_files(predictor, iter(tasks), output, OPTIONS, journal)]
            peaks[count, resume] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert kept == [resume] * count
    # A photograph is 77 kB; which of three are in memory at once differs a little.
    assert peaks[60, False] < peaks[12, False] + 200_000
    assert peaks[60, True] < peaks[12, False] + 50_000


_GOOD = {
    "original_hw": [120, 160],
    "objects": [],
    "empty_prompts": [],
    "files": [],
    "files_like": "0001",
    "name": "0001.png",
}


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"[" * 100_000,
        b'{"name": "0001.png"}',
        json.dumps({**_GOOD, "original_hw": "large"}).encode(),
        json.dumps({**_GOOD, "objects": [{"counts": "zz"}]}).encode(),
        json.dumps({**_GOOD, "files": ["../../outside.png"]}).encode(),
        json.dumps({**_GOOD, "files": [7]}).encode(),
        json.dumps({**_GOOD, "files": None}).encode(),
        json.dumps({**_GOOD, "name": 7}).encode(),
        json.dumps({**_GOOD, "files_like": []}).encode(),
        json.dumps({**_GOOD, "empty_prompts": ["x"]}).encode(),
        json.dumps({**_GOOD, "refused_prompts": [1]}).encode(),
        b"\xff\xfe",
    ],
    ids=lambda line: line[:40],
)
def test_a_damaged_line_and_all_after_it_are_done_again(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = small_predictor()
    disk_photo().save(tmp_path / "a.png")
    tasks = [ImageTask(tmp_path / "a.png", f"{index:04}.png", (BOX,)) for index in range(3)]
    kept = []
    for resume in (False, True):
        with journaled_folder(tmp_path / "out", ["coco"], predictor.info, resume=resume) as (output, journal):
            kept.append([result.is_kept for result in predict_files(predictor, tasks, output, OPTIONS, journal)])
        if not resume:
            lines = (tmp_path / "out" / JOURNAL_NAME).read_bytes().splitlines()
            lines[2] = line
            (tmp_path / "out" / JOURNAL_NAME).write_bytes(b"\n".join(lines) + b"\n")
    assert kept == [[False] * 3, [True, False, False]]
    assert "line 3 is damaged" in caplog.text


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    predictor = small_predictor()
    disk_photo().save(tmp_path / "a.png")
    target = tmp_path / "target"
    with journaled_folder(tmp_path / "out", ["coco"], predictor.info, resume=False):
        pass
    (tmp_path / "out" / JOURNAL_NAME).rename(target)
    (tmp_path / "out" / JOURNAL_NAME).symlink_to(target)
    before = target.read_bytes()
    with (
        pytest.raises(OutputExistsError, match="this is a link, which is not followed"),
        journaled_folder(tmp_path / "out", ["coco"], predictor.info, resume=True),
    ):
        pass
    assert target.read_bytes() == before
