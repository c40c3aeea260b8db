"""What our account may do in a registry, asked before it counts."""

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Asked, Reply, loopback
from tests.support.scripted_registry import Harbor, basic, client, head


def test_too_few_rights_are_found_before_the_build() -> None:
    with loopback(Harbor(head(), "pull")) as server, pytest.raises(Refused, match="allows pull on a/b") as caught:
        client(server).check_push("a/b")
    assert caught.value.reason is Reason.REGISTRY_UNAUTHORIZED


def test_a_right_that_was_granted_meanwhile_counts_at_once() -> None:
    with loopback(script := Harbor(head(), "pull")) as server:
        registry = client(server)
        with pytest.raises(Refused, match="allows pull on a/b"):
            registry.check_push("a/b")
        script.actions = ("pull", "push")
        registry.check_push("a/b")
        asked = script.tokens
        registry.check_push("a/b")
    assert script.tokens == asked, "a token that allows it is kept"


def test_a_right_that_was_withdrawn_meanwhile_counts_where_it_is_asked_for_anew() -> None:
    with loopback(script := Harbor(head())) as server:
        registry = client(server)
        registry.check_push("a/b")
        script.actions = ("pull",)
        with pytest.raises(Refused, match="allows pull on a/b"):
            registry.check_push("a/b", anew=True)


def test_whether_we_may_pull_is_asked_anew() -> None:
    with loopback(script := Harbor(head())) as server:
        registry = client(server)
        assert registry.may_pull("a/b", "v1")
        assert registry.may_pull("a/b", "v1")
        assert script.tokens == 2


def test_a_refusal_and_a_missing_image_are_answers_to_whether_we_may_pull() -> None:
    for status in (401, 403, 404, 412):
        with loopback(Harbor(lambda _, status=status: Reply(status))) as server:
            assert not client(server).may_pull("a/b", "v1")


def test_enough_rights_need_no_upload() -> None:
    with loopback(Harbor(head())) as server:
        client(server).check_push("a/b")
    assert {asked.method for asked in server.asked} == {"GET"}


def test_without_tokens_an_upload_is_tried_and_given_up() -> None:
    def answer(asked: Asked) -> Reply:
        return (
            Reply(202, headers={"Location": "/v2/a/b/blobs/uploads/1?_state=x"})
            if asked.method == "POST"
            else Reply(204)
        )

    with loopback(basic(answer)) as server:
        client(server).check_push("a/b")
    assert [(asked.method, asked.path) for asked in server.asked[-2:]] == [
        ("POST", "/v2/a/b/blobs/uploads/"),
        ("DELETE", "/v2/a/b/blobs/uploads/1"),
    ]


@pytest.mark.parametrize("status", [401, 403, 405, 500])
def test_who_may_push_need_not_be_able_to_give_an_upload_up(status: int) -> None:
    """Registries may ask for the right to delete for that, as CNCF Distribution does."""

    def answer(asked: Asked) -> Reply:
        begun = Reply(202, headers={"Location": "/v2/a/b/blobs/uploads/1"})
        return begun if asked.method == "POST" else Reply(status)

    with loopback(basic(answer)) as server:
        client(server).check_push("a/b")
    assert server.asked[-1].method == "DELETE"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (405, Reason.REGISTRY_READ_ONLY),
        (404, Reason.REGISTRY_PROJECT_MISSING),
        (403, Reason.REGISTRY_UNAUTHORIZED),
        (401, Reason.REGISTRY_UNAUTHORIZED),
    ],
)
def test_an_upload_that_is_refused_has_a_reason(status: int, reason: Reason) -> None:
    with loopback(basic(lambda asked: Reply(status))) as server, pytest.raises(Refused) as caught:
        client(server).check_push("a/b")
    assert caught.value.reason is reason
