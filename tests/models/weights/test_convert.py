"""Converting between layouts: bit for bit, complete, and never over what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2Model, Sam2Processor, Sam2VideoModel

import sam2_adapter
from sam2_adapter.errors import CheckpointError, ExportError, OutputExistsError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.weights.checkpoint import (
    load_checkpoint,
    save_checkpoint,
)
from sam2_adapter.models.weights.convert import convert_checkpoint
from sam2_adapter.models.weights.tensor_files import write_directory
from tests.models.seeded_checkpoint import (
    SMALL_2,
    SMALL_2_1,
    SMALL_IMAGE_ONLY,
    assert_same,
    image_model_of,
    meta_tensors_in,
    save_zeros,
    seeded_tensors,
    video_tensors_of,
    write_transformers_directory,
)
from tests.small_disk import files_of_at_most


class TestConverting:
    @pytest.mark.parametrize("architecture", [SMALL_2, SMALL_2_1])
    def test_meta_to_transformers_to_meta_is_bit_for_bit(self, tmp_path: Path, architecture: Architecture) -> None:
        tensors = seeded_tensors(architecture)
        video = video_tensors_of(tensors)
        save_checkpoint(
            tmp_path / "a.torch", image_model_of(tensors), architecture, video_tensors=video, metadata={"resize": "pad"}
        )
        there = convert_checkpoint(tmp_path / "a.torch", tmp_path / "hub", to="transformers")
        names = ["config.json", "model.safetensors", "preprocessor_config.json", "processor_config.json"]
        assert sorted(one.name for one in there.iterdir()) == [*names, "video_preprocessor_config.json"]
        assert_same(load_file(there / "model.safetensors"), tensors)
        back = convert_checkpoint(there, tmp_path / "b.torch")
        assert_same(meta_tensors_in(back), meta_tensors_in(tmp_path / "a.torch"))
        assert load_checkpoint(back).metadata["resize"] == "pad"
        assert load_checkpoint(back).weights_sha256 == load_checkpoint(there).weights_sha256

    def test_transformers_opens_what_was_converted(self, tmp_path: Path, tensors: Tensors) -> None:
        save_checkpoint(tmp_path / "a.pt", image_model_of(tensors), SMALL_2_1, video_tensors=video_tensors_of(tensors))
        convert_checkpoint(tmp_path / "a.pt", tmp_path / "hub", to="transformers")
        video_model, report = Sam2VideoModel.from_pretrained(tmp_path / "hub", output_loading_info=True)
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]
        assert_same(dict(video_model.state_dict()), tensors)
        assert_same(dict(Sam2Model.from_pretrained(tmp_path / "hub").state_dict()), image_model_of(tensors))

    def test_image_model_becomes_a_sam2_model(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        save_checkpoint(tmp_path / "a.pt", tensors, SMALL_IMAGE_ONLY)
        convert_checkpoint(tmp_path / "a.pt", tmp_path / "hub", to="transformers")
        assert json.loads((tmp_path / "hub" / "config.json").read_text())["model_type"] == "sam2"
        assert_same(dict(Sam2Model.from_pretrained(tmp_path / "hub").state_dict()), tensors)

    def test_number_format_is_kept(self, tmp_path: Path, tensors: Tensors) -> None:
        halved = {name: tensor.half() for name, tensor in tensors.items()}
        write_transformers_directory(tmp_path / "hub", halved, SMALL_2_1)
        path = convert_checkpoint(tmp_path / "hub", tmp_path / "a.pt")
        assert {tensor.dtype for tensor in meta_tensors_in(path).values()} == {torch.float16}

    def test_video_tensors_from_another_file(self, tmp_path: Path, tensors: Tensors) -> None:
        image_only = image_model_of(seeded_tensors(SMALL_2_1, seed=1))
        write_transformers_directory(tmp_path / "tuned", image_only, SMALL_2_1)
        write_transformers_directory(tmp_path / "full", tensors, SMALL_2_1)
        path = convert_checkpoint(tmp_path / "tuned", tmp_path / "a.pt", video_tensors=tmp_path / "full")
        checkpoint = load_checkpoint(path)
        assert checkpoint.architecture == SMALL_2_1
        assert_same({**checkpoint.state, **checkpoint.video_tensors}, {**image_only, **video_tensors_of(tensors)})

    def test_video_tensors_of_another_model_are_refused(self, tmp_path: Path, tensors: Tensors) -> None:
        image_only = image_model_of(seeded_tensors(get_architecture("sam2_nano")))
        save_file(image_only, tmp_path / "nano.safetensors")
        write_transformers_directory(tmp_path / "full", tensors, SMALL_2_1)
        with pytest.raises(CheckpointError, match=r"of custom, but .*nano\.safetensors is sam2_nano"):
            convert_checkpoint(tmp_path / "nano.safetensors", tmp_path / "a.pt", video_tensors=tmp_path / "full")
        write_transformers_directory(tmp_path / "none", image_model_of(tensors), SMALL_2_1)
        with pytest.raises(CheckpointError, match="has no video-memory tensors either"):
            convert_checkpoint(tmp_path / "nano.safetensors", tmp_path / "a.pt", video_tensors=tmp_path / "none")

    def test_existing_directory_is_not_overwritten(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "a.pt", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        with pytest.raises(OutputExistsError, match="exists already; name a new or empty directory"):
            convert_checkpoint(tmp_path / "a.pt", tmp_path, to="transformers")
        with pytest.raises(OutputExistsError, match=r"holds a\.pt, which is not replaced"):
            convert_checkpoint(tmp_path / "a.pt", tmp_path, to="transformers", overwrite=True)
        there = convert_checkpoint(tmp_path / "a.pt", tmp_path / "hub", to="transformers")
        (there / "config.json").write_text("old")
        with pytest.raises(OutputExistsError, match="--overwrite"):
            convert_checkpoint(tmp_path / "a.pt", there, to="transformers")
        convert_checkpoint(tmp_path / "a.pt", there, to="transformers", overwrite=True)
        load_checkpoint(there)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.pt", "hub"]

    @pytest.mark.parametrize("target", ["mine.pt", "folder"])
    def test_existing_file_is_not_overwritten(self, tmp_path: Path, target: str) -> None:
        save_checkpoint(tmp_path / "a.torch", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        (tmp_path / "folder").mkdir()
        mine = tmp_path / ("mine.pt" if target == "mine.pt" else "folder/custom.pt")
        mine.write_bytes(b"a week of training")
        with pytest.raises(OutputExistsError, match=f"{mine.name} exists already.*--overwrite"):
            convert_checkpoint(tmp_path / "a.torch", tmp_path / target)
        assert mine.read_bytes() == b"a week of training"
        assert convert_checkpoint(tmp_path / "a.torch", tmp_path / target, overwrite=True) == mine
        load_checkpoint(mine)

    def test_transformers_files_are_readable_by_others(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "a.pt", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        there = convert_checkpoint(tmp_path / "a.pt", tmp_path / "hub", to="transformers")
        (tmp_path / "plain").write_text("")
        assert {entry.stat().st_mode for entry in there.iterdir()} == {(tmp_path / "plain").stat().st_mode}

    def test_transformers_finds_how_images_are_prepared(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "a.pt", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        there = convert_checkpoint(tmp_path / "a.pt", tmp_path / "hub", to="transformers")
        images, _ = Sam2Processor.get_processor_dict(there)
        assert images["target_size"] == 64
        prepared = json.loads((there / "preprocessor_config.json").read_text())
        assert prepared["image_processor_type"] == "Sam2ImageProcessor"
        assert (prepared["size"], prepared["mask_size"]) == ({"height": 64, "width": 64}, {"height": 16, "width": 16})
        assert prepared["image_mean"] == [0.485, 0.456, 0.406]

    def test_failed_directory_leaves_nothing(self, tmp_path: Path) -> None:
        shared = torch.zeros(4)
        with pytest.raises(RuntimeError):
            write_directory(tmp_path / "hub", {"a": shared, "b": shared}, {"config.json": "{}"})
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    def test_names_for_ultralytics(self, tmp_path: Path) -> None:
        save_zeros(tmp_path / "tuned.torch", "sam2_hiera_t")
        path = convert_checkpoint(tmp_path / "tuned.torch", tmp_path / "out", for_ultralytics=True)
        assert path == tmp_path / "out" / "sam2_t.pt"
        assert_same(meta_tensors_in(path), meta_tensors_in(tmp_path / "tuned.torch"))
        with pytest.raises(CheckpointError, match=r"call the target sam2_t\.pt, not mine\.pt"):
            convert_checkpoint(tmp_path / "tuned.torch", tmp_path / "mine.pt", for_ultralytics=True)
        with pytest.raises(CheckpointError, match=r"would take .* for SAM2\.1, because of 'sam2\.1'"):
            convert_checkpoint(tmp_path / "tuned.torch", tmp_path / "my-sam2.1" / "sam2_t.pt", for_ultralytics=True)

    def test_ultralytics_knows_official_models_only(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "a.pt", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        with pytest.raises(CheckpointError, match="ultralytics knows no model custom"):
            convert_checkpoint(tmp_path / "a.pt", tmp_path / "out", for_ultralytics=True)
        with pytest.raises(CheckpointError, match="ultralytics reads Meta's layout only"):
            convert_checkpoint(tmp_path / "a.pt", tmp_path / "out", to="transformers", for_ultralytics=True)


def test_targets_of_another_kind_are_never_replaced(tmp_path: Path) -> None:
    nano = Path(sam2_adapter.__file__).parent / "assets" / "sam2_nano.safetensors"
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"the only copy")
    with pytest.raises(OutputExistsError, match="exists already and is no weights file by its name"):
        convert_checkpoint(nano, photo, overwrite=True)
    assert photo.read_bytes() == b"the only copy"
    with pytest.raises(CheckpointError, match=r"no reader of safetensors opens. Name it x.pt"):
        convert_checkpoint(nano, tmp_path / "x.safetensors")
    for layout in ("meta", "transformers"):
        with pytest.raises(ExportError, match=r"cannot write here: (File exists|Not a directory)"):
            convert_checkpoint(nano, photo / "x.pt", to=layout)
    assert list(tmp_path.iterdir()) == [photo]


def test_a_name_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="but a file or a directory is expected"):
        convert_checkpoint("sam2_hiera_s", tmp_path / "x.pt")


@pytest.mark.parametrize(("layout", "name"), [("meta", "x.pt"), ("transformers", "x")])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, layout: Literal["meta", "transformers"], name: str
) -> None:
    save_checkpoint(tmp_path / "a.pt", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
    with files_of_at_most(20_000), pytest.raises(ExportError, match=r"cannot write here: .*\. Choose another place\."):
        convert_checkpoint(tmp_path / "a.pt", tmp_path / "out" / name, to=layout)
    assert not list((tmp_path / "out").iterdir())
