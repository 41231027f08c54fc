"""Weights by configuration name: find them on this machine, or fetch them.

Environment:
    SAM2_ADAPTER_CACHE          directory for weights; default $XDG_CACHE_HOME/sam2-adapter or ~/.cache/sam2-adapter
    SAM2_ADAPTER_WEIGHTS_URL    a mirror: Meta's files by their names below this URL, and no other source
    HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT    as for the hub's own library, which fetches from there
    SAM2_ADAPTER_OFFLINE, HF_HUB_OFFLINE    1: never use the network
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sam2_adapter.errors import CheckpointError, ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.base import Architecture, PublishedWeights
from sam2_adapter.models.weights.fetch import FetchError, fetch_file
from sam2_adapter.models.weights.hub import FILE_NAME, fetch_from_hub, find_in_hub_cache, hub_url

logger = logging.getLogger(__name__)

META_URL = "https://dl.fbaipublicfiles.com"

_CACHE_VARIABLE = "SAM2_ADAPTER_CACHE"
_MIRROR_VARIABLE = "SAM2_ADAPTER_WEIGHTS_URL"
_OFFLINE_VARIABLES = ("SAM2_ADAPTER_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class WeightsSource:
    """One place to fetch a weights file from.

    Attributes:
        url: the file.
        path: where it may be put by hand on this machine.
        num_bytes: its size where known.
        sha256: its SHA-256 where known.
        is_hub: whether it is the Hugging Face hub.
    """

    url: str
    path: Path
    num_bytes: int | None
    sha256: str | None
    is_hub: bool = False


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's directory for weights; see the environment variables above."""
    if chosen := environ.get(_CACHE_VARIABLE):
        return Path(chosen).expanduser()
    caches = environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "sam2-adapter"


def is_offline(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an environment variable forbids the network."""
    return any(environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in _OFFLINE_VARIABLES)


def weights_sources(
    architecture: Architecture, cache_dir: str | Path | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[WeightsSource, ...]:
    """Where the weights of an official configuration can be had, best first.

    Raises:
        ConfigError: the weights of this architecture are not published.
    """
    weights = architecture.weights
    if weights is None:
        raise ConfigError(f"The weights of {architecture.name} are not published; name a file.")
    directory = default_cache_dir(environ) if cache_dir is None else Path(cache_dir)
    meta_path = directory / weights.file_name
    if mirror := environ.get(_MIRROR_VARIABLE):
        return (
            WeightsSource(f"{mirror.rstrip('/')}/{weights.file_name}", meta_path, weights.num_bytes, weights.sha256),
        )
    hub = f"{hub_url(environ)}/{weights.hub_repo}/resolve/main/{FILE_NAME}"
    return (
        WeightsSource(f"{META_URL}/{weights.meta_path}", meta_path, weights.num_bytes, weights.sha256),
        WeightsSource(hub, _hub_path(directory, weights), None, None, is_hub=True),
    )


def find_weights(architecture: Architecture, cache_dir: str | Path | None = None) -> Path | None:
    """The weights of an official configuration on this machine, downloaded or put there by hand, or `None`.

    Looked for in the folder for weights, then in the one that all programs share for files of the hub.
    """
    found = next((path for path in _local_paths(architecture, cache_dir) if path.is_file()), None)
    if found is None and architecture.weights is not None:
        return find_in_hub_cache(architecture.weights)
    return found


def find_or_fetch_weights(
    architecture: Architecture, *, cache_dir: str | Path | None = None, offline: bool | None = None
) -> Path:
    """Find the weights of an official configuration, or fetch them once for all later calls.

    Args:
        architecture: an official configuration.
        cache_dir: directory for weights; see `default_cache_dir`.
        offline: never use the network; by default what the environment says.

    Raises:
        WeightsNotFoundError: they are not here and could not be fetched; the message says which file belongs where.
    """
    if found := find_weights(architecture, cache_dir):
        return found
    sources = weights_sources(architecture, cache_dir)
    if is_offline() if offline is None else offline:
        raise WeightsNotFoundError(_by_hand(architecture, sources, ["the network is switched off"]))
    failures = []
    for source in sources:
        try:
            return _fetch(source, architecture)
        except (FetchError, CheckpointError) as error:
            failures.append(f"{source.url}: {error}")
            logger.debug("could not fetch %s: %s", source.url, error)
    raise WeightsNotFoundError(_by_hand(architecture, sources, failures))


def _fetch(source: WeightsSource, architecture: Architecture) -> Path:
    if source.is_hub and architecture.weights is not None:
        return fetch_from_hub(architecture.weights, lambda path: _check_opens(path, source, architecture))
    return _fetch_once(source, architecture)


def _fetch_once(source: WeightsSource, architecture: Architecture) -> Path:
    """Fetch under a lock, so that of several processes one downloads and the others find its file."""
    try:
        source.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(source.path.with_name(f".{source.path.name}.lock"))
        with lock:
            if not source.path.is_file():
                fetch_file(
                    source.url,
                    source.path,
                    source.num_bytes,
                    source.sha256,
                    lambda path: _check_opens(path, source, architecture),
                )
    except OSError as error:
        raise FetchError(f"cannot write {source.path.parent} ({error.strerror or error})") from error
    return source.path


def _check_opens(unfinished: Path, source: WeightsSource, architecture: Architecture) -> None:
    """Without a published SHA-256 the file must at least be the wanted model."""
    if source.sha256 is None:
        from sam2_adapter.models.weights.checkpoint import load_checkpoint

        load_checkpoint(unfinished, architecture)


def _local_paths(architecture: Architecture, cache_dir: str | Path | None) -> list[Path]:
    weights = architecture.weights
    if weights is None:
        return []
    directory = default_cache_dir() if cache_dir is None else Path(cache_dir)
    return [directory / weights.file_name, _hub_path(directory, weights)]


def _hub_path(directory: Path, weights: PublishedWeights) -> Path:
    return directory / weights.hub_repo.rpartition("/")[2] / FILE_NAME


def _by_hand(architecture: Architecture, sources: tuple[WeightsSource, ...], failures: list[str]) -> str:
    ways = "\n  or  ".join(f"{source.url}\n   to {source.path}" for source in sources)
    reasons = "; ".join(failures)
    return (
        f"The weights of {architecture.name} are not on this machine and could not be fetched ({reasons}).\n"
        f"  Fetch by hand\n      {ways}\n  or name a weights file instead of {architecture.name}.\n"
        "  To try things out without them, take the small model that comes with this package: --model sam2_nano."
    )
