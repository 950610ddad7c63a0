"""Any causal model of transformers, one text after another: slow, and exact a row by its very nature."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

__all__ = ["HuggingFaceDecoder"]


class HuggingFaceDecoder:
    """See :class:`aigc.generate.decoder.Decoder`. Each slot keeps the cache that transformers made for it."""

    def __init__(self, model: Any, slots: int, context: int) -> None:
        """Args: model: an ``AutoModelForCausalLM``; slots: texts at once; context: most tokens."""
        self.slots, self.context = slots, context
        self.vocabulary_size = int(model.config.get_text_config().vocab_size)
        # Not here: slow to import.
        from transformers import DynamicCache

        self._model = model
        self._new_cache = DynamicCache
        # Its name changes with the versions of transformers.
        names = signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._caches: list[Any] = [None] * slots
        self._lengths = [0] * slots

    @torch.inference_mode()
    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        """See :class:`aigc.generate.decoder.Decoder`."""
        rows: list[Tensor] = []
        for slot, group in groupby(range(len(slots)), key=lambda i: slots[i]):
            part = list(group)
            self._shorten(slot, positions[part[0]])
            if self._caches[slot] is None:
                self._caches[slot] = self._new_cache()
            ids = torch.tensor([[tokens[i] for i in part]], device=self._model.device)
            out = self._model(input_ids=ids, use_cache=True, **{self._cache_name: self._caches[slot]})
            self._lengths[slot] += len(part)
            rows.append(out.logits[0])
        return torch.cat(rows)[torch.tensor(list(wanted), dtype=torch.int64)].float().cpu()

    def copy(self, source: int, target: int, length: int) -> None:
        """See :class:`aigc.generate.decoder.Decoder`."""
        self._caches[target] = deepcopy(self._caches[source])
        self._lengths[target] = self._lengths[source]
        self._shorten(target, length)

    def _shorten(self, slot: int, length: int) -> None:
        """Forget what stands beyond a text's beginning: a new text that shares it goes on there."""
        if length == 0:
            self._caches[slot] = None
        elif length < self._lengths[slot]:
            # The number of positions to take off, as a negative number: the form that all versions know.
            self._caches[slot].crop(length - self._lengths[slot])
        self._lengths[slot] = length
