"""Prompts that are typed on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from sam2_adapter.annotations.prompt_values import parse_numbers
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region, checked_region
from sam2_adapter.cli.terminal import UsageError
from sam2_adapter.errors import PromptError


def prompts_from_options(points: Sequence[str], boxes: Sequence[str]) -> tuple[Prompt, ...]:
    """One object for every `--point X,Y` and every `--box X0,Y0,X1,Y1`, points first.

    Raises:
        UsageError: a value does not have this form.
    """
    made = []
    for text in points:
        x, y = _numbers(text, "--point", "X,Y", "240,160")
        made.append(_prompt(f"--point {text}", point_coords=[[x, y]], point_labels=[1]))
    for text in boxes:
        made.append(_prompt(f"--box {text}", box_xyxy=tuple(_numbers(text, "--box", "X0,Y0,X1,Y1", "40,60,300,220"))))
    return tuple(made)


def region_from_option(text: str) -> Region:
    """The region of `--region X0,Y0,X1,Y1`.

    Raises:
        UsageError: it does not have this form, or no pixel.
    """
    try:
        return checked_region(_numbers(text, "--region", "X0,Y0,X1,Y1", "40,60,300,220"))
    except PromptError as error:
        raise UsageError(f"--region {text}: {error}") from error


def _numbers(text: str, option: str, form: str, example: str) -> list[float]:
    numbers = parse_numbers(text) or []
    count = len(example.split(","))
    if len(numbers) != count:
        raise UsageError(f"{option} {text}: expected {form}, {count} numbers in pixels, such as {option} {example}.")
    return numbers


def _prompt(given: str, **parts: object) -> Prompt:
    try:
        return Prompt(**parts)  # type: ignore[arg-type]  # the constructor checks and converts
    except PromptError as error:
        raise UsageError(f"{given}: {error}") from error
