"""A forge on loopback: real Git repositories over smart HTTP, signed hooks on every push, and a page per commit."""

import base64
import html
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIEnvironment

from orchestrator.sandbox.forge_git import HostedRepository, push_commit, run_git, with_header
from orchestrator.sandbox.forge_hooks import Courier, HookFault, RepositoryHook, SentDelivery
from orchestrator.sandbox.forge_lfs import MARK, ForgeLfs
from orchestrator.sandbox.forge_payloads import FLAVOURS, github_ping
from orchestrator.sandbox.forge_statuses import PREFIX as API
from orchestrator.sandbox.forge_statuses import ForgeStatuses
from orchestrator.sandbox.githttp import Fault, GitHttpApp, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

USER, TOKEN = "dev", "sandbox-token"
"""Who may push when nobody else is named."""
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>'
    "body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto}}pre{{overflow:auto}}</style>"
    "<h1>{title}</h1>{body}"
)


class SandboxForge:
    """Create repositories, hook them to Pilotage, and push: with any Git client, or with `commit`.

    :param state_dir: folder of the repositories; what is there is served again.
    :param users: name to token of everybody who may read and push.
    :param listen: address to listen on. :param name: host in the addresses that it gives out; "" = `listen`.
    :ivar statuses: those of the commits. :ivar lfs: its server of Git LFS; put contents there before they are pushed.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        users: Mapping[str, str] | None = None,
        listen: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
    ) -> None:
        self.users = dict(users or {USER: TOKEN})
        self.base_url = ""
        self._git = GitHttpApp(state_dir, users=self.users)
        self._git.after_receive = self._received
        self._courier = Courier()
        self.lfs = ForgeLfs(state_dir, self._git.user)
        self.statuses = ForgeStatuses(self._has, self.users.values())
        self._hooks: list[RepositoryHook] = []
        self._repositories: dict[str, HostedRepository] = {}
        self._lock = threading.Lock()
        self._listen, self._port, self._name = listen, port, name
        self._stack = ExitStack()
        state_dir.mkdir(parents=True, exist_ok=True)
        for path in sorted(state_dir.glob("*/*.git")):
            self._known(path.relative_to(state_dir).as_posix().removesuffix(".git"), path)

    def start(self) -> str:
        """Listen; return the base URL."""
        self.base_url = self._stack.enter_context(serve(self, self._listen, self._port, name=self._name))
        self._courier.start()
        self._stack.callback(self._courier.stop)
        return self.base_url

    def stop(self) -> None:
        """Stop listening and sending; the repositories stay."""
        self._stack.close()

    def create_repo(self, name: str, files: Mapping[str, str | bytes] | None = None, *, branch: str = "main") -> str:
        """Create a repository (an existing one is kept) with a first commit of `files`; return its clone URL.

        :param name: ``owner/name``. :raises ValueError: it is not of that form.
        """
        if name.count("/") != 1:
            raise ValueError(f"not owner/name: {name!r}")
        repository = self._known(name, self._git.create_repo(name, branch=branch))
        if files and not repository.resolve(f"refs/heads/{branch}"):
            self.commit(name, branch, dict(files), "Begin")
        return self.clone_url(name)

    def clone_url(self, name: str) -> str:
        """Return where to clone from, without credentials."""
        return f"{self.base_url}/{name}.git"

    def commit(
        self,
        name: str,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str,
        author: tuple[str, str] = ("Dev Eloper", "dev@example.com"),
    ) -> str:
        """Commit files on a branch (made when it is missing) and push for real; return the commit's id.

        :param files: path to content; None deletes. :raises subprocess.CalledProcessError: the push was refused.
        """
        arguments = (branch, files, message, author)
        return push_commit(self._repositories[name], self.clone_url(name), self._header(), *arguments)

    def tag(self, name: str, tag: str, target: str, message: str = "") -> str:
        """Tag a commit by a real push, annotated when there is a message; return the id that the tag has."""
        repository = self._repositories[name]
        sha = repository.resolve(target)
        if message:
            body = f"object {sha}\ntype commit\ntag {tag}\ntagger Dev Eloper <dev@example.com> 0 +0000\n\n{message}\n"
            sha = run_git(["--git-dir", str(repository.path), "mktag"], stdin=body).strip()
        self.push_refs(name, {f"refs/tags/{tag}": sha})
        return sha

    def push_refs(self, name: str, refs: Mapping[str, str], *, force: bool = False) -> None:
        """Move refs to objects that the repository has, in one push; "" deletes.

        :raises subprocess.CalledProcessError: the push was refused.
        """
        specs = [f"{'+' if force else ''}{sha}:{ref}" if sha else f":{ref}" for ref, sha in refs.items()]
        command = ["--git-dir", str(self._repositories[name].path), "push", "-q", self.clone_url(name), *specs]
        run_git(command, env=with_header(self._header()))

    def head(self, name: str, branch: str = "main") -> str:
        """Return the commit that a branch is at; "" when there is no such branch."""
        return self._repositories[name].resolve(f"refs/heads/{branch}")

    def hook(self, name: str, url: str, secret: str, flavour: str = "github") -> RepositoryHook:
        """Send the events of a repository to a URL from now on; GitHub begins with a ping.

        :raises KeyError: no such repository or flavour.
        """
        repository, how = self._repositories[name], FLAVOURS[flavour]
        hook = RepositoryHook(repository=name, url=url, secret=secret, flavour=flavour)
        with self._lock:
            self._hooks.append(hook)
        if how.ping:
            self._courier.hand_over(hook, *github_ping(self.base_url, repository, url))
        return hook

    def fault(self, fault: HookFault) -> None:
        """Have something go wrong with the next deliveries (pings aside)."""
        self._courier.fault(fault)

    @property
    def requests(self) -> list[str]:
        """Method and path of every request of Git clients so far, oldest first."""
        return list(self._git.requests)

    def git_fault(self, fault: Fault) -> None:
        """Have something go wrong with the next requests of Git clients."""
        self._git.inject(fault)

    def refuse_pushes(self, name: str, words: str) -> None:
        """Refuse every push to a repository, as branch protection does; "" lifts it again."""
        self._git.refuse_pushes(name, words)

    def keep_lfs_elsewhere(self, *, redirects: bool = False) -> str:
        """Hand contents of Git LFS out from another address, as with an object store; return it."""
        self.lfs.store_url = self._stack.enter_context(serve(self.lfs, self._listen, name=self._name))
        self.lfs.redirects = redirects
        return self.lfs.store_url

    def deliveries(self) -> list[SentDelivery]:
        """Return the delivery log so far."""
        return self._courier.log()

    def settle(self, timeout: float = 30.0) -> list[SentDelivery]:
        """Wait until no delivery is on its way and return the log. :raises TimeoutError: one still is."""
        return self._courier.settle(timeout)

    def redeliver(self, delivery_id: str) -> None:
        """Send a delivery again; only GitHub keeps its id then. :raises KeyError: it is not known."""
        self._courier.redeliver(delivery_id)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a Git client or a browser (WSGI)."""
        path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
        if MARK in path:
            return self.lfs(environ, start_response)
        if ".git/" in path:
            return self._git(environ, start_response)
        if path.startswith(API):
            return self.statuses(environ, start_response)
        title, body = self._page(path.strip("/").split("/"))
        content = _PAGE.format(title=html.escape(title), body=body).encode()
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(content)))]
        start_response("200 OK" if body else "404 Not Found", headers)
        return [content]

    def _page(self, parts: "Sequence[str]") -> tuple[str, str]:
        """Return title and HTML: all repositories, one with its commits, or one commit; no HTML = not found."""
        repository = self._repositories.get("/".join(parts[:2]))
        if parts == [""]:
            return "Forge", _links((f"/{name}", name) for name in self._repositories) or "<p>No repository yet.</p>"
        if repository is not None and len(parts) == 2:
            found = repository.commits(["HEAD"]) if repository.resolve("HEAD") else []
            rows = ((f"/{repository.name}/commit/{one.sha}", f"{one.sha[:7]} {one.message[:72]}") for one in found)
            return repository.name, _links(rows) or "<p>Empty.</p>"
        if repository is not None and len(parts) == 4 and parts[2] == "commit" and repository.resolve(parts[3]):
            commit = repository.resolve(parts[3])
            told = self.statuses.of(repository.name, commit).values()
            rows = ((one.url, f"{one.state}: {one.context}, {one.description}") for one in told)
            text = html.escape(repository.show(commit))
            return f"{repository.name}: {parts[3][:7]}", f"{_links(rows)}<pre>{text}</pre>"
        return "Not found", ""

    def _received(self, path: str) -> None:
        """Hand over what a push is to be told; Git's own answer does not wait for it."""
        repository = self._repositories[path.removesuffix(".git")]
        with self._lock:
            hooks = [hook for hook in self._hooks if hook.repository == repository.name]
            for push in repository.take_pushes():
                for hook in hooks:
                    for event in FLAVOURS[hook.flavour].push(self.base_url, repository, push):
                        self._courier.hand_over(hook, *event)

    def _has(self, name: str, sha: str) -> bool | None:
        repository = self._repositories.get(name)
        return None if repository is None else repository.resolve(sha) == sha

    def _known(self, name: str, path: Path) -> HostedRepository:
        with self._lock:
            repository = self._repositories.get(name)
            if repository is None:
                repository = HostedRepository(path=path, name=name, id=len(self._repositories) + 1)
                repository.record_pushes()
                self._repositories[name] = repository
        return repository

    def _header(self) -> str:
        user, token = next(iter(self.users.items()))
        return "Authorization: Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def _links(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<p><a href="{html.escape(url)}">{html.escape(words)}</a></p>' for url, words in rows)
