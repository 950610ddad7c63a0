"""Jobs and recipes → wire; requests for training → domain."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration

from aigc.services.training import TrainingRequest
from aigc.training.data_source import DataChoice
from aigc.training.job import Job, JobState
from aigc.training.liked import Liked
from aigc.training.recipe import Recipe, list_recipe_options
from aigc.v1 import job_pb2, training_service_pb2
from aigc_server.converters.times import from_ms

__all__ = ["job_to_proto", "recipe_to_proto", "training_from_proto"]

_STATES: Mapping[JobState, job_pb2.JobState.ValueType] = {
    "queued": job_pb2.JOB_STATE_QUEUED,
    "running": job_pb2.JOB_STATE_RUNNING,
    "succeeded": job_pb2.JOB_STATE_SUCCEEDED,
    "failed": job_pb2.JOB_STATE_FAILED,
    "cancelled": job_pb2.JOB_STATE_CANCELLED,
}


def job_to_proto(job: Job) -> job_pb2.Job:
    """Domain → wire; times that are not yet are left out."""
    left = Duration()
    left.FromMilliseconds(job.left_ms)
    return job_pb2.Job(
        id=job.id,
        kind=job.kind,
        model=job.model,
        state=_STATES[job.state],
        step=job.step,
        steps=job.steps,
        metrics=dict(job.metrics),
        measures=dict(job.measures),
        create_time=from_ms(job.created_ms),
        start_time=from_ms(job.started_ms) if job.started_ms else None,
        end_time=from_ms(job.ended_ms) if job.ended_ms else None,
        time_left=left if job.left_ms else None,
        events=job.events,
        error=job.error,
        made=job.made,
        options=dict(job.options),
    )


def recipe_to_proto(recipe: Recipe) -> training_service_pb2.Recipe:
    """Domain → wire."""
    return training_service_pb2.Recipe(
        kind=recipe.kind,
        description=recipe.description,
        data=recipe.data,
        options=[
            training_service_pb2.RecipeOption(name=o.name, default_value=o.default, description=o.description)
            for o in list_recipe_options(recipe)
        ],
    )


def training_from_proto(request: training_service_pb2.StartTrainingRequest) -> TrainingRequest:
    """Wire → domain; a caller chooses among the catalogue's items, never a path on the server."""
    return TrainingRequest(
        kind=request.kind,
        model=request.model,
        options=dict(request.options),
        data=DataChoice(
            item_kinds=tuple(request.item_kinds),
            categories=tuple(request.categories),
            include_generated=request.include_generated,
            liked=Liked(request.liked.users or 1, request.liked.days, tuple(request.liked.user_ids))
            if request.HasField("liked")
            else None,
        ),
        request_id=request.request_id,
        from_model=request.from_model,
    )
