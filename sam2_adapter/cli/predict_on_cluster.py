"""`sam2-adapter predict --engine ray`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_adapter.errors import ConfigError

if TYPE_CHECKING:
    from sam2_adapter.cli.predict_report import Report
    from sam2_adapter.config import Config
    from sam2_adapter.data.image_tasks import ImageTask


@dataclass
class ClusterRun:
    """A run over a Ray cluster, as the command line asks for it."""

    output: str
    workers: int | None
    address: str | None
    max_pixels: int
    resume: bool
    num_images: int = field(default=0, init=False)

    def prepare(
        self,
        locations: Sequence[str],
        model: str,
        settings: Config,
        plan: Callable[[Sequence[Path]], list[ImageTask]],
    ) -> Callable[[Report], None]:
        """Find the images; returns what does the work.

        Raises:
            ConfigError: Ray is not installed.
        """
        if find_spec("ray") is None or find_spec("pyarrow") is None or find_spec("fsspec") is None:
            raise ConfigError(
                '--engine ray is not installed. Install it with: pip install "sam2-adapter[ray]", here and on all machines '
                "of the cluster."
            )
        from sam2_adapter.bulk import BulkOptions
        from sam2_adapter.cluster.locations import find_sources
        from sam2_adapter.cluster.run import ClusterOptions, predict_on_cluster
        from sam2_adapter.cluster.work import ModelChoice, SourcedTask

        # A URL is no path, but ends like one, which is all that names and prompts files ask of it.
        sources = {Path(source): source for source in find_sources(locations)}
        tasks = [SourcedTask(task, sources[task.path]) for task in plan(list(sources))]
        self.num_images = len(tasks)
        name = os.path.abspath(model) if os.path.exists(model) else model
        choice = ModelChoice(name, settings.device, settings.runtime, settings.precision)
        options = BulkOptions(settings.clip_to_box, settings.default_label, self.max_pixels)
        output = self.output if "://" in self.output else os.path.abspath(self.output)
        cluster = ClusterOptions(self.address, self.workers, self.resume)

        def work(report: Report) -> None:
            with report:
                report.start({"engine": "ray", "model": model}, Path(self.output))
                with closing(predict_on_cluster(choice, tasks, output, options, cluster)) as results:
                    for result in results:
                        report.add(result)

        return work
