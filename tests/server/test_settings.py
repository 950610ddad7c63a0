"""Settings: file, environment and flags, the later winning; every mistake named with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigc.errors import InvalidInputError
from aigc_server.settings import load_settings


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "aigc.toml").write_text('[server]\nlisten = "0.0.0.0:1"\nworkers = 3\n[log]\nlevel = "debug"\n')
    settings = load_settings(
        tmp_path,
        environment={"AIGC_SERVER__LISTEN": "0.0.0.0:2", "AIGC_SERVER__WORKERS": "4", "AIGC_HOME": "/nowhere"},
        flags={"server.listen": "0.0.0.0:3", "log.format": None},
    )
    assert settings.server.listen == "0.0.0.0:3"
    assert settings.server.workers == 4
    assert settings.log.level == "debug"
    assert settings.log.format == "json"


def test_nested_tables_reach_the_models(tmp_path: Path) -> None:
    (tmp_path / "aigc.toml").write_text("[train.ease]\nreg = 10\n[events.weights]\nbookmark = 0.5\n")
    settings = load_settings(tmp_path, environment={})
    assert settings.train.ease.reg == 10.0
    assert settings.events.weights["bookmark"] == 0.5
    assert settings.events.weights["like"] > 0, "given weights are added to the built-in ones"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[servre]\n", r"servre is no setting; did you mean server\?"),
        ("[server]\nlistn = 'x'\n", r"server\.listn is no setting; did you mean server\.listen\?"),
        ("[server]\nlisten = 'nope'\n", "server.listen is 'nope'; give HOST:PORT"),
        ("[server]\nworkers = 0\n", "server.workers is 0; give at least 1"),
        ("[server]\nworkers = '3'\n[log]\nlevel='loud'", "log.level is 'loud'"),
        ("[server]\nworkers = true\n", "server.workers is True; give a whole number"),
        ("[train.ease]\nreg = nan\n", "train.ease.reg is nan; give a finite number"),
        ("[train.item_knn]\nweighting = 'x'\n", "weighting is 'x'; give cosine, tfidf or bm25"),
        ("[events.weights]\nlike = 7\n", "events.weights.like is 7.0"),
        ("server = 3\n", "server is 3; give a table"),
        ("[server\n", "is no valid TOML"),
        ("[server.tls]\ncertificate = 'a'\n", "needs both certificate and key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "aigc.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        from aigc.profiles.weights import EventWeights

        EventWeights(dict(load_settings(tmp_path, environment={}).events.weights))


def test_a_bad_environment_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"server\.workers is 'many'; give a whole number"):
        load_settings(tmp_path, environment={"AIGC_SERVER__WORKERS": "many"})
