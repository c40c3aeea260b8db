"""The stand-in of Harbor under stress: large blobs, kept connections, faults, restarts and sudden deaths."""

import http.client
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.sandbox.harbor import HttpFault, SandboxHarbor
from orchestrator.sandbox.harbor_registry import RegistryProcess
from tests.support.harbor import (
    ADMIN,
    REPOSITORY,
    SECRETS,
    SYSTEM,
    RunningHarbor,
    digest_of,
    harbor,
    image,
    place,
    require_registry,
    running,
)

__all__ = ["harbor"]

MIB = 1024 * 1024


# Bytes


def test_a_blob_in_chunks_is_taken_and_parts_of_it_are_given(harbor: RunningHarbor) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(1000):
            yield bytes([number % 256]) * 4099

    content = b"".join(pieces())
    begun = harbor.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    assert begun.headers["Location"].startswith(f"{harbor.url}/v2/{REPOSITORY}/blobs/uploads/")
    sent = harbor.ask("PATCH", begun.headers["Location"].removeprefix(harbor.url), data=pieces())
    assert (sent.status_code, sent.headers["Range"]) == (202, f"0-{len(content) - 1}")
    path = sent.headers["Location"].removeprefix(harbor.url)
    assert harbor.ask("PUT", f"{path}&digest={digest_of(content)}").status_code == 201
    blob = f"/v2/{REPOSITORY}/blobs/{digest_of(content)}"
    assert harbor.ask("GET", blob).content == content
    assert harbor.ask("HEAD", blob).headers["Content-Length"] == str(len(content))
    part = harbor.ask("GET", blob, headers={"Range": "bytes=4000-8999"})
    assert (part.status_code, part.content) == (206, content[4000:9000])


def test_a_blob_of_another_repository_is_mounted_if_that_may_be_read(harbor: RunningHarbor) -> None:
    harbor.push()
    digest = digest_of(b"layer")
    ask = f"blobs/uploads/?mount={digest}&from={REPOSITORY}"
    assert harbor.ask("POST", f"/v2/shop/other/{ask}").status_code == 201
    harbor.ask("POST", "/api/v2.0/projects", json={"project_name": "mart"}, user=SYSTEM)
    harbor.sandbox.accounts.set_password("robot$mart+bot", "Mart-12345")
    assert (
        harbor.ask("POST", f"/v2/mart/other/{ask}", user="robot$mart+bot", password="Mart-12345").status_code == 401
    )
    assert harbor.ask("POST", f"/v2/mart/other/{ask}", user=SYSTEM).status_code == 201


def test_one_connection_serves_many_requests_also_after_a_refusal(harbor: RunningHarbor) -> None:
    connection = http.client.HTTPConnection(harbor.host, timeout=5)
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    seen = set()
    for _ in range(3):
        connection.request("POST", path, body=iter([b"a" * MIB, b"b" * MIB]), encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, b"UNAUTHORIZED" in answer.read()) == (401, True)
        seen.add(connection.sock.getsockname())
    connection.close()
    assert len(seen) == 1


def test_what_is_no_chunk_ends_the_connection(harbor: RunningHarbor) -> None:
    connection = http.client.HTTPConnection(harbor.host, timeout=5)
    connection.putrequest("PATCH", f"/v2/{REPOSITORY}/blobs/uploads/x")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(b"-5\r\nhello\r\n0\r\n\r\n")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    connection.close()


def test_pushes_at_the_same_time_do_not_mix(harbor: RunningHarbor) -> None:
    def push(number: int) -> None:
        answers.append(harbor.push(f"v{number}", layer=bytes([number]) * MIB).status_code)

    answers: list[int] = []
    threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 8
    assert {one["digest"] for one in harbor.get(f"{place()}/artifacts", user=ADMIN)} == {
        digest_of(image(bytes([number]) * MIB)[0]) for number in range(8)
    }


# Faults


def test_harbor_is_busy_for_so_many_requests(harbor: RunningHarbor) -> None:
    harbor.sandbox.faults.add(HttpFault(where="/api/", status=503, headers={"Retry-After": "7"}, times=2))
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            harbor.api().project_exists("shop")
        assert caught.value.retry_after == 7
    assert harbor.api().project_exists("shop")


@pytest.mark.parametrize("drop", ["before", "during"])
def test_a_push_that_is_cut_off_can_be_repeated(harbor: RunningHarbor, drop: str) -> None:
    harbor.sandbox.faults.add(HttpFault(where="/blobs/uploads/", method="PUT", drop=drop))
    with pytest.raises(requests.ConnectionError):
        harbor.push(layer=b"x" * MIB)
    assert harbor.push(layer=b"x" * MIB).status_code == 201


def test_an_answer_can_get_lost_after_the_work_is_done(harbor: RunningHarbor) -> None:
    harbor.sandbox.faults.add(HttpFault(where="/manifests/", method="PUT", drop="after"))
    with pytest.raises(requests.ConnectionError):
        harbor.push()
    assert harbor.artifact()["digest"] == digest_of(image()[0])
    harbor.sandbox.faults.add(HttpFault(where="/projects", method="POST", drop="after"))
    with pytest.raises(requests.ConnectionError):
        harbor.ask("POST", "/api/v2.0/projects", json={"project_name": "mart"}, user=SYSTEM)
    assert harbor.api().project_exists("mart")


