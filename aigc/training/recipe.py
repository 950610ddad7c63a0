"""What can be trained: a kind, the data that it wants, its options with their defaults, and how it is put together."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from aigc.errors import InvalidInputError
from aigc.option_tree import OptionInfo, build_options, list_options, put_value
from aigc.training.data import TrainingData
from aigc.training.options import TrainerOptions

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = [
    "KINDS",
    "LOCAL_OPTIONS",
    "Recipe",
    "RunOptions",
    "all_recipes",
    "changed_options",
    "find_recipe",
    "list_recipe_options",
    "parse_options",
]

T = TypeVar("T")
KINDS = {
    "gan": "aigc.training.recipes.gan:GanRecipe",
    "bert": "aigc.training.recipes.bert:BertRecipe",
    "caption-gan": "aigc.training.recipes.caption_gan:CaptionGanRecipe",
    "vae": "aigc.training.recipes.vae:VaeRecipe",
    "audio-vae": "aigc.training.recipes.audio_vae:AudioVaeRecipe",
    "gpt": "aigc.training.recipes.gpt:GptRecipe",
}
# Options that name a file of this machine: for whoever works on it, never for a request.
LOCAL_OPTIONS = ("caption.word_vectors",)
_PRESET = "preset"
# One seed for the whole run; the classes' own fields of that name are set from it.
_SEED = "seed"
_OWN_SEED = ("trainer", "data")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run by group, and which of them were given rather than left at their defaults."""

    groups: Mapping[str, Any]
    given: frozenset[str] = field(default_factory=frozenset)

    @property
    def trainer(self) -> TrainerOptions:
        """The loop's."""
        return cast(TrainerOptions, self.groups["trainer"])

    @property
    def data(self) -> Any:
        """The data's: of the recipe's modality."""
        return self.groups["data"]

    def flat(self) -> dict[str, str]:
        """Every option by its full name, as it would be typed."""
        return {o.name: o.default for group in self.groups for o in _shown(group, self.groups[group])}


class Recipe(Protocol):
    """How one kind of generator is trained. Making one and asking for its options does not load torch.

    Attributes:
        kind: As in :data:`aigc.generate.loading.KINDS`.
        description: In words.
        data: ``images``, ``texts`` or ``recordings``.
        captions: Pictures without a title are of no use.
        goes_on: A trained model of the kind can be gone on with.
        presets: Group → name → instance of the group's class, for options that only make sense together.
    """

    kind: str
    description: str
    data: str
    captions: bool
    goes_on: bool
    presets: Mapping[str, Mapping[str, Any]]

    @property
    def groups(self) -> Mapping[str, Any]:
        """Group → an instance of a frozen dataclass that holds the defaults; ``trainer`` and ``data`` among them."""
        ...

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """The model in training.

        Args:
            data: Of the modality.
            options: Of this recipe.
            base: The trained generator to begin from, when ``options`` name one.
        """
        ...

    def base(self, options: RunOptions) -> str:
        """The trained model to begin from, "" for none."""
        ...

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """What is kept of a trained task."""
        ...


def find_recipe(kind: str) -> Recipe:
    """The recipe of a kind.

    Raises:
        InvalidInputError: There is none; names the nearest one and those there are.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"did you mean {near[0]}? There are: " if near else "there are: "
        raise InvalidInputError(
            f"kind is {kind[:64]!r}; {hint}{', '.join(KINDS)}", field="kind", reason="UNKNOWN_RECIPE"
        )
    module, name = KINDS[kind].split(":")
    return cast(Recipe, getattr(importlib.import_module(module), name)())


def changed_options(base: T, options: RunOptions, group: str) -> T:
    """The options of a trained model, with those of a group in their place that were given."""
    given = {n.removeprefix(f"{group}.") for n in options.given if n.startswith(f"{group}.")}
    return cast(T, replace(cast(Any, base), **{name: getattr(options.groups[group], name) for name in given}))


def all_recipes() -> list[Recipe]:
    """All of them, by kind."""
    return [find_recipe(kind) for kind in sorted(KINDS)]


def list_recipe_options(recipe: Recipe) -> list[OptionInfo]:
    """What can be chosen, the recipe's own groups first."""
    listed: list[OptionInfo] = []
    for group, defaults in recipe.groups.items():
        if group in recipe.presets:
            names = ", ".join(recipe.presets[group])
            first = next(iter(recipe.presets[group]))
            listed.append(OptionInfo(f"{group}.{_PRESET}", first, f"Sets all options of the group: {names}."))
        listed += _shown(group, defaults)
    return listed


def parse_options(recipe: Recipe, given: Mapping[str, str]) -> RunOptions:
    """The options of a run.

    Args:
        recipe: Whose.
        given: Name → value as typed, such as ``trainer.steps`` → ``2000``; the rest stays at the recipe's defaults.

    Raises:
        InvalidInputError: Unknown, or without a meaning; names the option and the nearest one that is known.
    """
    trees: dict[str, dict[str, Any]] = {}
    known = [o.name for o in list_recipe_options(recipe)]
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise InvalidInputError(
                f"{name[:64]!r} is no option of {recipe.kind}; {hint}", field=f"options[{name[:64]}]"
            )
        group, *keys = name.split(".")
        put_value(trees.setdefault(group, {}), keys, value)
    groups = {name: _group(recipe, name, trees.get(name, {})) for name in recipe.groups}
    return RunOptions(groups, frozenset(given))


def _group(recipe: Recipe, group: str, tree: dict[str, Any]) -> Any:
    defaults = recipe.groups[group]
    preset = tree.pop(_PRESET, None)
    if preset is not None:
        presets = recipe.presets[group]
        if preset not in presets:
            near = difflib.get_close_matches(preset, presets, 1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(presets)}"
            raise InvalidInputError(f"{group}.{_PRESET} is {preset!r}; {hint}", field=f"options[{group}.{_PRESET}]")
        defaults = presets[preset]
    try:
        return build_options(type(defaults), tree, f"{group}.", defaults=defaults, source=recipe.kind, noun="option")
    except InvalidInputError as error:
        raise InvalidInputError(error.message, field=f"options[{error.field}]", reason=error.reason) from error


def _shown(group: str, options: Any) -> Iterator[OptionInfo]:
    for option in list_options(options, f"{group}."):
        if group in _OWN_SEED or option.name.rpartition(".")[2] != _SEED:
            yield option
