"""The prediction modes, on a small seeded model."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.masks import box_region
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.segment import Segmentation, segment
from tests import processes
from tests.predict.test_predictor import HEIGHT, WIDTH, FixedRuntime, random_image
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture(scope="module")
def embedding(predictor):
    return predictor.embed([random_image(0)])[0]


def test_zero_shot_gives_one_object_with_the_best_of_three_candidates(predictor, embedding):
    found = segment(predictor, embedding)
    candidates = predictor.predict(embedding, multimask_output=True)
    best = int(candidates.iou_scores[0].argmax())
    assert len(found.annotations) == 1
    assert np.array_equal(found.annotations[0].mask, candidates.masks[0, best])
    assert found.annotations[0].iou_score == pytest.approx(min(1.0, max(0.0, float(candidates.iou_scores[0, best]))))
    assert found.annotations[0].label == "object"


def test_every_point_is_its_own_object(predictor, embedding):
    points = [[20, 30], [100, 60], [70, 10]]
    found = segment(predictor, embedding, [{"points": [point]} for point in points])
    alone = [segment(predictor, embedding, [{"points": [point]}]).annotations for point in points]
    assert [a.rle for a in found.annotations] == [a.rle for annotations in alone for a in annotations]


def test_positions_among_all_prompts_are_new_and_the_rest_stays(predictor, embedding):
    found = segment(predictor, embedding, [{"points": [point]} for point in ([20, 30], [100, 60])])
    noted = Segmentation(found.annotations, found.prompts, (1,), found.windows, ("5 pages",))
    moved = noted.at_positions((3, 7))
    assert [entry.prompt_index for entry in moved.annotations] == [3, 7]
    assert (moved.empty_prompts, moved.notes, moved.prompts) == ((7,), ("5 pages",), found.prompts)


def test_box_masks_lie_inside_their_boxes(predictor, embedding):
    boxes = [(10.0, 10.0, 80.0, 70.0), (50.5, 20.25, 131.0, 61.75)]
    found = segment(predictor, embedding, [{"box": box} for box in boxes])
    bare = predictor.predict(embedding, [{"box": box} for box in boxes])
    assert any((bare.masks[i, 0] & ~box_region((HEIGHT, WIDTH), box)).any() for i, box in enumerate(boxes)), (
        "the test needs a mask that leaves its box"
    )
    for annotation in found.annotations:
        region = box_region((HEIGHT, WIDTH), boxes[annotation.prompt_index])
        assert np.array_equal(annotation.mask, bare.masks[annotation.prompt_index, 0] & region)


def test_a_default_label_that_is_none_is_refused_before_anything_is_predicted(predictor, embedding):
    for label in ("", None, 5):
        with pytest.raises(ConfigError, match="default_label is a text that is not empty, but got"):
            segment(predictor, embedding, default_label=label)


def test_clipping_can_be_turned_off(predictor, embedding):
    box = {"box": [10, 10, 80, 70]}
    found = segment(predictor, embedding, [box], clip_to_box=False)
    assert np.array_equal(found.annotations[0].mask, predictor.predict(embedding, [box]).masks[0, 0])


def test_a_turned_box_cuts_at_its_turned_sides(predictor, embedding):
    prompt = Prompt(box_xyxy=(40, 30, 110, 60), box_angle=35)
    mask = segment(predictor, embedding, [prompt]).annotations[0].mask
    assert not (mask & ~box_region((HEIGHT, WIDTH), (40, 30, 110, 60), 35)).any()


def test_label_attributes_and_identities_travel(predictor, embedding):
    prompts = [
        {"box": [10, 10, 80, 70], "label": "cat", "attributes": {"age": 3}, "object_id": "5", "parent_id": "2"},
        {"points": [[60, 50]]},
    ]
    found = segment(predictor, embedding, prompts, default_label="thing")
    cat, thing = found.annotations
    assert (cat.label, cat.attributes, cat.object_id, cat.parent_id) == ("cat", {"age": 3}, "5", "2")
    assert (thing.label, thing.attributes, thing.object_id, thing.parent_id) == ("thing", None, None, None)


def test_an_empty_mask_is_no_annotation_and_is_reported(embedding):
    logits = torch.stack([torch.full((4, 8, 8), -1.0), torch.full((4, 8, 8), 1.0)])
    decoded = DecodedMasks(logits, torch.full((2, 4), 0.7), torch.zeros(2, 1))
    predictor = Predictor(FixedRuntime(decoded, embedding.encoded), "fixed", "f")
    embedded = predictor.embed([np.zeros((16, 16, 3), np.uint8)])[0]
    found = segment(predictor, embedded, [{"points": [[2, 8]]}, {"points": [[9, 8]]}])
    assert found.empty_prompts == (0,)
    assert [(a.prompt_index, a.area, a.iou_score) for a in found.annotations] == [(1, 256, pytest.approx(0.7))]


def test_predicting_twice_gives_the_same(predictor, embedding):
    prompts = [{"box": [10, 10, 80, 70]}, {"points": [[60, 50]]}, {"points": [[60, 50], [5, 5]], "labels": [1, 0]}]
    assert segment(predictor, embedding, prompts).annotations == segment(predictor, embedding, prompts).annotations


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _predict_500_boxes(sender):
    """Send how many of them were answered, and how much the most memory of this process rose by them, in MiB."""
    torch.set_num_threads(1)
    predictor = small_predictor()
    image = np.random.default_rng(0).integers(0, 256, (1200, 1800, 3), dtype=np.uint8)
    (embedding,) = predictor.embed([image])
    segment(predictor, embedding, [{"box": [0, 0, 100, 100]}])
    before = _peak_mib()
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 1000, (500, 2))
    boxes = np.concatenate([low, low + rng.uniform(50, 200, (500, 2))], axis=1)
    found = segment(predictor, embedding, [{"box": box} for box in boxes])
    sender.send((len(found.annotations) + len(found.empty_prompts), _peak_mib() - before))


@pytest.mark.slow
def test_500_boxes_do_not_need_500_masks_at_once():
    """500 masks of this image as bool arrays would take 1 GiB, their logits at the original size 4 GiB."""
    processes.ready()
    receiver, sender = processes.CONTEXT.Pipe(duplex=False)
    process = processes.CONTEXT.Process(target=_predict_500_boxes, args=(sender,))
    process.start()
    sender.close()
    num_answered, risen = receiver.recv()
    process.join()
    assert num_answered == 500
    assert risen < 700
