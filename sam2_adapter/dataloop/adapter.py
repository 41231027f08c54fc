"""`ModelAdapter`: what the platform calls. It loads this file by path, from a code base that need not be installed.

Settings are read once, when a model is loaded, and never through the SDK's live configuration. One object may serve
several executions at once: training and evaluation, which load a model, work on a copy of it.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dtlpy as dl
from dtlpy.services import service_defaults

if importlib.util.find_spec("sam2_adapter") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sam2_adapter.dataloop.artifacts import download_artifacts, remove_artifact_files, upload_artifacts
from sam2_adapter.dataloop.embedding_functions import EmbeddingFunctions
from sam2_adapter.dataloop.evaluation import predict_truth, score_model
from sam2_adapter.dataloop.items import checked_items, list_items, query_of
from sam2_adapter.dataloop.platform_progress import TrainingProgress, tell
from sam2_adapter.dataloop.platform_requests import Document, count_all, retried
from sam2_adapter.dataloop.prediction import ItemPredictor, ItemTally, predict_all, predict_prepared, run_prediction
from sam2_adapter.dataloop.prepared_items import BrokenItem, ItemPrompts, PreparedItem, prepare_item
from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations
from sam2_adapter.dataloop.results import LabelColors, make_collection
from sam2_adapter.dataloop.settings import (
    WEIGHTS_KEY,
    prepare_configuration,
    read_settings,
    require_output_type,
)
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.dataloop.training import RESUME_NAME, PlatformTraining, empty_folder, fresh_folder
from sam2_adapter.dataloop.training_data import download_subsets
from sam2_adapter.dataloop.weights import load_weights, save_weights
from sam2_adapter.embeddings.cache import KeyedLocks
from sam2_adapter.models.engines.choose import choose_runtime
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.training.events import OnEvent

logger = logging.getLogger(__name__)


_FOLDERS = KeyedLocks()


class ModelAdapter(EmbeddingFunctions):
    """SAM2 as a model of the platform: prediction, fine-tuning, evaluation and image embeddings."""

    def __init__(self, model_entity: Any = None) -> None:
        """Load `model_entity` (`dl.Model`) if there is one."""
        self.settings = read_settings(None)
        self.predictor = None
        self._loaded: LoadedModel | None = None
        self._folder = Path()
        self._loading = threading.Lock()  # executions wait for an engine that another one makes
        self._state = threading.Lock()
        self._colors = LabelColors()
        if model_entity is not None:
            prepare_configuration(model_entity)
        super().__init__(model_entity=model_entity)

    # Loading and saving

    def load_from_model(
        self, model_entity: Any = None, local_path: str | None = None, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Read the settings of a model entity, fetch its own weights and load them."""
        model = model_entity if model_entity is not None else self.model_entity
        settings = prepare_configuration(model)
        self.model_entity: Any = model
        folder = Path(local_path or Path(service_defaults.DATALOOP_PATH, "models", model.id))
        with _FOLDERS.holding(folder):  # executions that load one model share its folder
            download_artifacts(model, (settings.config.save_model_name, RESUME_NAME), folder)
            self.load(str(folder), **kwargs)

    def load(self, local_path: str, **kwargs: Any) -> None:
        """Load the weights in `local_path`, or the published ones where it holds none."""
        model = self.model_entity
        settings = prepare_configuration(model)
        require_output_type(settings.config, model.output_type, model.name)
        self.settings, self._folder = settings, Path(local_path)
        self._use(load_weights(self._folder, settings))

    def save(self, local_path: str, **kwargs: Any) -> None:
        """Write the weights to `local_path`, where training has not put them already, and note their identity."""
        self._require_predictor()
        assert self._loaded is not None  # set together with the predictor
        path = Path(local_path, self.config.save_model_name)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(self._loaded, path)
        self.model_entity.configuration[WEIGHTS_KEY] = self._loaded.weights_sha256

    def save_to_model(
        self, local_path: str | None = None, cleanup: bool = False, replace: bool = True, **kwargs: Any
    ) -> None:
        """Save, and make the files of `local_path` the model's artifacts.

        Raises:
            PlatformError: a file did not arrive.
        """
        folder = Path(local_path or tempfile.mkdtemp(prefix="sam2_adapter_"))
        self.save(str(folder), **kwargs)
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        upload_artifacts(self.model_entity, files, replacing=(RESUME_NAME,))
        if cleanup or local_path is None:
            shutil.rmtree(folder, ignore_errors=True)

    # Prediction

    def prepare_item_func(self, item: Any) -> PreparedItem | BrokenItem:
        """Fetch an item's image and prompts; an error is a value, since raising would cost the whole call."""
        try:
            return prepare_item(item, self._owner, self._ask)
        except Exception as error:  # whatever it is, only this item fails
            return BrokenItem(item, error)

    def predict(self, batch: Sequence[PreparedItem | BrokenItem], **kwargs: Any) -> list[Any]:
        """One `dl.AnnotationCollection` for every prepared item.

        Raises:
            PlatformError: an item is broken; the text names all of them.
        """
        steps = self._steps()
        return [make_collection(entry.item, steps.documents(entry)) for entry in predict_prepared(batch, steps)]

    def predict_items(
        self, items: list[Any], batch_size: int | None = None, **kwargs: Any
    ) -> tuple[list[Any], list[Any]]:
        """Predict items and store the result; only a broken item fails.

        Returns:
            The items and all new annotations (`dl.Annotation`), in the order of the items.

        Raises:
            PlatformError: items could not be predicted; the text names them, the others are done.
        """
        items = checked_items(items)
        at_once = self._batch_size(batch_size)
        annotations: list[Any] = []
        report = ItemTally(len(items), kwargs.get("progress"))
        steps = self._steps(len(items))
        for item, documents in run_prediction(items, steps, at_once, report):
            annotations.extend(make_collection(item, documents).annotations)
        report.raise_broken()
        return items, annotations

    def predict_dataset(
        self, dataset: Any, filters: Any = None, batch_size: int | None = None, progress: Any = None, **kwargs: Any
    ) -> None:
        """Predict the items that a filter finds; more than the model's limit are split over several executions.

        Raises:
            PlatformError: as in `predict_items`.
        """
        query = query_of(filters)
        total = count_all(dataset.id, query)
        if total > self.settings.subset_limit:
            super().predict_dataset(
                dataset=dataset, filters=filters, batch_size=batch_size, progress=progress, **kwargs
            )
            return
        report = ItemTally(total, progress)
        predict_all(list_items(dataset, query), self._steps(total), self._batch_size(batch_size), report)

    # Training

    def train_model(self, model: Any, cleanup: bool = False, progress: Any = None, context: Any = None) -> Any:
        """Fine-tune a model entity on its subsets; an unfinished training of it goes on.

        Raises:
            Exception: whatever made the training fail; its newest checkpoint is an artifact then.
        """
        model = retried(lambda: dl.models.get(model_id=model["id"])) if isinstance(model, Mapping) else model
        model = model.wait_for_model_ready()
        model.status = "training"
        retried(lambda: model.update(reload_services=False))
        worker = copy.copy(self)
        worker.load_from_model(model_entity=model)
        stages = TrainingProgress(progress)
        with fresh_folder(Path(service_defaults.DATALOOP_PATH, "training"), model.id) as root:
            stages.start()
            _, data_path, output_path = worker.prepare_data(dataset=retried(lambda: model.dataset), root_path=str(root))
            worker.train(data_path, output_path, on_epoch_end_callback=stages.end_epoch, on_event=stages.show)
            stages.save()
            worker.save_to_model(local_path=output_path)
        model.status = "trained"
        retried(lambda: model.update(reload_services=False))
        remove_artifact_files(model, [RESUME_NAME])
        self._adopt(worker)
        stages.finish()
        return model

    def prepare_data(
        self,
        dataset: Any,
        root_path: str | None = None,
        data_path: str | None = None,
        output_path: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> tuple[str, str, str]:
        """Download the model's subsets into folders; what an earlier training left there is removed first.

        Returns:
            The paths of the root, the data and the output.

        Raises:
            TrainingError: a folder holds something else than an earlier training left.
            DataError: there are no subsets, or one of them is of no use.
            PlatformError: the platform did not deliver all items.
        """
        root = Path(root_path or Path(service_defaults.DATALOOP_PATH, "training", self.model_entity.id))
        data, output = Path(data_path or root / "data"), Path(output_path or root / "output")
        for folder in (data, output):
            empty_folder(folder)
        download_subsets(self.model_entity, dataset, data)
        self.convert_from_dtlpy(data_path=str(data), **kwargs)
        return str(root), str(data), str(output)

    def convert_from_dtlpy(self, data_path: str, **kwargs: Any) -> None:
        """Nothing to do: the engine reads the platform's own layout."""

    def train(
        self,
        data_path: str,
        output_path: str,
        on_epoch_end_callback: Callable[..., None] | None = None,
        on_event: OnEvent | None = None,
        **kwargs: Any,
    ) -> None:
        """Fine-tune on `data_path`; the model, the report and the metrics go to `output_path`."""
        unfinished = self._folder / RESUME_NAME
        output = Path(output_path)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sam2_adapter_", dir=output.parent) as scratch:
            run = Path(scratch, "run")
            training = PlatformTraining(self.model_entity, self.config, run, on_epoch_end_callback, on_event)
            training.run(
                lambda: load_weights(self._folder, self.settings),
                Path(data_path),
                output,
                unfinished.read_bytes() if unfinished.is_file() else None,
            )
        self._use(load_model(Path(output, self.config.save_model_name), architecture=self.config.model_cfg))

    # Evaluation

    def evaluate_model(
        self, model: Any, dataset: Any, filters: Any = None, progress: Any = None, context: Any = None
    ) -> tuple[Any, Any]:
        """Predict every annotated object of the chosen items from its box, store, and score against the annotations.

        Returns:
            The model and the dataset.
        """
        worker = copy.copy(self)
        worker.load_from_model(model_entity=model, dataset=dataset)
        filters = filters or dl.Filters()
        if worker.settings.overwrite_annotations:
            predict_truth(worker._steps, model, dataset, query_of(filters), progress)
        tell(progress, 98, "calculating metrics")
        model = worker.evaluate(model=model, dataset=dataset, filters=filters)
        self._adopt(worker)
        tell(progress, 100, "evaluated")
        return model, dataset

    def evaluate(self, model: Any, dataset: Any, filters: Any) -> Any:
        """Upload the platform's scores of the predictions that are stored."""
        return score_model(model, dataset, filters)

    def _use(self, loaded: LoadedModel) -> None:
        config = self.config
        self._loaded = loaded
        self.predictor = make_predictor(loaded, config.device, config.runtime, config.precision)

    def _adopt(self, worker: ModelAdapter) -> None:
        """Go on with what a copy has loaded, unless that is another model than the one that this object serves."""
        if self._model_entity is None or self.model_entity.id == worker.model_entity.id:
            with self._state:
                self.__dict__.update(worker.__dict__)

    def _expect(self, num_images: int) -> None:
        if num_images <= 1:
            return
        # Another execution waits here, and finds what this one compiles.
        with self._loading:
            with self._state:
                before, loaded, config = self._require_predictor(), self._loaded, self.config
            assert loaded is not None  # set together with the predictor
            engine = (config.device, config.runtime, config.precision, num_images)
            if choose_runtime(loaded, *engine).is_met_by(before.info.runtime, before.info.precision):
                return
            found = make_predictor(loaded, *engine)
            with self._state:
                if self.predictor is before:
                    self.predictor = found

    def _steps(self, num_images: int = 1) -> ItemPredictor:
        self._expect(num_images)
        with self._state:
            now = copy.copy(self)
        return ItemPredictor(now._require_predictor(), now.config, now._owner, now._colors, now._ask)

    def _ask(self, documents: Sequence[Document], original_hw: tuple[int, int]) -> ItemPrompts:
        prompts = prompts_from_annotations(documents, multi_points=self.config.multi_points_prediction)
        return ItemPrompts(tuple(prompts) or None)

    @property
    def _owner(self) -> Owner:
        return Owner(self.model_entity.id, self.model_entity.name)
