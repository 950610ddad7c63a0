"""A strategy: a named recipe of sources, weights, quotas, filters, reranker and fallbacks, read from TOML."""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from aigc.errors import InvalidInputError
from aigc.kernel import Plan, Source
from aigc.recommend.creation_recipe import CreationRecipe
from aigc.recommend.learning_path import PathRecipe

__all__ = ["Rerank", "SourceRecipe", "Strategy", "read_strategy"]

T = TypeVar("T")
_KINDS = ("item_item", "user_user", "popular", "fresh", "interests", "vector")


@dataclass(frozen=True, slots=True)
class SourceRecipe:
    """One ``[[sources]]`` table.

    Attributes:
        kind: ``item_item``, ``user_user``, ``popular``, ``fresh``, ``interests`` or ``vector``.
        model: For ``item_item``: ``ease``, ``item_knn`` or ``content``.
        weight: Its part in the fused score, ≥ 0.
        limit: Candidates it may bring.
        min_share: Part of the answer kept for it, when it has candidates.
        max_share: Part of the answer it may fill at most.
        fallback: Runs only to fill what the other sources left empty.
    """

    kind: str
    model: str = ""
    weight: float = 1.0
    limit: int = 200
    min_share: float = 0.0
    max_share: float = 1.0
    fallback: bool = False

    @property
    def name(self) -> str:
        """What reasons call it: the model's name, or else the kind's."""
        return self.model or self.kind


@dataclass(frozen=True, slots=True)
class Rerank:
    """The ``[rerank]`` table.

    Attributes:
        method: ``none``, ``mmr`` or ``dpp``.
        diversity: 0 keeps the order of scores, 1 spreads as far as it can.
        candidates: How many of the best are reordered.
    """

    method: Literal["none", "mmr", "dpp"] = "none"
    diversity: float = 0.0
    candidates: int = 200


@dataclass(frozen=True, slots=True)
class Strategy:
    """A whole file; its name is the file's name.

    Attributes:
        name: What a request calls it.
        description: One line for a person.
        sources: At least one that is no fallback.
        calibration: How the sources' scores are made comparable: ``max``, ``rank`` or ``none``.
        rerank: The reorderer.
        history_limit: How many of the user's newest interactions count.
        half_life_days: Days in which an interaction's weight halves, counted from the newest; 0 for never.
        fresh_half_life_days: Days in which an item's freshness halves.
        user_neighbours: Similar users consulted by ``user_user``.
        max_generated_share: Part of the answer that generated items may fill.
        generate: Whether and how content is generated for its users.
        learning: Whether what a user is not ready for is left out.
    """

    name: str
    description: str
    sources: tuple[SourceRecipe, ...]
    calibration: Literal["max", "rank", "none"] = "max"
    rerank: Rerank = Rerank()
    history_limit: int = 100
    half_life_days: float = 0.0
    fresh_half_life_days: float = 30.0
    user_neighbours: int = 50
    max_generated_share: float = 1.0
    generate: CreationRecipe = field(default_factory=CreationRecipe)
    learning: PathRecipe = field(default_factory=PathRecipe)

    def plan(self) -> Plan:
        """The same for the Engine."""
        return Plan(
            sources=[
                Source(
                    kind=s.kind,
                    name=s.name,
                    weight=s.weight,
                    limit=s.limit,
                    min_share=s.min_share,
                    max_share=s.max_share,
                    fallback=s.fallback,
                )
                for s in self.sources
            ],
            calibration=self.calibration,
            reranker=self.rerank.method,
            diversity=self.rerank.diversity,
            rerank_candidates=self.rerank.candidates,
            history_limit=self.history_limit,
            half_life_days=self.half_life_days,
            fresh_half_life_days=self.fresh_half_life_days,
            user_neighbours=self.user_neighbours,
            max_generated_share=self.max_generated_share,
        )


