"""The engine client against the real Docker engine and a real registry."""

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.apps import Registry, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.engine import Journal, tar_of
from tests.support.registry import Running
from tests.support.waiting import until
from tests.support.yard import Yard, base, engine, network, own_base, registry, yard
from workers.clients.docker import Engine
from workers.clients.engine_requests import CACHE_NAMESPACE, REVISION_LABEL

__all__ = ["base", "engine", "own_base", "registry", "yard"]
pytestmark = [pytest.mark.engine, pytest.mark.slow]

BUILDERS = ("buildkit", "classic")


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_private_base_image_is_pulled_with_our_login(yard: Yard, own_base: str, builder: str) -> None:
    journal = Journal()
    image = yard.build({"Dockerfile": f"FROM {own_base}\nRUN echo hello > /greeting\n"}, network(builder), journal)
    assert image == yard.engine.image_id(f"{yard.name}:1")
    assert f"pull {own_base}" in journal.lines


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_labels_are_on_the_image(yard: Yard, base: str, builder: str) -> None:
    yard.build({"Dockerfile": f"FROM {base}\nLABEL {REVISION_LABEL}=forged\n"}, network(builder))
    labels = yard.engine.labels(f"{yard.name}:1")
    assert labels is not None
    assert labels[REVISION_LABEL] == "c" * 40


@pytest.mark.parametrize("builder", BUILDERS)
def test_stages_target_and_arguments_count(yard: Yard, base: str, builder: str) -> None:
    dockerfile = (
        "ARG BASE\nFROM ${BASE} AS tools\nARG WORD\nRUN echo said $WORD\n"
        "FROM tools AS wanted\nRUN echo wanted here\nFROM tools\nRUN echo never && exit 9\n"
    )
    journal = Journal()
    build = network(builder, target="wanted", args=(("BASE", base), ("WORD", uuid.uuid4().hex)))
    yard.build({"Dockerfile": dockerfile}, build, journal)
    assert build.args[1][1] in journal.text
    assert "wanted here" in journal.text


def test_what_an_app_keeps_in_a_cache_mount_no_other_app_sees(yard: Yard, base: str) -> None:
    """It could put its own there: packages that the other one's build would take for those of their registry."""
    kept = f"FROM {base}\nRUN --mount=type=cache,id={uuid.uuid4().hex},target=/c "
    other, journal = Yard(yard.engine, yard.registry), Journal()
    yard.build({"Dockerfile": f"{kept}echo mine > /c/x\n"}, network("buildkit"))
    yard.build({"Dockerfile": f"{kept}echo again $(cat /c/x)\n"}, network("buildkit"), journal, "2")
    assert "again mine" in journal.text
    try:
        other.build({"Dockerfile": f"{kept}test ! -e /c/x\n"}, network("buildkit"))
        shared = network("buildkit", args=((CACHE_NAMESPACE, yard.app),))
        other.build({"Dockerfile": f"{kept}grep mine /c/x\n"}, shared)
    finally:
        other.close()


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_failing_step_is_named_with_its_last_lines(yard: Yard, base: str, builder: str) -> None:
    with pytest.raises(Refused) as caught:
        yard.build({"Dockerfile": f"FROM {base}\nRUN echo made it to here; exit 3\n"}, network(builder))
    assert caught.value.reason is Reason.BUILD_FAILED
    assert "exit 3" in caught.value.evidence
    assert "made it to here" in caught.value.evidence


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_base_image_that_is_not_there_is_named(yard: Yard, registry: Running, builder: str) -> None:
    missing = f"{registry.host}/plate/nosuch:1"
    with pytest.raises(Refused) as caught:
        yard.build({"Dockerfile": f"FROM {missing}\n"}, network(builder))
    assert caught.value.reason is Reason.BASE_IMAGE_UNAVAILABLE
    assert missing in caught.value.evidence


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_base_image_of_a_dead_registry_is_tried_again(yard: Yard, builder: str) -> None:
    with pytest.raises(Unavailable) as caught:
        yard.build({"Dockerfile": "FROM 127.0.0.1:9/plate/base:1\n"}, network(builder))
    assert caught.value.reason is Reason.BASE_IMAGE_UNAVAILABLE


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("text", ["FORM scratch\n", "FROM scratch\nCOPY nothere /\n"])
def test_mistakes_in_the_dockerfile_are_the_developers(yard: Yard, builder: str, text: str) -> None:
    with pytest.raises(Refused) as caught:
        yard.build({"Dockerfile": text}, network(builder))
    assert caught.value.reason is Reason.BUILD_FAILED


@pytest.mark.parametrize("builder", BUILDERS)
def test_lines_arrive_while_the_step_is_still_at_work(yard: Yard, base: str, builder: str) -> None:
    journal = Journal()
    seen_after: list[float] = []
    began = time.monotonic()

    def note(line: str) -> None:
        if line.endswith("first"):
            seen_after.append(time.monotonic() - began)

    journal.control = type(journal.control)(on_line=note, checkpoint=journal.control.checkpoint, deadline=30)
    yard.build(
        {"Dockerfile": f"FROM {base}\nRUN echo first; sleep 3; echo {uuid.uuid4()}\n"}, network(builder), journal
    )
    assert seen_after
    assert seen_after[-1] < time.monotonic() - began - 2
    assert journal.checkpoints >= 3


