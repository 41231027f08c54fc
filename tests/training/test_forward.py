"""The trained part: which parameters, gradients of every output that prediction reads, and the path that it shares with prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.preprocess import Geometry, images_to_pixel_values
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.training.batches import Question, draw_question, make_batch, training_objects
from sam2_adapter.training.forward import (
    PromptBatch,
    TrainableDecoder,
    freeze_all_but_trained,
    trained_names,
    trained_parameters,
)
from tests.shapes import FEW
from tests.small_model import loaded, small_model
from tests.training.small_run import loss_weights, make_samples, small_config_of_run

SIZE = 64
GRID = (16, 16)


def decoder_of(model, *arguments) -> TrainableDecoder:
    return TrainableDecoder(loaded(model), *arguments)


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Sample:
    return make_samples(tmp_path_factory.mktemp("images"), 1)[0]


@pytest.fixture
def model():
    model = small_model(image_size=SIZE)
    freeze_all_but_trained(model)
    return model


@torch.no_grad()
def encoded(model, sample) -> EncodedImages:
    return encode_image(model, images_to_pixel_values([sample.read_image()], SIZE))


def only(kind: str) -> dict[str, float]:
    return {"prompt_box": 0, "prompt_click": 0, f"prompt_{kind}": 1}


def batch(model, sample, kind: str, corrections: int = 0) -> PromptBatch:
    config = small_config_of_run(
        **only(kind),
        correction_share=float(corrections > 0),
        correction_rounds=corrections,
        max_points=1,
    )
    questions = [draw_question(item, 1, config, SIZE) for item in training_objects([sample])]
    return make_batch(questions[:1], [encoded(model, sample)], SIZE, "stretch", GRID)


def test_exactly_the_prompt_encoder_and_the_decoders_prompt_side_are_trained():
    model = small_model(image_size=SIZE)
    names = {name for name, _ in model.named_parameters()}
    left_out = {f"mask_decoder.conv_s{level}.{part}" for level in (0, 1) for part in ("weight", "bias")}
    expected = {name for name in names if name.startswith(("prompt_encoder.", "mask_decoder."))} - left_out
    assert set(trained_names(model)) == expected
    assert len(expected) == 140
    groups = {".".join(name.split(".")[:2]) for name in expected}
    assert groups == {
        "prompt_encoder.mask_embed", "prompt_encoder.no_mask_embed", "prompt_encoder.not_a_point_embed", "prompt_encoder.point_embed",
        "mask_decoder.iou_prediction_head", "mask_decoder.iou_token", "mask_decoder.mask_tokens", "mask_decoder.obj_score_token",
        "mask_decoder.output_hypernetworks_mlps", "mask_decoder.pred_obj_score_head", "mask_decoder.transformer",
        "mask_decoder.upscale_conv1", "mask_decoder.upscale_conv2", "mask_decoder.upscale_layer_norm",
    }  # fmt: skip


def test_freezing_lets_gradients_flow_to_the_trained_part_only(model):
    flowing = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert flowing == set(trained_names(model))


def test_what_draws_and_scores_candidates_can_learn_alone(model, sample):
    names = trained_names(model, "candidates")
    assert {".".join(name.split(".")[:2]) for name in names} == {
        "mask_decoder.iou_prediction_head",
        "mask_decoder.output_hypernetworks_mlps",
    }
    assert not any("mlps.0." in name for name in names)
    assert set(names) < set(trained_names(model))
    freeze_all_but_trained(model, "candidates")
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == set(names)
    decoder_of(model, loss_weights())(batch(model, sample, "click", corrections=2)).total.sum().backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} <= set(names)
    candidates = trained_parameters(model, "candidates")
    assert all(candidates[name].grad is not None for name in names if "iou_prediction_head" in name)


@pytest.mark.parametrize("kind", ["box", "click", "clicks"])
def test_every_output_that_prediction_reads_gets_gradient(model, sample, kind):
    decoder = decoder_of(model, loss_weights())
    decoder(batch(model, sample, kind)).total.sum().backward()
    heads = model.mask_decoder.output_hypernetworks_mlps
    norms = [sum(p.grad.norm().item() for p in head.parameters() if p.grad is not None) for head in heads]
    assert norms[0] > 0, "the single-mask output, which boxes and several points are answered with"
    assert sum(norm > 0 for norm in norms[1:]) == 1, "the best candidate, which clicks are answered with"
    assert (model.mask_decoder.iou_prediction_head.proj_out.bias.grad != 0).all()
    assert model.mask_decoder.pred_obj_score_head.proj_out.bias.grad.item() != 0


def test_corrections_train_the_mask_input_and_the_background_point(model, sample):
    decoder = decoder_of(model, loss_weights())
    decoder(batch(model, sample, "box", corrections=3)).total.sum().backward()
    assert model.prompt_encoder.mask_embed.conv1.weight.grad.norm() > 0
    assert (model.prompt_encoder.point_embed.weight.grad.norm(dim=1) > 0).sum() >= 3


def test_with_many_corrections_the_first_and_the_last_answer_can_be_trained_alone(model, sample):
    found = {}
    for answers in ("all", "ends"):
        decoder = TrainableDecoder(loaded(model), loss_weights(), trained_answers=answers)
        for corrections in (0, 1, 3):
            found[answers, corrections] = decoder(batch(model, sample, "click", corrections)).total.item()
    assert found["ends", 0] == found["all", 0]
    assert found["ends", 1] == pytest.approx(found["all", 1])
    first, last = found["all", 0], 2 * found["ends", 3] - found["all", 0]
    # The mean over four answers of which these are the ends: the two between have the rest.
    rest = 4 * found["all", 3] - first - last
    assert rest > 0
    assert found["ends", 3] != pytest.approx(found["all", 3])
    model.zero_grad()
    TrainableDecoder(loaded(model), loss_weights(), trained_answers="ends")(
        batch(model, sample, "box", 3)
    ).total.sum().backward()
    assert model.prompt_encoder.mask_embed.conv1.weight.grad.norm() > 0


class _FixedRuntime:
    """A runtime whose decoder always answers the same."""

    name, precision, device, image_size, low_res_hw, prompts_per_call = (
        "fixed",
        "fp32",
        "cpu",
        SIZE,
        (SIZE // 4,) * 2,
        8,
    )

    def __init__(self, decoded: DecodedMasks) -> None:
        self._decoded = decoded

    def decode(self, images, prompts):
        return self._decoded


@pytest.fixture(scope="module")
def untrained():
    model = small_model(image_size=SIZE)
    return decoder_of(model, loss_weights()), encode_image(model, torch.zeros(1, 3, SIZE, SIZE))


@pytest.mark.parametrize("kind", ["click", "box", "clicks", "whole image"])
@FEW
@given(st.integers(0, 2**32 - 1))
def test_training_corrects_the_answer_that_prediction_gives(untrained, kind, seed):
    rng, (decoder, image) = np.random.default_rng(seed), untrained
    hw = tuple(rng.integers(20, 90, 2).tolist())
    logits = torch.from_numpy(
        rng.normal(rng.normal(0, 3, (1, 4, 1, 1)), 3, (1, 4, SIZE // 4, SIZE // 4)).astype(np.float32)
    )
    answered = DecodedMasks(
        logits, torch.from_numpy(rng.choice([0.2, 0.5, 0.7], (1, 4)).astype(np.float32)), torch.zeros(1, 1)
    )
    x, y = rng.integers(0, (hw[1], hw[0])) + 0.5
    prompt = {
        "click": Prompt.from_dict({"points": [[x, y]]}),
        "box": Prompt.from_dict({"box": [1, 2, hw[1] - 3, hw[0] - 4]}),
        "clicks": Prompt.from_dict({"points": [[x, y], [0.5, 0.5]], "labels": [1, 0]}),
        "whole image": Prompt.whole_image(hw),
    }[kind]
    question = Question(0, "", np.ones(hw, bool), prompt, 0, 0)
    trained = decoder._answer(make_batch([question], [image], SIZE, "stretch", GRID), answered)
    predictor = Predictor(_FixedRuntime(answered), "fixed", "0", "stretch")
    predicted = predictor.predict(ImageEmbedding(image, Geometry(hw, SIZE), "0"), [prompt])
    assert np.array_equal(trained[0].numpy(), predicted.low_res_logits[0, 0])


@pytest.mark.parametrize("kind", ["box", "click", "clicks"])
def test_training_and_prediction_give_the_same_masks(model, sample, kind):
    """One decoder pass of training equals the predictor's, bit for bit: same prompts, same embedding, same logits."""
    config = small_config_of_run(**only(kind), correction_share=0.0)
    question = draw_question(training_objects([sample])[0], 1, config, SIZE)
    image = encoded(model, sample)
    seen = []
    decoder = decoder_of(model, loss_weights())
    original = decoder._decode
    decoder._decode = lambda batch: seen.append(original(batch)) or seen[-1]
    decoder(make_batch([question], [image], SIZE, "stretch", GRID))
    predictor = Predictor(TorchRuntime(model, "cpu", "fp32"), "small", "0", "stretch")
    embedding = ImageEmbedding(image, Geometry(sample.original_hw, SIZE), "0")
    prediction = predictor.predict(embedding, [question.prompt], multimask_output=True)
    assert np.array_equal(prediction.low_res_logits[0], seen[0].low_res_logits[0, 1:].detach().numpy())
    assert np.array_equal(prediction.iou_scores[0], seen[0].iou_scores[0, 1:].detach().numpy())


