"""`predict --engine ray` with two workers on this machine: the same masks as in one process, and restartable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sam2_adapter.cluster.locations import find_sources
from sam2_adapter.data.formats.coco import read_coco
from sam2_adapter.errors import ConfigError, ImageError
from tests.command_line import Run, run, run_process
from tests.conftest import disk_photo, square_photo

SETTINGS = ("--model", "sam2_nano", "--precision", "fp32", "--runtime", "torch", "--box", "20,20,110,110")
ON_RAY = (*SETTINGS, "--engine", "ray", "--workers", "2")
NUM_PHOTOS = 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 photographs, which are three chunks, one of them broken."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    folder.mkdir()
    for index in range(NUM_PHOTOS):
        photo = (disk_photo, square_photo)[index % 2]()
        Image.fromarray(np.roll(np.asarray(photo), index, axis=1)).save(folder / f"{index:02}.png")
    (folder / "40.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    output = tmp_path_factory.mktemp("cluster") / "out"
    return output, run_process("predict", f"file://{folder}", *ON_RAY, "--output", f"file://{output}", "--json")


def _rows(output: Path) -> list[dict]:
    return [row for part in sorted(output.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]


@pytest.mark.slow
def test_it_gives_what_one_process_gives(folder: Path, done: tuple[Path, Run], tmp_path: Path) -> None:
    assert run("predict", folder, *SETTINGS, "--no-overlay", "--output", tmp_path).status == 1
    expected = {image.file_name: image for image in read_coco(tmp_path / "annotations.json").images}
    rows = _rows(done[0])
    assert [row["name"] for row in rows] == [f"{index:02}.png" for index in range(NUM_PHOTOS)]
    for row in rows:
        if row["name"] == "40.png":
            continue
        image = expected[row["name"]]
        assert (row["height"], row["width"]) == image.original_hw
        (found,), (entry,) = row["objects"], image.annotations
        assert found["rle_counts"] == entry.rle.counts
        assert found["iou_score"] == pytest.approx(entry.iou_score, abs=1e-6)
        assert (found["label"], found["prompt_index"], found["area"]) == ("object", 0, entry.area)
        assert tuple(found["box_xyxy"]) == entry.box_xyxy


@pytest.mark.slow
def test_a_broken_image_costs_only_itself(done: tuple[Path, Run]) -> None:
    output, result = done
    assert result.status == 1, result.stderr
    assert "Traceback" not in result.stderr
    (failed,) = [row for row in _rows(output) if row["status"] != "ok"]
    assert failed["name"] == "40.png"
    assert "40.png" in failed["error"]
    assert failed["objects"] == []
    document = json.loads(result.stdout)
    assert document["summary"] == {"images": NUM_PHOTOS, "objects": NUM_PHOTOS - 1, "failed": 1}


@pytest.mark.slow
def test_every_part_says_which_model_made_it(done: tuple[Path, Run]) -> None:
    manifest = json.loads((done[0] / "run.json").read_text())
    parts = sorted(done[0].glob("*.parquet"))
    assert [part.name for part in parts] == [f"part-{index:06}.parquet" for index in range(3)]
    for part in parts:
        made_by = json.loads(pq.read_schema(part).metadata[b"made_by"])
        assert (made_by["name"], made_by["precision"]) == ("sam2_nano", "fp32")
        assert made_by["weights_sha256"] == manifest["weights_sha256"]


@pytest.mark.slow
def test_it_does_only_the_parts_that_are_missing(folder: Path, done: tuple[Path, Run]) -> None:
    output = done[0]
    before = _rows(output)
    kept = [output / "part-000000.parquet", output / "part-000002.parquet"]
    stamps = [part.stat().st_mtime_ns for part in kept]
    (output / "part-000001.parquet").unlink()
    again = run_process("predict", f"file://{folder}", *ON_RAY, "--output", f"file://{output}", "--json", "--resume")
    assert again.status == 1, again.stderr
    statuses = [entry["status"] for entry in json.loads(again.stdout)["images"]]
    assert statuses.count("kept") == 38
    assert (statuses.count("ok"), statuses.count("failed")) == (31, 1)
    assert [part.stat().st_mtime_ns for part in kept] == stamps
    for row, earlier in zip(_rows(output), before, strict=True):
        assert {**row, "seconds": 0} == {**earlier, "seconds": 0}


@pytest.mark.slow
def test_another_run_in_the_same_folder_is_refused(folder: Path, done: tuple[Path, Run]) -> None:
    arguments = ("predict", f"file://{folder}", *ON_RAY, "--output", f"file://{done[0]}")
    again = run_process(*arguments)
    assert again.status == 1
    assert "Go on with it with --resume" in again.stderr
    other = run_process(*arguments, "--resume", "--label", "cell", "--box", "1,2,30,40")
    assert other.status == 1
    assert "default_label was 'object' and is now 'cell'" in other.stderr
    assert "images_and_prompts_sha256" in other.stderr


def test_without_ray_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'ray' else find(name, *more)\n"
        "from sam2_adapter.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "predict", str(folder), *ON_RAY, "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert 'pip install "sam2-adapter[ray]"' in done.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [(("--engine", "ray", "--format", "masks"), "leave --format out"), (("--ray-address", "a:1"), "--engine ray")],
)
def test_options_that_do_not_go_together(folder: Path, more: tuple[str, ...], text: str) -> None:
    done = run("predict", folder, *SETTINGS, *more)
    assert done.status == 2
    assert text in done.stderr


def test_images_are_found_by_path_and_url(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden/d.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = ["a.JPG", "b.png", "sub/c.png"]
    assert find_sources([f"file://{tmp_path}"]) == [f"file://{tmp_path}/{name}" for name in names]
    assert sorted(find_sources([str(tmp_path)])) == [f"{tmp_path}/{name}" for name in names]
    assert find_sources([f"file://{tmp_path}/b.png"] * 2) == [f"file://{tmp_path}/b.png"]


@pytest.mark.parametrize(
    ("location", "error", "text"),
    [
        ("nosuch://bucket/photos", ConfigError, "nosuch"),
        ("s3://bucket/photos", ConfigError, "s3fs"),
        ("file:///no/such/folder", ImageError, "no image file"),
    ],
)
def test_a_location_that_cannot_be_used_is_named(location: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        find_sources([location])
    assert location in str(caught.value)
