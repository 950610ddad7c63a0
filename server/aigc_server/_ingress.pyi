"""The C++ front: owns the public port, answers the hot calls without Python."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from aigc.kernel import Plan, State

@final
class Server:
    def __init__(self, options: Mapping[str, Any]) -> None: ...
    @property
    def port(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def set_routes(
        self,
        state: State,
        snapshot: str,
        # name, plan, tail, shares, window, items to search for
        routes: Sequence[tuple[str, Plan, bytes, float, float, int, int]],
        experiment: bool,
        similar: Plan,
        same_strategies: bool,  # nothing is new but the snapshot
    ) -> int: ...
    def set_health(self, service: str, serving: bool) -> None: ...
    def take_events(self) -> list[tuple[int, bytes]]: ...  # for one thread; waits; empty once stopped
    def answer_events(
        self,
        responses: Sequence[tuple[int, bytes]],
        failures: Sequence[tuple[int, int, str, bytes, str]],  # number, code, message, details, reason
    ) -> None: ...
    # Call, place, number of the routes, items wanted, (1, d) vector. For one thread; waits; empty once stopped.
    def take_searches(self) -> list[tuple[int, int, int, int, NDArray[np.float32]]]: ...
    def answer_searches(
        self,
        found: Sequence[tuple[int, int, NDArray[np.int64], NDArray[np.float32]]],  # call, place, rows, scores
        unable: Sequence[int],
    ) -> None: ...
    def set_windows(self, windows: Sequence[tuple[float, float]]) -> None: ...
    def wait_notes(self, most_ms: int) -> None: ...  # until there is much to take, or so long
    def take_notes(self) -> dict[str, Any]: ...
    def stop(self, grace_ms: int) -> None: ...
