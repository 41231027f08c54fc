"""The fixtures `gateway`, `dl` and `platform`: an emulated gateway, the real client logged in to it, and quick helpers.

Every test starts with empty state, in an empty working directory, and with folders of its own for what the client stores.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.dataloop.client import Platform, load_client, log_in, shorten_waits
from tests.dataloop.gateway import Gateway

HERE = Path(__file__).parent
# The client reads the place of its settings once, when it is imported, and the test modules below import it: before them, here.
_SETTINGS = Path(tempfile.mkdtemp(prefix="dataloop-settings-"))
atexit.register(shutil.rmtree, _SETTINGS, ignore_errors=True)
CLIENT = load_client(_SETTINGS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings from inside the client and its dependencies are not ours to turn into errors."""
    for item in items:
        if HERE in item.path.parents:
            for module in ("aiohttp", "dtlpy", "dtlpymetrics", "pandas", "seaborn", "requests", "urllib3"):
                item.add_marker(pytest.mark.filterwarnings(rf"ignore:::{module}\b"))


@pytest.fixture(scope="session")
def _running_gateway() -> Iterator[Gateway]:
    """One server for the whole run."""
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture(scope="session")
def _logged_in_client(_running_gateway: Gateway) -> ModuleType:
    """The client with the emulator as its environment."""
    log_in(CLIENT, _running_gateway)
    return CLIENT


@pytest.fixture
def gateway(_running_gateway: Gateway) -> Iterator[Gateway]:
    """The emulator in its first state; a test in which the emulator itself failed is an error."""
    _running_gateway.reset()
    yield _running_gateway
    crashes = list(_running_gateway.crashes)
    _running_gateway.reset()
    if crashes:
        raise crashes[0]


@pytest.fixture
def dl(gateway: Gateway, _logged_in_client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The real `dtlpy`, logged in, with short waits, working in empty folders."""
    from dtlpy.services import service_defaults

    for folder in ("work", "dataloop"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(service_defaults, "DATALOOP_PATH", str(tmp_path / "dataloop"))
    _logged_in_client.sdk_cache.cache_path_bin = str(tmp_path / "dataloop")
    shorten_waits(_logged_in_client, monkeypatch)
    return _logged_in_client


@pytest.fixture
def platform(dl: ModuleType, gateway: Gateway) -> Platform:
    """A project on the emulator and helpers that fill it."""
    return Platform(dl, gateway)
