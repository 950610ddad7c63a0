"""Sessions and impossible times."""

from __future__ import annotations

import numpy as np

from aigc.prepare.clock_skew import correct_times
from aigc.prepare.sessions import split_sessions

NOW = 1_700_000_000_000
MINUTE = 60_000


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_a_session_ends_after_more_than_half_an_hour() -> None:
    sessions = split_sessions(int64(0, 0, 0, 0), int64(0, 1_800_000, 3_601_000, 3_602_000))
    assert sessions.tolist() == [0, 0, 1, 1]
    assert sessions.dtype == np.int64


def test_a_session_belongs_to_one_user() -> None:
    assert split_sessions(int64(0, 3, 3, 7), int64(5, 5, 6, 6)).tolist() == [0, 1, 1, 2]


def test_the_gap_can_be_chosen() -> None:
    assert split_sessions(int64(0, 0, 0), int64(0, 10, 30), gap_ms=15).tolist() == [0, 0, 1]


def test_no_event_no_session() -> None:
    assert split_sessions(int64(), int64()).tolist() == []


def test_credible_times_stay() -> None:
    times = int64(NOW - MINUTE, NOW, NOW + 4 * MINUTE, 789_652_009_000)
    corrected, changed = correct_times(times, NOW)
    assert corrected.tolist() == times.tolist()
    assert not changed.any()
    assert corrected is not times


def test_a_fast_clock_is_set_back_by_one_lead() -> None:
    day = 1440 * MINUTE
    times = int64(NOW + day, NOW + day - 7 * MINUTE, NOW - day)
    corrected, changed = correct_times(times, NOW)
    assert corrected.tolist() == [NOW, NOW - 7 * MINUTE, NOW - day]
    assert changed.tolist() == [True, True, False]


def test_the_lead_is_measured_at_acceptance() -> None:
    lead = 60 * MINUTE
    accepted = int64(NOW, NOW + 9 * MINUTE)
    corrected, _ = correct_times(accepted + lead, accepted)
    assert corrected.tolist() == accepted.tolist()


def test_users_clocks_are_their_own() -> None:
    times = int64(NOW + 50 * MINUTE, NOW + 500 * MINUTE)
    assert correct_times(times, NOW, int64(4, 9))[0].tolist() == [NOW, NOW]
    assert correct_times(times, NOW)[0].tolist() == [NOW - 450 * MINUTE, NOW]


def test_seconds_and_microseconds_are_converted() -> None:
    times = int64(NOW // 1000, NOW * 1000, NOW)
    corrected, changed = correct_times(times, NOW)
    assert corrected.tolist() == [NOW, NOW, NOW]
    assert changed.tolist() == [True, True, False]


def test_a_clock_that_was_never_set_takes_the_earliest_credible_time() -> None:
    times = int64(0, NOW - MINUTE, -5, 12_000)
    corrected, changed = correct_times(times, NOW, int64(1, 1, 1, 2))
    assert corrected.tolist() == [NOW - MINUTE, NOW - MINUTE, NOW - MINUTE, NOW]
    assert changed.tolist() == [True, False, True, True]


def test_order_within_a_user_is_kept_and_nothing_stays_impossible() -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(40, size=2000)
    accepted = NOW - rng.integers(0, 10**9, 2000)
    times = accepted + rng.choice([0, -(10**8), 10**8, -(10**13), 10**12], 2000)
    corrected, changed = correct_times(times, accepted, users)
    assert changed.any()
    assert (corrected >= 631_152_000_000).all()
    assert (corrected <= NOW + 5 * MINUTE).all()
    for user in range(40):
        mine = np.argsort(times[users == user], kind="stable")
        assert (np.diff(corrected[users == user][mine]) >= 0).all()


def test_no_event_no_correction() -> None:
    corrected, changed = correct_times(int64())
    assert corrected.tolist() == []
    assert changed.tolist() == []
