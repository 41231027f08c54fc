"""Train sam2_nano from scratch on generated scenes.

    python tools/nano/train.py --output runs/nano             start, or go on where the run in that folder stopped
    python tools/nano/train.py --output runs/nano --export    write the run's averaged weights into the package

Runs on a CUDA GPU in bf16 where there is one, else on the CPU in bf16. On a CPU use one process per core:

    torchrun --nproc-per-node 2 tools/nano/train.py --output runs/nano
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from batches import BatchPlan, TrainingBatches
from losses import dense_loss
from network import NanoTrainer, initialise, save_weights, use_lean_attention
from rollout import prompt_losses
from torch.utils.data import DataLoader
from validation import validate

from sam2_adapter.models.network.mask_decoder import image_position_tokens
from sam2_adapter.models.network.preprocess import PIXEL_MEAN, PIXEL_STD

ASSET = Path(__file__).parents[2] / "sam2_adapter" / "assets" / "sam2_nano.safetensors"
LOG_NAME, STATE_NAME = "log.jsonl", "state.pt"


@dataclass(frozen=True)
class Recipe:
    """Everything that the result depends on beside the code.

    Attributes:
        steps: optimiser steps.
        learning_rate: peak of AdamW.
        warmup_steps: steps of linear warm-up.
        decay_steps: last steps, over which the rate falls to zero along a cosine.
        weight_decay: of AdamW, on matrices only.
        clip_norm: largest gradient norm.
        average: decay of the exponential moving average of the weights.
        dense_share: weight of the throw-away head's loss.
        seed: of the starting weights.
    """

    steps: int = 2100
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_steps: int = 1000
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.998
    dense_share: float = 1.0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        left = min(1.0, (self.steps - step) / self.decay_steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * 0.5 * (1 - math.cos(math.pi * left))


class Run:
    """A training run with everything that resuming needs."""

    def __init__(self, recipe: Recipe, plan: BatchPlan, output: Path) -> None:
        self.recipe, self.plan, self.output = recipe, plan, output
        self.rank, self.world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cuda", self.rank) if torch.cuda.is_available() else torch.device("cpu")
        self.trainer = NanoTrainer()
        initialise(self.trainer, recipe.seed)
        use_lean_attention(self.trainer)
        self.trainer.to(self.device).train()
        self.optimiser = torch.optim.AdamW(_groups(self.trainer, recipe.weight_decay), betas=(0.9, 0.98), fused=True)
        self.averaged = {name: value.detach().clone() for name, value in self.trainer.state_dict().items()}
        self.step = 0
        self.seconds = 0.0

    def save(self) -> None:
        """Write the whole state, atomically."""
        parts = {
            "trainer": self.trainer.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averaged": self.averaged,
        }
        temporary = self.output / (STATE_NAME + ".tmp")
        torch.save(parts | {"step": self.step, "seconds": self.seconds}, temporary)
        temporary.replace(self.output / STATE_NAME)

    def load(self) -> None:
        """Go on from the state in the output folder."""
        state = torch.load(self.output / STATE_NAME, map_location=self.device, weights_only=True)
        self.trainer.load_state_dict(state["trainer"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.averaged, self.step, self.seconds = state["averaged"], state["step"], state["seconds"]

    def train_step(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One optimiser step; returns losses and low-res IoUs."""
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        self.trainer.set_image_size(self.plan.image_size(self.step))
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        seed = (self.recipe.seed * 1000 + self.rank) * 10**7 + self.step
        chance = random.Random(self.step)
        torch.manual_seed(seed)
        positions = image_position_tokens(self.trainer.model)
        with torch.autocast(self.device.type, torch.bfloat16):
            images, dense = self.trainer.encode(_normalised(batch["image"]))
            losses, figures = prompt_losses(self.trainer, images, positions, batch, chance)
        losses["dense"] = self.recipe.dense_share * dense_loss(dense, batch["dense"])
        self.optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        self._share_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.trainer.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in (losses | figures | {"norm": norm}).items()}

    def _share_gradients(self) -> None:
        if self.world_size == 1:
            return
        gradients = [p.grad for p in self.trainer.parameters() if p.grad is not None]
        flat = torch.nn.utils.parameters_to_vector(gradients)
        dist.all_reduce(flat)
        torch.nn.utils.vector_to_parameters(flat / self.world_size, gradients)

    def _average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.trainer.state_dict().items():
                self.averaged[name].lerp_(value, 1 - decay)

    def validation_figures(self, count: int) -> dict[str, float]:
        """Figures of the averaged weights at the present model input size."""
        other = NanoTrainer().to(self.device)
        other.load_state_dict(self.averaged)
        use_lean_attention(other)
        return validate(other, self.plan.image_size(self.step - 1), count)

    def exportable(self) -> dict[str, torch.Tensor]:
        """The averaged weights in transformers' key layout."""
        prefix = "model."
        return {name.removeprefix(prefix): value for name, value in self.averaged.items() if name.startswith(prefix)}


