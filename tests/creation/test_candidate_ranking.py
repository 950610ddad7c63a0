"""Places of each category among the candidates that passed."""

from __future__ import annotations

from aigc.creation.candidate_ranking import places_by_category


def test_places_go_by_how_often_a_category_was_asked_for() -> None:
    assert places_by_category({"3": 10, "7": 6}, 8, {"3", "7"}) == {"3": 5, "7": 3}


def test_a_small_taste_keeps_a_place_and_a_trial_gets_none_for_sure() -> None:
    places = places_by_category({"3": 13, "7": 1, "1": 1, "9": 1}, 8, {"3", "7"})
    assert places["7"] == 1
    assert sum(places.values()) == 8
    assert places["1"] + places["9"] <= 1


def test_no_more_places_than_candidates() -> None:
    assert places_by_category({"3": 2, "7": 1}, 8, {"3"}) == {"3": 2, "7": 1}
    assert places_by_category({}, 8, ()) == {}


def test_with_less_room_than_tastes_the_largest_are_taken() -> None:
    assert places_by_category({"1": 5, "2": 4, "3": 3}, 2, {"1", "2", "3"}) == {"1": 1, "2": 1, "3": 0}
