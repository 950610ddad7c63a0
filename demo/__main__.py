"""Import, train, serve, recommend over gRPC, learn from one event; every step is said, timed, and looks at the last."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from aigc.v1 import (
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from demo.sheet import draw_sheet
from demo.world import VISITOR_TASTE, World, make_world

ROOT = Path(__file__).resolve().parent.parent
AIGC = Path(sys.executable).with_name("aigc")


class Demo:
    """One run in a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._step = 0
        self._environment = os.environ | {"AIGC_HOME": str(self.home)}

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say what is done, and how long it took."""
        self._step += 1
        print(f"\n{self._step}. {text}", flush=True)
        started = time.perf_counter()
        yield
        print(f"   {time.perf_counter() - started:.1f} s", flush=True)

    def aigc(self, *arguments: str) -> None:
        """Run a command as a user would, and show it."""
        print(f"   $ aigc {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            [AIGC, *arguments], env=self._environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            print(f"     {line}", flush=True)
        if done.returncode:
            raise SystemExit(f"   failed: {done.stderr.strip()}")

    @contextmanager
    def serving(self) -> Iterator[grpc.Channel]:
        """A server in another process, on a port that the system chooses."""
        log = (self.folder / "server.log").open("w")
        server = subprocess.Popen(
            [AIGC, "serve", "--listen", "127.0.0.1:0"], env=self._environment, stdout=log, stderr=log
        )
        try:
            note = self.home / "server.json"
            deadline = time.monotonic() + 30
            while not note.exists() or not note.read_text().endswith("\n"):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"   the server did not start; its log is {log.name}")
                time.sleep(0.02)
            address = json.loads(note.read_text())["address"]
            print(f"   serving on {address}, process {server.pid}")
            with grpc.insecure_channel(address) as channel:
                yield channel
        finally:
            server.terminate()
            server.wait(20)
            log.close()


def recommend(channel: grpc.Channel, user: str, n: int) -> recommendation_service_pb2.RecommendResponse:
    """One call, timed."""
    stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
    stub.Recommend(recommendation_service_pb2.RecommendRequest(user_id=user, n=n), timeout=5)
    started = time.perf_counter()
    answer = stub.Recommend(recommendation_service_pb2.RecommendRequest(user_id=user, n=n, explain=True), timeout=5)
    took = 1e3 * (time.perf_counter() - started)
    print(f"   Recommend(user_id={user!r}, n={n}): {len(answer.items)} items in {took:.1f} ms")
    return answer


def like(channel: grpc.Channel, user: str, item: str, value: float | None = None) -> None:
    """Record one event and wait until it is durable."""
    now = Timestamp()
    now.GetCurrentTime()
    event = event_pb2.Event(
        id=f"{user}-{item}", user_id=user, item_id=item, type="rating" if value else "like", value=value, event_time=now
    )
    started = time.perf_counter()
    event_service_pb2_grpc.EventServiceStub(channel).RecordEvents(
        event_service_pb2.RecordEventsRequest(events=[event]), timeout=5
    )
    print(f"   RecordEvents({user!r} likes {item!r}): durable in {1e3 * (time.perf_counter() - started):.1f} ms")


def digits(demo: Demo, output: Path) -> bool:
    """The demonstration on handwritten digits; True when what it promises came true."""
    with demo.step("Make a world: real handwritten digits (scikit-learn), simulated users with two favourites each"):
        world = make_world(demo.folder / "world")
        print(f"   {len(world.labels):,} pictures, {world.n_events:,} likes; which digit a picture shows is in no file")
    with demo.step("Import pictures and behaviour"):
        demo.aigc("import", "images", str(world.images))
        demo.aigc("import", "events", str(world.events))
    with demo.step("Train: picture embeddings, EASE, item neighbours, content neighbours → one snapshot"):
        demo.aigc("train")
    with demo.step("Serve over gRPC, ask, let a newcomer like one picture, ask again"), demo.serving() as channel:
        taste = recommend(channel, "visitor", 12)
        before = recommend(channel, "newcomer", 12)
        favourite = next(i for i, digit in world.labels.items() if digit == 5)
        like(channel, "newcomer", favourite)
        after = recommend(channel, "newcomer", 12)
    seen = _history(world)
    with demo.step("Draw the sheet"):
        first, second = VISITOR_TASTE
        sheet = output / "digits.png"
        rows = [
            (f"'visitor' liked these ({first}s and {second}s, with a stray now and then) …", seen),
            ("… and is recommended these, none of them seen before", [i.item_id for i in taste.items]),
            ("'newcomer', with no history, gets what is popular …", [i.item_id for i in before.items]),
            ("… then likes this one 5 …", [favourite]),
            ("… and the very next answer is", [i.item_id for i in after.items]),
        ]
        draw_sheet(
            "aigc: learned from pixels and likes, no labels",
            [(text, [world.images / i for i in ids]) for text, ids in rows],
            sheet,
        )
        print(f"   {sheet}")
    right = sum(world.labels[i.item_id] in VISITOR_TASTE for i in taste.items)
    fives = sum(world.labels[i.item_id] == 5 for i in after.items)
    fives_before = sum(world.labels[i.item_id] == 5 for i in before.items)
    print(
        f"\n{right} of {len(taste.items)} recommendations for 'visitor' are {first}s or {second}s (by chance: 2 of 10)."
    )
    print(f"One like took the newcomer's fives from {fives_before} to {fives} of {len(after.items)}.")
    return right >= 9 and fives > fives_before


def movielens(demo: Demo, data: Path) -> bool:
    """The demonstration on MovieLens."""
    with demo.step("Import"):
        demo.aigc("import", "movielens", str(data.resolve()))
    with demo.step("Train"):
        demo.aigc("train")
    with demo.step("What user 1 likes, and what comes of it"):
        demo.aigc("profile", "--user", "1")
        demo.aigc("recommend", "--user", "1", "--n", "10", "--explain")
    with demo.step("Serve over gRPC, let a newcomer rate one film, ask again"), demo.serving() as channel:
        before = recommend(channel, "newcomer", 8)
        _titles(before)
        like(channel, "newcomer", "1", 5.0)
        after = recommend(channel, "newcomer", 8)
        _titles(after)
    return [i.item_id for i in before.items] != [i.item_id for i in after.items]


def _titles(answer: recommendation_service_pb2.RecommendResponse) -> None:
    for item in answer.items:
        print(f"     {item.score:6.3f}  {item.title}")


def _history(world: World) -> Sequence[str]:
    with world.events.open(encoding="utf-8") as file:
        return [line.split(",")[1] for line in file if line.startswith("visitor,")]


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="run on a MovieLens folder instead of the digits")
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="where the sheet goes")
    arguments = parser.parse_args()
    started = time.perf_counter()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aigc-demo-") as temporary:
        demo = Demo(Path(temporary))
        good = movielens(demo, arguments.data) if arguments.data else digits(demo, arguments.output)
        # The data directory is kept, so that the commands below can be tried on it.
        kept = arguments.output / "home"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(demo.home, kept)
    verdict = "It worked" if good else "It did NOT work as promised"
    print(f"\n{verdict}, in {time.perf_counter() - started:.0f} s. Try next:")
    who = "1" if arguments.data else "visitor"
    home = os.path.relpath(kept)
    print(f"  .venv/bin/aigc recommend --user {who} --explain --home {home}")
    print(f"  .venv/bin/aigc serve --home {home}        # then call aigc.v1.RecommendationService/Recommend")
    print("  .venv/bin/aigc import --help              # your own items and events")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
