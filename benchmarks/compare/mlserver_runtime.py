"""The recommender as a custom runtime of MLServer, which run.py's settings name by its import path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from numpy_model import NumpyModel


class Recommender(MLModel):
    """``user_id`` BYTES [1] and ``n`` INT64 [1] in; ``item_id`` BYTES [n] and ``score`` FP32 [n] out."""

    async def load(self) -> bool:
        """Read the model that ``parameters.uri`` names."""
        self._model = NumpyModel(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Items that the user has not rated."""
        given = {i.name: i.data.root[0] for i in payload.inputs}
        user = given["user_id"]
        items, scores = self._model.recommend(user.decode() if isinstance(user, bytes) else user, int(given["n"]))
        outputs = [
            ResponseOutput(name="item_id", shape=[len(items)], datatype="BYTES", data=[i.encode() for i in items]),
            ResponseOutput(name="score", shape=[len(items)], datatype="FP32", data=np.asarray(scores).tolist()),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
