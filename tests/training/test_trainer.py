"""Whole runs on the small model: honest results, nothing lost, the same result however a run is cut or shared."""

from __future__ import annotations

import csv
import errno
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import CheckpointError, TrainingError
from sam2_adapter.evaluation.evaluate import evaluate_prompts
from sam2_adapter.evaluation.metrics import mean
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checkpoint import weights_sha256
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.training import run_files, saving, setup
from sam2_adapter.training.events import EpochEnded, TrainingSteps
from sam2_adapter.training.forward import TrainableDecoder, trained_names
from sam2_adapter.training.run_state import STATE_NAME, checkpoint_paths
from sam2_adapter.training.saving import check_proof
from sam2_adapter.training.trainer import train
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

# Most tests look at one whole training.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return make_samples(folder, 3, seed=0), make_samples(folder, 2, seed=1)


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """A finished run of three epochs, the model that it trained and what happened."""
    loaded, events = small_loaded_model(), []
    directory = tmp_path_factory.mktemp("run")
    result = train(loaded, *data, directory, small_config_of_run(save_interval=1), on_event=events.append)
    return result, loaded, [event.record for event in events if isinstance(event, EpochEnded)], directory


def run(data, directory, **settings):
    extra = {
        key: settings.pop(key) for key in ("resume", "resume_from", "on_event", "embeddings_dir") if key in settings
    }
    return train(small_loaded_model(), *data, directory, small_config_of_run(**settings), **extra)


def interrupt_after(epoch):
    def on_event(event):
        if isinstance(event, EpochEnded) and event.record.epoch == epoch:
            raise KeyboardInterrupt

    return on_event


def test_frozen_weights_stay_bit_for_bit_and_all_trained_ones_move(done):
    _, loaded, _, _ = done
    before, after = small_loaded_model().model.state_dict(), loaded.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= set(trained_names(loaded.model))
    # A candidate that never fits best is not trained.
    unchanged = {name.rpartition("mlps.")[2][0] for name in set(trained_names(loaded.model)) - changed}
    assert unchanged < {"1", "2", "3"}


def test_candidates_alone_move_and_the_run_goes_on_with_them_only(data, tmp_path):
    loaded, changed = small_loaded_model(), set()
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}

    def compare(event):
        if isinstance(event, EpochEnded):
            after = loaded.model.state_dict()
            changed.update(name for name in before if not torch.equal(before[name], after[name]))

    settings = small_config_of_run(trained_parts="candidates", learning_rate=0.01, save_interval=1)
    train(loaded, *data, tmp_path, settings, on_event=compare)
    assert changed
    assert changed <= set(trained_names(loaded.model, "candidates"))
    with pytest.raises(TrainingError, match="trained_parts = 'decoder' instead of 'candidates'"):
        run(data, tmp_path, learning_rate=0.01, save_interval=1, resume=True)


def evaluated(loaded, samples, runtime="torch", precision="fp32"):
    """What `evaluate` says of a model: mean IoU from boxes, after one click and after five."""
    predictor = make_predictor(loaded, "cpu", runtime, precision, as_in_training=True)
    found = evaluate_prompts(predictor, samples, ("box", "clicks"))
    clicks = found["clicks"].objects
    return (
        found["box"].summary()["miou"],
        mean([item.iou_after(1) for item in clicks]),
        mean([item.iou_after(5) for item in clicks]),
    )


def measured(record):
    return record.miou_box, record.miou_click, record.miou_clicks


def test_epoch_0_is_the_untouched_model_on_the_same_prompts(done, data):
    result, _, records, _ = done
    assert measured(records[0]) == evaluated(small_loaded_model(), data[1])
    assert [record.epoch for record in records] == [0, 1, 2, 3] == [record.epoch for record in result.history]
    assert records[0].loss is None
    assert all(record.loss > 0 for record in records[1:])


