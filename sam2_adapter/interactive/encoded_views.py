"""`EncodedViews`: the image that is open, encoded, and the parts of it that were looked at closely."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import Window, embed_window

# Views of an image that stay encoded.
_MOST_WINDOWS = 4


class EncodedViews:
    """An encoded image; parts of it are encoded when they are asked for, and the newest few are kept."""

    def __init__(self, predictor: Predictor, embedding: ImageEmbedding, read: Callable[[], Pixels] | None) -> None:
        """Begin with the whole image.

        Args:
            predictor: the model.
            embedding: the encoded image.
            read: gives its pixels, uint8 RGB H x W x 3, whenever a view is encoded; `None` where there are none.
        """
        self._predictor, self._read = predictor, read
        self.whole = Window.whole(embedding)
        self._windows: OrderedDict[Region, Window] = OrderedDict()

    def window(self, view_xyxy: tuple[int, int, int, int] | None) -> Window:
        """A view, which is encoded unless it is kept from earlier; the whole image for `None`."""
        if view_xyxy is None:
            return self.whole
        region = Region(*view_xyxy).within(self.whole.image_hw)
        if region == self.whole.region:
            return self.whole
        window = self._windows.pop(region, None)
        if window is None:
            if self._read is None:
                raise PromptError(
                    "A view needs the pixels of the image: give open() the image, or `read` beside its embedding."
                )
            window = embed_window(self._predictor, self._read(), region)
        self._windows[region] = window
        while len(self._windows) > _MOST_WINDOWS:
            self._windows.popitem(last=False)
        return window
