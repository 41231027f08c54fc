"""What all tests share: small photographs that are made here, and no network."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import browser as browser

# A suite started in the background of a shell ignores Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Weights are looked for in an empty folder and never fetched, whatever this machine has; tests of the download say otherwise."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SAM2_ADAPTER_OFFLINE", "1")
        monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def _own_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    """Nothing that one test compiles decides which engine another one runs on."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path_factory.getbasetemp() / "caches" / name))


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
    y, x = np.mgrid[:120, :160] + 0.5
    return _photo(np.hypot(x - 80, y - 60) < 40)


def square_photo() -> Image.Image:
    """A bright square from 30 to 90 on dark ground, 128 x 128."""
    y, x = np.mgrid[:128, :128]
    return _photo((x >= 30) & (x < 90) & (y >= 30) & (y < 90))


def save_photos(folder: Path, count: int, shift: int) -> None:
    """Make a folder with disks and squares in turn, 00.png, 01.png, ..., each moved by `shift` pixels more than the one before."""
    folder.mkdir()
    for index in range(count):
        photo = (disk_photo, square_photo)[index % 2]()
        Image.fromarray(np.roll(np.asarray(photo), shift * index, axis=1)).save(folder / f"{index:02}.png")


def _photo(inside: np.ndarray) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 24, (*inside.shape, 3))
    return Image.fromarray((np.where(inside[..., None], (210, 160, 60), (30, 50, 80)) + noise).astype(np.uint8))
