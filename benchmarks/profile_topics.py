"""200 simulated users who comment from two dialogue categories each: are both among the first three topics?

The catalogue is one half of the dialogues; what the users write, 20 comments each, are turns of the other half. Limit
90 % for comments on the dialogues of their category; beside it what the text alone tells.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from aigc.entities import Event, Item, Preferences
from aigc.features.categories import CategoryClassifier
from aigc.prepare.sentiment import sentiment
from aigc.profiles.build import ProfileModels, build_profile
from aigc.profiles.weights import EventWeights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "dialogues"
USERS, COMMENTS = 200, 20


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    for language in ("chinese", "english"):
        with (DATA / f"{language}.jsonl").open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        rng = np.random.default_rng(0)
        order = rng.permutation(len(rows))
        half = len(rows) // 2
        catalogue = [
            Item(str(i), text="\n".join(rows[i]["turns"]), categories=(rows[i]["category"],)) for i in order[:half]
        ]
        model = CategoryClassifier.fit(catalogue, lambda _: iter(()))
        written: dict[str, list[str]] = {}
        for i in order[half:]:
            written.setdefault(rows[i]["category"], []).extend(rows[i]["turns"])
        able = sorted(c for c, texts in written.items() if len(texts) >= COMMENTS // 2 and c in model.categories)
        of = {c: [i for i in catalogue if i.categories == (c,)] for c in able}
        for tied in (True, False):
            named = 0
            for _ in range(USERS):
                pair = rng.choice(able, 2, replace=False)
                comments = []
                for category in pair:
                    texts = rng.choice(written[category], COMMENTS // 2, replace=False)
                    comments += [(str(t), of[category][int(rng.integers(len(of[category])))]) for t in texts]
                order = rng.permutation(len(comments))
                items = {f"i{k}": comments[i][1] if tied else Item(f"i{k}") for k, i in enumerate(order)}
                events = [
                    Event(f"e{k}", "u", f"i{k}", "comment", 1_700_000_000_000 + k, None, "", comments[i][0])
                    for k, i in enumerate(order)
                ]
                models = ProfileModels(topics=model, sentiment=sentiment)
                nothing = np.empty(0, np.float32)
                profile = build_profile("u", events, items, Preferences("u"), EventWeights(), nothing, models)
                named += set(pair) <= {t.name for t in profile.topics[:3]}
            where = "on items of the category" if tied else "on items without a category"
            print(f"{language}, {len(able)} categories, {where}: both named for {named / USERS:.1%} of {USERS} users")


if __name__ == "__main__":
    main()
