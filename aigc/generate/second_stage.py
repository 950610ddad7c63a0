"""The prior that a trained VAE samples from, made after its training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.generate.pictures import to_tensor
from aigc.generate.prior import LatentPrior
from aigc.generate.vae import VaeNetwork
from aigc.generate.vae_task import VaeTask

__all__ = ["STAGES", "build_prior", "posterior_samples"]

STAGES = ("fitted", "learned", "normal")
_CHUNK = 256


def build_prior(task: VaeTask, network: VaeNetwork, stage: str = "", components: int = 10) -> LatentPrior:
    """The prior of a trained network, with a row a class.

    Args:
        task: It was trained by.
        network: Trained.
        stage: ``fitted``: a Gaussian mixture fitted now; ``learned``: the mixture that was learned along; ``normal``:
            N(0, I); "" for the learned one, or a fitted one where none was learned.
        components: Of a fitted mixture, each class.

    Raises:
        InvalidInputError: No such stage, or ``learned`` of a network without.
    """
    classes = len(task.classes)
    stage = stage or ("learned" if network.prior is not None else "fitted")
    if stage not in STAGES:
        raise InvalidInputError(f"stage is {stage!r}: take one of {STAGES}", field="stage")
    if stage == "normal":
        return LatentPrior.standard(task.options.latent_size, classes)
    latents, labels = posterior_samples(task, network), task.labels.numpy()
    if stage == "fitted":
        return LatentPrior.fit(latents, labels, classes, components=components, seed=task.options.seed)
    if network.prior is None:
        raise InvalidInputError("stage is 'learned' and no mixture was learned along: take 'fitted'", field="stage")
    return LatentPrior.learned(network.prior, latents, labels, classes)


def posterior_samples(task: VaeTask, network: VaeNetwork, seed: int = 0) -> NDArray[np.float32]:
    """(n, latent_size) float32: one sample of q(z|x) of each training picture; together the aggregated posterior."""
    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for start in range(0, len(task.labels), _CHUNK):
            part = slice(start, start + _CHUNK)
            labels = task.labels[part].to(device)
            mean, log_deviation = network.posterior(to_tensor(task.seen(part, seed)).to(device), labels)
            source = torch.Generator().manual_seed(seed * 1_000_003 + start)
            noise = torch.randn(mean.shape, generator=source).to(device)
            found.append((mean + noise * torch.exp(log_deviation)).cpu().numpy())
    return np.concatenate(found)
