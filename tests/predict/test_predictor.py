"""The predictor on a small seeded model: grouping, choices, geometry, threads and memory."""

from __future__ import annotations

import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ConfigError, ImageError, PromptError, Sam2AdapterError
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.predict.predictor import Predictor
from tests.small_model import small_model, small_predictor

HEIGHT, WIDTH = 90, 140

MIXED = [
    {"box": [10, 10, 80, 70]},
    {"points": [[30, 40]]},
    {"points": [[30, 40], [100, 20]], "labels": [1, 0]},
    {"box": [20, 5, 130, 85], "points": [[60, 50]]},
    {"points": [[99.5, 12.25]]},
    {"box": [0, 0, WIDTH, HEIGHT]},
    {"box": [50, 20, 90, 60]},
]


def random_image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.float32)
    smooth = F.interpolate(torch.from_numpy(coarse).permute(2, 0, 1)[None], size=(height, width), mode="bicubic")[0]
    return smooth.clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


@pytest.fixture(scope="module")
def embedding(predictor):
    return predictor.embed([random_image(0)])[0]


def test_a_batch_equals_its_images_alone(predictor):
    images = [random_image(1), random_image(2, 60, 200), random_image(3, 128, 128)]
    for image, embedded in zip(images, predictor.embed(images), strict=True):
        alone = predictor.embed([image])[0]
        assert embedded.original_hw == image.shape[:2]
        torch.testing.assert_close(
            embedded.encoded.image_embedding, alone.encoded.image_embedding, rtol=1e-4, atol=1e-4
        )


def test_an_embedding_does_not_keep_its_batch(predictor):
    embedded = predictor.embed([random_image(1)] * 4)[0]
    tensor = embedded.encoded.image_embedding
    assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.slow
def test_all_objects_together_equal_one_at_a_time(predictor, embedding):
    together = predictor.predict(embedding, MIXED)
    assert together.masks.shape == (len(MIXED), 1, HEIGHT, WIDTH)
    assert together.low_res_logits.shape == (len(MIXED), 1, 32, 32)
    for index, prompt in enumerate(MIXED):
        alone = predictor.predict(embedding, [prompt])
        np.testing.assert_allclose(together.low_res_logits[index], alone.low_res_logits[0], atol=1e-4)
        np.testing.assert_allclose(together.iou_scores[index], alone.iou_scores[0], atol=1e-5)
    distinct = {together.low_res_logits[i].tobytes() for i in range(len(MIXED))}
    assert len(distinct) == len(MIXED)


def test_masks_are_the_upsampled_logits_above_zero(predictor, embedding):
    prediction = predictor.predict(embedding, MIXED)
    upsampled = F.interpolate(
        torch.from_numpy(prediction.low_res_logits), size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False
    )
    assert np.array_equal(prediction.masks, (upsampled > 0).numpy())
    assert 0.02 < prediction.masks.mean() < 0.98


def test_no_prompt_is_the_whole_image(predictor, embedding):
    expected = predictor.predict(embedding, [{"box": [0, 0, WIDTH, HEIGHT]}])
    for nothing in (None, []):
        prediction = predictor.predict(embedding, nothing)
        assert np.array_equal(prediction.masks, expected.masks)
        assert len(prediction) == 1


def test_ambiguous_prompts_give_the_best_scored_candidate(predictor, embedding):
    whole = [{"box": [0, 0, WIDTH, HEIGHT]}]
    candidates = predictor.predict(embedding, whole, multimask_output=True)
    assert candidates.masks.shape[:2] == (1, 3)
    best = int(candidates.iou_scores[0].argmax())
    chosen = predictor.predict(embedding, whole)
    np.testing.assert_array_equal(chosen.low_res_logits[0, 0], candidates.low_res_logits[0, best])
    assert chosen.iou_scores[0, 0] == candidates.iou_scores[0].max()


