"""Pointing at objects, click by click: a session of one person, for pages, notebooks and labelling tools.

    from sam2_adapter import load_predictor
    from sam2_adapter.interactive import Session

    session = Session(load_predictor("sam2_nano"))
    session.open("street.jpg")
    answer = session.click(420, 310)                      # inside the object
    answer = session.click(515, 340, foreground=False)    # this is not part of it
    print(answer.mask.sum(), answer.iou_score)

`Session` keeps what was pointed at. A service whose callers send everything with each request uses `answer_prompt` and
`EncodedSources` instead, as the functions of the annotation studio do.
"""

from sam2_adapter.interactive.encoded_sources import EncodedSource, EncodedSources
from sam2_adapter.interactive.mask_answers import Answer, answer_prompt
from sam2_adapter.interactive.session import Session
from sam2_adapter.interactive.steps import Step

__all__ = ["Answer", "EncodedSource", "EncodedSources", "Session", "Step", "answer_prompt"]
