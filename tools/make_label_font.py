"""Makes `sam2_adapter/reports/fonts/labels.ttf`, the font of the labels on overlay pictures.

    python tools/make_label_font.py DEBIAN_DIR NPM_DIR

It needs fontTools and the fonts of these packages, unpacked:
- Debian's `fonts-noto-core` (Noto Sans of 20 scripts, OFL-1.1) and `fonts-droid-fallback` (Droid Sans Fallback, Apache-2.0) in
  DEBIAN_DIR: `apt-get download fonts-noto-core fonts-droid-fallback`, then `dpkg-deb -x FILE DEBIAN_DIR` for both.
- npm's `@expo-google-fonts/noto-sans-kr` and `@expo-google-fonts/noto-emoji` (OFL-1.1) in folders of these last names in NPM_DIR:
  `npm pack`, then unpack.

One font holds all scripts, so that a line of several needs no choice of fonts. To stay small, its outlines are on a grid of 256
units without hints, Chinese and Japanese characters are those of GB 2312, Big5 and JIS, Korean ones those of KS X 1001.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.merge import Merger
from fontTools.merge.options import Options as MergeOptions
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

TARGET = Path(__file__).parents[1] / "sam2_adapter" / "reports" / "fonts" / "labels.ttf"

UNITS_PER_EM = 256

# In this order; a character is taken from the first font that has it.
NOTO = [
    "Sans",
    "SansArabic",
    "SansHebrew",
    "SansDevanagari",
    "SansThai",
    "SansBengali",
    "SansTamil",
    "SansTelugu",
    "SansKannada",
    "SansMalayalam",
    "SansGujarati",
    "SansGurmukhi",
    "SansOriya",
    "SansSinhala",
    "SansArmenian",
    "SansGeorgian",
    "SansEthiopic",
    "SansKhmer",
    "SansLao",
    "SansMyanmar",
]

IDEOGRAPHS = set(range(0x4E00, 0xA000))
SYLLABLES = set(range(0xAC00, 0xD7A4))
JAMO = set(range(0x3130, 0x3190))
KANA_AND_PUNCTUATION = set(range(0x3000, 0x3130)) | set(range(0xFF00, 0xFFF0))

NAMES = {
    0: "Copyright 2010-2026 Google LLC (Noto), 2006-2010 Google Corp. (Droid Sans Fallback). See LICENSES.md.",
    1: "sam2-adapter labels",
    2: "Regular",
    4: "sam2-adapter labels",
    6: "sam2-adapter-labels",
    13: "This Font Software is licensed under the SIL Open Font License, Version 1.1.",
    14: "https://openfontlicense.org",
}


def characters_of(*encodings: str) -> set[int]:
    """The characters that national encodings of two bytes hold."""
    found = set()
    for encoding in encodings:
        for code in range(0x8140, 0xFF00):
            try:
                found |= {ord(character) for character in code.to_bytes(2, "big").decode(encoding)}
            except UnicodeDecodeError:
                continue
    return found


def part(path: Path, characters: Iterable[int], *, shaped: bool) -> TTFont:
    """The characters of a font, with what shapes them, on our grid."""
    options = subset.Options()
    options.hinting = False
    options.legacy_kern = False
    options.notdef_outline = True
    options.layout_features = ["*"] if shaped else []
    options.drop_tables += ["vhea", "vmtx", "gasp", "DSIG", "STAT"] + ([] if shaped else ["GPOS", "GSUB", "GDEF"])
    font = TTFont(path)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    scale_upem(font, UNITS_PER_EM)
    return font


def main(debian: Path, npm: Path) -> None:
    """Make the font."""
    noto = debian / "usr/share/fonts/truetype/noto"
    droid = debian / "usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
    hangul = (characters_of("euc_kr") & SYLLABLES) | JAMO
    ideographs = (characters_of("gb2312", "big5", "shift_jis") & IDEOGRAPHS) | KANA_AND_PUNCTUATION
    sources: list[tuple[Path, set[int] | None, bool]] = [
        *((noto / f"Noto{name}-Regular.ttf", None, True) for name in NOTO),
        (npm / "noto-sans-kr/400Regular/NotoSansKR_400Regular.ttf", hangul, False),
        (droid, ideographs, False),
        (npm / "noto-emoji/400Regular/NotoEmoji_400Regular.ttf", None, True),
    ]
    taken: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for path, wanted, shaped in sources:
            has = set(TTFont(path).getBestCmap())
            characters = (has if wanted is None else has & wanted) - taken
            taken |= characters
            parts.append(str(Path(folder, f"{len(parts)}.ttf")))
            part(path, characters, shaped=shaped).save(parts[-1])
        font = Merger(MergeOptions(drop_tables=["vhea", "vmtx"])).merge(parts)
    font["post"].formatType = 3.0
    font["name"].names = []
    for number, text in NAMES.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    font.save(TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, {len(taken):,} characters")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
