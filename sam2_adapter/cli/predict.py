"""`sam2-adapter predict`: masks for image files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2_adapter.cli.interruption import sigterm_like_ctrl_c
from sam2_adapter.cli.options import AssignmentsOption, ConfigOption, DeviceOption, ModelOption, PrecisionOption
from sam2_adapter.cli.output import print_error, warn
from sam2_adapter.cli.predict_report import Report, make_report
from sam2_adapter.cli.terminal import FAILED, DebugOption, JsonOption, UsageError, VerboseOption, one_clear_message

if TYPE_CHECKING:
    from sam2_adapter.annotations.prompts import Prompt
    from sam2_adapter.config import Config
    from sam2_adapter.jobs.tasks import ImageTask
    from sam2_adapter.predict.predictor import Predictor


class EngineChoice(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


class OutputFormat(StrEnum):
    """What results can be written as."""

    COCO = "coco"
    DATALOOP = "dataloop"
    MASKS = "masks"
    POLYGONS = "polygons"


@dataclass(frozen=True)
class _Writing:
    """What is written where."""

    directory: Path
    formats: tuple[OutputFormat, ...]
    overlay: bool
    max_pixels: int
    batch_size: int | None
    workers: int | None
    resume: bool


@one_clear_message
def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE_OR_DIR...",
            help="Image files, and folders of them; with --engine ray also URLs, such as s3://bucket/photos.",
            show_default=False,
        ),
    ],
    point: Annotated[
        list[str] | None, typer.Option(metavar="X,Y", help="A point inside an object; each makes one object.")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(metavar="X0,Y0,X1,Y1", help="A box around an object; each makes one object.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Prompts file: any prompts for any of the images.")
    ] = None,
    model: ModelOption = None,
    output: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the results; with --engine ray also a URL.")
    ] = "predictions",
    formats: Annotated[
        list[OutputFormat] | None, typer.Option("--format", help="Format to write; may be repeated. Default: coco.")
    ] = None,
    overlay: Annotated[
        bool | None,
        typer.Option(
            "--overlay/--no-overlay",
            help="Draw prompts and masks over a copy of every image; default: do, but not on ray.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Label of objects whose prompt has none; default object.")
    ] = None,
    device: DeviceOption = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="NAME", help="Engine that runs the model: auto, torch or openvino.")
    ] = None,
    precision: PrecisionOption = None,
    config: ConfigOption = None,
    assignments: AssignmentsOption = None,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", min=1, help="Largest accepted image, in pixels.")
    ] = 100_000_000,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Images in one call of the encoder; if not given, 1 on a CPU and 16 on a GPU.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=4096,
            help="Threads that read images; if not given, 2, and up to 8 beside a GPU. With --engine ray, models at work.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an earlier run into the output folder has done.")
    ] = False,
    engine: Annotated[
        EngineChoice, typer.Option(help="This process, or the machines of a Ray cluster, which write Parquet files.")
    ] = EngineChoice.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The Ray cluster; without it, one is started on this machine.")
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Find the masks of objects and write them to a folder.

    Without a prompt the most prominent object of every image is found. Points and boxes are pixels of the upright
    image, counted from its top left corner, and are used on every image given; a prompts file has its own for each.
    An image that fails is named, costs nothing but itself and makes the exit status 1.
    """
    from sam2_adapter.cli.settings import config_from_options

    options = {"default_label": label, "device": device, "runtime": runtime, "precision": precision}
    settings = config_from_options(config, assignments or [], options)
    typed = _typed_prompts(point, box, prompts)
    if engine is EngineChoice.RAY:
        from sam2_adapter.cli.predict_on_cluster import (
            ClusterRequest,
            cluster_prediction,
            find_cluster_tasks,
            run_on_cluster,
        )

        _refuse_on_ray(formats, overlay, batch_size)
        tasks = find_cluster_tasks(images, lambda paths: _plan(paths, typed, prompts))
        request = ClusterRequest(output, workers, ray_address, max_pixels, resume)
        prediction = cluster_prediction(request, tasks, model or settings.model_cfg, settings)
        _warn_of_other_resize(settings, prediction.resize)

        def work(report: Report) -> None:
            run_on_cluster(prediction, output, report)

    else:
        from sam2_adapter.images.read import find_images

        if ray_address is not None:
            raise UsageError("--ray-address goes with --engine ray.")
        _refuse_urls([*images, output])
        tasks = _plan(find_images(images), typed, prompts)
        writing = _Writing(
            Path(output),
            tuple(formats or [OutputFormat.COCO]),
            overlay is not False,
            max_pixels,
            batch_size,
            workers,
            resume,
        )
        predictor = _load(model, settings, len(tasks))

        def work(report: Report) -> None:
            _run(predictor, tasks, settings, writing, report)

    report = make_report(len(tasks), as_json=as_json)
    with sigterm_like_ctrl_c() as interruption:
        try:
            work(report)
        except KeyboardInterrupt:
            print_error(f"interrupted; what is done is in {output}. Give the same command with --resume to go on.")
            raise typer.Exit(interruption.exit_status) from None
    if report.num_failed:
        raise typer.Exit(FAILED)


