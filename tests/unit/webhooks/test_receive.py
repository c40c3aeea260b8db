"""From bytes to a proven delivery: verify first, every secret of a rotation, nothing secret written down."""

import gc
import hashlib
import hmac
import sys
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.apps import Hook, Secret
from orchestrator.domain.events import Parsed, Ping
from tests.support.hooks import NOW, fill, own_case
from webhooks.forges import FORGES
from webhooks.headers import Headers
from webhooks.receive import RefusedDelivery, VerifiedDelivery, receive, unproven

GITHUB, GITLAB = FORGES["github"], FORGES["gitlab"]
CASE = own_case("github", "push-branch")
TOKEN_CASE = own_case("gitlab", "push-branch")
SIGNING = f"whsec_{b64encode(b'0123456789abcdef0123456789abcdef').decode()}"


def github(secret: str, hook: Hook) -> VerifiedDelivery | RefusedDelivery:
    headers = Headers(fill(CASE.meta["headers"], CASE.body, secret).items())
    return receive(GITHUB, hook, headers, CASE.body, NOW, remote="192.0.2.1")


def gitlab(hook: Hook, **headers: str) -> VerifiedDelivery | RefusedDelivery:
    sent = {name: value for name, value in TOKEN_CASE.headers().items() if name != "X-Gitlab-Token"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return receive(GITLAB, hook, Headers(sent.items()), TOKEN_CASE.body, NOW)


def named(fields: Mapping[str, str]) -> Headers:
    return Headers((name.replace("_", "-"), value) for name, value in fields.items())


def signature() -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))
    text = f"signed-id.{stamp}.".encode() + TOKEN_CASE.body
    mac = b64encode(hmac.new(b"0123456789abcdef0123456789abcdef", text, hashlib.sha256).digest()).decode()
    return {"webhook_id": "signed-id", "webhook_timestamp": stamp, "webhook_signature": f"v1,{mac}"}


@pytest.mark.parametrize("secret", ["new", "old"])
def test_both_secrets_of_a_rotation_are_accepted(secret: str) -> None:
    hook = Hook(forge="github", secret=Secret("new"), previous=Secret("old"))
    assert isinstance(github(secret, hook), VerifiedDelivery)


def test_a_secret_that_was_rotated_out_is_refused() -> None:
    result = github("older", Hook(forge="github", secret=Secret("new"), previous=Secret("old")))
    assert isinstance(result, RefusedDelivery)
    assert (result.status, result.reason) == (401, "signature")


def test_what_is_signed_is_looked_for_once_whatever_the_number_of_secrets() -> None:
    looked: list[bytes] = []

    def signed(headers: Mapping[str, str], body: bytes) -> bytes:
        looked.append(body)
        return body

    hook = Hook(forge="github", secret=Secret("new"), previous=Secret("old"))
    headers = Headers(fill(CASE.meta["headers"], CASE.body, "neither").items())
    result = receive(replace(GITHUB, signed=signed), hook, headers, CASE.body, NOW)
    assert isinstance(result, RefusedDelivery)
    assert looked == [CASE.body]


def test_a_refused_body_is_not_held_until_rings_are_looked_for() -> None:
    body, hook = bytes(1_000), Hook(forge="github", secret=Secret("x"))
    headers = Headers(fill(CASE.meta["headers"], CASE.body, "other").items())
    before = sys.getrefcount(body)
    gc.disable()
    try:
        assert isinstance(receive(GITHUB, hook, headers, body, NOW), RefusedDelivery)
        assert sys.getrefcount(body) == before
    finally:
        gc.enable()


def test_a_form_without_a_payload_proves_nothing() -> None:
    headers = own_case("gitea", "push-branch").headers() | {"Content-Type": "application/x-www-form-urlencoded"}
    result = receive(FORGES["gitea"], Hook(forge="gitea", secret=Secret("x")), Headers(headers.items()), b"a=1", NOW)
    assert isinstance(result, RefusedDelivery)
    assert (result.status, result.reason) == (401, "signature")
    assert "nothing to verify" in result.detail


@pytest.mark.parametrize(
    ("secret", "signing", "sent", "said"),
    [
        ("s3cret", None, {}, "is missing"),
        ("s3cret", None, {"X_Gitlab_Token": ""}, "is empty"),
        ("s3cret", None, {"X_Gitlab_Token": "other"}, "is not our token"),
        ("", None, {"X_Gitlab_Token": ""}, "no secret is configured"),
        ("s3cret", SIGNING, {"X_Gitlab_Token": "s3cret"}, "is missing"),
        ("s3cret", SIGNING, signature() | {"webhook_timestamp": "1"}, "away from our clock"),
        ("s3cret", "whsec_!", signature(), "copy it again"),
    ],
)
def test_headers_that_no_body_can_make_good_are_told_before_there_is_one(
    secret: str, signing: str | None, sent: dict[str, str], said: str
) -> None:
    hook = Hook(forge="gitlab", secret=Secret(secret), signing=Secret(signing) if signing else None)
    result = unproven(GITLAB, hook, named(sent), NOW, 10**12)
    assert result is not None
    assert said in result.detail
    assert result.delivery.size == 2**31 - 1


