"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal

import pytest

from sam2_adapter.cli.interruption import INTERRUPTED, sigterm_like_ctrl_c
from sam2_adapter.errors import was_interrupted


def test_sigterm_interrupts_like_ctrl_c_and_has_its_own_status() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_like_ctrl_c() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
    assert interruption.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_has_the_status_that_shells_expect() -> None:
    with sigterm_like_ctrl_c() as interruption:
        pass
    assert interruption.exit_status == INTERRUPTED == 130


def test_an_interruption_behind_another_error_is_found() -> None:
    error = ValueError()
    assert not was_interrupted(error)
    error.__context__ = ImportError()
    error.__context__.__cause__ = KeyboardInterrupt()
    assert was_interrupted(error)
    looping = ValueError()
    looping.__cause__ = ImportError()
    looping.__cause__.__context__ = looping
    assert not was_interrupted(looping)
