"""`predict_images`: masks for image files and folders, written to a folder; what `sam2-adapter predict` calls."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from sam2_adapter.annotations.prompts import Units
from sam2_adapter.annotations.regions import Region
from sam2_adapter.arguments import one_of, path_of, truth_value, whole_number
from sam2_adapter.config import Config, given_config
from sam2_adapter.errors import ConfigError, ImageError, OutputExistsError
from sam2_adapter.formats.registry import output_formats
from sam2_adapter.images.find import PassedOver, search_images
from sam2_adapter.jobs.answers import ImageResult
from sam2_adapter.jobs.journal import Journal
from sam2_adapter.jobs.local import OnImagePoints, predict_files
from sam2_adapter.jobs.output_folder import OutputFolder, entries_of, provenance
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.jobs.tasks import GivenPrompts, ImageTask, plan_tasks, prompts_for
from sam2_adapter.numbered_folder import open_numbered_folder
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import results_in
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import Predictor

COMMAND = "predict"
DEFAULT_OUTPUT = "predictions"


class PredictionRun:
    """A run of `predict_images`: loop over it to predict; a context manager that ends it in good order.

    Attributes:
        directory: the folder that the results are written to.
        num_images: how many images there are.
        made_by: the program, the model, its weights and its engine.
        resize: how the model wants images to be brought to its square.
        passed_over: pictures and videos in the folders that are not read, by kind.
        on_points: may be set; told, while everything in an image is looked for, its name, the points done, and their total.
    """

    on_points: OnImagePoints | None = None

    def __init__(
        self,
        predictor: Predictor,
        tasks: Sequence[ImageTask],
        folder: OwnedFolder,
        options: PredictOptions,
        formats: Sequence[str],
        *,
        overlay: bool,
        passed_over: Sequence[PassedOver] = (),
        labels: Sequence[str] = (),
    ) -> None:
        """Begin to write into the folder, which is let go where that fails; arguments as in `predict_images` and `OutputFolder`."""
        self.directory = folder.directory
        self.num_images = len(tasks)
        self.made_by = provenance(predictor.info)
        self.resize = predictor.info.resize
        self.passed_over = tuple(passed_over)
        self._all_failed = False
        settings = {
            **self.made_by,
            "formats": sorted(formats),
            "overlay": overlay,
            "output_type": options.output_type,
            **options.prediction.to_dict(),
            **({"region": str(options.region)} if options.region is not None else {}),
        }
        with ExitStack() as opened:
            opened.enter_context(folder)
            opened.callback(lambda: folder.discard() if self._all_failed else None)
            folder.begin(entries_of(formats, overlay=overlay))
            journal = opened.enter_context(Journal(folder, settings, units=options.units))
            output = opened.enter_context(
                OutputFolder(
                    folder,
                    formats,
                    predictor.info,
                    overlay=overlay,
                    output_type=options.output_type,
                    file_names=[task.name for task in tasks],
                    labels=labels,
                )
            )
            self._open = opened.pop_all()
        self._results = predict_files(predictor, tasks, output, options, journal, self._tell_points)

    def __iter__(self) -> Generator[ImageResult, None, None]:
        """Predict, yielding what became of each image, in order; its files are written then."""
        with self._open, closing(self._results) as results:
            num_done = 0
            for result in results:
                num_done += result.error is None
                yield result
            self._all_failed = not num_done

    def _tell_points(self, name: str, done: int, total: int) -> None:
        if self.on_points is not None:
            self.on_points(name, done, total)

    def close(self) -> None:
        """Complete the files that hold all images, and let the folder go; done already where all results were taken."""
        self._results.close()
        self._open.close()

    def __enter__(self) -> Self:
        """The run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the run, also where it was broken off."""
        self.close()


def predict_images(
    images: str | Path | Iterable[str | Path],
    prompts: GivenPrompts = None,
    *,
    model: str | Path | Predictor | None = None,
    output: str | Path | None = None,
    formats: Sequence[str] = ("coco",),
    overlay: bool = True,
    config: Config | None = None,
    resume: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    units: Units = "pixel",
    max_pixels: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    region: Sequence[float] | Region | None = None,
) -> PredictionRun:
    """Find the masks of objects in many images and write them to a folder.

        for result in sam2_adapter.predict_images("photos", [{"box": [40, 60, 300, 220]}], output="masks"):
            print(result.task.name, result.error or len(result.segmentation.annotations))

    Everything is checked before this returns; images are predicted while the results are taken, a few ahead, so that any number of them
    fits in memory. An image that fails, or a prompt that cannot be used, does not affect the others: it is named in its result.

    Args:
        images: image files and folders, which are searched with their subfolders.
        prompts: prompts for every image, as `Prompt` or dicts of the prompts file's form; or image name to its prompts; or the path of a
            prompts file. Images without any are predicted in the zero-shot mode: their most prominent object.
        model: name, weights file or directory, or a predictor that is loaded already; `None` takes `model_cfg` of the configuration.
        output: folder for the results; `None` takes a new one, `predictions`, or `predictions2`, `predictions3`, ... in the working
            directory. A folder that is neither empty nor from an earlier run is refused.
        formats: names of `formats.registry.output_formats()`, such as `coco`, `dataloop`, `masks`, `polygons` and `yolo`.
        overlay: also draw masks and prompts over a copy of every image.
        config: settings; `None` for the defaults.
        resume: keep what an earlier run into the folder has done.
        overwrite: replace the results of an earlier run into the folder, and nothing else.
        limit: only so many images, the first ones.
        units: what the coordinates of boxes and points are: `pixel`, or `fraction` of the image's width and height.
        max_pixels: largest image that is read whole; `None` for 100 million pixels. Of a larger TIFF file only the windows around its prompts
            are read; other files of that size are refused.
        batch_size: images in one call of the encoder; `None` for what suits the device.
        workers: threads that read images; `None` for what suits the device.
        region: (x0, y0, x1, y1) in whole pixels, the part of every image that is looked at, as if it were the image. Prompts and results stay
            in pixels of the whole image, and prompts outside are refused. Of TIFF files above `max_pixels` only the region is read.

    Returns:
        The run, to loop over once; each result has the image, its objects, its files, or the error.

    Raises:
        ConfigError: a format, a setting or the model's name is unknown, or the run to go on with had other settings.
        ImageError: a file or folder does not exist, or there is no image.
        PromptError: the prompts file is none, or fits none of the images, or the region is none.
        OutputExistsError: the output folder is not ours, or holds earlier results.
        FolderInUseError: another command writes to it.
        ExportError: it cannot be written to.
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    config = given_config(config)
    options = PredictOptions.from_config(
        config, units=units, max_pixels=max_pixels, batch_size=batch_size, workers=workers, region=region
    )
    chosen = checked_formats(formats)
    for name, value in (("overlay", overlay), ("resume", resume), ("overwrite", overwrite)):
        truth_value(value, name)
    if resume and overwrite:
        raise ConfigError("resume keeps earlier results and overwrite replaces them; choose one.")
    given = _as_list(images)
    found = search_images(given)
    paths = found.paths if limit is None else found.paths[: whole_number(limit, "limit", 1)]
    planned = prompts_for(paths, prompts)
    tasks = plan_tasks(paths, planned.of_path)
    inputs = [*given, prompts] if isinstance(prompts, str | Path) else given
    folder = open_output(output, resume=resume, overwrite=overwrite, inputs=inputs)
    with ExitStack() as opened:
        opened.enter_context(folder)
        _refuse_own_results(tasks, folder.directory)
        predictor = _loaded(model, config, len(tasks))
        opened.pop_all()
    return PredictionRun(
        predictor, tasks, folder, options, chosen, overlay=overlay, passed_over=found.passed_over, labels=planned.labels
    )


