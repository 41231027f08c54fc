"""One way from an encoded image to its objects, by the settings, for jobs, calls from Python and the platform alike."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.config import Config
from sam2_adapter.jobs.answers import answer
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.segment_image import segment_image
from sam2_adapter.predict.modes import find_objects
from sam2_adapter.predict.segment import segment
from tests.conftest import disk_photo
from tests.small_model import small_predictor

PHOTO = np.asarray(disk_photo())
BOX = Prompt(box_xyxy=(40, 20, 120, 100))


@pytest.mark.parametrize("prompts", [None, [], [BOX], [BOX, {"points": [[80, 60]]}]])
@pytest.mark.parametrize("clip_to_box", [True, False])
def test_jobs_and_calls_find_the_same_objects_by_the_same_settings(prompts, clip_to_box: bool) -> None:
    predictor = small_predictor()
    config = Config(clip_to_box=clip_to_box, default_label="cell")
    embedding = predictor.embed(PHOTO)
    found = find_objects(predictor, PHOTO, embedding, prompts, config.prediction)
    expected = segment(predictor, embedding, prompts, clip_to_box=clip_to_box, default_label="cell")
    assert found.annotations == expected.annotations
    assert segment_image(PHOTO, prompts, model=predictor, config=config).annotations == expected.annotations
    given = [entry if isinstance(entry, Prompt) else Prompt.from_dict(entry) for entry in prompts or []]
    told = answer(predictor, PHOTO, embedding, given, PredictOptions.from_config(config))
    assert told.segmentation.annotations == expected.annotations
