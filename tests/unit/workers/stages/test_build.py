"""The stage `build`."""

from dataclasses import replace

import pytest

from orchestrator.domain.apps import Build
from orchestrator.domain.errors import Cancelled, Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail
from tests.support.imaging import COMMIT, IMAGE, OTHER, ImageServices, order
from tests.support.registries import DIGEST, TAG
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL, RUN_LABEL
from workers.stages import build


def test_a_new_commit_is_built() -> None:
    services = ImageServices()
    outcome = build.run(order(), services.tools())
    assert outcome == Done(detail="Built sha256:built", outputs={"image": IMAGE, "image_id": "sha256:built"})
    assert services.engine.sent == b"tar of Dockerfile"


@pytest.mark.parametrize(("stage", "anew"), [("build", True), ("failed", False), ("", False)])
def test_the_engines_cache_counts_unless_a_person_wants_the_image_anew(stage: str, anew: bool) -> None:
    services = ImageServices()
    build.run(order(from_stage=stage), services.tools())
    assert services.engine.builds[0]["anew"] is anew


def test_choosing_the_files_of_a_build_has_the_time_of_the_build() -> None:
    services = ImageServices()
    with pytest.raises(Refused, match=r"rules of \.dockerignore were not applied to all files in time") as caught:
        build.run(order(build=Build(timeout=0.000001)), services.tools())
    assert caught.value.reason is Reason.BUILD_TIMEOUT


def test_a_refused_base_image_is_held_against_what_our_account_may_pull() -> None:
    services = ImageServices()
    services.registry.hold(COMMIT, tag="1")
    build.run(order(), services.tools())
    may_pull = services.engine.builds[0]["may_pull"]
    assert may_pull("plate/base", "1")
    assert not may_pull("plate/base", "2")


def test_the_labels_say_where_the_image_is_from_without_a_password() -> None:
    services = ImageServices()
    build.run(order(), services.tools())
    assert services.engine.builds[0]["labels"] == {
        REVISION_LABEL: COMMIT,
        "org.opencontainers.image.source": "https://git.example.com/acme/api.git",
        "org.opencontainers.image.created": "2026-08-22T03:06:40Z",
        "org.opencontainers.image.version": "sha-8f3e1e700000",
        RUN_LABEL: "41",
        APP_LABEL: "api",
    }
    assert "pw" not in "".join(services.log)


def test_an_address_in_the_short_form_of_ssh_stays_as_it_is() -> None:
    services = ImageServices()
    build.run(order(source="git@git.example.com:acme/api.git"), services.tools())
    assert (
        services.engine.builds[0]["labels"]["org.opencontainers.image.source"] == "git@git.example.com:acme/api.git"
    )


def test_an_image_in_the_registry_is_not_built_again() -> None:
    services = ImageServices()
    services.registry.hold(COMMIT)
    outcome = build.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs) == (True, {"image": IMAGE, "digest": DIGEST})
    assert services.engine.asked == []
    assert services.log == [f"{IMAGE} is in the registry ({DIGEST}) and of this commit; not built again"]


def test_an_image_that_is_deleted_while_it_is_looked_at_is_built_again() -> None:
    services = ImageServices()
    services.registry.tags[TAG] = (DIGEST, {})
    build.run(order(), services.tools())
    assert services.engine.asked == ["build"]


@pytest.mark.parametrize(("revision", "words"), [(OTHER, f"commit {OTHER}"), ("", "an unknown commit")])
def test_a_tag_of_something_else_is_never_built_over(revision: str, words: str) -> None:
    services = ImageServices()
    services.registry.hold(revision)
    with pytest.raises(Refused, match=words) as caught:
        build.run(order(), services.tools())
    assert caught.value.reason is Reason.TAG_IMMUTABLE


def test_what_an_earlier_attempt_left_in_the_engine_is_used() -> None:
    services = ImageServices()
    services.engine.images[IMAGE] = {REVISION_LABEL: COMMIT, APP_LABEL: "api"}
    outcome = build.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["image_id"]) == (True, "sha256:local")
    assert services.engine.asked == []


def test_what_was_built_before_the_app_got_another_name_is_used() -> None:
    services = ImageServices()
    services.engine.images[IMAGE] = {REVISION_LABEL: COMMIT, APP_LABEL: "old-api"}
    renamed = order()
    build.run(replace(renamed, app=replace(renamed.app, former_names=("old-api",))), services.tools())
    assert services.engine.asked == []


