"""What can be asked of the recommender."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RecommendRequest", "SearchRequest"]


@dataclass(frozen=True, slots=True)
class RecommendRequest:
    """One call of Recommend.

    Attributes:
        user_id: For whom; unknown ids are strangers, not errors.
        n: Items wanted; the answer may have fewer, never more.
        strategy: A recipe's name; empty lets the running experiment, or else ``default``, choose.
        categories: Only items of at least one of these.
        kinds: Only items of one of these kinds.
        allow: Only these items, when given.
        deny: Never these items.
        context_item: The item the user looks at now: it joins the history, and is left out of the answer.
        exclude_seen: Leave out what the user has acted on.
        personalised: False answers as if to a stranger (with the context item, if any).
        explain: Fill each item's shares and neighbours.
        diversity: 0 (by score alone) to 1; None takes the strategy's.
    """

    user_id: str = ""
    n: int = 20
    strategy: str = ""
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    context_item: str = ""
    exclude_seen: bool = True
    personalised: bool = True
    explain: bool = False
    diversity: float | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search of the catalogue, by words or by an embedding, not both.

    Attributes:
        n: Items wanted.
        text: Words in any language.
        vector: ``embedding_size`` floats; need not be of unit length.
        categories: Only items of at least one of these.
        kinds: Only items of one of these kinds.
    """

    n: int = 20
    text: str = ""
    vector: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
