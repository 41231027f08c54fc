"""Show that a fine-tuned file answers in Meta's code and in ultralytics as it does here.

The first command fine-tunes on the demo's crops and keeps our answers beside the model; the second, in the environment of
the peers (see docs/measurements.md), opens the file in both and prints the differences.

    .venv-peers/bin/python benchmarks/prediction/seeded_weights.py sam2_hiera_s seeded.pt
    .venv/bin/python tools/open_elsewhere.py tune seeded.pt run
    .venv-peers/bin/python tools/open_elsewhere.py compare run
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

ASSETS = Path(__file__).parents[1] / "sam2_adapter" / "assets" / "demo"
ANSWERS = "answers.npz"
OFFICIAL_CONFIG = "configs/sam2/sam2_hiera_s.yaml"
BOX_XYXY = (300.0, 100.0, 700.0, 600.0)

# Of the model's size: ultralytics pads other images where Meta's code stretches them.
SIZE_PX = 1024


def main() -> None:
    """Run one of the two halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    tuning = commands.add_parser("tune")
    tuning.add_argument("weights", type=Path)
    tuning.add_argument("run", type=Path)
    commands.add_parser("compare").add_argument("run", type=Path)
    args = parser.parse_args()
    if args.command == "tune":
        tune(args.weights, args.run)
    else:
        compare(args.run)


def tune(weights: Path, run: Path) -> None:
    """Fine-tune on two crops, and keep our answers."""
    from sam2_adapter import Config, load_predictor
    from sam2_adapter.training.fine_tune import fine_tune

    data = run.with_name(f"{run.name}_data")
    for kind in ("images", "masks"):
        (data / kind).mkdir(parents=True, exist_ok=True)
        for stem in ("1b44d2264383", "f93ec5e683d8"):
            shutil.copy(ASSETS / "nuclei" / kind / f"{stem}.png", data / kind)
    config = Config(num_epochs=2, learning_rate=1e-3, validation_share=0.5, precision="fp32", device="cpu")
    result = fine_tune(data, run, config, model=weights)
    print(result.summary)
    predictor = load_predictor(result.model_path, device="cpu", precision="fp32")
    (embedding,) = predictor.embed([_image()])
    found = predictor.predict(embedding, [{"box": BOX_XYXY}], multimask_output=False)
    np.savez(run / ANSWERS, logits=found.low_res_logits[0], mask=found.masks[0, 0], score=found.iou_scores[0, 0])


def compare(run: Path) -> None:
    """Open the file in both peers and print how their answers differ from ours."""
    (model,) = run.glob("*sam2_model.torch")
    ours = np.load(run / ANSWERS)
    logits, mask, score = _official(model)
    print(
        f"Meta's code: mask IoU {_iou(mask, ours['mask']):.6f}, largest difference of low-res logits "
        f"{np.abs(logits - ours['logits']).max():.2g}, of the IoU score {abs(score - float(ours['score'])):.2g}"
    )
    mask, score = _ultralytics(model)
    print(
        f"ultralytics: mask IoU {_iou(mask, ours['mask']):.6f}, difference of the IoU score {abs(score - float(ours['score'])):.2g}"
    )


def _official(model: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], float]:
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(build_sam2(OFFICIAL_CONFIG, str(model), device="cpu"))
    predictor.set_image(_image())
    masks, scores, logits = predictor.predict(box=np.array(BOX_XYXY), multimask_output=False)
    return logits, masks[0] > 0, float(scores[0])


def _ultralytics(model: Path) -> tuple[npt.NDArray[np.bool_], float]:
    from ultralytics import SAM

    # It knows models by the names of their files.
    named = model.with_name("sam2_s.pt")
    shutil.copy(model, named)
    # Seeded weights make low scores, which it would drop.
    (found,) = SAM(str(named))(
        _image()[..., ::-1], bboxes=[list(BOX_XYXY)], imgsz=SIZE_PX, conf=1e-9, device="cpu", verbose=False
    )
    return found.masks.data[0].numpy().astype(bool), float(found.boxes.conf[0])


def _image() -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(ASSETS / "astronaut.jpg").convert("RGB").resize((SIZE_PX, SIZE_PX)))


def _iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
