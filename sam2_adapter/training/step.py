"""One optimizer step over the objects of all processes, whatever fits into memory at a time.

Gradients of micro-batches add up to the gradient of the whole step. Processes compute their shares independently and
exchange sums once per step, after they have agreed that none of them ran out of memory: a process that failed inside a
collective operation would leave the others waiting.
"""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import nn

from sam2_adapter.errors import TrainingError
from sam2_adapter.models.engines.base import is_out_of_memory
from sam2_adapter.training.batches import Question, buckets
from sam2_adapter.training.forward import PromptBatch
from sam2_adapter.training.losses import LossTerms
from sam2_adapter.training.optim import NamedParameters, clip_gradients, set_learning_rate

logger = logging.getLogger(__name__)

# One step without finite gradients is bad luck, several in a row are not.
_MOST_SKIPPED_IN_A_ROW = 5

T = TypeVar("T")


@dataclass(frozen=True)
class StepResult:
    """What one step did.

    Attributes:
        losses: sums over the objects of all processes, by the names of `LossTerms`.
        num_objects: objects of all processes.
        gradient_norm: before clipping; NaN or infinite where the step was skipped.
        is_skipped: the gradients were not finite and the weights stayed.
    """

    losses: dict[str, float]
    num_objects: int
    gradient_norm: float
    is_skipped: bool


class Stepper:
    """Takes optimizer steps; the micro-batch shrinks when memory runs out and stays so."""

    def __init__(
        self,
        accelerator: Accelerator,
        decoder: nn.Module,
        parameters: NamedParameters,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        max_gradient_norm: float,
        micro_batch: int,
    ) -> None:
        """Train `parameters` of `decoder`, which maps a `PromptBatch` to `LossTerms`."""
        self._accelerator = accelerator
        self._decoder = decoder
        self._parameters = parameters
        self._optimizer = optimizer
        self._scaler = scaler
        self._max_gradient_norm = max_gradient_norm
        self.micro_batch = micro_batch
        self.skipped_in_a_row = 0

    def step(
        self,
        questions: Sequence[Question],
        num_objects: int,
        make_batch: Callable[[Sequence[Question]], PromptBatch],
        learning_rate: float,
    ) -> StepResult:
        """Take one step.

        Args:
            questions: this process's share.
            num_objects: objects of all processes, over which the loss is averaged.
            make_batch: brings questions of one shape to the decoder's form.
            learning_rate: of this step.

        Raises:
            TrainingError: memory does not suffice for a single object, or the gradients are not finite again and again.
        """
        sums = self._gradients(questions, num_objects, make_batch)
        losses = dict(zip(LossTerms._fields, self._summed(sums).tolist(), strict=True))
        self._exchange_gradients()
        self._scaler.unscale_(self._optimizer)
        norm = clip_gradients(self._parameters.values(), self._max_gradient_norm)
        is_finite = math.isfinite(norm) and all(map(math.isfinite, losses.values()))
        set_learning_rate(self._optimizer, learning_rate)
        if is_finite:
            self._scaler.step(self._optimizer)
        self._scaler.update()
        self._count_skipped(is_finite, losses["total"] / num_objects, norm)
        return StepResult(losses, num_objects, norm, not is_finite)

    def _gradients(
        self, questions: Sequence[Question], num_objects: int, make_batch: Callable[[Sequence[Question]], PromptBatch]
    ) -> torch.Tensor:
        """Leave this process's gradients in the parameters and return its sums of losses, smaller micro-batches after each failure."""
        while True:
            failed = False
            try:
                sums = self._accumulate(questions, num_objects, make_batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failed = True
            if not self._anywhere(failed):
                return sums
            self._shrink()

    def _accumulate(
        self, questions: Sequence[Question], num_objects: int, make_batch: Callable[[Sequence[Question]], PromptBatch]
    ) -> torch.Tensor:
        for parameter in self._parameters.values():
            # Not None: a parameter that a step does not use is treated the same whatever the number of processes.
            parameter.grad = torch.zeros_like(parameter)
        sums = torch.zeros(len(LossTerms._fields), device=self._accelerator.device)
        for group in buckets(questions, self.micro_batch):
            terms: LossTerms = self._decoder(make_batch(group).to(self._accelerator.device))
            self._scaler.scale(terms.total.sum() / num_objects).backward()  # type: ignore[no-untyped-call]
            sums += torch.stack([term.detach().sum() for term in terms])
        return sums

    def _shrink(self) -> None:
        if self.micro_batch == 1:
            raise TrainingError(
                "There is not enough memory to train on a single object. Close other programs, use a smaller model, or lower "
                "correction_rounds or loss_grid."
            )
        self.micro_batch = max(1, self.micro_batch // 2)
        logger.warning(
            "Out of memory: going on with %d objects at a time; batch_size stays as it is.", self.micro_batch
        )
        for parameter in self._parameters.values():
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _anywhere(self, failed: bool) -> bool:
        return bool(self._summed(torch.tensor([float(failed)], device=self._accelerator.device)).item())

    def _summed(self, values: torch.Tensor) -> torch.Tensor:
        return self._accelerator.reduce(values, "sum")  # type: ignore[no-any-return]

    def _exchange_gradients(self) -> None:
        if self._accelerator.num_processes == 1:
            return
        gradients = [parameter.grad for parameter in self._parameters.values() if parameter.grad is not None]
        total = self._summed(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(total, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _count_skipped(self, is_finite: bool, loss: float, norm: float) -> None:
        if is_finite:
            self.skipped_in_a_row = 0
            return
        self.skipped_in_a_row += 1
        # The scaler of fp16 finds its factor by skipping steps.
        if self.skipped_in_a_row > _MOST_SKIPPED_IN_A_ROW and (
            not self._scaler.is_enabled() or self._scaler.get_scale() < 1
        ):
            raise TrainingError(
                f"The loss is {loss:g} and the norm of its gradient {norm:g} in {self.skipped_in_a_row} steps in a row: training has "
                "diverged. Lower learning_rate, or set precision to 'fp32'."
            )
