"""`sam2-adapter blend`: a model between an untouched one and the one that was tuned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_adapter.cli.options import OverwriteOption
from sam2_adapter.cli.output import print_json, say
from sam2_adapter.cli.terminal import DebugOption, JsonOption, VerboseOption, one_clear_message


@one_clear_message
def blend(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="The untouched model: name, file or directory.", show_default=False)
    ],
    tuned: Annotated[
        str, typer.Argument(metavar="TUNED", help="The model that was tuned from it.", show_default=False)
    ],
    share: Annotated[
        float,
        typer.Argument(metavar="SHARE", min=0, max=1, help="Part of the tuned weights: 0 to 1.", show_default=False),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write.", show_default=False)],
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Mix the weights of a tuned model with those of the model that it was tuned from.

    A smaller share forgets less of what the untouched model could do, and keeps less of what was learned; the report of a
    run shows both for several shares. The two must have one image encoder. The file is in Meta's layout.
    """
    from sam2_adapter.training.blend import blend_checkpoints

    written = blend_checkpoints(base, tuned, share, output, overwrite=overwrite)
    if as_json:
        print_json({"written": str(written), "share": share})
    else:
        say(written)
