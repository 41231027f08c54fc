"""Which configuration is meant by another spelling of its name: Meta's files, the hub's repositories, ultralytics, and people.

sam2_small, sam2-hiera-small, facebook/sam2-hiera-small, sam2_hiera_small.pt, SAM2_S    all mean sam2_hiera_s
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sam2_adapter.text import closest

# Words for the sizes of Hiera, and how the configurations call them; longer words first.
_SIZES = {
    "tiny": "t",
    "small": "s",
    "baseplus": "b+",
    "base+": "b+",
    "bplus": "b+",
    "base": "b+",
    "b+": "b+",
    "large": "l",
    "nano": "nano",
    "t": "t",
    "s": "s",
    "b": "b+",
    "l": "l",
}
_ENDINGS = re.compile(r"\.(ya?ml|pth?|torch|safetensors|json)$")


def meant_name(name: str, known: Collection[str]) -> str | None:
    """The name among `known` that is most probably meant, or `None`."""
    plain = _ENDINGS.sub("", name.lower().replace("\\", "/").rpartition("/")[2])
    squeezed = re.sub(r"[-_ ]", "", plain)
    if found := re.fullmatch(r"sam(2\.?1|2\.?0|2)(?:hiera)?(.*)", squeezed):
        version, size = "sam2.1" if found[1].endswith("1") else "sam2", _SIZES.get(found[2])
        candidate = f"sam2_{size}" if size == "nano" else f"{version}_hiera_{size}"
        if size and candidate in known:
            return candidate
    return closest(plain, known)
