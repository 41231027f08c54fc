"""`Session`: one person who points at the objects of an image, one after another.

Every click refines the answer before it, whose logits go back into the model. A session knows no labelling tool: pages
and services are shells around it. It may be called from several threads. Clicks are answered one after the other, and
an answer to an image that was left meanwhile, or to an object that was given up, is dropped.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray, FloatArray, Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_to_mask
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError
from sam2_adapter.images.read import read_image
from sam2_adapter.images.sources import Pixels
from sam2_adapter.interactive.encoded_sources import EncodedSources
from sam2_adapter.interactive.steps import KnownSteps, Step, Steps
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window, embed_window, moved_logits, predict_in_window

# Views of an image that stay encoded.
_MOST_WINDOWS = 4

CACHE_BYTES = 2**30
"""Most memory for the encoded images of a session, where they are kept: about 60 images in fp32."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One mask for what was pointed at.

    Attributes:
        rle: the mask in the size of the image, run-length encoded: the answers to many clicks on a large image are kept.
        iou_score: the model's estimate of the mask's IoU; not clamped.
        low_res_logits: float32 h x w, what the next click refines.
        is_cut: the mask reaches the edge of the view that it was asked in, so that the object may go on beyond it.
    """

    rle: Rle
    iou_score: float
    low_res_logits: FloatArray
    is_cut: bool = False

    @property
    def mask(self) -> BoolArray:
        """Bool H x W in the size of the image, decoded again at each call."""
        return rle_to_mask(self.rle)


@dataclass(frozen=True, eq=False)
class _Taken:
    """A step that was taken: everything that was pointed at up to it, the answer, and where that was looked for."""

    prompt: Prompt
    answer: Answer
    window: Window


class _Opened:
    """The image that is open, encoded, and the parts of it that were looked at closely."""

    def __init__(self, predictor: Predictor, embedding: ImageEmbedding, read: Callable[[], Pixels] | None) -> None:
        self._predictor, self._read = predictor, read
        self.whole = Window.whole(embedding)
        self._windows: OrderedDict[Region, Window] = OrderedDict()

    def window(self, view_xyxy: tuple[int, int, int, int] | None) -> Window:
        """A view, encoded unless it was lately; the whole image without one."""
        if view_xyxy is None:
            return self.whole
        region = Region(*view_xyxy).within(self.whole.image_hw)
        if region == self.whole.region:
            return self.whole
        window = self._windows.pop(region, None)
        if window is None:
            if self._read is None:
                raise PromptError(
                    "A view needs the pixels of the image: give open() the image, or `read` beside its embedding."
                )
            window = embed_window(self._predictor, self._read(), region)
        self._windows[region] = window
        while len(self._windows) > _MOST_WINDOWS:
            self._windows.popitem(last=False)
        return window


@dataclass
class _Visit:
    """One object of an image that is open: the steps to it so far, and those that were taken back."""

    opened: _Opened
    steps: Steps = ()
    undone: Steps = ()
    # Steps that were taken, also those taken back: going there again asks the model nothing.
    known: KnownSteps[_Taken] = field(default_factory=KnownSteps)
    candidates: KnownSteps[tuple[Answer, ...]] = field(default_factory=KnownSteps)
    working: threading.Lock = field(default_factory=threading.Lock)  # each click sees the answer before it


class Session:
    """Answers to clicks and boxes on one image at a time; see the top of this module."""

    def __init__(self, predictor: Predictor, sources: EncodedSources | None = None) -> None:
        """Begin without an image.

        Args:
            predictor: the model.
            sources: shares encoded images with other sessions of the same predictor; by default a session keeps its own.
        """
        self._predictor = predictor
        self._sources = sources or EncodedSources(predictor, ByteBoundedCache(CACHE_BYTES))
        self._lock = threading.Lock()
        self._num_opened = 0
        self._visit: _Visit | None = None

    def open(
        self, image: str | Path | bytes | Pixels | ImageEmbedding, *, read: Callable[[], Pixels] | None = None
    ) -> None:
        """Leave the image that is open and go to another one, which is encoded unless it was open lately.

        Args:
            image: path or content of an image file, uint8 RGB H x W x 3 in 0..255, or what the predictor's `embed`
                returned for it.
            read: gives the pixels, where `image` is an embedding and views are asked for.

        Raises:
            ImageError: it cannot be read; then no image is open.
        """
        number = self._leave()
        if isinstance(image, ImageEmbedding):
            embedding = image
        else:
            # An array is kept as it is; a file is read again for a view, since decoded images are large.
            read = (lambda: image) if isinstance(image, np.ndarray) else (lambda: read_image(image))
            embedding = self._sources.encode_pixels(read())
        with self._lock:
            if self._num_opened == number:  # else this image was left while it was being encoded
                self._visit = _Visit(_Opened(self._predictor, embedding, read))

    def close(self) -> None:
        """Leave the image that is open."""
        self._leave()

    @property
    def original_hw(self) -> tuple[int, int] | None:
        """(height, width) of the open image in pixels; `None` where none is open."""
        visit = self._visit
        return None if visit is None else visit.opened.whole.image_hw

    @property
    def answer(self) -> Answer | None:
        """The newest answer; `None` before the first click on an object."""
        visit = self._visit
        return None if visit is None else self._answer_to(visit)

    @property
    def steps(self) -> Steps:
        """What was pointed at so far, for `go_to`."""
        visit = self._visit
        return () if visit is None else visit.steps

    def click(
        self, x: float, y: float, *, foreground: bool = True, view_xyxy: tuple[int, int, int, int] | None = None
    ) -> Answer | None:
        """Point at the object, or at something that is not part of it.

        Args:
            x: pixels of the image, to the right.
            y: pixels of the image, downwards.
            foreground: whether the object is there.
            view_xyxy: (x0, y0, x1, y1), the part of the image to look at in full resolution; small things come out better so, and large ones
                of which a view shows only a part come out worse. What an earlier answer has outside the view stays.

        Returns:
            The answer to everything that was pointed at so far; `None` where the image or object was left meanwhile.

        Raises:
            PromptError: no image is open, the point lies outside it, or nothing says yet where the object is.
        """
        return self._ask(lambda steps: (*steps, Step(point_xy=(x, y), foreground=foreground, view_xyxy=view_xyxy)))

    def box(self, box_xyxy: Sequence[float], *, view_xyxy: tuple[int, int, int, int] | None = None) -> Answer | None:
        """Draw a box around the object, in place of an earlier one.

        Args:
            box_xyxy: (x0, y0, x1, y1) in pixels.
            view_xyxy: as in `click`.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the box is empty or lies outside it.
        """
        return self._ask(lambda steps: (*steps, Step(box_xyxy=tuple(box_xyxy), view_xyxy=view_xyxy)))

    def start_from(self, mask: BoolArray | Rle) -> Answer | None:
        """Begin another object with a mask that somebody drew, to refine it by clicks.

        Args:
            mask: bool H x W in the size of the image or its run lengths, at least one pixel set.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the mask is empty or of another size.
        """
        self.clear()
        return self._ask(lambda _: (Step(mask=mask if isinstance(mask, Rle) else mask_to_rle(mask)),))

    def go_to(self, steps: Sequence[Step]) -> Answer | None:
        """Bring the session to exactly these steps: forwards, back, or to another object.

        Only steps that are new to the session ask the model. What a caller keeps as a list of steps needs no other call:
        undo is a shorter list, and after a restart the same list gives the same answer.

        Args:
            steps: all that is pointed at, in order; none is the same as `clear`.

        Returns:
            The answer to the last step; `None` for no steps, or as in `click`.

        Raises:
            PromptError: as `click` and `box`; the session stays where it was.
        """
        return self._ask(lambda _: tuple(steps))

    def preview(self, x: float, y: float, *, view_xyxy: tuple[int, int, int, int] | None = None) -> Answer | None:
        """The answer to one click alone, which the session forgets: for what lies under the pointer.

        Args:
            x: pixels of the image, to the right.
            y: pixels of the image, downwards.
            view_xyxy: as in `click`.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the point lies outside it.
        """
        visit = self._opened()
        window = visit.opened.window(view_xyxy)
        answer = self._answers(None, _pointed(None, Step(point_xy=(x, y)), window), window)[0]
        return answer if self._visit is visit else None

    def look(self, view_xyxy: tuple[int, int, int, int]) -> None:
        """Encode a view ahead, so that the first click in it is answered as quickly as the next ones.

        Args:
            view_xyxy: as in `click`.

        Raises:
            PromptError: no image is open, or the view lies outside it.
        """
        visit = self._opened()
        with visit.working:
            visit.opened.window(view_xyxy)

    def candidates(self) -> tuple[Answer, ...]:
        """Three masks that the newest prompt may mean, such as a part and the whole; best-scored first, none before it."""
        visit = self._visit
        if visit is None:
            return ()
        with visit.working:
            return self._candidates(visit, visit.steps) if visit.steps else ()

    def choose(self, candidate: Answer) -> Answer | None:
        """Take one of the candidates as the newest answer, which the next click refines.

        Args:
            candidate: one of what `candidates` returned for the newest prompt.

        Returns:
            The candidate; `None` where it answers something else, because another click or image came meanwhile.
        """
        visit = self._visit
        if visit is None:
            return None
        with visit.working:
            known = visit.candidates.get(_unchosen(visit.steps)) or ()
            position = next((index for index, other in enumerate(known) if other is candidate), None)
            if position is None:
                return None
            visit.steps = (*visit.steps[:-1], replace(visit.steps[-1], choice=position))
            return self._taken(visit, visit.steps).answer

    def undo(self) -> Answer | None:
        """Take the newest click, box or mask back.

        Returns:
            The answer before it; `None` where there was none.
        """
        visit = self._visit
        if visit is None:
            return None
        with visit.working:
            if visit.steps:
                visit.undone = (visit.steps[-1], *visit.undone)
                visit.steps = visit.steps[:-1]
            return self._answer_to(visit)

    def redo(self) -> Answer | None:
        """Take the step again that was taken back last.

        Returns:
            Its answer; the newest one where nothing was taken back since the last click.
        """
        visit = self._visit
        if visit is None:
            return None
        with visit.working:
            if visit.undone:
                visit.steps = (*visit.steps, visit.undone[0])
                visit.undone = visit.undone[1:]
            return self._answer_to(visit)

    def clear(self) -> None:
        """Forget what was pointed at, and go on with another object of the image; an answer under way is dropped."""
        with self._lock:
            if self._visit is not None:
                self._visit = _Visit(self._visit.opened)

    def _leave(self) -> int:
        with self._lock:
            self._num_opened += 1
            self._visit = None
            return self._num_opened

    def _opened(self) -> _Visit:
        visit = self._visit
        if visit is None:
            raise PromptError("No image is open; open one before pointing at something in it.")
        return visit

    def _ask(self, change: Callable[[Steps], Steps]) -> Answer | None:
        visit = self._opened()
        with visit.working:
            if self._visit is not visit:
                return None
            steps = change(visit.steps)
            taken = self._taken(visit, steps) if steps else None
            with self._lock:
                if self._visit is not visit:
                    return None
                visit.steps, visit.undone = steps, ()
            return None if taken is None else taken.answer

    def _answer_to(self, visit: _Visit) -> Answer | None:
        return self._taken(visit, visit.steps).answer if visit.steps else None

    def _taken(self, visit: _Visit, steps: Steps) -> _Taken:
        """The last of these steps with its answer; the model is asked for those that are not known."""
        start = next((n for n in range(len(steps), 0, -1) if visit.known.get(steps[:n])), 0)
        taken = visit.known.get(steps[:start])
        for number in range(start, len(steps)):
            window = visit.opened.window(steps[number].view_xyxy)
            prompt = _pointed(taken, steps[number], window)
            choice = steps[number].choice
            if choice is None:
                answer = self._answers(taken, prompt, window)[0]
            else:
                answer = _chosen(self._candidates(visit, steps[: number + 1]), choice)
            taken = _Taken(prompt, answer, window)
            visit.known.put(steps[: number + 1], taken)
        assert taken is not None  # there is at least one step
        return taken

    def _candidates(self, visit: _Visit, steps: Steps) -> tuple[Answer, ...]:
        plain = _unchosen(steps)
        found = visit.candidates.get(plain)
        if found is None:
            before = self._taken(visit, plain[:-1]) if len(plain) > 1 else None
            window = visit.opened.window(plain[-1].view_xyxy)
            answers = self._answers(before, _pointed(before, plain[-1], window), window, multimask_output=True)
            found = tuple(sorted(answers, key=lambda answer: -answer.iou_score))
            visit.candidates.put(plain, found)
        return found

    def _answers(
        self, before: _Taken | None, prompt: Prompt, window: Window, multimask_output: bool | None = None
    ) -> list[Answer]:
        if window.region == Region.whole(window.image_hw):
            found = self._predictor.predict(window.embedding, [prompt], multimask_output)
            return [_answer(found, index) for index in range(found.masks.shape[1])]
        # A view leaves out what lies outside it; what lies outside the image is refused as ever.
        found = predict_in_window(self._predictor, window, [prompt.fitted_to(window.image_hw)], multimask_output)
        return [_answer_in_view(found, index, window, before) for index in range(found.masks.shape[1])]


def answer_prompt(predictor: Predictor, embedding: ImageEmbedding, prompt: Prompt) -> Answer:
    """The answer to one prompt, for callers that keep what was pointed at themselves.

    Args:
        predictor: the model.
        embedding: the encoded image.
        prompt: one object; `mask_input` or `mask` is the answer that it refines.

    Raises:
        PromptError: the prompt lies outside the image, or its mask has another size.
    """
    return _answer(predictor.predict(embedding, [prompt]), 0)


def _pointed(last: _Taken | None, step: Step, window: Window) -> Prompt:
    """The prompt of a step: with the points and the box before it, and the answer to them, which is to be refined in a window."""
    if step.mask is not None:
        return Prompt(mask=rle_to_mask(step.mask))
    if step.box_xyxy is not None:
        changed: dict[str, object] = {"box_xyxy": step.box_xyxy}
    else:
        points = [] if last is None else last.prompt.point_coords.tolist()
        labels = [] if last is None else last.prompt.point_labels.tolist()
        label = FOREGROUND if step.foreground else BACKGROUND
        changed = {"point_coords": [*points, step.point_xy], "point_labels": [*labels, label]}
    if last is None:
        return Prompt(**changed)  # type: ignore[arg-type]
    logits = last.answer.low_res_logits
    if window is not last.window:
        logits = moved_logits(logits, last.window, window)
    return replace(last.prompt, mask=None, mask_input=logits, **changed)  # type: ignore[arg-type]


def _unchosen(steps: Steps) -> Steps:
    """The same steps, the last of them with the answer that the model gave by itself."""
    return (*steps[:-1], replace(steps[-1], choice=None)) if steps else ()


def _chosen(candidates: Sequence[Answer], choice: int) -> Answer:
    if not 0 <= choice < len(candidates):
        raise PromptError(f"The candidates are counted from 0 to {len(candidates) - 1}, but got {choice!r}.")
    return candidates[choice]


def _answer(found: MaskPrediction, index: int) -> Answer:
    return Answer(
        mask_to_rle(found.masks[0, index]), float(found.iou_scores[0, index]), found.low_res_logits[0, index].copy()
    )


def _answer_in_view(found: MaskPrediction, index: int, window: Window, before: _Taken | None) -> Answer:
    """An answer of which the earlier one stays where the view does not reach."""
    mask, region = found.masks[0, index], window.region
    seen = region.cut(mask)
    is_cut = region.cuts_off(seen, window.image_hw)
    if before is not None:
        whole = before.answer.mask
        whole[region.y0 : region.y1, region.x0 : region.x1] = seen
        mask = whole
    return replace(_answer(found, index), rle=mask_to_rle(mask), is_cut=is_cut)
