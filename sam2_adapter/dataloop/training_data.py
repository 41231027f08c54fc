"""The subsets of a model entity to a folder that the engine reads, `<subset>/items/` and `<subset>/json/`.

Each item has one document, named by its id, and one image, whatever the item is called: the SDK's own export names
documents by stem, so that `a.png` and `a.jpg` share one, and leaves them out for a subset of one item.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

from sam2_adapter.dataloop.items import file_bytes, list_items, nested, query_of
from sam2_adapter.dataloop.local_names import LocalNames
from sam2_adapter.dataloop.platform_requests import Document, UnansweredError, query_all
from sam2_adapter.dataloop.prediction import THREADS, UNDER_WAY
from sam2_adapter.dataloop.prepared_items import BrokenItem, download_bytes
from sam2_adapter.dataloop.storing import list_annotations
from sam2_adapter.errors import DataError, PlatformError
from sam2_adapter.files import write_file
from sam2_adapter.jobs.stream import stream_without_model
from sam2_adapter.text import printable

logger = logging.getLogger(__name__)

# Told what is done and how many items that are.
OnDownloaded = Callable[[str, int], None]


def download_subsets(model: Any, dataset: Any, folder: Path, on_downloaded: OnDownloaded | None = None) -> None:
    """Download images and annotations of all subsets of a model.

    All annotations are taken, or those that the model's annotation filter names; what is not trained on is left out, and
    counted, when the folder is read.

    Args:
        model: `dl.Model` with subsets.
        dataset: `dl.Dataset` that they are parts of.
        folder: empty; gets one folder per subset.
        on_downloaded: called after every item with the name of its subset and the number of items so far.

    Raises:
        DataError: there are no subsets, or nothing in one of them could be downloaded.
        PlatformError: the platform did not deliver some of the items.
    """
    system = nested(model.metadata, "system")
    subsets = nested(system, "subsets")
    if not subsets:
        raise DataError(
            f"Model {model.name!r} has no subsets to train on. Choose its training and validation items: clone it with train_filter and "
            "validation_filter, or call model.add_subset()."
        )
    filters = nested(system, "annotationsSubsets")
    for name, query in subsets.items():
        _download_subset(name, query_of(query), filters.get(name), dataset, folder / _plain(name), on_downloaded)


def _download_subset(
    name: str,
    query: Mapping[str, Any],
    annotation_filter: Mapping[str, Any] | None,
    dataset: Any,
    folder: Path,
    on_downloaded: OnDownloaded | None,
) -> None:
    names = LocalNames()

    def download(named: tuple[Any, PurePosixPath]) -> None:
        item, name = named
        _write_item(item, _annotations(item, annotation_filter), folder, name)

    broken: list[BrokenItem] = []
    total = 0
    items = ((item, names.take(item)) for item in list_items(dataset, query))
    working = stream_without_model(
        items, download, threads=THREADS, under_way=UNDER_WAY, num_bytes=lambda named: file_bytes(named[0])
    )
    with closing(working) as outcomes:
        for outcome in outcomes:
            total += 1
            if outcome.error is not None:  # one item must not cost the training
                broken.append(BrokenItem(outcome.item[0], outcome.error))
                logger.warning("Subset %r: left out %s", name, printable(broken[-1]))
            if on_downloaded is not None:
                on_downloaded(name, total)
    if len(broken) == total:
        reason = f"none of its {total} items could be downloaded, such as {broken[0]}" if broken else "it has no items"
        raise DataError(f"Subset {name!r} cannot be used: {reason}. Check its filter: {json.dumps(dict(query))[:500]}")
    undelivered = [outcome for outcome in broken if isinstance(outcome.error, UnansweredError)]
    if undelivered:  # a training on fewer items would pass for one on all
        raise PlatformError(
            f"Subset {name!r}: {len(undelivered)} of {total} items were not delivered, such as {undelivered[0]} Start the training again, or "
            "take items whose files are gone out of the subset."
        )


def _write_item(item: Any, annotations: list[Document], folder: Path, name: PurePosixPath) -> None:
    """The document first: an image that is missing is counted then, rather than a forgotten item."""
    document = {"id": item.id, "filename": f"/{name}", "name": name.name, "annotations": annotations}
    content = json.dumps(document).encode()
    write_file(folder / "json" / f"{item.id}.json", lambda file: file.write(content))
    image = download_bytes(item)
    write_file(folder / "items" / name, lambda file: file.write(image))


def _annotations(item: Any, annotation_filter: Mapping[str, Any] | None) -> list[Document]:
    if not annotation_filter:
        return list_annotations(item.id, item.dataset_id)
    query = copy.deepcopy(dict(annotation_filter))
    query = query if "filter" in query else {"filter": query}
    query["filter"]["$and"] = [*query["filter"].get("$and", []), {"itemId": item.id}]
    return list(query_all(item.dataset_id, {**query, "resource": "annotations"}))


def _plain(name: str) -> str:
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise DataError(f"The subset name {name!r} cannot be a folder; give it a plain name such as 'train'.")
    return name
