"""What `predict` prints while it works: lines and a progress bar for people, or one JSON document for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from sam2_adapter.cli.output import json_text, lines_above, print_error, say, tell, warn, write_json_text
from sam2_adapter.cli.progress import terminal_bars
from sam2_adapter.cli.terminal import status_of, text_of
from sam2_adapter.errors import was_interrupted
from sam2_adapter.text import cut, plural, printable

if TYPE_CHECKING:
    from rich.progress import TaskID

    from sam2_adapter.annotations.objects import Annotation
    from sam2_adapter.images.find import PassedOver
    from sam2_adapter.jobs.answers import ImageResult
    from sam2_adapter.predict.windows import WindowUse

# So many doubtful prompts are told, and of one image so many that cannot be used; the others are counted.
_MOST_WARNINGS = 5
_MOST_REFUSED = 20

# Below this score, what was found without a prompt is hardly what somebody meant.
_DOUBTFUL = 0.5

# The line of an image names so many objects one by one, or labels.
_MOST_SHOWN = 10


class PredictReport:
    """Counts what was done and prints it; a context manager that prints the end when it is left."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.num_images = 0
        self.num_objects = 0
        self.num_failed = 0
        self.num_refused_prompts = 0
        self.num_warnings = 0
        self.num_doubtful = 0
        self.directory: Path | str = Path()
        self.passed_over: tuple[PassedOver, ...] = ()

    def start(self, made_by: dict[str, Any], directory: Path | str) -> None:
        """Note which model makes the results and where they go."""
        self.directory = directory

    def add(self, result: ImageResult) -> None:
        """Count and print what became of one image."""
        self.num_images += 1
        self.num_failed += result.segmentation is None
        found = result.segmentation.annotations if result.segmentation else ()
        self.num_objects += len(found)
        self.num_doubtful += sum(not result.task.prompts and entry.iou_score < _DOUBTFUL for entry in found)
        if result.error is not None:
            print_error(result.error)
        self.num_refused_prompts += len(result.refused_prompts)
        self._tell_prompts(result)
        for note in (*result.notes, *_window_notes(result)):
            self._warn(f"{result.task.source}: {note}")

    def tell_passed_over(self, passed_over: Sequence[PassedOver]) -> None:
        """Say which other pictures and videos lie in the folders."""
        self.passed_over = tuple(passed_over)
        for entry in passed_over:
            warn(f"not read: {entry}.")

    def tell_points(self, name: str, done: int, total: int) -> None:
        """Show how far the search for everything in an image is."""

    def _tell_prompts(self, result: ImageResult) -> None:
        """Name the prompts that cannot be used, and those that were hardly meant so."""
        refused = sorted(result.refused_prompts.items())
        for position, reason in refused[:_MOST_REFUSED]:
            print_error(f"{result.task.source}: prompt {position + 1}: {reason}")
        if len(refused) > _MOST_REFUSED:
            print_error(f"{result.task.source}: {len(refused) - _MOST_REFUSED} more prompts cannot be used.")
        for position, reason in sorted(result.warnings.items()):
            self._warn(f"{result.task.source}: prompt {position + 1}: {reason}")

    def _warn(self, text: str) -> None:
        self.num_warnings += 1
        if self.num_warnings <= _MOST_WARNINGS:
            warn(text)

    def _tell_more_warnings(self) -> None:
        if self.num_warnings > _MOST_WARNINGS:
            warn(f"there are {plural(self.num_warnings - _MOST_WARNINGS, 'more warning')} like these; --json has all.")

    def __enter__(self) -> Self:
        """The report itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Print the end."""
        self._tell_more_warnings()


