"""The page with fingers, with the keyboard alone, and as a screen reader tells it, in Chromium."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.label.pages import Fingers, engine, opened_page, photos, same, serving

pytestmark = pytest.mark.browser

LONG_PRESS_MS = 650


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp("input") / "photos", ("coins.png", "flower.jpg"))


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", "coin,petal") as server:
        yield server


@pytest.fixture
def touched(browser, server):
    with opened_page(browser, server.url, has_touch=True) as page:
        page.ready()
        yield page
        page.press("Escape")


def test_a_tap_is_inside_and_a_long_press_outside(touched, folder):
    session, fingers = engine(folder, "coins.png"), Fingers(touched)
    fingers.down((0, touched.place(335, 43)))
    fingers.up()
    touched.answered()
    (step,) = touched.draft["steps"]
    assert (step["inside"], np.abs(np.array(step["point"]) - (335, 43)).max() < 1) == (True, True)
    assert same(touched.shown, session.click(*step["point"]))
    assert "Long press: not part of it" in touched.window.inner_text("#notes")
    fingers.down((0, touched.place(335, 20)))
    touched.window.wait_for_timeout(LONG_PRESS_MS)
    fingers.up()
    touched.answered()
    outside = touched.draft["steps"][1]
    assert [one["inside"] for one in touched.draft["steps"]] == [True, False]
    assert same(touched.shown, session.click(*outside["point"], foreground=False))


def test_a_finger_that_is_drawn_is_a_box_and_two_fingers_move_the_picture(touched, folder):
    session, fingers = engine(folder, "coins.png"), Fingers(touched)
    fingers.down((0, touched.place(310, 20)))
    for place in ((330, 40), (365, 72)):
        fingers.move((0, touched.place(*place)))
    fingers.up()
    touched.answered()
    (step,) = touched.draft["steps"]
    assert np.abs(np.array(step["box"]) - (310, 20, 365, 72)).max() < 1
    assert same(touched.shown, session.box(step["box"]))
    touched.press("Escape")

    scale = touched.js("label.stage.view.scale")
    left, right = touched.place(150, 100), touched.place(190, 100)
    middle = np.mean([left, right], axis=0)
    below = touched.under(*middle)
    fingers.down((0, left))
    fingers.down((1, right))
    apart = np.array([40.0, 0])
    for share in (0.5, 1.0):
        fingers.move((0, tuple(left - share * apart)), (1, tuple(right + share * apart)))
    touched.window.wait_for_timeout(LONG_PRESS_MS)  # is no long press
    fingers.up()
    distance = right[0] - left[0]
    assert touched.js("label.stage.view.scale") == pytest.approx(scale * (distance + 80) / distance, rel=0.02)
    assert np.allclose(touched.under(*middle), below, atol=1)
    assert touched.draft is None
    touched.press("0")


@pytest.fixture
def page(browser, server):
    with opened_page(browser, server.url) as page:
        page.ready()
        yield page


def test_a_whole_session_with_the_keyboard_alone(page, folder):
    said = []

    def told(text: str) -> None:
        page.until("(text) => document.getElementById('live').textContent.includes(text)", text)
        said.append(text)

    page.press("k")
    told("Pointing with the keyboard")
    assert "X inside" in page.window.inner_text("#strip").replace("\n", " ")
    for _ in range(2):
        page.press("Shift+ArrowUp")
    page.press("ArrowLeft")
    told(f"{page.js('Math.floor(label.stage.cursor[0])')}, {page.js('Math.floor(label.stage.cursor[1])')}")
    point = page.js("label.stage.cursor")
    page.press("x")
    page.answered()
    told("Mask found, score ")
    answer = engine(folder, "coins.png").click(*point)
    assert same(page.shown, answer)
    page.press("2", "Enter")
    told("Accepted as petal. 1 object in this picture.")
    page.saved()
    page.press("d")
    told("flower.jpg, picture 2 of 2.")
    page.ready()
    told("Ready: click on an object.")
    assert page.window.inner_text("#strip") == "Ready: click an object, or drag a box around it"
    assert page.window.get_attribute("#next", "title") == "There is none after it in the list"
    page.press("k", "x")
    page.answered()
    assert "C: not part of it" in page.window.inner_text("#notes")
    page.press("1", "Enter")
    page.saved()
    page.press("Escape")  # ends pointing
    for _ in range(60):
        if page.js("document.activeElement.id") == "export":
            break
        page.press("Tab")
    assert page.js("document.activeElement.id") == "export"
    assert page.js("document.activeElement.matches(':focus-visible')")
    page.press("Enter")
    page.until("document.getElementById('export-dialog').open")
    for _ in range(60):
        if page.js("document.activeElement.id") == "export-now":
            break
        page.press("Tab")
    page.press("Enter")
    page.until("document.querySelector('#exported code')")
    written = json.loads((folder / "labels" / "annotations.json").read_text())
    assert [entry["file_name"] for entry in written["images"]] == ["coins.png", "flower.jpg"]
    first = written["annotations"][0]
    assert first["segmentation"]["counts"] == answer.rle.counts
    page.press("Escape")
    assert page.js("document.activeElement.id") == "export"
    page.js(
        "() => { const { store } = label; const ids = Object.keys(store.state.objects); store.dispatch({ type: 'change', changes: Object.fromEntries(ids.map((id) => [id, null])) }); }"
    )
    page.saved()


def test_what_a_screen_reader_is_told(page):
    page.point(335, 43)
    page.press("2", "Enter")
    page.saved()
    told = page.window.locator("body").aria_snapshot()
    for pattern in (
        r'- heading "photos" \[level=1\]',
        r'- navigation "Pictures"',
        r'- button "Next picture',
        r'- slider "Opacity of the masks"',
        r'- button "Look closely"',
        r'- button "Find all"',
        r'- button "Repeat"',
        r'- button "Brush"',
        r'- button "Eraser"',
        r'- button "Outlines" \[pressed\]',
        r'- button "Undo"',
        r"- status: Saved",
        r'- button "Export"',
        r'- button "Help"',
        r'- textbox "Find or add a label"',
        r'- group "Labels"',
        r'- group "Objects"',
        r"- button \"petal, score \d+ %, the model's own guess",
        r'- button "Delete petal"',
        r'- button "coins\.png, .*\d objects?"',
        r'- button "The whole picture, zoom \d+ %"',
        r'- complementary "Labels and objects"',
        r'- application "Picture\. Click inside an object',
        r'- region "Picture"',
    ):
        assert re.search(pattern, told), f"{pattern} is not in:\n{told}"
    nameless = page.js(
        "[...document.querySelectorAll('button, input, select, canvas, a[href], dialog')].filter((one) => one.checkVisibility() &&"
        " !(one.getAttribute('aria-label') || one.title || one.getAttribute('aria-labelledby') || one.textContent.trim() || one.closest('label')))"
        ".map((one) => one.outerHTML)"
    )
    assert nameless == []
    page.press("?")
    assert re.search(r'- dialog "Keys and gestures"', page.window.locator("body").aria_snapshot())
    assert "The score is the model's own guess" in page.window.inner_text("#help-pointer")
    page.press("Escape")
    page.js("label.commands.select(Object.keys(label.store.state.objects)[0])")
    page.until("document.getElementById('live').textContent.startsWith('petal selected.')")
    page.press("Delete")
    page.saved()


def test_a_click_beside_the_picture_is_told_once_aloud(page):
    x, y = page.place(384, 150)
    page.js("document.getElementById('live').replaceChildren()")
    page.window.mouse.click(x + 12, y)
    assert "beside the picture" in page.window.inner_text("#notice")
    assert page.window.get_attribute("#notice", "class") == "calm"
    assert "beside the picture" in page.window.inner_text("#live")
    assert page.draft is None
    page.js("document.getElementById('live').replaceChildren()")
    page.window.mouse.click(x + 12, y)
    assert page.window.is_visible("#notice")
    assert page.window.inner_text("#live") == ""
