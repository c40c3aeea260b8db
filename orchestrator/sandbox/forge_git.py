"""Reading what a push did from the bare repository itself: which refs moved, who pushed, which commits came."""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.sandbox.githttp import clean_env

TIMEOUT = 60.0
"""Seconds that one Git command may take."""
MAX_COMMITS = 2048
"""Commits that GitHub lists of one push at most."""
NO_OBJECT = "0" * 40
_PUSHES = "pilotage-pushes"
_RECORDER = f"""#!/bin/sh
mkdir -p "$GIT_DIR/{_PUSHES}"
name="$GIT_DIR/{_PUSHES}/$(date +%s%N)-$$"
{{ echo "${{REMOTE_USER:-git}}"; cat; }} > "$name.part" && mv "$name.part" "$name.push"
"""
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_FORMAT = "%H%x00%T%x00%cI%x00%an%x00%ae%x00%cn%x00%ce%x00%B%x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One ref that a push moved; ids of 40 zeros mean that it was not there before, or is not there now."""

    ref: str
    before: str
    after: str
    user: str

    @property
    def created(self) -> bool:
        """Tell whether the ref is new."""
        return set(self.before) == {"0"}

    @property
    def deleted(self) -> bool:
        """Tell whether the ref is gone."""
        return set(self.after) == {"0"}

    @property
    def name(self) -> str:
        """The short name of the branch or tag."""
        return self.ref.split("/", 2)[2]

    @property
    def is_tag(self) -> bool:
        """Tell a tag from a branch."""
        return self.ref.startswith("refs/tags/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit with its people and the files that it changed; ``when`` is ISO 8601 with its own time zone."""

    sha: str
    tree: str
    when: str
    author: tuple[str, str]
    committer: tuple[str, str]
    message: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()


@dataclass(slots=True)
class HostedRepository:
    """One bare repository on disk. ``name`` is its path on the forge, without ``.git``: ``acme/plate-web``."""

    path: Path
    name: str
    id: int = field(default=1)

    def record_pushes(self) -> None:
        """Have Git itself write down each push (``post-receive`` sees exactly what moved, in order)."""
        hook = self.path / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_RECORDER, encoding="utf-8")
        hook.chmod(0o755)

    def take_pushes(self) -> list[list[Moved]]:
        """Return the pushes since the last call, oldest first; each is the list of refs that it moved."""
        pushes = []
        for file in sorted((self.path / _PUSHES).glob("*.push")):
            try:
                user, *lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                file.unlink()
            except FileNotFoundError:  # another thread took it
                continue
            parts = [line.split(" ", 2) for line in lines]
            pushes.append([Moved(before=old, after=new, ref=ref, user=user) for old, new, ref in parts])
        return pushes

    def head(self) -> str:
        """Return the name of the default branch."""
        return self._git("symbolic-ref", "--short", "HEAD").strip()

    def resolve(self, name: str) -> str:
        """Return the commit behind a branch, tag or id; "" when there is none."""
        if not name or name.startswith("-"):
            return ""
        return self._git("rev-parse", "-q", "--verify", f"{name}^{{commit}}", check=False).strip()

    def forced(self, moved: Moved) -> bool:
        """Tell whether the push dropped commits of a branch."""
        if moved.created or moved.deleted:
            return False
        return bool(self._git("rev-list", "-n1", moved.before, f"^{moved.after}").strip())

    def arrived(self, moved: Moved) -> list[Commit]:
        """List the commits that a push of a branch brought, oldest first; for a new one, those on no other branch."""
        if moved.deleted or moved.is_tag:
            return []
        without = [moved.before] if not moved.created else self._other_branches(moved.ref)
        return self.commits([moved.after, *(f"^{sha}" for sha in without)], MAX_COMMITS)[::-1]

    def commits(self, revisions: Sequence[str], most: int = 50) -> list[Commit]:
        """List commits with their files, newest first."""
        arguments = ["log", f"-n{most}", "--topo-order", f"--format={_FORMAT}", *revisions, "--"]
        parts = self._git(*arguments).split("\0")
        rows = [parts[at : at + 8] for at in range(0, len(parts) - 8, 8)]
        shas = [row[0].strip() for row in rows]
        files = self._files(shas)
        return [_commit(sha, row, files.get(sha, [])) for sha, row in zip(shas, rows, strict=True)]

    def show(self, sha: str) -> str:
        """Return a commit as people read it, with its changes."""
        return self._git("show", "--stat", "--patch", "--no-color", sha, "--")

    def _other_branches(self, ref: str) -> list[str]:
        lines = self._git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/").splitlines()
        return sorted({sha for sha, _, name in (line.partition(" ") for line in lines) if name != ref})

    def _files(self, shas: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return (status, path) pairs of each commit; merges have none."""
        arguments = ["diff-tree", "--stdin", "--root", "-r", "--no-renames", "--name-status", "-z"]
        tokens = iter(self._git(*arguments, stdin="".join(f"{sha}\n" for sha in shas)).split("\0"))
        found: dict[str, list[tuple[str, str]]] = {}
        current: list[tuple[str, str]] = []
        for token in tokens:
            if _SHA.match(token.strip()):
                current = found.setdefault(token.strip(), [])
            elif token:
                current.append((token, next(tokens, "")))
        return found

    def _git(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        return run_git(["--git-dir", str(self.path), *arguments], stdin=stdin, check=check)


def run_git(
    arguments: Sequence[str], *, stdin: str = "", check: bool = True, env: Mapping[str, str] | None = None
) -> str:
    """Run Git without anybody's configuration; return what it printed.

    :raises subprocess.CalledProcessError: it failed and `check` is set.
    """
    done = subprocess.run(
        ["git", *arguments],
        input=stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=check,
        env=clean_env() | {"GIT_TERMINAL_PROMPT": "0"} | dict(env or {}),
    )
    return done.stdout.decode("utf-8", "replace")


def push_commit(
    repository: HostedRepository,
    url: str,
    header: str,
    branch: str,
    files: Mapping[str, str | bytes | None],
    message: str,
    author: tuple[str, str],
) -> str:
    """Commit files on top of a branch in a throw-away clone and push that over HTTP, as a developer would.

    :param header: the Authorization header of the push. :param files: path to content; None deletes.
    :raises subprocess.CalledProcessError: the push was refused.
    """
    people = {"GIT_AUTHOR_NAME": author[0], "GIT_AUTHOR_EMAIL": author[1]}
    people |= {"GIT_COMMITTER_NAME": author[0], "GIT_COMMITTER_EMAIL": author[1]}
    with tempfile.TemporaryDirectory(prefix="sandbox-clone-") as folder:
        if repository.resolve(f"refs/heads/{branch}"):
            of_branch = ["--single-branch", "--no-tags", f"--branch={branch}"]
            run_git(["clone", "-q", "--shared", *of_branch, str(repository.path), folder])
        else:
            run_git(["init", "-q", "-b", branch, folder])
        _write(Path(folder), files)
        run_git(["-C", folder, "add", "-A", "-f"])
        run_git(["-C", folder, "commit", "-q", "--allow-empty", "-F", "-"], stdin=message, env=people)
        run_git(["-C", folder, "push", "-q", url, f"HEAD:refs/heads/{branch}"], env=with_header(header))
        return run_git(["-C", folder, "rev-parse", "HEAD"]).strip()


def with_header(header: str) -> dict[str, str]:
    """Return the environment that makes Git send an HTTP header (never on a command line, where `ps` shows it)."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": header}


def _write(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _commit(sha: str, row: list[str], files: list[tuple[str, str]]) -> Commit:
    _, tree, when, author, author_mail, committer, committer_mail, message = row

    def only(statuses: str) -> tuple[str, ...]:
        return tuple(path for status, path in files if status[:1] in statuses)

    return Commit(
        sha=sha,
        tree=tree,
        when=when,
        author=(author, author_mail),
        committer=(committer, committer_mail),
        message=message,
        added=only("A"),
        removed=only("D"),
        modified=only("MT"),
    )
