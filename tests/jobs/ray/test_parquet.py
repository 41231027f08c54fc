"""What a run over a cluster is made of, in this process: locations, shares, the ledger, a worker, its files."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ConfigError, DataError, ExportError, ImageError, Sam2AdapterError
from sam2_adapter.files import encodable
from sam2_adapter.images.read import read_image
from sam2_adapter.jobs.local import BulkOptions
from sam2_adapter.jobs.ray import run
from sam2_adapter.jobs.ray import worker as work
from sam2_adapter.jobs.ray.ledger import START, Ledger
from sam2_adapter.jobs.ray.locations import ResultFolder, find_sources, read_source
from sam2_adapter.jobs.ray.parquet import SCHEMA, read_rows, result_of
from sam2_adapter.jobs.ray.run import MANIFEST, ClusterOptions, ClusterPrediction
from sam2_adapter.jobs.ray.share import Machine, Share, share_of
from sam2_adapter.jobs.ray.worker import Chunk, ChunkWorker, Job, ModelChoice
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.segment import segment
from tests.conftest import disk_photo, square_photo
from tests.small_model import small_predictor

BOX = Prompt(box_xyxy=(30, 10, 130, 110))
CHOICE = ModelChoice("small", "cpu", "torch", "fp32")


# Locations


def test_images_are_found_by_path_and_url(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden/d.png", ".e.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = ["a.JPG", "b.png", "sub/c.png"]
    assert find_sources([f"file://{tmp_path}"]) == [f"file://{tmp_path}/{name}" for name in names]
    assert find_sources([str(tmp_path)]) == [f"{tmp_path}/{name}" for name in names]
    assert find_sources([f"file://{tmp_path}/b.png"] * 2) == [f"file://{tmp_path}/b.png"]
    assert find_sources([f"file://{tmp_path}/note.txt"]) == [f"file://{tmp_path}/note.txt"]


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert find_sources(["a.png"]) == [str(tmp_path / "a.png")]
    assert find_sources(["."]) == [str(tmp_path / "a.png")]


@pytest.fixture
def bucket() -> Iterator[str]:
    """An empty bucket in memory."""
    yield "memory://bucket"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_a_bucket(bucket: str) -> None:
    with fsspec.open(f"{bucket}/photos/day/a.png", "wb") as file:
        file.write(b"content")
    assert find_sources([f"{bucket}/photos"]) == ["memory:///bucket/photos/day/a.png"]
    assert read_source(f"{bucket}/photos/day/a.png") == b"content"
    folder = ResultFolder(f"{bucket}/out/")
    assert folder.names() == set()
    folder.write("part.parquet", b"rows")
    assert (folder.names(), folder.read("part.parquet")) == ({"part.parquet"}, b"rows")


@pytest.mark.parametrize(
    ("location", "error", "text"),
    [
        ("nosuch://bucket/photos", ConfigError, "nosuch"),
        ("s3://bucket/photos", ConfigError, "s3fs"),
        ("file:///no/such/folder", ImageError, "cannot look for images: No such file"),
        ("http://127.0.0.1:9/a.png", ImageError, "cannot look for images"),
    ],
)
def test_a_location_that_cannot_be_used_is_named(location: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        find_sources([location])
    assert location in str(caught.value)


def test_a_file_that_cannot_be_read_or_written_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"memory://bucket/no\.png: cannot read the image"):
        read_source(f"{bucket}/no.png")
    with pytest.raises(DataError, match="memory://bucket/out/no: cannot read the file"):
        ResultFolder(f"{bucket}/out").read("no")
    with fsspec.open(f"{bucket}/file", "wb") as file:
        file.write(b"")
    with pytest.raises(ExportError, match="memory://bucket/file/a: cannot write the file"):
        ResultFolder(f"{bucket}/file").write("a", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="file/a: cannot write the file"):
        ResultFolder(str(tmp_path / "file")).write("a", b"")


# Shares


@pytest.mark.parametrize(
    ("machines", "workers", "use_gpus", "expected"),
    [
        ([Machine(2)], 2, True, Share(2, 1)),
        ([Machine(2)], None, True, Share(1, 2)),
        ([Machine(2)], 5, True, Share(5, 1)),
        ([Machine(32), Machine(16), Machine(4)], None, True, Share(6, 8)),
        ([Machine(4), Machine(4)], 3, True, Share(3, 2)),
        ([Machine(16), Machine(2)], 3, True, Share(3, 5)),
        ([Machine(64, gpus=8), Machine(16)], None, True, Share(8, 8, 1.0)),
        ([Machine(8, gpus=4), Machine(8, gpus=2)], None, True, Share(6, 2, 1.0)),
        ([Machine(8, gpus=1)], 3, True, Share(3, 2, 1 / 3)),
        ([Machine(8, gpus=4)], 2, True, Share(2, 2, 1.0)),
        ([Machine(16, gpus=2)], None, False, Share(2, 8)),
        ([], None, True, Share(1, 1)),
    ],
)
def test_machines_are_shared(machines: list[Machine], workers: int | None, use_gpus: bool, expected: Share) -> None:
    assert share_of(machines, workers, use_gpus=use_gpus) == expected


# The ledger


def test_the_ledger_knows_where_processes_died() -> None:
    ledger = Ledger()
    assert ledger.begin("part 1") == {}
    ledger.reach("part 1", 3)
    assert ledger.begin("part 2") == {}
    assert ledger.begin("part 1") == {3: 1}
    assert ledger.begin("part 1") == {3: 1, START: 1}
    ledger.end("part 1")
    assert ledger.begin("part 1") == {}


# A worker


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "load_predictor", lambda *arguments, **options: small_predictor())
    loaded = SimpleNamespace(name="small", weights_sha256="0" * 64, resize="stretch")
    monkeypatch.setattr(run, "load_model", lambda name: loaded)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    threads = torch.get_num_threads()
    yield Job(CHOICE, small_predictor().info.weights_sha256, BulkOptions(), str(tmp_path / "out"))
    torch.set_num_threads(threads)


@pytest.fixture
def tasks(tmp_path: Path) -> list[ImageTask]:
    """Three photographs, the second of them broken."""
    for index, photo in enumerate((disk_photo(), None, square_photo())):
        path = tmp_path / f"{index}.png"
        photo.save(path) if photo else path.write_bytes(b"no image")
    return [ImageTask(tmp_path / f"{index}.png", f"{index}.png", (BOX,)) for index in range(3)]


def _do(worker: ChunkWorker, tasks: list[ImageTask], positions: list[int] | None = None) -> str:
    chunk = Chunk(0, tasks, range(len(tasks)) if positions is None else positions)
    done = worker({"chunk": np.array([pickle.dumps(chunk)], object)})
    assert done["index"].tolist() == [0]
    return str(done["error"][0])


def _rows(job: Job, tasks: list[ImageTask]) -> list[dict]:
    content = ResultFolder(job.output).read("part-000000.parquet")
    return read_rows(content, tasks, "part")


def test_a_chunk_becomes_a_part(job: Job, tasks: list[ImageTask]) -> None:
    assert _do(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    rows = _rows(job, tasks)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert rows[1]["error"].startswith(f"{tasks[1].path}: ")
    predictor = small_predictor()
    for row, task in ((rows[0], tasks[0]), (rows[2], tasks[2])):
        (embedding,) = predictor.embed([read_image(task.path)])
        expected = segment(predictor, embedding, task.prompts)
        assert result_of(row, task, is_kept=False).segmentation == expected
        assert (row["height"], row["width"]) == embedding.original_hw
        (found,) = row["objects"]
        assert found["rle_counts"] == expected.annotations[0].rle.counts
        assert tuple(found["box_xyxy"]) == expected.annotations[0].box_xyxy
        assert found["area"] == expected.annotations[0].area
    made_by = json.loads(pq.read_schema(Path(job.output) / "part-000000.parquet").metadata[b"made_by"])
    assert (made_by["name"], made_by["weights_sha256"], made_by["device"]) == ("small", job.weights_sha256, "cpu")


def test_everything_that_a_prompt_has_travels(job: Job, tasks: list[ImageTask]) -> None:
    mask = np.zeros((120, 160), bool)
    mask[20:100, 40:120] = True
    prompts = (
        Prompt(mask=mask, label="disk", attributes={"sure": True, "n": [1]}, object_id="7", parent_id="3"),
        Prompt(point_coords=[[80, 60], [5, 5]], point_labels=[1, 0]),
    )
    (task,) = asked = [replace(tasks[0], prompts=prompts)]
    assert _do(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    predictor = small_predictor()
    (embedding,) = predictor.embed([read_image(task.path)])
    result = result_of(_rows(job, asked)[0], task, is_kept=True)
    assert result.is_kept
    assert result.segmentation == segment(predictor, embedding, prompts)


def test_only_what_failed_is_done_again(job: Job, tasks: list[ImageTask]) -> None:
    worker = ChunkWorker(job, 2, Ledger(), "a")
    _do(worker, tasks)
    before = _rows(job, tasks)
    square_photo().save(tasks[1].path)
    tasks[0].path.unlink()
    assert _do(worker, tasks, [1]) == ""
    after = _rows(job, tasks)
    assert (after[0], after[2]) == (before[0], before[2])
    assert (after[1]["status"], len(after[1]["objects"])) == ("ok", 1)


def test_text_that_is_not_utf8_costs_nothing(job: Job, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    disk_photo().save(path)
    prompt = replace(BOX, label="half \ud800", object_id="\udfff", attributes={"a": "\ud800"})
    asked = [ImageTask(path, path.name, (prompt,))]
    assert _do(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    (row,) = _rows(job, asked)
    assert row["name"] == encodable(path.name) == "caf\\udce9.png"
    (found,) = row["objects"]
    assert (found["label"], found["object_id"]) == ("half \\ud800", "\\udfff")
    assert json.loads(found["attributes"]) == {"a": "\ud800"}


def test_an_unexpected_error_names_its_image_and_costs_no_other(
    job: Job, tasks: list[ImageTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(predictor: object, embedding: object, prompts: tuple[Prompt, ...], **options: object) -> object:
        if prompts[0].label == "odd":
            raise ZeroDivisionError("by nought")
        return segment(predictor, embedding, prompts, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "segment", odd)
    asked = [replace(tasks[0], prompts=(replace(BOX, label="odd"),)), *tasks[1:]]
    assert _do(ChunkWorker(job, 2, Ledger(), "a"), asked) == ""
    rows = _rows(job, asked)
    assert rows[0]["error"] == f"{tasks[0].path}: unexpected ZeroDivisionError: by nought"
    assert [row["status"] for row in rows] == ["failed", "failed", "ok"]


def test_an_image_that_kills_processes_is_given_up(job: Job, tasks: list[ImageTask]) -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.begin("part 0")
        ledger.reach("part 0", 2)
    assert _do(ChunkWorker(job, 2, ledger, "a"), tasks) == ""
    rows = _rows(job, tasks)
    assert [row["status"] for row in rows] == ["ok", "failed", "failed"]
    assert "the process that worked on this image died, 2 times" in rows[2]["error"]
    assert ledger.begin("part 0") == {}


def test_a_machine_on_which_the_model_cannot_be_loaded(job: Job, tasks: list[ImageTask]) -> None:
    ledger = Ledger()
    for _ in range(3):
        ledger.begin("loading by a")
    assert "dies while it loads the model" in _do(ChunkWorker(job, 2, ledger, "a"), tasks)


def test_other_weights_on_a_machine_are_refused(job: Job, tasks: list[ImageTask]) -> None:
    other = replace(job, weights_sha256="0" * 63 + "1")
    assert "the model small is another one here" in _do(ChunkWorker(other, 2, Ledger(), "a"), tasks)


def test_output_that_a_worker_cannot_write_is_named(job: Job, tasks: list[ImageTask], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    error = _do(ChunkWorker(job, 2, Ledger(), "a"), tasks)
    assert error.startswith("a worker on ")
    assert f"{tmp_path / 'out'}/part-000000.parquet: cannot write the file" in error


def test_a_worker_has_as_many_threads_as_cores(job: Job, tasks: list[ImageTask]) -> None:
    assert _do(ChunkWorker(job, 1, Ledger(), "a"), tasks) == ""
    assert torch.get_num_threads() == 1


def test_few_images_are_read_ahead(job: Job, tasks: list[ImageTask], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(work, "read_source", lambda source: (read.append(source), Path(source).read_bytes())[1])
    worker = ChunkWorker(job, 2, Ledger(), "a")
    many = [replace(tasks[0], name=f"{index}.png") for index in range(20)]
    most = 0
    for done, _ in enumerate(worker._read_ahead(many, 4)):
        most = max(most, len(read) - done)
    assert len(read) == 20
    assert 1 <= most <= 5


# Parts and folders


def test_a_damaged_part_is_named(job: Job, tasks: list[ImageTask]) -> None:
    with pytest.raises(DataError, match=r"out/part-1: not a Parquet file: .* Remove it"):
        read_rows(b"torn", tasks, "out/part-1")
    _do(ChunkWorker(job, 2, Ledger(), "a"), tasks)
    with pytest.raises(DataError, match="other columns or images than expected"):
        read_rows(ResultFolder(job.output).read("part-000000.parquet"), tasks[:2], "out/part-1")


def test_the_documented_columns_are_those_of_the_files() -> None:
    text = (Path(__file__).parents[3] / "docs" / "prediction.md").read_text("utf-8")
    section = text.partition("## Many machines")[2].partition("\n## ")[0]
    for field in [*SCHEMA, *SCHEMA.field("objects").type.value_type]:
        kind = str(field.type)
        kind = "list of struct" if field.name == "objects" else kind.replace("list<item: int32>", "list of int32")
        assert f"| `{field.name}` | {kind} |" in section


def _prediction(tasks: list[ImageTask], output: Path, **settings: object) -> ClusterPrediction:
    options = BulkOptions(default_label=str(settings.pop("label", "object")))
    choice = ModelChoice("small", str(settings.pop("device", "cpu")))
    return ClusterPrediction(choice, tasks, str(output), options, ClusterOptions(**settings))  # type: ignore[arg-type]


def test_a_folder_belongs_to_one_run(tasks: list[ImageTask], tmp_path: Path) -> None:
    output = tmp_path / "out"
    _prediction(tasks, output)
    _prediction(tasks[:2], output)  # nothing has been done in the first one
    assert json.loads((output / MANIFEST).read_text())["images"] == 2
    (output / "part-000000.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"there is a run here already\. Go on with it with --resume"):
        _prediction(tasks[:2], output)
    _prediction(tasks[:2], output, resume=True)
    with pytest.raises(ConfigError, match="default_label was 'object' and is now 'cell'"):
        _prediction(tasks[:2], output, resume=True, label="cell")
    other = [replace(tasks[0], prompts=()), tasks[1]]
    with pytest.raises(ConfigError, match="the images or their prompts are not the same"):
        _prediction(other, output, resume=True)
    (output / MANIFEST).unlink()
    with pytest.raises(ConfigError, match="cannot go on with this run"):
        _prediction(tasks[:2], output, resume=True)


def test_a_run_that_is_done_needs_no_cluster(
    tasks: list[ImageTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    square_photo().save(tasks[1].path)
    output = tmp_path / "out"
    first = _prediction(tasks, output)
    job = Job(CHOICE, small_predictor().info.weights_sha256, BulkOptions(), str(output))
    assert _do(ChunkWorker(job, 2, Ledger(), "a"), tasks) == ""
    assert first.made_by["name"] == "small"
    again = list(_prediction(tasks, output, resume=True).results())
    assert [(result.task, result.is_kept, result.error) for result in again] == [(task, True, None) for task in tasks]


def test_parts_are_few_however_many_images(tmp_path: Path) -> None:
    for count, size in ((3, 8), (9_000, 9), (1_000_000, 256)):
        tasks = [ImageTask(Path("/a.png"), "a.png")] * count
        _prediction(tasks, tmp_path / str(count))
        assert json.loads((tmp_path / str(count) / MANIFEST).read_text())["chunk_size"] == size


def test_a_gpu_by_number_is_refused(tasks: list[ImageTask], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'cuda:1': on a cluster Ray chooses the GPU"):
        _prediction(tasks, tmp_path / "out", device="cuda:1")


def test_a_cluster_that_is_not_there_is_named(tasks: list[ImageTask], tmp_path: Path) -> None:
    prediction = _prediction(tasks, tmp_path / "out", address="127.0.0.1:9")
    with pytest.raises(Sam2AdapterError, match=r"The Ray cluster 127.0.0.1:9 cannot be reached: .* Check the address"):
        list(prediction.results())
