"""What writers share."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.formats.base import Writer, WritingTarget, Written
from tests.formats.examples import annotated_image


def test_a_claimed_path_is_noted_and_lies_below_the_target(tmp_path):
    noted = []
    target = WritingTarget(tmp_path / "masks", noted.append, "small", {})
    assert target.claimed("street/a.png") == tmp_path / "masks" / "street" / "a.png"
    assert noted == [tmp_path / "masks" / "street" / "a.png"]


def test_a_file_of_an_earlier_run_is_written_again_where_it_changed(tmp_path):
    claimed, written = [], []
    target = WritingTarget(tmp_path, claimed.append, "small", {}, wrote=written.append)
    for content in (b"one", b"one", b"two"):
        target.renew("street/a.txt", content)
        assert (tmp_path / "street" / "a.txt").read_bytes() == content
    assert claimed == written == [tmp_path / "street" / "a.txt"] * 2


def test_a_writer_of_one_file_per_image_has_nothing_to_take_over_or_to_close():
    class FileWriter(Writer):
        def add(self, image, stem):
            return Written((Path(f"{stem}.txt"),))

    writer = FileWriter()
    assert writer.add(annotated_image(), "a").files == (Path("a.txt"),)
    assert writer.add_done(annotated_image(), "a") == Written()
    assert writer.close() == ()
