"""A training run on a Ray cluster: Ray Train starts the workers and starts them again, our loop does the training."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.errors import AigcError, InvalidInputError
from aigc.generate.repository import ModelRepository
from aigc.profiles.weights import EventWeights
from aigc.store.sql import open_store
from aigc.training.guards import TrainingFailedError
from aigc.training.run_spec import RunSpec
from aigc_server.ray.extra import need_ray
from aigc_server.ray.foreman import Foreman, stop_asked
from aigc_server.ray.serving import join_cluster

if TYPE_CHECKING:
    from aigc.training.trainer import TrainingProgress

__all__ = ["RayRun", "WorkerOptions"]

_HEAR_S = 0.2
_PATIENCE_S = 20.0
# Ray Train's own names. Our paths count: it would begin each worker in a folder of its own. And it looks for lost
# workers, and for the end, every two seconds otherwise.
_ENVIRONMENT = {"RAY_CHDIR_TO_TRIAL_DIR": "0", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The workers.

    Attributes:
        workers: That share each batch.
        address: Of the cluster, see :class:`aigc_server.ray.serving.ServeOptions`.
        cpus: That each asks of its node.
        gpu: Whether each asks for a GPU; gradients then travel by NCCL instead of gloo.
        failures: How often lost workers are replaced before the run is given up.
    """

    workers: int = 2
    address: str = ""
    cpus: float = 1.0
    gpu: bool = False
    failures: int = 5

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.workers < 1:
            raise InvalidInputError(f"workers is {self.workers}; give at least 1", field="workers")
        if self.cpus <= 0:
            raise InvalidInputError(f"cpus is {self.cpus}; give more than 0", field="cpus")
        if self.failures < 0:
            raise InvalidInputError(f"failures is {self.failures}; give 0 or more", field="failures")


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is told.

    Attributes:
        folder: Of the run; like the other paths, every node sees it under the same name.
        spec: What is trained.
        models: Folder of the repository.
        store_url: Of the catalogue.
        weights: Of event types.
        cwd: From which relative paths of data count.
    """

    folder: Path
    spec: RunSpec
    models: Path
    store_url: str
    weights: dict[str, float]
    cwd: Path = field(default_factory=Path.cwd)


class RayRun:
    """One run, shown as :class:`aigc.training.run.TrainingRun` shows one of this process.

    Folder, checkpoints and the model are the same, and so are the weights, to the bit, as those of as many processes
    under torchrun. A worker that is lost takes the others with it; Ray starts all again where there is room, and the
    run goes on from its last checkpoint.

    Attributes:
        spec: What is trained.
        made: ``name@version`` once the model is in the repository, "" before.
        stopped: True when the run was told to stop before its end.
    """

    def __init__(self, order: Order, options: WorkerOptions, *, stop: Callable[[], bool]) -> None:
        """Prepare.

        Args:
            order: What the workers are told.
            options: How many, and where.
            stop: Asked now and then whether to end after the step in work.
        """
        self.spec = order.spec
        self.made = ""
        self.stopped = False
        self._order = order
        self._options = options
        self._stop = stop

    def train(self) -> Iterator[TrainingProgress]:
        """Run to the end, reporting.

        Raises:
            AigcError: What a worker found, as :meth:`aigc.training.run.TrainingRun.train` raises it.
            TrainingFailedError: Workers were lost too often.
            UnavailableError: The extra is not installed, or no cluster answers.
        """
        need_ray()
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        options = self._options
        # What matters of what the workers write comes by the foreman.
        join_cluster(options.address, options.workers * options.cpus, log=False)
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        try:
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            foreman: Any = ray.remote(Foreman).options(num_cpus=0, scheduling_strategy=here).remote()
            yield from self._follow(foreman)
        finally:
            ray.shutdown()

    def _follow(self, foreman: Any) -> Iterator[TrainingProgress]:
        import ray

        from aigc.training.trainer import TrainingProgress

        ended: dict[str, Any] = {}
        thread = threading.Thread(target=self._fit, args=(foreman, ended), name="ray train", daemon=True)
        thread.start()
        began, starts, told, at = time.monotonic(), 0, False, (0, 0)
        while True:
            last = not thread.is_alive()
            for said in ray.get(foreman.hear.remote()):
                progress = TrainingProgress(**said)
                at = (progress.step, progress.steps)
                yield progress
            if last:
                break
            before, starts = starts, ray.get(foreman.starts.remote())
            if starts > max(1, before):
                yield TrainingProgress(*at, event=f"workers were lost and are replaced ({starts - 1})")
            if not starts and began and time.monotonic() - began > _PATIENCE_S:
                began = 0.0
                yield TrainingProgress(*at, event=f"waiting for room for {self._wanted()} on the cluster")
            if not told and self._stop():
                ray.get(foreman.stop.remote())
                told = True
            time.sleep(_HEAR_S)
        failure: AigcError | None = ray.get(foreman.failure.remote())
        if failure is not None:
            raise failure
        if "error" in ended:
            raise TrainingFailedError(
                f"workers were lost more than {self._options.failures} times ({_first_line(ended['error'])}); the same "
                f"command goes on from the last checkpoint in {self._order.folder}",
                reason="WORKERS_LOST",
            )
        self.made, self.stopped = ended["result"]

    def _wanted(self) -> str:
        options = self._options
        each = f"{options.cpus:g} CPUs" + (" and a GPU" if options.gpu else "")
        return f"{options.workers} workers of {each} each"

    def _fit(self, foreman: Any, ended: dict[str, Any]) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        options = self._options
        # Ray Train keeps notes of its own, which nobody needs once it ended.
        notes = self._order.folder / "ray"
        # Its type stubs want a function that gives nothing.
        work: Any = _work
        trainer: Any = TorchTrainer(
            work,
            train_loop_config={"order": self._order, "foreman": foreman},
            torch_config=TorchConfig(backend="nccl" if options.gpu else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=options.workers,
                use_gpu=options.gpu,
                resources_per_worker={"CPU": options.cpus} | ({"GPU": 1} if options.gpu else {}),
                placement_strategy="SPREAD",
            ),
            run_config=RunConfig(
                name=self.spec.id,
                storage_path=str(notes),
                failure_config=FailureConfig(max_failures=options.failures),
            ),
        )
        try:
            ended["result"] = trainer.fit().return_value
        except Exception as error:  # What it raises when it gives up differs from version to version.
            ended["error"] = error
        finally:
            shutil.rmtree(notes, ignore_errors=True)


def _work(config: dict[str, Any]) -> tuple[str, bool]:
    """In each worker. Gives the model made, if any, and whether the run was stopped."""
    import ray

    from aigc.training.processes import joined
    from aigc.training.run import TrainingRun

    order: Order = config["order"]
    foreman = config["foreman"]
    os.chdir(order.cwd)
    with joined() as processes:
        if processes.agree(float(processes.leads and ray.get(foreman.begin.remote()) is not None)):
            return "", False
        run = TrainingRun(
            order.folder,
            order.spec,
            ModelRepository(order.models),
            lambda: open_store(order.store_url, read_only=True),
            processes=processes,
            stop=stop_asked(foreman),
            weights=EventWeights(order.weights),
        )
        try:
            for progress in run.train():
                if processes.leads:
                    foreman.say.remote(asdict(progress))
        except AigcError as error:
            # The others wait for this worker: only its failure ends them, and then all are started again to hear why.
            ray.get(foreman.give_up.remote(error))
            raise
    return run.made, run.stopped


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
