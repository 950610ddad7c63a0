"""``aigc generator sample``."""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from aigc.errors import InvalidInputError
from aigc_server.cli.generator_models import repository_of
from aigc_server.cli.options import home_options

if TYPE_CHECKING:
    from aigc.generate.base import AudioGenerator, ImageGenerator
    from aigc.generate.gpt import GptGenerator

__all__ = ["sample_command"]


@click.command("sample")
@click.argument("model")
@click.option("--n", default=16, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of the first; the others follow.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A PNG file for pictures, a folder for recordings.  [default: NAME.png, NAME/]",
)
@click.option("--class", "classes", multiple=True, help="Of what class; several are taken in turns.")
@click.option("--caption", "captions", multiple=True, help="What to draw; several are taken in turns.")
@click.option("--truncation", default=1.0, type=click.FloatRange(0, 1), help="Below 1 surer and less varied.")
@click.option("--prompt", default="", help="What a text continues, or what is said to a dialogue model.")
@click.option("--temperature", default=0.8, type=click.FloatRange(0), help="Of texts: 0 the likeliest, above 1 bolder.")
@click.option("--max-tokens", default=128, type=click.IntRange(1), help="Of each text.")
@home_options
def sample_command(
    model: str,
    n: int,
    seed: int,
    out: Path | None,
    classes: tuple[str, ...],
    captions: tuple[str, ...],
    truncation: float,
    prompt: str,
    temperature: float,
    max_tokens: int,
    home: str | None,
    config: Path | None,
) -> None:
    r"""Let MODEL make something: a sheet of pictures, wav files, or texts on standard output.

    \b
      aigc generator sample digits --n 30 --class 3 --class 7 --out sheet.png
      aigc generator sample emoji --caption 笑脸 --caption "red heart"
      aigc generator sample poems --n 3 --prompt 春
      aigc generator sample spoken --class 5 --out five/
    """
    repository = repository_of(home, config)
    info = repository.get(model)
    generator = repository.open(info)
    # Torch is loaded by now.
    from aigc.generate.base import AudioGenerator, ImageGenerator
    from aigc.generate.gpt import GptGenerator

    seeds = range(seed, seed + n)
    if isinstance(generator, GptGenerator):
        _texts(generator, n, seed, prompt, temperature, max_tokens)
    elif isinstance(generator, ImageGenerator):
        path = _pictures(
            generator, seeds, _turns(classes, n), _turns(captions, n), truncation, out or Path(f"{info.name}.png")
        )
        click.echo(f"{n} pictures in {path}")
    elif isinstance(generator, AudioGenerator):
        folder = _recordings(generator, seeds, _turns(classes, n), truncation, out or Path(info.name))
        click.echo(f"{n} recordings in {folder}")
    else:
        raise InvalidInputError(f"{info.id} is a {info.kind}, which makes nothing; it reads", field="model")


def _pictures(
    generator: ImageGenerator,
    seeds: Sequence[int],
    classes: Sequence[str],
    captions: Sequence[str],
    truncation: float,
    out: Path,
) -> Path:
    from aigc.generate.base import ImageRequest
    from aigc.generate.pictures import draw_sheet

    made = generator.generate(ImageRequest(seeds, classes, captions, truncation))
    out.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([picture.pixels for picture in made])
    return draw_sheet(pixels, out, columns=math.ceil(math.sqrt(len(made))))


def _recordings(
    generator: AudioGenerator, seeds: Sequence[int], classes: Sequence[str], truncation: float, out: Path
) -> Path:
    from aigc.generate.base import AudioRequest

    out.mkdir(parents=True, exist_ok=True)
    for sound in generator.generate(AudioRequest(seeds, classes, truncation)):
        label = f"{sound.label}_" if sound.label else ""
        with wave.open(str(out / f"{label}{sound.seed}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sound.rate)
            file.writeframes((np.clip(sound.samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return out


def _texts(generator: GptGenerator, n: int, seed: int, prompt: str, temperature: float, max_tokens: int) -> None:
    from aigc.generate.decode import EngineLimits, TextEngine
    from aigc.generate.decoder import make_decoder
    from aigc.generate.text_request import TextRequest

    engine = TextEngine(
        make_decoder(generator.network, slots=min(n, 16)),
        generator.tokenizer,
        EngineLimits(max_texts=n, queue=n),
        dialogue=generator.dialogue,
    )
    try:
        request = TextRequest(prompt, max_tokens=max_tokens, temperature=temperature, n=n, seed=seed)
        texts = [""] * n
        for chunk in engine.submit(request):
            texts[chunk.index] += chunk.text
    finally:
        engine.close()
    for text in texts:
        click.echo(text if generator.dialogue else prompt + text)
        if n > 1:
            click.echo("----")


def _turns(names: Sequence[str], n: int) -> list[str]:
    return [names[i % len(names)] for i in range(n)] if names else []
