"""The prompts of one image: answered as `segment` does; a prompt that cannot be used does not affect the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import ImageError, PromptError
from sam2_adapter.jobs.answers import answer, failed, reason_of_failure, told_prompts
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.tasks import ImageTask
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import segment
from tests.conftest import disk_photo
from tests.small_model import small_predictor

PHOTO = np.asarray(disk_photo())
OPTIONS = PredictOptions.from_config()
BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")
OUTSIDE = Prompt(point_coords=[[900, 5]], point_labels=[1])


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


@pytest.fixture(scope="module")
def embedding(predictor: Predictor) -> ImageEmbedding:
    return predictor.embed([PHOTO])[0]


@pytest.mark.parametrize("prompts", [[], [BOX], [BOX, Prompt(point_coords=[[80, 60]], point_labels=[1])]])
def test_usable_prompts_are_answered_as_by_segment(
    predictor: Predictor, embedding: ImageEmbedding, prompts: list[Prompt]
) -> None:
    found = answer(predictor, PHOTO, embedding, prompts, OPTIONS)
    assert found.segmentation.annotations == segment(predictor, embedding, prompts).annotations
    assert (found.refused_prompts, found.warnings) == ({}, {})


def test_positions_count_all_prompts(predictor: Predictor, embedding: ImageEmbedding) -> None:
    thin = Prompt(box_xyxy=(40.6, 20.6, 40.9, 40))
    found = answer(predictor, PHOTO, embedding, [RefusedPrompt("no"), BOX, OUTSIDE, thin], OPTIONS)
    assert [entry.prompt_index for entry in found.segmentation.annotations] == [1]
    assert found.segmentation.empty_prompts == (3,)
    assert list(found.refused_prompts) == [0, 2]


def test_an_image_without_any_usable_prompt_fails(predictor: Predictor, embedding: ImageEmbedding) -> None:
    with pytest.raises(
        PromptError, match=r"^prompt 1: no prompt 2: Point \(900, 5\) .* And 2 more prompts cannot be used"
    ):
        answer(predictor, PHOTO, embedding, [RefusedPrompt("no"), OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE], OPTIONS)


def test_a_failure_names_its_image_and_its_reason() -> None:
    task = ImageTask(Path("photos/a.png"), "a.png")
    assert (
        failed(task, ImageError("photos/a.png: the image is broken."), 1.0).error
        == "photos/a.png: the image is broken."
    )
    assert failed(task, MemoryError(), 1.0).error == "photos/a.png: not enough memory for this image."
    assert reason_of_failure(KeyError("x")) == "unexpected KeyError: 'x'"
    assert told_prompts({1: "b.", 0: "a."}) == "prompt 1: a. prompt 2: b."
