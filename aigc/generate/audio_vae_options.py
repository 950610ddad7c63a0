"""What may be chosen about a VAE of recordings: free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from aigc.errors import InvalidInputError
from aigc.generate.mel_options import MelOptions
from aigc.generate.vae_options import VaeOptions

__all__ = ["AudioVaeOptions"]


def _network() -> VaeOptions:
    return VaeOptions(
        likelihood="gaussian",
        prior="normal",
        conditional=True,
        latent_size=32,
        channels=(32, 64),
        patch=4,
        batch_size=64,
        warmup_steps=300,
        weight_decay=0.01,
    )


@dataclass(frozen=True, slots=True)
class AudioVaeOptions:
    """Of the pictures and of the network; the latter is conditional on the class where recordings have labels.

    Attributes:
        mel: How a recording becomes a picture.
        network: As for pictures; no Bernoulli decoder.
        augment: Shift training pictures by a few frames and bands: another moment, another vocal tract.
    """

    mel: MelOptions = field(default_factory=MelOptions)
    network: VaeOptions = field(default_factory=_network)
    augment: bool = True

    def __post_init__(self) -> None:
        if self.network.likelihood == "bernoulli":
            raise InvalidInputError(
                "network.likelihood is 'bernoulli', and a spectrum is not binary: take 'gaussian' or 'logistic'",
                field="network.likelihood",
            )
