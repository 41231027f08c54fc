"""The upscaling as matrix products equals the transposed convolutions that it stands for."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.upscaling import mask_logits
from tests.small_model import HIDDEN, small_model

SIDES = (3, 5)


@pytest.fixture(scope="module")
def decoder():
    return small_model().mask_decoder


def _random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _images(batch):
    height, width = SIDES
    coarse = _random(batch, HIDDEN, height, width, seed=1)
    middle = _random(batch, HIDDEN // 4, 2 * height, 2 * width, seed=2)
    fine = _random(batch, HIDDEN // 8, 4 * height, 4 * width, seed=3)
    return EncodedImages(coarse, (fine, middle))


def _expected(decoder, mask_tokens, image_tokens, images):
    """The same with the convolutions of the model itself."""
    fine, middle = images.high_res_features
    cells = image_tokens.transpose(1, 2).reshape(len(image_tokens), -1, *SIDES)
    cells = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(cells) + middle))
    cells = decoder.activation(decoder.upscale_conv2(cells) + fine)
    mlps = decoder.output_hypernetworks_mlps
    weights = torch.stack([mlp(token) for mlp, token in zip(mlps, mask_tokens.unbind(1), strict=True)], dim=1)
    return torch.einsum("pkc,pchw->pkhw", weights, cells)


@pytest.mark.parametrize("batch", [1, 2])
def test_it_equals_the_convolutions(decoder, batch):
    mask_tokens, image_tokens = _random(2, 4, HIDDEN, seed=4), _random(2, SIDES[0] * SIDES[1], HIDDEN, seed=5)
    images = _images(batch)
    with torch.no_grad():
        found = mask_logits(decoder, mask_tokens, image_tokens, images)
        expected = _expected(decoder, mask_tokens, image_tokens, images)
    assert found.shape == (2, 4, 4 * SIDES[0], 4 * SIDES[1])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_its_gradients_equal_those_of_the_convolutions(decoder):
    images, gradients = _images(1), []
    for function in (mask_logits, _expected):
        mask_tokens = _random(1, 4, HIDDEN, seed=4).requires_grad_()
        image_tokens = _random(1, SIDES[0] * SIDES[1], HIDDEN, seed=5).requires_grad_()
        function(decoder, mask_tokens, image_tokens, images).square().mean().backward()
        gradients.append((mask_tokens.grad, image_tokens.grad))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
