"""For creators: what to make next, from their own past work and what is near it."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Gates
from aigc.creation.gates.persons import PersonsGate
from aigc.creation.gates.readable import ReadableGate
from aigc.creation.gates.repetition import RepetitionGate
from aigc.creation.label import explicit_label
from aigc.creation.studio import Studio, TextOrder
from aigc.entities import Item
from aigc.errors import ConflictError, InvalidInputError, NotFoundError
from aigc.recommend.live import Live
from aigc.recommend.request import SearchRequest
from aigc.recommend.search import find
from aigc.store.base import Store

__all__ = ["Suggestion", "Suggestions"]

_MOST = 20
_TAGS, _NEAR = 8, 30
_TITLE_CHARACTERS = 40
_SEED_BITS = 53


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A working title, how it might go, keywords, and the past work that it comes from."""

    title: str
    outline: str
    tags: tuple[str, ...]
    source_item_ids: tuple[str, ...]


class Suggestions:
    """Reads a creator's items; generates, and admits nothing."""

    def __init__(self, store: Store, live: Live) -> None:
        """Args: store: read; live: knows what is near. :attr:`studio` is set where generators run."""
        self._store = store
        self._live = live
        self.studio: Studio | None = None

    def suggest(self, author: str, n: int, model: str = "") -> tuple[list[Suggestion], str]:
        """N suggestions, or fewer, and the label to show beside them.

        Raises:
            InvalidInputError: No author, or n is out of range.
            NotFoundError: The author has no work with words, or there is no text model.
            UnavailableError: The generator is down.
        """
        if not author:
            raise InvalidInputError("author is empty; give the name that the creator's items have", field="author")
        if not 1 <= n <= _MOST:
            raise InvalidInputError(f"n is {n}; give 1 to {_MOST}", field="n")
        if self.studio is None:
            raise ConflictError("no generator runs in this process; ask a running server", reason="NO_STUDIO")
        works = [
            entry
            for batch in self._store.iterate_items()
            for _, entry in batch
            if isinstance(entry, Item)
            and entry.author == author
            and not entry.generated
            and (entry.text or entry.title)
        ]
        if not works:
            raise NotFoundError(f"author {author!r} has no work with words in the catalogue", reason="NO_WORK")
        writers = [m for m in self.studio.models() if m.kind in ("gpt", "huggingface") and "champion" in m.aliases]
        wanted = model or (writers[0].id if writers else "")
        if not wanted:
            raise NotFoundError("there is no text model; train one with `aigc generator train gpt`", reason="NO_MODEL")
        gates = Gates([ReadableGate(), PersonsGate(), RepetitionGate()])
        newest = sorted(works, key=lambda w: -w.created_ms)
        found: list[Suggestion] = []
        for attempt in range(3 * n):
            if len(found) == n:
                break
            work = newest[attempt % len(newest)]
            opening = next((line for line in (work.text or work.title).splitlines() if line.strip()), work.title)
            order = TextOrder(wanted, (secrets.randbits(_SEED_BITS),), opening[: max(4, len(opening) // 2)], 64)
            text = (order.prompt + self.studio.texts(order)[0].data.decode()).strip()
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines and gates.judge(Candidate("text", title=lines[0], text=text)).admitted:
                found.append(
                    Suggestion(lines[0][:_TITLE_CHARACTERS], "\n".join(lines), self._tags(work, works), (work.id,))
                )
        return found, explicit_label(newest[0].language)

    def _tags(self, work: Item, works: list[Item]) -> tuple[str, ...]:
        """The creator's own keywords first, then those of what lies near."""
        own = Counter(tag for w in works for tag in (*w.tags, *w.categories))
        near: Counter[str] = Counter()
        serving = self._live.serving
        if serving.encoder is not None:
            vector = serving.encode([work])
            hits = find(self._live.engine, serving, vector, SearchRequest(n=_NEAR, text=work.title or "x"))
            neighbours = self._store.get_items([hit.item_id for hit in hits])
            near.update(tag for w in neighbours.values() for tag in (*w.tags, *w.categories))
        ranked = [*work.tags, *(t for t, _ in own.most_common()), *(t for t, _ in near.most_common())]
        return tuple(dict.fromkeys(ranked))[:_TAGS]
