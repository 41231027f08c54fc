"""Write dataloop.json, the manifest of the Dataloop app, from `Config` and the architectures; `--check` only says whether it is current."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.config import Config
from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS

TARGET = Path(__file__).parents[1] / "dataloop.json"

APP = "sam2-adapter"
MODEL_MODULE, STUDIO_MODULE = "sam2-model", "sam2-studio"

# `tools/publish_dataloop.py` puts the registry in front.
CPU_IMAGE, GPU_IMAGE = f"{APP}:{__version__}-cpu", f"{APP}:{__version__}-gpu"

# The platform ends an execution after an hour where nothing is said, which is too short for most trainings.
DAY_S = 86_400

# Model of the app: name, configuration, words for people.
MODELS = (
    ("sam2-hiera-small", "sam2_hiera_s.yaml", "SAM2 small: the quickest that is good"),
    ("sam2-hiera-base-plus", "sam2_hiera_b+.yaml", "SAM2 base+"),
    ("sam2-hiera-large", "sam2_hiera_l.yaml", "SAM2 large: the best masks, four times the time of small"),
    ("sam2-1-hiera-small", "sam2.1_hiera_s.yaml", "SAM2.1 small: the quickest that is good"),
    ("sam2-1-hiera-base-plus", "sam2.1_hiera_b+.yaml", "SAM2.1 base+"),
    ("sam2-1-hiera-large", "sam2.1_hiera_l.yaml", "SAM2.1 large: the best masks, four times the time of small"),
)


def manifest() -> dict[str, Any]:
    """The whole manifest."""
    return {
        "name": APP,
        "displayName": "Segment Anything 2",
        "version": __version__,
        "scope": "project",
        "description": "Masks and polygons from boxes, points or nothing, with Segment Anything 2; fine-tuning on your own annotations.",
        "attributes": {
            "Provider": "Meta",
            "License": "Apache 2.0",
            "Category": "Model",
            "Computer Vision": "Segmentation",
            "Media Type": "Image",
            "Deployed By": "Customer",
        },
        "components": {
            "computeConfigs": compute_configs(),
            "modules": [model_module(), studio_module()],
            "models": [model(*row) for row in MODELS],
            "services": [{"name": STUDIO_MODULE, "moduleName": STUDIO_MODULE, "computeConfig": "studio-cpu"}],
            "toolbars": toolbars(),
        },
    }


def compute_configs() -> list[dict[str, Any]]:
    """Where functions run: prediction and the studio on CPU pods, training on a GPU."""
    return [
        compute_config("predict-cpu", "regular-l", CPU_IMAGE, concurrency=1, min_replicas=0, timeout_s=DAY_S),
        compute_config("studio-cpu", "regular-l", CPU_IMAGE, concurrency=10, min_replicas=1, timeout_s=600),
        compute_config("train-gpu", "gpu-t4", GPU_IMAGE, concurrency=1, min_replicas=0, timeout_s=5 * DAY_S),
    ]


def compute_config(
    name: str, pod_type: str, image: str, *, concurrency: int, min_replicas: int, timeout_s: int
) -> dict[str, Any]:
    """One kind of pod; an execution whose pod is reset runs again, which training resumes from its artifacts."""
    return {
        "name": name,
        "runtime": {
            "podType": pod_type,
            "concurrency": concurrency,
            "runnerImage": image,
            "autoscaler": {"type": "rabbitmq", "minReplicas": min_replicas, "maxReplicas": 2, "queueLength": 10},
        },
        "executionTimeout": timeout_s,
        "onReset": "rerun",
        "maxAttempts": 3,
    }


def model_module() -> dict[str, Any]:
    """The model adapter."""
    items, query = parameter("Item[]", "items"), parameter("Json", "filters")
    dataset, entity = parameter("Dataset", "dataset"), parameter("Model", "model")
    return {
        "name": MODEL_MODULE,
        "entryPoint": "sam2_adapter/dataloop/adapter.py",
        "className": "ModelAdapter",
        "computeConfig": "predict-cpu",
        "initInputs": [parameter("Model", "model_entity")],
        "functions": [
            function(
                "predict_items",
                [items],
                [items, parameter("Annotation[]", "annotations")],
                "Masks from the prompts of items",
            ),
            function("predict_dataset", [dataset, query], [], "Masks for the items that a filter finds"),
            function("train_model", [entity], [entity], "Fine-tune on the model's subsets", "train-gpu"),
            function(
                "evaluate_model",
                [entity, dataset, query],
                [entity, dataset],
                "Compare predictions with annotations",
                "train-gpu",
            ),
            function("embed_items", [items], [items], "One vector per item, for similarity search"),
            function("embed_dataset", [dataset, query], [], "One vector per item that a filter finds"),
        ],
    }


def studio_module() -> dict[str, Any]:
    """The functions behind the studio's buttons."""
    item, boxes = parameter("Item", "item"), parameter("Json[]", "annotations")
    clicks = [
        item,
        parameter("Json", "points"),
        parameter("Json", "bb"),
        parameter("String", "mask_uri"),
        parameter("Integer", "click_radius"),
        parameter("Json", "color"),
    ]
    return {
        "name": STUDIO_MODULE,
        "entryPoint": "sam2_adapter/dataloop/studio.py",
        "className": "StudioService",
        "computeConfig": "studio-cpu",
        "initInputs": [],
        "functions": [
            function("box_to_segmentation", [item, boxes], [parameter("Json[]", "annotations")], "Boxes to masks"),
            function("box_to_polygon", [item, boxes], [parameter("Json[]", "annotations")], "Boxes to polygons"),
            function(
                "predict_interactive_editing",
                clicks,
                [parameter("String", "mask_uri")],
                "Clicks to the mask of one object",
            ),
            function(
                "get_sam_features", [item], [parameter("String", "item_id")], "What the encoder makes of an image"
            ),
        ],
    }


