"""`TrainingOptions`: the settings of fine-tuning beyond the platform's keys, with defaults that need no thought."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sam2_adapter.data.prompt_sampling import PromptMix
from sam2_adapter.errors import ConfigError
from sam2_adapter.training.losses import LossWeights
from sam2_adapter.training.variants import ORIGINAL, VARIANTS


@dataclass(frozen=True)
class TrainingOptions:
    """How a run trains and what it may use, checked when built.

    Attributes:
        seed: decides the order of objects, the prompts and the split.
        deterministic: refuse GPU operations whose result varies from run to run; slower.
        prompts: how often each kind of first prompt is drawn.
        max_points: largest number of points inside, and outside, of a prompt of several points.
        correction_share: share of the objects that get correction clicks, 0..1.
        correction_rounds: correction clicks that such an object gets, one after the other.
        losses: how the parts of the loss count.
        loss_upsampling: the loss compares masks on a grid this many times finer than the low-res logits.
        warmup_share: share of the optimizer steps in which the learning rate rises, 0..1.
        final_learning_rate: learning rate at the end, as a part of the peak, 0..1; 1 keeps it constant.
        max_gradient_norm: gradients are scaled down to this norm; 0 leaves them.
        average_decay: decay of the moving average of the weights that is evaluated and saved instead of them; 0
            switches it off.
        micro_batch: most objects in one decoder pass; halved when memory runs out.
        encode_batch: images in one encoder call.
        variants: versions of an image that objects are drawn from; see `VARIANTS`.
        memory_mib: embeddings kept in memory, MiB for all processes of a machine together.
        disk_mib: embeddings kept on disk, MiB; 0 keeps none.
        min_free_mib: space of the disk that is left to others, MiB.
        embeddings_dir: where they are kept on disk; `None` for a folder of the run.
    """

    seed: int = 0
    deterministic: bool = False
    prompts: PromptMix = field(default_factory=PromptMix)
    max_points: int = 3
    correction_share: float = 0.5
    correction_rounds: int = 3
    losses: LossWeights = field(default_factory=LossWeights)
    loss_upsampling: int = 2
    warmup_share: float = 0.05
    final_learning_rate: float = 0.1
    max_gradient_norm: float = 1.0
    average_decay: float = 0.0
    micro_batch: int = 8
    encode_batch: int = 4
    variants: tuple[str, ...] = (ORIGINAL,)
    memory_mib: int = 2048
    disk_mib: int = 20_480
    min_free_mib: int = 2048
    embeddings_dir: Path | None = None

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: a value is out of its range; the text names key, value and what is allowed.
        """
        for key in ("correction_share", "warmup_share", "final_learning_rate", "average_decay"):
            _check(key, getattr(self, key), 0, 1)
        for key in ("max_points", "micro_batch", "encode_batch", "loss_upsampling"):
            _check(key, getattr(self, key), 1, math.inf)
        for key in ("seed", "correction_rounds", "max_gradient_norm", "memory_mib", "disk_mib", "min_free_mib"):
            _check(key, getattr(self, key), 0, math.inf)
        unknown = [name for name in self.variants if name not in VARIANTS]
        if unknown or not self.variants:
            raise ConfigError(
                f"variants = {list(self.variants)!r} is not allowed: choose at least one of {', '.join(VARIANTS)}."
            )

    def deciding(self) -> dict[str, Any]:
        """The settings that the result depends on, as plain values: all but the limits of memory and disk."""
        left_out = ("micro_batch", "encode_batch", "memory_mib", "disk_mib", "min_free_mib", "embeddings_dir")
        values = {key: value for key, value in asdict(self).items() if key not in left_out}
        return {**values, "variants": list(self.variants)}


def _check(key: str, value: float, lowest: float, highest: float) -> None:
    if not (lowest <= value <= highest and value == value):
        upper = f" and at most {highest:g}" if math.isfinite(highest) else ""
        raise ConfigError(f"{key} = {value!r} is not allowed: it must be at least {lowest:g}{upper}.")
