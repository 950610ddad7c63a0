from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from aigc.errors import InvalidInputError
from aigc.training.compress import compress


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


SPEED = {"": 1.0, "int8": 0.5, "bf16": 0.4, "slow": 1.2, "bad": 0.1}
QUALITY = {"": 0.9, "int8": 0.895, "bf16": 0.85, "slow": 0.9, "bad": 0.1}


@dataclass
class Model:
    compression: str = ""

    def with_compression(self, method: str) -> Model:
        if method == "refused":
            raise InvalidInputError("no", field="method")
        return Model(method)

    def save(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(bytes(100 if self.compression else 400))


def run(methods: tuple[str, ...], **changes: object):
    clock = Clock()

    def work(model: Model) -> None:
        clock.now += SPEED[model.compression]

    options = {"tolerance": 0.01, "clock": clock, **changes}
    return compress(Model(), work, lambda m: QUALITY[m.compression], methods=methods, **options)


def test_the_fastest_that_is_good_enough_is_kept() -> None:
    report = run(("int8", "bf16", "slow", "bad", "refused"))
    assert report.best.compression == "int8"
    assert [(c.method, c.kept) for c in report.candidates] == [
        ("", False),
        ("int8", True),
        ("bf16", False),
        ("slow", False),
        ("bad", False),
    ]
    assert report.candidates[0].bytes == 400
    assert report.candidates[1].bytes == 100
    assert run(("int8", "bf16"), tolerance=0.1).best.compression == "bf16"


def test_nothing_is_kept_that_is_not_faster() -> None:
    report = run(("slow",))
    assert report.best.compression == ""
    assert "not kept" in report.lines()[-1]


def test_less_is_better_where_it_says_so() -> None:
    assert run(("bad",), rises=False).best.compression == "bad"


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="tolerance"):
        run(("int8",), tolerance=float("nan"))
    with pytest.raises(InvalidInputError, match="rounds"):
        run(("int8",), rounds=0)
    with pytest.raises(InvalidInputError, match="compressed already"):
        compress(Model("int8"), lambda m: m, lambda m: 0.0, tolerance=0)
