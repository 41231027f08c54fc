"""Evaluation on a predictor whose answers are known, and on the small model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sam2_adapter.annotations.masks import MaskPrediction, box_region, mask_iou
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.evaluation import run as evaluation_report
from sam2_adapter.evaluation.compare import compare
from sam2_adapter.evaluation.evaluate import evaluate, evaluate_prompts
from sam2_adapter.evaluation.metrics import inscribed_ellipse
from sam2_adapter.evaluation.run import run_evaluation
from sam2_adapter.evaluation.scores import Evaluation, EvaluationSettings
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.predict.predictor import ImageEmbedding
from tests.formats.folders import HW, label_map, label_map_folder, rectangle, write_image, write_json, write_label_map
from tests.small_model import IMAGE_SIZE, loaded, small_model, small_predictor

FIRST, SECOND, THIRD = (
    rectangle(2, 3, 10, 12),
    rectangle(15, 5, 30, 20),
    rectangle(0, 0, 32, 24) & ~rectangle(4, 4, 32, 24),
)


@pytest.fixture
def dataset(tmp_path):
    label_map_folder(tmp_path, {"a.png": [FIRST, SECOND], "b.png": [SECOND], "c.png": [THIRD]})
    write_json(tmp_path / "categories.json", {"a": {"1": "cat", "2": "dog"}, "b": {"1": "dog"}, "c": {"1": "dog"}})
    return load_dataset(tmp_path, validation_share=0)


@pytest.fixture
def samples(dataset):
    return dataset.samples("train")


_EMBEDDER = small_predictor()
_ENCODED = _EMBEDDER.embed([np.zeros((*HW, 3), np.uint8)])[0].encoded


class _Known:
    """A predictor that answers a box with its filled box and clicks with a disc around every foreground click, and notes its calls."""

    def __init__(self, radius: float = 6.0) -> None:
        self.info = _EMBEDDER.info
        self.radius = radius
        self.calls: list[list[Prompt]] = []

    def embed(self, images):
        return tuple(ImageEmbedding(_ENCODED, Geometry(image.shape[:2], IMAGE_SIZE), "") for image in images)

    def predict_parts(self, embedding, prompts, multimask_output=None, *, only=None):
        assert only is None
        self.calls.append(list(prompts))
        for index, prompt in enumerate(prompts):
            yield [index], self._answer(prompt, embedding.original_hw)

    def predict(self, embedding, prompts=None):
        return self._answer(Prompt.whole_image(embedding.original_hw), embedding.original_hw)

    def _answer(self, prompt, hw):
        mask = np.zeros(hw, bool) if prompt.box_xyxy is None else box_region(hw, prompt.box_xyxy)
        rows, columns = np.indices(hw) + 0.5
        for x, y in prompt.point_coords[prompt.point_labels == 1]:
            mask |= np.hypot(columns - x, rows - y) <= self.radius
        logits = np.full((1, 1, 4, 4), len(prompt.point_coords), np.float32)
        return MaskPrediction(mask[None, None], np.array([[0.75]], np.float32), logits)


def test_boxes_by_value(samples):
    evaluation = evaluate(_Known(), samples, "box")
    rows = {(row.sample, row.object_index): row for row in evaluation.objects}
    assert list(rows) == [("a.png", 0), ("a.png", 1), ("b.png", 0), ("c.png", 0)]
    assert [row.mask_iou for row in rows.values()] == [1, 1, 1, pytest.approx(THIRD.mean())]
    third = rows["c.png", 0]
    assert third.dice == pytest.approx(2 * THIRD.mean() / (1 + THIRD.mean()))
    assert (third.box_iou, third.area_px, third.label) == (third.mask_iou, THIRD.sum(), "dog")
    assert rows["a.png", 0].ellipse_iou == pytest.approx(inscribed_ellipse(HW, (2, 3, 10, 12)).sum() / FIRST.sum())
    summary = evaluation.summary()
    assert summary["num_objects"] == 4
    assert summary["num_images"] == 3
    assert summary["miou"] == pytest.approx((3 + THIRD.mean()) / 4)
    assert summary["share_above_0.9"] == 0.75
    assert summary["iou_score"] == 0.75
    assert summary["score_correlation"] is None
    assert summary["calibration_error"] == pytest.approx(abs(0.75 - summary["miou"]))
    assert {label: row["num_objects"] for label, row in evaluation.by_label().items()} == {"dog": 3, "cat": 1}


def test_masks_are_cut_at_the_box_as_predictions_are(samples):
    class Everywhere(_Known):
        def _answer(self, prompt, hw):
            return replace(super()._answer(prompt, hw), masks=np.ones((1, 1, *hw), bool))

    cut = evaluate(Everywhere(), samples, "box").objects[0]
    whole = evaluate(Everywhere(), samples, "box", EvaluationSettings(clip_to_box=False)).objects[0]
    assert cut.mask_iou == 1
    assert whole.mask_iou == pytest.approx(FIRST.mean())


def test_a_point_is_in_the_middle(samples):
    predictor = _Known()
    evaluate(predictor, samples, "point")
    (first, second), *_ = predictor.calls
    assert (first.point_coords.tolist(), first.point_labels.tolist()) == ([[5.5, 6.5]], [1])
    assert second.point_coords.tolist() == [[22.5, 12.5]]


def test_clicks_advance_together_and_feed_logits_back(samples):
    predictor = _Known(radius=2.0)
    evaluation = evaluate(predictor, samples[:1], "clicks", EvaluationSettings(max_clicks=7))
    assert [len(call) for call in predictor.calls] == [2] * 7
    for number, call in enumerate(predictor.calls, start=1):
        for prompt in call:
            assert len(prompt.point_coords) == number
            assert (prompt.mask_input is None) == (number == 1)
            assert number == 1 or (prompt.mask_input == number - 1).all()
    for row, gt_mask in zip(evaluation.objects, (FIRST, SECOND), strict=True):
        assert len(row.iou_by_click) == 7
        assert row.iou_by_click[-1] == row.mask_iou
        assert row.iou_by_click[0] == pytest.approx(mask_iou(_disc(predictor.calls[0][row.object_index], 2), gt_mask))
        assert row.iou_by_click[0] < row.iou_by_click[2]


def _disc(prompt: Prompt, radius: float) -> np.ndarray:
    rows, columns = np.indices(HW) + 0.5
    return np.hypot(columns - prompt.point_coords[0, 0], rows - prompt.point_coords[0, 1]) <= radius


def test_a_good_object_gets_no_more_clicks_than_are_reported(samples):
    class Perfect(_Known):
        def _answer(self, prompt, hw):
            x, y = prompt.point_coords[0].astype(int).tolist()
            gt_mask = next(mask for mask in (FIRST, SECOND, THIRD) if mask[y, x]).copy()
            gt_mask[np.unravel_index(np.flatnonzero(gt_mask)[-1], hw)] = False  # one pixel is always missing
            return replace(super()._answer(prompt, hw), masks=gt_mask[None, None])

    evaluation = evaluate(Perfect(), samples[:2], "clicks")
    assert {len(row.iou_by_click) for row in evaluation.objects} == {2}, (
        "the wrong pixel is clicked once, then nothing is left to click"
    )
    summary = evaluation.summary()
    assert summary["noc_85"] == summary["noc_90"] == 1
    assert summary["noc_90_failed"] == 0
    assert summary["miou_after_5"] == summary["miou"]


def test_objects_that_are_never_good_count_all_clicks(samples):
    summary = evaluate(_Known(radius=0.1), samples[:1], "clicks", EvaluationSettings(max_clicks=6)).summary()
    assert summary["noc_85"] == summary["noc_90"] == 6
    assert summary["noc_85_failed"] == 1


def test_zero_shot_is_held_against_the_object_it_fits_best(samples):
    evaluation = evaluate(_Known(), samples, "zero_shot")
    assert [(row.sample, row.object_index) for row in evaluation.objects] == [("a.png", 1), ("b.png", 0), ("c.png", 0)]
    assert evaluation.objects[0].mask_iou == pytest.approx(SECOND.mean())
    assert evaluation.objects[0].box_iou == pytest.approx(SECOND.mean())


def test_prompts_are_the_same_in_every_run_and_order(samples):
    """Before, validation drew new points each epoch, so that early stopping followed noise."""
    settings = EvaluationSettings(box_jitter=0.2, seed=5)
    runs = []
    for order in (samples, samples[::-1], samples[1:]):
        predictor = _Known()
        evaluate_prompts(predictor, order, ("box", "point"), settings)
        boxes = [prompt.box_xyxy for call in predictor.calls for prompt in call if prompt.box_xyxy]
        runs.append(set(boxes))
    assert runs[0] == runs[1]
    assert runs[2] < runs[0]
    assert len(runs[0]) == 4, "the same object in two images is jittered differently"
    assert (2, 3, 10, 12) not in runs[0]


def test_broken_images_and_small_objects_are_left_out(samples):
    samples[2].image_path.write_bytes(b"broken")
    side = IMAGE_SIZE / 24 * 10
    evaluation = evaluate(_Known(), samples, "box", EvaluationSettings(min_side_px=side))
    assert [row.sample for row in evaluation.objects] == ["a.png", "b.png"]
    assert [(row["reason"], row["count"]) for row in evaluation.left_out] == [
        ("image is broken or too large", 1),
        ("mask is too small", 1),
    ]
    with pytest.raises(DataError, match="nothing to measure in 1 image\\."):
        evaluate(_Known(), samples[2:], "box")


def test_embeddings_at_hand_are_used(samples):
    predictor = _Known()
    known = {sample.name: predictor.embed([sample.read_image()])[0] for sample in samples}
    for sample in samples:
        sample.image_path.unlink()
    asked = []
    seen = []
    evaluation = evaluate(
        predictor,
        samples,
        "box",
        embed=lambda s: asked.append(s.name) or known[s.name],
        progress=lambda *n: seen.append(n),
    )
    assert asked == ["a.png", "b.png", "c.png"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(evaluation.objects) == 4


def test_json_there_and_back(samples):
    for evaluation in evaluate_prompts(_Known(), samples, ("box", "point", "clicks", "zero_shot")).values():
        document = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
        assert Evaluation.from_dict(document) == evaluation
    with pytest.raises(DataError, match="Not an evaluation: 'objects'"):
        Evaluation.from_dict({})


def test_the_table_lists_labels(samples):
    lines = evaluate(_Known(), samples, "box").to_table().splitlines()
    assert lines[0].split()[:3] == ["label", "objects", "mIoU"]
    assert [line.split()[:2] for line in lines[1:]] == [["all", "4"], ["dog", "3"], ["cat", "1"]]
    assert evaluate(_Known(), samples, "box").to_table(max_labels=1).splitlines()[2:] == [
        lines[2],
        "... and 1 more labels",
    ]
    assert "NoC90" not in lines[0]
    assert "NoC90" in evaluate(_Known(), samples, "clicks").to_table()


def test_a_comparison_is_paired(samples):
    worse, better = evaluate(_Known(radius=2), samples, "clicks"), evaluate(_Known(radius=4), samples, "clicks")
    comparison = compare(worse, better)
    expected = np.mean([b.mask_iou - a.mask_iou for a, b in zip(worse.objects, better.objects, strict=True)])
    assert comparison.intervals["miou"].difference == pytest.approx(expected)
    assert comparison.intervals["miou"].num_groups == 3
    assert comparison.intervals["noc_85"].difference == pytest.approx(
        better.summary()["noc_85"] - worse.summary()["noc_85"]
    )
    assert set(comparison.intervals) >= {"dice", "boundary_f", "miou_after_1", "noc_90"}
    shuffled = replace(better, objects=better.objects[::-1])
    assert compare(worse, shuffled) == comparison
    assert json.loads(json.dumps(comparison.to_dict()))["differences"]["miou"]["num_objects"] == 4


def test_only_the_same_prompts_are_compared(samples):
    boxes = evaluate(_Known(), samples, "box")
    with pytest.raises(DataError, match="same kind of prompt and the same settings"):
        compare(boxes, evaluate(_Known(), samples, "point"))
    with pytest.raises(DataError, match="same kind of prompt and the same settings"):
        compare(boxes, evaluate(_Known(), samples, "box", EvaluationSettings(clip_to_box=False)))
    with pytest.raises(DataError, match=r"not about the same objects; 1 are in only one, such as \[\('c.png', 0\)\]"):
        compare(boxes, evaluate(_Known(), samples[:2], "box"))


def test_unknown_prompts_are_refused(samples):
    with pytest.raises(
        ConfigError,
        match=r"Unknown kind of prompt 'boxes'\. Did you mean 'box'\? The choices are box, point, clicks, zero_shot",
    ):
        evaluate(_Known(), samples, "boxes")


def test_the_small_model_equals_its_own_predictions(samples):
    predictor = small_predictor()
    evaluation = evaluate(predictor, samples, "box")
    embedding = predictor.embed([samples[0].read_image()])[0]
    prediction = predictor.predict(embedding, [{"box": [15, 5, 30, 20]}])
    mask = prediction.masks[0, 0] & rectangle(15, 5, 30, 20)
    assert evaluation.objects[1].mask_iou == pytest.approx(mask_iou(mask, SECOND))
    assert evaluation.objects[1].iou_score == pytest.approx(float(prediction.iou_scores[0, 0]), abs=1e-6)
    assert evaluation.model == {"name": "small", "base": None, "weights_sha256": f"{0:064d}"}


def test_one_function_does_everything(tmp_path, monkeypatch):
    label_map_folder(tmp_path, {"a.png": [FIRST, SECOND], "b.png": [SECOND], "c.png": [rectangle(0, 0, 1, 1)]})
    write_json(tmp_path / "split.json", {"train": ["a"], "test": ["b", "c"]})
    names = []
    monkeypatch.setattr(
        evaluation_report, "load_model", lambda name: names.append(name) or loaded(small_model(len(names)))
    )
    seen = []
    measured = run_evaluation(
        tmp_path,
        "tuned.torch",
        prompts=("box", "zero_shot"),
        compare_with="base.pt",
        progress=lambda *n: seen.append(n),
    )
    assert names == ["tuned.torch", "base.pt"]
    assert seen == [(1, 2), (2, 2)]
    report = measured.to_dict()
    assert json.loads(json.dumps(report, allow_nan=False))["data"]["split"] == "test"
    assert (report["data"]["num_images"], report["data"]["num_objects"]) == (1, 1)
    assert report["data"]["left_out"][0]["reason"] == "image has no object left"
    tuned, base = (report[key]["box"]["summary"]["miou"] for key in ("evaluations", "compared_with"))
    assert report["comparisons"]["box"]["differences"]["miou"]["difference"] == pytest.approx(tuned - base)
    text = measured.to_text()
    assert text.startswith("1 image, 1 object of ")
    assert "box: difference, with 95 % interval over images" in text
    assert set(run_evaluation(tmp_path, "m", split="train", prompts=("point",)).evaluations) == {"point"}


@pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.soak)])
def test_equal_runs_give_the_same_figures_to_the_last_digit(tmp_path, times):
    """Whatever else lies in memory: the clicks follow the errors, so that one bit of a mask or of a distance would spread."""
    hw = (96, 128)
    centres = [(x, y) for y in (20, 60) for x in (20, 50, 80, 110)]
    discs = [_disc_at(hw, x, y, radius) for radius, (x, y) in enumerate(centres, start=7)]
    label_map_folder(tmp_path, {"discs.png": discs}, hw)
    samples = load_dataset(tmp_path, validation_share=0).samples("train")
    predictor, rng = small_predictor(), np.random.default_rng(0)
    image = rng.integers(0, 255, (*hw, 3)).astype(np.uint8)
    embedding = predictor.embed([image])[0]
    runs = set()
    for _ in range(times):
        others = [np.full(rng.integers(1, 9000), 1e30, np.float32) for _ in range(rng.integers(80))]
        evaluated = evaluate(predictor, samples, "clicks", EvaluationSettings(max_clicks=6), embed=lambda _: embedding)
        runs.add(repr(evaluated.objects))
        del others
    assert len(runs) == 1


def _disc_at(hw: tuple[int, int], x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    return np.hypot(columns - x, rows - y) <= radius


class _Wide(_Known):
    """Answers every prompt with one mask, which covers an object and the border around it."""

    def _answer(self, prompt, hw):
        return replace(super()._answer(prompt, hw), masks=WIDE[None, None])


WIDE = rectangle(12, 2, 32, 23)


@pytest.mark.parametrize("mode", ["box", "point", "clicks", "zero_shot"])
def test_a_void_border_counts_in_no_measure_and_gets_no_click(tmp_path, mode):
    border = WIDE & ~SECOND
    write_image(tmp_path / "images" / "a.png")
    numbers = label_map(SECOND)
    numbers[border] = 255
    write_label_map(tmp_path / "masks" / "a.png", numbers)
    settings = EvaluationSettings(clip_to_box=False)

    def measured(**options):
        samples = load_dataset(tmp_path, validation_share=0, **options).samples("train")
        predictor = _Wide()
        return evaluate(
            predictor, [replace(sample, objects=sample.objects[:1]) for sample in samples], mode, settings
        ), predictor

    with_void, predictor = measured(ignore_label=255)
    (row,) = with_void.objects
    assert (row.mask_iou, row.dice, row.boundary_f) == (1.0, 1.0, 1.0)
    assert mode == "zero_shot" or row.box_iou == 1.0
    assert row.iou_by_click == ((1.0,) if mode == "clicks" else ())
    points = [point for call in predictor.calls for prompt in call for point in prompt.point_coords]
    assert not any(border[int(y), int(x)] for x, y in points)

    without, predictor = measured()
    (row,) = without.objects
    assert row.mask_iou == pytest.approx(SECOND.sum() / WIDE.sum())
    assert row.boundary_f < 0.9
    assert mode != "clicks" or len(row.iou_by_click) > 1


def test_everything_is_held_against_the_objects_and_compared(samples) -> None:
    predictor = small_predictor()
    chosen = {"points_per_side": 4, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    settings = EvaluationSettings(everything=chosen)
    measured = evaluate(predictor, samples, "everything", settings)
    assert [row.object_index for row in measured.objects] == [0, 1, 0, 0]
    assert all(len(row.iou_by_count) == 3 for row in measured.objects)
    assert all(row.iou_by_count[-1] == pytest.approx(row.mask_iou, abs=1e-6) for row in measured.objects)
    summary = measured.summary()
    assert summary["num_found"] == sum({row.sample: row.num_found for row in measured.objects}.values())
    assert 0 <= summary["ar_10"] <= summary["ar_100"] <= summary["ar_1000"] <= 1
    assert {"precision", "msa", "sa_50", "ar_1000_small"} <= summary.keys()
    assert "precision" not in measured.by_label()["dog"]
    assert "AR@1000" in measured.to_table()
    restored = Evaluation.from_dict(json.loads(json.dumps(measured.to_dict())))
    assert restored.summary() == summary
    assert {"miou", "ar_10", "ar_1000"} <= compare(measured, restored).intervals.keys()
    cropped = evaluate(predictor, samples, "everything", EvaluationSettings(everything={**chosen, "crop_n_layers": 1}))
    assert len(cropped.objects) == 4
