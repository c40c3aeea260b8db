"""Webhooks accepted with the durable write, beside Debian's `webhook`, which stores nothing.

Both verify the HMAC of the same pushes of 16 KB as GitHub words them, each with an id and a commit of its own, over
50 connections. Ours then has written delivery, run and wake-up to SQLite with full sync. `webhook` answers before it
starts its command, one `true`, and is busy for some seconds after the last answer: the next round waits for that.

First each server has one core, and the load comes from another one: neither takes the other's time, so what a request
costs is compared. There `webhook` answers as many as when the goal was set (946 a second, p99 517 ms). Then all cores
are free to all: `webhook` uses as many as there are, and ours, one process, little more than one.
"""

import hashlib
import hmac
import json
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli import assembly
from orchestrator.cli.broker import Broker
from orchestrator.cli.httpd import Httpd
from orchestrator.cli.product import free_address
from orchestrator.domain.apps import Hook, Secret
from orchestrator.store import migrate
from orchestrator.store.database import Database, sqlite_url
from tests.benchmarks.github_push import AFTER, payload
from tests.benchmarks.measuring import cpu
from tests.support.factories import make_settings

SECRET = "bench-secret"
CONNECTIONS = 50
SECONDS = 5
QUIET = 1.0
"""Seconds without processor time after which a server has done all it was asked for."""
BODIES = 100_000
ROUND = 20_000
"""Bodies of a round: the next one begins behind them, so that each push names a commit of its own."""

_LUA = """
local pairs_, n = {}, 0
for line in io.lines(%(pairs)r) do n = n + 1; pairs_[n] = line end
local parts = {}
for part in (io.open(%(body)r):read("*a") .. "@@AFTER@@"):gmatch("(.-)@@AFTER@@") do parts[#parts + 1] = part end
local at, base = 0, 0
function setup(thread) end
function init(args) base = tonumber(args[1] or 0); at = base end
request = function()
  at = at + 1
  local line = pairs_[(at - 1) %% n + 1]
  local after, signature = line:sub(1, 40), line:sub(42)
  return wrk.format("POST", %(path)r, {
    ["Content-Type"] = "application/json", ["X-GitHub-Event"] = "push",
    ["X-GitHub-Delivery"] = base .. "-" .. at, ["X-Hub-Signature-256"] = "sha256=" .. signature,
  }, table.concat(parts, after))
end
"""


Cores = Collection[int]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is being measured."""

    address: str
    pid: int


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured: answers a second, and milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int


def prepare(folder: Path, path: str) -> Path:
    """Write the wrk script, and each body's commit with its signature."""
    body, lines = payload(), []
    for number in range(BODIES):
        after = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
        signature = hmac.new(SECRET.encode(), body.replace(AFTER, after).encode(), hashlib.sha256).hexdigest()
        lines.append(f"{after} {signature}")
    names = {"pairs": "pairs.txt", "body": "body.json"}
    files = {key: folder / name for key, name in names.items()}
    files["pairs"].write_text("\n".join(lines) + "\n")
    files["body"].write_text(body)
    script = folder / "load.lua"
    script.write_text(_fill(files, path))
    return script


def _fill(files: dict[str, Path], path: str) -> str:
    text = _LUA.replace("%%", "%")
    for key, file in files.items():
        text = text.replace(f"%({key})r", json.dumps(str(file)))
    return text.replace("%(path)r", json.dumps(path))


@contextmanager
def on(cores: Cores) -> Iterator[None]:
    """Have what is started inside the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def load(script: Path, server: Server, round_: int, cores: Cores) -> Load:
    """Run wrk once on these cores, and wait until the server has done what it answered for."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script)]
    command += [f"http://{server.address}", "--", str(round_ * ROUND)]
    with on(cores):
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    _await_quiet(server.pid)
    return Load(rate, _ms(told, "50%"), _ms(told, "99%"), int(errors[1]) if errors else 0)


def _await_quiet(pid: int) -> None:
    """Wait until a process and its children have used no processor time for a while."""
    since, before = time.monotonic(), -1.0
    while time.monotonic() - since < QUIET:
        used = sum(own + helpers for own, helpers in cpu(pid).values())
        if used - before > 0.02:
            since, before = time.monotonic(), used
        time.sleep(0.05)


