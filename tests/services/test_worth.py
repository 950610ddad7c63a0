from __future__ import annotations

from aigc.services.worth import Worth


def seen(worth: Worth, item: str, impressions: int, likes: int) -> None:
    worth.learn([item] * (impressions + likes), [0.0] * impressions + [0.8] * likes)


def test_the_share_stays_whole_while_little_is_known_or_generated_items_do_well() -> None:
    worth = Worth(lambda item: item == "made")
    assert worth.factor() == 1
    seen(worth, "real", 200, 40)
    seen(worth, "made", 20, 0)
    assert worth.factor() == 1
    seen(worth, "made", 80, 30)
    assert worth.factor() == 1


def test_the_share_falls_where_people_pass_generated_items_over_and_comes_back() -> None:
    worth = Worth(lambda item: item == "made")
    seen(worth, "real", 300, 90)
    seen(worth, "made", 200, 6)
    assert worth.factor() == 0
    seen(worth, "real", 6000, 1800)
    assert worth.factor() == 1
