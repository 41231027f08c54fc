"""Where a model runs: torch, CUDA, OpenVINO."""
