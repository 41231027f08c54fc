"""Time prediction on the platform against the SDK's own flow, with a gateway that takes its time for every request.

    PYTHONPATH=. python benchmarks/platform/run.py --items 200 --latency-ms 50

Three flows predict the same items with the same model, on an emulator of the platform's gateway in this process:

- `adapter`: ours;
- `base class`: the SDK's `predict_items` around our steps, batch after batch;
- `serial prompts`: the SDK's `predict_items` and its own preparation, with prompts listed within `predict`.

Prints items per second, requests per item and the growth of this process' memory between a tenth and all of the items.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.dataloop.adapting import BOX, disk_image, make_adapter
from tests.dataloop.client import Platform, load_client, log_in
from tests.dataloop.gateway import Gateway


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--batch-size", type=int, default=4)
    arguments = parser.parse_args()
    os.environ["SAM2_ADAPTER_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        gateway = Gateway()
        dl = load_client(Path(folder, "dataloop"))
        log_in(dl, gateway)
        platform = Platform(dl, gateway)
        dataset = platform.dataset()
        items = [_annotated(platform, dl, dataset, f"/{n:05}.png") for n in range(arguments.items)]
        adapter = make_adapter(platform, dataset, batch_size=arguments.batch_size)
        adapter.predict_items(items[: arguments.batch_size])
        gateway.latency = arguments.latency_ms / 1000
        print(json.dumps(_measure(dl, gateway, adapter, dataset, items), indent=1))
        gateway.close()


def _measure(dl: Any, gateway: Gateway, adapter: Any, dataset: Any, items: list[Any]) -> dict[str, Any]:
    serial = _serial(dl, adapter)
    flows: dict[str, Callable[[], Any]] = {
        "adapter": lambda: adapter.predict_items(items),
        "base class": lambda: dl.BaseModelAdapter.predict_items(adapter, items),
        "serial prompts": lambda: dl.BaseModelAdapter.predict_items(serial, items),
    }
    report: dict[str, Any] = {"items": len(items), "latency_s": gateway.latency}
    for name, flow in flows.items():
        start = time.perf_counter()
        with gateway.counting() as requests:
            flow()
        seconds = time.perf_counter() - start
        report[name] = {
            "items_per_second": round(len(items) / seconds, 2),
            "requests_per_item": round(requests.total / len(items), 2),
        }
    for name in list(flows)[1:]:
        report[f"times as fast as {name}"] = round(
            report["adapter"]["items_per_second"] / report[name]["items_per_second"], 2
        )
    gateway.latency = 0
    report["memory_growth_mib"] = _memory_growth(gateway, adapter, dataset)
    return report


def _serial(dl: Any, adapter: Any) -> Any:
    """The adapter as the SDK's default preparation leaves it: prompts are listed one item after the other within `predict`."""
    # Here: they import the client, which takes its settings from the environment that `main` prepares.
    from sam2_adapter.dataloop.prepared_items import PreparedItem
    from sam2_adapter.dataloop.storing import list_annotations

    class SerialAdapter(type(adapter)):  # type: ignore[misc]
        def prepare_item_func(self, item: Any) -> Any:
            return SimpleNamespace(item=item, image=dl.BaseModelAdapter._item_to_image(item))

        def predict(self, batch: list[Any], **kwargs: Any) -> list[Any]:
            return super().predict([self._prompted(entry.item, entry.image) for entry in batch])

        def _prompted(self, item: Any, image: Any) -> PreparedItem:
            documents = list_annotations(item.id, item.dataset_id)
            return PreparedItem(item, image, self._ask(documents, image.shape[:2]), ())

    serial = object.__new__(SerialAdapter)
    serial.__dict__.update(adapter.__dict__)
    return serial


def _memory_growth(gateway: Gateway, adapter: Any, dataset: Any) -> dict[str, float]:
    """Largest memory of the process after each run over the data set, which keeps no results; state is the emulator's."""
    peaks = []
    for _ in range(3):
        adapter.predict_dataset(dataset)
        gateway.requests.clear()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {"second_run": round(peaks[1] - peaks[0], 1), "third_run": round(peaks[2] - peaks[1], 1)}


def _annotated(platform: Platform, dl: Any, dataset: Any, name: str) -> Any:
    item = platform.item(dataset, disk_image(), name)
    platform.annotate(item, dl.Box(*BOX, label="cat"))
    return item


if __name__ == "__main__":
    main()
