"""Batches for a GPU: how they are split and filled, and what happens without a compiler. Runs on the CPU."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import torch

from sam2_adapter.models.engines.cuda import CudaEncoder
from sam2_adapter.models.network.image_encoder import EncodedImages, ImageEncoder
from tests.small_model import IMAGE_SIZE, small_model


def parts(encoded: EncodedImages) -> tuple[torch.Tensor, ...]:
    return encoded.image_embedding, *encoded.high_res_features


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder(small_model())


@pytest.fixture(scope="module")
def pixel_values() -> torch.Tensor:
    return torch.randn(11, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(2))


class Watched:
    """An encoder that notes the sizes of its batches."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self.encoder, self.sizes = encoder, []

    def __call__(self, pixel_values: torch.Tensor) -> EncodedImages:
        self.sizes.append(len(pixel_values))
        return self.encoder(pixel_values)


@torch.inference_mode()
def test_large_batches_are_encoded_in_parts(encoder, pixel_values):
    watched = Watched(encoder)
    encoded = CudaEncoder(watched, 4)(pixel_values)
    assert watched.sizes == [4, 4, 3]
    for one, other in zip(parts(encoded), parts(encoder(pixel_values)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_compiled_batches_are_filled_up_unless_they_are_small(encoder, pixel_values, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled.append(options) or watched)
    compiled, watched, plain = [], Watched(encoder), Watched(encoder)
    expected = parts(encoder(pixel_values))
    for count, in_full, alone in ((11, [4, 4, 4], []), (10, [4, 4], [2]), (3, [4], [])):
        watched.sizes, plain.sizes = [], []
        encoded = CudaEncoder(plain, 4, is_compiled=True)(pixel_values[:count])
        assert (watched.sizes, plain.sizes) == (in_full, alone)
        for one, other in zip(parts(encoded), expected, strict=True):
            torch.testing.assert_close(one, other[:count], rtol=0, atol=1e-5)
    # One shape only: another would be compiled again.
    assert compiled == [{"dynamic": False, "fullgraph": True}] * 3


@pytest.mark.slow
@torch.inference_mode()
def test_the_encoder_is_one_graph_for_the_compiler(encoder, pixel_values):
    traced = torch.compile(encoder, dynamic=False, fullgraph=True, backend="eager")
    for one, other in zip(parts(traced(pixel_values[:2])), parts(encoder(pixel_values[:2])), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_without_a_working_compiler_it_says_so_once_and_goes_on(encoder, pixel_values, monkeypatch, caplog):
    def fails(error: Exception, pixel_values: torch.Tensor) -> None:
        raise error

    monkeypatch.setattr(torch, "compile", lambda module, **_: partial(fails, RuntimeError("no C compiler\nat all")))
    engine = CudaEncoder(encoder, 4, is_compiled=True)
    with caplog.at_level(logging.WARNING):
        encoded = engine(pixel_values)
    assert [record.message for record in caplog.records] == [
        "Encoding without the compiler, which failed: no C compiler"
    ]
    for one, other in zip(parts(encoded), parts(encoder(pixel_values)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_want_of_memory_is_not_a_failure_of_the_compiler(encoder, pixel_values, monkeypatch):
    def fails(pixel_values: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda module, **_: fails)
    with pytest.raises(torch.OutOfMemoryError):
        CudaEncoder(encoder, 4, is_compiled=True)(pixel_values)
