"""Teaching as a person does it, in Chromium with the real server: taught, killed, resumed, used and put back, each by value."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from sam2_adapter.label.teaching_data import Accepted
from sam2_adapter.models.load import load_model
from sam2_adapter.training.blend import blend_checkpoints
from tests.browser import contrast_faults, layout_faults
from tests.label.pages import looks, opened_page, serving
from tests.label.taught import HW, accepted, disk_pictures, middle_of

pytestmark = pytest.mark.browser

WIDTHS = {375: 760, 1000: 700, 1440: 900, 2560: 1300}
FITS = "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.getElementById('teach-dialog'))"
FIGURES = ("loss", "score", "miou_box", "miou_click", "miou_clicks", "miou_20_clicks")


@pytest.fixture
def folder(tmp_path):
    accepted(tmp_path / "disks", 4, objects_in=3).close()
    return tmp_path / "disks"


@pytest.fixture
def arguments(folder, tmp_path):
    """A server whose trainings take seconds, with two pictures as the general set."""
    with accepted(tmp_path / "general", 2) as session:
        found = Accepted(session.work.snapshot(), session.pictures, 16)
        found.write(tmp_path / "other", found.split(0.2, 0))
    settings = {"num_epochs": 4, "variants": "original", "learning_rate": 1e-3, "general_set": tmp_path / "other"}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [folder, "--model", "sam2_nano", "--device", "cpu", *sets]


def test_taught_killed_resumed_used_and_put_back(browser, arguments, folder, tmp_path):
    run = folder / "labels" / "teaching" / "run1"
    middle = middle_of(disk_pictures(folder, 4)["disks3.png"]["o1"])
    with serving(*arguments) as server, opened_page(browser, server.url) as page:
        page.ready()
        page.press("t")
        page.until("!document.getElementById('teach-start').disabled")
        assert page.js("document.getElementById('teach-next').textContent") == (
            "The model learns from 6 objects in 2 pictures; 1 picture with 3 objects is kept to check it."
        )
        assert _looks(page, "start") == {}
        page.window.click("#teach-start")
        _taught(page, "label.teach.told.state === 'running' && label.teach.run.epochs.length > 0")
        assert page.js("document.getElementById('teach-stop').disabled") is False
        page.press("Escape")
        _open_the_last(page)
        page.point(*middle)  # clicking goes on
        assert page.shown["score"] > 0
        _taught(page, "label.teach.run.epochs.length > 1")
        os.kill(_teaching_process(server), signal.SIGKILL)
        page.until("label.teach.told.state === 'idle'")
        page.until(
            "document.getElementById('notice').textContent.includes('The training ended unexpectedly (SIGKILL)')"
        )
        page.press("t")
        assert "it can go on" in page.js("document.getElementById('teach-trouble').textContent")
        page.window.click("#teach-resume")
        _taught(page, "label.teach.told.state === 'running' && label.teach.run.epochs.length > 2")
        child = _teaching_process(server)
        os.kill(child, signal.SIGSTOP)  # so that it is not done before it is looked at
        assert _looks(page, "running") == {}
        os.kill(child, signal.SIGCONT)
        server.kill()
        _until(lambda: not _is_running(child))
        assert not run.joinpath("result.json").exists()
        page.complaints.clear()
    with serving(*arguments) as server, opened_page(browser, server.url) as page:
        _open_the_last(page)
        page.point(*middle)
        draft, first = page.draft["steps"], page.shown
        page.press("t")
        assert page.js("document.getElementById('teach-split').textContent").startswith(
            "run1: The model has learned from 6"
        )
        page.window.click("#teach-resume")
        _taught(page, "label.teach.told.runs[0].isFinished")
        page.until("document.getElementById('notice').textContent.includes('Teaching has ended.')")
        page.until("!document.getElementById('teach-start').disabled")
        page.window.click("#teach-start")
        _taught(page, "label.teach.told.runs[1]?.isFinished")
        _result_is_that_of_the_training(page, run)
        assert _looks(page, "result") == {}
        _use_half_and_the_first_again(page, run, draft, first, tmp_path)


def test_with_one_object_the_page_knows_what_is_missing_and_does_not_ask(browser, tmp_path):
    with accepted(tmp_path / "disks", 2, objects_in=1) as session:
        name = session.pictures[0].name
        session.work.change(name, HW, dict.fromkeys(list(session.work.objects_of(name))[1:]))
    arguments = [tmp_path / "disks", "--model", "sam2_nano", "--device", "cpu"]
    with serving(*arguments) as server, opened_page(browser, server.url) as page:
        page.ready()
        asked = []
        page.window.on("request", lambda request: asked.append(request.url))
        page.press("t")
        page.until("document.getElementById('teach-next').textContent !== ''")
        told = page.js("document.getElementById('teach-next').textContent")
        assert page.js("document.getElementById('teach-start').disabled") is True
    assert told == (
        "One accepted object is too few: the model needs objects to learn from, and others to check it with. 40 objects in 10 pictures are a "
        "good start."
    )
    assert [url for url in asked if "split" in url] == []


def _taught(page, condition):
    """Wait for something that takes a training, which gives way to everything else on the machine."""
    for _ in range(10):
        with contextlib.suppress(AssertionError):
            return page.until(condition)
    return page.until(condition)


def _open_the_last(page):
    """The picture in which nothing is accepted."""
    page.until("window.label && label.store.state.image?.width")
    page.js("label.commands.open(3)")
    page.ready()


def _result_is_that_of_the_training(page, run):
    """What the page shows are the figures of the files, and run1, killed twice, came to those of run2, which nobody disturbed."""
    told = page.js("label.teach.told.runs")
    files = [json.loads((run.with_name(name) / "model" / "metrics.json").read_text()) for name in ("run1", "run2")]
    for one, metrics in zip(told, files, strict=True):
        assert one["epochs"] == [{key: row[key] for key in one["epochs"][0]} for row in metrics["epochs"]]
        assert [{key: point[key] for key in metrics["blend"]["curve"][0]} for point in one["result"]["curve"]] == (
            metrics["blend"]["curve"]
        )
    for first, second in zip(files[0]["epochs"], files[1]["epochs"], strict=True):
        assert [first[key] for key in FIGURES] == [second[key] for key in FIGURES]
    assert told[0]["result"]["curve"] == told[1]["result"]["curve"]
    page.window.select_option("#teach-run", "run1")
    page.window.fill("#teach-share", "100")
    rows = page.js(
        "[...document.querySelectorAll('#teach-body tbody tr')].map((row) => [...row.cells].map((one) => one.textContent))"
    )
    before, after = told[0]["result"]["curve"][0], told[0]["result"]["curve"][-1]
    assert rows[:5] == [
        [text, f"{100 * before[key]:.1f} %", f"{100 * after[key]:.1f} %"]
        for text, key in (
            ("From a box", "miou_box"),
            ("After 1 click", "miou_click"),
            ("After 5 clicks", "miou_clicks"),
            ("After 20 clicks", "miou_20_clicks"),
            ("Mean of these", "score"),
        )
    ]
    assert rows[5][1:] == [f"{100 * one['general']['miou_box']:.1f} %" for one in (before, after)]
    assert page.js("document.querySelector('.verdict').textContent") == after["text"]
    page.window.fill("#teach-share", "30")
    assert page.js("document.querySelector('.verdict').textContent").startswith("This share was not measured")
    half = told[0]["result"]["curve"][1]
    assert (half["share"], page.js("document.querySelectorAll('#teach-body tbody tr')[4].cells[2].textContent")) == (
        0.5,
        f"about {100 * (before['score'] + 0.6 * (half['score'] - before['score'])):.1f} %",
    )


def _use_half_and_the_first_again(page, run, draft, first, tmp_path):
    page.window.fill("#teach-share", "50")
    page.window.click("#teach-use")
    page.until("label.teach.told.inUse.run === 'run1' && !label.teach.told.isChanging")
    page.press("Escape")
    page.ready()
    assert page.draft["steps"] == draft
    page.answered()
    assert page.shown != first
    page.press("Enter")
    page.saved()
    made_by = page.objects[-1]["model"]
    by_command = load_model(
        blend_checkpoints("sam2_nano", run / "model" / "best_sam2_model.torch", 0.5, tmp_path / "b.torch")
    )
    used = load_model(run / "share-0.50.torch")
    assert made_by["name"] == "run1 (blend 0.5)"
    assert made_by["weights"] == used.weights_sha256 == by_command.weights_sha256
    page.js("label.commands.select(Object.keys(label.store.state.objects).at(-1))")
    assert "by run1 (blend 0.5)" in page.js("document.getElementById('strip').textContent")
    page.press("Control+z", "t")
    page.window.click("#teach-first")
    page.until("label.teach.told.inUse.run === null && !label.teach.told.isChanging")
    page.press("Escape")
    page.ready()
    page.answered()
    assert (page.draft["steps"], page.shown) == (draft, first)


def _looks(page, state):
    """What is wrong with the dialog at several widths, light and dark, with nothing behind it; pictures of it where they are asked for."""
    faults = {}
    drawn = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    shown = (
        "(how) => { for (const one of document.querySelectorAll('header, main, #live')) one.style.visibility = how; }"
    )
    for width, scheme in looks(page, f"teach-{state}", WIDTHS, drawn):
        page.js(shown, "hidden")
        # The page behind is not made for phones; the dialog is.
        found = [fault for fault in layout_faults(page.window) if not fault.startswith("the page is")]
        found += [] if page.js(f"() => {FITS}") else ["the dialog is wider than its window"]
        found += contrast_faults(page.window) if width == 1000 else []
        page.js(shown, "")
        if found:
            faults[width, scheme] = found
    page.window.set_viewport_size({"width": 1440, "height": 900})
    return faults


def _teaching_process(server):
    """The number of the process that teaches, among the children of the server."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, parent = (path / "cmdline").read_bytes(), (path / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == server.process.pid and b"teaching_worker" in words:
            found.append(int(path.name))
    (pid,) = found
    return pid


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
