"""How much may be generated at once, and by how much of the machine."""

from __future__ import annotations

from dataclasses import dataclass, fields

from aigc.errors import InvalidInputError

__all__ = ["GenerationLimits"]


@dataclass(frozen=True, slots=True)
class GenerationLimits:
    """The ``[generation]`` settings.

    Attributes:
        enabled: False runs no generator process; its calls are refused.
        threads: Of the processor that the generator may use.
        niceness: How far the generator stands back behind all else on the machine, from 0 to 19; with 19 it runs only
            while nothing else wants its core.
        models: How many models stay in memory; the one unused for longest goes first.
        images: Pictures or recordings in one call.
        pixels: Of one picture to be encoded.
        tokens: That one text may have.
        prompt_characters: Of a prompt or a conversation.
        texts: Texts of one call (``n``).
        slots: Texts decoded side by side.
        queue: Calls that may wait for the generator; one more is refused at once.
        restart_ms: Pause before a generator process that died is started again.
    """

    enabled: bool = True
    threads: int = 1
    niceness: int = 19
    models: int = 4
    images: int = 256
    pixels: int = 16_000_000
    tokens: int = 4096
    prompt_characters: int = 100_000
    texts: int = 16
    slots: int = 16
    queue: int = 256
    restart_ms: int = 500

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for spec in fields(self):
            value = getattr(self, spec.name)
            least = 0 if spec.name in ("enabled", "niceness", "queue", "restart_ms") else 1
            if value < least or (spec.name == "niceness" and value > 19):
                raise InvalidInputError(
                    f"generation.{spec.name} is {value}; give at least {least}"
                    + (" and at most 19" if spec.name == "niceness" else ""),
                    field=f"generation.{spec.name}",
                )