@pytest.mark.parametrize("labels", [{}, {REVISION_LABEL: OTHER, APP_LABEL: "api"}, {REVISION_LABEL: COMMIT}])
def test_another_image_under_our_name_in_the_engine_is_not_ours(labels: dict[str, str]) -> None:
    services = ImageServices()
    services.engine.images[IMAGE] = labels
    build.run(order(), services.tools())
    assert services.engine.asked == ["build"]


def test_a_cancelled_run_does_not_begin_to_build() -> None:
    def stop() -> None:
        raise Cancelled

    services = ImageServices()
    with pytest.raises(Cancelled):
        build.run(order(), services.tools(stop))
    assert services.engine.asked == []


def test_a_run_that_is_cancelled_while_the_files_are_chosen_does_not_build() -> None:
    services = ImageServices()

    def stop() -> None:
        if any(line.startswith("build ") for line in services.log):
            raise Cancelled

    with pytest.raises(Cancelled):
        build.run(order(), services.tools(stop))
    assert services.engine.asked == []


@pytest.mark.parametrize(
    ("options", "files", "left_out"),
    [
        (Build(), {"Dockerfile": b"", ".dockerignore": b"*.env", "a.env": b""}, ["a.env"]),
        (Build(context="web"), {"web/Dockerfile": b"", "web/.dockerignore": b"a", "web/a": b"", "b": b""}, ["a"]),
        (Build(), {"Dockerfile": b"", ".dockerignore": b"*"}, [".dockerignore"]),
        (
            Build(),
            {"Dockerfile": b"", "Dockerfile.dockerignore": b"a", ".dockerignore": b"b", "a": b"", "b": b""},
            ["a"],
        ),
        (
            Build(builder="classic"),
            {"Dockerfile": b"", "Dockerfile.dockerignore": b"a", ".dockerignore": b"b", "a": b"", "b": b""},
            ["b"],
        ),
        (Build(dockerfile="d/Dockerfile"), {"d/Dockerfile": b"", ".dockerignore": b"d", "d/x": b""}, ["d/x"]),
    ],
)
def test_the_rules_decide_what_is_sent(options: Build, files: dict[str, bytes], left_out: list[str]) -> None:
    services = ImageServices()
    services.source.files = files
    build.run(order(build=options), services.tools())
    assert services.source.left_out == left_out


def test_a_missing_dockerfile_is_named() -> None:
    services = ImageServices()
    with pytest.raises(Refused, match="web/deploy/Dockerfile") as caught:
        build.run(order(build=Build(context="web", dockerfile="deploy/Dockerfile")), services.tools())
    assert caught.value.reason is Reason.DOCKERFILE_MISSING


@pytest.mark.parametrize("path", ["Dockerfile", ".dockerignore"])
def test_a_file_too_large_for_one_that_people_write_is_refused(path: str) -> None:
    services = ImageServices()
    services.source.files = {"Dockerfile": b"FROM a", path: b"#" * (1024 * 1024 + 1)}
    with pytest.raises(Refused, match=f"{path} has 1048577 bytes; at most 1048576 are read") as caught:
        build.run(order(), services.tools())
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_a_dockerfile_outside_the_context_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        build.run(order(build=Build(dockerfile="../Dockerfile")), ImageServices().tools())
    assert caught.value.reason is Reason.CONFIG_INVALID


def test_a_given_image_is_only_looked_up() -> None:
    services = ImageServices()
    services.registry.hold(OTHER)
    outcome = build.run(order(digest=DIGEST), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["digest"]) == (True, DIGEST)


@pytest.mark.parametrize(
    "image", ["harbor.example.com/shop/team-a/api:v1", f"harbor.example.com/shop/team-a/api@{DIGEST}"]
)
def test_an_image_that_a_person_named_must_exist(image: str) -> None:
    services = ImageServices()
    named = order(commit="", ref="", image=image)
    outcome = build.run(named, services.tools())
    assert isinstance(outcome, Fail)
    assert outcome.reason is Reason.IMAGE_MISSING
    services.registry.hold("", tag="v1")
    assert isinstance(build.run(named, services.tools()), Done)
