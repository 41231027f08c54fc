"""The real client, pointed at the emulator, and helpers that make entities quickly."""

from __future__ import annotations

import copy
import io
import logging
import posixpath
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.dataloop.gateway import Gateway
from tests.dataloop.gateway.datasets import create_dataset, create_project, create_recipe
from tests.dataloop.gateway.items import put_item
from tests.dataloop.gateway.models import create_model
from tests.dataloop.gateway.store import Document
from tests.dataloop.gateway.tokens import make_token

_WAITING_MODULES = ("commands", "datasets", "executions", "models", "uploader")


def load_client(folder: Path) -> ModuleType:
    """Import the client with its settings below `folder`, without progress bars and without its log of every request.

    Its dependencies warn on import. Before each request it reads the source of its whole call stack, for tens of milliseconds, and uses nothing
    of it; here it gets an empty stack.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("DATALOOP_PATH", str(folder))
        patch.setenv("TQDM_DISABLE", "1")
        warnings.simplefilter("ignore")
        import dtlpy
    dtlpy.verbose.disable_progress_bar = True
    logging.getLogger("dtlpy").setLevel(logging.WARNING)
    sys.modules["dtlpy.services.api_client"].inspect = SimpleNamespace(stack=lambda: (None, None))
    return dtlpy


def log_in(dl: ModuleType, gateway: Gateway) -> None:
    """Make the emulator the client's environment and log in."""
    alias = f"emulator-{gateway.url.rsplit(':')[-1].split('/')[0]}"
    token = make_token()
    dl.add_environment(
        environment=gateway.url,
        alias=alias,
        token=token,
        verify_ssl=True,
        gate_url=gateway.url,
        url=gateway.url,
        audience="",
        client_id="",
        auth0_url="",
    )
    dl.setenv(alias)
    dl.login_token(token)


def shorten_waits(dl: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Let the client retry and poll as often as it does, without its waits of up to 30 s.

    Connections: urllib3's backoff factor of the client's own session (0, 2, 4, 8, 16 s) becomes a thousandth of a second; which
    statuses are retried, and how often, stays. Uploads: the pauses between the tries of the asynchronous requests. Commands,
    exports, clones, executions: `time.sleep` in those modules of the client returns at once. Nothing outside the client changes.
    """
    for adapter in dl.client_api.session.adapters.values():
        patch.setattr(adapter, "max_retries", adapter.max_retries.new(backoff_factor=0.001))
    from dtlpy.services import aihttp_retry

    patch.setattr(aihttp_retry._RequestContext, "_exponential_timeout", lambda _: 0.001)
    hurried = SimpleNamespace(sleep=lambda _: None, time=time.time)
    for name in _WAITING_MODULES:
        patch.setattr(sys.modules[f"dtlpy.repositories.{name}"], "time", hurried)
    patch.setattr(sys.modules["dtlpy.ml.base_model_adapter"], "time", hurried, raising=False)


class Platform:
    """One project, and what tests put into it.

    Everything is written into the emulator's state directly, which takes no request; entities come from the real client.
    """

    def __init__(self, dl: ModuleType, gateway: Gateway) -> None:
        self.dl = dl
        self.gateway = gateway
        self.store = gateway.store
        self._project = create_project(self.store, "project")

    @property
    def project(self) -> Any:
        """The project, as a `dl.Project`."""
        return self.dl.Project.from_json(_json=copy.deepcopy(self._project), client_api=self.dl.client_api)

    def dataset(self, name: str = "dataset", labels: Sequence[str] = ("cat", "dog")) -> Any:
        """A `dl.Dataset` with these labels; their colours differ."""
        dataset = create_dataset(self.store, self._project["id"], name)
        create_recipe(
            self.store, dataset, {label: f"#{0x10_80_F0 + 0x30_20 * i:06x}" for i, label in enumerate(labels)}
        )
        return self.dl.Dataset.from_json(
            project=self.project, _json=copy.deepcopy(dataset), client_api=self.dl.client_api
        )

    def item(
        self, dataset: Any, image: Any = (120, 160), filename: str = "/a.png", metadata: Document | None = None
    ) -> Any:
        """A `dl.Item` with its `dataset`: `image` is a PIL image, an array, the bytes of a file, or (height, width) of noise."""
        data = image if isinstance(image, bytes) else _encoded(image, filename)
        document, _ = put_item(self.store, self.store.get("datasets", dataset.id), filename, data, metadata)
        return self.dl.Item.from_json(_json=copy.deepcopy(document), client_api=self.dl.client_api, dataset=dataset)

    def annotate(self, item: Any, *definitions: Any, model_info: Document | None = None) -> list[Document]:
        """Upload annotations with the client; the stored documents, in the order given.

        `model_info` (`name`, `model_id`, `confidence`) makes them predictions, marked in `metadata.user` and `metadata.system`.
        """
        collection = item.annotations.builder()
        for definition in definitions:
            collection.add(definition, model_info=model_info)
            if model_info is not None:
                collection.annotations[-1].metadata.setdefault("system", {})["model"] = dict(model_info)
        return [self.store.get("annotations", annotation.id) for annotation in item.annotations.upload(collection)]

    def annotations(self, item: Any) -> list[Document]:
        """The stored annotations of an item, oldest first."""
        return self.store.annotations_of(item.id)

    def model(
        self,
        dataset: Any = None,
        name: str = "model",
        output_type: str = "binary",
        configuration: Document | None = None,
        artifacts: dict[str, bytes] | None = None,
        subsets: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Any:
        """A `dl.Model`; `artifacts` maps relative names to bytes, `subsets` names to `dl.Filters`, `fields` are of its document."""
        system = {"subsets": {subset: filters.prepare() for subset, filters in (subsets or {}).items()}}
        defaults: Document = {
            "status": "pre-trained",
            "labels": [] if dataset is None else [label.tag for label in dataset.labels],
        }
        model = create_model(
            self.store,
            self._project["id"],
            **{
                **defaults,
                "name": name,
                "datasetId": None if dataset is None else dataset.id,
                "outputType": output_type,
                "configuration": configuration or {},
                "metadata": {"system": system},
                "artifacts": [self._artifact(name, path, data) for path, data in (artifacts or {}).items()],
                **fields,
            },
        )
        return self.dl.models.get(model_id=model["id"])

    def stored_model(self, model: Any) -> Document:
        """The document of a model as the server has it."""
        return self.store.get("models", model.id)

    def _artifact(self, model_name: str, path: str, data: bytes) -> Document:
        binaries = next(
            row for row in self.store.all("datasets", name="Binaries") if self._project["id"] in row["projects"]
        )
        item, _ = put_item(self.store, binaries, posixpath.join("/artifacts/models", model_name, path), data)
        return {"type": "item", "itemId": item["id"]}


def _encoded(image: Any, filename: str) -> bytes:
    if isinstance(image, tuple):
        image = np.random.default_rng(0).integers(0, 256, (*image, 3), dtype=np.uint8)
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    kind = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(posixpath.splitext(filename)[1].lower(), "PNG")
    image.save(buffer, kind, **({"exif": image.getexif()} if image.getexif() else {}))
    return buffer.getvalue()
