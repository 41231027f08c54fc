"""`Visit`: one object of the open image while a person points at it: the steps so far, and what the model answered to them.

It is not safe between threads: who changes it holds `working`, so that each click sees the answer before it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from sam2_adapter.errors import PromptError
from sam2_adapter.interactive.encoded_views import EncodedViews
from sam2_adapter.interactive.mask_answers import Answer, Taken, answers_in, pointed
from sam2_adapter.interactive.steps import KnownSteps, Step, Steps, limit_of
from sam2_adapter.predict.predictor import Predictor


class Visit:
    """The steps to one object, and those that were taken back."""

    def __init__(self, predictor: Predictor, views: EncodedViews) -> None:
        """Begin without steps."""
        self.predictor, self.views = predictor, views
        self.steps: Steps = ()
        self.working = threading.Lock()
        self._undone: Steps = ()
        # Steps that were taken, also those taken back: going there again asks the model nothing.
        self._known: KnownSteps[Taken] = KnownSteps()
        self._candidates: KnownSteps[tuple[Answer, ...]] = KnownSteps()
        # What was looked at before it is clicked on: the click is then answered at once.
        self._previewed: tuple[Step, Taken] | None = None

    @property
    def answer(self) -> Answer | None:
        """The answer to the steps so far; `None` where there are none."""
        return self.answer_to(self.steps)

    def answer_to(self, steps: Steps) -> Answer | None:
        """The answer to these steps, which need not be taken; `None` for none.

        Raises:
            PromptError: they cannot be answered.
        """
        return self._taken(steps).answer if steps else None

    def take(self, steps: Steps) -> None:
        """Be at these steps, which were answered; what was taken back before is forgotten."""
        self.steps, self._undone = steps, ()

    def undo(self) -> None:
        """Take the newest step back, where there is one."""
        if self.steps:
            self._undone = (self.steps[-1], *self._undone)
            self.steps = self.steps[:-1]

    def redo(self) -> None:
        """Take the step again that was taken back last, where there is one."""
        if self._undone:
            self.steps = (*self.steps, self._undone[0])
            self._undone = self._undone[1:]

    def candidates(self) -> tuple[Answer, ...]:
        """The masks that the newest step may mean, best-scored first; none before the first step."""
        return self._candidates_of(self.steps) if self.steps else ()

    def choose(self, candidate: Answer) -> Answer | None:
        """Take one of `candidates()` as the newest answer; `None` where it is none of the newest step's."""
        known = self._candidates.get(_unchosen(self.steps)) or ()
        position = next((index for index, other in enumerate(known) if other is candidate), None)
        if position is None:
            return None
        self.steps = (*self.steps[:-1], replace(self.steps[-1], choice=position))
        return self.answer

    def preview(self, step: Step) -> Answer:
        """The answer to a step alone, which is not taken."""
        taken = self._answered(None, (step,))
        self._previewed = step, taken
        return taken.answer

    def _answered(self, before: Taken | None, steps: Steps) -> Taken:
        """The last of these steps with its answer, which the model is asked for."""
        step = steps[-1]
        seen = self._previewed if before is None else None
        if seen is not None and seen[0] == step:
            return seen[1]
        window = self.views.window(step.view_xyxy)
        prompt = pointed(before, step, window)
        return Taken(prompt, answers_in(self.predictor, window, prompt, before, limit=limit_of(steps))[0], window)

    def _taken(self, steps: Steps) -> Taken:
        """The last of these steps with its answer; the model is asked for those that are not known."""
        start = next((n for n in range(len(steps), 0, -1) if self._known.get(steps[:n])), 0)
        taken = self._known.get(steps[:start])
        for number in range(start, len(steps)):
            choice = steps[number].choice
            if choice is None:
                taken = self._answered(taken, steps[: number + 1])
            else:
                window = self.views.window(steps[number].view_xyxy)
                chosen = _chosen(self._candidates_of(steps[: number + 1]), choice)
                taken = Taken(pointed(taken, steps[number], window), chosen, window)
            self._known.put(steps[: number + 1], taken)
        assert taken is not None  # there is at least one step
        return taken

    def _candidates_of(self, steps: Steps) -> tuple[Answer, ...]:
        plain = _unchosen(steps)
        found = self._candidates.get(plain)
        if found is None:
            before = self._taken(plain[:-1]) if len(plain) > 1 else None
            window = self.views.window(plain[-1].view_xyxy)
            prompt = pointed(before, plain[-1], window)
            answers = answers_in(self.predictor, window, prompt, before, multimask_output=True, limit=limit_of(plain))
            found = tuple(sorted(answers, key=lambda answer: -answer.iou_score))
            self._candidates.put(plain, found)
        return found


def _unchosen(steps: Steps) -> Steps:
    """The same steps, the last of them with the answer that the model gave by itself."""
    return (*steps[:-1], replace(steps[-1], choice=None)) if steps else ()


def _chosen(candidates: Sequence[Answer], choice: int) -> Answer:
    if not 0 <= choice < len(candidates):
        raise PromptError(f"The candidates are counted from 0 to {len(candidates) - 1}, but got {choice!r}.")
    return candidates[choice]
