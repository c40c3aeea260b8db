"""The client of Git LFS against scripted servers: which headers go where, and what counts as a whole content."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from tests.support.loopback import Asked, Loopback, Reply, loopback
from workers.clients.lfs_answers import LfsDownload, LfsPlace
from workers.clients.lfs_crew import LfsCrew
from workers.clients.lfs_hosts import LfsHosts
from workers.clients.lfs_pointer import LfsPointer
from workers.clients.lfs_server import LfsEndpoint, LfsServer
from workers.clients.lfs_store import LfsStore

CONTENT = b"a picture of a plate"
POINTER = LfsPointer(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
LOGIN = {"Authorization": "Basic b3VyczpvdXJz"}
NAMED = {"X-Token": "theirs"}


class Client:
    """A server of Git LFS as the client sees it, and the store that it fills."""

    def __init__(self, forge: Loopback, folder: Path) -> None:
        endpoint = LfsEndpoint(url=f"{forge.url}/a.git/info/lfs", header=LOGIN, place=LfsPlace("the forge"))
        crew = LfsCrew(lambda: None, time.monotonic() + 60, TimeoutError)
        self.store = LfsStore(folder)
        self.server = LfsServer(endpoint, LfsHosts(urlsplit(forge.url), ""), crew, self.store)

    def fetch(self, url: str, **action: object) -> bytes:
        try:
            self.server.fetch(POINTER, "logo.png", LfsDownload(href=url, **action))  # type: ignore[arg-type]
        finally:
            self.server.close()
        return self.store.path(POINTER).read_bytes()


@contextmanager
def serving(folder: Path, script: Callable[[Asked], Reply]) -> Iterator[tuple[Loopback, Client]]:
    with loopback(script) as forge:
        yield forge, Client(forge, folder)


def content(_: Asked) -> Reply:
    return Reply(body=CONTENT)


def shown(asked: Asked) -> tuple[str, str]:
    return asked.headers.get("authorization", ""), asked.headers.get("x-token", "")


@pytest.mark.parametrize(
    ("action", "seen"),
    [
        ({}, (LOGIN["Authorization"], "")),
        ({"header": NAMED}, (LOGIN["Authorization"], "theirs")),
        ({"header": {"authorization": "RemoteAuth x"}}, ("RemoteAuth x", "")),
        ({"header": NAMED, "authenticated": True}, ("", "theirs")),
        ({"authenticated": True}, ("", "")),
    ],
)
def test_the_servers_own_service_gets_our_login_unless_it_says_what_it_needs(
    tmp_path: Path, action: dict[str, object], seen: tuple[str, str]
) -> None:
    with serving(tmp_path, content) as (forge, client):
        assert client.fetch(f"{forge.url}/x", **action) == CONTENT
        assert [shown(asked) for asked in forge.asked] == [seen]
        assert forge.asked[0].headers["accept-encoding"] == "identity"


def test_another_service_gets_what_the_answer_names_and_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, content) as (_, client), loopback(content) as store:
        assert client.fetch(f"{store.url}/x?sig=%2F", header=NAMED) == CONTENT
        assert [shown(asked) for asked in store.asked] == [("", "theirs")]
        assert store.asked[0].query == {"sig": ["/"]}


def test_a_redirect_takes_headers_along_on_the_same_service_only(tmp_path: Path) -> None:
    def leading(asked: Asked) -> Reply:
        ways = {"/here": "/there", "/away": f"{store.url}/x"}
        return Reply(status=302, headers={"Location": ways[asked.path]}) if asked.path in ways else content(asked)

    with loopback(content) as store, serving(tmp_path, leading) as (forge, client):
        assert client.fetch(f"{forge.url}/here", header=NAMED) == CONTENT
        assert shown(forge.asked[1]) == (LOGIN["Authorization"], "theirs")
        assert client.fetch(f"{forge.url}/away", header=NAMED) == CONTENT
        assert [shown(asked) for asked in store.asked] == [("", "")]


@pytest.mark.parametrize(
    ("location", "words"),
    [("/again", "redirects more than once"), ("ftp://x/", "no http"), ("http://169.254.169.254/", "169.254.169.254")],
)
def test_a_redirect_that_leads_nowhere_good_is_refused(tmp_path: Path, location: str, words: str) -> None:
    with (
        serving(tmp_path, lambda _: Reply(status=307, headers={"Location": location})) as (forge, client),
        pytest.raises(Refused, match=words),
    ):
        client.fetch(f"{forge.url}/x")


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(body=CONTENT[:-1]), Refused, "has 19 bytes, not the 20 of the pointer"),
        (Reply(parts=lambda: iter([CONTENT[:-1]])), Unavailable, "ended after 19 of 20 bytes"),
        (Reply(parts=lambda: iter([CONTENT, b"!"])), Refused, "has more than the 20 bytes"),
        (Reply(parts=lambda: iter([CONTENT[::-1]])), Refused, "has the SHA-256"),
        (Reply(status=206, body=CONTENT), Refused, "HTTP 206"),
        (Reply(status=204), Refused, "HTTP 204"),
    ],
)
def test_what_is_not_the_whole_content_is_not_kept(
    tmp_path: Path, reply: Reply, kind: type[PilotageError], words: str
) -> None:
    with serving(tmp_path, lambda _: reply) as (forge, client), pytest.raises(kind, match=words):
        client.fetch(f"{forge.url}/x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_content_that_comes_in_pieces_is_kept(tmp_path: Path) -> None:
    pieces = Reply(parts=lambda: iter([CONTENT[:7], CONTENT[7:]]))
    with serving(tmp_path, lambda _: pieces) as (forge, client):
        assert client.fetch(f"{forge.url}/x") == CONTENT