def function(
    name: str, inputs: list[dict[str, str]], outputs: list[dict[str, str]], description: str, compute: str = ""
) -> dict[str, Any]:
    """One function of a module; `compute` overrides the module's."""
    entry = {"name": name, "input": inputs, "output": outputs, "description": description}
    return {**entry, "computeConfig": compute} if compute else entry


def parameter(kind: str, name: str) -> dict[str, str]:
    """An input or output."""
    return {"type": kind, "name": name}


def model(name: str, model_cfg: str, description: str) -> dict[str, Any]:
    """A model entity that comes with the app; every key is listed, so that the SDK sends none of them again."""
    return {
        "name": name,
        "moduleName": MODEL_MODULE,
        "scope": "project",
        "status": "pre-trained",
        "inputType": "image",
        "outputType": "binary",
        "description": description,
        "labels": [],
        "tags": ["sam2", "segmentation"],
        "configuration": {**PLATFORM_DEFAULTS, **Config(model_cfg=model_cfg).model_dump(mode="json")},
    }


def toolbars() -> list[dict[str, Any]]:
    """Buttons of the studio for chosen boxes."""
    on_boxes = {"resources": [{"entityType": "annotation", "filter": {"type": "box"}}]}
    rows = (("box_to_segmentation", "SAM2: box to mask"), ("box_to_polygon", "SAM2: box to polygon"))
    return [
        {
            "name": name.replace("_", "-"),
            "displayName": title,
            "conditions": on_boxes,
            "invoke": {"type": "function", "namespace": f"{STUDIO_MODULE}.{STUDIO_MODULE}.{name}"},
            "location": "annotationStudio",
            "icon": "icon-dl-segmentation",
        }
        for name, title in rows
    ]


def main() -> int:
    """Write or check the manifest; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is not current")
    text = json.dumps(manifest(), indent=2) + "\n"
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET} is not current; run `make docs`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
