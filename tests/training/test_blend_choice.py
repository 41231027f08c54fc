"""Which share of the tuned weights is saved."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.training.blend_choice import BlendChoice, BlendPoint, choose_share, shares_to_measure
from sam2_adapter.training.general import GeneralQuality
from sam2_adapter.training.quality import Figures


def point(share: float, score: float, general: float | None = None, click: float | None = None) -> BlendPoint:
    figures = Figures(score, score, score, 0.5, 0.1, (score,) * 20)
    quality = None if general is None else GeneralQuality(general, general if click is None else click)
    return BlendPoint(share, figures, quality)


def test_a_number_is_taken_as_it_is() -> None:
    assert choose_share(0.3, [point(0, 0.1), point(0.3, 0.2), point(1, 0.9)]) == (0.3, "blend = 0.3 was set")


def test_auto_takes_the_highest_score_of_the_shares_that_lose_little() -> None:
    curve = [
        point(0, 0.5, 0.6),
        point(0.2, 0.7, 0.58),
        point(0.4, 0.75, 0.551),
        point(0.6, 0.8, 0.54),
        point(1, 0.82, 0.1),
    ]
    share, reason = choose_share("auto", curve)
    assert share == 0.4
    assert reason == "of the shares that lose at most 0.05 on the general set it has the highest score"


def test_both_kinds_of_prompt_count() -> None:
    curve = [point(0, 0.5, 0.6, 0.4), point(0.5, 0.7, 0.6, 0.36), point(0.6, 0.75, 0.62, 0.34), point(1, 0.8, 0.7, 0.1)]
    assert choose_share("auto", curve)[0] == 0.5


def test_of_equal_ones_the_smallest_share_is_taken() -> None:
    curve = [point(0, 0.5, 0.6), point(0.5, 0.7, 0.6), point(0.7, 0.7, 0.6), point(1, 0.65, 0.6)]
    assert choose_share("auto", curve)[0] == 0.5


def test_where_little_loss_means_little_gain_a_compromise_is_taken_and_said() -> None:
    curve = [
        point(0, 0.4, 0.6),
        point(0.2, 0.45, 0.58),
        point(0.4, 0.7, 0.5),
        point(0.7, 0.75, 0.4),
        point(1, 0.8, 0.1),
    ]
    share, reason = choose_share("auto", curve)
    assert share == 0.4
    assert reason.startswith("a compromise: ")


def test_what_costs_nothing_is_kept_whole() -> None:
    assert choose_share("auto", [point(0, 0.5, 0.6), point(0.5, 0.6, 0.6), point(1, 0.7, 0.6)])[0] == 1


@pytest.mark.parametrize(
    ("blend", "epochs", "shares"),
    [
        ("auto", 1, tuple(at / 10 for at in range(11))),
        (1.0, 40, (0, 0.25, 0.5, 0.75, 1)),
        (0.3, 40, (0, 0.25, 0.3, 0.5, 0.75, 1)),
        (1.0, 3, (0, 0.5, 1)),
        (0.5, 3, (0, 0.5, 1)),
    ],
)
def test_a_short_run_measures_fewer_shares(blend: float, epochs: int, shares: tuple[float, ...]) -> None:
    assert shares_to_measure(blend, epochs) == shares


def test_the_curve_can_be_written_down() -> None:
    curve = (point(0, 0.5, 0.6), point(0.5, 0.75))
    choice = BlendChoice(0.5, "blend = 0.5 was set", curve)
    assert choice.saved is curve[1]
    assert BlendChoice(1.0, "the run was interrupted").saved is None
    document = json.loads(json.dumps(choice.to_dict()))
    assert document["share"] == 0.5
    assert document["curve"][0]["general"] == {"miou_box": 0.6, "miou_click": 0.6, "score": 0.6}
    assert document["curve"][1] == {
        "share": 0.5, "score": 0.75, "miou_box": 0.75, "miou_click": 0.75, "miou_clicks": 0.75, "miou_20_clicks": 0.75, "general": None,
    }  # fmt: skip
