"""Command lines that cannot be read: exit status 2, in plain words, and nothing is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import run


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("predict", "a.png", "--units", "pixels"), "Invalid value for '--units': 'pixels' is not one of 'pixel', 'fraction'. Did you mean 'pixel'?"),
        (("predict", "a.png", "--limit", "x"), "Invalid value for '--limit': expected a whole number, but got 'x'."),
        (("predict", "a.png", "--limit", "0"), "Invalid value for '--limit': expected at least 1, but got '0'."),
        (("predict", "a.png", "--batch-size", "999"), "Invalid value for '--batch-size': expected at most 256, but got '999'."),
        (("demo", "--epochs", "1.5"), "Invalid value for '--epochs': expected a whole number, but got '1.5'."),
        (("convert", "a.pt", "b.pt", "--to", "onnx"), "Invalid value for '--to': 'onnx' is not one of 'meta', 'transformers'."),
        (("predict", ""), "The value is empty. Is it that of a variable that is not set?"),
        (("predict", "--", ""), "The value is empty. Is it that of a variable that is not set?"),
        (("predict", "a.png", "--output", ""), "The value of --output is empty. Is it that of a variable that is not set?"),
        (("predict", "a.png", "--model="), "The value of --model is empty. Is it that of a variable that is not set?"),
        (("predict", "a.png", "--limit", ""), "The value of --limit is empty. Is it that of a variable that is not set?"),
        (("train", "data", "--output", "--json"), "The option --output needs a value, but --json follows it."),
        (("predict", "a.png", "--point", "--model", "sam2_nano"), "The option --point needs a value, but --model follows it."),
        (("predict", "a.png", "--limit"), "The option --limit needs a value, but nothing follows it."),
        (("train", "data", "--output", "run", "--epochs", "3"), "No such option '--epochs'. It is a setting: --set num_epochs=VALUE."),
        (("train", "data", "--output", "run", "--batch-size=4"), "No such option '--batch-size'. It is a setting: --set batch_size=VALUE."),
        (("train", "data", "--output", "run", "--modle", "x"), "No such option '--modle'. Did you mean '--model'?"),
        (("train", "data", "--output", "run", "--thresh", "3"), "No such option '--thresh'. Did you mean '--resume'?"),
        (("doctor", "--epochs", "3"), "No such option: --epochs"),
        (("convert", "a.pt", "b.pt", "c.pt"), "Got unexpected extra arguments (c.pt)"),
    ],
)  # fmt: skip
def test_wrong_arguments(
    arguments: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.stderr == f"error: {text}\nSee: sam2-adapter {arguments[0]} --help\n"
    assert done.status == 2
    assert list(tmp_path.iterdir()) == []
    document = (
        json.loads(run(*arguments, "--json").stdout) if arguments[-1] != "--limit" and "--" not in arguments else {}
    )
    assert document in ({}, {"error": text, "exit_status": 2})


def test_values_that_look_odd_are_values(tmp_path: Path) -> None:
    done = run("predict", tmp_path / "none.png", "--point", "-1,5", "--label", "a=", "--set", "default_label=--json")
    assert done.status == 1
    assert "none.png: there is no such file or folder" in done.stderr


@pytest.mark.parametrize(("argument", "value"), [("-v=3", "3"), ("-v3", "3"), ("-v=", "")])
def test_an_option_without_a_value_is_given_one(argument: str, value: str) -> None:
    done = run("predict", "photos", argument)
    assert done.status == 2
    assert done.stderr.splitlines()[0] == f"error: The option -v takes no value, but got {value!r}."


@pytest.mark.parametrize("arguments", [("predict", "--help", "--json"), ("train", "--json", "-h")])
def test_help_is_one_document_where_machines_read_it(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.status == 0
    assert json.loads(done.stdout)["help"].startswith("Usage: sam2-adapter")