@pytest.mark.parametrize(
    ("precision", "limits"),
    [("fp32", {"memory_mib": 0, "disk_mib": 64, "min_free_mib": 0}), ("bf16", {"memory_mib": 0})],
    ids=["from disk", "encoded again"],
)
def test_evaluate_and_training_agree_to_the_last_digit_wherever_embeddings_are_kept(data, tmp_path, precision, limits):
    result = run(data, tmp_path, num_epochs=1, precision=precision, **limits)
    assert measured(result.history[0]) == evaluated(small_loaded_model(), data[1], precision=precision)
    tuned = load_model(result.model_path)
    assert measured(result.history[result.best_epoch]) == evaluated(tuned, data[1], precision=precision)


def test_evaluate_and_training_agree_to_the_last_digit_with_openvino(data, tmp_path):
    result = run(data, tmp_path, num_epochs=1, runtime="openvino")
    assert measured(result.history[0]) == evaluated(small_loaded_model(), data[1], "openvino")


def test_the_saved_model_is_the_best_epoch_and_proves_it(done, data):
    result, trained, records, _ = done
    best = max(records, key=lambda record: record.score)
    assert result.best_epoch == best.epoch
    assert result.gained == best.score - records[0].score
    loaded = load_model(result.model_path)
    assert loaded.weights_sha256 == result.weights_sha256 == weights_sha256(trained.model.state_dict())
    assert check_proof(loaded) < 1e-3
    assert evaluated(loaded, data[1]) == measured(best)


def test_the_saved_model_says_where_it_comes_from(done):
    result, _, _, _ = done
    metadata = load_model(result.model_path).metadata
    assert metadata["base"]["weights_sha256"] == small_loaded_model().weights_sha256
    assert metadata["configuration"]["learning_rate"] == 1e-3
    assert metadata["training"]["seed"] == 0
    assert metadata["image_encoder"] == {"runtime": "torch", "precision": "fp32"}
    assert metadata["epoch"] == result.best_epoch


def test_a_changed_file_fails_its_proof(done, tmp_path):
    result, _, _, _ = done
    content = torch.load(result.model_path, weights_only=True)
    content["model"]["sam_mask_decoder.iou_prediction_head.layers.2.bias"] += 1
    del content["weights_sha256"]
    torch.save(content, tmp_path / "changed.pt")
    with pytest.raises(CheckpointError, match="answers otherwise"):
        check_proof(load_model(tmp_path / "changed.pt"))


def test_metrics_are_written_and_checkpoints_pruned(done):
    _result, _, records, directory = done
    document = json.loads((directory / "metrics.json").read_text())
    assert [row["score"] for row in document["epochs"]] == [record.score for record in records]
    rows = list(csv.DictReader((directory / "metrics.csv").read_text().splitlines()))
    assert len(rows) == 4
    assert float(rows[2]["loss"]) == records[2].loss
    assert [path.name for path in checkpoint_paths(directory / "checkpoints")] == [
        "epoch_000002.torch",
        "epoch_000003.torch",
    ]


def test_a_checkpoint_holds_the_trained_part_alone(done):
    _result, _, _, directory = done
    path = checkpoint_paths(directory / "checkpoints")[-1]
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["epoch"] == 3
    names = trained_names(small_loaded_model().model)
    assert set(checkpoint["trained"]) == set(names)
    num_bytes = sum(tensor.nbytes for tensor in checkpoint["trained"].values())
    # Names and checksums take some hundred bytes a tensor.
    assert num_bytes < path.stat().st_size < num_bytes + 600 * len(names)
    # The state also holds two moments of every weight, and the best model.
    assert (directory / "checkpoints" / STATE_NAME).stat().st_size > 3.9 * num_bytes


def test_an_interrupted_run_resumes_to_the_same_weights(done, data, tmp_path, caplog):
    whole, _, _, directory = done
    _check_interruption(data, tmp_path / "cut", {"save_interval": 1}, whole, directory)
    assert "saving the best model" in caplog.text


def test_an_interrupted_run_with_an_average_and_variants_does_too(data, tmp_path):
    options = {"average_decay": 0.9, "variants": ("original", "flip_x")}
    whole = run(data, tmp_path / "whole", **options)
    _check_interruption(data, tmp_path / "cut", options, whole, tmp_path / "whole")


