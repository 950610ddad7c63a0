from __future__ import annotations

import numpy as np
import pytest
import torch

from aigc.errors import InvalidInputError
from aigc.generate.sampling import BatchRules, RowRules, uniform
from aigc.generate.text_request import TextRequest

ODDS = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])


LOGITS = ODDS.log()


def draws(count: int, logits: torch.Tensor = LOGITS, **wanted: object) -> np.ndarray:
    """(5,) shares of each token among draws of as many rows, each with its own seed."""
    rows = [RowRules.of(TextRequest("x", **wanted), seed, [0], len(logits)) for seed in range(count)]
    tokens, _ = BatchRules(rows).draw(logits.repeat(count, 1))
    return np.bincount(tokens, minlength=len(logits)) / count


def test_temperature_one_draws_by_the_models_own_odds() -> None:
    np.testing.assert_allclose(draws(4000), ODDS, atol=0.025)


def test_temperature_zero_takes_the_likeliest() -> None:
    assert draws(50, temperature=0.0)[0] == 1


def test_low_temperature_sharpens() -> None:
    sharp = ODDS**2 / (ODDS**2).sum()
    np.testing.assert_allclose(draws(4000, temperature=0.5), sharp, atol=0.025)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"top_k": 2}, 2),
        ({"top_p": 0.7}, 2),
        ({"top_p": 0.71}, 3),
        ({"min_p": 0.3}, 3),
        ({"top_k": 4, "top_p": 0.5}, 2),
        ({"top_k": 3, "min_p": 0.5}, 2),
        ({"top_p": 0.01}, 1),
        ({"top_k": 100}, 5),
    ],
)
def test_cuts_keep_the_likeliest_and_share_the_rest_out(wanted: dict, kept: int) -> None:
    expected = np.where(np.arange(5) < kept, ODDS, 0)
    np.testing.assert_allclose(draws(4000, **wanted), expected / expected.sum(), atol=0.03)


def test_top_p_looks_beyond_the_head_of_a_large_flat_vocabulary() -> None:
    assert (draws(3000, torch.zeros(2000), top_p=0.9) > 0).sum() > 1300


def test_penalties_count_prompt_and_answer_as_they_say() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.5])
    row = RowRules.of(
        TextRequest("x", repetition_penalty=2.0, presence_penalty=0.25, frequency_penalty=0.5), 0, [0, 1], 4
    )
    row.count(2)
    row.count(2)
    row.penalise(logits)
    # 0 and 1 stand in the prompt: halved towards improbable; 2 twice in the answer: halved, - 0.25 - 2 · 0.5.
    torch.testing.assert_close(logits, torch.tensor([1.0, -4.0, 0.5 - 1.25, 0.5]))


def test_log_probabilities_are_the_models_own() -> None:
    rows = [RowRules.of(TextRequest("x", temperature=0.0, logprobs=True, frequency_penalty=1.0), 0, [0], 5)]
    rows[0].count(0)
    rules = BatchRules(rows)
    logits = ODDS.log()[None] + 3
    own = rules.own_logprobs(logits)
    # What may not be drawn takes nothing from what is told.
    logits[0, 4] = float("-inf")
    tokens, logprobs = rules.draw(logits, own)
    assert tokens == [1]
    assert logprobs == pytest.approx([np.log(0.3)])


def test_a_constraint_leaves_only_what_it_allows() -> None:
    rows = [RowRules.of(TextRequest("x"), seed, [0], 5) for seed in range(50)]
    logits = ODDS.log().repeat(50, 1)
    logits[:, [0, 1, 3]] = float("-inf")
    tokens, _ = BatchRules(rows).draw(logits)
    assert set(tokens) == {2, 4}


def test_uniform_numbers_are_even_and_follow_from_seed_and_place() -> None:
    numbers = np.array([uniform(seed, place) for seed in range(200) for place in range(200)])
    assert len(set(numbers)) == len(numbers)
    counts, _ = np.histogram(numbers, 20, (0, 1))
    assert ((counts - 2000) ** 2 / 2000).sum() < 45
    assert uniform(3, 4) == uniform(3, 4)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 1}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": float("inf")}, "frequency_penalty"),
        ({"stop": "x"}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"n": 0}, "n"),
        ({"seed": -1}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"turns": ["a"]}, "turns"),
        ({"prompt": "", "turns": ["a", "b"]}, "turns"),
        ({"json_schema": {}, "regex": "x"}, "regex"),
    ],
)
def test_values_without_a_meaning_name_their_field(wanted: dict, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        TextRequest(**({"prompt": "x"} | wanted))
    assert caught.value.field == field
