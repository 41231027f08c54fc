"""How far a training is, from made-up messages and a clock of our own."""

from __future__ import annotations

from sam2_adapter.label.teaching_progress import TeachingProgress


def _work(what, done, total):
    return {"news": "work", "what": what, "done": done, "total": total}


def _epoch(number):
    return {"news": "epoch", "epoch": {"epoch": number}}


def test_the_time_left_is_that_of_the_epochs_to_come():
    time = [100.0]
    progress = TeachingProgress(10, now=lambda: time[0])
    assert progress.shown() == {
        "what": "starting",
        "done": 0,
        "total": 0,
        "epoch": 0,
        "numEpochs": 10,
        "share": None,
        "secondsLeft": None,
    }
    for message in (_work("encoding images", 3, 12), _epoch(0)):
        progress.take(message)
    assert (progress.shown()["share"], progress.shown()["secondsLeft"]) == (None, None)
    progress.take(_work("epoch 1 of 10", 1, 5))
    assert (progress.shown()["share"], progress.shown()["secondsLeft"]) == (0.0, None)
    time[0] = 108.0
    for number in (1, 2):
        progress.take(_epoch(number))
    told = progress.shown()
    assert (told["share"], told["secondsLeft"], told["what"], told["done"]) == (0.2, 4.0 * 9.5, "epoch 1 of 10", 1)
    progress.take({"news": "blend", "point": {}})
    told = progress.shown()
    assert (told["what"], told["secondsLeft"]) == ("measuring how much of it to use", None)


def test_a_training_that_goes_on_counts_only_its_own_time():
    time = [0.0]
    progress = TeachingProgress(8, first_epoch=6, now=lambda: time[0])
    assert progress.shown()["share"] == 0.75
    progress.take(_work("epoch 7 of 8", 1, 5))
    time[0] = 2.0
    progress.take(_epoch(7))
    assert progress.shown()["secondsLeft"] == 2.0 * 2.5
