"""The demo's fine-tuning: the bundled model on a dozen crops of nuclei, measured and shown on crops held out from it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO

from sam2_adapter.config import Config
from sam2_adapter.demo import NUM_EPOCHS
from sam2_adapter.demo.panel import Panel
from sam2_adapter.evaluation.evaluate import evaluate_prompts
from sam2_adapter.evaluation.measure import first_click_prompt
from sam2_adapter.evaluation.scores import Evaluation, PromptMode
from sam2_adapter.files import write_file
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.segment import segment
from sam2_adapter.text import plural
from sam2_adapter.training.events import OnEvent
from sam2_adapter.training.fine_tune import fine_tune
from sam2_adapter.training.records import REPORT_NAME, TrainingResult
from sam2_adapter.training.run_files import CHECKPOINT_FOLDER

DATA_FOLDER = "nuclei"
RUN_FOLDER = "fine_tuning"

# Smaller differences of mean IoU are no news on so few objects.
NOTABLE_DIFFERENCE = 0.01

_SHOWN: PromptMode = "point"
_PROMPTS: dict[PromptMode, str] = {"point": "one click", "box": "box"}


@dataclass(frozen=True)
class Figure:
    """Mean IoU on the held-out objects from one kind of prompt, in 0..1.

    Attributes:
        prompt: kind of prompt, in words.
        before: of the bundled model.
        after: of the fine-tuned one.
        ellipse: of a trivial answer, the ellipse in the box of the object.
    """

    prompt: str
    before: float
    after: float
    ellipse: float

    @property
    def gain(self) -> float:
        """What fine-tuning changed; below 0 where it made things worse."""
        return self.after - self.before


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning came to.

    Attributes:
        result: of the run.
        figures: mean IoUs on the held-out objects.
        num_training_objects: what was trained on.
        num_objects: how many objects were held out.
        before: the held-out crops with the masks of the bundled model, one click per object, and the true outlines.
        after: the same with the masks of the fine-tuned model.
        commands: the commands that train so, and that predict with the tuned model.
    """

    result: TrainingResult
    figures: tuple[Figure, ...]
    num_training_objects: int
    num_objects: int
    before: tuple[Panel, ...]
    after: tuple[Panel, ...]
    commands: tuple[str, ...]

    @property
    def report_path(self) -> Path:
        """The report of the run."""
        return self.result.model_path.with_name(REPORT_NAME)

    @property
    def verdict(self) -> str:
        """In a few sentences whether fine-tuning has helped."""
        if self.is_untouched:
            return "Interrupted before the first epoch was done: nothing was learned, and both columns are of the untouched model."
        if self.result.stopped == "interrupted":
            return f"Interrupted after {plural(self.result.epochs, 'epoch')}. {self._gains}"
        return self._gains

    @property
    def is_untouched(self) -> bool:
        """Whether the run was interrupted before anything was learned."""
        return self.result.epochs == 0

    @property
    def _gains(self) -> str:
        if self.result.best_epoch == 0:
            return "Nothing was gained: no epoch beat the untouched model on the crops for choosing, so the original was kept."
        better = [figure.prompt for figure in self.figures if figure.gain >= NOTABLE_DIFFERENCE]
        worse = [figure.prompt for figure in self.figures if figure.gain <= -NOTABLE_DIFFERENCE]
        same = [figure.prompt for figure in self.figures if abs(figure.gain) < NOTABLE_DIFFERENCE]
        kinds = (("Better from", better), ("No notable difference from", same), ("Worse from", worse))
        told = " ".join(f"{what} {' and '.join(prompts)}." for what, prompts in kinds if prompts)
        return told if better else f"Nothing was gained on the held-out crops. {told}"


