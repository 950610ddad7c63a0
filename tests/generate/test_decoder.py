from __future__ import annotations

import numpy as np
import pytest
import torch

from aigc.errors import InvalidInputError
from aigc.generate.decoder import Decoder, KernelDecoder
from aigc.generate.torch_decoder import TorchDecoder
from aigc.generate.transformer import TransformerOptions
from aigc.kernel import set_simd_level, simd_level, simd_levels
from tests.generate.text_models import small_gpt

KINDS = [
    {},
    {"activation": "relu2"},
    {"key_heads": 1},
    {"tied": False, "key_heads": 1},
]


def rows(length: int, start: int = 3) -> list[int]:
    return [(start + 7 * i) % 300 for i in range(length)]


@pytest.mark.parametrize("make", [lambda n: KernelDecoder(n, 3, 1), lambda n: TorchDecoder(n, 3)], ids=["C++", "torch"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_decoding_with_a_cache_gives_the_logits_of_the_whole_text(kind: dict, make) -> None:
    network = small_gpt(**kind).network
    decoder: Decoder = make(network)
    text = rows(40)
    with torch.no_grad():
        whole = network(torch.tensor([text]))[0]
    # A prompt in two pieces, beside other texts, then token by token.
    first = decoder.forward([1] * 17 + [0], [*text[:17], 5], [*range(17), 0], [16])
    second = decoder.forward([0] + [1] * 10, [6, *text[17:27]], [1, *range(17, 27)], range(1, 11))
    rest = [decoder.forward([1], [text[i]], [i], [0]) for i in range(27, 40)]
    got = torch.cat([first, second, *rest])
    torch.testing.assert_close(got, whole[[16, *range(17, 40)]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_has_the_same_bits_alone_and_in_a_batch(level: str, threads: int) -> None:
    before = simd_level()
    set_simd_level(level)
    try:
        network = small_gpt(key_heads=1, tied=False).network
        text = rows(50)

        def run(slot: int, others: list[int], piece: int, decoder: KernelDecoder) -> torch.Tensor:
            out = []
            for at in range(0, 50, piece):
                part = text[at : at + piece]
                slots = [s for s in others for _ in range(2)] + [slot] * len(part)
                tokens = [9] * (2 * len(others)) + part
                places = [at % 40, at % 40 + 1] * len(others) + list(range(at, at + len(part)))
                wanted = range(2 * len(others), len(slots))
                out.append(decoder.forward(slots, tokens, places, wanted))
            return torch.cat(out)

        alone = run(0, [], 50, KernelDecoder(network, 8, 1))
        decoder = KernelDecoder(network, 8, threads)
        for slot, others, piece in ((0, [], 1), (5, [1, 2], 7), (7, list(range(7)), 1), (3, [0, 1, 2, 4, 5, 6], 13)):
            assert torch.equal(run(slot, others, piece, decoder), alone)
    finally:
        set_simd_level(before)


def test_a_large_batch_on_several_threads_has_the_bits_of_one_thread() -> None:
    network = small_gpt().network
    text = rows(90)
    # Repeated rows, so that there is enough work for more than one thread.
    slots = [s for s in range(8) for _ in text]
    outs = [KernelDecoder(network, 8, t).forward(slots, text * 8, [*range(90)] * 8, range(720)) for t in (1, 4)]
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0][:90], outs[0][630:])


@pytest.mark.parametrize("make", [lambda n: KernelDecoder(n, 3, 1), lambda n: TorchDecoder(n, 3)], ids=["C++", "torch"])
def test_a_copied_prefix_serves_as_if_it_had_been_computed(make) -> None:
    decoder = make(small_gpt().network)
    text = rows(30)
    decoder.forward([0] * 30, text, range(30), [])
    decoder.copy(0, 2, 21)
    again = decoder.forward([2] * 9, text[21:], range(21, 30), [8])
    straight = decoder.forward([1] * 30, text, range(30), [29])
    assert torch.equal(again, straight) or isinstance(decoder, TorchDecoder)
    torch.testing.assert_close(again, straight)


def test_the_kernel_refuses_what_does_not_fit() -> None:
    decoder = KernelDecoder(small_gpt().network, 2, 1)
    for arguments, what in (
        (([2], [0], [0], [0]), "slot 2"),
        (([0], [400], [0], [0]), "token 400"),
        (([0], [0], [96], [0]), "position 96"),
        (([0], [0], [0], [1]), "wanted row 1"),
        (([0], [0, 1], [0], [0]), "1 slots, 2 tokens"),
    ):
        with pytest.raises(ValueError, match=what):
            decoder.forward(*arguments)
    with pytest.raises(ValueError, match="cannot copy"):
        decoder.copy(0, 2, 1)


def test_options_without_a_meaning_name_their_field() -> None:
    for given, field in (
        ({"width": 30, "heads": 4}, "width"),
        ({"heads": 4, "width": 32, "key_heads": 3}, "key_heads"),
        ({"head_size": 7}, "head_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"activation": "gelu"}, "activation"),
        ({"layers": 0}, "layers"),
        ({"rope_base": 1.0}, "rope_base"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            TransformerOptions(**({"vocabulary_size": 10} | given))
        assert caught.value.field == field


def test_attention_written_out_for_bfloat16_agrees_with_torchs() -> None:
    network = small_gpt(key_heads=1).network
    tokens = torch.tensor([rows(20), rows(20, 50)])
    with torch.no_grad():
        exact = network(tokens)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(tokens).float()
    assert np.corrcoef(exact.flatten(), rough.flatten())[0, 1] > 0.999
