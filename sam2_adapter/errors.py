"""The exception tree of sam2-adapter.

    Sam2AdapterError
    ├── ConfigError            a setting is unknown, of the wrong type or out of range
    ├── PromptError            a prompt is malformed or does not fit its image
    ├── ImageError             an image file cannot be read, is broken or too large
    ├── DataError              a data set, an annotation file or an item is malformed
    ├── ExportError            a result cannot be written in the wanted format
    │   ├── OutputExistsError      there is something at the place for the results that is not to be replaced
    │   └── FolderInUseError       another command writes to the output folder
    ├── CheckpointError        a weights file is unreadable, unsafe or does not fit the model
    │   └── WeightsNotFoundError   the weights are neither on disk nor could they be fetched
    ├── TrainingError          a fine-tuning run cannot start or go on
    │   └── ResumeError            the state to go on from is damaged, or of another run
    └── PlatformError          the labelling platform refused, lost or failed something

Every message says what was given, what was expected and what to do next, and names the file, key or item.
"""

from __future__ import annotations


class Sam2AdapterError(Exception):
    """Base of every error that this package raises on purpose; its text is fit to be shown to a user."""


class ConfigError(Sam2AdapterError, ValueError):
    """A configuration key is unknown, or its value has the wrong type or range."""


class PromptError(Sam2AdapterError, ValueError):
    """A prompt is malformed or does not fit the image that it was given for."""


class ImageError(Sam2AdapterError, ValueError):
    """An image cannot be decoded, has an unsupported mode or exceeds the size limit."""


class DataError(Sam2AdapterError, ValueError):
    """A data set, annotation file or item cannot be understood."""


class ExportError(Sam2AdapterError, ValueError):
    """A result cannot be expressed in the format that was asked for."""


class OutputExistsError(ExportError):
    """Something is at the place where results are to be written, and it is not to be replaced."""


class FolderInUseError(ExportError):
    """Another command writes to the output folder."""


class CheckpointError(Sam2AdapterError, ValueError):
    """A weights file is unreadable, unsafe to open, or does not fit the architecture."""


class WeightsNotFoundError(CheckpointError):
    """The weights are not on this machine and could not be fetched."""


class TrainingError(Sam2AdapterError, RuntimeError):
    """A fine-tuning run cannot start or cannot go on."""


class ResumeError(TrainingError):
    """The state that a run should go on from is damaged, or of a run with other settings, data or weights."""


class PlatformError(Sam2AdapterError, RuntimeError):
    """The labelling platform refused a request, did not answer it, or holds something else than expected."""


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: compiled code that it stops, while it is imported or writes a file, raises errors of its own."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        if isinstance(current, KeyboardInterrupt):
            return True
        seen.add(id(current))
        pending += [current.__cause__, current.__context__]
    return False
