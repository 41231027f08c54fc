"""Folders of a training on the platform: one training per model, and nothing of the user's is removed."""

from __future__ import annotations

import pytest

from sam2_adapter.dataloop.training import empty_folder, fresh_folder
from sam2_adapter.errors import TrainingError


def test_a_folder_is_empty_at_the_start_and_gone_at_the_end(tmp_path):
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "old").touch()
    with fresh_folder(tmp_path, "id") as folder:
        assert folder == tmp_path / "id"
        assert not list(folder.iterdir())
        (folder / "new").touch()
    assert not folder.exists()
    with pytest.raises(ValueError, match="broken"), fresh_folder(tmp_path, "id"):
        raise ValueError("broken")
    assert not folder.exists()


def test_a_second_training_of_one_model_is_refused_and_leaves_the_first_alone(tmp_path):
    with fresh_folder(tmp_path, "id") as folder:
        (folder / "state").touch()
        with (
            pytest.raises(TrainingError, match="The model with the id id is being trained"),
            fresh_folder(tmp_path, "id"),
        ):
            pass
        assert (folder / "state").is_file()
        with fresh_folder(tmp_path, "other"):
            pass
    with fresh_folder(tmp_path, "id"):
        pass


def test_only_folders_of_an_earlier_training_are_emptied(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    empty_folder(ours)
    (ours / "old").touch()
    empty_folder(ours)
    assert not list(ours.iterdir())
    theirs.mkdir()
    empty_folder(theirs)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(TrainingError, match="other: this is no folder of an earlier training and not empty"):
        empty_folder(other)
    with pytest.raises(TrainingError, match="no folder of an earlier training"):
        empty_folder(other / "thesis.txt")
    assert (other / "thesis.txt").is_file()
