"""The stand-in of Argo CD has the quirks of the real one: content types, 403 and 404, sync, streams."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_fields import LIST_FIELDS
from tests.support.argocd import TOKEN, RunningArgo, declared, healthy, phase, running
from workers.gitops.fingerprint import LIST_FIELDS as ASKED_FIELDS
from workers.gitops.windows import blocking_window


@pytest.fixture
def argocd(tmp_path: Path) -> Iterator[RunningArgo]:
    """One of its own, to change at will."""
    with running(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningArgo]:
    """One for all tests that only look."""
    with running(tmp_path_factory.mktemp("calm")) as made:
        yield made


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/json", ""])
@pytest.mark.parametrize(("method", "path"), [("POST", "sync"), ("DELETE", "operation")])
def test_every_request_but_get_needs_the_exact_content_type(calm, method, path, kind):
    headers = {"Content_Type": kind} if kind else {}
    answer = calm.ask(method, f"/api/v1/applications/shop-api/{path}", "{}", **headers)
    assert (answer.status_code, answer.text) == (415, "Invalid content type\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("none", 403, "permission denied"),
        ("none?project=shop", 404, 'applications.argoproj.io "none" not found'),
        ("shop-api?project=tools", 404, 'applications.argoproj.io "shop-api" not found'),
        ("shop-api?project=unheard", 403, "permission denied"),
        ("shop-api?appNamespace=other", 403, "permission denied"),
        ("shop-api?appNamespace=other&project=shop", 404, 'applications.argoproj.io "shop-api" not found'),
        (
            "shop-api?project=shop&project=tools",
            400,
            "multiple projects specified - the get endpoint accepts either zero or one project",
        ),
    ],
)
def test_403_and_404(calm, path, status, message):
    answer = calm.get(f"/api/v1/applications/{path}")
    assert answer.status_code == status
    code = {403: 7, 404: 5, 400: 3}[status]
    assert answer.json() == {"error": message, "code": code, "message": message}


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "no session information"),
        ("Bearer not-a-jwt", "no session information"),
        ("Basic YTpi", "no session information"),
        (
            "Bearer aaaa.bbbb.cccc",
            "invalid session: account pilotage does not have token with id 4f1c",
        ),
    ],
)
def test_401(calm, authorization, message):
    answer = calm.get("/api/v1/applications/shop-api", Authorization=authorization)
    assert (answer.status_code, answer.json()["message"], answer.json()["code"]) == (401, message, 16)


def test_unknown_paths(calm):
    assert calm.get("/api/v1/nothing").headers["Content-Type"].startswith("text/plain")
    page = calm.get("/applications", Accept="text/html")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert calm.get("/applications").status_code == 404


@pytest.mark.parametrize("path", ["/applications/shop-api", "/applications/argocd/shop-api"])
def test_the_page_of_an_application_shows_what_runs(calm, path):
    page = calm.get(path, Accept="text/html", Authorization="")
    revision = calm.client.get("shop-api")["status"]["sync"]["revision"]
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert all(word in page.text for word in ("Healthy", "Synced", revision))


def test_version_needs_no_token(calm):
    assert calm.get("/api/version", Authorization="").json()["Version"].startswith("v3.")


def test_list_has_no_health_of_single_resources_and_get_has(calm):
    assert all("health" in resource for resource in calm.client.get("shop-api")["status"]["resources"])
    for app in calm.client.applications(fields=()):
        assert not any("health" in resource for resource in app["status"]["resources"])


def test_list_knows_some_fields_only(calm):
    found = calm.client.applications(fields=["items.metadata.name", "items.status.sync.revision"])
    assert found == [{"metadata": {"name": "shop-api"}}, {"metadata": {"name": "shop-manual"}}]
    left = calm.client.applications(fields=["-items.spec", "items.status.resources"])[0]
    assert set(left) == {"metadata", "status"}


def test_the_watch_asks_list_for_fields_that_it_knows():
    assert {name.removeprefix("items.") for name in ASKED_FIELDS} <= set(LIST_FIELDS)


def test_sync_only_queues_and_answers_the_object_without_the_old_state(argocd):
    found = argocd.client.get("shop-manual")
    assert (found["status"]["sync"]["status"], found["status"]["health"]["status"]) == ("OutOfSync", "Missing")
    body = json.dumps({"name": "shop-manual", "infos": [{"name": "run", "value": "7"}], "dry_run": True})
    answer = argocd.ask("POST", "/api/v1/applications/shop-manual/sync", body, Content_Type="application/json").json()
    assert "operationState" not in answer["status"]
    assert answer["operation"]["info"] == [{"name": "run", "value": "7"}]
    assert answer["operation"]["initiatedBy"] == {"username": "pilotage"}
    revision = answer["operation"]["sync"]["revision"]
    argocd.wait(healthy(revision), "shop-manual")  # dry_run is not a field, so it was a real sync


def test_a_sync_window_leaves_no_trace_of_the_automated_sync_that_it_blocks(argocd):
    before = argocd.client.get("shop-api")["status"]["operationState"]
    assert blocking_window(argocd.client.sync_windows("shop-api")) == ""
    argocd.sandbox.faults.set("sync_window", "shop-api")
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    found = argocd.client.get("shop-api", refresh="normal")
    assert (found["status"]["sync"]["status"], found["status"]["sync"]["revision"]) == ("OutOfSync", new)
    assert (found["status"]["operationState"], "operation" in found) == (before, False)
    windows = argocd.client.sync_windows("shop-api", project="shop")
    assert (windows["canSync"], "denies syncs now" in blocking_window(windows)) == (False, True)
    with pytest.raises(Unavailable) as caught:
        argocd.client.sync("shop-api", project="shop")
    assert caught.value.reason is Reason.SYNC_WINDOW
    argocd.sandbox.faults.lift("sync_window", "shop-api")
    argocd.wait(healthy(new))


def test_a_sync_window_may_let_manual_syncs_through(argocd):
    argocd.sandbox.faults.set("sync_window", "shop-api", value="manual")
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    assert argocd.client.get("shop-api", refresh="normal")["status"]["sync"]["status"] == "OutOfSync"
    windows = argocd.client.sync_windows("shop-api")
    assert (windows["canSync"], "denies syncs now" in blocking_window(windows)) == (True, True)
    assert argocd.client.sync("shop-api", project="shop") is True
    argocd.wait(healthy(new))


def test_a_second_sync_finds_an_operation_in_progress(argocd):
    argocd.sandbox.faults.set("sync_window", "shop-manual")
    compared = argocd.wait(lambda app: bool(app["status"]["sync"].get("revision")), "shop-manual")
    revision = compared["status"]["sync"]["revision"]
    asked_before = objects.operation(
        declared(argocd.repo, name="shop-manual"), revision, {"username": "pilotage"}, {}
    )
    argocd.sandbox._controller.request("shop-manual", asked_before)
    blocked = argocd.wait(lambda app: phase(app) == "Running", "shop-manual")
    assert blocked["status"]["operationState"]["message"] == "Sync operation blocked by sync window"
    path = "/api/v1/applications/shop-manual"
    ended = argocd.ask("DELETE", f"{path}/operation", Content_Type="application/json")
    assert (ended.status_code, ended.json()) == (200, {})
    assert phase(argocd.client.get("shop-manual")) == "Failed"


def test_sync_to_another_revision_of_an_automated_application_is_refused(calm):
    body = json.dumps({"name": "shop-api", "revision": "0a1b2c3"})
    answer = calm.ask("POST", "/api/v1/applications/shop-api/sync", body, Content_Type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, 9)
    assert answer.json()["message"] == "Cannot sync to 0a1b2c3: auto-sync currently set to main"


def test_terminate_without_an_operation(calm):
    answer = calm.ask("DELETE", "/api/v1/applications/shop-api/operation", Content_Type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_an_automated_sync_that_failed_is_not_tried_again_for_the_same_commit(argocd):
    argocd.sandbox.faults.set("sync_fails", "shop-api", value="field is immutable")
    argocd.repo.chart("helm/shop-api", tag="v2")
    argocd.client.get("shop-api", refresh="normal")
    failed = argocd.wait(lambda app: phase(app) == "Failed" and "conditions" in app["status"])
    assert failed["status"]["sync"]["status"] == "OutOfSync"
    assert failed["status"]["conditions"][0]["type"] == "SyncError"
    assert failed["status"]["operationState"]["syncResult"]["resources"][1]["status"] == "SyncFailed"
    argocd.sandbox.faults.lift("sync_fails", "shop-api")
    again = argocd.client.get("shop-api", refresh="hard")
    assert again["status"]["operationState"] == failed["status"]["operationState"]
    assert argocd.client.sync("shop-api", project="shop") is True
    argocd.wait(healthy(failed["status"]["sync"]["revision"]))


def test_a_webhook_wakes_what_reads_the_branch(argocd):
    new = argocd.repo.chart("helm/shop-api", tag="v2")
    body = json.dumps({"ref": "refs/heads/main", "repository": {"clone_url": argocd.repo.url}})
    answer = argocd.ask("POST", "/api/webhook", body, X_Gogs_Event="push", Authorization="")
    assert (answer.status_code, answer.text) == (200, "")
    argocd.wait(healthy(new))
    assert argocd.ask("POST", "/api/webhook", body, Authorization="").status_code == 400


def test_tree_and_events_tell_about_the_pod(calm):
    nodes = calm.client.resource_tree("shop-api")["nodes"]
    assert [node["kind"] for node in nodes] == ["Service", "Deployment", "ReplicaSet", "Pod"]
    assert nodes[2]["parentRefs"][0]["uid"] == nodes[1]["uid"]
    assert nodes[3]["parentRefs"][0]["uid"] == nodes[2]["uid"]
    reasons = [event["reason"] for event in calm.client.events("shop-api")]
    assert reasons == ["OperationStarted", "OperationCompleted"]
    assert calm.client.logs("shop-api", nodes[3]["name"], "shop-prod") == []


def first_lines(argocd: RunningArgo, count: int, accept: str, query: str = "") -> list[bytes]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
    url = f"{argocd.url}/api/v1/stream/applications{query}"
    with requests.get(url, headers=headers, stream=True, timeout=10) as answer:
        lines = answer.iter_lines()
        return [next(lines) for _ in range(count)]


def test_newline_framing_begins_with_the_state_of_now(calm):
    lines = first_lines(calm, 2, "application/json")
    frames = [json.loads(line)["result"] for line in lines]
    assert {frame["type"] for frame in frames} == {"ADDED"}
    assert {frame["application"]["metadata"]["name"] for frame in frames} == {"shop-api", "shop-manual"}


def test_server_sent_events_with_chosen_fields(calm):
    query = "?name=shop-api&fields=result.type,result.application.metadata.name"
    line = first_lines(calm, 1, "text/event-stream", query)[0]
    assert line.startswith(b"data: ")
    assert json.loads(line[6:])["result"] == {"type": "ADDED", "application": {"metadata": {"name": "shop-api"}}}


def test_silence_is_filled_with_comments(calm, monkeypatch):
    monkeypatch.setattr("orchestrator.sandbox.argocd_streams.KEEPALIVE", 0.05)
    assert first_lines(calm, 2, "text/event-stream", "?name=nobody") == [b":", b":"]


@pytest.mark.parametrize("path", ["/api/version", "/api/v1/applications", "/api/v1/applications/nobody"])
def test_who_takes_gzip_gets_it(calm, path):
    plain, packed = calm.get(path, Accept_Encoding="identity"), calm.get(path, Accept_Encoding="gzip, deflate")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert (packed.status_code, packed.json()) == (plain.status_code, plain.json())


def test_a_stream_is_compressed_line_by_line_unless_it_is_one_of_server_sent_events(calm):
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    url = f"{calm.url}/api/v1/stream/applications"
    for accept, encoding in (("application/json", "gzip"), ("text/event-stream", None)):
        with requests.get(url, headers=headers | {"Accept": accept}, stream=True, timeout=10) as answer:
            assert answer.headers.get("Content-Encoding") == encoding
            assert b"shop-api" in next(answer.iter_lines())


def test_a_dropped_stream_ends(argocd):
    done = threading.Event()

    def follow() -> None:
        with pytest.raises(Unavailable):
            argocd.client.stream(lambda *_: started.set(), threading.Event())
        done.set()

    started = threading.Event()
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert started.wait(5)
    argocd.sandbox.faults.drop_streams()
    assert done.wait(5)