def _check_interruption(data, directory, options, whole, whole_directory):
    cut = run(data, directory, **options, on_event=interrupt_after(1))
    assert cut.stopped == "interrupted"
    assert cut.epochs == 1
    assert load_model(cut.model_path).weights_sha256 == cut.weights_sha256
    resumed = run(data, directory, **options, resume=True)
    assert resumed.weights_sha256 == whole.weights_sha256
    assert [(r.loss, r.score) for r in resumed.history] == [(r.loss, r.score) for r in whole.history]
    assert _final_weights(directory) == _final_weights(whole_directory)


def test_a_run_that_is_interrupted_in_its_first_epoch_says_so(data, tmp_path):
    def interrupt(event):
        if isinstance(event, TrainingSteps):
            raise KeyboardInterrupt

    cut = run(data, tmp_path, on_event=interrupt)
    assert (cut.stopped, cut.epochs, cut.best_epoch) == ("interrupted", 0, 0)
    assert cut.summary.startswith("Interrupted before the first epoch was done: the saved model is the untouched one")
    assert run(data, tmp_path, resume=True).epochs == 3


def _final_weights(directory) -> str:
    state = torch.load(directory / "checkpoints" / STATE_NAME, weights_only=True)["state"]
    assert state["epoch"] == 3
    return weights_sha256(state["trained"])


def test_a_run_is_not_overwritten_and_resumed_only_as_it_was(done, data):
    _, _, _, directory = done
    with pytest.raises(TrainingError, match="holds a run already"):
        run(data, directory, save_interval=1)
    with pytest.raises(TrainingError, match=r"learning_rate = 0.01 instead of 0.001"):
        run(data, directory, learning_rate=1e-2, resume=True)
    with pytest.raises(TrainingError, match="other training or validation data"):
        run((data[0][:2], data[1]), directory, resume=True)


def test_resuming_a_finished_run_trains_nothing(done, data):
    result, _, _, directory = done
    others = {"default_label": "cell", "points_per_side": 8}  # they decide nothing about a training
    again = run(data, directory, save_interval=1, resume=True, on_event=interrupt_after(0), **others)
    assert again.weights_sha256 == result.weights_sha256
    assert again.stopped == "all epochs done"


def test_without_gain_the_run_stops_says_so_and_saves_the_original(data, tmp_path):
    result = run(data, tmp_path, learning_rate=1e-12, num_epochs=50, patience=2)
    assert (result.stopped, result.best_epoch, result.epochs, result.gained) == ("no improvement", 0, 2, 0.0)
    assert result.weights_sha256 == small_loaded_model().weights_sha256
    assert "gained nothing" in result.summary
    assert "the original" in result.summary


def test_batch_size_counts_objects_whatever_fits_into_memory(data, tmp_path, monkeypatch):
    sizes, steps = [], []
    forward, step = TrainableDecoder.forward, torch.optim.AdamW.step
    monkeypatch.setattr(
        TrainableDecoder, "forward", lambda self, batch: sizes.append(len(batch)) or forward(self, batch)
    )
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a: steps.append(sum(sizes)) or sizes.clear() or step(self, *a)
    )
    results = []
    for name, micro_batch in (("large", 8), ("small", 1)):
        results.append(run(data, tmp_path / name, num_epochs=1, batch_size=4, micro_batch=micro_batch))
        assert steps == [4, 2]
        steps.clear()
    assert results[0].history[1].loss == pytest.approx(results[1].history[1].loss, rel=1e-4)


def test_running_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(
    done, data, tmp_path, monkeypatch, caplog
):
    expected, _, _, _ = done
    forward = TrainableDecoder.forward

    def limited(self, batch):
        if len(batch) > 1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return forward(self, batch)

    monkeypatch.setattr(TrainableDecoder, "forward", limited)
    result = run(data, tmp_path)
    assert result.history[-1].micro_batch == 1
    assert "Out of memory" in caplog.text
    assert result.history[1].loss == pytest.approx(expected.history[1].loss, rel=1e-4)


