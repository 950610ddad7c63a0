from __future__ import annotations

import subprocess
import sys

import pytest

from aigc.errors import InvalidInputError
from aigc.generate.loading import KINDS as LOADABLE
from aigc.training.recipe import KINDS, all_recipes, find_recipe, list_recipe_options, parse_options


def test_every_recipe_makes_a_kind_that_can_be_loaded_and_describes_itself() -> None:
    recipes = all_recipes()
    assert [r.kind for r in recipes] == sorted(KINDS)
    for recipe in recipes:
        assert recipe.kind in LOADABLE
        assert recipe.data in ("images", "texts", "recordings")
        assert recipe.description.endswith(".")
        assert {"trainer", "data"} < recipe.groups.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_option_has_a_description_and_a_default_that_can_be_given(kind: str) -> None:
    recipe = find_recipe(kind)
    listed = list_recipe_options(recipe)
    assert all(o.description for o in listed)
    assert len({o.name for o in listed}) == len(listed)
    given = {o.name: o.default for o in listed}
    assert parse_options(recipe, given).flat() == parse_options(recipe, {}).flat()


@pytest.mark.parametrize(
    ("name", "value", "message", "field"),
    [
        ("trainer.stps", "3", r"'trainer\.stps' is no option of gan; did you mean trainer\.steps\?", "trainer.stps"),
        ("trainer.steps", "many", r"trainer\.steps is 'many'; give a whole number", "trainer.steps"),
        ("trainer.steps", "0", r"trainer\.steps is 0; give a number of at least 1", "trainer.steps"),
        ("gan.loss", "hinge", r"gan\.loss is 'hinge'", "gan.loss"),
        ("gan.channels", "17", r"gan\.channels are \(17,\)", "gan.channels"),
        ("gan.preset", "artcle", r"gan\.preset is 'artcle'; did you mean article\?", "gan.preset"),
        ("gan.seed", "1", r"'gan\.seed' is no option", "gan.seed"),
        ("data.size", "28", r"data\.size is '28'; give HEIGHTxWIDTH", "data.size"),
    ],
)
def test_a_wrong_option_is_named_with_the_remedy(name: str, value: str, message: str, field: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        parse_options(find_recipe("gan"), {name: value})
    assert caught.value.field == f"options[{field}]"


def test_a_nested_option_is_named_by_its_whole_path() -> None:
    with pytest.raises(InvalidInputError, match=r"caption\.networks\.channels are \(17,\)"):
        parse_options(find_recipe("caption-gan"), {"caption.networks.channels": "17"})


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match=r"kind is 'gnn'; did you mean gan\?"):
        find_recipe("gnn")


def test_a_preset_sets_its_group_and_single_options_win_over_it() -> None:
    options = parse_options(find_recipe("gan"), {"gan.preset": "article", "gan.batch_size": "32"})
    assert options.groups["gan"].architecture == "article"
    assert options.groups["gan"].batch_size == 32
    assert options.flat()["gan.latent_size"] == "100"


def test_recipes_and_the_server_do_not_load_torch() -> None:
    code = (
        "import sys, aigc_server.app\n"
        "from aigc.training.recipe import all_recipes, parse_options\n"
        "[parse_options(r, {}) for r in all_recipes()]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
