"""The composed image encoder equals the library's, and rounds as autocast does."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2Model

from sam2_adapter.models.engines.openvino.check import relative_error
from sam2_adapter.models.load import load_model
from sam2_adapter.models.network.image_encoder import EncodedImages, ImageEncoder, widened_with_gelu
from tests.small_model import IMAGE_SIZE, small_model


def parts(encoded: EncodedImages) -> tuple[torch.Tensor, ...]:
    return encoded.image_embedding, *encoded.high_res_features


def librarys(model: Sam2Model, pixel_values: torch.Tensor) -> EncodedImages:
    fine, middle, coarse = model.vision_encoder(pixel_values).fpn_hidden_states
    decoder = model.mask_decoder
    embedding = coarse + model.no_memory_embedding.view(1, -1, 1, 1)
    return EncodedImages(embedding, (decoder.conv_s0(fine), decoder.conv_s1(middle)))


def model_and_pixels(name: str) -> tuple[Sam2Model, torch.Tensor]:
    model = small_model() if name == "small" else load_model("sam2_nano").model
    size = model.prompt_encoder.input_image_size
    return model, torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "sam2_nano"])
@torch.inference_mode()
def test_fp32_equals_the_librarys_encoder(name):
    model, pixel_values = model_and_pixels(name)
    expected = parts(librarys(model, pixel_values))
    for computed, other in zip(parts(ImageEncoder(model)(pixel_values)), expected, strict=True):
        assert computed.shape == other.shape
        assert computed.is_contiguous()
        torch.testing.assert_close(computed, other, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "sam2_nano"])
@torch.inference_mode()
def test_bf16_is_as_near_to_fp32_as_autocast(name):
    model, pixel_values = model_and_pixels(name)
    exact = parts(ImageEncoder(model)(pixel_values))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = parts(librarys(model, pixel_values))
    computed = parts(ImageEncoder(model, torch.bfloat16)(pixel_values))
    for ours, theirs, expected in zip(computed, autocast, exact, strict=True):
        assert 0 < relative_error(ours, expected) <= 1.3 * relative_error(theirs, expected)


@torch.inference_mode()
def test_images_of_a_batch_do_not_see_each_other():
    model, pixel_values = model_and_pixels("small")
    together = ImageEncoder(model)(pixel_values)
    alone = ImageEncoder(model)(pixel_values[1:])
    for one, other in zip(parts(together), parts(alone), strict=True):
        torch.testing.assert_close(one[1:], other, rtol=0, atol=1e-5)


def test_fp32_weights_are_shared_and_moving_or_rounding_leaves_the_model_alone():
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    encoder = ImageEncoder(model)
    assert (
        encoder.blocks[0].mlp.widen.weight.data_ptr()
        == model.vision_encoder.backbone.blocks[0].mlp.proj_in.weight.data_ptr()
    )
    ImageEncoder(model, torch.bfloat16).to("meta")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name])
    assert not any(buffer.requires_grad for buffer in encoder.buffers())
    assert encoder(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)).image_embedding.grad_fn is None


@torch.inference_mode()
def test_patches_are_the_same_by_convolution_and_by_matrix_product():
    model, pixel_values = model_and_pixels("sam2_nano")
    embedding = ImageEncoder(model).patch_embedding
    convolved, multiplied = embedding.convolved(pixel_values), embedding.multiplied(pixel_values)
    assert convolved.shape == multiplied.shape
    torch.testing.assert_close(multiplied, convolved, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_fused_gelu_differs_by_less_than_rounding():
    layer = ImageEncoder(small_model(), torch.bfloat16).blocks[0].mlp.widen
    x = torch.randn(2, 5, 7, layer.weight.shape[1], generator=torch.Generator().manual_seed(4)) * 3
    exact = torch.nn.functional.gelu(x.bfloat16().float() @ layer.weight.float().t() + layer.bias.float())
    fused = widened_with_gelu(x.bfloat16(), layer)
    assert fused.shape == exact.shape
    assert fused.dtype == torch.bfloat16
    rounded = (torch.nn.functional.linear(x.bfloat16(), layer.weight, layer.bias)).float()
    unfused = torch.nn.functional.gelu(rounded.bfloat16())
    assert relative_error(fused, exact) <= 1.2 * relative_error(unfused, exact)
