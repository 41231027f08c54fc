"""Memory does not grow with the number of objects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# 500 masks of this image as bool arrays would take 1 GiB, their logits at the original size 4 GiB.
SCRIPT = """
import resource
import numpy as np
from sam2_adapter.predict.segment import segment
from tests.small_model import small_predictor

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

predictor = small_predictor()
image = np.random.default_rng(0).integers(0, 256, (1200, 1800, 3), dtype=np.uint8)
(embedding,) = predictor.embed([image])
segment(predictor, embedding, [{"box": [0, 0, 100, 100]}])
before = peak_mib()
rng = np.random.default_rng(1)
low = rng.uniform(0, 1000, (500, 2))
boxes = np.concatenate([low, low + rng.uniform(50, 200, (500, 2))], axis=1)
found = segment(predictor, embedding, [{"box": box} for box in boxes])
assert len(found.annotations) + len(found.empty_prompts) == 500
print(peak_mib() - before)
"""


@pytest.mark.slow
def test_500_boxes_do_not_need_500_masks_at_once():
    finished = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) < 700
