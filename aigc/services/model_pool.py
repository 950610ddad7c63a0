"""Models in memory: loaded when first asked for, the least recently used one let go when there are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from aigc.errors import UnavailableError
from aigc.generate.base import Generator
from aigc.generate.repository import ModelInfo, ModelRepository

__all__ = ["LoadedModel", "ModelPool"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory; ``runner`` is what :class:`ModelPool` was told to wrap it in, such as a decoding engine."""

    info: ModelInfo
    generator: Generator
    runner: Any = None


class ModelPool:
    """Thread-safe. Two callers who want one model wait for the same loading; a failed loading is tried anew."""

    def __init__(
        self,
        repository: ModelRepository,
        capacity: int,
        wrap: Callable[[Generator], Any] = lambda _: None,
        unwrap: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Args: capacity: models kept; wrap: called after loading; unwrap: called with its result on letting go."""
        self.repository = repository
        self._capacity = capacity
        self._wrap = wrap
        self._unwrap = unwrap
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Future[LoadedModel]] = OrderedDict()
        self._closed = False

    def get(self, reference: str) -> LoadedModel:
        """The model that a reference means now, in memory.

        Raises:
            InvalidInputError: The reference is malformed.
            NotFoundError: No such model.
            CorruptDataError: Its files are damaged.
            UnavailableError: The pool is closed.
        """
        info = self.repository.get(reference)
        evicted: list[Future[LoadedModel]] = []
        with self._lock:
            if self._closed:
                raise UnavailableError("the server is ending; ask another", reason="SERVER_ENDING")
            waiting = self._held.get(info.id)
            mine = waiting is None
            if waiting is None:
                waiting = self._held[info.id] = Future()
            self._held.move_to_end(info.id)
            while len(self._held) > self._capacity:
                evicted.append(self._held.popitem(last=False)[1])
        if mine:
            try:
                generator = self.repository.open(info)
                waiting.set_result(LoadedModel(info, generator, self._wrap(generator)))
            except BaseException as error:
                with self._lock:
                    if self._held.get(info.id) is waiting:
                        del self._held[info.id]
                waiting.set_exception(error)
        for other in evicted:
            self._let_go(other)
        return waiting.result()

    def unload(self, reference: str) -> ModelInfo:
        """Let a model go; nothing happens when it is not in memory.

        Raises:
            NotFoundError: No such model.
        """
        info = self.repository.get(reference)
        self.forget(info.id)
        return info

    def forget(self, model_id: str) -> None:
        """Let ``name@version`` go, whether or not it is still in the repository."""
        with self._lock:
            held = self._held.pop(model_id, None)
        if held is not None:
            self._let_go(held)

    def loaded(self) -> frozenset[str]:
        """Ids (``name@version``) of what is in memory."""
        with self._lock:
            return frozenset(i for i, held in self._held.items() if held.done() and held.exception() is None)

    def models(self) -> list[LoadedModel]:
        """What is in memory."""
        with self._lock:
            return [held.result() for held in self._held.values() if held.done() and held.exception() is None]

    def close(self) -> None:
        """Let everything go, and each model that is being loaded as soon as it is; no other is loaded."""
        with self._lock:
            self._closed = True
            held, self._held = list(self._held.values()), OrderedDict()
        for each in held:
            each.add_done_callback(self._let_go)

    def _let_go(self, held: Future[LoadedModel]) -> None:
        if held.done() and held.exception() is None:
            self._unwrap(held.result().runner)