class TextReport(PredictReport):
    """One line per image on stdout, a progress bar and a summary on stderr."""

    def __init__(self, num_tasks: int) -> None:
        """Show a progress bar for `num_tasks` images where stderr is a terminal."""
        super().__init__()
        self._bars = terminal_bars()
        if self._bars is not None:
            self._bar = self._bars.add_task("predicting", total=num_tasks)
        self._points_bar: TaskID | None = None
        self._points_of = ""
        self._open = ExitStack()

    def start(self, made_by: dict[str, Any], directory: Path | str) -> None:
        """Start the progress bar."""
        super().start(made_by, directory)
        if self._bars is not None:
            self._open.enter_context(lines_above(self._bars))

    def add(self, result: ImageResult) -> None:
        """Print the image's name, its objects and their scores."""
        super().add(result)
        if result.segmentation is not None:
            kept = ", kept from an earlier run" if result.is_kept else ""
            say(f"{result.task.name}: {_objects(result)}{kept}")
        if self._bars is not None:
            self._bars.advance(self._bar)

    def tell_points(self, name: str, done: int, total: int) -> None:
        """Show how far the search for everything in an image is, and the time that is left for it."""
        if self._bars is None:
            return
        if self._points_bar is None:
            self._points_bar = self._bars.add_task("", total=total)
        if name != self._points_of:
            self._points_of = name
            self._bars.reset(self._points_bar, total=total, description=cut(printable(name)))
        self._bars.update(self._points_bar, completed=done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the progress bar away and print the summary, unless the run was broken off by an error."""
        self._open.close()
        self._tell_more_warnings()
        if error is None:
            tell(self._summary())
            if self.num_doubtful:
                tell(
                    f"{self.num_doubtful} of {plural(self.num_objects, 'object')} {'has' if self.num_doubtful == 1 else 'have'} a score below {_DOUBTFUL}, "
                    "found without being pointed at. Say what is meant with --point or --box, or find all objects with --everything."
                )

    def _summary(self) -> str:
        done = self.num_images - self.num_failed
        failed = f", {plural(self.num_failed, 'image')} failed" if self.num_failed else ""
        if self.num_refused_prompts:
            failed += f", {plural(self.num_refused_prompts, 'prompt')} could not be used"
        is_there = "://" in str(self.directory) or Path(self.directory).exists()
        where = f"results in {self.directory}" if is_there else "nothing was written"
        return f"{plural(self.num_objects, 'object')} in {plural(done, 'image')}{failed}; {where}"


class JsonReport(PredictReport):
    """One JSON document on stdout, written as the images come, so that it need not be kept."""

    def start(self, made_by: dict[str, Any], directory: Path | str) -> None:
        """Begin the document."""
        super().start(made_by, directory)
        write_json_text(f'{{"model": {json_text(made_by)},\n"output": {json_text(str(directory))},\n"images": [')

    def add(self, result: ImageResult) -> None:
        """Add one image to the document."""
        write_json_text(("," if self.num_images else "") + "\n" + json_text(_entry(result)))
        super().add(result)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the document, also when the run was broken off: the error is then part of it."""
        self._tell_more_warnings()
        summary: dict[str, Any] = {"images": self.num_images, "objects": self.num_objects, "failed": self.num_failed}
        if self.passed_over:
            summary["not_read"] = [
                {"kind": entry.kind.nouns, "count": entry.count, "examples": list(entry.examples)}
                for entry in self.passed_over
            ]
        if self.num_refused_prompts:
            summary["refused_prompts"] = self.num_refused_prompts
        broken_off = f',\n"error": {json_text(_reason(error))}' if error is not None else ""
        write_json_text(f'],\n"summary": {json_text(summary)}{broken_off}}}\n')
        if isinstance(error, Exception) and not isinstance(error, typer.Exit) and not was_interrupted(error):
            # The document has it already: nothing more may come to stdout.
            print_error(text_of(error))
            raise typer.Exit(status_of(error)) from error


def make_report(num_tasks: int, *, as_json: bool) -> PredictReport:
    """The report for people or for machines."""
    return JsonReport() if as_json else TextReport(num_tasks)


def _entry(result: ImageResult) -> dict[str, Any]:
    common = {"path": result.task.source, "name": result.task.name, "seconds": round(result.seconds, 3)}
    if result.segmentation is None:
        return {**common, "status": "failed", "error": result.error}
    objects = [
        {
            "label": entry.label,
            "iou_score": round(entry.iou_score, 4),
            "box_xyxy": list(entry.box_xyxy),
            "area": entry.area,
            "prompt_index": entry.prompt_index,
            **entry.found,
        }
        for entry in result.segmentation.annotations
    ]
    return {
        **common,
        "status": "kept" if result.is_kept else "ok",
        "objects": objects,
        "empty_prompts": list(result.segmentation.empty_prompts),
        "refused_prompts": _by_position(result.refused_prompts, "error"),
        "warnings": _by_position(result.warnings, "warning"),
        "notes": [*result.notes, *_window_notes(result)],
        "windows": _windows(result.segmentation.windows),
        "files": [str(f) for f in result.files],
    }


def _window_notes(result: ImageResult) -> tuple[str, ...]:
    return result.segmentation.windows.notes() if result.segmentation is not None else ()


def _windows(use: WindowUse) -> dict[str, Any]:
    """How many windows were encoded, and the prompts that were answered in them, or on the whole image because there are no more."""
    return {
        "count": use.num_windows,
        "prompts": list(use.in_windows),
        "left_to_whole_image": list(use.left),
        "reaching_the_side": list(use.cut_off),
    }


def _by_position(texts: Mapping[int, str], key: str) -> list[dict[str, Any]]:
    return [{"prompt_index": position, key: text} for position, text in sorted(texts.items())]


def _reason(error: BaseException) -> str:
    return "interrupted" if was_interrupted(error) else text_of(error) if isinstance(error, Exception) else str(error)


def _objects(result: ImageResult) -> str:
    segmentation = result.segmentation
    assert segmentation is not None  # only images that did not fail come here
    found = _found(segmentation.annotations)
    empty = segmentation.empty_prompts
    missing = f"; no mask for prompt {', '.join(str(position + 1) for position in empty)}" if empty else ""
    use = segmentation.windows
    windows = (
        f"; {plural(len(use.in_windows), 'prompt')} in {plural(use.num_windows, 'window')}" if use.in_windows else ""
    )
    return f"{plural(len(segmentation.annotations), 'object')}{f' ({found})' if found else ''}{windows}{missing}"


def _found(annotations: Sequence[Annotation]) -> str:
    """Each object with its score; where there are many, how many there are of each label, with their highest and lowest score."""
    if len(annotations) <= _MOST_SHOWN:
        return ", ".join(f"{entry.label} {entry.iou_score:.2f}" for entry in annotations)
    scores: dict[str, list[float]] = {}
    for entry in annotations:
        scores.setdefault(entry.label, []).append(entry.iou_score)
    counts = {label: f"{len(found)} " if len(scores) > 1 else "" for label, found in scores.items()}
    shown = [f"{counts[label]}{label} {max(found):.2f} to {min(found):.2f}" for label, found in scores.items()]
    return ", ".join([*shown[:_MOST_SHOWN], *(["..."] if len(shown) > _MOST_SHOWN else [])])
