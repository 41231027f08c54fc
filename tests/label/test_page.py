"""The page as a person uses it, in Chromium, against the engine's own answers."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from sam2_adapter.annotations.clicks import evaluation_click
from sam2_adapter.annotations.colors import color_of_index
from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import Rle, rle_to_mask
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.scores import EvaluationSettings
from sam2_adapter.formats.registry import output_formats
from sam2_adapter.formats.sample import Sample
from sam2_adapter.label.export import Exporter, entries
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.run import LabelSession
from sam2_adapter.owned_folder import OwnedFolder
from tests.label.pages import DEMO, HOSTILE, engine, opened_page, photos, same, serving
from tests.label.test_export import _files

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = photos(tmp_path_factory.mktemp("page") / "photos", ("astronaut.jpg", "coins.png"))
    shutil.copy(DEMO / "coins.png", folder / f"z{HOSTILE}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", "face,helmet") as server:
        yield server


@pytest.fixture
def page(browser, server, folder):
    """The page on the picture of coins, nothing labelled."""
    with opened_page(browser, server.url) as page:
        page.until("window.label && label.store.state.image?.width")
        page.js("label.commands.open(label.store.state.images.findIndex((one) => one.name === 'coins.png'))")
        page.ready()
        yield page
        page.saved()
        page.js(
            "() => { const { store } = label; const ids = Object.keys(store.state.objects); if (ids.length) store.dispatch({ type: 'change', changes: Object.fromEntries(ids.map((id) => [id, null])) }); }"
        )
        page.saved()


def test_click_correct_undo_accept_and_reload(page, folder):
    session = engine(folder, "coins.png")
    page.point(335, 43)
    assert same(page.shown, session.click(335, 43))
    assert "Right click or Shift + click: not part of it" in page.window.inner_text("#notes")
    assert re.search(r"score \d+ %", page.window.inner_text("#strip"))
    assert "the model's own guess" in page.window.get_attribute("#strip .score", "title")
    page.point(335, 20, button="right")
    assert "not part of it" not in page.window.inner_text("#notes")  # whoever has done it knows it
    assert page.draft["steps"][1] == {"point": [335, 20], "inside": False}
    assert same(page.shown, session.click(335, 20, foreground=False))
    page.point(318, 60, modifiers=["Shift"])
    assert same(page.shown, session.click(318, 60, foreground=False))
    page.press("Control+z", "Control+z")
    assert same(page.shown, session.go_to(session.steps[:1]))
    page.press("Control+Shift+z")
    second = page.shown
    page.press("2", "Enter")
    assert page.draft is None
    page.saved()
    assert [(entry["label"], entry["counts"]) for entry in page.objects] == [("helmet", second["counts"])]
    assert len(page.objects[0]["steps"]) == 2
    page.window.reload()
    page.until("window.label && Object.keys(label.store.state.objects).length === 1")
    assert page.objects[0]["counts"] == second["counts"]
    page.ready()
    page.press("Control+z")  # what was accepted before the reload is not undone
    assert len(page.objects) == 1


def test_boxes_candidates_and_a_second_object(page, folder):
    session = engine(folder, "coins.png")
    page.drag((310, 20), (365, 72))
    page.answered()
    (step,) = page.draft["steps"]
    box = step["box"]
    assert np.abs(np.array(box) - (310, 20, 365, 72)).max() < 1
    assert same(page.shown, session.box(box))
    # The answer to a box need not be one of the candidates: how many there are is told once they are known.
    page.until("label.stage.candidatesAt?.text === 'Other masks: Tab'")
    masks = list(dict.fromkeys([session.answer.rle.counts, *(one.rle.counts for one in session.candidates())]))
    for place in (*range(1, len(masks)), 0):
        page.press("Tab")
        page.until("(counts) => label.own()?.counts === counts", masks[place])
        page.until(f"label.stage.candidatesAt?.text === '{place + 1} of {len(masks)}: Tab'")
    page.press("Enter")
    session.clear()
    page.point(155, 51)
    session.click(155, 51)
    candidates = session.candidates()
    page.until("label.stage.candidatesAt")  # before anybody knows of Tab
    told = page.js("label.stage.candidatesAt")
    assert told["text"] == "1 of 3: Tab"
    lower = page.js("(counts) => label.stage.shape(counts).box[3]", page.shown["counts"])
    assert told["y"] == pytest.approx(page.js("(y) => label.stage.view.toScreen(0, y)[1]", lower) + 8, abs=1)
    seen = []
    for place in (2, 3, 1, 2):
        before = page.shown["counts"]
        page.press("Tab")
        page.until("(before) => label.own() && label.own().counts !== before", before)
        seen.append(page.shown["counts"])
        page.until(f"label.stage.candidatesAt?.text === '{place} of 3: Tab'")
    assert sorted(seen[:3]) == sorted(candidate.rle.counts for candidate in candidates)
    assert seen[2] == session.answer.rle.counts  # the first one again
    chosen = page.draft["steps"][0]["choice"]
    page.point(150, 60)
    page.until("label.stage.candidatesAt === null")
    session.choose(candidates[chosen])
    assert same(page.shown, session.click(150, 60))
    page.press("Escape")
    assert (page.draft, len(page.objects)) == (None, 1)
    page.press("Control+z")
    assert len(page.draft["steps"]) == 2
    page.press("Space")
    assert len(page.objects) == 2


def test_zoomed_and_moved_the_pixels_are_the_engines(page, folder):
    session = engine(folder, "coins.png")
    at = [int(value) for value in page.place(335, 43)]
    below = page.under(*at)
    page.window.mouse.move(*at)
    for _ in range(4):
        page.window.mouse.wheel(0, -240)
    page.until("label.stage.view.scale > 6 && !label.stage.isMoving")
    assert np.allclose(page.under(*at), below, atol=0.01)
    page.drag((335, 43), (331, 41), button="middle")
    page.until("!label.stage.isMoving")
    page.point(333.5, 44.5)
    answer = session.click(*page.draft["steps"][0]["point"])
    assert same(page.shown, answer)
    page.window.fill("#opacity", "100")
    page.press("Enter", "o")
    page.window.mouse.move(5, 5)
    page.until("label.store.state.desk.selected === null && !label.stage.isDue")
    x0, y0, x1, y1 = page.js("label.stage.view.visible()")
    color = page.js("label.store.state.palette[0]")
    pixels = page.js(
        "([x0, y0, x1, y1]) => { const { view, canvas } = label.stage; label.stage.draw();"
        " const { width, height } = canvas; const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
        " const rows = []; for (let y = y0 + 1; y < y1 - 1; y++) { const row = []; for (let x = x0 + 1; x < x1 - 1; x++) {"
        " const [a, b] = view.toScreen(x + 0.5, y + 0.5); const i = 4 * (Math.round(b) * width + Math.round(a));"
        " row.push([...data.slice(i, i + 3)]); } rows.push(row); } return rows; }",
        [x0, y0, x1, y1],
    )
    red = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    painted = np.abs(np.array(pixels) - red).max(axis=-1) < 8
    expected = answer.mask[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]
    assert expected.any()
    assert not expected.all()
    assert np.array_equal(painted, expected)
    page.press("o", "0")
    page.window.fill("#opacity", "45")


def test_clicks_reach_the_quality_that_evaluation_measures(page, folder):
    y, x = np.mgrid[:303, :384] + 0.5
    gt_mask = np.hypot(x - 335, y - 43) < 30
    sample = Sample("coins.png", folder / "coins.png", (303, 384), (Annotation.from_mask(gt_mask, "face"),))
    predictor = engine(folder, "coins.png")._predictor
    settings = EvaluationSettings(max_clicks=10, stop_iou=2.0)
    (row,) = measure_image(predictor, sample, [0], predictor.embed(sample.read_image()), "clicks", settings)
    mask, clicked, ious = None, [], []
    for _ in row.iou_by_click:
        click = evaluation_click(gt_mask, mask, np.array(clicked, np.float32).reshape(-1, 2))
        clicked.append((click.x, click.y))
        page.js(f"label.commands.point({click.x}, {click.y}, {str(bool(click.label)).lower()})")
        page.answered()
        mask = rle_to_mask(Rle(page.shown["counts"], (303, 384)))
        ious.append(mask_iou(mask, gt_mask))
    assert len(ious) > 1
    assert ious == list(row.iou_by_click)
    page.press("Escape")


def test_accepted_objects_are_selected_edited_relabelled_and_deleted(page, folder):
    session = engine(folder, "coins.png")
    in_use = "document.querySelector('#labels [aria-pressed=true]').title"
    page.press("1")
    first = page.js(in_use)
    page.point(335, 43)
    page.press("Enter", "2")
    page.until(f"{in_use} === 'helmet'")
    page.point(335, 43)
    assert page.draft is None
    assert page.js(in_use) == first  # the list shows what the selected object is
    assert "Delete" in page.window.inner_text("#strip")
    cutout = "document.querySelector('#objects img')"
    page.until(f"{cutout}.naturalWidth > 20")
    address = page.js(f"{cutout}.src")
    page.press("2")
    assert page.labels == ["helmet"]
    page.until(f"{cutout}.naturalWidth > 20")
    assert page.js(f"{cutout}.src").split("?")[0] == address.split("?")[0]
    assert page.js(f"{cutout}.src") != address  # its outline has another colour
    page.press("e")
    session.click(335, 43)
    page.point(335, 20, button="right")
    assert same(page.shown, session.click(335, 20, foreground=False))
    page.press("Escape")
    assert len(page.objects) == 1
    page.press("Control+z", "Enter")
    assert page.objects[0]["counts"] == session.answer.rle.counts
    page.point(335, 43, modifiers=["Alt"])
    assert page.draft["editing"] is None
    page.press("Escape")
    page.point(335, 43)
    page.press("Delete")
    assert page.objects == []
    page.press("Control+z")
    assert page.labels == ["helmet"]
    page.press("Control+z", "Control+z", "Control+z", "Control+z", "Control+z", "Control+z")
    page.until("Object.values(label.store.state.objects)[0]?.label === 'face'")


def test_enter_stays_with_the_picture_after_a_button_was_pressed_with_the_mouse(page):
    page.point(335, 43)
    page.window.click("#outlines")
    page.window.click("#labels .row >> nth=1")
    page.press("Enter")
    assert page.labels == ["helmet"]
    page.point(155, 51)
    page.window.click("#objects .row")
    assert "not accepted yet" in page.window.inner_text("#notice")
    page.press("Escape")
    page.window.click("#objects .row")
    page.press("Enter")
    assert page.draft["editing"]
    page.window.click("#undo")
    page.window.click("#help")
    page.press("Escape", "e")
    assert page.draft["editing"]
    page.press("Escape")
    assert page.window.get_attribute("#outlines", "aria-pressed") == "false"
    page.press("o")


def test_labels_and_file_names_are_texts(page, server):
    page.press("l")
    page.window.keyboard.type(HOSTILE)
    page.press("Enter")
    page.until("(label_) => label.store.state.labels.includes(label_)", HOSTILE)
    page.point(155, 51)
    page.press("Enter")
    page.saved()
    assert page.labels == [HOSTILE]
    assert page.window.inner_text("#objects").startswith(HOSTILE)
    assert page.window.locator("#pictures img[src=x], #objects img[src=x], #labels img, #strip img").count() == 0
    assert f"z{HOSTILE}.png" in page.window.locator(".picture").last.get_attribute("title")


def test_a_broken_picture_is_shown_as_such_and_the_next_one_works(page):
    page.js("label.commands.open(label.store.state.images.findIndex((one) => one.name === 'broken.jpg'))")
    page.until("!document.getElementById('broken').hidden")
    assert "broken.jpg" in page.window.inner_text("#broken")
    page.press("d")
    page.ready()
    page.point(155, 51)
    assert page.shown["counts"]
    page.press("Escape")


def test_two_tabs_see_each_others_changes(page, browser, server):
    with opened_page(browser, server.url) as other:
        other.until("window.label && label.store.state.image?.width")
        other.js("label.commands.open(label.store.state.images.findIndex((one) => one.name === 'coins.png'))")
        other.ready()
        page.point(155, 51)
        page.press("Enter")
        other.until("Object.keys(label.store.state.objects).length === 1")
        assert other.objects == page.objects
        other.point(155, 51)
        other.press("2")
        page.until("Object.values(label.store.state.objects)[0].label === 'helmet'")
        other.press("Delete")
        page.until("Object.keys(label.store.state.objects).length === 0")


def test_the_keyboard_alone_is_enough(page):
    page.press("k", "Enter")
    assert page.window.inner_text("#notice") == "X says that an object is here. Enter accepts its mask."
    assert page.draft is None
    for _ in range(5):
        page.press("ArrowLeft")
    page.press("Shift+ArrowUp", "x")
    page.answered()
    x, y = page.draft["steps"][0]["point"]
    assert [x, y] == page.js("label.stage.cursor")
    assert x < 192
    page.press("Escape", "b", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "b")
    page.answered()
    assert len(page.draft["steps"][0]["box"]) == 4
    page.press("Escape", "Escape")
    page.press("?")
    assert page.window.is_visible("#help-dialog")
    page.press("Escape")
    assert not page.window.is_visible("#help-dialog")


def test_a_double_click_and_a_held_key_point_once(page, folder):
    session = engine(folder, "coins.png")
    x, y = page.place(335, 43)
    page.window.mouse.dblclick(x, y)
    page.answered()
    assert [step["inside"] for step in page.draft["steps"]] == [True]
    assert same(page.shown, session.click(*page.draft["steps"][0]["point"]))
    page.window.mouse.click(x + 12, y)
    page.window.mouse.click(x + 12, y, button="right")
    assert [step["inside"] for step in page.draft["steps"]] == [True, True, False]
    page.press("Escape", "k")
    for _ in range(3):
        page.window.keyboard.down("x")  # the second and third one repeat the first
    page.window.keyboard.up("x")
    assert len(page.draft["steps"]) == 1
    page.press("Escape", "Escape")


def test_the_label_in_use_is_kept_when_the_page_is_loaded_again(page):
    page.press("2")
    page.window.reload()
    page.ready()
    assert page.js("label.store.state.label") == "helmet"
    assert page.js("label.store.state.images.find((one) => location.hash === `#${one.id}`).name") == "coins.png"
    assert page.window.locator("#labels [aria-pressed=true]").get_attribute("title") == "helmet"


def test_the_browser_asks_before_several_clicks_are_lost(page):
    def asks():
        return page.js(
            "() => { const event = new Event('beforeunload', { cancelable: true }); dispatchEvent(event); return event.defaultPrevented; }"
        )

    page.point(335, 43)
    assert not asks()
    page.point(335, 20, button="right")
    assert asks()
    page.press("Enter")
    page.saved()
    assert not asks()
    page.press("Control+z", "Control+Shift+z")
    page.js("label.commands.edit(Object.keys(label.store.state.objects)[0])")
    page.saved()
    assert not asks()
    page.point(318, 60, button="right")
    assert not asks()
    page.point(335, 50)
    assert asks()
    page.press("Escape")


def test_the_label_field_does_what_it_says(page):
    page.press("l")
    page.window.keyboard.type("helm")
    assert "Enter takes “helmet”, Shift + Enter adds “helm”" in page.window.inner_text("#labels")
    page.press("Enter")
    assert page.js("label.store.state.label") == "helmet"
    page.press("l")
    page.window.keyboard.type("helm")
    page.press("Shift+Enter")
    page.until("label.store.state.label === 'helm' && label.store.state.labels.includes('helm')")
    page.press("l")
    page.window.keyboard.type("HELM")
    assert "adds" not in page.window.inner_text("#labels")
    page.press("Shift+Enter")  # the label is there
    assert page.js("label.store.state.label") == "helm"
    page.press("l")
    page.window.keyboard.type("elm")  # two labels have it
    assert "Enter adds “elm”" in page.window.inner_text("#labels")
    page.press("Escape")
    assert page.js("label.store.state.label") == "helm"


def test_an_object_inside_an_accepted_one_is_pointed_at_with_the_keyboard(page):
    page.point(335, 43)
    page.press("Enter", "k")
    page.js("() => { label.stage.cursor = [335.5, 43.5]; }")
    page.press("x")
    assert (page.draft, page.js("label.store.state.desk.selected !== null")) == (None, True)
    assert "Alt + click: another object here" in page.window.inner_text("#notes")
    page.press("Shift+X")
    assert page.draft["editing"] is None
    page.press("Escape", "Escape")


def test_the_export_says_where_the_files_go_before_they_are_written(page, folder):
    page.window.click("#export")
    assert f"The files go to {folder / 'labels'}." in page.window.inner_text("#export-dialog")
    names = ["COCO", "CVAT", "Dataloop", "LabelMe", "Label maps", "Polygons", "Pascal VOC", "YOLO", "Report page"]
    assert page.window.inner_text("#formats").split("\n")[::2] == names
    assert page.window.inner_text("#export-kinds") == "COCO, CVAT, Dataloop and LabelMe get"
    assert page.window.inner_text("#export-replaces") == ""  # nothing lies there yet
    assert page.window.inner_text("#export-waiting") == ""
    page.press("Escape")
    page.point(335, 43)
    page.window.click("#export")
    assert page.window.inner_text("#export-waiting") == "1 object under way, not accepted yet: not exported."
    page.press("Escape", "Escape")


def test_the_help_fits_into_a_low_window_and_a_long_label_into_the_strip(page):
    page.window.set_viewport_size({"width": 1440, "height": 700})
    page.press("?")
    assert (
        page.js(
            "(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.getElementById('help-dialog'))"
        )
        == 0
    )
    page.press("Escape")
    page.js("label.store.dispatch({ type: 'label', label: 'x'.repeat(200) })")
    page.point(335, 43)
    assert page.window.locator("#strip .what").bounding_box()["width"] <= 240
    page.press("Escape")


def test_exports_are_those_of_the_engine_byte_for_byte(page, folder, server, tmp_path):
    session = engine(folder, "coins.png")
    expected = []
    for x, y, name in ((155, 51, "face"), (335, 43, "helmet")):
        page.press("1" if name == "face" else "2")
        page.point(x, y)
        page.press("Enter")
        answer = session.click(x, y)
        expected.append(Annotation.from_rle(answer.rle, name, answer.iou_score))
        session.clear()
    page.saved()
    page.window.click("#export")
    for box in page.window.locator("#formats input").all():
        box.check()
    page.window.click("#export-now")
    page.until(
        "document.getElementById('exported').querySelectorAll('code').length === label.store.state.formats.length"
    )
    page.window.uncheck("#formats input[value=report]")
    assert page.window.inner_text("#export-replaces").startswith("In place of the earlier annotations.json, ")
    assert "report.html" not in page.window.inner_text("#export-replaces")
    page.press("Escape")
    model = page.js("label.store.state.model.model")
    entries_of = [
        {"label": entry.label, "counts": entry.rle.counts, "score": entry.iou_score}
        for entry in AnnotatedImage("coins.png", (303, 384), tuple(expected)).annotations
    ]
    work = {"coins.png": PictureWork((303, 384), dict(enumerate(entries_of)))}
    with OwnedFolder(tmp_path / "engine", "label") as direct:
        direct.begin(entries())
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
        labels = {name: color_of_index(place) for place, name in enumerate(page.js("label.store.state.labels"))}
        Exporter(direct, names).write(work, list(output_formats()), model, labels=labels)
        written = _files(direct.directory)
    found = {
        name: content
        for name, content in _files(folder / "labels").items()
        if name in written and name != "annotations.json"
    }
    assert found == {name: content for name, content in written.items() if name != "annotations.json"}
    masks = [rle_to_mask(Rle(entry["counts"], (303, 384))) for entry in page.objects]
    assert np.array_equal(masks[1], expected[1].mask)


def test_answers_in_view_are_the_engines_and_say_where_they_are_cut(page, folder):
    session = engine(folder, "coins.png")
    page.press("v")
    assert page.window.get_attribute("#inView", "aria-pressed") == "true"
    page.point(335, 43)
    assert "view" not in page.draft["steps"][0]  # all of the picture is visible
    page.press("Escape")
    page.window.mouse.move(*page.place(335, 43))
    for _ in range(4):
        page.window.mouse.wheel(0, -240)
    page.until("!label.stage.isMoving && document.getElementById('progress').hidden && label.look().seen")
    page.point(335, 43)
    step = page.draft["steps"][0]
    answer = session.click(*step["point"], view_xyxy=tuple(step["view"]))
    assert same(page.shown, answer)
    assert bool(page.shown.get("cut")) == answer.is_cut
    assert ("reaches the edge" in page.window.inner_text("#notes")) == answer.is_cut
    page.press("0")
    page.until("!label.stage.isMoving")
    page.point(318, 60, button="right")
    assert same(page.shown, session.click(318, 60, foreground=False))
    page.press("Enter", "v")


def test_nothing_that_was_accepted_is_lost_when_the_server_is_killed(browser, folder, tmp_path):
    pictures = tmp_path / "photos"
    pictures.mkdir()
    shutil.copy(folder / "coins.png", pictures)
    places = [(155, 51), (335, 43), (271, 118)]
    accepted = []
    for number, (x, y) in enumerate(places):
        with serving(pictures, "--model", "sam2_nano") as server, opened_page(browser, server.url) as page:
            page.ready()
            assert [entry["counts"] for entry in page.objects] == accepted
            page.point(x, y)
            page.press("Enter")
            page.saved()
            accepted.append(page.objects[-1]["counts"])
            server.kill()
            page.complaints.clear()
            page.until("!label.store.state.connected && document.getElementById('saved').textContent === 'No server'")
            page.press("Control+z")
            page.until("label.store.state.outbox.length === 1")
            assert page.window.inner_text("#saved") == "Not saved"
            assert "One change is kept in this page" in page.window.inner_text("#notice")
            assert page.window.inner_text("#notice code") == "sam2-adapter label"
            page.complaints.clear()
            if number == len(places) - 1:
                accepted.pop()
                _goes_on_with_a_server_that_was_started_again(page, server, pictures)
        assert len(accepted) == min(number + 1, len(places) - 1)
    with LabelSession([pictures]) as session:
        assert [entry["counts"] for entry in session.work.objects_of("coins.png").values()] == accepted


def _goes_on_with_a_server_that_was_started_again(page, server, pictures):
    """What was kept in the page is saved, and clicks are answered again, without loading it anew."""
    with serving(pictures, "--model", "sam2_nano") as again:
        assert again.port == server.port
        page.saved()
        page.ready()
        page.point(335, 43)
        assert page.shown["counts"]
        page.press("Escape")
        page.complaints.clear()
