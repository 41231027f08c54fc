"""The wheel, installed in a clean environment, works outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import sam2_adapter
from tests.conftest import disk_photo

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sam2_adapter"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, source / "sam2_adapter", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    _check_call(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and this environment's other packages."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    target = Path(
        _check_call(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    others = [path for path in site.getsitepackages() if Path(path).is_dir()]
    # Plain paths: the `.pth` files in them, such as that of an editable install, are not read.
    (target / "others.pth").write_text("\n".join(others))
    pip = (sys.executable, "-m", "pip", "--python", scripts / "python")
    _check_call(*pip, "install", "--no-deps", "--no-index", "--ignore-installed", wheel)
    return scripts


def test_the_wheel_holds_everything(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= held
    assert {name.partition("/")[0] for name in held} == {
        "sam2_adapter",
        f"sam2_adapter-{sam2_adapter.__version__}.dist-info",
    }
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_it_is_the_installed_package_that_runs(binaries: Path, tmp_path: Path) -> None:
    code = "import sam2_adapter; print(sam2_adapter.__file__)"
    assert str(binaries.parent) in _check_call(binaries / "python", "-c", code, cwd=tmp_path)


def test_predict(binaries: Path, tmp_path: Path) -> None:
    disk_photo().save(tmp_path / "a.png")
    arguments = ("predict", "a.png", "--model", "sam2_nano", "--box", "40,20,120,100", "--json")
    document = json.loads(_check_call(binaries / "sam2-adapter", *arguments, cwd=tmp_path))
    assert document["summary"] == {"images": 1, "objects": 1, "failed": 0}
    assert (tmp_path / "predictions" / "overlays" / "a.jpg").is_file()


# Which files there are decides here, not how well the model does: it learns little, and is measured on fewer photographs and with fewer clicks.
SHORT_DEMO = """
from functools import partial

from sam2_adapter.cli import main
from sam2_adapter.demo import fine_tuning
from sam2_adapter.training import everything_choice, general, quality

general.MOST_IMAGES, quality.CURVE_CLICKS, everything_choice.POINTS_PER_SIDE = 2, 5, 6
fine_tuning.Config = partial(fine_tuning.Config, correction_rounds=0, variants="original")
main()
"""


def test_demo(binaries: Path, tmp_path: Path) -> None:
    printed = _check_call(binaries / "python", "-c", SHORT_DEMO, "demo", "--epochs", "1", cwd=tmp_path)
    assert printed.strip() == os.path.join("demo", "index.html")
    assert (tmp_path / "demo" / "index.html").stat().st_size > 300_000


def _check_call(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
