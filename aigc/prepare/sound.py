"""Recordings: decoded within limits, brought to one rate and loudness, with silence cut off."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

__all__ = [
    "BadSoundError",
    "Sound",
    "clipped_share",
    "decode_sound",
    "encode_sound",
    "normalise_loudness",
    "resample",
    "trim_silence",
]

_MAX_VALUES = 60_000_000
_MAX_CHANNELS = 32
_FRAME_MS = 10
_SILENCE_BELOW_PEAK_DB = 45.0
_KEPT_ENERGY = 0.995
_CLIP_LEVEL = 0.998
_CLIP_RUN = 3
_BLOCK_S = 0.4


class BadSoundError(ValueError):
    """A recording that cannot be used; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording in one channel.

    Attributes:
        samples: (n,) float32 in [-1, 1], finite.
        rate: Samples a second, in Hz.
    """

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


def decode_sound(data: bytes) -> Sound:
    """A wav, flac, ogg or mp3 file as one channel, the mean of those it has.

    Raises:
        BadSoundError: It does not decode, has no samples, more than 60 million, more than 32 channels, or a rate
            outside 1 to 384 kHz.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if not 1000 <= file.samplerate <= 384_000:
                raise BadSoundError(f"has a rate of {file.samplerate} Hz; 1 to 384 kHz are read")
            if file.channels > _MAX_CHANNELS:
                raise BadSoundError(f"has {file.channels} channels; at most {_MAX_CHANNELS} are read")
            limit = _MAX_VALUES // file.channels
            if file.frames > limit:
                raise BadSoundError(f"has {file.frames:,} samples a channel; at most {limit:,} are read")
            samples = file.read(limit, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.SoundFileError, OSError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, BadSoundError):
            raise
        raise BadSoundError("does not decode") from error
    mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    if not len(mono):
        raise BadSoundError("has no samples")
    return Sound(np.clip(np.nan_to_num(mono), -1.0, 1.0), rate)


def encode_sound(sound: Sound, media_type: str) -> tuple[bytes, str]:
    """(bytes, media type) with 16 bits a sample: WAV for what was WAV, lossless FLAC for everything else."""
    wav = media_type.partition(";")[0] in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
    target = io.BytesIO()
    soundfile.write(target, sound.samples, sound.rate, subtype="PCM_16", format="WAV" if wav else "FLAC")
    return target.getvalue(), media_type if wav else "audio/flac"


def resample(sound: Sound, rate: int) -> Sound:
    """The same at another rate (soxr, band-limited)."""
    if sound.rate == rate:
        return sound
    return Sound(soxr.resample(sound.samples, sound.rate, rate).astype(np.float32), rate)


def trim_silence(sound: Sound) -> Sound:
    """Without the silence at both ends; at least 99.5 % of the energy stays.

    Silence is what lies 45 dB below the loudest 10 ms. Where that would cut off more than 0.5 % of the energy, as in
    noise that swells slowly, less is cut. A recording of nothing but silence stays as it is.
    """
    frame = max(1, sound.rate * _FRAME_MS // 1000)
    power = sound.samples.astype(np.float64) ** 2
    edges = np.arange(0, len(power), frame)
    energy = np.add.reduceat(power, edges)
    total = float(energy.sum())
    if total <= 0:
        return sound
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-_SILENCE_BELOW_PEAK_DB / 10))
    first, last = int(loud[0]), int(loud[-1])
    if energy[first : last + 1].sum() < _KEPT_ENERGY * total:
        cut = (1 - _KEPT_ENERGY) / 2 * total
        cumulative = np.cumsum(energy)
        first = min(first, int(np.searchsorted(cumulative, cut)))
        last = max(last, int(np.searchsorted(cumulative, total - cut)))
    return Sound(sound.samples[first * frame : (last + 1) * frame], sound.rate)


def normalise_loudness(sound: Sound, target_lufs: float = -23.0) -> Sound:
    """The same at one integrated loudness (ITU-R BS.1770-4, EBU R 128's target); silence stays silence.

    A recording shorter than one measuring block of 0.4 s is measured repeated. The peak never exceeds full scale.
    """
    # Slow to import, and rarely needed.
    import pyloudnorm

    block = int(_BLOCK_S * sound.rate) + 1
    measured = np.resize(sound.samples, max(len(sound.samples), block)) if len(sound.samples) else sound.samples
    with warnings.catch_warnings():
        # It warns of clipping, which the peak limit below prevents.
        warnings.simplefilter("ignore")
        loudness = pyloudnorm.Meter(sound.rate).integrated_loudness(measured.astype(np.float64))
    if not np.isfinite(loudness):
        return sound
    gain = 10 ** ((target_lufs - loudness) / 20)
    peak = float(np.abs(sound.samples).max())
    return Sound((sound.samples * min(gain, 1.0 / peak)).astype(np.float32), sound.rate)


def clipped_share(sound: Sound) -> float:
    """Share of samples in runs of three or more at full scale: what an overdriven microphone leaves."""
    full = np.abs(sound.samples) >= _CLIP_LEVEL
    edges = np.flatnonzero(np.diff(np.concatenate([[False], full, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _CLIP_RUN].sum() / max(1, len(full)))
