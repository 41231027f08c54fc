"""The journal: on disk when it says so, whatever happens in between."""

from __future__ import annotations

import errno
import json
import logging
import os

import pytest

from sam2_adapter.errors import ExportError
from sam2_adapter.label.change_journal import ChangeJournal, read_lines


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def _written(path, *lines):
    journal = ChangeJournal(path)
    for line in lines:
        journal.append(line)
    journal.close()


def test_lines_come_back_in_order_and_more_are_added(path):
    _written(path, {"a": 1}, {"b": "ü\udcff"})
    _written(path, {"c": None})
    assert list(read_lines(path)) == [{"a": 1}, {"b": "ü\udcff"}, {"c": None}]
    assert list(read_lines(path.with_name("none"))) == []


@pytest.mark.parametrize("torn", [b'{"b', b'{"b": 2}', b"\x00" * 100_000])
def test_a_line_that_was_torn_is_cut_off_before_the_next_one(path, torn, caplog):
    _written(path, {"a": 1})
    path.write_bytes(path.read_bytes() + torn)
    with caplog.at_level(logging.WARNING):
        assert list(read_lines(path)) == [{"a": 1}]
    assert not caplog.records
    _written(path, {"c": 3})
    assert path.read_bytes() == b'{"a": 1}\n{"c": 3}\n'


def test_a_damaged_line_costs_only_itself(path, caplog):
    _written(path, {"a": 1}, {"b": 2}, {"c": 3})
    path.write_bytes(path.read_bytes().replace(b'{"b": 2}', b'{"b": \xff}'))
    with caplog.at_level(logging.WARNING):
        assert list(read_lines(path)) == [{"a": 1}, {"c": 3}]
    assert "line 2 is damaged and was left out" in caplog.text


def test_every_line_is_synced_before_it_counts(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(path.read_bytes()), real(handle))[1])
    journal = ChangeJournal(path)
    synced.clear()
    journal.append({"a": 1})
    assert synced == [b'{"a": 1}\n']
    journal.close()


class _Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file, room):
        self._file, self.room = file, room

    def write(self, content):
        part = bytes(content[: min(self.room, 5)])
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(part)
        return self._file.write(part)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_full_disk_loses_nothing_and_leaves_no_half_line(path):
    _written(path, {"a": 1})
    journal = ChangeJournal(path)
    real, journal._file = journal._file, _Full(journal._file, 7)
    with pytest.raises(
        ExportError, match=r"journal.jsonl: cannot write the change: No space left on device. Make room"
    ):
        journal.append({"b": "a long text"})
    assert path.read_bytes() == b'{"a": 1}\n'
    journal._file = real
    journal.append({"b": 2})
    assert list(read_lines(path)) == [{"a": 1}, {"b": 2}]
    journal.close()


def test_what_json_cannot_hold_is_refused(path):
    journal = ChangeJournal(path)
    with pytest.raises(ExportError, match="cannot be written as JSON"):
        journal.append({"a": float("nan")})
    journal.append({"a": json.dumps("x")})
    journal.close()
    with pytest.raises(ExportError, match="cannot write here"):
        ChangeJournal(path / "below")
