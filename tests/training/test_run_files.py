"""The names that a run writes, and runs of version 0.1, which marked nothing."""

from __future__ import annotations

import pytest

from sam2_adapter.training.run_files import entries_of_run, run_of_version_0_1
from tests.training.small_run import small_config_of_run


def test_a_run_names_what_it_will_write(tmp_path):
    always = ["best_sam2_model.torch", "report.html", "metrics.json", "metrics.csv", "checkpoints"]
    assert entries_of_run(small_config_of_run(), None) == always
    with_store = small_config_of_run(disk_mib=64, tensorboard=True)
    assert len(entries_of_run(with_store, None)) == 7
    assert "tensorboard" in entries_of_run(with_store, None)
    assert len(entries_of_run(with_store, tmp_path)) == 6, "embeddings elsewhere are no files of the run"


@pytest.mark.parametrize(
    ("names", "is_one"),
    [
        (("best_sam2_model.torch", "report.html", "metrics.json", "metrics.csv", "checkpoints"), True),
        (("metrics.json", "my nuclei.torch"), True),
        (("checkpoints",), True),
        (("report.html", "my nuclei.torch"), False),
        (("metrics.json", "notes.txt"), False),
        (("metrics.json", "a.torch", "b.torch"), False),
        ((), False),
    ],
)
def test_runs_of_version_0_1_are_known_by_their_files(tmp_path, names, is_one):
    assert (run_of_version_0_1(tmp_path, names) is not None) is is_one
