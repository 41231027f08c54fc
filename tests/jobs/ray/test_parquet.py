"""The Parquet files of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.jobs.ray.locations import ResultFolder
from sam2_adapter.jobs.ray.parquet import SCHEMA, failed_row, read_rows, to_parquet
from sam2_adapter.jobs.ray.plan import Ledger
from sam2_adapter.jobs.ray.worker import ChunkWorker, Job
from sam2_adapter.jobs.tasks import ImageTask
from tests.jobs.ray.working import do_chunk


def test_a_damaged_part_is_named(job: Job, tasks: list[ImageTask]) -> None:
    with pytest.raises(DataError, match=r"out/part-1: not a Parquet file: .* Remove it"):
        read_rows(b"torn", tasks, "out/part-1")
    do_chunk(ChunkWorker(job, 2, Ledger(), "a"), tasks)
    with pytest.raises(DataError, match="other columns or images than expected"):
        read_rows(ResultFolder(job.output).read("part-000000.parquet"), tasks[:2], "out/part-1")


def test_the_documented_columns_are_those_of_the_files() -> None:
    text = (Path(__file__).parents[3] / "docs" / "prediction.md").read_text("utf-8")
    section = text.partition("## Many machines")[2].partition("\n## ")[0]
    for field in [*SCHEMA, *SCHEMA.field("objects").type.value_type]:
        kind = str(field.type)
        kind = "list of struct" if "struct" in kind else kind.replace("list<item: ", "list of ").removesuffix(">")
        assert f"| `{field.name}` | {kind} |" in section


def test_parts_of_version_0_1_can_be_read(tasks: list[ImageTask]) -> None:
    table = pq.read_table(io.BytesIO(to_parquet([failed_row(task, "no") for task in tasks], {})))
    content = io.BytesIO()
    new_columns = ("refused_prompts", "warnings", "notes")
    is_old = [field for field in table.schema if field.name not in new_columns]
    of_prompts = [
        field for field in SCHEMA.field("objects").type.value_type if field.name not in ("stability_score", "point_xy")
    ]
    objects = pa.field("objects", pa.list_(pa.struct(of_prompts)))
    old = pa.schema([objects if field.name == "objects" else field for field in is_old])
    pq.write_table(pa.Table.from_pylist(table.select(old.names).to_pylist(), old), content)
    rows = read_rows(content.getvalue(), tasks, "part")
    assert [(row["refused_prompts"], row["version"], row["status"]) for row in rows] == [([], None, "failed")] * 3


def test_parts_without_warnings_and_notes_can_be_read(tasks: list[ImageTask]) -> None:
    table = pq.read_table(io.BytesIO(to_parquet([failed_row(task, "no") for task in tasks], {})))
    content = io.BytesIO()
    pq.write_table(table.drop_columns(["warnings", "notes"]), content)
    rows = read_rows(content.getvalue(), tasks, "part")
    assert [(row["warnings"], row["notes"], row["status"]) for row in rows] == [([], [], "failed")] * 3
