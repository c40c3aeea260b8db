"""The Argo CD client: what it makes of every answer that is not what we hoped for."""

import json
from typing import Any

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.argocd_client import TOKEN, always, client, error
from tests.support.contracts import contract_files, needs_contract
from tests.support.loopback import Reply, loopback

DENIED = "permission denied: applications, sync, shop/shop-api, sub: pilotage, iat: 2026-08-01T00:00:00Z"
HTML = {"Content-Type": "text/html; charset=utf-8"}
NO_GIT = "rpc error: code = Unknown desc = failed to list refs: dial tcp 10.0.0.2:443: i/o timeout"
ERRORS = [
    (401, error(16, "no session information"), {}, Refused, Reason.ARGOCD_UNAUTHORIZED),
    (401, error(16, "invalid session: token is expired"), {}, Refused, Reason.ARGOCD_UNAUTHORIZED),
    (403, error(7, DENIED), {}, Refused, Reason.ARGOCD_FORBIDDEN),
    (403, error(7, "cannot sync: blocked by sync window"), {}, Unavailable, Reason.SYNC_WINDOW),
    (404, error(5, 'applications.argoproj.io "shop-api" not found'), {}, Refused, Reason.APPLICATION_MISSING),
    (404, "404 page not found\n", {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (404, error(5, "Not Found"), {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (400, error(9, "application is deleting"), {}, Refused, Reason.APPLICATION_DELETING),
    (400, error(9, "Cannot sync to 0a1b2c3: auto-sync currently set to main"), {}, Refused, Reason.ARGOCD_REFUSED),
    (400, error(9, f"error resolving repo revision: {NO_GIT}"), {}, Unavailable, Reason.COMPARISON_FAILED),
    (400, error(9, "error getting repo server client: refused"), {}, Unavailable, Reason.COMPARISON_FAILED),
    (400, error(3, "another operation is already in progress"), {}, Refused, Reason.ARGOCD_REFUSED),
    (400, "{not json", {"Content-Type": "application/json"}, Refused, Reason.ARGOCD_REFUSED),
    (400, "[]", {"Content-Type": "application/json"}, Refused, Reason.ARGOCD_REFUSED),
    (400, "<html>The plain HTTP request was sent to HTTPS port</html>", HTML, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (401, "<html>Sign in</html>", HTML, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (403, "<html>403 Forbidden, nginx</html>", HTML, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (403, "RBAC: access denied", {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (415, "Invalid content type\n", {}, Refused, Reason.ARGOCD_REFUSED),
    (429, "slow down", {"Retry-After": "7"}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (500, error(2, "application refresh deadline exceeded"), {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (501, error(12, "unimplemented"), {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (503, error(14, "connection error: connection refused"), {}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (200, "<!DOCTYPE html>...", HTML, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (200, "{cut", {"Content-Type": "application/json"}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (200, "[]", {"Content-Type": "application/json"}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
    (302, "", {"Location": "https://login.example.com/"}, Unavailable, Reason.ARGOCD_UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind", "reason"), ERRORS)
def test_every_foreign_error_becomes_one_of_ours(status, body, headers, kind, reason):
    with loopback(always(Reply(status, body, headers))) as server, pytest.raises(kind) as caught:
        client(server.url).sync("shop-api", project="shop")
    assert caught.value.reason is reason
    assert "\n" not in caught.value.evidence
    assert TOKEN not in str(caught.value)


def _contract_errors() -> list[dict[str, Any]]:
    files = contract_files("argocd/samples/errors.json")
    return json.loads(files[0].read_text())["items"] if files else []


@needs_contract
@pytest.mark.parametrize("item", _contract_errors(), ids=lambda item: item["when"][:40])
def test_every_error_of_the_contract_is_typed(item):
    headers = {"Content-Type": item.get("content_type", "application/json")}
    reply = Reply(item["http_status"], item.get("body") or item["body_text"], headers)
    with loopback(always(reply)) as server:
        if "another operation" in str(item.get("body")):
            assert client(server.url).sync("shop-api", project="shop") is False
            return
        final = item["http_status"] in (400, 401, 404, 415) or "applications, sync" in str(item.get("body"))
        # a bare 403 is looked into with can-i, which this server forbids as well
        final = final or item.get("body", {}).get("message") == "permission denied"
        with pytest.raises(Refused if final else Unavailable):
            client(server.url).sync("shop-api", project="shop")


def test_the_time_that_the_server_asks_for_is_kept():
    with loopback(always(Reply(429, "", {"Retry-After": "7"}))) as server, pytest.raises(Unavailable) as caught:
        client(server.url).get("shop-api")
    assert caught.value.retry_after == 7.0


def test_the_reason_of_a_503_is_in_the_evidence():
    with (
        loopback(always(Reply(503, error(14, "repo server\n is down")))) as server,
        pytest.raises(Unavailable) as caught,
    ):
        client(server.url).get("shop-api")
    assert caught.value.evidence.endswith("repo server is down")


def test_nobody_at_the_address_is_no_verdict():
    with pytest.raises(Unavailable) as caught:
        client("http://127.0.0.1:9").get("shop-api")
    assert caught.value.reason is Reason.ARGOCD_UNAVAILABLE


@pytest.mark.parametrize("status", [401, 403])
def test_a_no_of_a_proxy_is_not_taken_for_one_of_argo_cd(status):
    with (
        loopback(always(Reply(status, "<html>Forbidden</html>", HTML))) as server,
        pytest.raises(Unavailable, match=f"HTTP {status} where the Argo CD API speaks JSON.*any sign-on proxy"),
    ):
        client(server.url).get("shop-api", project="shop")
    assert len(server.asked) == 1, "whether our account may get it is nothing that a proxy knows"
