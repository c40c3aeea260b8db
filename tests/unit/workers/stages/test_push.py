"""The stage `push`."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.apps import Registry
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done
from tests.support.imaging import COMMIT, IMAGE, OTHER, ImageServices, order
from tests.support.registries import DIGEST
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL
from workers.stages import build, push

TIDY = "tidy harbor.example.com/shop/team-a/api api 3"


def built() -> ImageServices:
    services = ImageServices()
    services.engine.images[IMAGE] = {REVISION_LABEL: COMMIT, APP_LABEL: "api"}
    return services


def test_an_image_is_pushed_and_read_back() -> None:
    services = built()
    outcome = push.run(order(), services.tools())
    assert outcome == Done(
        detail=f"Pushed; the registry reports {DIGEST}", outputs={"image": IMAGE, "digest": DIGEST}
    )
    assert services.engine.asked == ["push", TIDY]


def test_a_push_that_was_cut_off_after_it_landed_is_not_repeated() -> None:
    services = built()
    push.run(order(), services.tools())
    outcome = push.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert outcome.reused
    assert services.engine.asked.count("push") == 1
    assert services.log[-1] == f"{IMAGE} is in the registry ({DIGEST}) and of this commit; not pushed again"


@pytest.mark.parametrize("commit", [COMMIT, ""], ids=["ours", "an image that a person named"])
def test_what_the_build_found_in_the_registry_is_not_pushed(commit: str) -> None:
    services = ImageServices()
    services.registry.hold(commit)
    outcome = push.run(order(outputs={"digest": DIGEST}), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["digest"]) == (True, DIGEST)
    assert services.engine.asked == []


def test_an_engine_without_the_image_builds_it_again() -> None:
    services = ImageServices()
    push.run(order(), services.tools())
    assert services.engine.asked == ["build", "push", TIDY]


def test_the_image_of_another_commit_is_never_overwritten() -> None:
    services = built()
    services.registry.hold(OTHER)
    with pytest.raises(Refused) as caught:
        push.run(order(), services.tools())
    assert caught.value.reason is Reason.TAG_IMMUTABLE
    assert services.engine.asked == []


NO_LOGIN = Refused(Reason.REGISTRY_UNAUTHORIZED, "unauthorized to access repository")


def test_an_engine_that_was_refused_though_our_account_may_push_tries_again() -> None:
    """It goes on without a login where the registry's first answer is a 503."""
    services = built()
    services.engine.before_push = refusal(NO_LOGIN)
    with pytest.raises(Unavailable, match="unauthorized to access repository") as caught:
        push.run(order(), services.tools())
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_an_account_that_may_not_push_is_told() -> None:
    services = built()
    services.engine.before_push = refusal(NO_LOGIN)
    services.registry.error = Refused(Reason.REGISTRY_UNAUTHORIZED, "the token allows pull, not push")
    with pytest.raises(Refused, match="the token allows pull"):
        push.run(order(), services.tools())


def refusal(error: Refused) -> Callable[[], None]:
    def refuse() -> None:
        raise error

    return refuse


def test_an_immutable_tag_that_came_meanwhile_from_the_same_commit_is_as_good() -> None:
    services = built()

    def beaten() -> None:
        services.registry.hold(COMMIT, "sha256:" + "5c" * 32)
        raise Refused(Reason.TAG_IMMUTABLE, "configured as immutable")

    services.engine.before_push = beaten
    outcome = push.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["digest"]) == (True, "sha256:" + "5c" * 32)


@pytest.mark.parametrize(
    "error",
    [
        Refused(Reason.TAG_IMMUTABLE, "no"),
        Refused(Reason.REGISTRY_QUOTA, "full"),
        Unavailable(Reason.REGISTRY_UNAVAILABLE),
    ],
)
def test_what_the_registry_refuses_is_passed_on(error: Exception) -> None:
    services = built()

    def refuse() -> None:
        raise error

    services.engine.before_push = refuse
    with pytest.raises(type(error)) as caught:
        push.run(order(), services.tools())
    assert caught.value is error


def test_a_tag_that_is_not_there_after_the_push_is_tried_again() -> None:
    services = built()
    services.engine.after_push = services.registry.tags.clear
    with pytest.raises(Unavailable) as caught:
        push.run(order(), services.tools())
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_the_digest_is_the_registrys_even_when_another_run_was_faster() -> None:
    services = built()
    services.engine.after_push = lambda: services.registry.hold(COMMIT, "sha256:" + "5c" * 32)
    outcome = push.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert outcome.outputs["digest"] == "sha256:" + "5c" * 32


