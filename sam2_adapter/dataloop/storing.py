"""Storing the predictions of an item: all of them once, and the earlier ones removed only then.

The platform does not say whether a write whose answer was lost has acted. Every prediction therefore carries its number
within its item; when an answer is missing, incomplete or came after a repetition, what is stored is listed, the missing
is sent again and the surplus removed.

Another execution may predict the same item at the same time. At the end, the predictions are therefore counted, and where
there are more of them, each number is kept once, the one stored first: whoever comes last sees all of them, and all
decide alike. Without trouble an item costs one upload for every hundred predictions, one removal where it had earlier
ones, and one count.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import dtlpy as dl

from sam2_adapter.dataloop.items import nested
from sam2_adapter.dataloop.platform_requests import (
    Document,
    UnansweredError,
    count_all,
    query_all,
    repeated_until_done,
    send,
    send_once,
)
from sam2_adapter.errors import PlatformError

logger = logging.getLogger(__name__)

NUMBER_KEY = "number"
"""Under `metadata.user.made_by`: the position of a prediction among those of its item."""

_UPLOAD_BATCH = 100


@dataclass(frozen=True)
class Owner:
    """The model entity whose predictions are meant.

    Attributes:
        model_id: id of the model entity.
        model_name: its name, by which older predictions without an id are recognised.
    """

    model_id: str
    model_name: str

    def made(self, document: Document) -> bool:
        """Whether an annotation is a prediction of this model."""
        for space in ("user", "system"):
            model = nested(document, "metadata", space, "model")
            if model.get("model_id") == self.model_id:
                return True
            if model.get("model_id") is None and model.get("name") == self.model_name:
                return True
        return False


def list_annotations(item_id: str, dataset_id: str) -> list[Document]:
    """All annotations of an item but notes, as the platform stores them."""
    filters = dl.Filters(resource=dl.FiltersResource.ANNOTATION)
    filters.add(field="itemId", values=item_id)
    return list(query_all(dataset_id, filters.prepare()))


def store_predictions(
    item_id: str, dataset_id: str, owner: Owner, documents: Sequence[Document], earlier_ids: Collection[str]
) -> list[Document]:
    """Store the predictions of an item in place of the earlier ones.

    Args:
        item_id: the item.
        dataset_id: its dataset.
        owner: the model that made them.
        documents: the new predictions, each with its number; possibly none.
        earlier_ids: ids of the predictions of an earlier run, which go when the new ones are stored.

    Returns:
        The new predictions as they are stored, in order.

    Raises:
        PlatformError: they could not be stored; then none of them is, and the earlier ones are still there. Or the
            earlier ones could not be removed.
    """
    upload = _Upload(item_id, dataset_id, owner, list(documents), frozenset(earlier_ids))
    stored = upload.complete()
    try:
        _delete(item_id, dataset_id, earlier_ids)
    except UnansweredError as error:
        raise PlatformError(
            f"the new predictions are stored, but the {len(earlier_ids)} earlier ones could not be removed ({error}) Predict again to "
            "remove them."
        ) from error
    return upload.settled(stored)


@dataclass(frozen=True)
class _Upload:
    item_id: str
    dataset_id: str
    owner: Owner
    documents: list[Document]
    earlier_ids: frozenset[str]

    def complete(self) -> list[Document]:
        found: list[Document] = []
        is_certain = True
        try:
            for batch in _batches(self.documents):
                stored = self._send(batch)
                is_certain = is_certain and stored is not None
                found += stored or []
            return found if is_certain else self._mended()
        except PlatformError:
            self._withdraw()
            raise

    def settled(self, stored: list[Document]) -> list[Document]:
        """The predictions that are left where another execution has stored its own meanwhile: each number once."""
        if not stored:
            return stored
        try:
            if count_all(self.dataset_id, self._own_query()) == len(stored):
                return stored
            logger.info("Item %s: another execution predicts it, too; each prediction is kept once.", self.item_id)
            return self._mended()
        except PlatformError as error:
            logger.warning(
                "Item %s: whether another execution has stored the same predictions could not be found out: %s",
                self.item_id,
                error,
            )
            return stored

    def _own_query(self) -> Document:
        conditions = [{"itemId": self.item_id}, {"metadata.user.model.model_id": self.owner.model_id}]
        return {"filter": {"$and": conditions}, "resource": "annotations"}

    def _send(self, batch: Sequence[Document]) -> list[Document] | None:
        """Upload up to a hundred predictions; `None` where it is not certain what is stored."""
        try:
            answer = send_once("post", f"/items/{self.item_id}/annotations", batch)
        except UnansweredError as error:
            if not error.is_temporary:
                raise
            logger.info("Item %s: looking what an upload has stored (%s)", self.item_id, error)
            return None
        stored = answer.document if isinstance(answer.document, list) else [answer.document]
        is_complete = [_number(document) for document in stored] == [_number(document) for document in batch]
        return stored if is_complete and not answer.was_repeated else None

    def _mended(self) -> list[Document]:
        """List what is stored, send what is missing and remove what is there twice, until it is right."""
        missing: list[Document] = []

        def mend() -> list[Document] | None:
            nonlocal missing
            for batch in _batches(missing):
                self._send(batch)
            kept, surplus = self._stored()
            missing = [document for document in self.documents if _number(document) not in kept]
            if surplus:
                _delete(self.item_id, self.dataset_id, surplus)
            return None if missing else [kept[_number(document)] for document in self.documents]

        mended = repeated_until_done(mend)
        if mended is None:
            raise PlatformError(
                f"{len(missing)} of {len(self.documents)} predictions could not be stored, so none was; the earlier ones are still there."
            )
        return mended

    def _stored(self) -> tuple[dict[int, Document], list[str]]:
        """The new predictions that are stored, by number, and the ids of those that are there again."""
        kept: dict[int, Document] = {}
        surplus = []
        for document in self._new():
            if _number(document) < 0:  # made by the same model in another way
                continue
            if kept.setdefault(_number(document), document) is not document:
                surplus.append(document["id"])
        return kept, surplus

    def _new(self) -> list[Document]:
        listed = list_annotations(self.item_id, self.dataset_id)
        return [d for d in listed if self.owner.made(d) and d["id"] not in self.earlier_ids]

    def _withdraw(self) -> None:
        """Leave the item as it was, as far as the platform lets us."""
        try:
            _delete(self.item_id, self.dataset_id, [document["id"] for document in self._new()])
        except UnansweredError as error:
            logger.warning(
                "Item %s may hold a part of the new predictions besides the earlier ones: %s", self.item_id, error
            )


def _delete(item_id: str, dataset_id: str, annotation_ids: Collection[str]) -> None:
    if not annotation_ids:
        return
    filters = dl.Filters(use_defaults=False, resource=dl.FiltersResource.ANNOTATION)
    filters.add(field="itemId", values=item_id)
    filters.add(field="id", values=sorted(annotation_ids), operator=dl.FiltersOperations.IN)
    send("post", f"/datasets/{dataset_id}/query", filters.prepare(operation="delete"))


def _number(document: Document) -> int:
    number = nested(document, "metadata", "user", "made_by").get(NUMBER_KEY)
    return number if isinstance(number, int) else -1


def _batches(documents: Sequence[Document]) -> Iterable[Sequence[Document]]:
    return (documents[start : start + _UPLOAD_BATCH] for start in range(0, len(documents), _UPLOAD_BATCH))
