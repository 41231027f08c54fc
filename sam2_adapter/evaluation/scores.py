"""`Evaluation`, what a model reached on every object of a data set, and its summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from sam2_adapter.arguments import able_to, real_number, truth_value, whole_number
from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.evaluation.metrics import clicks_to_reach, expected_calibration_error, mean, share_above, spearman
from sam2_adapter.evaluation.proposals import Match, precision_figures, recall_figures
from sam2_adapter.predict.window_plan import WindowRule

PromptMode = Literal["box", "point", "clicks", "zero_shot", "everything"]
PROMPT_MODES: tuple[PromptMode, ...] = get_args(PromptMode)

_THRESHOLDS = (0.5, 0.75, 0.9)
NOC_TARGETS = (0.85, 0.9)

# Every object gets at least the last of these, so that the means are over all objects.
CLICKS_REPORTED = (1, 3, 5)


def noc_name(target: float) -> str:
    """Name of the number of clicks to an IoU, such as `noc_85`."""
    return f"noc_{target * 100:.0f}"


@dataclass(frozen=True)
class ObjectScore:
    """What a model reached on one object.

    Attributes:
        sample: name of the image.
        object_index: position of the object in its sample.
        label: class name.
        area_px: size of the true mask in pixels.
        mask_iou: measured IoU; for clicks after the last one.
        dice: Dice coefficient of the same mask.
        boundary_f: agreement of outlines of the same mask; see `metrics.boundary_f`.
        iou_score: the model's own estimate of `mask_iou`.
        box_iou: IoU of the filled box, the simplest trivial answer; for clicks that of the object's tight box.
        ellipse_iou: IoU of the ellipse in that box.
        iou_by_click: IoU after each click, for clicks only.
        iou_by_count: for everything only: IoU of the found object that this one was matched with, among the best 10, 100 and 1000.
        num_found: for everything only: objects that were found in the image.
    """

    sample: str
    object_index: int
    label: str
    area_px: int
    mask_iou: float
    dice: float
    boundary_f: float
    iou_score: float
    box_iou: float
    ellipse_iou: float
    iou_by_click: tuple[float, ...] = ()
    iou_by_count: tuple[float, ...] = ()
    num_found: int = 0

    @property
    def match(self) -> Match:
        """What everything-mode found of it."""
        return Match(self.sample, self.area_px, self.iou_by_count, self.num_found)

    def iou_after(self, clicks: int) -> float:
        """IoU after a number of clicks; of the last one where clicking ended before."""
        return self.iou_by_click[min(clicks, len(self.iou_by_click)) - 1]


@dataclass(frozen=True)
class EvaluationSettings:
    """How prompts are made and answers are taken; the same settings give the same prompts. Checked when built.

    Attributes:
        clip_to_box: cut masks at the boxes of their prompts, as predictions are.
        box_jitter: largest shift of a box's side as a share of the box; 0 gives the tight box.
        seed: of the jitter; every object has its own stream, whatever the order.
        max_clicks: clicks after which one gives up.
        stop_iou: an object gets no more clicks once it reached this IoU (and the number of clicks that means are reported for).
        min_side_px: objects whose box has a shorter side below this, in pixels of the model's input, are left out.
        everything: settings of everything-mode, see `EverythingSettings`; `None` for the defaults.
        window: `off`, `auto` or a number of pixels; see the setting. A model that was tuned on windows is measured in them.
        max_windows: most windows of an image.
    """

    clip_to_box: bool = True
    box_jitter: float = 0.0
    seed: int = 0
    max_clicks: int = 20
    stop_iou: float = max(NOC_TARGETS)
    min_side_px: float = 0.0
    everything: Mapping[str, Any] | None = None
    window: str = "off"
    max_windows: int = 64

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: one is of another kind or outside its range.
        """
        truth_value(self.clip_to_box, "clip_to_box")
        real_number(self.box_jitter, "box_jitter", 0, 1)
        whole_number(self.seed, "seed", 0)
        whole_number(self.max_clicks, "max_clicks", 1)
        real_number(self.stop_iou, "stop_iou", 0)
        real_number(self.min_side_px, "min_side_px", 0)
        if self.everything is not None:
            able_to(self.everything, ("keys",), "everything", "a dict of settings of everything-mode, or None")
        object.__setattr__(self, "window", str(self.window))
        WindowRule.of(self)


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on every object.

    Attributes:
        prompt: kind of prompt.
        model: name and identity of the model.
        settings: how prompts were made.
        objects: one row per object; for `zero_shot` one row per image, about the object that the mask fits best.
        left_out: rows of what was not used, as `LeftOut` gives them.
    """

    prompt: PromptMode
    model: Mapping[str, Any]
    settings: EvaluationSettings
    objects: tuple[ObjectScore, ...]
    left_out: tuple[Mapping[str, Any], ...] = field(default=())

    def summary(self) -> dict[str, float | int | None]:
        """Means over all objects, each object counting the same; `None` where a figure is not defined."""
        summary = self._summarised(self.objects)
        if self.prompt == "everything":
            summary |= precision_figures([row.match for row in self.objects])
        return summary

    def by_label(self) -> dict[str, dict[str, float | int | None]]:
        """The summary of each label, most frequent first."""
        groups: dict[str, list[ObjectScore]] = {}
        for row in self.objects:
            groups.setdefault(row.label, []).append(row)
        ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        return {label: self._summarised(rows) for label, rows in ordered}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back."""
        return {
            "prompt": self.prompt,
            "model": dict(self.model),
            "settings": asdict(self.settings),
            "summary": self.summary(),
            "by_label": self.by_label(),
            "left_out": [dict(row) for row in self.left_out],
            "objects": [asdict(row) for row in self.objects],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Evaluation:
        """Read what `to_dict` made, for a later comparison.

        Raises:
            DataError: the document is something else.
        """
        try:
            rows = [_row(entry) for entry in document["objects"]]
            settings = EvaluationSettings(**document["settings"])
            return cls(document["prompt"], document["model"], settings, tuple(rows), tuple(document["left_out"]))
        except (KeyError, TypeError, ConfigError) as error:
            raise DataError(f"Not an evaluation: {error}. Give the JSON that an evaluation wrote.") from error

    def to_table(self, max_labels: int = 20) -> str:
        """The summary overall and of the most frequent labels as text columns."""
        labels = self.by_label()
        shown = dict(list(labels.items())[:max_labels]) if len(labels) > 1 else {}
        columns = list(_EVERYTHING_COLUMNS if self.prompt == "everything" else _COLUMNS)
        if self.prompt != "clicks":
            columns = [column for column in columns if column[1] not in _CLICK_KEYS]
        more = f"\n... and {len(labels) - len(shown)} more labels" if 0 < len(shown) < len(labels) else ""
        return _table(columns, {"all": self.summary(), **shown}) + more

    def _summarised(self, rows: Sequence[ObjectScore]) -> dict[str, float | int | None]:
        ious = [row.mask_iou for row in rows]
        scores = [row.iou_score for row in rows]
        summary: dict[str, float | int | None] = {
            "num_objects": len(rows),
            "num_images": len({row.sample for row in rows}),
            "miou": mean(ious),
            "dice": mean([row.dice for row in rows]),
            "boundary_f": mean([row.boundary_f for row in rows]),
            **{f"share_above_{threshold:g}": share_above(ious, threshold) for threshold in _THRESHOLDS},
            "iou_score": mean(scores),
            "calibration_error": expected_calibration_error(scores, ious),
            "score_correlation": spearman(scores, ious),
            "box_miou": mean([row.box_iou for row in rows]),
            "ellipse_miou": mean([row.ellipse_iou for row in rows]),
        }
        if self.prompt == "everything":
            return summary | recall_figures([row.match for row in rows])
        return summary | (self._click_figures(rows) if self.prompt == "clicks" else {})

    def _click_figures(self, rows: Sequence[ObjectScore]) -> dict[str, float | int | None]:
        limit = self.settings.max_clicks
        figures: dict[str, float | int | None] = {}
        for count in CLICKS_REPORTED:
            if count <= limit:
                figures[f"miou_after_{count}"] = mean([row.iou_after(count) for row in rows])
        for target in NOC_TARGETS:
            figures[noc_name(target)] = mean([clicks_to_reach(row.iou_by_click, target, limit) for row in rows])
            figures[f"{noc_name(target)}_failed"] = mean([float(max(row.iou_by_click) < target) for row in rows])
        return figures


_EVERYTHING_COLUMNS = (
    ("objects", "num_objects", "d"),
    ("found", "num_found", "d"),
    ("AR@10", "ar_10", ".3f"),
    ("AR@100", "ar_100", ".3f"),
    ("AR@1000", "ar_1000", ".3f"),
    ("small", "ar_1000_small", ".3f"),
    ("medium", "ar_1000_medium", ".3f"),
    ("large", "ar_1000_large", ".3f"),
    ("precision", "precision", ".3f"),
    ("mSA", "msa", ".3f"),
    ("SA50", "sa_50", ".3f"),
    ("SA75", "sa_75", ".3f"),
)

_COLUMNS = (
    ("objects", "num_objects", "d"),
    ("mIoU", "miou", ".3f"),
    ("Dice", "dice", ".3f"),
    ("boundary F", "boundary_f", ".3f"),
    (">=0.5", "share_above_0.5", ".2f"),
    (">=0.75", "share_above_0.75", ".2f"),
    (">=0.9", "share_above_0.9", ".2f"),
    ("1 click", "miou_after_1", ".3f"),
    ("5 clicks", "miou_after_5", ".3f"),
    ("NoC85", "noc_85", ".2f"),
    ("NoC90", "noc_90", ".2f"),
    ("score", "iou_score", ".3f"),
    ("calib. err.", "calibration_error", ".3f"),
    ("filled box", "box_miou", ".3f"),
    ("ellipse", "ellipse_miou", ".3f"),
)


_CLICK_KEYS = {"miou_after_1", "miou_after_5", "noc_85", "noc_90"}


def _row(entry: Mapping[str, Any]) -> ObjectScore:
    tuples = {name: tuple(entry.get(name, ())) for name in ("iou_by_click", "iou_by_count")}
    return ObjectScore(**{**entry, **tuples})


def _table(columns: Iterable[tuple[str, str, str]], rows: Mapping[str, Mapping[str, float | int | None]]) -> str:
    columns = list(columns)
    cells = [["label", *(title for title, _, _ in columns)]]
    for label, summary in rows.items():
        values = [(summary.get(key), spec) for _, key, spec in columns]
        cells.append([label, *("-" if value is None else format(value, spec) for value, spec in values)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    )
