"""The recommender as a deployment of Ray Serve behind its gRPC proxy.

``python ray_serve.py STUBS MODEL PORT``.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import ray
from numpy_model import NumpyModel
from ray import serve
from ray.serve.config import gRPCOptions

sys.path.insert(0, sys.argv[1])
import recommender_pb2 as pb


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0})
class Recommender:
    """The one method."""

    def __init__(self, model: str) -> None:
        self._model = NumpyModel(Path(model))

    async def Recommend(self, request: pb.Request) -> pb.Answer:  # noqa: N802
        """Items that the user has not rated."""
        items, scores = self._model.recommend(request.user_id, request.n)
        return pb.Answer(items=[pb.Scored(item_id=i, score=s) for i, s in zip(items, scores, strict=True)])


def main() -> None:
    _, _, model, port = sys.argv
    with tempfile.TemporaryDirectory(
        prefix="ray", dir="/tmp", ignore_cleanup_errors=True
    ) as temp:  # sockets: short paths
        serve_until_told(model, int(port), temp)


def serve_until_told(model: str, port: int, temp: str) -> None:
    ray.init(num_cpus=1, include_dashboard=False, _temp_dir=temp, object_store_memory=80 * 2**20)
    serve.start(
        grpc_options=gRPCOptions(
            port=port, grpc_servicer_functions=["recommender_pb2_grpc.add_RecommenderServicer_to_server"]
        ),
        http_options={"host": "127.0.0.1", "port": port + 1},
    )
    serve.run(Recommender.bind(model), name="recommender", route_prefix="/")
    print("ready", flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
