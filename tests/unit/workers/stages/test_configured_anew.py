"""What becomes of a run whose image was named by another configuration than that of now."""

import pytest

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, Outcome, StageName, Trigger
from tests.support.deploying import FakeArgo, FakeCommits, application, tools
from tests.support.deploying import order as order_to_deploy
from tests.support.factories import later
from tests.support.imaging import COMMIT, ImageServices, order
from tests.support.registries import DIGEST, TAG
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL
from workers.stages import build, check, commit, push, scan

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


def test_an_image_that_is_not_in_the_registry_of_now_is_not_committed() -> None:
    waited = order_to_deploy(StageName.COMMIT, now=later(300), image=f"old.example.com/plate/plate-web:{TAG}")
    outcome = commit.run(waited, tools())
    assert isinstance(outcome, Fail)
    assert outcome.detail.startswith(f"plate/plate-web has no {TAG} any more")


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
