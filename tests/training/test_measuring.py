"""A run's model is measured by all processes together: on validation images, on the general set, and between two sets of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sam2_adapter.training import quality
from sam2_adapter.training.blend_choice import BlendPoint
from sam2_adapter.training.events import BlendMeasured
from sam2_adapter.training.measuring import measure_blends, measure_general_set, measure_validation
from sam2_adapter.training.optim import put
from sam2_adapter.training.run_state import copied_to_cpu
from sam2_adapter.training.setup import Parts, build
from tests.training.small_run import (
    click_curve,
    make_label_maps,
    make_samples,
    small_config_of_run,
    small_loaded_model,
)


@pytest.fixture(scope="module", autouse=True)
def _whole_click_curve() -> Iterator[None]:
    with click_curve(20):
        yield


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("measuring")
    general = make_label_maps(folder / "general", 2)
    config = small_config_of_run(general_set=str(general), blend=0.25)
    return build(
        small_loaded_model(),
        make_samples(folder, 1),
        make_samples(folder, 3, seed=1),
        folder / "run",
        config,
        None,
        None,
    )


def test_validation_and_general_set_are_measured_object_by_object(parts: Parts) -> None:
    found, general = measure_validation(parts), measure_general_set(parts)
    assert [item.position for item in found.objects] == [1, 1, 2, 2, 3, 3]
    assert len(found.iou_by_click) == 20
    assert (found.iou_by_click[0], found.iou_by_click[4]) == pytest.approx((found.miou_click, found.miou_clicks))
    assert found.score == pytest.approx(
        (found.miou_box + found.miou_click + found.miou_clicks + found.miou_20_clicks) / 4
    )
    assert general is not None
    assert 0 < general.miou_box < 1
    assert measure_general_set(replace(parts, general=None)) is None


def test_of_many_objects_some_get_all_clicks(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = measure_validation(parts)
    monkeypatch.setattr(quality, "CURVE_OBJECTS", 2)
    assert quality.curve_objects(parts.samples, parts.validation) == {1: {0}, 2: {1}, 3: set()}
    found = measure_validation(parts)
    assert [item.is_on_curve for item in found.objects] == [True, False, False, True, False, False]
    assert [len(item.clicks.iou_by_click) > 5 for item in found.objects if not item.is_on_curve] == [False] * 4
    chosen = [everything.objects[0], everything.objects[3]]
    assert found.iou_by_click == pytest.approx(
        [sum(item.clicks.iou_after(count) for item in chosen) / 2 for count in range(1, 21)]
    )
    assert found.miou_clicks == pytest.approx(everything.miou_clicks)


@pytest.mark.slow
def test_the_ends_of_a_curve_are_known_and_the_rest_is_measured(parts: Parts) -> None:
    untouched = copied_to_cpu(parts.parameters)
    tuned = {name: value + 0.05 for name, value in untouched.items()}
    before, general = measure_validation(parts).figures, measure_general_set(parts)
    put(parts.parameters, tuned)
    after, general_after = measure_validation(parts).figures, measure_general_set(parts)
    put(parts.parameters, {name: value + 0.0125 for name, value in untouched.items()})
    quarter = measure_validation(parts)
    told: list[object] = []
    first = BlendPoint(0.0, before, general)
    found = measure_blends(replace(parts, tell=told.append), untouched, tuned, (first, after), num_epochs=1)
    put(parts.parameters, untouched)
    points = [point for point, _ in found]
    assert [point.share for point in points] == [0, 0.25, 0.5, 1]
    assert points[0] is first
    assert points[-1] == BlendPoint(1, after, general_after)
    assert points[1].score == pytest.approx(quarter.score, abs=1e-6)
    assert [len(objects) for _, objects in found] == [0, 6, 6, 0]
    assert [event.point for event in told if isinstance(event, BlendMeasured)] == points
