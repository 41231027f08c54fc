"""Options of several commands: one name, one help text, and the choices of the table of formats."""

from __future__ import annotations

import pytest
from typer.main import get_command

from sam2_adapter import cli
from sam2_adapter.cli.options import DataFormatName
from sam2_adapter.formats.registry import data_formats

SHARED = {
    "--model": {"predict", "train", "evaluate"},
    "--device": {"predict", "train", "evaluate"},
    "--set": {"predict", "train", "evaluate"},
    "--data-format": {"train", "evaluate"},
    "--overwrite": {"predict", "train", "evaluate", "convert", "demo"},
}


def test_data_formats_are_those_of_the_table() -> None:
    assert [name.value for name in DataFormatName] == list(data_formats())


@pytest.mark.parametrize("option", SHARED)
def test_an_option_is_told_alike_wherever_it_is(option: str) -> None:
    found = {
        name: parameter.help
        for name, command in get_command(cli.make_app()).commands.items()
        for parameter in command.params
        if option in parameter.opts
    }
    assert found.keys() >= SHARED[option]
    assert len({found[name] for name in SHARED[option] - {"predict", "train"}}) == 1
