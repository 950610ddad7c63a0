"""A promotion's versions as aliases of the model repository: ``champion``, ``candidate``, ``previous``."""

from __future__ import annotations

from aigc.creation.promotion import Promotion, Stage
from aigc.generate.repository import CHAMPION, ModelRepository

__all__ = ["CANDIDATE", "PREVIOUS", "promotion_of", "write_aliases"]

CANDIDATE = "candidate"
PREVIOUS = "previous"


def write_aliases(repository: ModelRepository, state: Promotion) -> None:
    """Let the aliases say what the state says.

    ``previous`` is set before ``champion`` and cleared after it: a process killed in between leaves a champion that
    serves, and the version to return to.

    Raises:
        NotFoundError: A version is gone.
    """
    model = state.model
    known = {a for info in repository.models() if info.name == model for a in info.aliases}
    if state.stage is Stage.WATCH:
        repository.set_alias(f"{model}@{state.other}", PREVIOUS)
    repository.set_alias(f"{model}@{state.champion}", CHAMPION)
    if state.stage is Stage.CANARY:
        repository.set_alias(f"{model}@{state.other}", CANDIDATE)
    elif CANDIDATE in known:
        repository.delete_alias(model, CANDIDATE)
    if state.stage is not Stage.WATCH and PREVIOUS in known:
        repository.delete_alias(model, PREVIOUS)


def promotion_of(repository: ModelRepository, model: str) -> Promotion:
    """The state that the aliases tell, its counts at nothing: for a start without a saved state.

    A version being watched counts as forced, which is the cautious reading.

    Raises:
        NotFoundError: No such model.
    """
    champion = repository.get(model).version
    aliases = {a: info.version for info in repository.models() if info.name == model for a in info.aliases}
    if aliases.get(PREVIOUS, champion) != champion:
        return Promotion(model, champion, Stage.WATCH, aliases[PREVIOUS], forced=True)
    if aliases.get(CANDIDATE, champion) != champion:
        return Promotion(model, champion, Stage.CANARY, aliases[CANDIDATE])
    return Promotion(model, champion)
