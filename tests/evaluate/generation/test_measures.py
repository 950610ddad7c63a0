from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.evaluate.generation.classes import class_balance, label_accuracy
from aigc.evaluate.generation.coverage import measure_coverage
from aigc.evaluate.generation.frechet import frechet_distance, kernel_distance
from aigc.evaluate.generation.lenet import LeNet, LeNetTask, trained_lenet
from aigc.evaluate.generation.memorisation import measure_memorisation, nearest_distances
from aigc.evaluate.generation.report import measure_images
from aigc.evaluate.generation.stacked import count_modes, stack
from aigc.generate.base import ImageData
from aigc.generate.task import StepContext

pytestmark = pytest.mark.usefixtures("one_thread")


def bars(n: int, seed: int, side: int = 20) -> ImageData:
    """Noisy upright, level and slanted strokes: three classes that a small network tells apart at once."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    pixels = rng.integers(0, 60, (n, side, side, 1)).astype(np.uint8)
    for i, label in enumerate(labels):
        at = int(rng.integers(4, side - 4))
        if label == 0:
            pixels[i, 2:-2, at] = 250
        elif label == 1:
            pixels[i, at, 2:-2] = 250
        else:
            pixels[i, np.arange(2, side - 2), np.arange(2, side - 2)] = 250
    return ImageData(pixels, labels.astype(np.int64), ("upright", "level", "slanted"))


def fit(task: LeNetTask) -> None:
    optimizer = task.optimizers()["lenet"]
    for step in range(40):
        for phase in task.phases(StepContext(step)):
            optimizer.zero_grad()
            phase.loss.backward()
            optimizer.step()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> LeNet:
    return trained_lenet(bars(1200, 0), bars(300, 1), tmp_path_factory.mktemp("networks"), fit)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_frechet_distance_of_shifted_gaussians_is_the_squared_shift(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(5000, 6)).astype(np.float32)
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(rows, rows + 2) == pytest.approx(24, rel=1e-5)
    # Two independent coordinates of spread 1 and 3: (3 - 1)² each.
    assert frechet_distance(rows, rows * 3) == pytest.approx(6 * 4, rel=0.05)


def test_frechet_distance_equals_the_form_with_a_matrix_root(rng: np.random.Generator) -> None:
    from scipy.linalg import sqrtm

    a, b = rng.normal(size=(400, 8)) @ rng.normal(size=(8, 8)), rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)) + 1
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    printed = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(printed, rel=1e-4)


def test_features_without_full_rank_have_a_frechet_distance(rng: np.random.Generator) -> None:
    rows = np.zeros((10, 50), np.float32)
    rows[:, 0] = rng.normal(size=10)
    assert frechet_distance(rows, rows + 1) == pytest.approx(50, rel=1e-4)


def test_kernel_distance_is_about_nought_for_the_same_and_clearly_more_for_another(rng: np.random.Generator) -> None:
    a, b, c = (rng.normal(mean, 1, (800, 8)).astype(np.float32) for mean in (0, 0, 1))
    same, spread = kernel_distance(a, b, size=300)
    assert abs(same) < 3 * spread / np.sqrt(50) + 0.05
    assert kernel_distance(a, c, size=300)[0] > 10 * abs(same)


@pytest.mark.parametrize("rows", [np.zeros((1, 3)), np.zeros(5), np.array([[0.0, np.nan], [1.0, 2.0]])])
def test_features_that_have_no_distribution_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="features"):
        frechet_distance(rows.astype(np.float32), rows.astype(np.float32))


def test_features_of_two_networks_are_refused(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=(20, 4)).astype(np.float32)
    with pytest.raises(InvalidInputError, match="one network"):
        frechet_distance(a, b)
    with pytest.raises(InvalidInputError, match="one network"):
        measure_coverage(a, b)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.filterwarnings("ignore")
def test_coverage_equals_the_package_prdc(rng: np.random.Generator, k: int) -> None:
    from prdc import compute_prdc

    a, b = rng.normal(size=(600, 12)), rng.normal(0.3, 0.8, size=(500, 12))
    with contextlib.redirect_stdout(io.StringIO()):
        peer = compute_prdc(a, b, k)
    ours = measure_coverage(a.astype(np.float32), b.astype(np.float32), k)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(ours, name) == pytest.approx(peer[name], abs=4e-3), name


def test_a_collapsed_set_is_precise_and_covers_nothing(rng: np.random.Generator) -> None:
    real = rng.normal(size=(500, 5)).astype(np.float32)
    found = measure_coverage(real, np.repeat(real[:1], 500, axis=0) + rng.normal(0, 1e-3, (500, 5)).astype(np.float32))
    assert found.precision == 1
    assert found.coverage < 0.05
    assert found.recall < 0.05


@pytest.mark.parametrize("k", [0, 20, 100])
def test_neighbours_that_do_not_exist_are_refused(rng: np.random.Generator, k: int) -> None:
    rows = rng.normal(size=(20, 3)).astype(np.float32)
    with pytest.raises(InvalidInputError, match="k is"):
        measure_coverage(rows, rows, k)


def test_class_balance_tells_a_missing_class() -> None:
    chances = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    found = class_balance(chances, np.full(4, 0.25))
    assert found.distance == pytest.approx(0.25)
    assert found.entropy == pytest.approx(np.log(3) / np.log(4))
    assert class_balance(chances[:2], np.full(4, 0.25)).entropy == 0
    assert label_accuracy(chances, np.array([0, 0, 1, 1, 2, 3])) == pytest.approx(5 / 6)
    with pytest.raises(InvalidInputError):
        label_accuracy(chances, np.array([0]))


def test_the_network_knows_its_classes_and_comes_back_from_its_cache(network: LeNet, tmp_path: Path) -> None:
    assert network.test_accuracy > 0.95
    network.save(tmp_path)
    again = LeNet.load(tmp_path)
    assert again.sha256 == network.sha256
    assert again.classes == network.classes
    pixels = bars(40, 5).pixels
    np.testing.assert_array_equal(again.features(pixels), network.features(pixels))


def test_the_cache_is_used_for_the_same_data_and_only_for_them(tmp_path: Path) -> None:
    calls: list[int] = []
    for seed in (0, 0, 1):
        trained_lenet(bars(200, seed), bars(50, 9), tmp_path, lambda task: calls.append(1))
    assert len(calls) == 2


def test_a_broken_network_is_refused_by_the_name_of_its_file(network: LeNet, tmp_path: Path) -> None:
    network.save(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"\x80\x04pickle"):
        (tmp_path / "model.safetensors").write_bytes(broken)
        with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
            LeNet.load(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "lenet", "format": 99}')
    with pytest.raises(CorruptDataError, match=r"config\.json.*format"):
        LeNet.load(tmp_path)


def test_stacks_of_real_pictures_show_every_mode(network: LeNet) -> None:
    source = bars(600, 4)
    pixels, labels = stack(source.pixels, source.labels, 800, seed=1)
    found = count_modes(network, pixels)
    assert (found.modes, found.possible, found.samples) == (27, 27, 800)
    assert found.kl < 4 * found.floor
    only = count_modes(network, pixels[(labels == labels[0]).all(axis=1)])
    assert only.modes <= 3
    assert only.kl > 2


def test_a_copy_is_nearer_than_a_new_picture() -> None:
    train, held_out = bars(300, 0).pixels, bars(100, 1).pixels
    distances, rows = nearest_distances(train, train[[7, 9]])
    assert distances.tolist() == [0, 0]
    assert rows.tolist() == [7, 9]
    assert measure_memorisation(train, held_out, train[:50]).copies == 1
    assert measure_memorisation(train, held_out, bars(100, 2).pixels).copies < 0.1


def test_the_report_puts_the_floor_beside_each_figure(network: LeNet) -> None:
    train, held_out, same = bars(400, 0), bars(300, 1), bars(300, 2)
    report = measure_images(network, train, held_out, same.pixels, same.labels)
    assert report.generated.label_accuracy > 0.9
    noise = np.random.default_rng(0).integers(0, 255, same.pixels.shape).astype(np.uint8)
    worse = measure_images(network, train, held_out, noise, same.labels)
    assert worse.generated.frechet > 10 * report.generated.frechet
    assert worse.floor.frechet == report.floor.frechet
    text = "\n".join(report.lines())
    assert network.sha256[:12] in text
    assert f"({report.floor.frechet:.4f})" in text


def test_pictures_of_another_size_are_refused(network: LeNet) -> None:
    with pytest.raises(InvalidInputError, match="shape"):
        network.features(np.zeros((2, 28, 28, 1), np.uint8))
