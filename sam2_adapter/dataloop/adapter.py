"""`ModelAdapter`: what the platform calls. It loads this file by path, from a code base that need not be installed.

Settings are read once, when a model is loaded, and never through the SDK's live configuration. One object may serve
several executions at once: everything that a call changes belongs to that call.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dtlpy as dl
from dtlpy.services import service_defaults

if importlib.util.find_spec("sam2_adapter") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sam2_adapter.config import Config
from sam2_adapter.dataloop.artifacts import download_artifacts, remove_artifact_files, upload_artifacts
from sam2_adapter.dataloop.calls import Document, count_all, retried
from sam2_adapter.dataloop.embedding import pooled_vector
from sam2_adapter.dataloop.evaluation import LabelScores, ask_truth, score_model
from sam2_adapter.dataloop.items import list_items, query_of
from sam2_adapter.dataloop.metrics import publish_label_scores
from sam2_adapter.dataloop.prediction import ItemPredictor, OnSegmented, Predicted, Report, run_prediction
from sam2_adapter.dataloop.prompts_from_annotations import prompts_from_annotations
from sam2_adapter.dataloop.reading import AskPrompts, BrokenItem, PreparedItem, Prompted, prepare_item
from sam2_adapter.dataloop.results import LabelColors, make_collection
from sam2_adapter.dataloop.settings import WEIGHTS_KEY, Settings, fill_platform_keys, read_settings, require_output_type
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.dataloop.training import RESUME_NAME, PlatformTraining
from sam2_adapter.dataloop.training_data import download_subsets
from sam2_adapter.dataloop.weights import load_weights, save_weights
from sam2_adapter.errors import PlatformError
from sam2_adapter.loading import make_predictor
from sam2_adapter.model.loading import LoadedModel, load_model
from sam2_adapter.predictor import Predictor

logger = logging.getLogger(__name__)

# Shares of a training, in percent: what comes before its epochs, and what comes after them.
_PERCENT_BEFORE, _PERCENT_AFTER = 5, 5


class ModelAdapter(dl.BaseModelAdapter):  # type: ignore[misc]
    """SAM2 as a model of the platform: prediction, fine-tuning, evaluation and image embeddings."""

    def __init__(self, model_entity: Any = None) -> None:
        """Load `model_entity` (`dl.Model`) if there is one."""
        self.settings: Settings = read_settings(None)
        self.predictor: Predictor | None = None
        self._loaded: LoadedModel | None = None
        self._folder = Path()
        self._colors = LabelColors()
        if model_entity is not None:
            self._prepare_configuration(model_entity)
        super().__init__(model_entity=model_entity)

    @property
    def config(self) -> Config:
        """The settings of the model that is loaded."""
        return self.settings.config

    # Loading and saving

    def load_from_model(
        self, model_entity: Any = None, local_path: str | None = None, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Read the settings of a model entity, fetch its own weights and load them."""
        model = model_entity if model_entity is not None else self.model_entity
        settings = self._prepare_configuration(model)
        self.model_entity: Any = model
        folder = Path(local_path or Path(service_defaults.DATALOOP_PATH, "models", model.id))
        download_artifacts(model, (settings.config.save_model_name, RESUME_NAME), folder)
        self.load(str(folder), **kwargs)

    def load(self, local_path: str, **kwargs: Any) -> None:
        """Load the weights in `local_path`, or the published ones where it holds none."""
        model = self.model_entity
        settings = read_settings(model.configuration, f"configuration of model {model.name!r}")
        require_output_type(settings.config, model.output_type, model.name)
        self.settings, self._folder = settings, Path(local_path)
        self._use(load_weights(self._folder, settings))

    def save(self, local_path: str, **kwargs: Any) -> None:
        """Write the weights to `local_path`, where training has not put them already, and note their identity."""
        loaded = self._require_loaded()
        path = Path(local_path, self.config.save_model_name)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(loaded, path)
        self.model_entity.configuration[WEIGHTS_KEY] = loaded.weights_sha256

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
        return prepare_item(item, self._owner, self._ask)

    def predict(self, batch: Sequence[PreparedItem | BrokenItem], **kwargs: Any) -> list[Any]:
        """One `dl.AnnotationCollection` for every prepared item.

        Raises:
            PlatformError: an item is broken; the text names all of them.
        """
        outcomes = self._steps(self._ask).predict(batch)
        predicted = [outcome for outcome in outcomes if isinstance(outcome, Predicted)]
        report = Report(len(batch))
        for outcome in outcomes:
            report.add(outcome)
        report.raise_broken()
        return [make_collection(entry.item, entry.documents) for entry in predicted]

    def predict_items(
        self, items: list[Any], batch_size: int | None = None, **kwargs: Any
    ) -> tuple[list[Any], list[Any]]:
        """Predict items and store the result; a broken one costs only itself.

        Returns:
            The items and all new annotations (`dl.Annotation`), in the order of the items.

        Raises:
            PlatformError: items could not be predicted; the text names them, the others are done.
        """
        items = items if isinstance(items, list) else [items]
        report = Report(len(items), kwargs.get("progress"))
        annotations: list[Any] = []
        for item, documents in self._run(items, self._ask, report, batch_size):
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
        report = Report(total, progress)
        for _ in self._run(list_items(dataset, query), self._ask, report, batch_size):
            pass
        report.raise_broken()

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
        self.load_from_model(model_entity=model)
        with _fresh_folder(model.id) as root:
            _tell(progress, 0, "downloading the data")
            _, data_path, output_path = self.prepare_data(dataset=model.dataset, root_path=str(root))
            _tell(progress, _PERCENT_BEFORE, "starting training")
            self.train(data_path, output_path, on_epoch_end_callback=partial(_tell_epoch, progress))
            _tell(progress, 100 - _PERCENT_AFTER, "saving model")
            self.save_to_model(local_path=output_path)
        model.status = "trained"
        retried(lambda: model.update(reload_services=False))
        remove_artifact_files(model, [RESUME_NAME])
        _tell(progress, 100, "trained")
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
        """Download the model's subsets into folders that are made anew; what an earlier training left there goes.

        Returns:
            The paths of the root, the data and the output.
        """
        root = Path(root_path or Path(service_defaults.DATALOOP_PATH, "training", self.model_entity.id))
        data, output = Path(data_path or root / "data"), Path(output_path or root / "output")
        for folder in (data, output):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        download_subsets(self.model_entity, dataset, data)
        self.convert_from_dtlpy(data_path=str(data), **kwargs)
        return str(root), str(data), str(output)

    def convert_from_dtlpy(self, data_path: str, **kwargs: Any) -> None:
        """Nothing to do: the engine reads the platform's own layout."""

    def train(
        self, data_path: str, output_path: str, on_epoch_end_callback: Callable[..., None] | None = None, **kwargs: Any
    ) -> None:
        """Fine-tune on `data_path`; the model, the report and the metrics go to `output_path`."""
        unfinished = self._folder / RESUME_NAME
        scratch = Path(output_path).with_name("run")
        shutil.rmtree(scratch, ignore_errors=True)
        training = PlatformTraining(self.model_entity, self.config, scratch, _by_keyword(on_epoch_end_callback))
        training.run(
            lambda: load_weights(self._folder, self.settings),
            Path(data_path),
            Path(output_path),
            unfinished if unfinished.is_file() else None,
        )
        self._use(load_model(Path(output_path, self.config.save_model_name), architecture=self.config.model_cfg))

    # Evaluation and embeddings

    def evaluate_model(
        self, model: Any, dataset: Any, filters: Any = None, progress: Any = None, context: Any = None
    ) -> tuple[Any, Any]:
        """Predict every annotated object of the chosen items from its box, store, and score against the annotations.

        Returns:
            The model and the dataset.
        """
        self.load_from_model(model_entity=model, dataset=dataset)
        filters = filters or dl.Filters()
        if self.settings.overwrite_annotations:
            self._predict_truth(model, dataset, query_of(filters), progress)
        _tell(progress, 98, "calculating metrics")
        model = self.evaluate(model=model, dataset=dataset, filters=filters)
        _tell(progress, 100, "evaluated")
        return model, dataset

    def evaluate(self, model: Any, dataset: Any, filters: Any) -> Any:
        """Upload the platform's scores of the predictions that are stored."""
        return score_model(model, dataset, filters)

    def embed(self, batch: Sequence[PreparedItem | BrokenItem], **kwargs: Any) -> list[list[float]]:
        """One vector for every prepared item, for similarity search.

        Raises:
            PlatformError: an item is broken; the text names all of them.
        """
        report = Report(len(batch))
        for entry in batch:
            report.add(entry)
        report.raise_broken()
        images = [entry.image for entry in batch if isinstance(entry, PreparedItem)]
        embeddings = self._require_predictor().embed(images)
        return [pooled_vector(embedding, self.config.embeddings_size) for embedding in embeddings]

    def _prepare_configuration(self, model: Any) -> Settings:
        """Read a model's settings, and give it the keys that the SDK would add with a request each."""
        if model.configuration is None:
            model.configuration = {}
        settings = read_settings(model.configuration, f"configuration of model {model.name!r}")
        fill_platform_keys(model.configuration, settings.config)
        return settings

    def _use(self, loaded: LoadedModel) -> None:
        config = self.config
        self._loaded = loaded
        self.predictor = make_predictor(loaded, config.device, config.runtime, config.precision)

    def _run(
        self,
        items: Any,
        ask: AskPrompts,
        report: Report,
        batch_size: int | None = None,
        on_segmented: OnSegmented | None = None,
    ) -> Iterator[tuple[Any, list[Document]]]:
        return run_prediction(items, self._steps(ask, on_segmented), batch_size or self.config.batch_size, report)

    def _steps(self, ask: AskPrompts, on_segmented: OnSegmented | None = None) -> ItemPredictor:
        return ItemPredictor(self._require_predictor(), self.config, self._owner, self._colors, ask, on_segmented)

    def _ask(self, documents: Sequence[Document], original_hw: tuple[int, int]) -> Prompted:
        prompts = prompts_from_annotations(documents, multi_points=self.config.multi_points_prediction)
        return Prompted(tuple(prompts) or None)

    def _predict_truth(self, model: Any, dataset: Any, query: dict[str, Any], progress: Any) -> None:
        scores = LabelScores()
        report = Report(count_all(dataset.id, query), progress)
        for _ in self._run(list_items(dataset, query), ask_truth, report, on_segmented=scores.add):
            pass
        report.raise_broken()
        publish_label_scores(model, dataset.id, scores.by_label)

    @property
    def _owner(self) -> Owner:
        return Owner(self.model_entity.id, self.model_entity.name)

    def _require_predictor(self) -> Predictor:
        if self.predictor is None:
            raise PlatformError("No model is loaded; give the adapter a model entity, or call load_from_model() first.")
        return self.predictor

    def _require_loaded(self) -> LoadedModel:
        self._require_predictor()
        assert self._loaded is not None  # set together with the predictor
        return self._loaded


@contextmanager
def _fresh_folder(model_id: str) -> Iterator[Path]:
    """A folder for one training, empty at the start and gone at the end."""
    folder = Path(service_defaults.DATALOOP_PATH, "training", model_id)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _by_keyword(callback: Callable[..., None] | None) -> Callable[[int, int], None] | None:
    if callback is None:
        return None
    return lambda position, total: callback(i_epoch=position, n_epoch=total)


def _tell_epoch(progress: Any, i_epoch: int, n_epoch: int) -> None:
    percent = _PERCENT_BEFORE + (100 - _PERCENT_BEFORE - _PERCENT_AFTER) * (i_epoch + 1) // n_epoch
    _tell(progress, percent, f"epoch {i_epoch + 1} of {n_epoch}")


def _tell(progress: Any, percent: int, message: str) -> None:
    if progress is not None:
        progress.update(progress=percent, message=message)
