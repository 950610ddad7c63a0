"""A small network that knows the real classes, trained here: the eye that generated pictures are measured through."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.base import ImageData
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.pictures import to_tensor
from aigc.generate.task import Phase, StepContext

__all__ = ["LeNet", "LeNetTask", "trained_lenet"]

_KIND = "lenet"
_FORMAT = 1
_BATCH = 512
_FEATURES = 84


class LeNetModule(nn.Module):
    """LeNet-5 (LeCun et al. 1998) with ReLU, max pooling and more channels; 84 features before the classes."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        """Args: image_shape: (height, width, channels); classes: how many."""
        super().__init__()
        height, width, channels = image_shape
        self.first = nn.Conv2d(channels, 16, 5, padding=2)
        self.second = nn.Conv2d(16, 32, 5)
        flat = 32 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
        self.third = nn.Linear(flat, 120)
        self.fourth = nn.Linear(120, _FEATURES)
        self.last = nn.Linear(_FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, 84) of (B, C, H, W) in [-1, 1]."""
        x = F.max_pool2d(F.relu(self.first(x)), 2)  # (B, 16, H/2, W/2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)  # (B, 32, H/4 - 2, W/4 - 2)
        x = F.relu(self.third(x.flatten(1)))  # (B, 120)
        return F.relu(self.fourth(x))

    def forward(self, x: Tensor) -> Tensor:
        """(B, classes) logits."""
        out: Tensor = self.last(self.features(x))
        return out


class LeNetTask:
    """Cross-entropy on the real classes; a :class:`aigc.generate.task.Task` for the one training loop."""

    name = "lenet"
    averaged = ("lenet",)

    def __init__(self, train: ImageData, held_out: ImageData, *, batch_size: int = 128, seed: int = 0) -> None:
        """Args: train, held_out: with labels; batch_size: pictures a step; seed: of the first weights."""
        for field, data in (("train", train), ("held_out", held_out)):
            if len(data.labels) != len(data.pixels) or not len(data.pixels):
                raise InvalidInputError(
                    f"{field} has {len(data.pixels)} pictures and {len(data.labels)} labels", field=field
                )
        if min(train.pixels.shape[1:3]) < 16:
            raise InvalidInputError(f"pictures of {train.pixels.shape[1:3]}: at least 16 × 16", field="train")
        self.train, self.held_out, self.batch_size = train, held_out, batch_size
        _, height, width, channels = train.pixels.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = LeNetModule((height, width, channels), len(train.classes))
        self._labels = torch.from_numpy(train.labels)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The one network."""
        return {"lenet": self.module}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam."""
        return {"lenet": Adam(self.module.parameters(), lr=2e-3)}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """One: cross-entropy of pictures shifted by up to two pixels."""
        rows = context.rows(len(self.train.pixels), self.batch_size)
        x = F.pad(to_tensor(self.train.pixels[rows.numpy()]), (2, 2, 2, 2), value=-1)  # (B, C, H + 4, W + 4)
        top, left = (int(v) for v in torch.randint(5, (2,), generator=context.generator()))
        height, width = self.train.pixels.shape[1:3]
        x = x[:, :, top : top + height, left : left + width].to(context.device)
        yield Phase("lenet", F.cross_entropy(self.module(x), self._labels[rows].to(context.device)))

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """Accuracy on the held-out pictures."""
        module = modules["lenet"]
        assert isinstance(module, LeNetModule)
        found = _in_batches(lambda x: module(x).argmax(1), self.held_out.pixels)
        return {"accuracy": float((found == self.held_out.labels).mean())}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Nothing to draw."""
        del modules, path
        return None


class LeNet:
    """A trained one, as a :class:`aigc.evaluate.generation.network.FeatureNetwork`."""

    name = "LeNet"

    def __init__(self, module: LeNetModule, image_shape: tuple[int, int, int], classes: Sequence[str]) -> None:
        """Args: module: trained; image_shape: (height, width, channels); classes: names."""
        self.module = module.eval().requires_grad_(False)
        self.image_shape, self.classes = image_shape, tuple(classes)
        self.test_accuracy, self.sha256, self.feature_scale = float("nan"), "", 1.0

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 84) float32 of (n, height, width, channels) uint8; of root mean square 1 on real pictures."""
        self._check(pixels)
        return _in_batches(self.module.features, pixels) * np.float32(self.feature_scale)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, classes) float32 of (n, height, width, channels) uint8."""
        self._check(pixels)
        return _in_batches(lambda x: self.module(x).softmax(1), pixels)

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, and note the hash of the latter."""
        config = {
            "image_shape": self.image_shape,
            "classes": self.classes,
            "test_accuracy": self.test_accuracy,
            "feature_scale": self.feature_scale,
        }
        tensors = {f"lenet.{name}": tensor for name, tensor in self.module.state_dict().items()}
        write_model(folder, _KIND, _FORMAT, config, tensors)
        self.sha256 = _hash_of(folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path) -> LeNet:
        """What :meth:`save` wrote; CorruptDataError names what is broken."""
        config = read_config(folder, _KIND, _FORMAT)
        try:
            height, width, channels = (int(v) for v in config["image_shape"])
            classes, accuracy = [str(c) for c in config["classes"]], float(config["test_accuracy"])
            scale = float(config["feature_scale"])
            module = LeNetModule((height, width, channels), len(classes))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CorruptDataError(f"{folder / 'config.json'} lacks {error}; delete the folder") from error
        fill_module(module, read_tensors(folder), "lenet", folder)
        network = cls(module, (height, width, channels), classes)
        network.test_accuracy, network.feature_scale = accuracy, scale
        network.sha256 = _hash_of(folder / "model.safetensors")
        return network

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.shape[1:] != self.image_shape or not len(pixels):
            raise InvalidInputError(
                f"pictures of shape {pixels.shape}: this network sees {self.image_shape}", field="pixels"
            )


def trained_lenet(train: ImageData, test: ImageData, cache: Path, fit: Callable[[LeNetTask], object]) -> LeNet:
    """The network for these data: from ``cache``, or trained and put there.

    Args:
        train: Real pictures with labels.
        test: Others, whose accuracy is noted.
        cache: A folder of such networks, each in one named by the hash of the data.
        fit: Trains a task in place, such as the one training loop with about four epochs.
    """
    folder = cache / f"lenet-{_data_hash(train, test)}"
    if folder.is_dir():
        return LeNet.load(folder)
    task = LeNetTask(train, test)
    fit(task)
    _, height, width, channels = train.pixels.shape
    network = LeNet(task.module, (height, width, channels), train.classes)
    network.test_accuracy = task.validate({"lenet": network.module})["accuracy"]
    network.feature_scale = 1 / max(float(np.sqrt((network.features(test.pixels) ** 2).mean())), 1e-9)
    cache.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=cache, prefix=".lenet-"))
    try:
        network.save(beside)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return network


def _in_batches(run: Callable[[Tensor], Tensor], pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [run(to_tensor(pixels[i : i + _BATCH])).cpu().numpy() for i in range(0, len(pixels), _BATCH)]
    return np.concatenate(parts)


def _data_hash(train: ImageData, test: ImageData) -> str:
    digest = hashlib.sha256()
    for data in (train, test):
        digest.update(repr((data.pixels.shape, tuple(data.classes))).encode())
        digest.update(np.ascontiguousarray(data.pixels).tobytes())
        digest.update(np.ascontiguousarray(data.labels).tobytes())
    return digest.hexdigest()[:16]


def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