def test_where_the_body_can_prove_it_the_body_decides() -> None:
    signing = Hook(forge="gitlab", secret=Secret("s3cret"), signing=Secret(SIGNING))
    assert unproven(GITLAB, signing, named(signature()), NOW, 1) is None
    either = Hook(forge="gitlab", secret=Secret("new"), previous=Secret("old"))
    assert unproven(GITLAB, either, Headers([("X-Gitlab-Token", "old")]), NOW, 1) is None
    assert unproven(GITHUB, Hook(forge="github", secret=Secret("x")), Headers(CASE.headers().items()), NOW, 1) is None


@pytest.mark.parametrize("sent", ["", "s3cret"])
def test_a_hook_without_a_secret_accepts_nothing(sent: str) -> None:
    result = github(sent, Hook(forge="github", secret=Secret("")))
    assert isinstance(result, RefusedDelivery)
    assert "no secret is configured" in result.detail


def test_with_a_signing_token_the_signature_is_asked_for() -> None:
    hook = Hook(forge="gitlab", secret=Secret("s3cret"), signing=Secret(SIGNING))
    assert isinstance(gitlab(hook, X_Gitlab_Token="s3cret", **signature()), VerifiedDelivery)
    bare = gitlab(hook, X_Gitlab_Token="s3cret")
    assert isinstance(bare, RefusedDelivery)
    assert bare.status == 401


def test_a_signing_token_can_be_rotated() -> None:
    newer = f"whsec_{b64encode(b'another key').decode()}"
    hook = Hook(forge="gitlab", secret=Secret(""), previous=Secret(SIGNING), signing=Secret(newer))
    assert isinstance(gitlab(hook, **signature()), VerifiedDelivery)


def test_the_signed_id_goes_before_the_one_that_anybody_can_change() -> None:
    hook = Hook(forge="gitlab", secret=Secret(""), signing=Secret(SIGNING))
    result = gitlab(hook, **(signature() | {"Idempotency_Key": "made-up"}))
    assert result.delivery.key == "signed-id"


def test_nothing_is_parsed_before_it_is_proven() -> None:
    parsed: list[bytes] = []

    def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
        parsed.append(body)
        return Ping(event="ping")

    forge = replace(GITHUB, parse=parse)
    hook = Hook(forge="github", secret=Secret("s3cret"))
    receive(forge, hook, Headers([("X-GitHub-Event", "push")]), CASE.body, NOW)
    assert not parsed
    receive(forge, hook, Headers(CASE.headers().items()), CASE.body, NOW)
    assert parsed == [CASE.body]


def test_the_clock_is_handed_to_the_forge() -> None:
    seen: list[datetime] = []

    def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
        seen.append(now)

    hook = Hook(forge="github", secret=Secret("s3cret"))
    receive(replace(GITHUB, verify=verify), hook, Headers(CASE.headers().items()), CASE.body, NOW)
    assert seen == [NOW]


def test_the_delivery_is_described() -> None:
    delivery = gitlab(Hook(forge="gitlab", secret=Secret("s3cret")), X_Gitlab_Token="s3cret").delivery
    assert delivery.event == "Push Hook"
    assert delivery.size == len(TOKEN_CASE.body)
    assert delivery.sha256 == hashlib.sha256(TOKEN_CASE.body).hexdigest()


@pytest.mark.parametrize("bad", ["", "x" * 201, "a\nb", "한"])
def test_an_id_that_cannot_be_one_is_replaced_by_a_digest(bad: str) -> None:
    sent = Headers((CASE.headers() | {"X-GitHub-Delivery": bad}).items())
    hook = Hook(forge="github", secret=Secret("s3cret"))
    key = receive(GITHUB, hook, sent, CASE.body, NOW).delivery.key
    assert len(key) == 64
    assert key != bad


def test_a_body_without_an_id_is_another_delivery_when_it_comes_again_later() -> None:
    """GitLab before 17 sends no id, and a branch that goes on, back and on again makes the same body twice."""
    sent = {name: value for name, value in CASE.headers().items() if name != "X-GitHub-Delivery"}
    hook, begun = Hook(forge="github", secret=Secret("s3cret")), datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    at = [begun + timedelta(seconds=seconds) for seconds in (0, 599, 601)]
    keys = [receive(GITHUB, hook, Headers(sent.items()), CASE.body, now).delivery.key for now in at]
    assert keys[0] == keys[1] != keys[2]


def test_what_is_kept_of_the_event_is_short_and_printable() -> None:
    sent = Headers((CASE.headers() | {"X-GitHub-Event": "a\x1b[31m" + "b" * 300}).items())
    event = receive(GITHUB, Hook(forge="github", secret=Secret("s3cret")), sent, CASE.body, NOW).delivery.event
    assert event.startswith("a?[31mbbb")
    assert event.isprintable()
    assert len(event) == 200


def test_a_delivery_that_cannot_be_read_is_described_too() -> None:
    headers = Headers(fill(CASE.meta["headers"], b"{").items())
    result = receive(GITHUB, Hook(forge="github", secret=Secret("s3cret")), headers, b"{", NOW)
    assert isinstance(result, RefusedDelivery)
    assert (result.status, result.reason, result.delivery.size) == (400, "malformed", 1)
