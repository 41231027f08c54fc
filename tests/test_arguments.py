"""Python calls with values of any kind: one clear error of ours that names the argument, never one of Python's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sam2_adapter
from sam2_adapter.arguments import is_number, one_of, path_of, real_number, whole_number
from sam2_adapter.errors import ConfigError, DataError, ExportError, ImageError, PromptError, Sam2AdapterError
from sam2_adapter.evaluation.compare import compare
from sam2_adapter.evaluation.evaluate import evaluate_prompts
from sam2_adapter.interactive import Session, Step
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from tests.conftest import save_photos
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def test_checked_values() -> None:
    assert path_of("a/b", "data", "a folder") == Path("a/b") == path_of(Path("a/b"), "data", "a folder")
    assert whole_number(3, "limit", 1) == 3
    assert one_of("b", "letter", ("a", "b")) == "b"
    with pytest.raises(DataError, match=r"^data is the path of a folder, but got None\.$"):
        path_of(None, "data", "a folder", DataError)
    for value in (True, 0, 7, 2.0, "2", None):
        with pytest.raises(ConfigError, match=r"^limit is a whole number from 1 to 6, but got "):
            whole_number(value, "limit", 1, 6)


def test_numbers_of_any_library_are_numbers_and_truth_values_are_none() -> None:
    for value in (1, 0.5, np.float32(0.5), np.int64(1), np.float64(0.5)):
        assert is_number(value)
        assert type(real_number(value, "share", 0, 1)) is float
    for value in (True, np.True_, "1", None, 1j, np.zeros(1)):
        assert not is_number(value)
    for value in (True, "1", float("nan"), float("inf"), -0.1, 1.1):
        with pytest.raises(ConfigError, match=r"^share is a number from 0 to 1, but got "):
            real_number(value, "share", 0, 1)
    with pytest.raises(ConfigError, match=r"^side is a number of at least 2, but got 1\.$"):
        real_number(1, "side", 2)


Call = Callable[[Predictor, Path], object]

BOX = {"box": [2, 2, 20, 20]}
PHOTO = np.zeros((24, 32, 3), np.uint8)


def _opened(predictor: Predictor) -> ImageEmbedding:
    return predictor.embed(PHOTO)


def _session(predictor: Predictor) -> Session:
    session = Session(predictor)
    session.open(PHOTO)
    return session


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ConfigError, "model is the path of", lambda p, f: sam2_adapter.load_predictor(3)),
        (ConfigError, "model is the path of", lambda p, f: sam2_adapter.load_predictor(None)),
        (
            ConfigError,
            "resume goes on with the earlier run and overwrite replaces it; choose one",
            lambda p, f: sam2_adapter.fine_tune(f, f / "run", resume=True, overwrite=True),
        ),
        (
            ConfigError,
            "on_event is a function or None",
            lambda p, f: sam2_adapter.fine_tune(f, f / "run", on_event="x"),
        ),
        (ConfigError, "name is a text that is not empty", lambda p, f: sam2_adapter.fine_tune(f, f / "run", name="")),
        (ConfigError, "name is a text that is not empty", lambda p, f: sam2_adapter.fine_tune(f, f / "run", name=5)),
        (ConfigError, "prompts is a list of kinds of prompt", lambda p, f: evaluate_prompts(p, [], "box")),
        (ConfigError, "prompts is a list of kinds of prompt", lambda p, f: evaluate_prompts(p, [], None)),
        (ConfigError, "progress is a function", lambda p, f: sam2_adapter.evaluate(p, [], "box", progress="x")),
        (ConfigError, "embed is a function", lambda p, f: sam2_adapter.evaluate(p, [], "box", embed=3)),
        (DataError, "first is an evaluation", lambda p, f: compare(None, None)),
        (ConfigError, "model is the path of", lambda p, f: sam2_adapter.load_predictor("")),
        (
            ConfigError,
            "Unknown device 3. The choices are auto, ",
            lambda p, f: sam2_adapter.load_predictor("sam2_nano", device=3),
        ),
        (ConfigError, "Unknown runtime 3", lambda p, f: sam2_adapter.load_predictor("sam2_nano", runtime=3)),
        (
            ConfigError,
            "Unknown precision 'fp8'. The choices are auto, fp32, bf16, fp16, int8",
            lambda p, f: sam2_adapter.load_predictor("sam2_nano", precision="fp8"),
        ),
        (
            ConfigError,
            "expected_images is a whole number",
            lambda p, f: sam2_adapter.load_predictor("sam2_nano", expected_images="x"),
        ),
        (DataError, "A data set is the path of", lambda p, f: sam2_adapter.load_dataset(None)),
        (DataError, "A data set is the path of", lambda p, f: sam2_adapter.load_dataset("")),
        (ConfigError, "validation_share is", lambda p, f: sam2_adapter.load_dataset(f, validation_share="x")),
        (ConfigError, "min_area_px is a whole", lambda p, f: sam2_adapter.load_dataset(f, min_area_px="x")),
        (ImageError, "but got NoneType", lambda p, f: sam2_adapter.segment_image(None)),
        (ImageError, "An image is the path of", lambda p, f: sam2_adapter.read_image(3)),
        (ImageError, "but got int", lambda p, f: p.embed(3)),
        (ImageError, "An image is the path of", lambda p, f: sam2_adapter.predict_images(3, model=p)),
        (ImageError, "An image is the path of", lambda p, f: sam2_adapter.predict_images([None], model=p)),
        (ImageError, "no image", lambda p, f: sam2_adapter.predict_images([], model=p)),
        (PromptError, "prompts is a list of prompts", lambda p, f: sam2_adapter.predict_images(f, 3, model=p)),
        (
            PromptError,
            r"prompts\['00.png'\] is a list of prompts",
            lambda p, f: sam2_adapter.predict_images(f, {"00.png": 3}, model=p),
        ),
        (PromptError, "names of images as keys", lambda p, f: sam2_adapter.predict_images(f, {3: []}, model=p)),
        (ConfigError, "formats is a list", lambda p, f: sam2_adapter.predict_images(f, model=p, formats="coco")),
        (ConfigError, "limit is a whole", lambda p, f: sam2_adapter.predict_images(f, model=p, limit=-1)),
        (ConfigError, "Unknown units 'cm'", lambda p, f: sam2_adapter.predict_images(f, model=p, units="cm")),
        (ConfigError, "workers is a whole", lambda p, f: sam2_adapter.predict_images(f, model=p, workers="x")),
        (ConfigError, "batch_size is a whole", lambda p, f: sam2_adapter.predict_images(f, model=p, batch_size=0)),
        (ConfigError, "output is the path of", lambda p, f: sam2_adapter.predict_images(f, model=p, output=3)),
        (ConfigError, "overlay is True or False", lambda p, f: sam2_adapter.predict_images(f, model=p, overlay="no")),
        (ConfigError, "resume is True or False", lambda p, f: sam2_adapter.predict_images(f, model=p, resume="no")),
        (ConfigError, "overwrite is True or False", lambda p, f: sam2_adapter.predict_images(f, model=p, overwrite=1)),
        (ConfigError, "resume is True or False", lambda p, f: sam2_adapter.fine_tune(f, f / "run", resume="no")),
        (ConfigError, "multimask_output is True or False, but got 'x'", lambda p, f: p.predict(_opened(p), [BOX], "x")),
        (ConfigError, "predictor is a predictor, which", lambda p, f: sam2_adapter.segment(3, _opened(p), [BOX])),
        (PromptError, "embedding is what `embed` returned", lambda p, f: sam2_adapter.segment(p, 3, [BOX])),
        (PromptError, "The prompts are a list", lambda p, f: sam2_adapter.segment(p, _opened(p), 3)),
        (ConfigError, "clip_to_box is", lambda p, f: sam2_adapter.segment(p, _opened(p), [BOX], clip_to_box="no")),
        (ConfigError, "default_label is a", lambda p, f: sam2_adapter.segment(p, _opened(p), [BOX], default_label=3)),
        (ConfigError, "windowed is a", lambda p, f: sam2_adapter.segment(p, _opened(p), [BOX], windowed=3)),
        (ConfigError, "predictor is a predictor, which", lambda p, f: Session(3)),
        (ConfigError, "sources is an EncodedSources", lambda p, f: Session(p, 3)),
        (ImageError, "but got int", lambda p, f: Session(p).open(3)),
        (PromptError, "'point' holds numbers only", lambda p, f: _session(p).click("a", 3)),
        (PromptError, "foreground is True or False", lambda p, f: _session(p).click(3, 3, foreground="no")),
        (PromptError, "A region is x0, y0, x1, y1", lambda p, f: _session(p).click(3, 3, view_xyxy="all")),
        (PromptError, "'box' is 4 numbers", lambda p, f: _session(p).box(3)),
        (PromptError, "The steps are a list of Step", lambda p, f: _session(p).go_to(3)),
        (PromptError, "The steps are a list of Step", lambda p, f: _session(p).go_to([3])),
        (PromptError, "'mask' is a bool array", lambda p, f: _session(p).start_from(3)),
        (PromptError, "'point' holds numbers only", lambda p, f: _session(p).preview("a", 3)),
        (PromptError, "choice is a whole number", lambda p, f: Step(point_xy=(3, 3), choice="best")),
        (ConfigError, "predictor is a predictor, which", lambda p, f: sam2_adapter.evaluate(3, [])),
        (ConfigError, "settings is an EvaluationSettings", lambda p, f: sam2_adapter.evaluate(p, [], settings=3)),
        (ExportError, "path is the path of", lambda p, f: p.predict(_opened(p), [BOX]).save(3)),
        (ExportError, "path is the path of", lambda p, f: sam2_adapter.segment_image(PHOTO, model=p).save(None)),
        (DataError, "data is the path of", lambda p, f: sam2_adapter.fine_tune(None, f / "run")),
        (ConfigError, "output_dir is the path of", lambda p, f: sam2_adapter.fine_tune(f, None)),
        (ConfigError, "model is the path of", lambda p, f: sam2_adapter.fine_tune(f, f / "run", model=3)),
        (DataError, "The samples to measure with are", lambda p, f: sam2_adapter.evaluate(p, "x")),
        (DataError, "The samples to measure with are", lambda p, f: sam2_adapter.evaluate(p, [3])),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    predictor: Predictor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Sam2AdapterError],
    text: str,
    call: Call,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_photos(tmp_path / "photos", 1, shift=0)
    with pytest.raises(error, match=text):
        call(predictor, tmp_path / "photos")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
