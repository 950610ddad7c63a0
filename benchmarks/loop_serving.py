"""From admission to recommendation, and what every generated item carries wherever it is served.

1. ``GenerateForUser`` is read by one thread; the moment the message of an admitted item is there, another asks
   ``Recommend`` for the same user again and again until the answer holds the item. p99 is to be at most 1 s, with
   a small catalogue and with 20,000 items.
2. Each generated item that Recommend, Search, SimilarItems, GetItem, BatchGetItems, ListItems or the stream shows
   has the explicit label, the implicit one inside the PNG, and a record.
3. 200 pictures and 50 texts are made again from their records: byte for byte and token for token, before and after the
   server was started again.

Prediction, written before the run: p99 under 100 ms in either catalogue, all labels there, all made again alike.

python benchmarks/loop_serving.py --gan FOLDER --writer FOLDER [--items 2000]
"""

from __future__ import annotations

import argparse
import queue
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from loop_home import PATIENCE_S, START_MS, STRATEGY, Caller, build_home, digits, likes, poems, tastes

from aigc.creation.label import LABEL_ATTRIBUTE, read_label
from aigc.entities import Event
from aigc.v1 import catalog_service_pb2, creation_pb2, creation_service_pb2, recommendation_service_pb2
from aigc_server.simulation_client import ServedHome

LABELS = ("AI-generated", "人工智能生成")
SHOWN = 50


def admission_delays(caller: Caller, users: int, each: int) -> tuple[list[float], int, list[Any]]:
    """Seconds for each admitted item; how many a list of 50 of the whole catalogue held at once; the steps.

    The list that is waited for may hold this item alone, so that what is measured is whether it can be recommended, not
    whether 50 others are nearer to the user.
    """
    delays, listed, steps = [], 0, []
    for user in range(users):
        name = f"user-{user}"
        arrived: queue.Queue[tuple[float, Any] | None] = queue.Queue()

        def read(name: str = name, arrived: queue.Queue[tuple[float, Any] | None] = arrived) -> None:
            for step in caller.generate(name, each, kind="image"):
                if step.creation.state == creation_pb2.CREATION_STATE_ADMITTED:
                    arrived.put((time.perf_counter(), step))
            arrived.put(None)

        reader = threading.Thread(target=read)
        reader.start()
        while (found := arrived.get()) is not None:
            at, step = found
            while step.item.id not in {
                i.item_id for i in caller.recommend(name, SHOWN, allow_item_ids=[step.item.id]).items
            }:
                assert time.perf_counter() - at < PATIENCE_S, step.item.id
            delays.append(time.perf_counter() - at)
            steps.append(step)
            listed += step.item.id in {i.item_id for i in caller.recommend(name, SHOWN).items}
        reader.join()
    return delays, listed, steps


