"""Run a command with an engine that has a network, stand-ins of the base images, and Docker Compose 1 and 2.

Usage: with_compose.py COMMAND [ARGUMENT]...

The engine, its bridges and its rules for packets live in a network namespace of their own, so the machine's network
stays as it is, no port clashes, and nothing of it can leave the machine. The command runs in there as well.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from building import end_in_order, in_ci, run

from orchestrator.domain.errors import PilotageError
from orchestrator.sandbox.engine import ensure_engine, home_of

HERE = Path(__file__).resolve().parent
NEEDED = ("docker", "dockerd", "docker-compose", "ip", "mmdebstrap", "unshare")
TAGS = {"python": "python:3.11-slim", "redis": "redis:7.2", "postgres": "postgres:15"}
"""Stage of `stand-ins/Dockerfile` -> the name by which the project's files ask for it."""
MAKE_TIMEOUT, BUILD_TIMEOUT = 1500, 600
"""Seconds; the first needs the network and is mostly the machine's own doing."""


def main(command: list[str]) -> int:
    """Prepare, go into the namespace, and return the command's exit code.

    Where this machine cannot do it: 0, and 1 in CI.
    """
    if command[:1] == ["--inside"]:
        return _inside(Path(command[1]), command[2:])
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        sys.stderr.write(f"not tried: {'needs ' + ', '.join(missing) if missing else 'only root can'}\n")
        return 1 if in_ci() else 0
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pilotage" / "compose"
    subprocess.run([HERE / "stand-ins" / "make", folder], check=True, timeout=MAKE_TIMEOUT)
    inside = ["unshare", "--net", sys.executable, __file__, "--inside", str(folder), *command]
    return run(inside)


def _inside(folder: Path, command: list[str]) -> int:
    end_in_order()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    state = folder / "engine"
    try:
        # Not the machine's own engine: that one is in another network.
        with ensure_engine(state, host=home_of(state).host, attempts=((),)) as host:
            environ = {**os.environ, "DOCKER_HOST": host, "COMPOSE_V2": str(next(folder.glob("compose2-*")))}
            _sweep(environ)
            _stand_ins(folder, environ)
            code = run(command, environ)
            _sweep(environ)
            return code
    except PilotageError as error:
        sys.stderr.write(f"no Docker engine with a network: {error}\n")
        return 1


def _stand_ins(folder: Path, environ: dict[str, str]) -> None:
    """Make the base images, unless they are there already and of the same things."""
    root, wheels = next(folder.glob("root-*.tar")), next(folder.glob("wheels-*"))
    files = sorted((HERE / "stand-ins").iterdir())
    parts = b"".join(file.read_bytes() for file in files) + root.name.encode() + wheels.name.encode()
    stamp = f"pilotage-stand-in:{hashlib.sha256(parts).hexdigest()[:12]}"
    if _docker(environ, "image", "inspect", stamp, check=False).returncode == 0:
        return
    sys.stderr.write("stand-ins: making base images\n")
    _docker(environ, "system", "prune", "-a", "-f", check=False)  # what was made of earlier ones
    _docker(environ, "import", str(root), "pilotage-stand-in:root")
    context = folder / "context"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(HERE / "stand-ins", context)
    shutil.copytree(wheels, context / "wheels")
    for stage, tag in TAGS.items():
        _docker(environ, "build", "-q", "--network=none", "--target", stage, "-t", tag, str(context))
    _docker(environ, "tag", "pilotage-stand-in:root", stamp)
    shutil.rmtree(context)


def _sweep(environ: dict[str, str]) -> None:
    """Remove what a run has left, one that was killed too: the engine would start its containers again."""
    for listing, removing in ((("ps", "-aq"), ("rm", "-f")), (("volume", "ls", "-q"), ("volume", "rm", "-f"))):
        found = _docker(environ, *listing).stdout.split()
        if found:
            _docker(environ, *removing, *found, check=False)
    _docker(environ, "network", "prune", "-f", check=False)
    _docker(environ, "image", "prune", "-f", check=False)


def _docker(environ: dict[str, str], *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    command = ["docker", *arguments]
    classic = {**environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(command, env=classic, check=False, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
