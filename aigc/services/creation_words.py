"""A title and a description for a picture that was made, by a text model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.creation.candidate import Candidate
from aigc.creation.candidate_ranking import rank_candidates
from aigc.creation.gates.gate import Gates
from aigc.creation.studio import Made, Studio, TextOrder
from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.generate.repository import ModelInfo
from aigc.prepare.language import detect_language

__all__ = ["Words", "content_digest", "first_line", "text_order", "text_recipe", "whole_text"]

_TITLE_CHARACTERS, _PROMPT_CHARACTERS, _TOKENS = 40, 80, 64
_SEED_BITS = 53

_log = logging.getLogger(__name__)

Encode = Callable[[Sequence[Item]], NDArray[np.float32]]


def content_digest(data: bytes) -> str:
    """SHA-256 of a file or text as the model gave it, before any label."""
    return hashlib.sha256(data).hexdigest()


def text_recipe(order: TextOrder, made: Made) -> dict[str, Any]:
    """What makes a text again, and tells whether it is the same."""
    return {
        "model": order.model,
        "seed": made.seed,
        "prompt": order.prompt,
        "max_tokens": order.max_tokens,
        "temperature": order.temperature,
        "top_p": order.top_p,
        "repetition_penalty": order.repetition_penalty,
        "sha256": content_digest(made.data),
    }


def text_order(recipe: Mapping[str, Any]) -> TextOrder:
    """The order that :func:`text_recipe` noted."""
    return TextOrder(
        recipe["model"],
        (recipe["seed"],),
        recipe["prompt"],
        recipe["max_tokens"],
        recipe["temperature"],
        recipe["top_p"],
        recipe["repetition_penalty"],
    )


def whole_text(info: ModelInfo, prompt: str, text: str) -> str:
    """What is shown: a dialogue's answer alone, or the opening and how it went on."""
    return (text if info.details.get("dialogue") else prompt + text).strip()


def first_line(text: str) -> str:
    """The first line with something in it, at most 40 characters of it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:_TITLE_CHARACTERS]


class Words:
    """Writes for one user's pictures: of several texts the one nearest to what the user likes."""

    def __init__(
        self, studio: Studio, info: ModelInfo, gates: Gates, tastes: NDArray[np.float32], encode: Encode
    ) -> None:
        """Wire.

        Args:
            studio: Where the model works.
            info: The text model.
            gates: A text that they refuse is not used.
            tastes: (k, embedding_size) float32 of the user's tastes.
            encode: Items → (n, embedding_size) float32.
        """
        self._studio = studio
        self._info = info
        self._gates = gates
        self._tastes = tastes
        self._encode = encode

    def describe(
        self, picture: Candidate, caption: str, n: int, rng: np.random.Generator
    ) -> tuple[Candidate, dict[str, Any]]:
        """A picture with title and text, and the recipe of these words; as it was, and nothing, when no text passes.

        Args:
            picture: To write for; the prompt is its caption or label, and the words of the items it came from.
            caption: What it was made from, empty when from no words.
            n: Texts to choose from.
            rng: Of the seeds.

        Raises:
            UnavailableError: The generator is down.
        """
        liked = [word for source in picture.sources for word in (*source.tags, source.title)]
        prompt = " ".join(dict.fromkeys(w for w in (caption or picture.label, *liked) if w))[:_PROMPT_CHARACTERS]
        if not prompt:
            return picture, {}
        order = TextOrder(self._info.id, tuple(int(rng.integers(1 << _SEED_BITS)) for _ in range(n)), prompt, _TOKENS)
        try:
            texts = self._studio.texts(order)
        except InvalidInputError as error:
            # A model by characters, for one, knows those of its own texts only; the picture is shown all the same.
            _log.warning("no words for a picture from %s: %s", self._info.id, error.message)
            return picture, {}
        passed: list[tuple[Made, Candidate]] = []
        for made in texts:
            text = whole_text(self._info, prompt, made.data.decode())
            written = replace(
                picture,
                kind="text",
                title=first_line(text),
                text=text,
                pixels=None,
                language=detect_language(text),
                prompt=prompt,
            )
            if written.title and self._gates.judge(written).admitted:
                passed.append((made, written))
        if not passed:
            return picture, {}
        drafts = [Item("draft", kind="text", title=w.title, text=w.text, language=w.language) for _, w in passed]
        nothing = np.empty((0, self._tastes.shape[1]), np.float32)
        best = rank_candidates(
            self._encode(drafts), self._tastes, [np.nan] * len(passed), [m.fluency for m, _ in passed], nothing
        )[0]
        made, written = passed[best]
        titled = replace(picture, title=written.title, text=written.text, language=written.language)
        return titled, text_recipe(order, made)
