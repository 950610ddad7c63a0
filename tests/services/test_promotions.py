"""A worse version is refused, or goes by itself; nothing that was counted is lost; every outcome is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.promotion import Outcome, PromotionOptions, Stage
from aigc.entities import Creation, CreationState
from aigc.errors import ConflictError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelRepository
from aigc.services.promotion_status import Assignment, PromotionStatus
from aigc.services.promotions import Promotions

OPTIONS = PromotionOptions(least=20, spread=0.3, margin=0.2)
WINDOW = 1000


class Stone:
    described: ClassVar = {"classes": ["a", "b"], "parameters": 0}

    def __init__(self, kind: str = "gan") -> None:
        self.kind = kind

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"kind": self.kind}))


class Records:
    """The half of a CreationStore that promotions read."""

    def __init__(self) -> None:
        self.made: list[Creation] = []

    def list(
        self, *, state: str = "", user_id: str = "", limit: int = 100, before: tuple[int, str] | None = None
    ) -> Sequence[Creation]:
        ordered = sorted(self.made, key=lambda c: (c.created_ms, c.id), reverse=True)
        return [c for c in ordered if before is None or (c.created_ms, c.id) < before][:limit]


class Shop:
    """Promotions over three versions of ``digits``, with everything around them played by hand."""

    def __init__(self, home: Path) -> None:
        self.now = 1_760_000_000_000
        self.repository = ModelRepository(home)
        self.records = Records()
        self.events: list[tuple[str, str, float, int]] = []
        self.done = 0
        self.promotions = self.start()

    def start(self) -> Promotions:
        """As a process that was killed starts again: with what is on disk, and the events in order."""
        made = Promotions(
            self.repository,
            self.records,  # type: ignore[arg-type]
            OPTIONS,
            RewardOptions(window_ms=WINDOW),
            lambda: self.now,
        )
        made.start()
        for event in self.events:
            made.work.learn(*([value] for value in event))
        self.promotions = made
        return made

    def assign(self, work: str = "", **more: Any) -> Assignment:
        champion = self.repository.get("digits")
        return self.promotions.work.assign(
            GenerationArm(champion.id, "class"), champion, work or f"w{self.done}", **more
        )

    def work(self, means: dict[int, float], rng: np.random.Generator, state: str = "admitted") -> int:
        """One piece of work, which one person sees and likes or not; gives the version that did it."""
        served = self.assign()
        self.done += 1
        item = f"item-{self.done}" if state == "admitted" else ""
        creation = Creation(
            f"c{self.done}", "u", CreationState(state), "image", served.info.id, "class", dict(served.told), self.now,
            item_id=item,
        )  # fmt: skip
        self.records.made.append(creation)
        self.promotions.work.made(creation)
        self.promotions.work.ended(served)
        version = served.info.version
        if item:
            liked = 0.8 if rng.random() < means[version] else 0.0
            self.events.append((item, "u", liked, self.now))
            self.promotions.work.learn([item], ["u"], [liked], [self.now])
        self.now += WINDOW
        return version

    def until_decided(self, means: dict[int, float], seed: int = 0, most: int = 3000) -> PromotionStatus:
        rng = np.random.default_rng(seed)
        before = self.promotions.get("digits").history
        for _ in range(most):
            self.work(means, rng)
            self.promotions.settle()
            status = self.promotions.get("digits")
            if status.history != before:
                return status
        return status

    def aliases(self) -> dict[str, int]:
        return {a: info.version for info in self.repository.models() if info.name == "digits" for a in info.aliases}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    repository = ModelRepository(tmp_path)
    for frechet in (10.0, 20.0, 10.1):
        repository.add("digits", Stone(), measures={"frechet": frechet})
    return Shop(tmp_path)


def test_a_version_that_measures_worse_is_not_promoted_and_the_reason_is_kept(shop: Shop) -> None:
    with pytest.raises(ConflictError, match=r"frechet is 20, the champion's 10, at worst 10\.5 is allowed") as raised:
        shop.promotions.propose("digits", 2)
    assert raised.value.reason == "WORSE_OFFLINE"
    assert raised.value.metadata == {"model": "digits@2", "champion": "digits@1"}
    for promotions in (shop.promotions, shop.start()):
        status = promotions.get("digits")
        assert (status.state.stage, status.state.champion) == (Stage.STEADY, 1)
        assert [(e.outcome, e.version) for e in status.history] == [(Outcome.REFUSED, 2)]
    assert shop.aliases() == {"champion": 1}


def test_a_candidate_gets_its_share_and_is_stopped_when_people_like_it_less(shop: Shop) -> None:
    status = shop.promotions.propose("digits", 3)
    assert (status.state.stage, status.share) == (Stage.CANARY, 0.1)
    assert shop.aliases() == {"champion": 1, "candidate": 3}
    status = shop.until_decided({1: 0.9, 3: 0.2})
    assert status.history[-1].outcome is Outcome.CANARY_STOPPED
    assert "mean reward -0." in status.history[-1].text
    assert shop.aliases() == {"champion": 1}


def test_a_good_candidate_is_promoted_watched_and_settled(shop: Shop) -> None:
    shop.promotions.propose("digits", 3)
    means = {1: 0.4, 3: 0.6}
    assert shop.until_decided(means).history[-1].outcome is Outcome.PROMOTED
    assert shop.aliases() == {"champion": 3, "previous": 1}
    assert shop.until_decided(means).history[-1].outcome is Outcome.SETTLED
    assert shop.aliases() == {"champion": 3}


def test_a_worse_version_promoted_by_force_serves_and_is_rolled_back(shop: Shop) -> None:
    status = shop.promotions.force("digits", 2)
    assert (status.state.champion, status.state.other, status.share) == (2, 1, 0.3)
    assert shop.repository.get("digits").version == 2
    status = shop.until_decided({1: 0.9, 2: 0.2})
    assert [e.outcome for e in status.history] == [Outcome.FORCED, Outcome.ROLLED_BACK]
    assert (status.history[-1].version, status.state.champion) == (2, 1)
    assert shop.repository.get("digits").version == 1


def test_a_version_whose_work_no_gate_lets_through_goes_too(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    rng = np.random.default_rng(0)
    while shop.promotions.get("digits").state.stage is Stage.WATCH and shop.done < 3000:
        champion = shop.assign().info.version == 2
        shop.work({1: 0.9, 2: 0.9}, rng, "refused" if champion else "admitted")
        shop.promotions.settle()
    assert shop.aliases() == {"champion": 1}


def test_what_was_counted_survives_a_kill_to_the_last_reward(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    rng = np.random.default_rng(1)
    for i in range(60):
        shop.work({1: 0.5, 2: 0.5}, rng, "refused" if i % 7 == 0 else "admitted")
    shop.promotions.settle()
    before = shop.promotions.get("digits")
    assert before.state.champion_rewards.n + before.state.other_rewards.n == 60
    shop.start().settle()
    after = shop.promotions.get("digits")
    assert after == before


@pytest.mark.parametrize("restarted", [True, False])
def test_a_kill_between_the_file_and_the_aliases_is_finished_at_the_next_start_or_call(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("aigc.services.promotions.write_aliases", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.promotions.force("digits", 2)
    assert shop.aliases() == {"champion": 1}
    status = (shop.start() if restarted else shop.promotions).get("digits")
    assert (status.state.stage, status.state.champion) == (Stage.WATCH, 2)
    assert shop.aliases() == {"champion": 2, "previous": 1}


def test_what_was_made_before_the_comparison_or_in_another_one_does_not_count(shop: Shop) -> None:
    rng = np.random.default_rng(0)
    shop.work({1: 0.5}, rng)
    shop.promotions.force("digits", 2)
    shop.work({1: 0.5, 2: 0.5}, rng)
    shop.promotions.withdraw("digits")
    shop.promotions.force("digits", 2)
    shop.promotions.settle()
    for promotions in (shop.promotions, shop.start()):
        state = promotions.get("digits").state
        assert state.champion_rewards.n + state.other_rewards.n == 0


def test_an_alias_set_by_hand_ends_the_comparison(shop: Shop) -> None:
    shop.promotions.propose("digits", 3)
    shop.repository.set_alias("digits@2", "champion")
    assert not shop.assign().told
    status = shop.promotions.get("digits")
    assert (status.state.stage, status.state.champion) == (Stage.STEADY, 2)
    assert status.history[-1].outcome is Outcome.OVERRULED
    assert "set to version 2 by hand" in status.history[-1].text
    assert shop.aliases() == {"champion": 2}


def test_a_version_that_is_gone_ends_the_comparison(shop: Shop) -> None:
    shop.promotions.propose("digits", 3)
    shop.repository.delete_alias("digits", "candidate")
    shop.repository.delete("digits@3")
    assert {shop.assign(f"x{i}").info.version for i in range(40)} == {1}
    assert shop.promotions.get("digits").history[-1].outcome is Outcome.OVERRULED


def test_withdrawing_puts_everything_back(shop: Shop) -> None:
    shop.promotions.propose("digits", 3)
    assert shop.promotions.withdraw("digits").history[-1].outcome is Outcome.CANARY_STOPPED
    shop.promotions.force("digits", 2)
    status = shop.promotions.withdraw("digits")
    assert (status.history[-1].outcome, status.state.champion) == (Outcome.ROLLED_BACK, 1)
    with pytest.raises(ConflictError, match="nothing of model digits is being compared") as raised:
        shop.promotions.withdraw("digits")
    assert raised.value.reason == "NO_COMPARISON"


def test_work_is_shared_by_its_key_and_a_version_that_was_named_does_its_own(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    found = [shop.assign(f"k{i}") for i in range(400)]
    previous = [a for a in found if a.info.version == 1]
    assert 0.22 < len(previous) / 400 < 0.38
    assert all(a.share == pytest.approx(0.3) and a.arm.model == "digits@1" for a in previous)
    assert all(set(a.told) == {"comparison", "work"} for a in found)
    named = [shop.assign(f"k{i}", pinned=("digits@2",)) for i in range(40)]
    assert {(a.info.version, a.share, len(a.told)) for a in named} == {(2, 1.0, 0)}


def test_a_version_that_cannot_work_is_stood_in_for_and_is_worth_nothing(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    failed = next(a for i in range(40) if (a := shop.assign(f"k{i}")).info.version == 2)
    other = shop.promotions.work.instead_of(failed)
    assert other is not None
    assert (other.info.version, other.told) == (1, {})
    shop.promotions.work.ended(failed, failed=True)
    shop.promotions.settle()
    assert (shop.promotions.get("digits").state.champion_rewards.n, failed.share) == (1, 0.7)
    assert shop.promotions.work.instead_of(other) is None


def test_a_person_who_rejects_what_was_made_counts(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    served = shop.assign()
    creation = Creation(
        "c", "u", CreationState.PENDING, "image", served.info.id, "class", dict(served.told), shop.now, item_id="i"
    )
    shop.promotions.work.made(creation)
    shop.promotions.work.ended(served)
    shop.promotions.settle()
    assert sum(shop.promotions.get("digits").waiting.values()) == 1
    rejected = replace(creation, state=CreationState.REJECTED, reviewer="ann", reviewed_ms=shop.now)
    shop.records.made.append(rejected)
    shop.promotions.work.rejected(rejected)
    shop.now += WINDOW
    for promotions in (shop.promotions, shop.start()):
        promotions.settle()
        state = promotions.get("digits").state
        assert state.champion_rewards.n + state.other_rewards.n == 1


@pytest.mark.parametrize("version", [0, -3, 1])
def test_a_version_without_a_meaning_is_named(shop: Shop, version: int) -> None:
    for act in (shop.promotions.propose, shop.promotions.force):
        with pytest.raises(InvalidInputError, match=f"version is {version}; give") as raised:
            act("digits", version)
        assert raised.value.field == "version"


def test_what_does_not_exist_or_cannot_be_compared_is_refused_with_what_to_do(shop: Shop) -> None:
    with pytest.raises(NotFoundError, match="has no version or alias"):
        shop.promotions.force("digits", 9)
    for act in (shop.promotions.get, shop.promotions.withdraw):
        with pytest.raises(NotFoundError, match="there are: digits"):
            act("letters")
    with pytest.raises(InvalidInputError, match="model is 'digits@2'"):
        shop.promotions.get("digits@2")
    shop.repository.add("digits", Stone("vae"))
    with pytest.raises(InvalidInputError, match="the champion is a gan"):
        shop.promotions.force("digits", 4)
    for _ in range(2):
        shop.repository.add("words", Stone("bert"))
    with pytest.raises(ConflictError, match="aigc generator alias words@2 champion"):
        shop.promotions.propose("words", 2)
    shop.promotions.propose("digits", 3)
    with pytest.raises(ConflictError, match="withdraw it or promote by force"):
        shop.promotions.propose("digits", 2)


def test_every_outcome_is_logged_and_counted(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ConflictError):
        shop.promotions.propose("digits", 2)
    shop.promotions.force("digits", 2)
    assert shop.promotions.running() == 1
    shop.promotions.withdraw("digits")
    counts = shop.promotions.counts()
    assert {k: n for k, n in counts.items() if n} == {"refused": 1, "forced": 1, "rolled_back": 1}
    assert [f"promotion of digits@2: {o}" in caplog.text for o in ("refused", "forced", "rolled_back")] == [True] * 3
    assert shop.promotions.running() == 0


def test_every_model_is_listed_and_a_damaged_file_is_told_and_not_fatal(shop: Shop) -> None:
    shop.repository.add("letters", Stone())
    shop.promotions.force("digits", 2)
    (shop.repository.root / "digits" / "promotion.json").write_text("{")
    promotions = shop.start()
    assert "promotion.json cannot be read" in promotions.problems[0]
    assert "remove the file" in promotions.problems[0]
    assert [s.state.model for s in promotions.list()] == ["digits", "letters"]


def test_a_thread_decides_by_itself_and_ends(shop: Shop) -> None:
    shop.promotions.force("digits", 2)
    rng = np.random.default_rng(0)
    for _ in range(200):
        shop.work({1: 1.0, 2: 0.0}, rng)
    shop.promotions.watch()
    shop.promotions.close()
    assert shop.promotions.get("digits").history[-1].outcome is Outcome.ROLLED_BACK
