"""The names that users import, each of them a promise."""

from __future__ import annotations

import numpy as np
import pytest

import sam2_adapter

PUBLIC = [
    "Annotation",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "ExportError",
    "ImageEmbedding",
    "ImageError",
    "MaskPrediction",
    "Predictor",
    "Prompt",
    "PromptError",
    "Sam2AdapterError",
    "Segmentation",
    "SegmentedImage",
    "TrainingError",
    "WeightsNotFoundError",
    "__version__",
    "evaluate",
    "fine_tune",
    "load_dataset",
    "load_predictor",
    "predict_images",
    "read_image",
    "segment",
    "segment_everything",
    "segment_image",
]


def test_the_public_list() -> None:
    assert sam2_adapter.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(sam2_adapter))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there(name: str) -> None:
    assert getattr(sam2_adapter, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sam2_adapter' has no attribute 'predictor_of_dreams'"):
        _ = sam2_adapter.predictor_of_dreams


def test_every_error_of_ours_has_one_base() -> None:
    errors = [getattr(sam2_adapter, name) for name in PUBLIC if name.endswith("Error")]
    assert all(issubclass(error, sam2_adapter.Sam2AdapterError) for error in errors)


def test_from_image_to_masks() -> None:
    image = np.full((60, 80, 3), 40, np.uint8)
    image[20:40, 30:60] = 220
    predictor = sam2_adapter.load_predictor("sam2_nano", device="cpu", precision="fp32")
    (embedding,) = predictor.embed([image])
    prediction = predictor.predict(embedding, [{"box": [28, 18, 62, 42]}, {"points": [[45, 30]]}])
    assert prediction.masks.shape == (2, 1, 60, 80)
    found = sam2_adapter.segment(predictor, embedding, [sam2_adapter.Prompt(box_xyxy=(28, 18, 62, 42), label="tile")])
    assert [entry.label for entry in found.annotations] == ["tile"]


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(sam2_adapter.ConfigError, match=r"Unknown runtime 'onnx'\. The choices are auto, torch"):
        sam2_adapter.load_predictor("sam2_nano", runtime="onnx")
