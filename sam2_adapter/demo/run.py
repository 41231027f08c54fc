"""Run the bundled model on the bundled photographs, fine-tune it on the bundled crops, and write `index.html`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.demo import NUM_EPOCHS
from sam2_adapter.demo.fine_tuning import FineTuning, fine_tune_nuclei
from sam2_adapter.demo.folder import PAGE_NAME, PHOTOS_FOLDER, begin_demo, open_demo_folder
from sam2_adapter.demo.page import Section, page_html
from sam2_adapter.demo.panel import Panel
from sam2_adapter.demo.scenes import Refinement, Scene, load_scenes, photo_bytes, read_photo
from sam2_adapter.files import write_file, write_json
from sam2_adapter.jobs.output_folder import provenance
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.segment import segment
from sam2_adapter.training.events import OnEvent

DEMO_MODEL = "sam2_nano"


@dataclass(frozen=True)
class DemoResult:
    """What the demo did.

    Attributes:
        page: the page to look at.
        num_photographs: how many photographs were predicted on.
        num_objects: how many masks were found.
        fine_tuning: what fine-tuning came to.
        seconds: time for everything, loading the model included.
        made_by: which model made the masks.
    """

    page: Path
    num_photographs: int
    num_objects: int
    fine_tuning: FineTuning
    seconds: float
    made_by: dict[str, Any]


def run_demo(
    directory: str | Path | None = None,
    num_epochs: int = NUM_EPOCHS,
    on_event: OnEvent | None = None,
    *,
    overwrite: bool = False,
) -> DemoResult:
    """Predict in all modes on the bundled photographs, fine-tune, predict again, and write a page that shows the result.

    Args:
        directory: takes `index.html`, which needs no other file; for trying the commands on the page `photos/`, with the
            photographs and their prompts files, and `nuclei/`; and `fine_tuning/`, the tuned model and its report. `None` takes a new
            folder in the working directory, `demo`, or `demo2`, `demo3`, ...
        num_epochs: of fine-tuning.
        on_event: as in `fine_tune`.
        overwrite: replace an earlier demo in the folder.

    Raises:
        OutputExistsError: the folder is not ours, or holds an earlier demo.
        ExportError: the folder cannot be written to.
        OutputExistsError: `fine_tuning/` in it holds something else than an earlier run of the demo.
    """
    with open_demo_folder(directory, overwrite=overwrite) as folder:
        return _run(folder, num_epochs, on_event)


def _run(folder: OwnedFolder, num_epochs: int, on_event: OnEvent | None) -> DemoResult:
    started = time.perf_counter()
    directory = folder.directory
    # fp32 is fast enough here and gives the same page on every machine.
    predictor = load_predictor(DEMO_MODEL, device="cpu", precision="fp32")
    scenes, refinement = load_scenes()
    photos = directory / PHOTOS_FOLDER
    sections = [_scene_section(predictor, scene, photos.as_posix()) for scene in scenes]
    sections.append(_refinement_section(predictor, refinement))
    begin_demo(folder, scenes)
    _write_photos(photos, scenes)
    fine_tuning = fine_tune_nuclei(directory, DEMO_MODEL, num_epochs, on_event)
    made_by = provenance(predictor.info)
    seconds = time.perf_counter() - started
    html = page_html(sections, fine_tuning, made_by, seconds)
    page = directory / PAGE_NAME
    write_file(page, lambda file: file.write(html.encode("utf-8")))
    num_objects = sum(len(panel.annotations) for section in sections for panel in section.panels)
    return DemoResult(page, len({scene.photo for scene in scenes}), num_objects, fine_tuning, seconds, made_by)


def _scene_section(predictor: Predictor, scene: Scene, folder: str) -> Section:
    image = read_photo(scene.photo)
    (embedding,) = predictor.embed([image])
    found = segment(predictor, embedding, scene.prompts)
    panel = Panel(scene.photo, photo_bytes(scene.photo), _hw(image), found.annotations, tuple(scene.prompts))
    return Section(scene.mode, scene.title, scene.text, scene.credit, scene.command(folder), (panel,))


def _refinement_section(predictor: Predictor, refinement: Refinement) -> Section:
    image = read_photo(refinement.photo)
    (embedding,) = predictor.embed([image])
    panels = []
    earlier = None
    for count in range(1, len(refinement.clicks) + 1):
        clicks = refinement.clicks[:count]
        prompt = _clicks_prompt(clicks, earlier)
        prediction = predictor.predict(embedding, [prompt])
        earlier = prediction.low_res_logits[0, 0]
        shown = _clicks_prompt(clicks, None)
        annotations = _annotations(prediction.masks[0, 0], float(prediction.iou_scores[0, 0]))
        caption = "first click" if count == 1 else f"click {count}, with the mask of step {count - 1}"
        panels.append(Panel(caption, photo_bytes(refinement.photo), _hw(image), annotations, (shown,)))
    return Section("Corrections", refinement.title, refinement.text, refinement.credit, "", tuple(panels))


def _clicks_prompt(clicks: tuple[tuple[float, float, int], ...], earlier: npt.NDArray[np.float32] | None) -> Prompt:
    coords = np.array([click[:2] for click in clicks], np.float32)
    return Prompt(point_coords=coords, point_labels=np.array([click[2] for click in clicks]), mask_input=earlier)


def _annotations(mask: npt.NDArray[np.bool_], iou_score: float) -> tuple[Annotation, ...]:
    return (Annotation.from_mask(mask, "object", iou_score, prompt_index=0),) if mask.any() else ()


def _write_photos(folder: Path, scenes: list[Scene]) -> None:
    for scene in scenes:
        write_file(folder / scene.photo, partial(_write_photo, scene.photo))
        write_json(folder / scene.prompts_name, {"images": {scene.photo: list(scene.entries)}})


def _write_photo(name: str, file: IO[bytes]) -> None:
    file.write(photo_bytes(name))


def _hw(image: npt.NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
