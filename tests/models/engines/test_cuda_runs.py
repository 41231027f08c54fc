"""What runs on an NVIDIA GPU equals what runs on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.models.engines.openvino.check import relative_error
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.load import load_model
from sam2_adapter.models.network.image_encoder import EncodedImages, ImageEncoder
from sam2_adapter.models.network.preprocess import Geometry, images_to_pixel_values
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.training.trainer import train
from tests.conftest import disk_photo, square_photo
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def parts(encoded: EncodedImages) -> list[torch.Tensor]:
    return [level.cpu() for level in (encoded.image_embedding, *encoded.high_res_features)]


def pixel_values(count: int) -> torch.Tensor:
    size = load_model("sam2_nano").model.prompt_encoder.input_image_size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def on_cpu() -> list[torch.Tensor]:
    with torch.inference_mode():
        return parts(ImageEncoder(load_model("sam2_nano").model)(pixel_values(20)))


def runtime(precision: str, compile_encoder: bool = False) -> TorchRuntime:
    return TorchRuntime(load_model("sam2_nano").model, "cuda", precision, compile_encoder=compile_encoder)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_fp32_embeddings_equal_those_of_the_cpu(on_cpu, count):
    engine = runtime("fp32")
    for _ in range(2):  # the second time a graph is replayed
        for computed, expected in zip(parts(engine.encode(pixel_values(20)[:count])), on_cpu, strict=True):
            torch.testing.assert_close(computed, expected[:count], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("precision", "compile_encoder", "count"),
    [("bf16", False, 1), ("bf16", False, 20), ("fp16", False, 1), ("fp16", False, 20), ("bf16", True, 20)],
)
def test_half_precision_is_as_near_to_fp32_as_autocast(on_cpu, precision, compile_encoder, count):
    model = load_model("sam2_nano").model.cuda()
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    with torch.inference_mode(), torch.autocast("cuda", dtype=dtype):
        autocast = parts(ImageEncoder(model)(pixel_values(20)[:count].cuda()))
    computed = parts(runtime(precision, compile_encoder).encode(pixel_values(20)[:count]))
    for ours, theirs, expected in zip(computed, autocast, on_cpu, strict=True):
        assert relative_error(ours, expected[:count]) <= 1.3 * relative_error(theirs, expected[:count])


def test_threads_do_not_disturb_each_other():
    engine, images = runtime("bf16"), pixel_values(8)
    expected = [parts(engine.encode(images[index : index + 1])) for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: parts(engine.encode(images[i % 8 : i % 8 + 1])), range(64)))
    for index, computed in enumerate(found):
        for one, other in zip(computed, expected[index % 8], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("hw", [(400, 600), (2500, 1500), (30, 50)])
def test_pixel_values_equal_those_of_the_cpu(resize, hw):
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8)
    computed = images_to_pixel_values([image], 256, resize, "cuda").cpu()
    torch.testing.assert_close(computed, images_to_pixel_values([image], 256, resize), rtol=0, atol=2e-5)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_masks_equal_those_of_the_cpu(resize):
    logits = torch.randn(5, 64, 64, generator=torch.Generator().manual_seed(1))
    geometry = Geometry((700, 900), 256, resize)
    found = geometry.device_logits_to_masks(logits.cuda())
    assert np.mean(found != geometry.logits_to_masks(logits.numpy())) < 1e-3


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_masks_of_prompts_agree_with_the_cpu(precision):
    photos = [np.asarray(photo) for photo in (disk_photo(), square_photo())]
    prompts = [{"box": [20, 20, 110, 110]}, {"points": [[64, 64]]}, {"points": [[60, 60], [5, 5]], "labels": [1, 0]}]
    found = {}
    for device, kind in (("cpu", "fp32"), ("cuda", precision)):
        predictor = load_predictor("sam2_nano", device=device, runtime="torch", precision=kind)
        embeddings = predictor.embed(photos)
        found[device] = [mask for one in embeddings for mask in predictor.predict(one, prompts * 15).masks[:, 0]]
    ious = [mask_iou(ours, other) for ours, other in zip(found["cuda"], found["cpu"], strict=True)]
    assert len(ious) == 90
    assert np.median(ious) >= 0.99


def test_embeddings_that_were_kept_on_the_cpu_are_decoded():
    engine = runtime("fp32")
    encoded, box = engine.encode(pixel_values(1)), torch.tensor([[10.0, 10.0, 90.0, 100.0]])
    there = engine.decode(encoded, PromptTensors(box_xyxy=box))
    kept = engine.decode(encoded.to("cpu"), PromptTensors(box_xyxy=box))
    assert torch.equal(there.low_res_logits, kept.low_res_logits)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_fine_tuning_gains(precision, tmp_path: Path):
    samples = make_samples(tmp_path / "data", 8)
    config = small_config_of_run(device="cuda", precision=precision, num_epochs=4)
    train(small_loaded_model(), samples[:6], samples[6:], tmp_path / "run", config)
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("loss")
    losses = [float(line.split(",")[column]) for line in lines[2:]]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
