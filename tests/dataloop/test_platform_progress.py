"""How far a training is, in percent; it never goes back."""

from __future__ import annotations

from sam2_adapter.dataloop.platform_progress import TrainingProgress, tell
from sam2_adapter.training.events import EncodingImages, Work
from tests.dataloop.adapting import Recorder


def test_a_training_from_its_download_to_its_end():
    recorder = Recorder()
    progress = TrainingProgress(recorder)
    progress.start()
    for done in (0, 5, 10):
        progress.show(EncodingImages(done, 10))
    for epoch in range(2):
        progress.end_epoch(epoch, 2)
    progress.save()
    progress.finish()
    assert recorder.percents == [0, 5, 10, 15, 55, 95, 95, 100]
    assert recorder.told[0] == (0, "downloading the data")
    assert recorder.told[2] == (10, f"{EncodingImages(5, 10).what}: 5 of 10")
    assert [message for _, message in recorder.told[4:]] == [
        "epoch 1 of 2",
        "epoch 2 of 2",
        "saving model",
        "trained",
    ]


def test_images_that_do_not_move_the_percentage_are_not_told():
    recorder = Recorder()
    progress = TrainingProgress(recorder)
    for done in range(1001):
        progress.show(EncodingImages(done, 1000))
    assert recorder.percents == list(range(5, 16))


def test_the_percentage_never_goes_back():
    recorder = Recorder()
    progress = TrainingProgress(recorder)
    progress.end_epoch(4, 10)
    progress.show(EncodingImages(10, 10))
    progress.end_epoch(0, 10)
    assert recorder.percents == [55, 55]


def test_other_work_and_no_images_at_all():
    recorder = Recorder()
    progress = TrainingProgress(recorder)
    progress.show(Work(1, 2))
    assert recorder.told == []
    progress.show(EncodingImages(0, 0))
    assert recorder.percents == [5]


def test_a_call_without_a_progress_object_goes_on():
    tell(None, 50, "half")
    TrainingProgress(None).start()
    recorder = Recorder()
    tell(recorder, 50, "half")
    assert recorder.told == [(50, "half")]
