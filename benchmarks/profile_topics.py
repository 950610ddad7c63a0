"""200 simulated users who comment from two dialogue categories each: are both among the first three topics?

Ten comments a category, each a turn of a dialogue. The distinct dialogues are halved by chance; one half is the
catalogue. Four protocols, ten halvings each, none of which settings were chosen on (those were 0 to 19):

tied      turns of the other half, on items of their category in the catalogue
quoted    answers out of dialogues that stand in the catalogue, on items that have no category
unseen    turns of the other half, on items that have no category
strictly  as unseen, without the turns that also occur in the catalogue ("Tell me a joke" opens many dialogues)
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from aigc.entities import Event, Item, Preferences
from aigc.features.topics import TopicClassifier
from aigc.profiles.build import ProfileModels, build_profile
from aigc.profiles.weights import EventWeights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "dialogues"
USERS, COMMENTS, SEEDS = 200, 20, range(20, 30)
PROTOCOLS = ("tied", "quoted", "unseen", "strictly")

Dialogue = tuple[str, tuple[str, ...]]


def read(language: str) -> list[Dialogue]:
    with (DATA / f"{language}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return list(dict.fromkeys((row["category"], tuple(row["turns"])) for row in rows))


def measure(dialogues: list[Dialogue], protocol: str, seed: int) -> tuple[float, int]:
    """Share of users of whom both categories are named, and how many categories could be drawn."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dialogues))
    known, held_out = ([dialogues[i] for i in part] for part in np.array_split(order, 2))
    catalogue = [Item(str(n), text="\n".join(turns), categories=(c,)) for n, (c, turns) in enumerate(known)]
    model = TopicClassifier.fit(catalogue)
    seen = {turn for _, turns in known for turn in turns}
    written: dict[str, dict[str, None]] = defaultdict(dict)
    for category, turns in known if protocol == "quoted" else held_out:
        for turn in turns[1:] if protocol == "quoted" else turns:
            if protocol != "strictly" or turn not in seen:
                written[category][turn] = None
    able = sorted(c for c, texts in written.items() if len(texts) >= COMMENTS // 2 and c in model.categories)
    named = 0
    for _ in range(USERS):
        pair = [able[i] for i in rng.choice(len(able), 2, replace=False)]
        events, items = list[Event](), dict[str, Item]()
        for category in pair:
            own = [item for item in catalogue if item.categories == (category,)]
            for text in rng.choice(list(written[category]), COMMENTS // 2, replace=False):
                n = len(events)
                items[f"i{n}"] = own[int(rng.integers(len(own)))] if protocol == "tied" else Item(f"i{n}")
                events.append(Event(f"e{n}", "u", f"i{n}", "comment", 1_700_000_000_000 + n, None, "", str(text)))
        nothing = np.empty(0, np.float32)
        models = ProfileModels(topics=model)
        profile = build_profile("u", events, items, Preferences("u"), EventWeights(), nothing, models)
        named += set(pair) <= {topic.name for topic in profile.topics[:3]}
    return named / USERS, len(able)


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    for language in ("chinese", "english"):
        dialogues = read(language)
        for protocol in PROTOCOLS:
            results = [measure(dialogues, protocol, seed) for seed in SEEDS]
            shares = [share for share, _ in results]
            print(
                f"{language:8} {protocol:8} both named for {np.mean(shares):.1%} of {USERS} users "
                f"({min(shares):.1%} to {max(shares):.1%} in {len(shares)} halvings of {len(dialogues)} dialogues, "
                f"{min(n for _, n in results)} to {max(n for _, n in results)} categories)",
                flush=True,
            )


if __name__ == "__main__":
    main()
