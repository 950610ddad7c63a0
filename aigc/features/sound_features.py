"""What a recording sounds like, as a row of numbers of one length: log-mel statistics over stretches of time."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from aigc.prepare.sound import BadSoundError, Sound, decode_sound, resample, trim_silence

__all__ = ["SOUND_FEATURES", "decode_features", "sound_features"]

_RATE = 8000
_WINDOW, _HOP, _FFT = 256, 80, 512
_MELS, _CEPSTRA, _STRETCHES = 32, 13, 10
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 3700.0
# Added to each band's power, whose mean over bands and time is about 1: quieter than this is silence.
_FLOOR = 0.1
# Taking the whole mean out removes the speaker and the microphone, but with them part of what a short word is.
_MEAN_SHARE = 0.35
_DELTA_WEIGHT = 3.0
_MAX_SECONDS = 60

SOUND_FEATURES = 2 * _CEPSTRA * _STRETCHES + 1


def sound_features(sound: Sound, warp: float = 1.0) -> NDArray[np.float32]:
    """(SOUND_FEATURES,) float32: mel cepstra and their slopes, averaged over ten equal stretches, and the length.

    Mel-frequency cepstra after Davis and Mermelstein (1980). Only the first minute counts.

    Args:
        sound: Any recording.
        warp: Stretches the frequencies, as another speaker's vocal tract would (Jaitly and Hinton 2013).
    """
    cut = Sound(sound.samples[: _MAX_SECONDS * sound.rate], sound.rate)
    samples = trim_silence(resample(cut, _RATE)).samples.astype(np.float64)
    samples = np.append(samples[:1], samples[1:] - 0.95 * samples[:-1])
    samples /= np.sqrt(np.mean(samples**2)) + 1e-9
    samples = np.pad(samples, (0, max(0, _WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2
    cepstra = dct(np.log(power @ _mel_bands(warp) + _FLOOR), axis=1, norm="ortho")[:, :_CEPSTRA]
    cepstra -= _MEAN_SHARE * cepstra.mean(axis=0)
    slopes = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    rows = np.concatenate([cepstra, _DELTA_WEIGHT * slopes], axis=1)
    edges = np.linspace(0, len(rows), _STRETCHES + 1)
    means = [rows[int(a) : max(int(a) + 1, int(np.ceil(b)))].mean(axis=0) for a, b in itertools.pairwise(edges)]
    return np.concatenate([*means, [2 * np.log(len(rows))]]).astype(np.float32)


def decode_features(data: bytes, warp: float = 1.0) -> NDArray[np.float32] | None:
    """:func:`sound_features` of an encoded recording; None when it does not decode."""
    try:
        return sound_features(decode_sound(data), warp)
    except BadSoundError:
        return None


@lru_cache(maxsize=16)
def _mel_bands(warp: float) -> NDArray[np.float64]:
    """(bins, _MELS): triangles, equally wide on the mel scale."""

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    corners = 700 * (10 ** (np.linspace(mel(_LOWEST_HZ), mel(_HIGHEST_HZ), _MELS + 2) / 2595) - 1)
    corners = np.minimum(corners * warp, _RATE / 2)
    hz = np.fft.rfftfreq(_FFT, 1 / _RATE)[:, None]
    widths = np.maximum(np.diff(corners), 1.0)
    rising = (hz - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - hz) / widths[1:]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
