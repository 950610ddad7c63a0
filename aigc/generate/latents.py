"""Latents of a request for pictures: each drawn from its own seed, so that no row knows of its neighbours."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.generate.base import ImageRequest

__all__ = ["chosen_classes", "draw_latents"]

_MAX_SEED = 1 << 63
_CLASS_STREAM = 0x5851F42D4C957F2D


def draw_latents(request: ImageRequest, latent_size: int) -> NDArray[np.float32]:
    """(n, latent_size) float32, standard normal of each seed or what was handed in, times ψ.

    Raises:
        InvalidInputError: ψ, a seed, or the latents' shape or numbers are out of range.
    """
    if not 0 < request.truncation <= 1:
        raise InvalidInputError(f"truncation is {request.truncation}: take one in (0, 1]", field="truncation")
    for i, seed in enumerate(request.seeds):
        if not 0 <= seed < _MAX_SEED:
            raise InvalidInputError(f"seed {seed}: take one from 0 to 2^63 - 1", field=f"seeds[{i}]")
    if request.latents is not None:
        latents = np.asarray(request.latents, np.float32)
        if latents.shape != (len(request.seeds), latent_size):
            raise InvalidInputError(
                f"latents of shape {latents.shape}: {(len(request.seeds), latent_size)} is needed, one row a seed",
                field="latents",
            )
        if not np.isfinite(latents).all():
            raise InvalidInputError("latents hold numbers that are not finite", field="latents")
    else:
        latents = np.empty((len(request.seeds), latent_size), np.float32)
        for i, seed in enumerate(request.seeds):
            latents[i] = torch.randn(latent_size, generator=torch.Generator().manual_seed(seed)).numpy()
    return latents * np.float32(request.truncation)


def chosen_classes(request: ImageRequest, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """(n,) int64 rows of ``classes``; where none is asked for, the seed chooses. Zeros for a model without classes.

    Raises:
        InvalidInputError: A class is unknown, or there is another number of them than of seeds.
    """
    asked = list(request.classes) or [""] * len(request.seeds)
    if len(asked) != len(request.seeds):
        raise InvalidInputError(f"{len(asked)} classes for {len(request.seeds)} seeds", field="classes")
    rows = np.zeros(len(asked), np.int64)
    known = {name: row for row, name in enumerate(classes)}
    for i, (name, seed) in enumerate(zip(asked, request.seeds, strict=True)):
        if name and name not in known:
            few = ", ".join(classes[:20]) or "none"
            raise InvalidInputError(f"class {name!r} is unknown; this model has: {few}", field=f"classes[{i}]")
        if name:
            rows[i] = known[name]
        elif classes:
            source = torch.Generator().manual_seed(seed ^ _CLASS_STREAM)
            rows[i] = int(torch.randint(len(classes), (1,), generator=source))
    return rows
