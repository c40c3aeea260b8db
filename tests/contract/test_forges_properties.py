"""Whatever arrives: an adapter raises Malformed or BadSignature, never anything else, and takes no bad proof."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.events import BadSignature, Ignored, Malformed, Ping, Push
from orchestrator.domain.refs import is_safe_ref_name, is_sha
from tests.support.hooks import NOW, SECRET, fill, own_case
from webhooks.forges import FORGES
from webhooks.headers import Headers

EVERY_FORGE = pytest.mark.parametrize("forge", FORGES)
QUICK = settings(max_examples=60)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["0" * 40, "a" * 40]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = sorted(
    {"Content-Type", "webhook-timestamp", "webhook-signature"}
    | {name for row in FORGES.values() for name in (row.event_header, row.proof_header, *row.delivery_headers)}
)
VALUES = st.text(max_size=80) | st.sampled_from(["push", "create", "Push Hook", "application/x-www-form-urlencoded"])
HEADERS = st.dictionaries(st.sampled_from(NAMES), VALUES).map(lambda found: Headers(found.items()))
SECRETS = st.text(min_size=1) | st.sampled_from(["", " ", "whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


@EVERY_FORGE
@QUICK
@given(headers=HEADERS, body=st.binary(max_size=200), secret=SECRETS)
def test_a_made_up_proof_is_a_bad_signature(forge: str, headers: Headers, body: bytes, secret: str) -> None:
    if headers.get("X-Gitlab-Token") == secret:
        return
    with pytest.raises(BadSignature):
        FORGES[forge].verify(headers, body, secret, NOW)


@EVERY_FORGE
@QUICK
@given(headers=HEADERS, body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_parsed_or_malformed(forge: str, headers: Headers, body: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(FORGES[forge].parse(headers, body), Push | Ping | Ignored)


@EVERY_FORGE
@QUICK
@given(data=st.data())
def test_a_push_with_one_thing_replaced_is_sound_or_malformed(forge: str, data: st.DataObject) -> None:
    """What comes out is safe to store and to hand to Git, whatever the payload says."""
    case = own_case(forge, data.draw(st.sampled_from(pushes(forge))))
    body = replace_one(json.loads(case.body), data)
    with contextlib.suppress(Malformed):
        parsed = FORGES[forge].parse(Headers(case.headers().items()), json.dumps(body).encode())
        for change in parsed.changes if isinstance(parsed, Push) else ():
            assert is_safe_ref_name(change.name)
            assert all(is_sha(sha) for sha in (change.before, change.after, change.commit) if sha is not None)
            assert not (change.deleted and change.commit)
            f"{change} {parsed.repo}".encode()  # raises on what UTF-8 cannot hold


@EVERY_FORGE
@QUICK
@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_one_changed_bit_breaks_the_proof(forge: str, at: int, bit: int) -> None:
    case = own_case(forge, "push-branch")
    header, headers = FORGES[forge].proof_header, case.headers()
    wire = bytearray(headers[header].encode())
    wire[at % len(wire)] ^= 1 << bit
    changed = Headers((headers | {header: wire.decode("latin-1")}).items())
    with pytest.raises(BadSignature):
        FORGES[forge].verify(changed, case.body, SECRET, NOW)


@EVERY_FORGE
@QUICK
@given(secret=st.text(min_size=1, max_size=40, alphabet=st.characters(exclude_categories=["C", "Z"])))
def test_the_right_proof_is_taken_with_any_secret(forge: str, secret: str) -> None:
    case = own_case(forge, "push-branch")
    headers = fill(case.meta["headers"], case.body, secret)
    on_the_wire = secret.encode().decode("latin-1")
    headers |= {"X-Gitlab-Token": on_the_wire} if forge == "gitlab" else {}
    FORGES[forge].verify(Headers(headers.items()), case.body, secret, NOW)


def pushes(forge: str) -> list[str]:
    extra = {"gitlab": ["system-repository-update-many", "push-option"], "gogs": ["create-tag"]}
    return ["push-branch", "push-new-branch-korean", *extra.get(forge, ["push-tag-annotated"])]


def replace_one(root: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Put a random value somewhere into a copy of the payload."""
    payload = copy.deepcopy(root)
    node: Any = payload
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(node[key], dict | list) and node[key]) or data.draw(st.booleans()):
            node[key] = data.draw(JSON)
            return payload
        node = node[key]