def test_memory_for_not_even_one_object_is_an_error(data, tmp_path, monkeypatch):
    def failing(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TrainableDecoder, "forward", failing)
    with pytest.raises(TrainingError, match=r"not enough memory.*The best model so far, of epoch 0, is saved in"):
        run(data, tmp_path)
    assert load_model(tmp_path / "best_sam2_model.torch").weights_sha256 == small_loaded_model().weights_sha256


def test_diverged_training_stops_and_keeps_the_best_model(data, tmp_path, monkeypatch):
    forward = TrainableDecoder.forward
    good = []

    def diverging(self, batch):
        terms = forward(self, batch)
        good.append(1)
        return terms if len(good) < 6 else terms._replace(total=terms.total * float("nan"))

    monkeypatch.setattr(TrainableDecoder, "forward", diverging)
    with pytest.raises(
        TrainingError, match=r"(?s)diverged. Lower learning_rate.*The best model so far, of epoch \d, is saved"
    ):
        run(data, tmp_path, num_epochs=20)
    loaded = load_model(tmp_path / "best_sam2_model.torch")
    assert all(parameter.isfinite().all() for parameter in loaded.model.parameters())


def test_one_step_without_finite_gradients_is_skipped_and_counted(data, tmp_path, monkeypatch):
    forward, calls = TrainableDecoder.forward, []

    def once(self, batch):
        calls.append(1)
        terms = forward(self, batch)
        return terms._replace(total=terms.total * float("inf")) if len(calls) == 1 else terms

    monkeypatch.setattr(TrainableDecoder, "forward", once)
    result = run(data, tmp_path, num_epochs=1)
    assert result.history[1].skipped_steps == 1
    assert np.isfinite(result.history[1].loss)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_for_a_while_costs_nothing(done, data, tmp_path, monkeypatch, caplog):
    expected, _, _, _ = done
    save, calls = saving.save_checkpoint, []

    def full_at_first(*args, **kwargs):
        calls.append(1)
        return full_disk() if len(calls) < 6 else save(*args, **kwargs)

    monkeypatch.setattr(saving, "save_checkpoint", full_at_first)
    monkeypatch.setattr(run_files, "save_state", full_disk)
    result = run(data, tmp_path, save_interval=1)
    assert result.weights_sha256 == expected.weights_sha256
    assert "No space left on device" in caplog.text
    assert "No checkpoint of epoch 1 (No space left on device): training goes on, and there is none yet" in caplog.text


def test_a_disk_that_stays_full_is_an_error_and_the_model_before_stays(data, tmp_path, monkeypatch):
    save, calls = saving.save_checkpoint, []

    def full_later(*args, **kwargs):
        calls.append(1)
        return save(*args, **kwargs) if len(calls) == 1 else full_disk()

    monkeypatch.setattr(saving, "save_checkpoint", full_later)
    with pytest.raises(TrainingError, match=r"could not be written.*Free some space and resume"):
        run(data, tmp_path)
    assert load_model(tmp_path / "best_sam2_model.torch").weights_sha256 == small_loaded_model().weights_sha256
    monkeypatch.undo()
    assert run(data, tmp_path, resume=True).best_epoch > 0


