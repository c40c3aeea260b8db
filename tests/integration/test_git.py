"""The Git client against a real Git server over HTTP: what it fetches, reads, refuses and survives."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.domain.apps import Author, Secret
from orchestrator.domain.errors import Cancelled, PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.githttp import TOKEN, USER, Fault, Forge, forge, git
from workers.clients.git import GITOPS, SOURCE, Draft, Mirror, PushVerdict, mirror_folder
from workers.clients.git_errors import Missing
from workers.clients.git_lock import exclusive
from workers.clients.git_process import Output

NOBODY = "1" * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv") as running:
        running.commit({"README.md": "hello\n", "web/app.py": "print()\n"}, message="first")
        yield running


@pytest.fixture
def mirror(server: Forge, tmp_path: Path) -> Mirror:
    return server.mirror(tmp_path / "state")


def children_of(url: str) -> list[str]:
    """Command lines of Git processes that still speak to `url`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if url in words and "git" in words:
            found.append(words)
    return found


# fetching


def test_the_first_fetch_makes_the_mirror_and_later_ones_follow_the_branch(server: Forge, mirror: Mirror) -> None:
    assert mirror.fetch_branch("main") == server.head()
    newer = server.commit({"README.md": "again\n"})
    assert mirror.fetch_branch("main") == newer
    server.commit({"x": "1"}, branch="side")
    git(server.repo, "update-ref", "refs/heads/main", server.head("side"))  # a forced push to unrelated history
    assert mirror.fetch_branch("main") == server.head("side")


@pytest.mark.parametrize(
    "branch", ["feature/a", "릴리스/한글-가지", "dev+x", "a'b", "$(touch-x)", "`id`", "-x"[1:], "가" * 83]
)
def test_branches_with_strange_names_are_fetched(server: Forge, mirror: Mirror, branch: str) -> None:
    head = server.commit({"f": branch}, branch=branch)
    assert mirror.fetch_branch(branch) == head
    assert mirror.resolve(branch) == head


def test_a_branch_may_take_the_place_of_a_folder_of_branches(server: Forge, mirror: Mirror) -> None:
    server.commit({"f": "1"}, branch="release")
    mirror.fetch_branch("release")
    git(server.repo, "update-ref", "-d", "refs/heads/release")
    head = server.commit({"f": "2"}, branch="release/1.0")
    assert mirror.fetch_branch("release/1.0") == head
    with pytest.raises(Missing):
        mirror.fetch_branch("release")


@pytest.mark.parametrize(
    "name",
    [
        "--upload-pack=touch /tmp/pwned",
        "-h",
        "../../x",
        "a..b",
        "a b",
        "x\ny",
        "x:y",
        "+main",
        "main^{}",
        "a" * 251,
        "",
        "refs/../heads",
        "x.lock",
        "main\x00",
    ],
)
def test_names_that_git_would_not_create_never_reach_it(server: Forge, mirror: Mirror, name: str) -> None:
    if name == "+main":  # Git takes this one; it must stay a name and not become a force sign
        head = server.commit({"f": "plus"}, branch=name)
        assert mirror.fetch_branch(name) == head
        return
    for call in (mirror.fetch_branch, mirror.resolve, lambda text: mirror.push(NOBODY, text)):
        server.app.requests.clear()
        with pytest.raises(Refused) as caught:
            call(name)
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert server.app.requests == []


def test_a_commit_comes_by_its_ref(server: Forge, mirror: Mirror) -> None:
    commit = server.head()
    server.commit({"README.md": "newer\n"})
    mirror.fetch_commit(commit, "refs/heads/main")
    assert mirror.has(commit)
    assert mirror.read(commit, "README.md") == b"hello\n"


