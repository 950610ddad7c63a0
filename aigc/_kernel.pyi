"""The C++ extension: the Engine, and the numeric kernels it is built from."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

# --- instruction sets -------------------------------------------------------------------------

def simd_levels() -> list[str]: ...
def simd_level() -> str: ...
def set_simd_level(level: str) -> None: ...

# --- numeric kernels --------------------------------------------------------------------------

def exact_search(
    base: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
def top_k_similarity(
    offsets: NDArray[np.int64],
    columns: NDArray[np.uint32],
    values: NDArray[np.float32],
    n_columns: int,
    k: int,
    shrinkage: float,
    normalise: bool,
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]: ...
def top_k_rows(
    matrix: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]: ...
def mmr(
    relevance: NDArray[np.float32], embeddings: NDArray[np.float32], n: int, diversity: float
) -> NDArray[np.int32]: ...
def dpp(
    relevance: NDArray[np.float32], embeddings: NDArray[np.float32], n: int, diversity: float
) -> NDArray[np.int32]: ...

# --- id tables --------------------------------------------------------------------------------

def build_id_slots(offsets: NDArray[np.int64], characters: NDArray[np.uint8]) -> NDArray[np.uint32]: ...

# --- engine -----------------------------------------------------------------------------------

@final
class Source:
    def __init__(
        self,
        *,
        kind: str,
        name: str,
        weight: float = 1.0,
        limit: int = 200,
        min_share: float = 0.0,
        max_share: float = 1.0,
        fallback: bool = False,
    ) -> None: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...

@final
class Plan:
    def __init__(
        self,
        *,
        sources: Sequence[Source],
        calibration: str = "max",
        reranker: str = "none",
        diversity: float = 0.0,
        rerank_candidates: int = 200,
        history_limit: int = 100,
        half_life_days: float = 0.0,
        fresh_half_life_days: float = 30.0,
        user_neighbours: int = 50,
        max_generated_share: float = 1.0,
    ) -> None: ...

@final
class Query:
    def __init__(
        self,
        *,
        now_ms: int,
        user_id: str = "",
        n: int = 20,
        categories: Sequence[str] = (),
        kinds: Sequence[str] = (),
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        context_item: str = "",
        exclude_seen: bool = True,
        personalised: bool = True,
        explain: bool = False,
        diversity: float | None = None,
        vector_rows: NDArray[np.uint32] | None = None,
        vector_scores: NDArray[np.float32] | None = None,
    ) -> None: ...

@final
class Results:
    """Structure of arrays: b queries, n = the largest n asked for, s = the plan's sources, h = 3 neighbours."""

    @property
    def state(self) -> State: ...  # what the rows refer to; the engine may hold a newer one by now
    @property
    def counts(self) -> NDArray[np.int32]: ...  # (b,)
    @property
    def rows(self) -> NDArray[np.uint32]: ...  # (b, n)
    @property
    def scores(self) -> NDArray[np.float32]: ...  # (b, n)
    @property
    def shares(self) -> NDArray[np.float32]: ...  # (b, n, s), empty unless a query asked to explain
    @property
    def neighbour_items(self) -> NDArray[np.int64]: ...  # (b, n, h), item rows, -1 for none
    @property
    def neighbour_item_shares(self) -> NDArray[np.float32]: ...  # (b, n, h)
    @property
    def neighbour_users(self) -> list[list[list[tuple[str, float]]]]: ...  # [b][n][≤ h], id and share

@final
class State:
    """One snapshot and the delta on top of it."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.generic]],
        *,
        models: Sequence[str],
        kinds: Sequence[str],
        categories: Sequence[str],
        embedding_size: int,
        verify: bool = True,
    ) -> None: ...
    @property
    def embedding_size(self) -> int: ...
    def apply_events(
        self,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        weights: NDArray[np.float32],
        times_ms: NDArray[np.int64],
    ) -> int: ...
    def upsert_items(
        self,
        ids: Sequence[str],
        titles: Sequence[str],
        kinds: Sequence[str],
        categories: Sequence[Sequence[str]],
        hidden: NDArray[np.bool_],
        generated: NDArray[np.bool_],
        created_ms: NDArray[np.int64],
        embeddings: NDArray[np.float32],
    ) -> NDArray[np.uint32]: ...
    def delete_items(self, ids: Sequence[str]) -> int: ...
    def set_preferences(
        self,
        user_id: str,
        interests: Mapping[str, float],
        dislikes: Sequence[str],
        allow_generated: bool,
        allow_personalisation: bool,
    ) -> None: ...
    def item_row(self, item_id: str) -> int: ...  # -1 when unknown or deleted
    def has_user(self, user_id: str) -> bool: ...
    def item_ids(self, rows: NDArray[np.uint32]) -> list[str]: ...
    def item_titles(self, rows: NDArray[np.uint32]) -> list[str]: ...
    def item_kinds(self, rows: NDArray[np.uint32]) -> list[str]: ...
    def generated(self, rows: NDArray[np.uint32]) -> NDArray[np.bool_]: ...
    def visible(self, rows: NDArray[np.uint32]) -> NDArray[np.bool_]: ...
    def embeddings(self, rows: NDArray[np.uint32]) -> NDArray[np.float32]: ...
    def history(
        self, user_id: str
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]: ...  # oldest first
    def search_delta(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...  # rows of the new or changed items, -1 padded
    def stats(self) -> dict[str, int]: ...

@final
class Engine:
    def __init__(self) -> None: ...
    def publish(self, state: State) -> None: ...
    @property
    def state(self) -> State: ...
    def recommend(self, queries: Sequence[Query], plan: Plan) -> Results: ...
    def user_vectors(
        self, user_ids: Sequence[str], *, history_limit: int = 100, half_life_days: float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]: ...
    def similar_users(self, user_id: str, n: int) -> tuple[list[str], NDArray[np.float32]]: ...

# --- text -------------------------------------------------------------------------------------

@final
class TextDecoder:
    def __init__(
        self,
        *,
        heads: int,
        key_heads: int,
        head_size: int,
        width: int,
        hidden: int,
        vocabulary: int,
        context: int,
        slots: int,
        gated: bool,
        epsilon: float,
        embedding: NDArray[np.float32],
        layers: Sequence[Mapping[str, NDArray[np.float32]]],
        norm: NDArray[np.float32],
        head: NDArray[np.float32],
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
        threads: int,
    ) -> None: ...
    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> NDArray[np.float32]: ...
    def copy(self, source: int, target: int, length: int) -> None: ...
