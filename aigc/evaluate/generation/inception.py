"""Inception v3 from a local file, so that figures compare with published ones; nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from aigc.errors import CorruptDataError, InvalidInputError

__all__ = ["Inception"]

_SIDE = 299
_BATCH = 32
_SIZE = 2048


class Conv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, a: int, b: int, kernel: int | tuple[int, int], stride: int = 1) -> None:
        """Same padding but where a stride or the stem says otherwise, which ``padding`` is set for afterwards."""
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (high // 2, wide // 2) if stride == 1 else (0, 0)
        self.conv = nn.Conv2d(a, b, (high, wide), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(b, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, b, H', W') of (B, a, H, W)."""
        return F.relu(self.bn(self.conv(x)))


class MixedA(nn.Module):
    """Figure 5 of Szegedy et al. (2016): 1×1, 5×5, twice 3×3, pooled."""

    def __init__(self, a: int, pooled: int) -> None:
        """Args: a: channels in; pooled: channels of the pooled branch."""
        super().__init__()
        self.branch1x1 = Conv(a, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(a, 48, 1), Conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3 = Conv(a, 64, 1), Conv(64, 96, 3), Conv(96, 96, 3)
        self.branch_pool = Conv(a, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 224 + pooled, H, W)."""
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, twice, self.branch_pool(_mean(x))], dim=1)


class MixedB(nn.Module):
    """Halves the side: 3×3, twice 3×3, pooled."""

    def __init__(self) -> None:
        """288 channels in."""
        super().__init__()
        self.branch3x3 = Conv(288, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(288, 64, 1), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 768, H / 2, W / 2)."""
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), twice, F.max_pool2d(x, 3, 2)], dim=1)


class MixedC(nn.Module):
    """Figure 6: 1×1, 7×7 in two strips, 7×7 twice, pooled."""

    def __init__(self, c: int) -> None:
        """Args: c: channels of the narrow layers."""
        super().__init__()
        self.branch1x1 = Conv(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Conv(768, c, 1), Conv(c, c, (1, 7))
        self.branch7x7_3 = Conv(c, 192, (7, 1))
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(768, c, 1), Conv(c, c, (7, 1))
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(c, c, (1, 7)), Conv(c, c, (7, 1))
        self.branch7x7dbl_5 = Conv(c, 192, (1, 7))
        self.branch_pool = Conv(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 768, H, W)."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), seven, twice, self.branch_pool(_mean(x))], dim=1)


class MixedD(nn.Module):
    """Halves the side: 3×3, 7×7 then 3×3, pooled."""

    def __init__(self) -> None:
        """768 channels in."""
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(768, 192, 1), Conv(192, 320, 3, 2)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(768, 192, 1), Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1)), Conv(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1280, H / 2, W / 2)."""
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, 2)], dim=1)


class MixedE(nn.Module):
    """Figure 7: branches that fan out; the last one pools by maximum in the weights of 2015."""

    def __init__(self, a: int, *, largest: bool) -> None:
        """Args: a: channels in; largest: pool by maximum instead of mean."""
        super().__init__()
        self.largest = largest
        self.branch1x1 = Conv(a, 320, 1)
        self.branch3x3_1 = Conv(a, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(a, 448, 1), Conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch_pool = Conv(a, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2048, H, W)."""
        three = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.largest else _mean(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice), self.branch_pool(pooled)]
        return torch.cat(parts, dim=1)


class InceptionModule(nn.Module):
    """The body of Inception v3, with the names of weights that torchvision and pytorch-fid share."""

    def __init__(self) -> None:
        """Empty; weights come from a file."""
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2a_3x3.conv.padding = (0, 0)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Conv2d_4a_3x3.conv.padding = (0, 0)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a = MixedB()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = MixedC(128), MixedC(160), MixedC(160), MixedC(192)
        self.Mixed_7a = MixedD()
        self.Mixed_7b, self.Mixed_7c = MixedE(1280, largest=False), MixedE(2048, largest=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2048) of (B, 3, 299, 299) in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))


class Inception:
    """A :class:`aigc.evaluate.generation.network.FeatureNetwork` without classes.

    The file holds safetensors (a pickle is not opened) with the names of torchvision's ``inception_v3``, which
    pytorch-fid's port of the weights of 2015 has too: published Fréchet inception distances use those. The heads ``fc``
    and ``AuxLogits`` are not looked at. Pooling is that of the port. Pictures are resized by bilinear interpolation
    without anti-aliasing, as pytorch-fid does.
    """

    name = "Inception v3"
    classes: Sequence[str] = ()
    test_accuracy = float("nan")

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            CorruptDataError: It is missing, no safetensors, or lacks weights; names it.
        """
        try:
            tensors = load_file(str(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise CorruptDataError(
                f"{path} cannot be read as safetensors ({error}); convert the weights of Inception v3 to that format",
                reason="MODEL_CORRUPT",
            ) from error
        self.module = InceptionModule()
        body = {k: v for k, v in tensors.items() if not k.startswith(("fc.", "AuxLogits."))}
        try:
            self.module.load_state_dict(body)
        except RuntimeError as error:
            raise CorruptDataError(
                f"{path} holds no Inception v3 ({str(error).splitlines()[-1].strip()[:200]}); names as in torchvision",
                reason="MODEL_CORRUPT",
            ) from error
        self.module.eval().requires_grad_(False)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 2048) float32 of (n, height, width, 1 or 3) uint8."""
        if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or not len(pixels):
            raise InvalidInputError(f"pixels of shape {pixels.shape}: 1 or 3 channels are needed", field="pixels")
        found = np.empty((len(pixels), _SIZE), np.float32)
        with torch.inference_mode():
            for start in range(0, len(pixels), _BATCH):
                x = torch.from_numpy(np.asarray(pixels[start : start + _BATCH], np.float32)).permute(0, 3, 1, 2)
                x = F.interpolate(x.expand(-1, 3, -1, -1), (_SIDE, _SIDE), mode="bilinear", align_corners=False)
                found[start : start + _BATCH] = self.module(x / 127.5 - 1).numpy()
        return found

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """It knows no classes of ours."""
        del pixels
        raise InvalidInputError("Inception v3 gives features alone; take a LeNet for classes", field="network")


def _mean(x: Tensor) -> Tensor:
    """3 × 3 mean that leaves the border out of the count, as the weights of 2015 were trained."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
