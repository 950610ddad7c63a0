"""The generator process's composition root: models → use cases → servicers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc

from aigc.generate.base import Generator, TextGenerator
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.repository import ModelRepository
from aigc.oip import inference_pb2_grpc
from aigc.services.generation_limits import GenerationLimits
from aigc.services.model_pool import ModelPool
from aigc.services.picture_generation import PictureGeneration
from aigc.services.text_embedding import TextEmbedding
from aigc.services.text_generation import TextGeneration
from aigc.services.turnstile import Turnstile
from aigc.v1 import generation_service_pb2_grpc, model_service_pb2_grpc
from aigc_server.generator.text_metrics import TextEngines
from aigc_server.generator_metrics import page_handler
from aigc_server.inference.generators import GeneratorModels
from aigc_server.interceptors.admission import Admission
from aigc_server.interceptors.calls import CallInterceptor
from aigc_server.metrics import Metrics
from aigc_server.servicers.generation import GenerationServicer
from aigc_server.servicers.inference import InferenceServicer
from aigc_server.servicers.model import ModelServicer
from aigc_server.settings import TraceSettings
from aigc_server.tracing import Tracing

__all__ = ["GeneratorApp"]

_UNARY_DEADLINE_MS = 600_000
_DRAIN_S = 1.0


class GeneratorApp:
    """GenerationService, ModelService and GRPCInferenceService over the models of one data directory."""

    def __init__(self, home: Path, limits: GenerationLimits, message_bytes: int, trace: TraceSettings) -> None:
        """Build the server; nothing listens before :meth:`start`."""
        # Slow to import, and this process is the one place that serves with it.
        import torch

        torch.set_num_threads(limits.threads)
        self.pool = ModelPool(ModelRepository(home / "models"), limits.models, partial(_engine, limits), _close)
        turnstile = Turnstile(limits.queue)
        pictures = PictureGeneration(self.pool, turnstile, limits)
        room = limits.queue + limits.slots
        metrics = Metrics("aigc_generator")
        metrics.depth("pictures", lambda: turnstile.length)
        metrics.collect(TextEngines(self.pool))
        self._tracing = Tracing(trace, "generator")
        self._server = grpc.aio.server(
            interceptors=[CallInterceptor(Admission(room, 0), metrics, _UNARY_DEADLINE_MS, tracing=self._tracing)],
            options=[
                ("grpc.max_receive_message_length", message_bytes),
                ("grpc.max_send_message_length", message_bytes),
            ],
        )
        texts = TextGeneration(self.pool, limits)
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationServicer(pictures, texts), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(self.pool), self._server)
        models = GeneratorModels(pictures, texts, TextEmbedding(self.pool, turnstile, limits), limits.texts)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceServicer(self.pool, models), self._server
        )
        self._server.add_generic_rpc_handlers((page_handler(metrics),))
        self._threads = room

    async def start(self, address: str) -> None:
        """Listen."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self._threads, "generate"))
        self._server.add_insecure_port(address)
        await self._server.start()

    async def stop(self) -> None:
        """End the calls and let the models go."""
        await self._server.stop(_DRAIN_S)
        await asyncio.to_thread(self.pool.close)
        await asyncio.to_thread(self._tracing.close)


def _engine(limits: GenerationLimits, generator: Generator) -> TextEngine | None:
    # An encoder of Hugging Face's is of the class of those that write, and writes nothing.
    if not isinstance(generator, TextGenerator) or not getattr(generator, "causal", True):
        return None
    most = EngineLimits(limits.tokens, limits.texts, queue=limits.queue)
    return generator.engine(limits.slots, most)


def _close(engine: TextEngine | None) -> None:
    if engine is not None:
        engine.close()
