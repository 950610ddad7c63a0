"""ItemKNN: neighbours by what the same users liked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from aigc.errors import InvalidInputError
from aigc.kernel import top_k_similarity
from aigc.recommend.models.base import ItemItemLists

__all__ = ["ItemKnn", "weigh_interactions"]

Weighting = Literal["cosine", "tfidf", "bm25"]


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """Cosine between item columns (Sarwar et al. 2001), optionally re-weighted, with shrinkage.

    ``sim(i, j) = Σ_u x_ui x_uj / (‖x_i‖ ‖x_j‖ + shrinkage)``: the shrinkage pulls pairs that rest on few common users
    toward 0 (Koren 2008, section 2.2, in the form used for cosine).

    Attributes:
        k: Neighbours kept an item.
        weighting: ``cosine`` as is; ``tfidf`` damps items that everybody has; ``bm25`` also saturates and corrects
            for the length of a user's history (k1 = 1.2, b = 0.75; Robertson and Zaragoza 2009, section 3.5).
        shrinkage: In units of the product of norms; 0 for none.
    """

    k: int = 100
    weighting: Weighting = "cosine"
    shrinkage: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.k < 1:
            raise InvalidInputError(f"item_knn.k is {self.k}; give at least 1", field="item_knn.k")
        if self.weighting not in ("cosine", "tfidf", "bm25"):
            raise InvalidInputError(
                f"item_knn.weighting is {self.weighting!r}; give cosine, tfidf or bm25", field="item_knn.weighting"
            )
        if not 0 <= self.shrinkage < np.inf:
            raise InvalidInputError(
                f"item_knn.shrinkage is {self.shrinkage}; give 0 or more", field="item_knn.shrinkage"
            )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """See :class:`ItemItemModel`."""
        return {"model": "item_knn", **asdict(self)}

    def fit(self, interactions: sparse.csr_matrix) -> ItemItemLists:
        """See :class:`ItemItemModel`."""
        weighted = weigh_interactions(interactions, self.weighting)
        return ItemItemLists(
            *top_k_similarity(
                weighted.indptr.astype(np.int64),
                weighted.indices.astype(np.uint32),
                weighted.data.astype(np.float32),
                n_columns=weighted.shape[1],
                k=self.k,
                shrinkage=self.shrinkage,
                normalise=True,
            )
        )


def weigh_interactions(interactions: sparse.csr_matrix, weighting: Weighting) -> sparse.csr_matrix:
    """Users × items re-weighted; users play the part of documents, items that of terms.

    Returns:
        A new (m, n) float32 matrix of the same pattern.
    """
    weighted = interactions.astype(np.float32, copy=True)
    if weighting == "cosine" or weighted.nnz == 0:
        return weighted
    m = weighted.shape[0]
    item_users = np.bincount(weighted.indices, minlength=weighted.shape[1])
    if weighting == "tfidf":
        idf = np.log1p(m / np.maximum(item_users, 1))
        weighted.data = np.sqrt(weighted.data) * idf[weighted.indices].astype(np.float32)
        return weighted
    k1, b = 1.2, 0.75
    idf = np.log1p((m - item_users + 0.5) / (item_users + 0.5))
    lengths = np.asarray(weighted.sum(axis=1)).ravel()
    norm = 1 - b + b * lengths / max(float(lengths.mean()), 1e-12)
    row_norm = np.repeat(norm, np.diff(weighted.indptr)).astype(np.float32)
    saturated = weighted.data * (k1 + 1) / (k1 * row_norm + weighted.data)
    weighted.data = (saturated * idf[weighted.indices]).astype(np.float32)
    return weighted