def main() -> None:
    """Train or export, as the command line says."""
    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(steps=arguments.steps, decay_steps=arguments.decay_steps, learning_rate=arguments.learning_rate)
    plan = BatchPlan(batch_size=arguments.batch_size, small_steps=arguments.small_steps)
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    run = Run(recipe, plan, arguments.output)
    if (arguments.output / STATE_NAME).exists():
        run.load()
    if arguments.export:
        save_weights(run.exportable(), ASSET)
        return
    fit(run, arguments)


def fit(run: Run, arguments: argparse.Namespace) -> None:
    """Train to the last step, with a log line, a saved state and figures every so often."""
    _log(run, {"recipe": asdict(run.recipe), "plan": asdict(run.plan)})
    batches = TrainingBatches(run.plan, run.recipe.steps, run.rank, run.world_size)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(run.step, run.recipe.steps),
        num_workers=arguments.workers,
        prefetch_factor=6,
        pin_memory=run.device.type == "cuda",
    )
    sums: dict[str, float] = defaultdict(float)
    mark = time.monotonic()
    for batch in loader:
        for name, value in run.train_step(batch).items():
            sums[name] += value / arguments.log_every
        if run.step % arguments.log_every == 0:
            now = time.monotonic()
            run.seconds += now - mark
            speed = arguments.log_every * run.plan.batch_size * run.world_size / (now - mark)
            mark = now
            _log(run, {"images_per_second": speed, "rate": run.recipe.rate(run.step), **sums})
            sums.clear()
        if run.rank == 0 and (run.step % arguments.validate_every == 0 or run.step == run.recipe.steps):
            run.save()
            _log(run, {"validation": run.validation_figures(arguments.validation_scenes)})
            mark = time.monotonic()


def _groups(trainer: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in trainer.parameters() if p.ndim > 1]
    others = [p for p in trainer.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _normalised(image: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(PIXEL_MEAN, device=image.device).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=image.device).view(3, 1, 1)
    return (image.float() / 255 - mean) / std


def _log(run: Run, values: dict[str, object]) -> None:
    if run.rank != 0:
        return
    line = json.dumps({"step": run.step, "seconds": round(run.seconds, 1), **_rounded(values)})
    with (run.output / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    sys.stderr.write(line + "\n")


def _rounded(values: object) -> object:
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return float(f"{values:.4g}") if isinstance(values, float) else values


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--export", action="store_true", help="write the averaged weights into the package and stop")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--decay-steps", type=int, default=Recipe.decay_steps)
    parser.add_argument(
        "--small-steps", type=int, default=BatchPlan.small_steps, help="first steps, at the small model input"
    )
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--batch-size", type=int, default=BatchPlan.batch_size, help="images a step in each process")
    parser.add_argument("--workers", type=int, default=1, help="processes that render scenes")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch in each process")
    parser.add_argument("--log-every", type=int, default=25, help="steps")
    parser.add_argument("--validate-every", type=int, default=100, help="steps")
    parser.add_argument("--validation-scenes", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    main()
