"""The folder of a command that is given none: `predictions`, `predictions2`, `predictions3`, ..., a new one for each run."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from sam2_adapter.errors import FolderInUseError, OutputExistsError
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import ownership_of


def open_numbered_folder(
    base: str | Path, command: str, *, resume: bool = False, overwrite: bool = False, **options: Any
) -> OwnedFolder:
    """Open the folder that a command writes to when it is given none: `base`, `base2`, `base3`, ...

    Args:
        base: the first of them.
        command: as in `OwnedFolder`.
        resume: take the newest one of this command where there is one; else a new one.
        overwrite: the same.
        options: as in `OwnedFolder`.

    Raises:
        FolderInUseError: the folder to go on with or to replace is in use.
        ExportError: as in `OwnedFolder`.
    """
    if (resume or overwrite) and (newest := _newest(Path(base), command)) is not None:
        return OwnedFolder(newest, command, resume=resume, overwrite=overwrite, **options)
    for number in count(1):
        with suppress(OutputExistsError, FolderInUseError):
            return OwnedFolder(_numbered(Path(base), number), command, **options)
    raise AssertionError("numbers do not end")


def _newest(base: Path, command: str) -> Path | None:
    pattern = re.compile(re.escape(base.name) + r"([2-9]|[1-9][0-9]{1,8})?")
    found = {}
    for path in base.parent.iterdir() if base.parent.is_dir() else ():
        match = pattern.fullmatch(path.name)
        owner = ownership_of(path) if match else None
        if match and owner is not None and owner.command == command:
            found[int(match[1] or 1)] = path
    return found[max(found)] if found else None


def _numbered(base: Path, number: int) -> Path:
    return base if number == 1 else base.with_name(f"{base.name}{number}")
