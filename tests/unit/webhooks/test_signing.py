"""A proof is taken only when it is ours; the reason why not is told without secrets."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.events import BadSignature
from webhooks.headers import Headers
from webhooks.signing import TOLERANCE, verify_hex, verify_standard, verify_token

BODY = b'{"ref":"refs/heads/main"}'
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"
SIGNING = f"whsec_{b64encode(KEY).decode()}"


def digest(secret: str = "s3cret", body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(*, key: bytes = KEY, at: datetime = NOW, body: bytes = BODY, **changed: str) -> Headers:
    stamp = str(int(at.timestamp()))
    mac = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    sent = {"id": "msg_1", "timestamp": stamp, "signature": f"v1,{b64encode(mac).decode()}"} | changed
    return Headers((f"webhook-{name}", value) for name, value in sent.items())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "is missing"),
        ("", "is empty"),
        ("sha256=", "does not hold"),
        (digest(), "does not hold"),
        ("sha1=" + digest(), "does not hold"),
        ("sha256=" + digest()[:-1], "does not hold"),
        ("sha256=" + digest() + "00", "does not hold"),
        ("sha256=" + digest().upper(), "does not match"),
        ("sha256=" + "g" * 64, "does not match"),
        ("sha256=" + "é" * 64, "does not match"),
        ("sha256=" + "한" * 64, "does not match"),
        ("sha256=" + digest("other"), "does not match"),
        ("sha256=" + digest(body=BODY + b" "), "does not match"),
        (f"sha256={digest()},sha256={digest()}", "does not hold"),
    ],
)
def test_a_wrong_digest_is_refused(value: str | None, said: str) -> None:
    headers = Headers([] if value is None else [("X-Sig", value)])
    with pytest.raises(BadSignature, match=said) as caught:
        verify_hex(headers, "X-Sig", BODY, "s3cret", prefix="sha256=")
    assert digest() not in str(caught.value)


def test_the_right_digest_is_taken() -> None:
    verify_hex(Headers([("X-Sig", digest())]), "X-Sig", BODY, "s3cret")
    verify_hex(Headers([("X-Sig", f"sha256={digest()}")]), "X-Sig", BODY, "s3cret", prefix="sha256=")


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_proves_nothing(secret: str) -> None:
    with pytest.raises(BadSignature, match="no secret is configured"):
        verify_hex(Headers([("X-Sig", digest(secret))]), "X-Sig", BODY, secret)
    with pytest.raises(BadSignature, match="no secret is configured"):
        verify_token(Headers([("X-Token", secret)]), "X-Token", secret)


def test_a_token_is_compared_as_it_was_on_the_wire() -> None:
    wire = "비밀".encode().decode("latin-1")
    verify_token(Headers([("X-Token", wire)]), "X-Token", "비밀")
    with pytest.raises(BadSignature, match="is not our token"):
        verify_token(Headers([("X-Token", "비밀2")]), "X-Token", "비밀")


@pytest.mark.parametrize("seconds", [-TOLERANCE, 0, TOLERANCE])
def test_a_signature_within_five_minutes_is_taken(seconds: int) -> None:
    verify_standard(signed(), BODY, SIGNING, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-TOLERANCE - 1, TOLERANCE + 1, 86_400])
def test_an_older_or_younger_one_is_refused(seconds: int) -> None:
    with pytest.raises(BadSignature, match="300 s away"):
        verify_standard(signed(), BODY, SIGNING, NOW + timedelta(seconds=seconds))


def test_one_of_several_signatures_is_enough() -> None:
    good = signed()["webhook-signature"]
    verify_standard(signed(signature=f"v1,AAAA v1a,BBBB {good}"), BODY, SIGNING, NOW)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (signed(key=b"other"), "does not match"),
        (signed(body=b"{}"), "does not match"),
        (signed(id="msg_2"), "does not match"),
        (signed(signature="v1,"), "does not match"),
        (signed(signature="v2," + signed()["webhook-signature"][3:]), "does not match"),
        (signed(signature=""), "is empty"),
        (signed(id=""), "is empty"),
        (signed(timestamp=""), "is empty"),
        (signed(timestamp="now"), "not a number"),
        (signed(timestamp="1714979289.5"), "not a number"),
        (signed(timestamp="-1"), "not a number"),
        (signed(timestamp="٣"), "not a number"),
        (signed(timestamp="9" * 13), "not a number"),
        (Headers([("X-Gitlab-Token", SIGNING)]), "is missing"),
    ],
)
def test_a_wrong_signature_is_refused(headers: Headers, said: str) -> None:
    with pytest.raises(BadSignature, match=said):
        verify_standard(headers, BODY, SIGNING, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_MfK", "whsec_MfKQ!", "whsec_비밀"])
def test_a_signing_token_that_is_none_is_told(secret: str) -> None:
    with pytest.raises(BadSignature, match=r"no secret is configured|is not whsec_<base64>"):
        verify_standard(signed(), BODY, secret, NOW)
