"""Fills gaps between requests: generates for users who were active lately and for whom the catalogue is thin."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from aigc.entities import CreationState
from aigc.errors import AigcError, CancelledError, UnavailableError
from aigc.profiles.weights import EventWeights
from aigc.quiet_work import stand_back
from aigc.recommend.creation_recipe import CreationRecipe
from aigc.recommend.strategy_book import StrategyBook
from aigc.services.active_users import ActiveUser, ActiveUsers
from aigc.services.background_options import BackgroundOptions
from aigc.services.creation import Creator
from aigc.services.creation_steps import CreationOrder
from aigc.services.foreground import Foreground
from aigc.store.base import EventBatch, Store

__all__ = ["Background", "BackgroundState", "BackgroundStatus"]

BackgroundState = Literal["off", "waiting", "working", "yielding", "paused"]
_log = logging.getLogger(__name__)
_HOUR_S = 3600.0
_REMEMBERED_EVENTS = 50_000
_MOST_GAPS = 20_000
_LONGEST_PAUSE_S = 1800.0
_YIELD_S = 0.25
_NICENESS = 10
# What forbids today may allow tomorrow, with nothing new about the user.
_PASSING = frozenset({"budget_user", "budget_platform", "models"})


@dataclass(frozen=True, slots=True)
class BackgroundStatus:
    """What it does and did since the server started.

    Attributes:
        state: ``off``; ``waiting`` for the next round; ``working``; ``yielding`` to a caller; or ``paused``, for want
            of budget or of a generator.
        detail: The same in words.
        users: Known to be active.
        looked_at: Users whose case was decided.
        attempts: Of those, for whom something was generated, or tried.
        admitted: Items that came of it, those that wait for review included.
        refused: Candidates that a gate refused.
        seconds: Spent on all this.
        items_left: Of this hour's budget.
        seconds_left: Of this hour's budget.
        next_ms: When the next round begins, in milliseconds since the epoch; 0 when off.
    """

    state: BackgroundState
    detail: str
    users: int = 0
    looked_at: int = 0
    attempts: int = 0
    admitted: int = 0
    refused: int = 0
    seconds: float = 0.0
    items_left: int = 0
    seconds_left: float = 0.0
    next_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Gap:
    """What an attempt was made for: with none of it changed, another would be the same."""

    changed_seq: int
    recipe: CreationRecipe
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Looked:
    """A gap that was looked at, and when it may be again: never, unless what forbade it passes."""

    gap: _Gap
    again_s: float


class Background:
    """One thread at low priority, or none: :meth:`step` does a round by hand."""

    def __init__(
        self,
        store: Store,
        creator: Creator,
        strategies: StrategyBook,
        weights: EventWeights,
        foreground: Foreground,
        options: BackgroundOptions,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing runs before :meth:`start`.

        Args:
            store: Where the events of before the start are.
            creator: Decides and generates, within the strategy's quotas.
            strategies: Say for whose users anything may be generated between requests.
            weights: Of event types: what weighs nothing changes no profile.
            foreground: Callers that wait; they come first.
            options: Budget and pace.
            clock: Seconds since the epoch.
        """
        self._store = store
        self._creator = creator
        self._strategies = strategies
        self._weights = weights
        self._foreground = foreground
        self._options = options
        self._clock = clock
        self._active = ActiveUsers()
        self._looked: OrderedDict[str, _Looked] = OrderedDict()
        self._admitted_s: deque[float] = deque()
        self._spent: deque[tuple[float, float]] = deque()
        self._status = BackgroundStatus("off", "creation.background is false")
        self._not_before_s = 0.0
        self._failures = 0
        self._read = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, batch: EventBatch) -> None:
        """Events were stored."""
        if self._options.background:
            self._active.note(batch, self._weights.weigh(batch.types, batch.values).tolist(), self._now_ms())

    def start(self) -> None:
        """Begin, when the settings want it."""
        if self._options.background and self._creator.studio is None:
            self._status = replace(self._status, detail="no generator runs here (generation.enabled is false)")
        elif self._options.background and self._thread is None:
            self._say("waiting", "for the first round", 0.0)
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()
            _log.info("background generation is on: %d items an hour at most", self._options.items_per_hour)

    def stop(self) -> None:
        """Have the thread end after what it is just at; returns at once."""
        self._stopping.set()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._status = replace(self._status, state="off", detail="the server is ending", next_ms=0)

    def status(self) -> BackgroundStatus:
        """As it is now."""
        now = self._clock()
        return replace(
            self._status,
            users=len(self._active.since(self._since_ms())),
            items_left=max(0, self._options.items_per_hour - sum(s > now - _HOUR_S for s in list(self._admitted_s))),
            seconds_left=max(0.0, self._options.seconds_per_hour - self._spent_since(now - _HOUR_S)),
        )

    def step(self) -> float:
        """One round: look at some users, generate for those with a gap. Returns seconds to wait for the next one."""
        interval = self._options.interval_ms / 1000
        if self._foreground.waiting:
            return self._say("yielding", "a caller waits for generated content", _YIELD_S)
        now = self._clock()
        if now < self._not_before_s:
            return self._say("paused", self._status.detail, self._not_before_s - now)
        try:
            if not self._read:
                self._read_events()
            for user, gap in self._gaps(now):
                if self._stopping.is_set():
                    break
                if short := self._budget_spent():
                    return self._say("paused", short, interval)
                if not self._look_at(user, gap):
                    return self._say("yielding", "a caller waits for generated content", _YIELD_S)
            self._failures = 0
        except AigcError as error:
            return self._back_off(error)
        return self._say("waiting", "for the next round", interval)

    def _gaps(self, now: float) -> list[tuple[ActiveUser, _Gap]]:
        """The users to look at in this round: active, of a strategy that wants it, changed since the last look."""
        models = tuple(info.id for info in self._creator.studio.models()) if self._creator.studio else ()
        found: list[tuple[ActiveUser, _Gap]] = []
        for user in self._active.since(self._since_ms()):
            recipe = self._strategies.choose(self._options.strategy, user.user_id).strategy.generate
            if not (recipe.enabled and recipe.background):
                continue
            gap = _Gap(user.changed_seq, recipe, models)
            looked = self._looked.get(user.user_id)
            if looked is None or looked.gap != gap or now >= looked.again_s:
                found.append((user, gap))
            if len(found) == self._options.users:
                break
        return found

    def _look_at(self, user: ActiveUser, gap: _Gap) -> bool:
        """Decide, and generate where the decision says so; False when a caller came between."""
        began = self._clock()
        self._status = replace(self._status, state="working", detail="looking at a user")
        # What was made since the profile last changed fills the same gap, whoever asked for it.
        filled = self._store.creations.count_admitted(since_ms=user.changed_ms, user_id=user.user_id)
        lacking = self._options.items - filled
        if lacking <= 0:
            self._remember(user, gap, float("inf"))
            return True
        wanted = min(lacking, self._items_left())
        admitted = refused = 0
        decided = attempted = False
        again_s = began + _HOUR_S if wanted < lacking else float("inf")
        order = CreationOrder(user.user_id, wanted, strategy=self._options.strategy)
        try:
            for step in self._creator.generate_for(order, self._interrupted):
                if step.decision is not None:
                    decided, attempted = True, step.decision.generate
                    forbidding = {r.name for r in step.decision.reasons if r.decisive}
                    if forbidding & _PASSING:
                        again_s = began + _HOUR_S
                elif step.creation is not None and step.creation.state is CreationState.REFUSED:
                    refused += 1
                elif step.creation is not None:
                    admitted += 1
                    self._admitted_s.append(self._clock())
        except CancelledError:
            return False
        except UnavailableError:
            # The gap is still there when the generator is.
            raise
        except AigcError:
            # Another attempt would end the same: it must not keep the others from theirs.
            self._remember(user, gap, began + _HOUR_S)
            raise
        else:
            self._remember(user, gap, again_s)
        finally:
            self._count(began, decided, attempted, admitted, refused)
        if attempted:
            _log.info("generated between requests: %d admitted, %d refused", admitted, refused)
        return True

    def _count(self, began: float, decided: bool, attempted: bool, admitted: int, refused: int) -> None:
        now = self._clock()
        self._spent.append((now, now - began))
        s = self._status
        self._status = replace(
            s,
            looked_at=s.looked_at + decided,
            attempts=s.attempts + attempted,
            admitted=s.admitted + admitted,
            refused=s.refused + refused,
            seconds=s.seconds + now - began,
        )

    def _remember(self, user: ActiveUser, gap: _Gap, again_s: float) -> None:
        self._looked[user.user_id] = _Looked(gap, again_s)
        self._looked.move_to_end(user.user_id)
        while len(self._looked) > _MOST_GAPS:
            self._looked.popitem(last=False)

    def _budget_spent(self) -> str:
        """Why nothing more may be made for now; empty while there is budget."""
        options = self._options
        if self._items_left() <= 0:
            return f"{options.items_per_hour} items were made within the hour (creation.items_per_hour)"
        if self._spent_since(self._clock() - _HOUR_S) >= options.seconds_per_hour:
            return f"{options.seconds_per_hour} s were spent within the hour (creation.seconds_per_hour)"
        return ""

    def _items_left(self) -> int:
        first = self._clock() - _HOUR_S
        while self._admitted_s and self._admitted_s[0] <= first:
            self._admitted_s.popleft()
        return self._options.items_per_hour - len(self._admitted_s)

    def _spent_since(self, first_s: float) -> float:
        return sum(seconds for at_s, seconds in list(self._spent) if at_s > first_s)

    def _back_off(self, error: AigcError) -> float:
        self._failures += 1
        if self._stopping.is_set():
            return 0.0
        pause = min(_LONGEST_PAUSE_S, self._options.interval_ms / 1000 * 2**self._failures)
        self._not_before_s = self._clock() + pause
        _log.warning("background generation pauses for %.0f s: %s", pause, error)
        return self._say("paused", str(error), pause)

    def _interrupted(self) -> bool:
        return self._stopping.is_set() or self._foreground.waiting > 0

    def _read_events(self) -> None:
        """Who was active before this process began."""
        last = self._store.positions()["event_seq"]
        since_ms = self._since_ms()
        known = ActiveUsers()
        for batch in self._store.iterate_events(since_seq=max(0, last - _REMEMBERED_EVENTS)):
            if self._stopping.is_set():
                return
            known.note(batch, self._weights.weigh(batch.types, batch.values).tolist(), self._now_ms())
        self._active.add_older(known.since(since_ms))
        self._read = True

    def _since_ms(self) -> int:
        return int((self._clock() - self._options.active_hours * _HOUR_S) * 1000)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _say(self, state: BackgroundState, detail: str, pause_s: float) -> float:
        next_ms = int((self._clock() + pause_s) * 1000)
        self._status = replace(self._status, state=state, detail=detail, next_ms=next_ms)
        while self._spent and self._spent[0][0] <= self._clock() - _HOUR_S:
            self._spent.popleft()
        return pause_s

    def _run(self) -> None:
        stand_back(_NICENESS)
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                pause = self.step()
            except Exception:
                # A fault here must not end what serves requests, nor be tried again in a tight loop.
                _log.exception("background generation")
                self._not_before_s = self._clock() + _LONGEST_PAUSE_S
                pause = self._say("paused", "a fault; the server's log says which", _LONGEST_PAUSE_S)
