"""TIFF files in every layout, written by `tifffile`, beside the numbers that are in them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import tifffile

KINDS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8")
COMPRESSIONS = (None, "zlib", "lzw", "packbits", "zstd", "lzma")


@dataclass(frozen=True)
class Layout:
    """A way of storing a picture."""

    kind: str = "u2"
    channels: int = 1
    planar: bool = False
    byte_order: str = "<"
    photometric: str = "minisblack"
    compression: str | None = None
    predictor: bool = False
    tiled: bool = False
    big: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether such a file makes sense, and `tifffile` writes it."""
        if self.predictor and self.compression in (None, "packbits"):
            return False
        if self.photometric == "rgb" and self.channels < 3:
            return False
        return not (self.channels == 1 and self.planar)

    def samples(self, height=37, width=53, seed=0):
        """Random numbers over the whole range of the kind; height x width x channels."""
        kind, shape = np.dtype(self.kind), (height, width, self.channels)
        rng = np.random.default_rng(seed)
        if kind.kind == "f":
            return rng.random(shape).astype(kind)
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)

    def write(self, samples, extra=None, **options):
        """The content of a file of these samples."""
        num_extra = self.channels - (3 if self.photometric == "rgb" else 1)
        buffer = io.BytesIO()
        predictor = {"f": 3}.get(np.dtype(self.kind).kind, 2) if self.predictor else None
        arranged = samples[..., 0] if self.channels == 1 else np.moveaxis(samples, -1, 0) if self.planar else samples
        if num_extra > 0:
            options["extrasamples"] = extra or ("unspecified",) * num_extra
        tifffile.imwrite(
            buffer,
            arranged,
            byteorder=self.byte_order,
            photometric=self.photometric,
            planarconfig=None if self.channels == 1 else "separate" if self.planar else "contig",
            compression=self.compression,
            predictor=predictor,
            tile=(16, 32) if self.tiled else None,
            rowsperstrip=None if self.tiled else 10,
            bigtiff=self.big,
            metadata=None,
            **options,
        )
        return buffer.getvalue()