def test_a_tag_that_somebody_else_moved_meanwhile_is_refused() -> None:
    services = built()
    services.engine.after_push = lambda: services.registry.hold(OTHER, "sha256:" + "5c" * 32)
    with pytest.raises(Refused):
        push.run(order(), services.tools())


def test_a_good_push_does_not_fail_over_tidying() -> None:
    services = built()
    services.engine.tidy_error = Unavailable(Reason.ENGINE_UNAVAILABLE, "gone")
    assert isinstance(push.run(order(), services.tools()), Done)
    assert "older images were not removed from the engine: gone" in services.log


UNSCANNED = "PROJECTPOLICYVIOLATION current image without vulnerability scanning cannot be pulled"


def shown(commit: str = COMMIT, **more: Any) -> dict[str, Any]:
    """Make what Harbor's own API tells of our image."""
    labels = {"config": {"Labels": {REVISION_LABEL: commit}}}
    return {"digest": DIGEST, "extra_attrs": labels, **more}


def test_an_image_that_nobody_may_pull_before_its_scan_is_read_back_from_harbor_itself() -> None:
    services = built()
    services.registry.blocked = UNSCANNED
    services.harbor.artifacts = [shown()]
    outcome = push.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert outcome.outputs == {"image": IMAGE, "digest": DIGEST, "blocked": True}
    assert services.harbor.places[-1] == ("shop", "team-a/api", "sha-8f3e1e700000")


INDEX = {
    "extra_attrs": None,
    "references": [
        {"child_digest": "sha256:att", "platform": {"os": "unknown", "architecture": "unknown"}},
        {"child_digest": "sha256:img", "platform": {"os": "linux", "architecture": "amd64"}},
    ],
}


@pytest.mark.parametrize("before", [[shown()], [shown(**INDEX), shown()]], ids=["image", "index"])
@pytest.mark.parametrize("stage", [build, push])
def test_it_is_known_to_be_ours_when_the_run_is_repeated(stage: Any, before: list[dict[str, Any]]) -> None:
    services = ImageServices()
    services.registry.hold(COMMIT)
    services.registry.blocked = UNSCANNED
    services.harbor.artifacts = [*before]
    outcome = stage.run(order(), services.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["digest"], services.engine.asked) == (True, DIGEST, [])
    if len(before) > 1:
        assert services.harbor.places[-1][2] == "sha256:img"


@pytest.mark.parametrize(
    "artifact",
    [shown(OTHER), {"digest": DIGEST}, {"digest": DIGEST, **INDEX, "references": INDEX["references"][:1]}],  # type: ignore[index]
)
def test_what_harbor_does_not_tell_to_be_ours_is_not_ours(artifact: dict[str, Any]) -> None:
    services = built()
    services.registry.hold(OTHER)
    services.registry.blocked = UNSCANNED
    services.harbor.artifacts = [artifact]
    with pytest.raises(Refused) as caught:
        push.run(order(), services.tools())
    assert caught.value.reason is Reason.TAG_IMMUTABLE


@pytest.mark.parametrize(("said", "harbor"), [(UNSCANNED, False), ("The image is not signed by cosign.", True)])
def test_what_no_scan_will_change_is_refused(said: str, harbor: bool) -> None:
    services = built()
    services.registry.hold(COMMIT)
    services.registry.blocked = said
    with pytest.raises(Refused, match=said) as caught:
        push.run(order(registry=Registry(url="https://harbor.example.com", harbor=harbor)), services.tools())
    assert caught.value.reason is Reason.IMAGE_BLOCKED


def test_an_image_called_after_vulnerabilities_that_is_not_signed_is_refused() -> None:
    services, image = ImageServices(), "harbor.example.com/shop/vulnerability-api:sha-1"
    services.registry.hold(COMMIT, tag="sha-1")
    services.registry.blocked = "shop/vulnerability-api:sha-1: The image is not signed by cosign."
    services.harbor.artifacts = [shown()]
    with pytest.raises(Refused, match="not signed") as caught:
        push.run(order(image=image, digest=DIGEST), services.tools())
    assert caught.value.reason is Reason.IMAGE_BLOCKED
