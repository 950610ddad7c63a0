"""A data directory with a catalogue, users of known tastes and generators, and a real server over it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from picture_sets import DATA, mnist

from aigc.entities import Event, Item, ItemContent
from aigc.generate.loading import load_generator
from aigc.generate.repository import ModelRepository
from aigc.prepare.picture import encode_png
from aigc.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    creation_pb2,
    creation_service_pb2,
    creation_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from aigc_server.app import open_platform
from aigc_server.settings import Settings

START_MS = 1_760_000_000_000
PATIENCE_S = 60
STRATEGY = """
max_generated_share = 0.5
[[sources]]
kind = "vector"
[[sources]]
kind = "item_item"
model = "content"
[[sources]]
kind = "popular"
fallback = true
[[sources]]
kind = "fresh"
weight = 0.5
fallback = true
[generate]
enabled = true
per_user_day = 1000
per_day = 100000
share_over_time = 1.0
fiction = "poem"
explore_slots = 2
"""


def digits(n: int, seed: int = 0) -> list[Item]:
    """``n`` pictures of MNIST's training set."""
    train, _ = mnist()
    rows = np.random.default_rng([seed, 1]).permutation(len(train.pixels))[:n]
    return [
        Item(
            f"digit-{row:05d}",
            kind="image",
            title=f"drawing {row}",
            categories=(str(train.labels[row]),),
            created_ms=START_MS,
            content=ItemContent("image/png", encode_png(train.pixels[row])),
        )
        for row in rows.tolist()
    ]


def poems(n: int) -> list[Item]:
    """Short poems as texts."""
    found = []
    with gzip.open(DATA / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            poem = json.loads(line)
            text = "\n".join(poem["lines"])
            if 20 <= len(text) <= 120:
                found.append(
                    Item(
                        f"poem-{len(found):05d}",
                        kind="text",
                        title=poem["title"],
                        text=text,
                        author=poem["author"],
                        categories=("poem",),
                        language="zh",
                        created_ms=START_MS,
                    )
                )
            if len(found) == n:
                return found
    return found


def tastes(users: int, seed: int = 0) -> list[tuple[str, str]]:
    """Two favourite digits of each user."""
    rng = np.random.default_rng([seed, 2])
    return [tuple(str(d) for d in rng.permutation(10)[:2]) for _ in range(users)]  # type: ignore[misc]


def likes(user: str, favourites: Sequence[str], items: Sequence[Item], rng: np.random.Generator) -> list[Event]:
    """A hundred of the catalogue were looked at; favourites mostly liked, of the rest some skipped, a few clicked."""
    events = []
    for place, row in enumerate(rng.permutation(len(items))[:100].tolist()):
        item, at = items[row], START_MS + 1000 * place
        kinds = ["impression"]
        if item.categories[0] in favourites:
            kinds += ["click", "like"] if rng.random() < 0.8 else []
        elif rng.random() < 0.3:
            kinds.append("skip" if rng.random() < 0.9 else "click")
        events += [Event(f"{user}.{place}.{kind}", user, item.id, kind, at + step) for step, kind in enumerate(kinds)]
    return events


def build_home(
    home: Path, items: Sequence[Item], events: Sequence[Event], models: Mapping[str, Path], strategy: str = STRATEGY
) -> None:
    """Write all of it and train a snapshot. Args: models: name → folder of a saved generator."""
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "default.toml").write_text(strategy)
    for name, folder in models.items():
        ModelRepository(home / "models").add(name, load_generator(folder))
    platform = open_platform(Settings(), home)
    try:
        for at in range(0, len(items), 500):
            platform.catalog.upsert(items[at : at + 500])
        for at in range(0, len(events), 500):
            platform.behaviour.record(events[at : at + 500])
        for _ in platform.build():
            pass
    finally:
        platform.close()


class Caller:
    """What a client of the loop asks."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.creations: Any = creation_service_pb2_grpc.CreationServiceStub(channel)
        self.catalog: Any = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.recommendations: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)

    def generate(self, user: str, n: int, **more: Any) -> Any:
        """The stream of steps."""
        request = creation_service_pb2.GenerateForUserRequest(user_id=user, n=n, force=True, **more)
        return self.creations.GenerateForUser(request, timeout=PATIENCE_S)

    def admitted(self, user: str, n: int, **more: Any) -> list[Any]:
        """The steps that admitted an item."""
        return [s for s in self.generate(user, n, **more) if s.creation.state == creation_pb2.CREATION_STATE_ADMITTED]

    def recommend(self, user: str, n: int, **more: Any) -> Any:
        """One answer."""
        return self.recommendations.Recommend(
            recommendation_service_pb2.RecommendRequest(user_id=user, n=n, **more), timeout=PATIENCE_S
        )

    def item(self, item_id: str) -> Any:
        """With its content."""
        request = catalog_service_pb2.GetItemRequest(item_id=item_id, include_content=True)
        return self.catalog.GetItem(request, timeout=PATIENCE_S).item

    def again(self, creation_id: str) -> Any:
        """What is made from the record now."""
        return self.creations.RegenerateCreation(
            creation_service_pb2.RegenerateCreationRequest(id=creation_id), timeout=PATIENCE_S
        )
