"""What was made, whatever became of it: looked up, listed, approved or rejected by a person."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from aigc.creation.arms import Arms
from aigc.entities import Creation, CreationState
from aigc.errors import ConflictError, InvalidInputError, NotFoundError
from aigc.services.catalog import Catalog
from aigc.services.compared_work import ComparedWork
from aigc.services.exposure import Exposure
from aigc.store.base import Store

__all__ = ["CreationRecords"]


class CreationRecords:
    """Thread-safe; of two decisions on one creation the first counts."""

    def __init__(self, store: Store, catalog: Catalog, tried: Arms, exposure: Exposure, compared: ComparedWork) -> None:
        """Wire.

        Args:
            store: Keeps the records.
            catalog: Holds the items they became.
            tried: Told of each item that may be tried from now on.
            exposure: As ``tried``.
            compared: Told of what a person rejected.
        """
        self._store = store
        self._catalog = catalog
        self._tried = tried
        self._exposure = exposure
        self._compared = compared
        self._deciding = threading.Lock()

    def get(self, creation_or_item_id: str) -> Creation:
        """By its own id, or by that of the item it became.

        Raises:
            NotFoundError: No such creation.
        """
        found = self._store.creations.get(creation_or_item_id) if creation_or_item_id else None
        if found is None:
            raise NotFoundError(
                f"creation {creation_or_item_id!r} does not exist; list them with ListCreations",
                reason="CREATION_NOT_FOUND",
            )
        return found

    def page(
        self, *, state: str = "", user_id: str = "", limit: int = 100, before: tuple[int, str] | None = None
    ) -> list[Creation]:
        """Newest first."""
        return self._store.creations.list(state=state, user_id=user_id, limit=limit, before=before)

    def introduce(self, item_id: str) -> None:
        """An item may be recommended from now on."""
        self._tried.own(item_id, item_id)
        self._exposure.introduce(item_id)

    def approve(self, creation_id: str, reviewer: str) -> Creation:
        """Let a pending creation be recommended from now on.

        Raises:
            InvalidInputError: Nobody is named.
            NotFoundError: No such creation.
            ConflictError: It is not pending.
        """
        with self._deciding:
            creation = self._pending(creation_id, reviewer)
            item = self._catalog.get([creation.item_id])[0]
            self._catalog.update(replace(item, hidden=False), ["hidden"])
            self.introduce(creation.item_id)
            return self._reviewed(creation, CreationState.ADMITTED, reviewer, "")

    def reject(self, creation_id: str, reviewer: str, reason: str) -> Creation:
        """Refuse a pending creation for good; its item is deleted, its record stays. Raises as :meth:`approve`."""
        if not reason.strip():
            raise InvalidInputError("reason is empty; say why, so that the generator can be mended", field="reason")
        with self._deciding:
            creation = self._pending(creation_id, reviewer)
            self._catalog.delete([creation.item_id])
            reviewed = self._reviewed(creation, CreationState.REJECTED, reviewer, reason)
        self._compared.rejected(reviewed)
        return reviewed

    def _pending(self, creation_id: str, reviewer: str) -> Creation:
        if not reviewer.strip():
            raise InvalidInputError("reviewer is empty; say who decides", field="reviewer")
        creation = self.get(creation_id)
        if creation.state is not CreationState.PENDING:
            raise ConflictError(f"creation {creation.id} is {creation.state}, not pending", reason="NOT_PENDING")
        return creation

    def _reviewed(self, creation: Creation, state: CreationState, reviewer: str, detail: str) -> Creation:
        reviewed = replace(
            creation,
            state=state,
            reviewer=reviewer,
            reviewed_ms=int(time.time() * 1000),
            reason="REJECTED_BY_PERSON" if state is CreationState.REJECTED else "",
            detail=detail,
        )
        self._store.creations.put(reviewed)
        return reviewed
