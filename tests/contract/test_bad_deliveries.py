"""What no forge sends but somebody will: every forge must answer with a problem, never crash, never accept."""

import io
import json
from typing import Any

import pytest

from orchestrator.domain.events import Ignored, Push
from tests.support.hooks import MAX_BODY, NOW, SECRET, Case, FakeInbox, fill, make_app, own_case
from webhooks.forges import FORGES

EVERY_FORGE = pytest.mark.parametrize("forge", FORGES)
LONGEST = "r" * 250

NOT_A_PAYLOAD = {
    "empty": b"",
    "truncated": b'{"ref":"refs/heads/main","before":"1f0c',
    "not an object": b"[]",
    "a text": b'"push"',
    "two documents": b"{}{}",
    "no fields": b"{}",
    "utf-16": '{"ref":"refs/heads/main"}'.encode("utf-16"),
    "latin-1": '{"ref":"refs/heads/grün"}'.encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "same key twice": b'{"ref":"refs/heads/main","ref":"refs/heads/prod"}',
    "same key twice inside": b'{"repository":{"full_name":"a/b","full_name":"c/d"}}',
    "NaN": b'{"size":NaN}',
    "Infinity": b'{"size":-Infinity}',
    "100,000 levels of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 levels of lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of 5,000 digits": b'{"id":' + b"9" * 5_000 + b"}",
}

WRONG_FIELDS: dict[str, Any] = {
    "ref is a number": {"ref": 1},
    "ref is missing": {"ref": None},
    "ref is empty": {"ref": ""},
    "ref holds a lone surrogate": {"ref": "refs/heads/\ud800"},
    "ref holds NUL": {"ref": "refs/heads/a\x00b"},
    "ref is endless": {"ref": "refs/heads/" + "r" * 5_000},
    "after is short": {"after": "1f0c5e9"},
    "after is no id": {"after": "--upload-pack=touch /tmp/x; ......................"},
    "after is upper case": {"after": "1F0C5E9A7B3D4C2E8F6A1B0D9C8E7F6A5B4C3D2E"},
    "before is a list": {"before": []},
    "nothing moved": {"before": "0" * 40, "after": "0" * 40},
    "repository is missing": {"repository": None, "project": None},
    "repository is a text": {"repository": "acme/plate-web", "project": "acme/plate-web"},
    "commits is an object": {"commits": {}},
    "commits holds texts": {"commits": ["1f0c5e9a7b3d4c2e8f6a1b0d9c8e7f6a5b4c3d2e"]},
}

SAFE_NAMES = ("기능/메뉴-2", "$(x)", "feature/a;b&c", LONGEST, "v1.2.0", "release/2024-05", "it's", "ünïcode")
UNSAFE_NAMES = ("--upload-pack=x", "../../x", "a..b", "a b", "a\nb", "x.lock", "/x", "x/", "@", "a@{1}", "r" * 251)


@EVERY_FORGE
@pytest.mark.parametrize("name", NOT_A_PAYLOAD)
def test_a_body_that_is_no_payload_is_malformed(forge: str, name: str) -> None:
    inbox = FakeInbox()
    response = deliver(inbox, forge, NOT_A_PAYLOAD[name])
    assert_problem(response, 400, "malformed")
    assert not inbox.accepted
    assert [reason for _, reason, _ in inbox.refused] == ["malformed"]


@EVERY_FORGE
@pytest.mark.parametrize("name", WRONG_FIELDS)
def test_a_wrong_field_is_malformed(forge: str, name: str) -> None:
    response = deliver(FakeInbox(), forge, push_with(forge, **WRONG_FIELDS[name]))
    assert_problem(response, 400, "malformed")


