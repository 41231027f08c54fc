"""Options that several commands share, word for word."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2_adapter.formats.registry import data_formats

# Choices have to be an enumeration, whose names are those of the table; for the type checker they are texts.
if TYPE_CHECKING:
    DataFormatName = str
else:
    DataFormatName = StrEnum("DataFormatName", {name.upper(): name for name in data_formats()})

DataArgument = Annotated[
    Path, typer.Argument(help="Data set: a folder, or a COCO file.", metavar="DATA", show_default=False)
]
DataFormatOption = Annotated[
    DataFormatName | None,
    typer.Option(
        metavar="FORMAT",
        help=f"Layout of the data set, found automatically where not given: {', '.join(data_formats())}.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE|DIR", help="Model name, weights file or directory; default sam2_hiera_s.yaml."),
]
DeviceOption = Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
PrecisionOption = Annotated[str | None, typer.Option(metavar="NAME", help="auto, fp32, bf16, fp16 or int8 (OpenVINO).")]
ConfigOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings in a YAML or JSON file.")]
AssignmentsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the results of an earlier run there, and nothing else.")
]
