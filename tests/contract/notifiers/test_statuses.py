"""Statuses of commits on their forges."""

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Channel, Secret
from orchestrator.domain.errors import RateLimited, Refused
from orchestrator.domain.messages import Message, Sent
from orchestrator.sandbox.faults import HttpFault
from tests.support.chats import REPO, ToldForge
from tests.support.messages import (
    CANCELLED,
    FAILED,
    FORGE_TOKEN,
    HUGE,
    NASTY,
    PROGRESSED,
    STARTED,
    SUCCEEDED,
    WAITING,
    channel_of,
    spoiled,
)
from tests.support.telling import tell
from workers.clients.outbound import Posted
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import NotifierTools

FORGES = ("github", "gitlab", "gitea", "forgejo")
NAME = "pilotage/plate-web/stg"
STATES: list[tuple[Message, str, str]] = [
    (STARTED, "pending", "running"),
    (PROGRESSED, "pending", "running"),
    (WAITING, "pending", "running"),
    (SUCCEEDED, "success", "success"),
    (FAILED, "failure", "failed"),
    (replace(FAILED, who_acts="operator"), "error", "failed"),
    (CANCELLED, "error", "canceled"),
]
"""A message, what it is on GitHub, Gitea and Forgejo, and what it is on GitLab."""


def shown(forge: ToldForge) -> tuple[str, str, str]:
    """The state, description and address of the commit's one status."""
    ((name, status),) = forge.of(REPO, STARTED.commit).items()
    assert name == NAME
    return status.state, status.description, status.url


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize(("message", "elsewhere", "on_gitlab"), STATES)
def test_a_commit_has_one_status_for_an_app_and_environment(
    forge: ToldForge, name: str, message: Message, elsewhere: str, on_gitlab: str
) -> None:
    channel = channel_of(name, forge.base_url)
    tell(STARTED, channel)

    tell(message, channel)

    wanted = on_gitlab if name == "gitlab" else elsewhere
    assert shown(forge) == (wanted, forge.of(REPO, STARTED.commit)[NAME].description, message.url)
    assert shown(forge)[1] in (message.sentence, STARTED.sentence)


@pytest.mark.parametrize("name", FORGES)
def test_a_status_that_is_set_twice_or_anew_is_taken(forge: ToldForge, name: str) -> None:
    channel = channel_of(name, forge.base_url)
    for message in (STARTED, STARTED, FAILED, FAILED, STARTED, SUCCEEDED):
        assert tell(message, channel) == Sent()
    assert shown(forge)[0] == "success"


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("text", [NASTY, HUGE], ids=["nasty", "huge"])
def test_words_of_users_stay_within_the_limits(forge: ToldForge, name: str, text: str) -> None:
    tell(replace(spoiled(FAILED, text), app="plate-web", environment="stg"), channel_of(name, forge.base_url))
    assert shown(forge)[1].endswith("…" if text is HUGE else "evil �")


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("without", [{"commit": ""}, {"commit": "main"}, {"repo": ""}])
def test_a_run_without_a_commit_of_a_repository_sets_none(
    forge: ToldForge, name: str, without: dict[str, str]
) -> None:
    assert tell(replace(SUCCEEDED, **without), channel_of(name, forge.base_url)) == Sent()
    assert forge.arrived == []


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another token": ({"secret": Secret("wrong-token")}, {}, "the token is not accepted"),
    "another repository": ({}, {"repo": "git@git.example.com:acme/other.git"}, "no such repository"),
}
"""How channel and message differ, and what is said."""


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_forge_refuses_is_said_with_its_cause(forge: ToldForge, name: str, case: str) -> None:
    of_channel, of_message, words = REFUSALS[case]
    with pytest.raises(Refused, match=words) as caught:
        tell(replace(STARTED, **of_message), channel_of(name, forge.base_url, **of_channel))
    assert "wrong-token" not in str(caught.value)
    assert "for acme/" in str(caught.value)


