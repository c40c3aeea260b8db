"""Statuses of commits on their forges."""

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Channel, Secret
from orchestrator.domain.errors import RateLimited, Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.forge_statuses import PIPELINE
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
from workers.notifiers.statuses import look
from workers.notifiers.table import NOTIFIERS, PLACES
from workers.notifiers.tools import NotifierTools

FORGES = ("github", "gitlab", "gitea", "forgejo")
NAME = "pilotage/plate-web/stg"
STATES: list[tuple[Message, str, str, str]] = [
    (STARTED, "pending", "pending", "running"),
    (PROGRESSED, "pending", "pending", "running"),
    (WAITING, "pending", "pending", "running"),
    (SUCCEEDED, "success", "success", "success"),
    (FAILED, "failure", "failure", "failed"),
    (replace(FAILED, who_acts="operator"), "error", "error", "failed"),
    (replace(FAILED, reason="older_commit"), "pending", "warning", "canceled"),
    (replace(FAILED, reason="rewritten"), "pending", "warning", "canceled"),
    (replace(CANCELLED, reason="superseded"), "pending", "warning", "canceled"),
    (replace(CANCELLED, reason="cancelled"), "error", "error", "canceled"),
]
"""A message, what it is on GitHub, what on Gitea and Forgejo, and what on GitLab."""


def shown(forge: ToldForge) -> tuple[str, str, str]:
    """The state, description and address of the commit's one status."""
    ((name, status),) = forge.of(REPO, STARTED.commit).items()
    assert name == NAME
    return status.state, status.description, status.url


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize(("message", "on_github", "on_gitea", "on_gitlab"), STATES)
def test_a_commit_has_one_status_for_an_app_and_environment(
    forge: ToldForge, name: str, message: Message, on_github: str, on_gitea: str, on_gitlab: str
) -> None:
    channel = channel_of(name, forge.base_url)
    tell(STARTED, channel)

    tell(message, channel)

    wanted = {"github": on_github, "gitlab": on_gitlab}.get(name, on_gitea)
    assert shown(forge) == (wanted, forge.of(REPO, STARTED.commit)[NAME].description, message.url)
    assert shown(forge)[1] in (message.sentence, STARTED.sentence)


@pytest.mark.parametrize("name", FORGES)
def test_a_status_that_is_set_twice_or_anew_is_taken(forge: ToldForge, name: str) -> None:
    channel = channel_of(name, forge.base_url)
    for message in (STARTED, STARTED, FAILED, FAILED, STARTED, SUCCEEDED):
        tell(message, channel)
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
def test_a_commit_that_the_forge_does_not_have_has_no_status(forge: ToldForge, name: str) -> None:
    """Gitea answers 500, as to a trouble of its own."""
    with pytest.raises(Refused if name in ("github", "gitlab") else Unavailable, match="No commit found"):
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
    "no right": (HttpFault(status=403, body='{"message":"SAML"}'), Refused, r"the token may not do that \(SAML\)"),
    "at work on another status": (HttpFault(status=409, body='{"message":"409 Conflict"}'), Unavailable, "Conflict"),
    "moved": (HttpFault(status=301, headers={"Location": "/elsewhere"}), Refused, "has moved; correct the `repo`"),
    "words of its own": (HttpFault(status=422, body='{"message":{"ref":["is odd"]}}'), Refused, "is odd"),
    "no reason": (HttpFault(status=422, body="{}"), Refused, "does not say why"),
    "a page": (HttpFault(status=400, body="<html>"), Refused, "no answer of its API"),
    "of a proxy": (HttpFault(status=520, body=""), Unavailable, "HTTP 520 from http"),
    "no room": (HttpFault(status=507, body=""), Unavailable, "HTTP 507 for acme/plate-web"),
}


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("case", ANSWERS)
def test_every_answer_is_understood(forge: ToldForge, name: str, case: str) -> None:
    fault, error, words = ANSWERS[case]
    forge.faults.add(fault)
    with pytest.raises(error, match=words):
        tell(STARTED, channel_of(name, forge.base_url))


ADDRESSES = [
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


@pytest.mark.parametrize(("name", "url", "repo", "api"), ADDRESSES)
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


def test_gitlab_keeps_the_status_in_the_pipeline_where_it_began(forge: ToldForge) -> None:
    channel = channel_of("gitlab", forge.base_url)
    began = tell(STARTED, channel)
    assert began.reference == str(PIPELINE)
    assert tell(STARTED, channel, began.reference) == began, "it is there"
    assert tell(SUCCEEDED, channel, began.reference) == began
    assert [one.json().get("pipeline_id") for one in forge.arrived] == [None, "7", "7"]


def test_gitlab_takes_another_pipeline_where_the_first_is_gone(forge: ToldForge) -> None:
    assert tell(SUCCEEDED, channel_of("gitlab", forge.base_url), "6").reference == str(PIPELINE)
    assert [one.status for one in forge.arrived] == [404, 201]


def test_github_is_spared_characters_of_four_bytes(forge: ToldForge) -> None:
    tell(replace(FAILED, sentence="its log ends: \U0001f680 접시."), channel_of("github", forge.base_url))
    assert shown(forge)[1] == "its log ends: \ufffd 접시."


@pytest.mark.parametrize("kind", sorted(PLACES))
@pytest.mark.parametrize(
    ("repo", "token", "said"),
    [
        ("git@git.example.com:acme/plate-web.git", FORGE_TOKEN, "the token sees acme/plate-web; no status was set"),
        ("git@git.example.com:acme/plate-web.git", "wrong-token", "the token is not accepted"),
        ("git@git.example.com:acme/other.git", FORGE_TOKEN, "there is no such repository"),
    ],
)
def test_doctor_says_whether_the_token_opens_the_repository(
    forge: ToldForge, kind: str, repo: str, token: str, said: str
) -> None:
    channel = channel_of(kind.removesuffix("-status"), forge.base_url, secret=Secret(token))
    try:
        found = look(PLACES[kind](channel, repo), channel, repo)
    except Refused as error:
        found = error.evidence
    assert said in found
    assert forge.taken == []


@pytest.mark.parametrize(("ref", "told"), [("refs/heads/main", "main"), ("refs/tags/v1", "v1"), ("", "")])
def test_gitlab_is_told_which_branch_the_commit_is_on(forge: ToldForge, ref: str, told: str) -> None:
    tell(replace(STARTED, ref=ref), channel_of("gitlab", forge.base_url))
    assert forge.taken[0].ref == told
