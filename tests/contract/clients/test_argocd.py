"""The Argo CD client: what it asks, and what it makes of what it asked for."""

import json
import threading

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.argocd_client import TOKEN, always, client, error
from tests.support.loopback import Asked, Reply, loopback
from workers.clients import argocd
from workers.clients.argocd import MAX_LOG_FRAMES, MAX_LOG_LINE

APP = {"metadata": {"name": "shop-api"}, "status": {"sync": {"status": "Synced"}}}


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
