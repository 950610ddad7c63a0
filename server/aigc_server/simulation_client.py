"""A real server in a process of its own, and the simulator's face of it over gRPC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aigc.entities import Event, Item
from aigc.errors import AigcError, UnavailableError
from aigc.evaluate.simulation.client import Answer, Generation
from aigc.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    creation_pb2,
    creation_service_pb2,
    creation_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    generation_service_pb2,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from aigc_server.converters.event import event_to_proto
from aigc_server.converters.item import item_from_proto

__all__ = ["GrpcWorldClient", "ServedHome"]

_PATIENCE_S = 120.0
_BATCH = 200
_MESSAGE_BYTES = 64_000_000
_GENERATORS = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name


class ServedHome:
    """``aigc serve`` on a data directory, on a port that the system chooses, for the length of a block."""

    def __init__(self, home: Path) -> None:
        """Args: home: a data directory; its log goes beside it, into :attr:`log_path`, and stays."""
        self.home = home
        self.log_path = home.with_name(f"{home.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> grpc.Channel:
        """The channel, once the server answers; UnavailableError with its log when it ends before."""
        note = self.home / "server.json"
        note.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "aigc_server.cli", "serve", "--home", str(self.home)]
            self._process = subprocess.Popen(  # noqa: S603
                [*command, "--listen", "127.0.0.1:0", "--log-level", "error"], stdout=log, stderr=log, env=os.environ
            )
        try:
            self._channel = self._connect(note)
        except BaseException:
            # Whoever leaves before the block has begun leaves no server behind.
            self.__exit__(None, None, None)
            raise
        return self._channel

    def _connect(self, note: Path) -> grpc.Channel:
        deadline = time.monotonic() + _PATIENCE_S
        while not (note.exists() and note.read_text().endswith("\n")):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(
                    f"the server did not start: {self.log_path.read_text()[-500:].strip()}", reason="NO_SERVER"
                )
            time.sleep(0.02)
        return grpc.insecure_channel(
            json.loads(note.read_text())["address"],
            options=[
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ],
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the server: politely, then not."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)


class GrpcWorldClient:
    """An :class:`aigc.evaluate.simulation.client.WorldClient` of one strategy; errors name what the server answered."""

    def __init__(self, channel: grpc.Channel, strategy: str, *, wanted: int = 2, kind: str = "") -> None:
        """Args: channel: to the server; strategy: by name; wanted: items a generation; kind: of them, empty for any."""
        self._strategy, self._wanted, self._kind = strategy, wanted, kind
        self._events: Any = event_service_pb2_grpc.EventServiceStub(channel)
        self._catalog: Any = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self._creations: Any = creation_service_pb2_grpc.CreationServiceStub(channel)
        self._recommendations: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        self._health: Any = health_pb2_grpc.HealthStub(channel)

    def recommend(self, user_ids: Sequence[str], n: int) -> list[Answer]:
        """See :class:`aigc.evaluate.simulation.client.WorldClient`."""
        found: list[Answer] = []
        for start in range(0, len(user_ids), _BATCH):
            requests = [
                recommendation_service_pb2.RecommendRequest(user_id=user, n=n, strategy=self._strategy)
                for user in user_ids[start : start + _BATCH]
            ]
            message = recommendation_service_pb2.BatchRecommendRequest(requests=requests)
            found += [
                Answer(
                    answer.recommendation_id,
                    tuple(i.item_id for i in answer.items),
                    tuple(i.generated for i in answer.items),
                )
                for answer in self._called(self._recommendations.BatchRecommend, message).responses
            ]
        return found

    def record(self, events: Sequence[Event]) -> None:
        """See :class:`aigc.evaluate.simulation.client.WorldClient`."""
        message = event_service_pb2.RecordEventsRequest(events=[event_to_proto(e) for e in events])
        self._called(self._events.RecordEvents, message)

    def generate_for(self, user_id: str) -> Generation:
        """See :class:`aigc.evaluate.simulation.client.WorldClient`."""
        message = creation_service_pb2.GenerateForUserRequest(
            user_id=user_id, n=self._wanted, strategy=self._strategy, kind=self._kind
        )

        def all_steps(request: Any, timeout: float) -> list[Any]:
            return list(self._creations.GenerateForUser(request, timeout=timeout))

        decided, admitted, refused = False, 0, 0
        for step in self._called(all_steps, message):
            decided = decided or step.decision.generate
            admitted += step.creation.state == creation_pb2.CREATION_STATE_ADMITTED
            refused += step.creation.state == creation_pb2.CREATION_STATE_REFUSED
        return Generation(decided, admitted, refused)

    def items(self, item_ids: Sequence[str]) -> list[Item]:
        """See :class:`aigc.evaluate.simulation.client.WorldClient`."""
        found: list[Item] = []
        for start in range(0, len(item_ids), _BATCH):
            message = catalog_service_pb2.BatchGetItemsRequest(
                item_ids=item_ids[start : start + _BATCH], include_content=True
            )
            items = self._called(self._catalog.BatchGetItems, message).items
            found += [item_from_proto(item, f"items[{i}]") for i, item in enumerate(items)]
        return found

    def wait_for_generators(self) -> None:
        """Return when the generator process serves; UnavailableError when it does not within two minutes."""
        deadline = time.monotonic() + _PATIENCE_S
        request = health_pb2.HealthCheckRequest(service=_GENERATORS)
        while self._called(self._health.Check, request).status != health_pb2.HealthCheckResponse.SERVING:
            if time.monotonic() > deadline:
                raise UnavailableError("the server's generators do not serve", reason="NO_GENERATOR")
            time.sleep(0.1)

    @staticmethod
    def _called(call: Any, request: Any) -> Any:
        try:
            return call(request, timeout=_PATIENCE_S)
        except grpc.RpcError as error:
            status: Any = error
            raise AigcError(f"the server answered {status.code().name}: {status.details()}") from error
