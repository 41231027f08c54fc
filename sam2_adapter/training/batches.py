"""From objects to batches: which objects make a step, what is asked about each, and which of them are decoded together.

Everything random about an object in an epoch is drawn from a generator seeded by (seed, epoch, object): a resumed run
needs no hidden state, and any number of processes draws the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompt_sampling import draw_kind, sample_prompt
from sam2_adapter.annotations.prompts import BoolArray, FloatArray, Prompt
from sam2_adapter.annotations.rle import Rle, rle_to_mask
from sam2_adapter.config import Config
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.preprocess import Geometry, Resize
from sam2_adapter.models.network.prompt_tensors import PromptShape, PromptTensors
from sam2_adapter.training.forward import PromptBatch
from sam2_adapter.training.losses import MaskTargets
from sam2_adapter.training.variants import LEAST_VISIBLE, ORIGINAL, VARIANTS

# Objects are shuffled within this many images, so that a store that cannot keep all embeddings at hand reads each once
# an epoch.
_IMAGES_AT_HAND = 64

# Shares of a cell up to this are rounding.
_LEAST_COUNTED = 1e-5

# Streams of random numbers: the order of an epoch, its objects, and its steps.
_ORDER_STREAM, _OBJECT_STREAM, _ROUNDS_STREAM = 0, 1, 2


@dataclass(frozen=True)
class TrainingObject:
    """One object to train on.

    Attributes:
        index: its position in the data, which seeds its prompts.
        sample: position of its image.
        annotation: its ground truth.
        ignored: the pixels of its image that do not count; `None` where all count.
    """

    index: int
    sample: int
    annotation: Annotation
    ignored: Rle | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked about one object in one epoch.

    Attributes:
        sample: position of the image.
        variant: which version of the image.
        mask: bool H x W, ground truth in that version.
        prompt: the first prompt, in pixels of that version.
        num_corrections: correction clicks that follow.
        seed: seeds the correction clicks.
        ignored: bool H x W, pixels that do not count in that version; `None` where all count.
    """

    sample: int
    variant: str
    mask: BoolArray
    prompt: Prompt
    num_corrections: int
    seed: int
    ignored: BoolArray | None = None

    @property
    def shape(self) -> tuple[PromptShape, int]:
        """Questions of one shape, the prompt's and the number of corrections, are decoded together."""
        return PromptShape.of(self.prompt, (self.mask.shape[0], self.mask.shape[1])), self.num_corrections


def training_objects(samples: Sequence[Sample]) -> list[TrainingObject]:
    """All objects of a data set, in its order."""
    pairs = [(index, annotation) for index, sample in enumerate(samples) for annotation in sample.objects]
    return [
        TrainingObject(position, index, annotation, samples[index].ignored)
        for position, (index, annotation) in enumerate(pairs)
    ]


def steps_of_epoch(
    objects: Sequence[TrainingObject], seed: int, epoch: int, batch_size: int
) -> list[list[TrainingObject]]:
    """The objects of each optimizer step, in the random order of an epoch; the last step may be smaller."""
    generator = np.random.default_rng((seed, _ORDER_STREAM, epoch))
    by_sample = defaultdict(list)
    for item in objects:
        by_sample[item.sample].append(item)
    samples = [list(by_sample)[position] for position in generator.permutation(len(by_sample))]
    ordered = []
    for start in range(0, len(samples), _IMAGES_AT_HAND):
        window = [item for sample in samples[start : start + _IMAGES_AT_HAND] for item in by_sample[sample]]
        ordered += [window[position] for position in generator.permutation(len(window))]
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


def draw_rounds(epoch: int, step: int, config: Config) -> int:
    """Correction clicks of the corrected objects of a step; the same for all of them, which are then decoded together.

    Spread, the number is drawn log-uniformly: as many steps have 1 as 2 or 3, or 4 to 7.
    """
    if not config.correction_spread or not config.correction_rounds:
        return config.correction_rounds
    generator = np.random.default_rng((config.seed, _ROUNDS_STREAM, epoch, step))
    return int((config.correction_rounds + 1) ** generator.random())


