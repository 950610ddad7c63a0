"""What the steps of preparation did, on the wire."""

from __future__ import annotations

from aigc.prepare.pipeline import StepReport
from aigc.v1 import catalog_service_pb2 as pb

__all__ = ["steps_to_proto"]


def steps_to_proto(report: StepReport) -> list[pb.PrepareStep]:
    """A message a step that did something."""
    return [
        pb.PrepareStep(name=name, changed_count=report.changed[name], refused_count=report.refused[name])
        for name in dict.fromkeys([*report.changed, *report.refused])
    ]
