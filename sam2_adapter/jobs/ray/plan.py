"""What the process that talks to Ray is asked for; it passes on what it need not understand, and so starts quickly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A run, but for its chunks.

    Attributes:
        job: what the workers have in common, a pickled `Job`.
        use_gpus: take GPUs where there are some.
        address: of the cluster; `local` starts one on this machine.
        workers: number of models at work; `None` takes one a GPU, or one for every 8 cores.
        num_chunks: how many chunks follow, each a pickled `Chunk`.
        debug: let Ray say what it does, on stderr.
    """

    job: bytes
    use_gpus: bool
    address: str
    workers: int | None
    num_chunks: int
    debug: bool
