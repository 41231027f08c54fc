"""Do these tensors belong to that architecture? Names, shapes, number formats and values, without exception."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cache

import torch

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.families.architectures import all_architectures, families, family_of, twin_of
from sam2_adapter.models.families.base import Architecture, Layout, Shapes
from sam2_adapter.models.families.names import Tensors, is_video_tensor, name_to_transformers, tensors_to_meta
from sam2_adapter.models.families.shared import shared_shapes, under

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)

# How many tensors an error names before it counts the rest.
_NAMED_IN_ERRORS = 3

# A file shares at least this part of its tensors with the architecture that it is taken for.
_RECOGNISED_FROM = 0.5


def family_of_video_tensors(names: Collection[str]) -> str | None:
    """Tell which video model the video-memory tensors among transformers' `names` belong to; `None` if there are none."""
    video = [name for name in names if is_video_tensor(name)]
    if not video:
        return None
    return next((found for family in families() if (found := family.video_family(video))), None)


def recognise(shapes: Shapes, layout: Layout) -> Architecture | None:
    """Find the known architecture that the shapes of a state dict fit best.

    The image model does not tell SAM2 from SAM2.1: without video-memory tensors the SAM2 one is returned.
    """
    known = list(all_architectures().values())
    # Renaming the tensors of all architectures takes a tenth of a second.
    likely = [one for one in known if family_of(one).is_likely(one, shapes, layout)]
    best, found = max(
        ((_shared_part(shapes, one, layout), one) for one in likely or known), key=lambda scored: scored[0]
    )
    return found if best >= _RECOGNISED_FROM else None


def check_tensors(tensors: Tensors, architecture: Architecture, layout: Layout, with_video: bool, source: str) -> None:
    """Check tensors under the names of their own layout.

    Args:
        tensors: the state dict.
        architecture: what they should be.
        layout: whose names they have.
        with_video: whether the video-memory tensors belong to them.
        source: the file, for the error.

    Raises:
        CheckpointError: a tensor is missing, unexpected, of the wrong shape or number format, or has values that are not finite.
    """
    expected = expected_shapes(architecture, layout, with_video)
    image = expected_shapes(architecture, layout, with_video=False)
    if not any(name in tensors for name in expected if name not in image):
        expected = image  # whatever else the file has is no video memory
    problems = _name_and_shape_problems(tensors, expected) or _value_problems(tensors)
    if problems:
        found = recognise({name: tuple(tensor.shape) for name, tensor in tensors.items()}, layout)
        other = found is not None and found.image_model != architecture.image_model
        hint = f" The tensors look like {honest_name(found)}." if found and other else ""
        raise CheckpointError(f"{source} does not fit {architecture.name}: {'; '.join(problems)}.{hint}")


def honest_name(architecture: Architecture, family_known: bool = False) -> str:
    """The name, or both names where only the family, which cannot be told, would decide between them."""
    twin = twin_of(architecture)
    return architecture.name if family_known or twin is None else f"{architecture.name} or {twin.name}"


@cache
def expected_shapes(architecture: Architecture, layout: Layout, with_video: bool) -> Shapes:
    """Names and shapes of all tensors of an architecture, in the layout's names."""
    family = family_of(architecture)
    vision = dict(under("vision_encoder.", family.vision_shapes(architecture).items()))
    video = family.video_shapes(architecture) if with_video else {}
    shapes: Shapes = {**shared_shapes(architecture), **vision, **video}
    if layout == "transformers":
        return shapes
    tensors, _ = tensors_to_meta({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _shared_part(shapes: Shapes, architecture: Architecture, layout: Layout) -> float:
    """Intersection over union of (name, shape) pairs of the image model."""
    # Twins have the same image model, whose tensors are renamed once.
    first = min((architecture, twin_of(architecture) or architecture), key=lambda one: one.name)
    expected = set(expected_shapes(first, layout, with_video=False).items())
    found = {(name, shape) for name, shape in shapes.items() if not _is_video_name(name, layout)}
    video = {name for name in shapes if _is_video_name(name, layout)}
    overlap = len(expected & found) / len(expected | found)
    # Among twins the family decides; it counts less than any tensor of the image model.
    family = family_of_video_tensors([_transformers_name(name, layout) for name in video])
    return overlap + (1e-6 if family is not None and family == architecture.family else 0)


def _is_video_name(name: str, layout: Layout) -> bool:
    return is_video_tensor(_transformers_name(name, layout)) and (
        layout == "transformers" or name_to_transformers(name) is not None
    )


def _transformers_name(name: str, layout: Layout) -> str:
    return name if layout == "transformers" else name_to_transformers(name) or name


def _name_and_shape_problems(tensors: Tensors, expected: Shapes) -> list[str]:
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in expected]
    misshapen = [
        f"{name} is {_shape(tensor.shape)}, expected {_shape(expected[name])}"
        for name, tensor in tensors.items()
        if name in expected and tuple(tensor.shape) != expected[name]
    ]
    counted = (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", misshapen))
    return [_count(kind, names) for kind, names in counted if names]


def _value_problems(tensors: Tensors) -> list[str]:
    formats = [
        f"{name} is {_kind_of(tensor)}"
        for name, tensor in tensors.items()
        if tensor.dtype not in _FLOATS or tensor.layout != torch.strided or tensor.device.type != "cpu"
    ]
    if formats:
        return [_count("not float32, float16 or bfloat16", formats)]
    infinite = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    return [_count("with values that are not finite", infinite)] if infinite else []


def _kind_of(tensor: torch.Tensor) -> str:
    dense = "" if tensor.layout == torch.strided else f" in layout {str(tensor.layout).removeprefix('torch.')}"
    place = "" if tensor.device.type == "cpu" else " without values"
    return f"{str(tensor.dtype).removeprefix('torch.')}{dense}{place}"


def _is_finite(tensor: torch.Tensor) -> bool:
    # NaN goes through minimum and maximum; a mask of all values, which this does without, takes many times as long.
    return not tensor.numel() or all(math.isfinite(extreme.item()) for extreme in torch.aminmax(tensor))


def _count(kind: str, names: list[str]) -> str:
    rest = len(names) - _NAMED_IN_ERRORS
    more = f", and {rest} more" if rest > 0 else ""
    return f"{len(names)} {'tensor' if len(names) == 1 else 'tensors'} {kind} ({', '.join(names[:_NAMED_IN_ERRORS])}{more})"


def _shape(shape: Collection[int]) -> str:
    return " x ".join(map(str, shape)) or "a scalar"
