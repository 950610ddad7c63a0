"""Generate for a user: decide, make, judge, admit; a person's review; making it again from its record."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aigc.creation.arms import Arms
from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.candidate_ranking import places_by_category, rank_candidates
from aigc.creation.condition import category_shares
from aigc.creation.decision import Decision, decide
from aigc.creation.gates.gate import Gates, Verdict
from aigc.creation.label import LABEL_ATTRIBUTE, explicit_label, implicit_label, label_file
from aigc.creation.studio import PictureOrder, Studio
from aigc.entities import Creation, CreationState, Item, ItemContent, Profile
from aigc.errors import AigcError, CancelledError, ConflictError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelInfo
from aigc.recommend.creation_recipe import CreationRecipe
from aigc.recommend.live import Live
from aigc.recommend.strategy_book import StrategyBook
from aigc.services.catalog import Catalog
from aigc.services.compared_work import ComparedWork
from aigc.services.creation_gates import CreationGates
from aigc.services.creation_makers import Batch, Makers, arms_of
from aigc.services.creation_records import CreationRecords
from aigc.services.creation_steps import CreationOrder, CreationProgress, CreationStep
from aigc.services.creation_supply import find_supply, taste_vectors
from aigc.services.creation_words import Words, content_digest, text_order
from aigc.services.profiles import Profiles
from aigc.services.promotion_status import Assignment
from aigc.services.recommender import Recommender
from aigc.store.base import Store

__all__ = ["CREATION_ATTRIBUTE", "Creator"]

CREATION_ATTRIBUTE = "creation_id"
_DAY_MS = 86_400_000
_MOST = 64
_SECONDS_EACH = 0.05

Gone = Callable[[], bool]


class Creator:
    """One call at a time for each user; calls of several users run side by side."""

    def __init__(
        self,
        store: Store,
        live: Live,
        profiles: Profiles,
        recommender: Recommender,
        strategies: StrategyBook,
        catalog: Catalog,
        arms: Arms,
        records: CreationRecords,
        compared: ComparedWork,
        *,
        provider: str = "aigc",
    ) -> None:
        """Wire; :attr:`studio` is set where generators run. Args: provider: named in every label."""
        self._store = store
        self._live = live
        self._profiles = profiles
        self._recommender = recommender
        self._strategies = strategies
        self._catalog = catalog
        self._arms = arms
        self._records = records
        self._compared = compared
        self._provider = provider
        self._gates = CreationGates(store)
        self._lock = threading.Lock()
        self._users: set[str] = set()
        self.studio: Studio | None = None

    def generate_for(
        self, order: CreationOrder, gone: Gone = lambda: False, seconds_left: float | None = None
    ) -> Iterator[CreationStep]:
        """Decide, then make and admit up to ``order.n`` items.

        Raises:
            InvalidInputError: Names the wrong field.
            NotFoundError: No such strategy.
            ConflictError: Another call makes something for this user.
            UnavailableError: The generator is down; what was admitted stays.
            CancelledError: ``gone`` said so; what was admitted stays.
        """
        if not 1 <= order.n <= _MOST:
            raise InvalidInputError(f"n is {order.n}; give 1 to {_MOST}, or 0 for 4", field="n")
        if order.adventure is not None and not 0 <= order.adventure <= 1:
            raise InvalidInputError(f"adventure is {order.adventure}; give a number from 0 to 1", field="adventure")
        if order.kind not in ("", "image", "text", "audio"):
            raise InvalidInputError(f"kind is {order.kind!r}; give image, text, audio or nothing", field="kind")
        if order.dry_run:
            yield from self._run(order, gone, seconds_left)
            return
        # Two at once would each find the quota free.
        with self._lock:
            if order.user_id in self._users:
                raise ConflictError(
                    f"content is being made for user {order.user_id!r} already; call again when that has ended",
                    reason="GENERATION_RUNNING",
                )
            self._users.add(order.user_id)
        try:
            yield from self._run(order, gone, seconds_left)
        finally:
            with self._lock:
                self._users.discard(order.user_id)

    def _run(self, order: CreationOrder, gone: Gone, seconds_left: float | None) -> Iterator[CreationStep]:
        recipe = self._strategies.choose(order.strategy, order.user_id).strategy.generate
        profile = self._profiles.get(order.user_id)
        arms = arms_of(self.studio.models(), recipe.model_references, order.kind) if self.studio else []
        decision = self._decide(order, recipe, profile, len(arms), seconds_left)
        yield CreationStep(decision=decision)
        if not decision.generate or order.dry_run:
            return
        adventure = recipe.adventure if order.adventure is None else order.adventure
        yield from self._produce(order, recipe, profile, arms, adventure, gone)

    def regenerate(self, creation_or_item_id: str) -> tuple[bool, Item]:
        """Make it again from its record; True when it is the same to the last byte or token.

        Raises:
            NotFoundError: No such creation, or its model is gone.
            UnavailableError: The generator is down.
        """
        creation = self._records.get(creation_or_item_id)
        recipe, studio = creation.recipe, self._needed_studio()
        if creation.kind == "text":
            made = studio.texts(text_order(recipe))[0]
        else:
            latent = recipe["latent"]
            made = studio.pictures(
                PictureOrder(
                    recipe["model"],
                    (recipe["seed"],),
                    (recipe["class"],) if recipe["class"] else (),
                    (recipe["caption"],) if recipe["caption"] else (),
                    np.array([latent], np.float32) if latent else None,
                    recipe["truncation"],
                )
            )[0]
        same = content_digest(made.data) == recipe["sha256"]
        words = recipe.get("words")
        if words:
            written = studio.texts(text_order(words))[0].data
            same = same and content_digest(written) == words["sha256"]
        item = Item(creation.item_id or creation.id, kind=creation.kind, title=creation.title, generated=True)
        if creation.kind == "text":
            return same, replace(item, text=made.data.decode())
        data = label_file("image/png", made.data, implicit_label(creation.id, self._provider))
        text = written.decode() if words else ""
        return same, replace(item, text=text, content=ItemContent("image/png", data))

    def _decide(
        self,
        order: CreationOrder,
        recipe: CreationRecipe,
        profile: Profile,
        models: int,
        seconds_left: float | None,
    ) -> Decision:
        since = int(time.time() * 1000) - _DAY_MS
        records = self._store.creations
        return decide(
            profile,
            find_supply(profile, self._recommender, self._live.serving, recipe.enough_items),
            recipe,
            made_for_user=records.count_admitted(since_ms=since, user_id=order.user_id),
            made_for_all=records.count_admitted(since_ms=since),
            models=models,
            cost_s=order.n * recipe.candidates * _SECONDS_EACH,
            patience_s=seconds_left,
            force=order.force,
        )

    def _produce(
        self,
        order: CreationOrder,
        recipe: CreationRecipe,
        profile: Profile,
        arms: Sequence[tuple[GenerationArm, ModelInfo]],
        adventure: float,
        gone: Gone,
    ) -> Iterator[CreationStep]:
        yield CreationStep(progress=CreationProgress(0, 0, 0, order.n, "reading the catalogue"))
        gates = self._gates.of(recipe)
        serving = self._live.serving
        tastes = taste_vectors(profile, serving)
        liked = category_shares(profile)
        ids = list(dict.fromkeys(i for t in profile.tastes for i in t.item_ids))
        makers = Makers(self._needed_studio(), profile, self._store.get_items(ids, with_content=True))
        words = self._words(recipe, gates, tastes)
        rng = np.random.default_rng(secrets.randbits(64))
        made = refused = admitted = 0
        taken = np.empty((0, serving.state.embedding_size), np.float32)
        left = dict(arms)
        attempts = order.n * recipe.candidates * 2
        call = secrets.token_hex(8)
        while admitted < order.n and left and made < attempts:
            if gone():
                raise CancelledError("the caller left, or the deadline passed, while content was made")
            arm, propensity = self._arms.choose(list(left), int(rng.integers(1 << 62)))
            wanted = min((order.n - admitted) * recipe.candidates, attempts - made, 16)
            served = self._compared.assign(arm, left[arm], f"{call}/{made}", recipe.model_references)
            served, batch = self._make(makers, served, wanted, adventure, rng)
            if not batch:
                del left[arm]
                stage = f"nothing in the profile says anything to {arm.model} by {arm.condition}"
                yield CreationStep(progress=CreationProgress(made, admitted, refused, order.n, stage))
                continue
            made += len(batch)
            good: list[Batch] = []
            for one in batch:
                verdict = gates.judge(one.candidate)
                if verdict.admitted:
                    good.append(one)
                else:
                    refused += 1
                    yield CreationStep(creation=self._refuse(order, one, served, verdict))
            room = -(-(order.n - admitted) // len(left))
            for chosen in self._best(good, liked, tastes, taken, room):
                one = _with_words(chosen, words, recipe.candidates, rng)
                creation, item = self._admit(order, recipe, one, served, propensity)
                admitted += 1
                taken = np.concatenate([taken, serving.encode([item])])
                yield CreationStep(creation=creation, item=item)
            self._compared.ended(served)
            stage = f"{served.arm.model} by {served.arm.condition}"
            yield CreationStep(progress=CreationProgress(made, admitted, refused, order.n, stage))

    def _words(self, recipe: CreationRecipe, gates: Gates, tastes: NDArray[np.float32]) -> Words | None:
        if not recipe.describe_with:
            return None
        studio = self._needed_studio()
        found = arms_of(studio.models(), [recipe.describe_with], "text")
        if not found:
            raise NotFoundError(
                f"generate.describe_with is {recipe.describe_with!r}, and no text model has that name; "
                "`aigc generator list` shows them",
                reason="MODEL_NOT_FOUND",
            )
        return Words(studio, found[0][1], gates, tastes, self._live.serving.encode)

    def _make(
        self, makers: Makers, served: Assignment, n: int, adventure: float, rng: np.random.Generator
    ) -> tuple[Assignment, list[Batch]]:
        """Candidates, and who made them: where two versions are compared the other one stands in for one that fails."""
        try:
            return served, makers.make(served.arm, served.info, n, adventure, rng)
        except AigcError:
            other = self._compared.instead_of(served)
            if other is None:
                raise
        batch = makers.make(other.arm, other.info, n, adventure, rng)
        # Only now: where the generator is down, neither can work.
        self._compared.ended(served, failed=True)
        return other, batch

    def _best(
        self,
        good: Sequence[Batch],
        liked: Collection[str],
        tastes: NDArray[np.float32],
        taken: NDArray[np.float32],
        room: int,
    ) -> list[Batch]:
        """The best candidates of each condition's category, so that no taste fills all places."""
        if not good:
            return []
        items = [_draft(one, "x", hidden=False) for one in good]
        embeddings = self._live.serving.encode(items)
        order = rank_candidates(
            embeddings, tastes, [b.made.quality for b in good], [b.made.fluency for b in good], taken
        )
        queues: dict[str, list[Batch]] = {}
        for row in order.tolist():
            queues.setdefault(good[row].condition.category, []).append(good[row])
        places = places_by_category({c: len(q) for c, q in queues.items()}, room, liked)
        return [one for category, queue in queues.items() for one in queue[: places[category]]]

    def _admit(
        self, order: CreationOrder, recipe: CreationRecipe, one: Batch, served: Assignment, propensity: float
    ) -> tuple[Creation, Item]:
        creation_id = secrets.token_hex(12)
        pending = recipe.review == "before"
        item = _draft(one, creation_id, hidden=pending)
        if item.content is not None:
            label = implicit_label(creation_id, self._provider)
            content = ItemContent(
                item.content.media_type, label_file(item.content.media_type, item.content.data, label)
            )
            item = replace(item, content=content)
        creation = self._record(order, one, served, creation_id)
        creation = replace(
            creation,
            item_id=item.id,
            state=CreationState.PENDING if pending else CreationState.ADMITTED,
            recipe=dict(creation.recipe) | {"propensity": round(propensity * served.share, 6)},
        )
        # The record first: an item without one must never be shown.
        self._store.creations.put(creation)
        self._catalog.upsert([item])
        self._arms.own(item.id, served.arm.id)
        self._compared.made(creation)
        if not pending:
            self._records.introduce(item.id)
        return creation, item

    def _refuse(self, order: CreationOrder, one: Batch, served: Assignment, verdict: Verdict) -> Creation:
        creation = self._record(order, one, served, secrets.token_hex(12))
        creation = replace(creation, state=CreationState.REFUSED, reason=verdict.reason, detail=verdict.detail)
        self._store.creations.put(creation)
        self._compared.made(creation)
        return creation

    def _record(self, order: CreationOrder, one: Batch, served: Assignment, creation_id: str) -> Creation:
        return Creation(
            creation_id,
            order.user_id,
            CreationState.ADMITTED,
            one.candidate.kind,
            served.arm.model,
            served.arm.condition,
            dict(one.recipe) | dict(served.told),
            int(time.time() * 1000),
            title=one.candidate.title,
            source_item_ids=one.condition.sources,
            quality=one.made.quality,
        )

    def _needed_studio(self) -> Studio:
        if self.studio is None:
            raise ConflictError("no generator runs in this process; ask a running server", reason="NO_STUDIO")
        return self.studio


def _draft(one: Batch, creation_id: str, *, hidden: bool) -> Item:
    """The item that a candidate would become."""
    candidate, condition = one.candidate, one.condition
    categories = tuple(dict.fromkeys(c for c in (condition.category, candidate.label) if c))
    return Item(
        f"generated-{creation_id}",
        kind=candidate.kind,
        title=candidate.title,
        text=candidate.text,
        categories=categories,
        tags=tuple(dict.fromkeys(t for s in candidate.sources for t in s.tags))[:5],
        language=candidate.language,
        created_ms=int(time.time() * 1000),
        hidden=hidden,
        generated=True,
        attributes={LABEL_ATTRIBUTE: explicit_label(candidate.language), CREATION_ATTRIBUTE: creation_id},
        content=ItemContent("image/png", one.made.data) if candidate.kind == "image" else None,
    )


def _with_words(one: Batch, words: Words | None, n: int, rng: np.random.Generator) -> Batch:
    """A picture with a title and a description, where a text model writes them."""
    if words is None or one.candidate.kind != "image":
        return one
    candidate, recipe = words.describe(one.candidate, one.condition.caption, n, rng)
    return replace(one, candidate=candidate, recipe=dict(one.recipe) | ({"words": recipe} if recipe else {}))
