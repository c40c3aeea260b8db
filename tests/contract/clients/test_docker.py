"""The engine client against a scripted engine on loopback: what a real one says only on a bad day."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from orchestrator.domain.apps import Build, Registry, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.loopback import Asked, Loopback, Reply, loopback
from workers.clients.docker import Engine
from workers.clients.engine_requests import CallControl

REGISTRY = Registry(url="https://h.io", username="robot$a", password=Secret("Geheim-12345"))
IMAGE = "h.io/shop/api:1"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)


def engine(server: Loopback) -> Engine:
    return Engine(server.url.replace("http://", "tcp://"))


def control(deadline: float = 10, checkpoint: Callable[[], None] = lambda: None) -> CallControl:
    return CallControl(on_line=lambda _: None, checkpoint=checkpoint, deadline=deadline)


def answering(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    def script(asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"ApiVersion": "1.41", "Version": "20.10.24"})
        return answer(asked)

    return script


def stream(*messages: dict[str, object]) -> Reply:
    def parts() -> Iterator[bytes]:
        for message in messages:
            yield json.dumps(message).encode() + b"\r\n"

    return Reply(parts=parts)


def push(reply: Reply) -> str:
    with loopback(answering(lambda _: reply)) as server:
        return engine(server).push(IMAGE, registry=REGISTRY, control=control())


def test_the_digest_of_a_push_is_in_its_stream() -> None:
    aux = {"aux": {"Tag": "1", "Digest": "sha256:0f", "Size": 1}}
    assert push(stream({"status": "Pushed", "id": "a"}, {"progressDetail": {}, **aux})) == "sha256:0f"


def test_the_digest_of_a_push_may_be_in_a_status_only() -> None:
    """As containerd's image store says it, with and without the tag in the text."""
    digest = f"sha256:{'0f' * 32}"
    for message in ({"status": f"digest: {digest} size: 855", "id": "1"}, {"status": f"1: digest: {digest} size: 8"}):
        assert push(stream({"status": "Pushed", "id": "a"}, message)) == digest


def test_the_version_is_negotiated_and_the_login_is_sent() -> None:
    with loopback(answering(lambda _: stream({"aux": {"Digest": "sha256:0f"}}))) as server:
        engine(server).push(IMAGE, registry=REGISTRY, control=control())
    asked = server.asked[-1]
    assert (asked.path, asked.query) == ("/v1.41/images/h.io/shop/api/push", {"tag": ["1"]})
    assert asked.headers["x-registry-auth"]


@pytest.mark.parametrize(("before", "after"), [("1.41", "1.52"), ("1.52", "1.44")])
@pytest.mark.parametrize("call", ["image_id", "push"])
def test_an_engine_that_was_replaced_by_another_version_is_asked_in_its_own(
    before: str, after: str, call: str
) -> None:
    speaks = [before]

    def script(asked: Asked) -> Reply:
        if asked.path == "/version":
            return Reply(body={"ApiVersion": speaks[-1], "Version": "of now"})
        if not asked.path.startswith(f"/v{speaks[-1]}/"):
            said = "too old. Minimum" if after > before else "too new. Maximum"
            return Reply(400, {"message": f"client version {before} is {said} supported API version is {speaks[-1]}"})
        return stream({"aux": {"Digest": "sha256:0f"}}) if call == "push" else Reply(body={"Id": "sha256:0f"})

    with loopback(script) as server:
        client = engine(server)
        pushed = partial(client.push, IMAGE, registry=REGISTRY, control=control())
        ask = pushed if call == "push" else partial(client.image_id, IMAGE)
        assert ask() == "sha256:0f"
        speaks.append(after)
        with pytest.raises(Unavailable, match=f"client version {before} is too") as caught:
            ask()
        assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
        assert ask() == "sha256:0f"


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (stream({"errorDetail": {"message": "denied: quota"}, "error": "denied"}), Refused, Reason.REGISTRY_QUOTA),
        (stream({"error": "x configured as immutable."}), Refused, Reason.TAG_IMMUTABLE),
        (stream({"error": "connection reset by peer"}), Unavailable, Reason.REGISTRY_UNAVAILABLE),
        (stream({"status": "done"}), Unavailable, Reason.ENGINE_UNAVAILABLE),
        (Reply(404, {"message": "No such image: x"}), Refused, Reason.IMAGE_MISSING),
        (Reply(500, {"message": "unauthorized: no"}), Refused, Reason.REGISTRY_UNAUTHORIZED),
        (Reply(400, "<html>"), Refused, Reason.ENGINE_REFUSED),
        (Reply(parts=lambda: iter([b"{not json\n"])), Unavailable, Reason.ENGINE_UNAVAILABLE),
    ],
)
def test_errors_of_a_push_are_found_in_its_stream(reply: Reply, kind: type[PilotageError], reason: Reason) -> None:
    with pytest.raises(kind) as caught:
        push(reply)
    assert caught.value.reason is reason


