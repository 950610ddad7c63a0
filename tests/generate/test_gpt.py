from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.base import TextData
from aigc.generate.gpt import GptGenerator
from aigc.generate.gpt_task import GptTask
from aigc.generate.loading import load_generator
from aigc.generate.muon import MuonAdamW
from aigc.generate.task import StepContext
from aigc.generate.text_batches import IGNORED, answer_examples
from aigc.generate.text_request import TextRequest
from aigc.generate.text_training import TextTrainingOptions, windows
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.training.options import TrainerOptions
from aigc.training.trainer import Trainer
from tests.generate.text_models import CORPUS, complete, engine, small_gpt, tokenizer

OPTIONS = TransformerOptions(400, context=32, layers=2, heads=2, width=32, hidden=64)


def fresh(seed: int = 0) -> GptGenerator:
    return GptGenerator.fresh(OPTIONS, tokenizer(), seed)


def train(task: GptTask, folder: Path, steps: int) -> GptGenerator:
    trainer = Trainer(task, TrainerOptions(steps=steps, average_decay=0.0, warmup_steps=2), folder)
    for _ in trainer.train():
        pass
    return task.generator(trainer.final_modules)


def test_a_text_seen_often_is_known_by_heart(tmp_path: Path) -> None:
    data = TextData([CORPUS[0], CORPUS[1]] * 4, [CORPUS[0]])
    letters = TextTokenizer.characters(CORPUS)
    options = replace(OPTIONS, vocabulary_size=len(letters))
    task = GptTask(GptGenerator.fresh(options, letters), data, TextTrainingOptions(8, 0.05, 0.03))
    before = task.validate(task.modules)["loss"]
    made = train(task, tmp_path / "run", 30)
    after = task.validate({"network": made.network})
    assert after["loss"] < 0.3 < before
    tokens = len(made.tokenizer.encode(CORPUS[0]))
    bits = after["loss"] / math.log(2) * tokens / len(CORPUS[0])
    assert after["bits_per_character"] == pytest.approx(bits)
    running = engine(made)
    text, _, why = complete(running, TextRequest("床前明月", temperature=0, max_tokens=60))
    assert ("床前明月" + text, why) == (CORPUS[0], "stop")
    running.close()


def test_answers_alone_are_learnt_in_a_dialogue(tmp_path: Path) -> None:
    pairs = [("你好", "你好!"), ("Who?", "A machine.")] * 3
    made = train(GptTask(fresh(), TextData([], pairs=pairs), TextTrainingOptions(6, 0.05, 0.03)), tmp_path / "run", 30)
    assert made.dialogue
    running = engine(made)
    for question, answer in pairs[:2]:
        assert complete(running, TextRequest(turns=[question], temperature=0, max_tokens=20))[0] == answer
    running.close()


def test_targets_stand_on_answers_and_their_end_only() -> None:
    pieces = tokenizer()
    examples = answer_examples([("你好", "月"), ("x", "光光")], pieces, 16)
    for row, (question, answer) in enumerate([("你好", "月"), ("x", "光光")]):
        told = examples.targets[row][examples.targets[row] != IGNORED].tolist()
        assert told == [*pieces.encode(answer), pieces.end]
        start = len(pieces.chat([question])) - 1
        assert examples.targets[row, :start].eq(IGNORED).all()
        # A target is the token after its place.
        assert examples.tokens[row, start + 1].item() == told[0]
    long = answer_examples([("x" * 100, "y " * 100)], pieces, 16)
    assert long.tokens.shape == (1, 15)


def test_a_step_of_a_dialogue_does_not_depend_on_how_processes_share_it() -> None:
    pairs = [("你好", "你好!"), ("Who?", "A machine."), ("a", "b c d e f"), ("白", "日")]
    task = GptTask(fresh(), TextData([], pairs=pairs), TextTrainingOptions(4))
    whole = next(iter(task.phases(StepContext(3, 1)))).loss
    parts = [next(iter(task.phases(StepContext(3, 1, rank, 2)))).loss for rank in range(2)]
    torch.testing.assert_close(sum(parts) / 2, whole)


def test_windows_read_a_text_once() -> None:
    stream = torch.arange(23)
    tokens, following = zip(*windows(stream, 5, 3, 100), strict=True)
    assert torch.cat(tokens).flatten().tolist() == list(range(20))
    assert torch.cat(following).flatten().tolist() == list(range(1, 21))
    assert sum(t.numel() for t, _ in windows(stream, 5, 3, 10)) == 10


def test_saved_models_come_back(tmp_path: Path) -> None:
    made = small_gpt(activation="relu2", key_heads=1, tied=False)
    made.dialogue = True
    made.save(tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, GptGenerator)
    assert again.dialogue
    assert again.described == made.described
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("options"),
        lambda config: config["options"].update(width=31),
        lambda config: config["options"].update(heads=0),
        lambda config: config["options"].update(code="import os"),
        lambda config: config.update(format=99),
    ],
)
def test_a_damaged_configuration_is_named(tmp_path: Path, change) -> None:
    small_gpt().save(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CorruptDataError, match=r"config\.json|model\.safetensors"):
        GptGenerator.load(tmp_path)


def test_muon_steps_matrices_by_the_same_length_in_every_direction() -> None:
    source = torch.Generator().manual_seed(0)
    matrix = torch.nn.Parameter(torch.zeros(24, 16))
    vector = torch.nn.Parameter(torch.zeros(16))
    optimizer = MuonAdamW([matrix], [vector], matrix_learning_rate=0.1, learning_rate=0.01)
    scales = torch.logspace(0, -2, 16)
    matrix.grad = torch.linalg.qr(torch.randn(24, 16, generator=source))[0] * scales
    vector.grad = torch.randn(16, generator=source)
    optimizer.step()
    lengths = torch.linalg.svdvals(matrix.detach()) / (0.1 * (24 / 16) ** 0.5)
    assert lengths.min() > 0.6
    assert lengths.max() < 1.3
    torch.testing.assert_close(vector.detach(), -0.01 * vector.grad.sign(), rtol=1e-3, atol=1e-5)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no text"):
        GptTask(fresh(), TextData([]))
    with pytest.raises(InvalidInputError, match="no dialogue pairs"):
        answer_examples([], tokenizer(), 8)


@pytest.mark.parametrize("name", ["batch_size", "matrix_learning_rate", "learning_rate"])
def test_training_options_without_a_meaning_name_their_field(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        TextTrainingOptions(**{name: 0})
    assert caught.value.field == name
