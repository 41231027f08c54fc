"""Every state of the page at several widths, light and dark: nothing lies over anything else, texts can be read, and pictures of it for the documentation.

With SAM2_ADAPTER_SCREENS=FOLDER the pictures are kept there; `docs/images/label.jpg` is `draft-1440-light` of them.
"""

from __future__ import annotations

import pytest

from tests.browser import contrast_faults, layout_faults
from tests.label.pages import looks, opened_page, photos, serving

pytestmark = pytest.mark.browser

WIDTHS = {1000: 700, 1280: 800, 1440: 900, 1920: 1080, 2560: 1300}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    names = ("astronaut.jpg", "coins.png", "flower.jpg", "retina.jpg")
    folder = photos(tmp_path_factory.mktemp("screens") / "my photos", names)
    (folder / "broken.jpg").write_bytes(b"no picture")
    with serving(folder, "--model", "sam2_nano", "--labels", "helmet,badge,face,background") as server:
        yield server


# The bars lie below the picture, as soon as the page has seen the width of the window.
_BELOW = (
    "(() => { const { view } = label.stage; const canvas = document.getElementById('canvas').getBoundingClientRect();"
    " const bars = document.getElementById('bars').getBoundingClientRect();"
    " return view.width === Math.round(canvas.width) && canvas.top + view.y + view.imageHeight * view.scale <= bars.top; })()"
)
_PLACE = "[label.stage.view.x, label.stage.view.y, label.stage.view.scale]"


def _in_all_looks(page, state, *, is_covered=False):
    faults = {}
    for width, scheme in looks(page, state, WIDTHS, "!label.stage.isDue && !label.stage.isMoving"):
        page.js("document.getElementById('live').replaceChildren()")  # for screen readers alone
        found = [] if is_covered else [fault for fault in layout_faults(page.window) if "<canvas>" not in fault]
        found += contrast_faults(page.window) if width == min(WIDTHS) else []
        if found:
            faults[width, scheme] = found
    return faults


def test_every_state_looks_right_at_every_width(browser, server):
    with opened_page(browser, server.url) as page:
        page.until("window.label && label.store.state.image?.width && label.stage.picture.overview")
        assert _in_all_looks(page, "start") == {}
        page.ready()
        page.until("document.getElementById('progress').hidden")
        page.drag((145, 10), (300, 190))
        page.answered()
        page.press("3", "Enter")
        page.point(170, 390)
        page.press("2", "Enter")
        page.drag((285, 345), (505, 511))
        page.answered()
        page.point(490, 370, button="right")
        page.press("1")
        assert _in_all_looks(page, "draft") == {}
        page.press("Enter")
        page.point(400, 60)
        page.press("Tab")
        page.until("label.stage.candidatesAt?.text === '2 of 3: Tab'")
        assert _in_all_looks(page, "candidates") == {}
        _long_texts_find_room(page)
        page.press("Escape")
        page.js("label.stage.proposals.offer(Object.values(label.store.state.candidates)[0], 'from the test')")
        page.until("!document.getElementById('proposals').hidden")
        assert _in_all_looks(page, "proposals") == {}
        page.press("Escape", "p")
        page.js(
            "() => { label.stage.brush.dot(60, 60, false); label.stage.brush.setSize(5); label.stage.brush.dot(90, 60, false); }"
        )
        page.until("label.stage.cleaning.specks.length === 1")
        assert _in_all_looks(page, "brush") == {}
        for width, height in WIDTHS.items():
            page.window.set_viewport_size({"width": width, "height": height})
            page.until(_BELOW)
        page.window.set_viewport_size({"width": 1000, "height": 700})
        height = page.js("document.getElementById('brush-bar').offsetHeight")
        page.js("label.stage.cleaning.setLeast(1)")
        assert page.window.inner_text("#brush-bar .cleaning").split("\n") == ["No specks", "No small holes"]
        assert (
            page.js("document.getElementById('brush-bar').offsetHeight") == height
        )  # nothing jumps while somebody paints
        page.js("label.stage.cleaning.setLeast('')")
        place = page.js(_PLACE)
        page.press("Escape", "Escape")
        assert page.js(_PLACE) == place  # the picture stays where it is when the brush comes and goes
        page.js("label.commands.select(Object.keys(label.store.state.objects)[0])")
        assert _in_all_looks(page, "selected") == {}
        page.press("?")
        assert _in_all_looks(page, "help", is_covered=True) == {}
        page.press("Escape")
        page.window.click("#export")
        page.window.click("#export-now")
        page.until("document.querySelector('#exported code')")
        assert _in_all_looks(page, "export", is_covered=True) == {}
        page.press("Escape")
        page.press("d")
        page.until("!document.getElementById('broken').hidden")
        assert _in_all_looks(page, "broken") == {}


def _long_texts_find_room(page):
    """A mask that reaches the edge of the view, and a message: all of them can be read, and the tools be reached."""
    page.js(
        "() => { const { store, own } = label; const key = JSON.stringify(store.state.desk.draft.steps);"
        " store.dispatch({ type: 'answered', key, visit: store.state.image.visit, answer: { ...own(), cut: true } });"
        " store.dispatch({ type: 'connected', connected: false }); }"
    )
    for width in (1000, 375):
        page.window.set_viewport_size({"width": width, "height": 740})
        page.until("!label.stage.isDue && !label.stage.isMoving")
        stage, strip, notes, notice, tools = page.js(
            "['stage', 'strip', 'notes', 'notice', 'tools'].map((id) => document.getElementById(id).getBoundingClientRect())"
        )
        last = page.js("document.getElementById('strip').lastElementChild.getBoundingClientRect()")
        assert stage["left"] <= strip["left"] < last["right"] <= strip["right"] <= stage["right"]
        assert stage["left"] <= notes["left"] < notes["right"] <= stage["right"]
        assert tools["right"] <= notice["left"] < notice["right"] <= stage["right"]
    page.js("label.store.dispatch({ type: 'connected', connected: true })")
    page.window.set_viewport_size({"width": 1440, "height": 900})


def test_on_a_phone_the_picture_has_the_whole_width_and_all_buttons_are_there(browser, server):
    with opened_page(browser, server.url, width=375, height=740, has_touch=True) as page:
        page.ready()
        page.until("document.getElementById('progress').hidden && !label.stage.isDue && !label.stage.isMoving")
        left, top, width, height = page.js(
            "(() => { const box = document.getElementById('stage').getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
        )
        assert (left, width) == (0, 375)
        assert height > 300
        assert page.js("document.documentElement.scrollWidth") == 375
        sides = page.js(
            "[...document.querySelectorAll('header button, header input')].filter((one) => one.checkVisibility())"
            ".map((one) => one.getBoundingClientRect())"
        )
        assert all(box["left"] >= 0 and box["right"] <= 375 and box["bottom"] <= top for box in sides)
        page.window.touchscreen.tap(*page.place(470, 300))  # where no object is accepted
        page.until("label.own()?.counts")
        strip = page.js("document.getElementById('strip').getBoundingClientRect()")
        assert strip["left"] >= 0
        assert strip["right"] <= 375
        page.js("label.offered = label.own()")
        page.press("Escape")
        page.js("label.stage.proposals.offer(Array(21).fill(label.offered), 'from the test')")
        page.until("!document.getElementById('proposals').hidden && !label.stage.isDue")
        assert [fault for fault in layout_faults(page.window) if "<canvas>" not in fault] == []
        page.press("Escape")
