"""Building a run: everything that is made before the first step."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from sam2_adapter import __version__
from sam2_adapter.config import Config
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.embeddings.keys import EncoderIdentity
from sam2_adapter.errors import TrainingError
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.engines.base import Runtime, resolve_device
from sam2_adapter.models.engines.choose import make_runtime
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.preprocess import Geometry, ModelWindow
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.training.batches import TrainingObject, loss_grid_hw, training_objects
from sam2_adapter.training.encoding import Place, SampleEmbeddings, data_fingerprint, make_store
from sam2_adapter.training.events import EncodingImages, OnEvent, tell_nobody
from sam2_adapter.training.forward import TrainableDecoder, freeze_all_but_trained, trained_parameters
from sam2_adapter.training.general import GeneralSet, load_general
from sam2_adapter.training.optim import MovingAverage, NamedParameters, Schedule, build_optimizer
from sam2_adapter.training.records import require_tensorboard
from sam2_adapter.training.run_state import RunIdentity
from sam2_adapter.training.step import Stepper
from sam2_adapter.training.variants import ORIGINAL, variants_to_encode

logger = logging.getLogger(__name__)

EMBEDDINGS_FOLDER = "embeddings"

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Keys of the configuration that change neither the weights nor when a run stops.
_UNIMPORTANT_KEYS = (
    "preset",
    "save_model_name",
    "multi_points_prediction",
    "output_type",
    "default_label",
    "embeddings_size",
    "max_windows",
    "save_interval",
    "device",
    "micro_batch",
    "encode_batch",
    "memory_mib",
    "disk_mib",
    "min_free_mib",
    "tensorboard",
    "general_set",
    "blend",
    *EverythingSettings.model_fields,
)

T = TypeVar("T")


@dataclass
class Parts:
    """The parts of a run.

    Attributes:
        config: all settings.
        accelerator: device and processes.
        predictor: the model that is trained, as prediction uses it.
        image_size: side of the model's square in pixels.
        grid_hw: (h, w) of the targets.
        samples: training images, then validation images.
        embeddings: their encoded images.
        objects: what is trained on.
        validation: positions of the readable validation images.
        general: what shows what is forgotten; `None` where it is switched off.
        parameters: what is trained.
        average: moving average of it, if there is one.
        optimizer: trains it.
        scaler: keeps gradients of fp16 arithmetic in range.
        stepper: takes its steps.
        schedule: the learning rate.
        identity: what has to be equal for a run to be resumed.
        tell: told in the main process what goes on.
    """

    config: Config
    accelerator: Accelerator
    predictor: Predictor
    image_size: int
    grid_hw: tuple[int, int]
    samples: Sequence[Sample]
    embeddings: SampleEmbeddings
    objects: list[TrainingObject]
    validation: list[int]
    general: GeneralSet | None
    parameters: NamedParameters
    average: MovingAverage | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    stepper: Stepper
    schedule: Schedule
    identity: RunIdentity
    tell: OnEvent

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.accelerator.is_main_process  # type: ignore[no-any-return]

    def image_embedding(self, position: int, general: GeneralSet | None = None) -> ImageEmbedding:
        """The encoded image of a validation sample, or of a sample of the general set, as a predictor takes it."""
        source = self if general is None else general
        geometry = Geometry(source.samples[position].original_hw, self.image_size, self.config.resize)
        return ImageEmbedding(source.embeddings.get(position, ORIGINAL), geometry, self.predictor.info.weights_sha256)


def build(
    loaded: LoadedModel,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    output_dir: Path,
    config: Config,
    embeddings_dir: Path | None,
    on_event: OnEvent | None,
) -> Parts:
    """Make everything that a run needs and encode its images.

    Raises:
        ConfigError: a device, precision or package is not there.
        TrainingError: there is nothing to train on or to measure with.
        DataError: the general set cannot be read.
    """
    _require_data(training, validation)
    general_images = load_general(config.general_set)
    if config.tensorboard:
        require_tensorboard()
    accelerator = _accelerator(config)
    _seed(config)
    tell = on_event if on_event is not None and accelerator.is_main_process else tell_nobody
    # Processes on a CPU are given "cpu:0".
    device = "cpu" if accelerator.device.type == "cpu" else str(accelerator.device)
    places = _places(training, validation, config)
    encoder = _encoder_runtime(loaded, device, config, len(places))
    # Weights that change are executed by torch.
    runtime = TorchRuntime(loaded.model, device, config.precision)
    predictor = Predictor(
        runtime,
        loaded.name,
        loaded.weights_sha256,
        config.resize,
        architecture=loaded.architecture.name,
        everything=loaded.everything,
    )
    samples = [*training, *validation]
    store = make_store(
        _encoder_identity(loaded, config, encoder),
        config.encoding,
        embeddings_dir or output_dir / EMBEDDINGS_FOLDER,
        accelerator.num_processes,
    )
    general = None
    if general_images is not None:
        general_embeddings = SampleEmbeddings(general_images.samples, 0, encoder, config.resize, store)
        general_places = [(position, ORIGINAL) for position in range(len(general_images.samples))]
        _encode(general_embeddings, general_places, config.encoding.batch, accelerator, tell)
        general = GeneralSet(general_images, general_embeddings)
    embeddings = SampleEmbeddings(samples, len(training), encoder, config.resize, store)
    _encode(embeddings, places, config.encoding.batch, accelerator, tell)
    broken = embeddings.broken
    objects = [item for item in training_objects(training) if item.sample not in broken]
    readable = [position for position in range(len(training), len(samples)) if position not in broken]
    _require_readable(objects, readable, broken)
    freeze_all_but_trained(loaded.model, config.trained_parts)
    parameters = trained_parameters(loaded.model, config.trained_parts)
    optimizer = build_optimizer(parameters, config.learning_rate, config.weight_decay)
    scaler = torch.amp.GradScaler(accelerator.device.type, enabled=runtime.precision == "fp16")
    decoder = TrainableDecoder(loaded, config.losses, _DTYPES[runtime.precision], config.correction_losses)
    return Parts(
        config=config,
        accelerator=accelerator,
        predictor=predictor,
        image_size=runtime.image_size,
        grid_hw=loss_grid_hw(runtime.low_res_hw, config.loss_grid),
        samples=samples,
        embeddings=embeddings,
        objects=objects,
        validation=readable,
        general=general,
        parameters=parameters,
        average=MovingAverage(parameters, config.average_decay) if config.average_decay else None,
        optimizer=optimizer,
        scaler=scaler,
        stepper=Stepper(
            accelerator, decoder, parameters, optimizer, scaler, config.max_gradient_norm, config.micro_batch
        ),
        schedule=_schedule(len(objects), config),
        identity=_identity(loaded, config, samples, len(training), embeddings, runtime),
        tell=tell,
    )


def with_model(config: Config, loaded: LoadedModel) -> Config:
    """The configuration with the model that is really trained, whatever was named beside it."""
    name = loaded.architecture.name
    is_named = config.model_cfg.removesuffix(".yaml") == name
    return config if is_named else config.model_copy(update={"model_cfg": name})


def model_metadata(
    name: str, loaded: LoadedModel, config: Config, window: ModelWindow | None, parts: Parts
) -> dict[str, Any]:
    """What is stored beside the weights of a tuned model: how it is used, and what it was made of and with."""
    return {
        "name": name,
        "resize": config.resize,
        "window": None if window is None else asdict(window),
        "configuration": config.model_dump(mode="json"),
        "training": parts.identity.settings,
        "image_encoder": parts.embeddings.encoder,
        "base": {"name": loaded.name, "weights_sha256": loaded.weights_sha256},
        "data_sha256": parts.identity.data_sha256,
    }


def gathered(accelerator: Accelerator, items: list[T]) -> list[T]:
    """The items of all processes, in the order of the processes."""
    return gather_object(items) if accelerator.num_processes > 1 else items


def _require_data(training: Sequence[Sample], validation: Sequence[Sample]) -> None:
    if not training:
        raise TrainingError("There is nothing to train on: the training data hold no image with an object.")
    if not validation:
        raise TrainingError(
            "There is nothing to measure with: give validation images, or let a part of the training images be split off."
        )


def _require_readable(objects: list[TrainingObject], validation: list[int], broken: dict[int, str]) -> None:
    reasons = "; ".join(list(broken.values())[:3])
    if not objects:
        raise TrainingError(f"There is nothing to train on: no training image can be read ({reasons}).")
    if not validation:
        raise TrainingError(f"There is nothing to measure with: no validation image can be read ({reasons}).")


def _accelerator(config: Config) -> Accelerator:
    # Precision is ours: only the mask decoder runs in another one, which `mixed_precision` cannot say.
    on_cpu = resolve_device(config.device).partition(":")[0] == "cpu"
    return Accelerator(mixed_precision="no", cpu=on_cpu)


def _seed(config: Config) -> None:
    torch.manual_seed(config.seed)
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=False)


def _encoder_runtime(loaded: LoadedModel, device: str, config: Config, num_images: int) -> Runtime:
    """What encodes the images; a run may be resumed on the engine that is there by then, as engines differ by rounding only."""
    return make_runtime(
        loaded, device, config.runtime, config.precision, expected_images=num_images, with_decoder=False
    )


def _encoder_identity(loaded: LoadedModel, config: Config, encoder: Runtime) -> EncoderIdentity:
    engine = f"{encoder.name} {encoder.device.partition(':')[0]}"
    return EncoderIdentity(loaded.weights_sha256, encoder.image_size, config.resize, engine, encoder.precision)


def _places(training: Sequence[Sample], validation: Sequence[Sample], config: Config) -> list[Place]:
    variants = variants_to_encode(config.variants)
    places = [(position, variant) for position in range(len(training)) for variant in variants]
    return places + [(len(training) + position, ORIGINAL) for position in range(len(validation))]


def _encode(
    embeddings: SampleEmbeddings,
    places: list[Place],
    batch_size: int,
    accelerator: Accelerator,
    tell: OnEvent,
) -> None:
    mine = places[accelerator.process_index :: accelerator.num_processes]
    for done in embeddings.prepare(mine, batch_size):
        tell(EncodingImages(done, len(mine)))
    for keys, broken in gathered(accelerator, [(embeddings.keys, embeddings.broken)]):
        embeddings.add(keys, broken)
    accelerator.wait_for_everyone()


def _schedule(num_objects: int, config: Config) -> Schedule:
    total = -(-num_objects // config.batch_size) * config.num_epochs
    return Schedule(config.learning_rate, total, round(total * config.warmup_share), config.final_learning_rate)


def _identity(
    loaded: LoadedModel,
    config: Config,
    samples: Sequence[Sample],
    num_training: int,
    embeddings: SampleEmbeddings,
    runtime: TorchRuntime,
) -> RunIdentity:
    settings = config.model_dump(mode="json", exclude=set(_UNIMPORTANT_KEYS))
    settings |= {
        "precision": runtime.precision,
        "device": runtime.device.partition(":")[0],
        "version": __version__,
    }
    data_sha256 = data_fingerprint(samples, num_training, embeddings.keys)
    images = {
        samples[position].name: key for (position, variant), key in embeddings.keys.items() if variant == ORIGINAL
    }
    return RunIdentity(settings, data_sha256, loaded.weights_sha256, images)
