"""Train sam2_nano: on generated scenes, on photographs as well, the decoder for overlap, and all of it for overlap, for clicks and for first clicks.

    python tools/nano/train.py --output runs/first                         the first part; goes on where the run in that folder stopped
    python tools/nano/train.py --output runs/first --export first.safetensors
    python tools/nano/train.py --output runs/second --data DIR --weights first.safetensors
    python tools/nano/train.py --output runs/second --data DIR --export second.safetensors
    python tools/nano/train.py --output runs/third --data DIR --part 3 --weights second.safetensors
    python tools/nano/train.py --output runs/third --data DIR --export third.safetensors
    python tools/nano/train.py --output runs/fourth --data DIR --part 4 --weights third.safetensors
    python tools/nano/train.py --output runs/fourth --data DIR --export fourth.safetensors
    python tools/nano/train.py --output runs/fifth --data DIR --part 5 --weights fourth.safetensors
    python tools/nano/train.py --output runs/fifth --data DIR --export fifth.safetensors
    python tools/nano/train.py --output runs/sixth --data DIR --part 6 --weights fifth.safetensors
    python tools/nano/train.py --output runs/sixth --data DIR --export sam2_adapter/assets/sam2_nano.safetensors

Runs on a CUDA GPU in bf16 where there is one, else on the CPU in bf16. On a CPU use one process per core:

    torchrun --nproc-per-node 2 tools/nano/train.py --output runs/first
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TypeVar

import cv2
import torch
import torch.distributed as dist
import torch.nn.functional as F
from batches import BatchPlan, TrainingBatches
from losses import dense_loss
from mixture import MixedBatches, MixturePlan
from network import NanoTrainer, initialise, save_weights, use_lean_attention
from recipes import LOSSES, Recipe
from rollout import prompt_losses
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset
from validation import Sets, validate, validation_sets

from sam2_adapter.models.network.mask_decoder import image_position_tokens
from sam2_adapter.models.network.preprocess import PIXEL_MEAN, PIXEL_STD

LOG_NAME, STATE_NAME = "log.jsonl", "state.pt"

_Numbers = TypeVar("_Numbers", "Recipe", BatchPlan, MixturePlan)


class Run:
    """A training run with everything that resuming needs."""

    def __init__(self, recipe: Recipe, plan: BatchPlan | MixturePlan, output: Path) -> None:
        self.recipe, self.plan, self.output = recipe, plan, output
        self.rank, self.world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cuda", self.rank) if torch.cuda.is_available() else torch.device("cpu")
        self.trainer = NanoTrainer()
        initialise(self.trainer, recipe.seed)
        self.trainer.to(self.device).train()
        # The weights are kept and changed in fp32, the arithmetic is done on a copy in bf16.
        self.fast = self.trainer.low_precision_copy()
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

    def start_from(self, weights: Path) -> None:
        """Begin with the weights of a file; the throw-away head is new."""
        self.trainer.model.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
        self.averaged = {name: value.detach().clone() for name, value in self.trainer.state_dict().items()}

    def train_step(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One optimiser step; returns losses and low-res IoUs."""
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        self._copy_weights()
        self.fast.set_image_size(self.plan.image_size(self.step))
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        seed = (self.recipe.seed * 1000 + self.rank) * 10**7 + self.step
        chance = random.Random(self.step)
        torch.manual_seed(seed)
        positions = image_position_tokens(self.fast.model)
        # The fused attention kernel is slow for few queries on a CPU.
        with sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext():
            with torch.set_grad_enabled(self.recipe.learns_encoder):
                images, dense = self.fast.encode(_normalised(batch["image"]).bfloat16())
            if self.recipe.feature_dropout:
                images = images.map(lambda level: F.dropout2d(level, self.recipe.feature_dropout))
            losses, figures = prompt_losses(self.fast, images, positions, batch, chance, LOSSES[self.recipe.judged])
        if self.recipe.learns_encoder:
            losses["dense"] = self.recipe.dense_share * dense_loss(dense, batch["dense"], batch.get("dense_known"))
        self.fast.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        for weight, twin in zip(self.trainer.parameters(), self.fast.parameters(), strict=True):
            weight.grad = None if twin.grad is None else twin.grad.float()
        self._share_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.trainer.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in (losses | figures | {"norm": norm}).items()}

    def _copy_weights(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(list(self.fast.parameters()), list(self.trainer.parameters()))
            # The frequencies of positions are buffers, and other ones where the weights come from another seed.
            torch._foreach_copy_(list(self.fast.buffers()), list(self.trainer.buffers()))

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
            torch._foreach_lerp_(list(self.averaged.values()), list(self.trainer.state_dict().values()), 1 - decay)

    def validation_figures(self, sets: Sets) -> dict[str, dict[str, float]]:
        """Figures of the averaged weights at the present model input size."""
        other = NanoTrainer().to(self.device)
        other.load_state_dict(self.averaged)
        use_lean_attention(other)
        with torch.autocast(self.device.type, torch.bfloat16):
            return validate(other, self.plan.full_size, sets)

    def exportable(self, first: Path | None = None, share: float = 1.0) -> dict[str, torch.Tensor]:
        """The averaged weights in transformers' key layout, or `share` of them and the rest of those that the run began with."""
        prefix = "model."
        weights = {name.removeprefix(prefix): value for name, value in self.averaged.items() if name.startswith(prefix)}
        if first is None:
            return weights
        return {
            name: value.to(self.device).float().lerp(weights[name], share) for name, value in load_file(first).items()
        }


def main() -> None:
    """Train or export, as the command line says."""
    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    # Threads of OpenCV that were started before do not live on in the loader's processes, which would wait for them for ever.
    cv2.setNumThreads(0)
    arguments.output.mkdir(parents=True, exist_ok=True)
    run = Run(*_recipe_and_plan(arguments), arguments.output)
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if (arguments.output / STATE_NAME).exists():
        run.load()
    elif arguments.weights:
        run.start_from(arguments.weights)
    if arguments.export:
        save_weights(run.exportable(arguments.weights, arguments.share), arguments.export)
        return
    fit(run, arguments)


def _recipe_and_plan(arguments: argparse.Namespace) -> tuple[Recipe, BatchPlan | MixturePlan]:
    part = arguments.part or (2 if arguments.data else 1)
    recipe, plan = {
        1: lambda: (Recipe(), BatchPlan()),
        2: lambda: (Recipe.for_photographs(), MixturePlan()),
        3: lambda: (Recipe.for_overlap(), MixturePlan.for_overlap()),
        4: lambda: (Recipe.for_all(), MixturePlan.for_all()),
        5: lambda: (Recipe.for_clicks(), MixturePlan.for_clicks()),
        6: lambda: (Recipe.for_choices(), MixturePlan.for_choices()),
    }[part]()
    return _changed(recipe, arguments), _changed(plan, arguments)


def _changed(numbers: _Numbers, arguments: argparse.Namespace) -> _Numbers:
    """Numbers of a recipe or a plan with those that the command line gives."""
    names = {field.name for field in fields(numbers)}
    return replace(
        numbers, **{name: value for name, value in vars(arguments).items() if name in names and value is not None}
    )


def fit(run: Run, arguments: argparse.Namespace) -> None:
    """Train to the last step, with a log line, a saved state and figures every so often."""
    _log(run, {"recipe": asdict(run.recipe), "plan": asdict(run.plan)})
    share = (run.recipe.steps, run.rank, run.world_size)
    if isinstance(run.plan, MixturePlan):
        batches: Dataset[dict[str, torch.Tensor]] = MixedBatches(run.plan, arguments.data, *share)
    else:
        batches = TrainingBatches(run.plan, *share)
    sets = validation_sets(arguments.validation_scenes, arguments.data, run.plan.full_size)
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
            _log(run, {"validation": run.validation_figures(sets)})
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
    parser.add_argument(
        "--data", type=Path, help="folder of coco-cc, coco-objects and nuclei-dsb2018: train on photographs"
    )
    parser.add_argument(
        "--part",
        type=int,
        choices=(1, 2, 3, 4, 5, 6),
        help="default: 2 with --data, else 1; 3 to 6 need --data and --weights",
    )
    parser.add_argument("--weights", type=Path, help="weights file that a new run begins with")
    parser.add_argument("--export", type=Path, help="write the averaged weights into this file and stop")
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="of the run in exported weights; with --weights, the rest is of that file",
    )
    parser.add_argument("--steps", type=int, help="optimiser steps; default: the part's recipe")
    parser.add_argument("--decay-steps", type=int, help="last steps, over which the rate falls")
    parser.add_argument("--small-steps", type=int, help="first steps, at the small model input")
    parser.add_argument("--learning-rate", type=float, help="peak")
    parser.add_argument("--feature-dropout", type=float, help="share of the channels that the decoder does not see")
    parser.add_argument("--photo-share", type=float, help="pictures that are windows of photographs")
    parser.add_argument("--large-share", type=float, help="pictures of one large thing")
    parser.add_argument("--cell-share", type=float, help="pictures of crowds as microscopes show them")
    parser.add_argument("--seed", type=int, help="of what is left to chance")
    parser.add_argument("--batch-size", type=int, help="images per step in each process")
    parser.add_argument("--workers", type=int, default=1, help="processes that render scenes")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch in each process")
    parser.add_argument("--log-every", type=int, default=25, help="steps")
    parser.add_argument("--validate-every", type=int, default=100, help="steps")
    parser.add_argument("--validation-scenes", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    main()
