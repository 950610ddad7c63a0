"""Trained generators as models of the Open Inference Protocol: what each kind takes and gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aigc.errors import InvalidInputError
from aigc.generate.repository import ModelInfo
from aigc.generate.text_request import TextRequest
from aigc.services.model_pool import LoadedModel
from aigc.services.picture_generation import PictureGeneration, PictureOrder, SoundOrder
from aigc.services.text_embedding import TextEmbedding
from aigc.services.text_generation import TextGeneration, TextPiece
from aigc_server.converters.tensor import GivenTensor, Tensor
from aigc_server.in_thread import in_thread
from aigc_server.inference.signature import Parameters, Signature, TensorSpec
from aigc_server.piece_stream import arriving

__all__ = ["GeneratorModels", "signature_of"]

_DEFAULT_TOKENS = 256
_SEED = TensorSpec("seed", ("INT64", "UINT64"))
_SEED_OUT = TensorSpec("seed", ("UINT64",))
_CLASS = TensorSpec("class", ("BYTES",))
_QUALITY = TensorSpec("quality", ("FP32",))

_TEXT = Signature(
    inputs=(TensorSpec("prompt", ("BYTES",), required=True), _SEED),
    outputs=(
        TensorSpec("text", ("BYTES",)),
        TensorSpec("finish_reason", ("BYTES",)),
        TensorSpec("tokens", ("INT32",)),
        _SEED_OUT,
    ),
    parameters=(
        "max_tokens",
        "temperature",
        "seed",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "stop",
        "regex",
        "json_schema",
    ),
)


def signature_of(info: ModelInfo, loaded: LoadedModel | None = None) -> Signature:
    """What a model takes and gives.

    Args:
        info: Its description on disk, which is enough for all kinds but ``huggingface``.
        loaded: The model, for that kind.
    """
    details = info.details
    if info.kind == "bert" or (loaded is not None and loaded.runner is None and hasattr(loaded.generator, "embed")):
        size = int(details.get("embedding_size", -1))
        return Signature(
            (TensorSpec("text", ("BYTES",), required=True),), (TensorSpec("embedding", ("FP32",), (-1, size)),)
        )
    if info.kind in ("gpt", "huggingface"):
        return _TEXT
    inputs = [_SEED, *([_CLASS] if details.get("classes") else [])]
    latent = TensorSpec("latent", ("FP32",), (-1, int(details.get("latent_size", -1))))
    if "rate" in details:
        outputs = [TensorSpec("audio", ("FP32",), (-1, -1)), TensorSpec("samples", ("INT32",))]
        outputs += [TensorSpec("rate", ("INT32",)), _SEED_OUT, _CLASS, latent, _QUALITY]
        return Signature(tuple(inputs), tuple(outputs), ("n", "truncation"))
    shape = (-1, *(int(size) for size in details.get("image_shape", (-1, -1, -1))))
    if details.get("captions"):
        inputs.append(TensorSpec("caption", ("BYTES",)))
    inputs.append(latent)
    if info.kind == "vae":
        inputs.append(TensorSpec("image", ("UINT8", "FP32"), shape))
    outputs = [
        TensorSpec("image", ("UINT8",), shape),
        TensorSpec("pixels", ("FP32",), shape, default=False),
        latent,
        _SEED_OUT,
        _CLASS,
        _QUALITY,
    ]
    return Signature(tuple(inputs), tuple(outputs), ("n", "truncation"))


@dataclass(frozen=True, slots=True)
class GeneratorModels:
    """Calls of any generator, by what its kind takes; ``most_texts`` may be asked for in one."""

    pictures: PictureGeneration
    texts: TextGeneration
    embedding: TextEmbedding
    most_texts: int

    async def infer(
        self,
        model: LoadedModel,
        given: Mapping[str, GivenTensor],
        values: Mapping[str, Any],
        seconds_left: float | None,
    ) -> dict[str, Tensor]:
        """All the outputs that the inputs lead to, by name.

        Raises:
            InvalidInputError: Names the input or the parameter.
            ResourceExhaustedError: Too many calls wait.
        """
        signature = signature_of(model.info, model)
        parameters = Parameters(values, signature.parameters)
        inputs = signature.read(given)
        names = {spec.name for spec in signature.outputs}
        if "embedding" in names:
            texts = _texts(inputs, "text", given)
            _, embedded = await in_thread(lambda gone: self.embedding.embed(model.info.id, texts, gone, "text"))
            return {"embedding": embedded}
        if "text" in names:
            return await self._text(model.info.id, inputs, given, parameters, seconds_left)
        if "audio" in names:
            return await self._sounds(model.info.id, inputs, given, parameters)
        if "image" in inputs:
            return await self._encoded(model.info.id, inputs, given)
        return await self._images(model.info.id, inputs, given, parameters)

    async def _text(
        self,
        reference: str,
        inputs: Mapping[str, Tensor],
        given: Mapping[str, GivenTensor],
        parameters: Parameters,
        seconds_left: float | None,
    ) -> dict[str, Tensor]:
        prompts = _texts(inputs, "prompt", given)
        seeds = _seeds(inputs, given, parameters)
        if len(seeds) > 1 and len(prompts) == 1:
            prompts *= len(seeds)
        # Without a seed each text draws its own; one for several prompts is the same for each.
        seeds = seeds * len(prompts) if len(seeds) == 1 else seeds
        if not 1 <= len(prompts) <= self.most_texts:
            raise InvalidInputError(
                f"input 'prompt' asks for {len(prompts)} texts; give 1 to {self.most_texts}",
                field=given["prompt"].field,
            )
        asked = TextRequest(
            max_tokens=parameters.whole("max_tokens") or _DEFAULT_TOKENS,
            temperature=parameters.number("temperature", 1.0),
            top_k=parameters.whole("top_k"),
            top_p=parameters.number("top_p", 1.0),
            min_p=parameters.number("min_p"),
            repetition_penalty=parameters.number("repetition_penalty", 1.0),
            presence_penalty=parameters.number("presence_penalty"),
            frequency_penalty=parameters.number("frequency_penalty"),
            stop=[parameters.text("stop")] if "stop" in parameters else (),
            regex=parameters.text("regex") or None,
            json_schema=parameters.text("json_schema") or None,
        )

        async def one(row: int) -> tuple[str, TextPiece, int]:
            request = replace(asked, prompt=prompts[row], seed=seeds[row] if seeds else 0)
            pieces = await asyncio.to_thread(
                self.texts.open, reference, request, seeded=bool(seeds), seconds_left=seconds_left
            )
            text, seed, last = "", 0, TextPiece(0, "")
            async with aclosing(arriving(pieces)) as coming:
                async for last in coming:
                    text += last.text
                    seed = last.seed if last.seed is not None else seed
            return text, last, seed

        tasks = [asyncio.create_task(one(row)) for row in range(len(prompts))]
        try:
            written = await asyncio.gather(*tasks)
        finally:
            # One that failed ends the others.
            for task in tasks:
                task.cancel()
        return {
            "text": _bytes([text for text, _, _ in written]),
            "finish_reason": _bytes([last.finish_reason for _, last, _ in written]),
            "tokens": np.array([last.completion_tokens for _, last, _ in written], np.int32),
            "seed": np.array([seed for _, _, seed in written], np.uint64),
        }

    async def _images(
        self,
        reference: str,
        inputs: Mapping[str, Tensor],
        given: Mapping[str, GivenTensor],
        parameters: Parameters,
    ) -> dict[str, Tensor]:
        seeds = _seeds(inputs, given, parameters)
        rows = max((len(values) for values in inputs.values()), default=0)
        order = PictureOrder(
            reference,
            parameters.whole("n") or rows,
            _texts(inputs, "class", given),
            _texts(inputs, "caption", given),
            _several(seeds, rows, "seed", given),
            parameters.number("truncation", 1.0),
            inputs.get("latent"),
        )
        _, made = await in_thread(lambda gone: self.pictures.images(order, gone))
        images = np.stack([picture.pixels for picture in made])
        return {
            "image": images,
            "pixels": images.astype(np.float32) / np.float32(255),
            "latent": np.stack([picture.image.latent for picture in made]),
            "seed": np.array([picture.image.seed for picture in made], np.uint64),
            "class": _bytes([picture.image.label for picture in made]),
            "quality": np.array([picture.image.quality for picture in made], np.float32),
        }

    async def _encoded(
        self, reference: str, inputs: Mapping[str, Tensor], given: Mapping[str, GivenTensor]
    ) -> dict[str, Tensor]:
        if len(inputs) > 1:
            other = next(name for name in inputs if name != "image")
            raise InvalidInputError(
                f"input {other!r} stands beside 'image'; give 'image' alone to encode it, or leave it out to generate",
                field=f"{given[other].field}.name",
            )
        pixels = inputs["image"]
        if pixels.dtype == np.float32:
            if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
                raise InvalidInputError(
                    "input 'image' of FP32 has values outside of 0 to 1; divide bytes by 255",
                    field=given["image"].field,
                )
            pixels = np.rint(pixels * 255).astype(np.uint8)
        _, latents = await in_thread(lambda gone: self.pictures.encode_pixels(reference, pixels, gone, "image"))
        return {"latent": latents}

    async def _sounds(
        self,
        reference: str,
        inputs: Mapping[str, Tensor],
        given: Mapping[str, GivenTensor],
        parameters: Parameters,
    ) -> dict[str, Tensor]:
        seeds = _seeds(inputs, given, parameters)
        rows = max((len(values) for values in inputs.values()), default=0)
        order = SoundOrder(
            reference,
            parameters.whole("n") or rows,
            _texts(inputs, "class", given),
            _several(seeds, rows, "seed", given),
            parameters.number("truncation", 1.0),
        )
        _, made = await in_thread(lambda gone: self.pictures.sounds(order, gone))
        longest = max(len(sound.samples) for sound in made)
        return {
            "audio": np.stack([np.pad(sound.samples, (0, longest - len(sound.samples))) for sound in made]),
            "samples": np.array([len(sound.samples) for sound in made], np.int32),
            "rate": np.array([sound.rate for sound in made], np.int32),
            "seed": np.array([sound.seed for sound in made], np.uint64),
            "class": _bytes([sound.label for sound in made]),
            "latent": np.stack([sound.latent for sound in made]),
            "quality": np.array([sound.quality for sound in made], np.float32),
        }


def _texts(inputs: Mapping[str, Tensor], name: str, given: Mapping[str, GivenTensor]) -> list[str]:
    try:
        return [value.decode() for value in inputs.get(name, np.empty(0, object)).tolist()]
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"input {name!r} has {error.object[:32]!r}, which is no UTF-8", field=given[name].field
        ) from None


def _seeds(inputs: Mapping[str, Tensor], given: Mapping[str, GivenTensor], parameters: Parameters) -> list[int]:
    """Those of the tensor, or else the parameter's one."""
    if "seed" in inputs:
        seeds = [int(seed) for seed in inputs["seed"].tolist()]
        if min(seeds) < 0 or max(seeds) >= 1 << 63:
            raise InvalidInputError(
                f"input 'seed' has {min(seeds)} to {max(seeds)}; give whole numbers in [0, 2⁶³)",
                field=given["seed"].field,
            )
        return seeds
    return [parameters.whole("seed")] if "seed" in parameters else []


def _several(values: Sequence[int], rows: int, name: str, given: Mapping[str, GivenTensor]) -> Sequence[int]:
    if values and len(values) < rows:
        raise InvalidInputError(
            f"input {name!r} has {len(values)} rows for {rows} of the others; give one each, or none",
            field=f"{given[name].field}.shape",
        )
    return values


def _bytes(texts: Sequence[str]) -> Tensor:
    made = np.empty(len(texts), object)
    made[:] = [text.encode() for text in texts]
    return made
