"""Teaching in a process of its own: one at a time, killed and resumed to the same figures, found again after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from sam2_adapter.errors import ConfigError, TrainingError
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.teaching import Teaching
from sam2_adapter.label.teaching_runs import Runs
from tests.label.taught import HW, QUICK, accepted
from tests.quick_python import quick_python

OPTIONS = {"model": "sam2_nano", "device": "cpu"}


@pytest.fixture
def quick():
    """Processes have everything imported when they start, and measure little."""
    with quick_python(short_click_curve=True):
        yield


def _teaching(session, tell=lambda news: None, **settings):
    runs = Runs(session.directory / "teaching")
    choice = ModelChoice(runs, OPTIONS, lambda news: None, lambda: None)
    return Teaching(runs, session.work, session.pictures, choice, {**QUICK, **settings}, tell)


def test_settings_are_checked_at_the_start_and_what_teaching_decides_is_refused(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        with pytest.raises(ConfigError, match="num_epochs"):
            _teaching(session, num_epochs=0)
        with pytest.raises(ConfigError, match="--set blend: teaching sets this itself"):
            _teaching(session, blend=0.5)
        teaching = _teaching(session)
        assert teaching.split(from_used=False).shown()["validation"] == {"images": 1, "objects": 3}
        assert (teaching.shown()["state"], teaching.shown()["runs"]) == ("idle", [])
        with pytest.raises(TrainingError, match="Nothing is being taught"):
            teaching.stop()
        with pytest.raises(ConfigError, match="num_epochs"):
            asyncio.run(teaching.start(num_epochs=10**9))
        with pytest.raises(TrainingError, match="There is no model 'run1'"):
            teaching.resume("run1")


def test_nothing_is_started_or_written_without_objects(tmp_path):
    with accepted(tmp_path / "photos", 2, objects_in=0) as session:
        teaching = _teaching(session)
        with pytest.raises(TrainingError, match="Nothing is accepted yet"):
            asyncio.run(teaching.start())
        assert (teaching.state, (session.directory / "teaching").exists()) == ("idle", False)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_training_is_stopped_in_good_order_and_goes_on_and_a_killed_one_says_so(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        news = []
        teaching = _teaching(session, news.append, num_epochs=500, patience=500)

        async def epochs(count):
            while len(teaching.shown()["runs"][0]["epochs"]) < count:
                await asyncio.sleep(0.01)
            return count

        async def idle():
            while teaching.state != "idle":
                await asyncio.sleep(0.01)
            return teaching.shown()

        async def run():
            await teaching.start()
            with pytest.raises(TrainingError, match="is being taught already"):
                await teaching.start()
            await epochs(2)
            teaching.stop()
            with pytest.raises(TrainingError, match="Nothing is being taught"):
                teaching.stop()
            stopped = await idle()
            teaching.resume("run1")
            child = teaching._child
            await epochs(len(stopped["runs"][0]["epochs"]) + 1)
            os.kill(child.pid, signal.SIGKILL)
            return stopped, await idle()

        stopped, killed = asyncio.run(run())
        (shown,) = stopped["runs"]
        assert (stopped["trouble"], shown["isFinished"], shown["result"]["stopped"]) == ("", False, "interrupted")
        assert shown["result"]["epochs"] == shown["epochs"][-1]["epoch"] >= 1
        folder = session.directory / "teaching" / "run1"
        assert (folder / "model" / "best_sam2_model.torch").is_file()
        (shown,) = killed["runs"]
        assert "The training ended unexpectedly (SIGKILL)" in killed["trouble"]
        assert (shown["isFinished"], shown["result"]) == (False, None)
        assert news[-1] == {"news": "teaching", "teaching": killed}
        rows = json.loads((folder / "model" / "metrics.json").read_text())["epochs"]
        assert shown["epochs"] == [{key: row[key] for key in shown["epochs"][0]} for row in rows]
        again = _teaching(session).shown()
        assert (again["runs"], again["run"], again["state"]) == (killed["runs"], None, "idle")


@pytest.mark.parametrize(("settings", "window"), [({}, "64"), ({"window": "off"}, "off")])
def test_objects_that_were_answered_in_views_teach_at_their_scale(tmp_path, settings, window):
    with accepted(tmp_path / "photos", 2) as session:
        session.work.add_labels(["zebra"])
        for picture in session.pictures:
            for key, shape in session.work.objects_of(picture.name).items():
                step = {"point": [1, 1], "inside": True, "view": [10, 10, 74, 50]}
                session.work.change(picture.name, HW, {key: {**shape, "steps": [step]}})
        teaching = _teaching(session, **settings)
        run = teaching._prepare(teaching._settings, teaching._choice.base(used=False), False)
        assert run.facts["settings"]["window"] == window
        assert ("64 pixels" in run.facts["shown"]["sentence"]) == (window == "64")
        document = json.loads((session.directory / "teaching" / "run1" / "accepted" / "annotations.json").read_text())
        assert [category["name"] for category in document["categories"]] == ["disk", "zebra"]


@pytest.mark.slow
def test_the_process_ends_with_the_server(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        teaching = _teaching(session)

        async def run():
            await teaching.start()
            while (pid := teaching._child.pid) is None:
                await asyncio.sleep(0.01)
            await teaching.close()
            return pid

        with pytest.raises(ProcessLookupError):
            os.kill(asyncio.run(run()), 0)


def test_what_a_training_came_to_is_kept_and_found_again(tmp_path):
    with accepted(tmp_path / "photos", 2) as session:
        teaching = _teaching(session)
        run = teaching._prepare(teaching._settings, teaching._choice.base(used=False), False)
        for message, trouble in (
            ({"news": "failed", "text": "no space"}, "no space"),
            ({"news": "done", "result": RESULT}, ""),
        ):
            teaching.trouble = ""
            teaching._end(run, message)
            assert teaching.trouble == trouble
        assert _teaching(session).shown()["runs"][0]["result"] == RESULT
        with pytest.raises(TrainingError, match="has learned all that it was to learn"):
            teaching.resume("run1")
        facts = json.loads((session.directory / "teaching" / "run1" / "teaching.json").read_text())
        assert facts["settings"] == {
            "preset": "recommended",
            "trained_parts": "candidates",
            "correction_share": 0.0,
            "save_interval": 1,
            "disk_mib": 4096,
            "blend": 1.0,
            "save_model_name": "best_sam2_model.torch",
            **QUICK,
        }
        assert sorted(facts["split"]["train"] + facts["split"]["validation"]) == [
            "images/disks0.png",
            "images/disks1.png",
        ]


RESULT = {"stopped": "all epochs done", "best_epoch": 1, "curve": [{"share": 0.0}], "share": 1.0}
