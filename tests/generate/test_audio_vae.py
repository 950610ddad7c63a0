from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.audio_vae import AudioVaeGenerator, AudioVaeOptions, AudioVaeTask
from aigc.generate.base import AudioGenerator, AudioRequest, SoundData
from aigc.generate.loading import load_generator
from aigc.generate.mel_pictures import MelOptions, picture_of, sound_of
from aigc.generate.task import StepContext
from aigc.generate.vae_options import VaeOptions

MEL = MelOptions(rate=4000, window=128, hop=64, bands=16, frames=16, iterations=20)


pytestmark = pytest.mark.usefixtures("one_thread")


def tone(hz: float, rate: int, seconds: float = 0.2) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def tones(n: int, seed: int) -> SoundData:
    """Low and high ones, of 350 to 450 and 1,100 to 1,300 Hz."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    hz = np.where(labels, rng.uniform(1100, 1300, n), rng.uniform(350, 450, n))
    samples = [tone(h, 4000, s) for h, s in zip(hz, rng.uniform(0.1, 0.2, n), strict=True)]
    return SoundData(samples, 4000, labels.astype(np.int64), ("low", "high"))


def small(**changes: object) -> AudioVaeOptions:
    network = VaeOptions(
        likelihood="gaussian",
        prior="normal",
        conditional=True,
        latent_size=4,
        channels=(8, 16),
        hidden=32,
        batch_size=16,
        learning_rate=5e-3,
    )
    return AudioVaeOptions(MEL, replace(network, **changes))


def pitch(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8192))
    return float(spectrum.argmax() * rate / 8192)


@pytest.fixture(scope="module")
def trained() -> AudioVaeGenerator:
    task = AudioVaeTask(tones(128, 0), tones(32, 1), small())
    optimizer = task.optimizers()["vae"]
    for step in range(150):
        (phase,) = task.phases(StepContext(step))
        optimizer.zero_grad()
        phase.loss.backward()
        optimizer.step()
    return AudioVaeGenerator.from_task(task, task.modules)


@pytest.mark.parametrize("hz", [220.0, 500.0, 1234.0, 3000.0])
def test_a_tone_comes_back_from_its_picture_at_its_pitch(hz: float) -> None:
    options = MelOptions()
    again = sound_of(picture_of(tone(hz, 8000, 0.5), 8000, options), options)
    assert pitch(again, 8000) == pytest.approx(hz, rel=0.06)
    assert len(again) == pytest.approx(4000, abs=400)
    assert np.abs(again).max() == pytest.approx(0.7, abs=0.01)


def test_a_picture_survives_the_way_through_sound() -> None:
    options = MelOptions()
    rng = np.random.default_rng(0)
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 2000, 4000)) / 8000) + 0.01 * rng.normal(size=4000)
    picture = picture_of(sweep.astype(np.float32), 8000, options)
    again = picture_of(sound_of(picture, options), 8000, options)
    assert np.abs(picture.astype(float) - again).mean() / 255 * options.range_db < 3


def test_loudness_and_rate_do_not_change_the_picture_much() -> None:
    options = MelOptions()
    picture = picture_of(tone(500, 8000), 8000, options).astype(float)
    for other in (picture_of(0.01 * tone(500, 8000), 8000, options), picture_of(tone(500, 16_000), 16_000, options)):
        assert np.abs(picture - other).mean() < 12


def test_silence_has_a_black_picture_and_comes_back_silent() -> None:
    picture = picture_of(np.zeros(4000, np.float32), 8000, MelOptions())
    assert picture.max() == 0
    assert np.abs(sound_of(picture, MelOptions())).max() == 0


def test_a_recording_of_any_length_has_a_picture_of_one_size() -> None:
    for n in (1, 100, 100_000):
        assert picture_of(np.full(n, 0.1, np.float32), 4000, MEL).shape == (16, 16, 1)


def test_the_asked_class_is_heard(trained: AudioVaeGenerator) -> None:
    assert isinstance(trained, AudioGenerator)
    made = trained.generate(AudioRequest(list(range(20)), ["low", "high"] * 10))
    pitches = np.array([pitch(m.samples, m.rate) for m in made])
    assert (pitches[::2] < 600).mean() >= 0.9
    assert (pitches[1::2] > 900).mean() >= 0.9
    assert all(m.label == ("low", "high")[i % 2] and m.rate == 4000 for i, m in enumerate(made))


def test_a_row_is_the_same_alone_and_in_a_batch(trained: AudioVaeGenerator) -> None:
    together = trained.generate(AudioRequest(list(range(18))))
    for i in (0, 17):
        alone = trained.generate(AudioRequest([i]))[0]
        assert alone.samples.tobytes() == together[i].samples.tobytes()
        assert alone.quality == together[i].quality


def test_latents_lead_back_to_the_recording(trained: AudioVaeGenerator) -> None:
    data = tones(6, 5)
    latents = trained.encode(data)
    assert latents.shape == (6, 4)
    again = trained.decode(latents, [data.classes[r] for r in data.labels])
    for samples, original in zip(again, data.samples, strict=True):
        assert pitch(samples, 4000) == pytest.approx(pitch(original, 4000), rel=0.15)


def test_what_is_saved_comes_back_and_makes_the_same(trained: AudioVaeGenerator, tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, AudioVaeGenerator)
    assert again.described == trained.described
    a, b = (g.generate(AudioRequest([3], ["high"]))[0] for g in (trained, again))
    assert a.samples.tobytes() == b.samples.tobytes()


def test_broken_models_are_refused_by_name(trained: AudioVaeGenerator, tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        AudioVaeGenerator.load(tmp_path)
    trained.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    mel = config["audio"]["mel"]
    for changed in ({"audio": 1}, {"audio": {**config["audio"], "mel": mel | {"frames": 32}}}, {"format": 9}):
        (tmp_path / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(CorruptDataError, match=r"config\.json"):
            AudioVaeGenerator.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "changes"), [("hop", {"hop": 0}), ("bands", {"bands": 500}), ("range_db", {"range_db": float("nan")})]
)
def test_spectra_without_a_meaning_are_refused_by_name(field: str, changes: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        replace(MEL, **changes)
    assert caught.value.field == field


def test_what_cannot_be_learned_is_refused(trained: AudioVaeGenerator) -> None:
    with pytest.raises(InvalidInputError, match="no recordings"):
        AudioVaeTask(SoundData([], 8000), tones(4, 0), small())
    with pytest.raises(InvalidInputError, match="not binary"):
        small(likelihood="bernoulli")
    with pytest.raises(InvalidInputError, match="picture of shape"):
        sound_of(np.zeros((4, 4, 1), np.uint8), MEL)
    with pytest.raises(InvalidInputError, match="unknown"):
        trained.generate(AudioRequest([1], ["middle"]))
