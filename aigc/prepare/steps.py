"""The steps that an item, or an event, can go through before it is stored, as the settings choose them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aigc.errors import InvalidInputError
from aigc.prepare.event_pipeline import EVENT_STEPS, EventPipeline
from aigc.prepare.pipeline import ItemPipeline, Step, check_steps

__all__ = ["ITEM_STEPS", "PrepareOptions", "event_pipeline", "item_pipeline", "item_steps"]

ITEM_STEPS = ("text", "language", "picture", "resize", "denoise", "blank", "sound", "trim", "resample", "loudness")
"""The names of :func:`item_steps`, known without loading what decodes pictures and recordings."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """The ``[prepare]`` settings.

    Attributes:
        steps: What each item goes through, in order; names of ``ITEM_STEPS``.
        event_steps: The same for events; names of ``EVENT_STEPS``.
        picture_side: Longest side in pixels that ``resize`` leaves.
        sound_rate: What ``resample`` brings recordings to, in Hz.
        loudness_lufs: What ``loudness`` brings recordings to (EBU R 128's -23 by default).
    """

    steps: tuple[str, ...] = ("text", "language", "picture", "resize", "sound")
    event_steps: tuple[str, ...] = ("clock",)
    picture_side: int = 1024
    sound_rate: int = 16_000
    loudness_lufs: float = -23.0

    def __post_init__(self) -> None:
        """Refuse unknown steps and values without a meaning."""
        for name, low, high in (
            ("picture_side", 16, 50_000),
            ("sound_rate", 1000, 384_000),
            ("loudness_lufs", -70, 0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidInputError(
                    f"prepare.{name} is {value}; give a number from {low} to {high}", field=f"prepare.{name}"
                )
        check_steps(ITEM_STEPS, self.steps, "prepare.steps")
        check_steps(EVENT_STEPS, self.event_steps, "prepare.event_steps")


def item_steps(options: PrepareOptions) -> Mapping[str, Step]:
    """All steps by name, in the order that suits them."""
    # Slow to import: the settings need the names only.
    from aigc.prepare.picture_steps import picture_steps
    from aigc.prepare.sound_steps import sound_steps
    from aigc.prepare.text_steps import text_steps

    steps = (
        *text_steps(),
        *picture_steps(options.picture_side),
        *sound_steps(options.sound_rate, options.loudness_lufs),
    )
    return {step.name: step for step in steps}


def item_pipeline(options: PrepareOptions) -> ItemPipeline:
    """A fresh pipeline, its report empty."""
    known = item_steps(options)
    return ItemPipeline([known[name] for name in options.steps])


def event_pipeline(options: PrepareOptions) -> EventPipeline:
    """A fresh pipeline, its report empty."""
    return EventPipeline([EVENT_STEPS[name] for name in options.event_steps])
