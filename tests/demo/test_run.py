"""The demo: offline, quick, one page that needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.demo.scenes import load_scenes, photo_bytes, read_photo
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.training import general
from tests.command_line import Run, run
from tests.training.small_run import click_curve

# The demo fine-tunes a model.
pytestmark = pytest.mark.slow

NUCLEI = Path(__file__).parents[2] / "sam2_adapter" / "assets" / "demo" / "nuclei"


class _Page(HTMLParser):
    """Collects tags and the addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A demo that measures its model on fewer photographs and with fewer clicks than a real one; nothing here is about those."""
    folder = tmp_path_factory.mktemp("demo")
    with click_curve(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(general, "MOST_IMAGES", 4)
        return folder, run("demo", "--output", folder, "--epochs", "2", "--json")


def test_it_succeeds_and_says_what_it_did(demo: tuple[Path, Run]) -> None:
    folder, done = demo
    document = json.loads(done.stdout)
    assert done.status == 0
    assert document["page"] == str(folder / "index.html")
    assert document["num_photographs"] == 4
    assert document["num_objects"] >= 10
    assert document["made_by"]["name"] == "sam2_nano"
    assert document["seconds"] > 0


def test_the_page_needs_no_other_file(demo: tuple[Path, Run]) -> None:
    html = (demo[0] / "index.html").read_text("utf-8")
    page = _Page()
    page.feed(html)
    others = [address for address in page.addresses if not address.startswith("data:image/")]
    assert len(others) < len(page.addresses)
    # What it links to, and needs not, lies beside it.
    assert others == ["fine_tuning/report.html"]
    assert (demo[0] / others[0]).is_file()
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_shows_all_modes(demo: tuple[Path, Run]) -> None:
    html = (demo[0] / "index.html").read_text("utf-8")
    for text in (
        "No prompt",
        "Points",
        "Boxes",
        "Everything at once",
        "Corrections",
        "Fine-tuning",
        "sam2_nano",
        "104 photographs, none of them on this page",
    ):
        assert text in html
    page = _Page()
    page.feed(html)
    assert page.tags.count("svg") == 7 + 2 * 4
    assert {"rect", "circle", "path", "image"} <= set(page.tags)
    assert re.search(r"weights [0-9a-f]{12}", html)


def test_the_commands_on_the_page_work(demo: tuple[Path, Run], tmp_path: Path) -> None:
    scenes, _ = load_scenes()
    for scene in scenes:
        words = scene.command((demo[0] / "photos").as_posix()).split()
        done = run(*words[1:], "--output", tmp_path / Path(scene.photo).stem, "--no-overlay", "--json")
        assert (done.status, done.stderr) == (0, "")
        (image,) = json.loads(done.stdout)["images"]
        assert len(image["objects"]) + len(image["empty_prompts"]) == max(1, len(scene.entries))


def test_every_photograph_has_its_attribution() -> None:
    attribution = photo_bytes("ATTRIBUTION.md").decode()
    scenes, refinement = load_scenes()
    for photo in {refinement.photo, *(scene.photo for scene in scenes)}:
        assert f"`{photo}`" in attribution
        assert max(read_photo(photo).shape) <= 640
        assert len(photo_bytes(photo)) < 100_000


def test_fine_tuning_is_told_with_its_figures(demo: tuple[Path, Run]) -> None:
    folder, done = demo
    told = json.loads(done.stdout)["fine_tuning"]
    html = (folder / "index.html").read_text("utf-8")
    assert told["num_objects"] == 33
    # The bundled model is the one that is always measured so.
    assert told["mean_iou"]["one click"]["before"] == pytest.approx(0.442, abs=0.005)
    assert told["mean_iou"]["one click"]["after"] > 0.6
    assert told["best_epoch"] > 0
    assert told["verdict"] in html
    for figure in told["mean_iou"].values():
        assert f"{figure['before']:.3f}" in html
        assert f"{figure['after']:.3f}" in html
    assert sorted(path.name for path in (folder / "fine_tuning").iterdir() if not path.name.startswith(".")) == [
        "best_sam2_model.torch",
        "metrics.csv",
        "metrics.json",
        "report.html",
    ]
    assert " epoch 2, " in done.stderr


def test_what_is_shown_is_what_was_measured(demo: tuple[Path, Run]) -> None:
    """The means that stand below the pictures, weighted by their objects, are the mean of the table."""
    html = (demo[0] / "index.html").read_text("utf-8")
    told = json.loads(demo[1].stdout)["fine_tuning"]["mean_iou"]["one click"]
    sizes = [len(sample.objects) for sample in load_dataset(NUCLEI).samples("test")]
    for when in ("before", "after"):
        means = [float(value) for value in re.findall(rf"{when}: mean IoU ([0-9.]+)", html)]
        assert np.average(means, weights=sizes) == pytest.approx(told[when], abs=0.006)


def test_the_tuned_model_predicts_with_the_command_on_the_page(demo: tuple[Path, Run], tmp_path: Path) -> None:
    html = re.sub(r"</?span.*?>", "", (demo[0] / "index.html").read_text("utf-8"))
    (command,) = re.findall(r"sam2-adapter (predict .*best_sam2_model.torch .*?)(?:\n|<)", html)
    done = run(*command.split(), "--output", tmp_path, "--no-overlay", "--json")
    assert (done.status, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["images"][0]["objects"]) == 1


def test_the_bundled_crops_are_a_data_set_with_attribution() -> None:
    dataset = load_dataset(NUCLEI)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "test": 4,
        "train": 12,
        "validation": 4,
    }
    assert not dataset.left_out
    assert all(sample.original_hw == (128, 128) for sample in dataset.samples("all"))
    files = [path for path in NUCLEI.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000
    assert "CC0 1.0" in (NUCLEI / "ATTRIBUTION.md").read_text("utf-8")