def processes_that_sleep(seconds: str) -> int:
    found = 0
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += command.read_bytes().split(b"\0")[:2] == [b"sleep", seconds.encode()]
        except OSError:
            continue
    return found


@pytest.mark.parametrize("builder", BUILDERS)
def test_cancel_ends_a_silent_step_within_about_a_second(yard: Yard, base: str, builder: str) -> None:
    seconds = str(300 + uuid.uuid4().int % 100_000)
    journal = Journal()

    def cancel_when_asleep() -> None:
        until(lambda: processes_that_sleep(seconds), "the silent step", 10)
        journal.stop = Cancelled("a person")

    canceller = threading.Thread(target=cancel_when_asleep)
    canceller.start()
    with pytest.raises(Cancelled):
        yard.build({"Dockerfile": f"FROM {base}\nRUN sleep {seconds}\n"}, network(builder), journal)
    until(lambda: processes_that_sleep(seconds) == 0, "the end of the silent step", 2)
    canceller.join()


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_build_that_takes_too_long_is_ended(yard: Yard, base: str, builder: str) -> None:
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        yard.build({"Dockerfile": f"FROM {base}\nRUN sleep 299\n"}, network(builder), Journal(deadline=2))
    assert caught.value.reason is Reason.BUILD_TIMEOUT
    assert time.monotonic() - began < 60


def test_a_cancel_while_the_context_is_sent_ends_the_upload(yard: Yard, base: str) -> None:
    journal = Journal()

    def endless() -> Iterator[bytes]:
        yield tar_of({"Dockerfile": f"FROM {base}\n"})[:512]
        while True:
            threading.Event().wait(0.1)
            journal.stop = Cancelled()
            yield b"\0" * 512

    with pytest.raises(Cancelled):
        yard.send(endless(), journal)


def test_a_broken_context_is_told_as_what_it_is(yard: Yard) -> None:
    def refusing() -> Iterator[bytes]:
        yield tar_of({"Dockerfile": "FROM scratch\n"})[:512]
        raise Refused(Reason.SOURCE_UNSUPPORTED, "model.bin is a Git LFS pointer")

    with pytest.raises(Refused, match=r"model\.bin"):
        yard.send(refusing())


def test_a_push_gives_the_digest_and_can_be_repeated(yard: Yard, base: str, registry: Running) -> None:
    yard.build({"Dockerfile": f"FROM {base}\nRUN echo {uuid.uuid4()} > /x\n"}, network("buildkit"))
    digest = yard.push()
    assert digest.startswith("sha256:")
    assert yard.push() == digest
    assert registry.pushes(yard.name.removeprefix(f"{registry.host}/")) == 1


def push_reason(yard: Yard, registry: Registry, reference: str) -> PilotageError:
    with pytest.raises(PilotageError) as caught:
        yard.engine.push(reference, registry=registry, control=Journal().control)
    return caught.value


def test_a_push_with_a_wrong_password_is_refused(yard: Yard, base: str) -> None:
    yard.build({"Dockerfile": f"FROM {base}\n"}, network("buildkit"))
    wrong = Registry(url=yard.registry.url, username=yard.registry.username, password=Secret("Wrong-12345"))
    error = push_reason(yard, wrong, f"{yard.name}:1")
    assert isinstance(error, Refused)
    assert error.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "Wrong-12345" not in str(error)


def test_a_push_of_an_image_that_is_not_there_says_so(yard: Yard) -> None:
    error = push_reason(yard, yard.registry, f"{yard.name}:nosuch")
    assert error.reason is Reason.IMAGE_MISSING


def test_a_push_to_a_dead_registry_is_tried_again(yard: Yard, base: str) -> None:
    yard.name = f"127.0.0.1:9/plate/{uuid.uuid4().hex[:8]}"
    yard.build({"Dockerfile": f"FROM {base}\n"}, network("buildkit"))
    error = push_reason(yard, yard.registry, f"{yard.name}:1")
    assert isinstance(error, Unavailable)
    assert error.reason is Reason.REGISTRY_UNAVAILABLE


@pytest.mark.parametrize(
    ("host", "why"),
    [("unix:///No/Such.sock", "no such file or directory"), ("tcp://127.0.0.1:9", "connection refused")],
)
def test_an_engine_that_is_not_there_is_unavailable_and_its_address_is_named(host: str, why: str) -> None:
    with pytest.raises(Unavailable) as caught:
        Engine(host).ping()
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert caught.value.evidence == f"{host}: {why}"


def test_tidying_keeps_the_newest_and_other_apps(yard: Yard, base: str) -> None:
    for tag in ("1", "2", "3"):
        yard.build({"Dockerfile": f"FROM {base}\nRUN echo {tag} > /tag\n"}, network("buildkit"), tag=tag)
    removed = yard.engine.tidy(yard.name, yard.app, 1)
    assert sorted(removed) == [f"{yard.name}:1", f"{yard.name}:2"]
    assert yard.engine.image_id(f"{yard.name}:3")
    assert yard.engine.image_id(base)
