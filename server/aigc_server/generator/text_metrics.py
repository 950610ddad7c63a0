"""Figures of the models that write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aigc.generate.decode import TextEngine
from aigc.services.model_pool import ModelPool

__all__ = ["TextEngines"]


class TextEngines(Collector):
    """Counters of the models that write, those in memory now."""

    def __init__(self, pool: ModelPool) -> None:
        """Args: pool: the models in memory."""
        self._pool = pool

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering asks nobody."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One series a model."""
        kinds: dict[str, Any] = {
            "tokens": CounterMetricFamily("aigc_generator_tokens", "Tokens written", labels=["model"]),
            "prompt_tokens": CounterMetricFamily("aigc_generator_prompt_tokens", "Tokens read", labels=["model"]),
            "steps": CounterMetricFamily("aigc_generator_text_steps", "Steps of decoding", labels=["model"]),
            "finished": CounterMetricFamily("aigc_generator_texts", "Texts that ended", labels=["model"]),
            "active": GaugeMetricFamily("aigc_generator_slots_in_use", "Texts in the batch", labels=["model"]),
            "waiting": GaugeMetricFamily("aigc_generator_texts_waiting", "Texts in line", labels=["model"]),
        }
        for model in self._pool.models():
            if isinstance(model.runner, TextEngine):
                counters = model.runner.counters
                for name, family in kinds.items():
                    family.add_metric([model.info.id], getattr(counters, name))
        yield from kinds.values()
