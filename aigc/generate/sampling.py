"""Logits → the next token of each row, by the row's own rules and its own seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from aigc.generate.text_request import TextRequest

__all__ = ["BatchRules", "RowRules", "uniform"]

_MASK = (1 << 64) - 1
# Sorting a whole vocabulary is slow; this many likeliest tokens nearly always hold the share that top-p asks for.
_HEAD = 256


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that follows from both: SplitMix64 (Steele et al. 2014), so a row carries no random state."""
    z = (seed * 0x9E3779B97F4A7C15 + (position + 1) * 0xD1B54A32D192ED03) & _MASK
    for multiplier, shift in ((0xBF58476D1CE4E5B9, 30), (0x94D049BB133111EB, 27)):
        z = ((z ^ (z >> shift)) * multiplier) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


@dataclass(slots=True)
class RowRules:
    """One row's rules, and what its penalties count.

    Attributes:
        request: The rules.
        seed: The row's own.
        drawn: Tokens drawn so far.
        seen: (vocabulary_size,) bool: in the prompt or the answer; None without a repetition penalty.
        counts: (vocabulary_size,) float32: times in the answer; None without presence and frequency penalties.
    """

    request: TextRequest
    seed: int
    drawn: int = 0
    seen: Tensor | None = field(default=None, repr=False)
    counts: Tensor | None = field(default=None, repr=False)

    @classmethod
    def of(cls, request: TextRequest, seed: int, prompt: Sequence[int], vocabulary_size: int) -> RowRules:
        """Rules at the beginning of an answer to ``prompt``."""
        rules = cls(request, seed)
        if request.repetition_penalty != 1:
            rules.seen = torch.zeros(vocabulary_size, dtype=torch.bool)
            rules.seen[torch.tensor(prompt, dtype=torch.int64)] = True
        if request.presence_penalty or request.frequency_penalty:
            rules.counts = torch.zeros(vocabulary_size)
        return rules

    def count(self, token: int) -> None:
        """A token was drawn."""
        self.drawn += 1
        if self.seen is not None:
            self.seen[token] = True
        if self.counts is not None:
            self.counts[token] += 1

    def penalise(self, logits: Tensor) -> None:
        """Change (vocabulary_size,) logits in place."""
        if self.seen is not None:
            penalty = self.request.repetition_penalty
            logits.copy_(torch.where(self.seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits))
        if self.counts is not None:
            logits -= self.counts * self.request.frequency_penalty
            logits -= (self.counts > 0) * self.request.presence_penalty


class BatchRules:
    """The rules of all rows of a batch as tensors, made anew only when a row joins or leaves."""

    def __init__(self, rows: Sequence[RowRules]) -> None:
        self._rows = rows
        requests = [row.request for row in rows]
        self._greedy = all(r.temperature == 0 for r in requests)
        self._penalised = [i for i, row in enumerate(rows) if row.seen is not None or row.counts is not None]
        self._logprobs = any(r.logprobs for r in requests)
        if self._greedy:
            return
        self._hot = torch.tensor([[r.temperature > 0] for r in requests])
        self._temperature = torch.tensor([[r.temperature or 1.0] for r in requests], dtype=torch.float32)
        self._min_p = (
            torch.tensor([[r.min_p] for r in requests], dtype=torch.float32) if any(r.min_p for r in requests) else None
        )

    def own_logprobs(self, logits: Tensor) -> Tensor | None:
        """(B, V) log-probabilities of the model itself, before anything changes its logits; None if none are wanted."""
        return torch.log_softmax(logits, -1) if self._logprobs else None

    def draw(self, logits: Tensor, own: Tensor | None = None) -> tuple[list[int], list[float] | None]:
        """The next token of each row, and what ``own`` says of them.

        Every row's arithmetic is its own: no sum runs over rows.

        Args:
            logits: (B, V) float32, -inf for what may not be drawn; changed in place.
            own: What :meth:`own_logprobs` gave.
        """
        for i in self._penalised:
            self._rows[i].penalise(logits[i])
        best = logits.argmax(-1)  # (B,)
        tokens = best if self._greedy else self._sample(logits, best)
        chosen = None if own is None else own.gather(1, tokens[:, None])[:, 0].tolist()
        return tokens.tolist(), chosen

    def _sample(self, logits: Tensor, best: Tensor) -> Tensor:
        """(B,) int64: by inversion of the cumulative distribution at the row's own uniform number."""
        odds = torch.softmax(logits / self._temperature, -1)  # (B, V)
        self._cut(odds)
        total = odds.double().cumsum(-1)  # (B, V), in float64 so that rare tokens keep their share
        draws = [uniform(row.seed, row.drawn) for row in self._rows]
        at = torch.tensor(draws, dtype=torch.float64)[:, None] * total[:, -1:]
        tokens = torch.searchsorted(total, at, right=True)  # (B, 1): never a token of no probability
        return torch.where(self._hot, tokens, best[:, None])[:, 0]

    def _cut(self, odds: Tensor) -> None:
        """Zero what top-k, then top-p of what that left, then min-p leave out."""
        for i, row in enumerate(self._rows):
            k, p = row.request.top_k, row.request.top_p
            if row.request.temperature > 0 and (k > 0 or p < 1):
                odds[i].masked_fill_(odds[i] < _least_probability(odds[i], k, p), 0.0)
        if self._min_p is not None:
            odds.masked_fill_(odds < self._min_p * odds.amax(-1, keepdim=True), 0.0)


def _least_probability(odds: Tensor, k: int, p: float) -> Tensor:
    """() float32: the smallest of the (V,) probabilities that top-k and top-p let through."""
    size = len(odds)
    limited = 0 < k < size
    head = odds.topk(k if limited else min(size, _HEAD)).values  # falling
    if p == 1:
        return head[-1] if limited else odds.new_zeros(())
    sums = head.double().cumsum(0)
    wanted = p * sums[-1] if limited else torch.tensor(p, dtype=torch.float64)
    if sums[-1] < wanted:
        head = odds.sort(descending=True).values
        sums = head.double().cumsum(0)
    return head[min(len(head) - 1, int((sums < wanted).sum()))]
