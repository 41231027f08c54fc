"""`sam2-adapter blend`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sam2_adapter
from tests.command_line import run

# Most tests write whole models.
pytestmark = pytest.mark.slow

NANO = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"


def test_blend_writes_a_model_between_two_and_only_a_new_file(tmp_path: Path) -> None:
    target = tmp_path / "half.pt"
    done = run("blend", "sam2_nano", NANO, "0.5", target, "--json")
    assert json.loads(done.stdout) == {"written": str(target), "share": 0.5}
    again = run("blend", "sam2_nano", NANO, "0.5", target)
    assert (again.status, "half.pt exists already" in again.stderr) == (2, True)
    assert run("blend", "sam2_nano", NANO, "0.5", target, "--overwrite").stdout == f"{target}\n"


@pytest.mark.parametrize("share", ["1.5", "-0.1", "half"])
def test_blend_takes_a_share_from_0_to_1(tmp_path: Path, share: str) -> None:
    done = run("blend", "sam2_nano", NANO, "--", share, tmp_path / "x.pt")
    assert (done.status, "SHARE" in done.stderr) == (2, True)
    assert not (tmp_path / "x.pt").exists()
