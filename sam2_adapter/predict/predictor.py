"""`Predictor`: images to embeddings, embeddings and prompts to masks.

    predictor = load_predictor("sam2_hiera_s.yaml")
    embedding = predictor.embed("street.jpg")
    prediction = predictor.predict(embedding, [{"box": [10, 20, 200, 180]}])

A predictor keeps no current image and may be used from many threads at once.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, overload

import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import Prompt, as_prompts
from sam2_adapter.arguments import truth_value
from sam2_adapter.errors import PromptError, Sam2AdapterError
from sam2_adapter.images.sources import ImageSource, Pixels, as_pixels, is_one_image
from sam2_adapter.models.engines.base import Runtime, in_parts_that_fit, refuse_after_fork
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.preprocess import Geometry, ModelWindow, Resize, images_to_pixel_values
from sam2_adapter.models.network.prompt_tensors import PromptShape, PromptTensors, clicks_of, prompt_tensors
from sam2_adapter.models.network.selection import select_answer, select_masks
from sam2_adapter.predict.mask_runs import MaskRle, to_prediction, to_rle

logger = logging.getLogger(__name__)

# Cells of the low-res logits of the published models, on which `prompts_per_call` of an engine is measured; smaller models take more, to a limit.
_LARGE_CELLS = 256 * 256
_MOST_TIMES = 8


@dataclass(frozen=True)
class ModelInfo:
    """Which model made a result, and how.

    Attributes:
        name: what the model is called: the name of a tuned one, else its architecture, such as `sam2_hiera_s`.
        weights_sha256: identity of the weights.
        runtime: engine that executed the model.
        precision: number format of the encoder and decoder.
        device: where it ran.
        resize: how images were brought to the model's square.
        architecture: its numbers, such as `sam2_hiera_s`.
        base: name of the model that a tuned one started from.
        window: the windows that it was tuned on; `None` for whole images.
        everything: thresholds of everything-mode that suit the model, by the names of the settings.
    """

    name: str
    weights_sha256: str
    runtime: str
    precision: str
    device: str
    resize: Resize
    architecture: str = ""
    base: str | None = None
    window: ModelWindow | None = None
    everything: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """One encoded image; a value that may be kept, shared between threads and used for any number of prompts.

    Attributes:
        encoded: the encoder's output for this image, batch of 1.
        geometry: how the image lies in the model's square.
        weights_sha256: identity of the weights that encoded it.
    """

    encoded: EncodedImages
    geometry: Geometry
    weights_sha256: str

    @property
    def original_hw(self) -> tuple[int, int]:
        """(height, width) of the image in pixels."""
        return self.geometry.original_hw

    def __repr__(self) -> str:
        """Size and weights; the tensors have millions of numbers."""
        height, width = self.original_hw
        return f"ImageEmbedding({width}x{height} pixels, weights {self.weights_sha256[:12]})"


class Predictor:
    """A model ready for prediction; see `load_predictor`."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        weights_sha256: str,
        resize: Resize = "stretch",
        *,
        architecture: str | None = None,
        base: str | None = None,
        window: ModelWindow | None = None,
        everything: Mapping[str, float] | None = None,
    ) -> None:
        """Use `runtime` with the weights that the others describe, see `ModelInfo`; `architecture` is `name` where not given."""
        self._runtime, self._process = runtime, os.getpid()
        engine = runtime.name, runtime.precision, runtime.device
        self.info = ModelInfo(
            name, weights_sha256, *engine, resize, architecture or name, base, window, everything or {}
        )

    def __repr__(self) -> str:
        """Which model, and how it runs."""
        return f"Predictor({self.info.name}, {self.info.runtime} {self.info.precision} on {self.info.device})"

    @property
    def low_res_hw(self) -> tuple[int, int]:
        """(h, w) of the model's masks before they are brought to the image's size."""
        return self._runtime.low_res_hw

    def geometry_of(self, original_hw: tuple[int, int]) -> Geometry:
        """How an image of (height, width) pixels lies in the model's square."""
        return Geometry(original_hw, self._runtime.image_size, self.info.resize)

    @property
    def images_per_call(self) -> int:
        """How many images are best given to `embed` at a time."""
        return self._runtime.images_per_call

    @overload
    def embed(self, images: ImageSource) -> ImageEmbedding: ...  # type: ignore[overload-overlap] # a path is one image

    @overload
    def embed(self, images: Sequence[ImageSource]) -> tuple[ImageEmbedding, ...]: ...

    def embed(self, images: ImageSource | Sequence[ImageSource]) -> ImageEmbedding | tuple[ImageEmbedding, ...]:
        """Encode an image, or a batch of images in one encoder call.

        Args:
            images: an image, or a sequence of images whose sizes may differ. Each is a path, the content of a file as
                bytes, a Pillow image, or an array, uint8 RGB H x W x 3 in 0..255.

        Returns:
            The embedding of one image, or one embedding per image of a sequence, in order.

        Raises:
            ImageError: a file cannot be read, or an array is no such array.
        """
        if is_one_image(images):
            return self._embed([as_pixels(images, "The image")])[0]
        several = cast(Sequence[ImageSource], images)
        return self._embed([as_pixels(image, f"Image {index}") for index, image in enumerate(several)])

    def _embed(self, images: Sequence[Pixels]) -> tuple[ImageEmbedding, ...]:
        if not images:
            return ()
        runtime = self._runtime
        refuse_after_fork(self._process, runtime)
        geometries = [self.geometry_of((image.shape[0], image.shape[1])) for image in images]
        encoded = runtime.encode(images_to_pixel_values(images, runtime.image_size, self.info.resize, runtime.device))
        return tuple(
            ImageEmbedding(_image_of_batch(encoded, index), geometry, self.info.weights_sha256)
            for index, geometry in enumerate(geometries)
        )

    def predict(
        self,
        embedding: ImageEmbedding,
        prompts: Sequence[Prompt | Mapping[str, Any]] | None = None,
        multimask_output: bool | None = None,
    ) -> MaskPrediction:
        """Predict the masks of all objects of one image.

        Args:
            embedding: the encoded image.
            prompts: one entry per object, `Prompt` or a dict of the prompts file's form; none means the box of the whole image.
            multimask_output: `None` chooses by prompt: a single click (among the candidates that contain it) or the whole image gives the
                best-scored of three candidates, anything else the single-mask output, and clicks that refine an earlier answer are
                obeyed. `True` gives all three candidates, `False` the single-mask output, both as the model draws them.

        Returns:
            Masks in the order of the prompts; M = 3 for `multimask_output=True`, else 1.

        Raises:
            PromptError: a prompt is malformed or lies outside the image.
            ConfigError: `multimask_output` is something else.
        """
        if multimask_output is not None:
            multimask_output = truth_value(multimask_output, "multimask_output")
        checked = self._fitted_prompts(embedding, prompts)
        height, width = embedding.original_hw
        num_masks = 3 if multimask_output else 1
        masks = np.empty((len(checked), num_masks, height, width), np.bool_)
        iou_scores = np.empty((len(checked), num_masks), np.float32)
        low_res_logits = np.empty((len(checked), num_masks, *self._runtime.low_res_hw), np.float32)
        for indices, part in self._predict_parts(embedding, checked, multimask_output):
            masks[indices], iou_scores[indices], low_res_logits[indices] = (
                part.masks,
                part.iou_scores,
                part.low_res_logits,
            )
        return MaskPrediction(masks, iou_scores, low_res_logits)

    def predict_parts(
        self,
        embedding: ImageEmbedding,
        prompts: Sequence[Prompt | Mapping[str, Any]] | None = None,
        multimask_output: bool | None = None,
        *,
        only: Collection[int] | None = None,
    ) -> Iterator[tuple[list[int], MaskPrediction]]:
        """Like `predict`, but yield a few objects at a time, so that memory does not grow with their number.

        Args:
            embedding: as in `predict`.
            prompts: as in `predict`.
            multimask_output: as in `predict`.
            only: positions of the prompts whose masks are wanted, all by default. Theirs are the same to the last bit as with all: the
                number of prompts that are decoded together decides how their arithmetic is rounded.

        Yields:
            Positions in `prompts` and the prediction for them; parts come grouped by the prompts' shape, not in order.
        """
        yield from self._predict_parts(embedding, self._fitted_prompts(embedding, prompts), multimask_output, only)

    def predict_rles(
        self, embedding: ImageEmbedding, prompt: Prompt | Mapping[str, Any], multimask_output: bool | None = None
    ) -> list[MaskRle]:
        """The masks that `predict` gives for one object, as run lengths: much quicker for a large image, as no pixel is written."""
        checked = self._fitted_prompts(embedding, [prompt])
        shape = PromptShape.of(checked[0], embedding.original_hw)
        logits, scores = self._decode_shape(embedding, checked, shape, multimask_output)
        return [to_rle(*found, embedding.geometry) for found in zip(logits[0], scores[0].tolist(), strict=True)]

    @property
    def clicks_per_call(self) -> int:
        """How many clicks `decode_clicks` decodes at a time: the smaller the model's masks, the more."""
        height, width = self._runtime.low_res_hw
        return self._runtime.prompts_per_call * min(_MOST_TIMES, max(1, _LARGE_CELLS // (height * width)))

    def decode_clicks(
        self, embedding: ImageEmbedding, points: npt.NDArray[np.floating]
    ) -> Iterator[tuple[range, DecodedMasks]]:
        """Decode single clicks, a few at a time, and upsample nothing.

        Args:
            embedding: the encoded image.
            points: N x 2 (x, y) pixels of the image, each a click of its own.

        Yields:
            Positions in `points` and all outputs of the decoder for them, on its device.
        """
        self._check_embedding(embedding)
        coords = torch.from_numpy(embedding.geometry.points_to_input(points))[:, None]
        labels = torch.ones(coords.shape[:2], dtype=torch.int64)

        def decode(rows: range) -> DecodedMasks:
            few = slice(rows.start, rows.stop)
            return self._runtime.decode(embedding.encoded, PromptTensors(coords[few], labels[few]))

        yield from in_parts_that_fit(len(coords), self.clicks_per_call, decode)

    def _check_embedding(self, embedding: ImageEmbedding) -> None:
        refuse_after_fork(self._process, self._runtime)
        if not isinstance(embedding, ImageEmbedding):
            raise PromptError(
                f"The embedding is what `embed` returned for one image, but got a {type(embedding).__name__}. "
                "`segment_image` takes the image itself."
            )
        if embedding.weights_sha256 != self.info.weights_sha256:
            raise Sam2AdapterError(
                f"The image was encoded with the weights {embedding.weights_sha256[:12]}, but this predictor has "
                f"{self.info.weights_sha256[:12]}; call embed() of the same predictor."
            )

    def _fitted_prompts(
        self, embedding: ImageEmbedding, prompts: Sequence[Prompt | Mapping[str, Any]] | None
    ) -> list[Prompt]:
        self._check_embedding(embedding)
        fitted = []
        for index, prompt in enumerate(as_prompts(prompts) or [Prompt.whole_image(embedding.original_hw)]):
            try:
                fitted.append(prompt.fitted_to(embedding.original_hw))
            except PromptError as error:
                raise PromptError(f"Prompt {index}: {error}") from error
        return fitted

    def _predict_parts(
        self,
        embedding: ImageEmbedding,
        prompts: list[Prompt],
        multimask_output: bool | None,
        only: Collection[int] | None = None,
    ) -> Iterator[tuple[list[int], MaskPrediction]]:
        shapes = defaultdict(list)
        for index, prompt in enumerate(prompts):
            shapes[PromptShape.of(prompt, embedding.original_hw)].append(index)
        for shape, members in shapes.items():

            def predict(
                part: range, shape: PromptShape = shape, members: list[int] = members
            ) -> tuple[list[int], MaskPrediction | None]:
                indices = members[part.start : part.stop]
                rows = [row for row, index in enumerate(indices) if only is None or index in only]
                few = [prompts[index] for index in indices]
                found = self._predict_shape(embedding, few, shape, multimask_output, rows) if rows else None
                return [indices[row] for row in rows], found

            for _, (indices, found) in in_parts_that_fit(len(members), self._runtime.prompts_per_call, predict):
                if found is not None:
                    yield indices, found

    def _predict_shape(
        self,
        embedding: ImageEmbedding,
        prompts: list[Prompt],
        shape: PromptShape,
        multimask_output: bool | None,
        rows: list[int],
    ) -> MaskPrediction:
        logits, scores = self._decode_shape(embedding, prompts, shape, multimask_output)
        if len(rows) < len(prompts):
            logits, scores = logits[rows], scores[rows]
        return to_prediction(logits, scores, embedding.geometry)

    def _decode_shape(
        self, embedding: ImageEmbedding, prompts: list[Prompt], shape: PromptShape, multimask_output: bool | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Low-res logits O x M x h x w and scores O x M of prompts of one shape."""
        geometry = embedding.geometry
        tensors = prompt_tensors(prompts, shape, geometry, self._runtime.low_res_hw)
        decoded = self._runtime.decode(embedding.encoded, tensors)
        if multimask_output is not None:
            return select_masks(decoded, truth_value(multimask_output, "multimask_output"))
        clicks = clicks_of(prompts, shape, geometry)
        return select_answer(decoded, shape.is_ambiguous, clicks, refines=shape.has_mask)


def _image_of_batch(encoded: EncodedImages, index: int) -> EncodedImages:
    if encoded.num_images == 1:
        return encoded
    # Cloned: a view would keep the whole batch in memory.
    return encoded.images(slice(index, index + 1)).map(torch.clone)
