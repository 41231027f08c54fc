"""Runs that are killed, and runs that several processes share."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from sam2_adapter.training.checkpoint import checkpoint_paths
from tests.training import child_run
from tests.training.small_run import make_samples


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    make_samples(folder, 3, seed=0)
    make_samples(folder, 1, seed=1)
    return folder


@pytest.fixture(scope="module")
def processes():
    """Processes that start with everything imported, from a server that has never computed anything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.child_run"])
    return context


def final_weights(output) -> dict[str, torch.Tensor]:
    state = torch.load(checkpoint_paths(output / "checkpoints")[-1], weights_only=True)["state"]
    assert state["epoch"] == child_run.NUM_EPOCHS
    return state["trained"]


def start(processes, images, output):
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=child_run.run_and_tell, args=(images, output, sender))
    process.start()
    sender.close()
    return process, receiver


def kill_and_resume(processes, images, output, num_kills: int, seed: int):
    """Kill a run at random moments, then let it finish; returns what it came to and how often it was really killed."""
    generator = random.Random(seed)
    killed = 0
    for _ in range(num_kills):
        process, receiver = start(processes, images, output)
        for _ in range(generator.randint(1, 25)):
            if not isinstance(receiver.recv(), str):
                break
        time.sleep(generator.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        receiver.close()
    process, receiver = start(processes, images, output)
    message = receiver.recv()
    while isinstance(message, str):
        message = receiver.recv()
    process.join()
    return message, killed


@pytest.mark.parametrize(
    ("num_kills", "seed"), [(3, 0), *(pytest.param(4, seed, marks=pytest.mark.soak) for seed in range(1, 6))]
)
def test_a_killed_run_resumes_to_the_same_weights(processes, images, tmp_path, num_kills, seed):
    process, receiver = start(processes, images, tmp_path / "whole")
    whole = receiver.recv()
    while isinstance(whole, str):
        whole = receiver.recv()
    process.join()
    resumed, killed = kill_and_resume(processes, images, tmp_path / "cut", num_kills, seed)
    assert killed > 0
    assert resumed == whole
    expected, found = final_weights(tmp_path / "whole"), final_weights(tmp_path / "cut")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_two_processes_come_to_the_result_of_one(images, tmp_path):
    """With five objects a step the last step of an epoch has one, so that one process has nothing to do in it."""
    one = child_run.run(images, tmp_path / "one", batch_size=5)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [child_run.__file__, str(images), str(tmp_path / "two"), "5"]
    finished = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr[-3000:]
    reports = [json.loads((tmp_path / "two" / f"process_{index}.json").read_text()) for index in range(2)]
    assert [report["processes"] for report in reports] == [2, 2]
    assert reports[0] == reports[1]
    for record, loss, score in zip(one.history, reports[0]["losses"], reports[0]["scores"], strict=True):
        assert record.score == pytest.approx(score, abs=0.01)
        assert record.loss is None or record.loss == pytest.approx(loss, rel=1e-2)
    expected, found = final_weights(tmp_path / "one"), final_weights(tmp_path / "two")
    moved = max(float((expected[name] - value).abs().max()) for name, value in found.items())
    assert moved < 2e-3
