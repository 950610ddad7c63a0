from __future__ import annotations

import numpy as np
import pytest

from aigc.errors import InvalidInputError
from aigc.evaluate.generation.matcher import CaptionMatcher, CaptionMatcherTask
from aigc.generate.base import ImageData
from aigc.generate.task import StepContext

pytestmark = pytest.mark.usefixtures("one_thread")


def boards(n: int, seed: int) -> ImageData:
    """Twelve kinds: three colours in four corners."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((n, 16, 16, 3), np.uint8)
    captions = []
    for i in range(n):
        colour, corner = i % 12 % 3, i % 12 // 3
        y, x = 8 * (corner // 2), 8 * (corner % 2)
        pixels[i, y + 1 : y + 7, x + 1 : x + 7, colour] = rng.integers(200, 256)
        captions.append(
            f"{('red', 'green', 'blue')[colour]} {('top', 'bottom')[corner // 2]} corner {corner}\n{i % 12}号"
        )
    return ImageData(pixels, captions=captions)


@pytest.fixture(scope="module")
def task() -> CaptionMatcherTask:
    task = CaptionMatcherTask(boards(120, 0), batch_size=48)
    optimizer = task.optimizers()["matcher"]
    for step in range(90):
        for phase in task.phases(StepContext(step)):
            optimizer.zero_grad()
            phase.loss.backward()
            optimizer.step()
    return task


def test_real_pictures_find_their_captions_and_shuffled_ones_do_not(task: CaptionMatcherTask) -> None:
    matcher = CaptionMatcher(task.picture, task.caption)
    kinds = boards(12, 1)
    captions = [c.splitlines()[0] for c in kinds.captions]
    assert matcher.match(kinds.pixels, captions) > 0.6
    assert matcher.match(np.roll(kinds.pixels, 1, axis=0), captions) < 0.2
    assert matcher.match(kinds.pixels, captions) == matcher.match(kinds.pixels, captions)
    assert 0 <= task.validate(task.modules)["found_among_10"] <= 1


def test_too_few_pictures_to_choose_from_are_refused(task: CaptionMatcherTask) -> None:
    matcher = CaptionMatcher(task.picture, task.caption)
    with pytest.raises(InvalidInputError, match="at least 10"):
        matcher.match(boards(5, 0).pixels, ["red"] * 5)
    with pytest.raises(InvalidInputError, match="captions"):
        CaptionMatcherTask(ImageData(boards(20, 0).pixels))
