"""All strategies in force, reloaded when their files change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import cast

from aigc.errors import AigcError, InvalidInputError, NotFoundError
from aigc.kernel import Plan
from aigc.recommend.experiment import Experiment, read_experiment
from aigc.recommend.strategy import Strategy, read_strategy

__all__ = ["Choice", "StrategyBook"]

DEFAULT = "default"
_EXPERIMENT = "experiment.toml"


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy that answers a request; ``experiment`` is the split's name when one chose it."""

    strategy: Strategy
    plan: Plan
    experiment: str


@dataclass(frozen=True, slots=True)
class _Page:
    """One consistent reading of all files."""

    strategies: dict[str, Strategy]
    plans: dict[str, Plan]
    paths: dict[str, Path]
    experiment: Experiment | None
    stamp: tuple[tuple[str, int, int], ...]


class StrategyBook:
    """Strategies that come with the product, and those of a folder, which win over them.

    A folder with an invalid file changes nothing: the last valid reading stays in force, and :attr:`error` says why.
    """

    def __init__(self, folder: Path) -> None:
        """Read ``folder`` (which need not exist).

        Raises:
            InvalidInputError: A file is invalid, so that a server does not start on half its strategies.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._page = self._read()
        self._failed_stamp: tuple[tuple[str, int, int], ...] | None = None
        self.error: AigcError | None = None
        self.on_change: Callable[[], None] = lambda: None

    def reload(self) -> None:
        """Read again now; raises as the constructor does, and keeps the last valid reading then."""
        with self._lock:
            stamp = self._stamp()
            try:
                self._page = self._read()
            except AigcError as error:
                self.error, self._failed_stamp = error, stamp
                raise
            self.error, self._failed_stamp = None, None
        self.on_change()

    def refresh(self) -> bool:
        """Reload if a file changed since the last reading; True when a new reading is in force.

        Raises:
            InvalidInputError: Once for each change to an invalid state.
        """
        stamp = self._stamp()
        if stamp in (self._page.stamp, self._failed_stamp):
            return False
        self.reload()
        return True

    def choose(self, name: str, user_id: str) -> Choice:
        """The strategy for a request.

        Args:
            name: The one asked for; empty lets the experiment choose, or else ``default``.
            user_id: Decides the experiment's arm; an empty id takes no part.

        Raises:
            NotFoundError: No such strategy; names those that exist.
        """
        page = self._page
        experiment = ""
        if not name:
            name = DEFAULT
            if page.experiment is not None and user_id:
                name, experiment = page.experiment.arm(user_id), page.experiment.name
        strategy = page.strategies.get(name)
        if strategy is None:
            raise NotFoundError(
                f"strategy {name!r} does not exist; there are: {', '.join(sorted(page.strategies))}",
                reason="UNKNOWN_STRATEGY",
                metadata={"strategy": name},
            )
        return Choice(strategy, page.plans[name], experiment)

    def all(self) -> list[tuple[Strategy, Path]]:
        """Each strategy and the file that it stands in, by name."""
        page = self._page
        return [(page.strategies[n], page.paths[n]) for n in sorted(page.strategies)]

    def plans(self) -> list[tuple[Strategy, Plan]]:
        """Each strategy and what it asks of the Engine, by name."""
        page = self._page
        return [(page.strategies[n], page.plans[n]) for n in sorted(page.strategies)]

    @property
    def experiment(self) -> Experiment | None:
        """The running split, if any."""
        return self._page.experiment

    def _files(self) -> list[Path]:
        own = cast(Path, resources.files("aigc.recommend") / "strategies")
        found = [*sorted(own.glob("*.toml")), *sorted(self._folder.glob("*.toml"))]
        return [p for p in found if p.name != _EXPERIMENT]

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        stamps = []
        for path in [*self._files(), self._folder / _EXPERIMENT]:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            stamps.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(stamps)

    def _read(self) -> _Page:
        stamp = self._stamp()
        strategies, paths = {}, {}
        for path in self._files():
            strategy = read_strategy(path)
            strategies[strategy.name], paths[strategy.name] = strategy, path
        plans = {}
        for name, strategy in strategies.items():
            try:
                plans[name] = strategy.plan()
            except ValueError as error:
                raise InvalidInputError(f"{paths[name]}: {error}", reason="INVALID_STRATEGY") from error
        experiment = read_experiment(self._folder / _EXPERIMENT, strategies)
        return _Page(strategies, plans, paths, experiment, stamp)