def test_a_box_gives_the_single_mask_output(predictor, embedding):
    box = [{"box": [10, 10, 80, 70]}]
    chosen, single = predictor.predict(embedding, box), predictor.predict(embedding, box, multimask_output=False)
    np.testing.assert_array_equal(chosen.low_res_logits, single.low_res_logits)


class FixedRuntime:
    """A runtime whose decoder always answers the same, to test the choice among candidates."""

    name, precision, device, image_size, low_res_hw = "fixed", "fp32", "cpu", 32, (8, 8)
    prompts_per_call = 4

    def __init__(self, decoded: DecodedMasks, encoded) -> None:
        self._decoded, self._encoded = decoded, encoded

    def encode(self, pixel_values):
        return self._encoded

    def decode(self, images, prompts):
        return self._decoded


def test_a_click_takes_the_best_candidate_that_contains_it(embedding):
    left = torch.full((8, 8), -1.0)
    left[:, :4] = 1.0
    logits = torch.stack([left, left, -left, left])[None]
    scores = torch.tensor([[0.99, 0.4, 0.9, 0.5]])
    predictor = Predictor(
        FixedRuntime(DecodedMasks(logits, scores, torch.zeros(1, 1)), embedding.encoded), "fixed", "f"
    )
    embedded = predictor.embed([np.zeros((16, 16, 3), np.uint8)])[0]

    def score_at(x):
        return float(predictor.predict(embedded, [{"points": [[x, 8]]}]).iou_scores[0, 0])

    assert score_at(2) == pytest.approx(0.5), "the candidate of score 0.9 does not contain the click"
    assert score_at(14) == pytest.approx(0.9)


def test_a_click_that_no_candidate_contains_takes_the_best(embedding):
    logits = torch.full((1, 4, 8, 8), -1.0)
    scores = torch.tensor([[0.99, 0.4, 0.9, 0.5]])
    predictor = Predictor(
        FixedRuntime(DecodedMasks(logits, scores, torch.zeros(1, 1)), embedding.encoded), "fixed", "f"
    )
    embedded = predictor.embed([np.zeros((16, 16, 3), np.uint8)])[0]
    assert float(predictor.predict(embedded, [{"points": [[2, 8]]}]).iou_scores[0, 0]) == pytest.approx(0.9)


def test_earlier_logits_refine(predictor, embedding):
    first = predictor.predict(embedding, [{"points": [[30, 40]]}])
    again = predictor.predict(
        embedding, [{"points": [[30, 40], [60, 50]], "labels": [1, 1], "mask": first.low_res_logits[0, 0]}]
    )
    without = predictor.predict(embedding, [{"points": [[30, 40], [60, 50]], "labels": [1, 1]}])
    assert np.abs(again.low_res_logits - without.low_res_logits).max() > 0.1


def test_logits_and_masks_of_any_size_are_accepted_together(predictor, embedding):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 30:90] = True
    prompts = [
        {"mask": np.zeros((32, 32), np.float32)},
        {"mask": np.zeros((64, 64), np.float32)},
        {"mask": mask},
        {"mask": mask, "box": [1, 1, 99, 80]},
    ]
    prediction = predictor.predict(embedding, prompts)
    np.testing.assert_allclose(prediction.low_res_logits[0], prediction.low_res_logits[1], atol=1e-4)
    assert np.abs(prediction.low_res_logits[2] - prediction.low_res_logits[0]).max() > 0.1


def test_a_turned_box_prompts_with_its_hull(predictor, embedding):
    turned = predictor.predict(embedding, [Prompt(box_xyxy=(40, 30, 80, 50), box_angle=90)])
    hull = predictor.predict(embedding, [{"box": [50, 20, 70, 60]}])
    np.testing.assert_allclose(turned.low_res_logits, hull.low_res_logits, atol=1e-4)


