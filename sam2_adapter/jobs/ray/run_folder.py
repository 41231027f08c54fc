"""The folder of a run over a cluster: on a disk by the rule of all commands, in a bucket by the same rule without a lock."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sam2_adapter.errors import ConfigError, OutputExistsError
from sam2_adapter.jobs.predict_images import DEFAULT_OUTPUT
from sam2_adapter.jobs.ray.locations import ResultFolder, absolute
from sam2_adapter.jobs.ray.parquet import part_name
from sam2_adapter.jobs.tasks import is_url
from sam2_adapter.numbered_folder import open_numbered_folder
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import Ownership

COMMAND = "predict --engine ray"

# The settings of the run; readers of Parquet folders pass over names that begin so.
MANIFEST = "_run.json"
_PART = re.compile(r"part-\d{6,}\.parquet")


class RunFolder:
    """Where the parts go.

    Attributes:
        location: the path or URL, as people gave it.
        folder: reads and writes there; on a disk by its absolute path.
    """

    def __init__(self, output: str | None, *, resume: bool = False, overwrite: bool = False) -> None:
        """Check the folder, and on a disk lock it; nothing is changed yet.

        Args:
            output: a path or URL; `None` for a new folder in the working directory.
            resume: go on with the run that is there.
            overwrite: replace it.

        Raises:
            OutputExistsError: the folder is not ours, or holds an earlier run.
            FolderInUseError: another command writes to it.
            ConfigError: the kind of URL cannot be used.
            ExportError: it cannot be looked into.
        """
        self._overwrite = overwrite
        self._owned: OwnedFolder | None = None
        if output is None:
            self._owned = open_numbered_folder(
                DEFAULT_OUTPUT, COMMAND, resume=resume, overwrite=overwrite, recognise=_recognise
            )
            output = str(self._owned.directory)
        self.location = output
        self.folder = ResultFolder(absolute(output))
        path = self.folder.local_path
        if self._owned is None and path is not None:
            shown = path if is_url(output) else Path(output)
            self._owned = OwnedFolder(shown, COMMAND, resume=resume, overwrite=overwrite, recognise=_recognise)
        elif path is None:
            _check_names(output, self.folder.names(), resume=resume, overwrite=overwrite)

    def begin(self, manifest: Mapping[str, Any], num_parts: int) -> None:
        """Make the folder this run's, or see that the run in it is the same.

        Args:
            manifest: what results depend on, plain JSON types.
            num_parts: how many parts there will be.

        Raises:
            ConfigError: the run in the folder is another one.
            ExportError: the folder cannot be written to.
        """
        names = self.folder.names()
        parts = sorted(name for name in names if _PART.fullmatch(name))
        if parts and not self._overwrite:
            self._compare(manifest, self._earlier_manifest(names))
        wanted = [MANIFEST, *(part_name(index) for index in range(num_parts))]
        if self._owned is not None:
            self._owned.begin(wanted)
            for name in wanted:
                self._owned.claim(self._owned.directory / name)
        elif self._overwrite:
            for name in parts:
                self.folder.remove(name)
        if not parts or self._overwrite:
            self.folder.write(MANIFEST, json.dumps(manifest, indent=1).encode())

    def close(self) -> None:
        """Let the folder go."""
        if self._owned is not None:
            self._owned.close()

    def _earlier_manifest(self, names: set[str]) -> dict[str, Any]:
        try:
            return dict(json.loads(self.folder.read(MANIFEST))) if MANIFEST in names else {}
        except (TypeError, ValueError, RecursionError):
            return {}

    def _compare(self, manifest: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
        if other := [
            _difference(name, earlier.get(name), value)
            for name, value in manifest.items()
            if earlier.get(name) != value
        ]:
            raise ConfigError(
                f"{self.location}: cannot go on with this run: {'; '.join(other)}. Use the same images and settings, start "
                "again (--overwrite instead of --resume), or choose another --output."
            )


def _recognise(directory: Path, names: Collection[str]) -> Ownership | None:
    """A run of version 0.1, which had no marker."""
    try:
        earlier = json.loads((directory / MANIFEST).read_bytes())
        is_ours = str(earlier["tool"]).startswith("sam2-adapter ") and "chunk_size" in earlier
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not is_ours:
        return None
    parts = [name for name in names if _PART.fullmatch(name)]
    return Ownership(COMMAND, frozenset([MANIFEST, *parts]), lambda: [MANIFEST, *parts])


def _check_names(location: str, names: set[str], *, resume: bool, overwrite: bool) -> None:
    """The rule of `OwnedFolder` for a folder that is on no disk: the manifest is its marker."""
    if names and MANIFEST not in names and not all(_PART.fullmatch(name) for name in names):
        raise OutputExistsError(
            f"{location}: the folder is not empty, and what is in it ({sorted(names)[0]} ...) is not from an earlier run. Choose "
            "another folder; nothing was changed."
        )
    if any(_PART.fullmatch(name) for name in names) and not (resume or overwrite):
        raise OutputExistsError(
            f"{location}: the folder holds the results of an earlier run. Go on with that run (--resume), replace its results "
            "(--overwrite), or choose another folder."
        )


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "tasks":
        return "the images or their prompts are not the same"
    return f"{name} was {before!r} and is now {now!r}"
