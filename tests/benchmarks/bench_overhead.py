"""From an accepted push (the 202) to the GitOps commit on its server, beside the same work without Pilotage.

Three ways bring a change of the same size (each its own, so that no cache has it) from the same forge
through the same engine to the same registry and GitOps repo, in turns:

* ours: the product, from its 202 until the branch of the GitOps repo moves;
* bare: ``git fetch`` of the commit into a warm bare mirror, BuildKit through the engine's REST API with the commit's
  files, the push, and one GitOps commit by fetch, fast-import and push: what nobody could go below;
* shell: a competent person's pipeline: clone, ``docker build``, ``docker push``, clone, ``sed``, commit, push.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

from docker import APIClient

from orchestrator.sandbox import samples
from orchestrator.sandbox.platform import FORGE_TOKEN, FORGE_USER, GITOPS, ROBOT, ROBOT_SECRET, SOURCE
from tests.benchmarks.measuring import compare, ms, timed
from tests.benchmarks.served_platform import STAGES, ServedPlatform, at, served_platform

WARM_UP = 2
_VALUES = f"{samples.CHART}/values-other.yaml"


def main(rounds: int = 15) -> None:
    """Print the comparison, and where the product's time goes."""
    ours, parts, shell, runs = [], [], [], []
    with served_platform() as here:
        bare, pipeline = _Bare(here), _Shell(here)
        for number in range(rounds + WARM_UP):
            seconds, run = _ours(here, f"Ours {number}")
            split = bare.run(f"Bare {number}")
            piped = timed(pipeline.run, f"Pipe {number}")
            if number >= WARM_UP:
                ours.append(seconds)
                runs.append(run)
                parts.append(split)
                shell.append(piped)
    print(f"  {'median':<44} {'ours':>9} {'other':>9}")
    compare(
        "push to GitOps commit, beside the bare parts", ours, [sum(one.values()) for one in parts], "1.2, +150 ms"
    )
    compare("the same, beside the shell pipeline", ours, shell)
    print("  bare parts: " + ", ".join(f"{name} {ms(median(one[name] for one in parts))}" for name in parts[0]))
    _where(runs)


def _ours(here: ServedPlatform, greeting: str) -> tuple[float, dict[str, Any]]:
    run_id = here.push(greeting)
    here.ended(run_id)
    run = here.api.run(run_id)
    return here.gitops_pushed_at() - here.accepted_at(), run | {"accepted": here.accepted_at()}


def _where(runs: list[dict[str, Any]]) -> None:
    """Print the medians of each stage's time and of the gap before it."""
    words = []
    for index, name in enumerate(STAGES[:5]):
        stages = [run["stages"] for run in runs]
        before = [run["accepted"] if index == 0 else at(run["stages"][index - 1]["finished_at"]) for run in runs]
        gaps = [at(one[index]["started_at"]) - end for one, end in zip(stages, before, strict=True)]
        words.append(f"{name} {ms(median(one[index]['seconds'] for one in stages))} (after {ms(median(gaps))})")
    print("  ours by stage: " + ", ".join(words))


class _Git:
    """Plain Git with the forge's credentials, without the user's configuration."""

    def __init__(self, here: ServedPlatform) -> None:
        pair = base64.b64encode(f"{FORGE_USER}:{FORGE_TOKEN}".encode()).decode()
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{here.platform.forge_url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
            **{f"GIT_{who}_NAME": "Bench" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "bench@example.com" for who in ("AUTHOR", "COMMITTER")},
        }

    def __call__(self, *arguments: str, stdin: bytes = b"", folder: Path | None = None) -> bytes:
        command = ["git", *(("-C", str(folder)) if folder else ()), *arguments]
        return subprocess.run(command, input=stdin, env=self.env, check=True, capture_output=True).stdout


