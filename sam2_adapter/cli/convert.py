"""`sam2-adapter convert`: checkpoints between Meta's and transformers' layout."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sam2_adapter.cli.options import OverwriteOption
from sam2_adapter.cli.output import print_json, say
from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message


class Layout(StrEnum):
    """The layouts that can be written."""

    META = "meta"
    TRANSFORMERS = "transformers"


class Consumer(StrEnum):
    """Programs that ask for more than a layout."""

    ULTRALYTICS = "ultralytics"


@one_clear_message
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Weights file, or directory of transformers.", show_default=False)
    ],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="File, or directory for transformers.", show_default=False)
    ],
    to: Annotated[Layout, typer.Option("--to", help="Layout to write.")] = Layout.META,
    for_consumer: Annotated[
        Consumer | None, typer.Option("--for", help="Write the file name by which this program knows the model.")
    ] = None,
    video_tensors: Annotated[
        Path | None,
        typer.Option(
            "--video-tensors",
            metavar="FILE",
            help="Full checkpoint of the same model, for the video tensors SOURCE lacks.",
        ),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(metavar="NAME", help="Configuration name of SOURCE, where it cannot be recognised.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a checkpoint in another layout; every value stays bit for bit what it was.

    Meta's layout opens in Meta's own code and in ultralytics, the other one with transformers' `from_pretrained`.
    """
    from sam2_adapter.models.weights.convert import convert_checkpoint

    written = convert_checkpoint(
        source,
        target,
        to=to.value,
        for_ultralytics=for_consumer is Consumer.ULTRALYTICS,
        video_tensors=video_tensors,
        architecture=architecture,
        overwrite=overwrite,
    )
    if as_json:
        print_json({"written": str(written), "layout": to.value})
    else:
        say(written)
