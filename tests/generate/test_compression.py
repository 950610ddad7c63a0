from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.base import ImageRequest
from aigc.generate.compression import compressed, compressed_shell
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.gpt import GptGenerator
from aigc.generate.int8 import Int8Linear
from aigc.generate.prune_transformer import pruned_transformer
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import Transformer, TransformerOptions
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_task import VaeTask
from tests.generate.test_vae import small, strokes, train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained() -> VaeGenerator:
    task = VaeTask(strokes(256, 0), strokes(64, 1), small(channels=(16, 16), hidden=64, warmup_steps=50))
    train(task, 150)
    return VaeGenerator.from_task(task, task.modules)


@pytest.mark.parametrize(("inputs", "outputs", "bias"), [(64, 32, True), (7, 5, False), (130, 1, True)])
def test_eight_bits_are_near_the_layer_they_stand_for(inputs: int, outputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs, bias=bias)
    x = torch.randn(9, inputs)
    rounded = Int8Linear.of(layer)
    error = (rounded(x) - layer(x)).abs().max()
    assert error < 0.03 * layer(x).abs().max() + 0.02
    assert rounded(x.view(3, 3, inputs)).shape == (3, 3, outputs)
    assert rounded(x.bfloat16()).dtype == torch.bfloat16
    assert torch.isfinite(rounded(torch.zeros(1, inputs))).all()


def test_a_row_in_eight_bits_is_the_same_alone_and_in_any_batch() -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear.of(nn.Linear(48, 40)), torch.randn(33, 48)
    together = layer(x)
    for i in (0, 16, 32):
        assert torch.equal(layer(x[i : i + 1])[0], together[i])


def test_pruning_takes_the_units_that_do_least(trained: VaeGenerator) -> None:
    network = trained.network
    with torch.no_grad():
        dead = compressed(network, "prune1")
        dead.narrow.weight[32:] = 0
    assert dead.narrow.out_features == 64
    smaller = compressed(dead, "prune50")
    assert smaller.narrow.weight.shape[0] == 32
    torch.testing.assert_close(smaller.narrow.weight, dead.narrow.weight[:32])
    assert smaller.moments.weight.shape[1] == 32


@pytest.mark.parametrize("method", ["bf16", "int8", "prune25", "prune50+int8+bf16"])
def test_what_is_compressed_saves_loads_and_keeps_its_promises(
    trained: VaeGenerator, method: str, tmp_path: Path
) -> None:
    made = trained.with_compression(method)
    made.save(tmp_path)
    again = VaeGenerator.load(tmp_path)
    assert again.compression == method
    assert again.described == made.described
    request = ImageRequest(list(range(18)))
    pictures = made.generate(request)
    for a, b in zip(pictures, again.generate(request), strict=True):
        assert a.pixels.tobytes() == b.pixels.tobytes()
    assert again.generate(ImageRequest([17]))[0].pixels.tobytes() == pictures[17].pixels.tobytes()


