"""The recommender as a model of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aigc.entities import Recommendation
from aigc.errors import InvalidInputError
from aigc.recommend.request import RecommendRequest
from aigc.services.recommender import Recommender
from aigc_server.converters.recommendation import DEFAULT_N
from aigc_server.converters.tensor import GivenTensor, Tensor
from aigc_server.inference.signature import Parameters, Signature, TensorSpec

__all__ = ["RECOMMENDER", "RecommenderModel"]

RECOMMENDER = "recommender"
"""Its name; a generator of this name cannot be reached through the protocol."""


class RecommenderModel:
    """Users in, lists out; the rows of a batch are filled up with empty ids and scores of 0."""

    signature = Signature(
        inputs=(
            TensorSpec("user_id", ("BYTES",), required=True),
            TensorSpec("n", ("INT32", "INT64")),
        ),
        outputs=(
            TensorSpec("item_id", ("BYTES",), (-1, -1)),
            TensorSpec("score", ("FP32",), (-1, -1)),
            TensorSpec("count", ("INT32",)),
            TensorSpec("recommendation_id", ("BYTES",)),
        ),
        parameters=("strategy", "include_seen", "non_personalised", "diversity", "context_item_id"),
    )

    def __init__(self, recommender: Recommender) -> None:
        """Args: recommender: what is called."""
        self._recommender = recommender

    def infer(self, given: dict[str, GivenTensor], parameters: Parameters) -> dict[str, Tensor]:
        """``item_id`` and ``score`` (users, longest list), ``count`` and ``recommendation_id`` (users,).

        Raises:
            InvalidInputError: Names the input or the parameter.
            NotFoundError: No such strategy.
        """
        inputs = self.signature.read(given)
        users = [_text(user, "user_id", given) for user in inputs["user_id"].tolist()]
        counts = np.resize(inputs.get("n", np.zeros(1, np.int32)), len(users)).tolist()
        if len(inputs.get("n", ())) > len(users):
            raise InvalidInputError(
                f"input 'n' has {len(inputs['n'])} rows for {len(users)} users; give one each, or one for all",
                field=f"{given['n'].field}.shape",
            )
        requests = [
            RecommendRequest(
                user_id=user,
                n=n or DEFAULT_N,
                strategy=parameters.text("strategy"),
                context_item=parameters.text("context_item_id"),
                exclude_seen=not parameters.flag("include_seen"),
                personalised=not parameters.flag("non_personalised"),
                diversity=parameters.number("diversity") if "diversity" in parameters else None,
            )
            for user, n in zip(users, counts, strict=True)
        ]
        return _table(self._recommender.recommend_batch(requests))


def _table(answers: Sequence[Recommendation]) -> dict[str, Tensor]:
    longest = max((len(answer.items) for answer in answers), default=0)
    ids = np.full((len(answers), longest), b"", object)
    scores = np.zeros((len(answers), longest), np.float32)
    for row, answer in enumerate(answers):
        for place, item in enumerate(answer.items):
            ids[row, place] = item.item_id.encode()
            scores[row, place] = item.score
    return {
        "item_id": ids,
        "score": scores,
        "count": np.array([len(answer.items) for answer in answers], np.int32),
        "recommendation_id": np.array([answer.id.encode() for answer in answers], object),
    }


def _text(value: bytes, name: str, given: dict[str, GivenTensor]) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInputError(
            f"input {name!r} has {value[:32]!r}, which is no UTF-8", field=given[name].field
        ) from None
