"""The one composition root: settings → platform → gRPC server."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aigc.errors import InvalidInputError, UnavailableError
from aigc.generate.repository import ModelRepository
from aigc.oip import inference_pb2, inference_pb2_grpc
from aigc.profiles.weights import EventWeights
from aigc.services.platform import Platform, PlatformOptions
from aigc.v1 import (
    creation_service_pb2,
    creation_service_pb2_grpc,
    generation_service_pb2,
    model_service_pb2,
    promotion_service_pb2,
    promotion_service_pb2_grpc,
    training_service_pb2,
    training_service_pb2_grpc,
)
from aigc_server.connections import connection_options
from aigc_server.credentials import server_credentials
from aigc_server.errors import port_in_use
from aigc_server.forwarding import Forwarder, Relay
from aigc_server.generator_metrics import GeneratorPage
from aigc_server.generator_process import GeneratorProcess
from aigc_server.inference.recommender import RecommenderModel
from aigc_server.ingress import Ingress, built
from aigc_server.interceptors.admission import Admission
from aigc_server.interceptors.calls import CallInterceptor
from aigc_server.metrics import Metrics, PlatformMetrics
from aigc_server.platform_services import PLATFORM_SERVICES
from aigc_server.promotion_metrics import PromotionMetrics
from aigc_server.reflection import enable_reflection
from aigc_server.registration import register_platform
from aigc_server.servicers.creation import CreationServicer
from aigc_server.servicers.health import HealthServicer
from aigc_server.servicers.inference_front import InferenceFrontServicer
from aigc_server.servicers.promotion import PromotionServicer
from aigc_server.servicers.training import TrainingServicer
from aigc_server.settings import Settings
from aigc_server.studio import RemoteStudio
from aigc_server.tracing import Tracing

__all__ = ["SERVICES", "App", "open_platform"]

SERVICES = tuple(
    service.full_name
    for service in (
        *PLATFORM_SERVICES,
        creation_service_pb2.DESCRIPTOR.services_by_name["CreationService"],
        inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
        promotion_service_pb2.DESCRIPTOR.services_by_name["PromotionService"],
        training_service_pb2.DESCRIPTOR.services_by_name["TrainingService"],
    )
)

GENERATED = (
    generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"],
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
)
"""What the generator process answers."""

_HEARING_S = 2.0
"""After the grace period, for callers whose calls took longer: what was sent before comes before they are told so."""


def open_platform(
    settings: Settings,
    home: Path,
    *,
    read_only: bool = False,
    watch: bool = False,
    serving: bool = True,
    one_of_several: bool = False,
) -> Platform:
    """The data directory as these settings want it."""
    return Platform.open(
        home,
        PlatformOptions(
            store_url=settings.store.url,
            weights=EventWeights(dict(settings.events.weights)),
            train=settings.train,
            limits=settings.limits,
            prepare=settings.prepare,
            promotion=settings.promotion,
            rewards=settings.rewards,
            keep_snapshots=settings.snapshots.keep,
            poll_ms=settings.snapshots.poll_ms if watch else 0,
            read_only=read_only,
            serving=serving,
            one_of_several=one_of_several,
            verify=settings.snapshots.verify,
            training=settings.training,
            background=settings.creation,
        ),
    )


class App:
    """A server over one platform. Call everything from one event loop."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        """Build the server; nothing listens before :meth:`start`."""
        self.settings = settings.server
        self._tree = settings
        self._generation_settings = settings.generation
        self.platform = platform
        self.metrics = Metrics()
        self.tracing = Tracing(settings.trace, "engine")
        platform.observe(PlatformMetrics(self.metrics))
        self.admission = Admission(self.settings.max_concurrent, self.settings.max_waiting)
        self.health = HealthServicer()
        self.port = 0
        self.metrics_port = 0
        self.ingress: Ingress | None = None
        self.control_address = ""
        self._socket_folder: Path | None = None
        self._ready = False
        self._calls = CallInterceptor(
            self.admission,
            self.metrics,
            self.settings.default_deadline_ms,
            tracing=self.tracing,
            slow_ms=settings.log.slow_ms,
        )
        self._server = grpc.aio.server(
            interceptors=[self._calls],
            options=[
                ("grpc.max_receive_message_length", self.settings.max_message_bytes),
                ("grpc.max_send_message_length", self.settings.max_message_bytes),
                # A second server on the port is an error, not a lottery.
                ("grpc.so_reuseport", 0),
                *connection_options(self.settings).items(),
            ],
        )
        self.generator = GeneratorProcess(
            platform.home,
            settings.generation,
            self.settings.max_message_bytes,
            self._generator_changed,
            settings.trace,
        )
        self._loop = asyncio.get_running_loop()
        self._connecting: set[Future[object]] = set()
        self._ending = False
        repository = ModelRepository(platform.home / "models")
        self.studio = RemoteStudio(repository, self._generator_address, self.settings.max_message_bytes)
        if settings.generation.enabled:
            platform.creator.studio = platform.suggestions.studio = self.studio
        self._register()
        self.metrics.registry.register(PromotionMetrics(platform.promotions))

    async def start(self) -> None:
        """Listen, and report SERVING.

        Raises:
            ConflictError: The port is taken.
            InvalidInputError: A TLS file is wrong.
        """
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self.settings.workers, "call"))
        mode = self.settings.ingress.mode
        if mode == "on" and not built():
            raise InvalidInputError(
                "server.ingress.mode is 'on', and the ingress is not built; install libgrpc++-dev and build again, or "
                "give 'auto'",
                field="server.ingress.mode",
            )
        behind = self._listen_behind() if mode != "off" and built() else self._listen()
        if self.settings.metrics_listen:
            self.metrics_port = self.metrics.serve(self.settings.metrics_listen)
        await self._server.start()
        if behind:
            self.ingress = await asyncio.to_thread(Ingress, self.platform, self._tree, self.metrics, behind)
            self.port = self.ingress.port
        for name in ("", *SERVICES):
            await self._set_health(name, True)
        self._ready = True
        await self._generator_changed(self._generation_settings.enabled)
        if (self.platform.home / "models").is_dir():
            # The first call need not wait for it.
            self.generator.start()
        self.platform.background.start()

    def leave(self) -> None:
        """Report NOT_SERVING for good; calls are still accepted, so that balancers can look elsewhere in peace."""
        self._ready = False
        self.health.leave()
        if self.ingress is not None:
            for name in ("", *SERVICES, *(service.full_name for service in GENERATED)):
                self.ingress.set_health(name, False)

    async def stop(self) -> None:
        """Report NOT_SERVING, refuse new calls, let accepted ones finish within the grace period, close the store."""
        self.leave()
        self.platform.background.stop()
        # Who watches a job is told at once; the job writes its checkpoint while other calls finish.
        await asyncio.gather(asyncio.to_thread(self.platform.training.close), self._drain())
        # Who waits for the generator, such as what is made in the background, is told at once.
        self._ending = True
        self.studio.close()
        for future in tuple(self._connecting):
            future.cancel()
        await self.generator.close()
        self.metrics.close()
        await asyncio.to_thread(self.tracing.close)
        await asyncio.to_thread(self.platform.close)

    async def _drain(self) -> None:
        drain_s = self.settings.drain_ms / 1000
        ends = time.monotonic() + drain_s + _HEARING_S
        self.health.end()
        # What gRPC cuts off at the end learns no reason.
        telling = self._loop.call_later(drain_s, self._calls.end)
        if self.ingress is not None:
            await asyncio.to_thread(self.ingress.stop, round((drain_s + _HEARING_S) * 1000))
        await self._server.stop(max(0.0, ends - time.monotonic()))
        telling.cancel()
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _listen(self) -> str:
        """On the public port."""
        credentials = server_credentials(self.settings.tls)
        listen = self.settings.listen
        try:
            self.port = (
                self._server.add_secure_port(listen, credentials)
                if credentials
                else self._server.add_insecure_port(listen)
            )
        except RuntimeError as error:
            raise port_in_use(listen) from error
        return ""

    def _listen_behind(self) -> str:
        """On a socket of this user's own, for the ingress; gives its address."""
        # A socket's path may have 107 bytes, a data directory's can have more.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="aigc-control-"))
        self.control_address = f"unix:{self._socket_folder / 'control.sock'}"
        self._server.add_insecure_port(self.control_address)
        return self.control_address

    async def _set_health(self, name: str, serves: bool) -> None:
        self.health.set(name, serves)
        if self.ingress is not None:
            self.ingress.set_health(name, self.health.serves(name))

    def _register(self) -> None:
        platform, server = self.platform, self._server
        register_platform(platform, server)
        creation_service_pb2_grpc.add_CreationServiceServicer_to_server(
            CreationServicer(
                platform.creator,
                platform.creations,
                platform.suggestions,
                platform.background,
                platform.foreground,
            ),
            server,
        )
        promotion_service_pb2_grpc.add_PromotionServiceServicer_to_server(
            PromotionServicer(platform.promotions), server
        )
        training_service_pb2_grpc.add_TrainingServiceServicer_to_server(TrainingServicer(platform.training), server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        relay = Relay(self.generator.connect, "generator process", self.tracing.carried, platform.foreground.call)
        server.add_generic_rpc_handlers((Forwarder(GENERATED, relay),))
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceFrontServicer(RecommenderModel(platform.recommender), relay, lambda: self._ready), server
        )
        names = (
            *SERVICES,
            *(s.full_name for s in GENERATED),
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
        )
        enable_reflection(names, server)
        self._count()

    def _count(self) -> None:
        metrics, platform = self.metrics, self.platform
        metrics.gauge("calls_admitted", "Calls in work or waiting", self._inside)
        metrics.depth("calls", lambda: self.admission.waiting)
        metrics.depth("store_rows", lambda: platform.store.waiting_rows)
        metrics.gauge("store_waiting_rows", "Rows that wait to be written", lambda: platform.store.waiting_rows)
        metrics.gauge("answers_dropped", "Answers given and not logged", lambda: platform.dropped_answers)
        metrics.gauge("generator_starts", "Starts of the generator process", lambda: self.generator.starts)
        metrics.gauge("snapshot_age_seconds", "Age of what is serving, 0 without", self._snapshot_age)
        metrics.collect(GeneratorPage(lambda: self.generator.address))
        self._count_background()

    def _count_background(self) -> None:
        status = self.platform.background.status
        for name, text, read in (
            (
                "attempts",
                "Users for whom something was generated, or tried, between requests",
                lambda: status().attempts,
            ),
            ("admitted", "Items generated between requests", lambda: status().admitted),
            ("refused", "Candidates made between requests that a gate refused", lambda: status().refused),
            ("seconds", "Time spent on generating between requests", lambda: status().seconds),
        ):
            self.metrics.count(f"background_{name}", text, read)

    def _generator_address(self) -> str:
        """For threads: where the generator listens, once it does."""
        future: Future[object] = asyncio.run_coroutine_threadsafe(self.generator.connect(), self._loop)
        self._connecting.add(future)
        if self._ending:
            # Perhaps too late for the one who ends the server to see it.
            future.cancel()
        try:
            future.result()
        except CancelledError:
            raise UnavailableError("the server is ending", reason="SERVER_ENDING") from None
        finally:
            self._connecting.discard(future)
        return self.generator.address

    async def _generator_changed(self, serves: bool) -> None:
        for service in GENERATED:
            await self._set_health(service.full_name, serves)

    def _inside(self) -> float:
        return self.admission.inside + (self.ingress.waiting if self.ingress is not None else 0)

    def _snapshot_age(self) -> float:
        manifest = self.platform.live.serving.manifest
        return time.time() - manifest.created_ms / 1000 if manifest else 0.0
