"""`predict --engine ray` with two workers on this machine: the same masks as in one process, whatever ends or dies."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import ConfigError, Sam2AdapterError
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.jobs.answers import ImageResult
from sam2_adapter.jobs.ray import run as ray_run
from sam2_adapter.jobs.ray.plan import Ledger
from sam2_adapter.jobs.ray.run import ClusterPrediction, said_if_full
from sam2_adapter.jobs.ray.run_folder import MANIFEST
from sam2_adapter.jobs.ray.worker import ChunkWorker, Job
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.segment import Segmentation
from tests import processes
from tests.command_line import Run, run
from tests.conftest import save_photos, square_photo
from tests.jobs.ray.working import BOX, do_chunk, prediction
from tests.small_model import small_predictor

# Every test starts a Ray cluster, or waits for the one of the module.
pytestmark = pytest.mark.slow

SETTINGS = ("--model", "sam2_nano", "--precision", "fp32", "--runtime", "torch", "--device", "cpu")
ON_RAY = (*SETTINGS, "--engine", "ray", "--workers", "2", "--json")
NUM_PHOTOS = 64
BROKEN = "40.png"
DEADLY = "07.png"


@pytest.fixture(scope="module", autouse=True)
def _ray_files() -> Iterator[None]:
    """Ray keeps its files in a folder of these tests; its sockets need a short path."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 photographs, which are eight chunks, one of them broken, and prompts for some of them."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    save_photos(folder, NUM_PHOTOS, shift=1)
    (folder / BROKEN).write_bytes(b"no image")
    mask = np.zeros((120, 160), np.uint8)
    mask[20:100, 40:120] = 255
    Image.fromarray(mask).save(folder.parent / "mask.png")
    prompts = {
        "00.png": [{"mask": "mask.png", "label": "disk", "attributes": {"sure": True}, "object_id": "7"}],
        "01.png": [{"box": [25, 25, 95, 95]}, {"points": [[60, 60], [5, 5]], "labels": [1, 0]}],
    }
    (folder.parent / "prompts.json").write_text(json.dumps({"images": prompts}))
    return folder


