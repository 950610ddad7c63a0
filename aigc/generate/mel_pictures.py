"""Recordings as pictures of their log-mel spectrum, and back: so that what makes pictures can make sounds.

There by a short-time Fourier transform, a bank of triangles equally wide on the mel scale (Davis and Mermelstein 1980)
and a logarithm in whole steps of a byte. Back in two parts: the spectrum that the bands came from, by multiplicative
updates for non-negative least squares (Lee and Seung 2001), and the phases that the bands do not tell, by Griffin and
Lim's iteration (1984) with the momentum of Perraudin et al. (2013).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.mel_options import MelOptions
from aigc.prepare.sound import Sound, resample, trim_silence

__all__ = ["MelOptions", "picture_of", "sound_of"]

_PEAK = 0.7
_MOMENTUM = 0.99
_TINY = 1e-10


def picture_of(samples: NDArray[np.float32], rate: int, options: MelOptions) -> NDArray[np.uint8]:
    """(bands, frames, 1) uint8 of (n,) float32 samples: 255 the loudest band of the recording, 0 ``range_db`` below.

    Silence at both ends goes; how loud the recording was is lost.
    """
    sound = trim_silence(resample(Sound(np.asarray(samples, np.float32), rate), options.rate))
    length = options.hop * (options.frames - 1)
    cut = np.zeros(length, np.float32)
    cut[: min(length, len(sound.samples))] = sound.samples[:length]
    spectrum = _transform(torch.from_numpy(cut), options).abs() ** 2  # (bins, frames)
    power = _bank(options) @ spectrum  # (bands, frames)
    decibels = 10 * torch.log10(power.clamp(min=_TINY))
    level = 1 + (decibels - decibels.max()) / options.range_db
    if float(power.max()) <= _TINY:
        level = torch.zeros_like(level)
    return (level.clamp(0, 1) * 255).round().to(torch.uint8).numpy()[..., None]


def sound_of(picture: NDArray[np.uint8], options: MelOptions, seed: int = 0) -> NDArray[np.float32]:
    """(n,) float32 samples in [-1, 1] at ``options.rate``, of peak 0.7, without the silence at the end.

    Args:
        picture: (bands, frames, 1) uint8.
        options: Those it was made with.
        seed: Of the first phases.

    Raises:
        InvalidInputError: The picture has another shape.
    """
    if picture.shape != (options.bands, options.frames, 1):
        raise InvalidInputError(
            f"a picture of shape {picture.shape}: {(options.bands, options.frames, 1)} is needed", field="picture"
        )
    level = torch.from_numpy(picture[..., 0].astype(np.float32)) / 255
    power = torch.where(level > 0, 10 ** (options.range_db / 10 * (level - 1)), 0.0)  # (bands, frames)
    magnitude = _spectrum_behind(power, options).sqrt()  # (bins, frames)
    source = torch.Generator().manual_seed(seed)
    phase = torch.polar(torch.ones_like(magnitude), 2 * math.pi * torch.rand(magnitude.shape, generator=source))
    before = torch.zeros_like(phase)
    for _ in range(options.iterations):
        consistent = _transform(_inverse(magnitude * phase, options), options)
        ahead = consistent - _MOMENTUM / (1 + _MOMENTUM) * before
        before = consistent
        phase = ahead / (ahead.abs() + _TINY)
    samples = _inverse(magnitude * phase, options).numpy()
    peak = float(np.abs(samples).max())
    if peak <= 0:
        return np.zeros(options.hop, np.float32)
    scaled = Sound((samples * (_PEAK / peak)).astype(np.float32), options.rate)
    return trim_silence(scaled).samples


def _transform(samples: Tensor, options: MelOptions) -> Tensor:
    """(bins, frames) complex64 of (hop · (frames - 1),)."""
    found: Tensor = torch.stft(
        samples, options.window, options.hop, window=_hann(options.window), pad_mode="constant", return_complex=True
    )
    return found


def _inverse(spectrum: Tensor, options: MelOptions) -> Tensor:
    found: Tensor = torch.istft(
        spectrum,
        options.window,
        options.hop,
        window=_hann(options.window),
        length=options.hop * (options.frames - 1),
    )
    return found


def _spectrum_behind(power: Tensor, options: MelOptions) -> Tensor:
    """(bins, frames): the non-negative power spectrum whose bands are nearest to (bands, frames)."""
    bank = _bank(options)
    found = torch.full((bank.shape[1], power.shape[1]), float(power.mean()) + _TINY)
    wanted, square = bank.T @ power, bank.T @ bank
    for _ in range(100):
        found = found * wanted / (square @ found + _TINY)
    return found


@lru_cache(maxsize=4)
def _hann(window: int) -> Tensor:
    return torch.hann_window(window)


@lru_cache(maxsize=4)
def _bank(options: MelOptions) -> Tensor:
    """(bands, bins) float32: triangles; each band has at least the bin nearest to its middle."""

    def mel(hz: float) -> float:
        return 2595 * math.log10(1 + hz / 700)

    edges = np.linspace(mel(options.lowest_hz), mel(options.rate / 2), options.bands + 2)
    corners = 700 * (10 ** (edges / 2595) - 1)
    hz = np.fft.rfftfreq(options.window, 1 / options.rate)
    rising = (hz - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - hz) / np.diff(corners)[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    nearest = np.abs(hz - corners[1:-1, None]).argmin(axis=1)
    empty = bank.max(axis=1) < 0.5
    bank[empty, nearest[empty]] = 1.0
    return torch.from_numpy((bank / bank.sum(axis=1, keepdims=True)).astype(np.float32))