def draw_question(
    item: TrainingObject, epoch: int, config: Config, image_size: int, num_corrections: int | None = None
) -> Question:
    """Draw what is asked about an object in an epoch; where it is corrected, with `num_corrections` clicks, or as the settings say."""
    rounds = config.correction_rounds if num_corrections is None else num_corrections
    generator = np.random.default_rng((config.seed, _OBJECT_STREAM, epoch, item.index))
    variant, mask = _varied(item.annotation, config.variants[int(generator.integers(len(config.variants)))])
    ignored = None if item.ignored is None else VARIANTS[variant].mask(rle_to_mask(item.ignored))
    kind = draw_kind(config.prompt_mix, generator)
    prompt = sample_prompt(
        mask,
        kind,
        generator,
        input_scale=_input_scale(mask, image_size, config.resize),
        max_points=config.max_points,
        ignored=ignored,
    )
    is_corrected = generator.random() < config.correction_share
    return Question(
        item.sample,
        variant,
        mask,
        prompt,
        rounds if is_corrected else 0,
        int(generator.integers(2**63)),
        ignored,
    )


def buckets(questions: Sequence[Question], size: int) -> list[list[Question]]:
    """Group questions by shape, at most `size` in a group, in the order of their first appearance."""
    by_shape = defaultdict(list)
    for question in questions:
        by_shape[question.shape].append(question)
    return [group[start : start + size] for group in by_shape.values() for start in range(0, len(group), size)]


def make_batch(
    questions: Sequence[Question],
    embeddings: Sequence[EncodedImages],
    image_size: int,
    resize: Resize,
    grid_hw: tuple[int, int],
) -> PromptBatch:
    """Bring questions of one shape to the decoder's form.

    Args:
        questions: what is asked.
        embeddings: the encoded image of each.
        image_size: side of the model's square in pixels.
        resize: how images lie in it.
        grid_hw: (h, w) of the targets.
    """
    shape, num_corrections = questions[0].shape
    geometries = [
        Geometry((question.mask.shape[0], question.mask.shape[1]), image_size, resize) for question in questions
    ]
    placed = list(zip(questions, geometries, strict=True))
    coords = [geometry.points_to_input(question.prompt.point_coords) for question, geometry in placed]
    boxes = [
        geometry.points_to_input(_corners(question.prompt)).reshape(4) for question, geometry in placed if shape.has_box
    ]
    targets = [targets_on_grid(question.mask, question.ignored, geometry, grid_hw) for question, geometry in placed]
    return PromptBatch(
        images=stack_images(embeddings),
        targets=_stack_targets(targets),
        prompts=PromptTensors(
            torch.from_numpy(np.stack(coords)) if shape.num_points else None,
            torch.from_numpy(np.stack([question.prompt.point_labels for question in questions]))
            if shape.num_points
            else None,
            torch.from_numpy(np.stack(boxes)) if shape.has_box else None,
        ),
        num_corrections=num_corrections,
        seeds=tuple(question.seed for question in questions),
        is_ambiguous=shape.is_ambiguous,
    )


def stack_images(embeddings: Sequence[EncodedImages]) -> EncodedImages:
    """One batch of single encoded images; a batch of one where they are all the same."""
    if all(embedding is embeddings[0] for embedding in embeddings):
        return embeddings[0]
    return EncodedImages.stack(embeddings)


def _varied(annotation: Annotation, variant: str) -> tuple[str, BoolArray]:
    """A variant and the object's mask in it; the original image where a crop cuts most of the object away."""
    mask = VARIANTS[variant].mask(annotation.mask)
    if np.count_nonzero(mask) >= LEAST_VISIBLE * annotation.area:
        return variant, mask
    return ORIGINAL, annotation.mask


def _corners(prompt: Prompt) -> npt.NDArray[np.float64]:
    assert prompt.box_xyxy is not None  # only prompts with a box come here
    return np.array(prompt.box_xyxy, np.float64).reshape(2, 2)


def _input_scale(mask: BoolArray, image_size: int, resize: Resize) -> tuple[float, float]:
    geometry = Geometry((mask.shape[0], mask.shape[1]), image_size, resize)
    return geometry.input_hw[1] / mask.shape[1], geometry.input_hw[0] / mask.shape[0]


