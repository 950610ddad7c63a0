"""The C++ front: owns the public port, answers the hot calls without Python."""

from collections.abc import Mapping, Sequence
from typing import Any, final

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
        routes: Sequence[tuple[str, Plan, bytes, float, float, int]],  # name, plan, tail, shares, window
        experiment: bool,
        similar: Plan,
    ) -> None: ...
    def set_health(self, service: str, serving: bool) -> None: ...
    def take_events(self) -> list[tuple[int, bytes]]: ...  # for one thread; waits; empty once stopped
    def answer_events(
        self,
        responses: Sequence[tuple[int, bytes]],
        failures: Sequence[tuple[int, int, str, bytes, str]],  # number, code, message, details, reason
    ) -> None: ...
    def set_windows(self, windows: Sequence[tuple[float, float]]) -> None: ...
    def take_notes(self) -> dict[str, Any]: ...
    def stop(self, grace_ms: int) -> None: ...
