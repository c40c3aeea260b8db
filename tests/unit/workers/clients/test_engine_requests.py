"""What the engine is asked, and what is refused before it is asked."""

import base64
import json

import pytest

from orchestrator.domain.apps import Build, Registry, Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.dockerfile import read_recipe
from workers.clients.engine_requests import (
    APP_LABEL,
    CACHE_NAMESPACE,
    auth_header,
    auths_header,
    build_params,
    error_text,
    log_transfer,
    missing_secrets,
    needs_session,
    platform_of,
    refuse_unsupported,
)

REGISTRY = Registry(url="https://h.io:8443", username="robot$a+b", password=Secret("p"))
LOGIN = {"username": "robot$a+b", "password": "p", "serveraddress": "h.io:8443"}


def opened(header: str) -> object:
    return json.loads(base64.urlsafe_b64decode(header))


def test_credentials_are_always_explicit() -> None:
    assert opened(auth_header(REGISTRY)) == LOGIN
    assert opened(auth_header(None)) == {}
    assert opened(auth_header(Registry(url="https://h.io"))) == {}
    assert opened(auths_header(REGISTRY)) == {"h.io:8443": LOGIN}


def params(build: Build) -> dict[str, str]:
    return build_params(build, tag="h.io/a:1", labels={"x": "y"})


def test_a_plain_build_asks_for_buildkit_and_never_pulls_by_itself() -> None:
    asked = params(Build(pull=True))
    assert asked == {
        "version": "2",
        "t": "h.io/a:1",
        "dockerfile": "Dockerfile",
        "labels": '{"x": "y"}',
        "rm": "1",
        "forcerm": "1",
    }


@pytest.mark.parametrize(
    ("build", "asked"),
    [
        (Build(), {CACHE_NAMESPACE: "api"}),
        (Build(args=(("A", "1"),)), {CACHE_NAMESPACE: "api", "A": "1"}),
        (Build(args=((CACHE_NAMESPACE, "common"),)), {CACHE_NAMESPACE: "common"}),
        (Build(builder="classic", args=(("A", "1"),)), {"A": "1"}),
    ],
)
def test_cache_mounts_are_an_apps_own_unless_it_is_said_otherwise(build: Build, asked: dict[str, str]) -> None:
    assert json.loads(build_params(build, tag="h.io/a:1", labels={APP_LABEL: "api"})["buildargs"]) == asked


def test_a_session_is_named_where_there_is_one() -> None:
    assert build_params(Build(), tag="h.io/a:1", labels={}, session="5e55")["session"] == "5e55"


def test_an_image_that_is_made_anew_takes_nothing_from_the_cache() -> None:
    assert build_params(Build(), tag="h.io/a:1", labels={}, anew=True)["nocache"] == "1"


def test_every_option_is_asked_for() -> None:
    build = Build(
        builder="classic", target="t", platform="linux/arm64", network="none", args=(("A", "1"),), dockerfile="./d/F"
    )
    asked = params(build)
    assert (asked["version"], asked["target"], asked["platform"]) == ("1", "t", "linux/arm64")
    assert (asked["networkmode"], asked["buildargs"], asked["dockerfile"]) == ("none", '{"A": "1"}', "d/F")


UNSUPPORTED, MISSING = Reason.SOURCE_UNSUPPORTED, Reason.SECRET_MISSING


