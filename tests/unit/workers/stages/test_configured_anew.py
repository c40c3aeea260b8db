"""What becomes of a run whose image was named by another configuration than that of now."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, StageName, Trigger, Wait
from tests.support.deploying import FakeArgo, FakeCommits, application, landed, tools
from tests.support.deploying import order as order_to_deploy
from tests.support.imaging import COMMIT, ImageServices, order
from tests.support.registries import DIGEST, TAG, FakeRegistry
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL
from workers.stages import build, check, commit, push, scan
from workers.stages.order import Order
from workers.stages.wanted import change_of

MOVED = Registry(url="https://new.example.com", username="robot$shop")
OLD, NEW = f"harbor.example.com/shop/team-a/api:{TAG}", f"new.example.com/shop/team-a/api:{TAG}"


def image_in(outcome: Outcome) -> object:
    assert isinstance(outcome, Done)
    return outcome.outputs["image"]


def test_an_image_that_is_not_built_yet_is_named_by_the_registry_of_now() -> None:
    services = ImageServices()
    assert image_in(build.run(order(registry=MOVED, image=OLD), services.tools())) == NEW
    assert services.engine.builds[0]["tag"] == NEW


def test_what_was_built_for_another_registry_is_not_pushed_there_with_the_login_of_this_one() -> None:
    services = ImageServices()
    services.engine.images[OLD] = {REVISION_LABEL: COMMIT, APP_LABEL: "api"}
    assert image_in(push.run(order(registry=MOVED, image=OLD), services.tools())) == NEW
    assert services.engine.asked[:2] == ["build", "push"]


def test_an_image_of_other_build_options_does_not_get_the_name_of_the_old_ones() -> None:
    services = ImageServices()
    changed = order(build=Build(args=(("BASE", "2"),)), image=OLD)
    named = str(image_in(build.run(changed, services.tools())))
    assert named.startswith(f"{OLD}-")
    assert services.engine.builds[0]["tag"] == named


def test_an_image_that_was_proven_before_the_registry_got_another_name_is_found_by_its_digest() -> None:
    back = order_to_deploy(
        StageName.CHECK, trigger=Trigger.ROLLBACK, image="old.example.com/plate/plate-web:v1", digest=DIGEST
    )
    assert image_in(check.run(back, tools())) == "harbor.example.com/plate/plate-web:v1"


def test_a_scan_is_asked_for_where_the_image_is_now() -> None:
    services = ImageServices()
    services.harbor.artifacts = [{"digest": DIGEST, "scan_overview": {}}]
    scan.run(order(registry=MOVED, image=OLD, digest=DIGEST, outputs={"blocked": True}), services.tools())
    assert services.harbor.places[0][:2] == ("shop", "team-a/api")


def renamed(**fields: Any) -> Order:
    """A run that pushed its image while the registry had another address."""
    return order_to_deploy(StageName.COMMIT, image=f"old.example.com/plate/plate-web:{TAG}", **fields)


def test_an_image_that_is_not_in_the_registry_of_now_is_not_committed() -> None:
    queue = FakeCommits()
    outcome = commit.run(renamed(), tools(commits=queue))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, queue.submitted) == (Reason.IMAGE_MISSING, [])
    said = f"harbor.example.com/plate/plate-web has no {TAG}; the run has pushed its image to old.example.com"
    assert outcome.detail == said


def test_another_image_of_the_same_tag_is_not_committed() -> None:
    registry = FakeRegistry(tags={TAG: ("sha256:" + "0" * 64, {})})
    outcome = commit.run(renamed(), tools(registry=registry))
    assert isinstance(outcome, Fail)
    assert "has another image as" in outcome.detail


@pytest.mark.parametrize(
    ("keys", "wanted", "written"),
    [
        ({"environment_value": "image"}, TAG, [f"harbor.example.com/plate/plate-web:{TAG}"]),
        ({"environment_repository_key": "image.name"}, TAG, [TAG, "harbor.example.com/plate/plate-web"]),
        ({"environment_digest_key": "image.digest"}, DIGEST, [TAG, DIGEST]),
    ],
)
def test_an_image_that_the_registry_has_under_its_address_of_now_is_written_so(
    keys: dict[str, str], wanted: str, written: list[str]
) -> None:
    queue = FakeCommits(result=landed())
    registry = FakeRegistry(tags={wanted: (DIGEST, {})})
    outcome = commit.run(renamed(**keys), tools(commits=queue, registry=registry))
    assert [edit.value for edit in queue.submitted[0].edits] == written
    assert image_in(outcome) == f"harbor.example.com/plate/plate-web:{TAG}"


def test_what_a_writer_had_before_the_registry_got_another_name_is_not_told_otherwise() -> None:
    before = renamed()
    queue = FakeCommits(result=landed(), queued=True, written=change_of(before))
    assert image_in(commit.run(before, tools(commits=queue))) == before.run.image


def test_a_registry_whose_name_could_be_a_folder_is_known() -> None:
    plain = order_to_deploy(StageName.COMMIT, image=f"registry/plate/plate-web:{TAG}")
    settings = replace(plain.settings, registry=Registry(url="http://registry"))
    queue = FakeCommits(result=landed())
    assert "image" not in commit.run(replace(plain, settings=settings), tools(commits=queue)).outputs


def test_nothing_is_said_of_a_change_that_is_not_in_git() -> None:
    registry = FakeRegistry(tags={TAG: (DIGEST, {})})
    outcome = commit.run(renamed(), tools(commits=FakeCommits(free=False), registry=registry))
    assert isinstance(outcome, Wait)


@pytest.mark.parametrize(("now_named", "asked"), [("plate-web-stg", "plate"), ("plate-web-eu", "")])
def test_the_project_of_an_application_is_not_that_of_another_one(now_named: str, asked: str) -> None:
    seen = application()
    seen["spec"]["project"] = "plate"
    outputs = check.run(order_to_deploy(StageName.CHECK), tools(argocd=FakeArgo([seen]))).outputs
    follows = order_to_deploy(StageName.SYNC, outputs=outputs, environment_argocd=now_named)
    assert follows.where["project"] == asked


def test_a_digest_is_not_committed_where_a_tag_belongs_by_now() -> None:
    named = f"harbor.example.com/plate/plate-web@{DIGEST}"
    queue = FakeCommits()
    outcome = commit.run(order_to_deploy(StageName.COMMIT, image=named), tools(commits=queue))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, queue.submitted) == (Reason.VALUES_KEY_REFUSED, [])
    assert outcome.detail.startswith("`image.tag` of stg gets a tag, and the image is named by its digest")