def test_maintenance_refuses_changes_and_nothing_else(harbor: RunningHarbor) -> None:
    harbor.push()
    harbor.sandbox.read_only = True
    assert harbor.push("v2").json()["errors"][0]["code"] == "DENIED"
    assert harbor.ask("POST", f"/api/v2.0{place()}/artifacts/v1/scan").status_code == 403
    assert harbor.get("/systeminfo")["read_only"] is True
    assert harbor.registry().digest(REPOSITORY, "v1")
    harbor.sandbox.read_only = False
    assert harbor.push("v2").status_code == 201


def test_a_registry_that_is_gone_is_a_bad_gateway(harbor: RunningHarbor) -> None:
    harbor.push()
    os.kill(harbor.sandbox._registry.pid, signal.SIGKILL)
    harbor.sandbox._registry._keeper.join(5)  # type: ignore[union-attr]
    answer = harbor.ask("GET", f"/v2/{REPOSITORY}/manifests/v1")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert harbor.get("/health")["status"] == "unhealthy"


def test_an_answer_can_take_its_time(harbor: RunningHarbor) -> None:
    harbor.sandbox.faults.add(HttpFault(where="/health", delay=0.3))
    begun = time.monotonic()
    harbor.get("/health")
    assert time.monotonic() - begun >= 0.3


# Life


def test_without_the_program_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused) as caught:
        SandboxHarbor(state_dir=tmp_path, robots={}, projects=[]).start()
    assert "install the package `docker-registry`" in caught.value.evidence


def test_a_registry_that_does_not_start_is_reported_with_its_words(tmp_path: Path) -> None:
    program = tmp_path / "docker-registry"
    program.write_text("#!/bin/sh\necho cannot read $2\nexit 1\n")
    program.chmod(0o755)
    registry = RegistryProcess(tmp_path / "other", "x", program=str(program))
    with pytest.raises(Unavailable) as caught:
        registry.start()
    assert "cannot read" in caught.value.evidence


def test_a_long_folder_name_is_no_hindrance(tmp_path: Path) -> None:
    with running(tmp_path / ("long" * 30)) as harbor:
        assert harbor.push().status_code == 201


def test_everything_is_still_there_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as harbor:
        harbor.push()
        harbor.sandbox.change("shop", quota=10 * MIB, auto_scan=True)
        harbor.api().start_scan("shop", "team-a/api", "v1")
        harbor.clock.now += 60
        before = harbor.artifact()
    with running(tmp_path) as harbor:
        harbor.clock.now += 60
        assert harbor.artifact() == before
        assert harbor.sandbox.policy("shop").quota == 10 * MIB
        assert harbor.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest_of(b'layer')}").content == b"layer"
        assert harbor.push("v2", layer=b"another").status_code == 201


def test_a_folder_belongs_to_one_stand_in_at_a_time(harbor: RunningHarbor, tmp_path: Path) -> None:
    other = SandboxHarbor(state_dir=tmp_path, robots=SECRETS, projects=["shop"])
    with pytest.raises(Refused) as caught:
        other.start()
    assert "stop it first" in caught.value.evidence
    assert harbor.push().status_code == 201


def test_a_port_that_is_taken_leaves_nothing_running(harbor: RunningHarbor, tmp_path: Path) -> None:
    other = SandboxHarbor(state_dir=tmp_path / "other", robots=SECRETS, projects=["shop"])
    with pytest.raises(OSError, match="in use"):
        other.start(port=int(harbor.host.rpartition(":")[2]))
    assert other._registry.pid == 0
    with other:
        assert other.url


def test_the_end_cuts_connections_and_leaves_no_process(tmp_path: Path) -> None:
    with running(tmp_path) as harbor:
        pid = harbor.sandbox._registry.pid
        connection = http.client.HTTPConnection(harbor.host, timeout=5)
        connection.request("GET", "/v2/")
        connection.getresponse().read()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises((http.client.HTTPException, OSError)):
        ask_again(connection)
    connection.close()


def ask_again(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/v2/")
    connection.getresponse()


def test_the_registry_dies_with_a_process_that_is_killed(tmp_path: Path) -> None:
    require_registry()
    program = """
        import sys, pathlib, signal
        from orchestrator.sandbox.harbor import SandboxHarbor
        harbor = SandboxHarbor(state_dir=pathlib.Path(sys.argv[1]), robots={}, projects=[])
        harbor.start()
        print(harbor._registry.pid, flush=True)
        signal.pause()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        registry = os.pidfd_open(pid)
        process.kill()
    waiter = threading.Thread(target=_wait_for_end, args=(registry,), daemon=True)
    waiter.start()
    waiter.join(5)
    assert not waiter.is_alive()
    os.close(registry)
    with running(tmp_path) as harbor:  # what it left behind is no hindrance
        assert harbor.push().status_code == 201


def _wait_for_end(process: int) -> None:
    select.select([process], [], [])
