"""Our GPT as a Hugging Face directory: the shape is Qwen3's (2025), so its own loader runs the same weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.gpt import GptGenerator
from aigc.generate.transformer import Transformer, TransformerOptions

__all__ = ["export_qwen3", "qwen3_network", "qwen3_tensors"]

_LAYER = (
    ("attention_norm.weight", "input_layernorm.weight"),
    ("attention.q_norm.weight", "self_attn.q_norm.weight"),
    ("attention.k_norm.weight", "self_attn.k_norm.weight"),
    ("attention.out.weight", "self_attn.o_proj.weight"),
    ("feed_norm.weight", "post_attention_layernorm.weight"),
    ("feed.down.weight", "mlp.down_proj.weight"),
)


def export_qwen3(generator: GptGenerator, folder: Path) -> None:
    """Write ``config.json``, ``model.safetensors``, ``tokenizer.json`` and ``tokenizer_config.json`` for transformers.

    Raises:
        InvalidInputError: The model's feed-forward part is not SwiGLU.
    """
    o = generator.network.options
    if o.activation != "swiglu":
        raise InvalidInputError(f"a {o.activation} model has no Qwen3 form; train one with swiglu", field="activation")
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": o.vocabulary_size,
        "hidden_size": o.width,
        "intermediate_size": o.hidden,
        "num_hidden_layers": o.layers,
        "num_attention_heads": o.heads,
        "num_key_value_heads": o.key_heads,
        "head_dim": o.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": o.context,
        "rms_norm_eps": o.epsilon,
        "rope_theta": o.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": o.rope_base},
        "tie_word_embeddings": o.tied,
        "attention_bias": False,
        "torch_dtype": "float32",
        "eos_token_id": generator.tokenizer.end,
        "pad_token_id": generator.tokenizer.pad,
        "bos_token_id": None,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tensors = {name: t.detach().cpu().contiguous() for name, t in qwen3_tensors(generator.network).items()}
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    generator.tokenizer.save(folder)
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<|pad|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def qwen3_tensors(network: Transformer) -> dict[str, Tensor]:
    """The weights under Qwen3's names."""
    o = network.options
    own = network.state_dict()
    sizes = [o.heads * o.head_size, o.key_heads * o.head_size, o.key_heads * o.head_size]
    found = {"model.embed_tokens.weight": own["embedding.weight"], "model.norm.weight": own["norm.weight"]}
    if not o.tied:
        found["lm_head.weight"] = own["head.weight"]
    for i in range(o.layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        found |= {theirs + b: own[ours + a] for a, b in _LAYER}
        parts = torch.split(own[ours + "attention.qkv.weight"], sizes)
        found |= {f"{theirs}self_attn.{n}_proj.weight": part for n, part in zip("qkv", parts, strict=True)}
        gate, up = own[ours + "feed.up.weight"].chunk(2)
        found |= {theirs + "mlp.gate_proj.weight": gate, theirs + "mlp.up_proj.weight": up}
    return found


def qwen3_network(config: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path, context: int) -> Transformer:
    """The other way: a Qwen3 of any size, in float32, as our transformer, so that our decoder runs it.

    Args:
        config: Of its ``config.json``.
        tensors: Of all its ``.safetensors``.
        folder: Named in errors.
        context: Most tokens; no more than the model's.

    Raises:
        CorruptDataError: A number or a tensor is missing or does not fit.
    """
    try:
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if rope.get("rope_type", "default") != "default" or config.get("use_sliding_window"):
            raise ValueError("scaled positions and sliding windows are not known here")
        options = TransformerOptions(
            vocabulary_size=int(config["vocab_size"]),
            context=min(context, int(config["max_position_embeddings"])),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            key_heads=int(config["num_key_value_heads"]),
            head_size=int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]),
            width=int(config["hidden_size"]),
            hidden=int(config["intermediate_size"]),
            rope_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            epsilon=float(config["rms_norm_eps"]),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
        network = Transformer(options, causal=True)
        own = {"embedding.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"]}
        if not options.tied:
            own["head.weight"] = tensors["lm_head.weight"]
        for i in range(options.layers):
            ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
            own |= {ours + a: tensors[theirs + b] for a, b in _LAYER}
            own[ours + "attention.qkv.weight"] = torch.cat(
                [tensors[f"{theirs}self_attn.{n}_proj.weight"] for n in "qkv"]
            )
            own[ours + "feed.up.weight"] = torch.cat([tensors[f"{theirs}mlp.{n}_proj.weight"] for n in ("gate", "up")])
        network.load_state_dict({name: tensor.float() for name, tensor in own.items()})
    except (KeyError, TypeError, ValueError, RuntimeError, InvalidInputError) as error:
        raise CorruptDataError(f"{folder} holds no Qwen3 model that can be read ({error}); fetch it again") from error
    return network
