"""Worker processes, one for each engine, and the seeded weights that all of them read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# These run in this package's environment.
OWN = ("ours", "transformers")


class EngineError(Exception):
    """An engine could not be started, or ended over a job."""


@dataclass
class Engine:
    """A worker process and what it measured, per number of boxes."""

    name: str
    process: subprocess.Popen[str]
    loaded_mib: float = 0.0
    seconds: dict[int, list[float]] = field(default_factory=dict)
    peak_mib: dict[int, float] = field(default_factory=dict)
    masks: dict[int, np.ndarray] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """The next JSON line of the worker; libraries may print other lines before it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise EngineError(f"{self.name}: the worker ended without an answer; what it printed stands above")

    def run(self, image: Path, boxes: list[list[float]], scratch: Path) -> float:
        """One timed job; returns its seconds."""
        assert self.process.stdin is not None
        masks_path = scratch / f"{self.name}.npy"
        self.process.stdin.write(json.dumps({"image": str(image), "boxes": boxes, "masks": str(masks_path)}) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.seconds.setdefault(len(boxes), []).append(answer["seconds"])
        self.peak_mib[len(boxes)] = answer["peak_mib"]
        count = int(np.prod(answer["shape"]))
        self.masks[len(boxes)] = np.unpackbits(np.load(masks_path), count=count).reshape(answer["shape"]).astype(bool)
        return float(answer["seconds"])

    def stop(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait()


def write_seeded_weights(peers_python: str, config_name: str, target: Path) -> None:
    """Weights in Meta's layout; speed does not depend on their values."""
    command = [peers_python, str(HERE / "seeded_weights.py"), config_name, str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def export_onnx(peers_python: str, config_name: str, weights: Path) -> None:
    """Write the ONNX files beside the weights."""
    command = [peers_python, str(HERE / "export_onnx.py"), config_name, str(weights), str(weights.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"onnxruntime: the export failed: {done.stderr.strip().splitlines()[-1]}")


def worker_environment(name: str, cache: Path) -> dict[str, str]:
    """Environment variables of a worker; the user's own caches and settings are left alone."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT) if name.startswith(OWN) else "",
        "SAM2_ADAPTER_CACHE": str(cache),
        "SAM2_ADAPTER_OFFLINE": "1",
        "YOLO_CONFIG_DIR": str(cache),
        "YOLO_OFFLINE": "true",
    }


def start(name: str, weights: Path, config_name: str, peers_python: str) -> Engine:
    """Start the worker of an engine and wait until its model is loaded."""
    if name.startswith("onnxruntime") and not weights.with_name("decoder.onnx").exists():
        export_onnx(peers_python, config_name, weights)
    python = sys.executable if name.startswith(OWN) else peers_python
    process = subprocess.Popen(
        [python, str(HERE / "worker.py"), name, str(weights), config_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=worker_environment(name, weights.parent / "cache"),
    )
    engine = Engine(name, process)
    ready = engine.answer()
    engine.loaded_mib = ready["peak_mib"]
    print(f"{name}: torch {ready['torch']}, {ready['threads']} threads", file=sys.stderr)
    return engine
