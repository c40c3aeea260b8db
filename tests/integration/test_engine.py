"""The engine client against the real Docker engine and a real registry."""

import contextlib
import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from orchestrator.domain.apps import Build, Registry, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.engine import BUSYBOX, TEST_LABEL, Journal, require_engine, tar_of
from tests.support.registry import Running, real_registry
from tests.support.waiting import until
from workers.clients.docker import Engine
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BASE = 'FROM scratch\nCOPY bin/busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nENV PATH=/bin\n'
BUILDERS = ("buildkit", "classic")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return require_engine()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Running]:
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


class Yard:
    """Builds images under names of its own and takes them away afterwards."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self.engine, self.registry = engine, registry
        self.name = f"{registry.host}/plate/{uuid.uuid4().hex[:12]}"
        self.app = f"test-{uuid.uuid4().hex[:8]}"
        self.made: set[str] = set()

    def build(
        self, files: dict[str, bytes | str], build: Build, journal: Journal | None = None, tag: str = "1"
    ) -> str:
        dockerfile = files[build.dockerfile]
        reference = f"{self.name}:{tag}"
        self.made.add(reference)
        return self.engine.build(
            iter([tar_of(files)]),
            dockerfile=dockerfile if isinstance(dockerfile, bytes) else dockerfile.encode(),
            tag=reference,
            build=build,
            labels={TEST_LABEL: "1", APP_LABEL: self.app, REVISION_LABEL: "c" * 40},
            registry=self.registry,
            control=(journal or Journal()).control,
        )

    def send(self, context: Iterator[bytes], journal: Journal | None = None) -> str:
        """Build from the bytes of a context, whatever they are."""
        return self.engine.build(
            context,
            dockerfile=b"FROM scratch\n",
            tag=f"{self.name}:1",
            build=Build(),
            labels={},
            registry=self.registry,
            control=(journal or Journal()).control,
        )

    def push(self, tag: str = "1") -> str:
        return self.engine.push(f"{self.name}:{tag}", registry=self.registry, control=Journal().control)

    def saved(self, image: str) -> bytes:
        """All that the engine has of an image: its layers, its configuration and its history."""
        api = docker.from_env().api
        with contextlib.closing(api):
            return b"".join(api.get_image(image))

    def close(self) -> None:
        for reference in self.made:
            self.engine.remove(reference)
        self.engine.tidy(self.name, self.app, 0)


@pytest.fixture
def yard(engine: Engine, registry: Running) -> Iterator[Yard]:
    made = Yard(engine, registry.settings)
    yield made
    made.close()


@contextmanager
def base_image(engine: Engine, registry: Registry) -> Iterator[str]:
    """An image that is in the private registry and not in the engine."""
    made = Yard(engine, registry)
    made.build({"Dockerfile": BASE, "bin/busybox": BUSYBOX.read_bytes()}, Build(network="none"))
    made.push()
    reference = f"{made.name}:1"
    assert engine.remove(reference)
    yield reference
    made.close()


@pytest.fixture(scope="module")
def base(engine: Engine, registry: Running) -> Iterator[str]:
    with base_image(engine, registry.settings) as reference:
        yield reference


@pytest.fixture
def own_base(engine: Engine, registry: Running) -> Iterator[str]:
    """A name that no other test has used: a step that was ended a moment ago still holds its image in the engine."""
    with base_image(engine, registry.settings) as reference:
        yield reference


def network(builder: str, **options: object) -> Build:
    return Build(builder=builder, network="none", **options)  # type: ignore[arg-type]


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
    assert time.monotonic() - began < 5


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


MOUNTED = "RUN --mount=type=secret,id=npm,required=true "


def test_a_step_reads_a_secret_that_is_in_no_layer_and_in_no_history(yard: Yard, own_base: str) -> None:
    """The base is private, so the session may not come between the engine and our login."""
    word, journal = f"s3cr3t$ {uuid.uuid4().hex}", Journal()
    digest = f"{MOUNTED}sha256sum /run/secrets/npm | cut -c1-64 > /digest; cat /digest\nRUN ls -A /run\n"
    build = network("buildkit", secrets=(("npm", Secret(word)), ("other", Secret("x"))))
    image = yard.build({"Dockerfile": f"FROM {own_base}\n{digest}"}, build, journal)
    assert any(hashlib.sha256(word.encode()).hexdigest() in line for line in journal.lines)
    assert not any("npm" in line for line in journal.lines if "secrets" not in line)
    saved = yard.saved(image)
    assert b"digest" in saved
    assert word.encode() not in saved


def test_a_large_secret_with_many_lines_arrives_whole(yard: Yard, base: str) -> None:
    word, journal = f"{uuid.uuid4().hex}\n" + "x" * 400_000 + "\n", Journal()
    text = f"FROM {base}\n{MOUNTED}sha256sum /run/secrets/npm\n"
    yard.build({"Dockerfile": text}, network("buildkit", secrets=(("npm", Secret(word)),)), journal)
    assert any(hashlib.sha256(word.encode()).hexdigest() in line for line in journal.lines)


def test_a_secret_that_nobody_configured_is_named_before_or_in_the_build(yard: Yard, base: str) -> None:
    with pytest.raises(Refused, match="line 2 needs the secret `npm`") as caught:
        yard.build({"Dockerfile": f"FROM {base}\n{MOUNTED}npm ci\n"}, network("buildkit"))
    assert caught.value.reason is Reason.CONFIG_INVALID
    journal, optional = Journal(), MOUNTED.replace(",required=true", "")
    text = f"FROM {base}\n{optional}test ! -e /run/secrets/npm && echo {uuid.uuid4()}\n"
    yard.build({"Dockerfile": text}, network("buildkit"), journal)
    assert any("`npm` is not in the app's `build.secrets`" in line for line in journal.lines)


def test_a_build_that_is_cancelled_ends_its_session(yard: Yard, base: str) -> None:
    def sessions() -> list[str]:
        return [one.name for one in threading.enumerate() if one.name == "build-session"]

    text = f"FROM {base}\n{MOUNTED}echo begun; sleep 301\n"
    build = network("buildkit", secrets=(("npm", Secret("s3cr3t")),))
    with pytest.raises(Refused, match="not complete"):
        yard.build({"Dockerfile": text}, build, Journal(deadline=3))
    assert sessions() == []


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
