"""What teaching came to, for the page: every share of what was learned with its figures and one plain sentence, and the share that is chosen.

Figures, the choice and the bound of what may be forgotten are those of the training (`blend_choice`, `general`); the words are the page's, and so
is what counts as chance, since few objects check the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sam2_adapter.text import plural, told_change
from sam2_adapter.training.blend_choice import BlendPoint, choose_share
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.records import TrainingResult

Json = dict[str, Any]

BETTER, NOT_BETTER, FORGETS = "better", "not better", "forgets"

# Mean IoU has to rise by so much to be called better: on the few objects that check the model, less is chance as well as not.
_CLEAR = 0.01


def result_of(result: TrainingResult) -> Json:
    """The result of a training as plain data for JSON.

    Args:
        result: of a run whose saved model has all that was learned (`blend` 1), so that any share can still be chosen.
    """
    curve = _curve(result)
    share, reason = _suggested(curve)
    general = result.general
    return {
        "stopped": result.stopped,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": round(result.seconds, 3),
        "curve": [{**point.to_dict(), **_judged(point, curve[0], result)} for point in curve],
        "share": share,
        "reason": reason,
        "general": None if general is None else {"images": general.num_images, "objects": general.num_objects},
    }


def _curve(result: TrainingResult) -> tuple[BlendPoint, ...]:
    """What was measured over shares; of a run that gained nothing the model before alone, of one that was stopped the two ends."""
    if result.blend.curve:
        return result.blend.curve
    before = BlendPoint(0.0, result.history[0].figures, result.general.before if result.general else None)
    if result.best_epoch == 0:
        return (before,)
    return before, BlendPoint(1.0, result.history[result.best_epoch].figures)


def _suggested(curve: Sequence[BlendPoint]) -> tuple[float, str]:
    """The share that is suggested, and why: of those that are as good as the one that training would save, up to chance, the smallest."""
    chosen, _ = choose_share("auto", curve)
    best = next(point for point in curve if point.share == chosen).score
    if best - curve[0].score < _CLEAR:
        return 0.0, "no share is better by a percentage point"
    least = max(best - _CLEAR, curve[0].score + _CLEAR)
    share = min(point.share for point in curve if point.score >= least)
    return share, "the smallest share that is as good as the best one, up to a percentage point"


def _judged(point: BlendPoint, before: BlendPoint, result: TrainingResult) -> Json:
    if point.share == 0:
        nothing = f"Not better: in {plural(result.epochs, 'pass', 'passes')} no model was better than the one before. More objects, or objects in more pictures, may help."
        return {"verdict": NOT_BETTER, "text": nothing if result.best_epoch == 0 else "The model as it was before."}
    went = _told(before.score, point.score)
    if point.score <= before.score or went == _told(before.score, before.score):
        return {"verdict": NOT_BETTER, "text": f"Not better: masks of the objects kept to check it match {went}."}
    if point.score - before.score < _CLEAR:
        return {
            "verdict": NOT_BETTER,
            "text": f"About as before: masks of the objects kept to check it match {went}, and so small a difference may be chance.",
        }
    better = f"masks of the objects kept to check it match better ({went})"
    if result.general is None or point.general is None or before.general is None:
        why = "What it forgets was not measured" + (
            ", since it was stopped." if result.stopped == "interrupted" else "."
        )
        return {"verdict": BETTER, "text": f"Better: {better}. {why}"}
    general = result.general
    change = GeneralChange(general.name, general.num_images, general.num_objects, before.general, point.general)
    if change.warning:
        return {
            "verdict": FORGETS,
            "text": f"It forgets: {better}, but those on other photographs get worse ({_largest_loss(before.general, point.general)}).",
        }
    elsewhere = _told(before.general.score, point.general.score)
    return {
        "verdict": BETTER,
        "text": f"Better: {better}, and on other photographs it keeps what it could ({elsewhere}).",
    }


def _largest_loss(before: GeneralQuality, after: GeneralQuality) -> str:
    """The one of the two figures that fell most: the mean of both may be as before."""
    box = (before.miou_box, after.miou_box, "from a box")
    click = (before.miou_click, after.miou_click, "after one click")
    first, last, what = max(box, click, key=lambda figure: figure[0] - figure[1])
    return f"{_told(first, last)} {what}"


def _told(before: float, after: float) -> str:
    return told_change(100 * before, 100 * after, "{:.1f} %", arrow="→")
