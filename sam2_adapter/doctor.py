"""What this machine has for running a model: versions, devices, runtimes, weights; and making its runtime ready beforehand."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from sam2_adapter import __version__
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.models.engines.base import Precision, available_devices, resolve_precision
from sam2_adapter.models.engines.choose import MANY_IMAGES, choose_runtime, make_runtime
from sam2_adapter.models.families.architectures import architecture_names, get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.load import DEFAULT_MODEL, load_model
from sam2_adapter.models.weights.download import default_cache_dir, find_weights, is_offline, weights_sources

_PACKAGES = ("torch", "transformers", "numpy", "pillow", "opencv-python-headless", "pycocotools")

_BUNDLED_MODEL = "sam2_nano"


@dataclass(frozen=True)
class Package:
    """A package that is needed.

    Attributes:
        name: its name on the package index.
        version: `None` when it is not installed.
    """

    name: str
    version: str | None


@dataclass(frozen=True)
class Device:
    """A kind of device that torch can use here.

    Attributes:
        name: as `--device` takes it.
        description: what it is.
        precision: number format that `precision: auto` means on it.
    """

    name: str
    description: str
    precision: str


@dataclass(frozen=True)
class ModelRuntime:
    """What `runtime: auto` means for a model on this machine.

    Attributes:
        model: its name.
        runtime: `torch` or `openvino`; `None` when the model cannot be loaded.
        reason: why.
    """

    model: str
    runtime: str | None
    reason: str


@dataclass(frozen=True)
class Weights:
    """The weights of one model.

    Attributes:
        name: configuration name.
        path: where they are on this machine; `None` when they are not.
        urls: where they can be fetched.
        target: where the first of them belongs.
    """

    name: str
    path: Path | None
    urls: tuple[str, ...]
    target: Path | None


@dataclass(frozen=True)
class Diagnosis:
    """Everything that `doctor` shows; `openvino` is its version, or `None` where it is not installed."""

    version: str
    python: str
    system: str
    packages: tuple[Package, ...]
    devices: tuple[Device, ...]
    threads: int
    openvino: str | None
    runtime: ModelRuntime
    cache_dir: Path
    offline: bool
    weights: tuple[Weights, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def examine(model: str | None = None, precision: Precision = "auto") -> Diagnosis:
    """Look at this machine; changes nothing and uses no network.

    Args:
        model: whose runtime is looked at, as in `load_model`; by default the default model if its weights are here, else the bundled one.
        precision: as in `load_predictor`.
    """
    return Diagnosis(
        version=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        packages=tuple(_package(name) for name in _PACKAGES),
        devices=tuple(_device(name) for name in available_devices()),
        threads=torch.get_num_threads(),
        openvino=_package("openvino").version,
        runtime=_model_runtime(model or _model_that_is_here(), precision),
        cache_dir=default_cache_dir(),
        offline=is_offline(),
        weights=tuple(_weights(get_architecture(name)) for name in architecture_names()),
    )


def prepare(model: str, precision: Precision = "auto") -> None:
    """Compile a model for OpenVINO on this machine, unless that was done before; its weights are fetched if need be.

    Raises:
        ConfigError: OpenVINO is not installed, or cannot compute the model in this precision here.
        WeightsNotFoundError: the weights are not here and could not be fetched.
    """
    # What is prepared is for all images to come.
    make_runtime(load_model(model), "cpu", "openvino", precision, expected_images=MANY_IMAGES)


def _model_that_is_here() -> str:
    return DEFAULT_MODEL if find_weights(get_architecture(DEFAULT_MODEL)) is not None else _BUNDLED_MODEL


def _model_runtime(model: str, precision: Precision) -> ModelRuntime:
    try:
        loaded = load_model(model, offline=True)
        choice = choose_runtime(loaded, precision=precision)
    except Sam2AdapterError as error:
        return ModelRuntime(model, None, str(error))
    return ModelRuntime(loaded.name, choice.name, choice.reason)


def _package(name: str) -> Package:
    try:
        return Package(name, version(name))
    except PackageNotFoundError:
        return Package(name, None)


def _device(name: str) -> Device:
    description = torch.cuda.get_device_name() if name == "cuda" else _processor() if name == "cpu" else name.upper()
    return Device(name, description, resolve_precision("auto", name))


def _processor() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def _weights(architecture: Architecture) -> Weights:
    if architecture.weights is None:
        return Weights(architecture.name, _bundled(architecture.name), (), None)
    sources = weights_sources(architecture)
    return Weights(architecture.name, find_weights(architecture), tuple(s.url for s in sources), sources[0].path)


def _bundled(name: str) -> Path | None:
    path = Path(str(resources.files("sam2_adapter").joinpath("assets", f"{name}.safetensors")))
    return path if path.is_file() else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
