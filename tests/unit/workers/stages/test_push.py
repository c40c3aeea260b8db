"""The stage `push`."""

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done
from tests.support.imaging import COMMIT, DIGEST, IMAGE, OTHER, World, order
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL
from workers.stages import push

TIDY = "tidy harbor.example.com/shop/team-a/api api 3"


def built() -> World:
    world = World()
    world.engine.images[IMAGE] = {REVISION_LABEL: COMMIT, APP_LABEL: "api"}
    return world


def test_an_image_is_pushed_and_read_back() -> None:
    world = built()
    outcome = push.run(order(), world.tools())
    assert outcome == Done(
        detail=f"Pushed; the registry reports {DIGEST}", outputs={"image": IMAGE, "digest": DIGEST}
    )
    assert world.engine.asked == ["push", TIDY]


def test_a_push_that_was_cut_off_after_it_landed_is_not_repeated() -> None:
    world = built()
    push.run(order(), world.tools())
    outcome = push.run(order(), world.tools())
    assert isinstance(outcome, Done)
    assert outcome.reused
    assert world.engine.asked.count("push") == 1


def test_what_the_build_found_in_the_registry_is_not_pushed() -> None:
    world = World()
    world.registry.hold(COMMIT)
    outcome = push.run(order(outputs={"digest": DIGEST}), world.tools())
    assert isinstance(outcome, Done)
    assert (outcome.reused, outcome.outputs["digest"]) == (True, DIGEST)
    assert world.engine.asked == []


def test_an_engine_without_the_image_builds_it_again() -> None:
    world = World()
    push.run(order(), world.tools())
    assert world.engine.asked == ["build", "push", TIDY]


def test_the_image_of_another_commit_is_never_overwritten() -> None:
    world = built()
    world.registry.hold(OTHER)
    with pytest.raises(Refused) as caught:
        push.run(order(), world.tools())
    assert caught.value.reason is Reason.TAG_IMMUTABLE
    assert world.engine.asked == []


def test_an_immutable_tag_that_came_meanwhile_from_the_same_commit_is_as_good() -> None:
    world = built()

    def beaten() -> None:
        world.registry.hold(COMMIT, "sha256:" + "5c" * 32)
        raise Refused(Reason.TAG_IMMUTABLE, "configured as immutable")

    world.engine.before_push = beaten
    outcome = push.run(order(), world.tools())
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
    world = built()

    def refuse() -> None:
        raise error

    world.engine.before_push = refuse
    with pytest.raises(type(error)) as caught:
        push.run(order(), world.tools())
    assert caught.value is error


def test_a_tag_that_is_not_there_after_the_push_is_tried_again() -> None:
    world = built()
    world.engine.after_push = world.registry.tags.clear
    with pytest.raises(Unavailable) as caught:
        push.run(order(), world.tools())
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_the_digest_is_the_registrys_even_when_another_run_was_faster() -> None:
    world = built()
    world.engine.after_push = lambda: world.registry.hold(COMMIT, "sha256:" + "5c" * 32)
    outcome = push.run(order(), world.tools())
    assert isinstance(outcome, Done)
    assert outcome.outputs["digest"] == "sha256:" + "5c" * 32


def test_a_tag_that_somebody_else_moved_meanwhile_is_refused() -> None:
    world = built()
    world.engine.after_push = lambda: world.registry.hold(OTHER, "sha256:" + "5c" * 32)
    with pytest.raises(Refused):
        push.run(order(), world.tools())


def test_a_good_push_does_not_fail_over_tidying() -> None:
    world = built()
    world.engine.tidy_error = Unavailable(Reason.ENGINE_UNAVAILABLE, "gone")
    assert isinstance(push.run(order(), world.tools()), Done)
    assert "older images were not removed from the engine: gone" in world.log
