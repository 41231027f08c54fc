"""Fine-tuning: build, measure the untouched model, train an epoch, measure, keep the best, stop when nothing improves.

    result = train(load_model("sam2_hiera_s.yaml"), training, validation, "run", Config(num_epochs=20))
    print(result.summary)

A run may be killed at any moment: started again with `resume=True` it ends with the same weights. Several processes
(`torchrun --nproc_per_node N`, on one machine or more) share the objects of every step and come to the same result up
to rounding.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from sam2_adapter.config import Config
from sam2_adapter.errors import Sam2AdapterError, TrainingError
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.text import printable
from sam2_adapter.training.batches import Question, draw_question, draw_rounds, make_batch, steps_of_epoch
from sam2_adapter.training.blend import BLEND_KEY, blended
from sam2_adapter.training.blend_choice import BlendChoice, BlendPoint, choose_share
from sam2_adapter.training.events import EpochEnded, GeneralMeasured, OnEvent, StateSaved, TrainingSteps
from sam2_adapter.training.everything_choice import EVERYTHING_KEY
from sam2_adapter.training.forward import PromptBatch
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.measuring import (
    choose_everything,
    measure_blends,
    measure_general_set,
    measure_validation,
)
from sam2_adapter.training.optim import averaged, put
from sam2_adapter.training.quality import ObjectQuality, Quality
from sam2_adapter.training.records import (
    EpochRecord,
    StopReason,
    TrainingResult,
    log_record,
    make_record,
)
from sam2_adapter.training.run_files import Claim, RunFiles, RunNames, claim_nothing
from sam2_adapter.training.run_state import BestModel, TrainingState, capture, copied_to_cpu, restore
from sam2_adapter.training.saving import ModelSaver, Prover
from sam2_adapter.training.setup import build, model_metadata, with_model
from sam2_adapter.training.step import StepResult
from sam2_adapter.training.windows import window_of, windows_of_samples

logger = logging.getLogger(__name__)


def train(
    loaded: LoadedModel,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    output_dir: str | Path,
    config: Config | None = None,
    *,
    name: str | None = None,
    data: str = "",
    embeddings_dir: str | Path | None = None,
    left_out: LeftOut | None = None,
    resume: bool = False,
    resume_from: bytes | None = None,
    claim: Claim = claim_nothing,
    on_event: OnEvent | None = None,
) -> TrainingResult:
    """Fine-tune the prompt encoder and mask decoder of a model.

    Args:
        loaded: the model; it is changed in place and holds the best weights at the end.
        training: images to train on.
        validation: images to measure with, and to choose the best model by.
        output_dir: folder of the run: the model, its checkpoints, metrics.
        config: all settings.
        name: of the tuned model, in results, tables and the report; by default that of the folder.
        data: the data set in words, for the report.
        embeddings_dir: where encoded images are kept on disk, for runs to share; by default a folder of the run.
        left_out: what reading the data has left out, for the report; images that turn out to be broken are added.
        resume: go on from the newest checkpoint in `output_dir`, or start where there is none.
        resume_from: go on from this state of an earlier run, as `StateSaved` has handed it out; `output_dir` holds no run yet.
        claim: called with every file before it is first written, in the main process; see `OwnedFolder.claim`.
        on_event: told what goes on, in the main process.

    Returns:
        What the run came to. Ctrl-C ends it early, with the best model saved.

    Raises:
        ResumeError: the state to go on from is damaged, or of a run with other settings, data or weights.
        TrainingError: nothing to train on, a run is in `output_dir` already, training diverged or memory does not
            suffice; the best model so far stays saved.
        ConfigError: a device, precision or package that the configuration asks for is not there.
    """
    run = _Run(
        loaded,
        training,
        validation,
        Path(output_dir),
        config or Config(),
        printable(name if name is not None else Path(output_dir).resolve().name),
        data,
        Path(embeddings_dir) if embeddings_dir is not None else None,
        left_out if left_out is not None else LeftOut(),
        claim,
        on_event,
    )
    run.begin(resume, resume_from)
    stopped = run.loop()
    return run.finish(stopped)


class _Run:
    """A run in progress; its methods are the steps of `train`."""

    def __init__(
        self,
        loaded: LoadedModel,
        training: Sequence[Sample],
        validation: Sequence[Sample],
        output_dir: Path,
        config: Config,
        name: str,
        data: str,
        embeddings_dir: Path | None,
        left_out: LeftOut,
        claim: Claim,
        on_event: OnEvent | None,
    ) -> None:
        self._started = time.monotonic()
        self._config = config = with_model(config, loaded)
        self._name = name
        self._loaded = loaded
        self._window = window = window_of(config, training)
        training, validation = windows_of_samples(training, window), windows_of_samples(validation, window)
        self._parts = build(loaded, training, validation, output_dir, config, embeddings_dir, on_event)
        self._files = RunFiles(output_dir, self._parts, RunNames(name, loaded.name, data), claim)
        metadata = model_metadata(name, loaded, config, window, self._parts)
        path, checkpoints = output_dir / config.save_model_name, self._files.checkpoints
        self._saver = ModelSaver(path, loaded, Prover(loaded), metadata, checkpoints)
        self._history: list[EpochRecord] = []
        self._step = 0
        self._earlier_seconds = 0.0
        self._last_state: TrainingState | None = None
        self._best = BestModel(0, 0.0, {})
        self._best_objects: tuple[ObjectQuality, ...] = ()
        self._before: GeneralQuality | None = None
        self._untouched = copied_to_cpu(self._parts.parameters)
        self._left_out = left_out
        for position in self._parts.embeddings.broken:
            left_out.add_image(Reason.BROKEN_IMAGE, self._parts.samples[position].name)

    def begin(self, resume: bool, resume_from: bytes | None) -> None:
        """Go on where the run stopped, or measure the untouched model; the general set either way."""
        self._saver.require_savable()
        self._before = measure_general_set(self._parts)
        if self._before is not None:
            self._parts.tell(GeneralMeasured(self._before, is_saved_model=False))
        if resume_from is not None:
            self._files.refuse_to_overwrite()
            self._restore(self._files.take_over(resume_from))
            self._files.claim_all(self._saver.path)
            return
        state = self._files.state_to_resume() if resume else None
        if not resume:
            self._files.refuse_to_overwrite()
        self._files.claim_all(self._saver.path)
        if state is not None:
            self._restore(state)
            return
        started = time.monotonic()
        quality = measure_validation(self._parts)
        untouched = BestModel(0, quality.score, self._untouched)
        self._end_epoch(self._record(0, [], quality, True, (0.0, time.monotonic() - started)), untouched, quality)
        self._keep_state()

    def loop(self) -> StopReason:
        """Train epoch after epoch until there is a reason to stop."""
        try:
            while self._epoch < self._config.num_epochs:
                if self._epoch - self._best.epoch >= self._config.patience:
                    return "no improvement"
                self._train_and_measure(self._epoch + 1)
                self._keep_state()
        except KeyboardInterrupt:
            logger.warning(
                "Interrupted in epoch %d: saving the best model (epoch %d).", self._epoch + 1, self._best.epoch
            )
            return "interrupted"
        except TrainingError as error:
            put(self._parts.parameters, self._best.trained)
            raise TrainingError(f"{error} {self._rescue()}") from error
        return "all epochs done"

    def finish(self, stopped: StopReason) -> TrainingResult:
        """Leave the best model in memory and on disk, checked, and everything needed to go on."""
        if self._last_state is not None:
            self._save_state(self._last_state, stopped)
        blend, objects = self._blend(stopped)
        saved = self._best
        if blend.share != 1:
            saved = BestModel(saved.epoch, saved.score, blended(self._untouched, saved.trained, blend.share))
            self._saver.supersede({BLEND_KEY: {"share": blend.share}})
        put(self._parts.parameters, saved.trained)
        if blend.share == 1:
            objects = self._best_objects
        if not objects and stopped != "interrupted":
            # The best epoch lies before an interruption, or nothing of the tuned weights is saved.
            objects = measure_validation(self._parts).objects
        # Windows show a part of an image, and of its objects.
        is_choosing = stopped != "interrupted" and self._window is None
        everything = choose_everything(self._parts) if is_choosing else None
        if everything is not None and self._parts.is_main:
            self._saver.add(saved, {EVERYTHING_KEY: everything.metadata})
        sha256 = self._saver.finish(saved) if self._parts.is_main else ""
        result = TrainingResult(
            name=self._name,
            base=self._loaded.name,
            model_path=self._saver.path,
            weights_sha256=sha256,
            best_epoch=self._best.epoch,
            gained=(blend.saved or self._history[self._best.epoch]).score - self._history[0].score,
            epochs=self._epoch,
            stopped=stopped,
            history=tuple(self._history),
            seconds=self._seconds,
            blend=blend,
            general=self._general_change(blend, stopped),
            everything=everything,
            left_out=tuple(self._left_out),
        )
        self._files.write_metrics(self._history, result.outcome)
        self._files.write_report(result, objects, self._untouched, saved.trained)
        put(self._parts.parameters, saved.trained)
        logger.info("%s", result.summary)
        if result.general is not None and result.general.warning and self._parts.is_main:
            logger.warning("%s %s", result.general.sentence, result.general.warning)
        return result

    def _blend(self, stopped: StopReason) -> tuple[BlendChoice, Sequence[ObjectQuality]]:
        """Choose how much of the tuned weights is saved; with what was measured of that model, where it was."""
        if self._best.epoch == 0 or stopped == "interrupted":
            return BlendChoice(1.0, "nothing was gained" if self._best.epoch == 0 else "the run was interrupted"), ()
        untouched = BlendPoint(0.0, self._history[0].figures, self._before)
        tuned = self._history[self._best.epoch].figures
        measured = measure_blends(self._parts, self._untouched, self._best.trained, (untouched, tuned), self._epoch)
        share, reason = choose_share(self._config.blend, [point for point, _ in measured])
        objects = next(objects for point, objects in measured if point.share == share)
        return BlendChoice(share, reason, tuple(point for point, _ in measured)), objects

    def _general_change(self, blend: BlendChoice, stopped: StopReason) -> GeneralChange | None:
        general, before = self._parts.general, self._before
        if general is None or before is None:
            return None
        after = blend.saved.general if blend.saved is not None else before if stopped != "interrupted" else None
        if after is not None:
            self._parts.tell(GeneralMeasured(after, is_saved_model=True))
        return GeneralChange(general.name, len(general.positions), general.num_objects, before, after)

    def _train_and_measure(self, epoch: int) -> None:
        started = time.monotonic()
        steps = self._train_epoch(epoch)
        trained = time.monotonic()
        with averaged(self._parts.parameters, self._parts.average):
            quality = measure_validation(self._parts)
            measured = BestModel(epoch, quality.score, copied_to_cpu(self._parts.parameters))
            best = measured if measured.score > self._best.score else None
            seconds = (trained - started, time.monotonic() - trained)
            self._end_epoch(self._record(epoch, steps, quality, best is not None, seconds), best, quality)

    def _train_epoch(self, epoch: int) -> list[StepResult]:
        parts, results = self._parts, []
        steps = steps_of_epoch(parts.objects, self._config.seed, epoch, self._config.batch_size)
        for done, items in enumerate(steps):
            mine = items[parts.accelerator.process_index :: parts.accelerator.num_processes]
            rounds = draw_rounds(epoch, done, self._config)
            questions = [draw_question(item, epoch, self._config, parts.image_size, rounds) for item in mine]
            results.append(
                parts.stepper.step(questions, len(items), self._make_batch, parts.schedule.learning_rate(self._step))
            )
            self._step += 1
            if parts.average is not None:
                parts.average.update(parts.parameters)
            self._parts.tell(TrainingSteps(done + 1, len(steps), epoch, self._config.num_epochs))
        return results

    def _make_batch(self, questions: Sequence[Question]) -> PromptBatch:
        found: dict[tuple[int, str], EncodedImages] = {}
        for question in questions:
            place = question.sample, question.variant
            if place not in found:
                found[place] = self._parts.embeddings.get(*place)
        embeddings = [found[question.sample, question.variant] for question in questions]
        return make_batch(questions, embeddings, self._parts.image_size, self._config.resize, self._parts.grid_hw)

    def _end_epoch(self, record: EpochRecord, best: BestModel | None, quality: Quality) -> None:
        self._history.append(record)
        if best is not None:
            self._best, self._best_objects = best, quality.objects
        if best is not None and self._parts.is_main:
            self._saver.save(best)
        self._files.write_metrics(self._history)
        if self._parts.is_main:
            log_record(record, self._config.num_epochs)
        self._parts.tell(EpochEnded(record))

    def _keep_state(self) -> None:
        """Remember the state after a whole epoch, and write it down when it is time."""
        self._last_state = capture(self._parts, self._history, self._best, self._step, self._seconds)
        if self._epoch and self._epoch % self._config.save_interval == 0:
            self._save_state(self._last_state, None)

    def _save_state(self, state: TrainingState, stopped: StopReason | None) -> None:
        path = self._files.save_checkpoint(state)
        if path is not None:
            self._parts.tell(StateSaved(state.epoch, stopped, path))

    def _restore(self, state: TrainingState) -> None:
        restore(self._parts, state)
        self._history = [EpochRecord(**record) for record in state.history]
        self._best, self._step, self._earlier_seconds, self._last_state = state.best, state.step, state.seconds, state
        logger.info("Resuming after epoch %d of %d.", state.epoch, self._config.num_epochs)

    def _rescue(self) -> str:
        if not self._parts.is_main:
            return ""
        try:
            self._saver.finish(self._best)
        except Sam2AdapterError as error:
            return str(error)
        return f"The best model so far, of epoch {self._best.epoch}, is saved in {self._saver.path}."

    def _record(
        self, epoch: int, steps: list[StepResult], quality: Quality, is_best: bool, seconds: tuple[float, float]
    ) -> EpochRecord:
        rate = self._parts.schedule.learning_rate(self._step - 1) if steps else None
        return make_record(epoch, steps, quality, is_best, rate, self._parts.stepper.micro_batch, *seconds)

    @property
    def _epoch(self) -> int:
        return self._history[-1].epoch

    @property
    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started
