"""A process that talks in lines of JSON: what goes in and comes out, how it ends, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sam2_adapter.label.child_process import ChildProcess

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parents[2])


def _echo():
    return ChildProcess("tests.label.echoing", {"PYTHONPATH": ROOT, "ECHO": "yes"})


def test_messages_go_both_ways_and_prints_do_not_disturb_them():
    async def run():
        heard, process = [], _echo()

        def take(message):
            heard.append(message)
            process.send({"kill": True} if len(heard) == 2 else {"number": len(heard)})

        ended = await process.run({"first": "ä"}, take)
        return heard, ended, process.pid

    heard, ended, pid = asyncio.run(run())
    assert heard == [{"heard": {"first": "ä"}, "nice": "yes"}, {"heard": {"number": 1}, "nice": "yes"}]
    assert (ended, pid) == ("SIGKILL", None)


def test_nothing_is_left_of_it_where_nobody_waits_for_it_any_more():
    async def run():
        process, pids = _echo(), []
        running = asyncio.create_task(process.run({}, lambda message: pids.append(process.pid)))
        while not pids:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        process.send({"to": "nobody"})
        await process.end()
        return pids[0]

    pid = asyncio.run(run())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_how_a_process_ended_that_cannot_start_is_said():
    assert asyncio.run(ChildProcess("no.such.module").run({}, print)) == "exit status 1"
