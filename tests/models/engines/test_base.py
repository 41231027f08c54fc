"""Where and in which number format an engine computes."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.base import in_parts_that_fit, is_out_of_memory, resolve_device, resolve_precision

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="these expectations are those of a machine without a GPU"
)


def test_auto_device_is_the_cpu_without_a_gpu():
    assert resolve_device("auto") == "cpu"


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"Unknown device 'cpus'\. Did you mean 'cpu'\? The choices are auto, cpu\."):
        resolve_device("cpus")
    with pytest.raises(ConfigError, match=r"device = 'cuda:1' is not available here; there is cpu"):
        resolve_device("cuda:1")


def test_fp16_needs_a_gpu():
    with pytest.raises(ConfigError, match="'fp16' needs a GPU"):
        resolve_precision("fp16", "cpu")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_follows_the_processor(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    assert resolve_precision("auto", "cpu") == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp16"), ((6, 1), "fp32")]
)
def test_a_t4_runs_fp16_and_not_emulated_bf16(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", "cuda") == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_who_says_that_memory_ran_out(error, expected):
    assert is_out_of_memory(error) is expected


def test_work_that_does_not_fit_is_done_in_smaller_parts():
    def work(rows: range) -> list[int]:
        if len(rows) > 3:
            raise MemoryError
        return list(rows)

    parts = list(in_parts_that_fit(10, 8, work))
    assert [number for _, part in parts for number in part] == list(range(10))
    assert [len(rows) for rows, _ in parts] == [2, 2, 2, 2, 2]


def test_one_piece_of_work_that_does_not_fit_fails():
    def work(rows: range) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(in_parts_that_fit(1, 1, work))