def loss_grid_hw(low_res_hw: tuple[int, int], least: int) -> tuple[int, int]:
    """(h, w) of the grid on which masks are compared: at least `least` per side, and a whole number of times as fine as the logits."""
    height, width = low_res_hw
    times = -(-least // min(height, width))
    return times * height, times * width


def mask_on_grid(mask: BoolArray, geometry: Geometry, grid_hw: tuple[int, int]) -> torch.Tensor:
    """The share of each cell that a mask covers.

    Args:
        mask: bool H x W in the size of the original image.
        geometry: how the image lies in the model's square.
        grid_hw: (h, w) of the grid that is laid over the square; a divisor of the square's side.

    Returns:
        float32 h x w in 0..1; padding is 0.
    """
    covered = np.ascontiguousarray(mask, np.float32)
    if geometry.resize == "stretch":
        return torch.from_numpy(_by_area(covered, grid_hw))
    return torch.from_numpy(_by_area(_in_square(_by_area(covered, geometry.input_hw), geometry.image_size), grid_hw))


def inside_on_grid(geometry: Geometry, grid_hw: tuple[int, int]) -> torch.Tensor:
    """The share of each cell that lies inside the image and not in its padding; float32 h x w in 0..1."""
    if geometry.resize == "stretch":
        return torch.ones(grid_hw)
    return torch.from_numpy(_by_area(_in_square(np.ones(geometry.input_hw, np.float32), geometry.image_size), grid_hw))


def targets_on_grid(
    mask: BoolArray, ignored: BoolArray | None, geometry: Geometry, grid_hw: tuple[int, int]
) -> MaskTargets:
    """What one predicted mask should be; arguments as in `mask_on_grid`.

    Args:
        mask: bool H x W, the object.
        ignored: bool H x W, pixels that do not count; `None` where all count.
        geometry: how the image lies in the model's square.
        grid_hw: (h, w) of the grid.

    Returns:
        Targets h x w. A cell that is ignored in part counts as much less, and its target is the object's share of the rest.
    """
    masks, inside = mask_on_grid(mask, geometry, grid_hw), inside_on_grid(geometry, grid_hw)
    if ignored is None:
        return MaskTargets(masks, inside)
    counted = inside - mask_on_grid(ignored, geometry, grid_hw)
    counted = torch.where(counted > _LEAST_COUNTED, counted, 0.0)
    masks = torch.where(counted > 0, masks * inside / counted.clamp_min(_LEAST_COUNTED), 0.0).clamp(0, 1)
    return MaskTargets(masks, counted, _at_centres(ignored, geometry, grid_hw))


def _at_centres(values: BoolArray, geometry: Geometry, grid_hw: tuple[int, int]) -> torch.Tensor:
    """The pixel of an image's bool H x W under the centre of each cell; bool h x w, false in padding."""
    indices = []
    for side, input_side, cells in zip(geometry.original_hw, geometry.input_hw, grid_hw, strict=True):
        centres = (np.arange(cells) + 0.5) * geometry.image_size / cells
        indices.append(np.floor(centres * side / input_side).astype(np.int64))
    (rows, columns), (height, width) = indices, values.shape
    found = np.zeros(grid_hw, np.bool_)
    shown = np.ix_(rows < height, columns < width)
    found[shown] = values[np.ix_(rows[rows < height], columns[columns < width])]
    return torch.from_numpy(found)


def _stack_targets(targets: Sequence[MaskTargets]) -> MaskTargets:
    ignored = None
    if any(target.ignored is not None for target in targets):
        none = torch.zeros(targets[0].masks.shape, dtype=torch.bool)
        ignored = torch.stack([none if target.ignored is None else target.ignored for target in targets])
    return MaskTargets(
        torch.stack([target.masks for target in targets]), torch.stack([target.inside for target in targets]), ignored
    )


def _by_area(values: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    """Resample H x W values: averages over areas where it shrinks, bilinear where it grows."""
    rows = _resized(values, (size_hw[0], values.shape[1]))
    return np.clip(_resized(rows, size_hw), 0, 1)


def _resized(values: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    if values.shape == size_hw:
        return values
    # INTER_AREA averages only where both sides shrink or stay, which is why each side is resampled on its own.
    shrinks = size_hw[0] <= values.shape[0] and size_hw[1] <= values.shape[1]
    return cv2.resize(values, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(
        np.float32, copy=False
    )


def _in_square(values: FloatArray, size: int) -> FloatArray:
    height, width = values.shape
    return np.pad(values, ((0, size - height), (0, size - width)))
