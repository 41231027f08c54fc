"""The commands and the program of the README are executed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sam2_adapter
from tests.command_line import run
from tests.disc_data import make_disc_data

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _commands(block: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in block.splitlines())
    return [line for line in lines if line.startswith("sam2-adapter")]


TRAINING = next(_commands(block) for block in _blocks("sh") if "sam2-adapter train" in block)
COMMANDS = [line for block in _blocks("sh") for line in _commands(block) if line.startswith("sam2-adapter predict")]
COMMANDS = [line for line in COMMANDS if line not in TRAINING]
CHECK = "sam2-adapter doctor --check sam2_hiera_s"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files that the README talks about."""
    monkeypatch.chdir(tmp_path)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 500, 3), np.uint8))
    (tmp_path / "my_photos").mkdir()
    for name in ("photo.jpg", "street.jpg", "my_photos/a.jpg"):
        picture.save(tmp_path / name)
    (tmp_path / "prompts.json").write_text(json.dumps({"images": {"a.jpg": [{"points": [[50, 60]]}]}}))
    return tmp_path


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 6


@pytest.mark.parametrize(
    "command",
    [pytest.param(line, marks=pytest.mark.slow) if "--everything" in line else line for line in COMMANDS],
)
def test_commands(command: str, here: Path) -> None:
    done = run(*shlex.split(command)[1:], "--model", "sam2_nano")
    assert done.status == 0, done.stderr
    assert (here / "predictions" / "annotations.json").is_file()


@pytest.mark.slow
def test_the_check_of_a_model() -> None:
    assert f"{CHECK}\n" in README
    assert run(*shlex.split(CHECK.replace("sam2_hiera_s", "sam2_nano"))[1:]).status == 0


@pytest.mark.slow
@pytest.mark.usefixtures("short_click_curve")
def test_the_commands_of_fine_tuning(here: Path) -> None:
    make_disc_data(here / "my_data")
    train, evaluate, predict = TRAINING
    fast = (
        "--set",
        "num_epochs=1",
        "--set",
        "correction_rounds=0",
        "--set",
        "general_set=none",
        "--model",
        "sam2_nano",
    )
    assert run(*shlex.split(train)[1:], *fast).status == 0
    measured = run(*shlex.split(evaluate.replace("sam2_hiera_s.yaml", "sam2_nano"))[1:], "--prompt", "box")
    assert "box: difference, with 95 % interval over images" in measured.stdout
    assert run(*shlex.split(predict)[1:]).status == 0


def test_the_program(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = _blocks("python")
    assert '"sam2_hiera_s.yaml"' in program
    assert set(re.findall(r"^(?:import|from) (\S+)", program, re.MULTILINE)) == {"sam2_adapter"}
    exec(program.replace("sam2_hiera_s.yaml", "sam2_nano"), {})
    assert capsys.readouterr().out.startswith("(2, 1, 400, 500)")


@pytest.mark.parametrize(
    "page", [*sorted(path.name for path in (ROOT / "docs").glob("*.md")), "../README.md", "../CONTRIBUTING.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    for target, _, heading in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text)):
        if not target.startswith("https://"):
            path = (ROOT / "docs" / page).parent / target if target else ROOT / "docs" / page
            assert path.exists(), target
            assert not heading or heading in _headings(path.read_text("utf-8")), f"{target}#{heading}"


def _headings(text: str) -> set[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)`", README)) | {"demo"}:
        assert f"\n{target}:" in makefile


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {sam2_adapter.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
