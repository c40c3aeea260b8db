"""What the engine's texts mean; the texts are those that engines and registries really wrote."""

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from workers.clients.engine_errors import MAX_EVIDENCE, build_error, one_line, pull_error, push_error, refuses_login

LLB = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
NO_HOST = 'Head "https://nosuch.invalid/v2/x/manifests/1": dial tcp: lookup nosuch.invalid: no such host'

BUILDS = [
    ("executor failed running [/bin/sh -c make]: exit code: 2", Refused, Reason.BUILD_FAILED),
    ('process "/bin/sh -c curl dial tcp" did not complete successfully: exit code: 7', Refused, Reason.BUILD_FAILED),
    ("The command '/bin/sh -c make' returned a non-zero code: 2", Refused, Reason.BUILD_FAILED),
    (LLB + "dockerfile parse error line 1: unknown instruction: FORM", Refused, Reason.BUILD_FAILED),
    (LLB + "target stage nope could not be found", Refused, Reason.BUILD_FAILED),
    ("failed to reach build target nope in Dockerfile", Refused, Reason.BUILD_FAILED),
    ('failed to compute cache key: "/nothere" not found: not found', Refused, Reason.BUILD_FAILED),
    ("COPY failed: file not found in build context", Refused, Reason.BUILD_FAILED),
    (LLB + "docker.io/library/nosuch:1: not found", Refused, Reason.BASE_IMAGE_UNAVAILABLE),
    ("pull access denied for nosuch, repository does not exist", Refused, Reason.BASE_IMAGE_UNAVAILABLE),
    ("manifest for a:1 not found: manifest unknown: manifest unknown", Refused, Reason.BASE_IMAGE_UNAVAILABLE),
    ("failed to resolve source metadata for docker.io/a:1: not found", Refused, Reason.BASE_IMAGE_UNAVAILABLE),
    (LLB + "failed to do request: " + NO_HOST, Unavailable, Reason.BASE_IMAGE_UNAVAILABLE),
    ('Get "https://nosuch.invalid/v2/": net/http: TLS handshake timeout', Unavailable, Reason.BASE_IMAGE_UNAVAILABLE),
    ("toomanyrequests: You have reached your pull rate limit. /v2/", Unavailable, Reason.BASE_IMAGE_UNAVAILABLE),
    (
        "failed to solve with frontend gateway.v0: docker.io/docker/dockerfile:9: not found",
        Refused,
        Reason.BASE_IMAGE_UNAVAILABLE,
    ),
    ("no active sessions", Refused, Reason.SOURCE_UNSUPPORTED),
    ("no active session for 5e55: context deadline exceeded", Unavailable, Reason.ENGINE_UNAVAILABLE),
    ("context canceled", Unavailable, Reason.ENGINE_UNAVAILABLE),
    ("failed to solve: Canceled: context canceled", Unavailable, Reason.ENGINE_UNAVAILABLE),
    ("secret npm not found: not found", Refused, Reason.SECRET_MISSING),
    ("secret npm: not found", Refused, Reason.SECRET_MISSING),
    (LLB + "rpc error: code = Unavailable desc = connection error", Refused, Reason.BASE_IMAGE_UNAVAILABLE),
    ("the --mount option requires BuildKit. Refer to", Refused, Reason.SOURCE_UNSUPPORTED),
    ("write /x: no space left on device", Refused, Reason.ENGINE_REFUSED),
    ("something new", Refused, Reason.BUILD_FAILED),
]


@pytest.mark.parametrize(("text", "kind", "reason"), BUILDS)
def test_a_build_error_has_a_reason(text: str, kind: type[Exception], reason: Reason) -> None:
    error = build_error(text)
    assert (type(error), error.reason) == (kind, reason)


