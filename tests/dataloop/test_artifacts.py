"""The artifacts of a model entity: its own weights, checked, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sam2_adapter.errors import CheckpointError, PlatformError
from sam2_adapter.models.weights.checkpoint import weights_sha256
from tests.dataloop.adapting import adapter_of, artifacts_of, configuration, no_waits


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def test_weights_of_another_model_are_refused(platform, dl):
    from sam2_adapter.dataloop.weights import save_weights
    from sam2_adapter.models.load import load_model

    other = load_model("sam2_nano")
    with torch.no_grad():
        other.model.mask_decoder.iou_token.weight.add_(1)
    save_weights(other, Path("other.torch"))
    artifacts = {"best_sam2_model.torch": Path("other.torch").read_bytes()}
    settings = {**configuration(), "weights_sha256": "0" * 64}
    model = platform.model(platform.dataset(), configuration=settings, artifacts=artifacts)
    with pytest.raises(CheckpointError, match="of another model; this one was trained to 000000000000"):
        adapter_of(model)
    wrong = platform.model(
        platform.dataset(), "small", configuration=configuration(model_cfg="sam2_hiera_s"), artifacts=artifacts
    )
    with pytest.raises(CheckpointError, match="says that it is sam2_nano, not sam2_hiera_s"):
        adapter_of(wrong)


def test_a_trained_model_without_its_weights_is_refused(platform, dl):
    model = platform.model(platform.dataset(), configuration={**configuration(), "weights_sha256": "0" * 64})
    with pytest.raises(
        CheckpointError, match=r"This model was trained, but its artifacts hold no 'best_sam2_model.torch'"
    ):
        adapter_of(model)


def test_models_whose_names_begin_alike_keep_their_own_weights(platform, dl):
    dataset = platform.dataset()
    small, large = (platform.model(dataset, name, configuration=configuration()) for name in ("sam2", "sam2-large"))
    with_other = adapter_of(large)
    with torch.no_grad():
        with_other._loaded.model.mask_decoder.iou_token.weight.add_(1)
    state = with_other._loaded.state
    with_other._use(replace(with_other._loaded, tensors=state, weights_sha256=weights_sha256(state)))
    with_other.save_to_model()
    adapter_of(small).save_to_model()

    adapters = {m.id: adapter_of(dl.models.get(model_id=m.id)) for m in (small, large)}
    assert set(artifacts_of(platform, small)) == {"best_sam2_model.torch"}
    shas = [adapters[m.id].predictor.info.weights_sha256 for m in (small, large)]
    assert shas == [platform.stored_model(m)["configuration"]["weights_sha256"] for m in (small, large)]
    assert shas[0] != shas[1]


def test_a_clone_has_the_weights_of_its_source(platform, dl):
    model = platform.model(platform.dataset(), "source", configuration=configuration())
    source = adapter_of(model)
    source.save_to_model()
    clone = dl.models.clone(dl.models.get(model_id=model.id), "copy", project_id=model.project_id)
    assert adapter_of(clone).predictor.info == source.predictor.info


def test_two_artifacts_of_one_name_are_refused(platform, dl):
    model = platform.model(platform.dataset(), configuration=configuration(), artifacts={"best_sam2_model.torch": b"1"})
    platform.model(
        platform.dataset("other"), "other", configuration=configuration(), artifacts={"best_sam2_model.torch": b"2"}
    )
    ids = [item["id"] for item in platform.store.all("items", name="best_sam2_model.torch")]
    platform.stored_model(model)["artifacts"] = [{"type": "item", "itemId": identifier} for identifier in ids]
    platform.stored_model(model)["name"] = "clone-of-both"
    with pytest.raises(PlatformError, match=r"two artifacts called 'best_sam2_model.torch'"):
        adapter_of(dl.models.get(model_id=model.id))


def test_a_link_is_refused(platform, dl):
    model = platform.model(platform.dataset(), configuration=configuration())
    link = {"type": "link", "url": "https://example.com/w.torch", "filename": "best_sam2_model.torch"}
    platform.stored_model(model)["artifacts"] = [link]
    with pytest.raises(PlatformError, match=r"'best_sam2_model.torch' is a link, which cannot be checked"):
        adapter_of(dl.models.get(model_id=model.id))
