"""Recognising that memory ran out, whoever says so."""

from __future__ import annotations

import torch

# What allocators say, besides raising their own class: torch on the CPU, oneDNN, MPS.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not create a memory object",
    "failed to allocate",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, on the CPU or a GPU, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)
