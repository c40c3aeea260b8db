"""The Argo CD client: what it asks, and what it makes of every answer that is not what we hoped for."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.domain.apps import ArgoCD, Secret
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.contracts import contract_files, needs_contract
from tests.support.loopback import Asked, Reply, loopback
from workers.clients import argocd
from workers.clients.argocd import MAX_LOG_FRAMES, MAX_LOG_LINE, ArgoClient

TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwaWxvdGFnZSJ9.c2ln"
APP = {"metadata": {"name": "shop-api"}, "status": {"sync": {"status": "Synced"}}}


def error(code: int, message: str) -> dict[str, Any]:
    return {"error": message, "code": code, "message": message}


def client(url: str) -> ArgoClient:
    return ArgoClient(ArgoCD(url=url, token=Secret(TOKEN)))


def always(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda _: reply


def test_get_sends_the_token_the_project_and_the_namespace_below_the_root_path():
    with loopback(always(Reply(body=APP))) as server:
        assert client(f"{server.url}/tools/argocd/").get("shop-api", project="shop", app_namespace="teams") == APP
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("GET", "/tools/argocd/api/v1/applications/shop-api")
    assert asked.query == {"project": ["shop"], "appNamespace": ["teams"]}
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


def test_get_without_refresh_asks_for_none_because_any_presence_triggers_one():
    with loopback(always(Reply(body=APP))) as server:
        client(server.url).get("shop-api")
    assert "refresh" not in server.asked[0].query


@pytest.mark.parametrize("kind", ["normal", "hard"])
def test_refresh_is_asked_for_once(kind):
    with loopback(always(Reply(body=APP))) as server:
        assert client(server.url).get("shop-api", project="shop", refresh=kind) == APP
    assert [asked.query["refresh"] for asked in server.asked] == [[kind]]


def test_a_refresh_that_outlives_our_patience_counts_as_asked_and_the_object_is_read_as_it_is(monkeypatch):
    monkeypatch.setattr(argocd, "REFRESH_TIMEOUT", 0.2)
    done = threading.Event()
    with loopback(lambda asked: Reply(body=APP, wait=done if "refresh" in asked.query else None)) as server:
        assert client(server.url).get("shop-api", refresh="normal") == APP
        done.set()
    assert [asked.query for asked in server.asked] == [{"refresh": ["normal"]}, {}]


def test_a_name_with_a_slash_stays_one_segment_of_the_path():
    with loopback(always(Reply(body=APP))) as server:
        client(server.url).get("../secrets")
    assert server.asked[0].path == "/api/v1/applications/..%2Fsecrets"


def test_one_request_lists_all_applications():
    with loopback(always(Reply(body={"metadata": {}, "items": [APP, APP]}))) as server:
        assert len(client(server.url).applications(["items.metadata.name", "items.spec"])) == 2
    assert server.asked[0].query == {"fields": ["items.metadata.name,items.spec"]}


def test_an_empty_list_is_null_in_the_answer():
    with loopback(always(Reply(body={"metadata": {}, "items": None}))) as server:
        assert client(server.url).applications() == []


def test_sync_puts_everything_into_the_body_with_the_exact_content_type():
    with loopback(always(Reply(body=APP))) as server:
        started = client(server.url).sync("shop-api", project="shop", app_namespace="teams")
    asked = server.asked[0]
    assert started is True
    assert (asked.method, asked.path, asked.query) == ("POST", "/api/v1/applications/shop-api/sync", {})
    assert asked.headers["content-type"] == "application/json"
    assert asked.json() == {"name": "shop-api", "prune": False, "project": "shop", "appNamespace": "teams"}


@pytest.mark.parametrize("prefix", ["", "error setting app operation: "])
def test_an_operation_under_way_is_no_error_of_sync(prefix):
    reply = Reply(400, error(9, f"{prefix}another operation is already in progress"))
    with loopback(always(reply)) as server:
        assert client(server.url).sync("shop-api") is False


def test_can_i_asks_for_project_and_application():
    with loopback(always(Reply(body={"value": "no"}))) as server:
        assert client(server.url).can_i("sync", "shop", "shop-api") is False
    assert server.asked[0].path == "/api/v1/account/can-i/applications/sync/shop/shop-api"


def test_userinfo_is_the_name_of_the_account():
    with loopback(always(Reply(body={"loggedIn": True, "username": "pilotage", "iss": "argocd"}))) as server:
        assert client(server.url).userinfo() == "pilotage"


def test_a_token_that_anonymous_access_hides_is_refused():
    with loopback(always(Reply(body={}))) as server, pytest.raises(Refused) as caught:
        client(server.url).userinfo()
    assert caught.value.reason is Reason.ARGOCD_UNAUTHORIZED


def test_tree_events_and_version():
    def script(asked: Asked) -> Reply:
        last = asked.path.rsplit("/", 1)[-1]
        return Reply(
            body={
                "resource-tree": {"nodes": [{"kind": "Pod"}]},
                "events": {"items": [{"reason": "BackOff"}]},
                "version": {"Version": "v3.2.1+8c4ab63"},
            }[last]
        )

    with loopback(script) as server:
        argo = client(server.url)
        assert argo.resource_tree("shop-api", project="shop") == {"nodes": [{"kind": "Pod"}]}
        pod = {"uid": "c1", "name": "shop-api-x", "namespace": "shop-prod"}
        assert argo.events("shop-api", resource=pod) == [{"reason": "BackOff"}]
        assert argo.version() == "v3.2.1+8c4ab63"
    assert server.asked[1].query == {
        "resourceUID": ["c1"],
        "resourceName": ["shop-api-x"],
        "resourceNamespace": ["shop-prod"],
    }


def test_logs_are_the_last_lines_without_the_end_mark():
    frames = [{"result": {"content": f"line {n}", "last": False}} for n in range(4)]
    frames.append({"result": {"content": "", "last": True}})
    text = "".join(json.dumps(frame) + "\n" for frame in frames)
    reply = Reply(body=text, headers={"Content-Type": "application/json"})
    with loopback(always(reply)) as server:
        assert client(server.url).logs("shop-api", "pod-1", "shop-prod", lines=2) == ["line 2", "line 3"]
    assert server.asked[0].query == {"podName": ["pod-1"], "namespace": ["shop-prod"], "tailLines": ["2"]}


def test_a_log_that_kubernetes_does_not_have_says_nothing():
    """The server sends what Kubernetes answered as if it were a line of the log, without a pod and a time."""
    frames = [
        {"result": {"content": 'previous terminated container "web" in pod "web-1" not found', "last": False,
                    "timeStamp": "0001-01-01T00:00:00Z", "timeStampStr": "0001-01-01T00:00:00Z", "podName": ""}},
        {"result": {"content": "", "last": True, "timeStampStr": "2026-08-22T03:12:00Z"}},
    ]  # fmt: skip
    text = "".join(json.dumps(frame) + "\n" for frame in frames)
    reply = Reply(body=text, headers={"Content-Type": "application/json"})
    with loopback(always(reply)) as server:
        assert client(server.url).logs("shop-api", "web-1", "shop", container="web", previous=True) == []
    assert server.asked[0].query["container"] == ["web"]
    assert server.asked[0].query["previous"] == ["true"]


def frames_of(content, times=1):
    text = (json.dumps({"result": {"content": content, "last": False}}) + "\n") * times
    return always(Reply(body=text, headers={"Content-Type": "application/json"}))


def test_a_log_with_too_long_a_line_is_not_read():
    with loopback(frames_of("x" * MAX_LOG_LINE * 3)) as server, pytest.raises(Unavailable):
        client(server.url).logs("shop-api", "pod-1", "shop")


def test_no_more_lines_of_a_log_are_read_than_the_bound():
    with loopback(frames_of("x", MAX_LOG_FRAMES * 2)) as server:
        lines = client(server.url).logs("shop-api", "pod-1", "shop", lines=MAX_LOG_FRAMES * 2)
    assert len(lines) == MAX_LOG_FRAMES


DENIED = "permission denied: applications, sync, shop/shop-api, sub: pilotage, iat: 2026-08-01T00:00:00Z"
HTML = {"Content-Type": "text/html; charset=utf-8"}
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
    (400, error(3, "another operation is already in progress"), {}, Refused, Reason.ARGOCD_REFUSED),
    (400, "{not json", {"Content-Type": "application/json"}, Refused, Reason.ARGOCD_REFUSED),
    (400, "[]", {"Content-Type": "application/json"}, Refused, Reason.ARGOCD_REFUSED),
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


def event(name: str) -> bytes:
    frame = {"result": {"type": "MODIFIED", "application": {"metadata": {"name": name}}}}
    return b"data: " + json.dumps(frame).encode() + b" \n\n"


def streaming(*parts: bytes) -> Reply:
    def chunks() -> Iterator[bytes]:
        yield from parts

    return Reply(headers={"Content-Type": "text/event-stream"}, parts=chunks)


def follow(reply: Reply, stop: threading.Event | None = None) -> tuple[list[str], Unavailable | Refused | None]:
    names: list[str] = []
    with loopback(always(reply)) as server:
        try:
            client(server.url).stream(lambda app: names.append(app["metadata"]["name"]), stop or threading.Event())
        except (Unavailable, Refused) as caught:
            return names, caught
    assert server.asked[0].headers["accept"] == "text/event-stream"
    return names, None


def test_a_stream_hands_on_events_cut_anywhere_and_passes_over_keepalives():
    data = event("a") + b":\n\n" + event("b")
    names, caught = follow(streaming(data[:7], data[7:50], data[50:]))
    assert names == ["a", "b"]
    assert isinstance(caught, Unavailable), "the end of a stream is told, so that the caller reads and reconnects"


def test_newline_framing_is_understood_as_well():
    names, _ = follow(streaming(event("a").removeprefix(b"data: "), b'{"result":{"type":"ADDED"}}\n'))
    assert names == ["a"]


@pytest.mark.parametrize(
    ("last", "kind", "reason"),
    [
        (
            b'{"error":{"grpc_code":14,"http_code":503,"message":"transport is closing"}}',
            Unavailable,
            Reason.ARGOCD_UNAVAILABLE,
        ),
        (b'{"error":{"grpc_code":16,"http_code":401,"message":"expired"}}', Refused, Reason.ARGOCD_UNAUTHORIZED),
        (b"data: {broken\n", Unavailable, Reason.ARGOCD_UNAVAILABLE),
    ],
)
def test_the_last_frame_of_a_stream_may_be_an_error(last, kind, reason):
    names, caught = follow(streaming(event("a"), last))
    assert names == ["a"]
    assert isinstance(caught, kind)
    assert caught.reason is reason


def test_a_stream_ends_quietly_when_it_is_told_to_stop():
    stop = threading.Event()
    stop.set()
    assert follow(streaming(b":\n\n", event("a")), stop) == ([], None)


def test_a_line_beyond_the_bound_ends_the_stream(monkeypatch):
    monkeypatch.setattr(argocd, "MAX_EVENT", 1000)
    names, caught = follow(streaming(event("a"), b"data: " + b"x" * 2000))
    assert names == ["a"]
    assert isinstance(caught, Unavailable)


def test_a_silent_stream_is_given_up(monkeypatch):
    monkeypatch.setattr(argocd, "STREAM_SILENCE", 0.2)
    never = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield event("a")
        never.wait(5)

    names, caught = follow(Reply(headers={"Content-Type": "text/event-stream"}, parts=chunks))
    never.set()
    assert names == ["a"]
    assert isinstance(caught, Unavailable)


def test_a_stream_is_not_given_up_between_two_keepalives():
    assert argocd.STREAM_SILENCE >= 2 * 15, "the server's keepalive comes every 15 s, and one may be late"


@pytest.mark.parametrize("frame", [False, True], ids=["answer", "frame of a stream"])
def test_what_argo_cd_quotes_of_helm_is_cut(frame):
    said = "helm: " + "x " * 5000
    if frame:
        _, caught = follow(streaming(event("a"), json.dumps({"error": {"message": said}}).encode()))
    else:
        _, caught = follow(Reply(400, error(3, said)))
    assert isinstance(caught, Refused | Unavailable)
    assert "helm: x x" in caught.evidence
    assert len(caught.evidence) < 400


def test_a_stream_that_is_refused_is_refused():
    _, caught = follow(Reply(401, error(16, "no session information")))
    assert isinstance(caught, Refused)


def test_nobody_at_the_address_is_no_verdict():
    with pytest.raises(Unavailable) as caught:
        client("http://127.0.0.1:9").get("shop-api")
    assert caught.value.reason is Reason.ARGOCD_UNAVAILABLE
