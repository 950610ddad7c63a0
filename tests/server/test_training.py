"""TrainingService over the wire."""

from __future__ import annotations

import asyncio

import grpc

from aigc.v1 import job_pb2
from aigc.v1 import training_service_pb2 as pb
from aigc.v1.training_service_pb2_grpc import TrainingServiceStub
from tests.server.conftest import Client
from tests.server.failure import failure


async def test_recipes_are_listed_with_their_options(client: Client) -> None:
    stub = TrainingServiceStub(client.channel)
    recipes = {r.kind: r for r in (await stub.ListRecipes(pb.ListRecipesRequest())).recipes}
    assert {"gan", "caption-gan", "vae", "gpt"} <= recipes.keys()
    assert recipes["gan"].data == "images"
    steps = next(o for o in recipes["gan"].options if o.name == "trainer.steps")
    assert steps.default_value.isdigit()
    assert steps.description == "Optimisation steps in all."


async def test_a_wrong_request_names_the_field_and_the_nearest_option(client: Client) -> None:
    stub = TrainingServiceStub(client.channel)
    got = await failure(stub.StartTraining(pb.StartTrainingRequest(kind="gan", model="m", options={"gan.los": "x"})))
    assert (got.code, got.field) == (grpc.StatusCode.INVALID_ARGUMENT, "options[gan.los]")
    assert "did you mean gan.loss?" in got.message
    local = {"caption.word_vectors": "words.vec"}
    got = await failure(stub.StartTraining(pb.StartTrainingRequest(kind="caption-gan", model="m", options=local)))
    assert (got.code, got.field) == (grpc.StatusCode.INVALID_ARGUMENT, "options[caption.word_vectors]")
    got = await failure(stub.StartTraining(pb.StartTrainingRequest(kind="gann", model="m")))
    assert (got.field, got.reason) == ("kind", "UNKNOWN_RECIPE")
    got = await failure(stub.StartTraining(pb.StartTrainingRequest(kind="gan", model="A")))
    assert got.field == "model"
    got = await failure(stub.ListJobs(pb.ListJobsRequest(page_size=-1)))
    assert got.field == "page_size"
    for call in (stub.GetJob(pb.GetJobRequest(id="no")), stub.CancelJob(pb.CancelJobRequest(id="no"))):
        assert (await failure(call)).reason == "JOB_NOT_FOUND"
    assert (await failure(stub.WatchJob(pb.WatchJobRequest(id="no")).read())).code is grpc.StatusCode.NOT_FOUND


async def test_a_job_that_cannot_be_done_is_watched_to_its_end_and_says_why(client: Client) -> None:
    stub = TrainingServiceStub(client.channel)
    request = pb.StartTrainingRequest(request_id="r1", kind="gan", model="m", options={"trainer.steps": "5"})
    job = (await stub.StartTraining(request)).job
    assert (job.kind, job.model, dict(job.options)) == ("gan", "m", {"trainer.steps": "5"})
    assert (await stub.StartTraining(request)).job.id == job.id
    request.model = "other"
    assert (await failure(stub.StartTraining(request))).code is grpc.StatusCode.ALREADY_EXISTS
    waiting = (await stub.StartTraining(pb.StartTrainingRequest(kind="vae", model="n"))).job
    assert (await stub.CancelJob(pb.CancelJobRequest(id=waiting.id))).job.state == job_pb2.JOB_STATE_CANCELLED
    seen = [r.job async for r in stub.WatchJob(pb.WatchJobRequest(id=job.id))]
    assert seen[-1].state == job_pb2.JOB_STATE_FAILED
    # The small catalogue has items that are pictures by name alone.
    assert seen[-1].error.startswith("the catalogue has no pictures; import some")
    assert seen[-1].end_time.seconds >= seen[-1].start_time.seconds >= seen[-1].create_time.seconds > 0
    page = await stub.ListJobs(pb.ListJobsRequest(page_size=1))
    assert [j.id for j in page.jobs] == [waiting.id]
    rest = await stub.ListJobs(pb.ListJobsRequest(page_size=1, page_token=page.next_page_token))
    assert [j.id for j in rest.jobs] == [job.id]


async def test_a_watcher_that_leaves_is_forgotten(client: Client) -> None:
    stub, training = TrainingServiceStub(client.channel), client.app.platform.training
    job = (await stub.StartTraining(pb.StartTrainingRequest(kind="gan", model="m"))).job
    watch = stub.WatchJob(pb.WatchJobRequest(id=job.id))
    await watch.read()
    assert training._listeners
    watch.cancel()
    async with asyncio.timeout(30):
        while training._listeners:
            await asyncio.sleep(0.01)
    await stub.CancelJob(pb.CancelJobRequest(id=job.id))
