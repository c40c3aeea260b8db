"""What a destination of messages is called, as what waits for it is kept under its name."""

import pytest

from tests.support.configs import VALID, look


def names(text: str) -> list[str]:
    found = look(text).settings
    assert found is not None
    return [channel.name for channel in found.channels]


def test_a_destination_keeps_its_name_when_one_of_another_kind_goes() -> None:
    first = next(line for line in VALID.splitlines(keepends=True) if "SLACK_WEBHOOK" in line)
    assert names(VALID) == ["slack-1", "webhook-1"]
    assert names(VALID.replace(first, "")) == ["webhook-1"]


@pytest.mark.parametrize(("given", "other"), [("webhook-1", "webhook-2"), ("webhook-2", "webhook-1")])
def test_no_two_destinations_share_a_name(given: str, other: str) -> None:
    text = VALID.replace("{webhook: ${SLACK_WEBHOOK}}", f"{{webhook: ${{SLACK_WEBHOOK}}, name: {given}}}")
    assert names(text) == [given, other]
