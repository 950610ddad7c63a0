"""The graph and the inverted lists, which large catalogues get, agree with the exact scan that small ones get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aigc.errors import CorruptDataError
from aigc.index import vector_index
from aigc.index.vector_index import VectorIndex, build_neighbours


def unit(n: int, d: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_graph_finds_what_the_scan_finds(tmp_path: Path) -> None:
    base, queries = unit(2000, 16, 0), unit(20, 16, 1)
    VectorIndex.build(base, tmp_path)
    assert not list(tmp_path.iterdir()), "a small catalogue needs no graph"
    exact, scores = VectorIndex.open(base, tmp_path).search(queries, 10)
    VectorIndex.build(base, tmp_path, threshold=1000)
    near, near_scores = VectorIndex.open(base, tmp_path).search(queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), near.tolist(), strict=True)])
    assert recall > 0.9
    np.testing.assert_allclose(near_scores[:, 0], scores[:, 0], atol=0.05)
    with pytest.raises(CorruptDataError, match="2000 vectors of 16 dimensions"):
        VectorIndex.open(base[:-1], tmp_path)


def test_more_neighbours_than_items_are_padded(tmp_path: Path) -> None:
    rows, _ = VectorIndex.open(unit(3, 4, 0), tmp_path).search(unit(1, 4, 1), 5)
    assert sorted(rows[0].tolist()) == [-1, -1, 0, 1, 2]


@pytest.mark.parametrize("large", [False, True])
def test_content_neighbours_are_the_nearest_others(monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    if large:
        monkeypatch.setattr(vector_index, "GRAPH_THRESHOLD", 1000)
    base = unit(3000, 8, 0)
    base[5] = 0
    offsets, rows, weights = build_neighbours(base, 10)
    cosines = base @ base.T
    np.fill_diagonal(cosines, -1)
    hits = total = 0
    for i in range(0, 3000, 50):
        got = rows[offsets[i] : offsets[i + 1]]
        assert i not in got
        assert 5 not in got
        np.testing.assert_allclose(weights[offsets[i] : offsets[i + 1]], cosines[i, got], atol=1e-5)
        hits += len(set(got.tolist()) & set(np.argsort(-cosines[i])[:10].tolist()))
        total += 10
    assert offsets[6] == offsets[5], "what has no content has no neighbours"
    assert hits / total > (0.85 if large else 0.999)


def test_nothing_and_one_have_no_neighbours() -> None:
    for base in (np.zeros((0, 4), np.float32), np.zeros((3, 4), np.float32), unit(1, 4, 0)):
        offsets, rows, _ = build_neighbours(base, 5)
        assert offsets.tolist() == [0] * (len(base) + 1)
        assert len(rows) == 0
