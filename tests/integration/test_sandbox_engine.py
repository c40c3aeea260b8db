"""The engine of the sandbox: one that answers is used, else one is started and leaves nothing behind."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.engine import ensure_engine, harmless_attempts, home_of
from tests.support.engine import BUSYBOX, Journal, require_engine, tar_of
from tests.support.needs import require, require_program
from workers.clients.docker import Engine

NOWHERE = "unix:///nonexistent/docker.sock"
NO_BRIDGE = harmless_attempts(None)
"""As where no other engine has a bridge."""
STATE = "cat /proc/net/dev | cut -d: -f1; cat /proc/sys/net/ipv4/ip_forward; iptables -S; iptables -t nat -S"
"""A shell command that prints a network's interfaces, forwarding and packet filter rules."""


@pytest.fixture
def dockerd() -> None:
    require_program("dockerd", "docker.io")
    require(os.geteuid() == 0, "only root can start dockerd")


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Start engines in a network of their own that lasts as long as the test; gives a shell in it."""
    real = shutil.which("dockerd")
    if real is None or os.geteuid() != 0:
        yield lambda _command: ""
        return
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        wrapper = tmp_path / "bin" / "dockerd"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(enter)} {real} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
        yield (
            lambda command: (
                subprocess.run(
                    [*enter, "sh", "-ec", command], check=True, capture_output=True, text=True, timeout=30
                ).stdout
            )
        )
        holder.kill()


def left_behind(folder: Path) -> list[str]:
    """List mounts and processes that belong to an engine in `folder`."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    commands = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout.splitlines()
    run = home_of(folder).run
    files = [str(one) for one in run.iterdir()]
    run.rmdir()
    return [text for text in (*mounts, *commands, *files) for one in (folder, run) if str(one) in text]


def test_its_sockets_are_in_a_short_folder_however_long_the_others_are(tmp_path: Path) -> None:
    run = home_of(tmp_path / ("long-folder-name-" * 7)).run
    assert (len(str(run)) <= 60, run.stat().st_mode & 0o777) == (True, 0o700)
    run.rmdir()


@pytest.mark.engine
def test_an_engine_that_answers_is_used(tmp_path: Path) -> None:
    require_engine()
    with ensure_engine(tmp_path) as host:
        assert Engine(host).ping()
    assert not (tmp_path / "engine").exists()


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("dockerd")
def test_an_engine_is_started_builds_and_leaves_nothing_behind(tmp_path: Path, network: Callable[[str], str]) -> None:
    before = network(STATE)
    with ensure_engine(tmp_path, NOWHERE, NO_BRIDGE) as host:
        assert host != NOWHERE
        build_something(Engine(host))
        with ensure_engine(tmp_path, host) as same:
            assert same == host
    with pytest.raises(Unavailable):
        Engine(host).ping()
    assert left_behind(tmp_path) == []
    assert network(STATE) == before


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("dockerd")
def test_the_bridge_of_another_engine_stays(tmp_path: Path, network: Callable[[str], str]) -> None:
    require_program("ip", "iproute2")
    network("ip link add docker0 type bridge; ip address add 172.17.0.1/16 dev docker0; ip link set docker0 up")
    before = network(STATE)
    with ensure_engine(tmp_path, NOWHERE, harmless_attempts("172.17.0.1/16")) as host:
        assert Engine(host).ping()
    assert network(STATE) == before
    assert "docker0" in before


@pytest.mark.parametrize(
    ("bridge", "parts"), [("172.17.0.1/16", r"172\.17\.[1-9]\d*\.0/24"), ("10.9.8.1/28", r"10\.9\.8\.0/28")]
)
def test_two_engines_on_one_bridge_give_different_addresses(bridge: str, parts: str) -> None:
    for attempt in harmless_attempts(bridge):
        (part,) = (option for option in attempt if option.startswith("--fixed-cidr="))
        assert re.fullmatch(parts, part.removeprefix("--fixed-cidr="))
    assert not any("cidr" in option for attempt in harmless_attempts("") for option in attempt)
    assert all("--bridge=docker0" in attempt for attempt in harmless_attempts(""))


def build_something(engine: Engine) -> None:
    text = 'FROM scratch\nCOPY bin/busybox /bin/busybox\nRUN ["/bin/busybox", "true"]\n'
    engine.build(
        iter([tar_of({"Dockerfile": text, "bin/busybox": BUSYBOX.read_bytes()})]),
        dockerfile=text.encode(),
        tag="sandbox-test:1",
        build=Build(network="none"),
        labels={},
        registry=Registry(url="http://127.0.0.1:9"),
        control=Journal().control,
    )


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.usefixtures("dockerd")
def test_an_engine_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match="dockerd does not start") as caught,
        ensure_engine(tmp_path, NOWHERE, [["--storage-driver=nonsense", *NO_BRIDGE[0]]]),
    ):
        pass
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert "driver not supported" in caught.value.evidence
    assert left_behind(tmp_path) == []


def test_without_docker_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Refused, match=r"docker\.io"), ensure_engine(tmp_path, NOWHERE):
        pass


def test_without_root_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="DOCKER_HOST"), ensure_engine(tmp_path, NOWHERE):
        pass
