"""`Session`: one person who points at the objects of an image, one after another.

Every click refines the answer before it, whose logits go back into the model. A session knows no labelling tool: pages
and services are shells around it. It may be called from several threads. Clicks are answered one after the other, and
an answer to an image that was left meanwhile, or to an object that was given up, is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray, FloatArray, Prompt
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError
from sam2_adapter.images.read import read_image
from sam2_adapter.interactive.encoded_sources import EncodedSources
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

CACHE_BYTES = 2**30
"""Most memory for the encoded images of a session, where they are kept: about 60 images in fp32."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One mask for what was pointed at.

    Attributes:
        mask: bool H x W in the size of the image.
        iou_score: the model's estimate of the mask's IoU; not clamped.
        low_res_logits: float32 h x w, what the next click refines.
    """

    mask: BoolArray
    iou_score: float
    low_res_logits: FloatArray


@dataclass(frozen=True, eq=False)
class _Step:
    """A prompt and its answer; the candidates are there once somebody has asked for them."""

    prompt: Prompt
    answer: Answer
    candidates: tuple[Answer, ...] = ()


class _Visit:
    """One object of an image that is open, and the steps to it so far."""

    def __init__(self, embedding: ImageEmbedding) -> None:
        self.embedding = embedding
        self.steps: list[_Step] = []
        self.working = threading.Lock()  # clicks wait for each other, so that each sees the answer before it

    @property
    def last(self) -> _Step | None:
        return self.steps[-1] if self.steps else None


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

    def open(self, image: str | Path | bytes | npt.NDArray[np.uint8]) -> None:
        """Leave the image that is open and go to another one, which is encoded unless it was open lately.

        Args:
            image: path or content of an image file, or uint8 RGB H x W x 3 in 0..255.

        Raises:
            ImageError: it cannot be read; then no image is open.
        """
        number = self._leave()
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        embedding = self._sources.encode_pixels(pixels)
        with self._lock:
            if self._num_opened == number:  # else this image was left while it was being encoded
                self._visit = _Visit(embedding)

    def close(self) -> None:
        """Leave the image that is open."""
        self._leave()

    @property
    def original_hw(self) -> tuple[int, int] | None:
        """(height, width) of the open image in pixels; `None` where none is open."""
        visit = self._visit
        return None if visit is None else visit.embedding.original_hw

    @property
    def answer(self) -> Answer | None:
        """The newest answer; `None` before the first click on an object."""
        last = self._visit.last if self._visit is not None else None
        return None if last is None else last.answer

    def click(self, x: float, y: float, *, foreground: bool = True) -> Answer | None:
        """Point at the object, or at something that is not part of it.

        Args:
            x: pixels of the image, to the right.
            y: pixels of the image, downwards.
            foreground: whether the object is there.

        Returns:
            The answer to everything that was pointed at so far; `None` where the image or object was left meanwhile.

        Raises:
            PromptError: no image is open, the point lies outside it, or nothing says yet where the object is.
        """
        label = FOREGROUND if foreground else BACKGROUND

        def prompt(last: _Step | None) -> Prompt:
            points = [] if last is None else last.prompt.point_coords.tolist()
            labels = [] if last is None else last.prompt.point_labels.tolist()
            return _refining(last, point_coords=[*points, [x, y]], point_labels=[*labels, label])

        return self._ask(prompt)

    def box(self, box_xyxy: Sequence[float]) -> Answer | None:
        """Draw a box around the object, in place of an earlier one.

        Args:
            box_xyxy: (x0, y0, x1, y1) in pixels.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the box is empty or lies outside it.
        """
        return self._ask(lambda last: _refining(last, box_xyxy=tuple(box_xyxy)))

    def start_from(self, mask: BoolArray) -> Answer | None:
        """Begin another object with a mask that somebody drew, to refine it by clicks.

        Args:
            mask: bool H x W in the size of the image, at least one pixel set.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the mask is empty or of another size.
        """
        self.clear()
        return self._ask(lambda _: Prompt(mask=mask))

    def candidates(self) -> tuple[Answer, ...]:
        """Three masks that the newest prompt may mean, such as a part and the whole; best-scored first, none before it."""
        visit = self._visit
        if visit is None:
            return ()
        with visit.working:
            step = visit.last
            if step is None:
                return ()
            if not step.candidates:
                found = self._predictor.predict(visit.embedding, [step.prompt], multimask_output=True)
                answers = [_answer(found, index) for index in range(found.masks.shape[1])]
                ranked = tuple(sorted(answers, key=lambda answer: -answer.iou_score))
                step = visit.steps[-1] = replace(step, candidates=ranked)
            return step.candidates

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
            step = visit.last
            if step is None or not any(candidate is known for known in step.candidates):
                return None
            visit.steps[-1] = replace(step, answer=candidate)
            return candidate

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
                visit.steps.pop()
            return None if visit.last is None else visit.last.answer

    def clear(self) -> None:
        """Forget what was pointed at, and go on with another object of the image; an answer under way is dropped."""
        with self._lock:
            if self._visit is not None:
                self._visit = _Visit(self._visit.embedding)

    def _leave(self) -> int:
        with self._lock:
            self._num_opened += 1
            self._visit = None
            return self._num_opened

    def _ask(self, make_prompt: Callable[[_Step | None], Prompt]) -> Answer | None:
        visit = self._visit
        if visit is None:
            raise PromptError("No image is open; open one before pointing at something in it.")
        with visit.working:
            if self._visit is not visit:
                return None
            prompt = make_prompt(visit.last)
            answer = answer_prompt(self._predictor, visit.embedding, prompt)
            with self._lock:
                if self._visit is not visit:
                    return None
                visit.steps.append(_Step(prompt, answer))
            return answer


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


def _refining(last: _Step | None, **changed: object) -> Prompt:
    """The last prompt with other points or another box, and its answer to be refined."""
    if last is None:
        return Prompt(**changed)  # type: ignore[arg-type]
    logits = last.answer.low_res_logits
    return replace(last.prompt, mask=None, mask_input=logits, **changed)  # type: ignore[arg-type]


def _answer(found: MaskPrediction, index: int) -> Answer:
    return Answer(found.masks[0, index], float(found.iou_scores[0, index]), found.low_res_logits[0, index].copy())