def _load(model: str | None, settings: Config, num_images: int) -> Predictor:
    from sam2_adapter.predict.loading import load_predictor

    predictor = load_predictor(
        model or settings.model_cfg,
        settings.device,
        settings.runtime,
        settings.precision,
        expected_images=num_images,
    )
    _warn_of_other_resize(settings, predictor.info.resize)
    return predictor


def _refuse_on_ray(formats: Sequence[OutputFormat] | None, overlay: bool | None, batch_size: int | None) -> None:
    if formats:
        raise UsageError("--engine ray writes Parquet files; leave --format out.")
    if overlay:
        raise UsageError("--engine ray draws no pictures; leave --overlay out.")
    if batch_size is not None:
        raise UsageError("--engine ray encodes one image at a time; leave --batch-size out.")


def _refuse_urls(locations: Sequence[str]) -> None:
    from sam2_adapter.jobs.tasks import is_url

    if urls := [location for location in locations if is_url(location)]:
        raise UsageError(f"{urls[0]} is a URL, which only --engine ray reads and writes; give a path.")


def _warn_of_other_resize(settings: Config, resize: str) -> None:
    """Say so where `resize` was set: a model keeps the way in which its images were resized in training."""
    if "resize" in settings.model_fields_set and settings.resize != resize:
        warn(
            f"resize = {settings.resize} has no effect here: this model was made for {resize}, and "
            "predicts with that. Only training chooses it."
        )


def _typed_prompts(
    points: Sequence[str] | None, boxes: Sequence[str] | None, prompts_file: Path | None
) -> tuple[Prompt, ...]:
    from sam2_adapter.cli.prompt_options import prompts_from_options

    if prompts_file is not None and (points or boxes):
        raise UsageError(
            "--prompts has the prompts of every image; leave out --point and --box, or write them into the file."
        )
    return prompts_from_options(points or (), boxes or ())


def _plan(paths: Sequence[Path], typed: Sequence[Prompt], prompts_file: Path | None) -> list[ImageTask]:
    from sam2_adapter.errors import PromptError
    from sam2_adapter.formats.prompts_file import match_prompts, read_prompts_file, unmatched_names
    from sam2_adapter.jobs.tasks import plan_tasks

    if prompts_file is None:
        return plan_tasks(paths, dict.fromkeys(paths, typed))
    listed = read_prompts_file(prompts_file)
    unmatched = unmatched_names(listed, paths)
    if listed and len(unmatched) == len(listed):
        raise PromptError(
            f"{prompts_file}: none of the images that it lists is among those given; the first is {unmatched[0]!r}."
        )
    if unmatched:
        warn(
            f"{prompts_file}: {len(unmatched)} images that it lists are not among those given, such as {unmatched[0]!r}."
        )
    return plan_tasks(paths, match_prompts(listed, paths))


def _run(predictor: Predictor, tasks: Sequence[ImageTask], settings: Config, writing: _Writing, report: Report) -> None:
    """Predict on all images."""
    from sam2_adapter.jobs.journal import Journal
    from sam2_adapter.jobs.local import BulkOptions, predict_files
    from sam2_adapter.jobs.output_folder import OutputFolder, provenance

    options = BulkOptions(
        settings.clip_to_box, settings.default_label, writing.max_pixels, writing.batch_size, writing.workers
    )
    made_by = provenance(predictor.info)
    journaled = {
        **made_by,
        "formats": sorted(choice.value for choice in writing.formats),
        "overlay": writing.overlay,
        "output_type": settings.output_type,
        "clip_to_box": settings.clip_to_box,
        "default_label": settings.default_label,
    }
    with Journal(writing.directory, journaled, resume=writing.resume) as journal, report:
        report.start(made_by, writing.directory)
        with (
            OutputFolder(
                writing.directory,
                [choice.value for choice in writing.formats],
                predictor.info,
                overlay=writing.overlay,
                output_type=settings.output_type,
                file_names=[task.name for task in tasks],
            ) as folder,
            closing(predict_files(predictor, tasks, folder, options, journal)) as results,
        ):
            for result in results:
                report.add(result)
