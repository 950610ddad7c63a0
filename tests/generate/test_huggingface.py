from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.decode import EngineLimits
from aigc.generate.huggingface import HuggingFaceGenerator
from aigc.generate.huggingface_export import export_qwen3
from aigc.generate.loading import load_generator
from aigc.generate.text_request import TextRequest
from tests.generate.text_models import complete, engine, small_gpt

transformers = pytest.importorskip("transformers", reason="needs the extra huggingface")
PROMPTS = ("床前明月光", "The quick brown", "你好")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen3")
    export_qwen3(small_gpt(key_heads=1, tied=False), folder)
    return folder


def greedy(generator, prompt: str) -> tuple[int, ...]:
    running = generator.engine(2, EngineLimits()) if hasattr(generator, "folder") else engine(generator, 2)
    tokens = complete(running, TextRequest(prompt, temperature=0, max_tokens=20))[1]
    running.close()
    return tokens


@pytest.mark.parametrize("kind", [{"key_heads": 1, "tied": False}, {}], ids=str)
def test_transformers_writes_the_same_text_with_the_exported_weights(kind: dict, tmp_path: Path) -> None:
    ours = small_gpt(**kind)
    export_qwen3(ours, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    special = ours.tokenizer.special
    for prompt in PROMPTS:
        rows = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)])
        with torch.inference_mode():
            out = theirs.generate(
                rows,
                attention_mask=torch.ones_like(rows),
                max_new_tokens=20,
                do_sample=False,
                suppress_tokens=[t for t in special if t != ours.tokenizer.end],
            )
        told = [t for t in out[0, rows.shape[1] :].tolist() if t != ours.tokenizer.end]
        assert tuple(told) == greedy(ours, prompt)


def test_an_exported_model_comes_back_as_it_was(exported: Path) -> None:
    again = HuggingFaceGenerator.adopt(exported)
    for prompt in PROMPTS:
        assert greedy(again, prompt) == greedy(small_gpt(key_heads=1, tied=False), prompt)


def test_any_causal_model_of_transformers_decodes(exported: Path, tmp_path: Path) -> None:
    for path in exported.iterdir():
        if path.name.startswith("tokenizer"):
            shutil.copy(path, tmp_path)
    config = transformers.GPT2Config(
        vocab_size=400, n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    for weight in model.parameters():
        weight.data.mul_(4)
    model.save_pretrained(tmp_path, safe_serialization=True)
    made = HuggingFaceGenerator.adopt(tmp_path)
    running = made.engine(3, EngineLimits())
    streams = [running.submit(TextRequest(p, temperature=0, max_tokens=12)) for p in (*PROMPTS, PROMPTS[0])]
    told = [tuple(t for chunk in stream for t in chunk.token_ids) for stream in streams]
    assert told[0] == told[3] == complete(running, TextRequest(PROMPTS[0], temperature=0, max_tokens=12))[1]
    running.close()
    tokens = made.tokenizer.encode(PROMPTS[1])
    for _ in range(len(told[1])):
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1]
        logits[list(made.tokenizer.special)[1:]] = -torch.inf
        tokens.append(int(logits.argmax()))
    assert tuple(tokens[-len(told[1]) :]) == told[1]


def test_an_encoder_embeds_and_refuses_to_write(tmp_path: Path, exported: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertModel(config).save_pretrained(tmp_path, safe_serialization=True)
    for path in exported.iterdir():
        if path.name.startswith("tokenizer"):
            shutil.copy(path, tmp_path)
    made = HuggingFaceGenerator.adopt(tmp_path)
    rows = made.embed(["床前明月光", "", "The fox"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 0, 1], atol=1e-5)
    assert np.array_equal(made.embed(["The fox"])[0], rows[2])
    with pytest.raises(InvalidInputError, match="continues no texts"):
        made.engine(1, EngineLimits())


def test_a_saved_copy_leaves_code_and_pickles_behind(exported: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(exported, source)
    (source / "modeling.py").write_text("raise SystemExit", encoding="utf-8")
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04")
    target = tmp_path / "saved"
    target.mkdir()
    HuggingFaceGenerator.adopt(source).save(target)
    assert {path.suffix for path in target.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    again = load_generator(target)
    assert greedy(again, PROMPTS[0]) == greedy(HuggingFaceGenerator.adopt(exported), PROMPTS[0])


def test_code_pickles_and_broken_files_are_refused_by_name(exported: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(exported, tmp_path / name))

    coded = copy("coded")
    config = json.loads((coded / "config.json").read_text(encoding="utf-8"))
    (coded / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "m.M"}}), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="Python code of its own"):
        HuggingFaceGenerator.adopt(coded)
    pickled = copy("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CorruptDataError, match=r"no \.safetensors"):
        HuggingFaceGenerator.adopt(pickled)
    cut = copy("cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        HuggingFaceGenerator.adopt(cut).engine(1, EngineLimits())
    (cut / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        HuggingFaceGenerator.adopt(cut)
    small = copy("small")
    (small / "config.json").write_text(json.dumps(config | {"hidden_size": 64}), encoding="utf-8")
    with pytest.raises(CorruptDataError, match="no Qwen3 model"):
        HuggingFaceGenerator.adopt(small).engine(1, EngineLimits())
    with pytest.raises(InvalidInputError, match="swiglu"):
        export_qwen3(small_gpt(activation="relu2"), tmp_path)
