"""What is shown of runs, apps and deliveries."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.domain.apps import ArgoCD, GitAccess
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, RunState, StageName, StageState
from orchestrator.engine.facts import Blocked
from orchestrator.engine.transitions import advance
from orchestrator.services.app_views import EnvironmentStatus, app_view
from orchestrator.services.ledger import message_of
from orchestrator.services.views import (
    View,
    accepted_view,
    commit_url,
    rfc3339,
    run_view,
)
from orchestrator.web.answers import Accepted, AppView, RunDetail, RunView
from tests.support.factories import NOW, later, make_app, make_environment, make_run, make_settings
from tests.support.web import with_receipt

SETTINGS = make_settings("/nowhere", external_url="https://pilotage.example.com")
ROW = {"channel": "slack-1", "type": "run.failed", "state": "sent", "detail": "", "sent_at": NOW.timestamp(), "id": 3}


def failed() -> Run:
    run = make_run(StageName.BUILD, StageState.FAILED)
    return replace(
        run, state=RunState.FAILED, reason=Reason.BUILD_FAILED, detail="exit 3", finished_at=later(2.5), title="x"
    )


def view(run: Run) -> View:
    return run_view(run, SETTINGS, attempts=[7], notifications=[ROW])


def test_a_run_is_shown_with_exactly_the_documented_fields() -> None:
    assert set(view(failed())) == set(RunDetail.model_fields)
    assert set(run_view(failed(), SETTINGS)) == set(RunView.model_fields)
    RunDetail.model_validate(view(failed()))


def test_a_run_says_why_and_who_acts() -> None:
    shown = view(failed())
    assert (shown["state"], shown["reason"], shown["detail"]) == ("failed", "build_failed", "exit 3")
    assert shown["sentence"] == "The image build failed: exit 3."
    assert (shown["next_step"], shown["who_acts"]) == ("Read the end of the build log.", "developer")


def test_the_sentence_is_the_one_that_messages_say() -> None:
    assert view(failed())["sentence"] == message_of(SETTINGS, failed(), "run.failed", "slack", 0.0).sentence


def test_messages_part_work_and_waiting_as_the_api_does() -> None:
    message = message_of(SETTINGS, failed(), "run.failed", "slack", 0.0)
    assert (message.seconds, message.waited_seconds) == (2.5, view(failed())["waited_seconds"]) == (2.5, 2.5)


def test_times_are_rfc_3339_in_utc_and_durations_seconds() -> None:
    shown = view(failed())
    assert shown["created_at"] == "2026-11-24T09:00:00.000Z"
    assert shown["finished_at"] == "2026-11-24T09:00:02.500Z"
    assert (shown["seconds"], shown["worked_seconds"], shown["waited_seconds"]) == (2.5, 0, 2.5)
    assert shown["waiting_since"] is None
    assert view(make_run())["waiting_since"] == "2026-11-24T09:00:00.000Z"
    assert shown["started_at"] is None
    assert rfc3339(NOW.astimezone(tz=None)) == "2026-11-24T09:00:00.000Z"


def test_a_stage_that_has_not_begun_says_nothing() -> None:
    stages = {stage["name"]: stage for stage in view(make_run(StageName.BUILD, StageState.RUNNING))["stages"]}
    assert list(stages) == [name.value for name in StageName]
    assert (stages["push"]["state"], stages["push"]["sentence"]) == ("queued", "")
    assert stages["check"]["seconds"] == 0


def test_a_stage_that_waits_before_it_begins_says_why() -> None:
    held = Blocked(reason=Reason.ON_HOLD, detail="on hold: freeze")
    (first, *others) = view(advance(make_run(), held, NOW).run)["stages"]
    assert (first["state"], first["sentence"]) == ("waiting", "The environment is on hold: freeze.")
    assert {stage["sentence"] for stage in others} == {""}


def test_a_stage_that_was_queued_when_its_run_ended_is_shown_as_not_reached() -> None:
    stages = {stage["name"]: stage for stage in view(failed())["stages"]}
    assert failed().stage(StageName.PUSH).state is StageState.QUEUED
    assert (stages["push"]["state"], stages["push"]["reason"]) == ("skipped", "not_reached")
    assert stages["push"]["sentence"] == "The run ended before this stage."
    assert stages["build"]["state"] == "failed"


def test_links_lead_to_us_and_to_argo_cd() -> None:
    shown = view(failed())
    assert shown["url"] == "https://pilotage.example.com/runs/7"
    assert shown["api_url"] == "https://pilotage.example.com/api/v1/runs/7"
    assert shown["argocd_url"] == "https://argocd.example.com/applications/plate-web-stg"
    assert run_view(failed(), SETTINGS, base="")["url"] == "/runs/7"


def test_an_application_in_a_namespace_under_a_root_path_has_its_own_address() -> None:
    environment = make_environment(app_namespace="team-a")
    settings = replace(
        SETTINGS, argocd=ArgoCD(url="https://cd.example.com/argo/"), apps=(make_app(environments=(environment,)),)
    )
    shown = run_view(failed(), settings)
    assert shown["argocd_url"] == "https://cd.example.com/argo/applications/team-a/plate-web-stg"


def test_a_run_of_an_app_that_is_gone_is_still_shown() -> None:
    assert run_view(replace(failed(), app="gone"), SETTINGS)["argocd_url"] == ""


def test_the_receipt_is_what_the_health_stage_proved() -> None:
    assert view(failed())["receipt"] is None
    assert view(with_receipt(failed(), {"run": 7}))["receipt"] == {"run": 7}


def test_what_was_accepted_names_the_run() -> None:
    shown = accepted_view(failed(), "https://here.example.com")
    assert shown["url"] == "https://here.example.com/runs/7"
    Accepted.model_validate(shown)


def healthy(**fields: object) -> Run:
    run = make_run(StageName.HEALTH, StageState.SUCCEEDED, image="harbor.example.com/plate/plate-web:sha-1")
    return replace(
        run, **({"state": RunState.SUCCEEDED, "reason": Reason.HEALTHY, "finished_at": later(2.5)} | fields)
    )


def unhealthy(**fields: object) -> Run:
    return healthy(
        **({"id": 8, "state": RunState.FAILED, "reason": Reason.DEGRADED, "detail": "CrashLoopBackOff"} | fields)
    )


def environment_with(**known: object) -> View:
    return app_view(make_app(), SETTINGS, {"stg": EnvironmentStatus(**known)}, NOW)["environments"][0]  # type: ignore[arg-type]


def test_an_app_shows_what_is_known_of_its_environments_and_never_a_secret() -> None:
    app = make_app(environments=(make_environment(), make_environment("prod")))
    places = {
        "stg": EnvironmentStatus(last=failed(), deployed=healthy()),
        "prod": EnvironmentStatus(hold=("freeze", "kim", NOW.timestamp())),
    }
    shown = app_view(app, SETTINGS, places, NOW)
    AppView.model_validate(shown)
    stg, prod = shown["environments"]
    assert (stg["last_run"]["id"], stg["last_run"]["sentence"]) == (7, "The image build failed: exit 3.")
    assert stg["deployed"]["since"] == rfc3339(NOW + timedelta(seconds=2.5))
    assert (prod["last_run"], prod["in_git"], prod["deployed"]) == (None, None, None)
    assert prod["hold"] == {"reason": "freeze", "by": "kim", "since": "2026-11-24T09:00:00.000Z"}
    assert shown["image"] == "harbor.example.com/plate/plate-web"
    assert "s3cret" not in str(shown)


def test_what_is_in_git_is_not_proven_by_an_earlier_image() -> None:
    new = "harbor.example.com/plate/plate-web:sha-2"
    bad = unhealthy(image=new)
    shown = environment_with(last=bad, landed=bad, judged=bad, deployed=healthy())
    assert (shown["in_git"]["run"], shown["in_git"]["tag"], shown["in_git"]["proven"]) == (8, "sha-2", False)
    assert shown["in_git"]["verdict"]["sentence"].endswith("with this commit: CrashLoopBackOff.")
    assert shown["deployed"]["image"].endswith(":sha-1")
    fresh = environment_with(landed=healthy(id=9, state=RunState.WAITING, image=new), judged=healthy())
    assert (fresh["in_git"]["proven"], fresh["in_git"]["verdict"]) == (False, None)


def test_a_cancelled_repetition_leaves_the_verdict_on_the_image_as_it_was() -> None:
    cancelled = healthy(id=9, state=RunState.CANCELLED, reason=Reason.CANCELLED)
    good = environment_with(last=cancelled, landed=cancelled, judged=healthy(), deployed=healthy())["in_git"]
    assert (good["run"], good["proven"], good["verdict"]["id"]) == (9, True, 7)
    bad = environment_with(last=cancelled, landed=cancelled, judged=unhealthy())["in_git"]
    assert (bad["run"], bad["proven"], bad["verdict"]["reason"]) == (9, False, "degraded")


def test_an_image_by_digest_has_no_tag() -> None:
    assert environment_with(landed=healthy(image="harbor.example.com/plate/web@sha256:abc"))["in_git"]["tag"] == ""


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://git.example.com/acme/web.git", "https://git.example.com/acme/web/commit/abc"),
        ("http://127.0.0.1:3000/acme/web", "http://127.0.0.1:3000/acme/web/commit/abc"),
        ("https://user@git.example.com:8443/Acme/Web.git", "https://git.example.com:8443/Acme/Web/commit/abc"),
        ("git@git.example.com:acme/web.git", ""),
        ("ssh://git@git.example.com/acme/web.git", ""),
    ],
)
def test_a_commit_has_a_page_where_the_address_tells(repository: str, expected: str) -> None:
    assert commit_url(repository, "abc") == expected


def test_without_a_commit_there_is_no_page() -> None:
    assert commit_url("https://git.example.com/acme/web.git", "") == ""


def test_a_repository_is_shown_without_credentials(tmp_path: Path) -> None:
    app = make_app(source=GitAccess(url="https://git.example.com/acme/web.git"))
    settings = make_settings(str(tmp_path))
    assert app_view(app, settings, {}, NOW)["repo"] == "https://git.example.com/acme/web.git"
