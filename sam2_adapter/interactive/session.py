"""`Session`: one person who points at the objects of an image, one after another.

Every click refines the answer before it, whose logits go back into the model. A session knows no labelling tool: pages
and services are shells around it. It may be called from several threads. Clicks are answered one after the other, and
an answer to an image that was left meanwhile, or to an object that was given up, is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from sam2_adapter.annotations.prompt_values import checked_mask, checked_numbers, short
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.arguments import able_to, instance_of
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import ImageSource, Pixels, as_pixels
from sam2_adapter.interactive.encoded_sources import EncodedSources
from sam2_adapter.interactive.encoded_views import EncodedViews
from sam2_adapter.interactive.mask_answers import Answer
from sam2_adapter.interactive.steps import Step, Steps
from sam2_adapter.interactive.visit import Visit
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window

CACHE_BYTES = 2**30
"""Most memory for the encoded images of a session, where they are kept: about 60 images in fp32."""


class Session:
    """Answers to clicks and boxes on one image at a time; see the top of this module."""

    def __init__(self, predictor: Predictor, sources: EncodedSources | None = None) -> None:
        """Begin without an image.

        Args:
            predictor: the model.
            sources: shares encoded images with other sessions of the same predictor; by default a session keeps its own.
        """
        self._predictor = able_to(predictor, ("predict_rles",), "predictor", "a predictor, which load_predictor makes")
        if sources is not None:
            instance_of(sources, EncodedSources, "sources", "an EncodedSources or None")
        self._sources = sources or EncodedSources(predictor, ByteBoundedCache(CACHE_BYTES))
        self._lock = threading.Lock()
        self._num_opened = 0
        self._visit: Visit | None = None

    def open(self, image: ImageSource | ImageEmbedding, *, read: Callable[[], Pixels] | None = None) -> None:
        """Leave the image that is open and go to another one, which is encoded unless it was open lately.

        Args:
            image: path or content of an image file, a Pillow image, uint8 RGB H x W x 3 in 0..255, or what the predictor's `embed`
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
            read = partial(as_pixels, image)
            embedding = self._sources.encode_pixels(read())
        with self._lock:
            if self._num_opened == number:  # else this image was left while it was being encoded
                self._visit = Visit(self._predictor, EncodedViews(self._predictor, embedding, read))

    def close(self) -> None:
        """Leave the image that is open."""
        self._leave()

    @property
    def original_hw(self) -> tuple[int, int] | None:
        """(height, width) of the open image in pixels; `None` where none is open."""
        visit = self._visit
        return None if visit is None else visit.views.whole.image_hw

    @property
    def answer(self) -> Answer | None:
        """The newest answer; `None` before the first click on an object."""
        visit = self._visit
        return None if visit is None else visit.answer

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
        """Draw a box around the object, in place of an earlier one. The mask ends at the box, until a click outside says that the object goes on there.

        Args:
            box_xyxy: (x0, y0, x1, y1) in pixels.
            view_xyxy: as in `click`.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the box is empty or lies outside it.
        """
        return self._ask(
            lambda steps: (*steps, Step(box_xyxy=checked_numbers("box", box_xyxy, 4), view_xyxy=view_xyxy))
        )

    def start_from(self, mask: BoolArray | Rle) -> Answer | None:
        """Begin another object with a mask that somebody drew, to refine it by clicks.

        Args:
            mask: bool H x W in the size of the image or its run lengths, at least one pixel set.

        Returns:
            As `click`.

        Raises:
            PromptError: no image is open, or the mask is empty or of another size.
        """
        checked = mask if isinstance(mask, Rle) else checked_mask(mask)
        step = Step(mask=checked if checked is None or isinstance(checked, Rle) else mask_to_rle(checked))
        self.clear()
        return self._ask(lambda _: (step,))

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
        given = tuple(steps) if isinstance(steps, Iterable) else (steps,)
        if not all(isinstance(step, Step) for step in given):
            raise PromptError(f"The steps are a list of Step, but got {short(steps)}.")
        return self._ask(lambda _: given)

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
        answer = visit.preview(Step(point_xy=(x, y), view_xyxy=view_xyxy))
        return answer if self._visit is visit else None

    def look(self, view_xyxy: tuple[int, int, int, int] | None) -> Window:
        """Encode a view ahead, so that the first click in it is answered as quickly as the next ones.

        Args:
            view_xyxy: as in `click`.

        Returns:
            The view, encoded; it shows the whole image for `None`.

        Raises:
            PromptError: no image is open, or the view lies outside it.
        """
        visit = self._opened()
        with visit.working:
            return visit.views.window(view_xyxy)

    def candidates(self) -> tuple[Answer, ...]:
        """Three masks that the newest prompt may mean, such as a part and the whole; best-scored first, none before it."""
        visit = self._visit
        if visit is None:
            return ()
        with visit.working:
            return visit.candidates()

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
            return visit.choose(candidate)

    def undo(self) -> Answer | None:
        """Take the newest click, box or mask back.

        Returns:
            The answer before it; `None` where there was none.
        """
        visit = self._visit
        if visit is None:
            return None
        with visit.working:
            visit.undo()
            return visit.answer

    def redo(self) -> Answer | None:
        """Take the step again that was taken back last.

        Returns:
            Its answer; the newest one where nothing was taken back since the last click.
        """
        visit = self._visit
        if visit is None:
            return None
        with visit.working:
            visit.redo()
            return visit.answer

    def clear(self) -> None:
        """Forget what was pointed at, and go on with another object of the image; an answer under way is dropped."""
        with self._lock:
            if self._visit is not None:
                self._visit = Visit(self._predictor, self._visit.views)

    def _leave(self) -> int:
        with self._lock:
            self._num_opened += 1
            self._visit = None
            return self._num_opened

    def _opened(self) -> Visit:
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
            answer = visit.answer_to(steps)
            with self._lock:
                if self._visit is not visit:
                    return None
                visit.take(steps)
            return answer
