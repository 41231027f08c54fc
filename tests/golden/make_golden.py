"""Make the reference outputs with Meta's own `sam2` package, or compare full-size models with it directly.

Run by hand, from the repository's root, in an environment of its own (about 6 GB):

    python -m venv .venv-peers
    .venv-peers/bin/pip install torch torchvision hydra-core iopath tqdm "transformers>=5,<6"
    SAM2_BUILD_CUDA=0 .venv-peers/bin/pip install --no-deps --no-build-isolation sam2==1.1.0
    .venv-peers/bin/python -m tests.golden.make_golden            # writes tests/golden/*.npz
    .venv-peers/bin/python -m tests.golden.make_golden --full     # Hiera-T and Hiera-S at full size, official against ours

`--full` also needs our package's own dependencies there. Weights, images and prompts come from `seeded.py`; `test_parity.py` compares.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sam2.build_sam import build_sam2
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor

from tests.golden.seeded import (
    IMAGE_SIZES,
    PROMPT_KINDS,
    SMALL_ARCHITECTURE,
    checksum,
    seeded_image,
    seeded_prompt,
    seeded_weights,
)

HERE = Path(__file__).parent

# Every how many-th value is stored, along height and width, to keep the files small.
PIXEL_STRIDE = 8
MAP_STRIDE = 2

OFFICIAL_CONFIGS = {
    "sam2.1_hiera_t": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_hiera_s": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2_hiera_t": "configs/sam2/sam2_hiera_t.yaml",
    "sam2_hiera_s": "configs/sam2/sam2_hiera_s.yaml",
}


def small_official_model() -> SAM2Base:
    """The official SAM2.1 model, its official configuration reduced to `SMALL_ARCHITECTURE`."""
    return official_model_of(SMALL_ARCHITECTURE)


def official_model_of(numbers: dict[str, Any]) -> SAM2Base:
    """The official SAM2.1 model at other sizes, which are given as our files of architectures give them; the decoder's stay Meta's."""
    hiera, channels = numbers["hiera"], numbers["fpn_hidden_size"]
    embedding_size = numbers["image_size"] // 16
    values = {
        "image_size": numbers["image_size"],
        **{
            f"image_encoder.trunk.{key}": hiera[key]
            for key in (
                "embed_dim",
                "num_heads",
                "stages",
                "global_att_blocks",
                "window_pos_embed_bkg_spatial_size",
                "window_spec",
            )
        },
        "image_encoder.neck.d_model": channels,
        "image_encoder.neck.fpn_top_down_levels": numbers["fpn_top_down_levels"],
        "image_encoder.neck.position_encoding.num_pos_feats": channels,
        "image_encoder.neck.backbone_channel_list": hiera["embed_dim_per_stage"][::-1],
        "memory_attention.d_model": channels,
        "memory_attention.layer.d_model": channels,
        "memory_attention.layer.self_attention.embedding_dim": channels,
        "memory_attention.layer.self_attention.feat_sizes": [embedding_size] * 2,
        "memory_attention.layer.cross_attention.embedding_dim": channels,
        "memory_attention.layer.cross_attention.feat_sizes": [embedding_size] * 2,
        "memory_encoder.in_dim": channels,
        "memory_encoder.mask_downsampler.embed_dim": channels,
        "memory_encoder.fuser.layer.dim": channels,
    }
    overrides = [f"++model.{key}={value}".replace(" ", "") for key, value in values.items()]
    return build_sam2(OFFICIAL_CONFIGS["sam2.1_hiera_t"], ckpt_path=None, device="cpu", hydra_overrides_extra=overrides)


def seed_weights(model: SAM2Base, bold: bool = False) -> str:
    """Fill all tensors from their names; returns their checksum."""
    weights = seeded_weights({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, bold)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()}, strict=True)
    return checksum(weights)


def official_predictor(model: SAM2Base) -> SAM2ImagePredictor:
    """The official predictor; its feature sizes are written for 1024 px and set here for other sizes."""
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
    return predictor


def reference(
    predictor: SAM2ImagePredictor, image: np.ndarray, prompts: dict[str, dict[str, Any]]
) -> dict[str, np.ndarray]:
    """All stages of the official model for one image and its prompts, by name."""
    predictor.set_image(image)
    features = predictor._features
    outputs = {"pixel_values": predictor._transforms(image).numpy(), "embedding_2": features["image_embed"][0].numpy()}
    outputs |= {f"embedding_{level}": features["high_res_feats"][level][0].numpy() for level in (0, 1)}
    for kind, prompt in prompts.items():
        for multimask in (True, False):
            mask_input = prompt.get("mask_input")
            masks, iou_scores, low_res_logits = predictor.predict(
                point_coords=prompt.get("points"),
                point_labels=prompt.get("labels"),
                box=np.array(prompt["box"]) if "box" in prompt else None,
                mask_input=None if mask_input is None else mask_input[None],
                multimask_output=multimask,
            )
            case = f"{kind}.{'multi' if multimask else 'single'}"
            outputs |= {
                f"{case}.masks": masks > 0,
                f"{case}.iou_scores": iou_scores,
                f"{case}.low_res_logits": low_res_logits,
            }
    return outputs


def compact(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Thin out the large maps, pack masks into bits and add the mean magnitude of what was thinned out."""
    stored: dict[str, np.ndarray] = {}
    for name, values in outputs.items():
        if values.dtype == np.bool_:
            stored[name] = np.packbits(values)
        elif values.ndim == 3:
            stride = PIXEL_STRIDE if name == "pixel_values" else MAP_STRIDE
            stored[name] = values[:, ::stride, ::stride]
            stored[f"{name}.mean_abs"] = np.abs(values.astype(np.float64)).mean()
        else:
            stored[name] = values
    return stored


