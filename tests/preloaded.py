"""What the processes of tests/processes.py start with.

The server passes over an import that fails, and every process would import all by itself: here that is another error, which ends the server.
"""

from __future__ import annotations

try:
    # Charts, and what an optimizer imports when it is made first.
    import matplotlib.backends.backend_svg
    import torch._dynamo
    import transformers.models.sam2.modeling_sam2

    import sam2_adapter.cli
    import sam2_adapter.cli.predict
    import sam2_adapter.cli.train
    import sam2_adapter.jobs.predict_images
    import sam2_adapter.training.fine_tune
    import tests.training.child_run
except ImportError as error:
    raise RuntimeError("tests/preloaded.py names a module that cannot be imported") from error

__all__ = ["matplotlib", "sam2_adapter", "tests", "torch", "transformers"]
