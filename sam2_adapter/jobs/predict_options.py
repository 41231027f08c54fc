"""`PredictOptions`: how images are read and objects made of prompts, the same for every kind of job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from sam2_adapter.annotations.prompts import Units
from sam2_adapter.annotations.regions import Region, checked_region
from sam2_adapter.arguments import one_of, whole_number
from sam2_adapter.config import Config, given_config
from sam2_adapter.config_views import PredictionSettings
from sam2_adapter.formats.base import OutputType
from sam2_adapter.images.read import MAX_PIXELS
from sam2_adapter.jobs.stream import Bounds
from sam2_adapter.predict.predictor import Predictor

# Threads that read images.
_READERS = 2
_READERS_FOR_A_GPU = 8

# Threads that make masks and annotations of what a GPU has decoded, which takes longer than to encode and decode.
_PREDICTORS_FOR_A_GPU = 4


@dataclass(frozen=True)
class PredictOptions:
    """Settings of a job, made of `Config` by `from_config`; see its keys of the same names.

    Attributes:
        prediction: which objects an image has.
        output_type: what the Dataloop format holds, masks or polygons.
        units: what the coordinates of boxes and points are: `pixel`, or `fraction` of the image's width and height.
        max_pixels: largest image that is read whole; of larger TIFF files parts are read.
        region: the part of every image that is looked at; `None` for all of it.
        batch_size: images in one call of the encoder, at least 1; `None` for what suits the model's device.
        workers: threads that read images, at least 1; `None` for what suits the model's device.
    """

    prediction: PredictionSettings
    output_type: OutputType
    units: Units = "pixel"
    max_pixels: int = MAX_PIXELS
    batch_size: int | None = None
    workers: int | None = None
    region: Region | None = None

    @classmethod
    def from_config(
        cls,
        config: Config | None = None,
        *,
        units: Units = "pixel",
        max_pixels: int | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        region: Sequence[float] | Region | None = None,
    ) -> PredictOptions:
        """The settings of prediction in a configuration, and what belongs to one job; arguments as the attributes.

        Raises:
            ConfigError: one of them has another kind or range.
            PromptError: the region is none.
        """
        config = given_config(config)
        one_of(units, "units", get_args(Units))
        for name, value in (("max_pixels", max_pixels), ("batch_size", batch_size), ("workers", workers)):
            if value is not None:
                whole_number(value, name, 1)
        return cls(
            config.prediction,
            config.output_type,
            units,
            max_pixels or MAX_PIXELS,
            batch_size,
            workers,
            None if region is None else checked_region(region),
        )

    def bounds_for(self, predictor: Predictor) -> Bounds:
        """How much is done at a time: a GPU takes images in batches, and faster than two threads can read them."""
        fitted = self.fitted_to(predictor)
        # On a CPU, encoding and decoding both fill all cores, so they take turns.
        predictors = 0 if predictor.info.device == "cpu" else _PREDICTORS_FOR_A_GPU
        return Bounds(fitted.batch_size or 1, fitted.workers or 1, predictors)

    def fitted_to(self, predictor: Predictor) -> PredictOptions:
        """The same with numbers for this predictor."""
        cores = os.cpu_count() or 1
        workers = _READERS if predictor.info.device == "cpu" else max(_READERS, min(_READERS_FOR_A_GPU, cores))
        return replace(self, batch_size=self.batch_size or predictor.images_per_call, workers=self.workers or workers)
