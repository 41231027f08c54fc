"""The review and its report page, in a real browser."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from sam2_adapter.annotations.masks import mask_iou, mask_to_box_xyxy
from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_to_mask
from sam2_adapter.predict.everything.certainty import certainty
from tests.browser import faults_everywhere
from tests.formats.folders import coco, coco_image, coco_object, write_json
from tests.label.pages import DEMO, HOSTILE, engine, opened_page, saved_objects, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review") / "photos"
    folder.mkdir()
    shutil.copy(DEMO / "coins.png", folder / "a.png")
    shutil.copy(DEMO / "astronaut.jpg", folder / "b.jpg")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", f"coin,face,{HOSTILE}") as server:
        yield server


def _shown(page):
    page.until("!label.review().isAsking")
    return page.js("[...document.querySelectorAll('.cutout')].map((one) => one.getAttribute('aria-label'))")


def _pressed(page):
    return [page.window.get_attribute(name, "aria-pressed") for name in ("#everything", "#same")]


def test_objects_are_looked_at_and_found_again_in_their_pictures(browser, server, folder):
    with opened_page(browser, server.url) as page:
        page.ready()
        for x, y in ((155, 51), (335, 43), (271, 118)):
            page.point(x, y)
            page.press("Enter")
        page.press("d")
        page.until("label.store.state.image?.id === label.store.state.images[1].id")
        page.ready()
        page.press("2")
        page.drag((145, 10), (300, 190))
        page.answered()
        page.press("3", "Enter")
        page.saved()
        objects = page.js("label.store.state.objects")
        page.press("r")
        assert page.js("document.activeElement.getAttribute('aria-label')") == "Close"  # Enter writes nothing unasked
        assert len(_shown(page)) == 4
        scores = [int(told.split("score ")[1].split(" %")[0]) for told in _shown(page)]
        assert scores == sorted(scores)
        assert (
            "own guess of how well a mask fits. Painted masks have none and come first; then low scores"
            in page.window.inner_text("#review-why")
        )
        rows = page.js(
            "[...document.querySelectorAll('#review-labels tr')].map((row) => [...row.children].map((cell) => cell.innerText.trim()))"
        )
        assert [row[:3] for row in rows] == [["coin", "3", "1"], ["face", "0", "0"], [HOSTILE, "1", "1"]]
        assert page.window.inner_text("#review-count") == "4 objects"
        page.until(
            "[...document.querySelectorAll('.cutout img')].every((one) => one.complete && one.naturalWidth > 20)"
        )
        assert (
            page.js("Math.max(...[...document.querySelectorAll('.cutout img')].map((one) => one.naturalWidth))") <= 224
        )
        fetched = page.js(
            "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('/cutout'))"
        )
        assert (
            len(fetched) == len({name.split("?")[0] for name in fetched}) == 4
        )  # those of the list are not fetched again
        page.window.select_option("#review-order", "-area")
        areas = [int(told.split(", ")[2].replace(",", "").split()[0]) for told in _shown(page)]
        assert areas == sorted(areas, reverse=True)
        assert "come first" not in page.window.inner_text("#review-why")
        page.window.click("#review-labels tr:first-child button")
        assert len(_shown(page)) == 3
        assert page.window.inner_text("#review-count") == "3 objects with the label coin"
        page.window.click("#review-labels tr:first-child button")
        assert len(_shown(page)) == 4
        page.window.click("#review-labels tr:nth-child(2) button")
        assert len(_shown(page)) == 0
        assert "Nothing is accepted yet" in page.window.inner_text("#review-count")
        page.window.click("#review-labels tr:first-child button")
        assert len(_shown(page)) == 3
        # The first one is the largest coin: a click opens its picture and selects it.
        page.window.click(".cutout >> nth=0")
        page.until("label.store.state.desk.selected && label.store.state.images[0].id === label.store.state.image.id")
        assert not page.window.is_visible("#review-dialog")
        shapes = page.js(
            "Object.entries(label.store.state.objects).map(([id, { counts }]) => [label.stage.shape(counts).area, id])"
        )
        assert max(shapes)[1] == page.js("label.store.state.desk.selected")
        assert set(objects).isdisjoint(page.js("Object.keys(label.store.state.objects)"))
        page.press("Escape", "r")
        page.window.click("#review-report")
        page.until("document.querySelector('#review-told code')")
        assert page.window.inner_text("#review-told code") == str(folder / "labels" / "report.html")
        assert page.window.locator("#review-dialog img[src=x]").count() == 0
    report = folder / "labels" / "report.html"
    assert report.read_text().count("data:image/jpeg") == 4
    assert faults_everywhere(browser, report) == {}


def test_an_object_of_a_file_without_scores_shows_none(browser, tmp_path):
    folder = tmp_path / "annotated"
    folder.mkdir()
    shutil.copy(DEMO / "coins.png", folder / "a.png")
    outline = [[100, 100, 140, 100, 140, 140, 100, 140], [200, 200, 203, 200, 203, 203, 200, 203]]
    document = coco([coco_image(1, "a.png", (303, 384))], [coco_object(1, outline)])
    write_json(folder / "annotations.json", document)
    with serving(folder, "--model", "sam2_nano") as server, opened_page(browser, server.url) as page:
        page.ready()
        row = "#objects .row"
        assert page.window.inner_text(f"{row} .number") == "–"
        assert page.window.get_attribute(row, "aria-label") == "cat, no score"
        page.press("r")
        assert _shown(page) == ["cat, no score, 1,609 pixels, in a.png"]
        cells = page.js(
            "[...document.querySelectorAll('#review-labels tr:first-child td')].map((one) => one.innerText)"
        )
        assert cells == ["1", "1", "1,609", "", "0"]
        page.press("Escape")
        page.js("label.commands.select(Object.keys(label.store.state.objects)[0])")
        assert page.window.inner_text("#strip .score").split() == ["score", "–"]
        page.press("Shift+W", "Enter")  # a speck is dropped: nobody has guessed yet
        page.saved()
        (saved,) = saved_objects(folder)
        assert saved["score"] is None
        assert Rle(saved["counts"], (303, 384)).area == 1600
        assert page.window.inner_text(f"{row} .number") == "–"
        page.js("label.commands.edit(Object.keys(label.store.state.objects)[0])")
        page.point(150, 150)
        page.press("Enter")
        page.saved()
        assert page.window.inner_text(f"{row} .number").endswith("%")
        assert 0 < saved_objects(folder)[0]["score"] <= 1


def test_what_is_unlike_the_objects_of_the_picture_before_is_left_out_until_it_is_wanted(browser, tmp_path):
    folder = tmp_path / "pair"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(DEMO / "coins.png", folder / name)
    with serving(folder, "--model", "sam2_nano") as server, opened_page(browser, server.url) as page:
        page.ready()
        for x, y in ((335, 43), (271, 118), (155, 51)):
            page.point(x, y)
            page.press("Enter")
        page.saved()
        coins = [rle_to_mask(Rle(entry["counts"], (303, 384))) for entry in page.objects]
        x0, y0, x1, y1 = mask_to_box_xyxy(coins[1])
        cross = np.zeros((303, 384), bool)
        cross[(y0 + y1) // 2, x0:x1] = cross[y0:y1, (x0 + x1) // 2] = True
        changes = dict(zip(page.js("Object.keys(label.store.state.objects)"), page.objects, strict=True))
        second, third = list(changes)[1:]
        changes = {
            second: {**changes[second], "counts": mask_to_rle(cross).counts},
            third: {**changes[third], "score": 1},
        }
        page.js("(changes) => label.store.dispatch({ type: 'change', changes })", changes)
        page.saved()
        page.press("d")
        page.until("label.store.state.image?.id === label.store.state.images[1].id")
        page.ready()
        page.press("m")
        page.until("label.stage.proposals.isOn")
        found = page.js("[...label.stage.proposals.list.values()]")
        is_unlike = [False, True, found[2]["score"] < 0.8]
        assert [one["isUnlike"] for one in found] == is_unlike
        assert page.js("label.stage.proposals.shown.length") == 3 - sum(is_unlike)
        assert f"Left out: {sum(is_unlike)} unlike before, in size or score." in page.window.inner_text("#proposals")
        page.window.click("#proposals button:has-text('Show them')")
        assert page.js("label.stage.proposals.shown.length") == 3
        assert "Left out" not in page.window.inner_text("#proposals")
        page.press("Shift+G")
        page.saved()
        for entry, coin in zip(page.objects, coins, strict=True):
            assert mask_iou(coin, rle_to_mask(Rle(entry["counts"], (303, 384)))) > 0.7
        page.press("Control+z", "m")
        page.until(f"label.stage.proposals.shown.length === {3 - sum(is_unlike)}")
        told = page.js("""async () => {
          const { SameObjects } = await import("/page/same_objects.js");
          const same = new SameObjects(label.store, label.stage, label.commands, () => {});
          const click = [{ point: [1, 2], inside: true }], stroke = [{ mask: "x", painted: true }];
          return [[0.9, click, 0.71, 1], [0.9, click, 0.69, 1], [null, undefined, 0.1, 1], [1, stroke, 0.1, 1], [null, undefined, 0.9, 1.6], [0.5, click, 0.9, 0.6], [0.5, click, 0.9, 0.7]]
            .map(([score, steps, found, times]) => same.isUnlike({ score, steps }, found, times));
        }""")
        assert told == [False, True, False, False, True, True, False]


def test_objects_of_the_picture_before_are_proposals_and_pictures_are_ordered_by_certainty(browser, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for name in ("a.png", "b.png", "d.png"):
        shutil.copy(DEMO / "coins.png", folder / name)
    shutil.copy(DEMO / "astronaut.jpg", folder / "c.jpg")
    with (
        serving(folder, "--model", "sam2_nano", "--labels", "coin") as server,
        opened_page(browser, server.url) as page,
    ):
        page.ready()
        page.press("m")
        assert "no picture before this one" in page.window.inner_text("#notice")
        for x, y in ((335, 43), (271, 118)):
            page.point(x, y)
            page.press("Enter")
        page.saved()
        before = [entry["counts"] for entry in page.objects]
        page.press("f")
        page.until("label.store.state.image?.id === label.store.state.images[1].id")
        page.ready()
        page.press("m")
        page.until("label.stage.proposals.shown.length === 2")
        assert _pressed(page) == ["false", "true"]
        assert page.objects == []  # nothing is saved that nobody has accepted
        page.press("Shift+G")
        page.saved()
        session = engine(folder, "b.png")
        assert page.labels == ["coin", "coin"]
        for entry, counts in zip(page.objects, before, strict=True):
            (step,) = entry["steps"]
            mask = rle_to_mask(Rle(counts, (303, 384)))
            x0, y0, x1, y1 = mask_to_box_xyxy(mask)
            room = 0.04 * np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0]) * [-1, -1, 1, 1]
            assert np.allclose(
                step["box"], np.clip(np.array([x0, y0, x1, y1]) + room, 0, [384, 303, 384, 303]), atol=0.006
            )
            session.clear()
            assert entry["counts"] == session.box(step["box"]).rle.counts
            assert mask_iou(mask, rle_to_mask(Rle(entry["counts"], (303, 384)))) > 0.5
        page.press("Control+z")  # one gesture
        assert page.objects == []
        page.press("Escape", "Control+Shift+z")
        page.saved()
        # Where the picture before has no objects, those of the nearest one that has some are taken.
        for index in (2, 3, 1):
            page.js(f"label.commands.open({index})")
            page.until(f"label.store.state.image?.id === label.store.state.images[{index}].id")
            page.ready()
            if index == 3:
                page.press("m")
                page.until("label.stage.proposals.shown.length === 2")
                assert "from b.png" in page.window.inner_text("#proposals")
                page.window.click("#same")  # the button that is pressed ends them
                assert not page.window.is_visible("#proposals")
                page.press("m")
                page.until("label.stage.proposals.shown.length === 2")
                page.window.click("#everything")  # the other one looks for all
                page.until("label.stage.proposals.isOn && !label.stage.proposals.search")
                assert page.window.inner_text("#proposals .text").count("from b.png") == 0
                assert _pressed(page) == ["true", "false"]
                page.window.click("#everything")
                assert _pressed(page) == ["false", "false"]
        page.window.select_option("#order", "score")
        page.until("label.store.state.queue.order === 'score'")
        page.until("label.store.state.queue.scored === 3 && !document.getElementById('update').hidden")
        assert page.js("label.store.state.queue.ids") == page.js("label.store.state.images.map((one) => one.id)")
        page.window.click("#update")
        page.until("document.getElementById('update').hidden")
        scores = page.js("label.store.state.images.map((one) => label.store.state.queue.scores[one.id] ?? null)")
        predictor = session._predictor
        expected = [certainty(predictor, predictor.embed(folder / name)) for name in ("c.jpg", "d.png")]
        assert scores == [None, None, pytest.approx(expected[0], abs=1e-3), pytest.approx(expected[1], abs=1e-3)]
        listed = page.js("[...document.querySelectorAll('#pictures .picture')].map((one) => one.title)")
        assert listed == [
            *(name for _, name in sorted(zip(expected, ("c.jpg", "d.png"), strict=True))),
            "a.png",
            "b.png",
        ]
    assert (folder / "labels" / "scores.jsonl").read_text().count("\n") == 2
