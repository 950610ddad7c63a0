"""Recommendation, similarity and search over what is serving now."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Recommendation, RecommendedItem
from aigc.errors import InvalidInputError, NotFoundError
from aigc.kernel import Query
from aigc.recommend.explain import ranked_items
from aigc.recommend.live import Live, Serving
from aigc.recommend.request import RecommendRequest, SearchRequest
from aigc.recommend.search import find
from aigc.recommend.similar import SIMILAR
from aigc.recommend.strategy_book import Choice, StrategyBook
from aigc.services.answer_log import AnswerLog
from aigc.services.exploring import Explorer
from aigc.services.exposure import Exposure
from aigc.services.learning_paths import LearningPaths
from aigc.services.limits import Limits
from aigc.services.observer import Observer
from aigc.services.worth import Worth

__all__ = ["Recommender"]


class Recommender:
    """Answers from the Engine; thread-safe, reads nothing from the store."""

    def __init__(
        self,
        live: Live,
        strategies: StrategyBook,
        limits: Limits,
        log: AnswerLog | None,
        exposure: Exposure,
        explorer: Explorer,
        paths: LearningPaths,
        worth: Worth,
    ) -> None:
        """Wire.

        Args:
            live: What serves.
            strategies: The recipes.
            limits: What a call may hold.
            log: Keeps the answers.
            exposure: Counts what is shown, so that generated items keep their share over time.
            explorer: Lets new generated items be tried.
            paths: Knows what a learner is not ready for.
            worth: Knows how generated items do beside the rest.
        """
        self._live = live
        self._strategies = strategies
        self._limits = limits
        self._log = log
        self._exposure = exposure
        self._explorer = explorer
        self._paths = paths
        self._worth = worth
        self._similar_plan = SIMILAR.plan()
        self.observer = Observer()

    def recommend(self, request: RecommendRequest) -> Recommendation:
        """One answer.

        Raises:
            InvalidInputError: Names the field, the value and what is allowed.
            NotFoundError: No such strategy.
        """
        self._check(request, "")
        return self._answer([request], self._strategies.choose(request.strategy, request.user_id))[0]

    def peek(self, request: RecommendRequest) -> tuple[RecommendedItem, ...]:
        """The items of an answer that nobody sees, so that it is not logged."""
        self._check(request, "")
        choice = self._strategies.choose(request.strategy, request.user_id)
        return self._answer([request], choice, log=False)[0].items

    def recommend_batch(self, requests: Sequence[RecommendRequest]) -> list[Recommendation]:
        """Many answers, in the order of the requests; one Engine call for each strategy among them."""
        self._limits.check_count(requests, "requests")
        by_choice: dict[str, tuple[Choice, list[int]]] = {}
        for i, request in enumerate(requests):
            self._check(request, f"requests[{i}].")
            choice = self._strategies.choose(request.strategy, request.user_id)
            by_choice.setdefault(f"{choice.experiment}\0{choice.strategy.name}", (choice, []))[1].append(i)
        answers: list[Recommendation | None] = [None] * len(requests)
        for choice, rows in by_choice.values():
            for row, answer in zip(rows, self._answer([requests[r] for r in rows], choice), strict=True):
                answers[row] = answer
        return [answer for answer in answers if answer is not None]

    def similar_items(
        self, item_id: str, n: int, *, categories: Sequence[str] = (), kinds: Sequence[str] = ()
    ) -> list[RecommendedItem]:
        """Items near one item, by content and by what the same users liked.

        Raises:
            NotFoundError: No such item.
        """
        self._limits.check_id(item_id, "item_id")
        self._limits.check_n(n)
        serving = self._live.serving
        if serving.state.item_row(item_id) < 0:
            raise NotFoundError(
                f"item {item_id!r} is not in the catalogue", reason="ITEM_NOT_FOUND", metadata={"item_id": item_id}
            )
        query = Query(
            now_ms=int(time.time() * 1000),
            n=n,
            context_item=item_id,
            categories=list(categories),
            kinds=list(kinds),
            personalised=False,
        )
        results = self._live.engine.recommend([query], self._similar_plan)
        return ranked_items(results, 0, SIMILAR, explain=False)

    def similar_users(self, user_id: str, n: int) -> list[tuple[str, float]]:
        """Users whose positive histories overlap with this one's, with their similarity in (0, 1], best first."""
        self._limits.check_id(user_id, "user_id")
        self._limits.check_n(n)
        users, scores = self._live.engine.similar_users(user_id, n)
        return list(zip(users, scores.tolist(), strict=True))

    def search(self, request: SearchRequest) -> list[RecommendedItem]:
        """Items nearest to words or to an embedding; the score is the cosine.

        Raises:
            InvalidInputError: Neither or both were given, or the embedding is of another size or not finite.
        """
        self._limits.check_n(request.n)
        self._limits.check_names(request.categories, "categories")
        self._limits.check_names(request.kinds, "kinds")
        serving = self._live.serving
        return find(self._live.engine, serving, self._search_vector(serving, request), request)

    def _search_vector(self, serving: Serving, request: SearchRequest) -> NDArray[np.float32]:
        if bool(request.text) == bool(request.vector):
            raise InvalidInputError("give either text or vector to search by, not both or neither", field="query")
        if serving.manifest is None or serving.encoder is None:
            raise NotFoundError(
                "there is no snapshot to search yet; build one with `aigc train` or BuildSnapshot",
                reason="NO_SNAPSHOT",
            )
        if request.text:
            self._limits.check_text(request.text, "text")
            return serving.encoder.encode_text([request.text])
        size = serving.encoder.embedding_size
        if len(request.vector) != size:
            raise InvalidInputError(
                f"vector has {len(request.vector)} numbers; this catalogue's embeddings have {size}",
                field="vector",
                reason="WRONG_DIMENSION",
            )
        vector = np.array([request.vector], np.float32)
        norm = float(np.linalg.norm(vector))
        if not (math.isfinite(norm) and norm > 0):
            raise InvalidInputError("vector must be finite and not all zero", field="vector")
        return vector / np.float32(norm)

    def _answer(
        self, requests: Sequence[RecommendRequest], choice: Choice, *, log: bool = True
    ) -> list[Recommendation]:
        serving = self._live.serving
        now_ms = int(time.time() * 1000)
        strategy, plan = choice.strategy, choice.plan
        if strategy.learning.enabled:
            requests = [
                replace(r, deny=(*r.deny, *self._paths.blocked(r.user_id, strategy.learning))) for r in requests
            ]
        began = time.perf_counter()
        queries = self._queries(serving, requests, choice, now_ms)
        wanted = sum(request.n for request in requests)
        room = self._exposure.room(strategy.generate.share_over_time, strategy.generate.share_hours, max(1, wanted))
        cap = min(strategy.max_generated_share, room)
        if strategy.generate.enabled and strategy.generate.adapt_share:
            cap *= self._worth.factor()
        if cap < strategy.max_generated_share:
            plan = replace(strategy, max_generated_share=cap).plan()
        asked = time.perf_counter()
        results = self._live.engine.recommend(queries, plan)
        found = time.perf_counter()
        answers = []
        for i, request in enumerate(requests):
            answer_id = secrets.token_hex(12)
            items = tuple(ranked_items(results, i, strategy, explain=request.explain))
            tried: Mapping[str, float] = {}
            if log and strategy.generate.explore_slots:
                items, tried = self._explorer.apply(items, request, strategy, serving, int(answer_id, 16) >> 34, cap)
            answer = Recommendation(
                id=answer_id,
                user_id=request.user_id,
                items=items,
                strategy=strategy.name,
                experiment=choice.experiment,
                snapshot=serving.snapshot_id,
                models=serving.models,
            )
            if log:
                self._exposure.note(items)
            if log and self._log is not None:
                self._log.add(answer, now_ms, tried)
            answers.append(answer)
        self.observer.answered(
            len(answers),
            {"vectors": asked - began, "engine": found - asked, "assemble": time.perf_counter() - found},
            sum(len(answer.items) for answer in answers),
            sum(item.generated for answer in answers for item in answer.items),
        )
        return answers

    def _queries(
        self, serving: Serving, requests: Sequence[RecommendRequest], choice: Choice, now_ms: int
    ) -> list[Query]:
        strategy = choice.strategy
        vector_limit = max((s.limit for s in strategy.sources if s.kind == "vector"), default=0)
        near: list[tuple[NDArray[np.uint32], NDArray[np.float32]] | None] = [None] * len(requests)
        if vector_limit and serving.index is not None:
            vectors, present = self._live.engine.user_vectors(
                [r.user_id if r.personalised else "" for r in requests],
                history_limit=strategy.history_limit,
                half_life_days=strategy.half_life_days,
            )
            if present.any() and vectors.shape[1] == serving.state.embedding_size:
                for i in np.flatnonzero(present).tolist():
                    # One by one: the last bit of a score must not depend on the company, or ties would break by it.
                    rows, scores = serving.index.search(vectors[i : i + 1], vector_limit)
                    good = rows[0] >= 0
                    near[i] = rows[0][good].astype(np.uint32), scores[0][good]
        return [
            Query(
                now_ms=now_ms,
                user_id=r.user_id,
                n=r.n,
                categories=list(r.categories),
                kinds=list(r.kinds),
                allow=list(r.allow),
                deny=list(r.deny),
                context_item=r.context_item,
                exclude_seen=r.exclude_seen,
                personalised=r.personalised,
                explain=r.explain,
                diversity=r.diversity,
                vector_rows=found[0] if found else None,
                vector_scores=found[1] if found else None,
            )
            for r, found in zip(requests, near, strict=True)
        ]

    def _check(self, request: RecommendRequest, path: str) -> None:
        limits = self._limits
        limits.check_n(request.n, f"{path}n")
        if request.user_id:
            limits.check_id(request.user_id, f"{path}user_id")
        if request.context_item:
            limits.check_id(request.context_item, f"{path}context_item_id")
        limits.check_names(request.categories, f"{path}categories")
        limits.check_names(request.kinds, f"{path}kinds")
        limits.check_names(request.allow, f"{path}allow_item_ids")
        limits.check_names(request.deny, f"{path}deny_item_ids")
        if request.diversity is not None:
            limits.check_share(request.diversity, f"{path}diversity")
