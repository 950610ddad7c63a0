"""Decoding against Hugging Face ``generate`` on the same weights, the same CPU and threads: tokens/s at batch 1 and 16.

    python benchmarks/text_decode.py [FOLDER]

FOLDER holds a model of ours (``text_poems.py`` makes one). Without it, random weights of the same shape. Greedy, 16
prompts of 16 tokens, 100 new tokens each; the texts must be equal. Goal: 3 times as many tokens/s at both batch sizes.
Ours goes through the whole engine: queue, sampling, streaming, as the server uses it. Medians of alternating runs.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from text_corpus import plays, poems
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.utils import logging

from aigc.generate.decode import TextEngine
from aigc.generate.decoder import make_decoder
from aigc.generate.gpt import GptGenerator
from aigc.generate.huggingface_export import export_qwen3
from aigc.generate.text_request import TextRequest
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions

GOAL = 3.0
NEW = 100
RUNS = 5


def random_model(layers: int, width: int, vocabulary: int) -> GptGenerator:
    tokenizer = TextTokenizer.train(poems()[:20_000], vocabulary)
    options = TransformerOptions(len(tokenizer), context=256, layers=layers, width=width, heads=width // 64)
    generator = GptGenerator.fresh(options, tokenizer)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in generator.network.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                weight.copy_(torch.randn(weight.shape, generator=source) * weight.shape[1] ** -0.5)
    return generator


def main() -> None:
    logging.set_verbosity_error()
    models = {}
    if len(sys.argv) > 1:
        models["trained"] = GptGenerator.load(Path(sys.argv[1]))
    models["random, 4 layers of 128"] = random_model(4, 128, 1024)
    models["random, 6 layers of 384"] = random_model(6, 384, 6144)
    print(f"{torch.get_num_threads()} threads")
    holds = True
    for name, generator in models.items():
        print(f"{name}: {generator.described['parameters']:,} parameters")
        with tempfile.TemporaryDirectory() as folder:
            export_qwen3(generator, Path(folder))
            peer = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        # The end mark would end rows at different times: neither side stops at it.
        greedy = GenerationConfig(
            max_new_tokens=NEW,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=generator.tokenizer.pad,
            suppress_tokens=list(generator.tokenizer.special),
        )
        text = plays() if len(generator.tokenizer) < 256 else "\n".join(poems()[:50])
        tokens = generator.tokenizer.encode(text)
        room = generator.network.options.context - 16
        new = min(NEW, room)
        greedy.max_new_tokens = new
        prompts = [tokens[i * 16 : i * 16 + 16] for i in range(16)]
        engine = TextEngine(make_decoder(generator.network, 16), generator.tokenizer, endless=True)
        for batch in (1, 16):
            rows = torch.tensor(prompts[:batch])
            theirs, ours = [], []
            texts: list[list[int]] = []
            for _ in range(RUNS + 1):
                start = time.perf_counter()
                with torch.inference_mode():
                    peer_rows = peer.generate(rows, attention_mask=torch.ones_like(rows), generation_config=greedy)
                theirs.append(time.perf_counter() - start)
                start = time.perf_counter()
                requests = [TextRequest(prompt_tokens=p, max_tokens=new, temperature=0) for p in prompts[:batch]]
                streams = [engine.submit(request) for request in requests]
                texts = [[t for chunk in stream for t in chunk.token_ids] for stream in streams]
                ours.append(time.perf_counter() - start)
            equal = texts == peer_rows[:, 16:].tolist()
            slow, fast = statistics.median(theirs[1:]), statistics.median(ours[1:])
            ratio = slow / fast
            # Medians decide; beside other work on the machine the fastest run of each tells more.
            fastest = min(theirs[1:]) / min(ours[1:])
            good = equal and ratio >= GOAL
            holds &= good
            print(
                f"  batch {batch:2d}: ours {batch * new / fast:7.0f} tokens/s ({fast / new * 1e3:.2f} ms a step), "
                f"generate {batch * new / slow:7.0f} ({slow / new * 1e3:.2f}): {ratio:.1f} times (goal {GOAL}), "
                f"fastest runs {fastest:.1f} times ({batch * new / min(ours[1:]):.0f} and "
                f"{batch * new / min(theirs[1:]):.0f}); texts "
                f"{'equal' if equal else 'DIFFER'}{'' if good else ' — DOES NOT HOLD'}",
                flush=True,
            )
        engine.close()
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
