"""A folder of photographs, beside the time that encoder and decoder alone take for them; and memory by number of images.

    .venv/bin/python benchmarks/prediction/folder.py --model WEIGHTS [--photos FOLDER] [--counts 10 50]

Each count runs in a process of its own: first the folder as `sam2-adapter predict` does it, with COCO output and overlays,
then encoder and decoder on images that are read and resized already.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prepared import prepare
from tables import machine, table

DEMO_PHOTOS = Path(__file__).parents[2] / "sam2_adapter" / "assets" / "demo"


def main() -> None:
    """Measure in child processes and print, or be such a child."""
    args = parse_arguments()
    if args.child:
        print(json.dumps(measure(args)))
        return
    if args.runtime == "openvino":
        prepare(args.model)
    rows = []
    for count in args.counts:
        command = [sys.executable, __file__, "--child", "--counts", str(count), *shared_arguments(args)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        ratio = found["folder"] / found["model"]
        rows.append(
            [count, f"{found['folder']:.1f}", f"{found['model']:.1f}", f"{ratio:.3f}", f"{found['peak_mib']:.0f}"]
        )
    print(f"{args.model.name}, runtime {args.runtime} in {found['precision']}, {machine()}.\n")
    print(table(["images", "seconds", "encoder and decoder alone", "ratio", "peak MiB"], rows))


def measure(args: argparse.Namespace) -> dict[str, float | str]:
    """Seconds of the folder and of the model alone, the largest memory of the folder's run, and the number format."""
    from sam2_adapter.images.read import find_images, read_image
    from sam2_adapter.jobs.predict_images import predict_images
    from sam2_adapter.models.network.preprocess import images_to_pixel_values
    from sam2_adapter.predict.load import load_predictor

    with tempfile.TemporaryDirectory() as scratch:
        paths = fill_folder(Path(scratch) / "photos", find_images([args.photos]), args.counts[0])
        predictor = load_predictor(args.model, runtime=args.runtime, expected_images=10**6)
        runtime = predictor._runtime
        first = predictor.embed([read_image(paths[0])])[0]
        predictor.predict(first)  # warm-up
        started = time.perf_counter()
        results = predict_images(paths, model=predictor, output=Path(scratch) / "out", workers=2)
        failed = [result for result in results if result.error]
        folder = time.perf_counter() - started
        assert not failed
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        alone = 0.0
        for path in paths:
            image = read_image(path)
            values = images_to_pixel_values([image], runtime.image_size)
            embedding = embedding_like(first, image)
            started = time.perf_counter()
            runtime.encode(values)
            predictor.predict(embedding)
            alone += time.perf_counter() - started
    return {"folder": folder, "model": alone, "peak_mib": peak_mib, "precision": predictor.info.precision}


def embedding_like(embedding: Any, image: Any) -> Any:
    """The embedding of another image with this image's size: decoding takes the same time."""
    from dataclasses import replace

    geometry = replace(embedding.geometry, original_hw=image.shape[:2])
    return replace(embedding, geometry=geometry)


def fill_folder(folder: Path, photos: list[Path], count: int) -> list[Path]:
    """`count` copies of the photographs in turn."""
    folder.mkdir()
    copies = []
    for index in range(count):
        photo = photos[index % len(photos)]
        copies.append(Path(shutil.copyfile(photo, folder / f"{index:04}{photo.suffix}")))
    return copies


def shared_arguments(args: argparse.Namespace) -> list[str]:
    """What a child needs."""
    return ["--model", str(args.model), "--photos", str(args.photos), "--runtime", args.runtime]


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, default=DEMO_PHOTOS)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
