from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aigc.entities import Item
from aigc.errors import CorruptDataError, InvalidInputError
from aigc.features.registry import fit_encoder, load_encoder
from aigc.generate.base import TextData
from aigc.generate.bert import BertGenerator
from aigc.generate.bert_task import BertTask
from aigc.generate.text_encoder import ModelTextEncoder
from aigc.generate.text_training import TextTrainingOptions
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.training.options import TrainerOptions
from aigc.training.trainer import Trainer
from tests.generate.text_models import CORPUS, small_gpt

PIECES = TextTokenizer.characters(CORPUS)
OPTIONS = TransformerOptions(len(PIECES), context=32, layers=2, heads=2, width=32, hidden=64)
MASKED = "床前明<|mask|>光，疑是地上霜。\n舉頭望明月，低頭思故鄉。"
TEXTS = ["床前明月光", "", "The quick brown fox", "明月", "To be " * 20, "床前明月光"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BertGenerator:
    made = BertGenerator.fresh(OPTIONS, PIECES)
    options = TextTrainingOptions(8, 0.05, 0.03, sample_prompts=(MASKED,))
    task = BertTask(made, TextData(CORPUS[:2] * 8, CORPUS[:2]), options)
    before = task.validate(task.modules)
    folder = tmp_path_factory.mktemp("bert") / "run"
    trainer = Trainer(task, TrainerOptions(steps=100, average_decay=0.0, warmup_steps=2), folder)
    for _ in trainer.train():
        pass
    after = task.validate(trainer.final_modules)
    assert after["loss"] < before["loss"] / 3
    assert after["accuracy"] > 0.8
    assert "明月光，疑" in next((folder / "samples").iterdir()).read_text(encoding="utf-8")
    return task.generator(trainer.final_modules)


def test_masked_tokens_of_a_known_text_are_filled_in(trained: BertGenerator) -> None:
    assert trained.fill(MASKED) == MASKED.replace("<|mask|>", "月")


def test_an_embedding_is_a_texts_own(trained: BertGenerator) -> None:
    together = trained.embed(TEXTS)
    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), 32)
    for i, text in enumerate(TEXTS):
        assert np.array_equal(trained.embed([text])[0], together[i])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), [1, 0, 1, 1, 1, 1], atol=1e-5)
    assert np.array_equal(together[0], together[5])


def test_a_saved_encoder_comes_back_through_the_registry(trained: BertGenerator, tmp_path: Path) -> None:
    items = [Item(id=str(i), title=text) for i, text in enumerate(TEXTS)]
    blend = fit_encoder(items, lambda ids: iter(()), text_encoder=ModelTextEncoder(trained))
    blend.save(tmp_path)
    again = load_encoder(tmp_path)
    assert again.version == blend.version
    assert np.array_equal(again.encode(items), blend.encode(items))
    assert np.array_equal(again.encode_text(TEXTS), blend.encode_text(TEXTS))
    next(tmp_path.rglob("model.safetensors")).write_bytes(b"cut")
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        load_encoder(tmp_path)


def test_a_model_that_embeds_nothing_is_refused(tmp_path: Path) -> None:
    small_gpt().save(tmp_path)
    with pytest.raises(InvalidInputError, match="embeds no texts"):
        ModelTextEncoder.of(tmp_path)


def test_the_registry_imports_torch_only_for_a_model() -> None:
    code = "import sys, aigc.features.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no text"):
        BertTask(BertGenerator.fresh(OPTIONS, PIECES), TextData([]))
    with pytest.raises(InvalidInputError, match="no texts"):
        BertGenerator.fresh(OPTIONS, PIECES).fit_centre([])
