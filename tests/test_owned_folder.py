"""The rule for output folders: nothing of the user's is replaced or removed, and two commands never write to one folder."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from sam2_adapter.errors import ExportError, FolderInUseError, OutputExistsError
from sam2_adapter.files import HOLDER_NAME, LOCK_NAME
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import JOURNAL_NAME, MARKER_NAME, Ownership, listed_files, ownership_of, results_in
from tests.small_disk import files_of_at_most

ENTRIES = ("annotations.json", "masks")


def _write(folder: OwnedFolder, *names: str) -> None:
    for name in names:
        path = folder.directory / name
        folder.claim(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def _earlier_run(directory: Path, *names: str) -> None:
    with OwnedFolder(directory, "predict") as folder:
        folder.begin(ENTRIES)
        _write(folder, *names)


def _files(directory: Path) -> list[str]:
    """What is in a folder, but for what the rule itself keeps there."""
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not path.name.startswith(".sam2-adapter")
    )


@pytest.mark.parametrize("name", ["annotations.json", "masks/p.png", "notes.txt", ".git/config"])
@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, name: str, options: dict[str, bool]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("the user's")
    with pytest.raises(OutputExistsError, match=r"not empty.*nothing was changed"):
        OwnedFolder(tmp_path, "predict", **options)
    assert _files(tmp_path) == [name]
    assert len(list(tmp_path.iterdir())) == 1
    assert (tmp_path / name).read_text() == "the user's"


@pytest.mark.parametrize("name", ["x" * 300, "file/below", "file", "link"])
def test_a_place_where_no_folder_can_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputExistsError, match=r"Choose another folder|Name (a|another) folder") as caught:
        OwnedFolder(tmp_path / name, "predict")
    assert len(str(caught.value)) < 500


def test_a_folder_that_is_missing_empty_or_holds_litter_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "litter").mkdir()
    (tmp_path / "litter" / ".DS_Store").write_bytes(b"\0")
    for name in ("missing/deep", "empty", "litter"):
        _earlier_run(tmp_path / name, "annotations.json")
        assert ownership_of(tmp_path / name) is not None


def test_a_folder_with_nothing_but_the_inputs_is_taken(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with OwnedFolder(tmp_path, "predict", inputs=[tmp_path / "images"]) as folder:
        folder.begin(ENTRIES)
    with pytest.raises(OutputExistsError):
        OwnedFolder(tmp_path / "images" / "..", "train", inputs=[tmp_path / "images"])


def test_results_are_never_put_into_an_input(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    folder = OwnedFolder(tmp_path, "predict", inputs=[tmp_path / "masks"])
    with folder, pytest.raises(OutputExistsError, match="this is an input"):
        folder.begin(ENTRIES)
    assert ownership_of(tmp_path) is None


def test_an_earlier_run_is_only_replaced_when_asked(tmp_path: Path) -> None:
    _earlier_run(tmp_path / "out", "annotations.json")
    with pytest.raises(OutputExistsError, match=r"--resume.*--overwrite.*another folder"):
        OwnedFolder(tmp_path / "out", "predict")
    assert _files(tmp_path / "out") == ["annotations.json"]


def test_overwriting_removes_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    _earlier_run(out, "annotations.json", "masks/a/a_001.png", "masks/b.png")
    (out / "masks" / "mine.png").write_text("the user's")
    (out / "notes.txt").write_text("the user's")
    outside.mkdir()
    (outside / "a_002.png").write_text("the user's")
    (out / "masks" / "link").symlink_to(outside)
    with (out / MARKER_NAME).open("a") as marker:
        for name in ("../outside/a_002.png", str(outside / "a_002.png"), "masks/link/a_002.png", "masks/../notes.txt"):
            marker.write(json.dumps(name) + "\n")
        marker.write('[[{"damaged\n"torn')
    with OwnedFolder(out, "predict", overwrite=True) as folder:
        assert not folder.is_resumed
        folder.begin(ENTRIES)
        assert _files(out) == ["masks/link", "masks/mine.png", "notes.txt"]
        assert not (out / "masks" / "a").exists()
        with pytest.raises(OutputExistsError, match=r"mine\.png: this file is in the way"):
            folder.claim(out / "masks" / "mine.png")
    assert (outside / "a_002.png").read_text() == "the user's"


def test_nothing_is_removed_before_the_work_begins(tmp_path: Path) -> None:
    _earlier_run(tmp_path, "annotations.json")
    with OwnedFolder(tmp_path, "predict", overwrite=True):
        pass
    assert _files(tmp_path) == ["annotations.json"]
    assert results_in(tmp_path) == set(ENTRIES)


def test_a_folder_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with OwnedFolder(tmp_path / "out", "predict"):
        assert (tmp_path / "out").is_dir()
    assert not (tmp_path / "out").exists()


def test_a_resumed_run_may_replace_its_own_files_only(tmp_path: Path) -> None:
    _earlier_run(tmp_path, "masks/a.png")
    (tmp_path / "masks" / "b.png").write_text("the user's")
    with OwnedFolder(tmp_path, "predict", resume=True) as folder:
        assert folder.is_resumed
        folder.begin((*ENTRIES, "overlays"))
        _write(folder, "masks/a.png", "masks/c.png")
        with pytest.raises(OutputExistsError, match="in the way"):
            folder.claim(tmp_path / "masks" / "b.png")
    assert results_in(tmp_path) == {*ENTRIES, "overlays"}
    _remove_all(tmp_path)
    assert _files(tmp_path) == ["masks/b.png"]


def _remove_all(directory: Path) -> None:
    with OwnedFolder(directory, "predict", overwrite=True) as folder:
        folder.begin(ENTRIES)


def _resumed(directory: Path, *names: str) -> None:
    with OwnedFolder(directory, "predict", resume=True) as folder:
        folder.begin((*ENTRIES, "polygons"))  # one more: the marker is written again
        _write(folder, *names)


def test_a_file_that_was_edited_is_kept_under_another_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with OwnedFolder(tmp_path, "predict") as folder:
        folder.begin(ENTRIES)
        _write(folder, *ENTRIES)
        folder.wrote(tmp_path / "annotations.json")
    _resumed(tmp_path, "annotations.json")
    assert _files(tmp_path) == ["annotations.json", "masks"]
    for number in ("", "2"):
        (tmp_path / "annotations.json").write_text(f"by hand {number}")
        _resumed(tmp_path, "annotations.json")
        assert (tmp_path / f"annotations.edited{number}.json").read_text() == f"by hand {number}"
        assert (tmp_path / "annotations.json").read_text() == "annotations.json"
        assert f"the edited file is kept as annotations.edited{number}.json" in caplog.text
    _overwritten(tmp_path)
    assert _files(tmp_path) == ["annotations.edited.json", "annotations.edited2.json"]


def _overwritten(directory: Path) -> None:
    with OwnedFolder(directory, "predict", overwrite=True) as folder:
        folder.begin(ENTRIES)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with OwnedFolder(tmp_path / "out", "predict") as folder:
        folder.begin(ENTRIES)
        (tmp_path / "out" / "masks").symlink_to(tmp_path / "outside")
        with pytest.raises(OutputExistsError, match="link"):
            folder.claim(tmp_path / "out" / "masks" / "a.png")


@pytest.mark.parametrize("name", [MARKER_NAME, JOURNAL_NAME, ".sam2-adapter.lock"])
def test_a_marker_that_is_a_link_makes_no_folder_ours(tmp_path: Path, name: str) -> None:
    _earlier_run(tmp_path / "other", "annotations.json")
    target = tmp_path / "target"
    target.write_bytes((tmp_path / "other" / MARKER_NAME).read_bytes())
    before = target.read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(target)
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(ExportError):
            OwnedFolder(tmp_path / "out", "predict", **options)
    assert ownership_of(tmp_path / "out") is None
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[1]", b'{"command": 3}', b"[" * 100_000, b'{"sam2-adapter": "1", "command": 1, "entries": []}', b"\xff"]
)  # fmt: skip
def test_a_damaged_marker_makes_no_folder_ours(tmp_path: Path, line: bytes) -> None:
    (tmp_path / MARKER_NAME).write_bytes(line)
    with pytest.raises(OutputExistsError, match="not empty"):
        OwnedFolder(tmp_path, "predict", overwrite=True)


def test_one_command_does_not_touch_the_results_of_another(tmp_path: Path) -> None:
    with OwnedFolder(tmp_path, "train") as folder:
        folder.begin(["model.torch"])
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match="holds results of `train`"):
            OwnedFolder(tmp_path, "predict", **options)


def test_the_second_of_two_commands_is_refused_by_name(tmp_path: Path) -> None:
    with OwnedFolder(tmp_path / "out", "train") as folder:
        with pytest.raises(FolderInUseError, match=r"out: another sam2-adapter command writes to this folder"):
            OwnedFolder(tmp_path / "out", "train")
        folder.begin(["model.torch"])
        with pytest.raises(FolderInUseError):
            OwnedFolder(tmp_path / "out", "train", resume=True)
    with OwnedFolder(tmp_path / "out", "train", resume=True) as folder:
        assert folder.is_resumed


def test_who_works_in_a_folder_tells_those_that_are_refused_where_it_is(tmp_path: Path) -> None:
    with OwnedFolder(tmp_path / "out", "label", resume=True) as folder:
        folder.begin(["journal.jsonl"])
        folder.tell_others("a page is open at http://127.0.0.1:5/")
        with pytest.raises(FolderInUseError, match=r"to this folder: a page is open at http://127\.0\.0\.1:5/\. Wait"):
            OwnedFolder(tmp_path / "out", "label", resume=True)
        folder.tell_others("\x1b[31mred")
        with pytest.raises(FolderInUseError, match=r"to this folder\. Wait"):
            OwnedFolder(tmp_path / "out", "label", resume=True)
    assert not (tmp_path / "out" / HOLDER_NAME).exists()
    (tmp_path / "out" / HOLDER_NAME).write_text("of a command that was killed")
    with (
        OwnedFolder(tmp_path / "out", "label", resume=True),
        pytest.raises(FolderInUseError, match=r"to this folder\. Wait"),
    ):
        OwnedFolder(tmp_path / "out", "label", resume=True)


def test_a_link_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "annotations.json").write_text("the user's")
    (tmp_path / "out").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputExistsError, match="not empty"):
        OwnedFolder(tmp_path / "out", "predict", overwrite=True)
    (tmp_path / "predictions").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError, match="leads nowhere"):
        OwnedFolder(tmp_path / "predictions", "predict")
    assert _files(tmp_path) == ["mine/annotations.json", "out", "predictions"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("the user's")
    with pytest.raises(OutputExistsError, match="this is a file"):
        OwnedFolder(tmp_path / "out", "predict", overwrite=True)
    with pytest.raises(ExportError, match="Choose another folder"):
        OwnedFolder(tmp_path / "out" / "below", "predict")


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """Whoever runs this, root included: a folder stands where the lock has to be written."""
    (tmp_path / "out" / LOCK_NAME / "x").mkdir(parents=True)
    with pytest.raises(ExportError, match="Choose another folder"):
        OwnedFolder(tmp_path / "out", "predict", inputs=[tmp_path / "out" / LOCK_NAME])


def test_what_came_to_nothing_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, left in (("new", None), ("mine", [])):
        with OwnedFolder(tmp_path / name, "predict") as folder:
            folder.begin(ENTRIES)
            _write(folder, "annotations.json")
            folder.discard()
        assert (_files(tmp_path / name) if (tmp_path / name).exists() else None) == left
    _earlier_run(tmp_path / "mine", "annotations.json")
    with OwnedFolder(tmp_path / "mine", "predict", resume=True) as folder:
        folder.begin(ENTRIES)
        folder.discard()
    assert _files(tmp_path / "mine") == ["annotations.json"]


def _old_predictions(directory: Path) -> None:
    settings = {"tool": "sam2-adapter 0.1.0", "formats": ["coco", "masks"], "overlay": False}
    image = {"name": "a.png", "files": ["masks/a.png", "../outside.png"]}
    directory.mkdir()
    (directory / JOURNAL_NAME).write_text(f"{json.dumps({'settings': settings})}\n{json.dumps(image)}\n")
    (directory / "masks").mkdir()
    for name in ("masks/a.png", "masks/half.png", "annotations.json", "notes.txt"):
        (directory / name).write_text(name)


def test_predictions_of_version_0_1_are_recognised(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _old_predictions(out)
    (tmp_path / "outside.png").write_text("the user's")
    assert results_in(out) == set(ENTRIES)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        OwnedFolder(out, "predict")
    with OwnedFolder(out, "predict", resume=True) as folder:
        folder.begin(ENTRIES)
        folder.claim(out / "masks" / "half.png")  # an interrupted run did not note what it was writing
    _remove_all(out)
    assert _files(out) == ["notes.txt"]
    assert (tmp_path / "outside.png").exists()


def test_old_predictions_are_overwritten(tmp_path: Path) -> None:
    _old_predictions(tmp_path / "out")
    _remove_all(tmp_path / "out")
    assert _files(tmp_path / "out") == ["masks/half.png", "notes.txt"]


def test_a_command_may_recognise_its_own_old_folders(tmp_path: Path) -> None:
    (tmp_path / "model.torch").write_text("weights")

    def recognise(directory: Path, names: Collection[str]) -> Ownership | None:
        assert list(names) == ["model.torch"]
        return Ownership("train", frozenset(["model.torch"]), lambda: ["model.torch"])

    with OwnedFolder(tmp_path, "train", resume=True, recognise=recognise) as folder:
        assert folder.is_resumed
        folder.begin(["model.torch"])
        folder.claim(tmp_path / "model.torch")
    assert results_in(tmp_path) == {"model.torch"}


def test_names_of_any_bytes_are_listed(tmp_path: Path) -> None:
    names = ["masks/caf\udce9.png", "masks/a\nb.png", "masks/\u4f60.png"]
    _earlier_run(tmp_path, *names)
    _remove_all(tmp_path)
    assert _files(tmp_path) == []


def test_a_full_disk_at_the_start_leaves_a_folder_that_can_be_used_later(tmp_path: Path) -> None:
    with (
        OwnedFolder(tmp_path / "out", "predict") as folder,
        files_of_at_most(10),
        pytest.raises(ExportError, match="cannot write here"),
    ):
        folder.begin(ENTRIES)
    _earlier_run(tmp_path / "out", "annotations.json")
    assert _files(tmp_path / "out") == ["annotations.json"]


def test_a_marker_that_was_not_finished_does_not_make_a_folder_foreign(tmp_path: Path) -> None:
    (tmp_path / f".{MARKER_NAME}.{'0' * 32}.part").write_text("{")
    _earlier_run(tmp_path, "annotations.json")
    assert ownership_of(tmp_path) is not None


def test_a_full_disk_while_a_file_is_noted_loses_nothing_that_was(tmp_path: Path) -> None:
    with OwnedFolder(tmp_path / "out", "predict") as folder:
        folder.begin(ENTRIES)
        _write(folder, "masks/a.png")
        with (
            files_of_at_most((tmp_path / "out" / MARKER_NAME).stat().st_size + 5),
            pytest.raises(ExportError, match="Make room on the disk"),
        ):
            folder.claim(tmp_path / "out" / "masks" / "b.png")
        _write(folder, "masks/c.png")
    assert list(listed_files(tmp_path / "out")) == ["masks/a.png", "masks/c.png"]
