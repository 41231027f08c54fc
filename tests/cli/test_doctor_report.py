"""The diagnosis as lines for people."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.cli.doctor_report import render
from sam2_adapter.doctor import Device, Diagnosis, ModelRuntime, Package, Weights


def _diagnosis(*, offline: bool = False, path: Path | None = None, threads: int = 1) -> Diagnosis:
    return Diagnosis(
        version="1.2.3",
        python="3.11.7",
        system="Linux",
        packages=(Package("torch", "2.13"), Package("numpy", None)),
        devices=(Device("cpu", "2 cores", "fp32"),),
        threads=threads,
        openvino=None,
        runtime=ModelRuntime("sam2_nano", "torch", "OpenVINO is not installed"),
        cache_dir=Path("weights"),
        offline=offline,
        weights=(Weights("sam2_hiera_s", path, ("https://example.org/s.pt",), Path("weights/s.pt")),),
    )


def test_all_sections_are_there() -> None:
    lines = render(_diagnosis())
    assert lines[:2] == ["sam2-adapter 1.2.3", "  Python 3.11.7 on Linux"]
    assert "  torch  2.13" in lines
    assert "  numpy  MISSING: install sam2-adapter again" in lines
    assert "runtimes on the CPU, 1 thread" in lines
    assert "  openvino  not installed" in lines
    assert "  torch: OpenVINO is not installed" in lines
    assert "  sam2_hiera_s  not on this machine" in lines


def test_advice_says_where_the_weights_of_the_default_model_belong() -> None:
    lines = render(_diagnosis())
    start = lines.index("what to do")
    assert "fetched on first use, or by hand" in lines[start + 1]
    assert lines[start + 2 :] == ["    https://example.org/s.pt", f"    to {Path('weights/s.pt')}"]
    assert "the network is switched off" in render(_diagnosis(offline=True))[start + 1]
    assert "what to do" not in render(_diagnosis(path=Path("weights/s.pt")))


def test_plurals() -> None:
    assert "runtimes on the CPU, 2 threads" in render(_diagnosis(threads=2))
