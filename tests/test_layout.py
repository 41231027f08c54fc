"""Every module of the package has its tests at the same path below `tests`: `sam2_adapter/a/b.py` is tested by `tests/a/test_b.py`."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "sam2_adapter"

# Modules without a test at their path, with the reason. Nothing new is added without one.
EXCEPTIONS = {
    "_version.py": "one line; tests/test_readme.py compares the other places",
    "__main__.py": "three lines that tests/cli/test_start.py runs in processes",
}


def test_every_module_has_its_tests() -> None:
    missing = {name for name in _modules() - EXCEPTIONS.keys() if not (TESTS / Path(_test_of(name))).is_file()}
    assert not missing, f"write tests for {', '.join(f'{name} as tests/{_test_of(name)}' for name in sorted(missing))}"


def _modules() -> set[str]:
    found = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return {name for name in found if not name.endswith("__init__.py")}


def _test_of(name: str) -> str:
    path = Path(name)
    return path.with_name(f"test_{path.name}").as_posix()
