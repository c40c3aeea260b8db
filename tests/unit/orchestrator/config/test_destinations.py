"""What a destination of messages is called, as what waits for it is kept under its name."""

import pytest

from tests.support.configs import VALID, look


def names(text: str) -> list[str]:
    found = look(text).settings
    assert found is not None
    return [channel.name for channel in found.channels]


def test_a_destination_keeps_its_name_when_one_of_another_kind_goes() -> None:
    first = next(line for line in VALID.splitlines(keepends=True) if "SLACK_WEBHOOK" in line)
    webhook = names(VALID)[1]
    assert names(VALID.replace(first, "")) == [webhook]


def listed(*entries: str) -> str:
    """The file with these destinations."""
    head, _, rest = VALID.partition("notify:\n")
    after = rest[rest.index("apps:\n") :]
    return f"{head}notify:\n" + "".join(f"  - {entry}\n" for entry in entries) + after


KINDS = {
    "slack": "slack: {{webhook: 'https://hooks.slack.com/services/{0}'}}",
    "bot": "slack: {{token: xoxb-1, channel: C{0}}}",
    "callback": "webhook: {{url: 'https://{0}.example.com/hook', secret: 0123456789abcdef}}",
    "status": "commit_status: {{forge: gitea, url: 'https://{0}.example.com', token: t, apps: [plate-web]}}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_destination_keeps_its_name_when_another_of_its_kind_goes_or_changes_its_place(kind: str) -> None:
    one, two = KINDS[kind].format("one"), KINDS[kind].format("two")
    first, second = names(listed(one, two))
    assert names(listed(two)) == [second]
    assert names(listed(two, one)) == [second, first]
    assert not {part for part in ("one", "two") if part in first + second}, "an address may be a secret"


def test_a_login_that_is_renewed_or_another_choice_of_states_changes_no_name() -> None:
    before, after = ("slack: {token: xoxb-1, channel: C1}", "slack: {token: xoxb-2, channel: C1, on: [failed]}")
    assert names(listed(before)) == names(listed(after))


def test_two_destinations_with_one_address_have_two_names() -> None:
    twice = KINDS["slack"].format("one")
    first, second = names(listed(twice, twice))
    assert second == f"{first}-2"


def test_no_two_destinations_share_a_name() -> None:
    plain = KINDS["slack"].format("one")
    taken = names(listed(plain))[0]
    other = KINDS["callback"].format("one").replace("{", f"{{name: {taken}, ")
    assert names(listed(other, plain)) == [taken, f"{taken}-2"]


def former(text: str) -> list[tuple[str, ...]]:
    found = look(text).settings
    assert found is not None
    return [channel.former_names for channel in found.channels]


def test_what_waits_under_the_number_that_a_destination_had_is_its_own() -> None:
    text = listed(KINDS["slack"].format("one"), KINDS["bot"].format("two"), KINDS["callback"].format("three"))
    assert former(text) == [("slack-1",), ("slack-2",), ("webhook-1",)]


def test_what_waits_for_a_destination_that_gets_a_name_is_its_own() -> None:
    plain = KINDS["slack"].format("one")
    assert former(listed(plain.replace("{", "{name: team, "))) == [tuple(names(listed(plain)))]


def test_a_forge_may_be_at_a_private_address_and_a_stranger_may_not() -> None:
    found = look(listed(*(kind.format("one") for kind in KINDS.values()))).settings
    assert found is not None
    assert [one.kind for one in found.channels if one.allow_private] == ["gitea-status"]


def test_an_app_that_is_to_be_told_of_where_there_is_none_has_no_hint() -> None:
    text = listed(KINDS["callback"].format("one").replace("{", "{apps: [web], "))
    (problem,) = look(text[: text.index("apps:\n")] + "apps: []\n").problems
    assert problem.message == "there is no app `web`; there is none"
