"""A million events from CSV into SQLite: rows a second, memory, and the same rows after kill -9.

Limits: 50,000 rows/s in 500 MB. The peer is SQLite itself: the same rows read by csv.reader and inserted by
executemany into a table with the same two indexes, in one transaction, with no check of anything.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from pysqlite3 import dbapi2 as sqlite

COLUMNS = ("event_id", "user_id", "item_id", "event_type", "timestamp", "value")


def write_events(path: Path, rows: int, seed: int = 0) -> None:
    rng = random.Random(seed)
    moment = 1_700_000_000
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for _ in range(rows):
            moment += rng.randint(0, 3)
            kind = rng.choice(("view", "click", "like", "rating"))
            stars = rng.randint(1, 5) if kind == "rating" else ""
            event_id = f"{rng.getrandbits(64):016x}"
            item = int(rng.paretovariate(1)) % 20_000
            writer.writerow([event_id, f"u{rng.randint(1, 50_000)}", f"i{item}", kind, moment, stars])


def command(source: Path, home: Path) -> list[str]:
    program = "import sys; from aigc_server.cli import main; sys.argv[0] = 'aigc'; main()"
    rejects = home.parent / f"{home.name}.rejects.csv"
    return [
        sys.executable,
        "-c",
        program,
        "import",
        "events",
        str(source),
        "--home",
        str(home),
        "--rejects",
        str(rejects),
    ]


def run(source: Path, home: Path) -> tuple[float, int, str]:
    """Seconds, peak memory in bytes, what it printed."""
    started = time.perf_counter()
    process = subprocess.Popen(command(source, home), stdout=subprocess.PIPE, text=True)
    _, _, usage = os.wait4(process.pid, 0)
    assert process.stdout is not None
    return time.perf_counter() - started, usage.ru_maxrss * 1024, process.stdout.read()


def plain_sqlite(source: Path, target: Path) -> float:
    started = time.perf_counter()
    with sqlite.connect(target) as connection, source.open(newline="", encoding="utf-8") as file:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, u TEXT, i TEXT, k TEXT, t INT, v)"
        )
        connection.execute("CREATE INDEX by_user ON events (u, t, seq)")
        reader = csv.reader(file)
        next(reader)
        connection.executemany("INSERT INTO events (id, u, i, k, t, v) VALUES (?, ?, ?, ?, ?, ?)", reader)
    return time.perf_counter() - started


def digest(home: Path) -> tuple[int, str]:
    """How many events are stored, and a hash of all of them."""
    with sqlite.connect(home / "aigc.sqlite") as connection:
        rows = connection.execute("SELECT id, user_id, item_id, type, time_ms, value FROM events ORDER BY id")
        hashed, count = hashlib.sha256(), 0
        for row in rows:
            hashed.update(repr(row).encode())
            count += 1
    return count, hashed.hexdigest()[:16]


def killed(source: Path, home: Path, whole_s: float, rng: random.Random) -> int:
    """Import with kill -9 at random moments until one import ends; gives the number of kills."""
    kills = 0
    while True:
        process = subprocess.Popen(command(source, home), stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=rng.uniform(0.1, 0.6) * whole_s)
            return kills
        except subprocess.TimeoutExpired:
            children = psutil.Process(process.pid)
            children.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="imports with kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aigc-import-") as folder:
        root = Path(folder)
        source = root / "events.csv"
        write_events(source, options.rows)
        peer_s = plain_sqlite(source, root / "peer.sqlite")
        seconds, memory, printed = run(source, root / "home")
        inner = float(re.findall(r"in ([\d.]+) s", printed)[-1])
        expected = digest(root / "home")
        print(f"plain SQLite, unchecked   {options.rows / peer_s:>10,.0f} rows/s")
        print(f"aigc import events        {options.rows / inner:>10,.0f} rows/s ({options.rows / seconds:,.0f} in all)")
        print(f"ratio {peer_s / inner:.2f} (limit 50,000 rows/s); peak memory {memory / 1e6:,.0f} MB (limit 500)")
        rng, equal, kills = random.Random(1), 0, 0
        for number in range(options.rounds):
            home = root / f"killed-{number}"
            kills += killed(source, home, seconds, rng)
            equal += digest(home) == expected
        print(f"kill -9: {kills} kills in {options.rounds} imports, {equal} end with the same {expected[0]:,} rows")


if __name__ == "__main__":
    main()
