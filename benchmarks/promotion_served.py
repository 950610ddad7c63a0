"""A worse version of a generator on a real server: refused when it is proposed, rolled back when it is forced.

Version 1 of ``digits`` is a VAE of MNIST trained for a while by ``aigc generator train``, version 2 the same stopped
early, version 3 like version 1 from another seed, and version 4 has the weights of 2 under the measures of 1: it looks
good offline. ``aigc serve`` runs as a process with the default settings but for a window of a second. People
have a favourite digit each; pictures are made for them by GenerateForUser, and they click by what a LeNet that no
generator knows reads in the picture (the simulator's click model). RecordEvents tells the server, which is killed with
SIGKILL in the middle and started again.

Prediction, written before the first run: 2 is refused by its Fréchet distance and its ELBO; 3 passes the offline gate.
Mean rewards are near 0.25 for version 1 and 0.08 for version 2, a difference that is clear long before the 200 rewards
a side that the settings ask for, so the rollback of 2 comes when the previous champion, with its 30 % of the work, has
200: after 620 to 720 pieces of work. The canary of 4 gets 10 %: it is stopped after 1,850 to 2,200. The kill changes no
count.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from aigc.entities import Event, Item, ItemContent
from aigc.evaluate.simulation.click_model import ClickModel, Mood
from aigc.evaluate.simulation.pictures import DigitReader
from aigc.generate.repository import ModelRepository
from aigc.prepare.picture import encode_png
from aigc.v1 import (
    creation_service_pb2,
    creation_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    promotion_pb2,
    promotion_service_pb2_grpc,
)
from aigc.v1 import promotion_service_pb2 as pb
from aigc_server.app import open_platform
from aigc_server.converters.event import event_to_proto
from aigc_server.converters.item import item_from_proto
from aigc_server.settings import Settings
from aigc_server.simulation_client import ServedHome
from benchmarks.picture_sets import DATA, digit_network, mnist

FANS, LIKED, CATALOGUE = 200, 6, 600
STRATEGY = """
[[sources]]
kind = "item_item"
model = "content"
[[sources]]
kind = "popular"
fallback = true
[generate]
enabled = true
per_user_day = 100000
per_day = 1000000
candidates = 2
"""


def trained(work: Path, steps: int, seed: int) -> ModelRepository:
    """``digits@1`` of a training by the command line, from ``work`` when it is there."""
    home = work / f"digits-{steps}-{seed}"
    command = [sys.executable, "-m", "aigc_server.cli", "generator", "train", "vae", "--name", "digits"]
    options = {
        "vae.channels": "16,32",
        "vae.hidden": 128,
        "vae.components": 100,
        "vae.learning_rate": 2e-3,
        "trainer.steps": steps,
        "trainer.seed": seed,
        "trainer.warmup_steps": min(50, steps // 2),
        "trainer.average_decay": 0.98,
        "trainer.log_every": 100,
    }
    sets = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    command += [*sets, "--data", str(DATA / "mnist"), "--home", str(home)]
    threads = str(len(os.sched_getaffinity(0)))
    if not (home / "models").exists():
        subprocess.run([*command, "--threads", threads], check=True, stdout=subprocess.DEVNULL)
    return ModelRepository(home / "models")


def stock(work: Path, home: Path, steps: int, worse: int) -> None:
    """The four versions, each with its measures."""
    repository = ModelRepository(home / "models")
    good, bad, again = (trained(work, n, seed) for n, seed in ((steps, 0), (worse, 0), (steps, 1)))
    measures = good.get("digits").measures
    for source, measured in ((good, measures), (bad, None), (again, None), (bad, measures)):
        info = source.get("digits")
        made = repository.add("digits", source.open(info), measures=measured or info.measures)
        print(made.id, {name: round(value, 4) for name, value in made.measures.items()}, flush=True)


def furnish(home: Path) -> list[str]:
    """A catalogue of digits and fans of one digit each; gives each fan's favourite."""
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "default.toml").write_text(STRATEGY)
    (home / "aigc.toml").write_text("[rewards]\nwindow_ms = 1000\n")
    _, test = mnist()
    items = [
        Item(f"digit-{i}", "image", categories=(str(test.labels[i]),), content=ItemContent("image/png", encode_png(p)))
        for i, p in enumerate(test.pixels[:CATALOGUE])
    ]
    rng = np.random.default_rng(0)
    favourites = [str(rng.integers(10)) for _ in range(FANS)]
    platform = open_platform(Settings(), home)
    platform.catalog.upsert(items)
    past = 1_760_000_000_000
    for user, favourite in enumerate(favourites):
        mine = [i.id for i in items if favourite in i.categories]
        chosen = rng.choice(mine, LIKED, replace=False)
        platform.behaviour.record([Event(f"{user}-{i}", f"fan-{user}", i, "like", past) for i in chosen])
    for _ in platform.build():
        pass
    platform.close()
    return favourites


