"""A snapshot whose texts are embedded by a trained model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aigc.entities import Item
from aigc.errors import InvalidInputError, NotFoundError
from aigc.generate.bert import BertGenerator
from aigc.generate.repository import ModelRepository
from aigc.generate.transformer_options import TransformerOptions
from aigc.index.snapshot import SnapshotFolder
from aigc.recommend.request import SearchRequest
from aigc.recommend.train_options import TrainOptions
from aigc.services.platform import Platform, PlatformOptions
from tests.generate.small_text import lively, small_gpt, small_tokenizer

TITLES = ["床前明月光", "疑是地上霜", "The quick brown fox", "jumps over the lazy dog", "春眠不觉晓", "处处闻啼鸟"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tokenizer = small_tokenizer()
    bert = BertGenerator.fresh(TransformerOptions(len(tokenizer), context=32, layers=1, width=16, heads=2), tokenizer)
    lively(bert.network)
    bert.fit_centre(TITLES)
    ModelRepository(tmp_path / "models").add("titles", bert)
    return tmp_path


def opened(home: Path, text_encoder: str) -> Platform:
    platform = Platform.open(home, PlatformOptions(train=TrainOptions(text_encoder=text_encoder)))
    platform.catalog.upsert([Item(str(i), title=title) for i, title in enumerate(TITLES)])
    return platform


def test_a_snapshot_finds_texts_with_the_model_that_is_named_and_keeps_it(home: Path) -> None:
    platform = opened(home, "titles")
    for _ in platform.admin.build_snapshot():
        pass
    asked = SearchRequest(3, text=TITLES[2])
    found = [item.item_id for item in platform.recommender.search(asked)]
    assert found[0] == "2"
    platform.close()
    # What the snapshot has is its own: the model may go.
    shutil.rmtree(home / "models")
    platform = Platform.open(home)
    assert [item.item_id for item in platform.recommender.search(asked)] == found
    platform.close()


def test_a_name_without_a_model_or_of_one_that_embeds_nothing_stops_the_build(home: Path) -> None:
    platform = opened(home, "headings")
    with pytest.raises(NotFoundError, match="headings"):
        list(platform.build())
    platform.close()
    ModelRepository(home / "models").add("writer", small_gpt())
    platform = opened(home, "writer")
    with pytest.raises(InvalidInputError, match="embeds no texts"):
        list(platform.build())
    assert SnapshotFolder(home / "snapshots").current_id() == ""
    platform.close()
