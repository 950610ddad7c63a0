"""Versions of a model measured on the same held-out pictures, for those that were trained on different ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from aigc.errors import InvalidInputError
from aigc.evaluate.generation.held_out import LEAST_PICTURES, held_out_measures
from aigc.generate.base import ImageData, ImageGenerator
from aigc.generate.repository import ModelInfo, ModelRepository
from aigc.store.base import Store
from aigc.training.data import load_data
from aigc.training.data_source import IMAGES, DataChoice
from aigc.training.recipe import find_recipe, parse_options

__all__ = ["evaluate_models"]


def evaluate_models(
    repository: ModelRepository, references: Sequence[str], choice: DataChoice, open_store: Callable[[], Store]
) -> Iterator[ModelInfo]:
    """Measure each and keep the measures with it; gives each version once that is done.

    The data are prepared and divided as the first model's training did. A version that learned from pictures that are
    held out now looks a little better than it is.

    Args:
        repository: Of the models.
        references: At least one, all of the same kind.
        choice: Which pictures.
        open_store: Opens the catalogue, for reading, when it is wanted.

    Raises:
        NotFoundError: No such model, or no such data.
        InvalidInputError: The models differ in kind or make no pictures, or there are too few held-out pictures.
    """
    infos = [repository.get(reference, f"models[{i}]") for i, reference in enumerate(references)]
    kinds = sorted({info.kind for info in infos})
    if len(kinds) != 1:
        raise InvalidInputError(
            f"models of the kinds {', '.join(kinds) or 'none'}: measures compare within one kind", field="models"
        )
    recipe = find_recipe(kinds[0])
    if recipe.data != IMAGES:
        raise InvalidInputError(
            f"models of the kind {kinds[0]} make no pictures; what their training measured stands with them "
            f"(`aigc generator show {infos[0].id}`)",
            field="models",
        )
    wanted = {name: value for name, value in infos[0].options.items() if name.startswith("data.")}
    data = load_data(IMAGES, choice, parse_options(recipe, wanted).data, open_store, captions=recipe.captions)
    train, held_out = data.train, data.held_out
    assert isinstance(train, ImageData)
    assert isinstance(held_out, ImageData)
    for info in infos:
        generator = repository.open(info)
        assert isinstance(generator, ImageGenerator)
        if tuple(generator.image_shape) != held_out.pixels.shape[1:]:
            raise InvalidInputError(
                f"{info.id} makes pictures of {generator.image_shape} and the data has {held_out.pixels.shape[1:]}: "
                "measure on pictures of its size",
                field="data",
            )
        measures = held_out_measures(generator, train, held_out)
        if not measures:
            raise InvalidInputError(
                f"{len(held_out.pixels)} held-out pictures of {choice.in_words} tell nothing; at least "
                f"{LEAST_PICTURES} are needed",
                field="data",
            )
        yield repository.note_measures(info.id, measures)
