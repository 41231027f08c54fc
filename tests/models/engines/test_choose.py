"""Which engine executes a model: chosen, made ready beforehand, used for prediction and training, and recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.doctor import examine
from sam2_adapter.errors import ConfigError
from sam2_adapter.images.read import read_image
from sam2_adapter.models.engines.choose import RuntimeChoice, choose_runtime, make_runtime
from sam2_adapter.models.load import load_model
from sam2_adapter.predict.load import load_predictor, make_predictor
from sam2_adapter.training.trainer import train
from tests.command_line import run
from tests.processes import start
from tests.small_model import loaded, small_model
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

# OpenVINO compiles a model in many tests.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU, auto means torch"),
]

DEMO = Path(__file__).parents[3] / "sam2_adapter" / "assets" / "demo"


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch, tmp_path) -> Path:
    """An empty cache of compiled models."""
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_first_user_does_not_wait():
    choice = choose_runtime(loaded(small_model()), precision="fp32")
    assert (choice.name, choice.reason) == ("torch", "not compiled for OpenVINO yet; see sam2-adapter doctor --prepare")


def test_many_images_repay_compiling():
    choice = choose_runtime(loaded(small_model()), precision="fp32", expected_images=500)
    assert (choice.name, choice.reason) == ("openvino", "500 images repay compiling the model")


@pytest.mark.parametrize(
    ("expected_images", "has_compiler", "is_compiled"),
    [(25_000, True, True), (24_999, True, False), (10**6, False, False)],
)
def test_on_a_gpu_very_many_images_repay_compiling(monkeypatch, expected_images, has_compiler, is_compiled):
    monkeypatch.setattr("sam2_adapter.models.engines.choose.resolve_device", lambda device: "cuda:0")
    monkeypatch.setattr("sam2_adapter.models.engines.choose.compiler_is_installed", lambda: has_compiler)
    choice = choose_runtime(loaded(small_model()), expected_images=expected_images)
    assert (choice.name, choice.compile_encoder) == ("torch", is_compiled)
    assert choice.reason.startswith("the device is cuda")
    assert not choose_runtime(loaded(small_model()), runtime="torch", expected_images=expected_images).compile_encoder


def test_a_compiled_model_runs_on_openvino_in_the_precision_it_was_compiled_for(cache_dir):
    make_runtime(loaded(small_model()), "cpu", "openvino", "fp32")
    choice = choose_runtime(loaded(small_model()), precision="fp32")
    assert (choice.name, choice.reason) == ("openvino", "compiled for this machine in fp32")
    assert choose_runtime(loaded(small_model(1)), precision="fp32").name == "torch"
    assert choose_runtime(loaded(small_model()), runtime="torch", precision="fp32").name == "torch"
    assert make_runtime(loaded(small_model()), precision="fp32").name == "openvino"
    assert len(list(cache_dir.glob("openvino/*.bin"))) == 3


def test_a_model_that_openvino_computes_wrongly_runs_on_torch(monkeypatch, caplog):
    monkeypatch.setattr("sam2_adapter.models.engines.openvino.check._MAX_ERROR_FP32", 0.0)
    made = make_runtime(loaded(small_model()), "cpu", precision="fp32", expected_images=500)
    assert made.name == "torch"
    assert "running on torch: On this machine OpenVINO computes the image encoder in fp32 with errors of" in caplog.text
    choice = choose_runtime(loaded(small_model()), "cpu", precision="fp32", expected_images=500)
    assert (choice.name, choice.reason) == ("torch", "OpenVINO computes this model wrongly on this machine")
    assert choice.is_met_by("torch", "fp32")
    with pytest.raises(ConfigError, match="computes the image encoder in fp32 with errors of"):
        make_runtime(loaded(small_model()), "cpu", "openvino", "fp32")


@pytest.mark.parametrize(
    ("choice", "is_met"),
    [
        (RuntimeChoice("torch", "", "auto"), True),
        (RuntimeChoice("torch", "", "fp32"), True),
        (RuntimeChoice("torch", "", "bf16"), False),
        (RuntimeChoice("openvino", "", "fp32"), False),
        (RuntimeChoice("torch", "", "auto", compile_encoder=True), False),
    ],
)
def test_whether_an_engine_is_what_was_chosen(choice, is_met):
    assert choice.is_met_by("torch", "fp32") is is_met


def test_without_openvino_auto_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    choice = choose_runtime(loaded(small_model()), expected_images=500)
    assert choice.name == "torch"
    assert 'pip install "sam2-adapter[openvino]"' in choice.reason
    with pytest.raises(ConfigError, match=r"runtime = 'openvino' is not installed.*or use runtime=torch"):
        make_runtime(loaded(small_model()), runtime="openvino")


def test_an_unknown_runtime_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"Unknown runtime 'onnx'\. The choices are auto, torch, openvino"):
        choose_runtime(loaded(small_model()), runtime="onnx")


def test_openvino_does_not_compute_in_fp16():
    with pytest.raises(ConfigError, match="'fp16' needs a GPU"):
        make_runtime(loaded(small_model()), runtime="openvino", precision="fp16")


def test_predictions_agree_and_say_which_engine_made_them():
    image = read_image(DEMO / "astronaut.jpg")
    height, width = image.shape[:2]
    prompts = [{"box": [width * 0.2, 0, width * 0.7, height]}, {"points": [[width * 0.45, height * 0.2]]}]
    found = {}
    for runtime in ("torch", "openvino"):
        predictor = load_predictor("sam2_nano", "cpu", runtime, "fp32")
        assert (predictor.info.runtime, predictor.info.precision) == (runtime, "fp32")
        found[runtime] = predictor.predict(predictor.embed([image])[0], prompts)
    np.testing.assert_allclose(found["openvino"].low_res_logits, found["torch"].low_res_logits, atol=1e-3)
    np.testing.assert_allclose(found["openvino"].iou_scores, found["torch"].iou_scores, atol=1e-4)
    for one, other in zip(found["openvino"].masks[:, 0], found["torch"].masks[:, 0], strict=True):
        assert mask_iou(one, other) > 0.999


@pytest.mark.slow
def test_doctor_prepares_a_model_for_all_later_commands(cache_dir, tmp_path):
    model = ("--model", "sam2_nano", "--precision", "fp32")
    before = examine("sam2_nano", "fp32").runtime
    assert (before.model, before.runtime) == ("sam2_nano", "torch")
    done = start("doctor", "--prepare", *model, "--json").end()
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["runtime"] == {
        "model": "sam2_nano",
        "runtime": "openvino",
        "reason": "compiled for this machine in fp32",
    }
    assert "openvino: compiled for this machine in fp32" in run("doctor", *model).stdout
    image = DEMO / "astronaut.jpg"
    done = run("predict", image, *model, "--device", "cpu", "--json", "--no-overlay", "--output", tmp_path / "out")
    document = json.loads(done.stdout)
    made_by = json.loads((tmp_path / "out" / "annotations.json").read_text())["info"]["made_by"]
    assert document["model"] == made_by
    assert (made_by["runtime"], made_by["precision"]) == ("openvino", "fp32")
    assert made_by["weights_sha256"] == load_predictor("sam2_nano").info.weights_sha256


def test_doctor_names_what_keeps_a_model_from_running(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    runtime = examine(str(tmp_path / "broken.pt")).runtime
    assert runtime.runtime is None
    assert "broken.pt" in runtime.reason


def test_training_encodes_on_openvino_and_predicts_the_same_as_on_torch(cache_dir, tmp_path):
    samples = make_samples(tmp_path / "images", 4)
    results = {}
    for runtime in ("torch", "openvino"):
        config = small_config_of_run(num_epochs=1, runtime=runtime)
        results[runtime] = train(small_loaded_model(), samples[:3], samples[3:], tmp_path / runtime, config)
        document = json.loads((tmp_path / runtime / "metrics.json").read_text())
        assert document["image_encoder"] == {"runtime": runtime, "precision": "fp32"}
        assert f">{runtime} in fp32<" in (tmp_path / runtime / "report.html").read_text()
    assert [path.name.partition("-")[0] for path in cache_dir.glob("openvino/*.bin")] == ["encoder"]
    for key in ("loss", "miou_box"):
        found, expected = (getattr(results[runtime].history[-1], key) for runtime in ("openvino", "torch"))
        assert found == pytest.approx(expected, rel=1e-3)


FIRST_MASK = """
import sys
import numpy as np
import sam2_adapter
predictor = sam2_adapter.load_predictor("sam2_nano", runtime="openvino", precision="fp32")
(embedding,) = predictor.embed([np.zeros((40, 60, 3), np.uint8)])
masks = [
    predictor.predict(embedding, prompts).masks
    for prompts in ([{"box": [5, 5, 30, 30]}], [{"points": [[9, 9]], "labels": [1]}], None)
]
assert [mask.shape for mask in masks] == [(1, 1, 40, 60)] * 3
sys.exit("transformers" in sys.modules)
"""


@pytest.mark.slow
def test_a_compiled_model_predicts_without_importing_transformers(cache_dir):
    make_predictor(load_model("sam2_nano"), "cpu", "openvino", "fp32")
    finished = subprocess.run([sys.executable, "-c", FIRST_MASK], capture_output=True, text=True, timeout=120)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_fine_tuned_model_starts_on_openvino_at_once(cache_dir):
    make_runtime(small_loaded_model(), "cpu", "openvino", "fp32")
    tuned = small_loaded_model()
    with torch.no_grad():
        tuned.model.mask_decoder.iou_token.weight += 0.1
    predictor = make_predictor(tuned, "cpu", "auto", "fp32")
    assert predictor.info.runtime == "openvino"
    names = sorted(path.name.partition("-")[0] for path in cache_dir.glob("openvino/*.bin"))
    assert names == ["decoder", "decoder", "encoder", "image_side", "image_side"]
