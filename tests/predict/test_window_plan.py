"""Which prompts get a window, where it lies, and who shares it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.network.preprocess import Geometry, ModelWindow
from sam2_adapter.predict.segment import segment
from sam2_adapter.predict.window_plan import WindowRule, is_small, plan_windows, prompt_box
from sam2_adapter.predict.windows import WindowedImage
from tests.predict.test_predictor import random_image
from tests.small_model import small_predictor

HW = (800, 1000)
GEOMETRY = Geometry(HW, 1024)
LOW_RES = (256, 256)
AUTO = WindowRule("auto")


def box(x, y, width, height=None):
    height = width if height is None else height
    return Prompt(box_xyxy=(x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def click(*points, labels=None):
    return Prompt(point_coords=points, point_labels=labels or [1] * len(points))


def plan(prompts, rule=AUTO, **options):
    return plan_windows(prompts, GEOMETRY, LOW_RES, rule, **options)


@pytest.mark.parametrize(
    ("geometry", "low_res", "limit_wh"),
    [
        (Geometry((800, 1000), 1024), (256, 256), (1000 / 64, 800 / 64)),  # 16 pixels of the model's 1024
        (Geometry((520, 696), 256), (64, 64), (696 / 16, 520 / 16)),  # the bundled model: 16 of its 256
        (Geometry((800, 1000), 1024, "pad"), (256, 256), (1000 / 64, 1000 / 64)),
    ],
)
def test_what_is_small_follows_from_the_cells_of_the_models_mask(geometry, low_res, limit_wh):
    width, height = limit_wh
    assert not is_small((10, 10, 10 + width * 1.01, 10 + height * 1.01), geometry, low_res)
    assert is_small((10, 10, 10 + width * 0.99, 10 + height * 1.5), geometry, low_res)
    assert is_small((10, 10, 10 + width * 1.5, 10 + height * 0.99), geometry, low_res)


def test_small_boxes_get_windows_and_others_do_not():
    found = plan([box(500, 400, 8), box(300, 300, 200), click((50, 50)), box(100, 700, 10)])
    assert [window.prompts for window in found.windows] == [(0,), (3,)]
    assert found.windows[0].region == Region(488, 388, 512, 412)  # three times the box
    assert found.whole == (1, 2)
    assert found.left == ()


def test_off_means_none():
    found = plan([box(500, 400, 8), click((50, 50))], WindowRule())
    assert found.windows == ()
    assert found.whole == (0, 1)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(box_xyxy=(490, 396, 510, 404), box_angle=30),
        Prompt(mask=np.pad(np.ones((6, 5), bool), ((395, 399), (497, 498)))),
        Prompt(box_xyxy=(496, 396, 504, 404), point_coords=[[500, 400]], point_labels=[1]),
        Prompt(mask_input=np.pad(np.ones((2, 2), np.float32), ((127, 127), (127, 127)), constant_values=-1)),
    ],
    ids=["turned box", "mask", "box and point", "earlier logits"],
)
def test_all_prompts_with_a_size_can_be_small(prompt):
    (window,) = plan([prompt]).windows
    extent = prompt_box(prompt, GEOMETRY)
    assert window.region.contains(extent)
    longest = max(extent[2] - extent[0], extent[3] - extent[1])
    assert window.region.width == pytest.approx(3 * longest, abs=1)


def test_logits_of_nothing_have_no_size():
    assert plan([Prompt(mask_input=np.full((256, 256), -1, np.float32))]).windows == ()


def test_clicks_get_windows_of_the_chosen_size_and_boxes_as_with_auto():
    found = plan([click((500, 400)), box(100, 100, 8), box(300, 300, 200)], WindowRule(128))
    assert [(window.prompts, window.region) for window in found.windows] == [
        ((0,), Region(436, 336, 564, 464)),
        ((1,), Region(88, 88, 112, 112)),
    ]


def test_windows_never_leave_the_image():
    (window,) = plan([click((3, 796))], WindowRule(128)).windows
    assert window.region == Region(0, 672, 128, 800)


def test_background_points_do_not_move_a_window_and_far_foreground_points_widen_it():
    rule = WindowRule(128)
    (near,) = plan([click((500, 400), (900, 50), labels=[1, 0])], rule).windows
    assert near.region == Region(436, 336, 564, 464)
    (far,) = plan([click((300, 400), (600, 400))], rule).windows
    assert far.region.contains((300, 400, 600, 400))
    assert far.region.width == 1000  # 300 pixels apart, with 35 % of the side free on both sides


def test_neighbours_share_windows():
    cluster = [box(500 + 9 * column, 400 + 9 * row, 8) for row in range(2) for column in range(2)]
    found = plan([*cluster, box(50, 50, 8)])
    assert sorted(window.prompts for window in found.windows) == [(0, 1, 2, 3), (4,)]
    clicks = [click((500 + dx, 400)) for dx in (0, 20, 30)]
    assert len(plan([*clicks, click((700, 400))], WindowRule(128)).windows) == 2


def test_sizes_that_differ_much_do_not_share():
    found = plan([box(500, 400, 4), box(505, 400, 14)])
    assert len(found.windows) == 2


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(1, 999), st.floats(1, 799), st.floats(1, 30), st.floats(1, 30)), min_size=1, max_size=60
    ),
    st.integers(1, 20),
)
def test_every_prompt_is_answered_once_and_lies_in_its_window(places, most):
    prompts = [box(*place).fitted_to(HW) for place in places]
    found = plan(prompts, WindowRule("auto", max_windows=most))
    answered = [position for window in found.windows for position in window.prompts]
    assert sorted([*answered, *found.whole]) == list(range(len(prompts)))
    assert len(found.windows) <= most
    for window in found.windows:
        assert window.region.within(HW) == window.region
        for position in window.prompts:
            x0, y0, x1, y1 = prompts[position].box_xyxy
            assert window.region.contains((x0, y0, x1, y1))
            assert is_small((x0, y0, x1, y1), GEOMETRY, LOW_RES)
            if len(window.prompts) > 1:
                assert max(window.region.size_hw) <= max(16, 12 * max(x1 - x0, y1 - y0) + 1)
    large = {p for p in found.whole if not is_small(prompts[p].box_xyxy, GEOMETRY, LOW_RES)}
    assert set(found.left) <= set(found.whole) - large


def test_where_there_are_too_many_more_share_and_the_rest_is_told():
    grid = [box(50 + 40 * column, 50 + 40 * row, 8) for row in range(18) for column in range(23)]
    generous = plan(grid, WindowRule("auto", max_windows=1000))
    assert generous.left == ()
    bounded = plan(grid, WindowRule("auto", max_windows=16))
    assert len(bounded.windows) == 16
    assert bounded.left == bounded.whole
    assert len(bounded.left) == len(grid) - sum(len(window.prompts) for window in bounded.windows)
    assert sum(len(window.prompts) for window in bounded.windows) > 16


def test_the_order_of_the_prompts_does_not_matter():
    prompts = [box(50 + 11 * i, 60 + 7 * (i % 5), 6 + i % 3) for i in range(40)]
    order = np.random.default_rng(0).permutation(40)
    forth = {(window.region, frozenset(window.prompts)) for window in plan(prompts).windows}
    back = plan([prompts[index] for index in order]).windows
    assert forth == {(window.region, frozenset(int(order[p]) for p in window.prompts)) for window in back}


def test_a_window_that_would_show_the_whole_image_is_none():
    geometry = Geometry((20, 20), 1024)
    thin = Prompt(box_xyxy=(0, 10, 20, 10.2))
    assert plan_windows([thin], geometry, LOW_RES, AUTO).windows == ()


def test_in_an_image_that_is_too_large_every_box_has_a_window():
    found = plan([box(500, 400, 200), click((5, 5)), box(500, 400, 700)], always=True)
    assert [window.region for window in found.windows] == [Region(200, 100, 800, 700)]
    assert found.whole == (1, 2)


def test_a_tuned_model_sees_every_prompt_at_its_scale():
    rule = WindowRule(model=ModelWindow(2.5, 96))
    found = plan([box(500, 400, 200), click((5, 5)), box(500, 400, 1000, 800)], rule)
    assert [(window.prompts, window.region) for window in found.windows] == [
        ((0,), Region(250, 150, 750, 650)),
        ((1,), Region(0, 0, 96, 96)),
        ((2,), Region(-750, -850, 1750, 1650)),  # the image, shrunk until it has the size of an object
    ]
    assert not WindowRule(model=ModelWindow(2.5, 96)).is_off


@pytest.mark.parametrize("choice", ["on", "128", 15, 8193, -1, True, 0, 64.0])
def test_wrong_choices_are_refused(choice):
    with pytest.raises(ConfigError, match="window is 'off', 'auto' or a number of pixels from 16 to 8192, but got"):
        WindowRule(choice)


def test_wrong_numbers_are_refused():
    with pytest.raises(ConfigError, match="max_windows is a whole number of at least 1, but got 0"):
        WindowRule("auto", 0)
    for sizes, pixels in ((0.5, 64), (13, 64), (float("nan"), 64), (3, 8), (3, 10_000)):
        with pytest.raises(ConfigError, match="A model's windows have 1 to 12 object sizes and 16 to 8192 pixels"):
            ModelWindow(sizes, pixels)


def test_a_click_that_extends_a_small_mask_is_never_beside_its_window():
    mask = np.zeros(HW, bool)
    mask[396:404, 496:504] = True
    for points, has_window in (([[512, 400]], True), ([[900, 100]], False), ([[500, 400], [900, 100]], False)):
        found = plan([Prompt(mask=mask, point_coords=points, point_labels=[1] * len(points))])
        assert bool(found.windows) == has_window
        for window in found.windows:
            assert window.region.contains((496, 396, *points[-1]))
    (window,) = plan([Prompt(mask=mask, point_coords=[[900, 100]], point_labels=[0])]).windows
    assert window.region.width == 24  # nothing of the object is where it is not


def test_a_click_that_extends_a_small_mask_is_in_it_whatever_the_windows_are():
    predictor = small_predictor()
    image = random_image(0, 300, 400)
    mask = np.zeros((300, 400), bool)
    mask[50:56, 60:66] = True
    prompt = Prompt(mask=mask, point_coords=[[63, 53], [350, 250]], point_labels=[1, 1])
    (found,) = segment(
        predictor, predictor.embed(image), [prompt], windowed=WindowedImage(image, WindowRule("auto"))
    ).annotations
    assert found.mask[53, 63]
    assert found.mask[250, 350]
