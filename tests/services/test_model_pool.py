"""Models in memory."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from aigc.errors import UnavailableError
from aigc.generate.repository import ModelRepository
from aigc.services.model_pool import ModelPool


class Slow:
    """A repository whose one model is loaded when ``ready`` is set."""

    def __init__(self) -> None:
        self.asked, self.ready = threading.Event(), threading.Event()
        self.id = "writer@1"

    def get(self, reference: str) -> Slow:
        return self

    def open(self, info: Any) -> str:
        self.asked.set()
        assert self.ready.wait(20)
        return "generator"


def test_a_model_that_is_being_loaded_at_the_end_is_let_go_when_it_is_there() -> None:
    repository, unwrapped = Slow(), list[str]()
    pool = ModelPool(cast(ModelRepository, repository), 2, lambda generator: f"engine of {generator}", unwrapped.append)
    loading = threading.Thread(target=pool.get, args=("writer",))
    loading.start()
    assert repository.asked.wait(20)
    pool.close()
    assert unwrapped == []
    repository.ready.set()
    loading.join()
    assert unwrapped == ["engine of generator"]
    with pytest.raises(UnavailableError) as told:
        pool.get("writer")
    assert told.value.reason == "SERVER_ENDING"
