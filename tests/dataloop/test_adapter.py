"""The platform loads the adapter by the path of its file, from a checkout that is not installed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

# Every test starts a process.
pytestmark = pytest.mark.slow

ENTRY = Path(__file__).parents[2] / "sam2_adapter" / "dataloop" / "adapter.py"

# Without the `site` module: what .pth files add, such as an editable install, is not there; the dependencies are.
PROGRAM = """
import importlib.util, sys
sys.path.append(sys.argv[2])
assert importlib.util.find_spec("sam2_adapter") is None
spec = importlib.util.spec_from_file_location("entry", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import dtlpy, sam2_adapter
assert issubclass(module.ModelAdapter, dtlpy.BaseModelAdapter)
adapter = module.ModelAdapter()
print(adapter.config.model_cfg, sam2_adapter.__file__)
"""


def test_the_entry_file_works_by_path_without_an_installation(tmp_path):
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(ENTRY), sysconfig.get_path("purelib")]
    environment = {"DATALOOP_PATH": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["sam2_hiera_s.yaml", str(ENTRY.parents[1] / "__init__.py")]
