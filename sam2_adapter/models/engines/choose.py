"""Which engine executes a model: what `runtime: auto` stands for, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from sam2_adapter.arguments import one_of, whole_number
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.engines.base import Precision, Runtime, resolve_device
from sam2_adapter.models.engines.cuda import compiler_is_installed
from sam2_adapter.models.engines.openvino.compiled_cache import CompiledCache
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.families.architectures import family_of
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.weights.download import default_cache_dir

logger = logging.getLogger(__name__)

RUNTIMES = ("auto", "torch", "openvino")

# As many as repay any compiling.
MANY_IMAGES = 1_000_000

# On two cores, compiling and comparing with torch takes about six seconds, and an image saves 0.3 seconds in fp32, more in bf16.
_REPAID_BY_IMAGES = 20

# On a GPU, half a minute of compiling saves about a millisecond per image.
_REPAID_BY_IMAGES_ON_GPU = 25_000


@dataclass(frozen=True)
class RuntimeChoice:
    """The engine for a model.

    Attributes:
        name: `torch` or `openvino`.
        reason: why, fit to be shown.
        precision: number format for the engine; torch resolves `auto` itself.
        compile_encoder: whether torch compiles the image encoder first.
    """

    name: Literal["torch", "openvino"]
    reason: str
    precision: Precision
    compile_encoder: bool = False

    def is_met_by(self, name: str, precision: str) -> bool:
        """Whether an engine of this name in this number format is what was chosen; of a compiled encoder that cannot be told."""
        return name == self.name and self.precision in ("auto", precision) and not self.compile_encoder


def choose_runtime(
    loaded: LoadedModel,
    device: str = "auto",
    runtime: str = "auto",
    precision: Precision = "auto",
    expected_images: int = 1,
) -> RuntimeChoice:
    """Find the engine that a `runtime` setting stands for; see `make_runtime`.

    Raises:
        ConfigError: the runtime is unknown, not installed, or cannot do what is asked.
    """
    one_of(runtime, "runtime", RUNTIMES)
    whole_number(expected_images, "expected_images", 0)
    kind = resolve_device(device).partition(":")[0]
    if runtime == "torch":
        return RuntimeChoice("torch", "asked for", precision)
    if runtime == "openvino":
        _require_openvino(loaded, device, kind)
        from sam2_adapter.models.engines.openvino.engine import choose_encoder

        if precision == "auto":
            precision = choose_encoder(loaded, compiled_cache(), precision, expected_images).precision
        return RuntimeChoice("openvino", "asked for", precision)
    return _automatic(loaded, kind, precision, expected_images)


def make_runtime(
    loaded: LoadedModel,
    device: str = "auto",
    runtime: str = "auto",
    precision: Precision = "auto",
    *,
    expected_images: int = 1,
    with_decoder: bool = True,
) -> Runtime:
    """Make the engine that executes a model.

    Args:
        loaded: the model; as torch modules it is built only where torch executes it or OpenVINO has not compiled it yet.
        device: as in `resolve_device`.
        runtime: `torch`; `openvino`, which compiles the model unless it was compiled before; or `auto`: OpenVINO where it is installed, the
            device is the CPU and the model is compiled already or will be used for many images, else torch, which compiles the encoder on
            a GPU for very many images.
        precision: `auto`, `fp32`, `bf16`, `fp16` or, with OpenVINO, `int8`; `auto` is bf16, or fp16 on an older GPU, where the processor has it,
            else with OpenVINO int8 where that pays, errs hardly more than bf16 would and is compiled already or will be used for many images,
            else fp32.
        expected_images: how many images will be encoded, as far as the caller knows.
        with_decoder: whether masks will be decoded.

    Raises:
        ConfigError: the runtime, device or precision is unknown or not available here.
    """
    choice = choose_runtime(loaded, device, runtime, precision, expected_images)
    logger.info("%s runs the model: %s", choice.name, choice.reason)
    if choice.name == "torch":
        return TorchRuntime(loaded.model, device, precision, compile_encoder=choice.compile_encoder)
    from sam2_adapter.models.engines.openvino.engine import OpenVinoRuntime

    try:
        return OpenVinoRuntime(loaded, compiled_cache(), choice.precision, with_decoder)
    except ConfigError as error:
        if precision == "auto" and choice.precision == "int8":
            logger.info("computing in fp32: %s", error)
            return make_runtime(
                loaded, device, runtime, "fp32", expected_images=expected_images, with_decoder=with_decoder
            )
        if runtime != "auto" or precision == "int8":
            raise
        logger.warning("running on torch: %s", error)
    return TorchRuntime(loaded.model, device, precision)


def compiled_cache() -> CompiledCache:
    """The user's cache of compiled models, beside the downloaded weights."""
    return CompiledCache(default_cache_dir() / "openvino")


