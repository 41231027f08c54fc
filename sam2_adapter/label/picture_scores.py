"""`PictureScores`: how sure each model was of each picture, kept in the folder of the session so that it is computed once."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sam2_adapter.arguments import is_number
from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.label.change_journal import ChangeJournal, read_lines
from sam2_adapter.label.pictures import Picture

logger = logging.getLogger(__name__)

SCORES_NAME = "scores.jsonl"


class PictureScores:
    """Scores by model and picture; safe between threads. A picture whose file has changed has none any more."""

    def __init__(self, path: Path | None = None, claim: Callable[[Path], None] = lambda path: None) -> None:
        """Read the scores at `path`, if there are any; the file is made, after `claim`, with the first new one. Without a path nothing is kept."""
        self._claim = claim
        self._path = None if path is None or path.is_symlink() else path
        self._lock = threading.Lock()
        self._file: ChangeJournal | None = None
        self._scores: dict[tuple[str, str], tuple[list[int], float]] = {}
        for line in read_lines(self._path) if self._path else ():
            self._take(line)

    def get(self, weights: str, picture: Picture) -> float | None:
        """The score of a picture by the model with these weights; `None` where it is not known."""
        known = self._scores.get((weights, picture.name))
        return known[1] if known is not None and known[0] == _stamp(picture) else None

    def put(self, weights: str, picture: Picture, score: float) -> None:
        """Keep a score; where it cannot be written, it is known in this session alone."""
        line = {"image": picture.name, "weights": weights, "stamp": _stamp(picture), "score": score}
        with self._lock:
            self._take(line)
            if self._path is not None:
                try:
                    self._append(self._path, line)
                except Sam2AdapterError as error:
                    logger.warning("%s: the scores of pictures are not kept for the next time: %s", self._path, error)
                    self._path = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, path: Path, line: Mapping[str, Any]) -> None:
        if self._file is None:
            self._claim(path)
            self._file = ChangeJournal(path)
        self._file.append(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        name, weights, stamp, score = (line.get(key) for key in ("image", "weights", "stamp", "score"))
        is_known = is_number(score) and math.isfinite(score)
        if isinstance(name, str) and isinstance(weights, str) and isinstance(stamp, list) and is_known:
            self._scores[weights, name] = stamp, float(score)  # type: ignore[arg-type] # a number, see above


def _stamp(picture: Picture) -> list[int]:
    """What changes with the file; empty where there is none."""
    try:
        facts = picture.path.stat()
    except OSError:
        return []
    return [facts.st_mtime_ns, facts.st_size]
