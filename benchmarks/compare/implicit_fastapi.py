"""Matrix factorisation by implicit (ALS) behind FastAPI and uvicorn, and the lists that cached_lists serves.

``python implicit_fastapi.py fit RATINGS MODEL LISTS``: learn, write the factors (``.npz``) and a SQLite file with 100
items a user and what each user has rated. ``python implicit_fastapi.py serve MODEL PORT``.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI
from implicit.als import AlternatingLeastSquares
from implicit.cpu.als import AlternatingLeastSquares as Fitted
from scipy import sparse

CACHED = 100


def fit(ratings: str, model: str, lists: str) -> None:
    with Path(ratings).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    users, u = np.unique([r[0] for r in rows], return_inverse=True)
    items, i = np.unique([r[1] for r in rows], return_inverse=True)
    stars = np.array([float(r[2]) for r in rows], np.float32)
    rated = sparse.csr_matrix((stars, (u, i)), (len(users), len(items)))
    als = AlternatingLeastSquares(factors=64, regularization=0.1, alpha=1.0, iterations=15, random_state=0)
    als.fit(rated, show_progress=False)
    np.savez(
        model,
        users=users,
        items=items,
        user_factors=als.user_factors,
        item_factors=als.item_factors,
        offsets=rated.indptr,
        seen=rated.indices,
        stars=rated.data,
    )
    best, scores = als.recommend(np.arange(len(users)), rated, N=CACHED, filter_already_liked_items=True)
    begun = Path(f"{lists}-begun")
    begun.unlink(missing_ok=True)
    with sqlite3.connect(begun) as database:
        database.execute("CREATE TABLE cached (user TEXT, score REAL, item TEXT)")
        database.execute("CREATE TABLE feedback (user TEXT, item TEXT)")
        database.executemany(
            "INSERT INTO cached VALUES (?, ?, ?)",
            [
                (str(user), float(s), str(items[b]))
                for user, row, worth in zip(users, best, scores, strict=True)
                for b, s in zip(row, worth, strict=True)
            ],
        )
        database.executemany("INSERT INTO feedback VALUES (?, ?)", [(r[0], r[1]) for r in rows])
        database.execute("CREATE INDEX cached_user ON cached (user, score DESC, item)")
        database.execute("CREATE INDEX feedback_user ON feedback (user, item)")
    database.close()
    begun.rename(lists)


def make_app(model: str) -> FastAPI:
    data = np.load(model)
    als = Fitted(factors=data["user_factors"].shape[1], num_threads=1)
    als.user_factors, als.item_factors = data["user_factors"], data["item_factors"]
    rows = {user: row for row, user in enumerate(data["users"].tolist())}
    items = data["items"].tolist()
    rated = sparse.csr_matrix((data["stars"], data["seen"], data["offsets"]), (len(rows), len(items)))
    app = FastAPI()

    @app.get("/recommend/{user}")
    async def recommend(user: str, n: int = 20) -> list[dict[str, str | float]]:
        row = rows[user]
        best, scores = als.recommend(row, rated[row], N=n, filter_already_liked_items=True)
        return [{"item_id": items[b], "score": s} for b, s in zip(best.tolist(), scores.tolist(), strict=True)]

    return app


if __name__ == "__main__":
    if sys.argv[1] == "fit":
        fit(*sys.argv[2:])
    else:
        uvicorn.run(
            make_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[3]), access_log=False, log_level="warning"
        )
