"""Errors, apps and deliveries, and what no page does."""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.glances import Witness
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.domain.secrets import Secret
from orchestrator.store import environments, glances
from orchestrator.web.environment_actions import MAX_FORM
from tests.support.databases import sqlite_database
from tests.support.pages import OURS, Page, page
from tests.support.web import Web, make_web

HOOKS = tuple(Hook(forge=forge, secret=Secret("s")) for forge in ("gitea", "github"))


def html(answer: Any, status: int) -> str:
    assert answer.status_code == status
    assert answer.content_type == "text/html; charset=utf-8"
    return str(answer.text)


ACCEPT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_browsers_get_errors_as_pages_and_programs_as_problems(web: Web) -> None:
    client = web.browser("viewer")
    assert "There is no run 99." in html(client.get("/runs/99", headers=ACCEPT), 404)
    html(client.get("/nosuch", headers=ACCEPT), 404)
    html(client.post("/runs/1/cancel", headers={**ACCEPT, **OURS}), 403)
    assert client.get("/api/v1/runs/99", headers=ACCEPT).content_type == "application/problem+json"
    assert client.get("/nosuch").content_type == "application/problem+json"


def test_an_error_leads_back_to_where_it_was_asked_for(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    client, deploy = web.browser(), "/apps/plate-web/stg/deploy"
    for path, back in ((f"/runs/{run}/cancel", f"/runs/{run}"), (deploy, deploy)):
        refused = client.post(path, data={"what": "a..b"}, headers={**ACCEPT, **OURS})
        assert {"href": back} in Page(str(refused.text)).all("a"), (path, refused.status_code)
    nowhere = client.post("/runs/99/cancel", headers={**ACCEPT, **OURS})
    assert {"href": "/runs/99"} not in Page(html(nowhere, 404)).all("a")


FORMS = ["rerun", "/login", "/language", "/apps/plate-web/stg/hold", "/apps/plate-web/stg/deploy"]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_is_read_that_is_larger_than_ours(web: Web, form: str) -> None:
    run = web.run(RunState.FAILED)
    path = f"/runs/{run}/rerun" if form == "rerun" else form
    file = {"from": "start", "file": (BytesIO(b"x" * (MAX_FORM + 1)), "file")}
    answer = web.browser().post(path, data=file, headers=OURS, content_type="multipart/form-data")
    assert answer.status_code == 413
    assert web.client().get("/api/v1/runs").json["items"][0]["id"] == run


def test_errors_keep_the_menu_of_who_is_logged_in(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    client = web.browser("viewer")
    deliveries = {"href": "/deliveries"}
    assert deliveries in Page(html(client.get("/runs/99", headers=ACCEPT), 404)).all("a")
    assert deliveries not in Page(html(web.client("").get("/nosuch", headers=ACCEPT), 404)).all("a")
    assert deliveries not in Page(html(client.post("/runs/1/cancel", headers=ACCEPT), 403)).all("a"), "another site's"

    def away() -> None:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE)

    monkeypatch.setattr(web.database, "read", away)
    assert deliveries not in Page(html(client.get("/runs/99", headers=ACCEPT), 503)).all("a")


def test_apps_and_deliveries_are_shown(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED, image="harbor.example.com/plate/plate-web:sha-1", landed=10.0)
    web.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": "freeze <now>"})
    shown = page(web, "/apps")
    assert {"href": f"/runs/{run}"} in shown.all("a")
    assert "on hold by deployer-token: freeze <now>" in shown.text
    assert "No deliveries yet" in page(web, "/deliveries").text


READ = {"values": "web/values-stg.yaml", "key": "image.tag"}
GIT = READ | {"value": "hotfix", "commit": "c" * 40, "author": "Ann <b>"}
ARGO = {"argocd": "plate-web-stg", "sync": "Synced", "health": "Progressing", "live": ["sha-7"]}


def seen(web: Web, trouble: str = "", age: float = 0.0, **more: Any) -> str:
    """What the page says of stg when this was seen there."""
    with web.database.write() as connection:
        for witness, facts in ((Witness.GIT, GIT | more), (Witness.ARGOCD, ARGO)):
            glances.write(connection, witness, {("plate-web", "stg"): facts})
            glances.looked(connection, witness, glances.LastLook(seen_at=time.time() - age, trouble=trouble))
    shown = page(web, "/apps").text
    return shown[shown.index("stg") : shown.index("prod")]


def test_a_hand_edit_and_the_health_of_now_stand_beside_what_runs_have_proven(web: Web) -> None:
    web.run(RunState.SUCCEEDED, image="harbor.example.com/plate/plate-web:sha-7", landed=10.0)
    shown = seen(web)
    for word in ("hotfix", "not by Pilotage", "by Ann <b>", "cccccccccccc", "Progressing", "Synced", "live: sha-7"):
        assert word in shown
    assert "succeeded" in shown
    assert "unknown" not in shown
    asked = page(web, "/apps/plate-web/stg/deploy").text
    assert "In Git now: hotfix, by Ann <b>, not by Pilotage. This run replaces it." in asked
    assert "not by Pilotage" not in page(web, "/apps/plate-web/stg/hold").text
    ours = seen(web, run=12)
    assert "not by Pilotage" not in page(web, "/apps/plate-web/stg/deploy").text
    assert ("#12" in ours, "not by Pilotage" in ours, "Ann" in ours) == (True, False, False)


@pytest.mark.parametrize(("trouble", "age"), [("It is away.", 0.0), ("", 300.0)])
def test_what_is_not_known_any_more_is_shown_as_unknown(web: Web, trouble: str, age: float) -> None:
    shown = seen(web, trouble, age)
    assert (shown.count("unknown"), "was Progressing" in shown, "not by Pilotage" in shown) == (2, True, False)
    assert (trouble or "Nobody has looked since then") in shown


def test_where_nobody_has_looked_yet_the_page_says_so(web: Web) -> None:
    assert page(web, "/apps").text.count("Nobody has looked yet") == 4


def test_a_hold_that_outlives_its_environment_is_seen_and_can_be_released(web: Web) -> None:
    with web.database.write() as connection:
        environments.set_hold(connection, "old", "prod", "freeze <now>", "kim", 10.0)
    assert "old prod ◷ on hold by kim: freeze <now>" in " ".join(page(web, "/apps").text.split())
    (stray,) = web.client("viewer").get("/api/v1/apps").get_json()["stray_holds"]
    assert (stray["app"], stray["environment"], stray["by"], stray["reason"]) == (
        "old",
        "prod",
        "kim",
        "freeze <now>",
    )
    assert "Release old in prod" in page(web, "/apps/old/prod/release").text
    client = web.browser()
    assert client.get("/apps/old/prod/hold").status_code == 404
    assert client.post("/apps/old/prod/release", headers=OURS).status_code == 303
    assert "old prod" not in page(web, "/apps").text
    assert client.get("/apps/old/prod/release").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "No forge is named in webhooks of the configuration."),
        ({"hooks": HOOKS}, "Point a webhook of your forge at /webhooks/gitea, /webhooks/github"),
        ({"hooks": HOOKS[:1], "external_url": "https://p.example.com"}, "at https://p.example.com/webhooks/gitea"),
        (
            {"hooks": HOOKS[:1], "external_url": "https://p.example.com", "webhook_url": "https://h.example.com"},
            "at https://h.example.com/webhooks/gitea",
        ),
    ],
)
def test_where_nothing_has_arrived_yet_the_address_for_the_forge_is_named(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    fields = {"external_url": ""} | fields
    web = make_web(sqlite_database(tmp_path), tmp_path, **fields)
    web.app.config["SESSION_COOKIE_SECURE"] = False
    assert said in page(web, "/deliveries").text


def test_a_failed_deploy_that_is_in_git_is_not_shown_as_deployed(web: Web) -> None:
    image = "harbor.example.com/plate/plate-web:sha-"
    web.run(RunState.SUCCEEDED, image=f"{image}1", landed=10.0)
    assert "not proven" not in page(web, "/apps").text
    fields = {"image": f"{image}2", "reason": Reason.DEGRADED, "detail": "it crashes"}
    web.run(RunState.FAILED, landed=20.0, **fields)
    sentence = "The application is unhealthy with this commit: it crashes."
    shown = page(web, "/apps").text
    assert (shown.count("sha-2"), shown.count("sha-1"), shown.count("not proven"), shown.count(sentence)) == (
        1,
        1,
        1,
        1,
    )
    web.run(RunState.CANCELLED, detail="cancelled by kim")
    shown = page(web, "/apps").text
    assert (shown.count("not proven"), shown.count(sentence), "Cancelled by kim" in shown) == (1, 1, True)


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    client = web.browser()
    for path in ("/runs", f"/runs/{run}", "/apps", "/apps/plate-web/stg/hold", "/deliveries", "/login"):
        shown = Page(client.get(path).text)
        loaded = [one["src"] for tag in ("script", "img") for one in shown.all(tag)]
        loaded += [one["href"] for one in shown.all("link")]
        assert loaded
        for address in loaded:
            assert address.startswith("/static/")
            with client.get(address) as answer:
                assert answer.status_code == 200
        for _, attributes in shown.tags:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
