"""Reading, building and writing checkpoints, and converting between layouts."""

from __future__ import annotations

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Sam2Model

from sam2_adapter.errors import CheckpointError, ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.families.sam2_config import sam2_config
from sam2_adapter.models.families.shared import POSITIONS, POSITIONS_COPY
from sam2_adapter.models.weights.checkpoint import (
    FORMAT_VERSION,
    NoFirstValues,
    build_model,
    load_checkpoint,
    save_checkpoint,
    weights_sha256,
)
from sam2_adapter.models.weights.checks import expected_shapes
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
    write_meta_file,
    write_transformers_directory,
)


class TestReading:
    @pytest.mark.parametrize("bare", [True, False])
    def test_metas_file(self, tmp_path: Path, tensors: Tensors, bare: bool) -> None:
        write_meta_file(tmp_path / "meta.pt", tensors, bare)
        checkpoint = load_checkpoint(tmp_path / "meta.pt", SMALL_2_1)
        assert checkpoint.layout == "meta"
        assert checkpoint.name == "custom"
        assert checkpoint.family_known
        assert_same(checkpoint.state, image_model_of(tensors))
        assert_same(checkpoint.video_tensors, video_tensors_of(tensors))
        assert checkpoint.metadata == {}

    def test_old_style_torch_file(self, tmp_path: Path, tensors: Tensors) -> None:
        path = tmp_path / "old.pth"
        content = write_meta_file(path, tensors)
        torch.save({"model": content}, path, _use_new_zipfile_serialization=False)
        assert_same(load_checkpoint(path, SMALL_2_1).state, image_model_of(tensors))

    def test_what_trainers_put_beside_the_model_is_ignored(self, tmp_path: Path, meta_file: Path) -> None:
        torch.save({"model": meta_tensors_in(meta_file), "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "train.pt")
        assert load_checkpoint(tmp_path / "train.pt", SMALL_2_1).metadata == {}

    @pytest.mark.parametrize("architecture", [SMALL_2, SMALL_2_1, SMALL_IMAGE_ONLY])
    def test_transformers_directory(self, tmp_path: Path, architecture: Architecture) -> None:
        tensors = seeded_tensors(architecture)
        write_transformers_directory(tmp_path / "hub", tensors, architecture)
        for path in (tmp_path / "hub", tmp_path / "hub" / "model.safetensors"):
            checkpoint = load_checkpoint(path)
            assert checkpoint.layout == "transformers"
            assert checkpoint.architecture == architecture
            assert_same({**checkpoint.state, **checkpoint.video_tensors}, tensors)

    def test_sharded_directory(self, tmp_path: Path, tensors: Tensors) -> None:
        write_transformers_directory(tmp_path / "hub", tensors, SMALL_2_1)
        (tmp_path / "hub" / "model.safetensors").unlink()
        names = sorted(tensors)
        shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
        for shard, members in shards.items():
            save_file({name: tensors[name] for name in members}, tmp_path / "hub" / shard)
        weight_map = {name: shard for shard, members in shards.items() for name in members}
        index = tmp_path / "hub" / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))
        assert_same(load_checkpoint(tmp_path / "hub").state, image_model_of(tensors))

        (tmp_path / "hub" / "b.safetensors").unlink()
        with pytest.raises(WeightsNotFoundError, match=r"names the shard b\.safetensors, which is missing"):
            load_checkpoint(tmp_path / "hub")
        index.write_text(json.dumps({"weight_map": {"x": "../b.safetensors"}}))
        with pytest.raises(CheckpointError, match="shards must lie beside it"):
            load_checkpoint(tmp_path / "hub")

    @pytest.mark.parametrize("kept", [POSITIONS, POSITIONS_COPY])
    def test_directory_with_one_of_the_two_equal_matrices(self, tmp_path: Path, tensors: Tensors, kept: str) -> None:
        """As older versions of transformers wrote it."""
        dropped = ({POSITIONS, POSITIONS_COPY} - {kept}).pop()
        file_tensors = {name: tensor for name, tensor in tensors.items() if name != dropped}
        write_transformers_directory(tmp_path / "hub", file_tensors, SMALL_2_1)
        assert_same(load_checkpoint(tmp_path / "hub").state, image_model_of(tensors))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_kept_and_built_in_fp32(
        self, tmp_path: Path, tensors: Tensors, dtype: torch.dtype
    ) -> None:
        halved = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        write_meta_file(tmp_path / "half.pt", halved)
        checkpoint = load_checkpoint(tmp_path / "half.pt", SMALL_2_1)
        assert_same(checkpoint.state, image_model_of(halved))
        model = build_model(checkpoint.state, checkpoint.architecture)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert weights_sha256(model.state_dict()) == checkpoint.weights_sha256


