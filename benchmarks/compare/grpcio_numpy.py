"""A recommender as most teams would write it: grpcio, a pool of threads, numpy.

``python grpcio_numpy.py STUBS MODEL PORT dense|lists``; STUBS is the folder of what protoc made of recommender.proto.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from numpy_model import NumpyModel

sys.path.insert(0, sys.argv[1])
import recommender_pb2 as pb
import recommender_pb2_grpc as rpc


class Recommender(rpc.RecommenderServicer):
    """The one method."""

    def __init__(self, model: NumpyModel) -> None:
        self._model = model

    def Recommend(self, request: pb.Request, context: grpc.ServicerContext) -> pb.Answer:  # noqa: ARG002, N802
        """Items that the user has not rated."""
        items, scores = self._model.recommend(request.user_id, request.n)
        return pb.Answer(items=[pb.Scored(item_id=i, score=s) for i, s in zip(items, scores, strict=True)])


def main() -> None:
    _, _, model, port, way = sys.argv
    server = grpc.server(ThreadPoolExecutor(10))
    rpc.add_RecommenderServicer_to_server(Recommender(NumpyModel(Path(model), lists=way == "lists")), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
