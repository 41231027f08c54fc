"""What the page makes of run lengths: boxes, areas, pixels, exact outlines, and those with fewer corners for large pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sam2_adapter
from sam2_adapter.annotations.rle import mask_to_rle
from tests.shapes import _blob

pytestmark = pytest.mark.browser

PAGE = Path(sam2_adapter.__file__).parent / "label" / "page"
ASKED = """([source, counts, height, tolerance, points]) => {
  const { boxOf, columnsOf, contains, decodeBounds, ringsOf, simplified } = new Function(source)();
  return counts.map((text) => {
    const bounds = decodeBounds(text), box = boxOf(bounds, height), rings = ringsOf(columnsOf(bounds, height));
    const found = points.map(([x, y]) => contains({ bounds, box, height }, x, y));
    return { box, found, rings, fewer: rings.map((ring) => simplified(ring, tolerance)) };
  });
}"""


@pytest.fixture(scope="module")
def asked(browser):
    """Asks the page's own code about masks of one height."""
    names = "boxOf, columnsOf, contains, decodeBounds, ringsOf, simplified"
    source = (PAGE / "rle.js").read_text().replace("export ", "") + f"\nreturn {{ {names} }};"
    window = browser.new_page()
    yield lambda masks, tolerance=1.0, points=(): window.evaluate(
        ASKED, [source, [mask_to_rle(mask).counts for mask in masks], len(masks[0]), tolerance, list(points)]
    )
    window.close()


def _masks():
    rng = np.random.default_rng(5)
    shape = (90, 120)
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    noise = [rng.random(shape) < share for share in (0.02, 0.5, 0.98)]
    blobs = [_blob(shape, rng.uniform(0, shape), rng.uniform(10, 60), rng) for _ in range(8)]
    rings = [blob & ~_blob(shape, rng.uniform(20, 60, 2), 12, rng) for blob in blobs]
    columns = np.zeros(shape, bool)
    columns[:, 30:50] = True  # runs that go on in the next column
    return [empty, full, *noise, *blobs, *rings, columns]


def test_outlines_boxes_and_pixels_are_those_of_the_mask(asked):
    masks = _masks()
    points = [[int(x), int(y)] for x, y in np.random.default_rng(1).integers(0, (120, 90), (60, 2))]
    for mask, told in zip(masks, asked(masks, points=points), strict=True):
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
        assert told["box"] == box
        assert told["found"] == [bool(mask[y, x]) for x, y in points]
        assert np.array_equal(_filled(told["rings"], mask.shape), mask)


def test_an_outline_with_fewer_corners_stays_within_its_tolerance(asked):
    masks = _masks()
    for tolerance in (0.6, 1.2, 4.8):
        for told in asked(masks, tolerance):
            for ring, fewer in zip(told["rings"], told["fewer"], strict=True):
                corners, kept = np.reshape(ring, (-1, 2)), np.reshape(fewer, (-1, 2))
                assert len(kept) >= 3
                assert {tuple(corner) for corner in kept} <= {tuple(corner) for corner in corners}
                assert _distances(corners, kept).max() <= tolerance + 1e-9


def test_a_large_smooth_mask_keeps_few_corners(asked):
    y, x = np.mgrid[:1500, :2000]
    (told,) = asked([np.hypot(y - 700, x - 900) < 600], 1.2)
    assert len(told["rings"][0]) > 5 * len(told["fewer"][0])


def _filled(rings, shape):
    """The pixels whose centres lie inside an odd number of rings."""
    found = np.zeros(shape, bool)
    for ring in rings:
        corners = np.reshape(ring, (-1, 2)).astype(int)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if x0 == x1:  # everything to the right of a vertical edge changes sides
                found[min(y0, y1) : max(y0, y1), x0:] ^= True
    return found


def _distances(points, polygon):
    """From each point to the nearest side of a closed polygon."""
    start, along = polygon, np.roll(polygon, -1, axis=0) - polygon
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((points[:, None] - start) * along).sum(axis=2) / length, 0, 1)
    return np.hypot(*np.moveaxis(points[:, None] - start - share[..., None] * along, 2, 0)).min(axis=1)
