from __future__ import annotations

import cv2
import numpy as np
import pytest

from aigc.errors import InvalidInputError
from aigc.generate.postprocess_images import ImagePostProcessing, postprocess_image, super_resolve


def scene(channels: int, side: int = 64) -> np.ndarray:
    """A smooth ground with a disc and a bar."""
    y, x = np.mgrid[:side, :side] / side
    picture = np.repeat((90 + 60 * x)[..., None], 3, axis=2)
    picture[(x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.06] = (220, 160, 40)
    picture[(np.abs(x - 0.8) < 0.05) & (y > 0.2)] = (30, 60, 200)
    alpha = 255.0 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.24)
    return np.concatenate([picture, alpha[..., None]], axis=2)[..., :channels].round().astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((a.astype(float) - b) ** 2).mean()))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nothing_asked_for_is_nothing_done(channels: int) -> None:
    pixels, said = postprocess_image(scene(channels), ImagePostProcessing())
    assert said == ()
    np.testing.assert_array_equal(pixels, scene(channels))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [2, 4])
def test_every_step_says_what_it_did(channels: int, scale: int) -> None:
    pixels, said = postprocess_image(scene(channels), ImagePostProcessing(True, True, scale, 1.0))
    assert pixels.shape == (64 * scale, 64 * scale, channels)
    assert pixels.dtype == np.uint8
    assert [s.split(":")[0].split(" ×")[0] for s in said] == ["denoise", "contrast", "super-resolve", "sharpen"]
    assert f"64 × 64 to {64 * scale} × {64 * scale}" in said[2]


@pytest.mark.parametrize("scale", [2, 4])
def test_super_resolution_beats_bicubic_interpolation(scale: int) -> None:
    large = scene(3, 128)
    small = cv2.resize(large, (128 // scale,) * 2, interpolation=cv2.INTER_AREA)
    bicubic = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)
    assert psnr(super_resolve(small, scale), large) > psnr(bicubic, large) + 0.2


def test_a_super_resolved_picture_made_small_again_is_the_picture() -> None:
    small = scene(3, 32)
    again = cv2.resize(super_resolve(small, 2), (32, 32), interpolation=cv2.INTER_AREA)
    assert psnr(again, small) > 40


def test_noise_is_taken_away_and_a_clean_picture_is_left() -> None:
    clean = scene(3)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    better, said = postprocess_image(noisy, ImagePostProcessing(denoise=True))
    assert psnr(better, clean) > psnr(noisy, clean) + 3
    assert "smoothed" in said[0]
    same, said = postprocess_image(clean, ImagePostProcessing(denoise=True))
    np.testing.assert_array_equal(same, clean)
    assert "left as it is" in said[0]


def test_contrast_uses_the_whole_range_and_sharpening_steepens_edges() -> None:
    flat = (scene(1) // 4 + 90).astype(np.uint8)
    stretched, _ = postprocess_image(flat, ImagePostProcessing(contrast=True))
    assert (stretched.min(), stretched.max()) == (0, 255)
    blurred = cv2.GaussianBlur(scene(3), (5, 5), 1)
    sharp, _ = postprocess_image(blurred, ImagePostProcessing(sharpen=1.5))
    assert np.abs(np.diff(sharp.astype(int), axis=1)).max() > 1.2 * np.abs(np.diff(blurred.astype(int), axis=1)).max()


def test_opacity_is_never_filtered() -> None:
    pixels, _ = postprocess_image(scene(4), ImagePostProcessing(denoise=True, contrast=True, sharpen=2))
    np.testing.assert_array_equal(pixels[..., 3], scene(4)[..., 3])


@pytest.mark.parametrize(("field", "values"), [("scale", {"scale": 3}), ("sharpen", {"sharpen": float("nan")})])
def test_steps_without_a_meaning_are_refused(field: str, values: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ImagePostProcessing(**values)
    assert caught.value.field == field


def test_odd_shapes_and_too_many_pixels_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="channels"):
        postprocess_image(np.zeros((8, 8, 2), np.uint8), ImagePostProcessing())
    huge = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (8000, 8000, 1))
    with pytest.raises(InvalidInputError, match="smaller scale"):
        postprocess_image(huge, ImagePostProcessing(scale=4))
