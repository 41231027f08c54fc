"""`sam2-adapter predict`: masks for image files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2_adapter.cli.interruption import sigterm_like_ctrl_c
from sam2_adapter.cli.options import (
    AssignmentsOption,
    ConfigOption,
    DeviceOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from sam2_adapter.cli.output import print_error, warn
from sam2_adapter.cli.predict_report import make_report
from sam2_adapter.cli.terminal import FAILED, DebugOption, JsonOption, UsageError, VerboseOption, one_clear_message
from sam2_adapter.formats.registry import output_formats

if TYPE_CHECKING:
    from sam2_adapter.config import Config
    from sam2_adapter.jobs.predict_images import PredictionRun
    from sam2_adapter.jobs.ray.run import ClusterPrediction
    from sam2_adapter.jobs.tasks import GivenPrompts


class EngineChoice(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


class UnitsChoice(StrEnum):
    """What coordinates are."""

    PIXEL = "pixel"
    FRACTION = "fraction"


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
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Prompts file, or boxes and points drawn in labelme or CVAT: any prompts for any of the images.",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Find all objects of images without prompts; see `points_per_side` and others of --set.",
        ),
    ] = False,
    model: ModelOption = None,
    units: Annotated[
        UnitsChoice,
        typer.Option(help="What the coordinates of points and boxes are: pixels, or fractions of width and height."),
    ] = UnitsChoice.PIXEL,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="off|auto|PIXELS",
            help="Answer small boxes and masks in windows, cut at full resolution; PIXELS also each click. Default: auto.",
        ),
    ] = None,
    max_windows: Annotated[
        int | None, typer.Option(metavar="N", help="Most windows of an image; default 64.", show_default=False)
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Look at this part of every image only, in pixels; results stay in pixels of the whole image.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the results; if not given, a new one: predictions, predictions2, ... With --engine ray also a URL.",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME[,NAME]...",
            help=f"Formats to write: {', '.join(output_formats())}; may be repeated. Default: coco.",
        ),
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
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N images.")] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Largest image read whole, in pixels; if not given, 100 million. Of larger TIFF files parts are read.",
        ),
    ] = None,
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
    overwrite: OverwriteOption = False,
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

    Without a prompt the most prominent object of every image is found, with --everything all objects. Points and boxes are pixels of the upright
    image, counted from its top left corner, and are used on every image given; a prompts file has its own for each.
    An image that fails is named, the others are done, and the exit status is 1.
    """
    from sam2_adapter.cli.config_options import config_from_options

    options = {
        "default_label": label,
        "device": device,
        "runtime": runtime,
        "precision": precision,
        "window": window,
        "max_windows": max_windows,
        "without_prompts": "everything" if everything else None,
    }
    settings = _with_windows(config_from_options(config, assignments or [], options))
    given = _given_prompts(point, box, prompts)
    if everything and (point or box):
        raise UsageError("--everything finds all objects without a prompt; leave out --point and --box.")
    if resume and overwrite:
        raise UsageError("--resume keeps earlier results, and --overwrite replaces them; choose one.")
    run: PredictionRun | ClusterPrediction
    if engine is EngineChoice.RAY:
        from sam2_adapter.cli.predict_on_cluster import ClusterRequest, cluster_prediction

        _refuse_on_ray(formats, overlay, batch_size, region)
        request = ClusterRequest(output, workers, ray_address, max_pixels, resume, overwrite, limit, units.value)
        run = cluster_prediction(request, images, given, model or settings.model_cfg, settings)
    else:
        from sam2_adapter.cli.prompt_options import region_from_option
        from sam2_adapter.jobs.predict_images import predict_images

        if ray_address is not None:
            raise UsageError("--ray-address goes with --engine ray.")
        _refuse_urls([*images, *([output] if output else [])])
        run = predict_images(
            images,
            given,
            model=model,
            output=output,
            formats=_chosen_formats(formats or ["coco"]),
            overlay=overlay is not False,
            config=settings,
            resume=resume,
            overwrite=overwrite,
            limit=limit,
            units=units.value,
            max_pixels=max_pixels,
            batch_size=batch_size,
            workers=workers,
            region=None if region is None else region_from_option(region),
        )
    _warn_of_other_resize(settings, run.resize)
    _work(run, output, as_json=as_json)


def _work(run: PredictionRun | ClusterPrediction, output: str | None, *, as_json: bool) -> None:
    """Predict on all images, and say what became of each."""
    report = make_report(run.num_images, as_json=as_json)
    with sigterm_like_ctrl_c() as interruption:
        try:
            with report, run:
                report.start(run.made_by, run.directory)
                run.on_points = report.tell_points
                report.tell_passed_over(run.passed_over)
                with closing(iter(run)) as results:
                    for result in results:
                        report.add(result)
        except KeyboardInterrupt:
            again = "" if output else f"--output {run.directory} "
            print_error(
                f"interrupted; what is done is in {run.directory}. Give the same command with {again}--resume to go on."
            )
            raise typer.Exit(interruption.exit_status) from None
    if report.num_failed or report.num_refused_prompts:
        raise typer.Exit(FAILED)


def _with_windows(settings: Config) -> Config:
    """The settings with the command line's own default, under which small prompts are answered in windows."""
    return settings if "window" in settings.model_fields_set else settings.model_copy(update={"window": "auto"})


def _chosen_formats(formats: Sequence[str]) -> list[str]:
    """The names of all formats, each `--format` with one or several."""
    return [name.strip() for text in formats for name in text.split(",") if name.strip()]


def _refuse_on_ray(
    formats: Sequence[str] | None, overlay: bool | None, batch_size: int | None, region: str | None
) -> None:
    if formats:
        raise UsageError("--engine ray writes Parquet files; leave --format out.")
    if overlay:
        raise UsageError("--engine ray draws no pictures; leave --overlay out.")
    if batch_size is not None:
        raise UsageError("--engine ray encodes one image at a time; leave --batch-size out.")
    if region is not None:
        raise UsageError("--engine ray looks at whole images; leave --region out.")


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


def _given_prompts(
    points: Sequence[str] | None, boxes: Sequence[str] | None, prompts_file: Path | None
) -> GivenPrompts:
    from sam2_adapter.cli.prompt_options import prompts_from_options

    if prompts_file is not None and (points or boxes):
        raise UsageError(
            "--prompts has the prompts of every image; leave out --point and --box, or write them into the file."
        )
    return prompts_file or prompts_from_options(points or (), boxes or ())