@pytest.mark.parametrize("method", ["bf16", "int8"])
def test_rounding_is_hardly_seen_and_the_file_is_smaller(trained: VaeGenerator, method: str, tmp_path: Path) -> None:
    rounded = trained.with_compression(method)
    request = ImageRequest(list(range(20)))
    differences = [
        np.abs(a.pixels.astype(float) - b.pixels).mean()
        for a, b in zip(trained.generate(request), rounded.generate(request), strict=True)
    ]
    assert np.mean(differences) < 5
    sizes = []
    for name, model in (("a", trained), ("b", rounded)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
        sizes.append((tmp_path / name / "model.safetensors").stat().st_size)
    assert sizes[1] < 0.85 * sizes[0]


def test_the_original_stays_as_it_was(trained: VaeGenerator) -> None:
    before = {k: v.clone() for k, v in trained.network.state_dict().items()}
    trained.with_compression("prune25+int8+bf16")
    assert all(torch.equal(v, before[k]) for k, v in trained.network.state_dict().items())
    assert trained.compression == ""


@pytest.mark.parametrize("method", ["", "int4", "prune0", "prune100", "int8+", "bf16 int8"])
def test_methods_that_do_not_exist_are_refused(trained: VaeGenerator, method: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        trained.with_compression(method)
    assert caught.value.field == "method"


def test_a_network_that_does_not_say_what_may_go_is_not_pruned() -> None:
    layer = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(InvalidInputError, match="bf16 or int8"):
        compressed(layer, "prune25")
    assert compressed_shell(layer, "") is layer


def test_compressing_twice_and_damaged_methods_are_refused(trained: VaeGenerator, tmp_path: Path) -> None:
    made = trained.with_compression("int8")
    with pytest.raises(InvalidInputError, match="compressed already"):
        made.with_compression("bf16")
    made.save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"int8"', '"int3"'))
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        VaeGenerator.load(tmp_path)


@pytest.mark.parametrize("method", ["bf16", "int8", "int8+bf16"])
def test_a_gan_keeps_its_promises_when_compressed(method: str, tmp_path: Path) -> None:
    options = replace(GanOptions(), channels=(32, 16), latent_size=8, batch_size=16, patch=1)
    task = GanTask(strokes(32, 0), strokes(16, 1), options)
    original = GanGenerator.from_task(task, task.modules)
    made = original.with_compression(method)
    made.save(tmp_path)
    again = GanGenerator.load(tmp_path)
    assert again.compression == method
    request = ImageRequest(list(range(18)))
    pictures = made.generate(request)
    for a, b in zip(pictures, again.generate(request), strict=True):
        assert a.pixels.tobytes() == b.pixels.tobytes()
    assert again.generate(ImageRequest([17]))[0].pixels.tobytes() == pictures[17].pixels.tobytes()
    before = np.stack([p.pixels for p in original.generate(request)]).astype(float)
    assert np.abs(before - np.stack([p.pixels for p in pictures])).mean() < 4
    with pytest.raises(InvalidInputError, match="does not say"):
        original.with_compression("prune25")
    with pytest.raises(InvalidInputError, match="compressed already"):
        made.with_compression("bf16")


@pytest.mark.parametrize("activation", ["swiglu", "relu2"])
def test_a_transformer_is_pruned_of_what_does_nothing_without_a_change(activation: str) -> None:
    options = TransformerOptions(40, context=16, layers=2, heads=2, width=32, hidden=64, activation=activation)
    network = Transformer(options, causal=True)
    network.initialize(0)
    with torch.no_grad():
        for block in network.blocks:
            block.feed.down.weight.normal_(0, 0.1)
            block.feed.down.weight[:, ::2] = 0
    network.eval()
    smaller = pruned_transformer(network, 0.5, causal=True)
    assert smaller.options.hidden == 32
    tokens = torch.arange(12)[None]
    torch.testing.assert_close(smaller(tokens), network(tokens), atol=1e-5, rtol=1e-5)
    with pytest.raises(InvalidInputError, match="share"):
        pruned_transformer(network, 1.0, causal=True)


def test_a_language_model_is_pruned_saved_and_only_pruned(tmp_path: Path) -> None:
    tokenizer = TextTokenizer.train(["the cat sat on the mat"], 300)
    options = TransformerOptions(len(tokenizer), context=16, layers=1, heads=2, width=32, hidden=64)
    made = GptGenerator.fresh(options, tokenizer).with_compression("prune50")
    made.save(tmp_path)
    again = GptGenerator.load(tmp_path)
    assert again.described == made.described
    assert (again.compression, again.network.options.hidden) == ("prune50", 32)
    assert torch.equal(again.log_likelihood([1, 2, 3]), made.log_likelihood([1, 2, 3]))
    for method in ("int8", "bf16", "prune25+int8"):
        with pytest.raises(InvalidInputError, match="only be pruned"):
            GptGenerator.fresh(options, tokenizer).with_compression(method)
    with pytest.raises(InvalidInputError, match="compressed already"):
        made.with_compression("prune10")
