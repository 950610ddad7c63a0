from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from aigc.errors import InvalidInputError
from aigc.generate.transformer import RmsNorm, Transformer, TransformerOptions, rope_table, rotate
from tests.generate.small_text import lively

TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def small(*, causal: bool = True, **shape: object) -> Transformer:
    given = {"vocabulary_size": 11, "context": 16, "layers": 2, "width": 16, "heads": 4} | shape
    return lively(Transformer(TransformerOptions(**given), causal=causal))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocabulary_size", 0),
        ("context", 0),
        ("layers", 0),
        ("heads", 0),
        ("width", 18),
        ("width", 12),
        ("key_heads", 3),
        ("head_size", 3),
        ("hidden", -1),
        ("activation", "tanh"),
        ("dropout", 1.0),
        ("rope_base", 1.0),
        ("epsilon", 0.0),
    ],
)
def test_a_shape_without_a_meaning_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        small(**{field: value})
    assert caught.value.field == ("head_size" if value == 12 else field)


def test_both_activations_have_about_as_many_weights() -> None:
    gated, squared = (
        sum(p.numel() for p in small(activation=name, width=96).parameters()) for name in ("swiglu", "relu2")
    )
    assert gated == squared


@torch.no_grad()
def test_a_later_token_changes_nothing_before_it_unless_the_model_reads_both_ways() -> None:
    other = TOKENS.clone()
    other[0, 5] = 0
    for causal in (True, False):
        network = small(causal=causal)
        a, b = network(TOKENS)[0], network(other)[0]
        assert torch.equal(a[:5], b[:5]) == causal
        assert not torch.allclose(a[5:], b[5:])


@torch.no_grad()
def test_padding_that_is_masked_changes_nothing() -> None:
    network = small(causal=False)
    padded = torch.cat((TOKENS, torch.full((1, 4), 7)), dim=1)
    mask = torch.arange(12)[None] < 8
    assert torch.allclose(network(padded, mask)[:, :8], network(TOKENS), atol=1e-5)
    assert not torch.allclose(network(padded)[:, :8], network(TOKENS), atol=1e-3)


@torch.no_grad()
def test_query_heads_that_share_keys_are_heads_with_the_same_keys() -> None:
    shared, own = small(key_heads=2, head_size=4), small(head_size=4)
    weights = shared.state_dict()
    for name, weight in weights.items():
        if name.endswith("qkv.weight"):
            q, k, v = weight.split((16, 8, 8))
            k, v = (x.view(2, 4, 16).repeat_interleave(2, dim=0).reshape(16, 16) for x in (k, v))
            weights[name] = torch.cat((q, k, v))
    own.load_state_dict(weights)
    assert torch.allclose(shared(TOKENS), own(TOKENS), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("key_heads", [4, 2])
def test_attention_in_bfloat16_is_near_the_one_in_float32(causal: bool, key_heads: int) -> None:
    network = small(causal=causal, key_heads=key_heads)
    mask = torch.tensor([[True] * 6 + [False] * 2])
    exact = network(TOKENS, None if causal else mask)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(TOKENS, None if causal else mask)
    assert functional.cosine_similarity(exact, rough.float(), dim=-1).min() > 0.995


def test_rotary_positions_know_distances_only() -> None:
    cos, sin = (table.unsqueeze(1) for table in rope_table(20, 8, 10_000.0))
    q, k = torch.randn(2, 1, 1, 8, generator=torch.Generator().manual_seed(0))
    products = [
        (rotate(q, cos[i : i + 1], sin[i : i + 1]) * rotate(k, cos[j : j + 1], sin[j : j + 1])).sum().item()
        for i, j in ((3, 1), (12, 10), (19, 17))
    ]
    assert products == pytest.approx([products[0]] * 3, abs=1e-4)


def test_the_norm_makes_the_mean_square_one() -> None:
    x = 7 * torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(RmsNorm(32, 1e-6)(x).square().mean(-1), torch.ones(5), atol=1e-4)


@torch.no_grad()
def test_a_fresh_model_expects_every_token_about_alike_and_its_seed_fixes_it() -> None:
    networks = [Transformer(TransformerOptions(50, width=32, heads=2), causal=True) for _ in range(3)]
    for network, seed in zip(networks, (0, 0, 1), strict=True):
        network.initialize(seed)
    odds = torch.softmax(networks[0](TOKENS), -1)
    assert 0.01 < odds.min() < odds.max() < 0.04
    assert torch.equal(networks[0](TOKENS), networks[1](TOKENS))
    assert not torch.equal(networks[0](TOKENS), networks[2](TOKENS))


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="17 tokens are more than the context of 16"):
        small()(torch.zeros(1, 17, dtype=torch.int64))
