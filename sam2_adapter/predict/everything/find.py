"""`find_everything`: all objects of an image, view by view, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.annotations.prompts import BoolArray, FloatArray
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import placed_mask_to_rle
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.images.sources import Pixels
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.selection import select_answer
from sam2_adapter.predict.everything.candidates import (
    Candidate,
    full_size_candidates,
    low_res_candidates,
    visible_hw,
)
from sam2_adapter.predict.everything.finish import Finished, Found, finish
from sam2_adapter.predict.everything.full_size import FullSize
from sam2_adapter.predict.everything.overlaps import box_ious, keep_best, mask_ious
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.predict.everything.views import Box, View, views_of
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window, embed_window

# Meta's generator drops an object of a crop that comes so close to a side of it where the image goes on, in pixels.
_EXACT_CUT_PX = 20.0

# In fast mode every so many-th point, in both directions, is looked at first.
_COARSE_STEP = 2

# In fast mode an object of a crop is dropped that comes within so many low-res cells of such a side.
_FAST_CUT_CELLS = 1.5


@dataclass(frozen=True, eq=False)
class EverythingStep:
    """How far the search is, and what it has found.

    Attributes:
        done: points that are looked at or need no look.
        total: all points.
    """

    done: int
    total: int
    _search: _Search = field(repr=False)
    _found: tuple[Found, ...] = field(repr=False)
    _candidates: tuple[Candidate, ...] = field(repr=False)

    def finished(self) -> Finished:
        """The objects so far, best first: computed when it is called, final when all points are done."""
        search = self._search
        here = search.chosen(self._candidates) if self._candidates else []
        return finish([*self._found, *here], search.settings, search.thresholds)

    def preparing(self) -> Iterator[None]:
        """Do what `finished` needs object by object, for callers that have something else to do in between."""
        return self._search.preparing(self._candidates)


def find_everything(
    predictor: Predictor,
    image: Pixels | None,
    embedding: ImageEmbedding | Window,
    settings: EverythingSettings,
    *,
    points_per_call: int | None = None,
) -> Iterator[EverythingStep]:
    """Find all objects of an image.

        for step in find_everything(predictor, image, predictor.embed(image), Config().everything):
            print(step.done, step.total, len(step.finished().objects))

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3; needed where the settings ask for crops or tiles.
        embedding: the encoded image; or a window of it, in which alone it looks, and whose sides cut no object.
        settings: see `EverythingSettings`.
        points_per_call: most points in a call of the decoder, which says how long a step takes; by default as suits the model.

    Yields:
        A step after every call of the decoder, the last of which has everything. Left early, nothing more is computed.
    """
    thresholds = Thresholds.of(settings, predictor.info.everything, predictor.info.architecture)
    window = embedding if isinstance(embedding, Window) else Window.whole(embedding)
    views = _views(window, settings)
    total = sum(len(view.points) for view in views)
    found: tuple[Found, ...] = ()
    done = 0
    for view in views:
        encoded = window.embedding if view is views[0] else _embedded(predictor, image, view)
        search = _Search(predictor, encoded, view, settings, thresholds, points_per_call)
        for looked_at in search.look():
            yield EverythingStep(done + looked_at, total, search, found, tuple(search.candidates))
        found += tuple(search.chosen(search.candidates))
        done += len(view.points)
    yield EverythingStep(total, total, search, found, ())


def _views(window: Window, settings: EverythingSettings) -> list[View]:
    """The views of an image, the whole of which comes first; or a window of it alone."""
    if window.is_whole:
        return views_of(window.image_hw, settings)
    region = window.region.within(window.image_hw)
    return [View((region.x0, region.y0, region.x1, region.y1), window.image_hw, settings.points_per_side)]


def _embedded(predictor: Predictor, image: Pixels | None, view: View) -> ImageEmbedding:
    assert image is not None, "crops and tiles need the image"
    return embed_window(predictor, image, Region(*view.box_xyxy)).embedding


class _Search:
    """Looks for objects in one view."""

    def __init__(
        self,
        predictor: Predictor,
        embedding: ImageEmbedding,
        view: View,
        settings: EverythingSettings,
        thresholds: Thresholds,
        points_per_call: int | None,
    ) -> None:
        self.settings = settings
        self.thresholds = thresholds
        self.candidates: list[Candidate] = []
        self._predictor = predictor
        self._points_per_call = min(points_per_call or predictor.clicks_per_call, predictor.clicks_per_call)
        self._placed: dict[Candidate, Found | None] = {}
        self._embedding = embedding
        self._view = view
        self._full_size = FullSize(embedding.geometry, predictor.low_res_hw)
        self._is_exact = settings.everything_mode == "exact"
        height, width = visible_hw(embedding.geometry, predictor.low_res_hw)
        self._cell_px = max(view.view_hw[0] / height, view.view_hw[1] / width)

    def look(self) -> Iterator[int]:
        """Look at all points; yields how many are done."""
        return self._look_at_all() if self._is_exact else self._look_where_nothing_lies()

    def chosen(self, candidates: Sequence[Candidate]) -> list[Found]:
        """Of the candidates of one object the best one, at full size in the image."""
        found = [self._found(candidate) for candidate in self._best_whole(candidates)]
        return [entry for entry in found if entry is not None]

    def preparing(self, candidates: Sequence[Candidate]) -> Iterator[None]:
        """What `chosen` does, one object after the other; each is kept."""
        for candidate in self._best_whole(candidates):
            if candidate not in self._placed:
                self._found(candidate)
                yield

    def _best_whole(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return self._best([candidate for candidate in candidates if not self._is_cut(candidate)])

    def _look_at_all(self) -> Iterator[int]:
        points = self._view.points

        def keep(rows: slice, decoded: DecodedMasks) -> None:
            self.candidates += full_size_candidates(decoded, points[rows], self._full_size, self.thresholds)

        return self._look_at(points, keep)

    def _look_where_nothing_lies(self) -> Iterator[int]:
        """Look at a coarse grid, then at those of the other points of which two neighbours do not say the same."""
        is_coarse = self._coarse()
        coarse, fine = self._view.points[is_coarse], self._view.points[~is_coarse]
        cells = self._cells(np.concatenate([coarse, fine]))
        seen = np.zeros((len(coarse), len(cells)), np.bool_)

        def keep_and_compare(rows: slice, decoded: DecodedMasks) -> None:
            self._keep(coarse[rows], decoded)
            seen[rows] = _best_masks_at(decoded, cells)

        yield from self._look_at(coarse, keep_and_compare)
        left = fine[~agreed_on(self._steps(coarse), self._steps(fine), seen)]
        for done in self._look_at(left, lambda rows, decoded: self._keep(left[rows], decoded)):
            yield len(cells) - len(left) + done

    def _look_at(self, points: FloatArray, keep: Callable[[slice, DecodedMasks], None]) -> Iterator[int]:
        """Decode points, so many at a time, or fewer where there is too little memory; yields how many are done."""
        for start in range(0, len(points), self._points_per_call):
            batch = points[start : start + self._points_per_call]
            for rows, decoded in self._predictor.decode_clicks(self._embedding, batch):
                keep(slice(start + rows.start, start + rows.stop), decoded)
            yield start + len(batch)

    def _keep(self, points: FloatArray, decoded: DecodedMasks) -> None:
        self.candidates += low_res_candidates(decoded, points, self._embedding.geometry, self.thresholds)

    def _steps(self, points: FloatArray) -> FloatArray:
        """Points in steps of the grid."""
        shares = points / np.array(self._view.view_hw[::-1], np.float32)
        return (shares * self._view.points_per_side).astype(np.float32)

    def _coarse(self) -> BoolArray:
        """Which points of the grid are looked at first."""
        side = self._view.points_per_side
        if side < 2 * _COARSE_STEP:
            return np.ones(side * side, np.bool_)
        is_on = np.arange(side) % _COARSE_STEP == _COARSE_STEP // 2
        is_coarse: BoolArray = (is_on[:, None] & is_on[None, :]).ravel()
        return is_coarse

    def _cells(self, points: FloatArray) -> npt.NDArray[np.int64]:
        """The low-res cells, (column, row), that points N x 2 of the view lie in."""
        height, width = self._predictor.low_res_hw
        geometry = self._embedding.geometry
        shares = geometry.points_to_input(points) / geometry.image_size
        return np.minimum((shares * (width, height)).astype(np.int64), (width - 1, height - 1))

    def _best(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        scores = [candidate.iou_score for candidate in candidates]
        if self._is_exact:
            kept = keep_best(
                scores, box_ious([self._box(candidate) for candidate in candidates]), self.thresholds.box_nms
            )
        else:
            measure = mask_ious([candidate.low_res_rle for candidate in candidates])
            kept = keep_best(scores, measure, self.thresholds.mask_nms)
        return [candidates[position] for position in kept]

    def _box(self, candidate: Candidate) -> Box:
        """First and last pixel in the view; in fast mode, of what upsampling can reach."""
        return candidate.box_xyxy or self._full_size.reach(candidate.cut)

    def _is_cut(self, candidate: Candidate) -> bool:
        if self._view.is_whole:
            return False
        left, top, _, _ = self._view.box_xyxy
        x0, y0, x1, y1 = self._box(candidate)
        tolerance = _EXACT_CUT_PX if self._is_exact else 1 + _FAST_CUT_CELLS * self._cell_px
        return self._view.cuts((left + x0, top + y0, left + x1, top + y1), tolerance)

    def _found(self, candidate: Candidate) -> Found | None:
        if candidate not in self._placed:
            self._placed[candidate] = self._at_full_size(candidate)
        return self._placed[candidate]

    def _at_full_size(self, candidate: Candidate) -> Found | None:
        mask, (x, y) = self._full_size.mask(candidate.cut)
        if not mask.any():
            return None
        left, top, _, _ = self._view.box_xyxy
        rle = placed_mask_to_rle(mask, (left + x, top + y), self._view.original_hw)
        point = candidate.point_xy[0] + left, candidate.point_xy[1] + top
        return Found(rle, candidate.iou_score, candidate.stability_score, point, self._view.area, candidate.choice)


def _best_masks_at(decoded: DecodedMasks, cells: npt.NDArray[np.int64]) -> BoolArray:
    """Which of N cells (column, row) lie in the best-scored mask of each of P points, bool P x N."""
    logits = select_answer(decoded, is_ambiguous=True)[0][:, 0]
    inside: BoolArray = (logits[:, torch.from_numpy(cells[:, 1]), torch.from_numpy(cells[:, 0])] > 0).cpu().numpy()
    return inside


def agreed_on(coarse: FloatArray, fine: FloatArray, seen: BoolArray) -> BoolArray:
    """Which fine points need no look, because two coarse ones beside them see one thing there.

    Args:
        coarse: float32 C x 2 (x, y) in steps of the grid, the points that were looked at.
        fine: float32 F x 2.
        seen: bool C x (C + F), the points that lie in the best-scored mask of each coarse one.

    Returns:
        bool F, where two of the coarse points one step away have masks that hold the fine point and each other.
    """
    is_near = np.abs(fine[:, None] - coarse[None]).max(2) < 1.5
    together = seen[:, : len(coarse)] & seen[:, : len(coarse)].T
    np.fill_diagonal(together, False)
    holds = (seen[:, len(coarse) :].T & is_near).astype(np.float32)
    agreed: BoolArray = ((holds @ together.astype(np.float32)) * holds).sum(1) > 0
    return agreed
