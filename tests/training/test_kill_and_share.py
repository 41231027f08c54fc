"""Runs that are killed, and runs that several processes share."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from sam2_adapter.training.run_state import STATE_NAME
from tests.processes import CONTEXT, ready
from tests.training import child_run
from tests.training.small_run import make_samples

# Every test starts processes.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    make_samples(folder, 3, seed=0)
    make_samples(folder, 1, seed=1)
    return folder


def final_weights(output) -> dict[str, torch.Tensor]:
    state = torch.load(output / "checkpoints" / STATE_NAME, weights_only=True)["state"]
    assert state["epoch"] == child_run.NUM_EPOCHS
    return state["trained"]


def start(images, output):
    ready()
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=child_run.run_and_tell, args=(images, output, sender))
    process.start()
    sender.close()
    return process, receiver


def kill_and_resume(images, output, num_kills: int, seed: int):
    """Kill a run at random moments, then let it finish; a run that ends before it is killed begins again."""
    generator = random.Random(seed)
    killed = 0
    while killed < num_kills:
        process, receiver = start(images, output)
        for _ in range(generator.randint(1, 25)):
            if not isinstance(receiver.recv(), str):
                shutil.rmtree(output)
                break
        time.sleep(generator.uniform(0, 0.05))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL and output.exists()
        receiver.close()
    process, receiver = start(images, output)
    message = receiver.recv()
    while isinstance(message, str):
        message = receiver.recv()
    process.join()
    return message


@pytest.mark.parametrize(
    ("num_kills", "seed"), [(2, 0), *(pytest.param(4, seed, marks=pytest.mark.soak) for seed in range(1, 6))]
)
def test_a_killed_run_resumes_to_the_same_weights(images, tmp_path, num_kills, seed):
    process, receiver = start(images, tmp_path / "whole")
    whole = receiver.recv()
    while isinstance(whole, str):
        whole = receiver.recv()
    process.join()
    assert kill_and_resume(images, tmp_path / "cut", num_kills, seed) == whole
    expected, found = final_weights(tmp_path / "whole"), final_weights(tmp_path / "cut")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def share_forked(images, output):
    """Two processes with the variables that torchrun sets."""
    ready()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables = [{**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    arguments = [(images, output, 5, values) for values in variables]
    processes = [CONTEXT.Process(target=child_run.run_and_report, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]


def share_with_torchrun(images, output):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [child_run.__file__, str(images), str(output), "5"]
    finished = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr[-3000:]


@pytest.mark.parametrize("share", [share_forked, pytest.param(share_with_torchrun, marks=pytest.mark.soak)])
def test_two_processes_come_to_the_result_of_one(images, tmp_path, share):
    """With five objects per step the last step of an epoch has one, so that one process has nothing to do in it."""
    one = child_run.run(images, tmp_path / "one", batch_size=5)
    share(images, tmp_path / "two")
    reports = [json.loads((tmp_path / "two" / f"process_{index}.json").read_text()) for index in range(2)]
    assert [report["processes"] for report in reports] == [2, 2]
    assert reports[0] == reports[1]
    for record, loss, score in zip(one.history, reports[0]["losses"], reports[0]["scores"], strict=True):
        assert record.score == pytest.approx(score, abs=0.01)
        assert record.loss is None or record.loss == pytest.approx(loss, rel=1e-2)
    expected, found = final_weights(tmp_path / "one"), final_weights(tmp_path / "two")
    # A bias of attention's keys moves all scores of a query alike, which the softmax takes away: its gradient is rounding alone.
    compared = [name for name in found if not name.endswith("k_proj.bias")]
    moved = max(float((expected[name] - found[name]).abs().max()) for name in compared)
    assert moved < 1e-3