def _as_list(images: object) -> list[Path]:
    """The images that are given, one or several."""
    if isinstance(images, Iterable) and not images:
        raise ImageError("There is no image: the list of images is empty.")
    several = [images] if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable) else images
    return [path_of(image, "An image", "a file or folder of pictures", ImageError) for image in several]


def open_output(
    output: str | Path | None, *, resume: bool, overwrite: bool, inputs: Sequence[str | Path] = ()
) -> OwnedFolder:
    """Open the folder for the results of a prediction, a new one where none is named; arguments as in `predict_images`."""
    if output is None:
        return open_numbered_folder(DEFAULT_OUTPUT, COMMAND, resume=resume, overwrite=overwrite, inputs=inputs)
    directory = path_of(output, "output", "a folder for the results")
    return OwnedFolder(directory, COMMAND, resume=resume, overwrite=overwrite, inputs=inputs)


def checked_formats(formats: Sequence[str]) -> list[str]:
    """Formats of results, each once.

    Raises:
        ConfigError: there is no such format, or none is named.
    """
    known = output_formats()
    if isinstance(formats, str) or not isinstance(formats, Iterable):
        raise ConfigError(f"formats is a list of names, such as ['coco', 'masks'], but got {formats!r}.")
    named = list(formats)
    if not named:
        raise ConfigError(
            f"There is no format of results: the list of formats is empty. The choices are {', '.join(known)}."
        )
    for name in named:
        one_of(name, "format", known)
    return [name for name in known if name in named]


def _refuse_own_results(tasks: Sequence[ImageTask], directory: Path) -> None:
    """Refuse to replace results while they are read."""
    folder = os.path.realpath(directory)
    own = {os.path.join(folder, name) for name in results_in(directory)}
    for task in tasks if own else ():
        path = os.path.realpath(task.path)
        if any(path == entry or path.startswith(entry + os.sep) for entry in own):
            raise OutputExistsError(
                f"{task.path} is a result in {directory}, where the new results would go. Choose another output folder."
            )


def _loaded(model: str | Path | Predictor | None, config: Config, num_images: int) -> Predictor:
    if isinstance(model, Predictor):
        return model
    return load_predictor(
        model or config.model_cfg, config.device, config.runtime, config.precision, expected_images=num_images
    )