def test_a_folder_that_cannot_be_written_to_is_found_before_training(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written to"):
        run(data, tmp_path / "file" / "run")


def test_images_are_read_and_encoded_once_a_run_and_never_again_in_the_next(data, tmp_path, monkeypatch):
    encoded, read = [], []
    encode, read_image = setup.TorchRuntime.encode, Sample.read_image
    monkeypatch.setattr(
        setup.TorchRuntime, "encode", lambda self, pixels: encoded.append(len(pixels)) or encode(self, pixels)
    )
    monkeypatch.setattr(Sample, "read_image", lambda self, *a: read.append(self.name) or read_image(self, *a))
    monkeypatch.setattr(run_files, "make_examples", lambda *a: [])  # the report reads the images that it shows
    options = {"disk_mib": 64, "min_free_mib": 0, "embeddings_dir": tmp_path / "store"}
    first = run(data, tmp_path / "a", num_epochs=1, **options)
    assert encoded == [3, 1, 1]  # one by one to measure with
    assert len(read) == 5
    second = run(data, tmp_path / "b", num_epochs=1, **options)
    assert encoded == [3, 1, 1]
    assert len(read) == 10
    assert first.weights_sha256 == second.weights_sha256


def test_without_any_store_the_result_is_the_same(data, tmp_path):
    stored, made_anew = (run(data, tmp_path / str(limit), num_epochs=1, memory_mib=limit) for limit in (64, 0))
    assert stored.weights_sha256 == made_anew.weights_sha256


def test_training_encodes_what_prediction_encodes(data, tmp_path, monkeypatch):
    """The existing adapter multiplies 0..255 by 255 again and trains on negatives."""
    seen = []
    encode = setup.TorchRuntime.encode
    monkeypatch.setattr(setup.TorchRuntime, "encode", lambda self, pixels: seen.extend(pixels) or encode(self, pixels))
    run(data, tmp_path, num_epochs=1)
    trained_on, predicted_on = list(seen), seen.clear()
    make_predictor(small_loaded_model(), "cpu", precision="fp32").embed(
        [sample.read_image() for part in data for sample in part]
    )
    assert predicted_on is None
    assert len(seen) == len(trained_on) == 5
    assert all(torch.equal(one, other) for one, other in zip(trained_on, seen, strict=True))


def test_a_broken_image_is_left_out_and_named(data, tmp_path, caplog):
    broken = replace(data[0][0], name="broken.png", image_path=tmp_path / "broken.png")
    broken.image_path.write_bytes(data[0][0].image_path.read_bytes()[:200])
    result = run(([*data[0], broken], data[1]), tmp_path / "run", num_epochs=1)
    assert result.epochs == 1
    assert "broken.png" in caplog.text
    assert result.left_out[0]["examples"] == ["broken.png"]


@pytest.mark.parametrize(("training", "validation"), [(0, 1), (1, 0)])
def test_nothing_to_train_on_or_to_measure_with_is_an_error(data, tmp_path, training, validation):
    with pytest.raises(TrainingError, match="nothing to"):
        run((data[0][:training], data[1][:validation]), tmp_path)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_over_fitting_one_object_shows_in_the_predict_path(tmp_path, resize):
    """The existing adapter trains a mask output that prediction never reads, in another geometry."""
    rng = np.random.default_rng(0)
    mask = np.zeros((48, 64), bool)
    mask[6:42, 8:40] = True
    image = rng.integers(20, 60, (48, 64, 3)).astype(np.uint8)
    image[mask] = 220
    Image.fromarray(image).save(tmp_path / "a.png")
    sample = Sample("a.png", tmp_path / "a.png", (48, 64), (Annotation.from_mask(mask, "thing"),))
    options = {
        "loss_focal": 0.0,
        "loss_bce": 1.0,
        "correction_share": 0.2,
        "max_gradient_norm": 0.1,
    }
    result = run(
        ([sample] * 20, [sample]), tmp_path / "run", num_epochs=3, learning_rate=1e-2, batch_size=1, resize=resize, clip_to_box=False,
        **options,
    )  # fmt: skip
    loaded = load_model(result.model_path)
    assert loaded.resize == resize
    predictor = make_predictor(loaded, "cpu", precision="fp32")
    (embedding,) = predictor.embed([image])
    assert embedding.geometry.resize == resize
    prediction = predictor.predict(
        embedding, [{"box": [8, 6, 40, 42]}, {"points": [[20, 20]]}, {"points": [[20, 20], [60, 4]], "labels": [1, 0]}]
    )
    for found in prediction.masks[:, 0]:
        assert (found & mask).sum() / (found | mask).sum() > 0.95