@EVERY_FORGE
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_the_body_of_one_who_shows_no_proof_is_not_read(forge: str, content_type: str) -> None:
    inbox, stream = FakeInbox(), io.BytesIO(b"payload=" + b"%41" * 1_000)
    headers = {FORGES[forge].event_header: "push", "Content-Type": content_type}
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": "3008"}
    response = make_app(inbox).test_client().post(f"/webhooks/{forge}", headers=headers, environ_overrides=environ)
    assert_problem(response, 401, "signature")
    assert FORGES[forge].proof_header in response.headers["WWW-Authenticate"]
    assert stream.tell() == 0
    ((delivery, reason, detail),) = inbox.refused
    assert (delivery.event, delivery.size, reason) == ("push", 3_008, "signature")
    assert f"{FORGES[forge].proof_header} is " in detail


@EVERY_FORGE
def test_a_body_above_the_bound_is_too_large(forge: str) -> None:
    inbox = FakeInbox()
    response = deliver(inbox, forge, b" " * (MAX_BODY + 1))
    assert_problem(response, 413, "too_large")
    assert not inbox.accepted
    assert [(one.hook, one.size, reason) for one, reason, _ in inbox.refused] == [(forge, MAX_BODY + 1, "too_large")]


@EVERY_FORGE
def test_a_body_at_the_bound_is_read(forge: str) -> None:
    body = push_with(forge)
    response = deliver(FakeInbox(), forge, body + b" " * (10_000 - len(body)), max_body=10_000)
    assert response.status_code == 202


@EVERY_FORGE
@pytest.mark.parametrize("name", SAFE_NAMES)
@pytest.mark.parametrize("prefix", ["refs/heads/", "refs/tags/"])
def test_a_name_that_git_allows_is_kept_as_it_is(forge: str, prefix: str, name: str) -> None:
    inbox = FakeInbox()
    assert deliver(inbox, forge, push_with(forge, ref=prefix + name)).status_code == 202
    ((_, parsed),) = inbox.accepted
    assert isinstance(parsed, Push)
    assert [(change.ref, change.name) for change in parsed.changes] == [(prefix + name, name)]


@EVERY_FORGE
@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_a_name_that_git_would_not_create_is_ignored(forge: str, name: str) -> None:
    inbox = FakeInbox()
    assert deliver(inbox, forge, push_with(forge, ref=f"refs/heads/{name}")).status_code == 200
    ((_, parsed),) = inbox.accepted
    assert isinstance(parsed, Ignored)
    assert parsed.reason == "ref"


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_an_unsafe_tag_of_gogs_is_ignored(name: str) -> None:
    inbox = FakeInbox()
    case = own_case("gogs", "create-tag")
    body = json.dumps(json.loads(case.body) | {"ref": name}).encode()
    assert deliver(inbox, "gogs", body, headers=case.meta["headers"]).status_code == 200
    assert isinstance(inbox.accepted[0][1], Ignored)


@EVERY_FORGE
@pytest.mark.parametrize("ref", ["refs/notes/commits", "refs/pull/1/head", "refs/heads/", "main", "HEAD"])
def test_a_ref_that_is_no_branch_or_tag_is_ignored(forge: str, ref: str) -> None:
    inbox = FakeInbox()
    assert deliver(inbox, forge, push_with(forge, ref=ref)).status_code == 200
    assert isinstance(inbox.accepted[0][1], Ignored)


@EVERY_FORGE
def test_sha256_repositories_are_read(forge: str) -> None:
    inbox = FakeInbox()
    body = push_with(forge, before="0" * 64, after="a" * 64, checkout_sha="a" * 64, head_commit=None)
    assert deliver(inbox, forge, body).status_code == 202
    (change,) = inbox.accepted[0][1].changes  # type: ignore[union-attr]
    assert (change.created, change.commit) == (True, "a" * 64)


@EVERY_FORGE
def test_a_replayed_delivery_has_the_same_key(forge: str) -> None:
    inbox = FakeInbox()
    deliver(inbox, forge, push_with(forge))
    deliver(inbox, forge, push_with(forge))
    first, second = inbox.accepted
    assert first == second


