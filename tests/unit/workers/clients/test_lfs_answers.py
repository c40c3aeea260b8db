"""What servers of Git LFS answer becomes ours: tables over statuses and bodies."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.lfs_answers import LfsDownload, LfsPlace, batch_error, download_error, read_batch, read_header
from workers.clients.lfs_pointer import LfsPointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
LOGO = LfsPointer(OID, 12)
PLACE = LfsPlace("https://git.example.com/acme/web.git/info/lfs", ("s3cret-token",))
R, U = Refused, Unavailable
REFUSED, GONE, LATER = Reason.SOURCE_REFUSED, Reason.SOURCE_UNSUPPORTED, Reason.SOURCE_UNAVAILABLE


def answer(one: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"objects": [{"oid": OID, "size": 12, **one}], **more}).encode()


def read(body: bytes) -> LfsDownload:
    return read_batch(body, {LOGO: "art/logo.png"}, PLACE)[LOGO]


def test_an_answer_says_where_each_object_is() -> None:
    action = {
        "href": "https://store.example.com/x?sig=1",
        "header": {"Authorization": "RemoteAuth y"},
        "expires_in": 9,
    }
    found = read(answer({"actions": {"download": action}, "authenticated": True}, transfer="basic"))
    assert found == LfsDownload(href=action["href"], header=action["header"], authenticated=True)  # type: ignore[arg-type]
    assert read(answer({"actions": {"download": {"href": "https://x/y"}}})) == LfsDownload(href="https://x/y")


def test_addresses_and_headers_are_not_shown() -> None:
    assert "sig" not in repr(LfsDownload(href="https://x/y?sig=1", header={"a": "sig"}))
    assert "s3cret" not in repr(PLACE)


@pytest.mark.parametrize(
    ("code", "kind", "reason", "words"),
    [
        (404, R, GONE, "art/logo.png: Git LFS object 4d7a214614ab is not there, at https://git.example.com/"),
        (410, R, GONE, "was removed there"),
        (422, R, GONE, "is refused there"),
        (409, R, GONE, "cannot be had there"),
        (501, R, GONE, "cannot be had there"),
        (509, R, GONE, "cannot be had there"),
        (None, R, GONE, "cannot be had there"),
        ([404], R, GONE, "cannot be had there"),
        (401, R, REFUSED, "may not be read by our account"),
        (403, R, REFUSED, "may not be read by our account"),
        (429, U, LATER, "cannot be had now"),
        (500, U, LATER, "cannot be had now"),
        (503, U, LATER, "cannot be had now"),
    ],
)
def test_an_object_that_cannot_be_had(code: object, kind: type[PilotageError], reason: Reason, words: str) -> None:
    with pytest.raises(kind) as caught:
        read(answer({"error": {"code": code, "message": "Object does not exist"}}))
    assert caught.value.reason is reason
    assert words in caught.value.evidence
    assert f"({code}: Object does not exist)" in caught.value.evidence


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (b"<html>", REFUSED, "login page"),
        (b"[]", REFUSED, "login page"),
        (b"{}", REFUSED, "login page"),
        (b'{"objects": {}}', REFUSED, "login page"),
        (b"[" * 100_000, REFUSED, "login page"),
        (b'{"objects": []}', GONE, "does not say where"),
        (b'{"objects": [null, 1, {"oid": 7}]}', GONE, "does not say where"),
        (answer({}), GONE, "does not say where"),
        (answer({"actions": {"download": {"href": 1}}}), GONE, "does not say where"),
        (answer({"actions": {"upload": {"href": "https://x"}}}), GONE, "does not say where"),
        (answer({"error": "no"}), GONE, "cannot be had there"),
        (answer({}, transfer="tus"), GONE, "other transfers"),
        (answer({"actions": {"download": {"href": "https://x", "header": {"a": "b\nc"}}}}), REFUSED, "that is none"),
    ],
)
def test_an_answer_that_cannot_be_used(body: bytes, reason: Reason, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        read(body)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("status", "kind", "reason", "words"),
    [
        (401, R, REFUSED, "does not accept the login (HTTP 401: no)"),
        (403, R, REFUSED, "(HTTP 403: no)"),
        (404, R, GONE, "there is no Git LFS at"),
        (405, R, GONE, "switch Git LFS on"),
        (501, R, GONE, "switch Git LFS on"),
        (301, R, REFUSED, "redirects"),
        (307, R, REFUSED, "redirects"),
        (400, R, REFUSED, "does not take our request (HTTP 400: no)"),
        (406, R, REFUSED, "does not take our request"),
        (413, R, REFUSED, "does not take our request"),
        (422, R, REFUSED, "does not take our request"),
        (204, R, REFUSED, "does not take our request"),
        (500, U, LATER, "failed (HTTP 500: no)"),
        (507, U, LATER, "has no room left (HTTP 507: no)"),
        (509, R, REFUSED, "has used up its bandwidth"),
        (520, U, LATER, "failed (HTTP 520: no)"),
    ],
)
def test_a_question_that_is_not_answered(status: int, kind: type[PilotageError], reason: Reason, words: str) -> None:
    error = batch_error(status, b'{"message": "no"}', PLACE)
    assert (type(error), error.reason) == (kind, reason)
    assert words in error.evidence
    assert PLACE.name in error.evidence


def test_the_words_of_a_server_never_show_our_login() -> None:
    said = b'{"message": "s3cret-token is wrong, see https://bot:s3cret-token@x/"}'
    assert "s3cret" not in batch_error(401, said, PLACE).evidence
    body = answer({"error": {"code": 404, "message": "s3cret-token"}})
    with pytest.raises(Refused) as caught:
        read(body)
    assert "s3cret" not in caught.value.evidence


@pytest.mark.parametrize(
    ("status", "kind", "reason", "words"),
    [
        (401, R, REFUSED, "refuses what the Git LFS server told us to ask (HTTP 401)"),
        (403, R, REFUSED, "(HTTP 403)"),
        (400, R, REFUSED, "(HTTP 400)"),
        (404, R, GONE, "is not kept by store.example.com (HTTP 404): push it"),
        (410, R, GONE, "is not kept by"),
        (300, R, REFUSED, "redirects more than once"),
        (302, R, REFUSED, "redirects more than once"),
        (399, R, REFUSED, "redirects more than once"),
        (509, R, REFUSED, "(HTTP 509)"),
        (507, U, LATER, "failed (HTTP 507)"),
        (520, U, LATER, "failed (HTTP 520)"),
    ],
)
def test_a_content_that_is_not_handed_out(status: int, kind: type[PilotageError], reason: Reason, words: str) -> None:
    error = download_error(status, LOGO, "art/logo.png", "store.example.com")
    assert (type(error), error.reason) == (kind, reason)
    assert words in error.evidence
    assert error.evidence.startswith("art/logo.png: Git LFS object 4d7a214614ab")


@pytest.mark.parametrize(
    "header",
    [{"a b": "c"}, {"": "c"}, {"a": 1}, {"a": "b\r\nHost: x"}, {"a": "é"}, {"a": "x" * 20_000},
     {str(number): "x" for number in range(40)}],
)  # fmt: skip
def test_what_is_no_header_is_not_sent(header: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_header(header, PLACE)
    assert caught.value.reason is Reason.SOURCE_REFUSED


def test_headers_of_the_connection_are_ours() -> None:
    given = {"Host": "x", "content-length": "1", "Range": "bytes=0-", "Accept-Encoding": "gzip", "X-A$": "b"}
    assert read_header(given, PLACE) == {"X-A$": "b"}
    assert read_header(None, PLACE) == read_header([1], PLACE) == {}


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just(OID)
WORDS = "objects oid size error code message actions download href header transfer"
NAMES = st.sampled_from(WORDS.split())
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))


@given(found=ANYTHING)
def test_odd_answers_are_read_or_refused(found: object) -> None:
    for body in (json.dumps(found), json.dumps({"objects": [found]})):
        with contextlib.suppress(PilotageError):
            read(body.encode())