def _ms(told: str, what: str) -> float:
    value, unit = re.search(rf"{what}\s+([\d.]+)(us|ms|s)", told).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


@contextmanager
def ours(folder: Path) -> Iterator[Server]:
    """Serve our webhook endpoint."""
    address = free_address()
    hook = Hook(forge="github", secret=Secret(SECRET))
    settings = make_settings(str(folder), hooks=(hook,), bind=address)
    database = Database(sqlite_url(str(folder)))
    migrate.upgrade(database)
    database.close()
    parts = assembly.Parts(settings, Broker(""))

    def serve() -> None:
        with (folder / "webhooks.log").open("wb") as log:
            os.dup2(log.fileno(), 1)  # as a service manager does: the lines are written, to a file
        assembly.log_as("webhooks", settings)
        Httpd(lambda: assembly.webhooks_app(parts), address).run()

    server = multiprocessing.get_context("fork").Process(target=serve)
    server.start()
    try:
        _wait(address)
        yield Server(address, server.pid or 0)
    finally:
        server.terminate()
        server.join()


@contextmanager
def theirs(folder: Path, *, waits: bool) -> Iterator[Server]:
    """Serve Debian's `webhook`. :param waits: it answers when its command has ended."""
    address = free_address()
    host, port = address.split(":")
    rule = {
        "match": {
            "type": "payload-hmac-sha256",
            "secret": SECRET,
            "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
        }
    }
    hook = {"id": "github", "execute-command": shutil.which("true"), "trigger-rule": rule}
    hooks = folder / f"hooks-{waits}.json"
    hooks.write_text(json.dumps([{**hook, "include-command-output-in-response": waits}]))
    server = subprocess.Popen(
        ["webhook", "-hooks", str(hooks), "-ip", host, "-port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(address)
        yield Server(address, server.pid)
    finally:
        server.terminate()
        server.wait()


def _wait(address: str) -> None:
    host, port = address.split(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(address)


def main(rounds: int = 5) -> None:
    """Measure both in turn, on one core and on all, and print medians and the ratios."""
    missing = [name for name in ("webhook", "wrk") if shutil.which(name) is None]
    if missing:
        print(f"  left out: it needs {' and '.join(missing)} (Debian's package names)")
        return
    first, *others = every = sorted(os.sched_getaffinity(0))
    if others:
        _report("one core", _measured([first], others, rounds), " (goal 1.5)")
    _report(f"all {len(every)} cores", _measured(every, every, rounds))


def _measured(cores: Cores, load_cores: Cores, rounds: int) -> list[list[Load]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        mine, other = prepare(_sub(folder, "a"), "/webhooks/github"), prepare(_sub(folder, "b"), "/hooks/github")
        with on(cores):
            here = servers.enter_context(ours(_sub(folder, "state")))
            beside = servers.enter_context(theirs(folder, waits=False))
            waiting = servers.enter_context(theirs(folder, waits=True))
        pairs = (mine, here), (other, beside), (other, waiting)
        return [_round(number, pairs, load_cores) for number in range(rounds)]


def _round(number: int, pairs: Iterable[tuple[Path, Server]], cores: Cores) -> list[Load]:
    loads = [load(script, server, number, cores) for script, server in pairs]
    print(f"  round {number}: ours {loads[0]}  webhook {loads[1]}  that waits {loads[2]}", flush=True)
    return loads


def _sub(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _report(cores: str, measured: Sequence[Sequence[Load]], goal: str = "") -> None:
    from statistics import median

    rate, p99 = (
        [median(getattr(loads[at], what) for loads in measured) for at in range(3)] for what in ("rate", "p99")
    )
    ratio = [median(loads[0].rate / loads[at].rate for loads in measured) for at in (1, 2)]
    print(f"{cores}: ours {rate[0]:.0f}/s, webhook {rate[1]:.0f}/s, ratio {ratio[0]:.2f}{goal}")
    print(f"  webhook that answers when its command has ended {rate[2]:.0f}/s, ratio {ratio[1]:.2f}")
    print(f"  p99 ours {p99[0]:.0f} ms (goal 50), webhook {p99[1]:.0f} and {p99[2]:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
