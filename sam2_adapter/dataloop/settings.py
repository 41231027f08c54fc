"""The configuration of a model entity to `Config`, read once.

The SDK hands out the configuration as a live mapping that sends the whole model entity on many accesses, so it is
copied to a plain dict and never looked at again. The platform lists every key of the manifest, whether somebody chose
its value or not: with `preset: recommended`, keys whose value still equals the mission's default count as not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sam2_adapter.annotations.prompt_values import short
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError

WEIGHTS_KEY = "weights_sha256"
"""Key of the configuration that holds the identity of the trained weights, so that others are refused."""

PLATFORM_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "upload_annotations": True,
        "clean_annotations": True,
        "overwrite_annotations": True,
        "upload_features": None,
        "root_path": None,
        "data_path": None,
        "output_path": None,
        "include_background": False,
        "predict_embed_subset_limit": 1000,
        "predict_embed_timeout": 86_400,
    }
)
"""Keys that the SDK's base class reads, with its defaults; it writes and sends those that are missing."""

_FOREIGN_KEYS = frozenset({*PLATFORM_DEFAULTS, "id_to_label_map", "label_to_id_map", "labels", WEIGHTS_KEY})

_OUTPUT_TYPES = {"mask": "binary", "polygon": "segment"}


@dataclass(frozen=True)
class Settings:
    """Everything that the adapter reads from a model entity's configuration.

    Attributes:
        config: our own keys.
        subset_limit: most items that one execution predicts; more are split over several executions.
        overwrite_annotations: predict again before an evaluation.
        upload_features: store the vectors of an embedding.
        weights_sha256: identity of the weights that the artifacts should hold; `None` where nothing was trained.
    """

    config: Config
    subset_limit: int
    overwrite_annotations: bool
    upload_features: bool
    weights_sha256: str | None


def read_settings(configuration: Mapping[str, Any] | None, source: str = "configuration") -> Settings:
    """Parse the configuration of a model entity; unknown keys are ignored with one warning.

    Args:
        configuration: plain dict; empty values (`None`) count as not given.
        source: where it came from, for messages.

    Raises:
        ConfigError: a value has the wrong type or range.
    """
    if configuration is not None and not isinstance(configuration, Mapping):
        raise ConfigError(f"{source}: expected names and values, but got {short(configuration)}.")
    plain = {key: value for key, value in dict(configuration or {}).items() if value is not None}
    known = {**PLATFORM_DEFAULTS, **plain}
    own = {key: value for key, value in plain.items() if key not in _FOREIGN_KEYS}
    return Settings(
        config=Config.from_mapping(_chosen(own), source=source, ignore_unknown=True),
        subset_limit=positive_number("predict_embed_subset_limit", known["predict_embed_subset_limit"], source),
        overwrite_annotations=switch("overwrite_annotations", known["overwrite_annotations"], source),
        upload_features=switch("upload_features", known["upload_features"], source, default=True),
        weights_sha256=_text(WEIGHTS_KEY, known.get(WEIGHTS_KEY), source),
    )


def positive_number(key: str, value: Any, source: str) -> int:
    """A whole number from 1 on.

    Raises:
        ConfigError: it is something else; the text names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 2**53 or value != int(value):
        raise ConfigError(f"{source}: {key} is a whole number, at least 1, but got {short(value)}.")
    return int(value)


def prepare_configuration(model: Any) -> Settings:
    """Read the settings of a model entity (`dl.Model`), and complete its configuration in memory.

    Added are the keys that the SDK's base class would otherwise add itself, with one request per key.

    Raises:
        ConfigError: a value has the wrong type or range.
    """
    if model.configuration is None:
        model.configuration = {}
    settings = read_settings(model.configuration, f"configuration of model {model.name!r}")
    sizes = {"batch_size": settings.config.batch_size, "embeddings_size": settings.config.embeddings_size}
    for key, value in {**PLATFORM_DEFAULTS, **sizes}.items():
        model.configuration.setdefault(key, value)
    return settings


def require_output_type(config: Config, output_type: Any, model_name: str) -> None:
    """Refuse a model entity that says something else about its annotations than its configuration.

    Raises:
        ConfigError: says which of the two to change.
    """
    made = _OUTPUT_TYPES[config.output_type]
    if output_type == made:
        return
    fitting = [ours for ours, platform in _OUTPUT_TYPES.items() if platform == output_type]
    change = f"set output_type to {fitting[0]!r} in the configuration, or " if fitting else ""
    raise ConfigError(
        f"Model {model_name!r}: its outputType is {output_type!r}, but output_type = {config.output_type!r} in its configuration makes "
        f"{made!r} annotations; {change}change the outputType of the model to {made!r}."
    )


def switch(key: str, value: Any, source: str, *, default: bool = False) -> bool:
    """True or false; the default where nothing is given.

    Raises:
        ConfigError: it is something else; the text names it.
    """
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{source}: {key} is true or false, but got {short(value)}.")
    return default if value is None else value


def _text(key: str, value: Any, source: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{source}: {key} is a text, but got {short(value)}.")
    return value


def _chosen(settings: dict[str, Any]) -> dict[str, Any]:
    if settings.get("preset", "mission") == "mission":
        return settings
    mission = Config().model_dump()
    return {key: value for key, value in settings.items() if key not in mission or not _same(value, mission[key])}


def _same(value: Any, default: Any) -> bool:
    return bool((tuple(value) if isinstance(value, list) else value) == default)
