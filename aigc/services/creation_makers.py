"""From a profile and an arm to candidates: the condition is chosen, the studio makes, what comes back is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.candidate import Candidate
from aigc.creation.condition import (
    Condition,
    caption_conditions,
    class_conditions,
    prompt_conditions,
    taste_conditions,
)
from aigc.creation.studio import Made, PictureOrder, Studio, TextOrder
from aigc.entities import Item, Profile
from aigc.generate.repository import ModelInfo
from aigc.prepare.language import detect_language
from aigc.prepare.picture import decode_picture
from aigc.services.creation_words import content_digest, first_line, text_recipe, whole_text

__all__ = ["Batch", "Makers", "arms_of", "ways_of"]

_SEED_BITS = 53
_WAYS = {"gan": ("class",), "vae": ("taste", "class"), "caption-gan": ("caption",), "gpt": ("prompt",)}
_KINDS = {"gan": "image", "vae": "image", "caption-gan": "image", "gpt": "text", "huggingface": "text"}
_TITLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Batch:
    """One candidate, what it was made from, and what can make it again."""

    candidate: Candidate
    condition: Condition
    made: Made
    recipe: Mapping[str, Any]


def arms_of(models: Sequence[ModelInfo], references: Sequence[str], kind: str) -> list[tuple[GenerationArm, ModelInfo]]:
    """The arms that can serve: of the models named, or of every champion when none is.

    Args:
        models: All versions.
        references: ``name``, ``name@alias`` or ``name@version``; empty for all. A bare name means its champion; which
            version does a piece of work while two are compared is decided for that piece (:meth:`Promotions.assign`).
        kind: Of the content wanted; empty for any.
    """
    wanted = set(references)
    found = []
    for info in models:
        named = info.id in wanted or any(f"{info.name}@{alias}" in wanted for alias in info.aliases)
        named = named or ((info.name in wanted or not wanted) and "champion" in info.aliases)
        if named and (not kind or _KINDS.get(info.kind) == kind):
            found += [(GenerationArm(info.id, way), info) for way in ways_of(info)]
    return found


def ways_of(info: ModelInfo) -> tuple[str, ...]:
    """The ways of conditioning a model for a user; empty for a kind that makes nothing for users."""
    ways = _WAYS.get(info.kind, ())
    return ways if info.details.get("classes") else tuple(way for way in ways if way != "class")


class Makers:
    """Makes candidates for one user."""

    def __init__(self, studio: Studio, profile: Profile, items: Mapping[str, Item]) -> None:
        """Args: studio: where generators work; profile: of the user; items: liked ones with their content."""
        self._studio = studio
        self._profile = profile
        self._items = items
        self._latents: dict[str, dict[str, NDArray[np.float32]]] = {}

    def make(
        self, arm: GenerationArm, info: ModelInfo, n: int, adventure: float, rng: np.random.Generator
    ) -> list[Batch]:
        """N candidates by an arm; fewer, or none, where the profile has nothing to tell that way.

        Raises:
            UnavailableError: The generator is down.
        """
        conditions = self._conditions(arm, info, n, adventure, rng)
        if not conditions:
            return []
        seeds = [int(rng.integers(1 << _SEED_BITS)) for _ in conditions]
        if arm.condition == "prompt":
            return [self._text(info, condition, seed) for condition, seed in zip(conditions, seeds, strict=True)]
        order = PictureOrder(
            info.id,
            tuple(seeds),
            tuple(c.class_name for c in conditions) if arm.condition == "class" else (),
            tuple(c.caption for c in conditions) if arm.condition == "caption" else (),
            np.array([c.latent for c in conditions], np.float32) if arm.condition == "taste" else None,
        )
        made = self._studio.pictures(order)
        return [self._picture(info, c, m) for c, m in zip(conditions, made, strict=True)]

    def _conditions(
        self, arm: GenerationArm, info: ModelInfo, n: int, adventure: float, rng: np.random.Generator
    ) -> list[Condition]:
        profile = self._profile
        if arm.condition == "class":
            return class_conditions(profile, list(info.details.get("classes", ())), n, rng, adventure)
        if arm.condition == "taste":
            return taste_conditions(profile, self._liked_latents(info), n, rng, adventure)
        if arm.condition == "caption":
            return caption_conditions(profile, self._items, n, rng, adventure)
        return prompt_conditions(profile, {i: x for i, x in self._items.items() if x.kind == "text"}, n, rng, adventure)

    def _liked_latents(self, info: ModelInfo) -> dict[str, NDArray[np.float32]]:
        if info.id not in self._latents:
            ids = [i for t in self._profile.tastes for i in t.item_ids]
            pictures = {
                i: content.data
                for i in dict.fromkeys(ids)
                if i in self._items
                and (content := self._items[i].content) is not None
                and content.media_type.startswith("image/")
            }
            rows = self._studio.encode(info.id, list(pictures.values())) if pictures else np.empty((0, 0), np.float32)
            self._latents[info.id] = dict(zip(pictures, rows, strict=True))
        return self._latents[info.id]

    def _picture(self, info: ModelInfo, condition: Condition, made: Made) -> Batch:
        # What a model that reads captions calls a label is the caption, which is no category.
        label = "" if condition.way == "caption" else made.label
        category = condition.category or label
        candidate = Candidate(
            "image",
            title=_title(condition, made, info),
            pixels=np.asarray(decode_picture(made.data)),
            label=label or category,
            quality=made.quality,
            language=self._language(condition),
            sources=[self._items[i] for i in condition.sources if i in self._items],
        )
        recipe = {
            "model": info.id,
            "seed": made.seed,
            "class": condition.class_name or label,
            "caption": condition.caption,
            "latent": list(condition.latent),
            "truncation": 1.0,
            "sha256": content_digest(made.data),
        }
        return Batch(candidate, condition, made, recipe)

    def _text(self, info: ModelInfo, condition: Condition, seed: int) -> Batch:
        order = TextOrder(info.id, (seed,), condition.prompt)
        made = self._studio.texts(order)[0]
        whole = whole_text(info, condition.prompt, made.data.decode())
        candidate = Candidate(
            "text",
            title=first_line(whole),
            text=whole,
            label=condition.category,
            language=detect_language(whole[:2000]),
            sources=[self._items[i] for i in condition.sources if i in self._items],
            prompt=condition.prompt,
        )
        return Batch(candidate, condition, made, text_recipe(order, made))

    def _language(self, condition: Condition) -> str:
        languages = [self._items[i].language for i in condition.sources if i in self._items and self._items[i].language]
        return max(set(languages), key=languages.count) if languages else ""


def _title(condition: Condition, made: Made, info: ModelInfo) -> str:
    named = condition.caption[:_TITLE_CHARACTERS].strip() or made.label or condition.category
    return f"{named} · {info.name} #{made.seed % 10_000:04d}" if named else f"{info.name} #{made.seed % 10_000:04d}"
