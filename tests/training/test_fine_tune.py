"""A run in a folder: whose the folder is, what the tuned model is called, and what is noticed when a run goes on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.config import Config
from sam2_adapter.errors import FolderInUseError, OutputExistsError, ResumeError, TrainingError
from sam2_adapter.evaluation.run import run_evaluation
from sam2_adapter.files import lock_folder
from sam2_adapter.models.load import load_model
from sam2_adapter.ownership import MARKER_NAME, ownership_of
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.training.encoding import SampleEmbeddings
from sam2_adapter.training.fine_tune import fine_tune
from tests.disc_data import make_disc_data

pytestmark = pytest.mark.slow


def config(**settings: object) -> Config:
    quick = {
        "num_epochs": 1,
        "correction_rounds": 0,
        "device": "cpu",
        "precision": "fp32",
        "runtime": "torch",
        "general_set": "none",
    }
    return Config.from_mapping({**quick, **settings})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_disc_data(tmp_path_factory.mktemp("discs") / "data")


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """A finished run that was given no name."""
    folder = tmp_path_factory.mktemp("runs") / "my discs"
    return fine_tune(data, folder, config(learning_rate=1e-4), model="sam2_nano")


@pytest.fixture
def run(done, tmp_path):
    """A copy of the finished run, with its result as it would be."""
    folder = tmp_path / "my discs"
    shutil.copytree(done.model_path.parent, folder)
    return folder


def test_a_tuned_model_is_called_as_its_folder_beside_its_base(done, data):
    assert (done.name, done.base) == ("my discs", "sam2_nano")
    loaded = load_model(done.model_path)
    assert (loaded.name, loaded.base, loaded.architecture.name) == ("my discs", "sam2_nano", "sam2_nano")
    info = load_predictor(done.model_path, device="cpu", runtime="torch").info
    assert (info.name, info.base, info.architecture) == ("my discs", "sam2_nano", "sam2_nano")
    metrics = json.loads(done.files["metrics"].read_text())
    assert (metrics["name"], metrics["base"]) == ("my discs", "sam2_nano")
    assert metrics["configuration"]["model_cfg"] == "sam2_nano"
    page = done.files["report"].read_text()
    assert "<h1>my discs</h1>" in page
    assert "sam2_hiera_s" not in page


def test_tuned_and_base_model_have_two_names_in_an_evaluation(done, data):
    report = run_evaluation(
        data, done.model_path, config(), split="validation", prompts=["box"], compare_with="sam2_nano"
    )
    tuned, base = report.evaluations["box"].model, report.compared_with["box"].model
    assert (tuned["name"], tuned["base"], base["name"], base["base"]) == ("my discs", "sam2_nano", "sam2_nano", None)
    text = report.to_text()
    assert f"box: my discs (tuned from sam2_nano) {done.weights_sha256[:12]}\n" in text
    assert f"box: sam2_nano {base['weights_sha256'][:12]}\n" in text


@pytest.mark.parametrize(("name", "kept"), [("nuclei v2", "nuclei v2"), ("a\nb\x1b[31m", "a\\nb\\x1b[31m")])
def test_a_name_can_be_given(data, tmp_path, name, kept, done):
    result = fine_tune(data, tmp_path / "run", config(), model=done.model_path, name=name)
    assert (result.name, result.base) == (kept, "my discs")
    assert (load_model(result.model_path).name, load_model(result.model_path).base) == (kept, "my discs")


def test_a_run_is_marked_and_neither_replaced_nor_mixed(run, data):
    assert ownership_of(run).command == "train"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(OutputExistsError, match=r"my discs: the folder holds the results of an earlier run.*--resume"):
        fine_tune(data, run, config(), model="sam2_nano")
    (run.parent / "mine").mkdir()
    (run.parent / "mine" / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match=r"what is in it \(thesis.txt\) is not from an earlier run of `train`"):
        fine_tune(data, run.parent / "mine", config(), model="sam2_nano", overwrite=True)
    assert before == {path: path.read_bytes() for path in before}


def test_a_run_is_replaced_on_demand_and_what_is_not_its_own_stays(run, data):
    (run / "notes.txt").write_text("mine")
    (run / "checkpoints" / "epoch_000900.torch").write_bytes(b"not ours")
    result = fine_tune(data, run, config(), model="sam2_nano", overwrite=True)
    assert result.epochs == 1
    assert (run / "notes.txt").read_text() == "mine"
    assert json.loads((run / "metrics.json").read_text())["configuration"]["learning_rate"] == 1e-5


def test_the_second_of_two_runs_in_a_folder_is_refused(run, data):
    lock = lock_folder(run)
    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(FolderInUseError, match=r"my discs: another sam2-adapter command writes to this folder"):
            fine_tune(data, run, config(learning_rate=1e-4), model="sam2_nano", **options)
    lock.release()
    assert fine_tune(data, run, config(learning_rate=1e-4), model="sam2_nano", resume=True).epochs == 1


def test_a_run_of_version_0_1_is_recognised(run, data, done):
    (run / MARKER_NAME).unlink()
    again = fine_tune(data, run, config(learning_rate=1e-4), model="sam2_nano", resume=True)
    assert again.weights_sha256 == done.weights_sha256
    (run / MARKER_NAME).unlink()
    with pytest.raises(OutputExistsError, match="holds the results of an earlier run"):
        fine_tune(data, run, config(), model="sam2_nano")
    (run / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match="is not from an earlier run"):
        fine_tune(data, run, config(), model="sam2_nano", overwrite=True)


def test_changed_images_are_named_when_a_run_goes_on(run, data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    Image.fromarray(np.full((96, 128, 3), 90, np.uint8)).save(copy / "images" / "b.png")
    settings = config(learning_rate=1e-4)
    with pytest.raises(ResumeError, match=r"other training or validation data \(changed: b.png\)"):
        fine_tune(copy, run, settings, model="sam2_nano", resume=True)
    shutil.copy(data / "images" / "b.png", copy / "images" / "b.png")
    assert fine_tune(copy, run, settings, model="sam2_nano", resume=True).epochs == 1
    Image.open(copy / "masks" / "c.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copy / "masks" / "c.png")
    with pytest.raises(ResumeError, match=r"\(other objects, labels or splits\)"):
        fine_tune(copy, run, settings, model="sam2_nano", resume=True)


def test_an_image_that_changes_while_a_run_needs_it_again_ends_the_run(data, tmp_path, monkeypatch):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    taken = SampleEmbeddings.prepare

    def prepare(self, *arguments):
        yield from taken(self, *arguments)
        for path in (copy / "images").iterdir():
            Image.fromarray(np.full((96, 128, 3), 90, np.uint8)).save(path)

    monkeypatch.setattr(SampleEmbeddings, "prepare", prepare)
    with pytest.raises(TrainingError, match=r"images/\w.png has changed since the run began"):
        fine_tune(copy, tmp_path / "run", config(memory_mib=0, disk_mib=0), model="sam2_nano")