def silent(until: threading.Event) -> Reply:
    def parts() -> Iterator[bytes]:
        yield b'{"status":"Preparing"}\n'
        until.wait(60)

    return Reply(parts=parts)


@pytest.mark.timeout(30)
def test_a_push_that_hangs_ends_at_its_deadline() -> None:
    until = threading.Event()
    with loopback(answering(lambda _: silent(until))) as server:
        with pytest.raises(Unavailable, match="push not complete"):
            engine(server).push(IMAGE, registry=REGISTRY, control=control(deadline=0.2))
        until.set()


@pytest.mark.timeout(30)
def test_a_cancel_ends_a_silent_stream() -> None:
    until, looks = threading.Event(), itertools.count(1)

    def checkpoint() -> None:
        if next(looks) == 2:
            raise Cancelled("a person")

    with loopback(answering(lambda _: silent(until))) as server:
        with pytest.raises(Cancelled):
            engine(server).push(IMAGE, registry=REGISTRY, control=control(checkpoint=checkpoint))
        until.set()


def test_a_cancelled_build_is_also_cancelled_by_its_number() -> None:
    def checkpoint() -> None:
        raise Cancelled

    with loopback(answering(lambda _: stream())) as server, pytest.raises(Cancelled):
        engine(server).build(
            iter([b"tar"]),
            dockerfile=b"FROM scratch\n",
            tag=IMAGE,
            build=Build(),
            labels={},
            registry=REGISTRY,
            control=control(checkpoint=checkpoint),
        )
    cancels = [asked.query["id"] for asked in server.asked if asked.path.endswith("/build/cancel")]
    assert len(cancels) == 1


AMD64 = {"Id": "sha256:2", "Os": "linux", "Architecture": "amd64"}


@pytest.mark.parametrize(
    ("there", "options", "pulled"),
    [
        ({}, {}, {"h.io/tools/frontend", "h.io/base", "public"}),
        ({"public": AMD64, "h.io/base": AMD64}, {}, {"h.io/tools/frontend"}),
        ({"public": AMD64, "h.io/base": AMD64}, {"platform": "linux/amd64"}, {"h.io/tools/frontend"}),
        ({"public": AMD64}, {"platform": "linux/arm64/v8"}, {"h.io/tools/frontend", "h.io/base", "public"}),
        ({"public": AMD64, "h.io/base": AMD64}, {"pull": True}, {"h.io/tools/frontend", "h.io/base", "public"}),
    ],
    ids=["none are there", "some are there", "for this platform", "for another platform", "always"],
)
def test_bases_that_are_not_there_are_pulled_with_our_login_only_when_they_are_ours(
    there: dict[str, Any], options: dict[str, Any], pulled: set[str]
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/json"):
            name = asked.path.partition("/images/")[2].removesuffix(":1/json")
            return Reply(body=there[name]) if name in there else Reply(404, {"message": "No such image"})
        return stream({"aux": {"ID": "sha256:1"}}) if asked.path.endswith("/build") else stream()

    with loopback(answering(answer)) as server:
        image = engine(server).build(
            iter([b"tar"]),
            dockerfile=b"# syntax=h.io/tools/frontend:1\nFROM h.io/base:1\nCOPY --from=public:1 / /\n",
            tag=IMAGE,
            build=Build(**options),
            labels={},
            registry=REGISTRY,
            control=control(),
        )
    assert image == "sha256:1"
    pulls = {asked.query["fromImage"][0]: asked for asked in server.asked if asked.path.endswith("/images/create")}
    assert set(pulls) == pulled
    logins = {name: asked.headers["x-registry-auth"] != "e30=" for name, asked in pulls.items()}
    assert logins == {name: name.startswith("h.io/") for name in pulls}


@pytest.mark.parametrize(("there", "pull"), [(True, False), (True, True), (False, False)])
def test_an_image_that_is_made_anew_needs_no_newer_base(there: bool, pull: bool) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/json"):
            return Reply(body=AMD64) if there else Reply(404, {"message": "No such image"})
        if asked.path.endswith("/images/create"):
            return Reply(404, {"message": "manifest unknown"})
        return stream({"aux": {"ID": "sha256:1"}})

    lines: list[str] = []
    with loopback(answering(answer)) as server:
        build = partial(
            engine(server).build,
            iter([b"tar"]),
            dockerfile=b"FROM made-here:1\n",
            tag=IMAGE,
            build=Build(pull=pull),
            labels={},
            registry=REGISTRY,
            control=CallControl(on_line=lines.append, checkpoint=lambda: None, deadline=10),
            anew=True,
        )
        if there and not pull:
            assert build() == "sha256:1"
            assert "made-here:1 is taken as the engine has it: made-here:1: manifest unknown" in lines
        else:
            with pytest.raises(Refused, match="manifest unknown"):
                build()


def test_a_build_that_ends_without_an_image_is_tried_again() -> None:
    with loopback(answering(lambda _: stream({"stream": "Step 1/1 : FROM a\n"}))) as server:
        with pytest.raises(Unavailable) as caught:
            engine(server).build(
                iter([b"tar"]),
                dockerfile=b"FROM scratch\n",
                tag=IMAGE,
                build=Build(builder="classic"),
                labels={},
                registry=REGISTRY,
                control=control(),
            )
        assert caught.value.reason is Reason.ENGINE_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "answer"), [(404, False), (409, False), (200, True)], ids=["gone", "in use", "removed"]
)
def test_an_image_is_removed_or_stays(status: int, answer: bool) -> None:
    with loopback(answering(lambda _: Reply(status, {"message": "why"}))) as server:
        assert engine(server).remove(IMAGE) is answer


