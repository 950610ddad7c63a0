"""What the use cases tell of themselves, for whoever counts."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Observer"]


class Observer:
    """Told from any thread, and must not take long; this one listens to nothing."""

    def answered(self, users: int, seconds: Mapping[str, float], items: int, generated: int) -> None:
        """One Engine call answered ``users`` requests with ``items`` in all, ``generated`` of them.

        ``seconds`` is stage → duration: ``vectors`` (FAISS, by the profile), ``engine`` (sources, fusion, filters,
        diversity and cut) and ``assemble`` (exploration, the answer's form, the log).
        """

    def shown(self, items: int, generated: int) -> None:
        """The C++ front gave answers of so many items, ``generated`` of them; how long each took it does not tell."""

    def recorded(self, events: int, seconds: float) -> None:
        """Events were stored and count in the Engine, so long after they were handed over."""

    def followed(self, events: int, seconds: float) -> None:
        """Events that another replica stored count here too, so long after that told of them."""

    def committed(self, rows: int, seconds: float) -> None:
        """One transaction wrote so many rows."""