def openvino_is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return find_spec("openvino") is not None


def _runs_on_openvino(loaded: LoadedModel) -> bool:
    return "openvino" in family_of(loaded.architecture).engines


def _why_not_openvino(loaded: LoadedModel) -> str | None:
    if not _runs_on_openvino(loaded):
        return f"only torch runs {loaded.name}"
    if not openvino_is_installed():
        return 'OpenVINO is faster on a CPU, but is not installed: pip install "sam2-adapter[openvino]"'
    return None


def _require_openvino(loaded: LoadedModel, device: str, kind: str) -> None:
    if not _runs_on_openvino(loaded):
        raise ConfigError(f"runtime = 'openvino' does not run {loaded.name}; use runtime=torch.")
    if not openvino_is_installed():
        raise ConfigError(
            "runtime = 'openvino' is not installed. Install it with: pip install \"sam2-adapter[openvino]\", or use runtime=torch."
        )
    if kind != "cpu":
        raise ConfigError(
            f"runtime = 'openvino' runs on the CPU, but device = {device!r} means {kind}. Use device=cpu, or runtime=torch."
        )


def _automatic(loaded: LoadedModel, kind: str, precision: Precision, expected_images: int) -> RuntimeChoice:
    if kind == "cuda" and expected_images >= _REPAID_BY_IMAGES_ON_GPU and compiler_is_installed():
        reason = f"the device is cuda, and {expected_images} images repay compiling"
        return RuntimeChoice("torch", reason, precision, compile_encoder=True)
    if kind != "cpu":
        return RuntimeChoice("torch", f"the device is {kind}", precision)
    return _automatic_on_cpu(loaded, precision, expected_images)


def _automatic_on_cpu(loaded: LoadedModel, precision: Precision, expected_images: int) -> RuntimeChoice:
    if reason := _why_not_openvino(loaded):
        return RuntimeChoice("torch", reason, precision)
    from sam2_adapter.models.engines.openvino.engine import choose_encoder

    try:
        encoder = choose_encoder(loaded, compiled_cache(), precision, expected_images)
    except ConfigError as error:
        return RuntimeChoice("torch", str(error), precision)
    if encoder.is_compiled:
        reason = f"compiled for this machine in {encoder.precision}"
        if encoder.faster:
            reason += f"; {encoder.faster} would be faster: see sam2-adapter doctor --prepare"
        return RuntimeChoice("openvino", reason, encoder.precision)
    if precision == "int8":
        return RuntimeChoice("openvino", "only OpenVINO computes in int8", encoder.precision)
    if encoder.is_refused:
        return RuntimeChoice("torch", "OpenVINO computes this model wrongly on this machine", precision)
    if expected_images >= _REPAID_BY_IMAGES:
        return RuntimeChoice("openvino", f"{expected_images} images repay compiling the model", encoder.precision)
    return RuntimeChoice("torch", "not compiled for OpenVINO yet; see sam2-adapter doctor --prepare", precision)
