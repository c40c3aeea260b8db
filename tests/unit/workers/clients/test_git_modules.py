"""Which address a submodule is fetched from, and which ones are refused: whoever can push writes them."""

import pytest

from workers.clients.git_access import origin_of
from workers.clients.git_modules import Module, address_of, module_at, parse_modules

SOURCE = "https://git.example.com/acme/web.git"
SSH = "git@git.example.com:acme/web.git"
PORT = "ssh://git@git.example.com:2222/acme/web.git"


def module(url: str) -> Module:
    return Module("lib", paths=["lib"], urls=[url])


@pytest.mark.parametrize(
    ("url", "holder", "address"),
    [
        ("../lib.git", SOURCE, "https://git.example.com/acme/lib.git"),
        ("../lib", SOURCE, "https://git.example.com/acme/lib"),
        ("../lib.git/", SOURCE, "https://git.example.com/acme/lib.git"),
        ("./../lib.git", SOURCE, "https://git.example.com/acme/lib.git"),
        ("./lib.git", SOURCE, "https://git.example.com/acme/web.git/lib.git"),
        ("../../team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("../lib.git", "https://git.example.com/team/deep/er.git", "https://git.example.com/team/deep/lib.git"),
        ("../라이브러리.git", SOURCE, "https://git.example.com/acme/라이브러리.git"),
        ("https://git.example.com/team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("https://Git.Example.com:443/team/lib/", SOURCE, "https://git.example.com/team/lib"),
        ("https://mina@git.example.com/team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("../lib.git", "https://bot@git.example.com/acme/web.git", "https://git.example.com/acme/lib.git"),
        ("../lib.git", "http://127.0.0.1:3000/acme/web.git", "http://127.0.0.1:3000/acme/lib.git"),
        ("../lib.git", "https://[::1]:8443/acme/web.git", "https://[::1]:8443/acme/lib.git"),
        ("../lib.git", SSH, "git@git.example.com:acme/lib.git"),
        ("../../team/lib.git", SSH, "git@git.example.com:team/lib.git"),
        ("../lib.git", "git@git.example.com:web.git", "git@git.example.com:lib.git"),
        ("../lib.git", "git@git.example.com:/srv/web.git", "git@git.example.com:/srv/lib.git"),
        ("../lib.git", "git@[::1]:acme/web.git", "git@[::1]:acme/lib.git"),
        ("ssh://git@git.example.com/team/lib.git", SSH, "ssh://git@git.example.com/team/lib.git"),
        ("git@GIT.example.com:team/lib.git", SSH, "git@GIT.example.com:team/lib.git"),
        ("../lib.git", PORT, "ssh://git@git.example.com:2222/acme/lib.git"),
    ],
)
def test_an_address_on_the_server_of_the_source_is_followed(url: str, holder: str, address: str) -> None:
    assert address_of(module(url), holder, holder) == address


@pytest.mark.parametrize(
    ("url", "source", "address"),
    [
        ("git@git.example.com:team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("git@Git.example.com:/team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("ssh://git@git.example.com:2222/team/lib.git", SOURCE, "https://git.example.com/team/lib.git"),
        ("git@127.0.0.1:team/lib.git", "http://127.0.0.1:3000/a/b.git", "http://127.0.0.1:3000/team/lib.git"),
        ("git@git.example.com:lib.git", "https://bot@git.example.com/web.git", "https://git.example.com/lib.git"),
        ("https://git.example.com/team/lib.git", SSH, "git@git.example.com:team/lib.git"),
        ("https://mina@git.example.com:8443/team/lib.git", PORT, "ssh://git@git.example.com:2222/team/lib.git"),
    ],
)
def test_the_other_way_to_the_server_is_taken_as_the_way_of_the_source(url: str, source: str, address: str) -> None:
    assert address_of(module(url), source, source) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        # what would run a program, or read this machine
        ("ext::sh -c id", "no address has"),
        ("ext::sh", "is not an https"),
        ("fd::17", "is not an https"),
        ("file:///srv/lib.git", "is not an https"),
        ("/srv/lib.git", "is not an https"),
        ("lib.git", "is not an https"),
        ("..", "is not an https"),
        ("~/lib.git", "is not an https"),
        ("--upload-pack=id", "no address has"),
        ("-u", "no address has"),
        ("!id", "is not an https"),
        ("https://git.example.com/lib\n.git", "no address has"),
        # what would give the credentials to somebody else, or ask the network inside
        ("https://evil.example.com/acme/lib.git", "is not on the server"),
        ("https://git.example.com.evil.example.com/lib.git", "is not on the server"),
        ("https://git.example.com@evil.example.com/lib.git", "is not on the server"),
        ("https://evil.example.com\\@git.example.com/lib.git", "strange user name"),
        ("https://git.example.com\\@evil.example.com/lib.git", "strange user name"),
        ("https://git.example.com:8443/acme/lib.git", "is not on the server"),
        ("http://git.example.com/acme/lib.git", "is not on the server"),
        ("http://git.example.com:443/acme/lib.git", "is not on the server"),
        ("git@evil.example.com:acme/lib.git", "is not on the server"),
        ("ssh://git@evil.example.com/acme/lib.git", "is not on the server"),
        ("git://git.example.com/acme/lib.git", "is not an https"),
        ("http://169.254.169.254/latest/meta-data", "is not on the server"),
        ("https://127.0.0.1/lib.git", "is not on the server"),
        # what is no address of a repository
        ("../../../lib.git", "leads above the host"),
        ("../../..//evil.example.com/lib.git", "leads above the host"),
        ("../lib.git/../../../x", "holds `..`"),
        ("https://git.example.com/acme/../lib.git", "holds `..`"),
        ("../../", "does not name a repository"),
        ("https://git.example.com", "does not name a repository"),
        ("../lib.git?x=y", "does not name a repository"),
        ("git@git.example.com:acme/lib.git?x=y", "does not name a repository"),
        ("https://mina:s3cret@git.example.com/acme/lib.git", "holds a password"),
        ("https://git.example.com:99999/lib.git", "cannot be read"),
    ],
)
def test_any_other_address_is_refused_with_the_name_and_the_cause(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        address_of(module(url), SOURCE, SOURCE)
    assert str(caught.value).startswith('the `url` of "lib", ')
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("git@other.example.com:acme/lib.git", SSH),
        ("root@git.example.com:acme/lib.git", SSH),
        ("git.example.com:acme/lib.git", SSH),
        ("git@git.example.com:acme/lib.git", PORT),
        ("ssh://git@git.example.com:2222/acme/lib.git", SSH),
        ("https://other.example.com/acme/lib.git", SSH),
    ],
)
def test_a_key_goes_to_no_other_server_port_or_account(url: str, source: str) -> None:
    with pytest.raises(ValueError, match="is not on the server"):
        address_of(module(url), source, source)


def test_a_relative_address_is_one_of_its_holder_and_still_has_to_be_on_the_server_of_the_source() -> None:
    assert (
        address_of(module("../x.git"), "https://git.example.com/a/b.git", SOURCE) == "https://git.example.com/a/x.git"
    )
    with pytest.raises(ValueError, match="is not on the server"):
        address_of(module("../x.git"), "https://other.example.com/a/b.git", SOURCE)
    with pytest.raises(ValueError, match="no address on a server"):
        address_of(module("../x.git"), "file:///srv/web.git", "file:///srv/web.git")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (SOURCE, ("https", "", "git.example.com", 443)),
        ("http://bot@Git.example.com:8080/x", ("http", "", "git.example.com", 8080)),
        (SSH, ("ssh", "git", "git.example.com", 22)),
        ("git.example.com:x", ("ssh", "", "git.example.com", 22)),
        ("git@[2001:db8::1]:x", ("ssh", "git", "2001:db8::1", 22)),
        ("https://git.example.com:0/x", ("https", "", "git.example.com", 0)),
        ("ssh://git@[2001:DB8::1]/x", ("ssh", "git", "2001:db8::1", 22)),
    ],
)
def test_where_an_address_leads(url: str, origin: tuple[str, str, str, int]) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (b"", "no entry has the path lib"),
        (b"submodule.a.path\nlib/\0submodule.a.url\n../a\0", "no entry has the path lib"),
        (b"submodule.a.path\nlib\0", 'the entry "a" has no `url`'),
        (b"submodule.a.path\nlib\0submodule.a.url\0", 'the entry "a" has an empty `url`'),
        (b"submodule.a.path\nlib\0submodule.a.url\n\0", 'the entry "a" has an empty `url`'),
        (b"submodule.a.path\nlib\0submodule.a.url\nx\0submodule.a.url\ny\0", 'the entry "a" has 2 values of `url`'),
        (b"submodule.a.path\nlib\0submodule.a.path\nb\0submodule.a.url\nx\0", 'the entry "a" has 2 values of `path`'),
        (
            b"submodule.a.path\nlib\0submodule.a.url\nx\0submodule.b.path\nlib\0submodule.b.url\ny\0",
            'the entries "a" and "b" have the same path lib',
        ),
    ],
)
def test_an_entry_that_says_nothing_clear_is_refused(listing: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        module_at(parse_modules(listing), "lib")


def test_names_may_hold_dots_and_what_is_of_no_use_here_is_passed_over() -> None:
    listing = (
        b"submodule.lib/a.b.path\nlib\0submodule.lib/a.b.url\n../lib.git\0submodule.lib/a.b.update\n!sh -c id\0"
        b"submodule.lib/a.b.branch\nmain\0core.sshcommand\nid\0submodule.recurse\ntrue\0"
    )
    (found,) = parse_modules(listing)
    assert found == Module("lib/a.b", paths=["lib"], urls=["../lib.git"], updates=["!sh -c id"])
    assert (module_at([found], "lib"), found.is_wanted) == (found, True)
    assert not Module("x", updates=["none"]).is_wanted
