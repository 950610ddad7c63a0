"""How a model version becomes champion, and how it ceases to be: a state machine over counts, with no clock or file.

    STEADY ── propose (offline measures no worse) ──► CANARY ── no worse ──► WATCH ── no worse ──► STEADY
                                                        └── worse ──► STEADY   └── worse ──► STEADY with the previous
       any ── force ──► WATCH

In CANARY a share of the work goes to the candidate. In WATCH the version is champion, and a share stays with the
previous one, which returns when the new one turns out worse: so a version that was promoted by force is compared all
the same. The comparison holds at all times at once (:mod:`aigc.creation.sequential`): looking at each reward is free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from aigc.creation.offline_gate import OfflineVerdict
from aigc.creation.sequential import Difference, Tally, difference
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError

__all__ = ["Outcome", "Promoter", "Promotion", "PromotionOptions", "Stage", "Step"]


class Stage(StrEnum):
    """Where a model stands."""

    STEADY = "steady"
    CANARY = "canary"
    WATCH = "watch"


class Outcome(StrEnum):
    """What a step led to."""

    NOTHING = "nothing"
    REFUSED = "refused"
    CANARY_STARTED = "canary_started"
    CANARY_STOPPED = "canary_stopped"
    PROMOTED = "promoted"
    FORCED = "forced"
    ROLLED_BACK = "rolled_back"
    SETTLED = "settled"
    OVERRULED = "overruled"


@dataclass(frozen=True, slots=True)
class PromotionOptions:
    """How cautious.

    Attributes:
        canary_share: Part of the work that a candidate gets, in (0, 0.5].
        watch_share: Part of the work that stays with the previous champion, in (0, 0.5].
        margin: A mean reward lower by this counts as no worse, in (0, 1).
        alpha: Probability of ever being wrong about one comparison, in (0, 1).
        spread: Differences that are to be told soon; see :func:`aigc.creation.sequential.difference`.
        least: Rewards of each side before the first look.
        most: Rewards of the smaller side after which an open comparison ends: a candidate goes, a version promoted by
            force goes, one that came through its canary stays.
    """

    canary_share: float = 0.1
    watch_share: float = 0.3
    margin: float = 0.02
    alpha: float = 0.05
    spread: float = 0.05
    least: int = 200
    most: int = 100_000

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, top in (("canary_share", 0.5), ("watch_share", 0.5), ("margin", 1), ("alpha", 1), ("spread", 1)):
            value = getattr(self, name)
            if not (0 < value <= top and (top == 0.5 or value < 1)):
                raise InvalidInputError(f"{name} is {value}; give a number above 0, up to {top}", field=name)
        if not 2 <= self.least <= self.most:
            raise InvalidInputError(
                f"least is {self.least} and most {self.most}; give at least 2, and most no less than least",
                field="least",
            )


@dataclass(frozen=True, slots=True)
class Promotion:
    """The state of one model.

    Attributes:
        model: Its name.
        champion: The version that serves.
        stage: See :class:`Stage`.
        other: The candidate in CANARY, the previous champion in WATCH, 0 in STEADY.
        forced: True when the version being watched did not come through a canary.
        champion_rewards: Since the comparison began.
        other_rewards: The same.
    """

    model: str
    champion: int
    stage: Stage = Stage.STEADY
    other: int = 0
    forced: bool = False
    champion_rewards: Tally = field(default_factory=Tally)
    other_rewards: Tally = field(default_factory=Tally)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Promotion:
        """The inverse of :meth:`to_json`; CorruptDataError when it is none."""
        try:
            values = dict(raw)
            values["stage"] = Stage(values["stage"])
            for name in ("champion_rewards", "other_rewards"):
                values[name] = Tally(**values[name])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptDataError(f"no state of a promotion: {error}; begin the comparison again") from error


@dataclass(frozen=True, slots=True)
class Step:
    """The new state, what happened, and why in words."""

    state: Promotion
    outcome: Outcome = Outcome.NOTHING
    text: str = ""


class Promoter:
    """The transitions; it keeps nothing."""

    def __init__(self, options: PromotionOptions | None = None) -> None:
        """Args: options: how cautious."""
        self.options = options or PromotionOptions()

    def propose(self, state: Promotion, version: int, offline: OfflineVerdict) -> Step:
        """Make a version the candidate, if its offline measures are no worse.

        Raises:
            ConflictError: Another comparison is running.
        """
        _check_version(version, state)
        if state.stage is not Stage.STEADY:
            raise ConflictError(
                f"{state.model}@{state.champion} is being compared with version {state.other}; wait for the end, "
                "withdraw it or promote by force",
                reason="PROMOTION_RUNNING",
            )
        if not offline.passes:
            return Step(state, Outcome.REFUSED, offline.text)
        started = Promotion(state.model, state.champion, Stage.CANARY, version)
        return Step(started, Outcome.CANARY_STARTED, f"{self.options.canary_share:.0%} of the work goes to it")

    def force(self, state: Promotion, version: int) -> Step:
        """Make a version champion now, against any gate; it is watched beside the last champion that was not forced."""
        _check_version(version, state)
        trusted = state.other if state.stage is Stage.WATCH else state.champion
        if version == trusted:
            return Step(Promotion(state.model, version), Outcome.ROLLED_BACK, "the previous champion was asked for")
        return Step(
            Promotion(state.model, version, Stage.WATCH, trusted, forced=True),
            Outcome.FORCED,
            f"{self.options.watch_share:.0%} of the work stays with version {trusted}",
        )

    def withdraw(self, state: Promotion) -> Step:
        """Stop the canary, or go back to the previous champion."""
        if state.stage is Stage.STEADY:
            return Step(state)
        return self._end(state, worse=True, text="withdrawn")

    def serves(self, state: Promotion, key: str) -> int:
        """The version that does a piece of work.

        Args:
            state: Of the model.
            key: Of the piece of work, not of the user: a user's rewards are alike, and a split by users would make few
                independent observations look like many.
        """
        if state.stage is Stage.STEADY:
            return state.champion
        digest = hashlib.sha256(f"{state.model}\0{state.champion}\0{state.other}\0{key}".encode()).digest()
        share = self.options.canary_share if state.stage is Stage.CANARY else self.options.watch_share
        return state.other if int.from_bytes(digest[:8], "big") < share * 2**64 else state.champion

    def compare(self, state: Promotion) -> Difference:
        """Mean reward of the newer version minus that of the older one."""
        newer, older = state.other_rewards, state.champion_rewards
        if state.stage is Stage.WATCH:
            newer, older = older, newer
        return difference(newer, older, alpha=self.options.alpha, spread=self.options.spread)

    def observe(self, state: Promotion, version: int, rewards: Sequence[float]) -> Step:
        """Count rewards, one a piece of work, and decide when that can be done.

        Rewards of a version that takes no part (any more) change nothing.

        Raises:
            InvalidInputError: A reward is outside [0, 1].
        """
        if state.stage is Stage.STEADY or version not in (state.champion, state.other):
            return Step(state)
        if version == state.champion:
            state = replace(state, champion_rewards=state.champion_rewards.add(rewards))
        else:
            state = replace(state, other_rewards=state.other_rewards.add(rewards))
        fewer = min(state.champion_rewards.n, state.other_rewards.n)
        if fewer < self.options.least:
            return Step(state)
        found = self.compare(state)
        counts = (state.champion_rewards.n, state.other_rewards.n)
        newer, older = counts if state.stage is Stage.WATCH else counts[::-1]
        text = (
            f"mean reward {found.value:+.4f} against the older version, {found.low:+.4f} to {found.high:+.4f}, "
            f"after {newer:,} pieces of work of the newer and {older:,} of the older one"
        )
        if found.high < 0:
            return self._end(state, worse=True, text=text)
        if found.low > -self.options.margin:
            return self._end(state, worse=False, text=text)
        if fewer >= self.options.most:
            passed = state.stage is Stage.WATCH and not state.forced
            return self._end(state, worse=not passed, text=f"undecided after {fewer:,} rewards; {text}")
        return Step(state)

    def _end(self, state: Promotion, *, worse: bool, text: str) -> Step:
        if state.stage is Stage.CANARY:
            if worse:
                return Step(Promotion(state.model, state.champion), Outcome.CANARY_STOPPED, text)
            return Step(Promotion(state.model, state.other, Stage.WATCH, state.champion), Outcome.PROMOTED, text)
        if worse:
            return Step(Promotion(state.model, state.other), Outcome.ROLLED_BACK, text)
        return Step(Promotion(state.model, state.champion), Outcome.SETTLED, text)


def _check_version(version: int, state: Promotion) -> None:
    if version < 1 or version == state.champion:
        raise InvalidInputError(
            f"version is {version}; give another one than the champion, {state.champion}", field="version"
        )
