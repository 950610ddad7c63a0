"""Everything of one data directory, wired together: what the server, the command line and the tests open."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aigc.creation.arms import Arms
from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.promotion import PromotionOptions
from aigc.entities import Creation
from aigc.errors import ConflictError, CorruptDataError
from aigc.features.base import Encoder
from aigc.generate.repository import ModelRepository
from aigc.index.snapshot import SnapshotFolder
from aigc.prepare.steps import PrepareOptions
from aigc.profiles.weights import EventWeights
from aigc.recommend.live import Live
from aigc.recommend.strategy_book import StrategyBook
from aigc.recommend.train import TrainProgress, train
from aigc.recommend.train_options import TrainOptions
from aigc.services.admin import Admin
from aigc.services.answer_log import AnswerLog
from aigc.services.background import Background
from aigc.services.background_options import BackgroundOptions
from aigc.services.behaviour import Behaviour
from aigc.services.catalog import Catalog
from aigc.services.creation import Creator
from aigc.services.creation_records import CreationRecords
from aigc.services.exploring import Explorer
from aigc.services.exposure import Exposure
from aigc.services.follower import Follower
from aigc.services.foreground import Foreground
from aigc.services.intake import Intake
from aigc.services.learning_paths import LearningPaths
from aigc.services.limits import Limits
from aigc.services.observer import Observer
from aigc.services.profiles import Profiles
from aigc.services.promotions import Promotions
from aigc.services.recommender import Recommender
from aigc.services.suggestion import Suggestions
from aigc.services.training import Training
from aigc.services.training_limits import TrainingLimits
from aigc.services.watcher import Watcher
from aigc.services.worth import Worth
from aigc.store.base import EventBatch
from aigc.store.sql import SqlStore, open_store

__all__ = ["Platform", "PlatformOptions"]

_REMEMBERED_S = 86_400


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """What can be chosen when a data directory is opened.

    Attributes:
        store_url: A database; empty for SQLite inside the data directory.
        weights: The known event types.
        train: What a build trains.
        limits: What a call may hold.
        prepare: The steps that items and events go through.
        promotion: How cautiously a new version of a model becomes champion.
        rewards: How events on what was made become rewards of its version.
        keep_snapshots: Snapshots left on disk after a build.
        poll_ms: How often to look for a new snapshot and for edited strategies; 0 for never.
        read_only: Open beside a running server; every write is refused.
        verify: Compare the snapshot's files with their checksums before serving.
        training: What training jobs may use.
        background: What may be generated between requests.
        serving: False opens for writing alone, as an import needs it: nothing is loaded, nothing can be asked.
        one_of_several: Of processes on one data directory and one PostgreSQL; such a one runs no jobs and decides no
            promotions.
    """

    store_url: str = ""
    weights: EventWeights = field(default_factory=EventWeights)
    train: TrainOptions = field(default_factory=TrainOptions)
    limits: Limits = field(default_factory=Limits)
    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    promotion: PromotionOptions = field(default_factory=PromotionOptions)
    rewards: RewardOptions = field(default_factory=RewardOptions)
    keep_snapshots: int = 3
    poll_ms: int = 0
    read_only: bool = False
    verify: bool = True
    training: TrainingLimits = field(default_factory=TrainingLimits)
    background: BackgroundOptions = field(default_factory=BackgroundOptions)
    serving: bool = True
    one_of_several: bool = False

    def url(self, home: Path) -> str:
        """The database of a data directory."""
        return self.store_url or f"sqlite:///{home / 'aigc.sqlite'}"


class Platform:
    """The services over one store and one Engine. Close it when done."""

    def __init__(self, home: Path, store: SqlStore, options: PlatformOptions) -> None:
        """Wire the services; :meth:`open` is the way in."""
        self.home = home
        self.options = options
        self.store = store
        self.snapshots = SnapshotFolder(home / "snapshots")
        self.strategies = StrategyBook(home / "strategies")
        self.live = Live(store, self.snapshots, options.weights, idle=not options.serving)
        self.catalog = Catalog(store, self.live, options.limits)
        self.intake = Intake(self.catalog, options.prepare)
        self.behaviour = Behaviour(store, options.weights, options.limits, options.prepare)
        self.profiles = Profiles(store, self.live, options.weights, options.limits)
        self.answers = None if options.read_only else AnswerLog(store)
        self.exposure = Exposure()
        self.arms = Arms()
        self.tried = Arms()
        self.worth = Worth(self.arms.owns)
        explorer = Explorer(self.live, self.exposure, self.arms, self.tried)
        self.recommender = Recommender(
            self.live,
            self.strategies,
            options.limits,
            self.answers,
            self.exposure,
            explorer,
            LearningPaths(store, options.weights),
            self.worth,
        )
        self.training = Training(home, options.url(home), options.training, options.weights.by_type)
        self.promotions = Promotions(
            ModelRepository(home / "models"), store.creations, options.promotion, options.rewards
        )
        self.creations = CreationRecords(store, self.catalog, self.tried, self.exposure, self.promotions.work)
        self.creator = Creator(
            store,
            self.live,
            self.profiles,
            self.recommender,
            self.strategies,
            self.catalog,
            self.arms,
            self.creations,
            self.promotions.work,
        )
        self.suggestions = Suggestions(store, self.live)
        self.foreground = Foreground()
        self.background = Background(
            store, self.creator, self.strategies, options.weights, self.foreground, options.background
        )
        self._building = threading.Lock()
        self._refusal: CorruptDataError | None = None
        self.observer = Observer()
        self._watcher: Watcher | None = None
        self._follower: Follower | None = None
        self.admin = Admin(store, self.live, self.snapshots, self.strategies, self.build, self.problems)

    @classmethod
    def open(cls, home: Path, options: PlatformOptions | None = None) -> Platform:
        """Open, or begin, a data directory and serve its published snapshot.

        A snapshot that does not verify is refused, and the newest older one that does is served instead.

        Raises:
            ConflictError: Another process holds the store.
            CorruptDataError: There are snapshots, and none verifies; names the file of the published one.
            InvalidInputError: A strategy file is invalid.
        """
        options = options or PlatformOptions()
        home.mkdir(parents=True, exist_ok=True)
        store = open_store(options.url(home), read_only=options.read_only)
        try:
            platform = cls(home, store, options)
            if not options.serving:
                return platform
            if not options.read_only:
                store.on_events = platform._on_events
            platform._serve_newest()
            if store.shared and not options.read_only:
                # Before the remembering: an event that comes between the two may count twice, and none is missed.
                platform._follower = Follower(store, platform.live, platform._learn)
            decides = not (options.read_only or options.one_of_several)
            if decides:
                platform.promotions.start()
            platform._remember_creations()
            if decides:
                platform.promotions.watch()
                platform.training.start()
            if options.poll_ms:
                platform._watcher = Watcher(
                    platform.live, platform.snapshots, platform.strategies, poll_ms=options.poll_ms
                )
        except BaseException:
            store.close()
            raise
        return platform

    @property
    def dropped_answers(self) -> int:
        """Answers that were given and not kept."""
        return self.answers.dropped if self.answers else 0

    def observe(self, observer: Observer) -> None:
        """Have everything counted by ``observer``."""
        self.observer = self.recommender.observer = self.behaviour.observer = observer
        self.store.listen_to_commits(observer.committed)
        if self._follower is not None:
            self._follower.observer = observer

    def build(self) -> Iterator[TrainProgress]:
        """Train and publish a snapshot of what is stored; one at a time.

        Raises:
            ConflictError: A build runs already.
            NotFoundError: ``train.text_encoder`` names no model.
        """
        if not self._building.acquire(blocking=False):
            raise ConflictError("a snapshot is being built already; wait for it to end", reason="BUILD_RUNNING")
        try:
            yield from train(
                self.store,
                self.snapshots,
                self.options.train,
                self.options.weights,
                keep=self.options.keep_snapshots,
                text_encoder=self._text_encoder(),
            )
        finally:
            self._building.release()

    def problems(self) -> tuple[str, ...]:
        """What an operator should look at, each in one sentence."""
        refused = (str(self._refusal),) if self._refusal else ()
        followed = self._follower.problems() if self._follower else ()
        return (
            refused
            + followed
            + (self._watcher.problems() if self._watcher else ())
            + self.training.problems
            + self.promotions.problems
        )

    def close(self) -> None:
        """Finish what is queued, let a job in training stop where it is, and release the store."""
        self.background.close()
        self.training.close()
        if self._watcher is not None:
            self._watcher.close()
        if self._follower is not None:
            self._follower.close()
        self.promotions.close()
        if self.answers is not None:
            self.answers.close()
        self.store.close()

    def _text_encoder(self) -> Encoder | None:
        """The model that embeds texts, where the settings name one; torch is loaded only then."""
        name = self.options.train.text_encoder
        if not name:
            return None
        from aigc.generate.text_encoder import ModelTextEncoder

        repository = ModelRepository(self.home / "models")
        return ModelTextEncoder.of(repository.folder(repository.get(name, "train.text_encoder")))

    def _serve_newest(self) -> None:
        published = self.snapshots.current_id()
        if not published:
            self.live.open_empty()
            return
        try:
            self.live.publish(published, verify=self.options.verify)
            return
        except CorruptDataError as error:
            self._refusal = error
        for older in reversed([i for i in self.snapshots.ids() if i != published]):
            try:
                self.live.publish(older, verify=self.options.verify)
                return
            except CorruptDataError:
                continue
        raise self._refusal

    def _on_events(self, batch: EventBatch) -> None:
        self.live.apply_events(batch)
        self.background.note(batch)
        if self._follower is None:
            self._learn(batch)

    def _learn(self, batch: EventBatch) -> None:
        weights = self.options.weights.weigh(batch.types, batch.values).tolist()
        self.arms.learn(batch.item_ids, weights)
        self.tried.learn(batch.item_ids, weights)
        self.promotions.work.learn(batch.item_ids, batch.user_ids, weights, batch.times_ms.tolist())
        self.worth.learn(batch.item_ids, weights)

    def _remember_creations(self) -> None:
        """What became of what was generated, rebuilt from the records and the events."""
        before: tuple[int, str] | None = None
        found: list[Creation] = []
        while page := self.store.creations.list(state="admitted", limit=1000, before=before):
            found += page
            before = (page[-1].created_ms, page[-1].id)
        for creation in reversed(found):
            self.arms.own(creation.item_id, GenerationArm(creation.model, creation.condition).id)
            self.tried.own(creation.item_id, creation.item_id)
            self.exposure.introduce(creation.item_id)
        if not found:
            return
        made = {creation.item_id for creation in found}
        day_ago = int((time.time() - _REMEMBERED_S) * 1000)
        for answers in self.store.iterate_recommendations(since_ms=day_ago):
            for answer in answers:
                self.exposure.count(
                    len(answer.item_ids), [i for i in answer.item_ids if i in made], answer.created_ms / 1000
                )
        for batch in self.store.iterate_events():
            self._learn(batch)
