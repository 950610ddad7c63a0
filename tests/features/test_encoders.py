"""What every encoder promises."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError
from aigc.features.blend import BlendedEncoder
from aigc.features.registry import fit_encoder, load_encoder
from aigc.features.text import TextEncoder, tokens

POEMS = [
    Item("1", title="静夜思", text="床前明月光 疑是地上霜"),
    Item("2", title="望月怀远", text="海上生明月 天涯共此时"),
    Item("3", title="春晓", text="春眠不觉晓 处处闻啼鸟"),
    Item("4", title="Space", text="rockets and stars and planets"),
    Item("5", title="Stars", text="planets around stars"),
    Item("6", title="Kitchen", text="bread and butter"),
]


def picture(shade: int, size: int = 20) -> ItemContent:
    target = io.BytesIO()
    pixels = np.full((size, size, 3), shade, np.uint8)
    pixels[: size // 2] = 255 - shade
    Image.fromarray(pixels).save(target, "PNG")
    return ItemContent("image/png", target.getvalue())


def pictures() -> list[Item]:
    return [Item(f"p{n}", kind="image", content=picture(n * 12)) for n in range(20)]


def fit(items: list[Item], **options: int):
    return fit_encoder(
        items, lambda ids: ((i.id, i.content) for i in items if i.content and i.id in set(ids)), **options
    )


@pytest.mark.parametrize("items", [POEMS, pictures(), POEMS + pictures()], ids=["text", "image", "both"])
def test_embeddings_are_unit_or_zero_and_survive_saving_bit_for_bit(items: list[Item], tmp_path: Path) -> None:
    encoder = fit(items)
    encoded = encoder.encode(items)
    assert encoded.dtype == np.float32
    assert encoded.shape == (len(items), encoder.embedding_size)
    norms = np.linalg.norm(encoded, axis=1)
    assert ((np.abs(norms - 1) < 1e-5) | (norms == 0)).all()
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    assert loaded.version == encoder.version
    np.testing.assert_array_equal(loaded.encode(items), encoded)
    assert fit(items).version == encoder.version
    assert fit(items[:-1]).version != encoder.version


def test_nothing_to_encode_gives_zeros_and_never_an_error() -> None:
    encoder = fit(POEMS + pictures())
    broken = ItemContent("image/png", b"\x89PNG not really")
    nothing = [Item("x"), Item("y", content=broken), Item("z", content=ItemContent("audio/wav", b"RIFF"))]
    assert not encoder.encode(nothing).any()
    assert not encoder.encode_text(["", "zzzz qqqq"]).any()


def test_chinese_and_english_queries_find_their_items() -> None:
    encoder = fit(POEMS)
    encoded = encoder.encode(POEMS)
    for query, wanted in (("明月", {0, 1}), ("啼鸟", {2}), ("stars", {3, 4}), ("butter", {5})):
        best = np.argsort(-(encoded @ encoder.encode_text([query])[0]))[: len(wanted)]
        assert set(best.tolist()) == wanted, query


def test_near_pictures_stand_near() -> None:
    items = pictures()
    encoded = fit(items).encode(items)
    cosines = encoded @ encoded.T
    assert cosines[0, 1] > cosines[0, 10] > cosines[0, 19]


@pytest.mark.parametrize("items", [[Item("a")], [Item("a", title="one")], [Item("a", title="x x"), Item("b")]])
def test_a_tiny_catalogue_has_an_encoder(items: list[Item]) -> None:
    encoder = fit(items, text_size=8)
    assert encoder.encode(items).shape == (len(items), 8)


def test_words_and_characters() -> None:
    assert tokens("Hello, WORLD 2nd") == ["hello", "world", "2nd"]
    assert tokens("明月光") == ["明", "月", "光", "明月", "月光", "明月光"]
    assert tokens("AI生成") == ["ai", "生", "成", "生成"]


def test_a_broken_encoder_is_named(tmp_path: Path) -> None:
    fit(POEMS).save(tmp_path)
    (tmp_path / "text" / "basis.npy").write_bytes(b"no array")
    with pytest.raises(CorruptDataError, match=r"basis\.npy"):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").write_text('{"encoder": "from-the-future"}')
    with pytest.raises(CorruptDataError, match="from-the-future"):
        load_encoder(tmp_path)


def test_other_weights_need_no_second_encoding() -> None:
    rng = np.random.default_rng(0)
    parts = [("a", 1.0, TextEncoder.fit([Item("x", text="cat dog"), Item("y", text="car")], 4))]
    parts.append(("b", 1.0, TextEncoder.fit([Item("x", text="dog bird"), Item("y", text="boat car")], 4)))
    items = [Item(str(n), text=" ".join(rng.choice(["cat", "dog", "bird", "car", "boat"], 2))) for n in range(9)]
    even = BlendedEncoder(parts)
    other = even.weighed([0.5, 1.5])
    np.testing.assert_allclose(other.join(even.blocks(even.encode(items))), other.encode(items), atol=1e-6)
    assert other.version != even.version
