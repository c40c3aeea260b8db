"""The Git side of the stand-in of Argo CD: an own bare clone of each GitOps repo, read through the ``git`` command.

Nothing here is shared with the workers: the stand-in must not agree with Pilotage about Git by construction.
"""

import base64
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

from orchestrator.domain.apps import GitAccess
from orchestrator.domain.refs import is_sha

GIT_TIMEOUT = 60.0
"""Seconds for one call of Git over the network."""
MAX_FILE = 4 * 1024 * 1024
"""Bytes of a file of the repository that is read."""


class GitError(Exception):
    """Git could not do it; one line, as the repo server words it."""


class Clone:
    """A bare clone that is fetched on demand; safe for several threads.

    :param folder: where the clone lives; made when it is missing.
    :param access: address and credentials.
    """

    def __init__(self, folder: Path, access: GitAccess) -> None:
        self._folder = folder
        self._access = access
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._fetched = 0.0
        self._reader: subprocess.Popen[bytes] | None = None

    def fetch(self, *, max_age: float = 0.0) -> None:
        """Bring the clone to what the remote has now; calls that wait for a running fetch share the next one.

        :param max_age: seconds for which an earlier fetch is good enough.
        :raises GitError: the remote cannot be reached or refuses.
        """
        asked = time.monotonic() - max_age
        with self._lock:
            if self._fetched and self._fetched > asked:
                return
            started = time.monotonic()
            if not (self._folder / "HEAD").exists():
                self._git("init", "--quiet", "--bare", str(self._folder))
            refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            self._git(
                "-C", str(self._folder), "fetch", "--quiet", "--prune", "--force", "--", self._access.url, *refs
            )
            self._fetched = started

    def resolve(self, revision: str) -> str:
        """Return the commit that a branch, tag or "HEAD" (the default branch) names in the clone.

        :raises GitError: there is none.
        """
        if is_sha(revision):
            return revision
        if revision in ("", "HEAD"):
            return self._head()
        for ref in (f"refs/heads/{revision.removeprefix('refs/heads/')}", f"refs/tags/{revision}^{{commit}}"):
            found = self._object(f"{ref}")
            if found:
                return found[0]
        raise GitError(f"unable to resolve '{revision}' to a commit SHA")

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the content of a file of a commit; None when there is no such file."""
        found = self._object(f"{commit}:{path}")
        return found[2] if found and found[1] == "blob" else None

    def identity(self, commit: str, path: str) -> str:
        """Return the object id of a file or folder of a commit; "" when there is none."""
        found = self._object(f"{commit}:{path}" if path else f"{commit}^{{tree}}")
        return found[0] if found else ""

    def close(self) -> None:
        """End the reading process."""
        with self._reading:
            if self._reader:
                _end(self._reader)
                self._reader = None

    def _head(self) -> str:
        out = self._git("ls-remote", "--", self._access.url, "HEAD")
        if not out:
            raise GitError("unable to resolve 'HEAD' to a commit SHA")
        return out.split()[0]

    def _object(self, name: str) -> tuple[str, str, bytes] | None:
        """Ask the long-lived reader for one object: id, type, content; None when it is missing."""
        if "\n" in name:
            return None
        with self._reading:
            stdin, stdout = _pipes(self._reader or self._start_reader())
            try:
                stdin.write(f"{name}\n".encode())
                stdin.flush()
                head = stdout.readline().decode("utf-8", "replace").split()
                if len(head) != 3 or not head[2].isdigit():
                    return None
                content = stdout.read(int(head[2]) + 1)[:-1]
            except OSError as error:
                self._reader = None
                raise GitError(f"the reading process ended: {error.strerror}") from error
        if head[1] == "blob" and len(content) > MAX_FILE:
            raise GitError(f"{name} is larger than {MAX_FILE} bytes")
        return head[0], head[1], content

    def _start_reader(self) -> "subprocess.Popen[bytes]":
        self._reader = subprocess.Popen(
            ["git", "-C", str(self._folder), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._env(),
            start_new_session=True,
        )
        return self._reader

    def _git(self, *arguments: str) -> str:
        process = subprocess.Popen(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env(),
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=GIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise GitError(f"git {arguments[0]} did not end within {GIT_TIMEOUT:.0f} s") from None
        if process.returncode:
            raise GitError(" ".join(err.decode("utf-8", "replace").split())[-300:])
        return out.decode("utf-8", "replace")

    def _env(self) -> dict[str, str]:
        """Give Git no user configuration and no prompt; the credentials go only to the host that they are for."""
        access = self._access
        settings = {"credential.helper": "", "core.hooksPath": os.devnull, "gc.auto": "0"}
        if access.token:
            pair = base64.b64encode(f"{access.username}:{access.token.reveal()}".encode()).decode()
            settings[f"http.{access.url}.extraHeader"] = f"Authorization: Basic {pair}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        env |= {"LC_ALL": "C", "GIT_ALLOW_PROTOCOL": "http:https:ssh:file", "GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if access.ca_file:
            env["GIT_SSL_CAINFO"] = access.ca_file
        if access.ssh_key:
            known = f"-o UserKnownHostsFile={access.known_hosts}" if access.known_hosts else ""
            env["GIT_SSH_COMMAND"] = f"ssh -i {access.ssh_key} -o IdentitiesOnly=yes -o BatchMode=yes {known}"
        return env


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise GitError("the reading process has no pipes")
    return process.stdin, process.stdout


def _end(process: "subprocess.Popen[bytes]") -> None:
    for pipe in _pipes(process):
        pipe.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
