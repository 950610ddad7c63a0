"""Recordings of one and the same sound: at another rate, quieter, or with silence around it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from aigc.prepare.duplicates import DuplicatePair
from aigc.prepare.sound import Sound, resample, trim_silence

__all__ = ["find_sound_duplicates"]

# Telephone speech ends below 3 kHz: what a recording at 6 kHz still holds.
_RATE = 6000
_MAX_SECONDS = 30
_FRAMES, _BANDS = 24, 20
_LOUD = 0.01
_NEIGHBOURS = 8


def find_sound_duplicates(sounds: Sequence[Sound], *, similarity: float = 0.9) -> list[DuplicatePair]:
    """Pairs whose waveforms agree: the peak of their normalised cross-correlation is at least ``similarity``.

    Each recording is brought to 6 kHz, trimmed and described by the shape of its spectrogram; the eight nearest
    descriptions are compared sample by sample. Two utterances of one word by one speaker stay apart: their waveforms
    do not agree. The first 30 seconds count.

    Args:
        sounds: n recordings.
        similarity: In (0, 1].
    """
    import faiss

    if len(sounds) < 2:
        return []
    waves = [_wave(sound) for sound in sounds]
    shapes = np.stack([_shape(wave) for wave in waves])
    index = faiss.IndexFlatIP(shapes.shape[1])
    index.add(shapes)
    _, near = index.search(shapes, min(_NEIGHBOURS + 1, len(sounds)))
    rows = np.repeat(np.arange(len(sounds)), near.shape[1])
    pairs = {(min(a, b), max(a, b)) for a, b in zip(rows.tolist(), near.ravel().tolist(), strict=True) if a != b}
    found = [(a, b, _agreement(waves[a], waves[b])) for a, b in sorted(pairs)]
    return [DuplicatePair(a, b, value) for a, b, value in found if value >= similarity]


def _wave(sound: Sound) -> NDArray[np.float64]:
    cut = Sound(sound.samples[: _MAX_SECONDS * sound.rate], sound.rate)
    samples = trim_silence(resample(cut, _RATE)).samples.astype(np.float64)
    samples = samples - samples.mean()
    return np.asarray(samples / max(float(np.linalg.norm(samples)), 1e-12))


def _shape(wave: NDArray[np.float64]) -> NDArray[np.float32]:
    """(_FRAMES · _BANDS,) float32 of unit length: levels over time and frequency, each against the recording's mean."""
    window = 192
    padded = np.pad(wave, (0, max(0, window - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::48] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames)) ** 2
    # Faint noise before and after is no silence, but it must not shift the description.
    energy = power.sum(axis=1)
    loud = np.flatnonzero(energy > _LOUD * energy.max(initial=0.0))
    power = power[loud[0] : loud[-1] + 1] if len(loud) else power
    bands = np.add.reduceat(power, np.linspace(1, power.shape[1], _BANDS, endpoint=False).astype(int), axis=1)
    level = np.log(bands + 1e-3 * bands.max() + 1e-12)
    places = np.linspace(0, len(level), _FRAMES + 1)
    rows = [level[int(a) : max(int(a) + 1, int(b))].mean(axis=0) for a, b in pairwise(places)]
    shape = np.concatenate(rows)
    shape -= shape.mean()
    return np.asarray(shape / max(float(np.linalg.norm(shape)), 1e-9), np.float32)


def _agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.abs(correlate(a, b, "full", "fft")).max())