@pytest.mark.parametrize("hw", [(90, 140), (140, 90), (100, 100), (7, 300), (1, 1)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_any_shape_of_image(hw, resize):
    predictor = small_predictor(resize=resize)
    prediction = predictor.predict(
        predictor.embed([random_image(4, *hw)])[0],
        [{"box": [0, 0, hw[1], hw[0]]}, {"points": [[hw[1] / 2, hw[0] / 2]]}],
    )
    assert prediction.masks.shape == (2, 1, *hw)


def test_padded_masks_are_cut_from_the_square():
    predictor = small_predictor(resize="pad")
    embedded = predictor.embed([random_image(5, 64, 128)])[0]
    prediction = predictor.predict(embedded, [{"box": [20, 10, 90, 60]}])
    square = F.interpolate(torch.from_numpy(prediction.low_res_logits), size=(128, 128), mode="bilinear")
    assert embedded.geometry.input_hw == (64, 128)
    assert np.array_equal(prediction.masks, (square[..., :64, :] > 0).numpy())


@pytest.mark.slow
def test_many_threads_get_what_one_gets(predictor):
    images = [random_image(seed, 80 + seed, 120) for seed in range(8)]

    def work(seed):
        embedded = predictor.embed([images[seed]])[0]
        return predictor.predict(embedded, MIXED[:5]).low_res_logits

    alone = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for expected, found in zip(alone * 2, pool.map(work, list(range(8)) * 2), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_parts_cover_every_prompt_once(predictor, embedding):
    prompts = MIXED * 4
    whole = predictor.predict(embedding, prompts)
    seen = []
    for indices, part in predictor.predict_parts(embedding, prompts):
        seen += indices
        np.testing.assert_array_equal(whole.masks[indices], part.masks)
    assert sorted(seen) == list(range(len(prompts)))


def test_an_embedding_of_other_weights_is_refused(predictor, embedding):
    with pytest.raises(Sam2AdapterError, match=r"encoded with the weights 1111.*call embed\(\) of the same predictor"):
        predictor.predict(replace(embedding, weights_sha256="1" * 64))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
        7,
    ],
)
def test_other_things_than_rgb_arrays_are_refused(predictor, image):
    with pytest.raises(
        ImageError,
        match=r"Image 1: expected a path, .* a Pillow image or a uint8 RGB array of shape H x W x 3, but got",
    ):
        predictor.embed([random_image(0), image])


def test_a_prompt_outside_names_its_position(predictor, embedding):
    with pytest.raises(PromptError, match=r"Prompt 1: Point \(141, 3\) lies outside the image, which is 140x90 pixels"):
        predictor.predict(embedding, [{"box": [0, 0, 5, 5]}, {"points": [[141, 3]]}])


def test_another_choice_of_masks_is_refused_by_every_call(predictor, embedding):
    click = {"points": [[30, 40]]}
    calls = (
        lambda choice: predictor.predict(embedding, [click], choice),
        lambda choice: list(predictor.predict_parts(embedding, [click], choice)),
        lambda choice: predictor.predict_rles(embedding, click, choice),
    )
    for call in calls:
        for choice in ("no", 1, []):
            with pytest.raises(ConfigError, match="multimask_output is True or False, but got"):
                call(choice)


def test_an_embedding_and_a_prediction_are_values_that_can_be_pickled(predictor, embedding):
    again = predictor.predict(pickle.loads(pickle.dumps(embedding)), [{"points": [[30, 40]]}])
    expected = predictor.predict(embedding, [{"points": [[30, 40]]}])
    assert np.array_equal(pickle.loads(pickle.dumps(again)).low_res_logits, expected.low_res_logits)


def test_the_callers_arrays_are_not_changed(predictor, embedding):
    box, points = np.array([10.0, 10, 80, 70]), np.array([[30.0, 40]])
    predictor.predict(embedding, [{"box": box, "points": points}])
    assert box.tolist() == [10, 10, 80, 70]
    assert points.tolist() == [[30, 40]]


class SmallMemory(TorchRuntime):
    """A device on which two prompts fit at a time."""

    def decode(self, images, prompts):
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().decode(images, prompts)


def test_fewer_prompts_at_a_time_when_memory_runs_out(caplog, predictor, embedding):
    boxes = [{"box": [5 + 10 * i, 5, 60 + 10 * i, 80]} for i in range(7)]
    short = Predictor(SmallMemory(small_model(), "cpu", "fp32"), predictor.info.name, predictor.info.weights_sha256)
    found, expected = short.predict(embedding, boxes), predictor.predict(embedding, boxes)
    np.testing.assert_allclose(found.low_res_logits, expected.low_res_logits, atol=1e-4)
    assert (found.masks != expected.masks).mean() < 1e-4
    assert "Out of memory" in caplog.text


def test_other_errors_of_the_decoder_are_not_taken_for_memory(predictor, embedding):
    broken = small_model()
    broken.mask_decoder.iou_token = torch.nn.Embedding(1, 7)
    wrong = Predictor(TorchRuntime(broken, "cpu", "fp32"), predictor.info.name, predictor.info.weights_sha256)
    with pytest.raises(RuntimeError, match="size"):
        wrong.predict(embedding, [{"box": [5, 5, 60, 80]}] * 3)


@pytest.mark.parametrize("value", [random_image(0), None, "a.png"])
def test_an_image_is_no_embedding(predictor, value):
    with pytest.raises(PromptError, match=r"what `embed` returned for one image, but got a .*`segment_image` takes"):
        predictor.predict(value, [{"box": [1, 1, 9, 9]}])


@pytest.mark.parametrize("hw", [(HEIGHT, WIDTH), (300, 200), (24, 36)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_clicks_that_refine_an_answer_are_obeyed(hw, resize):
    predictor = small_predictor(resize=resize)
    embedding = predictor.embed([random_image(5, *hw)])[0]
    height, width = hw
    ignored = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        # one click somewhere in each of four quarters, so that no two of them contradict each other
        corners = np.array([(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]) + rng.uniform(0.1, 0.4, (4, 2))
        clicks, labels = corners * (width, height), rng.integers(0, 2, 4)
        first = predictor.predict(embedding, [{"points": [clicks[0].tolist()]}])
        refined = Prompt(point_coords=clicks, point_labels=labels, mask_input=first.low_res_logits[0, 0])
        x, y = clicks.astype(int).T
        obeying, drawn = (predictor.predict(embedding, [refined], raw).masks[0, 0][y, x] for raw in (None, False))
        assert (obeying == labels).all()
        ignored += int((drawn != labels).sum())
    assert ignored > 0  # the model alone does not obey


@pytest.mark.parametrize("hw", [(1, 1), (1, 500), (24, 36), (64, 64), (300, 200)])
@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_of_clicks_that_contradict_each_other_on_one_pixel_the_last_is_obeyed(hw, resize):
    predictor = small_predictor(resize=resize)
    embedding = predictor.embed([random_image(5, *hw)])[0]
    x, y = int(0.3 * hw[1]), int(0.6 * hw[0])
    first = predictor.predict(embedding, [{"points": [[x, y]]}]).low_res_logits[0, 0]
    for count in (6, 7, 40, 41):
        labels = [number % 2 for number in range(count)]
        refined = Prompt(point_coords=[(x, y)] * count, point_labels=labels, mask_input=first)
        assert predictor.predict(embedding, [refined]).masks[0, 0, y, x] == bool(labels[-1])


def _in_a_fork(work):
    """What a fork of this process says; a fork that hangs is ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(15)
        try:
            said = str(work())
        except Sam2AdapterError as error:
            said = str(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_is_told_to_load_the_model_instead_of_waiting_for_ever(predictor, embedding):
    image = random_image(0)
    calls = (lambda: predictor.embed(image), lambda: predictor.predict(embedding, [{"points": [[30, 40]]}]))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for call in calls:
            assert "start processes with multiprocessing.get_context" in _in_a_fork(call)
        torch.set_num_threads(1)  # as the workers of torch's DataLoader have
        assert _in_a_fork(lambda: calls[1]().masks.sum()) == str(calls[1]().masks.sum())
    finally:
        torch.set_num_threads(before)
