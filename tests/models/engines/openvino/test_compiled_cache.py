"""Compiled parts on disk: made once, found again, shared with fine-tuned models and between processes."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_parts import DECODER, ENCODER, IMAGE_SIDE, entry_name, load_part
from sam2_adapter.models.engines.openvino.encoder import encoder_graph
from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from sam2_adapter.training.forward import trained_parameters
from tests import processes
from tests.models.engines.openvino.compiling import compile_in
from tests.small_model import HIDDEN, IMAGE_SIZE, loaded, small_model

# OpenVINO compiles a model in nearly every test.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
MAKING = "compiling the {} for OpenVINO"
BOXES = torch.tensor([[10.0, 20.0, 90.0, 110.0]])


@pytest.fixture
def cache(tmp_path) -> CompiledCache:
    return CompiledCache(tmp_path / "compiled")


@pytest.fixture(autouse=True)
def _log_all(caplog):
    caplog.set_level(logging.INFO, "sam2_adapter")


def entries(cache: CompiledCache) -> dict[str, int]:
    """Name of each entry and the number of its file, which a rewritten file would not keep."""
    return {path.name: path.stat().st_ino for path in cache.directory.glob("*.bin")}


def fine_tuned() -> torch.nn.Module:
    """The small model with other weights in everything that training changes."""
    model = small_model()
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trained_parameters(model).values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=draw)
    return model


def embedding_of(runtime: OpenVinoRuntime | TorchRuntime) -> torch.Tensor:
    pixel_values = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(7))
    return runtime.encode(pixel_values).image_embedding


def test_compiled_parts_are_found_again(cache, caplog):
    first = embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32"))
    assert caplog.text.count("compiling the") == 3
    made = entries(cache)
    assert sorted(name.partition("-")[0] for name in made) == ["decoder", "encoder", "image_side"]
    assert torch.equal(embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32")), first)
    assert caplog.text.count("compiling the") == 3
    assert entries(cache) == made
    assert not list(cache.directory.glob("*.part"))


def test_what_a_part_depends_on_is_in_its_name():
    model, other = small_model(), small_model(1)
    names = {
        entry_name(part, loaded(each), precision)
        for part in (ENCODER, IMAGE_SIDE, DECODER)
        for each in (model, other)
        for precision in ("fp32", "bf16")
    }
    assert len(names) == 12
    assert entry_name(ENCODER, loaded(small_model()), "fp32") in names


def test_a_fine_tuned_model_takes_the_encoder_of_its_origin(cache, caplog):
    OpenVinoRuntime(loaded(small_model()), cache, "fp32")
    before = entries(cache)
    caplog.clear()
    tuned = OpenVinoRuntime(loaded(fine_tuned()), cache, "fp32")
    assert MAKING.format("encoder") not in caplog.text
    assert MAKING.format("decoder") in caplog.text
    decoder, image_side = sorted(entries(cache).keys() - before.keys())
    assert decoder.startswith("decoder-fp32-")
    assert image_side.startswith("image_side-fp32-")
    expected = TorchRuntime(fine_tuned(), "cpu", "fp32")
    image = expected.encode(torch.ones(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    found, wanted = (engine.decode(image, PromptTensors(box_xyxy=BOXES)) for engine in (tuned, expected))
    torch.testing.assert_close(found.low_res_logits, wanted.low_res_logits, atol=1e-3, rtol=0)


def test_an_encoder_alone_needs_no_decoder(cache):
    OpenVinoRuntime(loaded(small_model()), cache, "fp32", with_decoder=False)
    (name,) = entries(cache)
    assert name.startswith("encoder-fp32-")


def test_a_damaged_entry_is_made_again(cache, caplog):
    expected = embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32", with_decoder=False))
    (path,) = cache.directory.glob("*.bin")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert torch.equal(
        embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32", with_decoder=False)), expected
    )
    assert "is damaged and is made again" in caplog.text
    assert caplog.text.count("compiling the") == 2
    assert cache.read(path.stem) is not None


def test_an_entry_that_openvino_refuses_is_made_again(cache, caplog):
    cache.write(entry_name(ENCODER, loaded(small_model()), "fp32"), b"not a compiled model")
    found = embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32", with_decoder=False))
    expected = embedding_of(TorchRuntime(small_model(), "cpu", "fp32"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert "OpenVINO does not take encoder-fp32-" in caplog.text


def test_what_disagrees_with_torch_is_not_kept_and_not_tried_again(cache, caplog):
    wrong = replace(ENCODER, graph=lambda model: encoder_graph(small_model(1)))
    refusals = []
    for _ in range(2):
        with pytest.raises(ConfigError, match="Use runtime=torch") as refusal:
            load_part(wrong, loaded(small_model()), "fp32", cache)
        refusals.append(str(refusal.value))
    assert refusals[0] == refusals[1]
    assert caplog.text.count("compiling the") == 1
    (path,) = cache.directory.glob("*.bin")
    assert path.stem.endswith("-refused")
    path.unlink()
    assert embedding_of(OpenVinoRuntime(loaded(small_model()), cache, "fp32", with_decoder=False)).shape[1] == HIDDEN


def test_entries_that_nobody_reads_any_more_are_deleted_when_another_is_made(cache):
    for name in ("used", "unused"):
        cache.write(name, b"content")
        with cache.making(name):
            pass
    a_year_ago = time.time() - 365 * 24 * 3600
    for name in ("used", "unused"):
        os.utime(cache.directory / f"{name}.bin", (a_year_ago, a_year_ago))
    assert cache.read("used") == b"content"
    cache.write("new", b"new content")
    assert sorted(path.name for path in cache.directory.iterdir()) == [".used.lock", "new.bin", "used.bin"]
    assert cache.read("unused") is None


def test_an_openvino_that_always_fuses_attention_serves_too(cache, monkeypatch, caplog):
    monkeypatch.setattr(
        "sam2_adapter.models.engines.openvino.compiled_graph._UNFUSED", {"A_SETTING_OF_ANOTHER_VERSION": "DISABLE"}
    )
    caplog.set_level("DEBUG", "sam2_adapter")
    runtime = OpenVinoRuntime(loaded(small_model()), cache, "fp32")
    expected = TorchRuntime(small_model(), "cpu", "fp32")
    image = expected.encode(torch.ones(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    found, wanted = (engine.decode(image, PromptTensors(box_xyxy=BOXES)) for engine in (runtime, expected))
    torch.testing.assert_close(found.low_res_logits, wanted.low_res_logits, atol=1e-3, rtol=0)
    assert "compiled with fused attention" in caplog.text


def test_without_a_place_to_keep_it_the_model_is_compiled_every_time(tmp_path, caplog):
    (tmp_path / "file").touch()
    OpenVinoRuntime(loaded(small_model()), CompiledCache(tmp_path / "file" / "compiled"), "fp32", with_decoder=False)
    assert "cannot keep a compiled model in" in caplog.text


def test_of_processes_at_the_same_time_one_compiles(cache, tmp_path):
    processes.ready()
    together, logs = processes.CONTEXT.Barrier(2), [tmp_path / f"{number}.log" for number in range(2)]
    started = [processes.CONTEXT.Process(target=compile_in, args=(cache.directory, log, together)) for log in logs]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    messages = "".join(log.read_text() for log in logs)
    assert [process.exitcode for process in started] == [0, 0], messages
    assert messages.count(MAKING.format("encoder")) == 1
    assert len(entries(cache)) == 1