class People:
    """Fans who look at what was made for them."""

    def __init__(self, favourites: list[str], reader: DigitReader) -> None:
        self._favourites, self._reader, self._clicks = favourites, reader, ClickModel()
        self._rng = np.random.default_rng(7)
        self.work = 0
        self.by_version: Counter[str] = Counter()
        self.read_right: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def connect(self, channel: grpc.Channel) -> None:
        """Talk to a server."""
        self._creations: Any = creation_service_pb2_grpc.CreationServiceStub(channel)
        self._events: Any = event_service_pb2_grpc.EventServiceStub(channel)
        self.promotions: Any = promotion_service_pb2_grpc.PromotionServiceStub(channel)

    def one(self) -> None:
        """One picture for one fan, and what the fan does with it."""
        number = self.work % FANS
        user, favourite = f"fan-{number}", self._favourites[number]
        request = creation_service_pb2.GenerateForUserRequest(user_id=user, n=1, kind="image", force=True)
        self.work += 1
        for step in self._creations.GenerateForUser(request, timeout=120):
            if step.HasField("creation") and not step.HasField("item"):
                self.refused[step.creation.model] += 1
            if not step.HasField("item"):
                continue
            item, model = item_from_proto(step.item, "item"), step.creation.model
            shows = self._reader.read([item])
            liking = np.full(10, 0.05)
            liking[int(favourite)] = 1.0
            mood = Mood(liking, np.zeros(10), 0.0, np.zeros(10))
            chance = float(self._clicks.click(mood, shows, np.zeros(1, np.int64))[0])
            self.by_version[model] += 1
            self.read_right[model] += int(shows[0].argmax() == int(favourite))
            kinds = ["impression"]
            if self._rng.random() < chance:
                kinds += ["click"] + (["like"] if self._rng.random() < self._clicks.like_rate else [])
            elif self._rng.random() < self._clicks.skip_rate:
                kinds.append("skip")
            now = int(time.time() * 1000)
            events = [event_to_proto(Event(f"{item.id}-{k}", user, item.id, k, now)) for k in kinds]
            self._events.RecordEvents(event_service_pb2.RecordEventsRequest(events=events), timeout=30)

    def stands(self) -> promotion_pb2.Promotion:
        """Where the model stands."""
        found: promotion_pb2.Promotion = self.promotions.GetPromotion(pb.GetPromotionRequest(model="digits")).promotion
        return found


def counted(promotion: promotion_pb2.Promotion) -> dict[int, tuple[int, float]]:
    return {t.version: (t.count, round(t.mean, 6)) for t in promotion.tallies}


def propose(people: People, version: int) -> str:
    try:
        people.promotions.ProposeVersion(pb.ProposeVersionRequest(model="digits", version=version))
        return "passes"
    except grpc.RpcError as error:
        status: Any = error
        return f"{status.code().name}: {status.details()}"


def until_steady(people: People, most: int) -> tuple[promotion_pb2.Promotion, int]:
    began = people.work
    promotion = people.stands()
    while promotion.stage != promotion_pb2.PROMOTION_STAGE_STEADY and people.work - began < most:
        people.one()
        promotion = people.stands()
    return promotion, people.work - began


def tell(what: str, promotion: promotion_pb2.Promotion, work: int, people: People, began: float) -> None:
    last = promotion.history[-1]
    name = promotion_pb2.PromotionOutcome.Name(last.outcome).removeprefix("PROMOTION_OUTCOME_").lower()
    print(f"{what}: {name} after {work:,} calls of GenerateForUser, {time.perf_counter() - began:.0f} s; champion is "
          f"{promotion.champion}\n    {last.reason}")  # fmt: skip
    for model in sorted({*people.by_version, *people.refused}):
        n, right, refused = people.by_version[model], people.read_right[model], people.refused[model]
        read = f"{right / n:.0%} read as the fan's favourite" if n else "none read"
        print(f"    {model}: {n:,} pictures shown, {read}; {refused:,} candidates refused by the gates", flush=True)
    for counts in (people.by_version, people.read_right, people.refused):
        counts.clear()


def kill(home: Path) -> None:
    os.kill(json.loads((home / "server.json").read_text())["pid"], signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="Folder for models and the data directory; reused.")
    parser.add_argument("--steps", type=int, default=1200, help="Of the good versions.")
    parser.add_argument("--worse-steps", type=int, default=100, help="Of the worse one.")
    parser.add_argument("--no-canary", action="store_true", help="Leave out version 4.")
    asked = parser.parse_args()
    work: Path = asked.work
    began = time.perf_counter()
    train_set, test_set = mnist()
    network = digit_network(train_set, test_set, work)
    home = work / f"home-{time.time_ns()}"
    stock(work, home, asked.steps, asked.worse_steps)
    favourites = furnish(home)
    people = People(favourites, DigitReader(network))
    print(f"prepared in {time.perf_counter() - began:.0f} s", flush=True)

    with ServedHome(home) as channel:
        people.connect(channel)
        for version in (2, 3):
            answer = propose(people, version)
            print(f"propose {version}: {answer}", flush=True)
            if answer == "passes":
                people.promotions.WithdrawVersion(pb.WithdrawVersionRequest(model="digits"))
        started = time.perf_counter()
        people.promotions.ForceVersion(pb.ForceVersionRequest(model="digits", version=2))
        for _ in range(300):
            people.one()
        time.sleep(1.5)
        before = counted(people.stands())
        kill(home)
    with ServedHome(home) as channel:
        people.connect(channel)
        time.sleep(0.5)
        after = counted(people.stands())
        verdict = "equal" if before == after else "LOST"
        print(f"killed after 300 calls, rewards (count, mean) by version: {before} before, {after} after, {verdict}")
        promotion, n = until_steady(people, 5000)
        tell("force 2", promotion, n + 300, people, started)
        if not asked.no_canary:
            print(f"propose 4, which looks good offline: {propose(people, 4)}", flush=True)
            started = time.perf_counter()
            promotion, n = until_steady(people, 8000)
            tell("canary of 4", promotion, n, people, started)
    print(f"wall time {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