class TestRecognition:
    @pytest.mark.parametrize("name", ["sam2_hiera_t", "sam2.1_hiera_t"])
    def test_full_size_by_its_shapes_and_video_tensors(self, tmp_path: Path, name: str) -> None:
        save_zeros(tmp_path / "unnamed.pt", name)
        checkpoint = load_checkpoint(tmp_path / "unnamed.pt")
        assert checkpoint.name == name
        assert checkpoint.architecture is get_architecture(name)

    def test_image_model_alone_does_not_tell_the_family(self, tmp_path: Path) -> None:
        shapes = expected_shapes(get_architecture("sam2_hiera_t"), "transformers", with_video=False)
        image_model = {key: torch.zeros(shape, dtype=torch.float16) for key, shape in shapes.items()}
        save_file(image_model, tmp_path / "some.safetensors")
        checkpoint = load_checkpoint(tmp_path / "some.safetensors")
        assert checkpoint.name == "sam2_hiera_t or sam2.1_hiera_t"
        assert not checkpoint.family_known
        named = load_checkpoint(tmp_path / "some.safetensors", "sam2.1_hiera_t.yaml")
        assert named.name == "sam2.1_hiera_t"
        assert named.weights_sha256 == checkpoint.weights_sha256
        with pytest.raises(CheckpointError, match=r"The tensors look like sam2_hiera_t or sam2\.1_hiera_t\.$"):
            load_checkpoint(tmp_path / "some.safetensors", "sam2_hiera_s")

    def test_nano_is_recognised(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(get_architecture("sam2_nano"))
        save_file(tensors, tmp_path / "some.safetensors")
        assert load_checkpoint(tmp_path / "some.safetensors").name == "sam2_nano"

    def test_other_family_than_named(self, meta_file: Path) -> None:
        with pytest.raises(
            CheckpointError, match=r"meta\.pt holds the video-memory tensors of a sam2\.1 model, so it is not custom"
        ):
            load_checkpoint(meta_file, SMALL_2)

    def test_unknown_size(self, meta_file: Path) -> None:
        with pytest.raises(CheckpointError, match=r"its shapes fit none of sam2_hiera_t, .*, sam2_nano\."):
            load_checkpoint(meta_file)

    def test_unknown_name(self, meta_file: Path) -> None:
        with pytest.raises(ConfigError, match="Unknown model configuration 'sam3'"):
            load_checkpoint(meta_file, "sam3")


class TestRefusals:
    def test_missing_unexpected_and_misshapen_tensors_are_named(self, tmp_path: Path, meta_file: Path) -> None:
        content = meta_tensors_in(meta_file)
        for name in [name for name in content if "trunk.blocks.1" in name][:5]:
            del content[name]
        content["extra.weight"] = torch.zeros(1)
        content["no_mem_embed"] = torch.zeros(1, 1, 7)
        torch.save({"model": content}, tmp_path / "broken.pt")
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / "broken.pt", SMALL_2_1)
        text = str(caught.value)
        assert text.startswith(f"{tmp_path / 'broken.pt'} does not fit custom: 5 tensors missing (")
        assert ", and 2 more)" in text
        assert "1 tensor unexpected (extra.weight)" in text
        assert "1 tensor of the wrong shape (no_mem_embed is 1 x 1 x 7, expected 1 x 1 x 32)" in text

    def test_part_of_the_video_memory_is_missing(self, tmp_path: Path, meta_file: Path) -> None:
        content = meta_tensors_in(meta_file)
        del content["memory_encoder.out_proj.bias"]
        torch.save({"model": content}, tmp_path / "broken.pt")
        with pytest.raises(CheckpointError, match=r"1 tensor missing \(memory_encoder\.out_proj\.bias\)"):
            load_checkpoint(tmp_path / "broken.pt", SMALL_2_1)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_values_that_are_not_finite(self, tmp_path: Path, meta_file: Path, value: float) -> None:
        content = meta_tensors_in(meta_file)
        content["no_mem_embed"][0, 0, 3] = value
        torch.save({"model": content}, tmp_path / "broken.pt")
        with pytest.raises(CheckpointError, match=r"1 tensor with values that are not finite \(no_mem_embed\)"):
            load_checkpoint(tmp_path / "broken.pt", SMALL_2_1)

    def test_whole_numbers(self, tmp_path: Path, meta_file: Path) -> None:
        content = meta_tensors_in(meta_file)
        content["no_mem_embed"] = content["no_mem_embed"].long()
        torch.save({"model": content}, tmp_path / "broken.pt")
        with pytest.raises(CheckpointError, match=r"not float32, float16 or bfloat16 \(no_mem_embed is int64\)"):
            load_checkpoint(tmp_path / "broken.pt", SMALL_2_1)

    def test_two_positional_matrices_that_differ(self, tmp_path: Path, tensors: Tensors) -> None:
        tensors[POSITIONS_COPY] = tensors[POSITIONS] + 1
        write_transformers_directory(tmp_path / "hub", tensors, SMALL_2_1)
        with pytest.raises(CheckpointError, match="differ, but are one matrix"):
            load_checkpoint(tmp_path / "hub")

    def test_unsafe_pickle_is_not_opened(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple:
                return print, ("this must not be printed",)

        torch.save({"model": Evil()}, tmp_path / "evil.pt")
        with pytest.raises(
            CheckpointError, match=r"holds Python objects besides tensors and plain values \((builtins\.)?print\)"
        ):
            load_checkpoint(tmp_path / "evil.pt")

    def test_whole_model_objects_are_not_opened(self, tmp_path: Path) -> None:
        torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
        with pytest.raises(CheckpointError, match="could run code of the file's author"):
            load_checkpoint(tmp_path / "module.pt")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ([1, 2], "holds a list; expected a state dict"),
            ({}, "holds nothing; expected a state dict"),
            ({"state_dict": {}, "epoch": 3}, "holds the entries state_dict, epoch; expected a state dict"),
            ({"a": torch.zeros(1), "epoch": 3}, "holds 'epoch', which is no tensor, among the tensors of a state dict"),
            ({"layer.weight": torch.zeros(1)}, r"holds no SAM2 model: its tensors are layer\.weight"),
        ],
    )
    def test_other_contents(self, tmp_path: Path, content: object, message: str) -> None:
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "other.pt")

    @pytest.mark.parametrize("name", ["file.pt", "file.torch", "file.safetensors"])
    @pytest.mark.parametrize("content", [b"", b"<notes/>", bytes(range(256)) * 10])
    def test_garbage(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"{name} is {'damaged' if content else 'empty'}"):
            load_checkpoint(tmp_path / name)

    def test_cut_short(self, tmp_path: Path, meta_file: Path) -> None:
        data = meta_file.read_bytes()
        for part in (len(data) // 2, len(data) - 1):
            (tmp_path / "short.pt").write_bytes(data[:part])
            with pytest.raises(CheckpointError, match=r"short\.pt is damaged, cut short or not a PyTorch file"):
                load_checkpoint(tmp_path / "short.pt")

    def test_zip_that_is_no_checkpoint(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "some.pt", "w") as archive:
            archive.writestr("hello.txt", "hello")
        with pytest.raises(
            CheckpointError, match=r"is a ZIP archive that torch.save has not written \(it holds hello.txt\)"
        ):
            load_checkpoint(tmp_path / "some.pt")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsNotFoundError, match=r"There is no weights file .*none\.pt"):
            load_checkpoint(tmp_path / "none.pt")
        with pytest.raises(WeightsNotFoundError, match=r"has no model\.safetensors"):
            load_checkpoint(tmp_path)

    def test_foreign_config(self, tmp_path: Path, tensors: Tensors) -> None:
        write_transformers_directory(tmp_path / "hub", tensors, SMALL_2_1)
        (tmp_path / "hub" / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(CheckpointError, match=r"has model_type 'bert'"):
            load_checkpoint(tmp_path / "hub")
        (tmp_path / "hub" / "config.json").write_text("{")
        with pytest.raises(CheckpointError, match=r"config\.json is not readable as JSON"):
            load_checkpoint(tmp_path / "hub")


class TestSaving:
    def test_round_trip_with_metadata(self, tmp_path: Path, tensors: Tensors) -> None:
        metadata = {"resize": "pad", "epochs": 3, "proof": {"mask": torch.ones(2, 2), "scores": [0.5, True, None]}}
        path = tmp_path / "new" / "best.torch"
        identity = save_checkpoint(
            path, image_model_of(tensors), SMALL_2_1, video_tensors=video_tensors_of(tensors), metadata=metadata
        )
        checkpoint = load_checkpoint(path)
        assert checkpoint.weights_sha256 == identity
        assert checkpoint.architecture == SMALL_2_1
        assert checkpoint.metadata["format_version"] == FORMAT_VERSION
        assert checkpoint.metadata["resize"] == "pad"
        assert torch.equal(checkpoint.metadata["proof"]["mask"], torch.ones(2, 2))
        assert_same({**checkpoint.state, **checkpoint.video_tensors}, tensors)
        assert [one.name for one in path.parent.iterdir()] == ["best.torch"]

    def test_file_is_metas(self, tmp_path: Path, tensors: Tensors, meta_file: Path) -> None:
        save_checkpoint(
            tmp_path / "best.torch", image_model_of(tensors), SMALL_2_1, video_tensors=video_tensors_of(tensors)
        )
        assert_same(meta_tensors_in(tmp_path / "best.torch"), meta_tensors_in(meta_file))

    def test_image_model_of_an_official_architecture_alone_is_refused(self, tmp_path: Path, tensors: Tensors) -> None:
        with pytest.raises(CheckpointError, match=r"holds the image model only.*--video-tensors FILE"):
            save_checkpoint(tmp_path / "best.torch", image_model_of(tensors), SMALL_2_1)
        assert not list(tmp_path.iterdir())

    def test_image_model_without_a_video_model(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        save_checkpoint(tmp_path / "best.torch", tensors, SMALL_IMAGE_ONLY)
        checkpoint = load_checkpoint(tmp_path / "best.torch")
        assert_same(checkpoint.state, tensors)
        assert checkpoint.video_tensors == {}

    def test_state_of_a_trained_model(self, tmp_path: Path) -> None:
        """Parameters that require gradients are saved as plain tensors."""
        save_checkpoint(tmp_path / "a.torch", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        model = build_model(load_checkpoint(tmp_path / "a.torch").state, SMALL_IMAGE_ONLY)
        assert not model.training
        with torch.no_grad():
            model.no_memory_embedding.add_(1)
        save_checkpoint(tmp_path / "b.torch", model.state_dict(), SMALL_IMAGE_ONLY)
        again = build_model(load_checkpoint(tmp_path / "b.torch").state, SMALL_IMAGE_ONLY)
        assert_same(dict(again.state_dict()), dict(model.state_dict()))

    def test_values_that_are_not_finite_are_not_saved(self, tmp_path: Path) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        tensors["no_memory_embedding"][:] = float("nan")
        with pytest.raises(CheckpointError, match=r"What should be written to .*best\.torch does not fit custom"):
            save_checkpoint(tmp_path / "best.torch", tensors, SMALL_IMAGE_ONLY)

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"model": 1}, "reserved keys model"),
            ({"weights_sha256": ""}, "reserved keys weights_sha256"),
            ({"score": np.float64(0.5)}, "'score' is not made of plain values"),
            ({"path": [Path("x")]}, "'path' is not made of plain values"),
        ],
    )
    def test_metadata_are_plain_values(self, tmp_path: Path, metadata: dict, message: str) -> None:
        with pytest.raises(CheckpointError, match=message):
            save_checkpoint(
                tmp_path / "best.torch", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY, metadata=metadata
            )

    def test_failure_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tensors = seeded_tensors(SMALL_IMAGE_ONLY)
        save_checkpoint(tmp_path / "best.torch", tensors, SMALL_IMAGE_ONLY)
        before = (tmp_path / "best.torch").read_bytes()

        def full_disk(content: object, handle) -> None:
            handle.write(b"half of it")
            raise OSError("No space left on device")

        monkeypatch.setattr(torch, "save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(tmp_path / "best.torch", tensors, SMALL_IMAGE_ONLY)
        assert (tmp_path / "best.torch").read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 1

    def test_newer_format_is_refused_by_name(self, tmp_path: Path, meta_file: Path) -> None:
        torch.save({"model": meta_tensors_in(meta_file), "format_version": 2}, tmp_path / "new.pt")
        with pytest.raises(CheckpointError, match=r"written by a newer sam2-adapter \(format_version 2; .* up to 1\)"):
            load_checkpoint(tmp_path / "new.pt", SMALL_2_1)
        torch.save({"model": meta_tensors_in(meta_file), "format_version": "x"}, tmp_path / "new.pt")
        with pytest.raises(CheckpointError, match="has format_version 'x'"):
            load_checkpoint(tmp_path / "new.pt", SMALL_2_1)

    def test_changed_weights_are_noticed(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "a.torch", seeded_tensors(SMALL_IMAGE_ONLY), SMALL_IMAGE_ONLY)
        content = torch.load(tmp_path / "a.torch", weights_only=True)
        content["model"]["no_mem_embed"] += 1
        torch.save(content, tmp_path / "a.torch")
        with pytest.raises(CheckpointError, match="its weights are not those that were saved"):
            load_checkpoint(tmp_path / "a.torch")


def _shapes(model: nn.Module) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def test_a_model_without_first_values_has_the_same_tensors() -> None:
    config = sam2_config(get_architecture("sam2_nano"))
    with torch.device("meta"):
        expected = Sam2Model(config)
        with NoFirstValues():
            found = Sam2Model(config)
    assert _shapes(found) == _shapes(expected)
    assert str(found) == str(expected)


def test_no_random_number_is_drawn_for_first_values() -> None:
    before = torch.random.get_rng_state()
    with NoFirstValues():
        layer = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(3, 4, 2), nn.ConvTranspose2d(3, 4, 2), nn.Embedding(3, 4))
        weight = nn.init.uniform_(tensor=layer[0].weight)
    assert weight is layer[0].weight
    assert torch.equal(torch.random.get_rng_state(), before)
    # What is made afterwards is as ever.
    nn.Linear(3, 4)
    assert not torch.equal(torch.random.get_rng_state(), before)


def test_other_threads_make_models_as_ever() -> None:
    """A model that somebody else builds meanwhile has its first values."""
    torch.manual_seed(0)
    expected = nn.Linear(3, 4).weight
    torch.manual_seed(0)
    with NoFirstValues(), ThreadPoolExecutor(1) as pool:
        found = pool.submit(nn.Linear, 3, 4).result().weight
    assert torch.equal(found, expected)
