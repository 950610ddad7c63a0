"""Small changes that a picture may undergo without becoming another: they let a discriminator live on few pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["shifted"]


def shifted(x: Tensor, numbers: Tensor, reach: float = 0.15) -> Tensor:
    """(B, C, H, W) moved and scaled, differentiably (Zhao et al. 2020: real and generated ones alike).

    Args:
        x: In [-1, 1]; what comes in from outside is -1.
        numbers: (B, 4) in [0, 1): the shift right, down, the scale, and whether there is any (below ½).
        reach: Largest shift as a share of the side, and of the scale.
    """
    move = (numbers[:, :3] * 2 - 1).float() * reach * (numbers[:, 3:] < 0.5)  # (B, 3)
    scale = torch.exp(move[:, 2])
    matrix = torch.zeros(len(x), 2, 3, device=x.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = 2 * move[:, :2]
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x.float() + 1, grid, mode="bilinear", align_corners=False) - 1
