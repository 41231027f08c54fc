"""What a TIFF file's channels look like: white is zero, alpha, palettes, inks, bands of a sensor."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.images.read import read_image, read_image_with_notes
from tests.images.tiff.writing import Layout

RAMP = np.linspace(0, 65535, 40 * 50).reshape(40, 50, 1)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i2", "f4", "f8"])
def test_where_white_is_zero_the_picture_is_no_negative(kind):
    values = RAMP / 65535 if kind[0] == "f" else RAMP / 65535 * np.iinfo(kind).max
    black = read_image(Layout(kind).write(values.astype(kind)))
    white = read_image(Layout(kind, photometric="miniswhite").write((values.max() - values).astype(kind)))
    assert black[0, 0, 0] < 2
    assert black[39, 49, 0] > 253
    assert np.abs(black.astype(int) - white).max() <= 2


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_alpha_lays_the_picture_over_white(kind, planar):
    full = 1.0 if kind[0] == "f" else np.iinfo(kind).max
    for channels, photometric in ((2, "minisblack"), (4, "rgb")):
        samples = np.zeros((8, 8, channels))
        samples[:4, :, -1] = full
        samples[:, :4, :-1] = full / 2
        data = Layout(kind, channels, planar, photometric=photometric).write(samples.astype(kind), ("unassalpha",))
        image, notes = read_image_with_notes(data)
        assert image[0, 7].tolist() == [0, 0, 0]
        assert image[7, 7].tolist() == image[7, 0].tolist() == [255, 255, 255]
        assert notes == ()
        # Half of the range of colours; grey of more than 8 bits is stretched to what it holds.
        assert image[0, 0, 0] in ((127, 128) if photometric == "rgb" or kind == "u1" else (255,))


def test_colours_that_alpha_has_been_multiplied_into():
    samples = np.zeros((4, 4, 4), np.uint16)
    samples[..., 0], samples[..., 3] = 32768, 32768
    image = read_image(Layout("u2", 4, photometric="rgb").write(samples, ("assocalpha",)))
    assert np.abs(image[0, 0].astype(int) - [255, 127, 127]).max() <= 1


def test_of_many_channels_the_first_three_are_shown_and_that_is_said():
    rng = np.random.default_rng(0)
    samples = rng.integers(200, 1800, (30, 40, 5)).astype(np.uint16)
    image, notes = read_image_with_notes(Layout("u2", 5).write(samples))
    assert notes == ("5 channels, of which the first three are shown as red, green and blue",)
    expected = (samples[..., :3] - 200.0) / 1600 * 255
    assert np.abs(image - expected).max() <= 3
    # A second channel is transparency where the file says so.
    for kind in ("u1", "u2"):
        two = samples[..., :2].astype(kind)
        assert read_image_with_notes(Layout(kind, 2).write(two))[1] == (
            "2 channels, of which the first one is shown as grey",
        )
        assert read_image_with_notes(Layout(kind, 2).write(two, ("unassalpha",)))[1] == ()
    assert read_image_with_notes(Layout("u2", 5, photometric="rgb").write(samples))[1] == (
        "5 channels, of which the first 3 are shown",
    )


def test_floats_between_0_and_1_are_shares_of_full_brightness():
    samples = np.full((4, 4, 3), 0.25, np.float32)
    samples[0, 0] = (1, 0, 0.5)
    image = read_image(Layout("f4", 3, photometric="rgb").write(samples))
    assert image[0, 0].tolist() == [255, 0, 128]
    assert image[3, 3].tolist() == [64, 64, 64]
    wide = read_image(Layout("f4", 3, photometric="rgb").write(samples * 1000))
    assert (wide.min(), wide.max()) == (0, 255)


def test_palettes_of_16_bits():
    palette = np.zeros((3, 65536), np.uint16)
    palette[:, 40_000], palette[:, 7] = (65535, 256, 0), (0, 0, 0x8000)
    values = np.array([[[40_000], [7]]], np.uint16)
    image = read_image(Layout("u2", photometric="palette").write(values, colormap=palette))
    assert image.tolist() == [[[255, 1, 0], [0, 0, 128]]]


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_inks(kind, planar):
    full = np.iinfo(kind).max
    samples = np.array([[[0, 0, 0, 0], [0, full, full, 0], [0, 0, 0, full]]], kind)
    samples = samples.repeat(4, axis=0)
    image = read_image(Layout(kind, 4, planar, photometric="separated").write(samples, ()))
    assert image[0].tolist() == [[255, 255, 255], [255, 0, 0], [0, 0, 0]]