def fine_tune_nuclei(
    directory: Path,
    model: str,
    num_epochs: int = NUM_EPOCHS,
    on_event: OnEvent | None = None,
) -> FineTuning:
    """Fine-tune a model on the bundled crops, as `train` does, and measure it on those that were held out.

    Args:
        directory: takes `nuclei/`, the data set, and `fine_tuning/`, the run; an earlier demo's run there is replaced.
        model: what to start from, as in `load_model`.
        num_epochs: passes over the crops.
        on_event: as in `fine_tune`.

    Raises:
        ExportError: `directory` cannot be written to.
        OutputExistsError: `fine_tuning/` holds something else than an earlier run.
    """
    data, run = directory / DATA_FOLDER, directory / RUN_FOLDER
    _copy(resources.files("sam2_adapter").joinpath("assets", "demo", DATA_FOLDER), data)
    # fp32: not every CPU has bf16, and its figures would differ. So few crops need no encoded images on disk.
    config = Config(preset="recommended", num_epochs=num_epochs, device="cpu", precision="fp32", disk_mib=0)
    result = fine_tune(data, run, config, model=model, name=DATA_FOLDER, overwrite=True, on_event=on_event)
    # The run is over: nobody resumes it.
    shutil.rmtree(run / CHECKPOINT_FOLDER, ignore_errors=True)
    dataset = load_dataset(data)
    held_out = dataset.samples("test")
    predictors = [load_predictor(path, device="cpu", precision="fp32") for path in (model, result.model_path)]
    evaluations = [evaluate_prompts(predictor, held_out, tuple(_PROMPTS)) for predictor in predictors]
    before, after = (
        tuple(_panel(predictor, sample, evaluation[_SHOWN]) for sample in held_out)
        for predictor, evaluation in zip(predictors, evaluations, strict=True)
    )
    return FineTuning(
        result=result,
        figures=tuple(_figure(prompt, *(found[prompt] for found in evaluations)) for prompt in _PROMPTS),
        num_training_objects=_num_objects(dataset.samples("train")),
        num_objects=_num_objects(held_out),
        before=before,
        after=after,
        commands=_commands(data, model, num_epochs, held_out[0], result.model_path),
    )


def _commands(data: Path, model: str, num_epochs: int, sample: Sample, tuned: Path) -> tuple[str, ...]:
    x, y = first_click_prompt(sample.objects[0]).point_coords[0].tolist()
    train = ("train", data.as_posix(), "--model", model, "--preset", "recommended")
    predict = ("predict", sample.image_path.as_posix(), "--model", tuned.as_posix(), "--point", f"{x:g},{y:g}")
    return (
        shlex.join(("sam2-adapter", *train, "--set", f"num_epochs={num_epochs}", "--output", "run")),
        shlex.join(("sam2-adapter", *predict)),
    )


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        else:
            write_file(target / entry.name, partial(_write, entry))


def _write(source: Traversable, file: IO[bytes]) -> None:
    file.write(source.read_bytes())


def _num_objects(samples: Sequence[Sample]) -> int:
    return sum(len(sample.objects) for sample in samples)


def _figure(prompt: PromptMode, before: Evaluation, after: Evaluation) -> Figure:
    ellipse = sum(row.ellipse_iou for row in before.objects) / len(before.objects)
    return Figure(_PROMPTS[prompt], _mean_iou(before), _mean_iou(after), ellipse)


def _mean_iou(evaluation: Evaluation, sample: str | None = None) -> float:
    ious = [row.mask_iou for row in evaluation.objects if sample in (None, row.sample)]
    return sum(ious) / len(ious)


def _panel(predictor: Predictor, sample: Sample, evaluation: Evaluation) -> Panel:
    """A crop with the answers to one click per object, the clicks that were measured."""
    prompts = [first_click_prompt(annotation) for annotation in sample.objects]
    (embedding,) = predictor.embed([sample.read_image()])
    found = segment(predictor, embedding, prompts)
    caption = f"mean IoU {_mean_iou(evaluation, sample.name):.2f}"
    photo = sample.image_path.read_bytes()
    return Panel(caption, photo, sample.original_hw, found.annotations, tuple(prompts), sample.objects)
