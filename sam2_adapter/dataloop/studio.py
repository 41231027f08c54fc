"""`StudioService`: what the buttons of the annotation studio call. The platform loads this file by path.

An image is encoded at the first request and kept for the next ones, so that a click takes as long as one decoder call.
One object serves several executions at once.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dtlpy

if importlib.util.find_spec("sam2_adapter") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sam2_adapter.annotations.prompt_values import short
from sam2_adapter.config import Config
from sam2_adapter.dataloop.adapter import ModelAdapter
from sam2_adapter.dataloop.platform_progress import tell
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.dataloop.prepared_items import encode_item
from sam2_adapter.dataloop.results import LabelColors
from sam2_adapter.dataloop.settings import read_settings
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.dataloop.studio_arguments import (
    check_click_radius,
    check_item,
    checked_boxes,
    checked_clicks,
    checked_color,
    checked_corners,
    checked_mask_uri,
    checked_progress,
    is_finite_number,
)
from sam2_adapter.dataloop.studio_boxes import AnswerStyle, answer_boxes
from sam2_adapter.dataloop.studio_clicks import ClickRequest, StudioClicks
from sam2_adapter.dataloop.studio_features import upload_features
from sam2_adapter.embeddings.cache import ByteBoundedCache, CacheStatistics
from sam2_adapter.errors import ConfigError
from sam2_adapter.formats.base import OutputType
from sam2_adapter.interactive import EncodedSources
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.text import plural

CACHE_BYTES = 2 * 2**30
"""Most memory for encoded images, where they are kept (the GPU's or the machine's): about 120 images in fp32."""

CACHE_IDLE_S = 1800.0
"""Seconds after which an image that nobody asked about is forgotten."""


class StudioService(dtlpy.BaseServiceRunner):  # type: ignore[misc]
    """SAM2 for the annotation studio.

    The functions take `dl`, the SDK as the platform hands it over, first; they do not need it.
    """

    def __init__(
        self,
        dl: Any = None,
        model_entity: Any = None,
        configuration: Mapping[str, Any] | None = None,
        cache_bytes: int = CACHE_BYTES,
        cache_idle_s: float = CACHE_IDLE_S,
    ) -> None:
        """Load a model.

        Args:
            dl: the SDK; not needed.
            model_entity: `dl.Model` whose weights and settings are used.
            configuration: settings without a model entity, such as `{"model_cfg": "sam2.1_hiera_l"}`; its defaults mean
                the published small model.
            cache_bytes: most memory for encoded images and earlier answers.
            cache_idle_s: seconds after its last use that an encoded image is kept.

        Raises:
            ConfigError: a setting has the wrong type or range.
            CheckpointError: the weights do not fit, or cannot be had.
        """
        for name, value in (("cache_bytes", cache_bytes), ("cache_idle_s", cache_idle_s)):
            if not is_finite_number(value) or value < 0:
                raise ConfigError(f"{name}: expected a number, 0 or more, but got {short(value)}.")
        predictor, self._config, self._owner = _load(model_entity, configuration)
        self._predictor = predictor
        self._colors = LabelColors()
        self._cache = ByteBoundedCache(int(cache_bytes), float(cache_idle_s))
        self._sources = EncodedSources(predictor, self._cache)
        self._rule = WindowRule.of(self._config, predictor.info.window)
        self._clicks = StudioClicks(predictor, self._cache, self._rule)

    @property
    def cache_statistics(self) -> CacheStatistics:
        """What the cache holds."""
        return self._cache.statistics

    @property
    def num_encoded(self) -> int:
        """Images and windows of images that were encoded so far."""
        return self._sources.num_encoded

    def box_to_segmentation(
        self, dl: Any = None, item: Any = None, annotations: Sequence[Document] = (), progress: Any = None
    ) -> list[Document]:
        """Turn boxes into masks.

        Args:
            dl: not needed.
            item: `dl.Item`.
            annotations: documents of the chosen boxes; rotated ones are honoured.
            progress: the platform's progress object.

        Returns:
            Annotation documents of type `binary`, each with the id of its box; a box without an object in it has none.

        Raises:
            PromptError: an argument is of the wrong kind, or none of the annotations is a box inside the image; the text
                names it. Where some are, the others are named in the log and in the last message of `progress`.
            PlatformError: the image could not be downloaded.
        """
        return self._box_to(item, annotations, "mask", progress)

    def box_to_polygon(
        self, dl: Any = None, item: Any = None, annotations: Sequence[Document] = (), progress: Any = None
    ) -> list[Document]:
        """Turn boxes into polygons; as `box_to_segmentation`.

        Returns:
            Annotation documents of type `segment`. An object of several parts makes several of one object id, the largest
            of which has the id of the box.
        """
        return self._box_to(item, annotations, "polygon", progress)

    def predict_interactive_editing(
        self,
        dl: Any = None,
        item: Any = None,
        points: Sequence[Mapping[str, Any]] = (),
        bb: Sequence[Mapping[str, float]] | None = None,
        mask_uri: str | None = None,
        click_radius: float = 4,
        color: Sequence[int] | None = None,
    ) -> str:
        """Turn clicks, and possibly a box, into the mask of one object.

        Args:
            dl: not needed.
            item: `dl.Item`.
            points: clicks `{"x", "y", "in"}` in pixels of the upright image; `in` is false on the background.
            bb: two corners `{"x", "y"}` of a box around the object; left out, the clicks alone decide.
            mask_uri: the earlier answer, or another mask as a PNG data URL of the image's or the box's size, to refine.
            click_radius: not needed; the model takes points.
            color: (red, green, blue) of the answer in 0..255; white by default.

        Returns:
            The mask as the data URL of a PNG, whose alpha is the mask: of the box's size where there is one, else of the
            image's; wholly transparent where nothing was found.

        Raises:
            PromptError: an argument is of the wrong kind, or a click or the box lies outside the image; the text names it.
            PlatformError: the image could not be downloaded.
        """
        check_item(item)
        check_click_radius(click_radius)
        asked = ClickRequest(
            *checked_clicks(points), checked_corners(bb), checked_mask_uri(mask_uri), checked_color(color)
        )
        return self._clicks.answer(item.id, encode_item(self._sources, item), asked)

    def get_sam_features(self, dl: Any = None, item: Any = None) -> str:
        """Store what the encoder makes of an image, for a decoder elsewhere; see `embeddings/features.py` for the format.

        Returns:
            Id of the hidden item that holds the features.

        Raises:
            PlatformError: the image could not be downloaded, or the features not be stored.
        """
        check_item(item)
        return upload_features(item, encode_item(self._sources, item), self._predictor.info.architecture)

    def _box_to(
        self, item: Any, annotations: Sequence[Document], output_type: OutputType, progress: Any
    ) -> list[Document]:
        check_item(item)
        boxes = checked_boxes(annotations)
        tell(checked_progress(progress), 0, "encoding the image")
        encoded = encode_item(self._sources, item)
        tell(progress, 50, "finding the objects")
        colors = self._colors.of(item) if output_type == "mask" else {}
        wanted = AnswerStyle(self._owner, output_type, self._config.clip_to_box, colors)
        windowed = None if encoded.windows is None else encoded.windows.windowed(self._rule)
        answers = answer_boxes(self._predictor, encoded.embedding, item, boxes, wanted, windowed)
        found = len({document["id"] for document in answers.documents} - {None})
        refused = f"; cannot be used: {' '.join(answers.refused)}" if answers.refused else ""
        tell(progress, 100, f"found objects in {found} of {plural(len(boxes), 'box', 'boxes')}{refused}")
        return answers.documents


def _load(model_entity: Any, configuration: Mapping[str, Any] | None) -> tuple[Predictor, Config, Owner]:
    if model_entity is not None:
        adapter = ModelAdapter(model_entity=model_entity)
        assert adapter.predictor is not None  # made while the entity is loaded
        return adapter.predictor, adapter.config, Owner(model_entity.id, model_entity.name)
    config = read_settings(configuration).config
    predictor = load_predictor(config.model_cfg, config.device, config.runtime, config.precision)
    return predictor, config, Owner("", predictor.info.name)