class _Bare:
    """The parts alone."""

    def __init__(self, here: ServedPlatform) -> None:
        self._here = here
        self._git = _Git(here)
        self._source, self._gitops = here.folder / "bare-source.git", here.folder / "bare-gitops.git"
        for folder in (self._source, self._gitops):
            self._git("init", "--quiet", "--bare", str(folder))
        self._client = APIClient(base_url=here.platform.docker_host, version="1.41")
        here.platform.forge.commit(GITOPS, "main", {_VALUES: 'image:\n  tag: "none"\n'}, "Another environment")

    def run(self, greeting: str) -> dict[str, float]:
        """Do the work for a new commit; return the seconds of each part."""
        platform = self._here.platform
        commit = platform.forge.commit(SOURCE, "bare", samples.source_files(platform.base_image, greeting), greeting)
        image = f"{platform.registry_host}/{samples.IMAGE}:bare-{commit[:12]}"
        return {
            "fetch": timed(self._fetch, self._source, SOURCE, f"+{commit}:refs/bare/source"),
            "build": timed(self._build, commit, image),
            "push": timed(self._push, image),
            "commit": timed(self._commit, f"bare-{commit[:12]}"),
        }

    def _fetch(self, folder: Path, name: str, spec: str) -> None:
        self._git("fetch", "--quiet", "--no-tags", self._here.platform.repo_url(name), spec, folder=folder)

    def _build(self, commit: str, image: str) -> None:
        context = self._git("archive", "--format=tar", commit, folder=self._source)
        url = f"{self._client.base_url}/v1.41/build"
        headers = {"Content-Type": "application/x-tar"}
        answer = self._client.post(url, params={"version": "2", "t": image}, data=context, headers=headers)
        _raise_errors(answer.text)

    def _push(self, image: str) -> None:
        auth = {"username": ROBOT, "password": ROBOT_SECRET}
        _raise_errors(self._client.push(image, auth_config=auth))

    def _commit(self, tag: str) -> None:
        url = self._here.platform.repo_url(GITOPS)
        self._fetch(self._gitops, GITOPS, "+refs/heads/main:refs/bare/main")
        content = f'image:\n  tag: "{tag}"\n'.encode()
        stream = b"commit refs/bare/main\nmark :1\ncommitter B <b@example.com> 1700002000 +0000\ndata 4\nbare\n"
        stream += b"from refs/bare/main^0\nM 100644 inline %s\n" % _VALUES.encode()
        stream += b"data %d\n%s\ndone\n" % (len(content), content)
        self._git("fast-import", "--quiet", "--done", stdin=stream, folder=self._gitops)
        self._git("push", "--quiet", url, "refs/bare/main:refs/heads/main", folder=self._gitops)


class _Shell:
    """A pipeline of command-line tools; logging in to the registry is not counted."""

    def __init__(self, here: ServedPlatform) -> None:
        self._here = here
        self._git = _Git(here)
        self._docker = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker") or "docker"
        folder = here.folder / "docker-config"
        folder.mkdir()
        pair = base64.b64encode(f"{ROBOT}:{ROBOT_SECRET}".encode()).decode()
        auths = {"auths": {here.platform.registry_host: {"auth": pair}}}
        (folder / "config.json").write_text(json.dumps(auths), encoding="utf-8")
        self._env = {
            **os.environ,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(folder),
            "DOCKER_HOST": here.platform.docker_host,
        }

    def run(self, greeting: str) -> None:
        """Commit a change (not counted by Pilotage: no hook fits) and bring it to the GitOps repo."""
        platform = self._here.platform
        commit = platform.forge.commit(SOURCE, "shell", samples.source_files(platform.base_image, greeting), greeting)
        work = self._here.folder / f"shell-{commit[:8]}"
        image = f"{platform.registry_host}/{samples.IMAGE}:shell-{commit[:12]}"
        self._git("clone", "-q", "--depth", "1", "-b", "shell", platform.repo_url(SOURCE), str(work / "source"))
        self._run("build", "-q", "-t", image, str(work / "source"))
        self._run("push", "-q", image)
        self._git("clone", "-q", "--depth", "1", platform.repo_url(GITOPS), str(work / "gitops"))
        pattern = f's/^  tag: .*/  tag: "shell-{commit[:12]}"/'
        subprocess.run(["sed", "-i", pattern, str(work / "gitops" / _VALUES)], check=True)
        self._git("commit", "-q", "-a", "-m", "Deploy", folder=work / "gitops")
        self._git("push", "-q", "origin", "HEAD:main", folder=work / "gitops")
        shutil.rmtree(work)

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._docker, *arguments], env=self._env, check=True, capture_output=True)


def _raise_errors(text: str) -> None:
    for line in text.splitlines():
        if line.strip() and "error" in json.loads(line):
            raise SystemExit(line)


if __name__ == "__main__":
    main()
