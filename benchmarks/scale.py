"""How memory, opening and latency grow: 10 k, 100 k and 1 M items × 64 dimensions, as many users with 50 events each.

The world is synthetic and skewed as real data are: items are drawn by a power law, and the three item–item models have
50 neighbours an item, drawn the same way. Each size is opened and asked in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.index.manifest import Manifest
from aigc.index.snapshot import SnapshotFolder
from aigc.kernel import Engine, Query, State, build_id_slots
from aigc.recommend.strategy_book import StrategyBook

D, EVENTS, K, REQUESTS = 64, 50, 50, 2000
MODELS = ("ease", "item_knn", "content")


def ids(prefix: str, n: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """``prefix0000001`` …, all of one length."""
    text = np.char.add(prefix, np.char.zfill(np.arange(n).astype("U7"), 7)).astype("S")
    return np.arange(n + 1, dtype=np.int64) * text.itemsize, np.frombuffer(text.tobytes(), np.uint8)


def world(n: int, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """All arrays of a snapshot with n items and n users."""
    rng = np.random.default_rng(seed)

    def skewed(count: int) -> NDArray[np.uint32]:
        # A power law with exponent 0.8 through its inverse distribution.
        return np.minimum(n * rng.random(count) ** 5, n - 1).astype(np.uint32)

    item_offsets, item_bytes = ids("item-", n)
    user_offsets, user_bytes = ids("user-", n)
    embeddings = rng.normal(size=(n, D)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    history = skewed(n * EVENTS).reshape(n, EVENTS)
    users_of = np.bincount(history.ravel(), minlength=n)
    idf = np.log1p(n / np.maximum(users_of, 1)).astype(np.float32)
    order = np.argsort(history.ravel(), kind="stable")
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(users_of, out=starts[1:])
    keep = np.arange(n * EVENTS) - starts[history.ravel()[order]] < 512
    capped = np.zeros(n + 1, np.int64)
    np.cumsum(np.minimum(users_of, 512), out=capped[1:])
    row_offsets = np.arange(n + 1, dtype=np.int64)
    arrays: dict[str, NDArray[np.generic]] = {
        "item_id_offsets": item_offsets,
        "item_id_bytes": item_bytes,
        "item_id_slots": build_id_slots(item_offsets, item_bytes),
        "item_title_offsets": item_offsets,
        "item_title_bytes": item_bytes,
        "item_kinds": np.zeros(n, np.uint8),
        "item_category_offsets": row_offsets,
        "item_categories": rng.integers(0, 50, n).astype(np.uint32),
        "item_flags": np.zeros(n, np.uint8),
        "item_created": rng.integers(1_500_000_000_000, 1_760_000_000_000, n),
        "item_embeddings": embeddings,
        "item_popularity": users_of.astype(np.float32),
        "popular_order": np.argsort(-users_of, kind="stable").astype(np.uint32),
        "item_idf": idf,
        "user_id_offsets": user_offsets,
        "user_id_bytes": user_bytes,
        "user_id_slots": build_id_slots(user_offsets, user_bytes),
        "history_offsets": row_offsets * EVENTS,
        "history_items": history.ravel(),
        "history_weights": np.ones(n * EVENTS, np.float32),
        "history_times": np.tile(np.arange(EVENTS, dtype=np.uint32) + 1_700_000_000, n),
        "seen_offsets": row_offsets * EVENTS,
        "seen_items": np.sort(history, axis=1).ravel(),
        "item_user_offsets": capped,
        "item_users": (order[keep] // EVENTS).astype(np.uint32),
        "user_norms": np.sqrt((idf[history] ** 2).sum(axis=1)).astype(np.float32),
    }
    arrays["fresh_order"] = np.argsort(-arrays["item_created"].astype(np.int64), kind="stable").astype(np.uint32)
    for model in MODELS:
        arrays[f"model_{model}_offsets"] = row_offsets * K
        arrays[f"model_{model}_items"] = skewed(n * K)
        weights = -np.sort(-rng.random((n, K)).astype(np.float32), axis=1)
        arrays[f"model_{model}_weights"] = weights.ravel()
    return arrays


def build(n: int, root: Path) -> None:
    """Write and publish the snapshot."""
    manifest = Manifest(
        id="scale",
        created_ms=0,
        counts={"items": n, "users": n, "events": n * EVENTS},
        embedding_size=D,
        kinds=["text"],
        categories=[f"c{i}" for i in range(50)],
        models={m: {"version": "0", "parameters": {}} for m in MODELS},
        encoder={},
        event_seq=0,
        item_revision=0,
    )
    folder = SnapshotFolder(root)
    folder.write(manifest, world(n))
    folder.publish("scale")


def resident_mb() -> tuple[float, float]:
    """Private and shared (the mapped snapshot) resident memory of this process, in MB."""
    fields = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "RssFile"):
            fields[name] = int(value.split()[0]) / 1024
    return fields["RssAnon"], fields["RssFile"]


def ask(root: Path) -> None:
    """Open, ask one request at a time, print one row of the table."""
    before = resident_mb()
    started = time.perf_counter()
    opened = SnapshotFolder(root).open()
    verified = time.perf_counter()
    state = State(
        opened.arrays,
        models=list(MODELS),
        kinds=opened.manifest.kinds,
        categories=opened.manifest.categories,
        embedding_size=D,
        verify=False,
    )
    engine = Engine()
    engine.publish(state)
    ready = time.perf_counter()
    n = opened.manifest.counts["items"]
    plan = StrategyBook(root / "none").choose("default", "").plan
    rng = np.random.default_rng(1)
    now = int(time.time() * 1000)
    users = [f"user-{u:07d}" for u in rng.integers(0, n, REQUESTS + 200)]
    times = []
    for user in users:
        query = Query(now_ms=now, user_id=user, n=20)
        begin = time.perf_counter()
        results = engine.recommend([query], plan)
        times.append(time.perf_counter() - begin)
        assert results.counts[0] == 20
    p50, p99 = np.percentile(times[200:], [50, 99]) * 1e3
    after = resident_mb()
    print(
        f"| {n:,} | {opened.manifest.bytes / 1e6:,.0f} | {verified - started:.2f} | {ready - verified:.2f} | "
        f"{after[0] - before[0]:,.0f} | {after[1] - before[1]:,.0f} | {p50:.3f} | {p99:.3f} |",
        flush=True,
    )


def main() -> None:
    """Build and ask each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        ask(arguments.ask)
        return
    print("| items = users | snapshot MB | verify s | map s | private MB | mapped MB | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for n in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            build(n, Path(folder))
            subprocess.run([sys.executable, __file__, "--ask", folder], check=True)


if __name__ == "__main__":
    main()
