"""Strategy files: every mistake is named; a split of users is stable and proportional."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from aigc.errors import InvalidInputError, NotFoundError
from aigc.recommend.experiment import Experiment
from aigc.recommend.strategy import read_strategy
from aigc.recommend.strategy_book import StrategyBook

GOOD = '[[sources]]\nkind = "popular"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no \[\[sources\]\] table"),
        ("sources = 3", r"has no \[\[sources\]\] table"),
        ('[[sources]]\nkind = "popluar"', "is 'popluar'; give one of item_item"),
        ("[[sources]]\nweight = 1.0", "lacks a key"),
        ('[[sources]]\nkind = "item_item"', "item_item needs one"),
        ('[[sources]]\nkind = "popular"\nmodel = "ease"', "others have none"),
        (GOOD + "weight = -1", r"weight is -1\.0; give a number from 0"),
        (GOOD + "weight = nan", "weight is nan"),
        (GOOD + "limit = 0", "limit is 0; give a number from 1"),
        (GOOD + 'limit = "many"', "limit is 'many'; give a int"),
        (GOOD + "max_share = 1.5", r"max_share is 1\.5"),
        (GOOD + "wieght = 1", "did you mean 'weight'"),
        (GOOD + "fallback = true", "are all fallbacks"),
        (GOOD + GOOD, "repeats the source 'popular'"),
        ('calibration = "z"\n' + GOOD, "is 'z'; give one of max, rank, none"),
        (GOOD + "[rerank]\ndiversity = 2", r"rerank\.diversity is 2"),
        (GOOD + '[rerank]\nmethod = "x"', r"rerank\.method is 'x'"),
        ("history_limit = 0\n" + GOOD, "history_limit is 0"),
        ("[[sources", "is no valid TOML"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as error:
        read_strategy(path)
    assert str(path) in str(error.value)
    assert error.value.reason == "INVALID_STRATEGY"


def test_those_that_come_along_are_valid_and_a_folder_wins_over_them(tmp_path: Path) -> None:
    book = StrategyBook(tmp_path / "absent")
    plain = {"default", "collaborative", "content", "popular", "explore"}
    presets = {"shop", "community", "learning", "creation", "health", "finance"}
    assert {s.name for s, _ in book.all()} == plain | presets
    generating = {s.name for s, _ in book.all() if s.generate.enabled}
    assert generating == {"shop", "community", "learning", "creation"}
    assert all(s.generate.limits for s, _ in book.all() if s.name in presets)
    (tmp_path / "default.toml").write_text('description = "mine"\n' + GOOD)
    assert StrategyBook(tmp_path).choose("", "u").strategy.description == "mine"
    with pytest.raises(NotFoundError, match="there are: collaborative"):
        book.choose("nope", "u")


def test_an_edit_is_noticed_and_a_broken_one_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    book = StrategyBook(tmp_path)
    assert not book.refresh()
    path.write_text('description = "second"\n' + GOOD)
    assert book.refresh()
    path.write_text("broken")
    with pytest.raises(InvalidInputError):
        book.refresh()
    assert not book.refresh(), "told once"
    assert book.error is not None
    assert book.choose("mine", "").strategy.description == "second"
    path.write_text('description = "third edition"\n' + GOOD)
    assert book.refresh()
    assert book.error is None


def test_a_split_is_stable_proportional_and_dealt_anew_by_its_salt() -> None:
    split = Experiment("e", "s", {"a": 0.2, "b": 0.8})
    users = [f"user-{i}" for i in range(20_000)]
    arms = [split.arm(u) for u in users]
    assert arms == [split.arm(u) for u in users]
    assert Counter(arms)["a"] / len(users) == pytest.approx(0.2, abs=0.01)
    other = Experiment("e", "t", {"a": 0.2, "b": 0.8})
    both = sum(split.arm(u) == other.arm(u) == "a" for u in users) / len(users)
    assert both == pytest.approx(0.04, abs=0.01), "independent of the first"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "e"\n[arms]\nnope = 1.0', "arms.nope names no strategy"),
        ('name = "e"\n[arms]\ndefault = 0.5', "arms sum to 0.5"),
        ('name = "e"\n[arms]\ndefault = 2', "give a share from 0 to 1"),
        ("[arms]\ndefault = 1", "name is None"),
        ('name = "e"', "arms is None"),
        ('name = "e"\ncolour = 1\n[arms]\ndefault = 1', "colour is not a known key"),
    ],
)
def test_a_mistake_in_the_split_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "experiment.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        StrategyBook(tmp_path)


def test_the_split_chooses_and_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text('name = "e"\n[arms]\npopular = 0.5\nexplore = 0.5\n')
    book = StrategyBook(tmp_path)
    choice = book.choose("", "someone")
    assert choice.experiment == "e"
    assert choice.strategy.name in ("popular", "explore")
    assert book.choose("content", "someone").experiment == ""
    assert book.choose("", "").strategy.name == "default"