@pytest.mark.parametrize("name", FORGES)
def test_a_commit_that_the_forge_does_not_have_is_refused(forge: ToldForge, name: str) -> None:
    with pytest.raises(Refused):
        tell(replace(STARTED, commit="0" * 39 + "1"), channel_of(name, forge.base_url))


ANSWERS: dict[str, tuple[HttpFault, type[Exception], str]] = {
    "too many at once": (
        HttpFault(status=403, headers={"Retry-After": "60"}, body='{"message":"secondary rate limit"}'),
        RateLimited,
        "secondary rate limit",
    ),
    "the requests of an hour": (
        HttpFault(
            status=403,
            headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"},
            body='{"message":"API rate limit exceeded"}',
        ),
        RateLimited,
        "API rate limit exceeded",
    ),
    "too many, for a time that it does not say": (
        HttpFault(status=403, body='{"message":"You have exceeded a secondary rate limit"}'),
        RateLimited,
        "secondary rate limit",
    ),
    "no right": (HttpFault(status=403, body='{"message":"Resource not accessible"}'), Refused, "may not set"),
    "moved": (HttpFault(status=301, headers={"Location": "/elsewhere"}), Refused, "has moved; correct the `repo`"),
    "words of its own": (HttpFault(status=422, body='{"message":{"ref":["is odd"]}}'), Refused, "is odd"),
    "no reason": (HttpFault(status=422, body="{}"), Refused, "does not say why"),
    "a page": (HttpFault(status=400, body="<html>"), Refused, "no answer of its API"),
    "of a proxy": (HttpFault(status=520, body=""), Exception, "HTTP 520 for acme/plate-web"),
}


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("case", ANSWERS)
def test_every_answer_is_understood(forge: ToldForge, name: str, case: str) -> None:
    fault, error, words = ANSWERS[case]
    forge.faults.add(fault)
    with pytest.raises(error, match=words):
        tell(STARTED, channel_of(name, forge.base_url))


PLACES = [
    ("github", "https://github.com", "git@github.com:acme/Web.git", "https://api.github.com/repos/acme/Web"),
    ("github", "https://acme.ghe.com", "https://acme.ghe.com/a/b", "https://api.acme.ghe.com/repos/a/b"),
    ("github", "https://git.example.com/", "https://git.example.com/a/b", "https://git.example.com/api/v3/repos/a/b"),
    ("gitlab", "https://gitlab.com", "https://gitlab.com/a/b/c.git", "https://gitlab.com/api/v4/projects/a%2Fb%2Fc"),
    (
        "gitlab",
        "https://example.com/gitlab",
        "https://example.com/gitlab/a/b.git",
        "https://example.com/gitlab/api/v4/projects/a%2Fb",
    ),
    (
        "gitea",
        "https://git.example.com",
        "ssh://git@git.example.com:22/a/웹",
        "https://git.example.com/api/v1/repos/a/%EC%9B%B9",
    ),
]
"""A forge, where it is, a repository there, and where its API has that."""


@pytest.mark.parametrize(("name", "url", "repo", "api"), PLACES)
def test_where_the_api_of_a_forge_is(name: str, url: str, repo: str, api: str) -> None:
    posted: list[str] = []

    def post(url: str, body: bytes, headers: Any, **_: Any) -> Posted:
        assert FORGE_TOKEN not in url
        assert FORGE_TOKEN in json.dumps(headers)
        posted.append(url)
        return Posted(status=201)

    channel: Channel = channel_of(name, url)
    NOTIFIERS[channel.kind](replace(STARTED, repo=repo), channel, "", NotifierTools(now=lambda: 0.0, post=post))
    assert posted == [f"{api}/statuses/{STARTED.commit}"]


@pytest.mark.parametrize(("ref", "told"), [("refs/heads/main", "main"), ("refs/tags/v1", "v1"), ("", "")])
def test_gitlab_is_told_which_branch_the_commit_is_on(forge: ToldForge, ref: str, told: str) -> None:
    tell(replace(STARTED, ref=ref), channel_of("gitlab", forge.base_url))
    assert forge.taken[0].ref == told
