"""Noise of standard deviation 25 on the emoji: how much of it the filter takes away, in dB of PSNR."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from aigc.collect.audio_folder import read_audio
from aigc.collect.rejects import Rejects
from aigc.prepare.denoise import denoise, estimate_noise
from aigc.prepare.sound import decode_sound, trim_silence

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIGMA = 25


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(np.float64) - b) ** 2), 1e-6)))


def emoji() -> list[np.ndarray]:
    pictures = []
    with zipfile.ZipFile(DATA / "emoji" / "png32.zip") as archive:
        for name in archive.namelist():
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            pictures.append(np.asarray(Image.alpha_composite(white, image).convert("RGB")))
    return pictures


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    rng = np.random.default_rng(0)
    clean = emoji()
    noisy = [np.clip(c + rng.normal(0, SIGMA, c.shape), 0, 255).round().astype(np.uint8) for c in clean]
    started = time.perf_counter()
    better = [denoise(n) for n in noisy]
    seconds = time.perf_counter() - started
    gains = [psnr(c, b) - psnr(c, n) for c, b, n in zip(clean, better, noisy, strict=True)]
    print(
        f"{len(clean):,} emoji, noise {SIGMA}: estimated {np.median([estimate_noise(n) for n in noisy]):.1f}, "
        f"gain {np.mean(gains):.2f} dB (limit 4), {1e3 * seconds / len(clean):.2f} ms each"
    )
    untouched = [denoise(c) for c in clean]
    changed = [psnr(c, u) for c, u in zip(clean, untouched, strict=True) if not np.array_equal(c, u)]
    print(
        f"clean emoji: {len(changed):,} of {len(clean):,} changed"
        + (f", those to {np.mean(changed):.1f} dB of themselves" if changed else "")
    )
    kept, shorter = [], []
    for item in read_audio(DATA / "spoken-digits" / "recordings.zip", Rejects(None)):
        assert item.content is not None
        sound = decode_sound(item.content.data)
        trimmed = trim_silence(sound)
        energy = (sound.samples.astype(np.float64) ** 2).sum()
        kept.append((trimmed.samples.astype(np.float64) ** 2).sum() / energy)
        padded = np.concatenate([np.zeros(2000, np.float32), sound.samples, np.zeros(2000, np.float32)])
        shorter.append(len(trim_silence(type(sound)(padded, sound.rate)).samples) / len(padded))
    print(
        f"{len(kept):,} recordings trimmed: energy kept at least {min(kept):.4f} (limit 0.99), "
        f"length with half a second of silence added {np.mean(shorter):.2f}"
    )


if __name__ == "__main__":
    main()