def check_labels(caller: Caller, steps: list[Any], users: int) -> Counter[str]:
    """Place → generated items seen there; raises where a label or a record is missing."""
    seen: Counter[str] = Counter()
    known = {s.item.id: s.creation.id for s in steps}

    def full(item: Any, where: str) -> None:
        assert item.generated, (where, item.id)
        assert item.attributes[LABEL_ATTRIBUTE] in LABELS, (where, item.id)
        if item.kind == "image" and item.content.data:
            label = read_label(item.content.media_type, item.content.data)
            assert label is not None, (where, item.id)
            assert (label["Label"], label["ProduceID"]) == ("1", known[item.id]), (where, item.id)
        seen[where] += 1

    def listed(items: Any, where: str) -> None:
        for each in items:
            assert each.generated == (each.item_id in known), (where, each.item_id)
            assert bool(each.label) == each.generated, (where, each.item_id)
            assert not each.generated or each.label in LABELS, (where, each.item_id)
            seen[where] += each.generated

    for step in steps:
        full(step.item, "GenerateForUser")
        full(caller.item(step.item.id), "GetItem")
        record = caller.creations.GetCreation(
            creation_service_pb2.GetCreationRequest(id=step.item.id), timeout=PATIENCE_S
        ).creation
        assert record.id == step.creation.id
        assert record.recipe
        assert record.model
        seen["record"] += 1
    for at in range(0, len(steps), 100):
        request = catalog_service_pb2.BatchGetItemsRequest(
            item_ids=[s.item.id for s in steps[at : at + 100]], include_content=True
        )
        for item in caller.catalog.BatchGetItems(request, timeout=PATIENCE_S).items:
            full(item, "BatchGetItems")
    token, pages = "", 0
    while pages == 0 or token:
        page = caller.catalog.ListItems(
            catalog_service_pb2.ListItemsRequest(page_size=500, page_token=token), timeout=PATIENCE_S
        )
        for item in page.items:
            if item.id in known:
                full(item, "ListItems")
        token, pages = page.next_page_token, pages + 1
    for user in range(users):
        listed(caller.recommend(f"user-{user}", SHOWN).items, "Recommend")
    for step in steps[:100]:
        similar = recommendation_service_pb2.SimilarItemsRequest(item_id=step.item.id, n=SHOWN)
        listed(caller.recommendations.SimilarItems(similar, timeout=PATIENCE_S).items, "SimilarItems")
        found = recommendation_service_pb2.SearchRequest(text=step.item.title, n=SHOWN)
        listed(caller.recommendations.Search(found, timeout=PATIENCE_S).items, "Search")
    return seen


def made_again(caller: Caller, steps: list[Any]) -> tuple[int, int]:
    """(alike, of how many): the server's own comparison, and ours of what it sent."""
    alike = 0
    for step in steps:
        again = caller.again(step.creation.id)
        same = again.item.content.data == step.item.content.data
        if step.item.kind == "text":
            # The item's text begins with the prompt; what was made again is the continuation alone.
            same = bool(again.item.text.strip()) and step.item.text.endswith(again.item.text.strip())
        alike += again.identical and same
    return alike, len(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", type=Path, required=True)
    parser.add_argument("--writer", type=Path)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--each", type=int, default=3)
    arguments = parser.parse_args()
    began = time.perf_counter()
    items, favourites, verses = digits(arguments.items), tastes(arguments.users), poems(300)
    rng = np.random.default_rng(3)
    events = [e for u, f in enumerate(favourites) for e in likes(f"user-{u}", f, items[:2000], rng)]
    events += [
        Event(f"reader-{u}.{i}", f"reader-{u}", verses[(7 * u + i) % 300].id, "like", START_MS + i)
        for u in range(10)
        for i in range(6)
    ]
    models = {"digits": arguments.gan}
    if arguments.writer:
        models["writer"] = arguments.writer
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        build_home(home, [*items, *verses], events, models, STRATEGY.replace("share = 0.5", "share = 1.0"))
        with ServedHome(home) as channel:
            caller = Caller(channel)
            first = time.perf_counter()
            begun = caller.admitted("user-0", 1, kind="image")
            print(
                f"{len(items):,} digits; the first call, which reads the catalogue, {time.perf_counter() - first:.1f} s"
            )
            delays, listed, steps = admission_delays(caller, arguments.users, arguments.each)
            p50, p99, top = (1000 * np.quantile(delays, q) for q in (0.5, 0.99, 1.0))
            print(
                f"admission to Recommend, {len(delays)} items: p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {top:.1f} ms "
                f"(p99 at most 1000); {listed} among the {SHOWN} best of all"
            )
            texts: list[Any] = []
            for user in range(10 if arguments.writer else 0):
                texts += caller.admitted(f"reader-{user}", 6, kind="text")
            everything = begun + steps + texts
            for place, count in sorted(check_labels(caller, everything, arguments.users).items()):
                print(f"  {place}: {count} generated items, all labelled")
            alike = [made_again(caller, part) for part in (steps[:200], texts[:50])]
            print(f"made again alike: {alike[0]} pictures, {alike[1]} texts")
        with ServedHome(home) as channel:
            caller = Caller(channel)
            alike = [made_again(caller, part) for part in (steps[:200], texts[:50])]
            print(f"the same after a restart: {alike[0]} pictures, {alike[1]} texts")
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
