"""A text → picture GAN in training: a discriminator phase with right, wrong and drawn pairs, then a generator phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
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
from aigc.generate.caption_gan import CaptionGanOptions, build_caption_networks
from aigc.generate.caption_meaning import MAX_WORDS, CaptionMeaning, read_captions
from aigc.generate.caption_memory import CaptionMemory
from aigc.generate.caption_words import candidate_words
from aigc.generate.captions import MAX_PIECES, CaptionEncoder, caption_pieces, pad_pieces
from aigc.generate.diversity import diversity
from aigc.generate.gan_losses import zero_centred_penalties
from aigc.generate.pictures import draw_sheet, premultiplied, straight, to_pixels, to_tensor
from aigc.generate.task import Phase, StepContext
from aigc.generate.word_vectors import read_word_vectors

__all__ = ["CaptionGanTask"]

_VALIDATED = 256
_JOINED = 0.3
_REMEMBERED = 20_000
# Pieces, and the features of words' vectors where there are any.
Said = tuple[Tensor, Tensor | None]


class CaptionGanTask:
    """See :class:`aigc.generate.task.Task`: a discriminator phase, which trains the encoder too, then a generator's."""

    name = "caption-gan"
    averaged = ("generator", "encoder")

    def __init__(self, train: ImageData, held_out: ImageData, options: CaptionGanOptions) -> None:
        """Args: train: with captions, one a line; held_out: others, for the sheet; options: the recipe."""
        for name, data in (("train", train), ("held_out", held_out)):
            if len(data.captions) != len(data.pixels) or len(data.pixels) < 2:
                raise InvalidInputError(
                    f"{name} has {len(data.pixels)} pictures and {len(data.captions)} captions", field=name
                )
            if any(not c.strip() for c in data.captions):
                raise InvalidInputError(f"{name} has a picture with an empty caption", field=name)
        self.options, self.train, self.held_out = options, train, held_out
        _, height, width, channels = train.pixels.shape
        self.image_shape = (height, width, channels)
        self.meaning = _meaning(train, options) if options.word_vectors else None
        feature_size = self.meaning.size if self.meaning else 0
        self.generator, self.discriminator, self.encoder = build_caption_networks(
            self.image_shape, options, feature_size
        )
        self._pieces = [[caption_pieces(line) for line in c.splitlines() if line.strip()] for c in train.captions]
        seen = Counter(piece for lines in self._pieces for piece in {p for line in lines for p in line})
        self._words = [
            [self.meaning.words(line) for line in c.splitlines() if line.strip()] if self.meaning else []
            for c in train.captions
        ]
        self._rare = torch.tensor([seen.get(row, 0) < 2 for row in range(self.encoder.table.num_embeddings)])

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Three networks."""
        return {"generator": self.generator, "discriminator": self.discriminator, "encoder": self.encoder}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Two: the encoder learns with the discriminator."""
        o = self.options.networks
        reading = [*self.discriminator.parameters(), *self.encoder.parameters()]
        betas = (o.beta1, o.beta2)
        return {
            "discriminator": Adam(reading, lr=o.learning_rate, betas=betas),
            "generator": Adam(self.generator.parameters(), lr=o.learning_rate, betas=betas),
        }

    @torch.no_grad()
    def remember(self, encoder: CaptionEncoder) -> CaptionMemory:
        """The first 20,000 captions of training with the mean vector of their picture's; needs words' vectors."""
        assert self.meaning is not None
        features, vectors = [], []
        device = next(encoder.parameters()).device
        for caption in self.train.captions:
            lines = [line for line in caption.splitlines() if line.strip()]
            pieces, found = read_captions(lines, self.meaning)
            assert found is not None
            mean = encoder(pieces.to(device), found.to(device)).mean(dim=0, keepdim=True)
            # Likeness to this is the mean of that to the caption and of that to all captions of its picture.
            features.append(((found + found.mean(dim=0)) / 2).half())
            vectors.append(F.normalize(mean, dim=1).cpu().half().expand(len(lines), -1))
            if sum(len(part) for part in features) >= _REMEMBERED:
                break
        return CaptionMemory(torch.cat(features), torch.cat(vectors))

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """First "discriminator", then "generator"."""
        size = self.options.networks.batch_size
        self.discriminator.requires_grad_(True)
        self.encoder.requires_grad_(True)
        rows = context.rows(len(self.train.pixels), size)
        real = to_tensor(premultiplied(self.train.pixels[rows.numpy()])).to(context.device)
        said = self._captions(rows, context, stream=10)
        others = self._captions(rows, context, stream=11)
        z = context.normal(size, self.options.networks.latent_size)
        yield self._discriminator_phase(context, real, said, others, z)
        z = context.normal(size, self.options.networks.latent_size, stream=1)
        yield self._generator_phase(context, real, said, z)

    def _discriminator_phase(self, context: StepContext, real: Tensor, said: Said, others: Said, z: Tensor) -> Phase:
        o, networks = self.options, self.options.networks
        both_said = [None if a is None or b is None else torch.cat([a, b]) for a, b in zip(said, others, strict=True)]
        captions, again = self.encoder(*both_said).chunk(2)  # (B, caption_size) each
        with torch.no_grad():
            fake = self.generator(torch.cat([z, captions], dim=1), said[0])
        numbers = context.uniform(networks.batch_size, 2, 4, stream=2)
        both = torch.cat([shifted(real, numbers[:, 0], o.reach), shifted(fake, numbers[:, 1], o.reach)])
        penalised = networks.penalty > 0 and context.step % networks.penalty_every == 0
        both.requires_grad_(penalised)
        features, alone, places = self.discriminator(both)
        logits = self.discriminator.judge(features, alone, captions.repeat(2, 1))
        on_real, on_fake = logits.chunk(2)
        half = len(real)
        on_wrong = self.discriminator.judge(features[:half], alone[:half], captions.roll(1, dims=0))
        loss = F.softplus(on_fake - on_real).mean() + o.mismatch * F.softplus(on_wrong - on_real).mean()
        found = places[:half] @ captions.T / o.temperature  # (B, B)
        aligned = again @ captions.T / o.temperature
        right = torch.arange(half, device=found.device)
        contrast = (F.cross_entropy(found, right) + F.cross_entropy(found.T, right)) / 2
        contrast = contrast + (F.cross_entropy(aligned, right) + F.cross_entropy(aligned.T, right)) / 2
        loss = loss + o.contrast * contrast
        metrics = {
            "gap": (on_real - on_fake).detach().mean(),
            "found": (found.argmax(dim=1) == right).float().mean(),
            "aligned": (aligned.argmax(dim=1) == right).float().mean(),
        }
        if penalised:
            penalty = zero_centred_penalties(logits, both).sum() / half
            loss = loss + networks.penalty / 2 * networks.penalty_every * penalty
            metrics["gradient_penalty"] = penalty.detach()
        return Phase("discriminator", loss, metrics)

    def _generator_phase(self, context: StepContext, real: Tensor, said: Said, z: Tensor) -> Phase:
        o, networks = self.options, self.options.networks
        self.discriminator.requires_grad_(False)
        self.encoder.requires_grad_(False)
        captions = self.encoder(*said)
        fake = self.generator(torch.cat([z, captions], dim=1), said[0])
        numbers = context.uniform(networks.batch_size, 2, 4, stream=3)
        features, alone, places = self.discriminator(shifted(fake, numbers[:, 0], o.reach))
        on_fake = self.discriminator.judge(features, alone, captions)
        with torch.no_grad():
            features, alone, _ = self.discriminator(shifted(real, numbers[:, 1], o.reach))
            on_real = self.discriminator.judge(features, alone, captions)
        found = places @ captions.T / o.temperature
        right = torch.arange(len(found), device=found.device)
        contrast = F.cross_entropy(found, right)
        loss = F.softplus(on_real - on_fake).mean() + o.contrast * contrast
        return Phase("generator", loss, {"drawn_found": (found.argmax(dim=1) == right).float().mean()})

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """Variety beside real pictures, and how often a drawing finds its held-out caption among ten."""
        n = min(_VALIDATED, len(self.held_out.pixels))
        captions = [c.splitlines()[0] for c in self.held_out.captions[:n]]
        made, vectors = self._draw(modules, captions, seed=1)
        with torch.no_grad():
            places = self.discriminator(to_tensor(premultiplied(made)).to(vectors.device))[2]
        chances = (places @ vectors.T).cpu().numpy()
        rng = np.random.default_rng(0)
        hits = [
            chances[i, i] >= max(chances[i, rng.choice(np.delete(np.arange(n), i), min(9, n - 1))]) for i in range(n)
        ]
        return {"diversity": diversity(self.held_out.pixels[:n], made), "found_among_10": float(np.mean(hits))}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Held-out captions, real pictures above drawn ones."""
        n = min(40, len(self.held_out.pixels))
        made, _ = self._draw(modules, [c.splitlines()[0] for c in self.held_out.captions[:n]], seed=0)
        columns = min(20, n)
        rows = [
            part[i : i + columns]
            for i in range(0, n // columns * columns, columns)
            for part in (self.held_out.pixels, made)
        ]
        return draw_sheet(np.concatenate(rows), path.with_name(path.name + ".png"), columns=columns)

    def _draw(
        self, modules: Mapping[str, nn.Module], captions: list[str], seed: int
    ) -> tuple[NDArray[np.uint8], Tensor]:
        generator, encoder = modules["generator"], modules["encoder"]
        device = next(generator.parameters()).device
        size = self.options.networks.latent_size
        z = torch.randn(len(captions), size, generator=torch.Generator().manual_seed(seed)).to(device)
        pieces, features = read_captions(captions, self.meaning)
        pieces = pieces.to(device)
        with torch.no_grad():
            vectors = encoder(pieces, None if features is None else features.to(device))
            return straight(to_pixels(generator(torch.cat([z, vectors], dim=1), pieces))), vectors

    def _captions(self, rows: Tensor, context: StepContext, stream: int) -> Said:
        """(B, 48) int64: of each picture one of its captions, sometimes two, with pieces left out.

        With words' vectors also (B, feature_size) float32 of the same captions with words left out.
        """
        size = self.options.networks.batch_size
        numbers = context.cut(torch.rand(size, 3, generator=context.generator(stream))).tolist()
        chosen, words = [], []
        for row, (first, second, joined) in zip(rows.tolist(), numbers, strict=True):
            lines = self._pieces[row]
            taken = [int(first * len(lines)), *([int(second * len(lines))] if joined < _JOINED else [])]
            chosen.append([piece for i in taken for piece in lines[i]])
            words.append([word for i in taken for word in self._words[row][i]] if self.meaning else [])
        padded = pad_pieces([list(dict.fromkeys(p))[:MAX_PIECES] for p in chosen])
        dropped = context.cut(torch.rand(size, padded.shape[1], generator=context.generator(stream + 2)))
        share = torch.where(self._rare[padded], self.options.dropped_rare, self.options.dropped)
        padded = torch.where(dropped < share, 0, padded).to(context.device)
        if self.meaning is None:
            return padded, None
        hidden = context.uniform(size, stream=stream + 4) < self.options.hidden
        kept = context.cut(torch.rand(size, MAX_WORDS, generator=context.generator(stream + 6)))
        shown = [
            [
                word
                for word, number in zip(dict.fromkeys(row), numbers, strict=False)
                if number >= self.options.dropped_words
            ]
            for row, numbers in zip(words, kept.tolist(), strict=True)
        ]
        return torch.where(hidden[:, None], 0, padded), self.meaning.features(shown).to(context.device)


def _meaning(train: ImageData, options: CaptionGanOptions) -> CaptionMeaning:
    lines = [line for caption in train.captions for line in caption.splitlines() if line.strip()]
    needed = {word for line in lines for word in candidate_words(line)}
    return CaptionMeaning.fitted(read_word_vectors(Path(options.word_vectors), options.word_limit, needed), lines)
