"""The artifacts of a model entity: down to a folder, and up again, checked.

Artifacts of all models lie in one dataset, by model name. The SDK's own upload collects everything whose folder starts
with the model's name, also of other models, logs failures and goes on. Here a model has exactly the files that were
uploaded for it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import dtlpy as dl

from sam2_adapter.dataloop.platform_requests import UnansweredError, retried
from sam2_adapter.errors import PlatformError

logger = logging.getLogger(__name__)

_ROOT = "/artifacts/models"


@dataclass(frozen=True)
class _Named:
    """An artifact and what it is called below its model's folder; `item` is `None` where it is no item."""

    reference: Any
    item: Any
    name: str


def download_artifacts(model: Any, names: Collection[str], folder: Path) -> list[Path]:
    """Fetch the artifacts of a model that are called one of `names`; other files of these names in `folder` go.

    Files that lie in the model's own folder come first; a clone has none there and takes those of its source.

    Returns:
        The files that are there.

    Raises:
        PlatformError: a download failed, two artifacts have one name, or one is a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    wanted = [found for found in _own(model, _named(model)) if found.name in names]
    by_name: dict[str, _Named] = {}
    for found in wanted:
        if found.name in by_name:
            raise PlatformError(
                f"Model {model.name!r} has two artifacts called {found.name!r}; remove the one that does not belong to it."
            )
        by_name[found.name] = found
    return [_fetch(model, found, folder / name) for name, found in by_name.items()]


def upload_artifacts(model: Any, files: Sequence[Path], *, replacing: Collection[str] = ()) -> None:
    """Upload files as artifacts of a model and note them in the entity, which is sent.

    Args:
        model: `dl.Model`; its list of artifacts is changed.
        files: what to upload, by its file name.
        replacing: names of artifacts that the model has no longer.

    Raises:
        PlatformError: a file did not arrive in full, or the platform does not list it afterwards.
    """
    uploaded = [retried(partial(_upload, model, path)) for path in files]
    gone = {path.name for path in files} | set(replacing)
    kept = [found.reference for found in _own(model, _named(model)) if found.name not in gone]
    model.model_artifacts = kept + [retried(partial(_reference, item)) for item in uploaded]
    retried(lambda: model.update(reload_services=False))
    stored = retried(lambda: dl.models.get(model_id=model.id))
    listed = {getattr(artifact, "id", None) for artifact in stored.model_artifacts}
    missing = [path.name for path, item in zip(files, uploaded, strict=True) if item.id not in listed]
    if missing:
        raise PlatformError(
            f"Model {model.name!r}: {', '.join(missing)} was uploaded, but the platform does not list it."
        )


def remove_artifact_files(model: Any, names: Collection[str]) -> None:
    """Remove files of the model's own folder; a failure is logged, since nothing refers to them."""
    try:
        repository = retried(partial(_repository, model))
        filters = dl.Filters(field="filename", values=[f"{_ROOT}/{model.name}/{name}" for name in names], operator="in")
        retried(lambda: repository.delete(filters=filters))
    except Exception as error:  # whatever it is, the files are only surplus
        logger.warning("Model %r: %s could not be removed: %s", model.name, ", ".join(names), error)


def _named(model: Any) -> list[_Named]:
    found = []
    for reference in model.model_artifacts:
        if isinstance(reference, dl.ItemArtifact):
            item = retried(partial(dl.items.get, item_id=reference.id))
            found.append(_Named(reference, item, "/".join(PurePosixPath(item.filename).parts[4:])))
        elif isinstance(reference, dl.LinkArtifact):
            found.append(_Named(reference, None, reference.filename))
        else:
            found.append(_Named(reference, None, Path(reference.local_path).name))
    return found


def _repository(model: Any) -> Any:
    try:
        return model.artifacts.items_repository
    except ValueError as error:  # also where its listing was refused, which the SDK takes for an empty one
        raise UnansweredError(f"The artifacts of model {model.name!r} cannot be reached: {error}") from error


def _reference(item: Any) -> Any:
    # Asking for the item's dataset may be a request.
    return dl.Artifact.from_json(_json=item.to_json(), client_api=dl.client_api, dataset=item.dataset)


def _own(model: Any, named: Sequence[_Named]) -> Sequence[_Named]:
    """Without what lies in the folders of other models, unless all of it does."""
    home = PurePosixPath(_ROOT, model.name)
    own = [f for f in named if f.item is None or home in PurePosixPath(f.item.filename).parents]
    return own if any(f.item is not None for f in own) else named


def _fetch(model: Any, found: _Named, target: Path) -> Path:
    if isinstance(found.reference, dl.LinkArtifact):
        raise PlatformError(
            f"Model {model.name!r}: its artifact {found.name!r} is a link, which cannot be checked. Upload the file itself, or remove the "
            "link and name published weights with model_cfg."
        )
    if found.item is None:
        return Path(shutil.copyfile(found.reference.local_path, target))
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        retried(lambda: _download(found.item, partial)).replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _download(item: Any, folder: Path) -> Path:
    path = item.download(local_path=str(folder), overwrite=True, to_items_folder=False)
    if path is None or isinstance(path, list) or not Path(path).is_file():
        raise UnansweredError(f"The artifact {item.filename} could not be downloaded.")
    size = (item.metadata.get("system") or {}).get("size")
    if size is not None and Path(path).stat().st_size != size:
        raise UnansweredError(f"The artifact {item.filename} has {Path(path).stat().st_size} instead of {size} bytes.")
    return Path(path)


def _upload(model: Any, path: Path) -> Any:
    item = _repository(model).upload(local_path=str(path), remote_path=f"{_ROOT}/{model.name}", overwrite=True)
    size = path.stat().st_size
    arrived = (item.metadata.get("system") or {}).get("size") if hasattr(item, "metadata") else None
    if arrived != size:
        raise UnansweredError(
            f"The artifact {path.name} of model {model.name!r} could not be stored: {arrived} of {size} bytes arrived."
        )
    return item
