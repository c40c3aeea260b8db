"""Every forge in the table against every payload that we have of it, through the endpoint."""

import json
from typing import Any

import pytest

from orchestrator.domain.events import Ignored, Parsed, Ping, Push, RefChange
from orchestrator.domain.ownership import is_own_commit
from tests.support.contracts import contract_files
from tests.support.hooks import NOW, Case, FakeInbox, cases, make_app
from webhooks import signing
from webhooks.forges import FORGES
from webhooks.headers import Headers

BOT = "pilotage-bot@example.com"
CASES = cases()
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SSH = "git@git.example.com:acme/plate-web.git"
GOGS_TAG = ("gogs", "create_tag")
"""The one create event that tells of something to build: for tags Gogs sends no push."""


def post(inbox: FakeInbox, case: Case, headers: dict[str, str]) -> Any:
    return make_app(inbox).test_client().post(f"/webhooks/{case.forge}", data=case.body, headers=headers)


def test_every_forge_has_payloads_of_our_own() -> None:
    own = {case.forge for case in CASES if case.name.startswith("own-")}
    assert own == set(FORGES)


@EVERY_CASE
def test_a_signed_delivery_is_accepted(case: Case) -> None:
    inbox = FakeInbox()
    response = post(inbox, case, case.headers())
    parsed = inbox.accepted[0][1]
    assert response.status_code == (202 if isinstance(parsed, Push) else 200)
    assert not inbox.refused


@EVERY_CASE
def test_the_delivery_is_known_by_the_forges_id(case: Case) -> None:
    delivery, _ = accepted(case)
    assert delivery.hook == case.forge
    assert delivery.key == case.headers()[case.meta["dedup_key"]]
    assert delivery.event == case.headers()[FORGES[case.forge].event_header]
    assert delivery.size == len(case.body)


@EVERY_CASE
def test_the_payload_is_read_as_expected(case: Case) -> None:
    _, parsed = accepted(case)
    assert type(parsed) is expected_type(case)
    if "repo" in case.expect:
        assert parsed.repo is not None
        assert parsed.repo.full_name == case.expect["repo"]
        assert case.expect["clone_url"] in parsed.repo.urls
        assert SSH in parsed.repo.urls or SSH.encode() not in case.body, "apps may be configured with it"
        assert parsed.repo.default_branch == case.expect["default_branch"]
    if "changes" in case.expect:
        assert isinstance(parsed, Push)
        shown = [facts(change, wanted) for change, wanted in zip(parsed.changes, case.expect["changes"], strict=True)]
        assert shown == case.expect["changes"]


@EVERY_CASE
def test_what_is_to_be_built_is_told(case: Case) -> None:
    _, parsed = accepted(case)
    changes = parsed.changes if isinstance(parsed, Push) else ()
    assert any(is_buildable(change) for change in changes) is case.expect["should_build"]
    if "skip_reason" in case.expect:
        (change,) = changes
        assert is_own_commit(change, BOT, in_gitops=True) or (
            change.skip and change.skip in case.expect["skip_reason"]
        )


@EVERY_CASE
@pytest.mark.parametrize(
    "wrong", ["other secret", "missing", "empty", "prefix only", "not hex", "short", "not ascii"]
)
def test_a_delivery_without_a_good_proof_is_refused(case: Case, wrong: str) -> None:
    inbox = FakeInbox()
    response = post(inbox, case, without_proof(case, wrong))
    assert response.status_code == 401
    assert response.content_type == "application/problem+json"
    assert response.json["reason"] == "signature"
    assert FORGES[case.forge].proof_header in response.headers["WWW-Authenticate"]
    assert not inbox.accepted
    assert [reason for _, reason, _ in inbox.refused] == ["signature"]


@pytest.mark.parametrize("case", [case for case in CASES if case.forge != "gitlab"], ids=lambda case: case.name)
def test_a_body_that_was_changed_on_the_way_is_refused(case: Case) -> None:
    """Not for GitLab: a token proves nothing about the body."""
    changed = Case(forge=case.forge, name=case.name, body=case.body + b" ", meta=case.meta)
    assert post(FakeInbox(), changed, case.headers()).status_code == 401


def vectors() -> list[Any]:
    found = [
        (one["scheme"], one)
        for path in contract_files("forges/vectors.json")
        for one in json.loads(path.read_text(encoding="utf-8"))["vectors"]
    ]
    schemes = {
        "github X-Hub-Signature-256": ("github", "X-Hub-Signature-256"),
        "github form-encoded": ("github", "X-Hub-Signature-256"),
        "gitea/forgejo/gogs X-Gitea-Signature": ("gitea", "X-Gitea-Signature"),
        "gitea form-encoded": ("gitea", "X-Gitea-Signature"),
    }
    return [pytest.param(*schemes[scheme], one, id=scheme) for scheme, one in found if scheme in schemes]