@dataclass
class Command:
    """A command under way, and the processes that it started."""

    command: processes.Command
    children: dict[int, psutil.Process]

    def look(self) -> list[psutil.Process]:
        """The processes below the command now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.children |= {p.pid: p for p in psutil.Process(self.command.process.pid).children(recursive=True)}
        return list(self.children.values())

    def names(self) -> set[str]:
        """The names of the processes below the command."""
        found = set()
        for process in self.look():
            with contextlib.suppress(psutil.Error):
                found.add(process.name())
        return found

    def workers(self) -> list[psutil.Process]:
        """The processes with a model."""
        found = []
        for process in self.look():
            with contextlib.suppress(psutil.Error):
                if "_Worker" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def wait_for(self, what: Callable[[], object]) -> None:
        looked = 0.0
        while not what():
            assert self.command.is_running(), self.command.end()
            if time.monotonic() > looked + 0.5:
                looked = time.monotonic()
                self.look()
            time.sleep(0.01)

    def end(self) -> Run:
        """Wait for its end, and for that of all that it started."""
        while self.command.is_running():
            self.look()
            self.command.process.join(0.5)
        _, alive = psutil.wait_procs(list(self.children.values()), timeout=120)
        assert not alive
        return self.command.end()


def _start(folder: Path, output: Path, *more: object) -> Command:
    prompts = ("--prompts", folder.parent / "prompts.json")
    words = ("predict", f"file://{folder}", *ON_RAY, *prompts, "--output", f"file://{output}", *more)
    return Command(processes.start(*words), {})


def _num_parts(output: Path) -> int:
    return len(list(output.glob("part-*.parquet")))


def _rows(output: Path) -> list[dict]:
    return [row for part in sorted(output.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]


@dataclass(frozen=True)
class Story:
    """One run in two acts: interrupted with one worker, and gone on with by two, of which one was killed."""

    output: Path
    interrupted: Run
    num_parts_then: int
    stamps_then: dict[str, int]
    resumed: Run


@pytest.fixture(scope="module")
def story(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    output = tmp_path_factory.mktemp("cluster") / "out"
    first = _start(folder, output, "--workers", "1")
    first.wait_for(lambda: _num_parts(output))
    first.command.signal(signal.SIGTERM)
    interrupted = first.end()
    then = _num_parts(output)
    stamps = {part.name: part.stat().st_mtime_ns for part in output.glob("part-*")}

    second = _start(folder, output, "--resume")
    second.wait_for(lambda: _num_parts(output) > then)
    second.workers()[0].kill()
    return Story(output, interrupted, then, stamps, second.end())


def test_sigterm_ends_a_run_in_good_order(story: Story) -> None:
    assert story.interrupted.status == 143
    assert "with --resume to go on" in story.interrupted.stderr
    assert len(story.interrupted.stderr.splitlines()) <= 2  # and perhaps the broken image
    assert json.loads(story.interrupted.stdout)["error"] == "interrupted"
    assert 1 <= story.num_parts_then < 8


def test_a_killed_worker_costs_nothing(story: Story) -> None:
    assert story.resumed.status == 1
    (line,) = story.resumed.stderr.splitlines()
    assert BROKEN in line
    document = json.loads(story.resumed.stdout)
    assert document["summary"] == {"images": NUM_PHOTOS, "objects": NUM_PHOTOS, "failed": 1}
    assert document["model"]["engine"] == "ray"
    assert sorted(entry["name"] for entry in document["images"]) == [f"{index:02}.png" for index in range(NUM_PHOTOS)]
    assert {entry["path"].partition("://")[0] for entry in document["images"]} == {"file"}
    assert document["output"] == f"file://{story.output}"


def test_what_was_done_is_kept(story: Story) -> None:
    images = json.loads(story.resumed.stdout)["images"]
    kept = [entry["name"] for entry in images if entry["status"] == "kept"]
    # The broken image may have been among them, and is done again.
    assert len(kept) in (8 * story.num_parts_then, 8 * story.num_parts_then - 1)
    for name, stamp in story.stamps_then.items():
        names = pq.read_table(story.output / name)["name"].to_pylist()
        if BROKEN not in names:
            assert (story.output / name).stat().st_mtime_ns == stamp


def test_it_gives_what_one_process_gives(folder: Path, story: Story, tmp_path: Path) -> None:
    prompts = ("--prompts", folder.parent / "prompts.json")
    assert run("predict", folder, *SETTINGS, *prompts, "--no-overlay", "--output", tmp_path).status == 1
    expected = {image.file_name: image for image in read_coco(tmp_path / "annotations.json").images}
    rows = _rows(story.output)
    assert [row["name"] for row in rows] == [f"{index:02}.png" for index in range(NUM_PHOTOS)]
    for row in rows:
        if row["name"] == BROKEN:
            continue
        image = expected[row["name"]]
        assert (row["status"], row["error"], row["height"], row["width"]) == ("ok", None, *image.original_hw)
        for found, entry in zip(row["objects"], image.annotations, strict=True):
            assert found["rle_counts"] == entry.rle.counts
            assert found["iou_score"] == pytest.approx(entry.iou_score, abs=1e-6)
            assert (found["label"], found["area"], found["object_id"]) == (entry.label, entry.area, entry.object_id)
            assert tuple(found["box_xyxy"]) == entry.box_xyxy
    (disk,) = rows[0]["objects"]
    assert (disk["label"], json.loads(disk["attributes"]), disk["object_id"]) == ("disk", {"sure": True}, "7")
    assert [entry["prompt_index"] for entry in rows[1]["objects"]] == [0, 1]


def test_a_broken_image_costs_only_itself(story: Story) -> None:
    (failed,) = [row for row in _rows(story.output) if row["status"] != "ok"]
    assert (failed["name"], failed["objects"], failed["height"]) == (BROKEN, [], None)
    assert BROKEN in failed["error"]


def test_every_part_says_which_model_made_it(story: Story) -> None:
    manifest = json.loads((story.output / "_run.json").read_text())
    parts = sorted(story.output.glob("*.parquet"))
    assert [part.name for part in parts] == [f"part-{index:06}.parquet" for index in range(8)]
    for part in parts:
        made_by = json.loads(pq.read_schema(part).metadata[b"made_by"])
        assert (made_by["name"], made_by["precision"], made_by["device"]) == ("sam2_nano", "fp32", "cpu")
        assert made_by["weights_sha256"] == manifest["weights_sha256"]


def test_the_documented_program_reads_the_parts(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "prediction.md").read_text("utf-8")
    (program,) = re.findall(
        r"```python\n(.*?)```", text.partition("## Many machines")[2].partition("\n## ")[0], re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "predictions").symlink_to(story.output)
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    rows = {row["name"]: row for row in _rows(story.output)}
    assert printed == [
        f"{name} {found['label']} {found['area']}" for name, row in sorted(rows.items()) for found in row["objects"]
    ]
    images = read_coco(tmp_path / "annotations.json").images
    assert len(images) == NUM_PHOTOS - 1
    for image in images:
        counts = [found["rle_counts"] for found in rows[image.file_name]["objects"]]
        assert [entry.rle.counts for entry in image.annotations] == counts


@pytest.mark.soak
def test_an_image_that_kills_its_process_costs_only_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "import sam2_adapter.images.read as images\n"
        "read = images.read_image_with_notes\n"
        f"images.read_image_with_notes = lambda *a, name, **k: os._exit(1) if name.endswith({DEADLY!r}) else read(*a, name=name, **k)\n"
    )
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root, os.environ.get("PYTHONPATH", "")]))
    own = tmp_path / "photos"
    own.mkdir()
    for index in (*range(9), 40):
        shutil.copy(folder / f"{index:02}.png", own)
    words = ("predict", own, *ON_RAY, "--workers", "1", "--output", tmp_path / "out")
    done = Command(processes.start(*words), {}).end()
    assert done.status == 1
    statuses = {entry["name"]: entry["status"] for entry in json.loads(done.stdout)["images"]}
    assert [name for name, status in sorted(statuses.items()) if status != "ok"] == [DEADLY, BROKEN]
    assert f"{own / DEADLY}: the process that worked on this image died, 2 times" in done.stderr


def test_ctrl_c_while_ray_starts(folder: Path, tmp_path: Path) -> None:
    command = _start(folder, tmp_path / "out")
    command.wait_for(lambda: "gcs_server" in command.names())
    command.command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 130
    assert json.loads(done.stdout)["error"] == "interrupted"
    assert [line.partition(";")[0] for line in done.stderr.splitlines()] == ["error: interrupted"]


def test_without_ray_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'ray' else find(name, *more)\n"
        "from sam2_adapter.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "predict", str(folder), *ON_RAY, "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert 'pip install "sam2-adapter[ray]"' in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("predict", "--help")])
def test_help_imports_nothing_of_it(words: tuple[str, ...]) -> None:
    program = (
        "import sys; from sam2_adapter.cli import main\n"
        "try: main()\n"
        "finally: sys.exit([name for name in ('ray', 'pyarrow', 'fsspec') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--engine", "ray", "--format", "masks"), "leave --format out"),
        (("--engine", "ray", "--overlay"), "leave --overlay out"),
        (("--engine", "ray", "--batch-size", "4"), "leave --batch-size out"),
        (("--engine", "ray", "--region", "0,0,9,9"), "looks at whole images; leave --region out"),
        (("--ray-address", "a:1"), "--ray-address goes with --engine ray"),
        (("s3://bucket/a.png",), "s3://bucket/a.png is a URL, which only --engine ray reads and writes"),
        (("--output", "s3://bucket/out"), "s3://bucket/out is a URL, which only --engine ray reads and writes"),
    ],
)
def test_options_that_do_not_go_together(folder: Path, more: tuple[str, ...], text: str) -> None:
    done = run("predict", folder, *SETTINGS, *more)
    assert done.status == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--model", "no/model.pt"), "no/model.pt"),
        (("--ray-address", "127.0.0.1:9"), "The Ray cluster 127.0.0.1:9 cannot be reached"),
        (("--output", "nosuch://bucket/out"), "nosuch://bucket/out: cannot be used"),
        (("--output", "file:///proc/no/out"), "cannot write here"),
    ],
)
def test_what_is_not_there_is_one_clear_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("predict", folder, *SETTINGS, "--engine", "ray", *more)
    assert done.status in (1, 2)
    (line,) = done.stderr.splitlines()
    assert text in line


# Without a cluster


def test_a_run_that_is_done_needs_no_cluster(tasks: list[ImageTask], tmp_path: Path, job: Job) -> None:
    square_photo().save(tasks[1].path)
    output = tmp_path / "out"
    with prediction(tasks, output) as first:
        assert first.made_by["name"] == "small"
        job = replace(job, weights_sha256=small_predictor().info.weights_sha256)
        assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    with prediction(tasks, output, resume=True) as again:
        results = list(again)
    assert [(result.task, result.is_kept, result.error) for result in results] == [(task, True, None) for task in tasks]


def test_a_file_that_was_replaced_is_done_again(
    tasks: list[ImageTask], tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    square_photo().save(tasks[1].path)
    prediction(tasks, tmp_path / "out").close()
    assert do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    os.utime(tasks[2].path, ns=(7, 7))
    asked: list[dict] = []
    monkeypatch.setattr(ClusterPrediction, "_work", lambda self, todo: (asked.append(todo), iter(()))[1])
    monkeypatch.setattr(ray_run, "closing", contextlib.nullcontext)
    with prediction(tasks, tmp_path / "out", resume=True) as again:
        assert [result.task for result in again] == tasks[:2]
    assert asked == [{0: [2]}]


def test_as_many_objects_as_are_kept_are_said() -> None:
    task = ImageTask(Path("/a.png"), "a.png")
    mask = np.ones((4, 4), bool)
    found = Segmentation((Annotation.from_mask(mask, "a"), Annotation.from_mask(mask, "a")), (), ())
    settings = EverythingSettings(without_prompts="everything", max_objects=2)
    result = ImageResult(task, found, (), 0.1, notes=("2 pages",))
    full = ("2 pages", "the best 2 objects are kept, and there may be more (max_objects)")
    assert said_if_full(result, settings).notes == full
    for asked, other in (
        (result, EverythingSettings(without_prompts="everything", max_objects=3)),
        (result, EverythingSettings(max_objects=2)),
        (result, None),
        (replace(result, task=replace(task, prompts=(BOX,))), settings),
        (replace(result, segmentation=None), settings),
    ):
        assert said_if_full(asked, other).notes == ("2 pages",)


def test_parts_are_few_however_many_images(tmp_path: Path, small_model: None) -> None:
    for count, size in ((3, 8), (9_000, 9), (1_000_000, 256)):
        tasks = [ImageTask(Path("/a.png"), "a.png")] * count
        prediction(tasks, tmp_path / str(count)).close()
        assert json.loads((tmp_path / str(count) / MANIFEST).read_text())["chunk_size"] == size


def test_a_cluster_on_this_machine_asks_for_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/somewhere")
    first, second = (ray_run.driver_environment("local") for _ in range(2))
    assert first["RAY_AUTH_MODE"] == "token"
    assert len(first["RAY_AUTH_TOKEN"]) == 64
    assert first["RAY_AUTH_TOKEN"] != second["RAY_AUTH_TOKEN"]
    assert "RAY_AUTH_TOKEN_PATH" not in first
    assert ray_run.driver_environment("10.0.0.1:6379") == dict(os.environ)


def test_a_gpu_by_number_is_refused(tasks: list[ImageTask], tmp_path: Path, small_model: None) -> None:
    with pytest.raises(ConfigError, match="'cuda:1': on a cluster Ray chooses the GPU"):
        prediction(tasks, tmp_path / "out", device="cuda:1")


def test_a_cluster_that_is_not_there_is_named(tasks: list[ImageTask], tmp_path: Path, small_model: None) -> None:
    asked = prediction(tasks, tmp_path / "out", address="127.0.0.1:9")
    with (
        asked,
        pytest.raises(Sam2AdapterError, match=r"The Ray cluster 127.0.0.1:9 cannot be reached: .* Check the address"),
    ):
        list(asked)
