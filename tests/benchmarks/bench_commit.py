"""How long a landing takes on a large GitOps repo, against the least that Git needs for it.

Run it: ``python -m tests.benchmarks.bench_commit``. The server is real (smart HTTP on loopback). "Bare" is one
``git fast-import`` and one ``git push`` of the same edits with Git's own settings, without looking at the branch,
without history search, without proof. Our settings suit large trees better, which can outweigh all of that. Medians
of five; the two are measured in turns, so that noise hits both.
"""

import subprocess
import tempfile
from pathlib import Path
from statistics import median

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Change, Edit, Landed
from tests.benchmarks.measuring import timed
from tests.support.git import environ, git
from tests.support.githttp import Forge, forge
from workers.clients.git import GITOPS, Mirror
from workers.gitops.commit import land
from workers.gitops.values import edit

APPS = 10_000
FILES = ("Chart.yaml", "values-stg.yaml", "values-prod.yaml")
REPEATS = 5


def content(app: int, tag: str) -> bytes:
    return f"# app {app}\nimage:\n  repository: registry/x/app-{app}\n  tag: {tag}\nreplicas: 2\n".encode()


def path(app: int, name: str = "values-stg.yaml") -> str:
    return f"charts/applications/app-{app:05d}/{name}"


def fill(server: Forge) -> None:
    """Put the applications into the repository, by one commit and 500 later ones."""
    server.commit({path(app, name): content(app, "sha-0") for app in range(APPS) for name in FILES})
    lines = []
    for number in range(500):
        raw = content(number, f"sha-{number}x")
        lines.append(b"commit refs/heads/main\ncommitter A <a@b.c> %d +0000\ndata 1\nx\n" % (1_700_000_100 + number))
        lines.append(b"from refs/heads/main^0\n" if number == 0 else b"")
        lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path(number).encode(), len(raw), raw))
    git(server.repo, "fast-import", "--quiet", stdin=b"".join(lines))


def bare(server: Forge, folder: Path, head: str, apps: list[int], tag: str) -> None:
    """Write and push by two commands; the head is known beforehand."""
    config = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{server.url}.extraHeader"}
    env = environ() | config | {"GIT_CONFIG_VALUE_0": "Authorization: Basic Ym90OnMzY3JldC10b2tlbg=="}
    parts = []
    for number, app in enumerate(apps):
        raw = content(app, tag)
        parts.append(b"commit refs/bare\nmark :%d\ncommitter A <a@b.c> 1700002000 +0000\ndata 1\nx\n" % (number + 1))
        parts.append(f"from {head}\n".encode() if number == 0 else b"")
        parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path(app).encode(), len(raw), raw))
    stream = b"".join(parts) + b"get-mark :%d\ndone\n" % len(apps)
    begin = ["git", f"--git-dir={folder}"]
    done = subprocess.run(
        [*begin, "fast-import", "--quiet", "--force"], input=stream, capture_output=True, check=True
    )
    push = [*begin, "push", "--quiet", server.url, f"{done.stdout.decode().strip()}:refs/heads/main"]
    subprocess.run(push, check=True, capture_output=True, env=env)


def ours(mirror: Mirror, apps: list[int], tag: str, first_run: int) -> None:
    """Land the same edits."""
    changes = [
        Change(
            run=first_run + number,
            file=path(app),
            edits=(Edit(path="image.tag", value=tag),),
            message=f"deploy(app-{app}): stg to {tag}",
            trailers=(("Pilotage-Run", str(first_run + number)), ("Pilotage-Image", f"registry/x/app-{app}:{tag}")),
            date=1_700_002_000,
        )
        for number, app in enumerate(apps)
    ]
    results = land(mirror, "main", changes, author=Author(), deadline_s=60, checkpoint=lambda: None)
    if not all(isinstance(result, Landed) and result.created for result in results):
        raise SystemExit(f"not landed: {results}")


def measure(server: Forge, mirror: Mirror, count: int, rounds: int) -> None:
    """Print one line of the table."""
    least, real = [], []
    for turn in range(rounds):
        apps = [1000 * (turn + 1) + number for number in range(count)]
        head = mirror.fetch_branch("main")  # each starts from a copy that holds what the other has pushed
        least.append(timed(bare, server, mirror.folder, head, apps, f"bare-{count}-{turn}"))
        mirror.fetch_branch("main")
        run = count * 1000 + turn * 100
        real.append(timed(ours, mirror, apps, f"sha-{run}", run))
    ratio = median(real) / median(least)
    print(f"{count:>7} {median(least):>9.3f} s {median(real):>9.3f} s {max(real):>9.3f} s {ratio:>7.2f}")


def large_file(server: Forge, mirror: Mirror, rounds: int) -> None:
    """Edit one scalar in a values file of 2 MB."""
    filler = b"".join(b"  setting-%06d: some value of the application\n" % number for number in range(44_000))
    server.commit({path(0): b"settings:\n" + filler + content(0, "big")})
    mirror.fetch_branch("main")
    took = [timed(ours, mirror, [0], f"big-{turn}", 900_000 + turn) for turn in range(rounds)]
    raw = server.show(path(0))
    edited = [timed(edit, raw, [Edit(path="image.tag", value=f"again-{turn}")]) for turn in range(rounds)]
    print(f"a values file of {len(filler) / 1e6:.1f} MB: edited in {median(edited):.3f} s (goal 0.3 s), ", end="")
    print(f"landed in {median(took):.3f} s")


def main(rounds: int = REPEATS) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder, forge(Path(folder) / "srv") as server:
        fill(server)
        mirror = server.mirror(Path(folder), GITOPS)
        first = timed(mirror.fetch_branch, "main")
        print(f"{APPS} apps, {APPS * len(FILES)} files; first fetch {first:.2f} s")
        print("one change: goal 0.35 s and at most 1.2 times bare Git")
        print(f"{'changes':>7} {'bare':>11} {'landed':>11} {'worst':>11} {'ratio':>7}")
        for count in (1, 10, 50):
            measure(server, mirror, count, rounds)
        large_file(server, mirror, rounds)


if __name__ == "__main__":
    main()
