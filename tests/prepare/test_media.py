"""Pictures and recordings are brought into one form, and broken ones refused with the reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from aigc.entities import Item, ItemContent
from aigc.errors import InvalidInputError
from aigc.prepare.picture import BadPictureError, decode_picture, is_blank, normalise_picture
from aigc.prepare.pipeline import RefusedError
from aigc.prepare.sound import BadSoundError, Sound, clipped_share, decode_sound, normalise_loudness, trim_silence
from aigc.prepare.steps import ITEM_STEPS, PrepareOptions, item_pipeline, item_steps


def packed(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def wav(samples: np.ndarray, rate: int = 8000) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def huge_header(width: int, height: int) -> bytes:
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"IDAT" + zlib.compress(b"")
    checked = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(checked)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_every_colour_model_becomes_one(mode: str) -> None:
    form = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    image = Image.new(mode, (5, 4)) if mode == "I;16" else Image.new("RGB", (5, 4), "teal").convert(mode)
    assert decode_picture(packed(image, form)).mode in ("RGB", "RGBA")


def test_a_picture_taken_sideways_is_turned_upright_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "camera"
    data = packed(Image.new("RGB", (40, 20), "red"), "JPEG", exif=exif)
    normal = normalise_picture(data)
    assert normal is not None
    with Image.open(io.BytesIO(normal[0])) as image:
        assert image.size == (20, 40)
        assert not image.getexif()


def test_a_large_picture_is_made_smaller_and_a_plain_one_stays_byte_for_byte() -> None:
    noise = packed(Image.effect_noise((2000, 500), 50).convert("RGB"))
    for side, size in ((1024, (1024, 256)), (100, (100, 25))):
        pipeline = item_pipeline(PrepareOptions(steps=("picture", "resize"), picture_side=side))
        after = pipeline.apply(Item("a", content=ItemContent("image/png", noise))).content
        assert after is not None
        assert decode_picture(after.data).size == size
        assert pipeline.report.changed == {"resize": 1}
    assert normalise_picture(packed(Image.new("RGB", (8, 8)))) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not decode"),
        (b"\xff\xd8\xff\xe0 no jpeg", "does not decode"),
        (packed(Image.effect_noise((64, 64), 50), "JPEG")[:600], "does not decode"),
        (packed(Image.effect_noise((64, 64), 50))[:900], "does not decode"),
        (huge_header(50_000, 50_000), "has more than 50 million pixels"),
        (huge_header(60_000, 1), "has more than 50 million pixels"),
    ],
)
def test_a_broken_picture_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadPictureError, match=reason):
        decode_picture(data)


def test_blank_is_blank_and_a_stroke_is_not() -> None:
    rng = np.random.default_rng(0)
    noisy = Image.fromarray((200 + rng.normal(0, 4, (32, 32, 3))).astype(np.uint8))
    stroke = Image.new("RGB", (32, 32), "white")
    for x in range(4, 28):
        stroke.putpixel((x, 16), (0, 0, 0))
    assert is_blank(noisy)
    assert is_blank(Image.new("RGBA", (9, 9), (255, 0, 0, 0)))
    assert not is_blank(stroke)


def test_silence_is_cut_off_and_the_energy_stays() -> None:
    rng = np.random.default_rng(0)
    speech = (np.sin(np.arange(4000) / 5) * np.hanning(4000)).astype(np.float32)
    quiet = rng.normal(0, 1e-4, 8000).astype(np.float32)
    trimmed = trim_silence(Sound(np.concatenate([quiet, speech, quiet]), 8000))
    assert len(trimmed.samples) < 5000
    assert (trimmed.samples.astype(np.float64) ** 2).sum() >= 0.99 * (speech.astype(np.float64) ** 2).sum()
    assert len(trim_silence(Sound(np.zeros(100, np.float32), 8000)).samples) == 100


def test_loudness_becomes_one_and_clipping_is_seen() -> None:
    tone = (0.5 * np.sin(np.arange(16_000) / 5)).astype(np.float32)
    loud, quiet = normalise_loudness(Sound(tone, 8000)), normalise_loudness(Sound(tone / 30, 8000))
    np.testing.assert_allclose(loud.samples, quiet.samples, atol=1e-3)
    assert clipped_share(Sound(np.clip(tone * 8, -1, 1), 8000)) > 0.3
    assert clipped_share(Sound(tone, 8000)) == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not decode"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "does not decode"),
        (wav(np.zeros(0)), "has no samples"),
        (
            wav(np.zeros(10))[:24] + struct.pack("<I", 4_000_000_000) + wav(np.zeros(10))[28:],
            "has a rate of|does not decode",
        ),
        (wav(np.zeros(10))[:22] + struct.pack("<H", 60_000) + wav(np.zeros(10))[24:], "does not decode|channels"),
    ],
)
def test_a_broken_recording_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadSoundError, match=reason):
        decode_sound(data)


def test_a_header_that_promises_more_than_there_is_gives_what_there_is() -> None:
    data = wav(np.full(100, 0.5))
    lying = data[:40] + struct.pack("<I", 2_000_000_000) + data[44:]
    assert len(decode_sound(lying).samples) == 100


def test_the_pipeline_changes_refuses_and_counts() -> None:
    pipeline = item_pipeline(PrepareOptions())
    item = Item("a", title="<b>明月</b>", text="床前明月光", tags=("x\u200b", "x"))
    after = pipeline.apply(item)
    assert (after.title, after.tags, after.language) == ("明月", ("x",), "zh")
    with pytest.raises(RefusedError, match="does not decode"):
        pipeline.apply(Item("b", content=ItemContent("image/png", b"no")))
    assert pipeline.apply(after) is after
    assert pipeline.report.lines() == ["text: changed 1", "language: changed 1", "picture: changed 0, refused 1"]


def test_a_recording_is_trimmed_resampled_and_brought_to_one_loudness_once() -> None:
    tone = 0.05 * np.sin(np.arange(16_000) / 5)
    data = wav(np.concatenate([np.zeros(4000), tone, np.zeros(4000)]))
    options = PrepareOptions(steps=("sound", "trim", "resample", "loudness"), sound_rate=16_000, loudness_lufs=-20)
    pipeline = item_pipeline(options)
    after = pipeline.apply(Item("a", "audio", content=ItemContent("audio/wav", data)))
    assert after.content is not None
    assert after.content.media_type == "audio/wav"
    sound = decode_sound(after.content.data)
    assert sound.rate == 16_000
    assert abs(sound.seconds - 2) < 0.1
    assert np.abs(sound.samples).max() > 0.1
    assert pipeline.report.changed == {"trim": 1, "resample": 1, "loudness": 1}
    again = pipeline.apply(after).content
    assert again is not None
    assert len(again.data) == len(after.content.data)
    with pytest.raises(RefusedError, match="does not decode"):
        item_pipeline(PrepareOptions(steps=("trim",))).apply(Item("b", content=ItemContent("audio/wav", b"no")))


def test_the_names_of_the_steps_are_those_of_the_steps() -> None:
    assert tuple(item_steps(PrepareOptions())) == ITEM_STEPS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": ("text", "text")}, "prepare.steps names the step 'text'; give each of text, language"),
        ({"event_steps": ("clocks",)}, "prepare.event_steps names the step 'clocks'; give each of ids, clock"),
        ({"picture_side": 3}, "prepare.picture_side is 3; give a number from 16 to 50000"),
        ({"sound_rate": 1}, "prepare.sound_rate is 1; give"),
        ({"loudness_lufs": 3.0}, "prepare.loudness_lufs is 3.0; give"),
    ],
)
def test_options_without_a_meaning_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        PrepareOptions(**wrong)  # type: ignore[arg-type]
