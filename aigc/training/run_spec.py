"""What a run trains: kept in the run's folder, so that whoever goes on with it trains the same."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aigc import durable
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError
from aigc.generate.repository import ModelRepository, check_name
from aigc.training.data_source import DataChoice
from aigc.training.options import MAY_CHANGE
from aigc.training.recipe import Recipe, find_recipe, parse_options

__all__ = ["RUN_FILE", "RunSpec"]

RUN_FILE = "run.json"
_FORMAT = 1
_REASON = "RUN_CORRUPT"
_REMEDY = "remove the run's folder and train again"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A training that was asked for.

    Attributes:
        id: Told by the model that comes of it.
        kind: Of the recipe.
        model: Name of the model that gets a new version.
        options: As they were given, by name; the rest is at the recipe's defaults.
        data: Which data.
        threads: Of the processor; another number may round differently, so it stays the same for the whole run.
        created_ms: Milliseconds since the epoch.
        from_model: ``name@version`` of the model that it goes on with, "" to begin anew.
    """

    id: str
    kind: str
    model: str
    options: Mapping[str, str]
    data: DataChoice
    threads: int = 1
    created_ms: int = 0
    from_model: str = ""

    @classmethod
    def checked(
        cls,
        kind: str,
        model: str,
        options: Mapping[str, str],
        data: DataChoice,
        repository: ModelRepository,
        *,
        threads: int = 1,
        from_model: str = "",
    ) -> RunSpec:
        """A new one, after everything that can be checked without the data was.

        Raises:
            InvalidInputError: The kind, the name, an option or the choice of data has no meaning; names it.
            NotFoundError: The model to begin from does not exist.
        """
        recipe = find_recipe(kind)
        check_name(model, "model")
        given = dict(options)
        if from_model:
            from_model = _goes_on(recipe, from_model, given, repository)
        parsed = parse_options(recipe, given)
        if base := recipe.base(parsed):
            option = next(name for name in given if name.endswith(".base"))
            found = repository.get(base, f"options[{option}]")
            if found.kind != kind:
                raise InvalidInputError(
                    f"{option} is {base!r}, a {found.kind}; give the name of a {kind}", field=f"options[{option}]"
                )
            # "champion" may mean another version when the run goes on.
            given[option] = found.id
        created = int(time.time() * 1000)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(created / 1000))
        return cls(f"{stamp}-{secrets.token_hex(3)}", kind, model, given, data, threads, created, from_model)

    def write(self, folder: Path) -> None:
        """Write ``run.json`` durably; ``folder`` is made when it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": _FORMAT, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"
        durable.replace_file(folder / RUN_FILE, text)

    @classmethod
    def read(cls, folder: Path) -> RunSpec:
        """What :meth:`write` wrote.

        Raises:
            CorruptDataError: The file is missing, damaged or newer.
        """
        path = folder / RUN_FILE
        raw = durable.read_manifest(path, reason=_REASON, remedy=_REMEDY)
        if raw.pop("format", None) != _FORMAT:
            raise CorruptDataError(f"{path} is of another format than {_FORMAT}; upgrade aigc", reason=_REASON)
        return cls.from_json(raw, path)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], path: Path) -> RunSpec:
        """What :func:`dataclasses.asdict` gave, through JSON; ``path`` is for the error."""
        try:
            return cls(**{**raw, "data": DataChoice.from_json(raw["data"])})
        except (KeyError, TypeError, InvalidInputError) as error:
            raise CorruptDataError(f"{path} describes no run ({error}); {_REMEDY}", reason=_REASON) from error

    def resuming(self, folder: Path) -> RunSpec:
        """This training as the run in ``folder`` goes on with it, or as it begins there.

        What may change on the way is taken from here, the rest from what was begun.

        Raises:
            ConflictError: The folder holds another training; names what differs.
        """
        if not (folder / RUN_FILE).exists():
            return self
        begun = RunSpec.read(folder)
        recipe = find_recipe(self.kind)
        told = [
            ("kind", begun.kind, self.kind),
            ("model", begun.model, self.model),
            ("data", begun.data.told(), self.data.told()),
            ("from_model", begun.from_model, self.from_model),
        ]
        differing = [f"{name} was {a} and is {b}" for name, a, b in told if a != b]
        if begun.kind == self.kind:
            before, now = (parse_options(recipe, s.options).flat() for s in (begun, self))
            free = {f"trainer.{name}" for name in MAY_CHANGE}
            differing += [
                f"{name} was {before[name]!r} and is {now[name]!r}"
                for name in now
                if name not in free and before.get(name) != now[name]
            ]
        if differing:
            raise ConflictError(
                f"{folder} holds a training that was begun otherwise ({'; '.join(differing[:5])}); give the same to go "
                "on, or another folder to begin anew",
                reason="OTHER_RUN",
            )
        return replace(begun, options=self.options)


def _goes_on(recipe: Recipe, reference: str, given: dict[str, str], repository: ModelRepository) -> str:
    """``name@version`` of the model to go on with; what it settles is put among the options that were ``given``."""
    found = repository.get(reference, "from_model")
    if found.kind != recipe.kind:
        raise InvalidInputError(
            f"from_model is {reference!r}, a {found.kind}; give the name of a {recipe.kind}", field="from_model"
        )
    if not recipe.goes_on:
        raise InvalidInputError(
            f"a {recipe.kind} cannot go on from a trained one; leave out from_model", field="from_model"
        )
    if found.details.get("compression"):
        raise InvalidInputError(
            f"from_model is {found.id}, which is compressed; give the model that it was made from", field="from_model"
        )
    if preset := next((name for name in given if name.endswith(".preset")), ""):
        raise InvalidInputError(
            f"{preset} and from_model contradict each other: the shape is that of the model; leave one out",
            field=f"options[{preset}]",
        )
    if recipe.kind == "gpt":
        if given.setdefault("gpt.base", found.id) not in (reference, found.id):
            raise InvalidInputError("gpt.base names another model than from_model; leave it out", field="from_model")
        given["gpt.base"] = found.id
    if shape := found.details.get("image_shape"):
        given.setdefault("data.size", f"{shape[0]}x{shape[1]}")
        given.setdefault("data.channels", str(shape[2]))
    return found.id
