from __future__ import annotations

import pytest
import torch

from aigc.errors import InvalidInputError
from aigc.generate.sampling import BatchRules, RowRules, uniform
from aigc.generate.text_request import TextRequest

# Five tokens in falling order of probability: 0.4, 0.3, 0.2, 0.07, 0.03.
ODDS = torch.tensor([0.4, 0.3, 0.2, 0.07, 0.03])


def draw(
    n: int = 2000, logits: torch.Tensor | None = None, prompt: list[int] | None = None, **rules: object
) -> list[float]:
    """How often each token is drawn by ``n`` rows of one batch, whose seeds differ."""
    logits = ODDS.log() if logits is None else logits
    request = TextRequest("x", **rules)  # type: ignore[arg-type]
    rows = [RowRules.of(request, seed, prompt or [], len(logits)) for seed in range(n)]
    tokens, _ = BatchRules(rows).draw(logits.repeat(n, 1))
    return (torch.bincount(torch.tensor(tokens), minlength=len(logits)) / n).tolist()


def test_numbers_drawn_are_even_and_follow_from_seed_and_position() -> None:
    numbers = torch.tensor([[uniform(seed, position) for position in range(50)] for seed in range(200)])
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    for along in (numbers, numbers.T):
        assert abs(torch.corrcoef(along[:50]).fill_diagonal_(0)).mean() < 0.2
    assert abs(torch.histc(numbers, 10, 0, 1) / 10_000 - 0.1).max() < 0.012
    assert uniform(3, 4) == uniform(3, 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_model_says(temperature: float) -> None:
    expected = torch.softmax(ODDS.log() / temperature, -1).tolist()
    assert draw(8000, temperature=temperature) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({"temperature": 0.0}, 1),
        ({"top_k": 2}, 2),
        ({"top_k": 99}, 5),
        ({"top_p": 0.69}, 2),
        ({"top_p": 0.71}, 3),
        ({"top_p": 1e-9}, 1),
        ({"min_p": 0.45}, 3),
        ({"min_p": 0.99}, 1),
        # 0.4 and 0.3 of the three that top-k leaves hold 0.7 of 0.9, more than 0.75 of it.
        ({"top_k": 3, "top_p": 0.75}, 2),
        ({"top_p": 0.71, "min_p": 0.7}, 2),
    ],
)
def test_only_the_tokens_that_the_rules_let_through_are_drawn(rules: dict[str, float], kept: int) -> None:
    odds = ODDS.clone()
    odds[kept:] = 0
    assert draw(**rules) == pytest.approx((odds / odds.sum()).tolist(), abs=0.04)
    assert all(share == 0 for share in draw(**rules)[kept:])


def test_a_large_flat_vocabulary_is_cut_at_the_right_token() -> None:
    logits = torch.linspace(1, 0, 2000)
    most = max(i for i, share in enumerate(draw(3000, logits, top_p=0.5)) if share)
    sums = torch.softmax(logits.double(), -1).cumsum(0)
    assert 740 < most <= int((sums < 0.5).sum())


def test_tokens_seen_are_made_less_likely_by_each_penalty() -> None:
    logits = torch.tensor([2.0, -1.0, 1.0])
    request = TextRequest("x", repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25)
    row = RowRules.of(request, 0, [0], 3)
    row.count(1)
    row.count(1)
    row.penalise(logits)
    assert logits.tolist() == [1.0, -2.0 - 0.5 - 0.5, 1.0]
    assert draw(100, torch.tensor([3.0, 2.0]), prompt=[0], temperature=0.0, repetition_penalty=2.0) == [0.0, 1.0]


def test_a_row_draws_the_same_whatever_stands_beside_it() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(1))
    requests = [
        TextRequest("x"),
        TextRequest("x", temperature=0),
        TextRequest("x", top_k=7, top_p=0.8),
        TextRequest("x", min_p=0.1, temperature=1.3),
        TextRequest("x", repetition_penalty=1.5, frequency_penalty=1),
        TextRequest("x", logprobs=True),
    ]

    def drawn(rows: list[int]) -> list[int]:
        chosen = [RowRules.of(requests[i], 40 + i, [1, 2], 50) for i in rows]
        return BatchRules(chosen).draw(logits[rows])[0]

    together = drawn(list(range(6)))
    assert [drawn([i])[0] for i in range(6)] == together
    assert drawn([5, 2, 0]) == [together[5], together[2], together[0]]


def test_logprobs_are_the_model_s_own() -> None:
    request = TextRequest("x", temperature=0.3, top_k=1, repetition_penalty=3.0, logprobs=True)
    rules = BatchRules([RowRules.of(request, 0, [0], 5)])
    _, logprobs = rules.draw(ODDS.log()[None] + 3, rules.own_logprobs(ODDS.log()[None] + 3))
    assert logprobs is not None
    assert logprobs[0] in [pytest.approx(value) for value in ODDS.log().tolist()]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("turns", {"prompt": "x", "turns": ["y"]}),
        ("prompt_tokens", {"prompt": "x", "prompt_tokens": [1]}),
        ("turns", {"turns": ["a", "b"]}),
        ("max_tokens", {"max_tokens": 0}),
        ("n", {"n": 0}),
        ("temperature", {"temperature": -0.1}),
        ("temperature", {"temperature": float("nan")}),
        ("top_k", {"top_k": -1}),
        ("top_p", {"top_p": 0.0}),
        ("top_p", {"top_p": 1.5}),
        ("min_p", {"min_p": 1.0}),
        ("repetition_penalty", {"repetition_penalty": 0.0}),
        ("presence_penalty", {"presence_penalty": 3.0}),
        ("frequency_penalty", {"frequency_penalty": float("inf")}),
        ("stop", {"stop": "text"}),
        ("stop", {"stop": [""]}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 1 << 63}),
        ("regex", {"json_schema": {}, "regex": "a"}),
    ],
)
def test_an_option_without_a_meaning_is_refused_by_name(field: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="give") as caught:
        TextRequest(**options)  # type: ignore[arg-type]
    assert caught.value.field == field
