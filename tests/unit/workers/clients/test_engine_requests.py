"""What the engine is asked, and what is refused before it is asked."""

import base64
import json

import pytest

from orchestrator.domain.apps import Build, Registry, Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.dockerfile import read_recipe
from workers.clients.engine_requests import (
    auth_header,
    auths_header,
    build_params,
    error_text,
    log_transfer,
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
    return build_params(build, tag="h.io/a:1", labels={"x": "y"}, number="n")


def test_a_plain_build_asks_for_buildkit_and_never_pulls_by_itself() -> None:
    asked = params(Build(pull=True))
    assert asked == {
        "version": "2",
        "t": "h.io/a:1",
        "dockerfile": "Dockerfile",
        "labels": '{"x": "y"}',
        "rm": "1",
        "forcerm": "1",
        "buildid": "n",
    }


def test_every_option_is_asked_for() -> None:
    build = Build(
        builder="classic", target="t", platform="linux/arm64", network="none", args=(("A", "1"),), dockerfile="./d/F"
    )
    asked = params(build)
    assert (asked["version"], asked["target"], asked["platform"]) == ("1", "t", "linux/arm64")
    assert (asked["networkmode"], asked["buildargs"], asked["dockerfile"]) == ("none", '{"A": "1"}', "d/F")


@pytest.mark.parametrize(
    ("line", "builder", "words"),
    [
        ("RUN --mount=type=secret,id=a x", "buildkit", "type=secret"),
        ("RUN --mount=type=ssh x", "buildkit", "type=ssh"),
        ("RUN --mount=type=cache,target=/x x", "classic", "builder: buildkit"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_with_its_line(line: str, builder: str, words: str) -> None:
    with pytest.raises(Refused, match="line 2") as caught:
        refuse_unsupported(read_recipe(f"FROM a\n{line}\n".encode()), Build(builder=builder))
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
    assert words in caught.value.evidence


@pytest.mark.parametrize("line", ["RUN --mount=type=cache,target=/x x", "RUN --mount=from=b,target=/x x", "RUN x"])
def test_other_mounts_are_fine_with_buildkit(line: str) -> None:
    refuse_unsupported(read_recipe(f"# syntax=docker/dockerfile:1\nFROM a\n{line}\n".encode()), Build())


def test_secrets_of_stages_that_the_target_does_not_need_do_no_harm() -> None:
    text = b"FROM a AS wanted\nFROM a\nRUN --mount=type=secret,id=a x\n"
    refuse_unsupported(read_recipe(text), Build(target="wanted"))


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
