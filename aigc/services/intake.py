"""What callers send into the catalogue, through the same steps as what is imported from files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.prepare.pipeline import ItemPipeline, RefusedError, StepReport
from aigc.prepare.steps import PrepareOptions, item_pipeline
from aigc.services.catalog import Catalog

__all__ = ["Delivery", "Intake"]

_log = logging.getLogger(__name__)


class Intake:
    """Prepares items by the steps of the settings, and writes them to the catalogue."""

    def __init__(self, catalog: Catalog, options: PrepareOptions) -> None:
        """Args: catalog: where items go; options: which steps."""
        self._catalog = catalog
        self._options = options

    def upsert(self, items: Sequence[Item]) -> StepReport:
        """Insert or replace all items, or none; gives what the steps did.

        Raises:
            InvalidInputError: An item is wrong or a step refuses it; names the field.
        """
        delivery = self.open()
        delivery.write([delivery.prepare(item, f"items[{i}]") for i, item in enumerate(items)])
        delivery.close()
        return delivery.report

    def update(self, item: Item, mask: Sequence[str]) -> Item:
        """Replace the fields named in ``mask`` by those of the prepared item, and give the item as it is now.

        Raises:
            NotFoundError: No such item.
            InvalidInputError: The mask, or a value, is wrong, or a step refuses the item; names the field.
        """
        delivery = self.open()
        after = self._catalog.update(delivery.prepare(item, "item"), mask)
        delivery.close()
        return after

    def open(self) -> Delivery:
        """Begin a delivery in several parts, with one report."""
        return Delivery(self._catalog, item_pipeline(self._options))


@dataclass(slots=True)
class Delivery:
    """Items of one call: :meth:`accept` its parts, :meth:`close` in the end."""

    _catalog: Catalog
    _pipeline: ItemPipeline

    @property
    def report(self) -> StepReport:
        """What the steps did so far."""
        return self._pipeline.report

    def accept(self, items: Mapping[int, Item]) -> dict[int, InvalidInputError]:
        """Write those of the items that are good; gives by its place in the delivery why another is not."""
        good, refused = list[Item](), dict[int, InvalidInputError]()
        for index, item in items.items():
            try:
                good.append(self.prepare(item, f"items[{index}]"))
            except InvalidInputError as error:
                refused[index] = error
        self.write(good)
        return refused

    def prepare(self, item: Item, path: str) -> Item:
        """The item as it will be stored.

        Raises:
            InvalidInputError: It is wrong, or a step refuses it; names the field under ``path``.
        """
        try:
            after = self._pipeline.apply(item)
        except RefusedError as error:
            field = f"{path}.{error.field}"
            raise InvalidInputError(
                f"{field} {error.message}; mend it or leave it out", field=field, reason="ITEM_REFUSED"
            ) from error
        self._catalog.check(after, path)
        return after

    def write(self, items: Sequence[Item]) -> None:
        """Insert or replace items that :meth:`prepare` gave."""
        self._catalog.upsert(items)

    def close(self) -> None:
        """Log the report."""
        lines = self.report.lines()
        if lines:
            _log.info("prepared %d items: %s", self.report.items, "; ".join(lines))
