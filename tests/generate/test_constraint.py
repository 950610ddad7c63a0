from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from aigc.errors import InvalidInputError
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.text_request import TextRequest
from tests.generate.small_text import read, small_gpt

SCHEMA = {
    "type": "object",
    "properties": {"year": {"type": "integer", "minimum": 0, "maximum": 9999}, "kind": {"enum": ["诗", "play"]}},
    "required": ["year", "kind"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[TextEngine]:
    made = small_gpt(context=128).engine(4, EngineLimits())
    yield made
    made.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_every_answer_matches_the_expression(engine: TextEngine, temperature: float) -> None:
    pattern = r"(春|fox)-[0-9]{2,4}(，[a-c]+){2}!"
    request = TextRequest("x", regex=pattern, n=4, seed=1, temperature=temperature, max_tokens=100)
    answers = read(engine.submit(request))
    ended = [a for a in answers if a.reason == "stop"]
    assert ended or temperature == 0
    for answer in ended:
        assert re.fullmatch(pattern, answer.text)


def test_every_answer_is_json_of_the_schema(engine: TextEngine) -> None:
    for schema in (SCHEMA, json.dumps(SCHEMA)):
        for answer in read(engine.submit(TextRequest("x", json_schema=schema, n=3, seed=1, max_tokens=60))):
            assert answer.reason == "stop"
            found = json.loads(answer.text)
            assert set(found) == {"year", "kind"}
            assert 0 <= found["year"] <= 9999
            assert found["kind"] in ("诗", "play")


def test_a_constrained_answer_is_the_same_alone_and_in_a_batch(engine: TextEngine) -> None:
    requests = [TextRequest("x", regex="[a-z ]{10}", seed=1), TextRequest("x", seed=2, max_tokens=20)]
    alone = [read(engine.submit(request)) for request in requests]
    streams = [engine.submit(request) for request in requests]
    assert [read(stream) for stream in streams] == alone


@pytest.mark.parametrize(
    ("field", "constraint"),
    [
        ("regex", {"regex": "[a"}),
        ("regex", {"regex": r"[^\s\S]"}),
        ("regex", {"regex": "a" * 100_001}),
        ("json_schema", {"json_schema": "{"}),
        ("json_schema", {"json_schema": "[1]"}),
        ("json_schema", {"json_schema": {"type": "nonsense"}}),
        ("json_schema", {"json_schema": {"const": "a" * 100_001}}),
    ],
)
def test_a_constraint_that_is_none_is_refused_by_name(
    engine: TextEngine, field: str, constraint: dict[str, object]
) -> None:
    with pytest.raises(InvalidInputError, match=f"{field} cannot constrain") as caught:
        engine.submit(TextRequest("x", **constraint))  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.reason == "BAD_CONSTRAINT"
