"""Do the ten profiles printed in docs/profiles.md read true against the raw MovieLens histories?

Each statement is parsed from the page and computed again from ratings.csv and movies.csv by plain Python that shares
nothing with the package: what is liked, by how much, since when, lately, less than the rest, on how many days, in how
many sittings, at which hours, and each number of events and each film given as evidence.
"""

from __future__ import annotations

import calendar
import csv
import re
import statistics
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parents[0] / "shared" / "data" / "ml-latest-small"

Rating = tuple[int, str, float]


def read() -> tuple[dict[str, list[Rating]], dict[str, str], dict[str, list[str]]]:
    """User → ratings by time; film → title; film → genres."""
    histories: dict[str, list[Rating]] = defaultdict(list)
    with (DATA / "ratings.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            histories[row["userId"]].append((int(row["timestamp"]), row["movieId"], float(row["rating"])))
    with (DATA / "movies.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    titles = {row["movieId"]: row["title"] for row in rows}
    genres = {row["movieId"]: [g for g in row["genres"].split("|") if g[0] != "("] for row in rows}
    for history in histories.values():
        history.sort(key=lambda rating: rating[0])
    return histories, titles, genres


def liking(rating: Rating) -> float:
    """Stars between 0.5 and 5 about 2.75, in [-1, 1]."""
    return (rating[2] - 2.75) / 2.25


def shares(history: list[Rating], genres: dict[str, list[str]], half_life_days: float) -> dict[str, float]:
    mass: dict[str, float] = defaultdict(float)
    for rating in history:
        own = genres[rating[1]]
        if liking(rating) > 0:
            for genre in own:
                age = (history[-1][0] - rating[0]) / 86_400
                mass[genre] += liking(rating) * 0.5 ** (age / half_life_days) / len(own)
    total = sum(mass.values())
    return {genre: value / total for genre, value in mass.items()}


def holds(said: str, events: int, films: list[str], history: list[Rating], genres: dict[str, list[str]]) -> bool:
    """Is the statement true, and its evidence what it says?"""
    liked = [r for r in history if liking(r) > 0]

    def of(names: set[str]) -> list[Rating]:
        return [r for r in liked if names & set(genres[r[1]])]

    if found := re.fullmatch(r"(mostly|above all) (.+) since (\w+) (\d+) \((\d+)% of the liking\)", said):
        names, slow = set(found[2].split(" and ")), shares(history, genres, 90)
        share = sum(slow[name] for name in names)
        first = datetime.fromtimestamp(of(names)[0][0], UTC)
        leaders = set(sorted(slow, key=lambda g: -slow[g])[: len(names)])
        return (
            leaders == names
            and round(100 * share) == int(found[5])
            and (share >= 0.5) == (found[1] == "mostly")
            and f"{calendar.month_name[first.month]} {first.year}" == f"{found[3]} {found[4]}"
            and len(of(names)) == events
            and set(films) <= {r[1] for r in of(names)}
        )
    if found := re.fullmatch(r"lately (.+)", said):
        names, slow, fast = set(found[1].split(" and ")), shares(history, genres, 90), shares(history, genres, 7)
        more = all(fast[name] >= 1.6 * slow[name] and fast[name] >= 0.15 for name in names)
        return more and len(of(names)) == events and set(films) <= {r[1] for r in of(names)}
    if found := re.fullmatch(r"likes (.+) less than the rest", said):
        own = [liking(r) for r in history if found[1] in genres[r[1]]]
        rest = [liking(r) for r in history if found[1] not in genres[r[1]]]
        chance = (statistics.pvariance(own) / len(own) + statistics.pvariance(rest) / len(rest)) ** 0.5
        disliked = {r[1] for r in history if liking(r) < 0 and found[1] in genres[r[1]]}
        gap = statistics.fmean(rest) - statistics.fmean(own)
        return gap >= 0.25 and gap >= 2 * chance and len(own) == events and set(films) <= disliked
    pattern = r"active on ([\d,]+) days? in ([\d,]+) sittings?(?:, mostly between (\d\d):00 and (\d\d):00 UTC)?; (.+)"
    if found := re.fullmatch(pattern, said):
        times = [r[0] for r in history]
        sittings = 1 + sum(later - earlier > 1800 for earlier, later in pairwise(times))
        hours = {t // 3600 for t in times}
        inside = range(int(found[3]), int(found[3]) + 4) if found[3] else range(24)
        within = sum(any(hour % 24 == h % 24 for h in inside) for hour in hours)
        return (
            len({t // 86_400 for t in times}) == int(found[1].replace(",", ""))
            and sittings == int(found[2].replace(",", ""))
            and within > len(hours) / 2
            and (not found[4] or int(found[4]) == (int(found[3]) + 4) % 24)
            and (len({r[1] for r in history}) >= 0.8 * len(history)) == (found[5] == "mostly new items")
            and events == len(history)
        )
    raise SystemExit(f"no check for the statement {said!r}; add one to {Path(__file__).name}")


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    histories, titles, genres = read()
    ids: dict[str, list[str]] = defaultdict(list)
    for film, title in titles.items():
        ids[title].append(film)
    page = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8").split("`--language zh`")[0]
    true = total = profiles = 0
    for block in re.findall(r"```\n(.*?)```", page, flags=re.DOTALL):
        head, *lines = block.rstrip("\n").split("\n")
        user, count = re.fullmatch(r"(\d+): ([\d,]+) events", head).groups()  # type: ignore[union-attr]
        history = histories[user]
        results = [(head, int(count.replace(",", "")) == len(history))]
        for said, evidence in zip(lines[::2], lines[1::2], strict=True):
            events, *named = evidence.strip().split(" · ")
            films = [film for title in named for film in ids[title]]
            known = all(title in ids for title in named)
            number = int(events.split()[0].replace(",", ""))
            results.append((said.strip(), known and holds(said.strip(), number, films, history, genres)))
        profiles += 1
        for said, good in results:
            if not good:
                print(f"user {user}: does not hold: {said}")
        true, total = true + sum(good for _, good in results), total + len(results)
    print(f"{true} of {total} statements of {profiles} profiles hold against ratings.csv and movies.csv")


if __name__ == "__main__":
    main()