@EVERY_FORGE
def test_without_a_delivery_id_the_same_body_has_the_same_key(forge: str) -> None:
    ids = FORGES[forge].delivery_headers
    headers = {name: value for name, value in push_of(forge).meta["headers"].items() if name not in ids}
    inbox = FakeInbox()
    deliver(inbox, forge, push_with(forge), headers=headers)
    deliver(inbox, forge, push_with(forge), headers=headers)
    deliver(inbox, forge, push_with(forge, ref="refs/heads/other"), headers=headers)
    keys = [delivery.key for delivery, _ in inbox.accepted]
    assert keys[0] == keys[1] != keys[2]


@EVERY_FORGE
@pytest.mark.parametrize("event", [None, "", "x" * 101, "a\x1bb"])
def test_a_delivery_without_a_sound_event_is_malformed(forge: str, event: str | None) -> None:
    header = FORGES[forge].event_header
    headers = {name: value for name, value in push_of(forge).meta["headers"].items() if name != header}
    headers |= {header: event} if event is not None else {}
    assert_problem(deliver(FakeInbox(), forge, push_with(forge), headers=headers), 400, "malformed")


IMITATORS = [("github", "gogs"), *((own, other) for own in ("github", "gogs") for other in ("gitea", "forgejo"))]


@pytest.mark.parametrize(("forge", "other"), IMITATORS)
@pytest.mark.parametrize("name", ["push-branch", "create-tag"])
def test_a_hook_with_the_path_of_another_forge_is_told_its_own(forge: str, other: str, name: str) -> None:
    case, inbox = own_case(other, name), FakeInbox()
    # Gitea and Forgejo sign under the names of all the forges that they imitate.
    headers = case.meta["headers"] | {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256={hmac_sha256_hex}"}
    response = deliver(inbox, forge, case.body, headers=headers)
    assert_problem(response, 400, "malformed")
    assert f"must be /webhooks/{other}" in response.json["detail"]
    assert not inbox.accepted


@pytest.mark.parametrize("forge", [name for name in FORGES if name != "gitlab"])
@pytest.mark.parametrize(
    "form", [b"", b"payload", b"payload=%7B", b"other=1", b"payload={}&payload={}", b"a=&" * 40 + b"payload={}"]
)
def test_a_form_without_one_good_payload_is_refused(forge: str, form: bytes) -> None:
    headers = push_of(forge).meta["headers"] | {"Content-Type": "application/x-www-form-urlencoded"}
    inbox = FakeInbox()
    assert deliver(inbox, forge, form, headers=headers).status_code in (400, 401)
    assert not inbox.accepted


def test_more_refs_than_are_looked_at_are_left_to_people() -> None:
    inbox = FakeInbox()
    case = own_case("gitlab", "system-repository-update-many")
    payload = json.loads(case.body)
    payload["changes"] = payload["changes"][:1] * 1_001
    deliver(inbox, "gitlab", json.dumps(payload).encode(), headers=case.meta["headers"])
    parsed = inbox.accepted[0][1]
    assert isinstance(parsed, Ignored)
    assert "by hand" in parsed.detail


def push_of(forge: str) -> Case:
    return own_case(forge, "push-branch")


def push_with(forge: str, **fields: Any) -> bytes:
    return json.dumps(json.loads(push_of(forge).body) | fields).encode()


def deliver(
    inbox: FakeInbox, forge: str, body: bytes, *, headers: dict[str, str] | None = None, max_body: int = MAX_BODY
) -> Any:
    signed = fill(headers or push_of(forge).meta["headers"], body)
    client = make_app(inbox, max_body=max_body).test_client()
    return client.post(f"/webhooks/{forge}", data=body, headers=signed)


def assert_problem(response: Any, status: int, reason: str) -> None:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert (response.json["status"], response.json["reason"]) == (status, reason)
    assert response.json["detail"].endswith(".")
    assert SECRET not in response.text
    assert NOW.isoformat() not in response.text