QUOTA = (
    "denied: adding 46.0 MiB of storage resource, which when updated to current usage of 1.0 GiB will exceed the"
    " configured upper limit of 1.0 GiB."
)
PUSHES = [
    ("unknown: Failed to process request due to 'api:1' configured as immutable.", Refused, Reason.TAG_IMMUTABLE),
    (QUOTA, Refused, Reason.REGISTRY_QUOTA),
    (
        "denied: The system is in read only mode. Any modification is prohibited.",
        Unavailable,
        Reason.REGISTRY_READ_ONLY,
    ),
    ("unauthorized: project nosuch not found: project nosuch not found", Refused, Reason.REGISTRY_PROJECT_MISSING),
    ("unauthorized: unauthorized to access repository: a/b, action: push", Refused, Reason.REGISTRY_UNAUTHORIZED),
    ("denied: requested access to the resource is denied", Refused, Reason.REGISTRY_UNAUTHORIZED),
    ("no basic auth credentials", Refused, Reason.REGISTRY_UNAUTHORIZED),
    ("An image does not exist locally with the tag: a", Refused, Reason.IMAGE_MISSING),
    ("tag does not exist: a:1", Refused, Reason.IMAGE_MISSING),
    ('Get "https://a/v2/": x509: certificate signed by unknown authority', Refused, Reason.REGISTRY_REFUSED),
    ("http: server gave HTTP response to HTTPS client", Refused, Reason.REGISTRY_REFUSED),
    ("dial tcp 127.0.0.1:9: connect: connection refused", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("write tcp: connection reset by peer", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("received unexpected HTTP status: 502 Bad Gateway", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("unknown: internal server error", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("unexpected EOF", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("net/http: request canceled (Client.Timeout exceeded)", Unavailable, Reason.REGISTRY_UNAVAILABLE),
    ("manifest invalid: manifest invalid", Refused, Reason.REGISTRY_REFUSED),
]


HTML = "<html>\\r\\n<head><title>413 Request Entity Too Large</title></head>\\r\\n<body>\\r\\n<center><h1>413"


@pytest.mark.parametrize(
    "text",
    [
        f"error parsing HTTP 413 response body: invalid character '<' looking for beginning of value: \"{HTML}\"",
        'failed commit on ref "layer-sha256:aa": unexpected status: 413 Request Entity Too Large',
        "unexpected status from PATCH request to https://a.b/v2/x/blobs/uploads/1: 413 Payload Too Large",
    ],
)
def test_a_layer_that_a_proxy_does_not_let_through_names_the_limit(text: str) -> None:
    error = push_error(text)
    assert (type(error), error.reason) == (Unavailable, Reason.REGISTRY_UNAVAILABLE)
    assert "(nginx: `client_max_body_size`)" in error.evidence


@pytest.mark.parametrize(("text", "kind", "reason"), PUSHES)
def test_a_push_error_has_a_reason(text: str, kind: type[Exception], reason: Reason) -> None:
    error = push_error(text)
    assert (type(error), error.reason) == (kind, reason)


V2 = "https://harbor.example.com/v2/"
GONE = "dial tcp 10.0.0.1:443: connect: connection refused"
NAMED = [
    (f'Head "{V2}plate/quota-service/blobs/sha256:aa": {GONE}', Unavailable, Reason.REGISTRY_UNAVAILABLE),
    (f'Put "{V2}plate/certificate-api/blobs/uploads/x": net/http: TLS handshake timeout', Unavailable, None),
    (
        f"unexpected status from PUT request to {V2}security/authorization/manifests/sha-1: 503 Service Unavailable",
        Unavailable,
        None,
    ),
    ("dial tcp: lookup quota.harbor.corp on 10.0.0.10:53: server misbehaving", Unavailable, None),
    ("dial tcp: lookup denied on 10.0.0.10:53: no such host", Unavailable, None),
    ("failed to push harbor.example.com:8443/plate/immutable:read-only: unexpected EOF", Unavailable, None),
    ('Head "https://quota.harbor.corp/v2/a/b/blobs/sha256:aa": read tcp: i/o timeout', Unavailable, None),
    (
        "tls: failed to verify certificate: x509: certificate is valid for a.b, not quota.example.com",
        Refused,
        Reason.REGISTRY_REFUSED,
    ),
    ("unauthorized: project immutable not found: project immutable not found", Refused, None),
    (
        "unauthorized: unauthorized to access repository: plate/quota-service, action: push",
        Refused,
        Reason.REGISTRY_UNAUTHORIZED,
    ),
    (
        "denied: requested access to plate/eof-service is denied",
        Refused,
        Reason.REGISTRY_UNAUTHORIZED,
    ),
    (f'Head "{V2}plate/eof/manifests/1": unexpected answer', Refused, Reason.REGISTRY_REFUSED),
]
BY_DEFAULT = {Unavailable: Reason.REGISTRY_UNAVAILABLE, Refused: Reason.REGISTRY_PROJECT_MISSING}


@pytest.mark.parametrize(("text", "kind", "reason"), NAMED)
def test_a_word_in_the_name_of_an_image_or_host_is_no_reason(
    text: str, kind: type[Refused | Unavailable], reason: Reason | None
) -> None:
    error = push_error(text)
    assert (type(error), error.reason) == (kind, reason or BY_DEFAULT[kind])
    assert error.evidence.startswith(text)


def test_a_word_in_the_name_of_a_base_image_is_no_reason() -> None:
    assert type(pull_error("manifest unknown", "harbor.example.com/base/eof:1")) is Refused
    assert type(pull_error("docker.io/base/no-such-host-eof:1: not found")) is Refused
    assert build_error("lstat /src/unauthorized/main.py: not a directory").reason is Reason.BUILD_FAILED


def test_a_long_command_does_not_hide_what_happened() -> None:
    error = build_error(f'failed to solve: process "{"x" * 5000}" did not complete successfully: exit code: 1')
    assert error.reason is Reason.BUILD_FAILED
    assert error.evidence.endswith("did not complete successfully: exit code: 1")


def test_a_long_step_is_told_once_and_in_short() -> None:
    command = "apt-get update && apt-get install -y --no-install-recommends curl && pip install -r requirements.txt"
    told = f'process "/bin/sh -c {command}" did not complete successfully: exit code: 1'
    error = build_error(f"failed to solve: {told}", f"[4/7] RUN {command}", ["ERROR: No matching distribution"])
    step, _, cause = error.evidence.partition(": ")
    assert step == "[4/7] RUN apt-get update && … curl && pip install -r requirements.txt"
    assert cause == "exit code: 1; last lines: ERROR: No matching distribution"


def test_a_failed_step_is_told_with_its_last_lines() -> None:
    error = build_error("exit code: 2", "[2/3] RUN make", ["cc -c x.c", "", "\x1b[31mx.c:1: error\x1b[0m"])
    assert error.evidence == "[2/3] RUN make: exit code: 2; last lines: cc -c x.c / x.c:1: error"


def test_the_image_is_named_when_the_text_does_not() -> None:
    assert pull_error("manifest unknown", "reg.io/a:1").evidence == "reg.io/a:1: manifest unknown"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("Head https://reg.io/v2/a/manifests/1: unauthorized: authentication required", True),
        ("pull access denied for reg.io/a, repository does not exist or may require 'docker login'", True),
        ("Head https://reg.io/v2/a/manifests/1: no basic auth credentials", True),
        ("manifest for reg.io/unauthorized-denied:1 not found: manifest unknown", False),
        ("x509: certificate signed by unknown authority", False),
    ],
)
def test_a_registry_that_wants_another_login_is_told_from_other_refusals(text: str, refused: bool) -> None:
    assert refuses_login(pull_error(text)) is refused


def test_evidence_is_one_bounded_line() -> None:
    line = one_line("a\nb\t\x00c " + "x " * 5000)
    assert line.startswith("a b c x")
    assert MAX_EVIDENCE - 2 <= len(line) <= MAX_EVIDENCE


@pytest.mark.parametrize("before", range(100, 170))
def test_no_half_of_a_secret_is_left_where_a_line_is_cut(before: int) -> None:
    secret = "glpat-Ab12Cd34Ef56Gh78Ij90"
    line = f"npm ERR! {'x ' * (before // 2)} https://oauth2:{secret}@git.example.com/acme/lib.git"
    for error in (
        build_error("exit code: 1", "[2/3] RUN npm ci", [line]),
        build_error("exit code: 1", line),
        build_error(f"{line} " * 5),
        push_error(f"denied: {line} " * 5),
    ):
        assert "Ab1" not in Mask([secret])(error.evidence)
        assert "j90" not in Mask([secret])(error.evidence)


def test_an_endless_message_is_looked_at_in_part() -> None:
    error = build_error("target stage " * 100_000 + "could not be found")
    assert error.reason is Reason.BUILD_FAILED
    assert error.evidence.endswith("could not be found")


def test_a_session_that_ends_too_early_is_tried_again_and_named_where_a_secret_was_mounted() -> None:
    closed = "rpc error: code = Unavailable desc = transport is closing"
    error = build_error(closed, step="[2/2] RUN --mount=type=secret,id=npm npm ci")
    assert (type(error), error.reason) == (Unavailable, Reason.ENGINE_UNAVAILABLE)
    assert "could not be given its secrets" in error.evidence
    assert "secrets" not in build_error(closed, step="[2/2] RUN make").evidence
