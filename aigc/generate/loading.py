"""Which class opens a saved model; each is imported only when one of its kind is opened."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import cast

from aigc.errors import CorruptDataError
from aigc.generate.base import Generator

__all__ = ["KINDS", "load_generator"]

KINDS = {
    "gan": "aigc.generate.gan_generator:GanGenerator",
    "caption-gan": "aigc.generate.caption_gan_generator:CaptionGanGenerator",
    "vae": "aigc.generate.vae_generator:VaeGenerator",
    "audio-vae": "aigc.generate.audio_vae:AudioVaeGenerator",
    "gpt": "aigc.generate.gpt:GptGenerator",
    "bert": "aigc.generate.bert:BertGenerator",
    "huggingface": "aigc.generate.huggingface:HuggingFaceGenerator",
}
"""Kind → ``module:class``; the class has ``load(folder)``."""


def load_generator(folder: Path) -> Generator:
    """Open what a generator's ``save`` wrote.

    Raises:
        CorruptDataError: A file is missing or broken, or of a kind that this version lacks; names it.
    """
    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(
            f"{path} cannot be read ({error!r}); train the model again, or restore the folder", reason="MODEL_CORRUPT"
        ) from error
    if kind not in KINDS:
        raise CorruptDataError(
            f"{path} is of kind {kind!r}; this version knows {', '.join(KINDS)}: upgrade aigc", reason="MODEL_CORRUPT"
        )
    module, name = KINDS[kind].split(":")
    return cast(Generator, getattr(importlib.import_module(module), name).load(folder))
