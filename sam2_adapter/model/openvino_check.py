"""A compiled part beside torch on the same input.

OpenVINO's graph transformations and kernels depend on its version and on the processor, and some have been wrong: attention in windows after a
conversion, attention of small windows in bf16. Nothing is trusted before it has agreed with torch where it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sam2_adapter.errors import ConfigError

# Largest mean difference of fp32 results, as a part of their mean size.
_MAX_ERROR_FP32 = 1e-4

# Largest error in bf16, as a multiple of the error of torch's own bf16 autocast on the same input.
_MAX_ERROR_BF16 = 1.5

# An error in bf16 up to this is rounding in any case; of a few numbers more, as their mean is left to chance.
_ROUNDING_BF16 = 0.02
_ROUNDING_BF16_OF_FEW = 0.1
_FEW = 1000

Tensors = Sequence[torch.Tensor]


def require_agreement(part: str, precision: str, computed: Tensors, reference: Callable[[], Tensors]) -> None:
    """Compare what OpenVINO computed with torch.

    Args:
        part: name of the part, for the message.
        precision: `fp32` or `bf16`, as `computed` was.
        computed: the outputs.
        reference: computes the same outputs with torch, under the caller's autocast.

    Raises:
        ConfigError: they differ by more than the precision explains.
    """
    expected = _computed(reference, autocast=False)
    errors = _errors(computed, expected)
    limits = [_MAX_ERROR_FP32] * len(errors) if precision == "fp32" else _limits_bf16(reference, expected)
    if any(not error <= limit for error, limit in zip(errors, limits, strict=True)):
        raise ConfigError(
            f"On this machine OpenVINO computes the {part} in {precision} with errors of {_percent(errors)}, where at most "
            f"{_percent(limits)} can be rounding. Use runtime=torch, or another precision or version of OpenVINO."
        )


def relative_error(computed: torch.Tensor, expected: torch.Tensor) -> float:
    """Mean difference as a part of the mean size of what is expected."""
    return float((computed.float() - expected).abs().mean() / expected.abs().mean().clamp_min(1e-12))


def _computed(reference: Callable[[], Tensors], autocast: bool) -> Tensors:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        return reference()


def _limits_bf16(reference: Callable[[], Tensors], expected: Tensors) -> list[float]:
    rounding = [_ROUNDING_BF16_OF_FEW if output.numel() < _FEW else _ROUNDING_BF16 for output in expected]
    errors = _errors(_computed(reference, autocast=True), expected)
    return [max(_MAX_ERROR_BF16 * error, least) for error, least in zip(errors, rounding, strict=True)]


def _errors(computed: Tensors, expected: Tensors) -> list[float]:
    return [relative_error(one, other) for one, other in zip(computed, expected, strict=True)]


def _percent(errors: Sequence[float]) -> str:
    return " / ".join(f"{error:.3%}" for error in errors)