@pytest.mark.parametrize(
    ("line", "builder", "reason", "words"),
    [
        ("RUN --mount=type=ssh x", "buildkit", UNSUPPORTED, "a token in `build.secrets`"),
        ("RUN --mount=type=cache,target=/x x", "classic", UNSUPPORTED, "builder: buildkit"),
        ("RUN --mount=type=secret,id=a,required=true x", "buildkit", MISSING, "mounts `a`"),
        ("RUN --mount=type=secret,required,target=/root/.npmrc x", "buildkit", MISSING, "mounts `.npmrc`"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_with_its_line(
    line: str, builder: str, reason: Reason, words: str
) -> None:
    with pytest.raises(Refused, match="line 2") as caught:
        refuse_unsupported(read_recipe(f"FROM a\n{line}\n".encode()), Build(builder=builder))
    assert caught.value.reason is reason
    assert words in caught.value.evidence


SECRETS = (("a", Secret("s3cr3t")),)


@pytest.mark.parametrize(
    ("line", "secrets", "session", "notes"),
    [
        ("RUN --mount=type=secret,id=a,required=true x", SECRETS, True, []),
        ("RUN --mount=type=secret,id=b x", SECRETS, True, ["`b`"]),
        ("RUN --mount=type=secret,id=b x", (), True, ["`b`"]),
        ("RUN --mount=type=secret,id=${ID},required=true x", SECRETS, True, []),
        ("RUN --mount=type=secret,required=true x", SECRETS, True, []),
        ("RUN x", SECRETS, True, []),
        ("RUN x", (), False, []),
    ],
    ids=[
        "given",
        "another is given",
        "none is given",
        "by a variable",
        "without a name",
        "of a base image, perhaps",
        "not needed",
    ],
)
def test_a_session_is_opened_for_secrets_and_a_missing_one_is_noted(
    line: str, secrets: tuple[tuple[str, Secret], ...], session: bool, notes: list[str]
) -> None:
    recipe, build = read_recipe(f"FROM a\n{line}\n".encode()), Build(secrets=secrets)
    refuse_unsupported(recipe, build)
    assert needs_session(recipe, build) is session
    assert [
        word for note in missing_secrets(recipe, build) for word in note.split() if word in ("`a`", "`b`")
    ] == notes


def test_the_classic_builder_has_no_session() -> None:
    assert not needs_session(read_recipe(b"FROM a\n"), Build(builder="classic", secrets=SECRETS))


@pytest.mark.parametrize("line", ["RUN --mount=type=cache,target=/x x", "RUN --mount=from=b,target=/x x", "RUN x"])
def test_other_mounts_are_fine_with_buildkit(line: str) -> None:
    refuse_unsupported(read_recipe(f"# syntax=docker/dockerfile:1\nFROM a\n{line}\n".encode()), Build())


def test_secrets_of_stages_that_the_target_does_not_need_do_no_harm() -> None:
    recipe = read_recipe(b"FROM a AS wanted\nFROM a\nRUN --mount=type=secret,id=a,required=true x\n")
    refuse_unsupported(recipe, Build(target="wanted"))
    assert not needs_session(recipe, Build(target="wanted"))


def test_progress_bars_are_not_logged() -> None:
    lines: list[str] = []
    for message in (
        {"status": "The push refers to repository [x]"},
        {"status": "Preparing", "id": "a", "progressDetail": {}},
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 1, "total": 2}, "progress": "[=>"},
        {"status": "Pushed", "id": "a", "progressDetail": {}},
        {"aux": {"Digest": "x"}},
    ):
        log_transfer(message, lines.append)
    assert lines == ["The push refers to repository [x]", "a: Pushed"]


def test_the_detail_of_an_error_goes_first() -> None:
    assert error_text({"error": "short", "errorDetail": {"message": "long"}}) == "long"
    assert error_text({"error": "short"}) == "short"


@pytest.mark.parametrize(
    ("written", "platform"),
    [
        ("", "linux/arm64"),
        ("linux/s390x", "linux/s390x"),
        ("$BUILDPLATFORM", ""),
        ("${BUILDPLATFORM}", ""),
        ("$TARGETPLATFORM", "linux/arm64"),
        ("${TARGETPLATFORM:-linux/amd64}", "linux/arm64"),
    ],
)
def test_the_platform_of_a_base_image(written: str, platform: str) -> None:
    assert platform_of(written, Build(platform="linux/arm64")) == platform
