"""`sam2-adapter label`: a page in the browser, to click on pictures."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam2_adapter.cli.interruption import sigterm_like_ctrl_c
from sam2_adapter.cli.options import DeviceOption, ModelOption
from sam2_adapter.cli.output import print_json, say, tell
from sam2_adapter.cli.terminal import DebugOption, JsonOption, UsageError, VerboseOption, one_clear_message
from sam2_adapter.formats.registry import output_formats
from sam2_adapter.text import plural

if TYPE_CHECKING:
    from sam2_adapter.label.export import Exported
    from sam2_adapter.label.run import LabelSession


@one_clear_message
def label(
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER|IMAGES]...", help="A folder of pictures, or image files.", show_default=False),
    ] = None,
    model: ModelOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the work and its exports; if not given, labels in the folder of the pictures.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="NAME[,NAME]...", help="Labels to choose from; may be repeated.")
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME]...",
            help=f"Only write what was labelled, in these formats, and open no page: {', '.join(output_formats())}; report is a page to look at.",
        ),
    ] = None,
    device: DeviceOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting of teaching on the page, or output_type=polygon for --export; may be repeated.",
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="N", help="Port of the page; 0 takes the usual one of the folder, or a free one."
        ),
    ] = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; anything but this machine itself needs --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Secret of the page's address; if not given, a new one for each start."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Show the page in the browser.")] = True,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Open a page where you click on pictures, correct the masks, name them and export them.

    Every mask that you accept is saved at once. Ctrl-C ends the page and writes annotations.json (COCO).
    """
    from sam2_adapter.label.export import check_formats
    from sam2_adapter.label.run import Address, LabelSession, serve

    if not images:
        raise UsageError("Name a folder of pictures, as in `sam2-adapter label my_photos`.")
    address = Address(host, port, token)
    settings = _settings(assignments or [])
    formats = check_formats(_split(export))  # before a folder is made for the work
    with sigterm_like_ctrl_c(), LabelSession(images, output, labels=_split(labels)) as session:
        if export:
            output_type = settings.get("output_type", "mask")
            _report(session.export(formats, output_type=output_type), session, as_json=as_json)
            return

        def opened(url: str) -> None:
            _announce(session, url, as_json=as_json)
            if browser:
                webbrowser.open(url)

        chosen = {name: value for name, value in (("model", model), ("device", device)) if value is not None}
        exported = serve(session, address, chosen, opened, settings)
        if exported is not None:
            _report(exported, session, as_json=as_json)


def _announce(session: LabelSession, url: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "images": len(session.pictures), "output": str(session.directory)})
        return
    say(url)
    tell(*(f"Passed over: {kind}" for kind in session.passed_over), *session.notes)
    tell(f"{plural(len(session.pictures), 'picture')}. Work is saved in {session.directory} as you go. Ctrl-C ends.")


def _report(exported: Exported, session: LabelSession, *, as_json: bool) -> None:
    paths = {name: str(path) for name, path in exported.paths.items()}
    document: dict[str, Any] = {"images": exported.num_images, "objects": exported.num_objects, "exported": paths}
    if as_json:
        print_json(document)
        return
    say(*paths.values())
    count = f"{plural(exported.num_objects, 'object')} in {plural(exported.num_images, 'picture')}"
    are = "is" if exported.num_objects == 1 else "are"
    tell(*exported.notes, f"{count} {are} in {session.directory}")


def _settings(assignments: list[str]) -> dict[str, Any]:
    """Settings for teaching on the page, each checked."""
    from sam2_adapter.cli.config_options import config_from_options, parse_assignment

    config_from_options(None, assignments, {})
    return dict(map(parse_assignment, assignments))


def _split(values: list[str] | None) -> list[str]:
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]
