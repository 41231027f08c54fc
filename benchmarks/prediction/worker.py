"""One engine in one process: reads jobs as JSON lines, answers with seconds and masks. Started by engines.py, once for each engine.

    python worker.py ours-torch-fp32|ours-openvino-auto|official-bf16|... WEIGHTS.pt CONFIG_NAME

A job is {"image": PATH, "boxes": [[x0, y0, x1, y1], ...], "masks": PATH.npy}; without boxes the whole image is the prompt.
What is timed starts from the RGB array and ends with bool masks in its size.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

Segment = Callable[[np.ndarray, np.ndarray], np.ndarray]


def load_ours(weights: str, runtime: str, precision: str) -> Segment:
    """This package, as `load_predictor` gives it."""
    from sam2_adapter.predict.load import load_predictor

    predictor = load_predictor(weights, device="cpu", runtime=runtime, precision=precision)

    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return predictor.predict(predictor.embed([image])[0], [{"box": box} for box in boxes.tolist()]).masks[:, 0]

    return segment


def load_peer(name: str, weights: str, config_name: str, precision: str) -> Segment:
    """Another package; see peers.py."""
    from peers import LOADERS

    return LOADERS[name](weights, config_name, precision)


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Load the engine, say so, and work on jobs until the input ends."""
    engine, weights, config_name = sys.argv[1:]
    name, *how = engine.split("-")
    segment = load_ours(weights, *how) if name == "ours" else load_peer(name, weights, config_name, *how)
    ready = {"torch": torch.__version__, "threads": torch.get_num_threads(), "peak_mib": peak_mib()}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        image = np.array(Image.open(job["image"]).convert("RGB"))
        start = time.perf_counter()
        masks = segment(image, np.asarray(job["boxes"], np.float32).reshape(-1, 4))
        seconds = time.perf_counter() - start
        np.save(job["masks"], np.packbits(masks))
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), "shape": masks.shape}), flush=True)


if __name__ == "__main__":
    main()
