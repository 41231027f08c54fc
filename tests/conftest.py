"""What all tests share: small photographs that are made here, no network, and which tests are fast.

Fast tests start no process, server, cluster or compiler, make no long run of training, and take well under a second. The others are marked
`slow`, by a mark or by what they use (see `_is_slow_by_kind`). The end of each run names tests that take longer than their kind allows.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import is_hypothesis_test, settings
from PIL import Image

# Before test modules import OpenVINO: it reports nothing.
import sam2_adapter.models.engines.openvino  # noqa: F401
from tests.browser import browser as browser
from tests.shapes import repeatable

settings.register_profile("repeatable", repeatable)
settings.load_profile("repeatable")

# A suite started in the background of a shell ignores Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Files with few tests that take long together: a process of its own should begin with each of them.
LONG_FILES = (
    "jobs/ray/test_run.py",
    "test_packaging.py",
    "demo/test_run.py",
    "label/test_page_teach.py",
    "label/test_screens.py",
    "label/test_kills.py",
)

# Fixtures that start a server.
SLOW_FIXTURES = {"gateway", "server"}

# Seconds of processor time, child processes included, that a test may take with its fixtures before it is named: whether the machine is busy
# makes little difference to them.
BUDGET_OF_FAST_TESTS = 1.5
BUDGET_OF_SLOW_TESTS = 20.0

# Name of a property of a test's report: seconds of processor time, and how many it may take.
_CPU_SECONDS = "cpu_seconds"

_slow_tests: set[str] = set()
_over_budget: list[tuple[float, float, str]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are slow by what they use and those that try examples, and begin with the files that take long."""
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.examples)
        if _is_slow_by_kind(item):
            item.add_marker(pytest.mark.slow)
        if any(map(item.get_closest_marker, ("slow", "soak", "browser"))):
            _slow_tests.add(item.nodeid)
    # With several processes nobody waits at the end for one that has just begun a long file.
    num_slow = Counter(item.path for item in items if item.nodeid in _slow_tests)
    num_all = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (not item.path.as_posix().endswith(LONG_FILES), -num_slow[item.path], -num_all[item.path])
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import without looking for garbage, which takes a tenth of that time, and leave what is imported out of what each test pays for."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        # Pytest puts its handlers on each logger that hands nothing on, six times a test; torch has fifty of them.
        for logger in logging.root.manager.loggerDict.values():
            if isinstance(logger, logging.Logger) and logger.name.startswith("torch."):
                logger.propagate = True


def _is_slow_by_kind(item: pytest.Item) -> bool:
    return not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Start to count the processor time of a test, its fixtures included."""
    started = _cpu_time()
    yield
    item.user_properties.append((_CPU_SECONDS, _cpu_time() - started))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count the processor time of the test itself."""
    started = _cpu_time()
    try:
        return (yield)
    finally:
        item.user_properties.append((_CPU_SECONDS, _cpu_time() - started))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the tests that take longer than they may; runs where the results of all processes come together."""
    if report.when == "teardown":
        seconds = sum(value for name, value in report.user_properties if name == _CPU_SECONDS)
        budget = BUDGET_OF_SLOW_TESTS if {"slow", "soak", "browser"} & report.keywords.keys() else BUDGET_OF_FAST_TESTS
        if seconds > budget:
            _over_budget.append((seconds, budget, report.nodeid))


def _cpu_time() -> float:
    used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(times.ru_utime + times.ru_stime for times in used)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that take longer than they may."""
    if _over_budget:
        terminalreporter.section("over the time budget: share work, make the data smaller, or mark the test slow")
        for seconds, budget, name in sorted(_over_budget, reverse=True):
            terminalreporter.line(f"{seconds:6.1f} s of {budget:4.1f} s  {name}")


@pytest.fixture(autouse=True)
def _fast_tests_start_no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that starts a process says that it is slow."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("This test starts a process: mark it with @pytest.mark.slow.")

    if request.node.nodeid not in _slow_tests:
        monkeypatch.setattr(subprocess.Popen, "_execute_child", refuse)


@pytest.fixture(scope="session", autouse=True)
def _no_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Weights are looked for in an empty folder and never fetched, whatever this machine has; tests of the download say otherwise."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SAM2_ADAPTER_OFFLINE", "1")
        monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        monkeypatch.setenv("SAM2_ADAPTER_TEST_FILES", str(tmp_path_factory.mktemp("commands")))
        yield


@pytest.fixture(autouse=True)
def _own_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    """Nothing that one test compiles decides which engine another one runs on."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path_factory.getbasetemp() / "caches" / name))


@pytest.fixture
def short_click_curve() -> Iterator[None]:
    """Runs in this process measure the model with a few clicks, where twenty take half of the time of a small run."""
    from tests.training.small_run import click_curve

    with click_curve():
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with `disk.png`, `night/square.jpg` and `notes.txt`."""
    folder = tmp_path / "photos"
    (folder / "night").mkdir(parents=True)
    disk_photo().save(folder / "disk.png")
    square_photo().save(folder / "night" / "square.jpg")
    (folder / "notes.txt").write_text("no picture")
    return folder


def disk_photo() -> Image.Image:
    """A bright disk of radius 40 around (80, 60) on dark ground, 160 x 120."""
    return Image.fromarray(_disk_pixels())


def square_photo() -> Image.Image:
    """A bright square from 30 to 90 on dark ground, 128 x 128."""
    return Image.fromarray(_square_pixels())


def save_photos(folder: Path, count: int, shift: int) -> None:
    """Make a folder with disks and squares in turn, 00.png, 01.png, ..., each moved by `shift` pixels more than the one before."""
    folder.mkdir()
    for index in range(count):
        photo = (disk_photo, square_photo)[index % 2]()
        Image.fromarray(np.roll(np.asarray(photo), shift * index, axis=1)).save(folder / f"{index:02}.png")


@cache
def _disk_pixels() -> np.ndarray:
    y, x = np.mgrid[:120, :160] + 0.5
    return _photo(np.hypot(x - 80, y - 60) < 40)


@cache
def _square_pixels() -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    return _photo((x >= 30) & (x < 90) & (y >= 30) & (y < 90))


def _photo(inside: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 24, (*inside.shape, 3))
    return (np.where(inside[..., None], (210, 160, 60), (30, 50, 80)) + noise).astype(np.uint8)
