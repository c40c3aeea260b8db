"""JSON that somebody else made: how much of it is read."""

import json
import tracemalloc

import pytest

from workers.clients.http import MAX_ANSWER
from workers.shapes import MAX_WEIGHT, read_json

RESOURCE = {"group": "apps", "kind": "Deployment", "namespace": "web", "name": "web", "health": {"status": "Healthy"}}
"""As Argo CD names it, with few characters for each value."""


@pytest.mark.parametrize("part", ["[],", "{},", '{"a":1},', "[[]],"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_small_values_do_not_fill_the_memory(part: str, encoding: str) -> None:
    """In memory they take up to thirty times the room that they have in an answer."""
    content = f"[{part * (MAX_ANSWER // len(part))}0]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more values than are read"):
            read_json(content.encode(encoding))
        with pytest.raises(ValueError, match="more values than are read"):
            read_json(content)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_ANSWER
    finally:
        tracemalloc.stop()


def test_an_answer_as_large_as_any_is_read_where_it_is_one_of_a_service() -> None:
    one = json.dumps(RESOURCE, separators=(",", ":"))
    count = MAX_ANSWER // (len(one) + 1)
    assert len(read_json(f"[{','.join([one] * count)}]")) == count


def test_the_least_that_is_too_much_is_refused() -> None:
    for count in (MAX_WEIGHT // 260 - 2, MAX_WEIGHT // 260 + 2):
        content = "[" + "[]," * count + "0]"
        if count * 260 > MAX_WEIGHT:
            with pytest.raises(ValueError, match="more values"):
                read_json(content)
        else:
            assert len(read_json(content)) == count + 1
