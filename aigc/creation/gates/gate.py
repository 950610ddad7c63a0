"""A gate, and several in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aigc.creation.candidate import Candidate

__all__ = ["Finding", "Gate", "Gates", "Verdict"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a gate has against a candidate.

    Attributes:
        reason: UPPER_SNAKE_CASE, stable, for programs.
        detail: One sentence for a person, with what was found.
        refuses: False only marks: the item may be shown, with the mark.
    """

    reason: str
    detail: str
    refuses: bool = True


class Gate(Protocol):
    """One kind of reason to refuse."""

    @property
    def name(self) -> str:
        """As settings and records call it."""
        ...

    def judge(self, candidate: Candidate) -> Finding | None:
        """What is wrong, None when nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings on a candidate; it is admitted when none refuses."""

    findings: tuple[tuple[str, Finding], ...] = ()

    @property
    def admitted(self) -> bool:
        """May it become an item?"""
        return not any(finding.refuses for _, finding in self.findings)

    @property
    def reason(self) -> str:
        """Of the first refusal, empty when admitted."""
        return next((finding.reason for _, finding in self.findings if finding.refuses), "")

    @property
    def detail(self) -> str:
        """All findings in words."""
        return "; ".join(finding.detail for _, finding in self.findings)


class Gates:
    """Gates in order, the cheap ones first; the first refusal ends the questioning."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        """Args: gates: in the order of asking."""
        self._gates = tuple(gates)

    def judge(self, candidate: Candidate) -> Verdict:
        """Ask them."""
        findings: list[tuple[str, Finding]] = []
        for gate in self._gates:
            finding = gate.judge(candidate)
            if finding is not None:
                findings.append((gate.name, finding))
                if finding.refuses:
                    break
        return Verdict(tuple(findings))
