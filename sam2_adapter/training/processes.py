"""Which of several processes this is, before any of them has joined the others."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this process writes files and talks, as the variable that `torchrun` and `accelerate launch` set says."""
    return os.environ.get("RANK", "0") == "0"
