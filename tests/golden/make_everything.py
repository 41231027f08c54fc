"""Make the reference of everything-mode with Meta's own automatic mask generator and the bundled model's weights.

Run by hand, from the repository's root, whenever the bundled weights change; `make_golden.py` says how the official package gets its environment:

    .venv/bin/python -m tests.golden.make_everything --peers-python .venv-peers/bin/python

Our environment writes the weights in Meta's layout, the other one builds Meta's modules at the bundled model's sizes and writes
`everything.npz`: for every case the thresholds, and the masks that the generator kept. Thresholds are chosen at quantiles of the
candidates' scores, in the middle of a gap to the next score, so that rounding decides nothing. `test_everything.py` compares.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
ASSETS = HERE.parents[1] / "sam2_adapter" / "assets"
TARGET = HERE / "everything.npz"

# Image of the demo -> part of it (x0, y0, x1, y1), layers of crops, and points along a side.
CASES: dict[str, tuple[str, tuple[int, int, int, int], int, int]] = {
    "square": ("coins.png", (0, 0, 300, 300), 0, 16),
    "landscape": ("flower.jpg", (0, 0, 640, 427), 0, 16),
    "portrait_crops": ("astronaut.jpg", (60, 0, 400, 500), 1, 8),
}
OFFSET = 1.0

# Candidates that should pass both thresholds, as a share of all, and the least distance of thresholds to scores.
KEPT_SHARE = 0.3
LEAST_GAP = 1e-3


def case_image(name: str) -> np.ndarray:
    """uint8 RGB H x W x 3."""
    file_name, box, _, _ = CASES[name]
    return np.array(Image.open(ASSETS / "demo" / file_name).convert("RGB").crop(box))


def case_settings(name: str) -> dict[str, Any]:
    """The settings of Meta's generator beside the thresholds."""
    return {
        "points_per_side": CASES[name][3],
        "stability_score_offset": OFFSET,
        "crop_n_layers": CASES[name][2],
        "min_mask_region_area": 0,
    }


def official_model(weights: Path, numbers: dict[str, Any]) -> Any:
    """Meta's modules at the sizes of the bundled model, with its weights."""
    import torch
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.transformer import TwoWayTransformer

    from tests.golden.make_golden import official_model_of

    model = official_model_of(numbers)
    decoder, channels = numbers["decoder"], numbers["fpn_hidden_size"]
    # Meta's code has its own sizes of the decoder written into it.
    model.sam_mask_decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(
            depth=2,
            embedding_dim=channels,
            mlp_dim=decoder["mlp_dim"],
            num_heads=decoder["num_attention_heads"],
            attention_downsample_rate=decoder["attention_downsample_rate"],
        ),
        transformer_dim=channels,
        iou_head_depth=3,
        iou_head_hidden_dim=decoder["iou_head_hidden_dim"],
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
        dynamic_multimask_via_stability=True,
        dynamic_multimask_stability_delta=0.05,
        dynamic_multimask_stability_thresh=0.98,
    )
    state = torch.load(weights, weights_only=True)["model"]
    left_over = model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
    image_model = ("image_encoder", "sam_", "no_mem_embed")
    missing = [name for name in left_over.missing_keys if name.startswith(image_model)]
    assert not missing, missing
    assert not left_over.unexpected_keys, left_over.unexpected_keys
    return model.eval()


def threshold_at(scores: np.ndarray, share: float) -> float:
    """A threshold that about `share` of the scores pass, in the middle of the first gap of twice `LEAST_GAP` from there on."""
    ordered = np.sort(scores)[::-1]
    start = int(len(ordered) * share)
    for step in range(len(ordered)):
        for index in (start + step, start - step):
            if 0 < index < len(ordered) and ordered[index - 1] - ordered[index] >= 2 * LEAST_GAP:
                return float(ordered[index - 1] + ordered[index]) / 2
    raise AssertionError("the scores have no gap")


def reference(model: Any, name: str) -> dict[str, np.ndarray]:
    """What Meta's generator keeps of one case, and how many masks passed its thresholds."""
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

    image, settings = case_image(name), case_settings(name)
    candidates: list[Any] = []

    class Generator(SAM2AutomaticMaskGenerator):
        def _process_batch(self, *args: Any, **kwargs: Any) -> Any:
            data = super()._process_batch(*args, **kwargs)
            candidates.append((data["iou_preds"].numpy(), data["stability_score"].numpy()))
            return data

    def generate(**thresholds: float) -> list[dict[str, Any]]:
        candidates.clear()
        generator = Generator(model, **settings, **thresholds)
        # Its feature sizes are written for 1024 px.
        generator.predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
        return generator.generate(image)

    # All scores: those that pass no matter what.
    generate(pred_iou_thresh=-1.0, stability_score_thresh=-1.0)
    ious, stabilities = (np.concatenate(column) for column in zip(*candidates, strict=True))
    share = KEPT_SHARE**0.5
    iou = threshold_at(ious, share)
    stability = threshold_at(stabilities[ious > iou], share)
    kept = generate(pred_iou_thresh=iou, stability_score_thresh=stability)
    passed = sum(len(scores) for scores, _ in candidates)
    print(f"{name}: {len(ious)} candidates, {passed} pass, {len(kept)} kept; thresholds {iou:.4f} and {stability:.4f}")
    masks = np.array([entry["segmentation"] for entry in kept])
    return {
        "thresholds": np.array([iou, stability]),
        "passed": np.array(passed),
        "masks": np.packbits(masks),
        "shape": np.array(masks.shape),
        "iou": np.array([entry["predicted_iou"] for entry in kept], np.float32),
        "stability": np.array([entry["stability_score"] for entry in kept], np.float32),
        "points": np.array([entry["point_coords"][0] for entry in kept], np.float32),
    }


def make_file(weights: Path, sha256: str) -> None:
    """Write the reference; runs where the official package is."""
    model = official_model(weights, json.loads((ASSETS / "sam2_nano.json").read_text()))
    arrays = {f"{name}.{key}": value for name in CASES for key, value in reference(model, name).items()}
    np.savez_compressed(TARGET, weights_sha256=sha256, **arrays)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", help="of the environment with the official package")
    parser.add_argument("--weights", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.weights:
        make_file(Path(arguments.weights[0]), arguments.weights[1])
        return
    from sam2_adapter.models.load import load_model
    from sam2_adapter.models.weights.convert import convert_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "sam2_nano.pt"
        convert_checkpoint(ASSETS / "sam2_nano.safetensors", target, architecture="sam2_nano")
        command = [arguments.peers_python or sys.executable, "-m", "tests.golden.make_everything", "--weights"]
        subprocess.run([*command, str(target), load_model("sam2_nano").weights_sha256], check=True)


if __name__ == "__main__":
    main()