def test_an_engine_in_trouble_is_unavailable_and_a_no_is_final() -> None:
    statuses = iter([500, 400])
    with loopback(answering(lambda _: Reply(next(statuses), {"message": "why"}))) as server:
        for kind in (Unavailable, Refused):
            with pytest.raises(kind, match="why"):
                engine(server).image_id(IMAGE)


def test_an_address_that_cannot_be_used_is_told() -> None:
    for host in ("tcp://127.0.0.1:9", "nonsense://x", "unix:///nonexistent.sock"):
        with pytest.raises(Unavailable) as caught:
            Engine(host).ping()
        assert caught.value.reason is Reason.ENGINE_UNAVAILABLE


def test_older_images_are_looked_for_now_and_then_for_each_app() -> None:
    with loopback(answering(lambda asked: Reply(body="{}" if asked.method == "POST" else "[]"))) as server:
        client = engine(server)
        for app in ("api", "web", "api", "web"):
            client.tidy(f"h.io/shop/{app}", app, 3, every=600)

        assert sum(asked.path.endswith("/images/prune") for asked in server.asked) == 2
        client.tidy("h.io/shop/api", "api", 3)
        assert sum(asked.path.endswith("/images/prune") for asked in server.asked) == 3


def test_images_are_tidied_while_another_worker_removes_those_without_a_name() -> None:
    """The engine runs one such removal at a time and answers 409 to a second (moby, daemon/images/image_prune.go)."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/images/prune"):
            return Reply(409, {"message": "a prune operation is already running"})
        return Reply(body="[]", headers={"Content-Type": "application/json"})

    with loopback(answering(answer)) as server:
        assert engine(server).tidy("h.io/shop/api", "api", keep=3) == []
    assert server.asked[-1].path.endswith("/images/json")


@pytest.mark.parametrize(
    ("status", "kind", "reason", "words"),
    [
        (404, Refused, Reason.ENGINE_REFUSED, "/session: 404, page not found; a proxy between us"),
        (503, Unavailable, Reason.ENGINE_UNAVAILABLE, "/session: 503, page not found"),
    ],
)
def test_an_engine_that_opens_no_session_is_named(
    status: int, kind: type[PilotageError], reason: Reason, words: str
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status, {"message": "page not found"}) if asked.path.endswith("/session") else stream()

    build = Build(secrets=(("npm", Secret("s3cr3t")),))
    with loopback(answering(answer)) as server, pytest.raises(kind, match=words) as caught:
        engine(server).build(
            iter([b"tar"]),
            dockerfile=b"FROM scratch\n",
            tag=IMAGE,
            build=build,
            labels={},
            registry=REGISTRY,
            control=control(),
        )
    assert caught.value.reason is reason
    assert not any(asked.path.endswith("/build") for asked in server.asked)


@pytest.mark.parametrize("status", [403, 500])
def test_other_trouble_with_tidying_is_not_hidden(status: int) -> None:
    with loopback(answering(lambda _: Reply(status, {"message": "no"}))) as server, pytest.raises(PilotageError):
        engine(server).tidy("h.io/shop/api", "api", keep=3)
