"""What is just within the bounds of a key."""

# ruff: noqa: E501 - a row of a table stays one line

import pytest

from tests.support.configs import VALID, found, look, spoiled


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- name: plate-web", "- name: w"),
        ("branch: main, ", f"message: '{'x' * 200}', "),
        ("context: .", f"secrets: {{npm: {'x' * 64 * 1024}}}"),
        ("slack: {webhook: ${SLACK_WEBHOOK}}", "commit_status: {forge: github, url: 'https://github.com/', token: x, apps: [plate-web]}"),
    ],
    ids=["a name of one letter", "a long message", "a large secret", "a forge with a slash at its end"],
)  # fmt: skip
def test_what_is_just_within_bounds_is_accepted(old: str, new: str) -> None:
    assert found(spoiled(old, new)) == []


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ("2048", 2048),
        ("2048B", 2048),
        ("2k", 2000),
        ("2KiB", 2048),
        ("3M", 3_000_000),
        ("3 MB", 3_000_000),
        ("1G", 10**9),
    ],
)
def test_how_many_bytes_a_size_is(size: str, count: int) -> None:
    read = look(f"{VALID}server: {{max_body: {size}, bind: ':8480'}}\n").settings
    assert read is not None
    assert (read.max_body, read.bind) == (count, ":8480")
