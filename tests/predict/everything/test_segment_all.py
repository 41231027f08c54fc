"""Everything as annotations, with a note where there is more."""

from __future__ import annotations

import pytest

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.segment_all import segment_all
from sam2_adapter.predict.load import load_predictor
from tests.predict.everything.discs import disc_picture

EASY = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.6, "points_per_side": 8}


def test_objects_carry_score_stability_point_and_label() -> None:
    image, _ = disc_picture(160, 240, 80, 24)
    predictor = load_predictor("sam2_nano", device="cpu", runtime="torch", precision="fp32")
    embedding = predictor.embed(image)
    told: list[tuple[int, int]] = []
    settings = EverythingSettings(**EASY)
    found = segment_all(
        predictor, image, embedding, settings, default_label="disc", on_points=lambda *at: told.append(at)
    )
    assert told[-1] == (64, 64)
    assert len(found.annotations) >= 5
    assert len(found.prompts) == len(found.annotations)
    for annotation, prompt in zip(found.annotations, found.prompts, strict=True):
        assert (annotation.label, annotation.prompt_index) == ("disc", None)
        assert annotation.stability_score is not None
        assert annotation.stability_score >= 0.6
        assert prompt.point_coords.tolist() == [list(annotation.point_xy or ())]
    assert found.notes == ()

    few = segment_all(predictor, image, embedding, EverythingSettings(**EASY, max_objects=2))
    assert len(few.annotations) == 2
    assert few.notes == (
        f"the best 2 objects are kept, and {len(found.annotations) - 2} more objects were found (max_objects)",
    )

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_all(predictor, image, embedding, settings, on_points=stop)
