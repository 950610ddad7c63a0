"""Where latents are drawn from: Gaussian mixtures over them, one set of components for all classes.

Three ways to one: N(0, I); a mixture learned together with a VAE (:class:`MixtureDensity`); and the second stage, a
mixture fitted afterwards to samples of the posterior of every training picture, the "aggregated posterior" (Hoffman and
Johnson 2016; fitted like this by Ghosh et al. 2020). A VAE's posterior never fills N(0, I) as it should: where the two
differ, N(0, I) draws latents that the decoder has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aigc.errors import CorruptDataError, InvalidInputError

__all__ = ["LatentPrior", "MixtureDensity"]

_LOG_2_PI = math.log(2 * math.pi)


class MixtureDensity(nn.Module):
    """A mixture of diagonal Gaussians with learned means, deviations and weights."""

    def __init__(self, components: int, latent_size: int) -> None:
        """Args: components: how many Gaussians; latent_size: of how many numbers."""
        super().__init__()
        self.means = nn.Parameter(0.7 * torch.randn(components, latent_size))
        self.log_variances = nn.Parameter(torch.full((components, latent_size), -0.5))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, z: Tensor) -> Tensor:
        """(n, components) float32: log(weight · density) of (n, latent_size)."""
        precision = torch.exp(-self.log_variances)
        # (z - m)² / v in three matrix products in place of an (n, components, latent_size) array.
        distance = (z * z) @ precision.T - 2 * z @ (self.means * precision).T
        constant = (self.means**2 * precision + self.log_variances + _LOG_2_PI).sum(1)
        return torch.log_softmax(self.logits, 0) - 0.5 * (distance + constant)


@dataclass(frozen=True, slots=True)
class LatentPrior:
    """What latents are drawn from, for each class and for all.

    Attributes:
        means: (K, d) float32 of the components.
        factors: (K, d, d) float32 lower Cholesky factors of the covariances, or (K, d) deviations of diagonal ones.
        weights: (rows, K) float32, each row sums to 1: one a class, and the last for any class.
    """

    means: NDArray[np.float32]
    factors: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def standard(cls, latent_size: int, classes: int = 0) -> LatentPrior:
        """N(0, I), whatever the class."""
        shape = (1, latent_size)
        return cls(np.zeros(shape, np.float32), np.ones(shape, np.float32), np.ones((classes + 1, 1), np.float32))

    @classmethod
    def fit(
        cls,
        latents: NDArray[np.float32],
        labels: NDArray[np.int64],
        classes: int,
        *,
        components: int = 10,
        seed: int = 0,
    ) -> LatentPrior:
        """Fit by expectation-maximisation (Dempster et al. 1977), each class apart; for any class by their shares.

        Args:
            latents: (n, d) float32: a sample of the posterior of each training picture. (Means alone would give a
                mixture that is too narrow by the posterior's own variance.)
            labels: (n,) int64 rows of the classes; empty without classes.
            classes: How many; 0 for one mixture of everything.
            components: Of each class, fewer where it has few pictures.
            seed: Of the first assignment.

        Raises:
            InvalidInputError: Labels of another number, or fewer than two pictures of a class.
        """
        # Slow to import, and needed for fitting only.
        from sklearn.mixture import GaussianMixture

        if classes and len(labels) != len(latents):
            raise InvalidInputError(f"{len(latents)} latents, {len(labels)} labels", field="labels")
        rows = labels if classes else np.zeros(len(latents), np.int64)
        d, parts = latents.shape[1], max(1, classes)
        counts = np.bincount(rows, minlength=parts)
        if counts.min() < 2:
            raise InvalidInputError(f"class {int(counts.argmin())} has fewer than two latents", field="labels")
        means, factors, weights, owners = [], [], [], []
        for row in range(parts):
            own = latents[rows == row].astype(np.float64)
            # A full covariance has d (d + 1) / 2 numbers: with fewer latents than a few times d it would be noise.
            full = len(own) >= 20 * d
            k = max(1, min(components, len(own) // (10 * d if full else 10)))
            mixture = GaussianMixture(k, covariance_type="full" if full else "diag", reg_covar=1e-4, random_state=seed)
            mixture.fit(own)
            means.append(mixture.means_)
            if full:
                factors.append(np.linalg.cholesky(mixture.covariances_))
            else:
                factors.append(np.stack([np.diag(v) for v in np.sqrt(mixture.covariances_)]))
            weights.append(mixture.weights_)
            owners.append(np.full(k, row))
        owner, weight = np.concatenate(owners), np.concatenate(weights)
        table = np.where(owner == np.arange(parts)[:, None], weight, 0.0)  # (parts, K)
        everything = (counts / counts.sum()) @ table
        table = np.concatenate([table, everything[None]]) if classes else everything[None]
        return cls(
            np.concatenate(means).astype(np.float32),
            np.concatenate(factors).astype(np.float32),
            table.astype(np.float32),
        )

    @classmethod
    def learned(
        cls, density: MixtureDensity, latents: NDArray[np.float32], labels: NDArray[np.int64], classes: int
    ) -> LatentPrior:
        """A mixture that was learned with the VAE; a class takes the components that its latents belong to.

        Args:
            density: Trained.
            latents: (n, d) float32: a sample of the posterior of each training picture.
            labels: (n,) int64 rows of the classes.
            classes: How many; 0 for none.
        """
        with torch.inference_mode():
            weights = [torch.softmax(density.logits.detach().float(), 0).cpu().numpy()]
            if classes:
                device = density.means.device
                sums = np.zeros((classes, len(weights[0])))
                for start in range(0, len(latents), 4096):
                    part = torch.from_numpy(latents[start : start + 4096]).to(device)
                    shares = torch.softmax(density(part), 1).cpu().numpy()
                    np.add.at(sums, labels[start : start + 4096], shares)
                sums = np.where(sums.sum(1, keepdims=True) > 0, sums, weights[0])
                weights = [*(sums / sums.sum(1, keepdims=True)), *weights]
            return cls(
                density.means.detach().float().cpu().clone().numpy(),
                torch.exp(density.log_variances.detach().float() / 2).cpu().numpy(),
                np.stack(weights).astype(np.float32),
            )

    @property
    def latent_size(self) -> int:
        """Numbers of a latent."""
        return int(self.means.shape[1])

    def mean(self, row: int) -> NDArray[np.float32]:
        """(d,) float32: of a class, or of any by row -1."""
        return np.asarray(self.weights[row] @ self.means, np.float32)

    def draw(self, seed: int, row: int = -1, truncation: float = 1.0) -> NDArray[np.float32]:
        """(d,) float32, by this seed alone.

        Args:
            seed: From 0 to 2^63 - 1.
            row: A class; -1 for any.
            truncation: ψ in (0, 1]: scales the deviation from the mean of the component that the seed chose (from the
                mean of the whole mixture it would lead between the components, where no content is).
        """
        source = torch.Generator().manual_seed(seed)
        at = float(torch.rand(1, generator=source))
        summed = np.cumsum(self.weights[row].astype(np.float64))
        k = min(int(np.searchsorted(summed, at * summed[-1], side="right")), len(summed) - 1)
        noise = torch.randn(self.latent_size, generator=source).numpy()
        factor = self.factors[k]
        spread = factor @ noise if factor.ndim == 2 else factor * noise
        return np.asarray(self.means[k] + np.float32(truncation) * spread, np.float32)

    def log_density(self, latents: NDArray[np.float32], row: int = -1) -> NDArray[np.float32]:
        """(n,) float32 of (n, d) float32."""
        with torch.inference_mode():
            return self.log_prob(torch.from_numpy(np.ascontiguousarray(latents)), row).numpy()

    def log_prob(self, z: Tensor, row: int = -1) -> Tensor:
        """(n,) float32 of (n, d) on the CPU."""
        means, factors = torch.from_numpy(self.means), torch.from_numpy(self.factors)
        weights = torch.log(torch.from_numpy(self.weights[row]))
        used = torch.isfinite(weights)
        means, factors, weights = means[used], factors[used], weights[used]
        if factors.ndim == 2:
            precision = factors**-2
            distance = (z * z) @ precision.T - 2 * z @ (means * precision).T + (means**2 * precision).sum(1)
            half_log_determinant = torch.log(factors).sum(1)
        else:
            identity = torch.eye(self.latent_size).expand_as(factors)
            whitening = torch.linalg.solve_triangular(factors, identity, upper=False)  # (K, d, d)
            centres = torch.einsum("kij,kj->ki", whitening, means)
            columns = [((z @ w.T - c) ** 2).sum(1) for w, c in zip(whitening, centres, strict=True)]
            distance = torch.stack(columns, 1)
            half_log_determinant = torch.log(factors.diagonal(dim1=1, dim2=2)).sum(1)
        constant = weights - half_log_determinant - 0.5 * self.latent_size * _LOG_2_PI
        return torch.logsumexp(constant - 0.5 * distance, 1)

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        return {f"prior.{name}": torch.from_numpy(getattr(self, name)) for name in ("means", "factors", "weights")}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], latent_size: int, rows: int, where: str) -> LatentPrior:
        """What :meth:`tensors` gave.

        Args:
            tensors: Of the file.
            latent_size: That they must have.
            rows: Classes and one.
            where: The file's name, for the error.

        Raises:
            CorruptDataError: One is missing or does not fit.
        """
        try:
            means, factors, weights = (
                np.asarray(tensors[f"prior.{name}"].float().numpy(), np.float32)
                for name in ("means", "factors", "weights")
            )
        except KeyError as error:
            raise CorruptDataError(f"{where} lacks {error}; train it again", reason="MODEL_CORRUPT") from error
        k = len(means)
        fits = means.shape == (k, latent_size) and weights.shape == (rows, k)
        if not fits or factors.shape not in ((k, latent_size), (k, latent_size, latent_size)):
            raise CorruptDataError(
                f"{where} holds a prior of {means.shape}, {factors.shape} and {weights.shape}, which does not fit "
                f"{rows} rows of {latent_size} latents; train it again",
                reason="MODEL_CORRUPT",
            )
        return cls(means, factors, weights)
