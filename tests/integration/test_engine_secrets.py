"""Secrets of a build against the real Docker engine: there for one step, and nowhere else."""

import hashlib
import threading
import uuid

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from tests.support.engine import Journal
from tests.support.yard import Yard, base, engine, network, own_base, registry, yard

__all__ = ["base", "engine", "own_base", "registry", "yard"]
pytestmark = [pytest.mark.engine, pytest.mark.slow]

MOUNTED = "RUN --mount=type=secret,id=npm,required=true "


def test_a_step_reads_a_secret_that_is_in_no_layer_and_in_no_history(yard: Yard, own_base: str) -> None:
    """The base is private, so the session may not come between the engine and our login."""
    word, journal = f"s3cr3t$ {uuid.uuid4().hex}", Journal()
    digest = f"{MOUNTED}sha256sum /run/secrets/npm | cut -c1-64 > /digest; cat /digest\n"
    gone = "RUN test ! -e /run/secrets/npm\n"
    build = network("buildkit", secrets=(("npm", Secret(word)), ("other", Secret("x"))))
    image = yard.build({"Dockerfile": f"FROM {own_base}\n{digest}{gone}"}, build, journal)
    assert any(hashlib.sha256(word.encode()).hexdigest() in line for line in journal.lines)
    saved = yard.saved(image)
    assert b"digest" in saved
    assert word.encode() not in saved


def test_a_large_secret_with_many_lines_arrives_whole(yard: Yard, base: str) -> None:
    word, journal = f"{uuid.uuid4().hex}\n" + "x" * 60_000 + "\n", Journal()
    text = f"FROM {base}\n{MOUNTED}sha256sum /run/secrets/npm  # {uuid.uuid4()}\n"
    yard.build({"Dockerfile": text}, network("buildkit", secrets=(("npm", Secret(word)),)), journal)
    assert any(hashlib.sha256(word.encode()).hexdigest() in line for line in journal.lines)


def test_a_secret_that_nobody_configured_is_named_before_or_in_the_build(yard: Yard, base: str) -> None:
    with pytest.raises(Refused, match="line 2 mounts `npm`") as caught:
        yard.build({"Dockerfile": f"FROM {base}\n{MOUNTED}npm ci\n"}, network("buildkit"))
    assert caught.value.reason is Reason.SECRET_MISSING
    journal, optional = Journal(), MOUNTED.replace(",required=true", "")
    text = f"FROM {base}\n{optional}test ! -e /run/secrets/npm && echo {uuid.uuid4()}\n"
    yard.build({"Dockerfile": text}, network("buildkit"), journal)
    assert any("`npm` is not in the app's `build.secrets`" in line for line in journal.lines)


def test_a_build_that_takes_too_long_ends_its_session(yard: Yard, base: str) -> None:
    def sessions() -> list[str]:
        return [one.name for one in threading.enumerate() if one.name == "build-session"]

    text = f"FROM {base}\n{MOUNTED}echo begun; sleep 301\n"
    build = network("buildkit", secrets=(("npm", Secret("s3cr3t")),))
    with pytest.raises(Refused, match="not complete"):
        yard.build({"Dockerfile": text}, build, Journal(deadline=8))
    assert sessions() == []


def test_a_new_value_changes_nothing_until_the_image_is_made_anew(yard: Yard, base: str) -> None:
    text = f"FROM {base}\n{MOUNTED}sha256sum /run/secrets/npm  # {uuid.uuid4()}\n"

    def made(word: str, *, anew: bool = False) -> bool:
        build, journal = network("buildkit", secrets=(("npm", Secret(word)),)), Journal()
        yard.build({"Dockerfile": text}, build, journal, anew=anew)
        return any(hashlib.sha256(word.encode()).hexdigest() in line for line in journal.lines)

    words = [uuid.uuid4().hex for _ in range(3)]
    assert made(words[0])
    assert not made(words[1]), "BuildKit's cache does not know the value"
    assert made(words[2], anew=True)
