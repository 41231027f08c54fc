"""Kinds of files: which are pictures that are read here, and what the others are called."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath
from typing import NamedTuple

READABLE = "PNG, JPEG, WebP, AVIF, TIFF, JPEG 2000, BMP, GIF or PNM"
"""The formats that are read, for messages; HEIC where its package is installed."""

NO_IMAGE = f"looked for names of {READABLE} files. Put pictures there, or name a picture, such as photos/street.jpg, or another folder"
"""What is said where a folder holds no image, and what to do."""

HEIF_ADVICE = 'to read it, pip install "sam2-adapter[heif]"'
_SAVE = "save it as PNG or JPEG"


class FileKind(NamedTuple):
    """Pictures and videos that are not read.

    Attributes:
        noun: what one is called.
        nouns: what several are called.
        advice: what to do about one.
    """

    noun: str
    nouns: str
    advice: str


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_HEIF_SUFFIXES = _suffixes("heic heif hif")
IMAGE_SUFFIXES = _HEIF_SUFFIXES | _suffixes(
    "apng avif bmp dib gif j2c j2k jfif jp2 jpe jpeg jpf jpg jpx mpo pbm pfm pgm png pnm ppm tif tiff webp"
)

_OTHERS: tuple[tuple[frozenset[str], FileKind], ...] = (
    (_HEIF_SUFFIXES, FileKind("HEIC photo", "HEIC photos", HEIF_ADVICE)),
    (
        _suffixes("3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv webm wmv"),
        FileKind("video", "videos", "save its frames as pictures"),
    ),
    (
        _suffixes("3fr arw cr2 cr3 dng erf nef nrw orf pef raf raw rw2 srw x3f"),
        FileKind("raw photo of a camera", "raw photos of a camera", _SAVE),
    ),
    (
        _suffixes("czi lif lsm mrxs nd2 ndpi scn svs vsi"),
        FileKind("microscope file", "microscope files", "save it as TIFF"),
    ),
    (
        _suffixes("dcm dicom mha mhd nii nrrd"),
        FileKind("medical image", "medical images", "save its slices as PNG"),
    ),
    (_suffixes("ai eps pdf svg"), FileKind("drawing or document", "drawings or documents", _SAVE)),
    (
        _suffixes("dds exr fit fits hdr icns ico jxl pcx psb psd ras rgb sgi tga wdp xbm xcf xpm"),
        FileKind("picture of another format", "pictures of other formats", _SAVE),
    ),
)
_KIND_OF_SUFFIX = {suffix: kind for suffixes, kind in _OTHERS for suffix in suffixes}

_STARTS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF", "a PDF document"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing"),
    (rb"8BPS", "a Photoshop document"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (rb".{4}ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "a HEIC photo"),
    (rb".{4}ftypavi[fs]", "an AVIF picture"),
    (rb".{4}ftypcrx|.{8}CR\x02|IIU\x00|FUJIFILMCCD-RAW", "a raw photo of a camera"),
    (rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI |\x00\x00\x01[\xb3\xba]|FLV\x01", "a video"),
    (rb".{128}DICM", "a DICOM image"),
    (rb"v/1\x01", "an OpenEXR picture"),
    (rb"#\?R", "a Radiance HDR picture"),
    (rb"SIMPLE  =", "a FITS image"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg\b", "an SVG drawing"),
)


@cache
def can_read_heif() -> bool:
    """Whether the package that reads HEIC photos is installed."""
    return find_spec("pillow_heif") is not None


def is_image_name(path: PurePath) -> bool:
    """Whether a file is a picture that is read here, by its suffix in any case."""
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES and (suffix not in _HEIF_SUFFIXES or can_read_heif())


def other_kind(path: PurePath) -> FileKind | None:
    """The kind of a picture or video that is not read, by its suffix; `None` for all other files."""
    if is_image_name(path):
        return None
    suffix = path.suffix.lower()
    return _KIND_OF_SUFFIX.get(path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix)


def what_it_is(start: bytes) -> str | None:
    """What a file is that is no picture for us, by its first bytes; `None` where they say nothing."""
    return next((name for pattern, name in _STARTS if re.match(pattern, start, re.DOTALL)), None)
