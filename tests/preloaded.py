"""What the processes of tests/processes.py start with."""

from __future__ import annotations

import sam2_adapter.training.fine_tuning
import transformers.models.sam2.modeling_sam2

import sam2_adapter.cli
import sam2_adapter.jobs.predict_images
import tests.training.child_run

__all__ = ["sam2_adapter", "tests", "transformers"]