OWN_VECTOR = {
    "secret": "s3cret",
    "body": '{"ref":"refs/heads/main"}',
    "expect": "232a5e067b6a5aa567ed5a1d21a0dffaf6ef0eeecb6bd9bcf43b3d5ef3fc4f43",
}


@pytest.mark.parametrize(("forge", "header", "vector"), [("gogs", "X-Gogs-Signature", OWN_VECTOR), *vectors()])
def test_known_answers_are_accepted(forge: str, header: str, vector: dict[str, str]) -> None:
    body = vector["body"].encode()
    form = "application/x-www-form-urlencoded" if vector["body"].startswith("payload=") else "application/json"
    headers = Headers([("Content-Type", form), (header, vector["expect"])])
    FORGES[forge].verify(headers, FORGES[forge].signed(headers, body), vector["secret"], NOW)


def test_the_known_answer_of_standard_webhooks_is_accepted() -> None:
    """The vector of the Standard Webhooks libraries."""
    headers = Headers(
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]
    )
    then = NOW.fromtimestamp(1614265330 + 299, tz=NOW.tzinfo)
    FORGES["gitlab"].verify(headers, b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", then)
    with pytest.raises(signing.BadSignature, match="away from our clock"):
        FORGES["gitlab"].verify(headers, b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NOW)


def accepted(case: Case) -> tuple[Any, Parsed]:
    inbox = FakeInbox()
    post(inbox, case, case.headers())
    return inbox.accepted[0]


def expected_type(case: Case) -> type[Parsed]:
    kind = case.expect["kind"]
    if kind == "ping":
        return Ping
    if "changes" in case.expect or (case.forge, kind) == GOGS_TAG:
        return Push
    return Ignored


def facts(change: RefChange, wanted: dict[str, Any]) -> dict[str, Any]:
    found = {
        "ref": change.ref,
        "ref_type": change.kind.value,
        "name": change.name,
        "before": change.before,
        "after": change.after,
        "created": change.created,
        "deleted": change.deleted,
        "forced": change.forced,
        "build_sha": change.commit,
    }
    return {name: found[name] for name in wanted}


def is_buildable(change: RefChange) -> bool:
    """Tell whether the payload alone names something to build (a tag without a commit needs a clone)."""
    own = is_own_commit(change, BOT, in_gitops=True)
    return bool(change.commit and not change.deleted and not change.skip and not own)


def without_proof(case: Case, wrong: str) -> dict[str, str]:
    if wrong == "other secret":
        headers = case.headers(secret="another")
        return headers | ({"X-Gitlab-Token": "another"} if case.forge == "gitlab" else {})
    given = {
        "empty": "",
        "prefix only": "sha256=",
        "not hex": f"sha256={'z' * 64}" if case.forge == "github" else "z" * 64,
        "short": "sha256=ab" if case.forge == "github" else "ab",
        "not ascii": f"sha256={'é' * 64}" if case.forge == "github" else "é" * 64,
    }.get(wrong)
    proofs = [name for name in case.headers() if name.lower().startswith("x-hub-") or "Signature" in name]
    kept = {name: value for name, value in case.headers().items() if name not in proofs and name != "X-Gitlab-Token"}
    header = FORGES[case.forge].proof_header
    return kept if given is None else kept | {header: given}


@pytest.mark.parametrize("forge", ["gitea", "forgejo"])
def test_the_signature_under_the_name_that_github_gave_it_is_enough(forge: str) -> None:
    case = next(case for case in CASES if case.forge == forge and case.name.endswith("push-branch"))
    unsigned = {name: value for name, value in case.headers().items() if "signature" not in name.lower()}
    digest = case.headers()[FORGES[forge].proof_header]
    response = post(FakeInbox(), case, {**unsigned, "X-Hub-Signature-256": f"sha256={digest}"})
    assert response.status_code == 202


def test_whoever_makes_a_tag_at_gogs_is_its_author() -> None:
    case = next(case for case in CASES if case.name == "own-gogs-create-tag")
    _, parsed = accepted(case)
    assert isinstance(parsed, Push)
    assert parsed.actor == "haneul"


def test_three_branches_moved_at_once_come_as_push_hooks() -> None:
    case = next(case for case in CASES if case.name == "own-gitlab-system-repository-update-many")
    payload = json.loads(case.body)
    payload["changes"] = payload["changes"][:3]
    parsed = FORGES["gitlab"].parse(Headers(case.headers().items()), json.dumps(payload).encode())
    assert isinstance(parsed, Ignored)
