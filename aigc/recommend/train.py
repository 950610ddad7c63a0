"""Train everything that serving needs and write it as a snapshot."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.features.base import Encoder
from aigc.features.blend_weights import learn_weights
from aigc.features.collaborative import CollaborativeEncoder
from aigc.features.registry import fit_encoder
from aigc.features.topics import TopicClassifier
from aigc.index.manifest import Manifest
from aigc.index.snapshot import SnapshotFolder
from aigc.index.vector_index import VectorIndex, build_neighbours
from aigc.prepare.bots import BotFinding, find_bots
from aigc.profiles.interactions import Interactions, collect_interactions
from aigc.profiles.weights import EventWeights
from aigc.recommend.models import ItemItemLists, ItemItemModel
from aigc.recommend.tables import item_tables, user_tables
from aigc.recommend.train_options import TrainOptions
from aigc.store.base import Store

__all__ = ["FLAGGED_USERS", "TrainProgress", "train"]

_ENCODE_BATCH = 2000
FLAGGED_USERS = "flagged_users.json"


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """One step forward.

    Attributes:
        stage: What is being done now, in words.
        fraction: Of the whole, in [0, 1].
        snapshot_id: Set on the last step only: the published snapshot.
    """

    stage: str
    fraction: float
    snapshot_id: str = ""


def train(
    store: Store,
    folder: SnapshotFolder,
    options: TrainOptions,
    weights: EventWeights,
    *,
    keep: int = 3,
    text_encoder: Encoder | None = None,
) -> Iterator[TrainProgress]:
    """Build a snapshot of all that is stored now, publish it, and remove old ones.

    Closing the iterator before its end cancels the build and leaves what is published as it was.

    Args:
        store: Read only.
        folder: Where to.
        options: What to train.
        weights: What each event type is worth.
        keep: Snapshots to keep, the new one included.
        text_encoder: Makes the text block of the embeddings, in place of one fitted on the catalogue's words.

    Raises:
        InvalidInputError: The store holds no item.
        ResourceExhaustedError: The disk is full.
    """
    yield TrainProgress("reading items", 0.0)
    positions = store.positions()
    items = [entry for batch in store.iterate_items() for _, entry in batch if isinstance(entry, Item)]
    if not items:
        raise InvalidInputError(
            "the store holds no item, so there is nothing to train on; import some with `aigc import`",
            reason="EMPTY_CATALOGUE",
        )
    kinds = sorted({i.kind for i in items})
    if len(kinds) > 255:
        raise InvalidInputError(f"the catalogue has {len(kinds)} kinds; a snapshot holds 255 at most", field="kind")
    categories = sorted({c for i in items for c in i.categories})

    yield TrainProgress("fitting the encoder", 0.1)
    blend = fit_encoder(
        items,
        store.iterate_contents,
        text_size=options.text_size,
        image_size=options.image_size,
        sound_size=options.sound_size,
        weights=options.modality_weights,
        seed=options.seed,
        text_encoder=text_encoder,
    )
    embeddings = np.empty((len(items), blend.embedding_size), np.float32)
    for start in range(0, len(items), _ENCODE_BATCH):
        batch = items[start : start + _ENCODE_BATCH]
        yield TrainProgress("encoding items", 0.2 + 0.15 * start / len(items))
        complete = store.get_items([i.id for i in batch], with_content=True)
        embeddings[start : start + len(batch)] = blend.encode([complete.get(i.id, i) for i in batch])

    yield TrainProgress("reading events", 0.35)
    rows = {item.id: row for row, item in enumerate(items)}
    interactions = collect_interactions(store.iterate_events(), rows, weights)
    flagged = _find_bots(interactions, len(items)) if options.leave_out_bots else []
    trusted = interactions.without({finding.user for finding in flagged})
    matrix = trusted.matrix(len(items))
    weights_from = "settings" if options.modality_weights else "even"
    if len(blend.parts) > 1 and not options.modality_weights:
        yield TrainProgress("weighing the modalities", 0.38)
        blocks = blend.blocks(embeddings)
        learned = learn_weights(blocks, items, matrix, options.seed)
        if learned is not None:
            blend, weights_from = blend.weighed(learned.weights), learned.source
            embeddings = blend.join(blocks)
    content_embeddings, encoder = embeddings, cast("Encoder", blend)
    if options.collaborative_size:
        yield TrainProgress("fitting the collaborative head", 0.4)
        fitted = CollaborativeEncoder.fit(
            encoder,
            embeddings,
            matrix,
            embedding_size=options.collaborative_size,
            weight=options.collaborative_weight,
            seed=options.seed,
        )
        if fitted is not None:
            encoder, embeddings = fitted
    arrays = item_tables(items, kinds, categories, embeddings)
    arrays |= user_tables(
        interactions,
        len(items),
        trusted=trusted,
        history_limit=options.history_limit,
        item_users_limit=options.item_users_limit,
        popularity_half_life_days=options.popularity_half_life_days,
    )

    models: dict[str, dict[str, Any]] = {}
    recipes: list[tuple[str, ItemItemModel, float]] = [
        ("item_knn", options.item_knn, 0.45),
        ("ease", options.ease, 0.55),
    ]
    for name, recipe, fraction in recipes:
        yield TrainProgress(f"training {name}", fraction)
        _add_model(arrays, models, name, recipe.fit(matrix), dict(recipe.parameters))
    yield TrainProgress("finding content neighbours", 0.75)
    content = ItemItemLists(*build_neighbours(content_embeddings, options.content_k))
    _add_model(arrays, models, "content", content, {"model": "content", "k": options.content_k})

    yield TrainProgress("learning the topics", 0.8)
    topics = TopicClassifier.fit(items, seed=options.seed)

    yield TrainProgress("writing the snapshot", 0.85)
    now = time.time()
    manifest = Manifest(
        id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{int(now * 1000) % 1000:03d}-{secrets.token_hex(2)}",
        created_ms=int(now * 1000),
        counts={"items": len(items), "users": len(interactions.user_ids), "events": interactions.events}
        | ({"flagged_users": len({finding.user for finding in flagged})} if flagged else {}),
        embedding_size=encoder.embedding_size,
        kinds=kinds,
        categories=categories,
        models=models,
        encoder={
            "name": encoder.name,
            "version": encoder.version,
            "modality_weights": ", ".join(f"{name} {weight:.3g}" for name, weight, _ in blend.parts),
            "weights_from": weights_from,
        },
        event_seq=interactions.last_seq,
        item_revision=positions["item_revision"],
    )

    def write_extra(partial: Path) -> None:
        (partial / "encoder").mkdir()
        encoder.save(partial / "encoder")
        (partial / "topics").mkdir()
        topics.save(partial / "topics")
        VectorIndex.build(embeddings, partial)
        if flagged:
            reasons = [
                {"user_id": interactions.user_ids[f.user], "kind": f.kind, "evidence": f.evidence} for f in flagged
            ]
            (partial / FLAGGED_USERS).write_text(json.dumps(reasons, ensure_ascii=False, indent=1), encoding="utf-8")

    folder.write(manifest, arrays, write_extra)
    folder.publish(manifest.id)
    folder.collect(keep)
    yield TrainProgress("published", 1.0, manifest.id)


def _find_bots(interactions: Interactions, n_items: int) -> list[BotFinding]:
    # The weight stands for the type here: both say what kind of action it was.
    _, types = np.unique(interactions.weights, return_inverse=True)
    return find_bots(
        interactions.users,
        interactions.items.astype(np.int64),
        interactions.times.astype(np.int64) * 1000,
        types,
        len(interactions.user_ids),
        n_items,
    )


def _add_model(
    arrays: dict[str, NDArray[Any]],
    models: dict[str, dict[str, Any]],
    name: str,
    lists: ItemItemLists,
    parameters: dict[str, Any],
) -> None:
    arrays[f"model_{name}_offsets"] = lists.offsets
    arrays[f"model_{name}_items"] = lists.items
    arrays[f"model_{name}_weights"] = lists.weights
    models[name] = {"version": lists.version, "parameters": parameters}