def read_strategy(path: Path) -> Strategy:
    """Read and validate one file.

    Raises:
        InvalidInputError: Names the file, the key, the value and what is allowed (reason ``INVALID_STRATEGY``).
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(path, "", f"is no valid TOML: {error}") from error
    except OSError as error:
        raise _invalid(path, "", f"cannot be read: {error.strerror}") from error
    tables = raw.pop("sources", None)
    if not isinstance(tables, list) or not tables:
        raise _invalid(path, "sources", "has no [[sources]] table; add at least one")
    sources = tuple(_table(path, f"sources[{i}].", t, SourceRecipe) for i, t in enumerate(tables))
    rerank = _table(path, "rerank.", raw.pop("rerank", {}), Rerank)
    try:
        generate = _table(path, "generate.", raw.pop("generate", {}), CreationRecipe)
        learning = _table(path, "learning.", raw.pop("learning", {}), PathRecipe)
    except InvalidInputError as error:
        raise _invalid(path, "", error.message) if error.reason == "INVALID_INPUT" else error from error
    raw.setdefault("description", "")
    given = {"name": path.stem, "sources": sources, "rerank": rerank, "generate": generate, "learning": learning}
    strategy = _table(path, "", raw, Strategy, **given)
    _validate(path, strategy)
    return strategy


def _validate(path: Path, strategy: Strategy) -> None:
    for i, s in enumerate(strategy.sources):
        _one_of(path, f"sources[{i}].kind", s.kind, _KINDS)
        if (s.kind == "item_item") != bool(s.model):
            raise _invalid(
                path,
                f"sources[{i}].model",
                f"is {s.model!r} for kind {s.kind!r}: item_item needs one, others have none",
            )
        _within(path, f"sources[{i}].weight", s.weight, 0, math.inf)
        _within(path, f"sources[{i}].limit", s.limit, 1, 10_000)
        _within(path, f"sources[{i}].min_share", s.min_share, 0, 1)
        _within(path, f"sources[{i}].max_share", s.max_share, s.min_share, 1)
    names = [s.name for s in strategy.sources]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise _invalid(path, f"sources[{i}]", f"repeats the source {name!r}; give each source once")
    if sum(s.min_share for s in strategy.sources) > 1:
        raise _invalid(path, "sources", "keep more than the whole answer: the sum of min_share is above 1")
    if all(s.fallback for s in strategy.sources):
        raise _invalid(path, "sources", "are all fallbacks; let at least one run first")
    _one_of(path, "calibration", strategy.calibration, ("max", "rank", "none"))
    _one_of(path, "rerank.method", strategy.rerank.method, ("none", "mmr", "dpp"))
    _within(path, "rerank.diversity", strategy.rerank.diversity, 0, 1)
    _within(path, "rerank.candidates", strategy.rerank.candidates, 1, 10_000)
    _within(path, "history_limit", strategy.history_limit, 1, 10_000)
    _within(path, "half_life_days", strategy.half_life_days, 0, math.inf)
    _within(path, "fresh_half_life_days", strategy.fresh_half_life_days, 1e-6, math.inf)
    _within(path, "user_neighbours", strategy.user_neighbours, 1, 10_000)
    _within(path, "max_generated_share", strategy.max_generated_share, 0, 1)


def _table(path: Path, prefix: str, raw: object, kind: type[T], **given: Any) -> T:
    """Build a dataclass from a TOML table, refusing unknown keys and wrong types."""
    if not isinstance(raw, dict):
        raise _invalid(path, prefix.rstrip("."), f"is {raw!r}; give a table")
    known = {f.name: str(f.type) for f in fields(kind) if f.name not in given}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise _invalid(path, f"{prefix}{key}", f"is not a known key; {hint}")
        wanted = known[key]
        if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        expected = {"float": float, "int": int, "bool": bool}.get(wanted, str)
        if type(value) is not expected:
            raise _invalid(path, f"{prefix}{key}", f"is {value!r}; give a {expected.__name__}")
        values[key] = value
    try:
        return kind(**values, **given)
    except TypeError as error:
        raise _invalid(path, prefix.rstrip("."), f"lacks a key: {error}") from error


def _one_of(path: Path, key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise _invalid(path, key, f"is {value!r}; give one of {', '.join(allowed)}")


def _within(path: Path, key: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise _invalid(path, key, f"is {value}; give a number from {low:g} to {high:g}")


def _invalid(path: Path, key: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"{path}: {key + ' ' if key else ''}{what}", field=key, reason="INVALID_STRATEGY", metadata={"file": str(path)}
    )
