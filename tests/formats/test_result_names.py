"""No two images of a run share a file, in any format and on any disk."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.formats.result_names import base_of, stem_of, unique_stems


def _files(name: str, stem: str) -> list[str]:
    """All files of an image, as `OutputFolder` calls them, compared as a disk does that ignores case and normal forms."""
    objects = [f"masks/{stem}/{base_of(stem_of(name))}_{number}.png" for number in ("001", "002", "1000")]
    files = [
        f"overlays/{stem}.jpg",
        f"json/{stem}.json",
        f"polygons/{stem}.json",
        f"masks/{stem}.png",
        f"masks/{stem}.json",
        f"yolo/labels/{stem}.txt",
        f"voc/Annotations/{stem}.xml",
    ]
    return [unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold()) for path in files + objects]


def _check(names: list[str]) -> dict[str, str]:
    stems = unique_stems(names)
    assert list(stems) == names
    files = [path for name in names for path in _files(name, stems[name])]
    assert len(files) == len(set(files)), stems
    folders = {path[:position] for path in files for position in range(len(path)) if path[position] == "/"}
    assert not folders & set(files), stems
    for path in files:
        assert all(len(part.encode()) <= 255 for part in path.split("/"))
    return stems


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b/x.jpg", "a.png"], ["b/x", "a"]),
        (["a.png", "a.jpg", "a.png.jpg"], ["a.png", "a.jpg", "a.png.jpg"]),
        (["clip.png", "clip/clip_001.png"], ["clip.png", "clip/clip_001"]),
        (["clip.png", "clip/other.png"], ["clip", "clip/other"]),
        (["x.jpg", "x.png.jpg"], ["x.jpg", "x.png"]),
        (["x.jpg", "x.png/b.jpg"], ["x.jpg", "x.png/b"]),
        (["x.jpg", "x.xml/b.jpg"], ["x.jpg", "x.xml/b"]),
        (["a.tar.gz", "v1.2", "README", ".."], ["a.tar", "v1", "README", ".."]),
    ],
)
def test_names(names: list[str], expected: list[str]) -> None:
    assert list(_check(names).values()) == expected


def test_images_that_differ_in_case_or_normal_form_only() -> None:
    for names in (["A.png", "a.png"], ["caf\u00e9.png", "cafe\u0301.png"], ["a/B.png", "A/b.jpg"]):
        assert all(stem.startswith(name.rpartition(".")[0]) for name, stem in _check(names).items())


def test_what_an_image_is_called_does_not_depend_on_the_order() -> None:
    names = ["a.png", "A.PNG", "a.jpg", "a.png.jpg", "clip.png", "clip/clip_001.png", "clip/CLIP_001.jpg"]
    assert unique_stems(names) == unique_stems(names[::-1])


def test_long_names_are_shortened() -> None:
    names = ["n" * 251 + ".png", "n" * 250 + "m.png", "\u4f60" * 83 + ".jpg", "short.png"]
    stems = _check(names)
    assert stems["short.png"] == "short"
    assert stems[names[0]].startswith("n" * 200)


_PARTS = st.sampled_from(
    ["a", "A", "a.png", "a.jpg", "a_001", "a_001.png", "a_1000", "\u00e9", "e\u0301", "a.json", "\u00df", "ss"]
)
_NAMES = st.builds(lambda folders, base, suffix: "/".join([*folders, base + suffix]), st.lists(_PARTS, max_size=2), _PARTS,
                   st.sampled_from([".png", ".jpg", ".JPG", ".json", ""]))  # fmt: skip


def _can_be_on_a_disk(names: list[str]) -> bool:
    """No image is also a folder of another image."""
    return not any(other.startswith(f"{name}/") for name in names for other in names)


@given(st.lists(_NAMES, unique=True, max_size=8).filter(_can_be_on_a_disk))
def test_no_file_is_shared(names: list[str]) -> None:
    _check(names)
