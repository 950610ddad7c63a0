"""Frozen dataclasses from nested tables of values: of a TOML file, of the environment, of ``name=value`` texts."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from aigc.errors import InvalidInputError

__all__ = ["OptionInfo", "build_options", "check_known", "list_options", "option_text", "put_value"]

T = TypeVar("T")
_NAMES = {str: "string", int: "whole number", float: "finite number", bool: "true or false"}
_ENTRY = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option: its full ``name``, its ``default`` as it would be typed, and what it does."""

    name: str
    default: str
    description: str


def put_value(tree: dict[str, Any], keys: list[str], value: object) -> None:
    """Put a value where ``keys`` lead, making tables on the way.

    Raises:
        InvalidInputError: There is a value where a table is needed.
    """
    for i, key in enumerate(keys[:-1]):
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            path = ".".join(keys[: i + 1])
            raise InvalidInputError(f"{path} is {inner!r} and also has parts; give one or the other", field=path)
        tree = inner
    tree[keys[-1]] = value


def check_known(kind: type[Any], tree: Mapping[str, Any], source: str, prefix: str, noun: str = "setting") -> None:
    """Refuse unknown keys, naming the nearest known one and where it stands.

    Raises:
        InvalidInputError: A key is no field of the class.
    """
    hints = get_type_hints(kind)
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(prefix + h for h in hints)}"
            raise InvalidInputError(f"{source}: {prefix}{key} is no {noun}; {hint}", field=f"{prefix}{key}")
        if is_dataclass(hints[key]) and isinstance(value, dict):
            check_known(hints[key], value, source, f"{prefix}{key}.", noun)


def build_options(
    kind: type[T],
    tree: Mapping[str, Any],
    prefix: str,
    *,
    defaults: T | None = None,
    source: str = "settings",
    noun: str = "setting",
) -> T:
    """An instance of ``kind`` with the values of ``tree``.

    Args:
        kind: A frozen dataclass of scalars, tuples, mappings of numbers and further such classes.
        tree: Field → value; texts are parsed as the field's type.
        prefix: Of the names in errors, such as ``server.``.
        defaults: For what the tree leaves out; the class's own when None.
        source: Where the tree comes from, for errors.
        noun: What a key is called.

    Raises:
        InvalidInputError: Names the key, the value and what is allowed.
    """
    check_known(kind, tree, source, prefix, noun)
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for spec in fields(kind):  # type: ignore[arg-type]
        if spec.name in tree:
            own = getattr(defaults, spec.name, None)
            path = f"{prefix}{spec.name}"
            if is_dataclass(hints[spec.name]) and isinstance(tree[spec.name], Mapping):
                values[spec.name] = build_options(
                    hints[spec.name], tree[spec.name], f"{path}.", defaults=own, source=source, noun=noun
                )
            else:
                values[spec.name] = _value(hints[spec.name], tree[spec.name], path, spec)
    try:
        return kind(**values) if defaults is None else replace(defaults, **values)  # type: ignore[type-var]
    except InvalidInputError as error:
        if error.field not in hints:
            raise
        # A class knows its fields, not where in the tree it stands.
        message = prefix + error.message if error.message.startswith(error.field) else error.message
        raise InvalidInputError(message, field=prefix + error.field, reason=error.reason) from error


def list_options(options: object, prefix: str) -> Iterator[OptionInfo]:
    """What may be chosen, described by the ``Attributes`` of the class's docstring; nested classes follow their parent.

    Args:
        options: An instance whose values are the defaults.
        prefix: Of the names.
    """
    described = _described(type(options))
    for spec in fields(options):  # type: ignore[arg-type]
        value = getattr(options, spec.name)
        if is_dataclass(value):
            yield from list_options(value, f"{prefix}{spec.name}.")
        else:
            yield OptionInfo(f"{prefix}{spec.name}", option_text(value), described.get(spec.name, ""))


def option_text(value: object) -> str:
    """A value as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)


def _value(wanted: Any, raw: Any, path: str, spec: Field[Any]) -> Any:
    if is_dataclass(wanted):
        raise InvalidInputError(f"{path} is {raw!r}; give a table", field=path)
    if wanted in (str, int, float, bool):
        return _scalar(wanted, raw, path)
    if get_origin(wanted) is tuple:
        return _entries(get_args(wanted)[0], raw, path)
    if get_origin(wanted) is Literal:
        if raw not in get_args(wanted):
            allowed = " or ".join([", ".join(get_args(wanted)[:-1]), get_args(wanted)[-1]])
            raise InvalidInputError(f"{path.rpartition('.')[2]} is {raw!r}; give {allowed}", field=path)
        return raw
    if isinstance(raw, Mapping):
        default = spec.default_factory() if spec.default_factory is not MISSING else {}
        return dict(default) | {k: _scalar(float, v, f"{path}.{k}") for k, v in raw.items()}
    if isinstance(raw, str):
        return raw
    raise InvalidInputError(f"{path} is {raw!r}; give a table or a string", field=path)


def _entries(kind: type[Any], raw: object, path: str) -> tuple[Any, ...]:
    """A list, or one text with commas."""
    entries = [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
    if not isinstance(entries, list) or (kind is str and not all(isinstance(entry, str) for entry in entries)):
        raise InvalidInputError(f"{path} is {raw!r}; give a list of {_NAMES.get(kind, 'value')}s", field=path)
    return tuple(_scalar(kind, entry, f"{path}[{i}]") for i, entry in enumerate(entries))


def _scalar(kind: type[Any], raw: object, path: str) -> Any:
    """The value as ``kind``; a text is parsed, everything else must be of the kind."""
    if isinstance(raw, str) and kind is not str:
        lowered = raw.strip().lower()
        try:
            if kind is bool:
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[lowered]
            raw = kind(raw)
        except (KeyError, ValueError):
            raise InvalidInputError(f"{path} is {raw!r}; give a {_NAMES[kind]}", field=path) from None
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        raw = float(raw)
    if type(raw) is not kind or (isinstance(raw, float) and not math.isfinite(raw)):
        raise InvalidInputError(f"{path} is {raw!r}; give a {_NAMES[kind]}", field=path)
    return raw


def _described(kind: type[Any]) -> dict[str, str]:
    """Field → what the ``Attributes`` section says of it, in one line."""
    lines = (kind.__doc__ or "").partition("Attributes:")[2].splitlines()
    found: dict[str, str] = {}
    names: list[str] = []
    indent = next((len(line) - len(line.lstrip()) for line in lines if line.strip()), 0)
    for line in lines:
        if not line.strip():
            continue
        depth, entry = len(line) - len(line.lstrip()), _ENTRY.match(line.strip())
        if depth == indent and entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        elif depth > indent:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            break
    return {name: text.replace("``", "") for name, text in found.items()}
