"""Which tensors each compiled part depends on, so that a fine-tuned model finds the encoder of its origin."""

from __future__ import annotations

import dataclasses

from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.openvino.compiled_parts import DECODER, ENCODER, IMAGE_SIDE, entry_name, part_states
from tests.small_model import loaded, small_model


def test_every_tensor_belongs_to_the_encoder_or_to_the_decoder():
    model = loaded(small_model())
    encoder, image_side, decoder = (part.weights(model) for part in (ENCODER, IMAGE_SIDE, DECODER))
    assert encoder.keys() | decoder.keys() == model.tensors.keys()
    assert not encoder.keys() & decoder.keys()
    assert image_side.keys() == decoder.keys()
    assert "vision_encoder.backbone.patch_embed.projection.weight" in encoder
    assert "mask_decoder.conv_s0.weight" in encoder


def test_a_trained_decoder_changes_only_its_own_entries():
    before = loaded(small_model())
    name = next(name for name in DECODER.weights(before) if name.endswith("iou_token.weight"))
    after = dataclasses.replace(before, tensors={**before.tensors, name: before.tensors[name] + 1})
    assert entry_name(ENCODER, before, "fp32") == entry_name(ENCODER, after, "fp32")
    assert entry_name(DECODER, before, "fp32") != entry_name(DECODER, after, "fp32")
    assert entry_name(DECODER, before, "fp32") != entry_name(DECODER, before, "bf16")


def test_the_cache_tells_what_is_there(tmp_path):
    model, cache = loaded(small_model()), CompiledCache(tmp_path)
    cache.write(entry_name(ENCODER, model, "fp32"), b"compiled")
    states = part_states(ENCODER, model, ("fp32", "bf16"), cache)
    assert {precision: tuple(state) for precision, state in states.items()} == {
        "fp32": (True, False),
        "bf16": (False, False),
    }
