"""Does a picture show what its caption says? A pair of networks, trained apart from any generator, picks among ten."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from aigc.errors import InvalidInputError
from aigc.generate.augment import shifted
from aigc.generate.base import ImageData
from aigc.generate.captions import MAX_PIECES, CaptionEncoder, caption_pieces, pad_pieces
from aigc.generate.pictures import premultiplied, to_tensor
from aigc.generate.task import Phase, StepContext

__all__ = ["CaptionMatcher", "CaptionMatcherTask"]

_SIZE = 128
_HASH_SEED = 9
_TEMPERATURE = 0.07
_SEEN = 500


class PictureEncoder(nn.Module):
    """Four halvings, then a unit vector."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        """Args: image_shape: (height, width, channels), sides of 16 or more."""
        super().__init__()
        height, width, channels = image_shape
        widths = (channels, 32, 64, 128, 192)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GELU(), nn.Conv2d(b, b, 3, padding=1), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(192 * -(-height // 16) * -(-width // 16), _SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 128) of (B, C, H, W) in [-1, 1]."""
        return F.normalize(self.out(self.body(x).flatten(1)).float(), dim=1)


class CaptionMatcherTask:
    """Contrast of pictures and captions (Radford et al. 2021); a :class:`aigc.generate.task.Task`.

    Its pictures are blurred, recoloured and noisy at random, so that drawings are nothing unheard of; its captions are
    hashed with another seed than any generator's.
    """

    name = "caption-matcher"
    averaged = ("picture", "caption")

    def __init__(self, data: ImageData, *, batch_size: int = 128, seed: int = 5) -> None:
        """Args: data: pictures with captions, one a line; batch_size: pairs a step; seed: of the first weights."""
        if len(data.captions) != len(data.pixels) or len(data.pixels) < 10:
            raise InvalidInputError(f"{len(data.pixels)} pictures, {len(data.captions)} captions", field="captions")
        self.data, self.batch_size = data, batch_size
        _, height, width, channels = data.pixels.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.picture = PictureEncoder((height, width, channels))
            self.caption = CaptionEncoder(_SIZE)
        self._pieces = [
            [caption_pieces(line, _HASH_SEED) for line in c.splitlines() if line.strip()] for c in data.captions
        ]

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Both encoders."""
        return {"picture": self.picture, "caption": self.caption}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """One Adam."""
        return {"matcher": Adam([*self.picture.parameters(), *self.caption.parameters()], lr=1e-3)}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """One: each picture finds its caption among the batch's, and the other way round."""
        size = self.batch_size
        rows = context.rows(len(self.data.pixels), size)
        x = to_tensor(premultiplied(self.data.pixels[rows.numpy()])).to(context.device)
        numbers = context.uniform(size, 8)
        x = self._disturbed(x, numbers, context.normal(size, *x.shape[1:], stream=1))
        pieces = []
        for row, (first, second) in zip(rows.tolist(), numbers[:, 6:].tolist(), strict=True):
            lines = self._pieces[row]
            joined = [*lines[int(first * len(lines))], *(lines[int(second * len(lines))] if second < 0.3 else ())]
            pieces.append(list(dict.fromkeys(joined))[:MAX_PIECES])
        padded = pad_pieces(pieces).to(context.device)
        padded = torch.where(context.uniform(size, MAX_PIECES, stream=2) < 0.25, 0, padded)
        chances = self.picture(x) @ self.caption(padded).T / _TEMPERATURE  # (B, B)
        right = torch.arange(len(chances), device=chances.device)
        loss = (F.cross_entropy(chances, right) + F.cross_entropy(chances.T, right)) / 2
        yield Phase("matcher", loss, {"found": (chances.detach().argmax(dim=1) == right).float().mean()})

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """How often a picture of its own finds its first caption among ten: an upper bound."""
        picture, caption = modules["picture"], modules["caption"]
        assert isinstance(picture, PictureEncoder)
        assert isinstance(caption, CaptionEncoder)
        matcher = CaptionMatcher(picture, caption)
        captions = [c.splitlines()[0] for c in self.data.captions[:_SEEN]]
        return {"found_among_10": matcher.match(self.data.pixels[:_SEEN], captions)}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Nothing to draw."""
        del modules, path
        return None

    @staticmethod
    def _disturbed(x: Tensor, numbers: Tensor, noise: Tensor) -> Tensor:
        """Shifted, blurred once or twice, lighter or darker, noisy."""
        x = shifted(x, torch.cat([numbers[:, :3], torch.zeros_like(numbers[:, :1])], dim=1))
        how = numbers[:, 3].view(-1, 1, 1, 1)
        once = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        twice = F.avg_pool2d(once, 3, 1, 1, count_include_pad=False)
        x = torch.where(how < 0.12, twice, torch.where(how < 0.35, once, x))
        light = 0.8 + 0.4 * numbers[:, 4].view(-1, 1, 1, 1)
        return ((x + 1) * light).clamp(0, 2) - 1 + 0.15 * numbers[:, 5].view(-1, 1, 1, 1) * noise


class CaptionMatcher:
    """A trained one."""

    def __init__(self, picture: PictureEncoder, caption: CaptionEncoder) -> None:
        """Args: picture, caption: the task's modules, trained."""
        self.picture, self.caption = picture.eval(), caption.eval()

    def match(
        self, pixels: NDArray[np.uint8], captions: Sequence[str], *, among: int = 10, draws: int = 20, seed: int = 0
    ) -> float:
        """Share of pictures that are nearer to their own caption than to every other one of ``among`` - 1.

        Args:
            pixels: (n, height, width, channels) uint8.
            captions: One a picture; the wrong ones are drawn from the others.
            among: Captions to choose from, the right one included; 1 / ``among`` by chance.
            draws: How often the wrong ones are drawn anew for each picture.
            seed: Of the draws.
        """
        if len(captions) != len(pixels) or len(pixels) < among or among < 2:
            raise InvalidInputError(
                f"{len(pixels)} pictures and {len(captions)} captions: at least {among} of each", field="captions"
            )
        with torch.inference_mode():
            shown = self.picture(to_tensor(premultiplied(pixels)))
            said = self.caption(pad_pieces([caption_pieces(c, _HASH_SEED) for c in captions]))
        likeness = (shown @ said.T).numpy()  # (n, n)
        rng = np.random.default_rng(seed)
        hits = 0
        for row, own in enumerate(np.diag(likeness)):
            others = np.delete(likeness[row], row)
            wrong = np.stack([rng.choice(others, among - 1, replace=False) for _ in range(draws)])
            hits += int((own > wrong.max(axis=1)).sum())
        return hits / (len(captions) * draws)
