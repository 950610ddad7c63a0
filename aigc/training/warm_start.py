"""Going on with a trained model: its weights in the place of fresh ones."""

from __future__ import annotations

from pathlib import Path

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.model_folder import fill_module, read_tensors
from aigc.generate.task import Task

__all__ = ["take_weights"]


def take_weights(task: Task, folder: Path, model: str) -> None:
    """Fill every module of a task from a saved model of the same kind.

    The optimiser begins anew: its state is that of another set, and is not kept with a model.

    Args:
        task: Fresh, of the model's shape.
        folder: Of the saved model.
        model: ``name@version``, for errors.

    Raises:
        InvalidInputError: Options gave the task another shape than the model's.
        CorruptDataError: The file is broken.
    """
    tensors = read_tensors(folder)
    for name, module in task.modules.items():
        try:
            fill_module(module, tensors, name, folder)
        except CorruptDataError as error:
            raise InvalidInputError(
                f"{model} is of another shape than the options ask for ({name}: {error}); leave out the options that "
                "change it",
                field="from_model",
                reason="OTHER_SHAPE",
            ) from error
