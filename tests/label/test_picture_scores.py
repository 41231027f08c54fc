"""Scores of pictures: by model, kept for the next time, and gone with the file."""

from __future__ import annotations

import logging
import os

import pytest

from sam2_adapter.errors import OutputExistsError
from sam2_adapter.label.picture_scores import PictureScores
from sam2_adapter.label.pictures import named_pictures


@pytest.fixture
def picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    return named_pictures([tmp_path / "a.png"], tmp_path)[0]


def test_scores_are_kept_by_model(tmp_path, picture):
    path, claimed = tmp_path / "scores.jsonl", []
    scores = PictureScores(path, claimed.append)
    assert not path.exists()
    scores.put("one", picture, 0.25)
    scores.put("two", picture, 0.5)
    scores.put("one", picture, 0.75)
    assert claimed == [path]
    scores.close()
    again = PictureScores(path, claimed.append)
    assert [again.get(weights, picture) for weights in ("one", "two", "three")] == [0.75, 0.5, None]
    again.put("three", picture, 1.0)
    assert claimed == [path, path]  # each session says that it writes there
    again.close()
    os.utime(picture.path, ns=(1, 1))
    assert again.get("one", picture) is None
    picture.path.unlink()
    assert again.get("one", picture) is None


def test_lines_of_another_kind_are_passed_over(tmp_path, picture):
    path = tmp_path / "scores.jsonl"
    path.write_text(
        '{"image": "a.png"}\n{"image": "a.png", "weights": "one", "stamp": 5, "score": 1}\n{"score": true}\n'
    )
    assert PictureScores(path, lambda path: None).get("one", picture) is None


def test_what_cannot_be_written_is_known_for_now_and_said_once(tmp_path, picture, caplog):
    def refuse(path):
        raise OutputExistsError("in the way")

    scores = PictureScores(tmp_path / "scores.jsonl", refuse)
    with caplog.at_level(logging.WARNING):
        scores.put("one", picture, 0.5)
        scores.put("one", picture, 0.6)
    assert (scores.get("one", picture), len(caplog.records)) == (0.6, 1)
    assert "in the way" in caplog.text


def test_links_are_not_followed(tmp_path, picture):
    (tmp_path / "target").write_text('{"image": "a.png"}\n')
    (tmp_path / "scores.jsonl").symlink_to(tmp_path / "target")
    scores = PictureScores(tmp_path / "scores.jsonl", lambda path: None)
    scores.put("one", picture, 0.5)
    assert (tmp_path / "target").read_text() == '{"image": "a.png"}\n'
    assert scores.get("one", picture) == 0.5
