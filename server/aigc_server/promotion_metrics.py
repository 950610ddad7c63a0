"""What became of model versions, on the page of metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aigc.services.promotions import Promotions

__all__ = ["PromotionMetrics"]


class PromotionMetrics(Collector):
    """``aigc_promotion_outcomes_total`` by outcome, and ``aigc_promotions_running``."""

    def __init__(self, promotions: Promotions) -> None:
        """Args: promotions: asked whenever the page is read."""
        self._promotions = promotions

    def collect(self) -> Iterator[Metric]:
        """For the page."""
        outcomes = CounterMetricFamily("aigc_promotion_outcomes", "What became of model versions", labels=["outcome"])
        for outcome, count in self._promotions.counts().items():
            outcomes.add_metric([outcome], count)
        yield outcomes
        yield GaugeMetricFamily(
            "aigc_promotions_running", "Models of which versions are compared", self._promotions.running()
        )
