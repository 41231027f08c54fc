"""The process with the model: it comes up, answers, says why it cannot, and is started again when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from sam2_adapter.errors import PromptError
from sam2_adapter.label import model_process
from sam2_adapter.label.model_process import ModelError, ModelProcess
from tests.conftest import disk_photo
from tests.quick_python import quick_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Processes have everything imported when they start."""
    with quick_python():
        yield


def test_a_model_that_is_not_there_is_said(monkeypatch):
    async def run():
        news = []
        process = ModelProcess({"model": "sam2_hiera_x"}, news.append)
        process.start()
        with pytest.raises(ModelError, match="sam2_hiera_x"):
            await process.ask({})
        await process.stop()
        return news, process.shown()

    news, shown = asyncio.run(run())
    assert [one["state"] for one in news] == ["failed"]
    assert shown["state"] == "failed"
    assert "sam2_hiera_x" in shown["text"]


@pytest.mark.usefixtures("quick")
def test_a_model_that_was_killed_comes_back_and_answers_the_same(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    image = {"id": "1", "name": "disk.png", "path": str(tmp_path / "disk.png")}
    question = {"kind": "click", "tab": "t", "visit": 1, "image": image, "steps": [{"point": [80, 60], "inside": True}]}

    async def run():
        news = []
        process = ModelProcess({"model": "sam2_nano", "device": "cpu", "runtime": "torch"}, news.append)
        process.start()
        process.open("t", {"visit": 1, "image": image})
        first = await process.ask(question)
        with pytest.raises(PromptError, match="lies outside the image"):
            await process.ask({**question, "steps": [{"point": [500, 5]}]})
        os.kill(process._process.pid, signal.SIGKILL)
        while process.state == "ready":
            await asyncio.sleep(0.01)
        again = await process.ask(question)
        assert process.pictures == {"1": {"news": "encoded", "image": "1", "seconds": process.pictures["1"]["seconds"]}}
        await process.stop()
        return first, again, [one.get("state") or one["news"] for one in news]

    first, again, news = asyncio.run(run())
    assert first == again
    assert first["score"] > 0.3
    assert news == ["ready", "encoding", "encoded", "loading", "ready", "encoding", "encoded"]


def test_a_process_that_ends_again_and_again_is_given_up(monkeypatch):
    monkeypatch.setattr(model_process, "_WORKER", "this_module_is_not_there")

    async def run():
        process = ModelProcess({}, lambda news: None)
        process.start()
        with pytest.raises(ModelError, match="ended several times"):
            await process.ask({})

    asyncio.run(run())


@pytest.mark.usefixtures("quick")
def test_another_model_takes_the_place_of_the_first_and_back(tmp_path):
    disk_photo().save(tmp_path / "disk.png")
    image = {"id": "1", "name": "disk.png", "path": str(tmp_path / "disk.png")}
    question = {"kind": "click", "tab": "t", "visit": 1, "image": image, "steps": [{"point": [80, 60], "inside": True}]}
    nano = {"model": "sam2_nano", "device": "cpu", "runtime": "torch"}

    async def run():
        process = ModelProcess(nano, lambda news: None)
        process.start()
        process.open("t", {"visit": 1, "image": image})
        first = await process.ask(question)
        waiting = asyncio.create_task(process.ask(question))
        await asyncio.sleep(0)
        await process.use({"model": "sam2_hiera_x"})
        with pytest.raises(ModelError, match=r"Another model was chosen|sam2_hiera_x"):
            await waiting
        with pytest.raises(ModelError, match="sam2_hiera_x"):
            await process.ask(question)
        assert process.state == "failed"
        await process.use(nano)
        assert process.state == "loading"
        again = await process.ask(question)
        await process.stop()
        return first, again, process.pictures["1"]["news"]

    first, again, news = asyncio.run(run())
    assert (first, news) == (again, "encoded")
