"""All families and their models by name: the one place where a family is registered."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.families.base import Architecture, ModelFamily, PublishedWeights
from sam2_adapter.models.families.sam2 import Sam2Family
from sam2_adapter.text import closest, shown, unknown_name

# A new family is added here.
_FAMILIES: dict[str, ModelFamily] = {family.kind: family for family in (Sam2Family(),)}

# Words for the sizes of Hiera, and how the configurations call them.
_SIZES = {
    "tiny": "t",
    "small": "s",
    "baseplus": "b+",
    "base+": "b+",
    "bplus": "b+",
    "base": "b+",
    "b+": "b+",
    "large": "l",
    "nano": "nano",
    "t": "t",
    "s": "s",
    "b": "b+",
    "l": "l",
}
_ENDINGS = re.compile(r"\.(ya?ml|pth?|torch|safetensors|json)$")


def families() -> tuple[ModelFamily, ...]:
    """All families."""
    return tuple(_FAMILIES.values())


def family_of(architecture: Architecture) -> ModelFamily:
    """The family of an architecture."""
    return _FAMILIES[architecture.kind]


def family_of_model(model: object) -> ModelFamily:
    """The family of a model that is built, by its class."""
    classes = {kind.__name__ for kind in type(model).__mro__}
    return next(family for family in families() if family.model_class in classes)


def architecture_from_dict(values: Mapping[str, Any], weights: PublishedWeights | None = None) -> Architecture:
    """Build an architecture from plain types: `kind`, which may be left out for SAM2, and what its family takes.

    Raises:
        ConfigError: a number is missing or of the wrong type, or the family is not known.
    """
    try:
        kind = values.get("kind", "sam2")
        if kind not in _FAMILIES:
            raise ConfigError(f"The architecture is of the kind {str(kind)[:60]!r}; there is {', '.join(_FAMILIES)}.")
        return _FAMILIES[kind].read_numbers(values, weights)
    except ConfigError:
        raise
    except Exception as error:  # whatever values of the wrong kind raise
        raise ConfigError(f"The architecture has a missing or malformed number ({str(error)[:200]}).") from error


def architecture_from_config(config: Mapping[str, Any]) -> Architecture:
    """Read the architecture from the `config.json` of a model that transformers has saved.

    Args:
        config: the file's content; numbers left out have the library's defaults.

    Returns:
        The known architecture with these numbers, else one named `custom`. The image model alone does not tell SAM2 from SAM2.1: for a
        `Sam2Model` the first of the two is returned.

    Raises:
        ConfigError: the configuration is not one of a known family.
    """
    model_type = config.get("model_type")
    family = next((family for family in families() if model_type in family.config_types), None)
    if family is None:
        types = " or ".join(repr(known) for family in families() for known in family.config_types)
        raise ConfigError(f"The config.json has model_type {shown(model_type)}; expected {types}.")
    try:
        found = family.read_config(config)
    except ConfigError:
        raise
    except Exception as error:  # whatever the library raises for values of the wrong kind
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ConfigError(f"The config.json is not one of a {model_type} model ({reason}).") from error
    matches = [known for known in all_architectures().values() if known.image_model == found.image_model]
    return next((known for known in matches if found.family in (None, known.family)), found)


def all_architectures() -> dict[str, Architecture]:
    """All models with a name; those with published weights first."""
    known = [one for family in families() for one in family.architectures().values()]
    return {one.name: one for one in sorted(known, key=lambda one: one.weights is None)}


def architecture_names() -> tuple[str, ...]:
    """All configuration names, official ones first."""
    return tuple(all_architectures())


def official_names() -> tuple[str, ...]:
    """The names of the configurations whose weights are published."""
    return tuple(name for name, architecture in all_architectures().items() if architecture.weights is not None)


def twin_of(architecture: Architecture) -> Architecture | None:
    """The official model with the same image model and another video model, which shapes cannot tell from this one."""
    others = (one for one in all_architectures().values() if one.has_video_model and one.name != architecture.name)
    return next((one for one in others if one.image_model == architecture.image_model), None)


def get_architecture(name: str) -> Architecture:
    """Look up a configuration by name, with or without `.yaml`.

    Raises:
        ConfigError: there is no such configuration; the message lists the choices.
    """
    known = all_architectures()
    plain = name.removesuffix(".yaml") if isinstance(name, str) else ""
    if plain not in known:
        raise ConfigError(unknown_name("model configuration", name, known, meant_name(str(name), known)))
    return known[plain]


def meant_name(name: str, known: Collection[str]) -> str | None:
    """The name among `known` that is most probably meant, in the spelling of Meta, the hub, ultralytics or people; or `None`.

    `sam2_small`, `facebook/sam2-hiera-small`, `sam2_hiera_small.pt` and `SAM2_S` all mean `sam2_hiera_s`.
    """
    plain = _ENDINGS.sub("", name.lower().replace("\\", "/").rpartition("/")[2])
    squeezed = re.sub(r"[-_ ]", "", plain)
    if found := re.fullmatch(r"sam(2\.?1|2\.?0|2)(?:hiera)?(.*)", squeezed):
        size = _SIZES.get(found[2]) or _SIZES.get(closest(found[2], _SIZES) or "")
        version = "sam2.1" if found[1].endswith("1") else "sam2"
        candidate = f"sam2_{size}" if size == "nano" else f"{version}_hiera_{size}"
        if size and candidate in known:
            return candidate
    return closest(plain, known)