def test_a_commit_that_is_here_is_not_asked_for_again(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_commit(server.head(), "main")
    server.app.requests.clear()
    mirror.fetch_commit(server.head(), "main")
    assert server.app.requests == []


def test_a_commit_comes_by_its_id_when_the_branch_was_rewritten_or_deleted(server: Forge, mirror: Mirror) -> None:
    lost = server.commit({"f": "lost"}, branch="topic")
    git(server.repo, "update-ref", "-d", "refs/heads/topic")
    mirror.fetch_commit(lost, "refs/heads/topic")
    assert mirror.read(lost, "f") == b"lost"


def test_a_commit_is_found_in_other_branches_when_the_server_gives_none_by_id(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = server.commit({"f": "1"}, branch="other")
    server.commit({"f": "2"}, branch="other")
    real = server.app.__call__

    def protocol_0(environ, start_response):  # type: ignore[no-untyped-def]
        environ.pop("HTTP_GIT_PROTOCOL", None)  # only version 0 servers refuse ids that no ref has
        return real(environ, start_response)

    monkeypatch.setattr(type(server.app), "__call__", lambda _, *given: protocol_0(*given))
    mirror.fetch_commit(wanted, "refs/heads/main")
    assert mirror.read(wanted, "f") == b"1"


@pytest.mark.parametrize("commit", [NOBODY, "abc", "", "HEAD", "--output=x", "0" * 64])
def test_a_commit_that_the_remote_does_not_have_is_named(server: Forge, mirror: Mirror, commit: str) -> None:
    with pytest.raises(Refused) as caught:
        mirror.fetch_commit(commit, "refs/heads/main")
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert not mirror.has(commit)


def test_tags_are_peeled_to_their_commit(server: Forge, mirror: Mirror) -> None:
    first = server.head()
    git(server.repo, "tag", "light", first)
    git(server.repo, "tag", "-a", "-m", "one", "v1", first)
    git(server.repo, "tag", "-a", "-m", "two", "v1-again", "v1")
    git(server.repo, "tag", "main", server.commit({"README.md": "newer\n"}, branch="side"))
    for name in ("light", "v1", "v1-again", "refs/tags/v1", "main", first):
        assert mirror.resolve(name) == first
        assert mirror.has(first)
    assert mirror.resolve("refs/tags/main") == server.head("side")
    with pytest.raises(Missing, match="no branch or tag 'v9'"):
        mirror.resolve("v9")


def test_a_tag_of_something_else_than_a_commit_is_refused(server: Forge, mirror: Mirror) -> None:
    git(server.repo, "tag", "tree", f"{server.head()}^{{tree}}")
    with pytest.raises(Missing):
        mirror.resolve("tree")


def test_the_remote_says_where_refs_stand(server: Forge, mirror: Mirror) -> None:
    git(server.repo, "tag", "-a", "-m", "one", "v1", server.head())
    everything = mirror.ls_remote()
    assert everything["refs/heads/main"] == everything["refs/tags/v1^{}"] == everything["HEAD"] == server.head()
    server.commit({"f": "1"}, branch="refs/heads/main")  # the full name is refs/heads/refs/heads/main
    assert mirror.ls_remote(["refs/heads/main", "refs/heads/gone"]) == {"refs/heads/main": server.head()}
    assert mirror.ls_remote(["HEAD"]) == {"HEAD": server.head()}
    assert not mirror.folder.exists()


def test_repositories_with_sha256_ids_work(server: Forge, tmp_path: Path) -> None:
    other = server.app.root / "team" / "new.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(other)], check=True)
    new = Forge(app=server.app, base=server.base, repo=other, name="team/new")
    commit = new.commit({"f": "sha256"})
    mirror = new.mirror(tmp_path / "state")
    assert len(commit) == 64
    assert mirror.fetch_branch("main") == commit
    assert mirror.read(commit, "f") == b"sha256"


# many at once, and after crashes


def test_several_workers_make_and_use_one_mirror_at_once(server: Forge, tmp_path: Path) -> None:
    for number in range(4):
        server.commit({"f": str(number)}, branch=f"b{number}")

    def work(number: int) -> str:
        return server.mirror(tmp_path / "state").fetch_branch(f"b{number % 4}")

    with ThreadPoolExecutor(8) as pool:
        heads = list(pool.map(work, range(16)))
    assert heads == [server.head(f"b{number % 4}") for number in range(16)]
    assert sorted(path.suffix for path in (tmp_path / "state" / "mirrors").iterdir()) == [".git", ".lock"]


def test_a_fetch_waits_for_another_one_and_gives_up_in_time(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    with exclusive(mirror.folder.with_name(mirror.folder.name + ".lock"), 1.0):
        with pytest.raises(Unavailable, match="another fetch"):
            mirror.fetch_branch("main", timeout=0.2)
        with pytest.raises(Cancelled):
            mirror.fetch_branch("main", timeout=5.0, checkpoint=_cancel)
    assert mirror.fetch_branch("main", timeout=5.0) == server.head()


def _cancel() -> None:
    raise Cancelled("asked by a person")


def test_locks_that_killed_processes_left_do_not_stop_the_next_fetch(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    own = next(path for path in (mirror.folder / "refs" / "pilotage" / "branch").iterdir())
    for lock in (own.with_name(own.name + ".lock"), mirror.folder / "packed-refs.lock", mirror.folder / "HEAD.lock"):
        lock.touch()
    (mirror.folder / "fast_import_crash_12").touch()
    for ending in (".0123.new", ".4567.damaged"):
        mirror.folder.with_name(mirror.folder.name + ending).mkdir()
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert list(mirror.folder.rglob("*.lock")) + list(mirror.folder.glob("fast_import*")) == []
    assert sorted(path.suffix for path in mirror.folder.parent.iterdir()) == [".git", ".lock"]


def _cut_head(folder: Path) -> None:
    (folder / "HEAD").write_bytes(b"")


def _cut_refs(folder: Path) -> None:
    for ref in (folder / "refs" / "pilotage" / "branch").iterdir():
        ref.write_bytes(b"")


def _cut_objects(folder: Path) -> None:
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def _lose_objects(folder: Path) -> None:
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            path.unlink()


def _lose_half(folder: Path) -> None:
    (folder / "HEAD").unlink()


DAMAGES = [_cut_head, _cut_refs, _cut_objects, _lose_objects, _lose_half]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_made_again_by_the_next_fetch(server: Forge, mirror: Mirror, damage) -> None:  # type: ignore[no-untyped-def]
    mirror.fetch_branch("main")
    damage(mirror.folder)
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert mirror.read(newer, "web/app.py") == b"print()\n"


@pytest.mark.parametrize("damage", [_cut_head, _cut_objects, _lose_objects, _lose_half])
def test_reading_a_damaged_mirror_asks_for_a_retry_that_then_works(server: Forge, mirror: Mirror, damage) -> None:  # type: ignore[no-untyped-def]
    commit = mirror.fetch_branch("main")
    damage(mirror.folder)
    with pytest.raises(Unavailable) as caught:
        mirror.read(commit, "README.md")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert "the local copy" in caught.value.evidence
    mirror.fetch_commit(commit, "main")
    assert mirror.read(commit, "README.md") == b"hello\n"


def test_a_commit_without_its_files_does_not_count_as_here(server: Forge, mirror: Mirror) -> None:
    commit = server.commit({"new.txt": "new\n"})
    mirror.fetch_branch("main")
    blob = git(server.repo, "rev-parse", f"{commit}:new.txt")
    git(
        mirror.folder,
        "update-ref",
        "-d",
        next(iter(git(mirror.folder, "for-each-ref", "--format=%(refname)").split())),
    )
    (mirror.folder / "objects" / blob[:2] / blob[2:]).unlink()
    assert not mirror.has(commit)
    mirror.fetch_commit(commit, "main")
    assert mirror.read(commit, "new.txt") == b"new\n"


def test_a_mirror_that_became_slow_is_packed(server: Forge, mirror: Mirror) -> None:
    assert not mirror.tidy(force=True)
    head = mirror.fetch_branch("main")
    assert not mirror.tidy()
    assert mirror.tidy(force=True)
    assert len(list((mirror.folder / "objects" / "pack").glob("*.pack"))) == 1
    assert mirror.read(head, "README.md") == b"hello\n"
    with exclusive(mirror.folder.with_name(mirror.folder.name + ".lock"), 1.0):
        assert not mirror.tidy(force=True)


def test_landings_do_not_pile_up_packs(server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.clients.git_keep._MANY_PACKS", 3)
    head = mirror.fetch_branch("main")
    counts = []
    for number in range(6):
        with mirror.landing("main", 5.0):
            draft = Draft(path=f"f{number}", mode="100644", content=b"x", message="m", date=number)
            (head,) = mirror.write(head, [draft], branch="main", author=Author())
        counts.append(len(list((mirror.folder / "objects" / "pack").glob("*.pack"))))
    assert max(counts) <= 3
    assert mirror.read(head, "f0") == b"x"


def test_writing_on_a_commit_that_is_not_here_is_an_error(mirror: Mirror, server: Forge) -> None:
    mirror.fetch_branch("main")
    draft = Draft(path="f", mode="100644", content=b"x", message="m", date=1)
    with pytest.raises(Unavailable):
        mirror.write(NOBODY, [draft], branch="main", author=Author())
    assert mirror.fetch_branch("main") == server.head()


# what may not leak, and what may not be obeyed


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "/srv/git/x.git",
        "./x.git",
        "ext::sh -c touch% /tmp/pwned",
        "ext::sh",
        "--upload-pack=x",
        "-oProxyCommand=x",
        "git://git.example.com/x.git",
        "ftp://git.example.com/x.git",
        "https://user:pass@git.example.com/x.git",
        "https://-x/x.git",
        "ssh://-oProxyCommand=x/x.git",
        "https://git.example.com",
        "https://git.example.com/x.git\n--upload-pack=x",
        "https://git.example.com:port/x.git",
        "-x@host:path",
        "host:-oProxyCommand=x"[:0] or "http://",
    ],
)
def test_only_addresses_of_repositories_on_servers_are_taken(server: Forge, tmp_path: Path, url: str) -> None:
    with pytest.raises(Refused) as caught:
        server.mirror(tmp_path, url=url)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "pass@" not in str(caught.value)


def test_local_addresses_are_for_tests_that_ask_for_them(server: Forge, tmp_path: Path) -> None:
    access = server.access(url=f"file://{server.repo}", token=Secret(""))
    mirror = Mirror(access, mirror_folder(tmp_path, access.url), allow_local=True)
    assert mirror.fetch_branch("main") == server.head()


def test_the_credentials_are_nowhere_to_be_found(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = server.app.__call__

    def look(environ, start_response):  # type: ignore[no-untyped-def]
        seen.extend(children_of(server.url))
        return real(environ, start_response)

    monkeypatch.setattr(type(server.app), "__call__", lambda _, *given: look(*given))
    mirror.fetch_branch("main")
    assert seen
    kept = "".join(path.read_text("latin-1") for path in mirror.folder.rglob("*") if path.is_file())
    assert not any(TOKEN in text or "Basic" in text for text in (*seen, kept))


def test_the_credentials_stay_with_their_server(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    with forge(tmp_path / "elsewhere") as other:
        target = f"{other.url}/info/refs?service=git-upload-pack"
        server.app.inject(Fault(service="upload", discovery=True, status=302, headers=(("Location", target),)))
        with pytest.raises(Refused, match="redirects"):
            mirror.fetch_branch("main")
        assert other.app.requests == []


def test_a_wrong_token_is_refused_without_a_prompt_and_not_shown(server: Forge, tmp_path: Path) -> None:
    for token in ("wrong-token-1", ""):
        with pytest.raises(Refused) as caught:
            server.mirror(tmp_path / "s", token=Secret(token)).fetch_branch("main")
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert "login" in caught.value.evidence
        assert "wrong-token-1" not in str(caught.value)


def test_settings_of_the_machine_and_of_a_calling_hook_do_not_count(
    server: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "pwned"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {server.base}/\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", str(proof))
    mirror.fetch_branch("main")
    hook = mirror.folder / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert not proof.exists()


# foreign errors become ours


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(discovery=True, status=401), Refused, "login"),
        (Fault(discovery=True, status=403), Refused, "403"),
        (Fault(discovery=True, status=404), Refused, "no such repository"),
        (Fault(discovery=True, status=200), Refused, "not a Git repository"),
        (Fault(discovery=True, status=301, headers=(("Location", "/x"),)), Refused, "redirects"),
        (Fault(discovery=True, status=429), Unavailable, "429"),
        (Fault(discovery=True, status=500), Unavailable, "the server failed"),
        (Fault(discovery=True, status=503), Unavailable, "503"),
        (Fault(status=502), Unavailable, "the server failed"),
        (Fault(discovery=True, drop="before"), Unavailable, "connection broke"),
        (Fault(drop="after", times=3), Unavailable, "connection broke"),
    ],
)
@pytest.mark.parametrize("reasons", [SOURCE, GITOPS])
def test_answers_of_the_server_become_our_errors(
    server: Forge, tmp_path: Path, fault: Fault, kind: type[PilotageError], words: str, reasons
) -> None:  # type: ignore[no-untyped-def]
    mirror = server.mirror(tmp_path / "state", reasons)
    server.app.inject(fault)
    with pytest.raises(kind) as caught:
        mirror.fetch_branch("main")
    assert type(caught.value) is kind
    assert caught.value.reason is (reasons.refused if kind is Refused else reasons.unavailable)
    assert words in caught.value.evidence
    assert "\n" not in caught.value.evidence


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:1/x.git", "no connection"), ("http://nowhere.invalid/x.git", "cannot be resolved")],
)
def test_a_server_that_is_not_there_is_unavailable(server: Forge, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        server.mirror(tmp_path, url=url).ls_remote()


def test_a_slow_server_is_given_up_and_no_process_is_left(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=3.0))
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in"):
        mirror.fetch_branch("main", timeout=0.4)
    assert time.monotonic() - began < 2.0
    _until(lambda: children_of(server.url) == [])


def test_a_checkpoint_ends_a_fetch_and_no_process_is_left(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=5.0))
    began = time.monotonic()
    with pytest.raises(Cancelled):
        mirror.fetch_branch("main", checkpoint=_cancel)
    assert time.monotonic() - began < 3.0
    _until(lambda: children_of(server.url) == [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_outlives_a_killed_worker(server: Forge, mirror: Mirror) -> None:
    server.app.inject(Fault(service="upload", discovery=True, delay=10.0))
    script = (
        "import os, sys; from pathlib import Path; from orchestrator.domain.apps import GitAccess, Secret;"
        "from workers.clients.git import Mirror; url, folder, user = sys.argv[1:];"
        "access = GitAccess(url=url, username=user, token=Secret(os.environ['TOKEN']));"
        "Mirror(access, Path(folder)).fetch_branch('main')"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, server.url, str(mirror.folder), USER],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "TOKEN": TOKEN},
    )
    _until(lambda: any("remote-http" in words for words in children_of(server.url)))
    worker.kill()
    worker.wait()
    _until(lambda: children_of(server.url) == [])


def _until(condition) -> None:  # type: ignore[no-untyped-def]
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("did not happen within 10 s")


def test_ssh_runs_with_our_key_and_host_keys_only(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, log = tmp_path / "bin", tmp_path / "ssh.log"
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\nfor last; do :; done\neval "$last"\n')
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    key, hosts = tmp_path / "my key", tmp_path / "known hosts"
    hosts.touch()
    key.touch(0o600)
    access = {"url": f"ssh://git@git.example.com{server.repo}", "ssh_key": str(key), "known_hosts": str(hosts)}
    assert server.mirror(tmp_path, token=Secret(""), **access).fetch_branch("main") == server.head()
    words = log.read_text().splitlines()
    assert words[words.index("-i") + 1] == str(key)
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f'UserKnownHostsFile="{hosts}"',
        "IdentitiesOnly=yes",
    } <= set(words)
    key.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        server.mirror(tmp_path, **access)


# reading


@pytest.fixture
def tree(server: Forge, mirror: Mirror) -> str:
    """A commit with everything that a tree can hold."""
    server.commit(
        {
            "values.yaml": "image: {}\n",
            "run.sh": "#!/bin/sh\n",
            "한글/값.yaml": "tag: 가\n",
            "link.yaml": "values.yaml",
            "way": "한글",
            "vendor/lib": NOBODY,
            'we"ird -n.txt': "odd",
            "-rf": "dash",
        },
        modes={"run.sh": "100755", "link.yaml": "120000", "way": "120000", "vendor/lib": "160000"},
    )
    return mirror.fetch_branch("main")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("values.yaml", b"image: {}\n"),
        ("한글/값.yaml", "tag: 가\n".encode()),
        ('we"ird -n.txt', b"odd"),
        ("-rf", b"dash"),
        ("nothing.yaml", None),
        ("web/nothing/at/all", None),
        ("*", None),
    ],
)
def test_files_are_read_as_committed(mirror: Mirror, tree: str, path: str, content: bytes | None) -> None:
    assert mirror.read(tree, path) == content


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("link.yaml", "link.yaml is a symbolic link"),
        ("way/값.yaml", "way, on the way to way/값.yaml, is a symbolic link"),
        ("vendor/lib", "vendor/lib is a submodule"),
        ("vendor/lib/x", "vendor/lib, on the way to vendor/lib/x, is a submodule"),
        ("web", "web is a folder"),
        ("../values.yaml", "leaves the repository"),
        ("web/../../x", "leaves the repository"),
        ("./values.yaml", "plain form"),
        ("web//app.py", "plain form"),
        (".git/config", "leaves the repository"),
        ("/etc/passwd", "not a path inside"),
        ("", "not a path inside"),
        ("web\\app.py", "backslash"),
        ("web\x00", "control character"),
        ("a" * 5000, "too long"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused_by_name(mirror: Mirror, tree: str, path: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        mirror.read(tree, path)
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
    assert words in caught.value.evidence


def test_an_entry_tells_its_mode(mirror: Mirror, tree: str) -> None:
    modes = {path: getattr(mirror.entry(tree, path), "mode", None) for path in ("run.sh", "web", "link.yaml", "no")}
    assert modes == {"run.sh": "100755", "web": "040000", "link.yaml": "120000", "no": None}


def test_a_file_that_is_too_large_is_refused(server: Forge, mirror: Mirror) -> None:
    server.commit({"big": b"x" * (16 * 1024 * 1024 + 1)})
    with pytest.raises(Refused, match="at most"):
        mirror.read(mirror.fetch_branch("main"), "big")


def test_only_full_ids_name_commits(mirror: Mirror, tree: str) -> None:
    for name in ("main", "HEAD", tree[:12], "--all", ""):
        with pytest.raises(ValueError, match="full commit id"):
            mirror.read(name, "values.yaml")
        assert mirror.is_ancestor(name, tree) is None
        assert mirror.changed_paths(name, tree) is None
        assert not mirror.has(name)


def test_ancestry_and_changes_between_commits(server: Forge, mirror: Mirror) -> None:
    assert mirror.is_ancestor(NOBODY, NOBODY) is None
    assert mirror.changed_paths(NOBODY, NOBODY) is None
    old = server.head()
    new = server.commit({"README.md": None, "한글.txt": "x", "web/app.py": "print(1)\n"})
    side = server.commit({"f": "1"}, branch="side")
    for branch in ("main", "side"):
        mirror.fetch_branch(branch)
    table = [(old, new, True), (new, old, False), (new, new, True), (old, side, False), (old, NOBODY, None)]
    for older, newer, answer in table:
        assert mirror.is_ancestor(older, newer) is answer
    assert mirror.changed_paths(old, new) == ("README.md", "web/app.py", "한글.txt")
    assert mirror.changed_paths(old, old) == ()
    assert mirror.changed_paths(old, NOBODY) is None


def test_a_commit_says_who_when_and_why(server: Forge, mirror: Mirror) -> None:
    message = "제목: add \U0001f680\n\nBody line.\n\nPilotage-Run: 7\nSigned-off-by: Bo <bo@example.com>\n"
    server.commit({"f": "1"}, message=message)
    info = mirror.commit_info(mirror.fetch_branch("main"))
    assert (info.author_name, info.author_email, info.committer_email) == (
        "Ann",
        "ann@example.com",
        "ann@example.com",
    )
    assert info.date == "2023-11-14T22:13:20+00:00"
    assert info.subject == "제목: add \U0001f680"
    assert info.body.startswith("Body line.\n\nPilotage-Run: 7")
    assert info.trailers == (("Pilotage-Run", "7"), ("Signed-off-by", "Bo <bo@example.com>"))


def test_a_command_that_fails_for_another_cause_is_unavailable(mirror: Mirror, tree: str) -> None:
    error = mirror.failed(Output(code=128, stdout=b"", stderr="fatal: something new\n"))
    assert isinstance(error, Unavailable)
    assert mirror.read(tree, "values.yaml") == b"image: {}\n"


# pushing


def test_a_push_lands_or_says_why_not(server: Forge, tmp_path: Path) -> None:
    mirror = server.mirror(tmp_path / "state", GITOPS)
    base = mirror.fetch_branch("main")
    tree = git(server.repo, "rev-parse", f"{base}^{{tree}}")
    ours = git(mirror.folder, "commit-tree", tree, "-p", base, "-m", "ours")
    other = git(mirror.folder, "commit-tree", tree, "-p", base, "-m", "other")
    assert mirror.push(ours, "main").verdict is PushVerdict.LANDED
    assert mirror.push(ours, "main").verdict is PushVerdict.LANDED
    assert server.head() == ours
    assert mirror.push(other, "main").verdict is PushVerdict.RACE
    server.app.refuse_pushes(server.name, f"no deploys on \x1b[1mFriday\x1b[0m {TOKEN}")
    refused = mirror.push(git(mirror.folder, "commit-tree", tree, "-p", ours, "-m", "next"), "main")
    assert refused.verdict is PushVerdict.REFUSED
    assert refused.words == "[remote rejected] (pre-receive hook declined): no deploys on Friday ***"
    server.app.inject(Fault(service="receive", discovery=True, status=403))
    with pytest.raises(Refused, match="403"):
        mirror.push(other, "main")
