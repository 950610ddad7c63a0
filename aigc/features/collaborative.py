"""Content and audience side by side: a head that maps content embeddings toward behaviour embeddings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aigc.entities import Item
from aigc.features.base import Encoder
from aigc.features.saved import unit_rows

__all__ = ["CollaborativeEncoder"]

_RIDGE = 10.0
_MAX_WEIGHT = 50.0
_MIN_ITEMS = 100
_MAX_USERS = 200_000


class CollaborativeEncoder:
    """The content encoder's block, and beside it where the item's audience is, as far as content tells.

    The behaviour embedding of an item is its row in the truncated SVD of the users × items matrix, whose columns are
    scaled by the root of their length so that popularity does not rule. A ridge regression, weighted by how many users
    an item has, maps content to it (as in Gantner et al. 2010). An item with an audience of its own has its own
    behaviour embedding in the snapshot; a new one has the predicted, and so starts near its future audience.
    """

    name = "collaborative"

    def __init__(self, content: Encoder, head: NDArray[np.float32], weight: float) -> None:
        """Args: content: the other block; head: (content size + 1, behaviour size) float32; weight: of the head."""
        self.content = content
        self._head = head
        self._weight = weight
        described = json.dumps([content.version, weight]).encode() + np.ascontiguousarray(head).tobytes()
        self.version = hashlib.sha256(described).hexdigest()[:12]

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return self.content.embedding_size + int(self._head.shape[1])

    @classmethod
    def fit(
        cls,
        content: Encoder,
        embeddings: NDArray[np.float32],
        matrix: sparse.csr_matrix,
        *,
        embedding_size: int,
        weight: float,
        seed: int = 0,
    ) -> tuple[CollaborativeEncoder, NDArray[np.float32]] | None:
        """The encoder, and the (n, content size + embedding_size) embeddings of the items it was fitted on.

        None when there is too little behaviour to learn from: fewer than 100 items that two users liked.

        Args:
            content: Fitted.
            embeddings: (n, content size) float32, what it makes of the n items.
            matrix: Users × the n items, positive weights.
            embedding_size: Of the behaviour block.
            weight: Of the behaviour block, in (0, 1); the content block has the rest.
            seed: Of the decomposition.
        """
        # Slow to import, and needed for fitting only.
        from sklearn.utils.extmath import randomized_svd

        users = np.bincount(matrix.indices, minlength=matrix.shape[1])
        shared = np.flatnonzero(users >= 2)
        if len(shared) < max(_MIN_ITEMS, embedding_size) or matrix.shape[0] <= embedding_size:
            return None
        audience = np.flatnonzero(users >= 1)
        chosen = matrix[: min(matrix.shape[0], _MAX_USERS), audience]
        scaled = chosen @ sparse.diags(1 / np.sqrt(np.maximum(users[audience], 1)))
        _, strength, directions = randomized_svd(scaled, embedding_size, random_state=seed)
        behaviour = unit_rows(directions.T * strength)
        described = np.linalg.norm(embeddings[audience], axis=1) > 0
        inputs = _with_bias(embeddings[audience][described])
        trust = np.minimum(users[audience][described], _MAX_WEIGHT)[:, None]
        gram = inputs.T @ (inputs * trust) + _RIDGE * np.eye(inputs.shape[1])
        target = (directions.T * strength)[described]
        head = np.linalg.solve(gram, inputs.T @ (target * trust)).astype(np.float32)
        encoder = cls(content, head, weight)
        blocks = encoder._predict(embeddings)
        blocks[audience] = behaviour
        return encoder, encoder._join(embeddings, blocks)

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        content = self.content.encode(items)
        return self._join(content, self._predict(content))

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Words are looked for in the content alone."""
        content = self.content.encode_text(texts)
        return np.concatenate([content, np.zeros((len(texts), self._head.shape[1]), np.float32)], axis=1)

    def save(self, folder: Path) -> None:
        """See :class:`Encoder`."""
        settings = {"encoder": self.name, "weight": self._weight}
        (folder / "encoder.json").write_text(json.dumps(settings), encoding="utf-8")
        np.save(folder / "head.npy", self._head, allow_pickle=False)
        (folder / "content").mkdir()
        self.content.save(folder / "content")

    def _predict(self, content: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit rows, zeros where there is no content to predict from."""
        predicted = unit_rows(_with_bias(content) @ self._head.astype(np.float64))
        predicted[~content.any(axis=1)] = 0.0
        return predicted

    def _join(self, content: NDArray[np.float32], behaviour: NDArray[np.float32]) -> NDArray[np.float32]:
        blocks = [content * np.sqrt(1 - self._weight), behaviour * np.sqrt(self._weight)]
        return unit_rows(np.concatenate(blocks, axis=1))


def _with_bias(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.concatenate([rows.astype(np.float64), np.ones((len(rows), 1))], axis=1)