def make_files() -> None:
    """Write one file per image."""
    model = small_official_model()
    weights_checksum = seed_weights(model, bold=True)
    predictor = official_predictor(model)
    for name, hw in IMAGE_SIZES.items():
        prompts = {kind: seeded_prompt(kind, name, hw, model.image_size // 4) for kind in PROMPT_KINDS}
        outputs = reference(predictor, seeded_image(name, hw), prompts)
        path = HERE / f"{name}.npz"
        np.savez_compressed(path, weights_checksum=weights_checksum, **compact(outputs))
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
        for case in sorted({key.rpartition(".")[0] for key in outputs if "." in key}):
            logits = outputs[f"{case}.low_res_logits"]
            print(
                f"  {case:18} logits {logits.min():7.2f}..{logits.max():6.2f}  foreground {outputs[f'{case}.masks'].mean():.3f}"
            )


def compare_full_size(name: str) -> None:
    """Print the largest differences between the official full-size model and ours on the same seeded weights."""
    from sam2_adapter.models.families.architectures import get_architecture
    from sam2_adapter.models.load import load_model
    from sam2_adapter.predict.load import make_predictor
    from tests.golden.compare import differences, our_outputs, worst

    model = build_sam2(OFFICIAL_CONFIGS[name], ckpt_path=None, device="cpu")
    seed_weights(model)
    path = Path(HERE.parents[1], ".scratch", f"{name}.pt")
    path.parent.mkdir(exist_ok=True)
    torch.save({"model": model.state_dict()}, path)
    official = official_predictor(model)
    ours = make_predictor(load_model(path, architecture=name), device="cpu", runtime="torch", precision="fp32")
    found = []
    for image_name, hw in {"square": (900, 900), "landscape": (480, 720), "portrait": (1300, 700)}.items():
        image = seeded_image(image_name, hw)
        prompts = {
            kind: seeded_prompt(kind, image_name, hw, get_architecture(name).low_res_mask_size) for kind in PROMPT_KINDS
        }
        with torch.inference_mode():
            found.append(differences(reference(official, image, prompts), our_outputs(ours, image, prompts)))
    path.unlink()
    print(name, worst(found))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--full", action="store_true", help="compare Hiera-T and Hiera-S at full size instead of writing files"
    )
    if parser.parse_args().full:
        for name in OFFICIAL_CONFIGS:
            compare_full_size(name)
    else:
        make_files()


if __name__ == "__main__":
    main()