def test_rounds_are_averaged_and_a_batch_is_its_objects(model, sample):
    objects = training_objects([sample])
    config = small_config_of_run(**only("box"), correction_share=1.0, correction_rounds=2)
    questions = [draw_question(item, 1, config, SIZE) for item in objects]
    image = encoded(model, sample)
    decoder = decoder_of(model, loss_weights())
    together = decoder(make_batch(questions, [image] * 2, SIZE, "stretch", GRID))
    alone = [decoder(make_batch([question], [image], SIZE, "stretch", GRID)) for question in questions]
    torch.testing.assert_close(together.total, torch.cat([terms.total for terms in alone]), rtol=1e-4, atol=1e-4)


def test_the_loss_grid_may_be_finer_than_the_logits(model, sample):
    config = small_config_of_run(correction_share=1.0, correction_rounds=1)
    question = draw_question(training_objects([sample])[0], 1, config, SIZE)
    terms = decoder_of(model, loss_weights())(
        make_batch([question], [encoded(model, sample)], SIZE, "stretch", (64, 64))
    )
    assert terms.total.isfinite().all()


def test_bf16_moves_the_loss_little_and_leaves_weights_in_fp32(model, sample):
    prompts = batch(model, sample, "box")
    exact = decoder_of(model, loss_weights())(prompts).total
    rounded = decoder_of(model, loss_weights(), torch.bfloat16)(prompts).total
    assert exact.dtype == rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    rounded.sum().backward()
    assert {parameter.grad.dtype for parameter in trained_parameters(model).values() if parameter.grad is not None} == {
        torch.float32
    }


def test_an_object_with_a_void_region_trains_beside_one_without(model, sample):
    """In one batch: the same loss for the object without, and cells that do not count for the other."""
    void = sample.gt_masks.any(axis=0)
    region = np.zeros_like(void)
    region[:, :12] = True
    config = small_config_of_run(**only("box"), correction_share=1.0, correction_rounds=2)
    objects = training_objects([sample, replace(sample, ignored=mask_to_rle(region & ~void))])
    pair = [draw_question(objects[index], 1, config, SIZE) for index in (0, len(sample.objects))]
    both = make_batch(pair, [encoded(model, sample)] * 2, SIZE, "stretch", (64, 64))
    alone = make_batch(pair[:1], [encoded(model, sample)], SIZE, "stretch", (64, 64))
    assert torch.equal(both.targets.inside[:1], alone.targets.inside)
    assert torch.equal(both.targets.masks[:1], alone.targets.masks)
    assert alone.targets.ignored is None
    assert both.targets.ignored.any(dim=(1, 2)).tolist() == [False, True]
    assert (both.targets.inside[1][both.targets.ignored[1]] < 1).all()
    assert decoder_of(model, loss_weights())(both).total.isfinite().all()
