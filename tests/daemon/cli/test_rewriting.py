"""A person's job file gets other values, and keeps all else: words, comments, order, spacing."""

from __future__ import annotations

import pytest
import yaml

from daemon.cli.rewriting import flow, put, remove, way_to

TEXTS = [
    "do: stems\n",
    "# mine\nname: x\nseeds: [7, 3]  # two\nfrom: a\ndo: stems\n",
    "{do: stems, seed: 7}",
    "---\nseed:\ndo: stems\n",
    "do: stems\nkeep:\n  3: from/beds/3\n\n# below\nseed: 7\n",
    "  do: stems\n  seed: 7\n",
    "do: stems\nseeds:\n  - 7\n  - 3\n# after\nname: ä\n",
    "do: stems\nseed: 7",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_key_is_set_and_everything_else_stays(text: str) -> None:
    before = yaml.safe_load(text)
    after = put(text, (), "seed", "12", in_place_of=("seeds",))
    before.pop("seeds", None)
    assert yaml.safe_load(after) == {**before, "seed": 12}
    assert all(comment in after for comment in ("# mine", "# two", "# below", "# after") if comment in text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ["seed", "seeds", "keep", "from", "nothing"])
def test_a_key_is_taken_away_and_everything_else_stays(text: str, key: str) -> None:
    before = yaml.safe_load(text)
    before.pop(key, None)
    after = remove(text, (), key)
    assert yaml.safe_load(after) == before
    assert all(comment in after for comment in ("# mine", "# below", "# after") if comment in text)


@pytest.mark.parametrize(
    "text",
    [
        "steps:\n  beds: {do: stems, count: 2}\n  mix:\n    do: mix\n    order: [beds]\n",
        "{steps: {beds: {do: stems, count: 2}, mix: {do: mix, order: [beds]}}}",
        "steps:\n  mix: {do: mix, order: [beds]}\n\n  beds:   # five\n\n    # of them\n    do: stems\n    count: 2\n",
    ],
)
def test_a_key_is_set_and_taken_away_in_a_step(text: str) -> None:
    for step in ("beds", "mix"):
        way = way_to(text, step)
        assert way == ("steps", step)
        more = put(text, way, "keep", flow({5: "from/beds/5", 3: "from/beds/3"}))
        wanted = yaml.safe_load(text)
        wanted["steps"][step]["keep"] = {3: "from/beds/3", 5: "from/beds/5"}
        assert yaml.safe_load(more) == wanted
        assert yaml.safe_load(remove(more, way, "keep")) == yaml.safe_load(text)


def test_a_job_of_one_step_has_its_keys_at_the_top() -> None:
    assert way_to("do: stems\n", "stems") == ()
