"""Strategies compared in simulated worlds: one real server a seed and strategy, all of a seed's from the same start."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aigc import durable
from aigc.errors import InvalidInputError, NotFoundError
from aigc.evaluate.simulation.client import WorldClient
from aigc.evaluate.simulation.population import Population, PopulationOptions, draw_population
from aigc.evaluate.simulation.runner import RunOptions, past_events, run
from aigc.evaluate.simulation.trace import Trace
from aigc.evaluate.simulation.world import AspectReader, World
from aigc.recommend.strategy import Strategy
from aigc.recommend.strategy_book import StrategyBook
from aigc_server.app import open_platform
from aigc_server.settings import Settings
from aigc_server.simulation_client import GrpcWorldClient, ServedHome

__all__ = ["Simulation", "SimulationOptions", "best_still"]

_CALL = 500
_DAY_MS = 86_400_000

Told = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What is compared.

    Attributes:
        strategies: By name; those whose file switches generation on generate.
        seeds: How many societies.
        first_seed: Of the first one; the others follow.
        each: Items a taste in the catalogue.
        rounds: How long each is watched.
        n: Items a list.
        past: Lists that each user saw before the start.
        wanted: Items asked for in a generation.
        generate_every: Rounds from one request to generate to the next, where a strategy generates.
        population: What users are like.
    """

    strategies: tuple[str, ...] = ("default", "content", "collaborative", "explore", "popular")
    seeds: int = 20
    first_seed: int = 0
    each: int = 12
    rounds: int = 20
    n: int = 6
    past: int = 3
    wanted: int = 2
    generate_every: int = 1
    population: PopulationOptions = field(default_factory=PopulationOptions)

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("seeds", "each", "rounds", "n", "wanted", "generate_every"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give at least 1", field=name)
        for name in ("past", "first_seed"):
            if getattr(self, name) < 0:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give 0 or more", field=name)
        if not self.strategies or len(set(self.strategies)) < len(self.strategies):
            raise InvalidInputError("give at least one strategy, and each once", field="strategies")


class Simulation:
    """All runs of one world; what was run before in the same folder with the same options is not run again."""

    def __init__(
        self,
        name: str,
        world: Callable[[int, int], World],
        reader: Callable[[], AspectReader],
        options: SimulationOptions,
        folder: Path,
        *,
        strategy_files: Path | None = None,
        models: Path | None = None,
    ) -> None:
        """Check the strategies.

        Args:
            name: Of the world.
            world: (items a taste, seed) → catalogue.
            reader: Made when the first generated item is to be read.
            options: What is compared.
            folder: For data directories, which go, and traces, which stay.
            strategy_files: A folder of further strategies.
            models: The folder of the generators' models, as ``models/`` of a data directory.

        Raises:
            NotFoundError: A strategy or the models are missing.
        """
        self.options, self._name, self._world, self._folder = options, name, world, folder
        self._make_reader = reader
        self._reader: AspectReader | None = None
        self._files, self._models = strategy_files, models
        known = {s.name: s for s, _ in StrategyBook(strategy_files or folder / "no-strategies").all()}
        for wanted in options.strategies:
            if wanted not in known:
                raise NotFoundError(
                    f"strategy {wanted!r} does not exist; there are: {', '.join(sorted(known))}",
                    reason="UNKNOWN_STRATEGY",
                )
        self.strategies: Mapping[str, Strategy] = {name: known[name] for name in options.strategies}
        if self.generating and models is None:
            raise InvalidInputError(
                f"strategy {self.generating[0]} generates; name the folder of its models", field="models"
            )
        if models is not None and not models.is_dir():
            raise NotFoundError(f"{models} is no folder of models", reason="FILE_NOT_FOUND")

    @property
    def generating(self) -> list[str]:
        """The strategies that generate."""
        return [name for name, strategy in self.strategies.items() if strategy.generate.enabled]

    @property
    def caps(self) -> dict[str, float]:
        """Strategy → part of a list that generated items may fill."""
        return {name: strategy.max_generated_share for name, strategy in self.strategies.items()}

    def run(self, told: Told = lambda _, __: None) -> dict[str, list[Trace]]:
        """Strategy → a trace a seed. Args: told: hears the fraction done and what is being done."""
        found: dict[str, list[Trace]] = {name: [] for name in self.strategies}
        total = self.options.seeds * len(found)
        for nth in range(self.options.seeds):
            seed = self.options.first_seed + nth
            world: World | None = None
            start, start_ms = self._folder / f"start-{self._name}", 0
            try:
                for place, name in enumerate(found):
                    path = self._folder / "traces" / f"{self._name}-{seed:03d}-{name}.json"
                    trace = self._read(path)
                    if trace is None:
                        done = (nth * len(found) + place) / total
                        if world is None:
                            told(done, f"seed {seed + 1}: training")
                            world = self._world(self.options.each, seed)
                            start_ms = self._prepare(world, seed, start)

                        def heard(part: float, done: float = done, name: str = name, seed: int = seed) -> None:
                            told(done + part / total, f"seed {seed + 1}: {name}")

                        trace = self._run_one(world, seed, name, start, start_ms, heard)
                        self._write(path, trace)
                    found[name].append(trace)
            finally:
                shutil.rmtree(start, ignore_errors=True)
        return found

    def _prepare(self, world: World, seed: int, home: Path) -> int:
        """A trained data directory; returns the time of round 0."""
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        if self._files is not None:
            shutil.copytree(self._files, home / "strategies")
        # A round is an hour, and an event of the future would be refused: the last round is now.
        start_ms = int(time.time() * 1000) - self.options.rounds * 3_600_000 - _DAY_MS
        platform = open_platform(Settings(), home)
        try:
            for at in range(0, len(world.items), _CALL):
                platform.catalog.upsert(world.items[at : at + _CALL])
            events = past_events(world, self._population(world, seed), self.options.past, self._run_options(start_ms))
            for at in range(0, len(events), _CALL):
                platform.behaviour.record(events[at : at + _CALL])
            for _ in platform.build():
                pass
        finally:
            platform.close()
        return start_ms

    def _run_one(
        self, world: World, seed: int, name: str, start: Path, start_ms: int, told: Callable[[float], None]
    ) -> Trace:
        home = self._folder / f"home-{self._name}-{name}"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(start, home)
        generates = self.strategies[name].generate.enabled
        if generates and self._models is not None:
            shutil.copytree(self._models, home / "models")
        try:
            served = ServedHome(home)
            with served as channel:
                client = GrpcWorldClient(channel, name, wanted=self.options.wanted)
                if generates:
                    client.wait_for_generators()
                face: WorldClient = client
                options = self._run_options(start_ms, name)
                reader = self._eye() if generates else None
                trace = run(world, self._population(world, seed), face, options, reader, told)
            served.log_path.unlink(missing_ok=True)
            return trace
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _population(self, world: World, seed: int) -> Population:
        return draw_population(self.options.population, len(world.aspects), self.options.rounds, seed)

    def _run_options(self, start_ms: int, name: str = "") -> RunOptions:
        strategy = self.strategies.get(name)
        return RunOptions(
            n=self.options.n,
            start_ms=start_ms,
            generate_every=self.options.generate_every if strategy is not None and strategy.generate.enabled else 0,
            cap=strategy.max_generated_share if strategy is not None else 1.0,
        )

    def _eye(self) -> AspectReader:
        if self._reader is None:
            self._reader = self._make_reader()
        return self._reader

    def _key(self) -> dict[str, object]:
        kept: dict[str, object] = json.loads(json.dumps(asdict(self.options)))
        for name in ("strategies", "seeds", "first_seed"):
            del kept[name]
        return kept

    def _read(self, path: Path) -> Trace | None:
        if not path.is_file():
            return None
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return None
        return Trace.from_json(raw["trace"]) if raw.get("options") == self._key() else None

    def _write(self, path: Path, trace: Trace) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.replace_file(path, json.dumps({"options": self._key(), "trace": trace.to_json()}) + "\n")


def best_still(traces: Mapping[str, Sequence[Trace]], generating: Sequence[str]) -> str:
    """The strategy without generation that did best on average; empty when all generate."""
    still = [name for name in traces if name not in generating]
    return max(still, key=lambda n: sum(t.mean_engagement for t in traces[n]), default="")
