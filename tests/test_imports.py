"""Data flows one way: modules import downwards only, and each third party has one room."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sam2_adapter"

# From the ground up. Rooms of one line may not import each other. A room is a module or a folder, named by the longest
# entry that its path starts with: `models.families` lies far below the rest of `models`.
LAYERS = (
    ("_version", "errors", "text", "download_progress"),
    ("input_files", "settings_yaml", "arguments"),
    ("files",),
    ("ownership", "replacing"),
    ("owned_folder",),
    ("numbered_folder",),
    ("models.families",),
    ("config_errors", "config_everything"),
    ("config_views",),
    ("config_file",),
    ("config",),
    ("annotations",),
    ("images",),
    ("models",),
    ("predict", "formats"),
    ("reports",),
    ("embeddings",),
    ("evaluation",),
    ("training",),
    ("jobs",),
    ("jobs.ray",),
    ("interactive",),
    ("demo", "doctor", "label"),
    ("model_check",),
    ("cli", "dataloop"),
    ("__main__",),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}

# Third party -> the only rooms that import it.
RESERVED = {
    "transformers": {"models", "models.families"},
    "dtlpy": {"dataloop"},
    "dtlpymetrics": {"dataloop"},
    "openvino": {"models"},
    "pycocotools": {"annotations"},
    "huggingface_hub": {"models"},
    "cachetools": {"embeddings"},
    "typer": {"cli"},
    "jinja2": {"reports"},
    "starlette": {"label"},
    "uvicorn": {"label"},
    "matplotlib": {"reports"},
    "ray": {"jobs.ray"},
    "pyarrow": {"jobs.ray"},
    "fsspec": {"jobs.ray"},
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def _room(module_path: Path) -> str:
    return _room_of(module_path.relative_to(PACKAGE).with_suffix("").parts)


def _room_of(parts: tuple[str, ...]) -> str:
    """The room of a module: the longest of its prefixes that LAYERS names, else its first part."""
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in RANK), parts[0])


@cache
def _tree(path: Path) -> ast.Module:
    """The parsed module; looking for garbage among its many nodes would take most of the time."""
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


@cache
def _imported_modules(path: Path) -> list[str]:
    """Every absolute module name that a file imports, at any depth, `from package import submodule` included."""
    names = []
    for node in _statements(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; the platform loads files by path"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += _names(node)
    return names


def _statements(block: ast.AST) -> Iterator[ast.AST]:
    """Every statement, at any depth; imports are statements, and expressions, which are most of a module, hold none."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(block, field, None)
        for statement in inner if isinstance(inner, list) else ():
            yield statement
            yield from _statements(statement)


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [f"{prefix}{alias.name}" for alias in node.names]


def test_imports_point_downwards() -> None:
    assert not [fault for path in SOURCES for fault in _upward_imports(path)]


def _upward_imports(path: Path) -> list[str]:
    room, name = _room(path), path.relative_to(PACKAGE)
    if room == "__init__":
        return []
    if room not in RANK:
        return [f"{name}: give the new room {room} its place in LAYERS"]
    faults = []
    for module in _imported_modules(path):
        package, _, rest = module.partition(".")
        other = _room_of(tuple(rest.split(".")))
        if package != "sam2_adapter" or other == room or other.startswith("__version"):
            continue
        if other not in RANK:
            faults.append(f"{name} imports {module}: import names from the module that defines them")
        elif RANK[other] >= RANK[room]:
            faults.append(f"{name} in {room} imports {module}; {other} lies above or beside it")
    return faults


def test_third_parties_stay_in_their_rooms() -> None:
    assert not [
        f"{path.relative_to(PACKAGE)} imports {module}, which belongs to {rooms}"
        for path in SOURCES
        for module in _imported_modules(path)
        if (rooms := RESERVED.get(module.partition(".")[0])) is not None and _room(path) not in rooms
    ]


def test_openvino_is_loaded_only_to_run_on_it() -> None:
    """It is optional, and slow to import: nothing outside its folder imports a module of it that needs it before it is needed."""
    needing = {f"sam2_adapter.models.engines.openvino.{path.stem}" for path in SOURCES if "openvino" in _packages(path)}
    assert needing
    for path in SOURCES:
        if path.parent.name != "openvino":
            imported = _imported_at_once(path)
            assert "openvino" not in _packages(path), path.name
            assert not [name for name in imported if name in needing or name.rpartition(".")[0] in needing], path.name


def _imported_at_once(path: Path) -> list[str]:
    statements = _tree(path).body
    return [name for node in statements if isinstance(node, ast.Import | ast.ImportFrom) for name in _names(node)]


def _packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imported_at_once(path)}


def test_every_room_exists_once() -> None:
    rooms = [room for layer in LAYERS for room in layer]
    assert len(rooms) == len(set(rooms))


def test_the_map_of_the_code_has_every_room_in_this_order() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    first, _, rest = text.partition("## Imports point downwards")
    told = " ".join(line.strip() for line in rest.split("A room imports")[0].splitlines())
    layers = [frozenset(room.strip() for room in layer.split("|")) for layer in told.split("→")]
    ours = [frozenset(layer) - {"_version", "__main__"} for layer in LAYERS]
    assert layers == [layer for layer in reversed(ours) if layer]
    rows = [line.split("|")[1] for line in first.splitlines() if line.startswith("| `")]
    named = {name.strip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    missing = [name for name in named if not (PACKAGE / name).is_dir() and not (PACKAGE / f"{name}.py").is_file()]
    assert not missing, "rooms that are not there"
    rooms = {room.replace(".", "/") for layer in layers for room in layer}
    assert not {room for room in rooms if not any(name == room or name.startswith(f"{room}/") for name in named)}


def test_the_places_to_change_are_there() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [
        line for line in text.partition("## Where to change what")[2].partition("## ")[0].splitlines() if "|" in line
    ]
    named = {name.strip("/") for row in rows[2:] for name in re.findall(r"`([a-z_./]+)`", row)}
    files = {name for name in named if "/" in name or name == "config"}
    places = [PACKAGE / name for name in files if not name.startswith("tests/")]
    assert len(places) > 15
    assert not [place for place in places if not place.is_dir() and not place.with_suffix(".py").is_file()]
