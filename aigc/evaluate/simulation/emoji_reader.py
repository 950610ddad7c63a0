"""The eye that reads generated emoji: a network trained apart, which no generator and no server sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError, InvalidInputError
from aigc.evaluate.generation.matcher import CaptionMatcherTask, PictureEncoder
from aigc.evaluate.simulation.pictures import EmojiSet, pixels_of
from aigc.generate.base import ImageData
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.pictures import premultiplied, to_tensor

__all__ = ["EmojiReader", "emoji_matcher_task"]

_KIND = "emoji-reader"
_FORMAT = 1
_SHAPE = (32, 32, 4)
_TEMPERATURE = 0.07
_CHUNK = 256


def emoji_matcher_task(emoji: EmojiSet) -> CaptionMatcherTask:
    """To be trained by the one loop, on all emoji: about 1,000 steps."""
    pixels = np.stack([pixels_of(_item(data), "RGBA", _SHAPE[1::-1]) for data in emoji.files])
    captions = []
    for entry in emoji.entries:
        words = entry["keywords_en"]
        listed = [str(w) for w in words] if isinstance(words, list) else []
        captions.append(f"{entry['en']}\n{', '.join([str(entry['en']), *listed])}")
    return CaptionMatcherTask(ImageData(pixels, captions=captions))


class EmojiReader:
    """An :class:`aigc.evaluate.simulation.world.AspectReader`.

    A picture is compared with every real emoji as the picture network sees it; a group's chance is the mean over its
    members of exp(cosine ÷ 0.07), the contrast that the network was trained by, so that large groups have no advantage.
    """

    def __init__(self, network: PictureEncoder, emoji: EmojiSet) -> None:
        """Args: network: trained; emoji: what its groups are read from."""
        self._network = network.eval()
        self._emoji = emoji
        self._known = self._see([_item(data) for data in emoji.files])  # (n_emoji, d)
        members = np.eye(len(emoji.aspects))[emoji.labels]
        self._mean = members / members.sum(axis=0)  # (n_emoji, n_aspects)

    @classmethod
    def from_task(cls, modules: Mapping[str, nn.Module], emoji: EmojiSet) -> EmojiReader:
        """Of the trained modules of :func:`emoji_matcher_task`."""
        network = modules["picture"]
        if not isinstance(network, PictureEncoder):
            raise InvalidInputError("the modules are none of a caption matcher", field="modules")
        return cls(network, emoji)

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` into an empty folder."""
        tensors: dict[str, Tensor] = {f"picture.{k}": v for k, v in self._network.state_dict().items()}
        write_model(folder, _KIND, _FORMAT, {"image_shape": list(_SHAPE)}, tensors)

    @classmethod
    def load(cls, folder: Path, emoji: EmojiSet) -> EmojiReader:
        """What :meth:`save` wrote; CorruptDataError names what is broken."""
        config = read_config(folder, _KIND, _FORMAT)
        if config.get("image_shape") != list(_SHAPE):
            raise CorruptDataError(f"{folder / 'config.json'} tells of another size of pictures; delete the folder")
        network = PictureEncoder(_SHAPE)
        fill_module(network, read_tensors(folder), "picture", folder)
        return cls(network, emoji)

    def read(self, items: Sequence[Item]) -> NDArray[np.float64]:
        """See :class:`aigc.evaluate.simulation.world.AspectReader`."""
        likeness = self._see(items) @ self._known.T  # (n, n_emoji)
        chances = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / _TEMPERATURE) @ self._mean
        found: NDArray[np.float64] = chances / chances.sum(axis=1, keepdims=True)
        return found

    def accuracy(self) -> float:
        """How often a real emoji's group is read right when the emoji itself is left out of the comparison."""
        likeness = self._known @ self._known.T
        np.fill_diagonal(likeness, -np.inf)
        chances = np.exp((likeness - 1) / _TEMPERATURE) @ self._mean
        return float((chances.argmax(axis=1) == self._emoji.labels).mean())

    def _see(self, items: Sequence[Item]) -> NDArray[np.float64]:
        pixels = premultiplied(np.stack([pixels_of(item, "RGBA", _SHAPE[1::-1]) for item in items]))
        with torch.inference_mode():
            parts = [self._network(to_tensor(pixels[i : i + _CHUNK])).numpy() for i in range(0, len(pixels), _CHUNK)]
        return np.concatenate(parts).astype(np.float64)


def _item(data: bytes) -> Item:
    return Item("picture", kind="image", content=ItemContent("image/png", data))
