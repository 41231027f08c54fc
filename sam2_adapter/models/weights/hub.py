"""Weights from the Hugging Face hub, by its own library, so that the user's cache, token and mirror are used.

The library does not compare what it received with the SHA-256 that the hub announces: that is done here, at the commit that was asked about.
Its variables are read when it is imported, so what depends on the environment is passed on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sam2_adapter.download_progress import watched
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.files import file_sha256
from sam2_adapter.models.families.base import PublishedWeights
from sam2_adapter.models.weights.fetch import FetchError

logger = logging.getLogger(__name__)

HUB_URL = "https://huggingface.co"
FILE_NAME = "model.safetensors"

_SHA256_DIGITS = 64


def hub_url(environ: Mapping[str, str] = os.environ) -> str:
    """The address of the hub, or of the mirror of it that `HF_ENDPOINT` names."""
    return (environ.get("HF_ENDPOINT") or HUB_URL).rstrip("/")


def hub_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that all programs of this user share for files of the hub: `HF_HUB_CACHE`, `HF_HOME/hub` or the usual place."""
    if chosen := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expandvars(chosen)).expanduser()
    caches = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = environ.get("HF_HOME")
    return (Path(os.path.expandvars(home)).expanduser() if home else caches / "huggingface") / "hub"


def find_in_hub_cache(weights: PublishedWeights, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file in the shared folder, that of the branch `main` first, then the newest; `None` where there is none.

    Looked up without the library, whose import takes longer than the first mask of a compiled model.
    """
    folder = hub_cache_dir(environ) / f"models--{weights.hub_repo.replace('/', '--')}"
    try:
        main = (folder / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    found = [path for path in (folder / "snapshots").glob(f"*/{FILE_NAME}") if path.is_file()]
    return max(found, key=lambda path: (path.parent.name == main, path.stat().st_mtime), default=None)


def fetch_from_hub(
    weights: PublishedWeights, check: Callable[[Path], None], environ: Mapping[str, str] = os.environ
) -> Path:
    """Fetch the weights into the shared folder.

    Args:
        weights: which ones.
        check: raises if the file is not what was wanted.
        environ: variables of the hub.

    Raises:
        FetchError: no connection, no access, no hub, or the file is not what the hub announced.
    """
    import huggingface_hub

    endpoint = hub_url(environ)
    try:
        url = huggingface_hub.hf_hub_url(weights.hub_repo, FILE_NAME, endpoint=endpoint)
        announced = huggingface_hub.get_hf_file_metadata(url, endpoint=endpoint)
        if announced.commit_hash is None:
            raise FetchError(
                "the server does not say which commit its file is of, as the hub does; a plain mirror of Meta's files is named with "
                "SAM2_ADAPTER_WEIGHTS_URL"
            )
        path = Path(
            huggingface_hub.hf_hub_download(
                weights.hub_repo,
                FILE_NAME,
                revision=announced.commit_hash,
                cache_dir=hub_cache_dir(environ),
                endpoint=endpoint,
                tqdm_class=_bar_of(weights),
            )
        )
    except FetchError:
        raise
    except Exception as error:  # of the library, of its HTTP client, or of the disk: they share no base
        raise FetchError(_first_line(error)) from error
    _verify(path, announced.etag, check)
    logger.info("%s: commit %s of %s", path, announced.commit_hash, weights.hub_repo)
    return path


def _verify(path: Path, sha256: str | None, check: Callable[[Path], None]) -> None:
    """Hold a file against what the hub announced; one that is not right is removed, so that nobody takes it for right."""
    try:
        if sha256 is not None and len(sha256) == _SHA256_DIGITS and (found := file_sha256(path)) != sha256:
            raise FetchError(f"its SHA-256 is {found}, expected {sha256}")
        check(path)
    except Sam2AdapterError:
        content = path.resolve()
        path.unlink(missing_ok=True)
        content.unlink(missing_ok=True)
        raise


def _bar_of(weights: PublishedWeights) -> Any:
    """The class of what the library tells its progress to."""

    class _Bar:
        def __init__(self, *_: Any, initial: int = 0, total: int | None = None, **__: Any) -> None:
            self._watched = watched(f"{weights.hub_repo}/{FILE_NAME}", initial, total)
            self._advance: Callable[[int], None] = lambda num_bytes: None

        def __enter__(self) -> _Bar:
            self._advance = self._watched.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._watched.__exit__(*error)

        def update(self, num_bytes: float | None = 1) -> None:
            self._advance(int(num_bytes or 0))

    return _Bar


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
