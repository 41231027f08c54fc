"""Prompts files: what they can say, and that every mistake in one is named with file, image and position."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.label_maps.objects import write_mask
from sam2_adapter.formats.prompts_file import match_prompts, read_prompts_file, unmatched_names
from tests.images.test_read import png_header
from tests.shapes import QUICK, ellipse

MASK = ellipse((20, 30), (10, 15), (6, 9))
BOX = {"box": [1, 2, 30, 40]}


def _write(folder, document):
    path = folder / "prompts.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def _of_one_image(folder, *entries):
    return read_prompts_file(_write(folder, {"images": {"a.jpg": list(entries)}}))["a.jpg"]


def test_everything_that_a_prompt_can_say(tmp_path):
    box, points, one = _of_one_image(
        tmp_path,
        {**BOX, "angle": 15, "label": "Katze", "attributes": {"a": 1}, "object_id": "7", "parent_id": "3"},
        {"points": [[1.5, 2], [3, 4]], "labels": [1, 0]},
        {"points": [[5, 6]]},
    )
    assert (box.box_xyxy, box.box_angle, box.label) == ((1, 2, 30, 40), 15, "Katze")
    assert (box.attributes, box.object_id, box.parent_id) == ({"a": 1}, "7", "3")
    assert points.point_coords.tolist() == [[1.5, 2], [3, 4]]
    assert points.point_labels.tolist() == [1, 0]
    assert one.point_labels.tolist() == [1]


def test_images_keep_their_order_and_may_have_no_prompts(tmp_path):
    found = read_prompts_file(_write(tmp_path, {"images": {"b.jpg": [BOX, BOX], "a.jpg": []}}))
    assert [(name, len(prompts)) for name, prompts in found.items()] == [("b.jpg", 2), ("a.jpg", 0)]


def test_masks_are_read_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    write_mask(tmp_path / "masks" / "roof.png", MASK)
    (prompt,) = _of_one_image(tmp_path, {"mask": "masks/roof.png", "label": "roof"})
    assert np.array_equal(prompt.mask, MASK)
    assert prompt.mask_input is None
    (absolute,) = _of_one_image(tmp_path, {"mask": str(tmp_path / "masks" / "roof.png")})
    assert np.array_equal(absolute.mask, MASK)


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (1, 1, 64, 64)])
def test_earlier_logits_are_read(tmp_path, shape):
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.savez_compressed(tmp_path / "earlier.npz", low_res_logits=logits, other=np.zeros(3))
    (prompt,) = _of_one_image(tmp_path, {"mask": "earlier.npz"})
    assert np.array_equal(prompt.mask_input, logits.reshape(64, 64))
    assert prompt.mask is None


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({}, "at least one of 'box', 'points' and 'mask'"),
        (7, "A prompt is an object"),
        ({"bbox": [1, 2, 3, 4]}, "Unknown key of a prompt 'bbox'"),
        ({"box": [5, 5, 1, 1]}, "is empty"),
        ({"box": [1, 2, 3]}, "'box' is four numbers"),
        ({"box": [1, 2, 3, float("nan")]}, "'box' must be finite"),
        ({"box": [1, 2, 3, 10**400]}, "'box'|a number is too large"),
        ({"box": [0, 0, 1, 1], "angle": 10**400}, "'angle'|a number is too large"),
        ({"points": [[1, 2], [3]]}, "'points'"),
        ({"points": [[1, 2]], "labels": [2]}, "'labels' are 1"),
        ({"points": [[1, 2]], "labels": [1, 1]}, "'labels' needs one value"),
        ({"labels": [1]}, "has no 'points'"),
        ({"mask": 5}, "'mask' is the path of a picture or .npz file, but got 5"),
        ({"mask": ""}, "'mask' is the path"),
        ({"mask": "missing.png"}, "mask 'missing.png': there is no such file"),
        ({"mask": "missing.npz"}, "mask 'missing.npz': there is no such file"),
        ({"mask": "text.png"}, "mask 'text.png': not an image in a known format"),
        ({"mask": "text.npz"}, r"mask 'text.npz' is not a readable \.npz file"),
        ({"mask": "other.npz"}, "mask 'other.npz' needs an array 'low_res_logits', but holds logits"),
        ({"mask": "two.npz"}, r"floats h x w of one object, but got float32 of shape \(2, 8, 8\)"),
        ({"mask": "whole.npz"}, "but got int64"),
        ({"mask": "nan.npz"}, "must be finite"),
        ({"mask": "objects.npz"}, r"not a readable \.npz file"),
        ({"mask": "bomb.npz"}, "more than the logits of one object can have"),
        ({"mask": "empty.png"}, "empty: no pixel is set"),
        ({"mask": "../outside.png"}, "lies outside the folder of the prompts file"),
        ({"mask": "/etc/passwd"}, "lies outside the folder of the prompts file"),
        ({"mask": "link.png"}, "lies outside the folder of the prompts file"),
        ({"mask": "a\0b.png"}, "no usable path|no such file"),
        ({"mask": "x" * 5000}, "mask 'x+"),
    ],
)
def test_only_the_prompt_with_a_mistake_is_refused(mask_folder, entry, text):
    found = read_prompts_file(_write(mask_folder, {"images": {"ok.jpg": [BOX], "a.jpg": [BOX, entry, BOX]}}))
    first, refused, last = found["a.jpg"]
    assert isinstance(refused, RefusedPrompt)
    assert re.search(text, refused.reason)
    assert first.box_xyxy == last.box_xyxy == found["ok.jpg"][0].box_xyxy == (1, 2, 30, 40)


def test_prompts_that_are_no_list_refuse_their_image_alone(tmp_path):
    found = read_prompts_file(_write(tmp_path, {"images": {"a.jpg": {"box": [1, 2, 3, 4]}, "b.jpg": [BOX]}}))
    assert found["a.jpg"] == [RefusedPrompt("The prompts of an image are a list, but got {'box': [1, 2, 3, 4]}.")]
    assert isinstance(found["b.jpg"][0], Prompt)


@pytest.fixture(scope="module")
def mask_folder(tmp_path_factory):
    """A folder with masks of every broken kind, and one outside that a link points at."""
    folder = tmp_path_factory.mktemp("masks") / "prompts"
    folder.mkdir()
    write_mask(folder.parent / "outside.png", MASK)
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "text.png").write_text("no picture")
    (folder / "text.npz").write_text("no archive")
    write_mask(folder / "empty.png", np.zeros((4, 4), np.bool_))
    np.savez(folder / "other.npz", logits=np.zeros((8, 8), np.float32))
    np.savez(folder / "two.npz", low_res_logits=np.zeros((2, 8, 8), np.float32))
    np.savez(folder / "whole.npz", low_res_logits=np.zeros((8, 8), np.int64))
    np.savez(folder / "nan.npz", low_res_logits=np.full((8, 8), np.nan, np.float32))
    np.savez(folder / "objects.npz", low_res_logits=np.array([[{}]], dtype=object))
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("low_res_logits.npy", bytes(70 * 2**20))
    return folder


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("", "not a valid JSON file"),
        ("[1, 2", "not a valid JSON file"),
        ("[" * 100_000, "not a valid JSON file"),
        ("[]", r"expected \{\"images\""),
        ("null", r"expected \{\"images\""),
        ('{"images": []}', r"expected \{\"images\""),
        ('{"images": {}, "image": {}}', "and nothing else"),
        ('{"images": {"a.jpg": [], "a.jpg": []}}', "the key 'a.jpg' stands twice in one object"),
        ('{"images": {"a.jpg": [{"box": [1, 2, 3, 4], "box": [5, 6, 7, 8]}]}}', "the key 'box' stands twice"),
        ('{"images": {"a.jpg": [{"box": [1, 2, 3, ' + "9" * 5000 + "]}]}}", "not a valid JSON file|too large"),
    ],
)
def test_files_that_are_no_prompts_files_are_named(tmp_path, document, text):
    path = _write(tmp_path, document)
    with pytest.raises(PromptError, match=text) as caught:
        read_prompts_file(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(PromptError, match=r"missing\.json: cannot read the file: No such file or directory"):
        read_prompts_file(tmp_path / "missing.json")
    with pytest.raises(PromptError, match="cannot read the file: it is a folder, not a file"):
        read_prompts_file(tmp_path)
    (tmp_path / "latin.json").write_bytes('{"images": {"ä": []}}'.encode("latin-1"))
    with pytest.raises(
        PromptError, match=r"latin\.json: cannot read the file: .* expected a JSON file\. Save it as UTF-8"
    ):
        read_prompts_file(tmp_path / "latin.json")


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"images": {"a.jpg": []}}')
    assert read_prompts_file(tmp_path / "bom.json") == {"a.jpg": []}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
entries = st.dictionaries(
    st.sampled_from(
        ["box", "angle", "points", "labels", "mask", "label", "attributes", "object_id", "parent_id", "other"]
    ),
    anything
    | st.lists(st.floats(-10, 100), min_size=4, max_size=4)
    | st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3),
    max_size=4,
)


@QUICK
@given(
    document=anything
    | st.fixed_dictionaries(
        {
            "images": st.dictionaries(
                st.text(max_size=5), st.lists(entries | anything, max_size=3) | anything, max_size=2
            )
        }
    )
)
def test_any_document_is_read_or_refused(tmp_path_factory, document):
    path = _write(tmp_path_factory.mktemp("fuzz"), document)
    try:
        found = read_prompts_file(path)
    except PromptError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - both outcomes are right
    else:
        assert all(isinstance(prompt, Prompt | RefusedPrompt) for prompts in found.values() for prompt in prompts)


@QUICK
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(PromptError):
        read_prompts_file(path)


PROMPT = Prompt(box_xyxy=(0, 0, 1, 1))
OTHER = Prompt(box_xyxy=(0, 0, 2, 2))


def test_names_fit_paths_from_their_end():
    images = [Path("photos/a.jpg"), Path("photos/b.jpg"), Path("/data/c.jpg")]
    found = match_prompts({"a.jpg": [PROMPT], "./photos/b.jpg": [], "data/c.jpg": [OTHER], "d.jpg": [PROMPT]}, images)
    assert found == {images[0]: [PROMPT], images[1]: [], images[2]: [OTHER]}
    assert match_prompts({"photos\\b.jpg": [PROMPT]}, images) == {images[1]: [PROMPT]}
    assert match_prompts({"/data/c.jpg": [PROMPT]}, images) == {images[2]: [PROMPT]}
    assert match_prompts({"hotos/a.jpg": [PROMPT], "other/a.jpg": [PROMPT]}, images) == {}


@pytest.mark.parametrize("other", ["gru\u0308n.jpg", "gr%C3%BCn.jpg", "https://host.org/gr%C3%BCn.jpg"])
def test_an_image_has_the_prompts_of_all_forms_of_its_name(other):
    image = Path("photos/gr\u00fcn.jpg")
    prompts = {other: [PROMPT], "gr\u00fcn.jpg": [OTHER], "Gr\u00fcn.jpg": [PROMPT]}
    found = match_prompts(prompts, [image])
    assert [id(prompt) for prompt in found[image]] == [id(PROMPT), id(OTHER)]
    assert unmatched_names(prompts, [image]) == ["Gr\u00fcn.jpg"]


def test_the_longest_name_counts():
    images = [Path("x/a.jpg"), Path("y/a.jpg")]
    assert match_prompts({"a.jpg": [PROMPT], "y/a.jpg": [OTHER]}, images) == {images[0]: [PROMPT], images[1]: [OTHER]}


def test_case_and_accents_count_only_between_names_that_differ_in_nothing_else():
    image, other = Path("photos/Caf\u00e9.jpg"), Path("photos/b.JPG")
    for name in ("Cafe\u0301.jpg", "CAF\u00c9.JPG", "Photos/cafe\u0301.jpg"):
        assert match_prompts({name: [PROMPT], "B.jpg": [OTHER]}, [image, other]) == {image: [PROMPT], other: [OTHER]}
    both = {"B.jpg": [PROMPT], "b.JPG": [OTHER]}
    assert match_prompts(both, [other]) == {other: [OTHER]}
    assert unmatched_names(both, [other]) == ["B.jpg"]
    images = [Path("a.jpg"), Path("A.jpg")]
    assert match_prompts({"A.jpg": [PROMPT], "a.jpg": [OTHER]}, images) == {images[1]: [PROMPT], images[0]: [OTHER]}


@pytest.mark.parametrize(
    "name", ["C:\\work\\a.jpg", "/srv/shots/a.jpg", "..\\a.jpg", "https://x.example/s/a.jpg?sig=1"]
)
def test_paths_of_another_machine_fit_the_only_image_of_that_name(name):
    images = [Path("photos/a.jpg"), Path("photos/b.jpg")]
    assert match_prompts({name: [PROMPT]}, images) == {images[0]: [PROMPT]}
    assert match_prompts({name: [PROMPT]}, [Path("x/b.jpg")]) == {}
    with pytest.raises(PromptError, match="fits two images"):
        match_prompts({name: [PROMPT]}, [Path("x/a.jpg"), Path("y/a.jpg")])


def test_names_that_fit_two_images_are_refused():
    with pytest.raises(
        PromptError, match=r"'a\.jpg' in the prompts file fits two images, x/a\.jpg and y/a\.jpg; write the folder"
    ):
        match_prompts({"a.jpg": [PROMPT]}, [Path("x/a.jpg"), Path("y/a.jpg")])


def test_of_several_images_the_one_that_the_results_call_so_is_meant():
    top, inner = Path("photos/a.jpg"), Path("photos/more/a.jpg")
    assert match_prompts({"a.jpg": [PROMPT]}, [top, inner]) == {top: [PROMPT]}
    assert match_prompts({"a": [PROMPT]}, [top, inner]) == {top: [PROMPT]}
    assert match_prompts({"a.jpg": [PROMPT], "more/a.jpg": [OTHER]}, [inner, top]) == {inner: [OTHER], top: [PROMPT]}
    assert unmatched_names({"a.jpg": [PROMPT]}, [top, inner]) == []
    with pytest.raises(PromptError, match="fits two images"):
        match_prompts({"a": [PROMPT]}, [top, top.with_suffix(".png"), inner])


def test_names_without_an_image_are_listed():
    names = {"a.jpg": [PROMPT], "photos/b.jpg": [PROMPT], "bb.jpg": [PROMPT], "other/a.jpg": []}
    assert unmatched_names(names, [Path("photos/a.jpg"), Path("photos/b.jpg")]) == ["bb.jpg", "other/a.jpg"]


def test_a_mask_of_another_size_than_its_image_is_refused_before_it_is_decoded(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    (tmp_path / "huge.png").write_bytes(png_header(60_000, 50_000))
    Image.new("L", (64, 48), 255).save(tmp_path / "whole.png")
    path = _write(tmp_path, {"images": {"a.jpg": [{"mask": "huge.png"}, {"mask": "whole.png"}], "b.jpg": []}})
    refused, kept = read_prompts_file(path, [tmp_path / "a.jpg"])["a.jpg"]
    assert refused.reason == (
        "mask 'huge.png': the size is 60000x50000 pixels, but that of its upright image is expected: 64x48."
    )
    assert kept.mask.shape == (48, 64)


def test_logits_that_claim_to_fill_the_memory_are_refused_by_their_header(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("low_res_logits.npy", header.getvalue())
    (refused,) = read_prompts_file(_write(tmp_path, {"images": {"a.jpg": [{"mask": "a.npz"}]}}))["a.jpg"]
    assert "'low_res_logits' has 4,000,000,000,000 bytes, more than the logits of one object can have" in refused.reason


def test_a_pipe_in_the_place_of_a_mask_is_refused_without_waiting(tmp_path):
    for name in ("a.png", "a.npz"):
        os.mkfifo(tmp_path / name)
        (refused,) = read_prompts_file(_write(tmp_path, {"images": {"a.jpg": [{"mask": name}]}}))["a.jpg"]
        assert "it is a named pipe, not a file" in refused.reason


def test_a_mask_file_of_several_pages_is_refused(tmp_path):
    Image.fromarray(MASK).save(
        tmp_path / "m.tif", save_all=True, append_images=[Image.fromarray(~MASK), Image.fromarray(MASK)]
    )
    refused, box = _of_one_image(tmp_path, {"mask": "m.tif"}, BOX)
    assert re.search(
        r"mask 'm.tif': it cannot be told which picture .* \(3 pages, .*\)\. Save the mask", refused.reason
    )
    assert box.box_xyxy == (1, 2, 30, 40)
